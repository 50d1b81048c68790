//! The token endpoint: OAuth client credentials and the exchange of a federated JWT, as strict
//! as the service's.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use axum::extract::rejection::FormRejection;
use axum::extract::{Form, FromRequest as _, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::details::Details;
use super::faults::Cut;
use super::http::Http;
use super::shown::{quoted, shown};

/// More than any request for a token takes.
pub(super) const REQUEST_BYTES_MAX: usize = 16 << 10;
/// How long a client may take to send one.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// As OAuth wants it of every answer that may hold a token.
const NO_STORE: [(HeaderName, &str); 1] = [(header::CACHE_CONTROL, "no-store")];

/// Answers `POST /oidc/v1/token`.
pub(super) async fn token(
    State(http): State<Http>,
    cut: Option<Extension<Cut>>,
    headers: HeaderMap,
    request: Request,
) -> Response {
    let program = headers.get(header::USER_AGENT);
    let program = program.and_then(|p| p.to_str().ok()).unwrap_or("");
    let refused = |status: StatusCode, reason: &str| {
        let code = status.to_string();
        http.activity.refused("", program, &code, reason);
    };
    if let Some(faults) = &http.faults {
        let Extension(cut) = cut.unwrap_or_default();
        if let Some(response) = faults.at_token(&cut).await {
            refused(response.status(), "no token, on purpose");
            return response;
        }
    }
    let form = Form::from_request(request, &());
    let Ok(form) = timeout(REQUEST_TIMEOUT, form).await else {
        let (status, text) = (StatusCode::REQUEST_TIMEOUT, "the request does not end");
        refused(status, text);
        return (status, [(header::CONNECTION, "close")], text).into_response();
    };
    match grant(&http, &headers, form) {
        Ok(granted) => (NO_STORE, granted).into_response(),
        Err(refusal) => {
            refused(refusal.status, &refusal.description);
            refusal.into_response()
        }
    }
}

fn grant(
    http: &Http,
    headers: &HeaderMap,
    form: Result<Form<Vec<(String, String)>>, FormRejection>,
) -> Result<Json<Value>, NoToken> {
    let refuse = |status, error, description: &str| NoToken {
        status,
        error,
        description: description.to_owned(),
    };
    let bad_request = |(error, description): (&'static str, String)| {
        refuse(StatusCode::BAD_REQUEST, error, &description)
    };
    let form = form
        .map_err(|rejection| ("invalid_request", rejection.body_text()))
        .and_then(|Form(pairs)| fields(pairs));
    let exchanged = form.as_ref().is_ok_and(|form| {
        form.get("grant_type")
            .is_some_and(|grant| grant == TOKEN_EXCHANGE)
    });
    let client = if exchanged {
        let form = form.as_ref().map_err(|e| bad_request(e.clone()))?;
        let given = |key: &str| form.get(key).map_or("", String::as_str);
        if given("subject_token_type") != JWT {
            let text = format!(
                "subject_token_type is {}, expected {JWT}",
                quoted(given("subject_token_type"))
            );
            return Err(bad_request(("invalid_request", text)));
        }
        let known = form
            .get("client_id")
            .is_none_or(|id| http.auth.has_client(id));
        let is_taken = known && http.auth.is_subject(given("subject_token"));
        if !is_taken && !http.auth.is_open() {
            return Err(refuse(
                StatusCode::UNAUTHORIZED,
                "invalid_grant",
                "no federation policy takes this subject_token for this client_id",
            ));
        }
        given("client_id").to_owned()
    } else {
        let credentials = basic(headers);
        match credentials.filter(|(id, secret)| http.auth.is_client(id, secret)) {
            Some((client, _)) => client,
            None if http.auth.is_open() => String::new(),
            None => {
                return Err(refuse(
                    StatusCode::UNAUTHORIZED,
                    "invalid_client",
                    "client id or secret is wrong or missing (HTTP Basic)",
                ));
            }
        }
    };
    let details = form.and_then(|form| asked(&form)).map_err(bad_request)?;
    Ok(Json(json!({
        "access_token": http.auth.mint(&client, details, Instant::now()),
        "token_type": "Bearer",
        "expires_in": http.auth.token_ttl().as_secs(),
        "scope": "all-apis",
    })))
}

/// The grant of workload identity federation, and the only kind of token that it takes.
const TOKEN_EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";

/// Why there is no token, in OAuth's words and ours.
struct NoToken {
    status: StatusCode,
    error: &'static str,
    description: String,
}

impl IntoResponse for NoToken {
    fn into_response(self) -> Response {
        let body = json!({"error": self.error, "error_description": self.description});
        let mut response = (self.status, NO_STORE, Json(body)).into_response();
        if self.status == StatusCode::UNAUTHORIZED {
            let basic = HeaderValue::from_static("Basic realm=\"zerobus\"");
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, basic);
        }
        response
    }
}

/// A form's fields, each given once.
fn fields(pairs: Vec<(String, String)>) -> Result<HashMap<String, String>, (&'static str, String)> {
    let mut form = HashMap::new();
    for (key, value) in pairs {
        if form.contains_key(&key) {
            let text = format!("{} is given twice", shown(&key));
            return Err(("invalid_request", text));
        }
        form.insert(key, value);
    }
    Ok(form)
}

/// What a form asks for: a token to write with, or one without details, which reads only.
fn asked(form: &HashMap<String, String>) -> Result<Option<Details>, (&'static str, String)> {
    let given = |key: &str| form.get(key).map_or("", String::as_str);
    if !matches!(given("grant_type"), "client_credentials" | TOKEN_EXCHANGE) {
        let text = format!(
            "grant_type is {}, expected client_credentials or {TOKEN_EXCHANGE}",
            quoted(given("grant_type"))
        );
        return Err(("unsupported_grant_type", text));
    }
    if !given("scope").split(' ').any(|scope| scope == "all-apis") {
        let text = format!("scope is {}, expected all-apis", quoted(given("scope")));
        return Err(("invalid_scope", text));
    }
    let details = form.get("authorization_details");
    // A token for the workspace's own API names no resource.
    let plain = details.is_none() && !form.contains_key("resource");
    if !plain && !is_zerobus(given("resource")) {
        let text = format!(
            "resource is {}, expected api://databricks/workspaces/ID/zerobusDirectWriteApi",
            quoted(given("resource"))
        );
        return Err(("invalid_target", text));
    }
    let details = details.map(|text| Details::parse(text)).transpose();
    details.map_err(|error| {
        let text = format!("authorization_details: {error}");
        ("invalid_authorization_details", text)
    })
}

/// Whether a resource is Zerobus in some workspace: this server is all of them.
fn is_zerobus(resource: &str) -> bool {
    resource
        .strip_prefix("api://databricks/workspaces/")
        .and_then(|rest| rest.strip_suffix("/zerobusDirectWriteApi"))
        .is_some_and(|id| !id.is_empty() && !id.contains('/'))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resource_is_zerobus_in_some_workspace() {
        assert!(is_zerobus(
            "api://databricks/workspaces/local/zerobusDirectWriteApi"
        ));
        for other in [
            "",
            "api://databricks/workspaces//zerobusDirectWriteApi",
            "api://databricks/workspaces/1/2/zerobusDirectWriteApi",
            "api://databricks/workspaces/1/zerobusDirectWriteApi/",
            "api://databricks/workspaces/1/sql",
            "https://databricks/workspaces/1/zerobusDirectWriteApi",
        ] {
            assert!(!is_zerobus(other), "{other}");
        }
    }
}
