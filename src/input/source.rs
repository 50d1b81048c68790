//! Inputs as they are named on the command line, and how their bytes are read.

use std::ffi::OsStr;
use std::fs::{File, Metadata};
use std::io::{self, Read, Seek as _, SeekFrom};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::{CsvDialect, Format, InputError};

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
            Self::File(path) => std::fs::metadata(path).is_ok_and(|m| !m.is_file()),
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

    /// The format by the file's name; NDJSON for standard input and unknown endings.
    pub fn format_by_name(&self) -> Format {
        let ending = match self {
            Self::File(path) => path.extension().map(|e| e.to_ascii_lowercase()),
            Self::Stdin => None,
        };
        match ending.as_ref().and_then(|e| e.to_str()) {
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
    pub fn open(&self, stop: Stop) -> Result<Bytes, InputError> {
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
        let cannot = |e: io::Error| self.error(format!("cannot be opened: {e}"));
        if metadata.is_file() {
            let watch = Watch {
                file: file.try_clone().map_err(cannot)?,
                from_start: *self != Self::Stdin,
                len: metadata.len(),
                modified: metadata.modified().ok(),
            };
            // Files of the kernel say 0 and have content all the same.
            let limit = size(&metadata).filter(|&n| n > 0 && *self != Self::Stdin);
            return Ok(Bytes {
                reader: match limit {
                    Some(limit) => Box::new(file.take(limit)),
                    None => Box::new(file),
                },
                ready: None,
                watch: Some(watch),
                stop,
            });
        }
        let ready = file.try_clone().map(OwnedFd::from).map_err(cannot)?;
        Ok(Bytes {
            reader: Box::new(file),
            ready: Some(ready),
            watch: None,
            stop,
        })
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

fn size(metadata: &Metadata) -> Option<u64> {
    metadata.is_file().then_some(metadata.len())
}

fn is_pipe(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|m| m.file_type().is_fifo())
}

/// The bytes of an input.
pub struct Bytes {
    reader: Box<dyn Read + Send>,
    /// What may have nothing to read for a long time: it is asked before it is read.
    ready: Option<OwnedFd>,
    watch: Option<Watch>,
    stop: Stop,
}

/// A regular file as it was when it was opened.
struct Watch {
    file: File,
    /// It is read from its first byte on: standard input may begin anywhere.
    from_start: bool,
    len: u64,
    modified: Option<SystemTime>,
}

/// How long a stop may go unnoticed while nothing comes.
const STOP_CHECK: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 50_000_000,
};

impl Bytes {
    /// Any bytes, for what is no file.
    pub fn from_reader(reader: impl Read + Send + 'static) -> Self {
        Self {
            reader: Box::new(reader),
            ready: None,
            watch: None,
            stop: Stop::default(),
        }
    }

    /// Reads what is there, waiting for the first byte. Once reading is stopped the error is
    /// `Interrupted`, and nothing was taken.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if self.stop.is_set() {
                return Err(io::ErrorKind::Interrupted.into());
            }
            if let Some(fd) = &self.ready {
                let mut fds = [PollFd::new(fd, PollFlags::IN)];
                match poll(&mut fds, Some(&STOP_CHECK)) {
                    Ok(0) | Err(rustix::io::Errno::INTR) => continue,
                    Ok(_) => {}
                    Err(e) => return Err(e.into()),
                }
            }
            match self.reader.read(buffer) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                other => return other,
            }
        }
    }

    /// Goes on at a byte of a regular file; none where that is not possible.
    pub(super) fn seek(&mut self, byte: u64) -> Option<io::Result<()>> {
        let watch = self.watch.as_ref().filter(|w| w.from_start && w.len > 0)?;
        let seek = || {
            let mut file = watch.file.try_clone()?;
            file.seek(SeekFrom::Start(byte))?;
            Ok(Box::new(file.take(watch.len.saturating_sub(byte))))
        };
        Some(seek().map(|reader| self.reader = reader))
    }

    /// Whether a regular file had all the bytes that it had when it was opened.
    ///
    /// # Errors
    /// What is missing.
    pub(super) fn check_whole(&self, read: u64) -> Result<(), String> {
        match &self.watch {
            Some(watch) if watch.from_start && read < watch.len => Err(format!(
                "the file was cut off while it was read: it had {} bytes, and ends after {read}",
                watch.len
            )),
            _ => Ok(()),
        }
    }

    /// Whether a regular file is still as it was when it was opened.
    ///
    /// # Errors
    /// What has changed.
    pub(super) fn check_unchanged(&self) -> Result<(), String> {
        let Some(watch) = &self.watch else {
            return Ok(());
        };
        let now = watch.file.metadata();
        let now = now.map_err(|e| format!("cannot be examined: {e}"))?;
        if now.len() == watch.len && now.modified().ok() == watch.modified {
            return Ok(());
        }
        Err(format!(
            "the file is still being written (it had {} bytes and now has {}), and its last row has no line's end",
            watch.len,
            now.len()
        ))
    }
}
