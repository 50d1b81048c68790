//! Records gathered into the body of one request.
//!
//! A batch is, on the wire, a message whose field 1 repeats for each record, for protobuf
//! and JSON records alike. Records are written in that form from the start, so that sending
//! (and sending again) needs nothing but a header in front.

use bytes::Bytes;

use super::wire::{LENGTH, close_length, open_length, put_tag};
use crate::buffers::{Pool, Recycled};

/// The most bytes of one record: what the official client takes, below the service's 10 MiB
/// (PROTOCOL: limits).
pub const ROW_BYTES_MAX: usize = 10_420_224;
/// The most bytes of one batch's records with their framing; the same limit.
pub const BATCH_BYTES_MAX: usize = ROW_BYTES_MAX;

/// A finished batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncodedBatch {
    /// How many records; at least one.
    pub records: u32,
    /// Bytes of the records alone.
    pub record_bytes: u64,
    /// The encoded batch message: field 1, once for each record.
    pub body: Bytes,
}

/// Collects records into batches.
#[derive(Debug)]
pub struct BatchBuilder {
    pool: Pool,
    body: Recycled,
    records: u32,
    record_bytes: u64,
    /// Batches that were full before the one being built.
    full: Vec<EncodedBatch>,
}

impl Default for BatchBuilder {
    fn default() -> Self {
        Self::new()
    }
}

impl BatchBuilder {
    /// An empty builder.
    pub fn new() -> Self {
        let pool = Pool::default();
        Self {
            body: pool.take(),
            pool,
            records: 0,
            record_bytes: 0,
            full: Vec::new(),
        }
    }

    /// Ends a record that was written as it stands in the batch, from `start` on and of so
    /// many bytes.
    #[inline]
    pub(super) fn add_record(&mut self, start: usize, bytes: usize) {
        if self.body.len() > BATCH_BYTES_MAX && self.records > 0 {
            // This record opens the next batch.
            let record = self.body.split_off(start);
            self.seal();
            self.body.extend(record);
        }
        self.records += 1;
        self.record_bytes += bytes as u64;
    }

    /// Begins a record and returns where; its bytes go into [`Self::buffer`].
    pub(super) fn begin_record(&mut self) -> usize {
        let start = self.body.len();
        put_tag(&mut self.body, 1, LENGTH);
        open_length(&mut self.body);
        start
    }

    pub(super) fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.body
    }

    /// Bytes of the record that was begun at `start`, so far.
    pub(super) fn record_bytes(&self, start: usize) -> usize {
        self.body.len() - start - 2
    }

    pub(super) fn end_record(&mut self, start: usize) {
        let bytes = self.record_bytes(start);
        close_length(&mut self.body, start + 2);
        self.add_record(start, bytes);
    }

    pub(super) fn drop_record(&mut self, start: usize) {
        self.body.truncate(start);
    }

    fn seal(&mut self) {
        if self.records == 0 {
            return;
        }
        let body = self.pool.hand_over(&mut self.body);
        self.full.push(EncodedBatch {
            records: std::mem::take(&mut self.records),
            record_bytes: std::mem::take(&mut self.record_bytes),
            body,
        });
    }

    /// Records that were not taken yet.
    pub fn records(&self) -> u64 {
        let full: u64 = self.full.iter().map(|b| u64::from(b.records)).sum();
        full + u64::from(self.records)
    }

    /// Takes the batches built so far, in order.
    pub fn take(&mut self) -> Vec<EncodedBatch> {
        self.seal();
        std::mem::take(&mut self.full)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_the_message_that_the_service_reads() {
        use prost_reflect::prost::Message as _;
        let mut builder = BatchBuilder::new();
        let records: [Vec<u8>; 3] = [vec![1; 5], vec![], vec![2; 300]];
        for record in &records {
            let at = builder.begin_record();
            builder.buffer().extend(record);
            builder.end_record(at);
        }
        let at = builder.begin_record();
        builder.buffer().extend([9, 9]);
        builder.drop_record(at);
        let batches = builder.take();
        assert_eq!(batches.len(), 1);
        assert_eq!((batches[0].records, batches[0].record_bytes), (3, 305));
        let read = crate::wire::ProtoEncodedRecordBatch::decode(batches[0].body.clone()).unwrap();
        assert_eq!(read.records, records);
    }

    #[test]
    fn a_batch_never_exceeds_the_limit() {
        let mut builder = BatchBuilder::new();
        for _ in 0..5 {
            let at = builder.begin_record();
            builder.buffer().extend(vec![0; 3_000_000]);
            builder.end_record(at);
        }
        let batches = builder.take();
        assert_eq!(
            batches.iter().map(|b| b.records).collect::<Vec<_>>(),
            [3, 2]
        );
        assert!(batches.iter().all(|b| b.body.len() <= BATCH_BYTES_MAX));
        assert!(builder.take().is_empty());
    }
}
