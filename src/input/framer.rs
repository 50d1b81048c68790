//! Reads an input in steps and cuts it into blocks of whole rows.
//!
//! The format decides where a row ends ([`Cut`]); everything else is the same for all
//! formats: the bytes carried over to the next block, the bounds, the positions.

use std::io;
use std::sync::Arc;

use super::csv::{CsvCut, cells};
use super::json::JsonCut;
use super::ndjson::LineCut;
use super::source::Bytes;
use super::{
    Block, CsvDialect, Format, Framing, Header, InputError, Limits, LongRow, Row, RowFault, Source,
};

/// Finds the ends of rows. It sees every byte once and keeps its state over calls.
pub(super) trait Cut {
    /// Looks for the end of the row that is being read in `bytes`, which continue what was
    /// seen before.
    fn next(&mut self, bytes: &[u8]) -> Found;

    /// What the row that ends here is, and makes ready for the next one.
    fn finish(&mut self) -> Finished;

    /// The line on which the row being read began.
    fn row_line(&self) -> u64;

    /// What is open where it must not be: at the end of the input, or (for CSV, where a quote
    /// swallows everything behind it) at the limit of a row.
    fn unfinished(&self) -> Option<Unfinished>;

    /// Bytes in front of the row being read that belong to no row, since it was last asked.
    fn take_before(&mut self) -> usize {
        0
    }

    /// What makes everything from here on unreadable.
    fn broken(&self) -> Option<Unfinished> {
        None
    }
}

/// Something that makes an input unreadable from its place on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Unfinished {
    pub line: u64,
    pub what: &'static str,
    pub hint: &'static str,
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
    /// Bytes in front of the row that belong to no row and were not told of by
    /// [`Cut::take_before`].
    pub before: usize,
}

/// What a read brought.
enum Filled {
    Some,
    /// The end of the input.
    End,
    /// Reading was stopped: there may be more.
    Stopped,
}

/// Cuts one input into blocks.
pub struct Framer {
    source: Arc<Source>,
    bytes: Bytes,
    cut: Box<dyn Cut + Send>,
    limits: Limits,
    /// Bytes read that belong to no block yet; the first `seen` were shown to the cut.
    carry: Vec<u8>,
    seen: usize,
    /// Where `carry` begins in the source.
    position: u64,
    source_bytes: u64,
    /// Where the row begins that is over the limit, while it passes in pieces.
    long: Option<u64>,
    ended: bool,
}

const BOM: &[u8] = b"\xEF\xBB\xBF";
/// A row may be followed by CR and LF.
const LINE_END_BYTES_MAX: usize = 2;

impl Framer {
    /// Begins at the start of an input; reads a CSV's header.
    ///
    /// # Errors
    /// An input that cannot be read, or whose header is no CSV record.
    pub fn new(source: Source, bytes: Bytes, framing: &Framing) -> Result<Self, InputError> {
        let format = source.format;
        let cut: Box<dyn Cut + Send> = match format {
            Format::Ndjson => Box::new(LineCut::new()),
            Format::Csv(dialect) => Box::new(CsvCut::new(dialect)),
            Format::Json => Box::new(JsonCut::new()),
        };
        let mut framer = Self {
            source: Arc::new(source),
            bytes,
            cut,
            limits: framing.limits,
            carry: Vec::new(),
            seen: 0,
            position: 0,
            source_bytes: 0,
            long: None,
            ended: false,
        };
        framer.skip_bom()?;
        if let Format::Csv(dialect) = format {
            framer.begin_csv(dialect, framing)?;
        }
        Ok(framer)
    }

    /// Bytes of the source that were read.
    pub fn source_bytes(&self) -> u64 {
        self.source_bytes
    }

    /// The source as the blocks refer to it.
    pub fn source(&self) -> &Arc<Source> {
        &self.source
    }

