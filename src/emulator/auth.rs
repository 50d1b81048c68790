//! OAuth clients, the tokens they were given, and what a token opens.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use uuid::Uuid;

use crate::schema::TableName;

use super::details::{Details, Lack};
use super::grants::Grants;
use super::privileges::Privilege;

/// Tokens held at a time; the one that expires first makes room for one more.
const TOKENS_MAX: usize = 10_000;

/// The accepted clients and the tokens in use.
pub(super) struct Auth {
    clients: Vec<(String, String)>,
    /// How long a token is valid.
    token_ttl: Duration,
    /// Anybody is let in, with any token or none.
    open: bool,
    /// The file with the JWT that is exchanged for tokens.
    federated: Option<PathBuf>,
    grants: Grants,
    tokens: Mutex<HashMap<String, Token>>,
}

struct Token {
    expires: Instant,
    /// The client that asked for it.
    principal: String,
    /// What it was asked for; none: to read only.
    details: Option<Details>,
}

/// Why a token does not open a table.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    #[error("the token is unknown or has expired")]
    Unknown,
    #[error(
        "the token was asked for without authorization_details, which writing to table {0} needs"
    )]
    ReadOnly(TableName),
    #[error("the token is for table {token}, not for {asked}")]
    OtherTable { token: String, asked: TableName },
    #[error("the token was asked for without {missing} in its authorization_details")]
    Detail { missing: String },
    /// The number is the service's own.
    #[error(
        "principal {principal} lacks privileges on table {table}. Error Code: 4024. To grant them: {}",
        statements.join(" ")
    )]
    Grants {
        principal: String,
        table: TableName,
        /// What grants the missing privileges.
        statements: Vec<String>,
    },
}

