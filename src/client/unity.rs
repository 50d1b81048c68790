//! Asks Unity Catalog for a table's schema, with the token that its streams use.

use reqwest::StatusCode;
use serde_json::Value;

use super::http::{misdirected, no_answer, read};
use super::status::said;
use super::token::{Shown, TokenSource};
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
        let (shown, fresh) = self.token().await?;
        match self.ask(&shown).await {
            Err((Some(StatusCode::UNAUTHORIZED), fault)) => {
                self.forget(&shown.token);
                if fresh {
                    return Err(fault);
                }
            }
            other => return other.map_err(|(_, fault)| fault),
        }
        let (shown, _) = self.token().await?;
        self.ask(&shown).await.map_err(|(_, fault)| fault)
    }

    async fn ask(&self, shown: &Shown) -> Result<CatalogTable, (Option<StatusCode>, Fault)> {
        let name = self.table.to_string();
        let url = self.url(&["api", "2.1", "unity-catalog", "tables", &name]);
        let url = url.map_err(|fault| (None, fault))?;
        let request = self.http.get(url.clone()).bearer_auth(shown.token.expose());
        let answer = request.send().await;
        let answer = answer.map_err(|e| (None, no_answer(&url, e)))?;
        let answer = read(&url, answer, ANSWER_BYTES_MAX).await;
        let answer = answer.map_err(|fault| (None, fault))?;
        let status = answer.status;
        if !status.is_success() {
            let text = said(&answer.body, &["message", "error_code"], |text| {
                shown.hide(text)
            });
            let of_class = |class| Fault::new(class, format!("{url} answered {status}: {text}"));
            let fault = match status {
                StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                    shown.judge(of_class(FaultClass::Credentials))
                }
                StatusCode::NOT_FOUND if names_what_is_missing(&answer.body) => {
                    of_class(FaultClass::NotFound)
                }
                StatusCode::BAD_REQUEST => of_class(FaultClass::Refused),
                _ => answer.fault(&url, &text),
            };
            return Err((Some(status), fault));
        }
        CatalogTable::from_answer(&answer.body).map_err(|why| {
            let why = shown.hide(&why);
            (
                Some(status),
                misdirected(format!("the answer of {url} is no table: {why}")),
            )
        })
    }
}

/// Whether a 404 is of the table, its schema or its catalog: a server without a Unity Catalog
/// says that its path is missing, or nothing that it could be told by.
fn names_what_is_missing(body: &[u8]) -> bool {
    let body: Option<Value> = serde_json::from_slice(body).ok();
    let code = body.as_ref().and_then(|body| body["error_code"].as_str());
    code.is_some_and(|code| code.ends_with("_DOES_NOT_EXIST") || code.ends_with("TABLE_NOT_FOUND"))
}
