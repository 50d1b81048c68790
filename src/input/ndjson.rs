//! Where an NDJSON row ends: at the line's end.

use memchr::memchr;

use super::framer::{Cut, Finished, Found};

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
        }
    }

    fn record_line(&self) -> u64 {
        self.lines + 1
    }

    fn open_since(&self) -> Option<u64> {
        None
    }
}
