//! Where rows come from: files and standard input, framed into blocks of whole rows that
//! know their source, line and byte position.
//!
//! Memory is bounded by [`Limits`]: a block holds at most `block_bytes` of rows, or one row
//! of up to `line_bytes_max`; what is longer is skipped as it streams by.

use std::sync::Arc;

mod csv;
mod framer;
mod ndjson;
mod source;

pub use csv::{Cell, CsvDialect, cells};
pub use framer::Framer;
pub use source::{Input, Opened};

/// The format of an input's rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One JSON object a line.
    Ndjson,
    /// Delimited text with a header.
    Csv(CsvDialect),
}

/// Bounds of what is held of an input at one time.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The longest row, in bytes.
    pub line_bytes_max: usize,
    /// About how many bytes of rows make a block.
    pub block_bytes: usize,
    /// The most rows of a block.
    pub block_rows_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            line_bytes_max: 16 << 20,
            block_bytes: 256 << 10,
            block_rows_max: 6_250,
        }
    }
}

/// An input as its rows see it.
#[derive(Debug)]
pub struct Source {
    /// Position among the inputs, from 0.
    pub index: usize,
    /// The path as given, or `-`.
    pub name: String,
    /// How its rows are read.
    pub format: Format,
    /// The names in a CSV's header, and the line it stands on.
    pub header: Option<(Vec<String>, u64)>,
}

/// Whole rows of one source, in order.
#[derive(Debug)]
pub struct Block {
    /// Where they come from.
    pub source: Arc<Source>,
    /// The bytes they lie in.
    pub data: Vec<u8>,
    /// Where these bytes begin in the source, after decompression.
    pub first_byte: u64,
    /// The rows, in order.
    pub rows: Vec<Row>,
    /// A row over the limit that follows the rows of this block; its bytes are gone.
    pub long_row: Option<LongRow>,
    /// Bytes of the source consumed up to the end of this block, before decompression.
    pub source_bytes: u64,
}

/// One row of a block.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// Where it begins in the block's data.
    pub start: usize,
    /// Its length without the line's end.
    pub len: usize,
    /// The line it begins on, from 1.
    pub line: u64,
    /// What framing found wrong with it.
    pub fault: Option<RowFault>,
}

/// A row that framing already knows to be bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowFault {
    /// A quoted CSV cell goes on after its closing quote.
    TextAfterQuote,
}

/// A row longer than `line_bytes_max`.
#[derive(Debug, Clone, Copy)]
pub struct LongRow {
    /// The line it begins on, from 1.
    pub line: u64,
    /// Where it begins in the source, from 0.
    pub byte: u64,
    /// Its length in bytes.
    pub bytes: u64,
}

impl Block {
    /// The bytes of a row.
    pub fn row(&self, row: &Row) -> &[u8] {
        &self.data[row.start..row.start + row.len]
    }
}

/// An input that cannot be opened, read or framed. Rows before the place are unaffected.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct InputError {
    /// The path as given, or `-`.
    pub source_name: String,
    /// The line, where one is known.
    pub line: Option<u64>,
    /// What is wrong.
    pub message: String,
    /// What to do next.
    pub hint: Option<&'static str>,
}
