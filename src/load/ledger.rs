//! The ledger: what became of every row that was read, and how far all rows are settled
//! without a gap.
//!
//! Batches may be acknowledged in any order; what counts as settled is only what has no
//! open batch before it.

use std::collections::VecDeque;
use std::sync::Arc;

use super::checkpoint::InputState;
use super::mark::{Mark, RejectsLen};
use crate::input::Block;
use crate::protocol::BatchPart;
use crate::transcode::EncodedBatch;

/// Rows by what became of them: `read = acked + rejected + unsent + in_doubt`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Records {
    /// Rows read.
    pub read: u64,
    /// Durable.
    pub acked: u64,
    /// Bad rows.
    pub rejected: u64,
    /// Never sent.
    pub unsent: u64,
    /// Sent, and not known to be durable.
    pub in_doubt: u64,
    /// Sent again, counted each further time.
    pub resent: u64,
}

/// The rows that a batch was made of: those of a block from `first` on, without the bad ones.
#[derive(Debug, Clone)]
pub(super) struct Origin {
    pub block: Arc<Block>,
    pub first: usize,
    /// Indexes of the block's bad rows, ascending.
    pub bad: Arc<[usize]>,
}

impl Origin {
    /// The index in the block of the batch's `n`-th record.
    pub(super) fn row(&self, n: usize) -> Option<usize> {
        (self.first..self.block.rows.len())
            .filter(|row| self.bad.binary_search(row).is_err())
            .nth(n)
    }
}

/// One batch, from the time it is entered until all before it and itself are settled.
#[derive(Debug)]
struct Entry {
    /// Records that are neither acknowledged nor refused; `open <= records`.
    open: u64,
    records: u64,
    bytes: u64,
    /// What it keeps in memory.
    held_bytes: usize,
    /// The offset of its last record, counted over all runs.
    last: u64,
    /// What is settled once this entry and all before it are.
    mark: Option<Mark>,
    origin: Option<Origin>,
    /// By how much the rejects have grown for its refused records.
    kept: RejectsLen,
    /// A record of it ends the load, and is to be read again: it is never settled.
    stuck: bool,
}

/// Batches in the order in which rows were read, and the counts.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    entries: VecDeque<Entry>,
    /// The id of the first entry; ids go up by one.
    first_id: u64,
    /// Records in `entries` that are open; `read = acked + rejected + unsent + open`,
    /// always.
    open: u64,
    acked: u64,
    rejected: u64,
    /// Records of `rejected` that the service has refused, over all runs.
    refused: u64,
    /// Records that nobody will send.
    unsent: u64,
    bytes_acked: u64,
    /// Bytes that entries keep in memory: of their records and of the blocks that these were
    /// made of.
    held_bytes: usize,
    /// Records of all settled entries: the prefix without a gap.
    settled_records: u64,
    /// How far all rows are settled.
    settled: Mark,
    /// Records entered, over all runs.
    entered: u64,
    /// Those of the last checkpoint; `saved <= entered`.
    saved: u64,
    bounds: Bounds,
    /// Somebody waits for room.
    full: bool,
    /// An entry is stuck: nothing behind it will be settled, so nobody waits for that.
    stuck: bool,
    /// The inputs that have ended, in order, for the next checkpoint.
    ends: VecDeque<(usize, InputState)>,
    /// Records sent again, over all runs.
    resent: u64,
    /// Nothing more will be entered or settled; whether the load is complete.
    closed: Option<bool>,
}

/// How much may be entered and not settled.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Bounds {
    /// Records entered since the last checkpoint: what a killed load repeats at most.
    pub unsaved_max: Option<u64>,
    /// Bytes that entries keep in memory.
    pub held_bytes_max: usize,
}

/// What a batch keeps in memory, with the block that it was made of.
pub(super) fn held_bytes(batch: &EncodedBatch, block: Option<&Block>) -> usize {
    batch.body.len() + block.map_or(0, Block::held_bytes)
}

impl Ledger {
    /// A ledger that goes on from an earlier load's mark.
    pub(super) fn new(settled: Mark, resent: u64, bounds: Bounds) -> Self {
        Self {
            settled_records: settled.records.accepted,
            entered: settled.records.accepted,
            saved: settled.records.accepted,
            refused: settled.records.refused,
            settled,
            resent,
            bounds,
            ..Self::default()
        }
    }

    /// Whether a batch of so many records that keeps so many bytes may be entered.
    pub(super) fn has_room(&mut self, records: u64, bytes: usize) -> bool {
        let unsaved = self.entered - self.saved;
        let bounds = self.bounds;
        let saved = bounds
            .unsaved_max
            .is_none_or(|max| unsaved == 0 || unsaved + records <= max);
        let held = self.held_bytes == 0 || self.held_bytes + bytes <= bounds.held_bytes_max;
        self.full = !(self.stuck || saved && held);
        !self.full
    }