impl Auth {
    pub(super) fn new(
        clients: Vec<(String, String)>,
        token_ttl: Duration,
        open: bool,
        grants: Grants,
    ) -> Self {
        Self {
            clients,
            token_ttl,
            open,
            federated: None,
            grants,
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

    /// Exchanges the JWT in this file for tokens, too.
    pub(super) fn with_federated(mut self, file: Option<PathBuf>) -> Self {
        self.federated = file;
        self
    }

    /// Whether a JWT is the one that is exchanged, as its file holds it now.
    pub(super) fn is_subject(&self, token: &str) -> bool {
        let held = self.federated.as_ref().map(std::fs::read_to_string);
        let held = held.and_then(Result::ok).unwrap_or_default();
        !held.trim().is_empty() && same(held.trim().as_bytes(), token.as_bytes())
    }

    /// Whether a client is known by this id.
    pub(super) fn has_client(&self, id: &str) -> bool {
        self.clients.iter().any(|(known, _)| known == id)
    }

    /// A new token for a client.
    pub(super) fn mint(&self, client: &str, details: Option<Details>, now: Instant) -> String {
        let name = format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.retain(|_, token| token.expires > now);
        if tokens.len() >= TOKENS_MAX {
            let first = tokens.iter().min_by_key(|(_, token)| token.expires);
            if let Some(first) = first.map(|(name, _)| name.clone()) {
                tokens.remove(&first);
            }
        }
        let token = Token {
            expires: now + self.token_ttl,
            principal: client.to_owned(),
            details,
        };
        tokens.insert(name.clone(), token);
        name
    }

    /// Forgets all tokens, as if they had expired.
    pub(super) fn forget_all(&self) {
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.clear();
    }

    /// Whether a token may open a stream to a table: it was asked for with the details that
    /// the service wants, and its principal was granted what they name.
    pub(super) fn may_write(
        &self,
        token: &str,
        table: &TableName,
        now: Instant,
    ) -> Result<(), Refusal> {
        self.may(token, table, &Privilege::WRITE, now, |token| {
            let Some(details) = &token.details else {
                return Err(Refusal::ReadOnly(table.clone()));
            };
            match details.lack(table) {
                None => Ok(()),
                Some(Lack::Detail(missing)) => Err(Refusal::Detail { missing }),
                Some(Lack::OtherTable(token)) => Err(Refusal::OtherTable {
                    token,
                    asked: table.clone(),
                }),
            }
        })
    }

    /// Whether a token may read what a table is like: any that is known and not for another
    /// table will do, if its principal may see the table.
    pub(super) fn may_read(
        &self,
        token: &str,
        table: &TableName,
        now: Instant,
    ) -> Result<(), Refusal> {
        self.may(token, table, &[Privilege::Select], now, |token| match token
            .details
            .as_ref()
            .and_then(|d| d.lack(table))
        {
            Some(Lack::OtherTable(token)) => Err(Refusal::OtherTable {
                token,
                asked: table.clone(),
            }),
            Some(Lack::Detail(_)) | None => Ok(()),
        })
    }

    fn may(
        &self,
        token: &str,
        table: &TableName,
        on_table: &[Privilege],
        now: Instant,
        check: impl FnOnce(&Token) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        if self.open {
            return Ok(());
        }
        let tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        let token = tokens.get(token).filter(|token| token.expires > now);
        let token = token.ok_or(Refusal::Unknown)?;
        check(token)?;
        match self.grants.missing(&token.principal, table, on_table) {
            statements if statements.is_empty() => Ok(()),
            statements => Err(Refusal::Grants {
                principal: token.principal.clone(),
                table: table.clone(),
                statements,
            }),
        }
    }
}

fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |diff, (x, y)| diff | (x ^ y)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emulator::privileges::{Object, ObjectType};

    const TTL: Duration = Duration::from_secs(60);

    fn table(name: &str) -> TableName {
        name.parse().unwrap()
    }

    fn auth(open: bool, enforced: bool, granted: &[(ObjectType, &str, &[Privilege])]) -> Auth {
        let dir = tempfile::TempDir::new().unwrap();
        let mut grants = Grants::load(dir.path(), enforced).unwrap();
        for (kind, path, privileges) in granted {
            grants.grant("id", &Object::new(*kind, path).unwrap(), privileges);
        }
        Auth::new(vec![("id".into(), "secret".into())], TTL, open, grants)
    }

    fn details() -> Details {
        let detail = |kind, path, privileges| {
            format!(
                r#"{{"type":"unity_catalog_privileges","object_type":"{kind}",
                "object_full_path":"{path}","privileges":{privileges},
                "operations":["zerobuswrite"]}}"#
            )
        };
        let list = [
            detail("CATALOG", "a", r#"["USE CATALOG"]"#),
            detail("SCHEMA", "a.b", r#"["USE SCHEMA"]"#),
            detail("TABLE", "a.b.c", r#"["SELECT","MODIFY"]"#),
        ];
        Details::parse(&format!("[{}]", list.join(","))).unwrap()
    }

    #[test]
    fn a_token_opens_its_table_until_it_expires() {
        let auth = auth(false, false, &[]);
        assert!(auth.is_client("id", "secret"));
        assert!(!auth.is_client("id", "Secret"));
        assert!(!auth.is_client("id", ""));
        let now = Instant::now();
        let (abc, abd) = (table("a.b.c"), table("a.b.d"));
        let token = auth.mint("id", Some(details()), now);
        assert_eq!(auth.may_write(&token, &abc, now), Ok(()));
        assert_eq!(
            auth.may_write(&token, &abd, now),
            Err(Refusal::OtherTable {
                token: "a.b.c".into(),
                asked: abd.clone()
            })
        );
        assert_eq!(auth.may_write("x", &abc, now), Err(Refusal::Unknown));
        assert_eq!(auth.may_read("x", &abc, now), Err(Refusal::Unknown));
        let plain = auth.mint("id", None, now);
        assert_eq!(
            auth.may_write(&plain, &abc, now),
            Err(Refusal::ReadOnly(abc.clone()))
        );
        assert_eq!(auth.may_read(&plain, &abc, now), Ok(()));
        assert!(auth.may_read(&token, &abd, now).is_err());
        let later = now + TTL;
        assert_eq!(auth.may_write(&token, &abc, later), Err(Refusal::Unknown));
        auth.forget_all();
        assert_eq!(auth.may_read(&plain, &abc, now), Err(Refusal::Unknown));
    }

    #[test]
    fn anybody_is_let_in_where_nobody_is_asked() {
        let open = auth(true, false, &[]);
        let now = Instant::now();
        assert_eq!(open.may_write("", &table("a.b.c"), now), Ok(()));
        assert_eq!(open.may_read("", &table("a.b.c"), now), Ok(()));
    }

    #[test]
    fn grants_count_where_they_are_enforced() {
        let now = Instant::now();
        let abc = table("a.b.c");
        let catalog = (ObjectType::Catalog, "a", &[Privilege::UseCatalog][..]);
        let schema = (ObjectType::Schema, "a.b", &[Privilege::UseSchema][..]);
        let select = (ObjectType::Table, "a.b.c", &[Privilege::Select][..]);
        let strict = auth(false, true, &[catalog, schema, select]);
        let token = strict.mint("id", Some(details()), now);
        assert_eq!(strict.may_read(&token, &abc, now), Ok(()));
        let refusal = strict.may_write(&token, &abc, now).unwrap_err();
        assert_eq!(
            refusal.to_string(),
            "principal id lacks privileges on table a.b.c. Error Code: 4024. \
             To grant them: GRANT MODIFY ON TABLE a.b.c TO `id`;"
        );
        // Another principal was granted nothing.
        let token = strict.mint("other", Some(details()), now);
        assert!(strict.may_read(&token, &abc, now).is_err());
    }

    #[test]
    fn no_more_tokens_are_held_than_there_is_room_for() {
        let auth = auth(false, false, &[]);
        let now = Instant::now();
        let first = auth.mint("id", None, now);
        let later = now + Duration::from_secs(1);
        let second = auth.mint("id", None, later);
        for _ in 2..=TOKENS_MAX {
            auth.mint("id", None, later + Duration::from_secs(1));
        }
        let abc = table("a.b.c");
        assert_eq!(auth.may_read(&first, &abc, later), Err(Refusal::Unknown));
        assert_eq!(auth.may_read(&second, &abc, later), Ok(()));
    }
}
