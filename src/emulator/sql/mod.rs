//! Databricks SQL as far as vendors' guides need it: tables, and who may write to them.
//!
//! sqlparser's tokenizer reads the text. The grammar is our own, since sqlparser's does not
//! know `USING DELTA`, `GRANT USE CATALOG`, `MAP<...>` or NOT NULL within a STRUCT; and what
//! the service or this server cannot do is refused with its reason here, while nothing has
//! been done yet.

mod create;
mod cursor;
mod grant;
mod names;
mod properties;
mod run;
mod types;

#[cfg(test)]
mod tests;

use crate::schema::TableName;

use super::privileges::{Object, Privilege};
use super::table::Definition;

use self::cursor::{Cursor, Place};
use self::names::Session;

pub(super) use self::run::Scripts;

/// Statements separated by `;`, and where they were written.
#[derive(Debug, Clone)]
pub struct SqlScript {
    /// A file's path, or the flag that holds the statements; for messages.
    pub origin: String,
    /// The statements.
    pub text: String,
}

/// What a script of statements cannot be taken for, and where.
#[derive(Debug, thiserror::Error)]
#[error("{origin}:{line}:{column}: {message}")]
pub struct SqlError {
    /// A file's path, or the flag.
    pub origin: String,
    /// Counted from 1.
    pub line: u64,
    /// Counted from 1, in characters.
    pub column: u64,
    /// What stands there, and what was expected.
    pub message: String,
    /// What to do next.
    pub hint: Option<String>,
}

/// A statement and its place.
#[derive(Debug)]
struct Statement {
    place: Place,
    action: Action,
}

/// What a statement does.
#[derive(Debug)]
enum Action {
    CreateTable {
        name: TableName,
        if_not_exists: bool,
        definition: Definition,
    },
    Grant(Change),
    Revoke(Change),
}

/// What GRANT gives and REVOKE takes.
#[derive(Debug, PartialEq)]
struct Change {
    privileges: Vec<Privilege>,
    object: Object,
    principal: String,
}

/// What is wrong at a place of a script.
#[derive(Debug)]
struct Problem {
    place: Place,
    message: String,
    hint: Option<String>,
}

impl Problem {
    fn new(place: Place, message: impl Into<String>) -> Self {
        Self {
            place,
            message: message.into(),
            hint: None,
        }
    }

    fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    fn of(self, script: &SqlScript) -> SqlError {
        SqlError {
            origin: script.origin.clone(),
            line: self.place.line,
            column: self.place.column,
            message: self.message,
            hint: self.hint,
        }
    }
}

/// The statements of a script that do something.
fn parse(script: &SqlScript) -> Result<Vec<Statement>, SqlError> {
    statements(&script.text).map_err(|problem| problem.of(script))
}

fn statements(text: &str) -> Result<Vec<Statement>, Problem> {
    let tokens = cursor::tokens(text)?;
    let mut cursor = Cursor::new(&tokens);
    let mut session = Session::default();
    let mut statements = Vec::new();
    loop {
        while cursor.take(";") {}
        if cursor.is_at_end() {
            return Ok(statements);
        }
        let place = cursor.place();
        if let Some(action) = statement(&mut cursor, &mut session)? {
            statements.push(Statement { place, action });
        }
        if !cursor.is_at_end() && !cursor.take(";") {
            return Err(cursor.expected("\";\" behind the statement"));
        }
    }
}

/// One statement; none if it is well-formed and there is nothing to do for it here.
fn statement(cursor: &mut Cursor, session: &mut Session) -> Result<Option<Action>, Problem> {
    if cursor.take_word("CREATE") {
        create::create(cursor, session)
    } else if cursor.is(&["SET", "CATALOG"]) || cursor.is(&["USE"]) {
        let _ = cursor.take_word("SET") || cursor.take_word("USE");
        session.enter(cursor)?;
        Ok(None)
    } else if cursor.take_word("GRANT") {
        grant::change(cursor, session, "TO").map(|change| Some(Action::Grant(change)))
    } else if cursor.take_word("REVOKE") {
        grant::change(cursor, session, "FROM").map(|change| Some(Action::Revoke(change)))
    } else if cursor.take_words(&["COMMENT", "ON"]) {
        while !cursor.is(&["IS"]) && !cursor.is_at_end() && !cursor.is(&[";"]) {
            cursor.skip();
        }
        cursor.expect("IS")?;
        if !cursor.take_word("NULL") {
            cursor.text("a comment in quotes")?;
        }
        Ok(None)
    } else if let Some(verb) = ["DROP", "ALTER"].iter().find(|verb| cursor.is(&[verb])) {
        let message =
            format!("{verb} has no place here: tables and their columns stay as they are");
        let hint = "delete the statement; a table is removed with its directory under --dir";
        Err(Problem::new(cursor.place(), message).hint(hint))
    } else {
        Err(cursor.expected("CREATE TABLE, CREATE CATALOG, CREATE SCHEMA, USE, GRANT or REVOKE"))
    }
}
