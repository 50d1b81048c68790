//! Where an NDJSON row ends: at the line's end.

use memchr::{memchr, memchr_iter};

use super::Position;
use super::framer::{Cut, Finished, Found, PlainRows, Unfinished};

/// A line that is no row.
pub(super) fn is_blank(line: &[u8]) -> bool {
    line.iter().all(|b| matches!(b, b' ' | b'\t'))
}

/// Cuts at newlines.
pub(super) struct LineCut {
    /// Lines ended so far.
    lines: u64,
}

impl LineCut {
    pub(super) fn new() -> Self {
        Self { lines: 0 }
    }
}

impl Cut for LineCut {
    fn next(&mut self, bytes: &[u8]) -> Found {
        match memchr(b'\n', bytes) {
            Some(at) => Found::End(at + 1),
            None => Found::More,
        }
    }

    fn plain_rows(&mut self, bytes: &[u8], rows: &mut PlainRows<'_>) -> usize {
        let mut start = 0;
        for end in memchr_iter(b'\n', bytes) {
            let line = &bytes[start..end];
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if rows.is_full() || !rows.takes(line.len()) {
                break;
            }
            self.lines += 1;
            if !is_blank(line) {
                rows.push(start, line.len(), end + 1 - start, self.lines);
            }
            start = end + 1;
        }
        start
    }

    fn finish(&mut self) -> Finished {
        self.lines += 1;
        Finished {
            line: self.lines,
            fault: None,
            before: 0,
        }
    }

    fn row_line(&self) -> u64 {
        self.lines + 1
    }

    fn after(&self, byte: u64) -> Position {
        Position {
            byte,
            line: self.lines + 1,
            ..Position::default()
        }
    }

    fn go_on(&mut self, from: &Position) {
        self.lines = from.line.saturating_sub(1);
    }

    fn unfinished(&self) -> Option<Unfinished> {
        None
    }
}
