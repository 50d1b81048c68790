//! Tokens to write to a table, from whoever makes them, kept until shortly before they expire.

use std::sync::PoisonError;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use reqwest::{RequestBuilder, StatusCode, Url};
use serde_json::{Value, json};
use tonic::Status;

use super::credentials::{COMMAND_TIMEOUT, Cached, Credentials, from_command, from_file, lifetime};
use super::http::{Answer, misdirected, no_answer, read};
use super::network::Network;
use super::secret::{Secret, hide};
use super::status::{self, said};
use crate::protocol::{Fault, FaultClass};
use crate::schema::TableName;

/// How long it may take to obtain a token, and to renew one that still serves: less than an
/// attempt to connect has.
const OBTAINING_MAX: Duration = Duration::from_secs(60);
const RENEWAL_MAX: Duration = Duration::from_secs(10);

/// The longest answer with a token that is read.
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// The workspace's id, as the token's resource names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WorkspaceId {
    /// It is given.
    Known(String),
    /// The workspace is asked for it.
    Asked {
        /// What serves if it does not tell.
        or_else: String,
    },
}

impl WorkspaceId {
    /// The id as far as it is known.
    pub fn shown(&self) -> &str {
        match self {
            Self::Known(id) | Self::Asked { or_else: id } => id,
        }
    }
}

/// What is shown to a server to be let in.
pub struct Shown {
    pub(super) token: Secret,
    /// What must not be told of it.
    secrets: Vec<Secret>,
    /// What to do where it is refused.
    hint: &'static str,
}

impl Shown {
    /// What the server has said, without what it may echo.
    pub(super) fn hide(&self, said: &str) -> String {
        let secrets = self.secrets.iter().chain([&self.token]);
        hide(said, &secrets.map(Secret::expose).collect::<Vec<_>>())
    }

    /// The fault in what the server has said.
    pub(super) fn judge(&self, mut fault: Fault) -> Fault {
        fault.message = self.hide(&fault.message);
        if fault.class == FaultClass::Credentials {
            fault.hint = Some(self.hint);
        }
        fault
    }

    /// The fault that a status stands for.
    pub(super) fn fault(&self, status: &Status) -> Fault {
        self.judge(status::fault(status))
    }
}

/// A source that several streams share.
pub(crate) struct Tokens {
    /// Held while a token is being obtained: others want the same one.
    source: tokio::sync::Mutex<TokenSource>,
    /// What a server has refused since. It is noted without waiting for the source.
    refused: std::sync::Mutex<Option<Secret>>,
}

impl Tokens {
    pub(crate) fn new(source: TokenSource) -> Self {
        Self {
            source: tokio::sync::Mutex::new(source),
            refused: std::sync::Mutex::default(),
        }
    }

    /// As [`TokenSource::token`].
    pub(super) async fn token(&self) -> Result<Shown, Fault> {
        let mut source = self.source.lock().await;
        if let Some(refused) = self.refused().take() {
            source.forget(&refused);
        }
        Ok(source.token().await?.0)
    }

    /// The server has refused this token.
    pub(super) fn forget(&self, token: &Secret) {
        *self.refused() = Some(token.clone());
    }

    fn refused(&self) -> std::sync::MutexGuard<'_, Option<Secret>> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Hands out tokens for one table.
pub struct TokenSource {
    pub(super) http: reqwest::Client,
    /// The workspace: what hands out tokens and serves Unity Catalog. A token needs none.
    pub(super) workspace: Option<Url>,
    workspace_id: WorkspaceId,
    pub(super) table: TableName,
    credentials: Credentials,
    /// The values of headers that go with each request.
    headers: Vec<Secret>,
    cached: Option<Cached>,
}

impl TokenSource {
    /// A source for tokens to write to `table` in the workspace at `workspace_url`.
    ///
    /// # Errors
    /// A URL that is none, or an HTTP client that cannot be set up.
    pub fn new(
        workspace_url: Option<&str>,
        workspace_id: WorkspaceId,
        table: &TableName,
        credentials: Credentials,
        network: &Network,
    ) -> Result<Self, Fault> {
        let refused = |message: String| Fault::new(FaultClass::Refused, message);
        let parsed =
            |url| Url::parse(url).map_err(|e| refused(format!("workspace URL \"{url}\": {e}")));
        let workspace = workspace_url.map(parsed).transpose()?;
        let host = workspace.as_ref().and_then(Url::host_str);
        Ok(Self {
            http: network.http(host)?,
            workspace,
            workspace_id,
            table: table.clone(),
            credentials,
            headers: network.secrets().collect(),
            cached: None,
        })
    }

