//! Drives the embedded server over a real socket and reads its tables back with an
//! independent reader of their Parquet files.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use deltalake_core::arrow::array::{ArrayRef, RecordBatch, StringArray};
use deltalake_core::arrow::compute::concat_batches;
use deltalake_core::arrow::util::display::array_value_to_string;
use deltalake_core::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use deltalake_core::writer::{DeltaWriter as _, RecordBatchWriter};
use deltalake_core::{DeltaTable, ensure_table_uri};
use prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor};
use tempfile::TempDir;
use tokio::sync::mpsc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::Channel;
use tonic::{Code, Request, Status, Streaming};
use zerobus::emulator::{Emulator, Options};
use zerobus::schema::{Column, ColumnType, TableName};
use zerobus::wire::ephemeral_stream_request::Payload;
use zerobus::wire::ephemeral_stream_response::Payload as Answer;
use zerobus::wire::ingest_record_batch_request::Batch;
use zerobus::wire::{
    CreateIngestStreamRequest, EphemeralStreamRequest, EphemeralStreamResponse,
    IngestRecordBatchRequest, JsonRecordBatch, ProtoEncodedRecordBatch, RecordType,
};

pub const TABLE: &str = "main.default.events";
const NARROW: &str = r#"syntax = "proto2";
    message Row { optional string name = 1; optional int32 temp = 2; optional int64 at = 3; }"#;

// ---- a server, and a client that does what it is told ----

struct Rig {
    dir: TempDir,
    server: Emulator,
}

impl Rig {
    async fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let server = Emulator::start(options(dir.path())).await.unwrap();
        Self { dir, server }
    }

    async fn with_table(columns: &[Column]) -> Self {
        let rig = Self::new().await;
        assert!(rig.server.create_table(&name(), columns).await.unwrap());
        rig
    }

    async fn token(&self, secret: &str, table: &str) -> (u16, serde_json::Value) {
        token(&self.server, secret, table).await
    }

    async fn open(&self, create: CreateIngestStreamRequest) -> Client {
        let (_, token) = self.token("secret", TABLE).await;
        let token = token["access_token"].as_str().unwrap();
        let mut client = Client::connect(&self.server, token, TABLE).await.unwrap();
        client.send(Payload::CreateStream(create)).await;
        client
    }

    async fn proto(&self, message: &MessageDescriptor) -> Client {
        let mut client = self.open(proto_stream(message)).await;
        client.created().await;
        client
    }

    async fn json(&self) -> Client {
        let mut client = self.open(json_stream()).await;
        client.created().await;
        client
    }

    async fn rows(&self) -> Vec<Vec<String>> {
        rows(self.dir.path()).await
    }

    async fn version(&self) -> u64 {
        table(self.dir.path()).await.version().unwrap()
    }
}

pub fn options(dir: &Path) -> Options {
    let client = ("id".into(), "secret".into());
    Options::new(dir, ([127, 0, 0, 1], 0).into(), client)
}

fn name() -> TableName {
    TABLE.parse().unwrap()
}

/// What a token to write to a table is asked for with: catalog, schema, table.
pub fn details(table: &str) -> [serde_json::Value; 3] {
    let table: TableName = table.parse().unwrap();
    let detail = |object_type: &str, path: String, privileges: &[&str]| {
        serde_json::json!({
            "type": "unity_catalog_privileges", "privileges": privileges,
            "object_type": object_type, "object_full_path": path,
        })
    };
    let schema = format!("{}.{}", table.catalog(), table.schema());
    let mut on_table = detail("TABLE", table.to_string(), &["SELECT", "MODIFY"]);
    on_table["operations"] = serde_json::json!(["zerobuswrite"]);
    [
        detail("CATALOG", table.catalog().to_owned(), &["USE CATALOG"]),
        detail("SCHEMA", schema, &["USE SCHEMA"]),
        on_table,
    ]
}

