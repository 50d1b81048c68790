//! Reads an input in steps and cuts it into blocks of whole rows.
//!
//! The format decides where a row ends ([`Cut`]); everything else is the same for all
//! formats: the bytes carried over to the next block, the bounds, the positions.

use std::io::{self, Read};
use std::sync::Arc;

use super::csv::CsvCut;
use super::ndjson::LineCut;
use super::{Block, CsvDialect, Format, InputError, Limits, LongRow, Row, RowFault, Source};

/// Finds the ends of rows. It sees every byte once and keeps its state over calls.
pub(super) trait Cut {
    /// Looks for the end of the row that is being read in `bytes`, which continue what was
    /// seen before.
    fn next(&mut self, bytes: &[u8]) -> Found;

    /// What the row that ends here is, and makes ready for the next one.
    fn finish(&mut self) -> Finished;

    /// Whether the end of the input may not stand here, and the line where that began.
    fn open_since(&self) -> Option<u64>;
}

/// What [`Cut::next`] found.
pub(super) enum Found {
    /// The row ends before this many bytes, the line's end included.
    End(usize),
    /// All bytes belong to the row.
    More,
}

/// What [`Cut::finish`] says of a row.
pub(super) struct Finished {
    /// The line it began on.
    pub line: u64,
    pub fault: Option<RowFault>,
}

/// Cuts one input into blocks.
pub struct Framer {
    source: Arc<Source>,
    reader: Box<dyn Read + Send>,
    cut: Box<dyn Cut + Send>,
    limits: Limits,
    /// Bytes read that belong to no block yet; the first `seen` were shown to the cut.
    carry: Vec<u8>,
    seen: usize,
    source_bytes: u64,
    /// Where `carry` begins in the source.
    position: u64,
    /// The row that is over the limit, while it streams by: where it begins, and how many
    /// of its bytes were dropped.
    dropping: Option<(u64, u64)>,
    ended: bool,
}

const BOM: &[u8] = b"\xEF\xBB\xBF";

impl Framer {
    /// Begins at the start of an input; reads a CSV's header.
    ///
    /// # Errors
    /// An input that cannot be read, or whose header is no CSV record.
    pub fn new(
        mut source: Source,
        reader: Box<dyn Read + Send>,
        limits: Limits,
    ) -> Result<Self, InputError> {
        let format = source.format;
        let cut: Box<dyn Cut + Send> = match format {
            Format::Ndjson => Box::new(LineCut::new()),
            Format::Csv(dialect) => Box::new(CsvCut::new(dialect)),
        };
        source.header = None;
        let mut framer = Self {
            source: Arc::new(source),
            reader,
            cut,
            limits,
            carry: Vec::new(),
            seen: 0,
            source_bytes: 0,
            position: 0,
            dropping: None,
            ended: false,
        };
        framer.skip_bom()?;
        if let Format::Csv(dialect) = format {
            framer.read_header(dialect)?;
        }
        Ok(framer)
    }

    /// The source as the blocks refer to it.
    pub fn source(&self) -> &Arc<Source> {
        &self.source
    }

    /// The next block; none at the end of the input. A block is given out as soon as
    /// nothing more can be read without waiting, so that rows of a slow pipe do not wait.
    ///
    /// # Errors
    /// A read that fails, or a quoted CSV cell that never ends.
    pub fn next_block(&mut self) -> Result<Option<Block>, InputError> {
        let position = self.position;
        let mut rows = Vec::new();
        let mut consumed = 0;
        let mut long_row = None;
        loop {
            let full = rows.len() >= self.limits.block_rows_max;
            if full || long_row.is_some() {
                break;
            }
            match self.cut.next(&self.carry[self.seen..]) {
                Found::End(more) => {
                    let end = self.seen + more;
                    self.seen = end;
                    long_row = self.end_row(consumed, end, &mut rows);
                    consumed = end;
                    continue;
                }
                Found::More => self.seen = self.carry.len(),
            }
            let partial = self.carry.len() - consumed;
            if partial > self.limits.line_bytes_max {
                self.check_open_quote(self.limits.line_bytes_max)?;
                let (_, dropped) = self
                    .dropping
                    .get_or_insert((self.position + consumed as u64, 0));
                *dropped += partial as u64;
                self.carry.truncate(consumed);
                self.seen = consumed;
            }
            if !rows.is_empty() {
                break;
            }
            if self.fill()? == 0 {
                if self.carry.len() > consumed || self.dropping.is_some() {
                    // The last row has no line's end.
                    self.check_open_quote(usize::MAX)?;
                    let end = self.carry.len();
                    long_row = self.end_row(consumed, end, &mut rows);
                    consumed = end;
                }
                break;
            }
        }
        if rows.is_empty() && long_row.is_none() && self.ended {
            return Ok(None);
        }
        let rest = self.carry.split_off(consumed);
        let data = std::mem::replace(&mut self.carry, rest);
        self.seen -= consumed;
        let first_byte = position;
        self.position += consumed as u64;
        Ok(Some(Block {
            source: Arc::clone(&self.source),
            data,
            first_byte,
            rows,
            long_row,
            source_bytes: self.source_bytes,
        }))
    }

