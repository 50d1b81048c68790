//! What proves who is loading, and how a token is had that somebody else has made.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::io::AsyncReadExt as _;
use tokio::process::{Child, Command};

use super::secret::{Secret, hide};
use crate::protocol::{Fault, FaultClass};

/// What proves who is loading.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Credentials {
    /// A token that was obtained elsewhere.
    Token(Secret),
    /// A file that holds one. It is read again when the token is refused.
    TokenFile(PathBuf),
    /// A command of the shell that prints one, or JSON with one and its expiry.
    TokenCommand(String),
    /// A service principal, exchanged for tokens.
    Client {
        /// Its application id.
        id: String,
        /// Its OAuth secret.
        secret: Secret,
    },
    /// Workload identity federation: a JWT of somebody else, exchanged for tokens.
    Federated {
        /// The service principal's application id, where the policy is its own.
        client_id: Option<String>,
        /// The file that holds the JWT. It is read for each exchange.
        file: PathBuf,
    },
}

impl std::fmt::Debug for Credentials {
    /// Their kind: a command may hold a secret as well.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Token(_) => "Token",
            Self::TokenFile(_) => "TokenFile",
            Self::TokenCommand(_) => "TokenCommand",
            Self::Client { .. } => "Client",
            Self::Federated { .. } => "Federated",
        })
    }
}

impl Credentials {
    /// A service principal: its application id and its OAuth secret.
    pub fn client(id: impl Into<String>, secret: impl Into<String>) -> Self {
        Self::Client {
            id: id.into(),
            secret: Secret::new(secret),
        }
    }

    /// A token that was obtained elsewhere.
    pub fn token(token: impl Into<String>) -> Self {
        Self::Token(Secret::new(token))
    }

    /// A file that holds a token. It is read again when the token is refused.
    pub fn token_file(file: impl Into<PathBuf>) -> Self {
        Self::TokenFile(file.into())
    }

    /// A command of the shell that prints a token, or JSON with one and its expiry. It runs
    /// again when the token has expired.
    pub fn token_command(command: impl Into<String>) -> Self {
        Self::TokenCommand(command.into())
    }

    /// Workload identity federation: the file holds a JWT of somebody else, which is exchanged
    /// for tokens. The application id is that of the service principal, if the policy is its own.
    pub fn federated(client_id: Option<&str>, file: impl Into<PathBuf>) -> Self {
        Self::Federated {
            client_id: client_id.map(str::to_owned),
            file: file.into(),
        }
    }

    /// Whether tokens come from the workspace.
    #[doc(hidden)]
    pub fn needs_workspace(&self) -> bool {
        match self {
            Self::Token(_) | Self::TokenFile(_) | Self::TokenCommand(_) => false,
            Self::Client { .. } | Self::Federated { .. } => true,
        }
    }

    /// How long it may take to have a token from somebody else than the workspace.
    #[doc(hidden)]
    pub fn patience(&self) -> Duration {
        match self {
            Self::TokenCommand(_) => COMMAND_TIMEOUT,
            Self::Token(_) | Self::TokenFile(_) | Self::Client { .. } | Self::Federated { .. } => {
                Duration::ZERO
            }
        }
    }

    /// The service principal's application id, where it is known.
    #[doc(hidden)]
    pub fn client_id(&self) -> Option<&str> {
        match self {
            Self::Client { id, .. } => Some(id),
            Self::Federated { client_id, .. } => client_id.as_deref(),
            Self::Token(_) | Self::TokenFile(_) | Self::TokenCommand(_) => None,
        }
    }

    /// What to do where they are refused.
    pub(super) fn hint(&self) -> &'static str {
        match self {
            Self::Token(_) | Self::TokenFile(_) | Self::TokenCommand(_) => {
                "check that the token is whole, has not expired and is for this table, and that whom it stands for has USE CATALOG, USE SCHEMA, and SELECT and MODIFY on the table"
            }
            Self::Client { .. } => {
                "check client id and secret, and that the service principal has USE CATALOG, USE SCHEMA, and SELECT and MODIFY on the table"
            }
            Self::Federated { .. } => {
                "check client id and token file, the federation policy, and that the service principal has USE CATALOG, USE SCHEMA, and SELECT and MODIFY on the table"
            }
        }
    }
}

/// A token, and how long it is good for if that is known.
pub(super) struct Obtained {
    pub token: Secret,
    pub life: Option<Duration>,
}

/// The token in a file.
pub(super) async fn from_file(path: &Path) -> Result<Secret, Fault> {
    let file = path.to_owned();
    // A file may be on a disk, or a pipe, that lets one wait.
    let read = tokio::task::spawn_blocking(move || Secret::read(&file)).await;
    let read = read.unwrap_or_else(|e| Err(e.to_string()));
    read.map_err(|why| {
        let message = format!("{}: {why}", path.display());
        Fault::new(FaultClass::Credentials, message)
            .hint("check the file; it is read again whenever a token is needed")
    })
}

