//! Flags and environment resolved once into plain values. The only reader of the
//! environment; below it nobody sees clap.

use std::path::Path;

use crate::cli::IngestArgs;
use crate::client::{Credentials, Secret};
use crate::error::{Failure, Kind};

/// Where the service is and who asks.
#[derive(Debug)]
pub struct Service {
    /// The Zerobus endpoint, with its scheme.
    pub endpoint: String,
    /// The workspace's URL, with its scheme. A token needs none.
    pub workspace_url: Option<String>,
    /// The workspace's id.
    pub workspace_id: String,
    /// What proves who is loading.
    pub credentials: Credentials,
    /// What the user should know about these settings.
    pub warnings: Vec<String>,
}

/// A variable of the environment; empty counts as absent.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The process's own environment.
pub fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

impl Service {
    /// Resolves the settings of a load: flags beat the environment.
    ///
    /// # Errors
    /// What is missing or contradicts itself, and where it may be given.
    pub fn resolve(args: &IngestArgs, env: Environment<'_>) -> Result<Self, Failure> {
        let mut warnings = Vec::new();
        let endpoint = given(
            args.endpoint.as_ref(),
            env,
            &["ZEROBUS_ENDPOINT", "ZEROBUS_SERVER_ENDPOINT"],
        )
        .ok_or_else(|| {
            missing("no Zerobus endpoint is given")
                .hint("give --endpoint or set ZEROBUS_ENDPOINT; --local DIR needs none of them")
        })?;
        let endpoint = Url::parse("--endpoint", &endpoint, args.allow_plaintext)?;
        let credentials = credentials(args, env, &mut warnings)?;
        let workspace = given(
            args.workspace_url.as_ref(),
            env,
            &["DATABRICKS_HOST", "DATABRICKS_WORKSPACE_URL"],
        );
        let workspace_url = match (workspace, &credentials) {
            (Some(url), _) => Some(Url::parse("--workspace-url", &url, args.allow_plaintext)?.text),
            // A token needs nobody to hand one out, and the service's endpoint is another host
            // than the workspace. The local server is both.
            (None, Credentials::Token(_)) => {
                crate::client::is_loopback(&endpoint.host).then(|| endpoint.text.clone())
            }
            (None, Credentials::Client { .. }) => {
                return Err(missing("no workspace URL is given, which hands out tokens")
                    .hint("give --workspace-url or set DATABRICKS_HOST"));
            }
        };
        let workspace_id = given(
            args.workspace_id.as_ref(),
            env,
            &["DATABRICKS_WORKSPACE_ID"],
        )
        .unwrap_or_else(|| workspace_id(&endpoint.host));
        Ok(Self {
            endpoint: endpoint.text,
            workspace_url,
            workspace_id,
            credentials,
            warnings,
        })
    }

    /// What tells this workspace from others: its URL, or else that of its endpoint.
    pub fn workspace(&self) -> &str {
        self.workspace_url.as_ref().unwrap_or(&self.endpoint)
    }
}

fn given(flag: Option<&String>, env: Environment<'_>, names: &[&str]) -> Option<String> {
    flag.cloned()
        .or_else(|| names.iter().find_map(|name| env(name)))
}

fn missing(what: &str) -> Failure {
    Failure::new(Kind::Settings, what)
}

