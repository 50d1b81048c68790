//! What the service has refused of a stream.

use std::collections::BTreeMap;
use std::ops::Range;

use bytes::Bytes;

use super::unacknowledged::{Unacknowledged, items};
use super::{Error, ErrorKind};
use crate::protocol::Batch;

/// Where somebody else keeps what is refused, the last so many are known by their offsets: more
/// than may be outstanding.
#[cfg(feature = "gateway")]
const KNOWN_MAX: usize = 100_000;

/// Refused records are kept up to so many bytes.
const REFUSED_BYTES_MAX: usize = 64 << 20;

/// What was refused, by offset.
#[derive(Default)]
pub(super) struct Refusals {
    by_offset: BTreeMap<u64, (Unacknowledged, Error)>,
    /// The bytes of records that are kept; at most [`REFUSED_BYTES_MAX`].
    bytes: usize,
}

impl Refusals {
    /// Notes what was refused, which is one record or a whole batch.
    pub(super) fn add(&mut self, batch: &Batch, error: Error) {
        let is_kept = self.bytes + batch.body.len() <= REFUSED_BYTES_MAX;
        let body = match is_kept {
            // By itself: what it came with need not be kept.
            true => Bytes::copy_from_slice(&batch.body),
            false => Bytes::new(),
        };
        self.bytes += body.len();
        let kept = Batch {
            body,
            ..batch.clone()
        };
        let item = items(&kept).pop();
        let mut item = item.unwrap_or_else(|| Unacknowledged::without_records(batch));
        item.refused = Some(error.clone());
        self.by_offset.insert(item.offset as u64, (item, error));
    }

    /// Notes what was refused, and somebody else keeps.
    #[cfg(feature = "gateway")]
    pub(super) fn note(&mut self, batch: &Batch, error: Error) {
        let mut item = Unacknowledged::without_records(batch);
        item.refused = Some(error.clone());
        self.by_offset.insert(item.offset as u64, (item, error));
        if self.by_offset.len() > KNOWN_MAX {
            self.by_offset.pop_first();
        }
    }

    pub(super) fn get(&self, offset: u64) -> Option<&Error> {
        self.by_offset.get(&offset).map(|(_, error)| error)
    }

    /// What was refused before this offset, in order.
    pub(super) fn before(&self, offset: u64) -> impl Iterator<Item = Unacknowledged> {
        self.by_offset
            .range(..offset)
            .map(|(_, (item, _))| item.clone())
    }

    /// What was refused of these offsets, in order.
    #[cfg(feature = "gateway")]
    pub(super) fn of(&self, offsets: Range<u64>) -> Vec<(u64, Error)> {
        let refused = self.by_offset.range(offsets);
        refused
            .map(|(offset, (_, error))| (*offset, error.clone()))
            .collect()
    }

    /// The error that refusals of these offsets make.
    pub(super) fn check(&self, offsets: Range<u64>) -> Result<(), Error> {
        let mut refused = self.by_offset.range(offsets);
        let Some((offset, (_, first))) = refused.next() else {
            return Ok(());
        };
        let more = match refused.count() {
            0 => String::new(),
            more => format!("; {more} more were refused"),
        };
        let message = format!(
            "the service refused what has offset {offset}: {}{more}",
            first.message()
        );
        Err(Error::hinting(ErrorKind::Refused, message, first.hint()))
    }
}

#[cfg(test)]
mod tests {
    use super::super::gather::put_record;
    use super::*;

    #[test]
    fn records_are_kept_up_to_a_bound_and_offsets_beyond_it() {
        let mut refusals = Refusals::default();
        let error = Error::new(ErrorKind::Refused, "no");
        let count = 20;
        for id in 0..count {
            let mut body = Vec::new();
            put_record(&mut body, &vec![0; 5 << 20]);
            let batch = Batch {
                id,
                first: 0,
                records: 1,
                body: body.into(),
                whole: false,
            };
            refusals.add(&batch, error.clone());
        }
        let kept = refusals.before(count).filter(|i| !i.records.is_empty());
        assert_eq!(kept.count(), 12);
        assert_eq!(refusals.before(count).count(), 20);
        assert!(refusals.get(19).is_some() && refusals.get(20).is_none());
        let told = refusals.check(0..count).unwrap_err();
        assert!(
            told.message()
                .ends_with("offset 0: no; 19 more were refused")
        );
        assert!(refusals.check(20..30).is_ok());
    }
}
