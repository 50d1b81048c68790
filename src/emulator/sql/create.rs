//! CREATE TABLE, and CREATE CATALOG and CREATE SCHEMA, which there is nothing to do for.

use crate::emulator::privileges::ObjectType;
use crate::emulator::table::Definition;
use crate::schema::COLUMNS_MAX;

use super::cursor::Cursor;
use super::names::Session;
use super::properties::properties;
use super::types::Fields;
use super::{Action, Problem};

/// Words that begin what is refused, with the reason.
type Refused = (&'static [&'static str], &'static str);

const IN_CREATE: &[Refused] = &[
    (
        &["OR", "REPLACE"],
        "rows would be lost; CREATE TABLE IF NOT EXISTS keeps what there is",
    ),
    (
        &["OR", "REFRESH"],
        "this server takes rows from Zerobus only",
    ),
    (&["EXTERNAL"], "tables are kept under the server's --dir"),
    (&["TEMPORARY"], "a stream writes to tables that last"),
    (&["TEMP"], "a stream writes to tables that last"),
    (&["STREAMING"], "this server takes rows from Zerobus only"),
    (&["VIEW"], "a stream cannot write to a view"),
    (
        &["MATERIALIZED"],
        "a stream cannot write to a materialized view",
    ),
];

const IN_COLUMNS: &[Refused] = &[
    (&["GENERATED"], GENERATED),
    (&["DEFAULT"], "the service fills what is missing with NULL"),
    (&["PRIMARY", "KEY"], KEYS),
    (&["FOREIGN", "KEY"], KEYS),
    (&["REFERENCES"], KEYS),
    (&["UNIQUE"], KEYS),
    (&["CHECK"], CHECKS),
    (
        &["CONSTRAINT"],
        "the service writes to no table with CHECK constraints, and keys bind nobody",
    ),
    (&["COLLATE"], "this server knows no collations"),
    (&["MASK"], "this server shows rows to nobody"),
];
const GENERATED: &str = "this server does not compute values; let the load set them, as with --set";
const KEYS: &str = "keys bind nobody in Databricks, and this server keeps none";
const CHECKS: &str = "the service writes to no table with CHECK constraints";

const IN_TABLE: &[Refused] = &[
    (
        &["PARTITIONED", "BY"],
        "this server writes unpartitioned tables only",
    ),
    (
        &["CLUSTER", "BY"],
        "this server does not cluster; rows are the same without it",
    ),
    (
        &["CLUSTERED", "BY"],
        "this server writes unpartitioned tables only",
    ),
    (&["LOCATION"], "tables are kept under the server's --dir"),
    (&["AS"], SELECT),
    (&["SELECT"], SELECT),
    (&["LIKE"], "name the columns"),
    (&["SHALLOW"], "name the columns"),
    (&["DEEP"], "name the columns"),
    (&["CLONE"], "name the columns"),
    (
        &["OPTIONS"],
        "options are for other formats than Delta; see TBLPROPERTIES",
    ),
    (&["ROW", "FORMAT"], NOT_DELTA),
    (&["STORED"], NOT_DELTA),
    (&["DEFAULT", "COLLATION"], "this server knows no collations"),
    (&["WITH"], "this server shows rows to nobody"),
];
const SELECT: &str = "this server runs no queries; name the columns";
const NOT_DELTA: &str = "this server writes Delta tables only";

/// Refuses what stands here if it is one of those.
fn refuse(cursor: &Cursor, refused: &[Refused]) -> Result<(), Problem> {
    match refused.iter().find(|(words, _)| cursor.is(words)) {
        Some((words, reason)) => {
            let words = words.join(" ");
            let message = format!("{words} has no place here: {reason}");
            let problem = Problem::new(cursor.place(), message);
            Err(problem.hint(format!("delete {words} and what belongs to it")))
        }
        None => Ok(()),
    }
}

