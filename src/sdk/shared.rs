//! What the handles of a stream, its acknowledgements and its driver share: which records are
//! accepted, and how far they are settled.
//!
//! Each call that ingests takes one offset. A stream settles its offsets in their order, so one
//! number tells what has become of most of them, and no record has a lock, a channel or a timer
//! of its own: [`settled`](Shared::settled) is compared, and whoever waits is woken by it.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use bytes::Bytes;
use tokio::runtime::Handle;
use tokio::sync::{Notify, watch};

use super::bounds::{Bounds, NoRoom, Room};
use super::gather::Gather;
use super::options::{StreamOptions, millis};
use super::refusals::Refusals;
use super::unacknowledged::{Unacknowledged, items};
use super::{Error, ErrorKind};
use crate::protocol::Batch;

mod driven;
#[cfg(test)]
mod tests;

/// Whoever ingests waits while so many records are ready that the connection has not taken:
/// more would not be sent sooner, and its acknowledgement would be as much later.
const UNSENT_MAX: usize = 4_096;

/// Where the driver of a stream is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Uninitialized,
    Opened,
    Recovering,
    Closed,
    Failed,
}

impl Phase {
    pub(super) fn has_ended(self) -> bool {
        match self {
            Self::Uninitialized | Self::Opened | Self::Recovering => false,
            Self::Closed | Self::Failed => true,
        }
    }
}

/// Whether a stream is to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Closing {
    No,
    /// Once all is settled.
    Settled,
    /// Now.
    Now,
}

pub(super) struct Shared {
    inner: Mutex<Inner>,
    /// All offsets below are settled: acknowledged, or refused. `settled <= inner.next_offset`;
    /// it moves under the lock, and is read without it.
    settled: AtomicU64,
    /// Something was refused: whether an offset is acknowledged must be looked up.
    has_refused: AtomicBool,
    bounds: Bounds,
    /// Wakes the driver, which takes records.
    look: Notify,
    phase: watch::Sender<Phase>,
    closing: watch::Sender<Closing>,
    runtime: Handle,
    #[cfg(feature = "gateway")]
    options: StreamOptions,
}

/// How far a stream is, and since when it waits.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Progress {
    /// Records that were acknowledged.
    pub(crate) acknowledged: u64,
    /// When that was last.
    pub(crate) last_ack: Option<Instant>,
    /// Since when something is outstanding without any being settled; none: nothing is.
    pub(crate) waiting: Option<Instant>,
}

struct Inner {
    gather: Gather,
    /// The offset of what is accepted next.
    next_offset: u64,
    /// Batches that the driver has taken and that are not settled as a whole, in order.
    taken: VecDeque<Batch>,
    /// Nothing more is accepted: a copy of [`Shared::closing`].
    closing: bool,
    /// Calls of `flush` that wait.
    flushing: usize,
    /// Calls of `ingest` that wait for room.
    blocked: usize,
    phase: Phase,
    stream_id: String,
    /// How the driver has ended.
    end: Option<Result<(), Error>>,
    refused: Refusals,
    /// What was accepted before this offset was flushed, and its refusals told.
    flushed: u64,
    /// Who waits until an offset is settled; the second number tells them apart.
    waiters: BTreeMap<(u64, u64), Waker>,
    next_waiter: u64,
    progress: Progress,
}

