//! The routes, and what each does.

use std::net::IpAddr;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Json, Router, middleware};
use serde_json::{Value, json};
use tokio::time::{Instant, timeout_at};

use super::answer::{Refusal, RowError};
use super::body::{Form, ROWS_MAX, rows};
use super::health::{Health, Status};
use super::observe::{Noted, observe};
use super::table::Table;
use super::{Entry, Gateway, docs, metrics};
use crate::transcode::Reason;

impl Gateway {
    /// The table that a path names.
    fn entry_of(&self, key: Key) -> Result<Entry, Refusal> {
        let Path(key) = key.map_err(|e| Refusal::new(e.status(), e.body_text()))?;
        let tables = self.tables();
        let found = tables.entries.iter().find(|entry| entry.table.key == key);
        found.cloned().ok_or_else(|| Refusal::unknown_table(&key))
    }

    /// The table that a path names, for somebody who may write to it.
    fn admitted(&self, key: Key, headers: &HeaderMap) -> Result<Entry, Refusal> {
        let entry = self.entry_of(key);
        match &entry {
            Ok(Entry {
                token: Some(token), ..
            }) => token.check(headers)?,
            Ok(Entry { token: None, .. }) => same_origin(headers, self.options.is_local)?,
            Err(_) => {}
        }
        entry
    }
}

/// Where no token is asked for, a page from elsewhere might write through the browser of
/// somebody who may. On a listener of this machine only, its own name may lead here as well.
fn same_origin(headers: &HeaderMap, is_local: bool) -> Result<(), Refusal> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let Some(origin) = headers.get(header::ORIGIN) else {
        return Ok(());
    };
    let origin = origin
        .to_str()
        .ok()
        .and_then(|origin| origin.split_once("://"));
    let is_own = |host: &str| {
        let authority: Option<Authority> = host.parse().ok();
        authority.is_some_and(|authority| {
            let host = authority.host().trim_matches(['[', ']']);
            host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok()
        })
    };
    match (origin, text(header::HOST)) {
        (Some((_, origin)), Some(host))
            if origin.eq_ignore_ascii_case(host) && (!is_local || is_own(host)) =>
        {
            Ok(())
        }
        _ => {
            let message = "a page of another origin may not write here, as no token is asked for";
            Err(Refusal::new(StatusCode::FORBIDDEN, message))
        }
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
        .route("/metrics", get(figures))
        .route("/openapi.json", get(openapi))
        .merge(docs::routes())
        .fallback(|uri: Uri| async move {
            Refusal::new(StatusCode::NOT_FOUND, format!("there is no {}", uri.path()))
        })
        .method_not_allowed_fallback(|| async {
            Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "this takes another method")
        })
        .layer(middleware::from_fn_with_state(
            Arc::clone(&gateway),
            observe,
        ))
        .with_state(gateway)
}

async fn openapi(State(gateway): Shared) -> Response {
    let json = [(header::CONTENT_TYPE, "application/json")];
    (json, gateway.tables().openapi.clone()).into_response()
}

async fn figures(State(gateway): Shared) -> Response {
    let text = [(header::CONTENT_TYPE, metrics::CONTENT_TYPE)];
    let told = |entry: &Entry| {
        let health = entry.table.health();
        entry.table.count(&health);
        health
    };
    let served: Vec<_> = gateway.tables().entries.iter().map(told).collect();
    let retired: Vec<_> = gateway.retired().iter().map(told).collect();
    (text, gateway.metrics.text(&served, &retired)).into_response()
}

async fn root(State(gateway): Shared) -> Json<Value> {
    let tables = gateway.tables();
    let keys = || tables.entries.iter().map(|entry| entry.table.key.as_str());
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
        "documentation": "/docs",
    }))
}

fn well(status: Status) -> StatusCode {
    match status {
        Status::Healthy | Status::Recovering => StatusCode::OK,
        Status::Failed => StatusCode::SERVICE_UNAVAILABLE,
    }
}

async fn health(State(gateway): Shared) -> Response {
    let of = |entries: &[Entry]| -> Vec<Health> {
        entries.iter().map(|entry| entry.table.health()).collect()
    };
    let tables = of(&gateway.tables().entries);
    let retired = of(&gateway.retired());
    let worst = tables
        .iter()
        .chain(&retired)
        .map(|health| health.status)
        .max();
    let worst = worst.unwrap_or(Status::Healthy);
    let active = tables.iter().filter(|health| health.stream_active).count();
    let mut body = json!({"status": worst, "active_streams": active, "tables": tables});
    if !retired.is_empty() {
        body["retired"] = json!(retired);
    }
    (well(worst), Json(body)).into_response()
}

