//! Where an NDJSON row ends: at the line's end.

use memchr::memchr;

use super::Position;
use super::framer::{Cut, Finished, Found, Unfinished};

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