    /// Whether somebody waits for room.
    pub(super) fn is_full(&self) -> bool {
        self.full
    }

    /// A batch goes to the client; returns its id.
    pub(super) fn enter(&mut self, batch: &EncodedBatch, origin: Option<Origin>) -> u64 {
        let records = u64::from(batch.records);
        let held_bytes = held_bytes(batch, origin.as_ref().map(|o| &*o.block));
        self.held_bytes += held_bytes;
        self.entries.push_back(Entry {
            open: records,
            records,
            bytes: batch.record_bytes,
            held_bytes,
            last: (self.entered + records).saturating_sub(1),
            mark: None,
            origin,
            kept: RejectsLen::default(),
            stuck: false,
        });
        self.open += records;
        self.entered += records;
        self.first_id + self.entries.len() as u64 - 1
    }

    /// Everything before this place has been entered or rejected.
    pub(super) fn mark(&mut self, mut mark: Mark) {
        mark.records.rejected += self.refused - mark.records.refused;
        mark.records.refused = self.refused;
        match self.entries.back_mut() {
            Some(last) => last.mark = Some(mark),
            None => self.settled = mark,
        }
    }

    pub(super) fn reject(&mut self) {
        self.rejected += 1;
    }

    pub(super) fn rejected(&self) -> u64 {
        self.rejected
    }

    /// Rows read so far.
    pub(super) fn read(&self) -> u64 {
        self.acked + self.rejected + self.unsent + self.open
    }

    /// Records of a batch are durable. Returns the offset of its last record, counted over
    /// all runs.
    pub(super) fn acknowledge(&mut self, id: u64, records: u64) -> Option<u64> {
        let Some(entry) = self.entry(id) else {
            debug_assert!(false, "batch {id} is settled already");
            return None;
        };
        let last = entry.last;
        debug_assert!(records <= entry.open, "acknowledged <= entered");
        entry.open -= records;
        let all = entry.open == 0;
        let bytes = entry.bytes;
        self.open -= records;
        self.acked += records;
        if all {
            self.bytes_acked += bytes;
            self.settle_front();
        }
        Some(last)
    }

    /// Where a record came from, how long the rejects were when its block was begun, and by
    /// how much they have grown for refused records of the block since.
    pub(super) fn origin(&self, id: u64) -> Option<(&Origin, RejectsLen, RejectsLen)> {
        let index = usize::try_from(id.checked_sub(self.first_id)?).ok()?;
        let entry = self.entries.get(index)?;
        let mut grown = entry.kept;
        let mut before = &self.settled;
        for earlier in self.entries.range(..index).rev() {
            if let Some(mark) = &earlier.mark {
                before = mark;
                break;
            }
            grown = grown.plus(earlier.kept);
        }
        Some((entry.origin.as_ref()?, before.rejects, grown))
    }

    /// The service has refused a record of a batch. `kept` says by how much the rejects grew
    /// for it, and from where; without it the record ends the load.
    pub(super) fn refuse(&mut self, id: u64, kept: Option<(RejectsLen, RejectsLen)>) {
        let Some(entry) = self.entry(id) else { return };
        entry.open -= 1;
        entry.stuck |= kept.is_none();
        let sent = (entry.open == 0).then_some(entry.bytes);
        entry.kept = entry.kept.plus(kept.unwrap_or_default().1);
        self.open -= 1;
        self.rejected += 1;
        self.bytes_acked += sent.unwrap_or(0);
        self.stuck |= kept.is_none();
        let Some((at, grown)) = kept else { return };
        self.refused += 1;
        let index = (id - self.first_id) as usize;
        for mark in self
            .entries
            .range_mut(index..)
            .filter_map(|e| e.mark.as_mut())
        {
            mark.records.refused += 1;
            mark.records.rejected += 1;
            mark.rejects.rows = mark.rejects.rows.max(at.rows) + grown.rows;
            mark.rejects.reasons = mark.rejects.reasons.max(at.reasons) + grown.reasons;
        }
        self.settle_front();
    }

    /// Nobody will send this batch: only its counts are kept.
    pub(super) fn pass(&mut self, id: u64) {
        let records = self.entry(id).map_or(0, |e| std::mem::take(&mut e.open));
        self.open -= records;
        self.unsent += records;
        self.settle_front();
    }

    /// A batch has its entry until it is settled.
    fn entry(&mut self, id: u64) -> Option<&mut Entry> {
        let index = usize::try_from(id.checked_sub(self.first_id)?).ok()?;
        self.entries.get_mut(index)
    }

    fn settle_front(&mut self) {
        while let Some(entry) = self.entries.pop_front_if(|e| e.open == 0 && !e.stuck) {
            self.first_id += 1;
            self.settled_records += entry.records;
            self.held_bytes -= entry.held_bytes;
            if let Some(mark) = entry.mark {
                self.settled = mark;
            }
        }
    }

