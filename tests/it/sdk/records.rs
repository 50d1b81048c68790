//! What a record may be given as, and what is told of one that does not fit.

use prost::Message as _;
use prost_reflect::{DynamicMessage, Value};
use zerobus::{Encoded, Error, ErrorKind, Message, Record};

use super::*;

#[tokio::test]
async fn one_record_is_accepted_before_and_durable_after_its_ack() {
    let rig = Rig::new().await;
    let stream = rig.open().await;
    let ack = stream.ingest_record(Message(&row(7))).await.unwrap();
    assert_eq!(ack.offset(), 0);
    ack.await.unwrap();
    assert_eq!(rig.landed(), [7]);
}

#[tokio::test]
async fn offsets_count_calls_and_records_keep_their_order() {
    let rig = Rig::new().await;
    let stream = rig.open().await;
    let acks = ingest(&stream, 0, 1_000).await;
    for (offset, ack) in acks.into_iter().enumerate() {
        assert_eq!(ack.offset(), offset as i64);
        ack.await.unwrap();
    }
    assert_eq!(rig.landed(), each(0..1_000));
}

/// Bytes, a generated message, a dynamic one and JSON text are the same record.
#[tokio::test]
async fn a_record_may_be_given_in_four_forms() {
    let rig = Rig::new().await;
    let stream = rig.open().await;
    let mut dynamic = DynamicMessage::new(air().descriptor().unwrap().clone());
    dynamic.set_field_by_name("device_name", Value::String("sensor-5".into()));
    dynamic.set_field_by_name("temp", Value::I32(20));
    dynamic.set_field_by_name("humidity", Value::I64(5));
    let bytes = row(5).encode_to_vec();
    let text = r#"{"device_name": "sensor-5", "temp": 20, "humidity": 5}"#;
    let acks = [
        stream.ingest_record(Encoded(&bytes)).await.unwrap(),
        stream.ingest_record(Message(&row(5))).await.unwrap(),
        stream.ingest_record(Message(&dynamic)).await.unwrap(),
        stream.ingest_record(Json(text)).await.unwrap(),
    ];
    for ack in acks {
        ack.await.unwrap();
    }
    stream.close().await.unwrap();
    let table = rig.dir.path().join("main/default/air_quality");
    let rows = crate::table::rows(&table);
    assert_eq!(rows.len(), 4);
    assert!(rows.iter().all(|row| *row == rows[0]), "{rows:?}");
    assert_eq!(rows[0]["device_name"], "sensor-5");
}

