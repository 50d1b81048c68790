//! A batch: records that travel together.

use bytes::{Buf as _, Bytes};
use prost_reflect::prost::encoding::decode_varint;

/// Records that travel together: one request, one offset, one acknowledgement. Cloning and
/// halving share the body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// Tells it from others; the halves of a batch keep it.
    pub id: u64,
    /// Which of the batch's records comes first in this part of it: 0 for a whole one.
    pub first: u32,
    /// How many records; at least one.
    pub records: u32,
    /// The encoded batch message: field 1, once for each record.
    pub body: Bytes,
    /// Its records go in together or not at all: it is never halved.
    pub whole: bool,
}

/// What became of a batch, or of a part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchPart {
    /// The batch's id.
    pub id: u64,
    /// Its first record.
    pub first: u32,
    /// How many records.
    pub records: u32,
    /// The bytes of its body.
    pub bytes: usize,
    /// The batch is never halved.
    pub whole: bool,
}

impl From<&Batch> for BatchPart {
    fn from(batch: &Batch) -> Self {
        Self {
            id: batch.id,
            first: batch.first,
            records: batch.records,
            bytes: batch.body.len(),
            whole: batch.whole,
        }
    }
}

impl Batch {
    /// The two halves; none of a batch of one record, or one that goes in as a whole.
    pub(super) fn halves(&self) -> Option<(Self, Self)> {
        let records = self.records / 2;
        if records == 0 || self.whole {
            return None;
        }
        let mut rest = self.body.clone();
        for _ in 0..records {
            take_record(&mut rest)?;
        }
        let first = Self {
            records,
            body: self.body.slice(..self.body.len() - rest.len()),
            ..*self
        };
        let second = Self {
            id: self.id,
            first: self.first + records,
            records: self.records - records,
            body: rest,
            whole: false,
        };
        Some((first, second))
    }
}

/// Takes the first record off the body of a batch: a tag of one byte, a length and the bytes.
pub(crate) fn take_record(body: &mut Bytes) -> Option<Bytes> {
    body.try_get_u8().ok()?;
    let len = usize::try_from(decode_varint(body).ok()?).ok()?;
    (len <= body.len()).then(|| body.split_to(len))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::ProtoEncodedRecordBatch;
    use prost_reflect::prost::Message as _;

    #[test]
    fn halves_hold_all_records_in_order() {
        let records: Vec<Bytes> = [0, 5, 127, 128, 20_000]
            .map(|len| vec![7; len].into())
            .into();
        let body = ProtoEncodedRecordBatch {
            records: records.clone(),
        };
        let whole = Batch {
            id: 3,
            first: 10,
            records: 5,
            body: body.encode_to_vec().into(),
            whole: false,
        };
        let (first, second) = whole.halves().unwrap();
        assert_eq!((first.first, first.records), (10, 2));
        assert_eq!((second.first, second.records), (12, 3));
        let read = |batch: &Batch| {
            ProtoEncodedRecordBatch::decode(batch.body.clone())
                .unwrap()
                .records
        };
        assert_eq!([read(&first), read(&second)].concat(), records);
        let (one, _) = first.halves().unwrap();
        assert_eq!(one.halves(), None);
        let together = Batch {
            whole: true,
            ..whole
        };
        assert_eq!(together.halves(), None);
    }
}
