//! A batch: records that travel together.

use bytes::{Buf as _, Bytes};

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
}

impl From<&Batch> for BatchPart {
    fn from(batch: &Batch) -> Self {
        Self {
            id: batch.id,
            first: batch.first,
            records: batch.records,
        }
    }
}

impl Batch {
    /// The two halves; none of a batch of one record.
    pub(super) fn halves(&self) -> Option<(Self, Self)> {
        let records = self.records / 2;
        if records == 0 {
            return None;
        }
        let mut rest = self.body.clone();
        for _ in 0..records {
            skip_record(&mut rest)?;
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
        };
        Some((first, second))
    }
}

/// A record is a tag of one byte, a length and the bytes.
fn skip_record(body: &mut Bytes) -> Option<()> {
    body.try_get_u8().ok()?;
    let mut len = 0u64;
    for shift in (0..64).step_by(7) {
        let byte = body.try_get_u8().ok()?;
        len |= u64::from(byte & 0x7F) << shift;
        if byte < 0x80 {
            break;
        }
    }
    let len = usize::try_from(len).ok().filter(|&len| len <= body.len())?;
    body.advance(len);
    Some(())
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
    }
}
