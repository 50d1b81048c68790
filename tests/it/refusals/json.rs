//! JSON records that are refused: for their text, and for their values.

use super::{Case, Kind, Refusal, requests};

pub async fn refusals() -> Vec<Refusal> {
    let case = |sent: &str, row: &str| {
        let batch = Kind::Json.records(&[r#"{"id":2}"#, row]);
        Case::batch(sent, Kind::Json, batch)
    };
    let mut cases: Vec<Case> = ROWS.iter().map(|row| case(row, row)).collect();
    let long = "x".repeat(1 << 20);
    for (sent, row) in [
        (
            "text of 1 MiB for an INT",
            format!(r#"{{"id":3,"whole":"{long}"}}"#),
        ),
        (
            "an object of 1 MiB for an INT",
            format!(r#"{{"id":3,"whole":{{"{long}":1}}}}"#),
        ),
        ("a key of 1 MiB", format!(r#"{{"id":3,"{long}":1}}"#)),
        (
            "a map's key of 1 MiB",
            format!(r#"{{"id":3,"map":{{"{long}":1}}}}"#),
        ),
        (
            "a key of 1 MiB twice",
            format!(r#"{{"id":3,"doc":{{"{long}":1,"{long}":1}}}}"#),
        ),
        (
            "a DECIMAL of 1 MiB",
            format!(r#"{{"id":3,"price":"{long}"}}"#),
        ),
        (
            "a VARCHAR of 1 MiB",
            format!(r#"{{"id":3,"code":"{long}"}}"#),
        ),
        (
            "lists 200 deep",
            format!(
                r#"{{"id":3,"list":{}1{}}}"#,
                "[".repeat(200),
                "]".repeat(200)
            ),
        ),
    ] {
        cases.push(case(sent, &row));
    }
    requests(cases).await
}

const ROWS: [&str; 72] = [
    "",
    "text",
    "[]",
    "1",
    "null",
    r#""{}""#,
    "{",
    r#"{"id":3"#,
    r#"{"id":3}}"#,
    r#"{"id":3} {"id":4}"#,
    r#"{"id":3,}"#,
    r#"{id:3}"#,
    r#"{"id":03}"#,
    r#"{"id":3,"text":"\x"}"#,
    r#"{"id":3,"text":"\ud800"}"#,
    "{}",
    r#"{"id":null}"#,
    r#"{"id":3,"id":4}"#,
    r#"{"id":3,"more":1}"#,
    r#"{"Id":3}"#,
    r#"{"id":true}"#,
    r#"{"id":"three"}"#,
    r#"{"id":3.5}"#,
    r#"{"id":9223372036854775808}"#,
    r#"{"id":3,"flag":1}"#,
    r#"{"id":3,"flag":"yes"}"#,
    r#"{"id":3,"tiny":128}"#,
    r#"{"id":3,"tiny":"hot"}"#,
    r#"{"id":3,"small":-32769}"#,
    r#"{"id":3,"whole":2147483648}"#,
    r#"{"id":3,"whole":[1]}"#,
    r#"{"id":3,"f":"fast"}"#,
    r#"{"id":3,"f":1e39}"#,
    r#"{"id":3,"f":"inf"}"#,
    r#"{"id":3,"d":1e309}"#,
    r#"{"id":3,"d":false}"#,
    r#"{"id":3,"price":"a lot"}"#,
    r#"{"id":3,"price":0.001}"#,
    r#"{"id":3,"price":1000}"#,
    r#"{"id":3,"price":true}"#,
    r#"{"id":3,"text":1}"#,
    r#"{"id":3,"text":{"a":1}}"#,
    r#"{"id":3,"code":"abcd"}"#,
    r#"{"id":3,"raw":"!!"}"#,
    r#"{"id":3,"raw":"QUI"}"#,
    r#"{"id":3,"raw":7}"#,
    r#"{"id":3,"day":"2024-02-30"}"#,
    r#"{"id":3,"day":"yesterday"}"#,
    r#"{"id":3,"day":"2024-02-29T12:00:00"}"#,
    r#"{"id":3,"day":2932897}"#,
    r#"{"id":3,"at":"2024-02-29T12:00:00"}"#,
    r#"{"id":3,"at":"2024-02-29"}"#,
    r#"{"id":3,"at":"2016-12-31T23:59:60Z"}"#,
    r#"{"id":3,"at":"2024-02-29T12:00:00+05:00[Europe/Paris]"}"#,
    r#"{"id":3,"at":"9999-12-31T23:59:59-00:01"}"#,
    r#"{"id":3,"wall":"2024-02-29T12:00:00Z"}"#,
    r#"{"id":3,"wall":253402300800000000}"#,
    r#"{"id":3,"doc":{"a":1,"a":2}}"#,
    r#"{"id":3,"kind_number":"SOME"}"#,
    r#"{"id":3,"list":1}"#,
    r#"{"id":3,"list":"1"}"#,
    r#"{"id":3,"list":[1,null]}"#,
    r#"{"id":3,"list":[1,300]}"#,
    r#"{"id":3,"map":{"1":1,"1":2}}"#,
    r#"{"id":3,"map":{"1":1,"1.0":2}}"#,
    r#"{"id":3,"map":{"one":1}}"#,
    r#"{"id":3,"map":{"1":null}}"#,
    r#"{"id":3,"map":{"1":300}}"#,
    r#"{"id":3,"inner":{"x":1}}"#,
    r#"{"id":3,"inner":{"y":1,"z":2}}"#,
    r#"{"id":3,"inner":[1]}"#,
    r#"{"id":3,"inners":[{"y":1},{"y":null}]}"#,
];
