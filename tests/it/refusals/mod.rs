//! Every refusal of the local server: what was sent, the status, the text, and that nothing of
//! it was stored. The whole table is one snapshot; a new refusal gets its row in the file of
//! its area.

mod calls;
mod creates;
mod descriptors;
mod http;
mod json;
mod protobuf;
mod requests;
mod tables;

use std::sync::LazyLock;

use futures_util::StreamExt as _;
use prost_reflect::MessageDescriptor;
use tonic::Status;
use zerobus::schema::{Column, ColumnType};
use zerobus::wire::CreateIngestStreamRequest;
use zerobus::wire::ephemeral_stream_request::Payload;
use zerobus::wire::ingest_record_batch_request::Batch;
use zerobus::wire::{EphemeralStreamRequest, IngestRecordBatchRequest};

use crate::wire::{Client, Rig, column, encode, json_stream, message, not_null, proto_stream};

/// Cases under way at a time: each has a server and a table of its own.
const CASES_AT_A_TIME: usize = 4;
/// A text that is longer is shown by its beginning and its length.
const TEXT_SHOWN_BYTES: usize = 600;

/// A row of the table.
struct Refusal {
    sent: String,
    status: String,
    text: String,
}

impl Refusal {
    fn new(sent: &str, status: &Status) -> Self {
        Self {
            sent: sent.to_owned(),
            status: format!("{:?}", status.code()),
            text: status.message().to_owned(),
        }
    }

