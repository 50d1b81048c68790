//! The HTTP routes: the token endpoint, what surrounds it, and where the others are.

use std::collections::HashMap;
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
use serde_json::{Value, json};

use super::auth::{Auth, table_of_details};
use super::catalog::Catalog;
use super::faults::{Cut, Faults};
use super::status::Activity;
use super::unity;

/// What the routes share.
#[derive(Clone)]
pub(super) struct Http {
    pub(super) catalog: Arc<Catalog>,
    pub(super) auth: Arc<Auth>,
    faults: Option<Arc<Faults>>,
    activity: Arc<Activity>,
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
        .route("/oidc/v1/token", post(token))
        .route(unity::PATH, get(unity::table))
        .fallback(not_found)
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
    let client = headers.get(header::USER_AGENT);
    let client = client.and_then(|client| client.to_str().ok()).unwrap_or("");
    let refused = |status: StatusCode, reason: &str| {
        let code = status.to_string();
        http.activity.refused("", client, &code, reason);
    };
    if let Some(faults) = &http.faults {
        let Extension(cut) = cut.unwrap_or_default();
        if let Some(response) = faults.at_token(&cut).await {
            refused(response.status(), "no token, on purpose");
            return response;
        }
    }
    match grant(&http, &headers, form) {
        Ok(granted) => granted.into_response(),
        Err(refusal) => {
            refused(refusal.status, &refusal.description);
            refusal.into_response()
        }
    }
}

fn grant(
    http: &Http,
    headers: &HeaderMap,
    form: Result<Form<HashMap<String, String>>, FormRejection>,
) -> Result<Json<Value>, NoToken> {
    let known = basic(headers).is_some_and(|(id, secret)| http.auth.is_client(&id, &secret));
    if !known && !http.auth.is_open() {
        return Err(NoToken {
            status: StatusCode::UNAUTHORIZED,
            error: "invalid_client",
            description: "client id or secret is wrong or missing (HTTP Basic)".to_owned(),
        });
    }
    let refuse = |error, description: String| NoToken {
        status: StatusCode::BAD_REQUEST,
        error,
        description,
    };
    let Form(form) = form.map_err(|bad| refuse("invalid_request", bad.body_text()))?;
    let given = |key: &str| form.get(key).map_or("", String::as_str);
    if given("grant_type") != "client_credentials" {
        return Err(refuse(
            "unsupported_grant_type",
            "grant_type must be client_credentials".to_owned(),
        ));
    }
    if !given("scope").split(' ').any(|scope| scope == "all-apis") {
        return Err(refuse("invalid_scope", "scope must be all-apis".to_owned()));
    }
    let details = form.get("authorization_details");
    let table = details.map(|details| table_of_details(details)).transpose();
    let table = table.map_err(|error| {
        let text = format!("authorization_details is no list of objects: {error}");
        refuse("invalid_authorization_details", text)
    })?;
    Ok(Json(json!({
        "access_token": http.auth.mint(table.flatten(), Instant::now()),
        "token_type": "Bearer",
        "expires_in": http.auth.token_ttl().as_secs(),
        "scope": "all-apis",
    })))
}

/// Why there is no token, in OAuth's words and ours.
struct NoToken {
    status: StatusCode,
    error: &'static str,
    description: String,
}

impl IntoResponse for NoToken {
    fn into_response(self) -> Response {
        let body = json!({"error": self.error, "error_description": self.description});
        (self.status, Json(body)).into_response()
    }
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
