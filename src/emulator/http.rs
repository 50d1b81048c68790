//! The HTTP routes: the token endpoint, what surrounds it, and where the others are.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use axum::extract::rejection::FormRejection;
use axum::extract::{Form, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::auth::{Auth, table_of_details};
use super::catalog::Catalog;
use super::faults::{Cut, Faults};
use super::unity;

/// What the routes share.
#[derive(Clone)]
pub(super) struct Http {
    pub(super) catalog: Arc<Catalog>,
    pub(super) auth: Arc<Auth>,
    faults: Option<Arc<Faults>>,
    address: SocketAddr,
}

pub(super) fn router(
    catalog: Arc<Catalog>,
    auth: Arc<Auth>,
    faults: Option<Arc<Faults>>,
    address: SocketAddr,
) -> Router {
    let http = Http {
        catalog,
        auth,
        faults,
        address,
    };
    Router::new()
        .route("/", get(root))
        .route("/.well-known/databricks-config", get(config))
        .route("/oidc/v1/token", post(token))
        .route(unity::PATH, get(unity::table))
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

async fn token(
    State(http): State<Http>,
    cut: Option<Extension<Cut>>,
    headers: HeaderMap,
    form: Result<Form<HashMap<String, String>>, FormRejection>,
) -> Response {
    if let Some(faults) = &http.faults {
        let Extension(cut) = cut.unwrap_or_default();
        if let Some(response) = faults.at_token(&cut).await {
            return response;
        }
    }
    let known = basic(&headers).is_some_and(|(id, secret)| http.auth.is_client(&id, &secret));
    if !known && !http.auth.is_open() {
        return oauth_error(
            StatusCode::UNAUTHORIZED,
            "invalid_client",
            "client id or secret is wrong or missing (HTTP Basic)",
        );
    }
    let refuse = |error, text: &str| oauth_error(StatusCode::BAD_REQUEST, error, text);
    let Form(form) = match form {
        Ok(form) => form,
        Err(rejection) => return refuse("invalid_request", &rejection.body_text()),
    };
    let given = |key: &str| form.get(key).map_or("", String::as_str);
    if given("grant_type") != "client_credentials" {
        return refuse(
            "unsupported_grant_type",
            "grant_type must be client_credentials",
        );
    }
    if !given("scope").split(' ').any(|scope| scope == "all-apis") {
        return refuse("invalid_scope", "scope must be all-apis");
    }
    let table = match form
        .get("authorization_details")
        .map(|d| table_of_details(d))
    {
        None => None,
        Some(Ok(table)) => table,
        Some(Err(error)) => {
            return refuse(
                "invalid_authorization_details",
                &format!("authorization_details is no list of objects: {error}"),
            );
        }
    };
    Json(json!({
        "access_token": http.auth.mint(table, Instant::now()),
        "token_type": "Bearer",
        "expires_in": http.auth.token_ttl().as_secs(),
        "scope": "all-apis",
    }))
    .into_response()
}

fn oauth_error(status: StatusCode, error: &str, description: &str) -> Response {
    let body = json!({"error": error, "error_description": description});
    (status, Json(body)).into_response()
}

/// Id and secret of an HTTP Basic header.
fn basic(headers: &HeaderMap) -> Option<(String, String)> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, encoded) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let pair = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (id, secret) = pair.split_once(':')?;
    Some((id.to_owned(), secret.to_owned()))
}