async fn table_health(State(gateway): Shared, key: Key) -> Answer {
    let health = gateway.entry_of(key)?.table.health();
    Ok((well(health.status), Json(health)).into_response())
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

/// What an answer leaves for the log and the figures.
type Marked = (Extension<Noted>, Answer);

fn marked(table: &str, records: usize, answer: Answer) -> Marked {
    let table = table.to_owned();
    (Extension(Noted { table, records }), answer)
}

async fn ingest(
    State(gateway): Shared,
    key: Key,
    pairs: Pairs,
    headers: HeaderMap,
    body: Body,
) -> Marked {
    let entry = match gateway.admitted(key, &headers) {
        Ok(entry) => entry,
        Err(refusal) => return marked("", 0, Err(refusal)),
    };
    let mut accepted = 0;
    let table = &entry.table;
    let answer = ingest_into(&gateway, table, pairs, &headers, body, &mut accepted).await;
    marked(&table.key, accepted, answer)
}

/// Takes a request's records; `accepted` tells how many.
async fn ingest_into(
    gateway: &Gateway,
    table: &Table,
    pairs: Pairs,
    headers: &HeaderMap,
    body: Body,
    accepted: &mut usize,
) -> Answer {
    let deadline = Instant::now() + gateway.options.deadline;
    let wishes = Wishes::of(pairs)?;
    let body = gateway.bodies.read(headers, body, deadline).await?;
    let given = rows(&body.bytes, Form::of(headers)).map_err(|e| Refusal::of_rows(vec![e]))?;
    if given.len() > ROWS_MAX {
        let message = format!("the body has more than {ROWS_MAX} rows; send it in parts");
        return Err(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, message));
    }
    let Encoded {
        records,
        rows,
        errors,
    } = encoded(table, &given);
    if (!errors.is_empty() && !wishes.partial) || records.is_empty() {
        return Err(Refusal::of_rows(errors));
    }
    let (status, word, done) = match wishes.wait_for_ack {
        false => {
            let queued = timeout_at(deadline, table.queue(&records)).await;
            queued
                .map_err(|_| Refusal::queued_late(table.spool.is_some(), table.keeper.away()))??;
            (StatusCode::ACCEPTED, "queued", "accepted, not durable yet")
        }
        true => {
            durable(table, &records, &rows, deadline).await?;
            (StatusCode::OK, "success", "durable")
        }
    };
    *accepted = records.len();
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

/// The records of a request, the row of each, and what is wrong with rows that make none.
struct Encoded {
    records: Vec<Vec<u8>>,
    rows: Vec<usize>,
    errors: Vec<RowError>,
}

fn encoded(table: &Table, given: &[&str]) -> Encoded {
    let (mut records, mut rows, mut errors) = (Vec::new(), Vec::new(), Vec::new());
    for (index, row) in given.iter().enumerate() {
        let told = |reason: Reason| RowError {
            index,
            field: reason.field,
            message: reason.message,
        };
        match table.encode(row) {
            Ok(record) => {
                records.push(record);
                rows.push(index);
            }
            Err(reasons) => {
                table.figures.invalid.inc();
                errors.extend(reasons.into_iter().map(told));
            }
        }
    }
    Encoded {
        records,
        rows,
        errors,
    }
}

/// Sends records and waits until they are durable.
async fn durable(
    table: &Table,
    records: &[Vec<u8>],
    rows: &[usize],
    deadline: Instant,
) -> Result<(), Refusal> {
    let sent = timeout_at(deadline, table.send(records)).await;
    let sent = sent.map_err(|_| Refusal::queued_late(false, table.keeper.away()))?;
    let (stream, offsets) = sent.map_err(|e| Refusal::of(&e))?;
    let first = offsets.start;
    let settled = timeout_at(deadline, stream.settle(offsets)).await;
    let settled = settled.map_err(|_| Refusal::unacknowledged())?;
    let refused = settled.map_err(|e| Refusal::of(&e).in_doubt())?;
    if refused.is_empty() {
        return Ok(());
    }
    // The service's word on the records themselves.
    let others = records.len() - refused.len();
    let errors = refused.into_iter().map(|(offset, error)| {
        let record = usize::try_from(offset - first).unwrap_or(usize::MAX);
        RowError {
            index: rows.get(record).copied().unwrap_or(record),
            field: None,
            message: format!("the service refused it: {error}"),
        }
    });
    let mut refusal = Refusal::of_rows(errors.collect());
    refusal.message += &format!("; the other {others} records are durable");
    refusal.durable = Some(others);
    Err(refusal)
}

async fn flush(State(gateway): Shared, key: Key, headers: HeaderMap) -> Marked {
    let deadline = Instant::now() + gateway.options.deadline;
    let entry = match gateway.admitted(key, &headers) {
        Ok(entry) => entry,
        Err(refusal) => return marked("", 0, Err(refusal)),
    };
    let table = &entry.table;
    let answer = |status: &str, message: &str| {
        Ok(Json(json!({"status": status, "table": table.key, "message": message})).into_response())
    };
    let flushed = match timeout_at(deadline, table.flush()).await {
        Ok(Ok(None)) => answer("no_active_stream", "nothing was ingested yet"),
        Ok(Ok(Some(0))) => answer("success", "all records that were accepted are durable"),
        Ok(Ok(Some(refused))) => {
            let message = format!(
                "all records that were accepted are durable, but for {refused} since the last flush: the service has refused them, and they are among the dead letters"
            );
            let body = json!({"status": "success", "table": table.key, "message": message, "refused": refused});
            Ok(Json(body).into_response())
        }
        Ok(Err(error)) => Err(Refusal::of(&error).in_doubt()),
        Err(_) => Err(Refusal::unacknowledged()),
    };
    marked(&table.key, 0, flushed)
}
