//! The HTTP routes: the token endpoint, what surrounds it, and where the others are.

use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::json;

use super::auth::Auth;
use super::catalog::Catalog;
use super::faults::Faults;
use super::status::Activity;
use super::token::{REQUEST_BYTES_MAX, token};
use super::unity;

/// What the routes share.
#[derive(Clone)]
pub(super) struct Http {
    pub(super) catalog: Arc<Catalog>,
    pub(super) auth: Arc<Auth>,
    pub(super) faults: Option<Arc<Faults>>,
    pub(super) activity: Arc<Activity>,
    /// This server's own.
    url: String,
}

pub(super) fn router(
    catalog: Arc<Catalog>,
    auth: Arc<Auth>,
    faults: Option<Arc<Faults>>,
    activity: Arc<Activity>,
    url: String,
) -> Router {
    let http = Http {
        catalog,
        auth,
        faults,
        activity,
        url,
    };
    Router::new()
        .route("/.well-known/databricks-config", get(config))
        .route(
            "/oidc/v1/token",
            post(token).layer(DefaultBodyLimit::max(REQUEST_BYTES_MAX)),
        )
        .route(unity::PATH, get(unity::table))
        .fallback(not_found)
        .method_not_allowed_fallback(not_allowed)
        .with_state(http)
}

async fn config(State(http): State<Http>, headers: HeaderMap) -> Response {
    let (scheme, own) = http.url.split_once("://").unwrap_or(("http", &http.url));
    // A client that came by another name or through a forwarded port gets that back.
    let host = headers.get(header::HOST);
    let host = host.and_then(|host| host.to_str().ok()).unwrap_or(own);
    Json(json!({
        "workspace_id": "local",
        "cloud": "local",
        "oidc_endpoint": format!("{scheme}://{host}/oidc"),
    }))
    .into_response()
}

async fn not_allowed(method: Method, uri: Uri) -> Response {
    let message = format!("{} does not take {method}", uri.path());
    let body = json!({"error_code": "METHOD_NOT_ALLOWED", "message": message});
    (StatusCode::METHOD_NOT_ALLOWED, Json(body)).into_response()
}

async fn not_found(uri: Uri) -> Response {
    let message = format!("no such path on this server: {}", uri.path());
    let body = json!({"error_code": "ENDPOINT_NOT_FOUND", "message": message});
    (StatusCode::NOT_FOUND, Json(body)).into_response()
}