    fn end_row(&mut self, start: usize, end: usize, rows: &mut Vec<Row>) -> Option<LongRow> {
        let finished = self.cut.finish();
        let mut bytes = &self.carry[start..end];
        bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
        bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
        let (begins, dropped) = match self.dropping.take() {
            Some((begins, dropped)) => (begins, dropped),
            None => (self.position + start as u64, 0),
        };
        if dropped > 0 || bytes.len() > self.limits.line_bytes_max {
            let bytes = dropped + bytes.len() as u64;
            // The dropped bytes stood before what is in `carry` now.
            self.position += dropped;
            return Some(LongRow {
                line: finished.line,
                byte: begins,
                bytes,
            });
        }
        if !bytes.iter().all(|b| matches!(b, b' ' | b'\t')) {
            rows.push(Row {
                start,
                len: bytes.len(),
                line: finished.line,
                fault: finished.fault,
            });
        }
        None
    }

    /// Reads once, at most as much as makes a block.
    fn fill(&mut self) -> Result<usize, InputError> {
        if self.ended {
            return Ok(0);
        }
        let have = self.carry.len();
        self.carry.resize(have + self.limits.block_bytes, 0);
        let read = loop {
            match self.reader.read(&mut self.carry[have..]) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => {
                    self.carry.truncate(have);
                    return Err(self.error(None, format!("cannot be read: {e}"), None));
                }
                Ok(n) => break n,
            }
        };
        self.carry.truncate(have + read);
        self.source_bytes += read as u64;
        self.ended = read == 0;
        Ok(read)
    }

    fn skip_bom(&mut self) -> Result<(), InputError> {
        while self.carry.len() < BOM.len() && BOM.starts_with(&self.carry) {
            if self.fill()? == 0 {
                break;
            }
        }
        if self.carry.starts_with(BOM) {
            self.carry.drain(..BOM.len());
            self.position += BOM.len() as u64;
        }
        Ok(())
    }

    /// The first record, read as a block of one row.
    fn read_header(&mut self, dialect: CsvDialect) -> Result<(), InputError> {
        let rows_max = std::mem::replace(&mut self.limits.block_rows_max, 1);
        let block = loop {
            match self.next_block()? {
                // Blank lines before the header.
                Some(block) if block.rows.is_empty() && block.long_row.is_none() => {}
                other => break other,
            }
        };
        self.limits.block_rows_max = rows_max;
        let Some(block) = block else { return Ok(()) };
        let Some(row) = block.rows.first() else {
            let limit = self.limits.line_bytes_max;
            let message = format!("the header is longer than {limit} bytes");
            return Err(self.error(Some(1), message, Some("is this a CSV file?")));
        };
        let mut names = Vec::new();
        for cell in super::csv::cells(block.row(row), dialect) {
            let Ok(name) = String::from_utf8(cell.text) else {
                let message = format!("the header's column {} is not UTF-8", names.len() + 1);
                return Err(self.error(Some(row.line), message, None));
            };
            if name.is_empty() {
                let message = format!("the header's column {} has no name", names.len() + 1);
                return Err(self.error(
                    Some(row.line),
                    message,
                    Some("the first line must name the columns"),
                ));
            }
            if names.contains(&name) {
                let message = format!("the header names column \"{name}\" twice");
                return Err(self.error(Some(row.line), message, Some("rename one of the two")));
            }
            names.push(name);
        }
        self.source = Arc::new(Source {
            index: self.source.index,
            name: self.source.name.clone(),
            format: self.source.format,
            header: Some((names, row.line)),
        });
        Ok(())
    }

    fn check_open_quote(&self, limit: usize) -> Result<(), InputError> {
        let Some(line) = self.cut.open_since() else {
            return Ok(());
        };
        let message = match limit {
            usize::MAX => "a quoted cell opens here and never closes".to_owned(),
            limit => format!("a quoted cell opens here and is still open after {limit} bytes"),
        };
        let hint = "close the quote, or double the quotes inside the cell";
        Err(self.error(Some(line), message, Some(hint)))
    }

    fn error(&self, line: Option<u64>, message: String, hint: Option<&'static str>) -> InputError {
        InputError {
            source_name: self.source.name.clone(),
            line,
            message,
            hint,
        }
    }
}
