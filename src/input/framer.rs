//! Reads an input in steps and cuts it into blocks of whole rows.
//!
//! The format decides where a row ends ([`Cut`]); everything else is the same for all
//! formats: the bytes carried over to the next block, the bounds, the positions.

use std::fs::File;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::bytes::{Bytes, ReadError};
use super::csv::CsvCut;
use super::json::JsonCut;
use super::ndjson::{LineCut, is_blank};
use super::{
    Block, Format, Framing, InputError, Limits, LongRow, Position, Row, RowFault, RunningHash,
    Source,
};
use crate::buffers::Buffer;

mod header;

/// Finds the ends of rows. It sees every byte once and keeps its state over calls.
pub(super) trait Cut {
    /// Looks for the end of the row that is being read in `bytes`, which continue what was
    /// seen before.
    fn next(&mut self, bytes: &[u8]) -> Found;

    /// Takes rows that are plain to see, from a place between two rows on; returns where they
    /// end. What is out of the ordinary is left to [`Self::next`].
    fn plain_rows(&mut self, _bytes: &[u8], _rows: &mut PlainRows<'_>) -> usize {
        0
    }

    /// What the row that ends here is, and makes ready for the next one.
    fn finish(&mut self) -> Finished;

    /// The line on which the row being read began.
    fn row_line(&self) -> u64;

    /// What is open where it must not be: at the end of the input, or (for CSV, where a quote
    /// swallows everything behind it) at the limit of a row.
    fn unfinished(&self) -> Option<Unfinished>;

    /// The place after the last finished row and what was taken before the next, which is
    /// this byte of the input.
    fn after(&self, byte: u64) -> Position;

    /// Goes on between two rows.
    fn go_on(&mut self, from: &Position);

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

/// Where a cut puts the rows that are plain to see.
pub(super) struct PlainRows<'r> {
    rows: &'r mut Vec<Row>,
    /// The most of them.
    rows_max: usize,
    line_bytes_max: usize,
    /// Where in the block the bytes begin that the cut is shown.
    from: usize,
    /// The line that lines of the block are counted from.
    first_line: u64,
}

impl PlainRows<'_> {
    pub(super) fn is_full(&self) -> bool {
        self.rows.len() >= self.rows_max
    }

    /// Whether a row of so many bytes, its line's end left out, is within the limit.
    pub(super) fn takes(&self, len: usize) -> bool {
        len <= self.line_bytes_max
    }

    /// Adds a row that was taken.
    #[inline]
    pub(super) fn push(&mut self, start: usize, len: usize, len_with_end: usize, line: u64) {
        let start = self.from + start;
        let line = line - self.first_line;
        self.rows
            .push(Row::new(start, len, len_with_end, line, None));
    }
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
    linger: Duration,
    /// Bytes read that belong to no block yet; the first `seen` were shown to the cut.
    carry: Buffer,
    seen: usize,
    /// Where `carry` begins in the source.
    position: u64,
    /// Where the row begins that is over the limit, while it passes in pieces.
    long: Option<u64>,
    /// How many rows the last block had.
    rows_before: usize,
    ended: bool,
    /// A read has failed behind rows that had to go out first.
    failed: Option<InputError>,
    /// Of all bytes before `position`, if they are to be told again.
    hash: Option<RunningHash>,
}

const BOM: &[u8] = b"\xEF\xBB\xBF";
/// What UTF-16 begins with, little and big endian.
const UTF_16: [&[u8]; 2] = [b"\xFF\xFE", b"\xFE\xFF"];
/// A read asks for no less than such a part of a block.
const READ_PART_MIN: usize = 4;
/// A row may be followed by CR and LF.
const LINE_END_BYTES_MAX: usize = 2;

