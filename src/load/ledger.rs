//! The ledger: what became of every row that was read.

use std::collections::VecDeque;

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

/// Batches in the order in which they are acknowledged, and the counts.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// Handed to the client, not acknowledged: records and record bytes of each batch.
    open: VecDeque<(u64, u64)>,
    /// Records in `open`; `read = acked + rejected + open`, always.
    open_records: u64,
    acked: u64,
    rejected: u64,
    bytes_acked: u64,
}

impl Ledger {
    /// A batch goes to the client.
    pub(super) fn enter(&mut self, batch: &EncodedBatch) {
        self.open
            .push_back((batch.records.into(), batch.record_bytes));
        self.open_records += u64::from(batch.records);
    }

    pub(super) fn reject(&mut self) {
        self.rejected += 1;
    }

    pub(super) fn rejected(&self) -> u64 {
        self.rejected
    }

    /// Rows read so far.
    pub(super) fn read(&self) -> u64 {
        self.acked + self.rejected + self.open_records
    }

    /// The oldest batches are durable.
    pub(super) fn acknowledge(&mut self, batches: usize) {
        debug_assert!(batches <= self.open.len(), "acknowledged <= entered");
        for (records, bytes) in self.open.drain(..batches) {
            self.open_records -= records;
            self.acked += records;
            self.bytes_acked += bytes;
        }
    }

    /// The counts at the end, and the bytes of all records that were sent.
    pub(super) fn settle(&self, in_doubt: u64, resent: u64) -> (Records, u64) {
        let records = Records {
            read: self.read(),
            acked: self.acked,
            rejected: self.rejected,
            unsent: self.open_records - in_doubt,
            in_doubt,
            resent,
        };
        // What is in doubt are the oldest of the open batches.
        let mut doubtful = in_doubt;
        let mut bytes = self.bytes_acked;
        for &(records, record_bytes) in &self.open {
            if doubtful < records {
                break;
            }
            doubtful -= records;
            bytes += record_bytes;
        }
        (records, bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_accounted_for() {
        let mut ledger = Ledger::default();
        for records in [3, 4, 5] {
            ledger.enter(&EncodedBatch {
                records,
                record_bytes: u64::from(records) * 10,
                body: Vec::new().into(),
            });
        }
        ledger.reject();
        ledger.acknowledge(1);
        let (records, bytes) = ledger.settle(4, 2);
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
}
