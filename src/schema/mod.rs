//! What a record is: table names, column types, and the way from a .proto file to the
//! record plan that the transcoder follows.

use std::path::Path;

mod bundle;
pub mod check;
pub mod columns;
pub mod compile;
mod from_table;
mod hints;
mod nesting;
pub mod plan;
mod planner;
mod similar;
pub mod table_name;
mod type_text;
pub mod types;
mod unity;
mod values;

pub use compile::{Declared, ProtoSource};
pub use from_table::message_name;
pub(crate) use from_table::message_of_table;
pub use hints::column_type;
pub use plan::RecordPlan;
pub use planner::{COLUMNS_MAX, DEPTH_MAX, FIELDS_MAX};
pub use similar::closest;
pub use table_name::TableName;
pub use types::{Column, ColumnType};
pub use unity::CatalogTable;

/// A .proto file that cannot serve as the schema of a record, with the place to mend.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SchemaError {
    /// The file; none where it is a flag that does not fit the record.
    pub file: Option<String>,
    /// The line, counted from 1, where one is known.
    pub line: Option<u64>,
    /// What is wrong.
    pub message: String,
    /// What to do next.
    pub hint: Option<String>,
}

impl SchemaError {
    fn at(file: impl AsRef<Path>, line: Option<u64>, message: impl Into<String>) -> Self {
        Self {
            file: Some(file.as_ref().display().to_string()),
            line,
            message: message.into(),
            hint: None,
        }
    }

    fn of_flag(message: impl Into<String>) -> Self {
        Self {
            file: None,
            line: None,
            message: message.into(),
            hint: None,
        }
    }

    fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}