/// How long a command may take to print a token.
pub(super) const COMMAND_TIMEOUT: Duration = Duration::from_secs(30);
/// The most that it may print.
const PRINTED_BYTES_MAX: u64 = 1 << 20;
/// How much of what it says of a failure is shown, in characters.
const SAID_CHARS_MAX: usize = 300;

/// Runs a command of the shell that prints a token.
pub(super) async fn from_command(command: &str, timeout: Duration) -> Result<Obtained, Fault> {
    let failed = |why: String| {
        Fault::new(FaultClass::Credentials, format!("--token-command {why}"))
            .hint("run it by hand: it must print a token and nothing else, or JSON with access_token and expires_in or expiry")
    };
    let child = Command::new("/bin/sh")
        .args(["-c", command])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // A Ctrl-C in the terminal is meant for the load; what the shell starts ends with it.
        .process_group(0)
        .kill_on_drop(true)
        .spawn();
    let mut child = child.map_err(|e| failed(format!("cannot be run: {e}")))?;
    let _group = Group(child.id());
    let ended = tokio::time::timeout(timeout, output(&mut child)).await;
    let (status, printed, said) = ended
        .map_err(|_| {
            let seconds = timeout.as_secs_f64();
            // It may be quicker the next time.
            Fault::transient(format!("--token-command has not ended within {seconds} s"))
        })?
        .map_err(|e| failed(format!("cannot be read: {e}")))?;
    if !status.success() {
        // What it prints to standard output may be a secret.
        let in_tokens = |c: char| c.is_ascii_alphanumeric() || "-._~+/=".contains(c);
        let words: Vec<&str> = printed.split(|c| !in_tokens(c)).collect();
        let said: String = hide(said.trim(), &words)
            .chars()
            .take(SAID_CHARS_MAX)
            .collect();
        let said = match said.is_empty() {
            true => String::new(),
            false => format!(": {said}"),
        };
        return Err(failed(format!("has failed with {status}{said}")));
    }
    printed_token(&printed, jiff::Timestamp::now())
        .map_err(|why| failed(format!("has printed {why}")))
}

/// A process and all that it has started, killed when it is dropped.
struct Group(Option<u32>);

impl Drop for Group {
    fn drop(&mut self) {
        let id = self.0.and_then(|id| i32::try_from(id).ok());
        if let Some(group) = id.and_then(rustix::process::Pid::from_raw) {
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
    }
}

async fn output(child: &mut Child) -> std::io::Result<(std::process::ExitStatus, String, String)> {
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let mut printed = Vec::new();
    let mut said = Vec::new();
    let reading = async {
        let stdout = async {
            match stdout {
                Some(pipe) => pipe.take(PRINTED_BYTES_MAX).read_to_end(&mut printed).await,
                None => Ok(0),
            }
        };
        let stderr = async {
            match stderr {
                Some(pipe) => pipe.take(PRINTED_BYTES_MAX).read_to_end(&mut said).await,
                None => Ok(0),
            }
        };
        tokio::try_join!(stdout, stderr)
    };
    reading.await?;
    let status = child.wait().await?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ok((status, text(&printed), text(&said)))
}

/// The names that tools give to a token and its end.
const TOKEN_KEYS: [&str; 3] = ["access_token", "accessToken", "token"];
const LIFE_KEYS: [&str; 2] = ["expires_in", "expiresIn"];
const END_KEYS: [&str; 5] = [
    "expiry",
    "expires_at",
    "expires_on",
    "expiresOn",
    "expirationTimestamp",
];

/// A token as plain text, or JSON as the Databricks CLI and others print it. What is wrong is
/// told without any of it.
fn printed_token(printed: &str, now: jiff::Timestamp) -> Result<Obtained, String> {
    let text = printed.trim();
    if text.is_empty() {
        return Err("nothing".to_owned());
    }
    if !text.starts_with('{') {
        return match text.split_whitespace().count() {
            1 => Ok(Obtained {
                token: Secret::new(text),
                life: None,
            }),
            _ => Err("several words, and no JSON".to_owned()),
        };
    }
    let object: Value =
        serde_json::from_str(text).map_err(|_| "what begins like JSON and is none".to_owned())?;
    let token = TOKEN_KEYS.iter().find_map(|key| object[*key].as_str());
    let token = token.map(str::trim).filter(|token| !token.is_empty());
    let token = token.ok_or("JSON without an access_token")?;
    let life = LIFE_KEYS.iter().find_map(|key| lifetime(&object[*key]));
    let end = END_KEYS.iter().find_map(|key| instant(&object[*key]));
    let until = |end: jiff::Timestamp| {
        Duration::try_from(end.duration_since(now)).unwrap_or(Duration::ZERO)
    };
    Ok(Obtained {
        token: Secret::new(token),
        life: life.or(end.map(until)),
    })
}

/// RFC 3339, or seconds since 1970.
fn instant(value: &Value) -> Option<jiff::Timestamp> {
    match value {
        Value::Number(n) => jiff::Timestamp::from_second(n.as_i64()?).ok(),
        Value::String(s) => match s.parse::<i64>() {
            Ok(seconds) => jiff::Timestamp::from_second(seconds).ok(),
            Err(_) => s.parse().ok(),
        },
        _ => None,
    }
}

/// An integer, or an integer in quotes; what is missing or not positive is not known.
pub(super) fn lifetime(expires_in: &Value) -> Option<Duration> {
    let seconds = match expires_in {
        Value::Number(n) => n.as_u64()?,
        Value::String(s) => s.parse().ok()?,
        _ => return None,
    };
    (seconds > 0).then(|| Duration::from_secs(seconds.min(86_400 * 365)))
}

/// A token in hand.
pub(super) struct Cached {
    pub token: Secret,
    /// When a newer one is looked for; none: once it is refused.
    renew_at: Option<Instant>,
    expires_at: Option<Instant>,
}

/// A token is renewed when less than this, or half of its life, remains.
const RENEW_BEFORE: Duration = Duration::from_secs(300);

impl Cached {
    /// A token that was asked for at this time.
    pub(super) fn new(token: Secret, asked: Instant, life: Option<Duration>) -> Self {
        Self {
            token,
            renew_at: life.map(|life| asked + life - RENEW_BEFORE.min(life / 2)),
            expires_at: life.map(|life| asked + life),
        }
    }

