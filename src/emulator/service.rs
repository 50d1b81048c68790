//! The gRPC service: a stream from its first message to its last acknowledgement.

use std::error::Error as _;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use futures_util::{FutureExt as _, Stream, stream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status, Streaming};
use uuid::Uuid;

use crate::schema::TableName;
use crate::wire::ephemeral_stream_request::Payload;
use crate::wire::ephemeral_stream_response::Payload as Answer;
use crate::wire::{
    CreateIngestStreamRequest, CreateIngestStreamResponse, EphemeralStreamRequest,
    EphemeralStreamResponse, PersistentStreamRequest, PersistentStreamResponse, RecordType,
    RetireStreamRequest, RetireStreamResponse,
};

use super::EmulatorError;
use super::auth::{Auth, Refusal};
use super::catalog::Catalog;
use super::check::Check;
use super::decode::{Decoder, Format, Sure};
use super::faults::{Cut, Faults, Reading, faultless};
use super::incoming::Incoming;
use super::requests::{Chunk, Numbering, avro, unreadable};
use super::rpc::zerobus_server::Zerobus;
use super::shown::{quoted, short};
use super::status::{Activity, StreamActivity};
use super::table::{Acks, Table};
use super::{check_json, columns, descriptor, plan};

/// The metadata that names the table.
const TABLE_KEY: &str = "x-databricks-zerobus-table-name";
/// Answers that a client has not taken yet; more make the stream wait.
const ANSWERS_MAX: usize = 16;

type Answers = mpsc::Sender<Result<EphemeralStreamResponse, Status>>;
type BoxStream<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// The service and what its streams share.
#[derive(Clone)]
pub(super) struct Service {
    pub(super) catalog: Arc<Catalog>,
    pub(super) auth: Arc<Auth>,
    pub(super) auto_create: bool,
    pub(super) discard: bool,
    pub(super) faults: Option<Arc<Faults>>,
    pub(super) activity: Arc<Activity>,
    pub(super) stopped: watch::Receiver<bool>,
}

#[tonic::async_trait]
impl Zerobus for Service {
    type EphemeralStreamStream = BoxStream<EphemeralStreamResponse>;
    type PersistentStreamStream = BoxStream<PersistentStreamResponse>;

    async fn ephemeral_stream(
        &self,
        request: Request<Streaming<Incoming>>,
    ) -> Result<Response<Self::EphemeralStreamStream>, Status> {
        if let Some(faults) = &self.faults {
            faults.at_call();
        }
        let client = text(request.metadata(), "user-agent").unwrap_or_default();
        let client = client.to_owned();
        let name = self.authorize(request.metadata()).inspect_err(|status| {
            let table = text(request.metadata(), TABLE_KEY).unwrap_or_default();
            self.refused(table, &client, status);
        });
        let name = name.map_err(short)?;
        let cut = request.extensions().get::<Cut>().cloned();
        let cut = cut.unwrap_or_default();
        let (answers, mut answered) = mpsc::channel(ANSWERS_MAX);
        let service = self.clone();
        // Clients wait for the headers before they send anything: answer at once.
        tokio::spawn(async move {
            let requests = request.into_inner();
            let served = service.serve(&name, &client, cut, requests, &answers);
            if let Err(status) = served.await
                && let Ok(answers) = answers.reserve().await
            {
                // The transport's own words have a source: a client that breaks off was not
                // refused.
                if status.source().is_none() {
                    service.refused(&name.to_string(), &client, &status);
                }
                answers.send(Err(short(status)));
            }
        });
        let answered = stream::poll_fn(move |context| answered.poll_recv(context));
        Ok(Response::new(Box::pin(answered)))
    }

    async fn persistent_stream(
        &self,
        _: Request<Streaming<PersistentStreamRequest>>,
    ) -> Result<Response<Self::PersistentStreamStream>, Status> {
        Err(Status::unimplemented(
            "this server has no persistent streams, use EphemeralStream",
        ))
    }

    async fn retire_stream(
        &self,
        _: Request<RetireStreamRequest>,
    ) -> Result<Response<RetireStreamResponse>, Status> {
        Err(Status::unimplemented(
            "this server has no persistent streams to retire",
        ))
    }
}

impl Service {
    fn refused(&self, table: &str, client: &str, status: &Status) {
        let code = format!("{:?}", status.code());
        self.activity
            .refused(table, client, &code, status.message());
    }