/// Id and secret come from one place: flags, or the environment.
fn credentials(
    args: &IngestArgs,
    env: Environment<'_>,
    warnings: &mut Vec<String>,
) -> Result<Credentials, Failure> {
    let exposed = |flag: &str, instead: &str| {
        format!(
            "{flag} on the command line can be read by every user of this machine; use {instead}"
        )
    };
    if let Some(token) = &args.token {
        warnings.push(exposed("--token", "--token-file or ZEROBUS_TOKEN"));
        return Ok(Credentials::Token(Secret::new(token)));
    }
    if let Some(file) = &args.token_file {
        return Ok(Credentials::Token(secret_file(file)?));
    }
    let secret_flag = match (&args.client_secret, &args.client_secret_file) {
        (Some(secret), _) => {
            warnings.push(exposed(
                "--client-secret",
                "--client-secret-file or DATABRICKS_CLIENT_SECRET",
            ));
            Some(Secret::new(secret))
        }
        (None, Some(file)) => Some(secret_file(file)?),
        (None, None) => None,
    };
    let env_pair = (env("DATABRICKS_CLIENT_ID"), env("DATABRICKS_CLIENT_SECRET"));
    let half = |have: &str, lack: &str, elsewhere: Option<&str>| {
        let mut message = format!("{have} is given without {lack}");
        if let Some(elsewhere) = elsewhere {
            message.push_str(&format!(
                " ({elsewhere} is set, but id and secret must come from one place)"
            ));
        }
        missing(&message).hint(format!("give {lack} too, or both in the environment"))
    };
    match (&args.client_id, secret_flag) {
        (Some(id), Some(secret)) => {
            return Ok(Credentials::Client {
                id: id.clone(),
                secret,
            });
        }
        (Some(_), None) => {
            let set = env_pair.1.is_some().then_some("DATABRICKS_CLIENT_SECRET");
            return Err(half(
                "--client-id",
                "--client-secret-file (or --client-secret)",
                set,
            ));
        }
        (None, Some(_)) => {
            let set = env_pair.0.is_some().then_some("DATABRICKS_CLIENT_ID");
            return Err(half("--client-secret", "--client-id", set));
        }
        (None, None) => {}
    }
    if let Some(token) = env("ZEROBUS_TOKEN") {
        return Ok(Credentials::Token(Secret::new(token)));
    }
    match env_pair {
        (Some(id), Some(secret)) => Ok(Credentials::Client { id, secret: Secret::new(secret) }),
        (Some(_), None) => Err(half("DATABRICKS_CLIENT_ID", "DATABRICKS_CLIENT_SECRET", None)),
        (None, Some(_)) => Err(half("DATABRICKS_CLIENT_SECRET", "DATABRICKS_CLIENT_ID", None)),
        (None, None) => Err(missing("no credentials are given").hint(
            "set DATABRICKS_CLIENT_ID and DATABRICKS_CLIENT_SECRET, or give --client-id and --client-secret-file",
        )),
    }
}

fn secret_file(path: &Path) -> Result<Secret, Failure> {
    let at = |message: String| {
        Failure::new(Kind::Settings, message).at(path.display().to_string(), None)
    };
    let text =
        std::fs::read_to_string(path).map_err(|e| at(format!("cannot read the secret: {e}")))?;
    let secret = Secret::new(text.trim());
    if secret.is_empty() {
        return Err(at("holds no secret".to_owned()));
    }
    Ok(secret)
}

struct Url {
    text: String,
    host: String,
}

impl Url {
    /// Adds `https://` where there is no scheme; cuts path and query.
    fn parse(flag: &str, given: &str, allow_plaintext: bool) -> Result<Self, Failure> {
        let given = given.trim();
        if given.contains('@') {
            // Not shown: it may hold a password.
            let what = format!("{flag} holds a user or password, expected a host");
            return Err(missing(&what));
        }
        let bad = |what: &str| Failure::new(Kind::Settings, format!("{flag} \"{given}\" {what}"));
        let (scheme, rest) = given.split_once("://").unwrap_or(("https", given));
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let host = match authority.strip_prefix('[') {
            Some(v6) => v6.split(']').next().unwrap_or_default(),
            None => authority.split(':').next().unwrap_or_default(),
        };
        if host.is_empty() || host.contains(char::is_whitespace) {
            return Err(bad("names no host"));
        }
        match scheme {
            "https" => {}
            "http" if allow_plaintext || crate::client::is_loopback(host) => {}
            "http" => {
                return Err(bad("is not encrypted")
                    .hint("use https://, or --allow-plaintext if the network is trusted"));
            }
            _ => return Err(bad("has an unknown scheme, expected https://")),
        }
        Ok(Self {
            text: format!("{scheme}://{authority}"),
            host: host.to_owned(),
        })
    }
}