    /// A token, and whether it was obtained just now. One that is due for renewal and still
    /// good serves as long as there is no newer one.
    ///
    /// # Errors
    /// Whoever makes tokens cannot be reached or refuses.
    pub async fn token(&mut self) -> Result<(Shown, bool), Fault> {
        let cached = |is: fn(&Cached) -> bool, cached: &Option<Cached>| {
            cached.as_ref().filter(|c| is(c)).map(|c| c.token.clone())
        };
        if let Some(token) = cached(Cached::is_fresh, &self.cached) {
            return Ok((self.shown(token), false));
        }
        let patience = match cached(Cached::is_good, &self.cached) {
            Some(_) => RENEWAL_MAX,
            None => OBTAINING_MAX,
        };
        let obtained = tokio::time::timeout(patience, self.obtain()).await;
        let obtained = obtained.unwrap_or_else(|_| {
            let seconds = patience.as_secs();
            Err(Fault::transient(format!("no token within {seconds} s")))
        });
        match obtained.and_then(|token| self.checked(token)) {
            Ok(token) => Ok((self.shown(token), true)),
            Err(fault) => match cached(Cached::is_good, &self.cached) {
                Some(token) => Ok((self.shown(token), false)),
                None => Err(fault),
            },
        }
    }

    /// A token that a header can hold.
    fn checked(&mut self, token: Secret) -> Result<Secret, Fault> {
        if token.expose().bytes().all(|b| matches!(b, b' '..=b'~')) {
            return Ok(token);
        }
        self.cached = None;
        let message = "the token holds a line's end or another character that no header can hold";
        Err(Fault::new(FaultClass::Credentials, message).hint(self.credentials.hint()))
    }

    fn shown(&self, token: Secret) -> Shown {
        Shown {
            token,
            secrets: self.secrets(None),
            hint: self.credentials.hint(),
        }
    }

    /// All that must not be told, and the JWT that is being exchanged.
    fn secrets(&self, subject: Option<&Secret>) -> Vec<Secret> {
        let mut secrets = self.headers.clone();
        match &self.credentials {
            Credentials::Client { id, secret } => {
                let basic = BASE64.encode(format!("{id}:{}", secret.expose()));
                secrets.extend([Secret::new(basic), secret.clone()]);
            }
            Credentials::Token(token) => secrets.push(token.clone()),
            Credentials::TokenFile(_)
            | Credentials::TokenCommand(_)
            | Credentials::Federated { .. } => {}
        }
        secrets.extend(subject.cloned());
        secrets
    }

    /// A new token from whoever makes them.
    async fn obtain(&mut self) -> Result<Secret, Fault> {
        let asked = Instant::now();
        let (token, life) = match self.credentials.clone() {
            // There is no fresher one.
            Credentials::Token(token) => return Ok(token),
            Credentials::TokenFile(file) => (from_file(&file).await?, None),
            Credentials::TokenCommand(command) => {
                let obtained = from_command(&command, COMMAND_TIMEOUT).await?;
                (obtained.token, obtained.life)
            }
            Credentials::Client { id, secret } => {
                let grant = [("grant_type", "client_credentials".to_owned())];
                let basic =
                    |request: RequestBuilder| request.basic_auth(&id, Some(secret.expose()));
                self.ask_for_token(&grant, basic, None).await?
            }
            Credentials::Federated { client_id, file } => {
                let subject = from_file(&file).await?;
                let mut grant = vec![
                    ("grant_type", TOKEN_EXCHANGE.to_owned()),
                    ("subject_token", subject.expose().to_owned()),
                    ("subject_token_type", JWT.to_owned()),
                ];
                grant.extend(client_id.map(|id| ("client_id", id)));
                self.ask_for_token(&grant, |r| r, Some(&subject)).await?
            }
        };
        // One that the workspace has made, without saying for how long, is not kept.
        if life.is_none() && self.credentials.needs_workspace() {
            return Ok(token);
        }
        self.cached = Some(Cached::new(token.clone(), asked, life));
        Ok(token)
    }

