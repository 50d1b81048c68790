//! The driver's side of what is shared: it takes batches, tells what becomes of them, and ends.

use std::sync::atomic::Ordering;
use std::task::Waker;
use std::time::{Duration, Instant};

use super::{Closing, Inner, Phase, Shared};
use crate::client::{Event, Source};
use crate::protocol::{Batch, BatchPart, Fault};
use crate::sdk::Error;
use crate::sdk::gather::{Haste, Next};

/// As long as fewer batches are outstanding, records do not wait for others to travel with.
const OUTSTANDING_EAGER: usize = 16;

impl Shared {
    pub(in crate::sdk) fn on(&self, event: Event) {
        match event {
            Event::Opened { stream_id, .. } => {
                self.lock().stream_id = stream_id;
                #[cfg(feature = "gateway")]
                self.options.tell_away(None);
                self.enter(Phase::Opened);
            }
            Event::Acknowledged { parts, .. } => self.settle(&parts, None),
            Event::Refused { batch, fault } => {
                let part = BatchPart::from(&batch);
                let error = Error::of_fault(&fault);
                #[cfg(feature = "gateway")]
                self.options.tell_refused(&batch, &error);
                self.settle(&[part], Some((batch, error)));
            }
            #[cfg_attr(not(feature = "gateway"), expect(unused_variables))]
            Event::Recovering { fault, wait } => {
                #[cfg(feature = "gateway")]
                self.options.tell_away(Some((&fault, wait)));
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
            records += self.bounds.share(part.records);
            bytes += part.bytes;
        }
        match refused {
            Some((batch, error)) => {
                self.note_refused(&mut inner, &batch, error);
                self.has_refused.store(true, Ordering::Release);
            }
            None => {
                let records = parts.iter().map(|part| u64::from(part.records));
                inner.progress.acknowledged += records.sum::<u64>();
                inner.progress.last_ack = Some(Instant::now());
            }
        }
        while let Some(batch) = inner.taken.front()
            && offsets(&BatchPart::from(batch)).1 <= settled
        {
            inner.taken.pop_front();
        }
        self.settled.store(settled, Ordering::Release);
        inner.progress.waiting = (settled < inner.next_offset).then(Instant::now);
        let waiting = inner.waiters.split_off(&(settled, 0));
        let woken = std::mem::replace(&mut inner.waiters, waiting);
        drop(inner);
        self.bounds.give_back(records, bytes);
        woken.into_values().for_each(Waker::wake);
    }

    /// The driver has ended. The first end counts.
    pub(in crate::sdk) fn end(&self, how: Result<(), Error>) {
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
        self.bounds.close();
        self.enter(phase);
        woken.into_values().for_each(Waker::wake);
    }

    /// Completes when the driver is to end although it has something to do: it was told to, or is
    /// closed with nothing to send and not connected yet, or has been for too long.
    pub(in crate::sdk) async fn given_up(&self, timeout: Duration) {
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

    fn note_refused(&self, inner: &mut Inner, batch: &Batch, error: Error) {
        #[cfg(feature = "gateway")]
        if self.options.endures() {
            return inner.refused.note(batch, error);
        }
        inner.refused.add(batch, error);
    }

    /// What was refused by a stream that has failed before it could tell.
    pub(in crate::sdk) fn untold(&self, refused: &[(Batch, Fault)]) {
        for (batch, fault) in refused {
            let error = Error::of_fault(fault);
            #[cfg(feature = "gateway")]
            self.options.tell_refused(batch, &error);
            self.note_refused(&mut self.lock(), batch, error);
        }
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
pub(super) fn offsets(part: &BatchPart) -> (u64, u64) {
    match part.whole {
        true => (part.id, part.id + 1),
        false => {
            let start = part.id + u64::from(part.first);
            (start, start + u64::from(part.records))
        }
    }
}
