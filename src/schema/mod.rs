//! What a record is: table names, column types, and the way from a .proto file to the
//! record plan that the transcoder follows.

use std::path::Path;

mod bundle;
pub mod columns;
pub mod compile;
mod hints;
mod nesting;
pub mod plan;
mod similar;
pub mod table_name;
pub mod types;

pub use compile::ProtoSource;
pub use plan::RecordPlan;
pub use similar::closest;
pub use table_name::TableName;
pub use types::{Column, ColumnType};

/// A .proto file that cannot serve as the schema of a record, with the place to mend.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SchemaError {
    /// The .proto file.
    pub file: String,
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
            file: file.as_ref().display().to_string(),
            line,
            message: message.into(),
            hint: None,
        }
    }

    fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}