    /// The next block; none at the end of the input, or once reading is stopped and all
    /// whole rows that were read are given out. A block comes as soon as nothing more can
    /// be read without waiting, so that rows of a slow pipe do not wait.
    ///
    /// # Errors
    /// A read that fails, a quoted CSV cell that never ends, a file that was still being
    /// written.
    pub fn next_block(&mut self) -> Result<Option<Block>, InputError> {
        if self.long.is_some() {
            return self.long_row_goes_on();
        }
        let mut rows = Vec::new();
        let mut long = None;
        let mut consumed = 0;
        while rows.len() < self.limits.block_rows_max && long.is_none() {
            // Shown no further than the limit, so that what a row is does not depend on
            // where a read happens to end.
            let most = consumed + self.limits.line_bytes_max + LINE_END_BYTES_MAX;
            let shown = self.carry.len().min(most);
            if let Found::End(more) = self.cut.next(&self.carry[self.seen..shown]) {
                self.seen += more;
                long = self.end_row(consumed, &mut rows);
                consumed = self.seen;
                continue;
            }
            self.seen = shown;
            // They do not count for the length of the row.
            let between = self.cut.take_before();
            if between > 0 {
                consumed += between;
                continue;
            }
            if let (Some(broken), true) = (self.cut.broken(), rows.is_empty()) {
                return Err(self.unreadable(broken));
            }
            // What is whole goes out first; then the rest is looked at again.
            if !rows.is_empty() || consumed >= self.limits.block_bytes {
                break;
            }
            if shown == most {
                if consumed > 0 {
                    break;
                }
                if let (Format::Csv(_), Some(open)) = (self.source.format, self.cut.unfinished()) {
                    return Err(self.unreadable(open));
                }
                let row = self.begin_long(0);
                self.long = Some(row.byte);
                return Ok(Some(self.block(shown, rows, Some(row))));
            }
            match self.fill()? {
                Filled::Some => {}
                Filled::Stopped => break,
                Filled::End => {
                    if let Some(open) = self.cut.unfinished() {
                        self.check_complete()?;
                        return Err(self.unreadable(open));
                    }
                    if self.carry.len() > consumed {
                        // The last row has no line's end.
                        self.check_complete()?;
                        long = self.end_row(consumed, &mut rows);
                        consumed = self.seen;
                    }
                    break;
                }
            }
        }
        if consumed == 0 {
            return Ok(None);
        }
        Ok(Some(self.block(consumed, rows, long)))
    }

    /// The next piece of a row that is over the limit.
    fn long_row_goes_on(&mut self) -> Result<Option<Block>, InputError> {
        let found = self.cut.next(&self.carry[self.seen..]);
        let (end, mut ends) = match found {
            Found::End(more) => (self.seen + more, true),
            Found::More => (self.carry.len(), false),
        };
        // A row may end where the last piece did: what follows is not its own.
        if end == 0 && !ends {
            match self.fill()? {
                Filled::Some => return self.long_row_goes_on(),
                Filled::Stopped => return Ok(None),
                Filled::End => {
                    self.check_complete()?;
                    if let Some(open) = self.cut.unfinished() {
                        return Err(self.unreadable(open));
                    }
                    ends = true;
                }
            }
        }
        self.seen = end;
        let mut row = self.begin_long(0);
        row.begins = false;
        row.ends = ends;
        if let Some(byte) = self.long {
            row.byte = byte;
        }
        if ends {
            self.cut.finish();
            self.long = None;
        }
        Ok(Some(self.block(end, Vec::new(), Some(row))))
    }

    fn begin_long(&self, start: usize) -> LongRow {
        LongRow {
            start,
            line: self.cut.row_line(),
            limit: self.limits.line_bytes_max,
            byte: self.position + start as u64,
            begins: true,
            ends: false,
        }
    }

    fn block(&mut self, end: usize, rows: Vec<Row>, long: Option<LongRow>) -> Block {
        let rest = self.carry.split_off(end);
        let data = std::mem::replace(&mut self.carry, rest);
        self.seen -= end;
        let first_byte = self.position;
        self.position += end as u64;
        Block {
            source: Arc::clone(&self.source),
            data,
            first_byte,
            rows,
            long,
            source_bytes: self.source_bytes,
        }
    }

    /// Ends the row that begins at `start` and was seen to its end; returns it if it is over
    /// the limit.
    fn end_row(&mut self, start: usize, rows: &mut Vec<Row>) -> Option<LongRow> {
        let finished = self.cut.finish();
        let start = start + finished.before;
        let row = &self.carry[start..self.seen];
        let text = without_line_end(row);
        let blank = match self.source.format {
            Format::Ndjson => text.iter().all(|b| matches!(b, b' ' | b'\t')),
            // Tabs and spaces are cells.
            Format::Csv(_) | Format::Json => text.is_empty(),
        };
        let long = (text.len() > self.limits.line_bytes_max).then(|| LongRow {
            ends: true,
            line: finished.line,
            ..self.begin_long(start)
        });
        if !blank && long.is_none() {
            rows.push(Row {
                start,
                len: text.len(),
                len_with_end: row.len(),
                line: finished.line,
                fault: finished.fault,
            });
        }
        long
    }

