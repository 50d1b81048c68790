//! Flags, environment and profile resolved once into plain values. The only reader of the
//! environment; below it nobody sees clap.

use std::fmt;
use std::path::PathBuf;

mod credentials;
#[cfg(feature = "gateway")]
mod dotenv;
mod profile;

#[cfg(feature = "gateway")]
pub use dotenv::{Dotenv, dotenv};

use profile::Profile;

use crate::cli::ServiceArgs;
use crate::client::url::{self, Url};
use crate::client::{Credentials, Network, Proxies, WorkspaceId, read_bounded};
use crate::error::{Failure, Kind};

/// Where the service is and who asks.
#[derive(Debug)]
pub struct Service {
    /// The Zerobus endpoint, with its scheme.
    pub endpoint: String,
    /// The workspace's URL, with its scheme. A token needs none.
    pub workspace_url: Option<String>,
    /// The workspace's id.
    pub workspace_id: WorkspaceId,
    /// What proves who is loading.
    pub credentials: Credentials,
    /// How both are reached.
    pub network: Network,
    /// These settings as they may be shown.
    pub shown: Vec<Shown>,
    /// What the user should know about them.
    pub warnings: Vec<String>,
}

/// Where a setting comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A flag of the command line.
    Flag(&'static str),
    /// A variable of the environment.
    Variable(&'static str),
    /// A key of a profile.
    Profile {
        /// The key.
        key: &'static str,
        /// The profile's name.
        name: String,
        /// The file it is in.
        file: PathBuf,
    },
    /// Another setting, or nothing.
    Derived(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(name) | Self::Variable(name) | Self::Derived(name) => f.write_str(name),
            Self::Profile { key, name, file } => {
                write!(f, "{key} of profile {name} in {}", file.display())
            }
        }
    }
}

/// A setting as it may be shown.
#[derive(Debug, Clone)]
pub struct Shown {
    /// Its name, as in a profile.
    pub name: &'static str,
    /// Its value; stars for a secret.
    pub value: String,
    /// Where it comes from.
    pub from: Origin,
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} = {} (from {})", self.name, self.value, self.from)
    }
}

impl Shown {
    fn new(name: &'static str, value: &str, from: &Origin) -> Self {
        Self {
            name,
            value: value.to_owned(),
            from: from.clone(),
        }
    }

    fn secret(name: &'static str, from: &Origin) -> Self {
        Self::new(name, "***", from)
    }
}

/// A variable of the environment; empty counts as absent.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The process's own environment.
pub fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Flags, environment and profile, in the order in which they count.
struct Sources<'a> {
    env: Environment<'a>,
    profile: Profile,
    /// The profile was named by a flag.
    profile_first: bool,
}