impl Framer {
    /// Begins where the bytes do, which at the start of an input may be a mark of their
    /// order; reads a CSV's header.
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
            position: bytes.position(),
            bytes,
            cut,
            limits: framing.limits,
            linger: framing.linger,
            carry: Buffer::new(&framing.pool),
            seen: 0,
            long: None,
            rows_before: 0,
            ended: false,
            failed: None,
            hash: framing.hashed.then(RunningHash::default),
        };
        if framer.position == 0 {
            framer.skip_bom()?;
        }
        if let Format::Csv(dialect) = format {
            framer.begin_csv(dialect, framing)?;
        }
        Ok(framer)
    }

    /// The place after all blocks that were given out.
    pub fn position(&self) -> Position {
        self.cut.after(self.position)
    }

    /// The hash of all bytes before it, where the input is hashed.
    pub fn hash(&self) -> Option<&RunningHash> {
        self.hash.as_ref()
    }

    /// Bytes of the source that were read, before decompression.
    pub fn source_bytes(&self) -> u64 {
        self.bytes.source_bytes()
    }

    /// Goes on at a place that an earlier load came to, before the first block. `hash` is
    /// that of all bytes before it, which are read again; without it a file is not.
    ///
    /// # Errors
    /// An input that is shorter now, or whose bytes hash otherwise.
    pub fn go_on(&mut self, from: &Position, hash: Option<&str>) -> Result<(), InputError> {
        let changed = |framer: &Self, what: String| {
            let hint = "it is not what the checkpoint was written for; without --resume the load begins anew";
            framer.error(None, what, Some(hint))
        };
        let ended = |framer: &Self| {
            let what = format!(
                "ends after {} bytes, but an earlier load has read {}",
                framer.position, from.byte
            );
            changed(framer, what)
        };
        if hash.is_none() && self.position + (self.carry.len() as u64) < from.byte {
            self.pass(self.carry.len());
            let rest = from.byte - self.position;
            match self.bytes.skip(rest) {
                Ok(skipped) => self.position += skipped,
                Err(ReadError::Stopped) => return Ok(()),
                Err(ReadError::Failed { message, hint }) => {
                    return Err(self.error(None, message, hint));
                }
            }
            if self.position < from.byte {
                return Err(ended(self));
            }
        }
        while self.position < from.byte {
            if self.carry.is_empty() {
                match self.fill()? {
                    Filled::Some => {}
                    Filled::Stopped => return Ok(()),
                    Filled::End => return Err(ended(self)),
                }
            }
            let rest = usize::try_from(from.byte - self.position).unwrap_or(usize::MAX);
            self.pass(rest.min(self.carry.len()));
        }
        let same = match (&self.hash, hash) {
            (Some(own), Some(hash)) => own.hex() == hash,
            _ => true,
        };
        if self.position > from.byte || !same {
            let what = format!(
                "differs from what an earlier load read, in its first {} bytes",
                from.byte
            );
            return Err(changed(self, what));
        }
        self.seen = 0;
        self.cut.go_on(from);
        Ok(())
    }

    /// Bytes at the front of `carry` belong to no block.
    fn pass(&mut self, count: usize) {
        if let Some(hash) = &mut self.hash {
            hash.pass(&self.carry[..count]);
        }
        self.carry.drop_front(count);
        self.position += count as u64;
    }

    /// The file that is read, if it is a regular one.
    pub fn file(&self) -> Option<Arc<File>> {
        self.bytes.file()
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
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        if self.long.is_some() {
            return self.long_row_goes_on();
        }
        let first_line = self.cut.row_line();
        let mut rows = Vec::with_capacity(self.rows_before);
        let mut long = None;
        let mut consumed = 0;
        // Since when whole rows wait for others.
        let mut lingering = None;
        while rows.len() < self.limits.block_rows_max && long.is_none() {
            // Shown no further than the limit, so that what a row is does not depend on
            // where a read happens to end.
            let most = consumed + self.limits.line_bytes_max + LINE_END_BYTES_MAX;
            let shown = self.carry.len().min(most);
            if self.seen == consumed {
                let mut plain = PlainRows {
                    rows: &mut rows,
                    rows_max: self.limits.block_rows_max,
                    line_bytes_max: self.limits.line_bytes_max,
                    from: consumed,
                    first_line,
                };
                let taken = self.cut.plain_rows(&self.carry[consumed..], &mut plain);
                if taken > 0 {
                    consumed += taken;
                    self.seen = consumed;
                    continue;
                }
            }
            if let Found::End(more) = self.cut.next(&self.carry[self.seen..shown]) {
                self.seen += more;
                long = self.end_row(consumed, first_line, &mut rows);
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
            let full = consumed >= self.limits.block_bytes;
            let broken = self.cut.broken().is_some();
            if full || (!rows.is_empty() && (broken || !self.more_comes(&mut lingering))) {
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
                return Ok(Some(self.block(shown, first_line, rows, Some(row))));
            }
            let filled = match self.fill() {
                Ok(filled) => filled,
                // What is whole goes out first.
                Err(error) if consumed > 0 => {
                    self.failed = Some(error);
                    break;
                }
                Err(error) => return Err(error),
            };
            match filled {
                Filled::Some => {}
                Filled::Stopped => break,
                // The next call looks at the rest.
                Filled::End if !rows.is_empty() => break,
                Filled::End => {
                    if let Some(open) = self.cut.unfinished() {
                        self.check_complete()?;
                        return Err(self.unreadable(open));
                    }
                    if self.carry.len() > consumed {
                        // The last row has no line's end.
                        self.check_complete()?;
                        long = self.end_row(consumed, first_line, &mut rows);
                        consumed = self.seen;
                    }
                    break;
                }
            }
        }
        if consumed == 0 {
            return Ok(None);
        }
        Ok(Some(self.block(consumed, first_line, rows, long)))
    }

    /// Whether more comes while the rows that are whole may wait for it.
    fn more_comes(&mut self, since: &mut Option<Instant>) -> bool {
        let since = since.get_or_insert_with(Instant::now);
        match self.linger.checked_sub(since.elapsed()) {
            Some(left) if !self.ended => self.bytes.more_within(left),
            _ => false,
        }
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
        let line = row.line;
        Ok(Some(self.block(end, line, Vec::new(), Some(row))))
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

    fn block(
        &mut self,
        end: usize,
        first_line: u64,
        rows: Vec<Row>,
        long: Option<LongRow>,
    ) -> Block {
        self.rows_before = rows.len();
        let data = self.carry.take_front(..end);
        self.seen -= end;
        let first_byte = self.position;
        self.position += end as u64;
        let hash_before = self.hash.clone();
        if let Some(hash) = &mut self.hash {
            hash.pass(&data);
        }
        let within = long.as_ref().is_some_and(|long| !long.ends);
        let end = (!within).then(|| self.position());
        Block {
            source: Arc::clone(&self.source),
            data,
            first_byte,
            first_line,
            rows,
            long,
            source_bytes: self.bytes.source_bytes(),
            compressed: self.bytes.is_compressed(),
            array: self.cut.after(self.position).array,
            end,
            hash_before,
            hash_after: self.hash.clone(),
        }
    }

    /// Ends the row that begins at `start` and was seen to its end; returns it if it is over
    /// the limit.
    fn end_row(&mut self, start: usize, first_line: u64, rows: &mut Vec<Row>) -> Option<LongRow> {
        let finished = self.cut.finish();
        let start = start + finished.before;
        let row = &self.carry[start..self.seen];
        let text = without_line_end(row);
        let blank = match self.source.format {
            Format::Ndjson => is_blank(text),
            // Tabs and spaces are cells.
            Format::Csv(_) | Format::Json => text.is_empty(),
        };
        let long = (text.len() > self.limits.line_bytes_max).then(|| LongRow {
            ends: true,
            line: finished.line,
            ..self.begin_long(start)
        });
        if !blank && long.is_none() {
            let line = finished.line - first_line;
            rows.push(Row::new(start, text.len(), row.len(), line, finished.fault));
        }
        long
    }

    /// Reads once, at most as much as makes a block.
    fn fill(&mut self) -> Result<Filled, InputError> {
        if self.ended {
            return Ok(Filled::End);
        }
        let block_bytes = self.limits.block_bytes;
        let most = block_bytes.saturating_sub(self.carry.len());
        let most = most.max(block_bytes / READ_PART_MIN).max(1);
        let bytes = &mut self.bytes;
        match self.carry.append(most, |room| bytes.read(room)) {
            Ok(0) => {
                self.ended = true;
                Ok(Filled::End)
            }
            Ok(_) => Ok(Filled::Some),
            Err(ReadError::Stopped) => Ok(Filled::Stopped),
            Err(ReadError::Failed { message, hint }) => Err(self.error(None, message, hint)),
        }
    }

    fn skip_bom(&mut self) -> Result<(), InputError> {
        let marks = [BOM, UTF_16[0], UTF_16[1]];
        while marks
            .iter()
            .any(|mark| mark.len() > self.carry.len() && mark.starts_with(&self.carry))
        {
            match self.fill()? {
                Filled::Some => {}
                Filled::End | Filled::Stopped => break,
            }
        }
        if UTF_16.iter().any(|mark| self.carry.starts_with(mark)) {
            let hint = "iconv -f UTF-16 -t UTF-8 makes UTF-8 of it";
            return Err(self.error(
                Some(1),
                "is UTF-16, rows are read as UTF-8".to_owned(),
                Some(hint),
            ));
        }
        if self.carry.starts_with(BOM) {
            self.pass(BOM.len());
        }
        Ok(())
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
