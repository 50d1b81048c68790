//! Names of catalogs, schemas and tables, and what USE adds to short ones.

use crate::emulator::privileges::{Object, ObjectType};
use crate::schema::TableName;

use super::Problem;
use super::cursor::{Cursor, Place};

/// What USE has said so far in a script.
#[derive(Default)]
pub(super) struct Session {
    catalog: Option<String>,
    schema: Option<String>,
}

impl Session {
    /// Behind USE: `CATALOG c`, `SCHEMA s`, `DATABASE s` or just a schema.
    pub(super) fn enter(&mut self, cursor: &mut Cursor) -> Result<(), Problem> {
        if cursor.take_word("CATALOG") {
            let catalog = self.object(cursor, ObjectType::Catalog)?;
            self.catalog = Some(catalog.path);
            // As in Databricks, where each catalog has one of that name.
            self.schema = Some("default".to_owned());
            return Ok(());
        }
        let _ = cursor.take_word("SCHEMA") || cursor.take_word("DATABASE");
        let schema = self.object(cursor, ObjectType::Schema)?;
        if let Some((catalog, schema)) = schema.path.split_once('.') {
            self.catalog = Some(catalog.to_owned());
            self.schema = Some(schema.to_owned());
        }
        Ok(())
    }

    /// Takes the name of a table.
    pub(super) fn table(&self, cursor: &mut Cursor) -> Result<TableName, Problem> {
        let place = cursor.place();
        let object = self.object(cursor, ObjectType::Table)?;
        let name = object.path.parse::<TableName>();
        name.map_err(|error| Problem::new(place, error.to_string()))
    }

    /// Takes the name of such an object.
    pub(super) fn object(&self, cursor: &mut Cursor, kind: ObjectType) -> Result<Object, Problem> {
        let place = cursor.place();
        let what = format!("the name of a {}", kind.name().to_lowercase());
        let mut parts = vec![cursor.name(&what)?];
        while cursor.take(".") {
            parts.push(cursor.name("a name behind the point")?);
        }
        if cursor.is(&["-"]) {
            let problem = cursor.expected("the end of the name");
            return Err(problem
                .hint("a part with other signs than letters, digits and _ stands in backticks"));
        }
        let parts = self.resolve(parts, kind, place)?;
        // Before they are joined: a point within a part would make it two.
        for part in &parts {
            crate::schema::table_name::check_part(part)
                .map_err(|reason| Problem::new(place, format!("the name \"{part}\" {reason}")))?;
        }
        Object::new(kind, &parts.join(".")).map_err(|reason| Problem::new(place, reason))
    }

    /// Puts in front of a name what USE has said.
    fn resolve<'a>(
        &'a self,
        mut parts: Vec<&'a str>,
        kind: ObjectType,
        place: Place,
    ) -> Result<Vec<&'a str>, Problem> {
        let form = kind.form();
        let wanted = form.split('.').count();
        let around = match wanted {
            2 => vec![&self.catalog],
            3 => vec![&self.catalog, &self.schema],
            _ => Vec::new(),
        };
        let missing = wanted.saturating_sub(parts.len());
        for known in around.into_iter().take(missing).rev().flatten() {
            parts.insert(0, known);
        }
        if parts.len() == wanted {
            return Ok(parts);
        }
        let message = format!("\"{}\" is no full name, expected {form}", parts.join("."));
        Err(Problem::new(place, message))
    }
}
