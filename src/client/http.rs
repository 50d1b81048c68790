//! What the answers over HTTP have in common: how much of one is read, and what is told by
//! one that comes from elsewhere than the workspace.

use std::time::Duration;

use reqwest::{Response, StatusCode, Url};

use super::status::{seconds, unanswered};
use crate::protocol::{Fault, FaultClass};

/// What to do where somebody else than the workspace answers, or nobody.
const CHECK_URL: &str =
    "check --workspace-url (DATABRICKS_HOST): it names the workspace, as a browser shows it";
const CHECK_URL_AND_NETWORK: &str =
    "check --workspace-url (DATABRICKS_HOST) and the network; the same command may succeed later";

/// An answer that was read to its end.
pub(super) struct Answer {
    pub status: StatusCode,
    pub retry_after: Option<Duration>,
    /// The host that a redirect names.
    pub points_to: Option<String>,
    pub body: Vec<u8>,
}

/// Reads an answer of up to `bytes_max` bytes.
pub(super) async fn read(
    url: &Url,
    mut answer: Response,
    bytes_max: usize,
) -> Result<Answer, Fault> {
    let header = |name: &str| answer.headers().get(name).and_then(|v| v.to_str().ok());
    let location = header("location").filter(|_| answer.status().is_redirection());
    let location = location.and_then(|place| url.join(place).ok());
    let mut read = Answer {
        status: answer.status(),
        retry_after: header("retry-after").and_then(seconds),
        points_to: location.and_then(|place| place.host_str().map(str::to_owned)),
        body: Vec::new(),
    };
    while let Some(chunk) = answer.chunk().await.map_err(|e| no_answer(url, e))? {
        if read.body.len() + chunk.len() > bytes_max {
            return Err(misdirected(format!(
                "{url} answered more than {bytes_max} bytes"
            )));
        }
        read.body.extend_from_slice(&chunk);
    }
    Ok(read)
}

/// The fault of a request that got no answer.
pub(super) fn no_answer(url: &Url, error: reqwest::Error) -> Fault {
    let fault = unanswered(&format!("no answer from {url}"), &error.without_url());
    match fault.class {
        FaultClass::Untrusted => fault,
        _ => fault.hint(CHECK_URL_AND_NETWORK),
    }
}

/// An answer that no workspace gives.
pub(super) fn misdirected(message: String) -> Fault {
    Fault::new(FaultClass::Misdirected, message).hint(CHECK_URL)
}

impl Answer {
    /// The fault of an answer that says nothing of credentials or tables, in the words
    /// `said`.
    pub(super) fn fault(&self, url: &Url, said: &str) -> Fault {
        let status = self.status;
        let place = match &self.points_to {
            Some(host) => format!(" and points to {host}"),
            None => String::new(),
        };
        let said = match said {
            "" => String::new(),
            said => format!(": {said}"),
        };
        let message = format!("{url} answered {status}{place}{said}");
        let passing = |class| Fault::new(class, message.clone()).hint(CHECK_URL_AND_NETWORK);
        match status {
            StatusCode::TOO_MANY_REQUESTS => passing(FaultClass::Throttled(self.retry_after)),
            status if status.is_server_error() => passing(FaultClass::Transient),
            _ => misdirected(message),
        }
    }
}
