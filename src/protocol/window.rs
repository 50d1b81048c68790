//! The window: batches that are accepted and not yet acknowledged, in order.

use std::collections::VecDeque;

use bytes::Bytes;

/// Records that travel together: one request, one offset, one acknowledgement. Cloning
/// shares the body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// Tells it from others.
    pub id: u64,
    /// How many records; at least one.
    pub records: u32,
    /// The encoded batch message.
    pub body: Bytes,
}

/// What became of a batch, or of a part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchPart {
    /// The batch's id.
    pub id: u64,
    /// How many of its records.
    pub records: u64,
}

impl From<&Batch> for BatchPart {
    fn from(batch: &Batch) -> Self {
        Self {
            id: batch.id,
            records: batch.records.into(),
        }
    }
}

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
}

impl Window {
    pub(super) fn push(&mut self, batch: Batch) {
        self.records += batch.records as usize;
        self.bytes += batch.body.len();
        self.batches.push_back(batch);
    }

    /// The next batch to send, and whether it was sent before.
    pub(super) fn send_next(&mut self) -> Option<(Batch, bool)> {
        let batch = self.batches.get(self.sent)?.clone();
        let again = self.sent < self.sent_before;
        self.sent += 1;
        Some((batch, again))
    }

    pub(super) fn has_unsent(&self) -> bool {
        self.sent < self.batches.len()
    }

    /// Takes the first `n` batches, which are acknowledged.
    pub(super) fn acknowledge(&mut self, n: usize) -> Vec<BatchPart> {
        debug_assert!(n <= self.sent, "acknowledged <= sent");
        let mut parts = Vec::with_capacity(n);
        for batch in self.batches.drain(..n) {
            self.records -= batch.records as usize;
            self.bytes -= batch.body.len();
            parts.push(BatchPart::from(&batch));
        }
        self.sent -= n;
        self.sent_before = self.sent_before.saturating_sub(n);
        parts
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

    /// What was sent on any connection and is not acknowledged.
    pub(super) fn in_doubt(&self) -> Vec<BatchPart> {
        let sent = self.sent.max(self.sent_before);
        self.batches
            .iter()
            .take(sent)
            .map(BatchPart::from)
            .collect()
    }
}
