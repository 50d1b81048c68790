//! Column types, and the fields that a table and a STRUCT are made of.

use std::collections::HashSet;

use crate::schema::{Column, ColumnType, DEPTH_MAX, closest};

use super::super::columns::is_name;
use super::Problem;
use super::cursor::{Cursor, Place, shown};

/// The longest VARCHAR of Databricks, in characters.
const VARCHAR_MAX: u32 = 65_535;
/// The most digits of a DECIMAL.
const PRECISION_MAX: u8 = 38;
/// What DECIMAL stands for by itself.
const DECIMAL: ColumnType = ColumnType::Decimal {
    precision: 10,
    scale: 0,
};

/// The types without arguments, Databricks' own names first.
const SIMPLE: [(&str, ColumnType); 19] = [
    ("BOOLEAN", ColumnType::Boolean),
    ("TINYINT", ColumnType::TinyInt),
    ("SMALLINT", ColumnType::SmallInt),
    ("INT", ColumnType::Int),
    ("BIGINT", ColumnType::BigInt),
    ("FLOAT", ColumnType::Float),
    ("DOUBLE", ColumnType::Double),
    ("STRING", ColumnType::String),
    ("BINARY", ColumnType::Binary),
    ("DATE", ColumnType::Date),
    ("TIMESTAMP", ColumnType::Timestamp),
    ("TIMESTAMP_NTZ", ColumnType::TimestampNtz),
    ("VARIANT", ColumnType::Variant),
    ("BYTE", ColumnType::TinyInt),
    ("SHORT", ColumnType::SmallInt),
    ("INTEGER", ColumnType::Int),
    ("LONG", ColumnType::BigInt),
    ("REAL", ColumnType::Float),
    ("TIMESTAMP_LTZ", ColumnType::Timestamp),
];

/// Names of types that take something behind them.
const OTHER: [&str; 5] = ["DECIMAL", "VARCHAR", "ARRAY", "MAP", "STRUCT"];

/// Types of Databricks that rows of this server cannot hold.
const REFUSED: [(&str, &str); 10] = [
    ("INTERVAL", "a Delta table cannot hold it"),
    ("VOID", "a column of it could hold NULL only"),
    ("NULL", "a column of it could hold NULL only"),
    ("OBJECT", "a Delta table cannot hold it"),
    ("GEOMETRY", "the service has no records for it"),
    ("GEOGRAPHY", "the service has no records for it"),
    ("TIME", "the service has no records for it"),
    ("CHAR", CHAR),
    ("CHARACTER", CHAR),
    ("MEASURE", "a Delta table cannot hold it"),
];
const CHAR: &str = "Databricks pads it with blanks, which this server does not; use VARCHAR(n)";

/// Takes a type; `depth` types are around it.
pub(super) fn column_type(cursor: &mut Cursor, depth: usize) -> Result<ColumnType, Problem> {
    let place = cursor.place();
    // The grammar goes down as deep as the types, on a stack that ends somewhere.
    if depth > DEPTH_MAX {
        let message = format!("types nest deeper than {DEPTH_MAX}");
        return Err(Problem::new(place, message));
    }
    let name = cursor.word("a type")?.to_ascii_uppercase();
    let ty = match name.as_str() {
        "DECIMAL" | "DEC" | "NUMERIC" => decimal(cursor)?,
        "VARCHAR" => varchar(cursor)?,
        "ARRAY" => {
            cursor.expect("<")?;
            let element = column_type(cursor, depth + 1)?;
            cursor.expect(">")?;
            ColumnType::Array(Box::new(element))
        }
        "MAP" => {
            cursor.expect("<")?;
            let key_place = cursor.place();
            let key = column_type(cursor, depth + 1)?;
            if matches!(
                key,
                ColumnType::Map(..) | ColumnType::Array(_) | ColumnType::Struct(_)
            ) {
                let message = "the key of a MAP must be of a simple type";
                return Err(Problem::new(key_place, message));
            }
            cursor.expect(",")?;
            let value = column_type(cursor, depth + 1)?;
            cursor.expect(">")?;
            ColumnType::Map(Box::new(key), Box::new(value))
        }
        "STRUCT" => {
            cursor.expect("<")?;
            let mut fields = Fields::default();
            loop {
                fields.take(cursor, "field", depth + 1)?;
                if !cursor.take(",") {
                    break;
                }
            }
            cursor.expect(">")?;
            ColumnType::Struct(fields.columns)
        }
        name => simple(name, place)?,
    };
    Ok(ty)
}