    fn line(&self, sent_width: usize, status_width: usize) -> String {
        let Self { sent, status, text } = self;
        let text = match text.char_indices().find(|(at, _)| *at >= TEXT_SHOWN_BYTES) {
            Some((end, _)) => format!("{} [{} bytes]", &text[..end], text.len()),
            None => text.clone(),
        };
        format!("{sent:sent_width$} | {status:status_width$} | {text}\n")
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_refusal_has_its_text_and_stores_nothing() {
    let areas = [
        ("The call", calls::refusals().await),
        ("The token endpoint and the catalog", http::refusals().await),
        ("The table", tables::refusals().await),
        ("create_stream", creates::refusals().await),
        ("The descriptor", descriptors::refusals().await),
        ("Requests", requests::refusals().await),
        ("Protobuf records", protobuf::refusals().await),
        ("JSON records", json::refusals().await),
    ];
    let table: Vec<String> = areas.iter().map(|(area, rows)| show(area, rows)).collect();
    insta::with_settings!({snapshot_path => "../snapshots", omit_expression => true}, {
        insta::assert_snapshot!("table", table.join("\n"));
    });
}

/// Cells are as wide as the widest of their area, within reason.
fn show(area: &str, rows: &[Refusal]) -> String {
    let width = |cell: fn(&Refusal) -> &str, most: usize| {
        let widths = rows.iter().map(|row| cell(row).chars().count());
        widths.filter(|width| *width <= most).max().unwrap_or(0)
    };
    let (sent, status) = (width(|row| &row.sent, 60), width(|row| &row.status, 20));
    let lines = rows.iter().map(|row| row.line(sent, status));
    format!("# {area}\n\n{}", lines.collect::<String>())
}

// ---- streams ----

/// What the records of a stream are.
#[derive(Clone, Copy)]
enum Kind {
    Proto,
    Json,
}

impl Kind {
    fn create(self) -> CreateIngestStreamRequest {
        match self {
            Self::Proto => proto_stream(&WIDE),
            Self::Json => json_stream(),
        }
    }

    /// Rows that both kinds can say.
    fn records(self, rows: &[&str]) -> Batch {
        match self {
            Self::Proto => encode(&WIDE, rows),
            Self::Json => crate::wire::json(rows),
        }
    }
}

/// A request to a stream for rows of [`wide`].
struct Case {
    sent: String,
    kind: Kind,
    request: EphemeralStreamRequest,
}

impl Case {
    fn request(sent: &str, kind: Kind, payload: Payload) -> Self {
        Self {
            sent: sent.to_owned(),
            kind,
            request: EphemeralStreamRequest {
                payload: Some(payload),
            },
        }
    }

    /// A batch at the offset that is expected.
    fn batch(sent: &str, kind: Kind, batch: Batch) -> Self {
        Self::request(sent, kind, at(Some(1), batch))
    }
}

fn at(offset_id: Option<i64>, batch: Batch) -> Payload {
    Payload::IngestRecordBatch(IngestRecordBatchRequest {
        offset_id,
        batch: Some(batch),
    })
}

/// Sends each request between two good ones: what was before it is stored and acknowledged,
/// and nothing else.
async fn requests(cases: Vec<Case>) -> Vec<Refusal> {
    let refused = async |case: Case| {
        let rig = Rig::with_table(&wide()).await;
        let mut client = rig.open(case.kind.create()).await;
        client.created().await;
        let good = case.kind.records(&[r#"{"id":1}"#, r#"{"id":1}"#]);
        client.batch(0, good).await;
        client.request(case.request).await;
        client.batch(2, case.kind.records(&[r#"{"id":3}"#])).await;
        client.ack_of(0).await;
        let status = client.refusal().await;
        assert_eq!(rig.version().await, 1, "{}: {status}", case.sent);
        let rows = rig.rows().await;
        let ids: Vec<&str> = rows.iter().map(|row| row[0].as_str()).collect();
        assert_eq!(ids, ["1", "1"], "{}: {status}", case.sent);
        rig.server.shutdown().await.unwrap();
        Refusal::new(&case.sent, &status)
    };
    let cases = futures_util::stream::iter(cases).map(refused);
    cases.buffered(CASES_AT_A_TIME).collect().await
}

/// Opens each stream over a table of these columns, which stays empty.
async fn creations(
    columns: Vec<Column>,
    cases: Vec<(&str, CreateIngestStreamRequest)>,
) -> Vec<Refusal> {
    let rig = Rig::with_table(&columns).await;
    let mut refusals = Vec::new();
    for (sent, create) in cases {
        let status = rig.open(create).await.refusal().await;
        refusals.push(Refusal::new(sent, &status));
    }
    unchanged(&rig).await;
    rig.server.shutdown().await.unwrap();
    refusals
}

/// The table is as it was made.
async fn unchanged(rig: &Rig) {
    assert_eq!((rig.version().await, rig.rows().await.len()), (0, 0));
}

/// Opens a call that is refused.
async fn refused_call(call: impl Future<Output = Result<Client, Status>>) -> Status {
    match call.await {
        Ok(_) => panic!("the call was taken"),
        Err(status) => status,
    }
}

// ---- the table and its message ----

/// A column of every type.
fn wide() -> Vec<Column> {
    let list = |ty| ColumnType::Array(Box::new(ty));
    let (precision, scale) = (5, 2);
    let inner = ColumnType::Struct(vec![
        column("x", ColumnType::SmallInt),
        not_null("y", ColumnType::Int),
    ]);
    vec![
        not_null("id", ColumnType::BigInt),
        column("flag", ColumnType::Boolean),
        column("tiny", ColumnType::TinyInt),
        column("small", ColumnType::SmallInt),
        column("whole", ColumnType::Int),
        column("f", ColumnType::Float),
        column("d", ColumnType::Double),
        column("price", ColumnType::Decimal { precision, scale }),
        column("text", ColumnType::String),
        column("code", ColumnType::Varchar(3)),
        column("raw", ColumnType::Binary),
        column("day", ColumnType::Date),
        column("at", ColumnType::Timestamp),
        column("wall", ColumnType::TimestampNtz),
        column("doc", ColumnType::Variant),
        column("kind", ColumnType::Varchar(4)),
        column("kind_number", ColumnType::TinyInt),
        column("list", list(ColumnType::TinyInt)),
        column("floats", list(ColumnType::Float)),
        column(
            "map",
            ColumnType::Map(Box::new(ColumnType::Int), Box::new(ColumnType::TinyInt)),
        ),
        column("inner", inner.clone()),
        column("inners", list(inner)),
    ]
}

/// The message of records for [`wide`].
static WIDE: LazyLock<MessageDescriptor> = LazyLock::new(|| {
    message(
        r#"syntax = "proto2"; message Row {
            enum Kind { NONE = 0; SOME = 1; LONGER = 2; LARGE = 300; }
            message Inner { required int32 x = 1; optional int32 y = 2; }
            optional int64 id = 1; optional bool flag = 2; optional int32 tiny = 3;
            optional int32 small = 4; optional sint32 whole = 5; optional float f = 6;
            optional double d = 7; optional string price = 8; optional string text = 9;
            optional string code = 10; optional bytes raw = 11; optional int32 day = 12;
            optional int64 at = 13; optional int64 wall = 14; optional string doc = 15;
            optional Kind kind = 16; optional Kind kind_number = 17;
            repeated int32 list = 18 [packed = true]; repeated float floats = 19;
            map<int32, int32> map = 20; optional Inner inner = 21; repeated Inner inners = 22;
        }"#,
    )
});
