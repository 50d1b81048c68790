//! The spool: records that were accepted lie in files until they are settled, so that they
//! survive a crash of the gateway.
//!
//! A record is written and synced before anybody is told that it is accepted; requests that come
//! at the same time share a sync. Whoever sends the records reads them from the files, after a
//! crash as always: there is one way. Segments are deleted once all their records are settled.

mod directory;
mod segment;
mod writer;

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Semaphore, mpsc, oneshot, watch};

pub use self::directory::Unusable;
pub(super) use self::directory::{Left, Spools};
use self::segment::{Header, Segment, framed_len, put};
use self::writer::{Request, Writer};
use super::health::Spooled;

/// One that is settled as a whole is kept for what comes next as long as it is shorter.
const KEPT_BYTES: u64 = 256 << 10;
/// Requests that wait to be written, and their bytes.
const QUEUE: usize = 1_024;
const QUEUE_BYTES: usize = 64 << 20;

/// A place in a spool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    segment: u64,
    byte: u64,
}

/// Records that follow each other in one segment.
pub(super) struct Chunk {
    segment: u64,
    pub(super) records: Vec<Vec<u8>>,
    /// Where each ends.
    ends: Vec<u64>,
    /// Their bytes.
    pub(super) bytes: usize,
}

impl Chunk {
    /// The place behind one of the records.
    pub(super) fn place_behind(&self, index: usize) -> Place {
        let byte = self.ends.get(index).copied().unwrap_or_default();
        let segment = self.segment;
        Place { segment, byte }
    }

    /// The place behind the last.
    pub(super) fn end(&self) -> Place {
        self.place_behind(self.ends.len().saturating_sub(1))
    }
}

/// Why records were not taken.
#[derive(Debug)]
pub(super) enum NotSpooled {
    /// As much lies there as may.
    Full,
    /// They could not be written.
    Failed(String),
    /// The disk did not say whether they were: they may be found later.
    InDoubt(String),
}

/// The spool of one table.
pub(super) struct Spool {
    segments: Mutex<Segments>,
    /// Records were added, or settled.
    changed: watch::Sender<()>,
    queue: mpsc::Sender<Request>,
    /// For the bytes that wait to be written.
    room: Arc<Semaphore>,
    spools: Arc<Spools>,
}

struct Segments {
    /// The last is written to.
    all: VecDeque<Arc<Segment>>,
    /// Records that are not settled.
    records: u64,
    /// Nothing is appended any more.
    is_closed: bool,
    /// Something is being appended to the last, or what will be.
    is_writing: bool,
    /// Why it cannot be written, and read; none since that was possible last.
    unwritable: Option<String>,
    unreadable: Option<String>,
}

impl Spool {
    /// Starts its writer.
    fn start(
        spools: &Arc<Spools>,
        header: Header,
        segments: VecDeque<Arc<Segment>>,
        records: u64,
    ) -> io::Result<Arc<Self>> {
        let (queue, queued) = mpsc::channel(QUEUE);
        let spool = Arc::new(Self {
            segments: Mutex::new(Segments {
                all: segments,
                records,
                is_closed: false,
                is_writing: false,
                unwritable: None,
                unreadable: None,
            }),
            changed: watch::channel(()).0,
            queue,
            room: Arc::new(Semaphore::new(QUEUE_BYTES)),
            spools: Arc::clone(spools),
        });
        Writer::start(header, &spool, queued)?;
        Ok(spool)
    }

    fn segments(&self) -> MutexGuard<'_, Segments> {
        // No step below leaves it between two states.
        self.segments.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes records and syncs them: all or none of them are there. If it is not waited for to
    /// the end, they may be.
    ///
    /// # Errors
    /// They are not, or that is not known.
    pub(super) async fn append(&self, records: &[Vec<u8>]) -> Result<(), NotSpooled> {
        let bytes: usize = records.iter().map(|record| framed_len(record)).sum();
        let reserved = self.spools.reserve(bytes as u64).ok_or(NotSpooled::Full)?;
        let gone = || NotSpooled::Failed("the spool's writer has ended".to_owned());
        let permits = u32::try_from(bytes.min(QUEUE_BYTES)).unwrap_or(u32::MAX);
        let room = Arc::clone(&self.room).acquire_many_owned(permits).await;
        let room = room.map_err(|_| gone())?;
        let mut framed = Vec::with_capacity(bytes);
        records.iter().for_each(|record| put(&mut framed, record));
        let (done, is_done) = oneshot::channel();
        let request = Request {
            framed,
            records: records.len() as u64,
            reserved,
            _room: room,
            done,
        };
        self.queue.send(request).await.map_err(|_| gone())?;
        is_done.await.map_err(|_| gone())?
    }