impl Shared {
    pub(super) fn new(options: &StreamOptions, runtime: &Handle) -> Self {
        Self {
            inner: Mutex::new(Inner {
                gather: Gather::new(millis(options.linger_ms)),
                next_offset: 0,
                taken: VecDeque::new(),
                closing: false,
                flushing: 0,
                blocked: 0,
                phase: Phase::Uninitialized,
                stream_id: String::new(),
                end: None,
                refused: Refusals::default(),
                flushed: 0,
                waiters: BTreeMap::new(),
                next_waiter: 0,
                progress: Progress::default(),
            }),
            settled: AtomicU64::new(0),
            has_refused: AtomicBool::new(false),
            bounds: Bounds::new(options),
            look: Notify::new(),
            phase: watch::channel(Phase::Uninitialized).0,
            closing: watch::channel(Closing::No).0,
            runtime: runtime.clone(),
            #[cfg(feature = "gateway")]
            options: options.clone(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // No step below leaves it between two states.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    // ---- for whoever ingests ----

    /// Room for so many records of so many bytes, if there is.
    pub(super) fn try_room(&self, records: u32, bytes: usize) -> Result<Room<'_>, Error> {
        let room = self.bounds.try_room(records, bytes);
        room.map_err(|why| match why {
            NoRoom::Full => Error::hinting(
                ErrorKind::Full,
                "as many records are unacknowledged as may be",
                Some("wait for acknowledgements, or raise max_inflight_records or max_inflight_bytes"),
            ),
            NoRoom::Closed => self.why_closed(),
        })
    }

    /// The same; waits for it, and for the connection to keep up. Nothing is taken if it is not
    /// waited for to the end.
    pub(super) async fn room(&self, records: u32, bytes: usize) -> Result<Room<'_>, Error> {
        let room = match self.bounds.try_room(records, bytes) {
            Ok(room) => room,
            Err(NoRoom::Closed) => return Err(self.why_closed()),
            Err(NoRoom::Full) => {
                // Those who wait need what is gathered to be gone.
                let _blocked = self.counted(|inner| &mut inner.blocked);
                let room = self.bounds.room(records, bytes).await;
                room.ok_or_else(|| self.why_closed())?
            }
        };
        self.bounds.caught_up().await;
        Ok(room)
    }

    /// Accepts one record; returns its offset.
    pub(super) fn accept(&self, room: Room<'_>, record: &[u8]) -> Result<u64, Error> {
        self.accepting(room, 1, |inner, offset| {
            inner.gather.add(offset, record, Instant::now)
        })
    }

    /// Accepts records one after the other; returns their offsets.
    #[cfg(feature = "gateway")]
    pub(super) fn accept_all(
        &self,
        room: Room<'_>,
        records: &[Vec<u8>],
    ) -> Result<Range<u64>, Error> {
        let count = records.len() as u64;
        let first = self.accepting(room, count, |inner, first| {
            let each = (first..).zip(records);
            each.fold(false, |look, (offset, record)| {
                inner.gather.add(offset, record, Instant::now) || look
            })
        })?;
        Ok(first..first + count)
    }

    /// Accepts records that travel together, framed already.
    pub(super) fn accept_whole(
        &self,
        room: Room<'_>,
        records: u32,
        body: Bytes,
    ) -> Result<u64, Error> {
        self.accepting(room, 1, |inner, offset| {
            inner.gather.add_whole(offset, records, body);
            true
        })
    }

    fn accepting(
        &self,
        room: Room<'_>,
        count: u64,
        add: impl FnOnce(&mut Inner, u64) -> bool,
    ) -> Result<u64, Error> {
        let mut inner = self.lock();
        if inner.closing || inner.end.is_some() {
            drop(inner);
            return Err(self.why_closed());
        }
        let offset = inner.next_offset;
        inner.next_offset += count;
        inner.progress.waiting.get_or_insert_with(Instant::now);
        let look = add(&mut inner, offset);
        if look {
            self.set_behind(&inner);
        }
        drop(inner);
        room.keep();
        if look {
            self.look.notify_one();
        }
        Ok(offset)
    }

    /// Notes whether those who ingest are to wait for the connection. Once they do, some
    /// distance is kept before they go on.
    fn set_behind(&self, inner: &Inner) {
        let most = match self.bounds.is_behind() {
            true => UNSENT_MAX / 2,
            false => UNSENT_MAX,
        };
        self.bounds.set_behind(inner.is_behind(most));
    }

    /// Where the stream runs.
    pub(super) fn runtime(&self) -> &Handle {
        &self.runtime
    }

    /// Why nothing is accepted any more.
    fn why_closed(&self) -> Error {
        match &self.lock().end {
            Some(Err(error)) => {
                let message = format!("the stream has failed: {}", error.message());
                Error::hinting(ErrorKind::Closed, message, error.hint())
            }
            Some(Ok(())) | None => Error::closed(),
        }
    }

    /// Nothing more is accepted; the driver ends once all is settled.
    pub(super) fn close(&self) {
        self.end_by(Closing::Settled);
    }

    /// Nothing more is accepted; the driver ends now.
    pub(super) fn abort(&self) {
        self.end_by(Closing::Now);
    }

    fn end_by(&self, how: Closing) {
        let mut inner = self.lock();
        inner.closing = true;
        self.set_behind(&inner);
        drop(inner);
        self.bounds.close();
        self.closing.send_if_modified(|closing| {
            let sooner = *closing == Closing::No || how == Closing::Now;
            sooner.then(|| *closing = how).is_some()
        });
        self.look.notify_one();
    }

    // ---- for whoever waits ----

    /// Waits until all offsets up to this one are settled, or the stream has ended. `waiter`
    /// belongs to one caller, which gives it back with [`Self::forget`].
    pub(super) fn poll_settled(
        &self,
        cx: &mut Context<'_>,
        offset: u64,
        waiter: &mut Option<u64>,
    ) -> Poll<Result<(), Error>> {
        if let Some(known) = self.outcome(offset) {
            return Poll::Ready(known);
        }
        let mut inner = self.lock();
        if self.settled.load(Ordering::Acquire) > offset {
            drop(inner);
            return Poll::Ready(self.outcome(offset).unwrap_or(Ok(())));
        }
        if let Some(end) = &inner.end {
            return Poll::Ready(end.clone());
        }
        let key = *waiter.get_or_insert_with(|| {
            inner.next_waiter += 1;
            inner.next_waiter
        });
        let before = inner.waiters.insert((offset, key), cx.waker().clone());
        // A waker may be the last that holds a task with an acknowledgement of its own.
        drop(inner);
        drop(before);
        Poll::Pending
    }

    /// Nobody waits for this any more.
    pub(super) fn forget(&self, offset: u64, waiter: u64) {
        let waker = self.lock().waiters.remove(&(offset, waiter));
        drop(waker);
    }

    /// What has become of an offset; none as long as it is not settled.
    fn outcome(&self, offset: u64) -> Option<Result<(), Error>> {
        if self.settled.load(Ordering::Acquire) <= offset {
            return None;
        }
        if !self.has_refused.load(Ordering::Acquire) {
            return Some(Ok(()));
        }
        let inner = self.lock();
        Some(inner.refused.get(offset).cloned().map_or(Ok(()), Err))
    }

    /// The same; an unsettled offset of a stream that has ended has become what the stream has.
    pub(super) fn known(&self, offset: u64) -> Option<Result<(), Error>> {
        let settled = self.outcome(offset);
        settled.or_else(|| self.lock().end.clone())
    }

    /// All offsets below are settled.
    pub(super) fn settled(&self) -> u64 {
        self.settled.load(Ordering::Acquire)
    }

    /// How the stream has ended, and the offset behind its last.
    pub(super) fn end_of_stream(&self) -> (Option<Result<(), Error>>, u64) {
        let inner = self.lock();
        (inner.end.clone(), inner.next_offset)
    }

    /// Makes the driver send what there is for as long as the returned guard lives; tells the
    /// offsets of what was accepted since the last flush.
    pub(super) fn flushing(&self) -> (Range<u64>, Counted<'_>) {
        let counted = self.counted(|inner| &mut inner.flushing);
        let mut inner = self.lock();
        // What comes later is not waited for, and travels by itself.
        inner.gather.cut();
        (inner.flushed..inner.next_offset, counted)
    }

    fn counted(&self, count: fn(&mut Inner) -> &mut usize) -> Counted<'_> {
        *count(&mut self.lock()) += 1;
        self.look.notify_one();
        Counted(self, count)
    }

