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
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::runtime::Handle;
use tokio::sync::{Notify, Semaphore, SemaphorePermit, TryAcquireError, watch};

use super::gather::{Gather, Haste, Next};
use super::options::{StreamOptions, millis};
use super::unacknowledged::{Unacknowledged, items};
use super::{Error, ErrorKind};
use crate::client::{Event, Source};
use crate::protocol::{Batch, BatchPart, Fault};
use crate::transcode::BATCH_BYTES_MAX;

/// As long as fewer batches are outstanding, records do not wait for others to travel with.
const OUTSTANDING_EAGER: usize = 16;

/// Whoever ingests waits while so many records are ready that the connection has not taken:
/// more would not be sent sooner, and its acknowledgement would be as much later.
const UNSENT_MAX: usize = 4_096;

/// Refused records are kept up to so many bytes.
const REFUSED_BYTES_MAX: usize = 64 << 20;

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
    /// Room for records and their bytes. What is accepted keeps its share until it is settled.
    records: Semaphore,
    bytes: Semaphore,
    records_max: u32,
    /// Wakes the driver, which takes records.
    look: Notify,
    /// Wakes those who wait for it to have taken some.
    taken: Notify,
    /// Records come faster than the connection takes them: a copy of [`Inner::is_behind`].
    is_behind: AtomicBool,
    phase: watch::Sender<Phase>,
    closing: watch::Sender<Closing>,
    runtime: Handle,
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
    /// What the service has refused, by offset.
    refused: BTreeMap<u64, (Unacknowledged, Error)>,
    /// The bytes of their records that are kept.
    refused_bytes: usize,
    /// What was accepted before this offset was flushed, and its refusals told.
    flushed: u64,
    /// Who waits until an offset is settled; the second number tells them apart.
    waiters: BTreeMap<(u64, u64), Waker>,
    next_waiter: u64,
}

/// Room for one call.
pub(super) struct Room<'s> {
    records: SemaphorePermit<'s>,
    bytes: SemaphorePermit<'s>,
}

impl Room<'_> {
    /// Keeps it until what has it is settled.
    fn keep(self) {
        self.records.forget();
        self.bytes.forget();
    }
}

