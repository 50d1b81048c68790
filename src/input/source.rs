//! Inputs as they are named on the command line, and how they are opened.

use std::ffi::OsStr;
use std::fs::{File, Metadata};
use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::bytes::Bytes;
use super::raw::{Raw, Watch};
use super::{Compression, CsvDialect, Format, InputError};

/// Set once no more is to be read.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// No more is to be read.
    pub fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether no more is to be read.
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// An input of a load.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// A file (or anything that opens like one).
    File(PathBuf),
    /// Standard input.
    Stdin,
}

impl Input {
    /// As on the command line: `-` is standard input.
    pub fn from_argument(argument: &OsStr) -> Self {
        match argument.as_encoded_bytes() {
            b"-" => Self::Stdin,
            _ => Self::File(argument.into()),
        }
    }

    /// Whether this input is the file at `path`, by whatever name.
    pub fn is_file(&self, path: &Path) -> bool {
        let own = match self {
            Self::File(own) => std::fs::metadata(own).ok(),
            Self::Stdin => io::stdin()
                .as_fd()
                .try_clone_to_owned()
                .and_then(|fd| File::from(fd).metadata())
                .ok(),
        };
        let other = std::fs::metadata(path).ok();
        let id = |m: Metadata| m.is_file().then(|| (m.dev(), m.ino()));
        own.and_then(id)
            .is_some_and(|own| other.and_then(id) == Some(own))
    }

    /// Whether it cannot be read twice: standard input, or a pipe with a name.
    pub fn is_stream(&self) -> bool {
        match self {
            Self::File(path) => std::fs::metadata(path).is_ok_and(|m| !m.is_file() && !m.is_dir()),
            Self::Stdin => true,
        }
    }

    /// The name that messages use.
    pub fn name(&self) -> String {
        match self {
            Self::File(path) => path.display().to_string(),
            Self::Stdin => "-".to_owned(),
        }
    }

    /// The format by the file's name, whose ending may say first how it is compressed; NDJSON
    /// for standard input and unknown endings.
    pub fn format_by_name(&self) -> Format {
        let Self::File(path) = self else {
            return Format::Ndjson;
        };
        match ending(path).as_deref() {
            Some("csv") => Format::Csv(CsvDialect::COMMA),
            Some("tsv") => Format::Csv(CsvDialect::TAB),
            Some("json") => Format::Json,
            _ => Format::Ndjson,
        }
    }

    /// Checks that the input can be read, and how large it is in bytes where that is known.
    ///
    /// # Errors
    /// A file that does not exist, cannot be opened, or is a directory.
    pub fn examine(&self) -> Result<Option<u64>, InputError> {
        match self {
            Self::Stdin => Ok(None),
            // Opening a pipe would wait for its writer.
            Self::File(path) if is_pipe(path) => Ok(None),
            Self::File(path) => Ok(size(&self.open_file(path)?.1)),
        }
    }

    /// Opens the input. A regular file is read up to the size that it has now.
    ///
    /// # Errors
    /// A file that does not exist, cannot be opened, or is a directory.
    pub fn open(&self, compression: Compression, stop: Stop) -> Result<Bytes, InputError> {
        let (file, metadata) = match self {
            Self::File(path) => self.open_file(path)?,
            Self::Stdin => {
                let fd = io::stdin().as_fd().try_clone_to_owned();
                let file = fd.map(File::from);
                let file = file.map_err(|e| self.error(format!("cannot be opened: {e}")))?;
                let metadata = self.metadata(&file)?;
                (file, metadata)
            }
        };
        let from_start = *self != Self::Stdin;
        // Files of the kernel say 0 and have content all the same.
        let limit = size(&metadata).filter(|&n| n > 0 && from_start);
        let opened = (|| {
            let watch = match metadata.is_file() {
                true => Some(Watch::new(&file, &metadata, from_start)?),
                false => None,
            };
            let mut raw = match (limit, &watch) {
                (Some(limit), _) => Raw::file(file, limit)?,
                (None, Some(_)) => Raw::reader(Box::new(file)),
                (None, None) => Raw::pipe(file)?,
            };
            raw.stop_at(stop);
            Ok(Bytes::new(raw, watch, compression))
        })();
        opened.map_err(|e: io::Error| self.error(format!("cannot be opened: {e}")))
    }

    fn open_file(&self, path: &Path) -> Result<(File, Metadata), InputError> {
        let file = File::open(path).map_err(|e| self.error(format!("cannot be opened: {e}")))?;
        let metadata = self.metadata(&file)?;
        if metadata.is_dir() {
            return Err(self.error("is a directory, expected a file".to_owned()));
        }
        Ok((file, metadata))
    }

    fn metadata(&self, file: &File) -> Result<Metadata, InputError> {
        file.metadata()
            .map_err(|e| self.error(format!("cannot be examined: {e}")))
    }

    fn error(&self, message: String) -> InputError {
        InputError {
            source_name: self.name(),
            line: None,
            message,
            hint: Some("check the path; `-` reads standard input"),
        }
    }
}

/// What the file's name ends in, in small letters, before how it may be compressed.
pub(super) fn ending(path: &Path) -> Option<String> {
    let last = last_ending(path)?;
    match last.as_str() {
        "gz" | "zst" | "zstd" => last_ending(Path::new(path.file_stem()?)),
        _ => Some(last),
    }
}

fn last_ending(path: &Path) -> Option<String> {
    let ending = path.extension()?.to_str()?;
    Some(ending.to_ascii_lowercase())
}

fn size(metadata: &Metadata) -> Option<u64> {
    metadata.is_file().then_some(metadata.len())
}

fn is_pipe(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|m| m.file_type().is_fifo())
}
