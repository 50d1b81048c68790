//! Opens a connection and creates a stream on it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use tokio::sync::mpsc;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::metadata::{Ascii, MetadataMap, MetadataValue};
use tonic::transport::Endpoint;
use tonic::{Code, Streaming};

use super::codec::{RecordKind, Request, StreamCodec};
use super::network::Network;
use super::secret::Secret;
use super::status::{chain, fault, plaintext_fault, unanswered};
use super::token::{Shown, TokenSource, Tokens};
use crate::protocol::{Fault, FaultClass};
use crate::schema::TableName;
use crate::wire::{CreateIngestStreamRequest, EphemeralStreamResponse, ephemeral_stream_response};

/// Requests that wait between the state machine and the socket. One is enough to keep the
/// socket busy while the next is handed over; more would only be memory.
const REQUESTS_QUEUED_MAX: usize = 2;
/// How long the text may be that the server gives for a refusal, with all else that comes in
/// headers. What is longer is lost, and far more than that breaks the connection.
const HEADERS_BYTES_MAX: u32 = 64 << 10;
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// Where a stream goes and what it carries.
#[derive(Debug, Clone)]
pub struct Target {
    /// The endpoint as a URL with its scheme.
    pub endpoint: String,
    /// The table.
    pub table: TableName,
    /// How records are encoded.
    pub kind: RecordKind,
    /// The record's descriptor; empty for JSON.
    pub descriptor: Bytes,
}

/// Makes connections. Clones share their tokens.
#[derive(Clone)]
pub struct Connector {
    target: Target,
    endpoint: Endpoint,
    network: Network,
    tokens: Arc<Tokens>,
}

/// A created stream.
pub(super) struct Connection {
    /// What it was opened with.
    pub shown: Shown,
    pub stream_id: String,
    /// Dropped to end the sending side.
    pub requests: Option<mpsc::Sender<Request>>,
    pub responses: Streaming<EphemeralStreamResponse>,
}

impl Connector {
    /// A connector to a target, with tokens from a source.
    ///
    /// # Errors
    /// An endpoint that is no URL.
    pub fn new(target: Target, tokens: TokenSource, network: Network) -> Result<Self, Fault> {
        Self::sharing(target, Arc::new(Tokens::new(tokens)), network)
    }

    /// The same with a source that others use as well.
    ///
    /// # Errors
    /// An endpoint that is no URL.
    pub(crate) fn sharing(
        target: Target,
        tokens: Arc<Tokens>,
        network: Network,
    ) -> Result<Self, Fault> {
        let bad = |e: tonic::transport::Error| {
            let message = format!("endpoint \"{}\": {}", target.endpoint, chain(&e));
            Fault::new(FaultClass::Refused, message)
        };
        let mut endpoint = Endpoint::from_shared(target.endpoint.clone())
            .and_then(|e| e.user_agent(super::USER_AGENT))
            .map_err(bad)?
            .tcp_nodelay(true)
            .http2_max_header_list_size(HEADERS_BYTES_MAX)
            .http2_keep_alive_interval(KEEP_ALIVE)
            .keep_alive_timeout(KEEP_ALIVE);
        if target.endpoint.starts_with("https://") {
            endpoint = endpoint.tls_config(network.tls()).map_err(bad)?;
        }
        Ok(Self {
            target,
            endpoint,
            network,
            tokens,
        })
    }

    /// How the records of this connector's streams are encoded.
    pub(super) fn kind(&self) -> RecordKind {
        self.target.kind
    }

    /// The server has refused this token.
    pub(super) fn forget_token(&self, token: &Secret) {
        self.tokens.forget(token);
    }

    /// One attempt. A token that the server does not know is replaced once, if there is another.
    pub(super) async fn connect(&self) -> Result<Connection, Fault> {
        let shown = self.tokens.token().await?;
        let token = shown.token.clone();
        let refusal = match self.create(shown).await {
            Err((Code::Unauthenticated, fault)) => fault,
            other => return other.map_err(|(_, fault)| fault),
        };
        self.forget_token(&token);
        let shown = self.tokens.token().await?;
        if shown.token == token {
            return Err(refusal);
        }
        self.create(shown).await.map_err(|(_, fault)| fault)
    }

    async fn create(&self, shown: Shown) -> Result<Connection, (Code, Fault)> {
        let unconnected = |e: tonic::transport::Error| {
            let what = format!("cannot connect to {}", self.target.endpoint);
            (Code::Unavailable, unanswered(&what, &e))
        };
        let channel = self.network.connect(&self.endpoint).await;
        let channel = channel.map_err(|fault| (Code::Unavailable, fault))?;
        let mut grpc = Grpc::new(channel);
        grpc.ready().await.map_err(unconnected)?;
        let is_plaintext = self.target.endpoint.starts_with("http://");
        let failed = |status: tonic::Status| {
            let fault = match is_plaintext {
                true => plaintext_fault(&status),
                false => fault(&status),
            };
            (status.code(), shown.judge(fault))
        };

        let (requests, mut queue) = mpsc::channel(REQUESTS_QUEUED_MAX);
        let create = Request::Create(CreateIngestStreamRequest {
            table_name: Some(self.target.table.to_string()),
            descriptor_proto: match self.target.kind {
                RecordKind::Proto => Some(self.target.descriptor.clone()),
                RecordKind::Json => None,
            },
            record_type: Some(self.target.kind.record_type().into()),
            avro_schema_json: None,
        });
        // The queue is new and empty: this cannot fail.
        let _ = requests.try_send(create);
        let mut call = tonic::Request::new(stream::poll_fn(move |cx| queue.poll_recv(cx)));
        let unusable = |what: &str| {
            let message = format!("the {what} cannot be sent in a header");
            let fault = Fault::new(FaultClass::Credentials, message);
            (Code::InvalidArgument, fault)
        };
        // First what the user gives: the protocol's own has the last word.
        *call.metadata_mut() = MetadataMap::from_headers(self.network.headers().clone());
        let mut bearer: MetadataValue<Ascii> = format!("Bearer {}", shown.token.expose())
            .parse()
            .map_err(|_| unusable("token"))?;
        bearer.set_sensitive(true);
        let table = self.target.table.to_string();
        let table =
            MetadataValue::try_from(table.as_bytes()).map_err(|_| unusable("table's name"))?;
        call.metadata_mut().insert("authorization", bearer);
        call.metadata_mut()
            .insert("x-databricks-zerobus-table-name", table);

        let path = PathAndQuery::from_static("/databricks.zerobus.Zerobus/EphemeralStream");
        let answer = grpc
            .streaming(call, path, StreamCodec)
            .await
            .map_err(failed)?;
        let mut responses = answer.into_inner();
        let first = responses.message().await.map_err(failed)?;
        match first.and_then(|r| r.payload) {
            Some(ephemeral_stream_response::Payload::CreateStreamResponse(created)) => {
                Ok(Connection {
                    shown,
                    stream_id: created.stream_id.unwrap_or_default(),
                    requests: Some(requests),
                    responses,
                })
            }
            _ => {
                let message = "the server did not answer the creation of the stream";
                Err((Code::Internal, Fault::transient(message)))
            }
        }
    }
}
