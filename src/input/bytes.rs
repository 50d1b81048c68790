//! The bytes of an input: decompressed if they are compressed, and counted before and after
//! that.

use std::fs::File;
use std::io::{self, Read};
use std::sync::Arc;
use std::time::Duration;

use super::compression::{Begins, Codec, Compression, Damage, MAGIC_BYTES_MAX, begins};
use super::decompress::{Decompressor, Ended};
use super::raw::{Raw, Watch};

/// Bytes passed over at a time.
const SKIP_BYTES: usize = 64 << 10;

/// The bytes of an input.
pub struct Bytes {
    raw: Raw,
    /// What compression was asked for, until the first bytes are looked at.
    unsettled: Option<Compression>,
    /// First bytes that were looked at and not yet given out.
    head: Vec<u8>,
    decompressor: Option<Decompressor>,
    watch: Option<Watch>,
    source_bytes: u64,
    position: u64,
}

/// Why nothing could be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReadError {
    /// Reading was stopped. All that was taken from the input has been given out.
    Stopped,
    /// It failed.
    Failed {
        /// What is wrong.
        message: String,
        /// What to do next.
        hint: Option<&'static str>,
    },
}

impl ReadError {
    pub(super) fn of(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::Interrupted => Self::Stopped,
            _ => Self::Failed {
                message: format!("cannot be read: {error}"),
                hint: None,
            },
        }
    }
}

impl Bytes {
    /// Any bytes, for what is no file.
    pub fn from_reader(reader: impl Read + Send + 'static, compression: Compression) -> Self {
        Self::new(Raw::reader(Box::new(reader)), None, compression)
    }

    pub(super) fn new(raw: Raw, watch: Option<Watch>, compression: Compression) -> Self {
        Self {
            raw,
            unsettled: (compression != Compression::None).then_some(compression),
            head: Vec::new(),
            decompressor: None,
            watch,
            source_bytes: 0,
            position: 0,
        }
    }

    /// The file that is read from its beginning, if it is a regular one.
    pub(super) fn file(&self) -> Option<Arc<File>> {
        self.watch.as_ref().map(Watch::file)
    }

    /// Bytes of the source that were read, before decompression.
    pub fn source_bytes(&self) -> u64 {
        self.source_bytes
    }

    /// Whether the source is compressed, as far as it was looked at.
    pub fn is_compressed(&self) -> bool {
        self.decompressor.is_some()
    }

    /// Bytes that were given out or passed over, after decompression.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Reads what is there, waiting for the first byte; nothing at the end.
    ///
    /// # Errors
    /// Reading was stopped, and nothing was taken. A read that fails, compressed data that is
    /// cut off or corrupt, a file that has become shorter.
    pub fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ReadError> {
        if let Some(compression) = self.unsettled {
            self.settle(compression)?;
        }
        let n = match &mut self.decompressor {
            Some(decompressor) => {
                let read = decompressor.read(buffer);
                self.source_bytes = decompressor.source_bytes();
                read.map_err(|ended| match ended {
                    Ended::Error(error) => error,
                    Ended::Damaged(codec, damage) => self.damaged(codec, &damage),
                })?
            }
            None if !self.head.is_empty() => {
                let n = buffer.len().min(self.head.len());
                buffer[..n].copy_from_slice(&self.head[..n]);
                self.head.drain(..n);
                n
            }
            None => {
                let n = self.raw.read(buffer).map_err(|e| ReadError::of(&e))?;
                self.source_bytes += n as u64;
                n
            }
        };
        if n == 0 && !buffer.is_empty() {
            self.check_whole()?;
        }
        self.position += n as u64;
        Ok(n)
    }

    /// Whether a pipe has more to read, or ends, within this time. Other sources are not
    /// waited for: what they have comes at once.
    pub(super) fn more_within(&self, wait: Duration) -> bool {
        self.decompressor.is_none() && self.head.is_empty() && self.raw.more_within(wait)
    }

