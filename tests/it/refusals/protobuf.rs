//! Protobuf records that are refused: for their bytes, and for their values.

use bytes::Bytes;
use zerobus::wire::ProtoEncodedRecordBatch;
use zerobus::wire::ingest_record_batch_request::Batch;

use super::{Case, Kind, Refusal, requests};

pub async fn refusals() -> Vec<Refusal> {
    let bytes = BYTES.iter().map(|(what, record)| {
        let good = Bytes::from_static(b"\x08\x02");
        let records = vec![good, Bytes::copy_from_slice(record)];
        let hex: Vec<String> = record.iter().map(|byte| format!("{byte:02x}")).collect();
        let sent = format!("{what}: {}", hex.join(" "));
        let batch = Batch::ProtoEncodedBatch(ProtoEncodedRecordBatch { records });
        Case::batch(&sent, Kind::Proto, batch)
    });
    let values = VALUES.iter().map(|row| {
        let batch = Kind::Proto.records(&[r#"{"id":2}"#, row]);
        Case::batch(row, Kind::Proto, batch)
    });
    requests(bytes.chain(values).collect()).await
}

const BYTES: [(&str, &[u8]); 26] = [
    ("nothing", b""),
    ("half a key", b"\x08\x02\x80"),
    ("half a varint", b"\x08\x80"),
    (
        "a varint of 11 bytes",
        b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
    ),
    (
        "a varint of 65 bits",
        b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02",
    ),
    ("half a float", b"\x08\x02\x35\x00\x00"),
    ("half a double", b"\x08\x02\x39\x00\x00\x00\x00"),
    ("half a string", b"\x08\x02\x4a\x05ab"),
    ("a field number 0", b"\x08\x02\x01\x00"),
    (
        "a field number of 30 bits",
        b"\x08\x02\xf8\xff\xff\xff\x7f\x01",
    ),
    ("an unknown field", b"\x08\x02\xb8\x01\x01"),
    ("a varint for a string", b"\x08\x02\x48\x01"),
    ("a string for a varint", b"\x0a\x01a"),
    (
        "a double for a float",
        b"\x08\x02\x31\x00\x00\x00\x00\x00\x00\x00\x00",
    ),
    ("a group", b"\x08\x02\x4b\x4c"),
    ("a wire type 6", b"\x08\x02\x4e"),
    ("text not in UTF-8", b"\x08\x02\x4a\x02a\xff"),
    ("half a packed list", b"\x08\x02\x92\x01\x02\x01\x80"),
    ("half a packed float", b"\x08\x02\x9a\x01\x02\x00\x00"),
    (
        "a fixed width in a list",
        b"\x08\x02\x95\x01\x00\x00\x00\x00",
    ),
    ("half a message", b"\x08\x02\xaa\x01\x05\x08\x01"),
    ("a nested field unknown", b"\x08\x02\xaa\x01\x02\x18\x01"),
    ("half a map entry", b"\x08\x02\xa2\x01\x03\x08\x01\x10"),
    ("text as a map key", b"\x08\x02\xa2\x01\x03\x0a\x01a"),
    ("an unknown enum number", b"\x08\x02\x80\x01\x07"),
    (
        "a second value that is bad",
        b"\x08\x02\x18\x01\x18\x80\x01",
    ),
];

const VALUES: [&str; 36] = [
    "{}",
    r#"{"flag":true,"text":"no id"}"#,
    r#"{"id":3,"tiny":128}"#,
    r#"{"id":3,"tiny":-129}"#,
    r#"{"id":3,"small":32768}"#,
    r#"{"id":3,"small":-32769}"#,
    r#"{"id":3,"price":""}"#,
    r#"{"id":3,"price":"a lot"}"#,
    r#"{"id":3,"price":"1,5"}"#,
    r#"{"id":3,"price":"NaN"}"#,
    r#"{"id":3,"price":"0.001"}"#,
    r#"{"id":3,"price":"1000"}"#,
    r#"{"id":3,"price":"1e9"}"#,
    r#"{"id":3,"price":"123456789012345678901234567890123456789012345678901234567890123"}"#,
    r#"{"id":3,"code":"abcd"}"#,
    r#"{"id":3,"code":"äöüß"}"#,
    r#"{"id":3,"day":-719163}"#,
    r#"{"id":3,"day":2932897}"#,
    r#"{"id":3,"at":-62135596800000001}"#,
    r#"{"id":3,"at":253402300800000000}"#,
    r#"{"id":3,"wall":-62135596800000001}"#,
    r#"{"id":3,"wall":253402300800000000}"#,
    r#"{"id":3,"doc":""}"#,
    r#"{"id":3,"doc":"free text"}"#,
    r#"{"id":3,"doc":"{\"a\":1"}"#,
    r#"{"id":3,"doc":"{} {}"}"#,
    r#"{"id":3,"doc":"{\"a\":[{\"b\":1,\"b\":2}]}"}"#,
    r#"{"id":3,"kind":"LONGER"}"#,
    r#"{"id":3,"kind":7}"#,
    r#"{"id":3,"kind_number":"LARGE"}"#,
    r#"{"id":3,"list":[1,2,300]}"#,
    r#"{"id":3,"map":{"1":1,"2":300}}"#,
    r#"{"id":3,"inner":{"x":1}}"#,
    r#"{"id":3,"inner":{"y":1}}"#,
    r#"{"id":3,"inner":{"x":40000,"y":1}}"#,
    r#"{"id":3,"inners":[{"x":1,"y":1},{"x":1}]}"#,
];
