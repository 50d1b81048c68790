//! The window: batches that are accepted and not yet acknowledged, in order.

use std::collections::VecDeque;

use super::batch::{Batch, BatchPart};

/// Batches in order; the first `sent` are under way on the current connection.
#[derive(Debug, Default)]
pub(super) struct Window {
    batches: VecDeque<Batch>,
    /// How many of `batches` were sent on this connection; `sent <= batches.len()`.
    sent: usize,
    /// The largest `sent` of earlier connections: what is below it is sent again.
    sent_before: usize,
    records: usize,
    bytes: usize,
    /// How many of the first batches may hold what the service has refused: they are sent one
    /// at a time. `suspects <= batches.len()`.
    suspects: usize,
    /// The most batches under way, once the service has asked for less.
    limit: Option<usize>,
    /// The first two batches are halves of one that was refused by itself.
    halves: bool,
}

/// What a refusal is about.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// One of several batches, or a part of one: it is being looked for.
    Sought,
    /// This single record or whole batch, which is taken out of the window.
    Found(Batch),
}

impl Window {
    pub(super) fn push(&mut self, batch: Batch) {
        self.records += batch.records as usize;
        self.bytes += batch.body.len();
        self.batches.push_back(batch);
    }

    /// The next batch to send, and whether it was sent before.
    pub(super) fn send_next(&mut self) -> Option<(Batch, bool)> {
        if !self.has_unsent() {
            return None;
        }
        let batch = self.batches.get(self.sent)?.clone();
        let again = self.sent < self.sent_before;
        self.sent += 1;
        Some((batch, again))
    }

    /// Whether a batch waits to be sent, whatever for.
    pub(super) fn holds_unsent(&self) -> bool {
        self.sent < self.batches.len()
    }

    /// Whether one waits that may be sent.
    pub(super) fn has_unsent(&self) -> bool {
        let alone = self.suspects > 0 && self.sent > 0;
        let slow = self.limit.is_some_and(|limit| self.sent >= limit);
        self.holds_unsent() && !alone && !slow
    }

    /// The service asks for less: half of what was under way, and one more for each batch
    /// that is acknowledged.
    pub(super) fn slow_down(&mut self) {
        let under_way = self
            .limit
            .map_or(self.sent, |limit| limit.min(self.sent.max(1)));
        self.limit = Some((under_way / 2).max(1));
    }

    /// Takes the first `n` batches, which are acknowledged.
    pub(super) fn acknowledge(&mut self, n: usize) -> Vec<BatchPart> {
        debug_assert!(n <= self.sent, "acknowledged <= sent");
        let taken = (0..n).filter_map(|_| self.take_first());
        let parts = taken.map(|batch| BatchPart::from(&batch)).collect();
        self.limit = self.limit.map(|limit| limit + n);
        // The first half is good: it was the second one.
        if n > 0 && std::mem::take(&mut self.halves) {
            self.split_first();
        }
        parts
    }

    fn take_first(&mut self) -> Option<Batch> {
        let batch = self.batches.pop_front()?;
        self.records -= batch.records as usize;
        self.bytes -= batch.body.len();
        self.sent = self.sent.saturating_sub(1);
        self.sent_before = self.sent_before.saturating_sub(1);
        self.suspects = self.suspects.saturating_sub(1);
        Some(batch)
    }

    /// The service has refused something that was under way. The connection is gone with it.
    pub(super) fn refuse(&mut self) -> Refused {
        let sent = self.sent;
        self.rewind();
        self.suspects = self.suspects.max(sent);
        self.halves = false;
        if sent > 1 {
            return Refused::Sought;
        }
        if self.split_first() {
            return Refused::Sought;
        }
        match self.take_first() {
            Some(batch) => Refused::Found(batch),
            None => Refused::Sought,
        }
    }

    /// Halves the first batch, which holds a refused record, if it has halves.
    fn split_first(&mut self) -> bool {
        let Some((first, second)) = self.batches.front().and_then(Batch::halves) else {
            return false;
        };
        self.batches.pop_front();
        self.batches.push_front(second);
        self.batches.push_front(first);
        self.sent_before += usize::from(self.sent_before > 0);
        self.suspects = self.suspects.max(1) + 1;
        self.halves = true;
        true
    }

    /// The connection is gone: everything is to be sent again.
    pub(super) fn rewind(&mut self) {
        self.sent_before = self.sent_before.max(self.sent);
        self.sent = 0;
    }

    pub(super) fn outstanding(&self) -> usize {
        self.sent
    }

    pub(super) fn is_empty(&self) -> bool {
        self.batches.is_empty()
    }

    pub(super) fn records(&self) -> usize {
        self.records
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// All batches, and whether they were sent on any connection.
    pub(super) fn unsettled(&self) -> Vec<(Batch, bool)> {
        let sent = self.sent.max(self.sent_before);
        let batches = self.batches.iter().cloned();
        batches.zip((0..).map(|index| index < sent)).collect()
    }

    /// What was sent on any connection and is not acknowledged.
    pub(super) fn in_doubt(&self) -> Vec<BatchPart> {
        let sent = self.unsettled().into_iter().filter(|(_, sent)| *sent);
        sent.map(|(batch, _)| BatchPart::from(&batch)).collect()
    }
}
