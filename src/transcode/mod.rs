//! One row + plan → the bytes of one record. Pure: no I/O, no clock.
//!
//! Rows never become a tree: the scanner's pieces are written as wire bytes straight into
//! the batch. A row either becomes a whole record or leaves the batch as it was, with a
//! reason for each bad field.

use std::ops::Range;
use std::sync::Arc;

mod batch;
mod csv_row;
mod json_row;
mod keys;
mod mapping;
mod number;
mod plain;
mod scanner;
mod time;
mod value;
mod wire;
mod words;

pub use batch::{BATCH_BYTES_MAX, BatchBuilder, EncodedBatch, ROW_BYTES_MAX};
pub use csv_row::CellRules;
pub use mapping::{Mapping, SetValue};
pub use time::{Ambiguous, TimeRules};

use wire::content_len;

use plain::{Around, CellEnds, Plain};

use crate::input::{Block, CsvDialect, Format, LongRow, Row, Source};
use crate::schema::{Column, RecordPlan};

/// What a record is on the wire.
#[derive(Debug, Clone)]
pub enum Target {
    /// Protobuf bytes by a plan.
    Proto(Arc<RecordPlan>),
    /// The text of a JSON object, for the service to convert.
    Json,
}

/// What is taken and how, beyond the plan.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// How times are read.
    pub time: TimeRules,
    /// How the cells of a CSV are read.
    pub cells: CellRules,
    /// Where fields get their values, other than from columns of their name.
    pub mapping: Mapping,
    /// Skip fields of a row that the record does not have.
    pub ignore_unknown: bool,
    /// The columns of the table that JSON records go into, where they are known.
    pub columns: Option<Vec<Column>>,
}

/// Why a row is bad. The names stand in reasons files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ReasonKind {
    /// The row is not of its format.
    Syntax,
    /// Not UTF-8.
    Encoding,
    /// A value of another type than its field.
    Type,
    /// A value out of its type's range.
    Range,
    /// A field that the record does not have.
    UnknownField,
    /// A required field is missing or null.
    Missing,
    /// A field or map key that is given twice, or two members of a oneof.
    Duplicate,
    /// More or fewer cells than columns.
    Columns,
    /// A line over `--max-line`.
    LineTooLong,
    /// A record over [`ROW_BYTES_MAX`].
    RowTooLarge,
    /// The service has refused the record.
    Refused,
}

impl ReasonKind {
    /// The name used in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Syntax => "syntax",
            Self::Encoding => "encoding",
            Self::Type => "type",
            Self::Range => "range",
            Self::UnknownField => "unknown_field",
            Self::Missing => "missing",
            Self::Duplicate => "duplicate",
            Self::Columns => "columns",
            Self::LineTooLong => "line_too_long",
            Self::RowTooLarge => "row_too_large",
            Self::Refused => "refused",
        }
    }
}

/// One thing that is wrong with a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// The field's path, such as `device.tags[2]`; none where it is the row as a whole.
    pub field: Option<String>,
    /// Of what kind.
    pub kind: ReasonKind,
    /// What, with the value.
    pub message: String,
}