impl Shared {
    pub(super) fn new(options: &StreamOptions, runtime: &Handle) -> Self {
        let records_max = options.max_inflight_records.clamp(1, u32::MAX as usize);
        // One request must fit; its record's framing is a few bytes more.
        let bytes_max = options.max_inflight_bytes.max(BATCH_BYTES_MAX + 16);
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
                refused: BTreeMap::new(),
                refused_bytes: 0,
                flushed: 0,
                waiters: BTreeMap::new(),
                next_waiter: 0,
            }),
            settled: AtomicU64::new(0),
            has_refused: AtomicBool::new(false),
            records: Semaphore::new(records_max.min(Semaphore::MAX_PERMITS)),
            bytes: Semaphore::new(bytes_max.min(Semaphore::MAX_PERMITS)),
            records_max: u32::try_from(records_max).unwrap_or(u32::MAX),
            look: Notify::new(),
            taken: Notify::new(),
            is_behind: AtomicBool::new(false),
            phase: watch::channel(Phase::Uninitialized).0,
            closing: watch::channel(Closing::No).0,
            runtime: runtime.clone(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // No step below leaves it between two states.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    // ---- for whoever ingests ----

    /// Room for so many records of so many bytes, if there is.
    pub(super) fn try_room(&self, records: u32, bytes: usize) -> Result<Room<'_>, Error> {
        let refused = |e| match e {
            TryAcquireError::NoPermits => Error::hinting(
                ErrorKind::Full,
                "as many records are unacknowledged as may be",
                Some(
                    "wait for acknowledgements, or raise max_inflight_records or max_inflight_bytes",
                ),
            ),
            TryAcquireError::Closed => self.why_closed(),
        };
        let records = records.min(self.records_max);
        Ok(Room {
            records: self.records.try_acquire_many(records).map_err(refused)?,
            bytes: self.bytes.try_acquire_many(len(bytes)).map_err(refused)?,
        })
    }

    /// The same; waits for it, and for the connection to keep up. Nothing is taken if it is not
    /// waited for to the end.
    pub(super) async fn room(&self, records: u32, bytes: usize) -> Result<Room<'_>, Error> {
        let room = self.any_room(records, bytes).await?;
        loop {
            let taken = self.taken.notified();
            if !self.is_behind.load(Ordering::Acquire) {
                return Ok(room);
            }
            taken.await;
        }
    }

    async fn any_room(&self, records: u32, bytes: usize) -> Result<Room<'_>, Error> {
        match self.try_room(records, bytes) {
            Err(error) if error.kind() == ErrorKind::Full => {}
            other => return other,
        }
        let records = records.min(self.records_max);
        // Those who wait need what is gathered to be gone.
        let _blocked = self.counted(|inner| &mut inner.blocked);
        let (records, bytes) = async {
            let records = self.records.acquire_many(records).await?;
            Ok((records, self.bytes.acquire_many(len(bytes)).await?))
        }
        .await
        .map_err(|_: tokio::sync::AcquireError| self.why_closed())?;
        Ok(Room { records, bytes })
    }

    /// Accepts one record; returns its offset.
    pub(super) fn accept(&self, room: Room<'_>, record: &[u8]) -> Result<u64, Error> {
        self.accepting(room, |inner, offset| {
            inner.gather.add(offset, record, Instant::now)
        })
    }

    /// Accepts records that travel together, framed already.
    pub(super) fn accept_whole(
        &self,
        room: Room<'_>,
        records: u32,
        body: Bytes,
    ) -> Result<u64, Error> {
        self.accepting(room, |inner, offset| {
            inner.gather.add_whole(offset, records, body);
            true
        })
    }

    fn accepting(
        &self,
        room: Room<'_>,
        add: impl FnOnce(&mut Inner, u64) -> bool,
    ) -> Result<u64, Error> {
        let mut inner = self.lock();
        if inner.closing || inner.end.is_some() {
            drop(inner);
            return Err(self.why_closed());
        }
        let offset = inner.next_offset;
        inner.next_offset += 1;
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
        let was = self.is_behind.load(Ordering::Relaxed);
        let most = if was { UNSENT_MAX / 2 } else { UNSENT_MAX };
        let is = inner.is_behind(most);
        if is != was {
            self.is_behind.store(is, Ordering::Release);
            self.taken.notify_waiters();
        }
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
        self.records.close();
        self.bytes.close();
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
        let refused = inner.refused.get(&offset).map(|(_, error)| error.clone());
        Some(refused.map_or(Ok(()), Err))
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
        let inner = self.lock();
        let mut refused = inner.refused.range(offsets);
        let Some((offset, (_, first))) = refused.next() else {
            return Ok(());
        };
        let more = match refused.count() {
            0 => String::new(),
            more => format!("; {more} more were refused"),
        };
        let message = format!(
            "the service refused what has offset {offset}: {}{more}",
            first.message()
        );
        Err(Error::hinting(ErrorKind::Refused, message, first.hint()))
    }

    pub(super) fn phases(&self) -> watch::Receiver<Phase> {
        self.phase.subscribe()
    }

    /// The driver's phase, and whether what is accepted is being flushed.
    pub(super) fn phase(&self) -> (Phase, bool) {
        let inner = self.lock();
        (inner.phase, inner.closing || inner.flushing > 0)
    }

    pub(super) fn stream_id(&self) -> String {
        self.lock().stream_id.clone()
    }

    /// What was accepted and is not durable, in order; none while the stream runs.
    pub(super) fn unacknowledged(&self) -> Option<Vec<Unacknowledged>> {
        let inner = self.lock();
        inner.end.as_ref()?;
        let settled = self.settled();
        let refused = inner.refused.range(..settled);
        let refused = refused.map(|(_, (item, error))| Unacknowledged {
            refused: Some(error.clone()),
            ..item.clone()
        });
        let open = inner.taken.iter().flat_map(items).filter_map(|mut item| {
            let offset = item.offset as u64;
            let refused = inner.refused.get(&offset);
            item.refused = refused.map(|(_, error)| error.clone());
            (offset >= settled).then_some(item)
        });
        Some(refused.chain(open).collect())
    }

    /// Whether all that was accepted is settled.
    pub(super) fn is_settled(&self) -> bool {
        self.settled() == self.lock().next_offset
    }

    /// Completes when the driver is to end although it has something to do: it was told to, or is
    /// closed with nothing to send and not connected yet, or has been for too long.
    pub(super) async fn given_up(&self, timeout: Duration) {
        let mut closing = self.closing.subscribe();
        // The other side is in `self`.
        let _ = closing.wait_for(|closing| *closing != Closing::No).await;
        let is_idle = self.lock().phase == Phase::Uninitialized && self.is_settled();
        if is_idle {
            return;
        }
        let at_once = closing.wait_for(|closing| *closing == Closing::Now);
        let _ = tokio::time::timeout(timeout, at_once).await;
    }

    /// What was refused by a stream that has failed before it could tell.
    pub(super) fn untold(&self, refused: &[(Batch, Fault)]) {
        let mut inner = self.lock();
        for (batch, fault) in refused {
            inner.refuse(batch, Error::of_fault(fault));
        }
    }

    // ---- for the driver ----

    pub(super) fn on(&self, event: Event) {
        match event {
            Event::Opened { stream_id, .. } => {
                self.lock().stream_id = stream_id;
                self.enter(Phase::Opened);
            }
            Event::Acknowledged { parts, .. } => self.settle(&parts, None),
            Event::Refused { batch, fault } => {
                let part = BatchPart::from(&batch);
                self.settle(&[part], Some((batch, Error::of_fault(&fault))));
            }
            Event::Recovering { .. } => {
                if self.lock().phase != Phase::Uninitialized {
                    self.enter(Phase::Recovering);
                }
            }
            // Routine: records are accepted as before.
            Event::Rotating { .. } | Event::Sent { .. } => {}
        }
    }

    fn enter(&self, phase: Phase) {
        let mut inner = self.lock();
        inner.phase = phase;
        self.set_behind(&inner);
        drop(inner);
        self.phase.send_replace(phase);
    }

    /// The next parts, in order, are settled: acknowledged, or this one refused.
    fn settle(&self, parts: &[BatchPart], refused: Option<(Batch, Error)>) {
        let mut inner = self.lock();
        let mut settled = self.settled.load(Ordering::Relaxed);
        let (mut records, mut bytes) = (0, 0);
        for part in parts {
            let (start, end) = offsets(part);
            debug_assert_eq!(start, settled, "a stream settles in order");
            settled = end;
            records += part.records.min(self.records_max) as usize;
            bytes += part.bytes;
        }
        if let Some((batch, error)) = refused {
            inner.refuse(&batch, error);
            self.has_refused.store(true, Ordering::Release);
        }
        while let Some(batch) = inner.taken.front()
            && offsets(&BatchPart::from(batch)).1 <= settled
        {
            inner.taken.pop_front();
        }
        self.settled.store(settled, Ordering::Release);
        let waiting = inner.waiters.split_off(&(settled, 0));
        let woken = std::mem::replace(&mut inner.waiters, waiting);
        drop(inner);
        self.records.add_permits(records);
        self.bytes.add_permits(bytes);
        woken.into_values().for_each(Waker::wake);
    }

    /// The driver has ended. The first end counts.
    pub(super) fn end(&self, how: Result<(), Error>) {
        let mut inner = self.lock();
        if inner.end.is_some() {
            return;
        }
        let phase = match how {
            Ok(()) => Phase::Closed,
            Err(_) => Phase::Failed,
        };
        inner.end = Some(how);
        inner.closing = true;
        let Inner { gather, taken, .. } = &mut *inner;
        taken.extend(gather.drain());
        let woken = std::mem::take(&mut inner.waiters);
        drop(inner);
        self.records.close();
        self.bytes.close();
        self.enter(phase);
        woken.into_values().for_each(Waker::wake);
    }
}

