//! The HTTP routes: the token endpoint and what surrounds it.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::json;

use super::auth::Auth;
use super::faults::Faults;
use super::token::{REQUEST_BYTES_MAX, token};

/// What the routes share.
#[derive(Clone)]
pub(super) struct Http {
    pub(super) auth: Arc<Auth>,
    pub(super) faults: Option<Arc<Faults>>,
    address: SocketAddr,
}

pub(super) fn router(auth: Arc<Auth>, faults: Option<Arc<Faults>>, address: SocketAddr) -> Router {
    let http = Http {
        auth,
        faults,
        address,
    };
    Router::new()
        .route("/", get(root))
        .route("/.well-known/databricks-config", get(config))
        .route(
            "/oidc/v1/token",
            post(token).layer(DefaultBodyLimit::max(REQUEST_BYTES_MAX)),
        )
        .fallback(not_found)
        .with_state(http)
}

async fn root() -> &'static str {
    "zerobus emulator: a local Zerobus Ingest that writes Delta tables (gRPC and /oidc/v1/token)\n"
}

async fn config(State(http): State<Http>, headers: HeaderMap) -> Response {
    // A client that came by another name or through a forwarded port gets that back.
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok())
        .map_or_else(|| http.address.to_string(), str::to_owned);
    Json(json!({
        "workspace_id": "local",
        "cloud": "local",
        "oidc_endpoint": format!("http://{host}/oidc"),
    }))
    .into_response()
}

async fn not_found(uri: Uri) -> Response {
    let message = format!("no such path on this server: {}", uri.path());
    let body = json!({"error_code": "ENDPOINT_NOT_FOUND", "message": message});
    (StatusCode::NOT_FOUND, Json(body)).into_response()
}
