//! OAuth clients and the tokens they were given.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::Deserialize;
use uuid::Uuid;

/// The accepted clients and the tokens in use.
pub(super) struct Auth {
    clients: Vec<(String, String)>,
    /// How long a token is valid.
    token_ttl: Duration,
    /// Anybody is let in, with any token or none.
    open: bool,
    tokens: Mutex<HashMap<String, Grant>>,
}

#[derive(Clone)]
struct Grant {
    expires: Instant,
    /// The one table it may write to; none: any.
    table: Option<String>,
}

/// Why a token does not open a stream.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Unknown or expired.
    Unknown,
    /// Good for this table only.
    OtherTable(String),
}

impl Auth {
    pub(super) fn new(clients: Vec<(String, String)>, token_ttl: Duration, open: bool) -> Self {
        Self {
            clients,
            token_ttl,
            open,
            tokens: Mutex::default(),
        }
    }

    /// Whether anybody is let in.
    pub(super) fn is_open(&self) -> bool {
        self.open
    }

    /// How long a token is valid.
    pub(super) fn token_ttl(&self) -> Duration {
        self.token_ttl
    }

    pub(super) fn is_client(&self, id: &str, secret: &str) -> bool {
        // Every pair is compared in full, so that the time tells nothing.
        self.clients.iter().fold(false, |found, (i, s)| {
            found | (same(i.as_bytes(), id.as_bytes()) & same(s.as_bytes(), secret.as_bytes()))
        })
    }

    /// A new token for `table`, or for any table.
    pub(super) fn mint(&self, table: Option<String>, now: Instant) -> String {
        let token = format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.retain(|_, grant| grant.expires > now);
        let expires = now + self.token_ttl;
        tokens.insert(token.clone(), Grant { expires, table });
        token
    }

    /// Forgets all tokens, as if they had expired.
    pub(super) fn forget_all(&self) {
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.clear();
    }

    /// Whether `token` may open a stream to `table`.
    pub(super) fn check(&self, token: &str, table: &str, now: Instant) -> Result<(), Refusal> {
        if self.open {
            return Ok(());
        }
        let tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        match tokens.get(token) {
            Some(grant) if grant.expires > now => match &grant.table {
                Some(granted) if granted != table => Err(Refusal::OtherTable(granted.clone())),
                _ => Ok(()),
            },
            _ => Err(Refusal::Unknown),
        }
    }
}

fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |diff, (x, y)| diff | (x ^ y)) == 0
}

/// The table that `authorization_details` asks for, if any.
pub(super) fn table_of_details(details: &str) -> Result<Option<String>, serde_json::Error> {
    #[derive(Deserialize)]
    struct Detail {
        object_type: Option<String>,
        object_full_path: Option<String>,
    }
    let details: Vec<Detail> = serde_json::from_str(details)?;
    Ok(details
        .into_iter()
        .find(|detail| detail.object_type.as_deref() == Some("TABLE"))
        .and_then(|detail| detail.object_full_path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_opens_its_table_until_it_expires() {
        let ttl = Duration::from_secs(60);
        let auth = Auth::new(vec![("id".into(), "secret".into())], ttl, false);
        assert!(auth.is_client("id", "secret"));
        assert!(!auth.is_client("id", "Secret"));
        assert!(!auth.is_client("id", ""));
        let now = Instant::now();
        let token = auth.mint(Some("a.b.c".into()), now);
        assert_eq!(auth.check(&token, "a.b.c", now), Ok(()));
        assert_eq!(
            auth.check(&token, "a.b.d", now),
            Err(Refusal::OtherTable("a.b.c".into()))
        );
        assert_eq!(auth.check("x", "a.b.c", now), Err(Refusal::Unknown));
        let other = auth.mint(None, now);
        assert_eq!(auth.check(&other, "a.b.c", now), Ok(()));
        assert_eq!(
            auth.check(&token, "a.b.c", now + ttl),
            Err(Refusal::Unknown)
        );
        let open = Auth::new(Vec::new(), ttl, true);
        assert_eq!(open.check("", "a.b.c", now), Ok(()));
        auth.forget_all();
        assert_eq!(auth.check(&other, "a.b.c", now), Err(Refusal::Unknown));
    }

    #[test]
    fn the_details_name_the_table() {
        let details = r#"[{"type":"unity_catalog_privileges","privileges":["USE CATALOG"],
            "object_type":"CATALOG","object_full_path":"a"},
            {"object_type":"TABLE","object_full_path":"a.b.c","operations":["zerobuswrite"]}]"#;
        assert_eq!(table_of_details(details).unwrap(), Some("a.b.c".into()));
        assert_eq!(table_of_details("[]").unwrap(), None);
        assert!(table_of_details("{").is_err());
    }
}
