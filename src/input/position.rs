//! Places between two rows, where reading can begin again.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// A place between two rows of an input.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// Bytes before it, after decompression.
    pub byte: u64,
    /// The line of the next byte, from 1.
    pub line: u64,
    /// The line on which the JSON array opened that goes on here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub array: Option<u64>,
    /// What may follow.
    #[serde(default)]
    pub next: Next,
}

/// What may follow at a place of a JSON file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Next {
    /// Whatever may stand after a row.
    #[default]
    Any,
    /// A row: the comma before it is behind.
    Row,
    /// Nothing: the array is closed.
    End,
}

/// Hashes an input's bytes as they pass, so that the same bytes can be told again.
#[derive(Debug, Clone, Default)]
pub struct RunningHash(Sha256);

impl RunningHash {
    pub(super) fn pass(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The hash of all bytes so far, in hexadecimal.
    pub fn hex(&self) -> String {
        hex(self.0.clone())
    }
}

fn hex(hash: Sha256) -> String {
    hash.finalize().iter().map(|b| format!("{b:02x}")).collect()
}

/// How many bytes at the beginning, and before a place, tell a file from another.
const FINGERPRINT_BYTES: u64 = 64 << 10;

/// What tells a file's first `len` bytes from others: the hash of their first and last 64 KiB.
/// None if the file is shorter.
///
/// # Errors
/// A file that cannot be read.
pub fn fingerprint(file: &File, len: u64) -> io::Result<Option<String>> {
    let mut bytes = vec![0; FINGERPRINT_BYTES as usize];
    let mut hash = Sha256::new();
    let ends = [
        (0, len.min(FINGERPRINT_BYTES)),
        (len.saturating_sub(FINGERPRINT_BYTES), len),
    ];
    for (from, to) in ends {
        let bytes = &mut bytes[..(to - from) as usize];
        match file.read_exact_at(bytes, from) {
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            other => other?,
        }
        hash.update(bytes);
    }
    Ok(Some(hex(hash)))
}
