//! Writes what the requests of one table bring, on a thread of its own: those that have come
//! meanwhile together.

use std::io;
use std::sync::{Arc, Weak};

use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

use super::directory::Reserved;
use super::segment::{Header, Segment};
use super::{NotSpooled, Spool};

/// A segment that has so many bytes is not written to any more.
const SEGMENT_BYTES: u64 = 16 << 20;
/// What is written and synced at once.
const GROUP_BYTES: usize = 4 << 20;

/// Records to be written, and who waits for it.
pub(super) struct Request {
    pub(super) framed: Vec<u8>,
    pub(super) records: u64,
    pub(super) reserved: Reserved,
    pub(super) _room: OwnedSemaphorePermit,
    pub(super) done: oneshot::Sender<Result<(), NotSpooled>>,
}

/// Writes the spool of one table.
pub(super) struct Writer {
    header: Header,
    spool: Weak<Spool>,
    /// What is written to.
    active: Option<Arc<Segment>>,
}

impl Writer {
    /// Starts the thread, which ends with the spool.
    pub(super) fn start(
        header: Header,
        spool: &Arc<Spool>,
        queued: mpsc::Receiver<Request>,
    ) -> io::Result<()> {
        let writer = Self {
            header,
            spool: Arc::downgrade(spool),
            active: None,
        };
        let thread = std::thread::Builder::new().name("zerobus-spool".to_owned());
        thread.spawn(move || writer.run(queued)).map(drop)
    }

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
                let segment = spools.create(&self.header);
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
            spools.add(before);
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