/// The workspace id is the first label of the endpoint's host; addresses and names without a
/// dot have none.
fn workspace_id(host: &str) -> String {
    match host.split_once('.') {
        Some((id, _)) if host.parse::<std::net::IpAddr>().is_err() => id.to_owned(),
        _ => "local".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::{Cli, Command};

    fn resolve(flags: &[&str], env: &[(&str, &str)]) -> Result<Service, String> {
        let base = ["zerobus", "ingest", "--table", "a.b.c"];
        let cli = Cli::try_parse_from(base.iter().chain(flags)).unwrap();
        let Command::Ingest(args) = cli.command else {
            unreachable!()
        };
        let env = |name: &str| {
            env.iter()
                .find(|(n, _)| *n == name)
                .map(|(_, v)| (*v).to_owned())
        };
        Service::resolve(&args, &env).map_err(|f| f.to_string())
    }

    const ENV: [(&str, &str); 4] = [
        (
            "ZEROBUS_ENDPOINT",
            "123.zerobus.us-west-2.cloud.databricks.com",
        ),
        ("DATABRICKS_HOST", "dbc-1.cloud.databricks.com/?o=123"),
        ("DATABRICKS_CLIENT_ID", "id"),
        ("DATABRICKS_CLIENT_SECRET", "s3cret"),
    ];

    #[test]
    fn the_environment_is_enough() {
        let service = resolve(&[], &ENV).unwrap();
        assert_eq!(
            service.endpoint,
            "https://123.zerobus.us-west-2.cloud.databricks.com"
        );
        let workspace = service.workspace_url.as_deref();
        assert_eq!(workspace, Some("https://dbc-1.cloud.databricks.com"));
        assert_eq!(service.workspace_id, "123");
        assert!(!format!("{service:?}").contains("s3cret"));
    }

    #[test]
    fn flags_beat_the_environment_and_pairs_stay_together() {
        let service = resolve(&["--endpoint", "http://127.0.0.1:1"], &ENV).unwrap();
        assert_eq!(
            (service.endpoint.as_str(), service.workspace_id.as_str()),
            ("http://127.0.0.1:1", "local")
        );
        let half = resolve(&["--client-id", "x"], &ENV).unwrap_err();
        assert!(
            half.contains("--client-id") && half.contains("DATABRICKS_CLIENT_SECRET"),
            "{half}"
        );
        let half = resolve(&[], &ENV[..3]).unwrap_err();
        assert!(half.contains("without DATABRICKS_CLIENT_SECRET"), "{half}");
    }

    #[test]
    fn what_is_missing_is_named() {
        assert!(resolve(&[], &[]).unwrap_err().contains("--endpoint"));
        assert!(
            resolve(&[], &ENV[..1])
                .unwrap_err()
                .contains("DATABRICKS_CLIENT_ID")
        );
        let no_host = [ENV[0], ENV[2], ENV[3]];
        assert!(
            resolve(&[], &no_host)
                .unwrap_err()
                .contains("DATABRICKS_HOST")
        );
    }

    #[test]
    fn a_token_needs_a_workspace_only_where_the_local_server_is_one() {
        let token = ["--token", "t"];
        let service = resolve(&token, &ENV[..1]).unwrap();
        assert_eq!(service.workspace_url, None);
        assert_eq!(service.workspace(), service.endpoint);
        let service = resolve(&token, &ENV).unwrap();
        let workspace = Some("https://dbc-1.cloud.databricks.com");
        assert_eq!(service.workspace_url.as_deref(), workspace);
        let local = "http://127.0.0.1:1";
        let service = resolve(&["--token", "t", "--endpoint", local], &[]).unwrap();
        assert_eq!(service.workspace_url.as_deref(), Some(local));
    }

    #[test]
    fn plaintext_needs_loopback_or_consent() {
        let flags = ["--endpoint", "http://example.com"];
        assert!(
            resolve(&flags, &ENV)
                .unwrap_err()
                .contains("--allow-plaintext")
        );
        assert!(
            resolve(
                &["--endpoint", "http://example.com", "--allow-plaintext"],
                &ENV
            )
            .is_ok()
        );
        assert!(resolve(&["--endpoint", "http://[::1]:9"], &ENV).is_ok());
        assert!(resolve(&["--endpoint", "ftp://x"], &ENV).is_err());
        let with_password = resolve(&["--endpoint", "http://user:pa/ss@host"], &ENV).unwrap_err();
        assert!(!with_password.contains("pa/ss"), "{with_password}");
    }

    #[test]
    fn a_secret_on_the_command_line_earns_a_warning() {
        let service = resolve(&["--client-id", "a", "--client-secret", "b"], &ENV).unwrap();
        assert_eq!(service.warnings.len(), 1);
        assert!(resolve(&[], &ENV).unwrap().warnings.is_empty());
    }
}
