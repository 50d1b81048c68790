//! Where rows come from: files and standard input, decompressed, and framed into blocks of
//! whole rows that know their source, line and byte position.
//!
//! Memory is bounded by [`Limits`]: a block holds at most `block_bytes` of rows, or one row
//! of up to `line_bytes_max`; what is longer is skipped as it streams by.

use std::sync::Arc;
use std::time::Duration;

use crate::buffers::{Buffer, Pool};

mod bytes;
mod compression;
mod csv;
mod decompress;
mod expand;
mod framer;
mod json;
mod ndjson;
mod position;
mod raw;
mod source;

pub use bytes::{Bytes, ReadError};
pub use compression::Compression;
pub use csv::{Cell, CsvDialect, cells};
pub use expand::{Shard, expand, would_take};
pub use framer::Framer;
pub use position::{Next, Position, RunningHash, fingerprint};
pub use source::{Input, Stop};

/// The format of an input's rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One JSON object a line.
    Ndjson,
    /// One array of objects, or objects one after another.
    Json,
    /// Delimited text with a header.
    Csv(CsvDialect),
}

/// The most bytes of a block: [`Limits::line_bytes_max`] and [`Limits::block_bytes`] together
/// stay below it.
pub const BLOCK_BYTES_MAX: usize = 1 << 31;

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

/// How an input is read and cut into rows, beyond its format.
#[derive(Debug, Clone, Default)]
pub struct Framing {
    /// Bounds of what is held.
    pub limits: Limits,
    /// How it is decompressed.
    pub compression: Compression,
    /// The first record of a CSV is a row, not a header.
    pub no_header: bool,
    /// The names of a CSV's columns, instead of those in its header.
    pub columns: Option<Vec<String>>,
    /// How long rows of a pipe wait for others to fill their block.
    pub linger: Duration,
    /// Where the buffers of its blocks come from.
    pub pool: Pool,
    /// Bytes are hashed as they pass, for an input that cannot be read twice.
    pub hashed: bool,
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
    /// A CSV's header; none for other formats, for an empty file, and where columns have no
    /// names: then they are the record's fields in order.
    pub header: Option<Header>,
}

/// The names of a CSV's columns, mostly from its first record.
#[derive(Debug)]
pub struct Header {
    /// The names of the columns.
    pub names: Vec<String>,
    /// The line that it begins on, from 1.
    pub line: u64,
    /// Its bytes as they stand in the source, with the line's end; empty without a header.
    pub record: Vec<u8>,
}

/// Whole rows of one source, in order.
#[derive(Debug)]
pub struct Block {
    /// Where they come from.
    pub source: Arc<Source>,
    /// The bytes they lie in.
    pub data: Buffer,
    /// Where these bytes begin in the source, after decompression.
    pub first_byte: u64,
    /// The line that the lines of its rows are counted from.
    first_line: u64,
    /// The rows, in order.
    pub rows: Vec<Row>,
    /// A row over the limit, or a piece of one, that follows the rows of this block.
    pub long: Option<LongRow>,
    /// Bytes of the source consumed up to the end of this block, before decompression.
    pub source_bytes: u64,
    /// The source is compressed: its bytes are not those of the rows.
    pub compressed: bool,
    /// The line on which the JSON array opened that these rows stand in.
    pub array: Option<u64>,
    /// Where the next block begins; none in the middle of a row.
    pub end: Option<Position>,
    /// The hash of all bytes before this block, where the input is hashed.
    pub hash_before: Option<RunningHash>,
    /// The same with this block.
    pub hash_after: Option<RunningHash>,
}

/// One row of a block. There are many: it is kept small.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    start: u32,
    len: u32,
    /// Lines behind the block's first.
    line: u32,
    /// Bytes of the line's end; 2 at the most.
    end_len: u8,
    /// What framing found wrong with it.
    pub fault: Option<RowFault>,
}

impl Row {
    /// `line` counts from the block's first. All fit, since a block is within
    /// [`BLOCK_BYTES_MAX`].
    fn new(
        start: usize,
        len: usize,
        len_with_end: usize,
        line: u64,
        fault: Option<RowFault>,
    ) -> Self {
        debug_assert!(start + len_with_end <= BLOCK_BYTES_MAX);
        debug_assert!(line <= BLOCK_BYTES_MAX as u64);
        Self {
            start: start as u32,
            len: len as u32,
            line: line as u32,
            end_len: (len_with_end - len) as u8,
            fault,
        }
    }

    /// Where it begins in the block's data.
    pub fn start(&self) -> usize {
        self.start as usize
    }

    /// Its length without the line's end.
    pub fn len(&self) -> usize {
        self.len as usize
    }

    /// Whether there is nothing in it; no format has such rows.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Its length with the line's end, if it has one.
    pub fn len_with_end(&self) -> usize {
        self.len() + usize::from(self.end_len)
    }
}

/// A row that framing already knows to be bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowFault {
    /// A quoted CSV cell goes on after its closing quote.
    TextAfterQuote,
    /// A carriage return outside quotes that no newline follows.
    BareCarriageReturn,
}

impl RowFault {
    /// What to say of it.
    pub fn message(self) -> &'static str {
        match self {
            Self::TextAfterQuote => {
                "text after the closing quote of a cell (double the quotes inside a cell)"
            }
            Self::BareCarriageReturn => {
                "a carriage return without a newline (lines end in LF or CRLF; put text that holds one in quotes)"
            }
        }
    }
}

/// A row longer than `line_bytes_max`. It passes in pieces, one to a block.
#[derive(Debug, Clone, Copy)]
pub struct LongRow {
    /// Where the piece begins in the block's data, which it fills to the end.
    pub start: usize,
    /// The line that the row begins on, from 1.
    pub line: u64,
    /// The limit, in bytes.
    pub limit: usize,
    /// Where the row begins in the source, from 0.
    pub byte: u64,
    /// This is the first piece.
    pub begins: bool,
    /// This is the last piece.
    pub ends: bool,
}

impl Block {
    /// The bytes of a row without the line's end.
    pub fn row(&self, row: &Row) -> &[u8] {
        &self.data[row.start()..][..row.len()]
    }

    /// The line that a row begins on, from 1.
    pub fn line(&self, row: &Row) -> u64 {
        self.first_line + u64::from(row.line)
    }

    /// Bytes that are held for it.
    pub fn held_bytes(&self) -> usize {
        self.data.len() + size_of_val(&*self.rows)
    }

    /// Where reading can begin again so that the next row is the one that begins at `start`
    /// of the block, on this line; and the hash of all bytes before it.
    pub fn before(&self, start: usize, line: u64) -> (Position, Option<RunningHash>) {
        let position = Position {
            byte: self.first_byte + start as u64,
            line,
            array: self.array,
            next: match self.array {
                Some(_) => Next::Row,
                None => Next::Any,
            },
        };
        let hash = self.hash_before.clone().map(|mut hash| {
            hash.pass(&self.data[..start]);
            hash
        });
        (position, hash)
    }

    /// The bytes of a row as they stand in the source.
    pub fn row_with_end(&self, row: &Row) -> &[u8] {
        &self.data[row.start()..][..row.len_with_end()]
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
