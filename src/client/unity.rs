//! Asks Unity Catalog for a table's schema, with the token that its streams use.

use reqwest::{Response, StatusCode, Url};
use serde_json::Value;

use super::secret::Secret;
use super::status::{chain, said, seconds};
use super::token::TokenSource;
use crate::protocol::{Fault, FaultClass};
use crate::schema::CatalogTable;

/// The longest answer that is read: 2,000 columns of 8 KiB each.
const ANSWER_BYTES_MAX: usize = 16 << 20;

impl TokenSource {
    /// Fetches the schema of the table that the tokens are for: one attempt. A token that the
    /// catalog no longer knows is replaced once.
    ///
    /// # Errors
    /// No token, no answer, or one that names no table.
    pub async fn fetch_table(&mut self) -> Result<CatalogTable, Fault> {
        let (token, fresh) = self.token().await?;
        match self.ask(&token).await {
            Err((StatusCode::UNAUTHORIZED, fault)) => {
                self.forget(&token);
                if fresh {
                    return Err(fault);
                }
            }
            other => return other.map_err(|(_, fault)| fault),
        }
        let (token, _) = self.token().await?;
        self.ask(&token).await.map_err(|(_, fault)| fault)
    }

    async fn ask(&self, token: &Secret) -> Result<CatalogTable, (StatusCode, Fault)> {
        let url = self.table_url();
        let unanswered = |e: reqwest::Error| {
            let message = format!("no answer from {url}: {}", chain(&e.without_url()));
            (StatusCode::SERVICE_UNAVAILABLE, Fault::transient(message))
        };
        let request = self.http.get(url.clone()).bearer_auth(token.expose());
        let mut answer = request.send().await.map_err(unanswered)?;
        let status = answer.status();
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(unanswered)? {
            body.extend_from_slice(&chunk);
            if body.len() > ANSWER_BYTES_MAX {
                let message = format!("{url} answered more than {ANSWER_BYTES_MAX} bytes");
                return Err((status, Fault::new(FaultClass::Refused, message)));
            }
        }
        if !status.is_success() {
            let text = said(&body, &["message", "error_code"]);
            let message = format!("{url} answered {status}: {text}");
            return Err((status, Fault::new(class(&answer, &body), message)));
        }
        CatalogTable::from_answer(&body).map_err(|why| {
            let message = format!("the answer of {url} is no table: {why}");
            (status, Fault::new(FaultClass::Refused, message))
        })
    }

    fn table_url(&self) -> Url {
        let mut url = self.url.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            let name = self.table.to_string();
            path.clear()
                .extend(["api", "2.1", "unity-catalog", "tables", &name]);
        }
        url
    }
}

/// What an answer other than a table means.
fn class(answer: &Response, body: &[u8]) -> FaultClass {
    match answer.status() {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => FaultClass::Credentials,
        StatusCode::NOT_FOUND if names_what_is_missing(body) => FaultClass::NotFound,
        StatusCode::TOO_MANY_REQUESTS => {
            let after = answer.headers().get("retry-after");
            FaultClass::Throttled(after.and_then(|v| v.to_str().ok()).and_then(seconds))
        }
        status if status.is_server_error() => FaultClass::Transient,
        _ => FaultClass::Refused,
    }
}

/// Whether a 404 is of the table, its schema or its catalog: a server without a Unity Catalog
/// says that its path is missing, or nothing that it could be told by.
fn names_what_is_missing(body: &[u8]) -> bool {
    let body: Option<Value> = serde_json::from_slice(body).ok();
    let code = body.as_ref().and_then(|body| body["error_code"].as_str());
    code.is_some_and(|code| code.ends_with("_DOES_NOT_EXIST") || code.ends_with("TABLE_NOT_FOUND"))
}