impl Source for Shared {
    async fn take(&self) -> Option<Batch> {
        loop {
            let until = {
                let mut inner = self.lock();
                let haste = inner.haste();
                match inner.gather.next(Instant::now(), haste) {
                    Next::Batch(batch) => {
                        inner.taken.push_back(batch.clone());
                        self.set_behind(&inner);
                        return Some(batch);
                    }
                    Next::Nothing if inner.closing => return None,
                    Next::At(until) => Some(until),
                    Next::Nothing | Next::Later => None,
                }
            };
            match until {
                Some(until) => {
                    let _ = tokio::time::timeout_at(until.into(), self.look.notified()).await;
                }
                None => self.look.notified().await,
            }
        }
    }
}

impl Inner {
    /// Keeps what was refused, by itself; its records as long as they are not too many.
    fn refuse(&mut self, batch: &Batch, error: Error) {
        let bytes = batch.body.len();
        let is_kept = self.refused_bytes + bytes <= REFUSED_BYTES_MAX;
        let body = match is_kept {
            true => Bytes::copy_from_slice(&batch.body),
            false => Bytes::new(),
        };
        self.refused_bytes += body.len();
        let (offset, _) = offsets(&BatchPart::from(batch));
        let mut items = items(&Batch {
            body,
            ..batch.clone()
        });
        let item = items.pop().unwrap_or_else(|| Unacknowledged::lost(batch));
        self.refused.insert(offset, (item, error));
    }

