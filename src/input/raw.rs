//! The bytes of an input as they stand in the source: read so that a stop is noticed, and a
//! regular file only as far as it reached when it was opened.

use std::fs::{File, Metadata};
use std::io::{self, Read, Seek as _, SeekFrom};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::source::Stop;

/// How long a stop may go unnoticed while nothing comes.
const STOP_CHECK: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 50_000_000,
};

/// The bytes of a source.
pub(super) struct Raw {
    reader: Box<dyn Read + Send>,
    access: Access,
    stops: Vec<Stop>,
}

/// How the reader may be used.
enum Access {
    /// It is read to its end.
    Free,
    /// What may have nothing to read for a long time: it is asked before it is read.
    Polled(OwnedFd),
    /// A regular file, of which so many bytes are still to be read. It can be moved in, since
    /// it shares its place with the reader.
    Limited { file: File, left: u64 },
}

impl Default for Raw {
    fn default() -> Self {
        Self::reader(Box::new(io::empty()))
    }
}

impl Raw {
    /// What never keeps anybody waiting, or cannot be asked.
    pub(super) fn reader(reader: Box<dyn Read + Send>) -> Self {
        Self {
            reader,
            access: Access::Free,
            stops: Vec::new(),
        }
    }

    /// A pipe, or what is like one.
    pub(super) fn pipe(file: File) -> io::Result<Self> {
        Ok(Self {
            access: Access::Polled(file.try_clone()?.into()),
            ..Self::reader(Box::new(file))
        })
    }

    /// The next `left` bytes of a regular file.
    pub(super) fn file(file: File, left: u64) -> io::Result<Self> {
        Ok(Self {
            access: Access::Limited {
                file: file.try_clone()?,
                left,
            },
            ..Self::reader(Box::new(file))
        })
    }

    /// Reading ends once this is set, as it does with others that were given.
    pub(super) fn stop_at(&mut self, stop: Stop) {
        self.stops.push(stop);
    }

    /// Reads what is there, waiting for the first byte. Once reading is stopped the error is
    /// `Interrupted`, and nothing was taken.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = match &self.access {
            Access::Limited { left, .. } => usize::try_from(*left).unwrap_or(usize::MAX),
            Access::Free | Access::Polled(_) => usize::MAX,
        };
        let most = most.min(buffer.len());
        loop {
            if self.stops.iter().any(Stop::is_set) {
                return Err(io::ErrorKind::Interrupted.into());
            }
            if let Access::Polled(fd) = &self.access {
                let mut fds = [PollFd::new(fd, PollFlags::IN)];
                match poll(&mut fds, Some(&STOP_CHECK)) {
                    Ok(0) | Err(rustix::io::Errno::INTR) => continue,
                    Ok(_) => {}
                    Err(e) => return Err(e.into()),
                }
            }
            match self.reader.read(&mut buffer[..most]) {
                Ok(n) => {
                    if let Access::Limited { left, .. } = &mut self.access {
                        *left -= n as u64;
                    }
                    return Ok(n);
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
    }

    /// Whether a pipe has more to read, or ends, within this time.
    pub(super) fn more_within(&self, wait: Duration) -> bool {
        let Access::Polled(fd) = &self.access else {
            return false;
        };
        let timeout = Timespec::try_from(wait).unwrap_or(STOP_CHECK);
        let mut fds = [PollFd::new(fd, PollFlags::IN)];
        !self.stops.iter().any(Stop::is_set) && poll(&mut fds, Some(&timeout)) == Ok(1)
    }

    /// Goes on further by `count` bytes without reading them, as far as that can be done, and
    /// returns how far it was.
    pub(super) fn seek(&mut self, count: u64) -> io::Result<u64> {
        let Access::Limited { file, left } = &mut self.access else {
            return Ok(0);
        };
        let count = count.min(*left);
        let by = i64::try_from(count).map_err(io::Error::other)?;
        file.seek(SeekFrom::Current(by))?;
        *left -= count;
        Ok(count)
    }
}

/// A regular file as it was when it was opened.
pub(super) struct Watch {
    file: Arc<File>,
    /// It is read from its first byte on: standard input may begin anywhere.
    from_start: bool,
    len: u64,
    modified: Option<SystemTime>,
}

impl Watch {
    pub(super) fn new(file: &File, metadata: &Metadata, from_start: bool) -> io::Result<Self> {
        Ok(Self {
            file: Arc::new(file.try_clone()?),
            from_start,
            len: metadata.len(),
            modified: metadata.modified().ok(),
        })
    }

    /// The file, whatever its path leads to now.
    pub(super) fn file(&self) -> Arc<File> {
        Arc::clone(&self.file)
    }

    /// Whether what was read is all that it had.
    ///
    /// # Errors
    /// What is missing.
    pub(super) fn whole(&self, read: u64) -> Result<(), String> {
        if self.from_start && read < self.len {
            return Err(format!(
                "the file was cut off while it was read: it had {} bytes, and ends after {read}",
                self.len
            ));
        }
        Ok(())
    }

    /// Whether it is still as it was.
    ///
    /// # Errors
    /// What has changed.
    pub(super) fn unchanged(&self) -> Result<(), String> {
        let now = self.file.metadata();
        let now = now.map_err(|e| format!("cannot be examined: {e}"))?;
        if now.len() == self.len && now.modified().ok() == self.modified {
            return Ok(());
        }
        Err(format!(
            "the file is still being written (it had {} bytes and now has {})",
            self.len,
            now.len()
        ))
    }
}
