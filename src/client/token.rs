//! OAuth tokens by client credentials, kept until shortly before they expire.

use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use reqwest::{StatusCode, Url};
use serde_json::{Value, json};
use tonic::Status;

use super::http::{Answer, misdirected, no_answer, read};
use super::secret::{Secret, hide};
use super::status::{self, chain, said};
use crate::protocol::{Fault, FaultClass};
use crate::schema::TableName;

/// What proves who is loading.
#[derive(Debug, Clone)]
pub enum Credentials {
    /// A token that was obtained elsewhere.
    Token(Secret),
    /// A service principal, exchanged for tokens.
    Client {
        /// Its application id.
        id: String,
        /// Its OAuth secret.
        secret: Secret,
    },
}

/// The longest answer with a token that is read.
const ANSWER_BYTES_MAX: usize = 1 << 20;

impl Credentials {
    /// What a server has said, without what it may echo.
    fn hide(&self, said: &str) -> String {
        match self {
            Self::Token(token) => hide(said, &[token.expose()]),
            Self::Client { id, secret } => {
                let basic = BASE64.encode(format!("{id}:{}", secret.expose()));
                hide(said, &[&basic, secret.expose()])
            }
        }
    }

    /// What to do where they are refused.
    fn hint(&self) -> &'static str {
        match self {
            Self::Token(_) => {
                "check that the token is whole, has not expired and is for this table, and that whom it stands for has USE CATALOG, USE SCHEMA, and SELECT and MODIFY on the table"
            }
            Self::Client { .. } => {
                "check client id and secret, and that the service principal has USE CATALOG, USE SCHEMA, and SELECT and MODIFY on the table"
            }
        }
    }
}

/// What is shown to a server to be let in.
pub struct Shown {
    pub(super) token: Secret,
    /// Where the token comes from.
    credentials: Credentials,
}

impl Shown {
    /// What the server has said, without what it may echo.
    pub(super) fn hide(&self, said: &str) -> String {
        self.credentials.hide(&hide(said, &[self.token.expose()]))
    }

    /// The fault in what the server has said.
    pub(super) fn judge(&self, mut fault: Fault) -> Fault {
        fault.message = self.hide(&fault.message);
        if fault.class == FaultClass::Credentials {
            fault.hint = Some(self.credentials.hint());
        }
        fault
    }

    /// The fault that a status stands for.
    pub(super) fn fault(&self, status: &Status) -> Fault {
        self.judge(status::fault(status))
    }
}

/// Hands out tokens for one table.
pub struct TokenSource {
    pub(super) http: reqwest::Client,
    /// The workspace: what hands out tokens and serves Unity Catalog. A token needs none.
    pub(super) workspace: Option<Url>,
    workspace_id: String,
    pub(super) table: TableName,
    credentials: Credentials,
    cached: Option<Cached>,
}

struct Cached {
    token: Secret,
    renew_at: Instant,
    expires_at: Instant,
}

/// A token is renewed when less than this, or half of its life, remains.
const RENEW_BEFORE: Duration = Duration::from_secs(300);

impl TokenSource {
    /// A source for tokens to write to `table` in the workspace at `workspace_url`.
    ///
    /// # Errors
    /// A URL that is none, or an HTTP client that cannot be set up.
    pub fn new(
        workspace_url: Option<&str>,
        workspace_id: &str,
        table: &TableName,
        credentials: Credentials,
    ) -> Result<Self, Fault> {
        let refused = |message: String| Fault::new(FaultClass::Refused, message);
        let parsed =
            |url| Url::parse(url).map_err(|e| refused(format!("workspace URL \"{url}\": {e}")));
        let workspace = workspace_url.map(parsed).transpose()?;
        // A secret goes to the host it is meant for, and nowhere else.
        let mut http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
        let host = workspace.as_ref().and_then(Url::host_str);
        if host.is_some_and(is_loopback) {
            http = http.no_proxy();
        }
        let http = http
            .user_agent(super::connect::USER_AGENT)
            .build()
            .map_err(|e| refused(format!("HTTP client: {}", chain(&e))))?;
        Ok(Self {
            http,
            workspace,
            workspace_id: workspace_id.to_owned(),
            table: table.clone(),
            credentials,
            cached: None,
        })
    }

    /// A token, and whether it was obtained just now. One that is due for renewal and still
    /// good serves as long as there is no newer one.
    ///
    /// # Errors
    /// The token endpoint cannot be reached or refuses.
    pub async fn token(&mut self) -> Result<(Shown, bool), Fault> {
        let credentials = self.credentials.clone();
        let shown = |token: &Secret| Shown {
            token: token.clone(),
            credentials: credentials.clone(),
        };
        let (id, secret) = match &credentials {
            // There is no fresher one.
            Credentials::Token(token) => return Ok((shown(token), true)),
            Credentials::Client { id, secret } => (id, secret),
        };
        let good = |at: fn(&Cached) -> Instant, cached: &Option<Cached>| {
            let cached = cached.as_ref().filter(|c| Instant::now() < at(c));
            cached.map(|c| (shown(&c.token), false))
        };
        if let Some(token) = good(|c| c.renew_at, &self.cached) {
            return Ok(token);
        }
        match self.fetch(id, secret).await {
            Ok(token) => Ok((shown(&token), true)),
            Err(fault) => good(|c| c.expires_at, &self.cached).ok_or(fault),
        }
    }

