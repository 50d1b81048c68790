//! The rejects: bad rows as they stood in their source, ready to be mended and loaded again,
//! with the reasons in a file of their own.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::error::{Failure, Kind};
use crate::input::{Format, Source};
use crate::transcode::RowError;

/// The two open files.
pub struct Rejects {
    path: PathBuf,
    rows: BufWriter<File>,
    reasons: BufWriter<File>,
    /// What the rows in the file are: their format, and for CSV the header at its start.
    holds: Option<(Format, Vec<u8>)>,
    /// The last row was written without a line's end, which its source does not have.
    open_line: bool,
}

impl Rejects {
    /// Begins new rejects; a file that is there and holds something is moved aside.
    ///
    /// # Errors
    /// Files that cannot be written.
    pub fn create(path: &Path) -> Result<Self, Failure> {
        let reasons = reasons_path(path);
        move_aside(path)?;
        move_aside(&reasons)?;
        let create = |path: &Path| {
            File::create(path)
                .map(BufWriter::new)
                .map_err(|e| unwritable(path, e))
        };
        Ok(Self {
            path: path.to_owned(),
            rows: create(path)?,
            reasons: create(&reasons)?,
            holds: None,
            open_line: false,
        })
    }

    /// Keeps a row, as it stands in its source.
    ///
    /// # Errors
    /// Files that cannot be written, or a row that does not fit behind those that are there.
    pub fn write(&mut self, source: &Source, row: &[u8], error: &RowError) -> Result<(), Failure> {
        self.begin(source)?;
        self.put(row)?;
        for reason in &error.reasons {
            let line = json!({
                "source": source.name,
                "line": error.line,
                "byte": error.byte,
                "field": reason.field,
                "kind": reason.kind.name(),
                "message": reason.message,
            });
            writeln!(self.reasons, "{line}")
                .map_err(|e| unwritable(&reasons_path(&self.path), e))?;
        }
        Ok(())
    }

    /// Keeps the next piece of the row that was written last.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn go_on(&mut self, piece: &[u8]) -> Result<(), Failure> {
        self.open_line = false;
        self.put(piece)
    }

    /// Writes a CSV's header before its first row. Rows of another format or header do not
    /// go into the same file: it could not be loaded again.
    fn begin(&mut self, source: &Source) -> Result<(), Failure> {
        let header = source.header.as_ref().map_or(&[][..], |h| &h.record);
        if let Some((format, before)) = &self.holds {
            if *format == source.format && without_end(before) == without_end(header) {
                return Ok(());
            }
            let message = format!(
                "a bad row of {} does not fit into the rejects, which begin with another header or format",
                source.name
            );
            return Err(Failure::new(Kind::Output, message)
                .at(self.path.display().to_string(), None)
                .hint("load inputs of different formats or headers one by one, each with its own --rejects"));
        }
        self.holds = Some((source.format, header.to_vec()));
        match header {
            [] => Ok(()),
            header => self.put(header),
        }
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let mut write = || {
            if std::mem::take(&mut self.open_line) {
                self.rows.write_all(b"\n")?;
            }
            self.rows.write_all(bytes)
        };
        write().map_err(|e| unwritable(&self.path, e))?;
        self.open_line = !bytes.ends_with(b"\n");
        Ok(())
    }

    /// Writes out what is buffered.
    ///
    /// # Errors
    /// Files that cannot be written.
    pub fn flush(&mut self) -> Result<(), Failure> {
        self.rows.flush().map_err(|e| unwritable(&self.path, e))?;
        self.reasons
            .flush()
            .map_err(|e| unwritable(&reasons_path(&self.path), e))
    }
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
    if !std::fs::metadata(path).is_ok_and(|m| m.is_file() && m.len() > 0) {
        return Ok(());
    }
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
