//! What was accepted and did not become durable.

use bytes::Bytes;

use super::Error;
use crate::protocol::{Batch, take_record};

/// What one call has ingested that is not known to be durable.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Unacknowledged {
    /// Its offset.
    pub offset: i64,
    /// Its records as they are sent: one, or those of a batch. None of what the service has
    /// refused once that is more than 64 MiB.
    pub records: Vec<Bytes>,
    /// They came as a batch.
    pub is_batch: bool,
    /// Why the service has refused it; none where that is not what happened to it.
    pub refused: Option<Error>,
}

impl Unacknowledged {
    /// What a batch held at its first offset, without its records.
    pub(super) fn without_records(batch: &Batch) -> Self {
        Self {
            offset: (batch.id + u64::from(batch.first)) as i64,
            records: Vec::new(),
            is_batch: batch.whole,
            refused: None,
        }
    }
}

/// What a batch holds, by offset.
pub(super) fn items(batch: &Batch) -> Vec<Unacknowledged> {
    let mut body = batch.body.clone();
    let records: Vec<_> = std::iter::from_fn(|| take_record(&mut body)).collect();
    let item = |offset: u64, records| Unacknowledged {
        offset: offset as i64,
        records,
        is_batch: batch.whole,
        refused: None,
    };
    if batch.whole {
        return vec![item(batch.id, records)];
    }
    let offsets = batch.id + u64::from(batch.first)..;
    let each = offsets.zip(records);
    each.map(|(offset, record)| item(offset, vec![record]))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::gather::put_record;
    use super::*;

    #[test]
    fn records_are_told_by_offset_and_batches_as_one() {
        let mut body = Vec::new();
        let records = [b"one".as_slice(), b"", &[7; 300]];
        records.iter().for_each(|r| put_record(&mut body, r));
        let mut batch = Batch {
            id: 10,
            first: 5,
            records: 3,
            body: body.into(),
            whole: false,
        };
        let offsets: Vec<_> = items(&batch)
            .iter()
            .map(|i| (i.offset, i.records[0].len(), i.is_batch))
            .collect();
        assert_eq!(offsets, [(15, 3, false), (16, 0, false), (17, 300, false)]);
        (batch.whole, batch.first) = (true, 0);
        let whole = items(&batch);
        assert_eq!((whole.len(), whole[0].offset), (1, 10));
        assert_eq!(whole[0].records, records);
    }
}
