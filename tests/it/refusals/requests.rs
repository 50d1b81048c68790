//! Requests of an open stream that are refused for what they are, not for their records.

use bytes::Bytes;
use zerobus::wire::ephemeral_stream_request::Payload;
use zerobus::wire::ingest_record_batch_request::Batch;
use zerobus::wire::ingest_record_request::Record;
use zerobus::wire::{
    AvroRecordBatch, EphemeralStreamRequest, IngestRecordBatchRequest, IngestRecordRequest,
    JsonRecordBatch, ProtoEncodedRecordBatch,
};

use crate::wire::{AUTHORIZATION, Rig, TABLE, TABLE_KEY, call, details, json_stream};

use super::{Case, Kind, Refusal, at, requests, wide};

const ROW: &str = r#"{"id":2}"#;

pub async fn refusals() -> Vec<Refusal> {
    let offset = |sent: &str, offset| {
        let batch = Kind::Proto.records(&[ROW]);
        Case::request(sent, Kind::Proto, at(offset, batch))
    };
    let record = |sent: &str, record| {
        let record = IngestRecordRequest {
            offset_id: Some(1),
            record,
        };
        Case::request(sent, Kind::Json, Payload::IngestRecord(record))
    };
    let avro = Bytes::from_static(b"\x00");
    let padding = "x".repeat((10 << 20) + 1 - r#"{"id":2,"text":""}"#.len());
    let large = format!(r#"{{"id":2,"text":"{padding}"}}"#);
    let mut refusals = requests(vec![
        offset("offset 2 after 0", Some(2)),
        offset("offset 0 after 0", Some(0)),
        offset("offset -1 after 0", Some(-1)),
        offset("no offset after 0", None),
        Case {
            request: EphemeralStreamRequest::default(),
            ..offset("an empty request", None)
        },
        record("ingest_record without a record", None),
        Case::request(
            "ingest_record_batch without a batch",
            Kind::Proto,
            Payload::IngestRecordBatch(IngestRecordBatchRequest {
                offset_id: Some(1),
                batch: None,
            }),
        ),
        Case::request(
            "create_stream again",
            Kind::Json,
            Payload::CreateStream(json_stream()),
        ),
        record(
            "an Avro record",
            Some(Record::AvroEncodedRecord(avro.clone())),
        ),
        Case::batch(
            "an Avro batch",
            Kind::Proto,
            Batch::AvroBatch(AvroRecordBatch {
                records: vec![avro],
            }),
        ),
        Case::batch(
            "a JSON batch on a stream of PROTO",
            Kind::Proto,
            Kind::Json.records(&[ROW]),
        ),
        Case::batch(
            "a protobuf batch on a stream of JSON",
            Kind::Json,
            Kind::Proto.records(&[ROW]),
        ),
        record(
            "a protobuf record on a stream of JSON",
            Some(Record::ProtoEncodedRecord(Bytes::from_static(b"\x08\x02"))),
        ),
        Case::batch(
            "10 MiB and a byte in one record",
            Kind::Json,
            Kind::Json.records(&[&large]),
        ),
        Case::batch(
            "10 MiB and a byte in two records",
            Kind::Json,
            Kind::Json.records(&[ROW, &large[..large.len() - ROW.len()]]),
        ),
        Case::batch(
            "4,194,304 records of no bytes",
            Kind::Proto,
            Batch::ProtoEncodedBatch(ProtoEncodedRecordBatch {
                records: vec![Bytes::new(); 4 << 20],
            }),
        ),
        Case::batch(
            "a message of 32 MiB",
            Kind::Json,
            Batch::JsonBatch(JsonRecordBatch {
                records: vec!["x".repeat(32 << 20)],
            }),
        ),
    ])
    .await;
    refusals.extend(undecodable().await);
    refusals
}

/// A request with any bytes in its places.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Odd {
    #[prost(bytes = "bytes", optional, tag = "1")]
    pub create_stream: Option<Bytes>,
    #[prost(bytes = "bytes", optional, tag = "2")]
    pub ingest_record: Option<Bytes>,
}

/// What is before a message that cannot be read is stored all the same.
async fn undecodable() -> Vec<Refusal> {
    let mut refusals = Vec::new();
    for (sent, bytes) in [
        ("a JSON record not in UTF-8", &b"\x08\x01\x1a\x01\xff"[..]),
        ("an ingest_record that is none", b"\x08"),
    ] {
        let rig = Rig::with_table(&wide()).await;
        let form = crate::token::form(&details(TABLE));
        let token = crate::token::token(&rig.server, &form).await;
        let authorization = format!("Bearer {token}");
        let metadata = [(AUTHORIZATION, authorization.as_str()), (TABLE_KEY, TABLE)];
        let create = prost::Message::encode_to_vec(&json_stream()).into();
        let good = Bytes::from_static(b"\x08\x00\x1a\x08{\"id\":1}");
        let ingest = |record: Bytes| Odd {
            ingest_record: Some(record),
            ..Odd::default()
        };
        let stream = futures_util::stream::iter([
            Odd {
                create_stream: Some(create),
                ..Odd::default()
            },
            ingest(good),
            ingest(bytes.into()),
        ]);
        let answers = call(&rig.server, "EphemeralStream", &metadata, stream).await;
        let mut answers = answers.unwrap();
        let status = loop {
            match answers.message().await {
                Ok(answer) => assert!(answer.is_some(), "{sent}: the stream ended with OK"),
                Err(status) => break status,
            }
        };
        assert_eq!(rig.version().await, 1, "{sent}: {status}");
        assert_eq!(rig.rows().await.len(), 1, "{sent}: {status}");
        rig.server.shutdown().await.unwrap();
        refusals.push(Refusal::new(sent, &status));
    }
    refusals
}