    /// All of these offsets are settled: what was refused of them makes an error.
    pub(super) fn flushed(&self, offsets: Range<u64>) -> Result<(), Error> {
        let mut inner = self.lock();
        inner.flushed = inner.flushed.max(offsets.end);
        drop(inner);
        self.refusals(offsets)
    }

    /// The error that refusals of these offsets make.
    pub(super) fn refusals(&self, offsets: Range<u64>) -> Result<(), Error> {
        self.lock().refused.check(offsets)
    }

    /// What was refused of these offsets.
    #[cfg(feature = "gateway")]
    pub(super) fn refused(&self, offsets: Range<u64>) -> Vec<(u64, Error)> {
        self.lock().refused.of(offsets)
    }

    pub(super) fn phases(&self) -> watch::Receiver<Phase> {
        self.phase.subscribe()
    }

    /// The driver's phase, and whether what is accepted is being flushed.
    pub(super) fn phase(&self) -> (Phase, bool) {
        let inner = self.lock();
        (inner.phase, inner.closing || inner.flushing > 0)
    }

    #[cfg(feature = "gateway")]
    pub(super) fn progress(&self) -> Progress {
        self.lock().progress
    }

    pub(super) fn stream_id(&self) -> String {
        self.lock().stream_id.clone()
    }

    /// What was accepted and is not durable, in order; none while the stream runs.
    pub(super) fn unacknowledged(&self) -> Option<Vec<Unacknowledged>> {
        let inner = self.lock();
        inner.end.as_ref()?;
        let settled = self.settled();
        let open = inner.taken.iter().flat_map(items).filter_map(|mut item| {
            let offset = item.offset as u64;
            item.refused = inner.refused.get(offset).cloned();
            (offset >= settled).then_some(item)
        });
        Some(inner.refused.before(settled).chain(open).collect())
    }

    /// Whether all that was accepted is settled.
    pub(super) fn is_settled(&self) -> bool {
        self.settled() == self.lock().next_offset
    }
}

impl Inner {
    /// Whether more wait for the connection than this. Without a connection they are gathered as
    /// far as they may be in flight.
    fn is_behind(&self, most: usize) -> bool {
        self.phase == Phase::Opened && !self.closing && self.gather.waiting() >= most
    }
}

/// Counts somebody for as long as it lives.
pub(super) struct Counted<'s>(&'s Shared, fn(&mut Inner) -> &mut usize);

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        *self.1(&mut self.0.lock()) -= 1;
    }
}
