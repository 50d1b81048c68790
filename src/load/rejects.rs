//! The rejects: bad rows as they stood in their source, ready to be mended and loaded again,
//! with the reasons in a file of their own.

use std::fs::{File, Metadata, OpenOptions, TryLockError};
use std::io::{self, BufWriter, Read as _, Seek as _, SeekFrom, Write};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use serde_json::json;

use super::mark::RejectsLen;
use crate::error::{Failure, Kind};
use crate::input::{Format, Source};
use crate::transcode::RowError;

/// The two open files.
pub struct Rejects {
    rows: Output,
    reasons: Output,
    /// What the rows in the file are: their format, and for CSV the header at its start.
    holds: Option<(Format, Vec<u8>)>,
    /// The last row was written without a line's end, which its source does not have.
    open_line: bool,
}

/// A file that is written behind a buffer, and how long it is with what is buffered.
struct Output {
    path: PathBuf,
    file: BufWriter<File>,
    len: u64,
}

impl Rejects {
    /// Begins new rejects; a file that is there and holds something is moved aside.
    ///
    /// # Errors
    /// Files that cannot be written, or that another load is writing.
    pub fn create(path: &Path) -> Result<Self, Failure> {
        Ok(Self {
            rows: Output::create(path)?,
            reasons: Output::create(&reasons_path(path))?,
            holds: None,
            open_line: false,
        })
    }

    /// Goes on with rejects, cut back to these lengths.
    ///
    /// # Errors
    /// Files that cannot be written, that another load is writing, or that are shorter.
    pub fn go_on(path: &Path, len: RejectsLen) -> Result<Self, Failure> {
        let mut rows = Output::go_on(path, len.rows)?;
        let open_line = len.rows > 0 && rows.byte_at(len.rows - 1)? != b'\n';
        Ok(Self {
            rows,
            reasons: Output::go_on(&reasons_path(path), len.reasons)?,
            holds: None,
            open_line,
        })
    }

    /// What tells the file of rows from another one of its name.
    pub fn id(&self) -> Option<(u64, u64)> {
        file_id(self.rows.file.get_ref().metadata())
    }

    /// The same of whatever is at this path now.
    pub fn id_at(path: &Path) -> Option<(u64, u64)> {
        file_id(std::fs::metadata(path))
    }

    /// How long the files are with all that was written.
    pub fn len(&self) -> RejectsLen {
        RejectsLen {
            rows: self.rows.len,
            reasons: self.reasons.len,
        }
    }

    /// Keeps a row, as it stands in its source.
    ///
    /// # Errors
    /// Files that cannot be written, or a row that does not fit behind those that are there.
    pub fn write(&mut self, source: &Source, row: &[u8], error: &RowError) -> Result<(), Failure> {
        self.begin(source)?;
        self.put(row)?;
        self.reasons.put(reason_lines(source, error).as_bytes())
    }

