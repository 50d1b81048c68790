//! The routes, and what each does.

use std::sync::Arc;

use axum::body::{Body, Bytes, HttpBody as _, to_bytes};
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::time::{Instant, timeout_at};

use super::Gateway;
use super::answer::{Refusal, RowError};
use super::body::{Form, rows};
use super::table::Table;
use crate::sdk::{ErrorKind, StreamState};
use crate::transcode::Reason;

/// So many bad rows of a request are told.
const ERRORS_TOLD_MAX: usize = 100;

impl Gateway {
    /// The table that a path names.
    fn table(&self, key: Key) -> Result<&Table, Refusal> {
        let Path(key) = key.map_err(|e| Refusal::new(e.status(), e.body_text()))?;
        let found = self.tables.iter().find(|table| table.key == key);
        let table = found.ok_or_else(|| Refusal::unknown_table(&key))?;
        Ok(table)
    }

    /// Lets a request in that changes something.
    fn admit(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let token = self.limits.token.as_ref();
        token.map_or(Ok(()), |token| token.check(headers))
    }
}

type Shared = State<Arc<Gateway>>;
type Answer = Result<Response, Refusal>;
/// The table's key in the path.
type Key = Result<Path<String>, PathRejection>;
type Pairs = Result<Query<Vec<(String, String)>>, QueryRejection>;

pub(super) fn routes(gateway: Arc<Gateway>) -> Router {
    Router::new()
        .route("/", get(root))
        .route("/health", get(health))
        .route("/health/{key}", get(table_health))
        .route("/ingest/{key}", post(ingest))
        .route("/flush/{key}", post(flush))
        .fallback(|uri: Uri| async move {
            Refusal::new(StatusCode::NOT_FOUND, format!("there is no {}", uri.path()))
        })
        .method_not_allowed_fallback(|| async {
            Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "this takes another method")
        })
        .with_state(gateway)
}

async fn root(State(gateway): Shared) -> Json<Value> {
    let keys = || gateway.tables.iter().map(|table| table.key.as_str());
    let endpoints = |key: &str| {
        json!({
            "ingest": format!("/ingest/{key}"),
            "health": format!("/health/{key}"),
            "flush": format!("/flush/{key}"),
        })
    };
    let endpoints: serde_json::Map<_, _> =
        keys().map(|key| (key.to_owned(), endpoints(key))).collect();
    Json(json!({
        "service": "zerobus gateway",
        "version": env!("CARGO_PKG_VERSION"),
        "tables": keys().collect::<Vec<_>>(),
        "endpoints": endpoints,
    }))
}

/// What is told of a table's stream, and whether it is well.
async fn told(table: &Table) -> (Value, bool) {
    let stream = table.active().await;
    let status = match stream.as_ref().map(|stream| stream.state()) {
        None | Some(StreamState::Opened | StreamState::Flushing | StreamState::Closed) => "healthy",
        Some(StreamState::Uninitialized | StreamState::Recovering) => "recovering",
        Some(StreamState::Failed) => "failed",
    };
    let told = json!({
        "table": table.key,
        "table_name": table.properties.table_name(),
        "stream_active": stream.as_ref().is_some_and(|stream| {
            !matches!(stream.state(), StreamState::Uninitialized | StreamState::Failed)
        }),
        "status": status,
        "unacknowledged": stream.map_or(0, |stream| stream.outstanding()),
    });
    (told, status != "failed")
}

fn healthy(is: bool) -> StatusCode {
    match is {
        true => StatusCode::OK,
        false => StatusCode::SERVICE_UNAVAILABLE,
    }
}

async fn health(State(gateway): Shared) -> Response {
    let (mut tables, mut active, mut worst) = (Vec::new(), 0, "healthy");
    for table in &gateway.tables {
        let (told, _) = told(table).await;
        active += u32::from(told["stream_active"] == true);
        worst = match (worst, told["status"].as_str()) {
            ("failed", _) | (_, Some("failed")) => "failed",
            ("recovering", _) | (_, Some("recovering")) => "recovering",
            _ => worst,
        };
        tables.push(told);
    }
    let body = json!({"status": worst, "active_streams": active, "tables": tables});
    (healthy(worst != "failed"), Json(body)).into_response()
}

async fn table_health(State(gateway): Shared, key: Key) -> Answer {
    let table = gateway.table(key)?;
    let (told, is_well) = told(table).await;
    Ok((healthy(is_well), Json(told)).into_response())
}

/// What a request asks for beside its rows.
#[derive(Default)]
struct Wishes {
    wait_for_ack: bool,
    partial: bool,
}

impl Wishes {
    /// A wish that is misspelt, or made twice, is none that could be passed over.
    fn of(pairs: Pairs) -> Result<Self, Refusal> {
        let bad = |message: String| Refusal::new(StatusCode::BAD_REQUEST, message);
        let Query(pairs) = pairs.map_err(|e| bad(e.body_text()))?;
        let mut wishes = Self::default();
        for (index, (name, value)) in pairs.iter().enumerate() {
            if pairs.iter().take(index).any(|(other, _)| other == name) {
                return Err(bad(format!("{name} is given twice")));
            }
            let place = match name.as_str() {
                "wait_for_ack" => &mut wishes.wait_for_ack,
                "partial" => &mut wishes.partial,
                _ => {
                    let known = "wait_for_ack and partial";
                    return Err(bad(format!("there is no parameter {name}, only {known}")));
                }
            };
            *place = match value.to_ascii_lowercase().as_str() {
                "true" | "1" | "yes" | "on" | "t" | "y" => true,
                "false" | "0" | "no" | "off" | "f" | "n" => false,
                _ => {
                    return Err(bad(format!("{name}={value}: expected true or false")));
                }
            };
        }
        Ok(wishes)
    }
}

