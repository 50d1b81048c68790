//! The directory of all spools: what another process has left in it, and how much may lie there.

use std::collections::VecDeque;
use std::fs::{self, DirBuilder, File, TryLockError};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use prost_reflect::prost::Message as _;
use prost_reflect::prost_types::DescriptorProto;

use super::Spool;
use super::segment::{Header, Opened, Segment};
use crate::sdk::TableProperties;

/// The directory of all spools. One process has it.
pub(in crate::gateway) struct Spools {
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
pub(in crate::gateway) struct Left {
    header: Header,
    segments: Vec<Arc<Segment>>,
    pub(in crate::gateway) records: u64,
}

impl Left {
    pub(in crate::gateway) fn key(&self) -> &str {
        &self.header.key
    }

    /// What the records are.
    pub(in crate::gateway) fn properties(&self) -> Result<TableProperties, String> {
        let descriptor = self.header.descriptor();
        let descriptor = descriptor.ok_or("its descriptor cannot be read")?;
        let descriptor =
            DescriptorProto::decode(descriptor.as_slice()).map_err(|e| e.to_string())?;
        TableProperties::from_descriptor_proto(&self.header.table_name, descriptor)
            .map_err(|e| e.to_string())
    }

    /// Whether these are records of this table, as it is now.
    pub(in crate::gateway) fn is_of(&self, key: &str, properties: &TableProperties) -> bool {
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

/// Why a spool cannot be used.
#[derive(Debug)]
pub enum Unusable {
    /// Another process has it.
    Locked(String),
    /// Anything else.
    Other(String),
}

impl Spools {
    /// Takes the directory, and what is left in it.
    ///
    /// # Errors
    /// It cannot be used, or another process does.
    pub(in crate::gateway) fn open(
        dir: &Path,
        bytes_max: u64,
    ) -> Result<(Self, Vec<Left>), Unusable> {
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
    pub(super) fn reserve(&self, bytes: u64) -> Option<Reserved> {
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

    /// Makes a file of the table that the header names.
    pub(super) fn create(&self, header: &Header) -> io::Result<Segment> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        Segment::create(&self.dir, number, header)
    }

    /// So many bytes more lie there.
    pub(super) fn add(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// So many bytes are gone.
    pub(super) fn remove(&self, bytes: u64) {
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    fn spools(&self) -> MutexGuard<'_, Vec<Weak<Spool>>> {
        self.spools.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The spool of a table, with what is left of it.
    ///
    /// # Errors
    /// There are no more threads to be had.
    pub(in crate::gateway) fn spool(
        self: &Arc<Self>,
        key: &str,
        properties: &TableProperties,
        left: Option<Left>,
    ) -> io::Result<Arc<Spool>> {
        let (segments, records) = match left {
            Some(left) => (left.segments.into(), left.records),
            None => (VecDeque::new(), 0),
        };
        let header = header(key, properties);
        let spool = Spool::start(self, header, segments, records)?;
        let mut all = self.spools();
        all.retain(|other| other.strong_count() > 0);
        all.push(Arc::downgrade(&spool));
        Ok(spool)
    }
}

/// Bytes of the directory that are spoken for.
pub(super) struct Reserved(Arc<AtomicU64>, u64);

impl Reserved {
    /// They are in a file by now.
    pub(super) fn keep(mut self) {
        self.1 = 0;
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        self.0.fetch_sub(self.1, Ordering::Relaxed);
    }
}
