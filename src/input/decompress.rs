//! Decompresses an input on a thread of its own, so that it overlaps with framing.
//!
//! The thread hands over what it has before it waits for more, so that rows of a slow pipe do
//! not wait. After a stop it still hands over all that the bytes it has taken hold.

use std::io;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use super::bytes::ReadError;
use super::compression::{Codec, Damage, Decoder};
use super::raw::Raw;
use super::source::Stop;

/// Bytes decompressed that are handed over at a time.
const CHUNK_BYTES: usize = 256 << 10;
/// Chunks that wait for the framer.
const CHUNKS_QUEUED_MAX: usize = 4;
/// Compressed bytes read at a time.
const INPUT_BYTES: usize = 128 << 10;

/// The bytes that a thread decompresses.
pub(super) struct Decompressor {
    chunks: Receiver<Chunk>,
    /// Buffers go back to the thread.
    spare: SyncSender<Vec<u8>>,
    current: Vec<u8>,
    len: usize,
    given: usize,
    source_bytes: u64,
    end: Option<End>,
    /// The thread may be waiting for a pipe.
    abandoned: Stop,
}

/// What the thread hands over.
struct Chunk {
    bytes: Vec<u8>,
    /// As many of them are meant.
    len: usize,
    /// Bytes of the source they took, with all before them.
    source_bytes: u64,
    end: Option<End>,
}

/// Nothing follows, since all is read or since this has happened.
type End = Result<(), Ended>;

#[derive(Debug, Clone)]
pub(super) enum Ended {
    Error(ReadError),
    Damaged(Codec, Damage),
}

impl Decompressor {
    /// Decompresses `head` and what follows it.
    pub(super) fn start(codec: Codec, head: Vec<u8>, mut raw: Raw) -> io::Result<Self> {
        let decoder = Decoder::new(codec)?;
        let (sender, chunks) = sync_channel(CHUNKS_QUEUED_MAX);
        let (spare, spares) = sync_channel(CHUNKS_QUEUED_MAX);
        let abandoned = Stop::default();
        raw.stop_at(abandoned.clone());
        let worker = Worker {
            raw,
            decoder,
            chunks: sender,
            spares,
            chunk: vec![0; CHUNK_BYTES],
            len: 0,
            source_bytes: 0,
        };
        thread::Builder::new()
            .name("decompress".to_owned())
            .spawn(move || worker.run(head))?;
        Ok(Self {
            chunks,
            spare,
            current: Vec::new(),
            len: 0,
            given: 0,
            source_bytes: 0,
            end: None,
            abandoned,
        })
    }

    /// Bytes of the source that what was read so far took.
    pub(super) fn source_bytes(&self) -> u64 {
        self.source_bytes
    }

    /// Reads what is decompressed, waiting for the first byte.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Ended> {
        while self.given == self.len {
            if let Some(end) = &self.end {
                return end.clone().map(|()| 0);
            }
            let Ok(chunk) = self.chunks.recv() else {
                let message = "the thread that decompresses has died".to_owned();
                let hint = None;
                return Err(Ended::Error(ReadError::Failed { message, hint }));
            };
            // Kept for the thread if it has room for it; it makes another if need be.
            let _ = self
                .spare
                .try_send(std::mem::replace(&mut self.current, chunk.bytes));
            (self.len, self.given) = (chunk.len, 0);
            self.source_bytes = chunk.source_bytes;
            self.end = chunk.end;
        }
        let n = buffer.len().min(self.len - self.given);
        buffer[..n].copy_from_slice(&self.current[self.given..self.given + n]);
        self.given += n;
        Ok(n)
    }
}

impl Drop for Decompressor {
    fn drop(&mut self) {
        self.abandoned.set();
    }
}

/// The thread's side.
struct Worker {
    raw: Raw,
    decoder: Decoder,
    chunks: SyncSender<Chunk>,
    spares: Receiver<Vec<u8>>,
    chunk: Vec<u8>,
    len: usize,
    source_bytes: u64,
}

/// Nobody listens any more.
struct Abandoned;

impl Worker {
    fn run(mut self, head: Vec<u8>) {
        let end = match self.decode(&head) {
            Ok(None) => self.read_and_decode(),
            Ok(Some(end)) => Ok(end),
            Err(Abandoned) => return,
        };
        if let Ok(end) = end {
            let _ = self.hand_over(Some(end));
        }
    }

    fn read_and_decode(&mut self) -> Result<End, Abandoned> {
        let mut input = vec![0; INPUT_BYTES];
        loop {
            let n = match self.raw.read(&mut input) {
                Ok(0) if self.decoder.may_end() => return Ok(Ok(())),
                Ok(0) => return Ok(self.damaged(Damage::Cut)),
                Ok(n) => n,
                Err(e) => return Ok(Err(Ended::Error(ReadError::of(&e)))),
            };
            if let Some(end) = self.decode(&input[..n])? {
                return Ok(end);
            }
        }
    }

    /// Decompresses all of `input` and hands over all that it holds.
    fn decode(&mut self, mut input: &[u8]) -> Result<Option<End>, Abandoned> {
        loop {
            let step = self.decoder.step(input, &mut self.chunk[self.len..]);
            input = &input[step.taken..];
            self.len += step.made;
            self.source_bytes += step.taken as u64;
            if let Some(damage) = step.damage {
                return Ok(Some(self.damaged(damage)));
            }
            if self.len == self.chunk.len() {
                // There may be more even if the input is used up.
                self.hand_over(None)?;
            } else if input.is_empty() {
                break;
            }
        }
        if self.len > 0 {
            self.hand_over(None)?;
        }
        Ok(None)
    }

    fn damaged(&self, damage: Damage) -> End {
        Err(Ended::Damaged(self.decoder.codec(), damage))
    }

    fn hand_over(&mut self, end: Option<End>) -> Result<(), Abandoned> {
        let spare = self.spares.try_recv().ok().filter(|b| !b.is_empty());
        let next = match end {
            None => spare.unwrap_or_else(|| vec![0; CHUNK_BYTES]),
            Some(_) => Vec::new(),
        };
        let chunk = Chunk {
            bytes: std::mem::replace(&mut self.chunk, next),
            len: std::mem::take(&mut self.len),
            source_bytes: self.source_bytes,
            end,
        };
        self.chunks.send(chunk).map_err(|_| Abandoned)
    }
}
