//! A place in a load up to which every row is dealt with, and what was counted until then.

use std::fs::File;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::input::{Position, RunningHash};

/// A place in a load, and the counts of all rows before it, over all runs.
#[derive(Debug, Clone, Default)]
pub struct Mark {
    /// The input that was being read, by its index.
    pub input: usize,
    /// How far it was read.
    pub reached: Reached,
    /// The rows before this place.
    pub records: MarkRecords,
    /// How long the rejects were.
    pub rejects: RejectsLen,
}

/// How far an input was read.
#[derive(Debug, Clone, Default)]
pub struct Reached {
    /// Between two rows.
    pub position: Position,
    /// Bytes of the input read for it, before decompression.
    pub source_bytes: u64,
    /// The hash of all bytes before the position, where the input is hashed.
    pub hash: Option<RunningHash>,
    /// The file that was read, whatever its path leads to now.
    pub file: Option<Arc<File>>,
    /// It was the input's end.
    pub ended: bool,
}

/// Rows before a mark.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MarkRecords {
    /// Passed over by `--skip`.
    pub passed: u64,
    /// Accepted for sending.
    pub accepted: u64,
    /// Of those: refused by the service.
    pub refused: u64,
    /// Bad rows, those refused included.
    pub rejected: u64,
}

impl MarkRecords {
    /// Rows read.
    pub fn read(&self) -> u64 {
        self.accepted.saturating_sub(self.refused) + self.rejected
    }

    /// Rows of the inputs up to the mark, those passed over included.
    pub fn rows(&self) -> u64 {
        self.passed + self.read()
    }
}

/// The lengths of the two files of rejects, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RejectsLen {
    /// The rows.
    pub rows: u64,
    /// Their reasons.
    pub reasons: u64,
}

impl RejectsLen {
    /// Both lengths added.
    #[must_use]
    pub fn plus(self, more: Self) -> Self {
        Self {
            rows: self.rows + more.rows,
            reasons: self.reasons + more.reasons,
        }
    }
}
