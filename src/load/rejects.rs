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
    has_header: bool,
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
            has_header: false,
        })
    }

    /// Keeps a row. One that was too long to be held has its reason only.
    ///
    /// # Errors
    /// Files that cannot be written.
    pub fn write(&mut self, source: &Source, row: &[u8], error: &RowError) -> Result<(), Failure> {
        self.write_row(source, row)
            .map_err(|e| unwritable(&self.path, e))?;
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

    fn write_row(&mut self, source: &Source, row: &[u8]) -> std::io::Result<()> {
        if let (Format::Csv(dialect), Some((names, _)), false) =
            (source.format, &source.header, self.has_header)
        {
            let header = names.join(&char::from(dialect.delimiter).to_string());
            writeln!(self.rows, "{header}")?;
            self.has_header = true;
        }
        if !row.is_empty() {
            self.rows.write_all(row)?;
            self.rows.write_all(b"\n")?;
        }
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

fn reasons_path(path: &Path) -> PathBuf {
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
