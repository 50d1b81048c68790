//! The checkpoint: a file that says how far a load is settled, and what it belongs to.
//!
//! It is replaced as a whole (a temporary file, synced and renamed), so that whoever reads it
//! finds one state or the next.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::mark::{Mark, MarkRecords, Reached, RejectsLen};
use crate::error::{Failure, Kind};
use crate::input::{Input, Position, fingerprint};

/// The form of the file that this version writes and reads.
const VERSION: u32 = 1;

/// The endings of the files beside it.
const LOCK: &str = ".lock";
const TEMPORARY: &str = ".tmp";

/// What a load is, beyond its inputs: a checkpoint serves only the same one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The workspace, or the directory of a local load.
    pub workspace: String,
    /// The table.
    pub table: String,
    /// The table's id, where a catalog has told it.
    #[serde(default)]
    pub table_id: Option<String>,
    /// What the column types hash to by which rows are read, once they are known; none for
    /// JSON records.
    #[serde(default)]
    pub types: Option<String>,
    /// The record's message; none for JSON records.
    pub message: Option<String>,
    /// The flags that decide what a row is, as they would be given.
    pub framing: String,
}

/// The file's content.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Checkpoint {
    version: u32,
    /// Everything was read and settled.
    pub finished: bool,
    /// What it belongs to.
    pub identity: Identity,
    /// What `@load_id` stands for in all runs of this load.
    pub load_id: String,
    /// All rows that are settled.
    pub records: MarkRecords,
    /// Records sent again so far.
    pub resent: u64,
    /// Where the rejects are.
    pub rejects_file: Option<PathBuf>,
    /// Device and inode of the file of rows.
    pub rejects_id: Option<(u64, u64)>,
    /// How long they are.
    pub rejects: RejectsLen,
    /// The inputs that are settled in part or as a whole, in order.
    pub inputs: Vec<InputState>,
}

/// How far an input is settled.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct InputState {
    /// Its absolute path, or `-`.
    pub name: String,
    /// All of it is settled.
    pub finished: bool,
    /// Up to here it is settled.
    pub position: Position,
    /// Bytes of it that were read for this, before decompression.
    pub source_bytes: u64,
    /// What its bytes hash to; standard input's up to the position.
    pub hash: String,
}

impl InputState {
    /// Where an input stands after it was read so far.
    pub fn new(input: &Input, reached: &Reached) -> Self {
        let hash = match (&reached.hash, &reached.file) {
            (Some(hash), _) => hash.hex(),
            // One that cannot be read any more has changed for whoever compares.
            (None, Some(file)) => fingerprint(file, reached.source_bytes)
                .ok()
                .flatten()
                .unwrap_or_default(),
            (None, None) => String::new(),
        };
        Self {
            name: absolute(input),
            finished: reached.ended,
            position: reached.position,
            source_bytes: reached.source_bytes,
            hash,
        }
    }
}

fn unreadable(name: &str, error: &io::Error) -> Failure {
    Failure::new(Kind::Input, format!("cannot be read: {error}")).at(name, None)
}

/// The name by which a checkpoint knows an input.
pub fn absolute(input: &Input) -> String {
    match input {
        Input::File(path) => std::path::absolute(path)
            .unwrap_or_else(|_| path.clone())
            .display()
            .to_string(),
        Input::Stdin => "-".to_owned(),
    }
}

impl Checkpoint {
    /// A checkpoint of a load at its beginning.
    pub fn new(identity: Identity, load_id: String) -> Self {
        Self {
            version: VERSION,
            finished: false,
            identity,
            load_id,
            records: MarkRecords::default(),
            resent: 0,
            rejects_file: None,
            rejects_id: None,
            rejects: RejectsLen::default(),
            inputs: Vec::new(),
        }
    }

    /// The mark at which this checkpoint stands; its input is told by the plan of a resume.
    pub fn mark(&self) -> Mark {
        Mark {
            records: self.records,
            rejects: self.rejects,
            ..Mark::default()
        }
    }
}

/// A checkpoint's file, locked against other loads.
#[derive(Debug)]
pub struct CheckpointFile {
    path: PathBuf,
    /// Held while the load runs. It has a name of its own, since the checkpoint itself is
    /// replaced.
    _lock: File,
}

impl CheckpointFile {
    /// Locks the file and reads what is in it, if it is there.
    ///
    /// # Errors
    /// A file that another load holds, that cannot be written or read, or that is no
    /// checkpoint.
    pub fn open(path: &Path) -> Result<(Self, Option<Checkpoint>), Failure> {
        let lock_path = beside(path, LOCK);
        let lock = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(&lock_path)
            .map_err(|e| unwritable(&lock_path, &e))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let failure = Failure::new(Kind::Locked, "another load holds this checkpoint");
                return Err(failure
                    .at(path.display().to_string(), None)
                    .hint("wait for its end; the same command may succeed then"));
            }
            Err(TryLockError::Error(e)) => return Err(unwritable(&lock_path, &e)),
        }
        let file = Self {
            path: path.to_owned(),
            _lock: lock,
        };
        let text = match std::fs::read(path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok((file, None)),
            other => other.map_err(|e| unreadable(&path.display().to_string(), &e))?,
        };
        let checkpoint = serde_json::from_slice::<Checkpoint>(&text);
        match checkpoint {
            Ok(checkpoint) if checkpoint.version == VERSION => Ok((file, Some(checkpoint))),
            other => {
                let why = match other {
                    Ok(newer) => format!("is a checkpoint of version {}", newer.version),
                    Err(e) => format!("is no checkpoint: {e}"),
                };
                Err(Failure::new(Kind::Input, why)
                    .at(path.display().to_string(), None)
                    .hint("give another file with --checkpoint"))
            }
        }
    }

    /// All files that a checkpoint at this path writes.
    pub fn files(path: &Path) -> [PathBuf; 3] {
        [path.to_owned(), beside(path, LOCK), beside(path, TEMPORARY)]
    }

    /// Replaces the file; once this returns it is on the disk.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn save(&self, checkpoint: &Checkpoint) -> Result<(), Failure> {
        let temporary = beside(&self.path, TEMPORARY);
        let write = || {
            let mut file = File::create(&temporary)?;
            serde_json::to_writer_pretty(&file, checkpoint)?;
            file.write_all(b"\n")?;
            file.sync_data()?;
            std::fs::rename(&temporary, &self.path)?;
            let directory = match self.path.parent() {
                Some(parent) if !parent.as_os_str().is_empty() => parent,
                _ => Path::new("."),
            };
            File::open(directory)?.sync_all()
        };
        write().map_err(|e: io::Error| unwritable(&self.path, &e))
    }
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

fn unwritable(path: &Path, error: &io::Error) -> Failure {
    Failure::new(
        Kind::Output,
        format!("cannot write the checkpoint: {error}"),
    )
    .at(path.display().to_string(), None)
    .hint("check the path and the free space; rows that were accepted are acknowledged")
}
