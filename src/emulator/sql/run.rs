//! Carries scripts out: all are understood before the first statement does anything.

use crate::emulator::EmulatorError;
use crate::emulator::catalog::Catalog;
use crate::emulator::grants::Grants;
use crate::schema::{Column, TableName};

use super::{Action, Problem, SqlError, SqlScript, Statement, parse};

/// Scripts that were understood.
pub(in super::super) struct Scripts<'s> {
    scripts: Vec<(&'s SqlScript, Vec<Statement>)>,
}

impl<'s> Scripts<'s> {
    pub(in super::super) fn parse(scripts: &'s [SqlScript]) -> Result<Self, SqlError> {
        let parsed = scripts.iter().map(|script| Ok((script, parse(script)?)));
        let scripts = parsed.collect::<Result<_, SqlError>>()?;
        Ok(Self { scripts })
    }

    /// Carries the statements out, in their order, once no table that exists is in the way.
    /// What was done before one fails all the same stays, tables and grants alike.
    pub(in super::super) async fn run(
        self,
        catalog: &Catalog,
        grants: &mut Grants,
    ) -> Result<(), EmulatorError> {
        for (script, statements) in &self.scripts {
            for statement in statements {
                let fits = statement.fits(catalog).await;
                fits.map_err(|message| Problem::new(statement.place, message).of(script))?;
            }
        }
        let carried_out = self.carry_out(catalog, grants).await;
        carried_out.and(grants.save())
    }

    async fn carry_out(self, catalog: &Catalog, grants: &mut Grants) -> Result<(), EmulatorError> {
        for (script, statements) in self.scripts {
            for statement in statements {
                if let Action::CreateTable {
                    name, definition, ..
                } = &statement.action
                {
                    let made = catalog.define(name, definition).await;
                    let fits = match made {
                        Ok(true) => Ok(()),
                        // A statement before it may have made another one.
                        Ok(false) => statement.fits(catalog).await,
                        Err(error) => Err(error.to_string()),
                    };
                    fits.map_err(|message| Problem::new(statement.place, message).of(script))?;
                }
                match statement.action {
                    Action::CreateTable { .. } => {}
                    Action::Grant(change) => {
                        grants.grant(&change.principal, &change.object, &change.privileges);
                    }
                    Action::Revoke(change) => {
                        grants.revoke(&change.principal, &change.object, &change.privileges);
                    }
                }
            }
        }
        Ok(())
    }
}

impl Statement {
    /// Whether the table that it makes may be there already.
    async fn fits(&self, catalog: &Catalog) -> Result<(), String> {
        match &self.action {
            Action::CreateTable {
                name,
                if_not_exists: false,
                definition,
            } => same(catalog, name, &definition.columns).await,
            _ => Ok(()),
        }
    }
}

/// Whether a table that exists has these columns, so that the same command line starts the
/// server again. Comments and properties may differ: they change no row.
async fn same(catalog: &Catalog, name: &TableName, columns: &[Column]) -> Result<(), String> {
    let table = catalog.get(name).await.map_err(|error| error.to_string())?;
    let Some(table) = table else { return Ok(()) };
    match difference(&table.columns, columns) {
        None => Ok(()),
        Some(difference) => Err(format!(
            "table {name} exists with other columns: {difference}"
        )),
    }
}

/// The first difference between the columns of a table and those of a statement.
fn difference(table: &[Column], statement: &[Column]) -> Option<String> {
    for index in 0..table.len().max(statement.len()) {
        let shown = [table, statement].map(|columns| columns.get(index).map(declaration));
        match shown {
            [Some(table), Some(statement)] if table == statement => {}
            [table, statement] => {
                let or_none = |column: Option<String>| column.unwrap_or_else(|| "nothing".into());
                let (table, statement) = (or_none(table), or_none(statement));
                let number = index + 1;
                return Some(format!(
                    "column {number} is {table}, here it is {statement}"
                ));
            }
        }
    }
    None
}

/// A column without its comments.
fn declaration(column: &Column) -> String {
    let not_null = if column.nullable { "" } else { " NOT NULL" };
    format!("\"{} {}{not_null}\"", column.name, column.ty)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::ColumnType;

    #[test]
    fn the_first_difference_is_named() {
        let column = |name: &str, ty, nullable| Column::new(name, ty, nullable);
        let inner = |ty| ColumnType::Struct(vec![column("x", ty, true)]);
        let table = [
            column("a", ColumnType::Int, true),
            column("b", inner(ColumnType::Varchar(3)), false),
        ];
        let mut same = table.clone();
        same[0].comment = Some("new".into());
        assert_eq!(difference(&table, &same), None);
        for (index, other, told) in [
            (
                0,
                column("a", ColumnType::BigInt, true),
                "column 1 is \"a INT\", here it is \"a BIGINT\"",
            ),
            (
                0,
                column("A", ColumnType::Int, true),
                "column 1 is \"a INT\", here it is \"A INT\"",
            ),
            (
                0,
                column("a", ColumnType::Int, false),
                "column 1 is \"a INT\", here it is \"a INT NOT NULL\"",
            ),
            (
                1,
                column("b", inner(ColumnType::Varchar(4)), false),
                "column 2 is \"b STRUCT<x: VARCHAR(3)> NOT NULL\", here it is \"b STRUCT<x: VARCHAR(4)> NOT NULL\"",
            ),
        ] {
            let mut statement = table.clone();
            statement[index] = other;
            assert_eq!(difference(&table, &statement).as_deref(), Some(told));
        }
        assert_eq!(
            difference(&table[..1], &table).unwrap(),
            "column 2 is nothing, here it is \"b STRUCT<x: VARCHAR(3)> NOT NULL\""
        );
        assert_eq!(
            difference(&table, &table[..1]).unwrap(),
            "column 2 is \"b STRUCT<x: VARCHAR(3)> NOT NULL\", here it is nothing"
        );
    }
}
