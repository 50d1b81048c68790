//! CSV: where a record ends (quotes may hold newlines), and its cells.
//!
//! Records are framed here because a reader must be able to name the line where a quote
//! opened, stop at a bound, and tell `""` from an empty cell; the cells of a framed record
//! are split by csv-core.

use csv_core::{ReadFieldResult, Reader, ReaderBuilder};

use super::RowFault;
use super::framer::{Cut, Finished, Found};

/// The characters that structure a CSV file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CsvDialect {
    /// Between cells.
    pub delimiter: u8,
    /// Around cells that hold delimiters, quotes or newlines; doubled inside.
    pub quote: u8,
}

impl CsvDialect {
    /// Comma-separated.
    pub const COMMA: Self = Self {
        delimiter: b',',
        quote: b'"',
    };
    /// Tab-separated.
    pub const TAB: Self = Self {
        delimiter: b'\t',
        quote: b'"',
    };
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before the first byte of a cell.
    CellStart,
    /// In a cell without quotes.
    Bare,
    /// Between the quotes.
    Quoted,
    /// After a quote in a quoted cell: it closes, or the next one doubles it.
    QuoteSeen,
}

/// Cuts at newlines outside quotes.
pub(super) struct CsvCut {
    dialect: CsvDialect,
    state: State,
    /// The line being read, from 1.
    line: u64,
    record_line: u64,
    quote_line: u64,
    fault: Option<RowFault>,
}

impl CsvCut {
    pub(super) fn new(dialect: CsvDialect) -> Self {
        Self {
            dialect,
            state: State::CellStart,
            line: 1,
            record_line: 1,
            quote_line: 1,
            fault: None,
        }
    }
}

impl Cut for CsvCut {
    fn next(&mut self, bytes: &[u8]) -> Found {
        let CsvDialect { delimiter, quote } = self.dialect;
        for (at, &byte) in bytes.iter().enumerate() {
            if byte == b'\n' {
                self.line += 1;
                if self.state != State::Quoted {
                    return Found::End(at + 1);
                }
                continue;
            }
            self.state = match self.state {
                State::CellStart if byte == quote => {
                    self.quote_line = self.line;
                    State::Quoted
                }
                State::CellStart | State::Bare if byte == delimiter => State::CellStart,
                State::CellStart | State::Bare => State::Bare,
                State::Quoted if byte == quote => State::QuoteSeen,
                State::Quoted => State::Quoted,
                State::QuoteSeen if byte == quote => State::Quoted,
                State::QuoteSeen if byte == delimiter => State::CellStart,
                // The CR of a CRLF stands here in good files.
                State::QuoteSeen if byte == b'\r' => State::QuoteSeen,
                State::QuoteSeen => {
                    self.fault = Some(RowFault::TextAfterQuote);
                    State::Bare
                }
            };
        }
        Found::More
    }

    fn finish(&mut self) -> Finished {
        let finished = Finished {
            line: self.record_line,
            fault: self.fault.take(),
        };
        self.state = State::CellStart;
        self.record_line = self.line;
        finished
    }

    fn open_since(&self) -> Option<u64> {
        (self.state == State::Quoted).then_some(self.quote_line)
    }
}

/// A cell of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cell {
    /// Its text, quotes resolved.
    pub text: Vec<u8>,
    /// Whether it stood in quotes: then it is never null.
    pub quoted: bool,
}

/// The cells of a framed record.
pub fn cells(record: &[u8], dialect: CsvDialect) -> Cells<'_> {
    Cells {
        reader: ReaderBuilder::new()
            .delimiter(dialect.delimiter)
            .quote(dialect.quote)
            .build(),
        quote: dialect.quote,
        rest: Some(record),
    }
}

/// See [`cells`].
pub struct Cells<'a> {
    reader: Reader,
    quote: u8,
    rest: Option<&'a [u8]>,
}

impl Iterator for Cells<'_> {
    type Item = Cell;

    fn next(&mut self) -> Option<Cell> {
        let rest = self.rest?;
        let quoted = rest.first() == Some(&self.quote);
        // A cell is never longer than what is left of its record.
        let mut text = vec![0; rest.len()];
        let (result, read, written) = self.reader.read_field(rest, &mut text);
        text.truncate(written);
        self.rest = match result {
            ReadFieldResult::Field { record_end: false } => Some(&rest[read..]),
            // The record's end is the end of the slice: csv-core waits for more.
            ReadFieldResult::InputEmpty
            | ReadFieldResult::Field { record_end: true }
            | ReadFieldResult::OutputFull
            | ReadFieldResult::End => None,
        };
        Some(Cell { text, quoted })
    }
}