impl Sources<'_> {
    fn get(
        &self,
        flag: (&'static str, Option<&String>),
        variables: &[&'static str],
        key: Option<&'static str>,
    ) -> Option<(String, Origin)> {
        // As a variable, a flag that is empty is not given.
        if let (name, Some(value)) = flag
            && !value.trim().is_empty()
        {
            return Some((value.clone(), Origin::Flag(name)));
        }
        let variable = || {
            let set = |name: &&'static str| Some(((self.env)(name)?, Origin::Variable(name)));
            variables.iter().find_map(set)
        };
        let profile = || {
            let key = key?;
            Some((self.profile.get(key)?, self.profile.origin(key)))
        };
        match self.profile_first {
            true => profile().or_else(variable),
            false => variable().or_else(profile),
        }
    }
}

impl Service {
    /// Resolves the settings of a load: flags beat the environment, which beats the profile,
    /// unless a flag names it.
    ///
    /// # Errors
    /// What is missing or contradicts itself, and where it may be given.
    pub fn resolve(args: &ServiceArgs, env: Environment<'_>) -> Result<Self, Failure> {
        let mut warnings = Vec::new();
        let sources = Sources {
            env,
            profile: Profile::load(args.profile.as_deref(), env, &mut warnings)?,
            profile_first: args.profile.is_some(),
        };
        let mut shown = Vec::new();
        let endpoint = sources.get(
            ("--endpoint", args.endpoint.as_ref()),
            &["ZEROBUS_ENDPOINT", "ZEROBUS_SERVER_ENDPOINT"],
            None,
        );
        let (endpoint, from) = endpoint.ok_or_else(|| {
            missing("no Zerobus endpoint is given")
                .hint("give --endpoint or set ZEROBUS_ENDPOINT; a load with --local DIR needs none")
        })?;
        let endpoint = Url::parse(&from.to_string(), &endpoint, args.allow_plaintext)?;
        shown.push(Shown::new("endpoint", &endpoint.text, &from));

        let (credentials, of_credentials) =
            credentials::resolve(args, env, &sources.profile, &mut warnings)?;
        let host = sources.get(
            ("--workspace-url", args.workspace_url.as_ref()),
            &["DATABRICKS_HOST", "DATABRICKS_WORKSPACE_URL"],
            Some("host"),
        );
        let workspace = match host {
            Some((url, from)) => {
                let url = Url::parse(&from.to_string(), &url, args.allow_plaintext)?;
                Some((url, from))
            }
            None if credentials.needs_workspace() => {
                return Err(missing("no workspace URL is given, which hands out tokens")
                    .hint("give --workspace-url or set DATABRICKS_HOST"));
            }
            // A token needs nobody to hand one out, and the service's endpoint is another host
            // than the workspace. The local server is both.
            None if crate::client::is_loopback(&endpoint.host) => {
                Some((endpoint.clone(), Origin::Derived("the endpoint")))
            }
            None => None,
        };
        if let Some((url, from)) = &workspace {
            shown.push(Shown::new("host", &url.text, from));
        }
        let given = sources.get(
            ("--workspace-id", args.workspace_id.as_ref()),
            &["DATABRICKS_WORKSPACE_ID"],
            Some("workspace_id"),
        );
        let (workspace_id, from) = match given {
            Some((id, from)) => (WorkspaceId::Known(id), from),
            None => {
                let workspace = workspace.as_ref().map(|(url, _)| url);
                let (id, from) = url::workspace_id(&endpoint, workspace);
                (id, Origin::Derived(from))
            }
        };
        shown.push(Shown::new("workspace_id", workspace_id.shown(), &from));
        shown.extend(of_credentials);
        let network = network(args, env, &mut shown)?;
        Ok(Self {
            endpoint: endpoint.text,
            workspace_url: workspace.map(|(url, _)| url.text),
            workspace_id,
            credentials,
            network,
            shown,
            warnings,
        })
    }

    /// What tells this workspace from others: its URL, or else that of its endpoint.
    pub fn workspace(&self) -> &str {
        self.workspace_url.as_ref().unwrap_or(&self.endpoint)
    }

    /// The settings in one line, without secrets.
    pub fn line(&self) -> String {
        let shown = self.shown.iter();
        let pairs: Vec<_> = shown.map(|s| format!("{}={}", s.name, s.value)).collect();
        pairs.join(", ")
    }
}

fn missing(what: &str) -> Failure {
    Failure::new(Kind::Settings, what)
}

fn network(
    args: &ServiceArgs,
    env: Environment<'_>,
    shown: &mut Vec<Shown>,
) -> Result<Network, Failure> {
    let mut network = Network::default();
    if let Some(file) = &args.ca_cert {
        let path = file.display().to_string();
        let pem = read_bounded(file).map_err(|e| {
            missing(&format!("--ca-cert cannot be read: {e}")).at(path.clone(), None)
        })?;
        network = network.trust(&pem).map_err(|why| {
            missing(&format!("--ca-cert {why}"))
                .at(path.clone(), None)
                .hint("expected PEM: -----BEGIN CERTIFICATE-----")
        })?;
        shown.push(Shown::new("ca_cert", &path, &Origin::Flag("--ca-cert")));
    }
    for header in &args.headers {
        // Values are not shown: they may be secret.
        let (name, value) = header
            .split_once('=')
            .ok_or_else(|| missing("a --header has no =, expected NAME=VALUE"))?;
        let lower = name.trim().to_ascii_lowercase();
        network
            .header(&lower, value.trim())
            .map_err(|why| missing(&format!("--header {lower:?} {why}")))?;
        shown.push(Shown::secret("header", &Origin::Flag("--header")));
    }
    network.proxies = Proxies::of(env).map_err(|variable| {
        // Not shown: it may hold a password.
        let message = format!("{variable} is not the URL of a proxy");
        missing(&message).hint("expected such as http://proxy.example.com:3128")
    })?;
    Ok(network)
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
        Service::resolve(&args.service, &env).map_err(|f| f.to_string())
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
        assert_eq!(service.workspace_id.shown(), "123");
        assert!(!format!("{service:?}").contains("s3cret"));
    }

    #[test]
    fn flags_beat_the_environment_and_pairs_stay_together() {
        let service = resolve(&["--endpoint", "http://127.0.0.1:1"], &ENV).unwrap();
        assert_eq!(
            (service.endpoint.as_str(), service.workspace_id.shown()),
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