/// Behind CREATE.
pub(super) fn create(cursor: &mut Cursor, session: &Session) -> Result<Option<Action>, Problem> {
    refuse(cursor, IN_CREATE)?;
    if cursor.take_word("TABLE") {
        return table(cursor, session).map(Some);
    }
    let kind = if cursor.take_word("CATALOG") {
        ObjectType::Catalog
    } else if cursor.take_word("SCHEMA") || cursor.take_word("DATABASE") {
        ObjectType::Schema
    } else {
        return Err(cursor.expected("TABLE, CATALOG or SCHEMA"));
    };
    if_not_exists(cursor)?;
    session.object(cursor, kind)?;
    // What Unity Catalog keeps about it, in any order.
    loop {
        if cursor.take_word("COMMENT") {
            cursor.text("a comment in quotes")?;
        } else if cursor.take_words(&["MANAGED", "LOCATION"]) {
            cursor.text("a location in quotes")?;
        } else if cursor.take_words(&["WITH", "DBPROPERTIES"]) {
            properties(cursor)?;
        } else {
            return Ok(None);
        }
    }
}

fn if_not_exists(cursor: &mut Cursor) -> Result<bool, Problem> {
    if cursor.take_words(&["IF", "NOT", "EXISTS"]) {
        return Ok(true);
    }
    match cursor.is(&["IF", "NOT"]) || cursor.is(&["IF", "EXISTS"]) {
        true => Err(cursor.expected("IF NOT EXISTS")),
        false => Ok(false),
    }
}

fn table(cursor: &mut Cursor, session: &Session) -> Result<Action, Problem> {
    let if_not_exists = if_not_exists(cursor)?;
    let name = session.table(cursor)?;
    refuse(cursor, IN_TABLE)?;
    cursor.expect("(")?;
    let mut fields = Fields::default();
    loop {
        refuse_constraint(cursor)?;
        if fields.columns.len() == COLUMNS_MAX {
            let message = format!("more than {COLUMNS_MAX} columns, which the service refuses");
            return Err(Problem::new(cursor.place(), message));
        }
        fields.take(cursor, "column", 0)?;
        refuse(cursor, IN_COLUMNS)?;
        if cursor.take(")") {
            break;
        }
        if !cursor.take(",") {
            return Err(cursor.expected("NOT NULL, COMMENT, \",\" or \")\" behind a column"));
        }
    }
    let mut definition = Definition {
        columns: fields.columns,
        ..Definition::default()
    };
    clauses(cursor, &mut definition)?;
    Ok(Action::CreateTable {
        name,
        if_not_exists,
        definition,
    })
}

/// A constraint in the place of a column, where a column may be called `check`.
fn refuse_constraint(cursor: &Cursor) -> Result<(), Problem> {
    let begins = [
        &["CONSTRAINT"][..],
        &["PRIMARY", "KEY"],
        &["FOREIGN", "KEY"],
        &["CHECK", "("],
        &["UNIQUE", "("],
    ];
    match begins.iter().any(|words| cursor.is(words)) {
        true => refuse(cursor, IN_COLUMNS),
        false => Ok(()),
    }
}

/// What stands behind the columns, in any order.
fn clauses(cursor: &mut Cursor, definition: &mut Definition) -> Result<(), Problem> {
    let (mut using, mut tblproperties) = (false, false);
    loop {
        refuse(cursor, IN_TABLE)?;
        if !using && cursor.take_word("USING") {
            using = true;
            if !cursor.take_word("DELTA") {
                return Err(cursor.expected("DELTA, the one format of this server"));
            }
        } else if definition.comment.is_none() && cursor.take_word("COMMENT") {
            definition.comment = Some(cursor.text("a comment in quotes")?);
        } else if !tblproperties && cursor.take_word("TBLPROPERTIES") {
            tblproperties = true;
            definition.properties = properties(cursor)?;
        } else if cursor.is_at_end() || cursor.is(&[";"]) {
            return Ok(());
        } else {
            return Err(cursor.expected("USING, COMMENT, TBLPROPERTIES or \";\", each once"));
        }
    }
}
