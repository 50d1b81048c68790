//! What a table's log says of a file's columns holds for every row: readers skip files by it.

use serde_json::Value;

use crate::rig::Rig;
use crate::table;

const ROW: &str = r#"syntax = "proto2";
message Row {
  optional int64 id = 1;
  optional string sum = 2; // @delta DECIMAL(30,4)
  optional string whole = 3; // @delta DECIMAL(28,0)
  optional double ratio = 4;
  optional float share = 5;
  optional int64 at = 6; // @delta TIMESTAMP
  optional int64 wall = 7; // @delta TIMESTAMP_NTZ
  optional int32 day = 8; // @delta DATE
  optional string name = 9;
  optional Site site = 10;
  message Site { optional string price = 1; optional double height = 2; optional int32 floor = 3; }
}"#;

/// Enough rows for a merge, each a commit of its own.
const ROWS: i64 = 40;

fn row(i: i64) -> String {
    let ratio = ["\"NaN\"", "\"Infinity\"", "\"-Infinity\"", "0.1", "-7.25"][i as usize % 5];
    let sign = if i % 2 == 0 { "" } else { "-" };
    let long = "é".repeat(i as usize * 3);
    format!(
        r#"{{"id":{i},"sum":"{sign}12345678901234567890123{:02}.678{}","whole":"{sign}{}","ratio":{ratio},"share":0.{i},"at":"20{:02}-01-01T00:00:00.{:06}Z","wall":"1969-01-01 00:00:00.{:06}","day":"20{:02}-01-31","name":"{long}","site":{{"price":"{sign}98765432109876543.2{}","height":{ratio},"floor":{i}}}}}"#,
        i,
        i % 10,
        u128::MAX / 1_000_000_000_000 - i as u128,
        i,
        123_999 + i,
        999_999 - i,
        i,
        i % 10,
    ) + "\n"
}

/// A decimal, or a floating point number with all its digits, in hundred millionths.
fn scaled(text: &str) -> i128 {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    format!("{whole}{part:0<8}").parse().unwrap()
}

fn in_order(path: &str, low: &Value, high: &Value) -> bool {
    let decimal = |value: &Value| match value {
        Value::String(text) => scaled(text),
        Value::Number(number) if number.is_i64() => scaled(&number.to_string()),
        number => scaled(&format!("{:.8}", number.as_f64().unwrap())),
    };
    // Times without what differs in the way they are written.
    let time = |value: &Value| {
        let text = value.as_str().unwrap().replace(' ', "T").replace('Z', "");
        format!(
            "{:0<26}",
            text.replace("00:00:00.", "00:00:00")
                .replace("00:00:01.", "00:00:01")
        )
    };
    match path {
        "/sum" | "/whole" | "/site/price" => decimal(low) <= decimal(high),
        "/at" | "/wall" => time(low) <= time(high),
        "/day" | "/name" => low.as_str().unwrap() <= high.as_str().unwrap(),
        _ => low.as_f64().unwrap() <= high.as_f64().unwrap(),
    }
}

/// The paths of what is no object.
fn leaves(value: &Value, path: String, found: &mut Vec<String>) {
    match value.as_object() {
        Some(members) => {
            for (name, member) in members {
                leaves(member, format!("{path}/{name}"), found);
            }
        }
        None => found.push(path),
    }
}

#[test]
fn the_bounds_of_each_column_hold_for_every_row() {
    let rig = Rig::new();
    rig.file("row.proto", ROW);
    rig.file("rows.ndjson", (0..ROWS).map(row).collect::<String>());
    let args = "ingest --local wh --table main.default.t --proto row.proto rows.ndjson \
                --type site.price=DECIMAL(20,2) --max-inflight 1 --batch-records 1";
    rig.run(&args.split_whitespace().collect::<Vec<_>>())
        .exits(0);
    let table = rig.path().join("wh/main/default/t");
    let mut bounds = 0;
    let adds = table::actions(&table, "add");
    assert!(adds.iter().any(|add| add["dataChange"] == false));
    for add in adds {
        let stats: Value = serde_json::from_str(add["stats"].as_str().unwrap()).unwrap();
        let rows = table::rows_of(&table.join(add["path"].as_str().unwrap()));
        assert_eq!(stats["numRecords"], rows.len());
        for side in ["minValues", "maxValues"] {
            let mut paths = Vec::new();
            leaves(&stats[side], String::new(), &mut paths);
            for path in &paths {
                let bound = stats[side].pointer(path).unwrap();
                for row in &rows {
                    // NaN and the infinities are read as null here, and have no bounds.
                    let value = row.pointer(path).unwrap_or(&Value::Null);
                    let (low, high) = match side {
                        "minValues" => (bound, value),
                        _ => (value, bound),
                    };
                    let holds = !bound.is_null() && !value.is_null() && in_order(path, low, high);
                    assert!(holds, "{side} {path}: {bound} against {value}");
                    bounds += 1;
                }
            }
            // Whatever can be trusted is there.
            for path in ["/id", "/at", "/wall", "/day", "/name", "/site/floor"] {
                assert!(paths.iter().any(|p| p == path), "{side} {path}: {stats}");
            }
        }
        assert_eq!(stats["nullCount"]["sum"], 0);
    }
    assert!(bounds > 0);
}