    /// Whether more wait for the connection than this. Without a connection they are gathered as
    /// far as they may be in flight.
    fn is_behind(&self, most: usize) -> bool {
        self.phase == Phase::Opened && !self.closing && self.gather.waiting() >= most
    }

    fn haste(&self) -> Haste {
        // Little is outstanding: what there is may as well be on its way.
        let is_idle = self.taken.len() < OUTSTANDING_EAGER;
        match self.phase {
            _ if self.closing => Haste::Now,
            // What cannot be sent now goes later in fuller batches.
            Phase::Uninitialized | Phase::Recovering => Haste::NotYet,
            Phase::Opened | Phase::Closed | Phase::Failed => {
                match is_idle || self.flushing > 0 || self.blocked > 0 {
                    true => Haste::Now,
                    false => Haste::Linger,
                }
            }
        }
    }
}

/// The offsets of a part: from, and behind the last. A whole batch has one.
fn offsets(part: &BatchPart) -> (u64, u64) {
    match part.whole {
        true => (part.id, part.id + 1),
        false => {
            let start = part.id + u64::from(part.first);
            (start, start + u64::from(part.records))
        }
    }
}

/// As permits: what is accepted at once is no longer than a request.
fn len(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

/// Counts somebody for as long as it lives.
pub(super) struct Counted<'s>(&'s Shared, fn(&mut Inner) -> &mut usize);

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        *self.1(&mut self.0.lock()) -= 1;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::protocol::{Counts, FaultClass};

    use super::super::gather::{framed_len, put_record};

    fn opened(options: &StreamOptions) -> Arc<Shared> {
        let shared = Arc::new(Shared::new(options, &Handle::current()));
        shared.on(Event::Opened {
            stream_id: "s".to_owned(),
            counts: Counts::default(),
        });
        shared
    }

    fn accept(shared: &Shared, record: &[u8]) -> u64 {
        let room = shared.try_room(1, record.len() + 2).unwrap();
        shared.accept(room, record).unwrap()
    }

    fn acknowledged(batch: &Batch) -> Event {
        Event::Acknowledged {
            parts: vec![BatchPart::from(batch)],
            counts: Counts::default(),
        }
    }

    /// What is accepted after a flush began travels by itself and is not waited for.
    #[tokio::test]
    async fn a_flush_does_not_wait_for_what_comes_later() {
        let shared = opened(&StreamOptions::new());
        accept(&shared, b"one");
        accept(&shared, b"two");
        let (flushed, flushing) = shared.flushing();
        assert_eq!(flushed, 0..2);
        assert_eq!(accept(&shared, b"later"), 2);
        let batch = shared.take().await.unwrap();
        assert_eq!((batch.id, batch.records), (0, 2));
        shared.on(acknowledged(&batch));
        assert!(matches!(shared.known(1), Some(Ok(()))));
        assert!(shared.known(2).is_none());
        drop(flushing);
        assert_eq!(shared.take().await.unwrap().id, 2);
    }

    /// Whoever ingests waits for a connection that does not keep up, and not where there is none.
    #[tokio::test]
    async fn more_is_not_accepted_than_the_connection_takes() {
        let options = StreamOptions::new();
        let shared = Arc::new(Shared::new(&options, &Handle::current()));
        let many = UNSENT_MAX * 2;
        for _ in 0..many {
            let room = shared.room(1, 3).await.unwrap();
            shared.accept(room, b"x").unwrap();
        }
        shared.on(Event::Opened {
            stream_id: String::new(),
            counts: Counts::default(),
        });
        let mut next = Box::pin(shared.room(1, 3));
        let poll = futures_util::poll!(&mut next);
        assert!(poll.is_pending());
        while shared.lock().gather.waiting() > UNSENT_MAX / 2 {
            assert!(futures_util::poll!(&mut next).is_pending());
            shared.take().await.unwrap();
        }
        shared.take().await.unwrap();
        assert!(futures_util::poll!(&mut next).is_ready());
    }

    /// Promise: whatever is acknowledged or refused, whole or in halves, each offset is told
    /// right, and all room is given back.
    #[tokio::test]
    async fn each_offset_is_settled_once_and_room_comes_back() {
        for seed in 0..300 {
            let mut rng = fastrand::Rng::with_seed(seed);
            let options = StreamOptions::new().max_inflight_records(40);
            let shared = opened(&options);
            let (records, bytes) = (
                shared.records.available_permits(),
                shared.bytes.available_permits(),
            );
            let mut sent = VecDeque::new();
            let mut refused = Vec::new();
            let mut accepted = 0;
            while accepted < 200 || !sent.is_empty() {
                let record = vec![7; rng.usize(..200)];
                if accepted < 200 && rng.u8(..4) > 0 {
                    let count = if rng.u8(..5) == 0 { rng.u32(1..60) } else { 0 };
                    let mut body = Vec::new();
                    (0..count).for_each(|_| put_record(&mut body, &record));
                    let offset = match count {
                        0 => shared
                            .try_room(1, framed_len(record.len()))
                            .and_then(|room| shared.accept(room, &record)),
                        _ => shared
                            .try_room(count, body.len())
                            .and_then(|room| shared.accept_whole(room, count, body.into())),
                    };
                    match offset {
                        Ok(offset) => {
                            assert_eq!(offset, accepted, "seed {seed}");
                            accepted += 1;
                        }
                        Err(error) => assert_eq!(error.kind(), ErrorKind::Full),
                    }
                }
                if rng.bool() && shared.lock().gather.waiting() > 0 {
                    let (_, _flushing) = shared.flushing();
                    sent.push_back(shared.take().await.unwrap());
                } else if let Some(batch) = sent.pop_front() {
                    // A part of it, then the rest: a half, or all.
                    let half = batch.records / 2;
                    if half > 0 && !batch.whole && rng.bool() {
                        let mut rest = batch.clone();
                        for _ in 0..half {
                            crate::protocol::take_record(&mut rest.body).unwrap();
                        }
                        let first = batch.body.len() - rest.body.len();
                        let first = Batch {
                            records: half,
                            body: batch.body.slice(..first),
                            ..batch
                        };
                        (rest.first, rest.records) = (batch.first + half, batch.records - half);
                        sent.push_front(rest);
                        shared.on(acknowledged(&first));
                    } else if (batch.whole || batch.records == 1) && rng.u8(..4) == 0 {
                        refused.push(offsets(&BatchPart::from(&batch)).0);
                        let fault = Fault::new(FaultClass::Invalid, "no");
                        shared.on(Event::Refused { batch, fault });
                    } else {
                        shared.on(acknowledged(&batch));
                    }
                }
                if accepted == 200 && sent.is_empty() && shared.lock().gather.waiting() > 0 {
                    let (_, _flushing) = shared.flushing();
                    sent.push_back(shared.take().await.unwrap());
                }
            }
            assert_eq!(shared.settled(), 200, "seed {seed}");
            for offset in 0..200 {
                let known = shared.known(offset).unwrap();
                assert_eq!(known.is_err(), refused.contains(&offset), "seed {seed}");
            }
            assert!(shared.lock().taken.is_empty());
            assert_eq!(shared.records.available_permits(), records, "seed {seed}");
            assert_eq!(shared.bytes.available_permits(), bytes, "seed {seed}");
            assert_eq!(shared.refusals(0..200).is_err(), !refused.is_empty());
            let each = shared.lock().refused.len();
            assert_eq!(each, refused.len(), "seed {seed}");
        }
    }
}
