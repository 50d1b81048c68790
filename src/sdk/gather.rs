//! Gathers single records into batches. Time is an argument.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::{BufMut as _, Bytes};
use prost_reflect::prost::encoding::{encode_varint, encoded_len_varint};

use crate::buffers::{Pool, Recycled};
use crate::protocol::Batch;
use crate::transcode::BATCH_BYTES_MAX;

/// A gathered batch is full with so many bytes or records. More in one gains nothing, and its
/// first record would wait for its last.
const GATHERED_BYTES_MAX: usize = 256 << 10;
const GATHERED_RECORDS_MAX: u32 = 2_048;
/// Field 1, delimited by its length.
const RECORD: u8 = 1 << 3 | 2;

/// How many bytes a record of this size takes in a batch.
pub(super) fn framed_len(record: usize) -> usize {
    1 + encoded_len_varint(record as u64) + record
}

/// Appends a record to the body of a batch.
pub(super) fn put_record(body: &mut Vec<u8>, record: &[u8]) {
    body.put_u8(RECORD);
    encode_varint(record.len() as u64, body);
    body.extend_from_slice(record);
}

/// Records that wait to be sent, in the order in which they were accepted.
pub(super) struct Gather {
    linger: Duration,
    pool: Pool,
    /// Batches that are complete, and how many records they have.
    ready: VecDeque<Batch>,
    ready_records: usize,
    /// The batch being gathered, of so many records.
    body: Recycled,
    records: u32,
    /// The offset of its first record, and when it came.
    first: u64,
    since: Instant,
}

/// What is to be sent.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    Batch(Batch),
    /// What there is waits for more, until this time.
    At(Instant),
    /// What there is waits for something else to happen.
    Later,
    /// There is nothing.
    Nothing,
}

/// How a batch is waited for that is not full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Haste {
    /// It goes now.
    Now,
    /// It waits for more records as long as they may linger.
    Linger,
    /// It cannot be sent yet.
    NotYet,
}

impl Gather {
    pub(super) fn new(linger: Duration) -> Self {
        let pool = Pool::default();
        Self {
            linger,
            body: pool.take(),
            pool,
            ready: VecDeque::new(),
            ready_records: 0,
            records: 0,
            first: 0,
            since: Instant::now(),
        }
    }

    /// Adds one record. Says whether whoever sends should look: there was nothing, or a batch
    /// is full.
    pub(super) fn add(
        &mut self,
        offset: u64,
        record: &[u8],
        now: impl FnOnce() -> Instant,
    ) -> bool {
        if self.records > 0 && self.body.len() + framed_len(record.len()) > BATCH_BYTES_MAX {
            self.cut();
        }
        let is_first = self.records == 0;
        if is_first {
            self.first = offset;
            self.since = now();
        }
        put_record(&mut self.body, record);
        self.records += 1;
        let is_full = self.body.len() >= GATHERED_BYTES_MAX || self.records >= GATHERED_RECORDS_MAX;
        if is_full {
            self.cut();
        }
        is_first || is_full
    }

    /// Adds records that travel by themselves, under one offset.
    pub(super) fn add_whole(&mut self, offset: u64, records: u32, body: Bytes) {
        self.cut();
        self.push(Batch {
            id: offset,
            first: 0,
            records,
            body,
            whole: true,
        });
    }

    /// How many records wait.
    pub(super) fn waiting(&self) -> usize {
        self.ready_records + self.records as usize
    }

    /// The next batch, if it is time.
    pub(super) fn next(&mut self, now: Instant, haste: Haste) -> Next {
        if let Some(batch) = self.pop() {
            return Next::Batch(batch);
        }
        if self.records == 0 {
            return Next::Nothing;
        }
        let due = self.since + self.linger;
        match haste {
            Haste::NotYet => Next::Later,
            Haste::Linger if now < due => Next::At(due),
            Haste::Linger | Haste::Now => {
                self.cut();
                self.pop().map_or(Next::Nothing, Next::Batch)
            }
        }
    }