    pub(super) fn is_fresh(&self) -> bool {
        self.renew_at.is_none_or(|at| Instant::now() < at)
    }

    pub(super) fn is_good(&self) -> bool {
        self.expires_at.is_none_or(|at| Instant::now() < at)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn lifetimes_in_every_form() {
        assert_eq!(lifetime(&json!(3600)), Some(Duration::from_secs(3600)));
        assert_eq!(lifetime(&json!("60")), Some(Duration::from_secs(60)));
        for none in [json!(0), json!(-1), json!(null), json!("soon")] {
            assert_eq!(lifetime(&none), None, "{none}");
        }
    }

    #[tokio::test]
    async fn a_command_that_does_not_end_is_killed_with_all_that_it_has_started() {
        let dir = tempfile::TempDir::new().unwrap();
        let (pid, path) = (dir.path().join("pid"), dir.path().display());
        let command = format!("sleep 1000 & echo $! > {path}/pid; wait");
        let begun = Instant::now();
        let late = from_command(&command, Duration::from_secs(1)).await;
        let late = late.err().unwrap();
        assert_eq!(late.class, FaultClass::Transient, "{late}");
        assert!(begun.elapsed() < Duration::from_secs(500));
        let pid: i32 = std::fs::read_to_string(pid)
            .unwrap()
            .trim()
            .parse()
            .unwrap();
        let pid = rustix::process::Pid::from_raw(pid).unwrap();
        // It is dead, though nobody may have taken note of it yet.
        let state = format!("/proc/{}/stat", pid.as_raw_nonzero());
        let is_dead = || std::fs::read_to_string(&state).map_or(true, |s| s.contains(") Z "));
        while !is_dead() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    #[test]
    fn tokens_as_commands_print_them() {
        let now: jiff::Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let of = |text: &str| {
            let obtained = printed_token(text, now)?;
            let life = obtained.life.map(|life| life.as_secs());
            Ok::<_, String>((obtained.token.expose().to_owned(), life))
        };
        let t = |life| Ok(("t0ken".to_owned(), life));
        assert_eq!(of("t0ken\n"), t(None));
        assert_eq!(of(r#"{"access_token":"t0ken"}"#), t(None));
        assert_eq!(
            of(r#"{"access_token":"t0ken","expires_in":"90"}"#),
            t(Some(90))
        );
        let expiry = r#"{"access_token":"t0ken","token_type":"Bearer","expiry":"2026-01-01T02:00:00.5+01:00"}"#;
        assert_eq!(of(expiry), t(Some(3600)));
        assert_eq!(
            of(r#"{"accessToken":"t0ken","expires_on":1767225660}"#),
            t(Some(60))
        );
        let past = r#"{"access_token":"t0ken","expiry":"2020-01-01T00:00:00Z"}"#;
        assert_eq!(of(past), t(Some(0)));
        for bad in ["", " \n", "Your token: abc", "{\"a\":1}", "{abcsecret"] {
            let why = of(bad).unwrap_err();
            assert!(!why.contains("secret"), "{why}");
        }
    }
}
