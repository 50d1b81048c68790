//! The window: batches that are accepted and not yet acknowledged, in order.

use std::collections::VecDeque;

use bytes::Bytes;

/// Records that travel together: one request, one offset, one acknowledgement. Cloning
/// shares the body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// How many records; at least one.
    pub records: u32,
    /// The encoded batch message.
    pub body: Bytes,
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

    /// Takes the first `n` batches, which are acknowledged, and returns their records.
    pub(super) fn acknowledge(&mut self, n: usize) -> u64 {
        debug_assert!(n <= self.sent, "acknowledged <= sent");
        let mut records = 0;
        for batch in self.batches.drain(..n) {
            records += u64::from(batch.records);
            self.bytes -= batch.body.len();
        }
        self.records -= records as usize;
        self.sent -= n;
        self.sent_before = self.sent_before.saturating_sub(n);
        records
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

    /// Records that were sent on any connection and are not acknowledged.
    pub(super) fn records_in_doubt(&self) -> u64 {
        let sent = self.sent.max(self.sent_before);
        self.batches
            .iter()
            .take(sent)
            .map(|b| u64::from(b.records))
            .sum()
    }
}
