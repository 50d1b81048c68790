//! The spool: records that were accepted lie in files until they are settled, so that they
//! survive a crash of the gateway.
//!
//! A record is written and synced before anybody is told that it is accepted; requests that come
//! at the same time share a sync. Whoever sends the records reads them from the files, after a
//! crash as always: there is one way. Segments are deleted once all their records are settled.

mod segment;

use std::collections::VecDeque;
use std::fs::{self, DirBuilder, File, TryLockError};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prost_reflect::prost::Message as _;
use prost_reflect::prost_types::DescriptorProto;
use tokio::sync::{mpsc, oneshot, watch};

use self::segment::{Header, Segment, put};
use super::health::Spooled;
use crate::sdk::TableProperties;

/// A segment that has so many bytes is not written to any more.
const SEGMENT_BYTES: u64 = 16 << 20;
/// What is written and synced at once.
const GROUP_BYTES: usize = 4 << 20;
/// Requests that wait to be written.
const QUEUE: usize = 1_024;

/// The directory of all spools. One process has it.
pub(super) struct Spools {
    dir: PathBuf,
    /// Held as long as this lives.
    _lock: File,
    bytes_max: u64,
    bytes: Arc<AtomicU64>,
    next: AtomicU64,
}

/// What a process before this one has left of one table.
pub(super) struct Left {
    header: Header,
    segments: Vec<Arc<Segment>>,
    pub(super) records: u64,
}

impl Left {
    pub(super) fn key(&self) -> &str {
        &self.header.key
    }

    /// What the records are.
    pub(super) fn properties(&self) -> Result<TableProperties, String> {
        let descriptor = self.header.descriptor();
        let descriptor = descriptor.ok_or("its descriptor cannot be read")?;
        let descriptor =
            DescriptorProto::decode(descriptor.as_slice()).map_err(|e| e.to_string())?;
        TableProperties::from_descriptor_proto(&self.header.table_name, descriptor)
            .map_err(|e| e.to_string())
    }

    /// Whether these are records of this table, as it is now.
    pub(super) fn is_of(&self, key: &str, properties: &TableProperties) -> bool {
        self.header == header(key, properties)
    }
}

fn header(key: &str, properties: &TableProperties) -> Header {
    let descriptor = properties.plan().map(|plan| plan.descriptor.as_slice());
    Header::new(
        key,
        &properties.table_name(),
        descriptor.unwrap_or_default(),
    )
}

/// A place in a spool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    segment: u64,
    byte: u64,
}

/// The next records, and the place behind them.
pub(super) struct Chunk {
    pub(super) records: Vec<Vec<u8>>,
    pub(super) end: Place,
}

/// Why a spool cannot be used.
#[derive(Debug)]
pub enum Unusable {
    /// Another process has it.
    Locked(String),
    /// Anything else.
    Other(String),
}

/// Why records were not taken.
#[derive(Debug)]
pub(super) enum NotSpooled {
    /// As much lies there as may.
    Full,
    /// They could not be written.
    Failed(String),
}

impl Spools {
    /// Takes the directory, and what is left in it.
    ///
    /// # Errors
    /// It cannot be used, or another process does.
    pub(super) fn open(dir: &Path, bytes_max: u64) -> Result<(Self, Vec<Left>), Unusable> {
        let of = |path: &Path, e: io::Error| Unusable::Other(format!("{}: {e}", path.display()));
        let cannot = |e| of(dir, e);
        let mut builder = DirBuilder::new();
        builder
            .recursive(true)
            .mode(0o700)
            .create(dir)
            .map_err(cannot)?;
        let path = dir.join("lock");
        let lock = File::create(&path).map_err(cannot)?;
        lock.try_lock().map_err(|e| match e {
            TryLockError::WouldBlock => {
                let message = format!("{} is in use by another process", path.display());
                Unusable::Locked(message)
            }
            TryLockError::Error(e) => cannot(e),
        })?;
        let mut paths = Vec::new();
        for entry in fs::read_dir(dir).map_err(cannot)? {
            let path = entry.map_err(cannot)?.path();
            if path.extension().is_some_and(|e| e == "spool") {
                paths.push(path);
            }
        }
        paths.sort();
        // Numbers begin at 1: before all of them is a place, too.
        let (mut all, mut next, mut bytes): (Vec<Left>, _, _) = (Vec::new(), 1, 0);
        for path in paths {
            let opened = Segment::open(&path);
            let opened = opened.map_err(|e| of(&path, e))?;
            let Some((header, segment, records)) = opened else {
                fs::remove_file(&path).map_err(cannot)?;
                continue;
            };
            next = next.max(segment.number + 1);
            if records == 0 {
                segment.delete();
                continue;
            }
            bytes += segment.len();
            let segment = Arc::new(segment);
            match all.iter_mut().find(|left| left.header == header) {
                Some(left) => {
                    left.segments.push(segment);
                    left.records += records;
                }
                None => all.push(Left {
                    header,
                    segments: vec![segment],
                    records,
                }),
            }
        }
        let spools = Self {
            dir: dir.to_owned(),
            _lock: lock,
            bytes_max,
            bytes: Arc::new(AtomicU64::new(bytes)),
            next: AtomicU64::new(next),
        };
        Ok((spools, all))
    }