    /// The table that the call's metadata names and its token is good for.
    fn authorize(&self, metadata: &MetadataMap) -> Result<TableName, Status> {
        let token = text(metadata, "authorization")
            .and_then(|value| value.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map(|(_, token)| token.trim());
        let token = match token {
            Some(token) => token,
            None if self.auth.is_open() => "",
            None => {
                let message =
                    "no bearer token in the call's metadata, expected authorization: Bearer TOKEN";
                return Err(Status::unauthenticated(message));
            }
        };
        let table = text(metadata, TABLE_KEY).ok_or_else(|| {
            Status::invalid_argument(format!(
                "no {TABLE_KEY} in the call's metadata, expected catalog.schema.table"
            ))
        })?;
        let table: TableName = table
            .parse()
            .map_err(|error| Status::invalid_argument(format!("{TABLE_KEY}: {error}")))?;
        match self.auth.may_write(token, &table, Instant::now()) {
            Ok(()) => Ok(table),
            Err(refusal @ Refusal::Unknown) => Err(Status::unauthenticated(refusal.to_string())),
            Err(refusal) => Err(Status::permission_denied(refusal.to_string())),
        }
    }

    async fn serve(
        &self,
        name: &TableName,
        client: &str,
        cut: Cut,
        mut requests: Streaming<Incoming>,
        answers: &Answers,
    ) -> Result<(), Status> {
        let mut stopped = self.stopped.clone();
        let first = tokio::select! {
            biased;
            _ = stopped.wait_for(|stop| *stop) => return Err(stopping()),
            first = requests.message() => first.map_err(|status| unreadable("the first request", status))?,
        };
        let create = match first {
            Some(Incoming::Other(EphemeralStreamRequest {
                payload: Some(Payload::CreateStream(create)),
            })) => create,
            other => {
                let found = match other {
                    None | Some(Incoming::Other(EphemeralStreamRequest { payload: None })) => {
                        "nothing"
                    }
                    Some(_) => "records",
                };
                return Err(Status::invalid_argument(format!(
                    "the first request of a stream must hold create_stream, it holds {found}"
                )));
            }
        };
        if let Some(faults) = &self.faults {
            tokio::select! {
                outcome = faults.at_create(&cut) => outcome?,
                () = answers.closed() => return Ok(()),
            }
        }
        let decoder = Arc::new(self.open(name, create).await?);
        let stream_id = Uuid::new_v4().to_string();
        let table = name.to_string();
        let live = self
            .activity
            .stream(&stream_id, &table, client, Instant::now());
        let created = Answer::CreateStreamResponse(CreateIngestStreamResponse {
            stream_id: Some(stream_id),
        });
        // A failed send means that the client is gone: so is its stream.
        if answers.send(answer(created)).await.is_err() {
            return Ok(());
        }

        // Three stages, so that receiving, decoding and committing overlap. Dropping
        // the set ends the first two.
        let (chunks, chunked) = mpsc::channel(1);
        let (acks, durable) = Acks::new();
        let (mut reading, mut answering) = match &self.faults {
            Some(faults) => faults.open(name, cut, durable),
            None => faultless(durable),
        };
        reading.count(0)?;
        let mut stages = JoinSet::new();
        let stream = live.stream.clone();
        let row_values = columns::values(&decoder.table.columns);
        stages.spawn(read(requests, reading, chunks, stopped, stream, row_values));
        stages.spawn(store(decoder, chunked, acks));
        loop {
            let next = tokio::select! {
                next = answering.next() => next,
                () = answers.closed() => return Ok(()),
            };
            // None: everything that was received is committed and acknowledged.
            let Some(next) = next.transpose()? else { break };
            if let Answer::IngestRecordResponse(ack) = &next
                && let Some(offset) = ack.durability_ack_up_to_offset
            {
                live.stream.acked(offset);
            }
            if answers.send(answer(next)).await.is_err() {
                return Ok(());
            }
        }
        while let Some(stage) = stages.join_next().await {
            stage.map_err(|error| Status::internal(format!("the stream failed: {error}")))??;
        }
        Ok(())
    }

    /// The table of a new stream, made if that is asked for, and how to decode for it.
    async fn open(
        &self,
        name: &TableName,
        create: CreateIngestStreamRequest,
    ) -> Result<Decoder, Status> {
        let asked = create.table_name();
        if asked != name.to_string() {
            return Err(Status::invalid_argument(format!(
                "create_stream names table {}, but {TABLE_KEY} names {name}",
                quoted(asked)
            )));
        }
        let invalid = |error: String| Status::invalid_argument(format!("table {name}: {error}"));
        let record_type = create.record_type.unwrap_or_default();
        let message = match RecordType::try_from(record_type) {
            Ok(RecordType::Unspecified | RecordType::Proto) => {
                let bytes = create.descriptor_proto.unwrap_or_default();
                if bytes.is_empty() {
                    return Err(invalid(
                        "protobuf records need a descriptor_proto in create_stream".into(),
                    ));
                }
                Some(descriptor::parse(&bytes).map_err(invalid)?)
            }
            Ok(RecordType::Json) => None,
            Ok(RecordType::Avro) => return Err(avro()),
            Err(_) => {
                return Err(invalid(format!(
                    "unknown record_type {record_type}, expected PROTO (1) or JSON (2)"
                )));
            }
        };
        let table = self.table(name, message.as_ref()).await?;
        let format = match message {
            Some(message) => Format::Proto(plan::plan(&message, &table.columns).map_err(invalid)?),
            None => Format::Json,
        };
        let sure = match &format {
            _ if !self.discard => None,
            Format::Proto(plan) => Check::new(plan, &table.columns).map(Sure::Proto),
            Format::Json => check_json::Check::new(&table.columns).map(Sure::Json),
        };
        Ok(Decoder {
            table,
            format,
            discard: self.discard,
            sure,
        })
    }

    async fn table(
        &self,
        name: &TableName,
        message: Option<&prost_reflect::MessageDescriptor>,
    ) -> Result<Arc<Table>, Status> {
        let failed = |error: EmulatorError| match error {
            // For good: trying again changes nothing.
            EmulatorError::Unsupported { .. } => Status::invalid_argument(error.to_string()),
            error => Status::internal(error.to_string()),
        };
        if let Some(table) = self.catalog.get(name).await.map_err(failed)? {
            return Ok(table);
        }
        if let (true, Some(message)) = (self.auto_create, message) {
            let columns = descriptor::columns(message)
                .map_err(|error| Status::invalid_argument(format!("table {name}: {error}")))?;
            self.catalog.create(name, &columns).await.map_err(failed)?;
        }
        let made = self.catalog.get(name).await.map_err(failed)?;
        made.ok_or_else(|| {
            let why = match self.auto_create {
                true => ", and JSON records have no descriptor to make it from",
                false => "",
            };
            Status::not_found(format!("table {name} does not exist{why}"))
        })
    }
}

/// Reads requests until the client or the server ends the stream, as chunks of what
/// has arrived. An error goes behind the requests before it.
async fn read(
    mut requests: Streaming<Incoming>,
    mut reading: Reading,
    chunks: mpsc::Sender<Result<Chunk, Status>>,
    mut stopped: watch::Receiver<bool>,
    stream: Arc<StreamActivity>,
    row_values: usize,
) -> Result<(), Status> {
    let mut numbering = Numbering::new(row_values);
    loop {
        let mut next = tokio::select! {
            next = requests.message(), if !reading.has_stalled() => Some(next),
            () = reading.closed() => return Ok(()),
            _ = stopped.wait_for(|stop| *stop) => requests.message().now_or_never(),
        };
        let mut chunk = Chunk::default();
        let end = loop {
            match next {
                Some(Ok(Some(request))) => {
                    let (offset, records) = match numbering.take(request) {
                        Ok(request) => request,
                        Err(status) => break Some(Err(status)),
                    };
                    if let Err(status) = reading.admit(offset, &records) {
                        break Some(Err(status));
                    }
                    let count = records.len();
                    chunk.push((offset, records));
                    if let Err(status) = reading.count(count) {
                        break Some(Err(status));
                    }
                }
                Some(Ok(None)) => break Some(Ok(())),
                Some(Err(status)) => break Some(Err(numbering.unreadable(status))),
                None => break None,
            }
            if chunk.is_full(row_values) || reading.has_stalled() {
                break None;
            }
            next = requests.message().now_or_never();
        };
        stream.received(&chunk, Instant::now());
        // A failed send means that the next stage has ended, and says why.
        if !chunk.requests.is_empty() && chunks.send(Ok(chunk)).await.is_err() {
            return Ok(());
        }
        let end = match end {
            None if *stopped.borrow() => Some(Err(stopping())),
            end => end,
        };
        match end {
            None => {}
            Some(Ok(())) => return Ok(()),
            Some(Err(status)) => {
                let _ = chunks.send(Err(status)).await;
                return Ok(());
            }
        }
    }
}

/// Decodes chunks and queues them for the table's writer, if there is anything to keep.
async fn store(
    decoder: Arc<Decoder>,
    mut chunks: mpsc::Receiver<Result<Chunk, Status>>,
    acks: Arc<Acks>,
) -> Result<(), Status> {
    while let Some(chunk) = chunks.recv().await {
        let chunk = chunk?;
        let (table, discard) = (decoder.table.clone(), decoder.discard);
        let decoder = decoder.clone();
        let decoded = tokio::task::spawn_blocking(move || decoder.decode(&chunk))
            .await
            .map_err(|error| Status::internal(format!("decoding failed: {error}")))?;
        if let (true, Some((_, offset))) = (discard, &decoded.good) {
            acks.durable(*offset);
        } else if let Some((batch, offset)) = decoded.good {
            let queued = table.write(batch, offset, &acks).await;
            queued.map_err(Status::internal)?;
        }
        if let Some(status) = decoded.refusal {
            return Err(status);
        }
    }
    Ok(())
}

/// A value of the call's metadata; names of tables may go beyond ASCII.
fn text<'a>(metadata: &'a MetadataMap, key: &str) -> Option<&'a str> {
    let value = metadata.get(key)?;
    std::str::from_utf8(value.as_bytes()).ok()
}

fn answer(payload: Answer) -> Result<EphemeralStreamResponse, Status> {
    Ok(EphemeralStreamResponse {
        payload: Some(payload),
    })
}

fn stopping() -> Status {
    Status::unavailable("the server is shutting down")
}
