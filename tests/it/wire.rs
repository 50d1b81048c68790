//! A client of the wire that does what it is told, the descriptors and records that it sends,
//! and an independent reader of the tables that the embedded server writes.

use std::fs::File;
use std::path::Path;

use bytes::Bytes;
use deltalake_core::arrow::array::{ArrayRef, RecordBatch};
use deltalake_core::arrow::compute::concat_batches;
use deltalake_core::arrow::util::display::array_value_to_string;
use deltalake_core::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use deltalake_core::{DeltaTable, ensure_table_uri};
use futures_util::Stream;
use prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor};
use tempfile::TempDir;
use tokio::sync::mpsc;
use tonic::metadata::MetadataKey;
use tonic::transport::Channel;
use tonic::{Request, Status, Streaming};
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
pub const AUTHORIZATION: &str = "authorization";
pub const TABLE_KEY: &str = "x-databricks-zerobus-table-name";
pub const NARROW: &str = r#"syntax = "proto2";
    message Row { optional string name = 1; optional int32 temp = 2; optional int64 at = 3; }"#;

// ---- a server, and a client that does what it is told ----

pub struct Rig {
    pub dir: TempDir,
    pub server: Emulator,
}

impl Rig {
    pub async fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let server = Emulator::start(options(dir.path())).await.unwrap();
        Self { dir, server }
    }

    pub async fn with_table(columns: &[Column]) -> Self {
        let rig = Self::new().await;
        assert!(rig.server.create_table(&name(), columns).await.unwrap());
        rig
    }

    pub async fn token(&self, secret: &str, table: &str) -> (u16, serde_json::Value) {
        token(&self.server, secret, table).await
    }

    pub async fn open(&self, create: CreateIngestStreamRequest) -> Client {
        let (_, token) = self.token("secret", TABLE).await;
        let token = token["access_token"].as_str().unwrap();
        let mut client = Client::connect(&self.server, token, TABLE).await.unwrap();
        client.send(Payload::CreateStream(create)).await;
        client
    }

    pub async fn proto(&self, message: &MessageDescriptor) -> Client {
        let mut client = self.open(proto_stream(message)).await;
        client.created().await;
        client
    }

    pub async fn json(&self) -> Client {
        let mut client = self.open(json_stream()).await;
        client.created().await;
        client
    }

    pub async fn rows(&self) -> Vec<Vec<String>> {
        rows(self.dir.path()).await
    }

    pub async fn version(&self) -> u64 {
        table(self.dir.path()).await.version().unwrap()
    }
}

pub fn options(dir: &Path) -> Options {
    let client = ("id".into(), "secret".into());
    Options::new(dir, ([127, 0, 0, 1], 0).into(), client)
}

pub fn name() -> TableName {
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

/// Calls a method of the service with requests of any type.
pub async fn call<T: prost::Message + 'static>(
    server: &Emulator,
    method: &str,
    metadata: &[(&str, &str)],
    requests: impl Stream<Item = T> + Send + 'static,
) -> Result<Streaming<EphemeralStreamResponse>, Status> {
    let channel = Channel::from_shared(format!("http://{}", server.address()));
    let channel = channel.unwrap().connect().await.unwrap();
    let mut grpc = tonic::client::Grpc::new(channel);
    grpc.ready().await.unwrap();
    let mut request = Request::new(requests);
    for (key, value) in metadata {
        let key = MetadataKey::from_bytes(key.as_bytes()).unwrap();
        request.metadata_mut().insert(key, value.parse().unwrap());
    }
    let path = format!("/databricks.zerobus.Zerobus/{method}");
    let codec = tonic_prost::ProstCodec::default();
    let answers = grpc.streaming(request, path.parse().unwrap(), codec);
    Ok(answers.await?.into_inner())
}

pub struct Client {
    pub requests: Option<mpsc::Sender<EphemeralStreamRequest>>,
    pub answers: Streaming<EphemeralStreamResponse>,
}

impl Client {
    pub async fn connect(server: &Emulator, token: &str, table: &str) -> Result<Self, Status> {
        let authorization = format!("Bearer {token}");
        Self::call(
            server,
            &[(AUTHORIZATION, &authorization), (TABLE_KEY, table)],
        )
        .await
    }

    /// A call with this metadata.
    pub async fn call(server: &Emulator, metadata: &[(&str, &str)]) -> Result<Self, Status> {
        let (requests, mut queued) = mpsc::channel(64);
        let stream = futures_util::stream::poll_fn(move |context| queued.poll_recv(context));
        let answers = call(server, "EphemeralStream", metadata, stream).await?;
        Ok(Self {
            requests: Some(requests),
            answers,
        })
    }

    pub async fn send(&mut self, payload: Payload) {
        let payload = Some(payload);
        self.request(EphemeralStreamRequest { payload }).await;
    }

    pub async fn request(&mut self, request: EphemeralStreamRequest) {
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

    pub async fn ack_of(&mut self, offset: i64) {
        loop {
            let ack = self.next_ack().await.unwrap().unwrap();
            assert!(ack <= offset, "ack {ack} for an offset never sent");
            if ack == offset {
                return;
            }
        }
    }

    /// The status that the stream ends with.
    pub async fn refusal(&mut self) -> Status {
        loop {
            match self.next_ack().await {
                Ok(Some(_)) => {}
                Ok(None) => panic!("the stream ended with OK"),
                Err(status) => return status,
            }
        }
    }

    /// Sends nothing more.
    pub fn end(&mut self) {
        self.requests = None;
    }

    pub async fn finish(mut self) -> i64 {
        self.end();
        let mut last = -1;
        while let Some(ack) = self.next_ack().await.unwrap() {
            last = ack;
        }
        last
    }
}

// ---- descriptors, records, tables ----

pub fn message(proto: &str) -> MessageDescriptor {
    let dir = TempDir::new().unwrap();
    std::fs::write(dir.path().join("row.proto"), proto).unwrap();
    let files = protox::compile(["row.proto"], [dir.path()]).unwrap();
    let pool = DescriptorPool::from_file_descriptor_set(files).unwrap();
    pool.get_message_by_name("Row").unwrap()
}

pub fn proto_stream(message: &MessageDescriptor) -> CreateIngestStreamRequest {
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

pub fn encode(message: &MessageDescriptor, rows: &[&str]) -> Batch {
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

pub fn column(name: &str, ty: ColumnType) -> Column {
    Column::new(name, ty, true)
}

pub fn not_null(name: &str, ty: ColumnType) -> Column {
    Column::new(name, ty, false)
}

pub fn narrow() -> Vec<Column> {
    vec![
        not_null("name", ColumnType::String),
        column("temp", ColumnType::SmallInt),
        column("at", ColumnType::Timestamp),
    ]
}

pub async fn table(dir: &Path) -> DeltaTable {
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
