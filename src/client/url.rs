//! URLs of endpoint and workspace as people give them.

use super::token::WorkspaceId;
use crate::error::{Failure, Kind};

/// A URL of nothing but scheme, host and port.
#[derive(Debug, Clone)]
pub(crate) struct Url {
    /// The URL, with its scheme.
    pub(crate) text: String,
    pub(crate) host: String,
    /// The workspace's id, where the query tells it as a browser's address does (`?o=`).
    workspace_id: Option<String>,
}

impl Url {
    /// Adds `https://` where there is no scheme; cuts path and query.
    pub(crate) fn parse(place: &str, given: &str, allow_plaintext: bool) -> Result<Self, Failure> {
        let given = given.trim();
        if given.contains('@') {
            // Not shown: it may hold a password.
            let what = format!("{place} holds a user or password, expected a host");
            return Err(Failure::new(Kind::Settings, what));
        }
        let bad = |what: &str| Failure::new(Kind::Settings, format!("{place} \"{given}\" {what}"));
        let (scheme, rest) = given.split_once("://").unwrap_or(("https", given));
        let scheme = scheme.to_ascii_lowercase();
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let authority = authority.to_ascii_lowercase();
        let (host, port) = match authority.strip_prefix('[') {
            Some(v6) => v6.split_once(']').unwrap_or((v6, "")),
            None => match authority.find(':') {
                Some(colon) => authority.split_at(colon),
                None => (authority.as_str(), ""),
            },
        };
        if host.is_empty() || host.contains(char::is_whitespace) {
            return Err(bad("names no host"));
        }
        let number = port.strip_prefix(':').map(str::parse::<u16>);
        if !port.is_empty() && !matches!(number, Some(Ok(1..))) {
            return Err(bad("has no port that there is, expected 1 to 65535"));
        }
        match scheme.as_str() {
            "https" => {}
            "http" if allow_plaintext || super::is_loopback(host) => {}
            "http" => {
                return Err(bad("is not encrypted")
                    .hint("use https://, or --allow-plaintext if the network is trusted"));
            }
            _ => return Err(bad("has an unknown scheme, expected https://")),
        }
        let query = rest.split_once('?').map_or("", |(_, query)| query);
        let mut pairs = query.split(['&', '#']).filter_map(|p| p.split_once('='));
        let id = pairs.find(|(key, id)| matches!(*key, "o" | "workspace_id") && is_id(id));
        Ok(Self {
            text: format!("{scheme}://{authority}"),
            host: host.to_owned(),
            workspace_id: id.map(|(_, id)| id.to_owned()),
        })
    }

    /// The id that a workspace's own URL holds, such as `adb-123.4.azuredatabricks.net` and
    /// `123.4.gcp.databricks.com`.
    fn id_in_host(&self) -> Option<String> {
        let (first, _) = self.host.split_once('.')?;
        let id = first.strip_prefix("adb-").unwrap_or(first);
        (is_id(id) && !is_address(&self.host)).then(|| id.to_owned())
    }

    /// What stands for the id in an endpoint's host: its first label. Addresses and names
    /// without a dot have none.
    fn first_label(&self) -> Option<&str> {
        let (first, _) = self.host.split_once('.')?;
        (!is_address(&self.host)).then_some(first)
    }
}

/// The id of the workspace, and where it comes from: the endpoint, the workspace's URL, or it
/// is to be asked of the workspace.
pub(crate) fn workspace_id(endpoint: &Url, workspace: Option<&Url>) -> (WorkspaceId, &'static str) {
    let Some(label) = endpoint.first_label() else {
        return (WorkspaceId::Known("local".to_owned()), "the endpoint");
    };
    if is_id(label) {
        return (WorkspaceId::Known(label.to_owned()), "the endpoint");
    }
    let told = workspace.and_then(|url| url.workspace_id.clone().or_else(|| url.id_in_host()));
    match told {
        Some(id) => (WorkspaceId::Known(id), "the workspace URL"),
        None => {
            let or_else = label.to_owned();
            let from = "the workspace, or else the endpoint";
            (WorkspaceId::Asked { or_else }, from)
        }
    }
}

fn is_address(host: &str) -> bool {
    host.parse::<std::net::IpAddr>().is_ok()
}

/// Workspace ids are numbers.
fn is_id(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(given: &str) -> Url {
        Url::parse("--workspace-url", given, false).unwrap()
    }

    #[test]
    fn path_and_query_are_cut_and_the_id_is_kept() {
        for given in [
            "dbc-1.cloud.databricks.com/?o=123",
            "https://dbc-1.cloud.databricks.com/sql/editor?a=b&o=123#x",
            " https://dbc-1.cloud.databricks.com?workspace_id=123 ",
        ] {
            let url = parsed(given);
            assert_eq!(url.text, "https://dbc-1.cloud.databricks.com", "{given}");
            assert_eq!(url.workspace_id.as_deref(), Some("123"), "{given}");
        }
        assert_eq!(parsed("a.b?o=x").workspace_id, None);
    }

    #[test]
    fn hosts_and_ports_that_there_are() {
        let of = |given: &str| Url::parse("--endpoint", given, false).map(|url| url.text);
        assert_eq!(
            of("HTTPS://A.example:8443").unwrap(),
            "https://a.example:8443"
        );
        assert_eq!(of("http://LOCALHOST:1").unwrap(), "http://localhost:1");
        assert_eq!(of("http://[::1]:1").unwrap(), "http://[::1]:1");
        for bad in ["h:99999", "h:abc", "h:0", "h:", "[::1]x", ":1"] {
            assert!(of(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn ids_in_hosts() {
        for (host, id) in [
            ("adb-123.4.azuredatabricks.net", Some("123")),
            ("123.4.gcp.databricks.com", Some("123")),
            ("dbc-1.cloud.databricks.com", None),
            ("localhost", None),
        ] {
            assert_eq!(parsed(host).id_in_host().as_deref(), id, "{host}");
        }
        assert_eq!(parsed("http://127.0.0.1:1").id_in_host(), None);
    }
}