    /// Keeps the next piece of the row that was written last.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn go_on_with(&mut self, piece: &[u8]) -> Result<(), Failure> {
        self.open_line = false;
        self.put(piece)
    }

    /// Keeps a row that comes before others that are written already: `block` is how long the
    /// files were when its block was begun, `grown` by how much they grew since for rows like
    /// this one. Returns where the row is, and by how much the files grew for it.
    ///
    /// # Errors
    /// As for [`Self::write`].
    pub fn insert(
        &mut self,
        block: RejectsLen,
        grown: RejectsLen,
        source: &Source,
        row: &[u8],
        error: &RowError,
    ) -> Result<(RejectsLen, RejectsLen), Failure> {
        self.begin(source)?;
        let header = self.holds.as_ref().map_or(0, |(_, h)| h.len() as u64);
        let rows = block.rows.max(header);
        let at = RejectsLen { rows, ..block }.plus(grown);
        let reasons = reason_lines(source, error);
        let mut row = row.to_vec();
        if at.rows == self.rows.len {
            let before = self.rows.len;
            self.put(&row)?;
            self.reasons.put(reasons.as_bytes())?;
            let grown = RejectsLen {
                rows: self.rows.len - before,
                reasons: reasons.len() as u64,
            };
            return Ok((at, grown));
        }
        // The end of a row without one is written with the row behind it.
        let end_is_due = at.rows > 0 && self.rows.byte_at(at.rows - 1)? != b'\n';
        if row.ends_with(b"\n") {
            row.pop();
        }
        match end_is_due {
            true => row.insert(0, b'\n'),
            false => row.push(b'\n'),
        }
        self.rows.insert(at.rows, &row)?;
        self.reasons.insert(at.reasons, reasons.as_bytes())?;
        let grown = RejectsLen {
            rows: row.len() as u64,
            reasons: reasons.len() as u64,
        };
        Ok((at, grown))
    }

    /// Writes a CSV's header before its first row. Rows of another format or header do not
    /// go into the same file: it could not be loaded again.
    fn begin(&mut self, source: &Source) -> Result<(), Failure> {
        let header = source.header.as_ref().map_or(&[][..], |h| &h.record);
        if self.holds.is_none()
            && self.rows.len > 0
            && self.rows.begins_with(without_end(header))?
        {
            self.holds = Some((source.format, header.to_vec()));
        }
        let fits = match &self.holds {
            Some((format, before)) => {
                *format == source.format && without_end(before) == without_end(header)
            }
            None => self.rows.len == 0,
        };
        if !fits {
            let message = format!(
                "a bad row of {} does not fit into the rejects, which begin with another header or format",
                source.name
            );
            return Err(Failure::new(Kind::Output, message)
                .at(self.rows.path.display().to_string(), None)
                .hint("load inputs of different formats or headers one by one, each with its own --rejects"));
        }
        if self.holds.is_none() {
            self.holds = Some((source.format, header.to_vec()));
            if !header.is_empty() {
                self.put(header)?;
            }
        }
        Ok(())
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        if std::mem::take(&mut self.open_line) {
            self.rows.put(b"\n")?;
        }
        self.rows.put(bytes)?;
        self.open_line = !bytes.ends_with(b"\n");
        Ok(())
    }

    /// Writes out what is buffered.
    ///
    /// # Errors
    /// Files that cannot be written.
    pub fn flush(&mut self) -> Result<(), Failure> {
        self.rows.flush()?;
        self.reasons.flush()
    }

    /// Writes out what is buffered, down to the disk.
    ///
    /// # Errors
    /// Files that cannot be written.
    pub fn sync(&mut self) -> Result<(), Failure> {
        self.flush()?;
        for output in [&self.rows, &self.reasons] {
            // A device has nothing to be synced.
            if !output.file.get_ref().metadata().is_ok_and(|m| m.is_file()) {
                continue;
            }
            let synced = output.file.get_ref().sync_data();
            synced.map_err(|e| unwritable(&output.path, e))?;
        }
        Ok(())
    }
}

impl Output {
    fn create(path: &Path) -> Result<Self, Failure> {
        let locked = open_locked(path)?;
        let file = match locked.metadata() {
            Ok(there) if there.is_file() && there.len() > 0 => {
                move_aside(path)?;
                open_locked(path)?
            }
            _ => locked,
        };
        Ok(Self {
            path: path.to_owned(),
            file: BufWriter::new(file),
            len: 0,
        })
    }