    /// Passes over the next `count` bytes, after decompression, and returns how many there
    /// were: fewer only at the end. A plain regular file is not read for it.
    ///
    /// # Errors
    /// As for [`Self::read`].
    pub fn skip(&mut self, count: u64) -> Result<u64, ReadError> {
        let begin = self.position;
        let end = begin.saturating_add(count);
        if let Some(compression) = self.unsettled {
            self.settle(compression)?;
        }
        if self.decompressor.is_none() && self.watch.is_some() {
            self.seek(count)?;
        }
        let mut buffer = vec![0; SKIP_BYTES];
        while self.position < end {
            let most = usize::try_from(end - self.position).unwrap_or(SKIP_BYTES);
            if self.read(&mut buffer[..most.min(SKIP_BYTES)])? == 0 {
                break;
            }
        }
        Ok(self.position - begin)
    }

    /// Goes on further in a plain regular file, as far as it reaches.
    fn seek(&mut self, count: u64) -> Result<(), ReadError> {
        let looked_at = self.head.len();
        let from_head = usize::try_from(count).map_or(looked_at, |count| count.min(looked_at));
        self.head.drain(..from_head);
        self.position += from_head as u64;
        let sought = self.raw.seek(count - from_head as u64);
        let sought = sought.map_err(|e| ReadError::of(&e))?;
        self.source_bytes += sought;
        self.position += sought;
        Ok(())
    }

    /// Looks at the first bytes, and starts to decompress if they are compressed.
    fn settle(&mut self, asked: Compression) -> Result<(), ReadError> {
        let mut ended = false;
        let found = loop {
            match begins(&self.head) {
                Begins::With(codec) => break Some(codec),
                Begins::Otherwise => break None,
                Begins::Open if ended => break None,
                Begins::Open => {}
            }
            let mut buffer = [0; MAGIC_BYTES_MAX];
            let most = MAGIC_BYTES_MAX - self.head.len();
            let read = self.raw.read(&mut buffer[..most]);
            let n = read.map_err(|e| ReadError::of(&e))?;
            self.head.extend(&buffer[..n]);
            self.source_bytes += n as u64;
            ended = n == 0;
        };
        let wanted = match asked {
            Compression::Auto => found,
            Compression::None => None,
            Compression::Gzip => Some(Codec::Gzip),
            Compression::Zstd => Some(Codec::Zstd),
        };
        if let Some(codec) = wanted.filter(|_| wanted != found) {
            let is = match found {
                Some(found) => found.name(),
                None if self.head.is_empty() => "empty",
                None => "not compressed",
            };
            let codec = codec.name();
            return Err(ReadError::Failed {
                message: format!("is {is}, --compression says {codec}"),
                hint: Some("without --compression the first bytes decide"),
            });
        }
        if let Some(codec) = wanted {
            let head = std::mem::take(&mut self.head);
            let raw = std::mem::take(&mut self.raw);
            let started = Decompressor::start(codec, head, raw);
            self.decompressor = Some(started.map_err(|e| ReadError::of(&e))?);
        }
        self.unsettled = None;
        Ok(())
    }

    /// Compressed data that ends in the middle may be a file that is being written.
    fn damaged(&self, codec: Codec, damage: &Damage) -> ReadError {
        let hint = Some(damage.hint(codec));
        if *damage == Damage::Cut {
            if let Err(error) = self.check_whole() {
                return error;
            }
            if let Err(what) = self.unchanged() {
                let message = format!("{what}, and its {} data ends in the middle", codec.name());
                return ReadError::Failed { message, hint };
            }
        }
        let message = damage.message(codec, self.source_bytes);
        ReadError::Failed { message, hint }
    }

    /// Whether a regular file had all the bytes that it had when it was opened.
    fn check_whole(&self) -> Result<(), ReadError> {
        let whole = self.watch.as_ref().map(|w| w.whole(self.source_bytes));
        let hint = "the rows before its end are not affected; load it again once it is complete";
        whole
            .unwrap_or(Ok(()))
            .map_err(|message| ReadError::Failed {
                message,
                hint: Some(hint),
            })
    }

    /// Whether a regular file is still as it was when it was opened, as it must be if its
    /// last row has no line's end.
    ///
    /// # Errors
    /// What has changed.
    pub(super) fn check_unchanged(&self) -> Result<(), String> {
        self.unchanged()
            .map_err(|what| format!("{what}, and its last row has no line's end"))
    }

    fn unchanged(&self) -> Result<(), String> {
        self.watch.as_ref().map_or(Ok(()), Watch::unchanged)
    }
}
