//! The status page and what it asks for, all of it from the binary.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use axum::extract::State;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};

use super::super::catalog::Catalog;
use super::Activity;
use super::tables::Directory;
use crate::page;

/// For whoever is no browser.
const LINE: &str =
    "zerobus emulator: a local Zerobus Ingest that writes Delta tables (gRPC and /oidc/v1/token)\n";

#[derive(Clone)]
struct Page {
    activity: Arc<Activity>,
    directory: Arc<Directory>,
    /// Nobody from elsewhere reaches the server, except through a browser of this machine.
    is_local: bool,
}

/// The routes of the status page for a server of the tables under `dir` on that address.
pub(in super::super) fn router(
    activity: Arc<Activity>,
    catalog: Arc<Catalog>,
    dir: PathBuf,
    address: IpAddr,
) -> Router {
    let directory = Directory::new(dir, catalog);
    let file = |content_type: &'static str, text: &'static str| {
        get(async move || (page::HEADERS, [(header::CONTENT_TYPE, content_type)], text))
    };
    let script = file("text/javascript; charset=utf-8", include_str!("page.js"));
    let style = file("text/css; charset=utf-8", include_str!("page.css"));
    Router::new()
        .route("/", get(root))
        .route("/status.js", script)
        .route("/status.css", style)
        .route("/status.json", get(status))
        .with_state(Page {
            activity,
            directory,
            is_local: address.is_loopback(),
        })
}

async fn root(headers: HeaderMap) -> Response {
    let accepts = headers.get_all(header::ACCEPT).iter();
    let mut accepts = accepts.filter_map(|value| value.to_str().ok());
    match accepts.any(|value| value.contains("text/html")) {
        true => {
            let html = [(header::CONTENT_TYPE, "text/html; charset=utf-8")];
            (page::HEADERS, html, include_str!("page.html")).into_response()
        }
        false => LINE.into_response(),
    }
}

async fn status(State(page): State<Page>, uri: Uri, headers: HeaderMap) -> Response {
    let host = headers.get(header::HOST);
    let host = host.and_then(|host| host.to_str().ok()?.parse().ok());
    if let Some(host) = host.as_ref().or(uri.authority())
        && page.is_local
        && !names_this_machine(host)
    {
        let text = "this server is known by a loopback address or as localhost only\n";
        return (StatusCode::FORBIDDEN, page::HEADERS, text).into_response();
    }
    let tables = page.directory.tables().await;
    let report = page.activity.report(tables, Instant::now());
    (page::HEADERS, Json(report)).into_response()
}

/// Whether a request means this machine. A page from elsewhere whose name was made to lead
/// here would read the answer as its own.
fn names_this_machine(host: &Authority) -> bool {
    let host = host.host();
    let ip = host.trim_start_matches('[').trim_end_matches(']').parse();
    host.eq_ignore_ascii_case("localhost") || ip.is_ok_and(|ip: IpAddr| ip.is_loopback())
}