    /// The spool of a table, with what is left of it.
    ///
    /// # Errors
    /// There are no more threads to be had.
    pub(super) fn spool(
        self: &Arc<Self>,
        key: &str,
        properties: &TableProperties,
        left: Option<Left>,
    ) -> io::Result<Arc<Spool>> {
        let (segments, records) = match left {
            Some(left) => (left.segments.into(), left.records),
            None => (VecDeque::new(), 0),
        };
        let (queue, queued) = mpsc::channel(QUEUE);
        let spool = Arc::new(Spool {
            segments: Mutex::new(segments),
            records: AtomicU64::new(records),
            changed: watch::channel(()).0,
            queue,
            all: Arc::clone(self),
        });
        let writer = Writer {
            header: header(key, properties),
            spool: Arc::downgrade(&spool),
            active: None,
        };
        let thread = std::thread::Builder::new().name("zerobus-spool".to_owned());
        thread.spawn(move || writer.run(queued))?;
        Ok(spool)
    }
}

/// The spool of one table.
pub(super) struct Spool {
    /// The last is written to.
    segments: Mutex<VecDeque<Arc<Segment>>>,
    /// Records that are not settled.
    records: AtomicU64,
    /// Records were added, or settled.
    changed: watch::Sender<()>,
    queue: mpsc::Sender<Request>,
    all: Arc<Spools>,
}

/// Records to be written, and who waits for it.
struct Request {
    framed: Vec<u8>,
    records: u64,
    done: oneshot::Sender<Result<(), String>>,
}

impl Spool {
    fn segments(&self) -> MutexGuard<'_, VecDeque<Arc<Segment>>> {
        // No step below leaves it between two states.
        self.segments.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes records and syncs them: all or none of them are there. If it is not waited for to
    /// the end, they may be.
    ///
    /// # Errors
    /// They are not.
    pub(super) async fn append(&self, records: &[Vec<u8>]) -> Result<(), NotSpooled> {
        let mut framed = Vec::new();
        records.iter().for_each(|record| put(&mut framed, record));
        if self.all.bytes.load(Ordering::Relaxed) + framed.len() as u64 > self.all.bytes_max {
            return Err(NotSpooled::Full);
        }
        let (done, is_done) = oneshot::channel();
        let request = Request {
            framed,
            records: records.len() as u64,
            done,
        };
        let gone = || NotSpooled::Failed("the spool's writer has ended".to_owned());
        self.queue.send(request).await.map_err(|_| gone())?;
        is_done
            .await
            .map_err(|_| gone())?
            .map_err(NotSpooled::Failed)
    }

    /// Records that are not settled, and what the files of all tables take.
    pub(super) fn spooled(&self) -> Spooled {
        let segments = self.segments();
        Spooled {
            records: self.records.load(Ordering::Relaxed),
            bytes: segments.iter().map(|segment| segment.len()).sum(),
        }
    }