    /// Records that are not settled, and what the files take.
    pub(super) fn spooled(&self) -> Spooled {
        let segments = self.segments();
        Spooled {
            records: segments.records,
            bytes: segments.all.iter().map(|segment| segment.len()).sum(),
        }
    }

    /// Why it cannot be written or read, at present.
    pub(super) fn trouble(&self) -> Option<String> {
        let segments = self.segments();
        let trouble = segments
            .unreadable
            .as_ref()
            .or(segments.unwritable.as_ref());
        trouble.cloned()
    }

    /// Where the first record that is not settled begins.
    pub(super) fn settled(&self) -> Place {
        let segments = self.segments();
        let first = segments.all.front();
        first.map_or(
            Place {
                segment: 0,
                byte: 0,
            },
            |first| Place {
                segment: first.number,
                byte: first.settled(),
            },
        )
    }

    /// Waits until something is not settled.
    pub(super) async fn is_filled(&self) {
        self.readable(self.settled()).await;
    }

    /// Waits until there are records from a place on: their segment, and where in it.
    async fn readable(&self, from: Place) -> (Arc<Segment>, u64) {
        let mut changed = self.changed.subscribe();
        loop {
            changed.borrow_and_update();
            let found = {
                let segments = self.segments();
                let mut later = segments.all.iter().filter(|s| s.number >= from.segment);
                later.find_map(|segment| {
                    let byte = match segment.number == from.segment {
                        true => from.byte,
                        false => segment.settled(),
                    };
                    (byte < segment.len()).then(|| (Arc::clone(segment), byte))
                })
            };
            if let Some(found) = found {
                return found;
            }
            // The other side is in `self`.
            let _ = changed.changed().await;
        }
    }

    /// The next records from a place on. Waits for them. None if they cannot be read, which is
    /// told.
    pub(super) async fn next(&self, from: Place) -> Option<Chunk> {
        let (segment, byte) = self.readable(from).await;
        let number = segment.number;
        let read = tokio::task::spawn_blocking(move || segment.read(byte)).await;
        match read.map_err(io::Error::other).flatten() {
            Ok(read) => {
                self.segments().unreadable = None;
                let bytes = read.records.iter().map(Vec::len).sum();
                Some(Chunk {
                    segment: number,
                    records: read.records,
                    ends: read.ends,
                    bytes,
                })
            }
            Err(error) => {
                let trouble = format!("the spool cannot be read: {error}");
                tracing::error!("{trouble}");
                self.segments().unreadable = Some(trouble);
                None
            }
        }
    }

    /// All before a place is settled: so many records more than before.
    pub(super) fn settle(&self, to: Place, records: u64) {
        let mut segments = self.segments();
        while segments.all.front().is_some_and(|s| s.number < to.segment) {
            let settled = segments.all.pop_front();
            settled.iter().for_each(|segment| self.delete(segment));
        }
        if let Some(segment) = segments.all.front() {
            segment.settle(to.byte);
        }
        segments.records = segments.records.saturating_sub(records);
        self.free(&mut segments, KEPT_BYTES);
        drop(segments);
        self.changed.send_replace(());
    }

    /// Waits until all that is there now is settled.
    pub(super) async fn drained(&self) {
        let end = {
            let segments = self.segments();
            let last = segments.all.iter().rfind(|s| s.settled() < s.len());
            last.map(|last| Place {
                segment: last.number,
                byte: last.len(),
            })
        };
        let Some(end) = end else { return };
        let mut changed = self.changed.subscribe();
        while self.settled() < end && self.spooled().records > 0 {
            // The other side is in `self`.
            let _ = changed.changed().await;
        }
    }

    /// Nothing is appended any more; files are deleted if all is settled. Tells how many records
    /// are not.
    pub(super) fn close(&self) -> u64 {
        let mut segments = self.segments();
        segments.is_closed = true;
        if segments.records == 0 {
            let all: Vec<_> = segments.all.drain(..).collect();
            all.iter().for_each(|segment| self.delete(segment));
        }
        segments.records
    }

    /// Deletes what is settled as a whole, unless it is shorter than what may be kept.
    fn free(&self, segments: &mut Segments, kept: u64) {
        if segments.records == 0 && !segments.is_writing {
            while let Some(last) = segments.all.pop_back_if(|last| last.len() > kept) {
                self.delete(&last);
            }
        }
    }

    fn delete(&self, segment: &Segment) {
        segment.delete();
        self.spools.remove(segment.len());
    }
}
