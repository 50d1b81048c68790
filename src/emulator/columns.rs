//! The rows of an Arrow batch under construction, and what can be wrong with one.

use deltalake_core::arrow::array::{RecordBatch, RecordBatchOptions};
use deltalake_core::arrow::datatypes::{FieldRef, Fields, SchemaRef};
use deltalake_core::arrow::error::ArrowError;

use crate::schema::{Column, ColumnType};

use super::builder::Builder;
use super::shown::shown;

/// What is wrong with a value, and in which field.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Problem {
    /// The fields from the inside out.
    path: Vec<String>,
    reason: String,
    /// The record's bytes are no message at all.
    pub(super) malformed: bool,
}

impl Problem {
    pub(super) fn new(reason: impl Into<String>) -> Self {
        Self {
            path: Vec::new(),
            reason: reason.into(),
            malformed: false,
        }
    }

    pub(super) fn malformed(reason: impl Into<String>) -> Self {
        Self {
            malformed: true,
            ..Self::new(reason)
        }
    }

    pub(super) fn within(mut self, field: &str) -> Self {
        self.path.push(shown(field));
        self
    }
}

impl From<String> for Problem {
    fn from(reason: String) -> Self {
        Self::new(reason)
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if !self.path.is_empty() {
            let path: Vec<&str> = self.path.iter().rev().map(String::as_str).collect();
            write!(f, "field \"{}\": ", path.join("."))?;
        }
        f.write_str(&self.reason)
    }
}

/// The rows of one Arrow batch under construction.
pub(super) struct Rows {
    schema: SchemaRef,
    pub(super) cells: Vec<Cell>,
    pub(super) count: usize,
}

impl Rows {
    pub(super) fn new(columns: &[Column], schema: &SchemaRef) -> Result<Self, String> {
        Ok(Self {
            schema: schema.clone(),
            cells: cells(columns, schema.fields())?,
            count: 0,
        })
    }

    /// Makes room for this many rows more.
    pub(super) fn reserve(&mut self, rows: usize) {
        for cell in &mut self.cells {
            cell.builder.reserve(rows);
        }
    }

    /// Forgets all but the first `count` rows, and one that was begun.
    pub(super) fn truncate(&mut self, count: usize) {
        self.count = count;
        for cell in &mut self.cells {
            cell.builder.truncate(count);
        }
    }

    pub(super) fn finish(self) -> Result<RecordBatch, ArrowError> {
        let arrays = self.cells.into_iter().map(|cell| cell.builder.finish());
        let arrays = arrays.collect::<Result<_, _>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(self.count));
        RecordBatch::try_new_with_options(self.schema, arrays, &options)
    }
}

/// Whether the service takes a column's name (PROTOCOL: limits).
pub(super) fn is_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    !name.is_empty() && name.chars().all(plain)
}

/// How many values a row holds: a STRUCT has those of its fields, NULL or not.
pub(super) fn values(columns: &[Column]) -> usize {
    let of = |column: &Column| match &column.ty {
        ColumnType::Struct(fields) => values(fields),
        _ => 1,
    };
    columns.iter().map(of).sum()
}

/// One column, or one field of a STRUCT.
pub(super) struct Cell {
    pub(super) name: String,
    pub(super) nullable: bool,
    pub(super) builder: Builder,
}

impl Cell {
    /// Appends NULL if the column may hold it.
    ///
    /// # Errors
    /// It may not; `given` says what stands in the record.
    pub(super) fn push_null(&mut self, given: &str) -> Result<(), Problem> {
        if !self.nullable {
            let reason = format!("{given}, but the column is NOT NULL");
            return Err(Problem::new(reason).within(&self.name));
        }
        self.builder.push_null();
        Ok(())
    }
}

/// The cells of a record or a STRUCT.
pub(super) fn cells(columns: &[Column], fields: &Fields) -> Result<Vec<Cell>, String> {
    if columns.len() != fields.len() {
        return Err("columns and Arrow fields differ in number".into());
    }
    let cell = |(column, field): (&Column, &FieldRef)| {
        Ok(Cell {
            name: column.name.clone(),
            nullable: column.nullable,
            builder: Builder::new(&column.ty, field.data_type())?,
        })
    };
    columns.iter().zip(fields).map(cell).collect()
}