    async fn fetch(&mut self, id: &str, secret: &Secret) -> Result<Secret, Fault> {
        let form = [
            ("grant_type", "client_credentials".to_owned()),
            ("scope", "all-apis".to_owned()),
            (
                "resource",
                format!(
                    "api://databricks/workspaces/{}/zerobusDirectWriteApi",
                    self.workspace_id
                ),
            ),
            ("authorization_details", authorization_details(&self.table)),
        ];
        let url = self.url(&["oidc", "v1", "token"])?;
        let asked = Instant::now();
        let answer = self
            .http
            .post(url.clone())
            .basic_auth(id, Some(secret.expose()))
            .form(&form)
            .send()
            .await
            .map_err(|e| no_answer(&url, e))?;
        let answer = read(&url, answer, ANSWER_BYTES_MAX).await?;
        if !answer.status.is_success() {
            return Err(self.refusal(&url, &answer));
        }
        let unreadable = |what: &str| misdirected(format!("the answer of {url} {what}"));
        let answer: Value =
            serde_json::from_slice(&answer.body).map_err(|_| unreadable("is not JSON"))?;
        let token = answer["access_token"].as_str().unwrap_or_default();
        if token.is_empty() {
            return Err(unreadable("has no access_token"));
        }
        let token = Secret::new(token);
        self.cached = lifetime(&answer["expires_in"]).map(|life| Cached {
            token: token.clone(),
            renew_at: asked + life - RENEW_BEFORE.min(life / 2),
            expires_at: asked + life,
        });
        Ok(token)
    }

    /// A URL of the workspace.
    pub(super) fn url(&self, path: &[&str]) -> Result<Url, Fault> {
        let none = || Fault::new(FaultClass::Refused, "no workspace URL is given");
        let mut url = self.workspace.clone().ok_or_else(none)?;
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.clear().extend(path);
        }
        Ok(url)
    }

    /// Throws a token away that the server has refused; one that was obtained since stays.
    pub fn forget(&mut self, refused: &Secret) {
        if self
            .cached
            .as_ref()
            .is_some_and(|c| c.token.expose() == refused.expose())
        {
            self.cached = None;
        }
    }

    fn refusal(&self, url: &Url, answer: &Answer) -> Fault {
        let keys = ["error_description", "message", "error"];
        let said = said(&answer.body, &keys, |text| self.credentials.hide(text));
        match answer.status {
            StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                let message = format!("{url} answered {}: {said}", answer.status);
                Fault::new(FaultClass::Credentials, message).hint(self.credentials.hint())
            }
            _ => answer.fault(url, &said),
        }
    }
}

/// The privileges that writing to a table needs, as the token endpoint wants them named. A
/// token for the table alone would be minted, and refused on write.
fn authorization_details(table: &TableName) -> String {
    let privilege = |object_type: &str, name: String, privileges: &[&str]| {
        json!({
            "type": "unity_catalog_privileges",
            "privileges": privileges,
            "object_type": object_type,
            "object_full_path": name,
        })
    };
    let schema = format!("{}.{}", table.catalog(), table.schema());
    let mut on_table = privilege("TABLE", table.to_string(), &["SELECT", "MODIFY"]);
    on_table["operations"] = json!(["zerobuswrite"]);
    json!([
        privilege("CATALOG", table.catalog().to_owned(), &["USE CATALOG"]),
        privilege("SCHEMA", schema, &["USE SCHEMA"]),
        on_table,
    ])
    .to_string()
}

/// An integer, or an integer in quotes; what is missing or not positive is not cached.
fn lifetime(expires_in: &Value) -> Option<Duration> {
    let seconds = match expires_in {
        Value::Number(n) => n.as_u64()?,
        Value::String(s) => s.parse().ok()?,
        _ => return None,
    };
    (seconds > 0).then(|| Duration::from_secs(seconds.min(86_400 * 365)))
}

/// Whether a host is this machine: it is never reached through a proxy.
pub(crate) fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare == "localhost"
        || bare
            .parse::<std::net::IpAddr>()
            .is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lifetimes_in_every_form() {
        assert_eq!(lifetime(&json!(3600)), Some(Duration::from_secs(3600)));
        assert_eq!(lifetime(&json!("60")), Some(Duration::from_secs(60)));
        for none in [json!(0), json!(-1), json!(null), json!("soon")] {
            assert_eq!(lifetime(&none), None, "{none}");
        }
    }

    #[test]
    fn the_details_name_catalog_schema_and_table() {
        let details: Value =
            serde_json::from_str(&authorization_details(&"c.s.t".parse().unwrap())).unwrap();
        let paths: Vec<_> = details
            .as_array()
            .unwrap()
            .iter()
            .map(|d| &d["object_full_path"])
            .collect();
        assert_eq!(paths, ["c", "c.s", "c.s.t"]);
        assert_eq!(details[2]["operations"], json!(["zerobuswrite"]));
    }
}