#[tokio::test]
async fn json_records_go_as_they_are() {
    let rig = Rig::new().await;
    let stream = rig.open().await;
    stream.close().await.unwrap();
    let table = TableProperties::json(AIR).unwrap();
    assert!(table.descriptor().is_none());
    let credentials = Credentials::client("id", "secret");
    let stream = rig.sdk.create_stream(credentials, &table, quick()).await;
    let stream = stream.unwrap();
    stream.ingest_record(json(3)).await.unwrap().await.unwrap();
    let batch = stream.ingest_records([json(4), json(5)]).await.unwrap();
    batch.unwrap().await.unwrap();
    assert_eq!(rig.landed(), [3, 4, 5]);
    let error = refused(&stream, Message(&row(1))).await;
    assert!(error.message().contains("takes JSON records"), "{error}");
    let error = refused(&stream, Encoded(b"")).await;
    assert!(error.message().contains("takes JSON records"), "{error}");
    let error = refused(&stream, Json("[]")).await;
    assert!(error.message().contains("object"), "{error}");
    let error = refused(&stream, Json(r#"{"temp":1,"temp":2}"#)).await;
    assert!(error.message().contains("has already"), "{error}");
}

async fn refused(stream: &Stream, record: impl Record) -> Error {
    let error = stream.ingest_record(record).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidRecord, "{error}");
    assert!(!error.is_retryable());
    error
}

/// The stream goes on, and takes no offset for what it refuses.
#[tokio::test]
async fn what_does_not_fit_is_refused_at_once_with_its_field() {
    let rig = Rig::new().await;
    let stream = rig.open().await;
    let error = refused(&stream, Json(r#"{"temp": 3000000000}"#)).await;
    assert!(error.message().contains("field \"temp\""), "{error}");
    let error = refused(&stream, Json(r#"{"tmp": 1}"#)).await;
    assert!(error.message().contains("tmp"), "{error}");
    let error = refused(&stream, Json("{")).await;
    assert!(!error.message().is_empty());
    let other = wire::message(wire::NARROW);
    let error = refused(&stream, Message(&DynamicMessage::new(other))).await;
    let expected = "the message is a Row, the stream's records are AirQuality";
    assert_eq!(error.message(), expected);
    let ack = stream.ingest_record(json(1)).await.unwrap();
    assert_eq!(ack.offset(), 0);
    stream.close().await.unwrap();
    assert_eq!(rig.landed(), [1]);
}

#[tokio::test]
async fn a_record_may_be_as_large_as_a_request() {
    let rig = Rig::new().await;
    let stream = rig.open().await;
    let largest = 10_420_224;
    let of = |bytes: usize| AirQuality {
        // A tag and four bytes of length.
        device_name: Some("x".repeat(bytes - 5)),
        ..AirQuality::default()
    };
    assert_eq!(of(largest).encoded_len(), largest);
    let ack = stream.ingest_record(Message(&of(largest))).await.unwrap();
    ack.await.unwrap();
    let error = refused(&stream, Message(&of(largest + 1))).await;
    assert!(error.message().contains("10420225 bytes"), "{error}");
    let bytes = vec![0; largest + 1];
    let error = refused(&stream, Encoded(bytes)).await;
    assert!(error.message().contains("10420225 bytes"), "{error}");
    stream.close().await.unwrap();
}

/// A Timestamp is a column of TIMESTAMP, not of a message.
#[tokio::test]
async fn well_known_types_become_what_the_service_takes() {
    let rig = Rig::new().await;
    let proto = rig.dir.path().join("seen.proto");
    let text = r#"syntax = "proto3";
        package of.sensors;
        import "google/protobuf/timestamp.proto";
        import "google/protobuf/wrappers.proto";
        message Seen {
          google.protobuf.Timestamp at = 1;
          google.protobuf.Int64Value count = 2;
          repeated google.protobuf.Timestamp more = 3;
          int64 plain = 4;
        }"#;
    std::fs::write(&proto, text).unwrap();
    let table = TableProperties::from_proto_file("main.default.seen", &proto, None).unwrap();
    let credentials = Credentials::client("id", "secret");
    let stream = rig.sdk.create_stream(credentials, &table, quick()).await;
    let stream = stream.unwrap();
    let text = r#"{"at": "2026-01-31T12:00:00Z", "count": 9007199254740993,
        "more": ["2026-01-31T12:00:01.5Z"], "plain": 9007199254740993}"#;
    let mut read = serde_json::Deserializer::from_str(text);
    let descriptor = table.descriptor().unwrap().clone();
    let dynamic = DynamicMessage::deserialize(descriptor, &mut read).unwrap();
    stream
        .ingest_record(Message(&dynamic))
        .await
        .unwrap()
        .await
        .unwrap();
    stream
        .ingest_record(Json(text))
        .await
        .unwrap()
        .await
        .unwrap();
    stream.close().await.unwrap();
    let rows = crate::table::rows(&rig.dir.path().join("main/default/seen"));
    assert_eq!(rows[0], rows[1]);
    let seconds = 1_769_860_800;
    let row = serde_json::json!({
        "at": seconds * 1_000_000_i64,
        "count": 9_007_199_254_740_993_i64,
        "more": [seconds * 1_000_000_i64 + 1_500_000],
        "plain": 9_007_199_254_740_993_i64,
    });
    assert_eq!(rows[0], row);
}

#[test]
fn a_descriptor_may_be_given_as_its_own_message() {
    let descriptor = air().descriptor().unwrap().descriptor_proto().clone();
    let table = TableProperties::from_descriptor_proto(AIR, descriptor.clone()).unwrap();
    assert_eq!(table.descriptor().unwrap().name(), "AirQuality");
    let mut lacking = descriptor;
    lacking.field[0].type_name = Some(".Elsewhere".to_owned());
    lacking.field[0].r#type = Some(11);
    let error = TableProperties::from_descriptor_proto(AIR, lacking).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Settings);
    assert!(error.message().contains("Elsewhere"), "{error}");
    let error = TableProperties::from_proto_file(AIR, "no/such.proto", None).unwrap_err();
    assert!(error.message().contains("no/such.proto"), "{error}");
}