    /// All that waits.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = Batch> {
        self.cut();
        self.ready_records = 0;
        self.ready.drain(..)
    }

    /// Ends the batch being gathered.
    pub(super) fn cut(&mut self) {
        if self.records == 0 {
            return;
        }
        let body = self.pool.hand_over(&mut self.body);
        let records = std::mem::take(&mut self.records);
        self.push(Batch {
            id: self.first,
            first: 0,
            records,
            body,
            whole: false,
        });
    }

    fn push(&mut self, batch: Batch) {
        self.ready_records += batch.records as usize;
        self.ready.push_back(batch);
    }

    fn pop(&mut self) -> Option<Batch> {
        let batch = self.ready.pop_front()?;
        self.ready_records -= batch.records as usize;
        Some(batch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::ProtoEncodedRecordBatch;
    use prost_reflect::prost::Message as _;

    const LINGER: Duration = Duration::from_millis(2);

    fn batch(next: Next) -> (u64, Vec<Bytes>) {
        let Next::Batch(batch) = next else {
            panic!("{next:?}")
        };
        let read = ProtoEncodedRecordBatch::decode(batch.body).unwrap();
        assert_eq!(read.records.len(), batch.records as usize);
        (batch.id, read.records)
    }

    #[test]
    fn records_linger_for_others_and_no_longer() {
        let mut gather = Gather::new(LINGER);
        let start = Instant::now();
        assert_eq!(gather.next(start, Haste::Now), Next::Nothing);
        assert!(gather.add(0, b"a", || start), "the first is told of");
        assert!(!gather.add(1, b"bc", || start + LINGER));
        assert_eq!(gather.next(start, Haste::Linger), Next::At(start + LINGER));
        assert_eq!(gather.next(start + LINGER, Haste::NotYet), Next::Later);
        let sent = batch(gather.next(start + LINGER, Haste::Linger));
        assert_eq!(sent, (0, vec!["a".into(), "bc".into()]));
        assert!(gather.add(2, b"", || start));
        assert_eq!(
            batch(gather.next(start, Haste::Now)),
            (2, vec![Bytes::new()])
        );
    }

    #[test]
    fn a_batch_is_bounded_in_records_and_bytes() {
        let mut gather = Gather::new(LINGER);
        let now = Instant::now();
        let told: u32 = (0..u64::from(GATHERED_RECORDS_MAX))
            .map(|offset| u32::from(gather.add(offset, b"x", || now)))
            .sum();
        assert_eq!(told, 2, "the first, and the one that filled it");
        assert_eq!(
            batch(gather.next(now, Haste::NotYet)).1.len(),
            GATHERED_RECORDS_MAX as usize
        );
        // One that would not fit into a request goes into the next.
        gather.add(0, b"small", || now);
        gather.add(1, &vec![0; BATCH_BYTES_MAX - 8], || now);
        assert_eq!(batch(gather.next(now, Haste::NotYet)).1.len(), 1);
        assert_eq!(batch(gather.next(now, Haste::NotYet)).1.len(), 1);
        assert_eq!(gather.next(now, Haste::NotYet), Next::Nothing);
    }

    #[test]
    fn a_whole_batch_stays_by_itself_and_in_order() {
        let mut gather = Gather::new(LINGER);
        let now = Instant::now();
        gather.add(0, b"before", || now);
        let mut body = Vec::new();
        put_record(&mut body, b"x");
        put_record(&mut body, b"y");
        gather.add_whole(1, 2, body.into());
        gather.add(2, b"after", || now);
        assert_eq!(gather.waiting(), 4);
        let ids: Vec<_> = gather.drain().map(|b| (b.id, b.records, b.whole)).collect();
        assert_eq!(ids, [(0, 1, false), (1, 2, true), (2, 1, false)]);
        assert_eq!(gather.waiting(), 0);
    }
}