    /// Where the first record that is not settled begins.
    pub(super) fn settled(&self) -> Place {
        let segments = self.segments();
        let first = segments.front();
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

    /// The next records from a place on. Waits for them.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(super) async fn next(&self, from: Place) -> io::Result<Chunk> {
        let mut changed = self.changed.subscribe();
        loop {
            changed.borrow_and_update();
            if let Some((segment, byte)) = self.readable(from) {
                let number = segment.number;
                let read = tokio::task::spawn_blocking(move || segment.read(byte));
                let read = read.await.map_err(io::Error::other)??;
                let end = Place {
                    segment: number,
                    byte: read.end,
                };
                return Ok(Chunk {
                    records: read.records,
                    end,
                });
            }
            // The other side is in `self`.
            let _ = changed.changed().await;
        }
    }

    /// The segment that has records from a place on, and where in it.
    fn readable(&self, from: Place) -> Option<(Arc<Segment>, u64)> {
        let segments = self.segments();
        let mut later = segments.iter().filter(|s| s.number >= from.segment);
        later.find_map(|segment| {
            let byte = match segment.number == from.segment {
                true => from.byte,
                false => segment.settled(),
            };
            (byte < segment.len()).then(|| (Arc::clone(segment), byte))
        })
    }

    /// All before a place is settled; so many records more than before.
    pub(super) fn settle(&self, to: Place, records: u64) {
        let mut segments = self.segments();
        while segments.front().is_some_and(|s| s.number < to.segment) {
            let settled = segments.pop_front();
            settled.iter().for_each(|segment| self.delete(segment));
        }
        if let Some(segment) = segments.front() {
            segment.settle(to.byte);
        }
        drop(segments);
        self.records.fetch_sub(records, Ordering::Relaxed);
        self.changed.send_replace(());
    }

    /// Waits until all is settled.
    pub(super) async fn drained(&self) {
        let mut changed = self.changed.subscribe();
        while self.records.load(Ordering::Relaxed) > 0 {
            // The other side is in `self`.
            let _ = changed.changed().await;
        }
    }

    /// Deletes the files if all is settled. Nothing may be appended any more.
    pub(super) fn clear(&self) {
        if self.records.load(Ordering::Relaxed) == 0 {
            let mut segments = self.segments();
            segments.drain(..).for_each(|segment| self.delete(&segment));
        }
    }

    fn delete(&self, segment: &Segment) {
        segment.delete();
        self.all.bytes.fetch_sub(segment.len(), Ordering::Relaxed);
    }
}

/// Writes what the requests of one table bring, on a thread of its own.
struct Writer {
    header: Header,
    spool: std::sync::Weak<Spool>,
    active: Option<Arc<Segment>>,
}

impl Writer {
    fn run(mut self, mut queued: mpsc::Receiver<Request>) {
        while let Some(request) = queued.blocking_recv() {
            let mut group = vec![request];
            let mut framed = std::mem::take(&mut group[0].framed);
            while framed.len() < GROUP_BYTES
                && let Ok(request) = queued.try_recv()
            {
                framed.extend_from_slice(&request.framed);
                group.push(request);
            }
            let Some(spool) = self.spool.upgrade() else {
                return;
            };
            let records = group.iter().map(|request| request.records).sum();
            let written = self.write(&spool, &framed, records);
            let written = written.map_err(|e| e.to_string());
            for request in group {
                // Whoever does not wait any more has been told that it is not known.
                let _ = request.done.send(written.clone());
            }
        }
    }

    fn write(&mut self, spool: &Spool, framed: &[u8], records: u64) -> io::Result<()> {
        let active = self.active.take();
        let active = active.filter(|segment| segment.len() < SEGMENT_BYTES);
        let segment = match active {
            Some(segment) => segment,
            None => {
                let number = spool.all.next.fetch_add(1, Ordering::Relaxed);
                let segment = Segment::create(&spool.all.dir, number, &self.header)?;
                let segment = Arc::new(segment);
                spool.all.bytes.fetch_add(segment.len(), Ordering::Relaxed);
                spool.segments().push_back(Arc::clone(&segment));
                segment
            }
        };
        // Before whoever sends them can see them.
        spool.records.fetch_add(records, Ordering::Relaxed);
        if let Err((error, is_lost)) = segment.append(framed) {
            spool.records.fetch_sub(records, Ordering::Relaxed);
            self.active = (!is_lost).then_some(segment);
            return Err(error);
        }
        let bytes = framed.len() as u64;
        spool.all.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.active = Some(segment);
        spool.changed.send_replace(());
        Ok(())
    }
}