    /// How far all rows are settled without a gap.
    pub(super) fn settled(&self) -> &Mark {
        &self.settled
    }

    /// Records of the settled prefix, over all runs.
    pub(super) fn settled_records(&self) -> u64 {
        self.settled_records
    }

    /// A checkpoint with this mark stands.
    pub(super) fn saved(&mut self, mark: &Mark) {
        self.saved = mark.records.accepted;
    }

    /// Checkpoints cannot be saved any more: nothing waits for them.
    pub(super) fn give_up_saving(&mut self) {
        self.bounds.unsaved_max = None;
    }

    /// An input was read to its end.
    pub(super) fn input_ended(&mut self, input: usize, state: InputState) {
        self.ends.push_back((input, state));
    }

    /// Takes an input that has ended before this mark.
    pub(super) fn take_end(&mut self, mark: &Mark) -> Option<InputState> {
        let before = |input| input < mark.input || (input == mark.input && mark.reached.ended);
        let (_, state) = self.ends.pop_front_if(|(input, _)| before(*input))?;
        Some(state)
    }

    /// Records sent again in this run.
    pub(super) fn set_resent(&mut self, before: u64, resent: u64) {
        self.resent = before + resent;
    }

    pub(super) fn resent(&self) -> u64 {
        self.resent
    }

    /// Nothing more will be entered or settled.
    pub(super) fn close(&mut self, complete: bool) {
        self.closed = Some(complete);
    }

    pub(super) fn closed(&self) -> Option<bool> {
        self.closed
    }

    /// The counts at the end, and the bytes of all records that were sent. `in_doubt` are
    /// the records of each batch that were sent and not acknowledged.
    pub(super) fn settle(&self, in_doubt: &[BatchPart], resent: u64) -> (Records, u64) {
        let doubtful: u64 = in_doubt.iter().map(|part| u64::from(part.records)).sum();
        let records = Records {
            read: self.read(),
            acked: self.acked,
            rejected: self.rejected,
            unsent: self.unsent + self.open - doubtful,
            in_doubt: doubtful,
            resent,
        };
        let mut ids: Vec<u64> = in_doubt.iter().map(|part| part.id).collect();
        ids.sort_unstable();
        ids.dedup();
        let bytes = |id: &u64| {
            let entry = self.entries.get((id - self.first_id) as usize);
            entry.map_or(0, |e| e.bytes)
        };
        let sent = self.bytes_acked + ids.iter().map(bytes).sum::<u64>();
        (records, sent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(records: u32) -> EncodedBatch {
        EncodedBatch {
            records,
            record_bytes: u64::from(records) * 10,
            body: Vec::new().into(),
        }
    }

    fn mark(accepted: u64) -> Mark {
        let mut mark = Mark::default();
        mark.records.accepted = accepted;
        mark
    }

    #[test]
    fn every_row_is_accounted_for() {
        let mut ledger = Ledger::default();
        let ids: Vec<u64> = [3, 4, 5].map(|n| ledger.enter(&batch(n), None)).into();
        ledger.reject();
        ledger.acknowledge(ids[0], 3);
        let doubtful = BatchPart {
            id: ids[1],
            first: 0,
            records: 4,
            bytes: 40,
            whole: false,
        };
        let (records, bytes) = ledger.settle(&[doubtful], 2);
        assert_eq!(bytes, 70);
        assert_eq!(
            records,
            Records {
                read: 13,
                acked: 3,
                rejected: 1,
                unsent: 5,
                in_doubt: 4,
                resent: 2
            }
        );
    }

    #[test]
    fn the_settled_prefix_has_no_gap() {
        let bounds = Bounds {
            unsaved_max: Some(12),
            held_bytes_max: 0,
        };
        let mut ledger = Ledger::new(Mark::default(), 0, bounds);
        let mut ids = Vec::new();
        for (records, upto) in [(3, 3), (4, 7), (5, 12)] {
            ids.push(ledger.enter(&batch(records), None));
            ledger.mark(mark(upto));
        }
        ledger.acknowledge(ids[1], 4);
        ledger.acknowledge(ids[2], 2);
        assert_eq!(ledger.settled().records.accepted, 0);
        ledger.acknowledge(ids[0], 3);
        assert_eq!(ledger.settled().records.accepted, 7);
        assert_eq!(ledger.settled_records(), 7);
        assert!(!ledger.has_room(1, 0), "12 are entered, none is saved");
        ledger.saved(&mark(7));
        assert!(ledger.has_room(7, 0));
        // Rows that make no batch move the mark of the batch before them.
        ledger.mark(mark(13));
        ledger.acknowledge(ids[2], 3);
        assert_eq!(ledger.settled().records.accepted, 13);
        ledger.mark(mark(14));
        assert_eq!(ledger.settled().records.accepted, 14);
    }
}