impl Reason {
    fn of_row(kind: ReasonKind, message: impl Into<String>) -> Self {
        Self {
            field: None,
            kind,
            message: message.into(),
        }
    }
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.field {
            Some(field) => write!(f, "field \"{field}\": {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

/// A row that did not become a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowError {
    /// The line it begins on.
    pub line: u64,
    /// Where it begins in its source, in bytes from 0.
    pub byte: u64,
    /// What is wrong, in the order of the row; never empty.
    pub reasons: Vec<Reason>,
}

impl RowError {
    /// A row that the service has refused, for this reason.
    pub fn refused(line: u64, byte: u64, why: &str) -> Self {
        let message = format!("the service refused the row: {why}");
        Self {
            line,
            byte,
            reasons: vec![Reason::of_row(ReasonKind::Refused, message)],
        }
    }
}

impl From<&LongRow> for RowError {
    fn from(row: &LongRow) -> Self {
        let message = format!(
            "the row is longer than {} bytes, the limit of --max-line",
            row.limit
        );
        Self {
            line: row.line,
            byte: row.byte,
            reasons: vec![Reason::of_row(ReasonKind::LineTooLong, message)],
        }
    }
}

/// How many rows are read field by field after one that was not plain as a whole, and that
/// doubled after each further one, at the most.
const CAREFUL_ROWS_MAX: u32 = 32;

/// A row that is plain as a whole.
enum Whole {
    Object,
    Cells {
        /// The field of each column.
        columns: Vec<usize>,
        dialect: CsvDialect,
    },
}

/// Turns rows into records. Keeps buffers, nothing else, from one row to the next.
pub struct Transcoder {
    target: Target,
    /// What is plain about the fields of protobuf records.
    plain: Plain,
    options: Options,
    scratch: json_row::Scratch,
    /// The columns of the source being read.
    columns: csv_row::Columns,
    /// How a row of it is taken that is plain as a whole, if any can be.
    whole: Option<Whole>,
    /// Rows that are not tried as a whole, since one was not plain; and how many after the
    /// next such row.
    careful_rows: u32,
    careful_rows_next: u32,
    /// Timestamps whose digits past microseconds were cut.
    digits_cut: u64,
}

impl Transcoder {
    /// A transcoder for records of this kind.
    pub fn new(target: Target, options: Options) -> Self {
        let plain = match &target {
            Target::Proto(plan) => Plain::new(&plan.messages),
            Target::Json => Plain::new(&[]),
        };
        Self {
            target,
            plain,
            options,
            scratch: json_row::Scratch::default(),
            columns: csv_row::Columns::default(),
            whole: None,
            careful_rows: 0,
            careful_rows_next: 1,
            digits_cut: 0,
        }
    }

    /// How many timestamps had digits past microseconds, which were cut.
    pub fn digits_cut(&self) -> u64 {
        self.digits_cut
    }

    /// Begins a source, before its first block: finds the field of each column of a CSV.
    ///
    /// # Errors
    /// A column that is no field of the record, or two that go to one field.
    pub fn begin_source(&mut self, source: &Source) -> Result<(), Reason> {
        match (&self.target, header(source)) {
            (Target::Proto(plan), names) => {
                self.columns = csv_row::Columns::new(plan, names, &self.options)?;
                self.whole = self.whole(source.format);
            }
            (Target::Json, Some(names)) => {
                csv_row::check_names(names)?;
                if let Some(columns) = &self.options.columns {
                    csv_row::check_columns(names, columns)?;
                }
            }
            (Target::Json, None) => {}
        }
        Ok(())
    }

    fn whole(&self, format: Format) -> Option<Whole> {
        let Options { mapping, cells, .. } = &self.options;
        if !mapping.set().is_empty() {
            return None;
        }
        match format {
            Format::Ndjson | Format::Json => mapping.is_plain().then_some(Whole::Object),
            Format::Csv(dialect) => {
                let columns = self.columns.fields().filter(|_| cells.is_plain())?;
                let plain = self.plain.has_required(&columns);
                plain.then_some(Whole::Cells { columns, dialect })
            }
        }
    }

    /// Encodes these rows of a block up to the first bad one, whose index is returned with
    /// its error. Call again after it for the rest.
    ///
    /// # Errors
    /// The first bad row; the batch holds all rows before it and nothing of it.
    pub fn block(
        &mut self,
        block: &Block,
        rows: Range<usize>,
        out: &mut BatchBuilder,
    ) -> Result<(), (usize, RowError)> {
        // Looked over once; where something is wrong, row by row.
        let text = std::str::from_utf8(&block.data).ok();
        for index in rows {
            let row = &block.rows[index];
            if text.is_some() && row.fault.is_none() && self.plain_row(block, row, out) {
                continue;
            }
            let text = text.and_then(|text| text.get(row.start()..row.start() + row.len()));
            if let Err(reasons) = self.row(block, row, text, out) {
                let error = RowError {
                    line: block.line(row),
                    byte: block.first_byte + row.start() as u64,
                    reasons,
                };
                return Err((index, error));
            }
        }
        Ok(())
    }

    /// Encodes a row that comes by itself, as the text of a JSON object: the bytes of its record
    /// are appended.
    ///
    /// # Errors
    /// What is wrong with it; `out` then holds bytes that mean nothing.
    pub fn object(&mut self, text: &str, out: &mut Vec<u8>) -> Result<(), Vec<Reason>> {
        let Target::Proto(plan) = &self.target else {
            return json_row::check_object(text, out);
        };
        let around = Around(text.as_bytes());
        let mut encoder =
            json_row::Encoder::new(plan, &self.plain, &self.options, &mut self.scratch, out);
        encoder.row(text, around);
        self.digits_cut += encoder.finish()?;
        Ok(())
    }

    /// Encodes a row if it is plain as a whole. `block` is UTF-8.
    #[inline]
    fn plain_row(&mut self, block: &Block, row: &Row, out: &mut BatchBuilder) -> bool {
        let Some(whole) = &self.whole else {
            return false;
        };
        if self.careful_rows > 0 {
            self.careful_rows -= 1;
            return false;
        }
        let around = Around(&block.data[row.start()..]);
        let start = out.buffer().len();
        let taken = match whole {
            Whole::Object => self.plain.object(around, out.buffer()) == Some(row.len()),
            Whole::Cells { columns, dialect } => {
                let ends = CellEnds {
                    delimiter: dialect.delimiter,
                    quote: dialect.quote,
                    end: row.len(),
                };
                let taken = self.plain.cells(columns, around, ends, out.buffer());
                taken.is_some()
            }
        };
        let bytes = content_len(out.buffer().len() - start);
        if taken && bytes <= ROW_BYTES_MAX {
            out.add_record(start, bytes);
            self.careful_rows_next = 1;
            return true;
        }
        out.drop_record(start);
        self.careful_rows = self.careful_rows_next;
        self.careful_rows_next = (2 * self.careful_rows_next).min(CAREFUL_ROWS_MAX);
        false
    }

    /// `text` is the row, where its block is known to be UTF-8.
    fn row(
        &mut self,
        block: &Block,
        row: &Row,
        text: Option<&str>,
        out: &mut BatchBuilder,
    ) -> Result<(), Vec<Reason>> {
        if let Some(fault) = row.fault {
            return Err(vec![Reason::of_row(ReasonKind::Syntax, fault.message())]);
        }
        let text = match text {
            Some(text) => text,
            None => std::str::from_utf8(block.row(row)).map_err(|e| {
                let message = format!("invalid UTF-8 after byte {} of the row", e.valid_up_to());
                vec![Reason::of_row(ReasonKind::Encoding, message)]
            })?,
        };
        let record = out.begin_record();
        let around = Around(&block.data[row.start()..]);
        let result = self.encode(&block.source, block.line(row), text, around, out.buffer());
        let result = result.and_then(|()| match out.record_bytes(record) {
            bytes if bytes > ROW_BYTES_MAX => {
                let message =
                    format!("encodes to {bytes} bytes, the service takes {ROW_BYTES_MAX}");
                Err(vec![Reason::of_row(ReasonKind::RowTooLarge, message)])
            }
            _ => Ok(()),
        });
        match result {
            Ok(()) => {
                out.end_record(record);
                Ok(())
            }
            Err(reasons) => {
                out.drop_record(record);
                Err(reasons)
            }
        }
    }

    fn encode(
        &mut self,
        source: &Source,
        line: u64,
        text: &str,
        around: Around<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), Vec<Reason>> {
        let plan = match (&self.target, source.format) {
            (Target::Proto(plan), _) => plan,
            (Target::Json, Format::Ndjson | Format::Json) => {
                return json_row::check_object(text, out);
            }
            (Target::Json, Format::Csv(dialect)) => {
                let names = header(source).unwrap_or_default();
                return csv_row::to_object(names, text, dialect, &self.options.cells, out);
            }
        };
        let mut encoder =
            json_row::Encoder::new(plan, &self.plain, &self.options, &mut self.scratch, out);
        encoder.origin = (&source.name, line);
        match source.format {
            Format::Ndjson | Format::Json => encoder.row(text, around),
            Format::Csv(dialect) => {
                let rules = &self.options.cells;
                csv_row::encode(&self.columns, text, around, dialect, rules, &mut encoder);
            }
        }
        self.digits_cut += encoder.finish()?;
        Ok(())
    }
}

fn header(source: &Source) -> Option<&[String]> {
    source.header.as_ref().map(|header| header.names.as_slice())
}