    /// Asks the workspace for a token (PROTOCOL 2).
    async fn ask_for_token(
        &mut self,
        grant: &[(&'static str, String)],
        authorize: impl FnOnce(RequestBuilder) -> RequestBuilder,
        subject: Option<&Secret>,
    ) -> Result<(Secret, Option<Duration>), Fault> {
        let id = self.workspace_id().await?;
        let mut form = grant.to_vec();
        form.extend([
            ("scope", "all-apis".to_owned()),
            (
                "resource",
                format!("api://databricks/workspaces/{id}/zerobusDirectWriteApi"),
            ),
            ("authorization_details", authorization_details(&self.table)),
        ]);
        let url = self.url(&["oidc", "v1", "token"])?;
        let request = authorize(self.http.post(url.clone())).form(&form);
        let answer = request.send().await.map_err(|e| no_answer(&url, e))?;
        let answer = read(&url, answer, ANSWER_BYTES_MAX).await?;
        if !answer.status.is_success() {
            return Err(self.refusal(&url, &answer, subject));
        }
        let unreadable = |what: &str| misdirected(format!("the answer of {url} {what}"));
        let answer: Value =
            serde_json::from_slice(&answer.body).map_err(|_| unreadable("is not JSON"))?;
        let token = answer["access_token"].as_str().unwrap_or_default();
        if token.is_empty() {
            return Err(unreadable("has no access_token"));
        }
        Ok((Secret::new(token), lifetime(&answer["expires_in"])))
    }

    /// The workspace's id; the workspace tells it, if it can, to whom it is not given.
    ///
    /// # Errors
    /// The workspace cannot be asked for now: another id would be refused for good.
    pub async fn workspace_id(&mut self) -> Result<String, Fault> {
        if let WorkspaceId::Asked { or_else } = &self.workspace_id {
            let told = self.discover().await?;
            let id = told.unwrap_or_else(|| or_else.clone());
            self.workspace_id = WorkspaceId::Known(id);
        }
        Ok(self.workspace_id.shown().to_owned())
    }

    async fn discover(&self) -> Result<Option<String>, Fault> {
        let url = self.url(&[".well-known", "databricks-config"])?;
        let request = self.http.get(url.clone()).timeout(DISCOVERY_TIMEOUT);
        let answer = request.send().await.map_err(|e| no_answer(&url, e))?;
        let answer = read(&url, answer, ANSWER_BYTES_MAX).await?;
        if answer.status.is_server_error() || answer.status == StatusCode::TOO_MANY_REQUESTS {
            return Err(answer.fault(&url, ""));
        }
        let told: Option<Value> = serde_json::from_slice(&answer.body).ok();
        Ok(match told.as_ref().map(|told| &told["workspace_id"]) {
            Some(Value::String(id)) if !id.is_empty() => Some(id.clone()),
            Some(Value::Number(id)) => Some(id.to_string()),
            _ => None,
        })
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

    fn refusal(&self, url: &Url, answer: &Answer, subject: Option<&Secret>) -> Fault {
        let secrets = self.secrets(subject);
        let secrets: Vec<_> = secrets.iter().map(Secret::expose).collect();
        let keys = ["error_description", "message", "error"];
        let said = said(&answer.body, &keys, |text| hide(text, &secrets));
        match answer.status {
            StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                let message = format!("{url} answered {}: {said}", answer.status);
                Fault::new(FaultClass::Credentials, message).hint(self.credentials.hint())
            }
            _ => answer.fault(url, &said),
        }
    }
}

const TOKEN_EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";
/// How long the workspace may take to tell its id.
const DISCOVERY_TIMEOUT: Duration = Duration::from_secs(5);

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

#[cfg(test)]
mod tests {
    use super::*;

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