    fn go_on(path: &Path, len: u64) -> Result<Self, Failure> {
        let mut file = open_locked(path)?;
        let there = file.metadata().map_err(|e| unwritable(path, e))?.len();
        if there < len {
            let message = format!("the rejects have {there} bytes, the checkpoint knows of {len}");
            return Err(Failure::new(Kind::Output, message)
                .at(path.display().to_string(), None)
                .hint("put them back, or begin anew without --resume"));
        }
        file.set_len(len)
            .and_then(|()| file.seek(SeekFrom::Start(len)))
            .map_err(|e| unwritable(path, e))?;
        Ok(Self {
            path: path.to_owned(),
            file: BufWriter::new(file),
            len,
        })
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let written = self.file.write_all(bytes);
        written.map_err(|e| unwritable(&self.path, e))?;
        self.len += bytes.len() as u64;
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Failure> {
        self.file.flush().map_err(|e| unwritable(&self.path, e))
    }

    /// Moves what stands behind `at` and puts these bytes in between.
    fn insert(&mut self, at: u64, bytes: &[u8]) -> Result<(), Failure> {
        const CHUNK_BYTES: u64 = 1 << 20;
        self.flush()?;
        let mut shift = || {
            let file = self.file.get_mut();
            let mut end = self.len;
            let mut chunk = vec![0; CHUNK_BYTES.min(end - at) as usize];
            while end > at {
                let start = end.saturating_sub(CHUNK_BYTES).max(at);
                let chunk = &mut chunk[..(end - start) as usize];
                file.read_exact_at(chunk, start)?;
                file.write_all_at(chunk, start + bytes.len() as u64)?;
                end = start;
            }
            file.write_all_at(bytes, at)?;
            file.seek(SeekFrom::Start(self.len + bytes.len() as u64))
        };
        shift().map_err(|e| unwritable(&self.path, e))?;
        self.len += bytes.len() as u64;
        Ok(())
    }

    fn byte_at(&mut self, at: u64) -> Result<u8, Failure> {
        // It may not be in the file yet.
        self.flush()?;
        let mut byte = [0];
        let read = self.file.get_ref().read_exact_at(&mut byte, at);
        read.map_err(|e| unwritable(&self.path, e))?;
        Ok(byte[0])
    }

    fn begins_with(&mut self, bytes: &[u8]) -> Result<bool, Failure> {
        self.flush()?;
        let mut begin = Vec::new();
        let mut read = || {
            let file = File::open(&self.path)?;
            file.take(bytes.len() as u64).read_to_end(&mut begin)
        };
        read().map_err(|e| unwritable(&self.path, e))?;
        Ok(begin == bytes)
    }
}

/// Opens a file for writing, which no other load may have open. What is in it stays.
fn open_locked(path: &Path) -> Result<File, Failure> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .map_err(|e| unwritable(path, e))?;
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => Err(Failure::new(
            Kind::Locked,
            "another load is writing these rejects",
        )
        .at(path.display().to_string(), None)
        .hint("wait for its end, or give another file with --rejects")),
        // Not every file has locks, a device for one.
        Ok(()) | Err(TryLockError::Error(_)) => Ok(file),
    }
}

fn reason_lines(source: &Source, error: &RowError) -> String {
    let line = |reason: &crate::transcode::Reason| {
        let line = json!({
            "source": source.name,
            "line": error.line,
            "byte": error.byte,
            "field": reason.field,
            "kind": reason.kind.name(),
            "message": reason.message,
        });
        format!("{line}\n")
    };
    error.reasons.iter().map(line).collect()
}

/// Device and inode; none of what is no regular file.
fn file_id(metadata: io::Result<Metadata>) -> Option<(u64, u64)> {
    let metadata = metadata.ok().filter(Metadata::is_file)?;
    Some((metadata.dev(), metadata.ino()))
}

fn without_end(record: &[u8]) -> &[u8] {
    record.trim_ascii_end()
}

/// Where the reasons stand that belong to the rejects at `path`.
pub fn reasons_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".reasons.ndjson");
    name.into()
}

fn move_aside(path: &Path) -> Result<(), Failure> {
    let mut n = 1;
    let aside = loop {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".{n}"));
        let aside = PathBuf::from(name);
        if !aside.exists() {
            break aside;
        }
        n += 1;
    };
    std::fs::rename(path, aside).map_err(|e| unwritable(path, e))
}

fn unwritable(path: &Path, error: std::io::Error) -> Failure {
    Failure::new(Kind::Output, format!("cannot write the rejects: {error}"))
        .at(path.display().to_string(), None)
        .hint("check the path and the free space; rows that were accepted are acknowledged")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::Format;

    #[test]
    fn a_row_goes_between_others_that_are_not_yet_written_out() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("bad.ndjson");
        let mut rejects = Rejects::create(&path).unwrap();
        let source = Source {
            index: 0,
            name: "rows.ndjson".into(),
            format: Format::Ndjson,
            header: None,
        };
        let error = |line| RowError::refused(line, 0, "so");
        rejects.write(&source, b"1\n", &error(1)).unwrap();
        let block = rejects.len();
        rejects.write(&source, b"3\n", &error(3)).unwrap();
        let none = RejectsLen::default();
        rejects
            .insert(block, none, &source, b"2\n", &error(2))
            .unwrap();
        rejects.flush().unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "1\n2\n3\n");
        let reasons = std::fs::read_to_string(reasons_path(&path)).unwrap();
        let lines = reasons.lines().map(|line| line.contains("\"line\":2"));
        assert_eq!(lines.collect::<Vec<_>>(), [false, true, false]);
    }
}
