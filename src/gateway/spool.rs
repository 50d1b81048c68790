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
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use prost_reflect::prost::Message as _;
use prost_reflect::prost_types::DescriptorProto;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};

use self::segment::{Header, Opened, Segment, framed_len, put};
use super::health::Spooled;
use crate::sdk::TableProperties;

/// A segment that has so many bytes is not written to any more.
const SEGMENT_BYTES: u64 = 16 << 20;
/// One that is settled as a whole is kept for what comes next as long as it is shorter.
const KEPT_BYTES: u64 = 256 << 10;
/// What is written and synced at once.
const GROUP_BYTES: usize = 4 << 20;
/// Requests that wait to be written, and their bytes.
const QUEUE: usize = 1_024;
const QUEUE_BYTES: usize = 64 << 20;

/// The directory of all spools. One process has it.
pub(super) struct Spools {
    dir: PathBuf,
    /// Held as long as this lives.
    _lock: File,
    bytes_max: u64,
    bytes: Arc<AtomicU64>,
    next: AtomicU64,
    /// Those of the tables.
    spools: Mutex<Vec<Weak<Spool>>>,
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
    /// The disk did not say whether they were: they may be found later.
    InDoubt(String),
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
            let (header, segment, records) = match opened.map_err(|e| of(&path, e))? {
                Opened::Segment(header, segment, records) => (header, segment, records),
                Opened::Empty(number) => {
                    next = next.max(number + 1);
                    Segment::remove(&path);
                    continue;
                }
                Opened::Damaged(number) => {
                    next = next.max(number + 1);
                    let aside = path.with_extension("damaged");
                    fs::rename(&path, &aside).map_err(|e| of(&path, e))?;
                    let aside = aside.display();
                    tracing::error!(
                        "{aside}: whose records these were cannot be read; they are not sent"
                    );
                    continue;
                }
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
            spools: Mutex::default(),
        };
        Ok((spools, all))
    }

    /// Room for so many bytes more, if there is.
    fn reserve(&self, bytes: u64) -> Option<Reserved> {
        self.try_reserve(bytes).or_else(|| {
            // What is kept for what comes next, in other tables.
            for spool in self.spools().iter().filter_map(Weak::upgrade) {
                spool.free(&mut spool.segments(), 0);
            }
            self.try_reserve(bytes)
        })
    }

    fn try_reserve(&self, bytes: u64) -> Option<Reserved> {
        let taken = self.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        let reserved = Reserved(Arc::clone(&self.bytes), bytes);
        (taken <= self.bytes_max).then_some(reserved)
    }

    fn spools(&self) -> MutexGuard<'_, Vec<Weak<Spool>>> {
        self.spools.lock().unwrap_or_else(PoisonError::into_inner)
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
            spools: Arc::clone(self),
        });
        let mut others = self.spools();
        others.retain(|other| other.strong_count() > 0);
        others.push(Arc::downgrade(&spool));
        drop(others);
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

/// Records to be written, and who waits for it.
struct Request {
    framed: Vec<u8>,
    records: u64,
    reserved: Reserved,
    _room: OwnedSemaphorePermit,
    done: oneshot::Sender<Result<(), NotSpooled>>,
}

/// Bytes of the directory that are spoken for.
struct Reserved(Arc<AtomicU64>, u64);

impl Reserved {
    fn keep(mut self) {
        self.1 = 0;
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        self.0.fetch_sub(self.1, Ordering::Relaxed);
    }
}

impl Spool {
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
        self.spools
            .bytes
            .fetch_sub(segment.len(), Ordering::Relaxed);
    }
}

/// Writes what the requests of one table bring, on a thread of its own.
struct Writer {
    header: Header,
    spool: Weak<Spool>,
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
            for Request { reserved, done, .. } in group {
                let told = match &written {
                    Ok(()) => {
                        reserved.keep();
                        Ok(())
                    }
                    Err((why, false)) => Err(NotSpooled::Failed(why.clone())),
                    Err((why, true)) => Err(NotSpooled::InDoubt(why.clone())),
                };
                // Whoever does not wait any more has been told that it is not known.
                let _ = done.send(told);
            }
        }
    }

    /// Tells why not, and whether it may be that the records are there nevertheless.
    fn write(&mut self, spool: &Spool, framed: &[u8], records: u64) -> Result<(), (String, bool)> {
        let last = {
            let mut segments = spool.segments();
            segments.is_writing = true;
            segments.all.back().map(|last| last.number)
        };
        // It is gone from the list once all of it was settled.
        let active = self.active.take();
        let active = active.filter(|a| Some(a.number) == last && a.len() < SEGMENT_BYTES);
        let written = self.append(spool, active, framed, records);
        let mut segments = spool.segments();
        segments.is_writing = false;
        written.map_err(|(error, is_in_doubt)| {
            let trouble = format!("the spool cannot be written: {error}");
            let table = &self.header.key;
            tracing::error!(table, "{trouble}");
            segments.unwritable = Some(trouble.clone());
            // What may have been settled meanwhile.
            spool.free(&mut segments, 0);
            (trouble, is_in_doubt)
        })
    }

    fn append(
        &mut self,
        spool: &Spool,
        active: Option<Arc<Segment>>,
        framed: &[u8],
        records: u64,
    ) -> Result<(), (io::Error, bool)> {
        let spools = &spool.spools;
        let is_new = active.is_none();
        let segment = match active {
            Some(segment) => segment,
            None => {
                let number = spools.next.fetch_add(1, Ordering::Relaxed);
                let segment = Segment::create(&spools.dir, number, &self.header);
                Arc::new(segment.map_err(|e| (e, false))?)
            }
        };
        let before = segment.len();
        if let Err((error, is_lost)) = segment.append(framed) {
            match (is_new, is_lost) {
                (true, _) => segment.delete(),
                (false, true) => {}
                (false, false) => self.active = Some(segment),
            }
            return Err((error, is_lost));
        }
        let mut segments = spool.segments();
        if segments.is_closed {
            drop(segments);
            if is_new {
                segment.delete();
            }
            return Err((
                io::Error::other("the table is not served any more"),
                !is_new,
            ));
        }
        if is_new {
            spools.bytes.fetch_add(before, Ordering::Relaxed);
            segments.all.push_back(Arc::clone(&segment));
        }
        segment.appended(framed.len());
        segments.records += records;
        segments.unwritable = None;
        drop(segments);
        self.active = Some(segment);
        spool.changed.send_replace(());
        Ok(())
    }
}