async fn ingest(
    State(gateway): Shared,
    key: Key,
    pairs: Pairs,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let deadline = Instant::now() + gateway.limits.deadline;
    gateway.admit(&headers)?;
    let table = gateway.table(key)?;
    let wishes = Wishes::of(pairs)?;
    let body = read(&headers, body, gateway.limits.body_bytes_max, deadline).await?;
    let given = rows(&body, Form::of(&headers)).map_err(|e| Refusal::of_rows(vec![e]))?;
    let (records, errors) = encoded(table, &given);
    if (!errors.is_empty() && !wishes.partial) || records.is_empty() {
        return Err(Refusal::of_rows(errors));
    }
    let late = |_| {
        let message = "the service was not reached before the request's deadline";
        Refusal::new(StatusCode::SERVICE_UNAVAILABLE, message)
    };
    let stream = timeout_at(deadline, table.stream()).await.map_err(late)?;
    let stream = stream.map_err(|e| Refusal::of(&e))?;
    let offsets = stream.try_ingest_all(&records);
    let offsets = offsets.map_err(|e| Refusal::of(&e))?;
    let (status, word, done) = match wishes.wait_for_ack {
        false => (StatusCode::ACCEPTED, "queued", "accepted, not durable yet"),
        true => {
            durable(deadline, stream.settle(offsets)).await?;
            (StatusCode::OK, "success", "durable")
        }
    };
    let records = match records.len() {
        1 => "1 record is".to_owned(),
        count => format!("{count} records are"),
    };
    let mut answer = json!({
        "status": word,
        "table": table.key,
        "message": format!("{records} {done}"),
        "wait_for_ack": wishes.wait_for_ack,
    });
    if !errors.is_empty() {
        answer["errors"] = json!(errors);
    }
    Ok((status, Json(answer)).into_response())
}

/// The body of a request, within its limit and its deadline.
async fn read(
    headers: &HeaderMap,
    body: Body,
    limit: usize,
    deadline: Instant,
) -> Result<Bytes, Refusal> {
    let coding = headers.get(header::CONTENT_ENCODING);
    if coding.is_some_and(|coding| coding != "identity") {
        let message = "a body that is compressed is not taken";
        return Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, message));
    }
    let too_long = || {
        let message = format!("the body is longer than {limit} bytes");
        Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, message)
    };
    if body.size_hint().lower() > limit as u64 {
        return Err(too_long());
    }
    match timeout_at(deadline, to_bytes(body, limit)).await {
        Ok(Ok(body)) => Ok(body),
        Ok(Err(error)) if is_limit(&error) => Err(too_long()),
        Ok(Err(error)) => {
            let message = format!("the body cannot be read: {error}");
            Err(Refusal::new(StatusCode::BAD_REQUEST, message))
        }
        Err(_) => {
            let message = "the body did not come before the request's deadline";
            Err(Refusal::new(StatusCode::REQUEST_TIMEOUT, message))
        }
    }
}

/// Whether a body was cut off at its limit.
fn is_limit(error: &axum::Error) -> bool {
    let source = std::error::Error::source(error);
    source.is_some_and(|source| source.to_string().contains("length limit exceeded"))
}

/// The records of rows, and what is wrong with those that make none.
fn encoded(table: &Table, rows: &[&str]) -> (Vec<Vec<u8>>, Vec<RowError>) {
    let (mut records, mut errors) = (Vec::new(), Vec::new());
    for (index, row) in rows.iter().enumerate() {
        let told = |reason: Reason| RowError {
            index,
            field: reason.field,
            message: reason.message,
        };
        match table.encode(row) {
            Ok(record) => records.push(record),
            Err(_) if errors.len() >= ERRORS_TOLD_MAX => {}
            Err(reasons) => errors.extend(reasons.into_iter().map(told)),
        }
    }
    (records, errors)
}

/// Waits for records that were accepted.
async fn durable(
    deadline: Instant,
    settled: impl Future<Output = Result<(), crate::sdk::Error>>,
) -> Result<(), Refusal> {
    let refusal = match timeout_at(deadline, settled).await {
        Ok(Ok(())) => return Ok(()),
        // The service's word on the records themselves.
        Ok(Err(error)) if error.kind() == ErrorKind::Refused => {
            return Err(Refusal::new(StatusCode::BAD_REQUEST, error.to_string()));
        }
        Ok(Err(error)) => Refusal::of(&error),
        Err(_) => {
            let message = "no acknowledgement before the request's deadline; the records may be durable, or become so";
            Refusal::new(StatusCode::GATEWAY_TIMEOUT, message)
        }
    };
    Err(Refusal {
        in_doubt: true,
        ..refusal
    })
}

async fn flush(State(gateway): Shared, key: Key, headers: HeaderMap) -> Answer {
    let deadline = Instant::now() + gateway.limits.deadline;
    gateway.admit(&headers)?;
    let table = gateway.table(key)?;
    let answer = |status: &str, message: &str| {
        Ok(Json(json!({"status": status, "table": table.key, "message": message})).into_response())
    };
    let Some(stream) = table.active().await else {
        return answer("no_active_stream", "nothing was ingested yet");
    };
    durable(deadline, stream.flush()).await?;
    answer("success", "all records that were accepted are durable")
}
