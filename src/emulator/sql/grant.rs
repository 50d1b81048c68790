//! `GRANT privileges ON object TO principal`, and REVOKE ... FROM.

use crate::emulator::privileges::{ObjectType, Privilege};

use super::cursor::Cursor;
use super::names::Session;
use super::{Change, Problem};

/// Behind GRANT or REVOKE; `direction` stands in front of the principal.
pub(super) fn change(
    cursor: &mut Cursor,
    session: &Session,
    direction: &str,
) -> Result<Change, Problem> {
    let mut given = Vec::new();
    loop {
        let place = cursor.place();
        given.push((privilege(cursor)?, place));
        if !cursor.take(",") {
            break;
        }
    }
    cursor.expect("ON")?;
    let kind = if cursor.take_word("CATALOG") {
        ObjectType::Catalog
    } else if cursor.take_word("SCHEMA") || cursor.take_word("DATABASE") {
        ObjectType::Schema
    } else {
        cursor.take_word("TABLE");
        ObjectType::Table
    };
    for (privilege, place) in &given {
        if !kind.takes(*privilege) {
            let (name, kind) = (privilege.name(), kind.name());
            let message = format!("{name} cannot be granted on a {kind}");
            let around = match privilege {
                Privilege::UseCatalog => "grant it ON CATALOG",
                _ => "grant it ON SCHEMA or ON CATALOG",
            };
            return Err(Problem::new(*place, message).hint(around));
        }
    }
    let object = session.object(cursor, kind)?;
    cursor.expect(direction)?;
    let place = cursor.place();
    let in_backticks = "a principal other than letters, digits and _ stands in backticks";
    let what = "a principal, in backticks";
    if cursor.is_text() || cursor.is_number() {
        return Err(cursor.expected(what).hint(in_backticks));
    }
    let principal = cursor.name(what)?.to_owned();
    if cursor.is(&["-"]) || cursor.is(&["@"]) || cursor.is(&["."]) {
        return Err(cursor
            .expected("the end of the principal")
            .hint(in_backticks));
    }
    if principal.trim().is_empty() {
        return Err(Problem::new(place, "a principal without a name"));
    }
    Ok(Change {
        privileges: given.into_iter().map(|(privilege, _)| privilege).collect(),
        object,
        principal,
    })
}

fn privilege(cursor: &mut Cursor) -> Result<Privilege, Problem> {
    for privilege in Privilege::EVERY {
        let name = privilege.name();
        let words: Vec<&str> = name.split(' ').collect();
        if cursor.take_words(&words) || cursor.take_word(&name.replace(' ', "_")) {
            return Ok(privilege);
        }
    }
    Err(cursor.expected(&format!("a privilege of {}", Privilege::names())))
}