fn simple(name: &str, place: Place) -> Result<ColumnType, Problem> {
    if let Some((_, ty)) = SIMPLE.iter().find(|(known, _)| *known == name) {
        return Ok(ty.clone());
    }
    if let Some((_, reason)) = REFUSED.iter().find(|(known, _)| *known == name) {
        let message = format!("the type {name} has no place here: {reason}");
        return Err(Problem::new(place, message));
    }
    let known = SIMPLE.iter().map(|(name, _)| *name).chain(OTHER);
    let message = format!("expected a type, found {:?}", shown(name));
    let problem = Problem::new(place, message);
    Err(match closest(name, known.clone()) {
        Some(near) => problem.hint(format!("did you mean {near}?")),
        None => problem.hint(format!("known: {}", known.collect::<Vec<_>>().join(", "))),
    })
}

fn decimal(cursor: &mut Cursor) -> Result<ColumnType, Problem> {
    let place = cursor.place();
    if !cursor.take("(") {
        return Ok(DECIMAL);
    }
    let precision = cursor.number("a number of digits")?.parse().unwrap_or(0);
    let scale = match cursor.take(",") {
        true => cursor.number("a number of digits behind the point")?,
        false => "0",
    };
    let scale = scale.parse().unwrap_or(u8::MAX);
    cursor.expect(")")?;
    if !(1..=PRECISION_MAX).contains(&precision) || scale > precision {
        let message = format!(
            "DECIMAL takes 1 to {PRECISION_MAX} digits, of which no more are behind the point"
        );
        return Err(Problem::new(place, message));
    }
    Ok(ColumnType::Decimal { precision, scale })
}

fn varchar(cursor: &mut Cursor) -> Result<ColumnType, Problem> {
    cursor.expect("(")?;
    let place = cursor.place();
    let length = cursor.number("a number of characters")?;
    let length = length.parse().ok();
    let length = length.filter(|length| (1..=VARCHAR_MAX).contains(length));
    let wrong = || {
        Problem::new(
            place,
            format!("VARCHAR takes 1 to {VARCHAR_MAX} characters"),
        )
    };
    let length = length.ok_or_else(wrong)?;
    cursor.expect(")")?;
    Ok(ColumnType::Varchar(length))
}

/// The columns of a table, or the fields of a STRUCT, so far.
#[derive(Default)]
pub(super) struct Fields {
    pub(super) columns: Vec<Column>,
    /// Their names in lower case: names that differ in case only are the same.
    names: HashSet<String>,
}

impl Fields {
    /// Takes `name type [NOT NULL] [COMMENT 'text']`, within a STRUCT also `name: type`.
    pub(super) fn take(
        &mut self,
        cursor: &mut Cursor,
        what: &str,
        depth: usize,
    ) -> Result<(), Problem> {
        let place = cursor.place();
        let name = cursor.name(&format!("the name of a {what}"))?;
        if !is_name(name) {
            let message = format!(
                "{what} {:?}: the service takes names of ASCII letters, digits and _ only",
                shown(name)
            );
            return Err(Problem::new(place, message));
        }
        if !self.names.insert(name.to_ascii_lowercase()) {
            let message = format!("{what} \"{}\" is there already", shown(name));
            return Err(Problem::new(place, message));
        }
        if depth > 0 {
            cursor.take(":");
        }
        let ty = column_type(cursor, depth)?;
        let mut column = Column::new(name, ty, true);
        loop {
            if column.nullable && cursor.take_words(&["NOT", "NULL"]) {
                column.nullable = false;
            } else if column.comment.is_none() && cursor.take_word("COMMENT") {
                column.comment = Some(cursor.text("a comment in quotes")?);
            } else {
                break;
            }
        }
        self.columns.push(column);
        Ok(())
    }
}