    /// Reads once, at most as much as makes a block.
    fn fill(&mut self) -> Result<Filled, InputError> {
        if self.ended {
            return Ok(Filled::End);
        }
        let have = self.carry.len();
        self.carry.resize(have + self.limits.block_bytes, 0);
        let read = self.bytes.read(&mut self.carry[have..]);
        self.carry
            .truncate(have + read.as_ref().copied().unwrap_or(0));
        match read {
            Ok(0) => {
                self.ended = true;
                let hint =
                    "the rows before its end are not affected; load it again once it is complete";
                self.bytes
                    .check_whole(self.source_bytes)
                    .map_err(|what| self.error(None, what, Some(hint)))?;
                Ok(Filled::End)
            }
            Ok(n) => {
                self.source_bytes += n as u64;
                Ok(Filled::Some)
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => Ok(Filled::Stopped),
            Err(e) => Err(self.error(None, format!("cannot be read: {e}"), None)),
        }
    }

    fn skip_bom(&mut self) -> Result<(), InputError> {
        while self.carry.len() < BOM.len() && BOM.starts_with(&self.carry) {
            match self.fill()? {
                Filled::Some => {}
                Filled::End | Filled::Stopped => break,
            }
        }
        if self.carry.starts_with(BOM) {
            self.carry.drain(..BOM.len());
            self.position += BOM.len() as u64;
        }
        Ok(())
    }

    fn begin_csv(&mut self, dialect: CsvDialect, framing: &Framing) -> Result<(), InputError> {
        let mut header = match framing.no_header {
            true => None,
            false => self.read_header(dialect)?,
        };
        if let Some(columns) = &framing.columns {
            let in_file = header.as_ref().map_or(columns.len(), |h| h.names.len());
            if in_file != columns.len() {
                let message = format!(
                    "--columns names {} columns, the header has {in_file}",
                    columns.len()
                );
                return Err(self.error(Some(1), message, None));
            }
            header = Some(Header {
                names: columns.clone(),
                line: header.as_ref().map_or(0, |h| h.line),
                record: header.map_or(Vec::new(), |h| h.record),
            });
        }
        self.source = Arc::new(Source {
            index: self.source.index,
            name: self.source.name.clone(),
            format: self.source.format,
            header,
        });
        Ok(())
    }

    /// The first record, read as a block of one row.
    fn read_header(&mut self, dialect: CsvDialect) -> Result<Option<Header>, InputError> {
        let rows_max = std::mem::replace(&mut self.limits.block_rows_max, 1);
        let block = loop {
            match self.next_block()? {
                // Blank lines before the header.
                Some(block) if block.rows.is_empty() && block.long.is_none() => {}
                other => break other,
            }
        };
        self.limits.block_rows_max = rows_max;
        let Some(block) = block else { return Ok(None) };
        let Some(row) = block.rows.first() else {
            let limit = self.limits.line_bytes_max;
            let message = format!("the header is longer than {limit} bytes");
            return Err(self.error(Some(1), message, Some("is this a CSV file?")));
        };
        let error = |what: String, hint| Err(self.error(Some(row.line), what, hint));
        if let Some(fault) = row.fault {
            return error(format!("the header: {}", fault.message()), None);
        }
        let Ok(text) = std::str::from_utf8(block.row(row)) else {
            let hint = Some("is this a CSV file?");
            return error("the header is not UTF-8".to_owned(), hint);
        };
        let mut names: Vec<String> = Vec::new();
        for cell in cells(text, dialect) {
            let name = cell.text.into_owned();
            if name.is_empty() {
                let what = format!("the header's column {} has no name", names.len() + 1);
                return error(what, Some("the first line must name the columns"));
            }
            if names.contains(&name) {
                let what = format!("the header names column \"{name}\" twice");
                return error(what, Some("rename one of the two"));
            }
            names.push(name);
        }
        Ok(Some(Header {
            names,
            line: row.line,
            record: block.row_with_end(row).to_vec(),
        }))
    }

    /// A last row without a line's end is whole only if the file is.
    fn check_complete(&self) -> Result<(), InputError> {
        let hint = "load it again once it is complete; rows before this one are not affected";
        self.bytes
            .check_unchanged()
            .map_err(|what| self.error(Some(self.cut.row_line()), what, Some(hint)))
    }

    fn unreadable(&self, found: Unfinished) -> InputError {
        self.error(Some(found.line), found.what.to_owned(), Some(found.hint))
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

fn without_line_end(row: &[u8]) -> &[u8] {
    let row = row.strip_suffix(b"\n").unwrap_or(row);
    row.strip_suffix(b"\r").unwrap_or(row)
}