pub async fn token(server: &Emulator, secret: &str, table: &str) -> (u16, serde_json::Value) {
    let details = serde_json::json!(details(table));
    let form = [
        ("grant_type", "client_credentials"),
        ("scope", "all-apis"),
        (
            "resource",
            "api://databricks/workspaces/local/zerobusDirectWriteApi",
        ),
        ("authorization_details", &details.to_string()),
    ];
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let response = http
        .post(format!("http://{}/oidc/v1/token", server.address()))
        .basic_auth("id", Some(secret))
        .form(&form)
        .send()
        .await
        .unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

pub struct Client {
    pub requests: Option<mpsc::Sender<EphemeralStreamRequest>>,
    answers: Streaming<EphemeralStreamResponse>,
}

impl Client {
    pub async fn connect(server: &Emulator, token: &str, table: &str) -> Result<Self, Status> {
        let channel = Channel::from_shared(format!("http://{}", server.address()));
        let channel = channel.unwrap().connect().await.unwrap();
        let mut grpc = tonic::client::Grpc::new(channel);
        grpc.ready().await.unwrap();
        let (requests, mut queued) = mpsc::channel(64);
        let stream = futures_util::stream::poll_fn(move |context| queued.poll_recv(context));
        let mut request = Request::new(stream);
        let metadata = request.metadata_mut();
        metadata.insert("authorization", format!("Bearer {token}").parse().unwrap());
        metadata.insert("x-databricks-zerobus-table-name", table.parse().unwrap());
        let path = PathAndQuery::from_static("/databricks.zerobus.Zerobus/EphemeralStream");
        let codec = tonic_prost::ProstCodec::default();
        let answers = grpc.streaming(request, path, codec).await?.into_inner();
        Ok(Self {
            requests: Some(requests),
            answers,
        })
    }

    pub async fn send(&mut self, payload: Payload) {
        let request = EphemeralStreamRequest {
            payload: Some(payload),
        };
        // A server that has refused the stream takes nothing more.
        let _ = self.requests.as_ref().unwrap().send(request).await;
    }

    pub async fn batch(&mut self, offset: i64, batch: Batch) {
        self.send(Payload::IngestRecordBatch(IngestRecordBatchRequest {
            offset_id: Some(offset),
            batch: Some(batch),
        }))
        .await;
    }

    pub async fn created(&mut self) {
        match self.answers.message().await.unwrap().unwrap().payload {
            Some(Answer::CreateStreamResponse(created)) => assert!(created.stream_id.is_some()),
            other => panic!("{other:?}"),
        }
    }

    /// The next ack; none: the server ended the stream with OK.
    pub async fn next_ack(&mut self) -> Result<Option<i64>, Status> {
        match self.answers.message().await? {
            None => Ok(None),
            Some(answer) => match answer.payload {
                Some(Answer::IngestRecordResponse(ack)) => Ok(ack.durability_ack_up_to_offset),
                other => panic!("{other:?}"),
            },
        }
    }

    async fn ack_of(&mut self, offset: i64) {
        loop {
            let ack = self.next_ack().await.unwrap().unwrap();
            assert!(ack <= offset, "ack {ack} for an offset never sent");
            if ack == offset {
                return;
            }
        }
    }

    /// The status that the stream ends with.
    async fn refusal(&mut self) -> Status {
        loop {
            match self.next_ack().await {
                Ok(Some(_)) => {}
                Ok(None) => panic!("the stream ended with OK"),
                Err(status) => return status,
            }
        }
    }

    async fn finish(mut self) -> i64 {
        self.requests = None;
        let mut last = -1;
        while let Some(ack) = self.next_ack().await.unwrap() {
            last = ack;
        }
        last
    }
}

// ---- descriptors, records, tables ----

fn message(proto: &str) -> MessageDescriptor {
    let dir = TempDir::new().unwrap();
    std::fs::write(dir.path().join("row.proto"), proto).unwrap();
    let files = protox::compile(["row.proto"], [dir.path()]).unwrap();
    let pool = DescriptorPool::from_file_descriptor_set(files).unwrap();
    pool.get_message_by_name("Row").unwrap()
}

fn proto_stream(message: &MessageDescriptor) -> CreateIngestStreamRequest {
    CreateIngestStreamRequest {
        table_name: Some(TABLE.into()),
        descriptor_proto: Some(message.descriptor_proto().encode_to_vec().into()),
        record_type: Some(RecordType::Proto.into()),
        avro_schema_json: None,
    }
}

pub fn json_stream() -> CreateIngestStreamRequest {
    CreateIngestStreamRequest {
        table_name: Some(TABLE.into()),
        record_type: Some(RecordType::Json.into()),
        ..Default::default()
    }
}

fn encode(message: &MessageDescriptor, rows: &[&str]) -> Batch {
    let encode = |row: &&str| {
        let mut json = serde_json::Deserializer::from_str(row);
        let record = DynamicMessage::deserialize(message.clone(), &mut json).unwrap();
        Bytes::from(record.encode_to_vec())
    };
    Batch::ProtoEncodedBatch(ProtoEncodedRecordBatch {
        records: rows.iter().map(encode).collect(),
    })
}

pub fn json(rows: &[&str]) -> Batch {
    let records = rows.iter().map(|row| row.to_string()).collect();
    Batch::JsonBatch(JsonRecordBatch { records })
}

fn column(name: &str, ty: ColumnType) -> Column {
    Column::new(name, ty, true)
}

fn not_null(name: &str, ty: ColumnType) -> Column {
    Column::new(name, ty, false)
}

pub fn narrow() -> Vec<Column> {
    vec![
        not_null("name", ColumnType::String),
        column("temp", ColumnType::SmallInt),
        column("at", ColumnType::Timestamp),
    ]
}

async fn table(dir: &Path) -> DeltaTable {
    let path = dir.join("main/default/events");
    let url = ensure_table_uri(path.to_str().unwrap()).unwrap();
    deltalake_core::open_table(url).await.unwrap()
}

pub async fn rows(dir: &Path) -> Vec<Vec<String>> {
    let table = table(dir).await;
    let mut batches = Vec::new();
    for uri in table.get_file_uris().unwrap() {
        let file = File::open(uri.trim_start_matches("file://")).unwrap();
        let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
        batches.extend(reader.build().unwrap().map(Result::unwrap));
    }
    let Some(first) = batches.first() else {
        return Vec::new();
    };
    let all: RecordBatch = concat_batches(&first.schema(), &batches).unwrap();
    let row = |i| {
        let text = |column: &ArrayRef| array_value_to_string(column, i).unwrap();
        all.columns().iter().map(text).collect()
    };
    let mut rows: Vec<Vec<String>> = (0..all.num_rows()).map(row).collect();
    rows.sort();
    rows
}

// ---- what is promised ----

#[tokio::test]
async fn an_ack_means_that_the_rows_are_in_the_table() {
    let rig = Rig::with_table(&narrow()).await;
    let row = message(NARROW);
    let mut client = rig.proto(&row).await;
    assert_eq!(rig.version().await, 0);
    let first = [r#"{"name":"a","temp":-5,"at":"1700000000000001"}"#];
    client.batch(0, encode(&row, &first)).await;
    client.ack_of(0).await;
    assert_eq!(rig.version().await, 1);
    assert_eq!(
        rig.rows().await,
        [["a", "-5", "2023-11-14T22:13:20.000001Z"]]
    );
    // An empty batch takes an offset too, and makes no version.
    client.batch(1, encode(&row, &[])).await;
    client.ack_of(1).await;
    assert_eq!(rig.version().await, 1);
    client.batch(2, encode(&row, &[r#"{"name":"b"}"#; 3])).await;
    assert_eq!(client.finish().await, 2);
    assert_eq!(rig.rows().await.len(), 4);
    rig.server.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_streams_and_small_requests_lose_nothing() {
    let rig = Rig::with_table(&narrow()).await;
    let row = message(NARROW);
    let mut clients = Vec::new();
    for _ in 0..3 {
        clients.push(rig.proto(&row).await);
    }
    for offset in 0..200 {
        for client in &mut clients {
            let batch = encode(&row, &[r#"{"name":"a","temp":1}"#]);
            client.batch(offset, batch).await;
        }
    }
    for client in clients {
        assert_eq!(client.finish().await, 199);
    }
    assert_eq!(rig.rows().await.len(), 600);
    rig.server.shutdown().await.unwrap();
}

#[tokio::test]
async fn every_protobuf_type_lands_as_its_column_type() {
    let decimal = |precision, scale| ColumnType::Decimal { precision, scale };
    let inner = ColumnType::Struct(vec![
        column("x", ColumnType::Double),
        column(
            "tags",
            ColumnType::Map(Box::new(ColumnType::String), Box::new(ColumnType::Int)),
        ),
    ]);
    let columns = [
        column("flag", ColumnType::Boolean),
        column("tiny", ColumnType::TinyInt),
        column("u32", ColumnType::BigInt),
        column("u64", decimal(20, 0)),
        column("f", ColumnType::Float),
        column("price", decimal(10, 2)),
        column("code", ColumnType::Varchar(3)),
        column("raw", ColumnType::Binary),
        column("day", ColumnType::Date),
        column("at", ColumnType::Timestamp),
        column("wall", ColumnType::TimestampNtz),
        column("doc", ColumnType::Variant),
        column("kind", ColumnType::String),
        column("kind_number", ColumnType::SmallInt),
        column("ids", ColumnType::Array(Box::new(ColumnType::BigInt))),
        column("inner", inner.clone()),
        column("inners", ColumnType::Array(Box::new(inner.clone()))),
        column(
            "by_id",
            ColumnType::Map(Box::new(ColumnType::BigInt), Box::new(inner)),
        ),
        column("unused", ColumnType::String),
    ];
    let rig = Rig::with_table(&columns).await;
    let row = message(
        r#"syntax = "proto3";
        message Row {
            enum Kind { NONE = 0; SOME = 1; }
            message Inner { optional double x = 1; map<string, int32> tags = 2; }
            bool flag = 1; optional sint32 tiny = 2; fixed32 u32 = 3; uint64 u64 = 4; float f = 5;
            string price = 6; string code = 7; bytes raw = 8; int32 day = 9; int64 at = 10;
            int64 wall = 11; string doc = 12; Kind kind = 13; optional Kind kind_number = 14;
            repeated int64 ids = 15; Inner inner = 16; repeated Inner inners = 17;
            map<int64, Inner> by_id = 18;
        }"#,
    );
    let mut client = rig.proto(&row).await;
    let full = r#"{"flag":true,"tiny":-128,"u32":4294967295,"u64":"18446744073709551615","f":1.5,
        "price":"-12.50","code":"äöü","raw":"AP8=","day":-1,"at":"-1","wall":"1000000","doc":"{\"a\":[1]}",
        "kind":"SOME","kind_number":"NONE","ids":["1","-2"],"inner":{"x":0.5,"tags":{"b":2,"a":1}},
        "inners":[{"x":1},{}],"by_id":{"7":{"x":2}}}"#;
    client.batch(0, encode(&row, &[full, "{}"])).await;
    assert_eq!(client.finish().await, 0);
    let mut empty = [""; 19];
    // A list or a map that is not there is empty: the wire knows no difference.
    (empty[14], empty[16], empty[17]) = ("[]", "[]", "{}");
    let full = [
        "true",
        "-128",
        "4294967295",
        "18446744073709551615",
        "1.5",
        "-12.50",
        "äöü",
        "00ff",
        "1969-12-31",
        "1969-12-31T23:59:59.999999Z",
        "1970-01-01T00:00:01",
        r#"{"a":[1]}"#,
        "SOME",
        "0",
        "[1, -2]",
        "{x: 0.5, tags: {a: 1, b: 2}}",
        "[{x: 1.0, tags: {}}, {x: , tags: {}}]",
        "{7: {x: 2.0, tags: {}}}",
        "",
    ];
    assert_eq!(rig.rows().await, [empty, full]);
    rig.server.shutdown().await.unwrap();
}

#[tokio::test]
async fn json_records_follow_the_columns() {
    let columns = [
        not_null("id", ColumnType::BigInt),
        column("small", ColumnType::TinyInt),
        column("ok", ColumnType::Boolean),
        column("d", ColumnType::Double),
        column(
            "price",
            ColumnType::Decimal {
                precision: 38,
                scale: 2,
            },
        ),
        column("raw", ColumnType::Binary),
        column("day", ColumnType::Date),
        column("at", ColumnType::Timestamp),
        column("wall", ColumnType::TimestampNtz),
        column("doc", ColumnType::Variant),
        column(
            "grid",
            ColumnType::Array(Box::new(ColumnType::Array(Box::new(ColumnType::Int)))),
        ),
        column(
            "m",
            ColumnType::Map(Box::new(ColumnType::Int), Box::new(ColumnType::Boolean)),
        ),
    ];
    let rig = Rig::with_table(&columns).await;
    let mut client = rig.json().await;
    let rows = [
        r#"{"id":9223372036854775807,"small":"-1","ok":"true","d":1e3,"price":"123456789012345678901234567890123456.78",
            "raw":"AP8=","day":"2024-02-29","at":"2024-02-29T12:00:00.000001+01:00","wall":"2024-02-29T12:00:00",
            "doc":{"a":null},"grid":[[1],[]],"m":{"1":true}}"#,
        r#"{"id":"1.0","price":0.1,"day":1,"at":1,"wall":"1000000","doc":"text","grid":"[[2]]","d":"NaN","ok":null}"#,
    ];
    client.batch(0, json(&rows)).await;
    assert_eq!(client.finish().await, 0);
    let expected = [
        [
            "1",
            "",
            "",
            "NaN",
            "0.10",
            "",
            "1970-01-02",
            "1970-01-01T00:00:00.000001Z",
            "1970-01-01T00:00:01",
            "\"text\"",
            "[[2]]",
            "",
        ],
        [
            "9223372036854775807",
            "-1",
            "true",
            "1000.0",
            "123456789012345678901234567890123456.78",
            "00ff",
            "2024-02-29",
            "2024-02-29T11:00:00.000001Z",
            "2024-02-29T12:00:00",
            r#"{"a":null}"#,
            "[[1], []]",
            "{1: true}",
        ],
    ];
    assert_eq!(rig.rows().await, expected);
    for (row, reason) in [
        ("{}", "field \"id\": missing, but the column is NOT NULL"),
        (
            r#"{"id":1,"more":2}"#,
            "field \"more\": no such column in the table",
        ),
        (
            r#"{"id":1,"small":128}"#,
            "field \"small\": 128 does not fit TINYINT",
        ),
        (r#"{"id":1.5}"#, "field \"id\": 1.5 does not fit BIGINT"),
        (r#"{"id":9223372036854775808}"#, "does not fit BIGINT"),
        (r#"{"id":1,"price":"0.001"}"#, "more than 2 digits"),
        (r#"{"id":1,"at":"2024-02-29T12:00:00"}"#, "with an offset"),
        (
            r#"{"id":1,"wall":"2024-02-29T12:00:00Z"}"#,
            "without an offset",
        ),
        (r#"{"id":1,"grid":[null]}"#, "field \"grid.0\": elements"),
        (r#"[]"#, "must be a JSON object"),
        (r#"{"id":1"#, "no valid JSON"),
    ] {
        let mut client = rig.json().await;
        client.batch(0, json(&[r#"{"id":5}"#, row])).await;
        let status = client.refusal().await;
        assert_eq!(status.code(), Code::InvalidArgument);
        assert!(status.message().contains("record 1: "), "{row}: {status}");
        assert!(status.message().contains(reason), "{row}: {status}");
    }
    assert_eq!(rig.rows().await, expected);
    rig.server.shutdown().await.unwrap();
}

#[tokio::test]
async fn json_dates_and_times_span_all_years() {
    let columns = [
        column("day", ColumnType::Date),
        column("at", ColumnType::Timestamp),
        column("wall", ColumnType::TimestampNtz),
    ];
    let rig = Rig::with_table(&columns).await;
    let mut client = rig.json().await;
    let rows = [
        r#"{"day":"0001-01-01","at":"0001-01-01T00:00:00Z","wall":"0001-01-01T00:00:00"}"#,
        r#"{"day":"9999-12-31","at":"9999-12-31T23:59:59.999999Z","wall":"9999-12-31T23:59:59.999999"}"#,
    ];
    client.batch(0, json(&rows)).await;
    assert_eq!(client.finish().await, 0);
    let expected = [
        ["0001-01-01", "0001-01-01T00:00:00Z", "0001-01-01T00:00:00"],
        [
            "9999-12-31",
            "9999-12-31T23:59:59.999999Z",
            "9999-12-31T23:59:59.999999",
        ],
    ];
    assert_eq!(rig.rows().await, expected);
    for (row, reason) in [
        (r#"{"day":"10000-01-01"}"#, "is no DATE"),
        (r#"{"at":"9999-12-31T23:59:59-00:01"}"#, "outside the years"),
        (
            r#"{"wall":"2024-02-29T12:00:00+01:00"}"#,
            "without an offset",
        ),
    ] {
        let mut client = rig.json().await;
        client.batch(0, json(&[row])).await;
        let status = client.refusal().await;
        assert!(status.message().contains(reason), "{row}: {status}");
    }
    rig.server.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_bad_record_refuses_its_batch_and_nothing_before_it() {
    let rig = Rig::with_table(&narrow()).await;
    let row = message(NARROW);
    let mut client = rig.proto(&row).await;
    client.batch(0, encode(&row, &[r#"{"name":"good"}"#])).await;
    let bad = [r#"{"name":"bad"}"#, r#"{"name":"bad","temp":40000}"#];
    client.batch(1, encode(&row, &bad)).await;
    client.batch(2, encode(&row, &[r#"{"name":"late"}"#])).await;
    client.ack_of(0).await;
    let status = client.refusal().await;
    assert_eq!(status.code(), Code::InvalidArgument);
    assert_eq!(
        status.message(),
        "table main.default.events, offset 1, record 1: field \"temp\": 40000 does not fit SMALLINT"
    );
    assert_eq!(rig.rows().await, [["good", "", ""]]);

    let garbage = [&b"\xff"[..], b"\x0a\x01\xff", b"\x0a\x01a\x20\x01", b""];
    for (record, reason) in garbage.iter().zip([
        "no valid protobuf message \"Row\"",
        "no valid protobuf message \"Row\"",
        "field number 4 is not in message \"Row\"",
        "field \"name\": missing, but the column is NOT NULL",
    ]) {
        let mut client = rig.proto(&row).await;
        let records = vec![Bytes::copy_from_slice(record)];
        client
            .batch(
                0,
                Batch::ProtoEncodedBatch(ProtoEncodedRecordBatch { records }),
            )
            .await;
        let status = client.refusal().await;
        assert!(status.message().contains(reason), "{status}");
    }
    assert_eq!(rig.rows().await.len(), 1);
    rig.server.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_server_that_discards_refuses_what_one_that_stores_refuses() {
    let row = message(NARROW);
    let raw = |record: &'static [u8]| {
        let records = vec![Bytes::from_static(b"\x0a\x01a"), Bytes::from_static(record)];
        Batch::ProtoEncodedBatch(ProtoEncodedRecordBatch { records })
    };
    let mut refusals = Vec::new();
    for discard in [false, true] {
        let dir = TempDir::new().unwrap();
        let mut options = options(dir.path());
        options.discard = discard;
        let server = Emulator::start(options).await.unwrap();
        server.create_table(&name(), &narrow()).await.unwrap();
        let rig = Rig { dir, server };
        let mut client = rig.proto(&row).await;
        for offset in 0..3 {
            let rows = [r#"{"name":"a","temp":-5}"#; 1_000];
            client.batch(offset, encode(&row, &rows)).await;
        }
        client.ack_of(2).await;
        client.batch(3, encode(&row, &[r#"{"name":"a"}"#])).await;
        assert_eq!(client.finish().await, 3);
        let mut client = rig.json().await;
        client.batch(0, json(&[r#"{"name":"a"}"#])).await;
        assert_eq!(client.finish().await, 0);

        let mut told = Vec::new();
        for bad in [
            raw(b"\x0a\x01\xff"),
            raw(b"\x0a\x01a\x20\x01"),
            raw(b"\x10\x01"),
            raw(b"\x0a\x01a\x12\x01\x01"),
            raw(b"\x0a\x01a\x18\xff\xff\xff\xff\xff\xff\xff\xff\x7f"),
            encode(&row, &[r#"{"name":"a","temp":40000}"#]),
        ] {
            let mut client = rig.proto(&row).await;
            client
                .batch(0, encode(&row, &[r#"{"name":"before"}"#]))
                .await;
            client.batch(1, bad).await;
            client.ack_of(0).await;
            told.push(client.refusal().await.message().to_owned());
        }
        for bad in [
            r#"{"name":"a","temp":1.5}"#,
            r#"{"name":"a","name":"b"}"#,
            "{",
        ] {
            let mut client = rig.json().await;
            client.batch(0, json(&[r#"{"name":"a"}"#, bad])).await;
            told.push(client.refusal().await.message().to_owned());
        }
        refusals.push(told);
        rig.server.shutdown().await.unwrap();

        let files = std::fs::read_dir(rig.dir.path().join("main/default/events")).unwrap();
        let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
        let stored = names.filter(|name| name.ends_with(".parquet")).count();
        assert_eq!(stored == 0, discard, "{stored} files");
    }
    assert_eq!(refusals[0], refusals[1]);
}

#[tokio::test]
async fn offsets_must_be_consecutive() {
    let rig = Rig::with_table(&narrow()).await;
    let row = message(NARROW);
    let mut client = rig.proto(&row).await;
    client.batch(0, encode(&row, &[r#"{"name":"a"}"#])).await;
    client.batch(2, encode(&row, &[r#"{"name":"b"}"#])).await;
    client.ack_of(0).await;
    let status = client.refusal().await;
    assert_eq!(status.code(), Code::InvalidArgument);
    assert!(status.message().contains("Error Code: 4002"), "{status}");
    assert_eq!(rig.rows().await.len(), 1);
    rig.server.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_request_of_ten_mebibytes_passes_and_no_more() {
    let rig = Rig::with_table(&[column("name", ColumnType::String)]).await;
    let mut client = rig.json().await;
    let row = |bytes: usize| format!(r#"{{"name":"{}"}}"#, "x".repeat(bytes - 11));
    client.batch(0, json(&[&row(10 << 20)])).await;
    client.ack_of(0).await;
    client.batch(1, json(&[&row((10 << 20) + 1)])).await;
    let status = client.refusal().await;
    assert_eq!(status.code(), Code::InvalidArgument);
    assert!(status.message().contains("10485760"), "{status}");
    rig.server.shutdown().await.unwrap();
}

#[tokio::test]
async fn credentials_are_checked() {
    let rig = Rig::with_table(&narrow()).await;
    let (status, body) = rig.token("wrong", TABLE).await;
    assert_eq!(
        (status, &body["error"]),
        (401, &serde_json::json!("invalid_client"))
    );
    let refused = async |token: &str, table: &str| {
        let client = Client::connect(&rig.server, token, table).await;
        client.err().unwrap().code()
    };
    assert_eq!(refused("made-up", TABLE).await, Code::Unauthenticated);
    let (status, other) = rig.token("secret", "main.default.other").await;
    assert_eq!(
        (status, &other["expires_in"]),
        (200, &serde_json::json!(3600))
    );
    let other = other["access_token"].as_str().unwrap();
    assert_eq!(refused(other, TABLE).await, Code::PermissionDenied);
    // Metadata and create_stream must agree.
    let mut client = Client::connect(&rig.server, other, "main.default.other").await;
    let client = client.as_mut().unwrap();
    client.send(Payload::CreateStream(json_stream())).await;
    assert_eq!(client.refusal().await.code(), Code::InvalidArgument);
    rig.server.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_descriptor_must_stand_alone_and_fit_the_table() {
    let rig = Rig::with_table(&narrow()).await;
    let refused = async |proto: &str| {
        let mut client = rig.open(proto_stream(&message(proto))).await;
        let status = client.refusal().await;
        assert_eq!(status.code(), Code::InvalidArgument);
        status.message().to_owned()
    };
    let alone = refused(
        r#"syntax = "proto3"; import "google/protobuf/wrappers.proto";
        message Row { google.protobuf.StringValue id = 1; }"#,
    );
    assert!(alone.await.contains(
        "Proto not self-contained for field \"id\" with type name \".google.protobuf.StringValue\". Error Code: 4033"
    ));
    let message = refused(
        r#"syntax = "proto2"; message Row { optional string temp = 1; optional int32 at = 2;
        repeated int64 more = 3; }"#,
    )
    .await;
    for problem in [
        "field \"more\" has no column",
        "column \"name\" is NOT NULL but the descriptor has no such field",
        "field \"temp\" of type string does not fit column type SMALLINT",
        "field \"at\" of type int32 does not fit column type TIMESTAMP",
    ] {
        assert!(message.contains(problem), "{problem}: {message}");
    }
    rig.server.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_missing_table_is_not_found_or_made_on_request() {
    let rig = Rig::new().await;
    let proto = r#"syntax = "proto2"; message Row { message In { optional int32 v = 1; }
        required int64 z = 2; optional In in = 1; map<string, uint64> m = 3; }"#;
    let row = message(proto);
    let mut client = rig.open(proto_stream(&row)).await;
    assert_eq!(client.refusal().await.code(), Code::NotFound);
    assert!(!rig.server.table_exists(&name()).await.unwrap());
    rig.server.shutdown().await.unwrap();

    let mut options = options(rig.dir.path());
    options.auto_create = true;
    let server = Emulator::start(options).await.unwrap();
    let rig = Rig { server, ..rig };
    let mut client = rig.proto(&row).await;
    let rows = [r#"{"z":"1","in":{"v":2},"m":{"a":"3"}}"#];
    client.batch(0, encode(&row, &rows)).await;
    assert_eq!(client.finish().await, 0);
    assert_eq!(rig.rows().await, [["1", "{v: 2}", "{a: 3}"]]);
    let recursive = message(r#"syntax = "proto3"; message Row { Row row = 1; }"#);
    // Each message holds the next one twice: 2^40 columns.
    let twice: String = (0..40)
        .map(|i| {
            let n = i + 1;
            format!("message M{i} {{ optional M{n} a = 1; optional M{n} b = 2; }}")
        })
        .collect();
    let endless = message(&format!(
        "syntax = \"proto2\"; message Row {{ optional M0 m = 1; {twice} \
         message M40 {{ optional int32 v = 1; }} }}"
    ));
    for refused in [recursive, endless] {
        let mut client = rig.open(proto_stream(&refused)).await;
        assert_eq!(client.refusal().await.code(), Code::InvalidArgument);
    }
    rig.server.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_table_outlives_its_server() {
    let columns = [
        not_null("code", ColumnType::Varchar(2)),
        column("doc", ColumnType::Variant),
        column("wall", ColumnType::TimestampNtz),
    ];
    let rig = Rig::with_table(&columns).await;
    let second = Emulator::start(options(rig.dir.path())).await;
    assert!(second.err().unwrap().is_locked());
    rig.server.shutdown().await.unwrap();

    let server = Emulator::start(options(rig.dir.path())).await.unwrap();
    let rig = Rig { server, ..rig };
    assert!(rig.server.table_exists(&name()).await.unwrap());
    assert!(!rig.server.create_table(&name(), &columns).await.unwrap());
    let mut client = rig.json().await;
    let rows = [r#"{"code":"ab","doc":[1],"wall":0}"#];
    client.batch(0, json(&rows)).await;
    client.ack_of(0).await;
    client.batch(1, json(&[r#"{"code":"abc"}"#])).await;
    let status = client.refusal().await;
    assert!(
        status.message().contains("do not fit VARCHAR(2)"),
        "{status}"
    );
    assert_eq!(rig.rows().await, [["ab", "[1]", "1970-01-01T00:00:00"]]);
    rig.server.shutdown().await.unwrap();
}

#[tokio::test]
async fn shutdown_commits_and_acknowledges_what_was_received() {
    let dir = TempDir::new().unwrap();
    let mut options = options(dir.path());
    options.commit_interval = Duration::from_secs(3600);
    let server = Emulator::start(options).await.unwrap();
    let rig = Rig { dir, server };
    rig.server.create_table(&name(), &narrow()).await.unwrap();
    let mut client = rig.json().await;
    client.batch(0, json(&[r#"{"name":"a"}"#])).await;
    client.ack_of(0).await;
    // The next commit is an hour away.
    client.batch(1, json(&[r#"{"name":"b"}"#])).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    let Rig { dir, server } = rig;
    let ended = tokio::spawn(server.shutdown());
    client.ack_of(1).await;
    assert_eq!(client.refusal().await.code(), Code::Unavailable);
    drop(client);
    ended.await.unwrap().unwrap();
    assert_eq!(rows(dir.path()).await.len(), 2);
}

#[tokio::test]
async fn a_close_signal_is_followed_by_every_acknowledgement_and_ok() {
    let dir = TempDir::new().unwrap();
    let mut options = options(dir.path());
    options.faults = vec!["close:after=2,grace=1s".parse().unwrap()];
    let server = Emulator::start(options).await.unwrap();
    let rig = Rig { dir, server };
    rig.server.create_table(&name(), &narrow()).await.unwrap();
    // A client that pays no heed and goes on.
    let mut client = rig.json().await;
    client.batch(0, json(&[r#"{"name":"a"}"#])).await;
    client.ack_of(0).await;
    client.batch(1, json(&[r#"{"name":"b"}"#])).await;
    let signal = client.answers.message().await.unwrap().unwrap().payload;
    let Some(Answer::CloseStreamSignal(signal)) = signal else {
        panic!("{signal:?}");
    };
    assert_eq!(signal.duration.unwrap().seconds, 1);
    assert_eq!(client.next_ack().await.unwrap(), Some(1));
    client.batch(2, json(&[r#"{"name":"c"}"#])).await;
    assert_eq!(client.next_ack().await.unwrap(), Some(2));
    assert_eq!(client.next_ack().await.unwrap(), None, "the end, with OK");
    client.batch(3, json(&[r#"{"name":"late"}"#])).await;
    assert_eq!(rig.rows().await.len(), 3);
    rig.server.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_failed_commit_is_never_acknowledged_and_the_next_one_works() {
    let rig = Rig::with_table(&narrow()).await;
    let mut client = rig.json().await;
    client.batch(0, json(&[r#"{"name":"a"}"#])).await;
    client.ack_of(0).await;
    let log = rig.dir.path().join("main/default/events/_delta_log");
    let aside = rig.dir.path().join("aside");
    std::fs::rename(&log, &aside).unwrap();
    std::fs::write(&log, "no directory").unwrap();
    client.batch(1, json(&[r#"{"name":"lost"}"#])).await;
    let status = client.refusal().await;
    assert_eq!(status.code(), Code::Internal);
    assert!(status.message().contains("rows not stored"), "{status}");
    std::fs::remove_file(&log).unwrap();
    std::fs::rename(&aside, &log).unwrap();
    let mut client = rig.json().await;
    client.batch(0, json(&[r#"{"name":"b"}"#])).await;
    client.ack_of(0).await;
    assert_eq!(rig.rows().await, [["a", "", ""], ["b", "", ""]]);
    rig.server.shutdown().await.unwrap();
}

#[tokio::test]
async fn another_writer_and_a_long_log_do_no_harm() {
    let rig = Rig::with_table(&[column("name", ColumnType::String)]).await;
    let mut client = rig.json().await;
    client.batch(0, json(&[r#"{"name":"ours"}"#])).await;
    client.ack_of(0).await;
    let mut other = table(rig.dir.path()).await;
    let mut writer = RecordBatchWriter::for_table(&other).unwrap();
    let names = StringArray::from(vec!["theirs"]);
    let batch = RecordBatch::try_new(writer.arrow_schema(), vec![Arc::new(names)]);
    writer.write(batch.unwrap()).await.unwrap();
    assert_eq!(writer.flush_and_commit(&mut other).await.unwrap(), 2);
    for offset in 1..110 {
        client.batch(offset, json(&[r#"{"name":"ours"}"#])).await;
        client.ack_of(offset).await;
    }
    rig.server.shutdown().await.unwrap();
    let log = rig.dir.path().join("main/default/events/_delta_log");
    assert!(log.join("_last_checkpoint").is_file());
    let rows = rows(rig.dir.path()).await;
    assert_eq!(rows.len(), 111);
    assert_eq!(rows.iter().filter(|row| *row == &["theirs"]).count(), 1);
    // Small files are merged meanwhile, in versions of their own.
    assert!(table(rig.dir.path()).await.version() > Some(111));
}

#[tokio::test]
async fn plain_http_shares_the_port() {
    let rig = Rig::new().await;
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let get = async |path: &str| {
        let url = format!("http://{}{path}", rig.server.address());
        let response = http.get(url).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    };
    let (status, text) = get("/").await;
    assert!(
        status == 200 && text.contains("zerobus emulator"),
        "{status} {text}"
    );
    let (_, config) = get("/.well-known/databricks-config").await;
    let config: serde_json::Value = serde_json::from_str(&config).unwrap();
    let endpoint = format!("http://{}/oidc", rig.server.address());
    assert_eq!(config["workspace_id"], "local");
    assert_eq!(config["oidc_endpoint"], *endpoint);
    let (status, error) = get("/api/2.0/nothing").await;
    let error: serde_json::Value = serde_json::from_str(&error).unwrap();
    assert_eq!(
        (status, &error["error_code"]),
        (404, &serde_json::json!("ENDPOINT_NOT_FOUND"))
    );
    rig.server.shutdown().await.unwrap();
}
