//! Records that the service has refused: bad rows that only it could tell.

use std::sync::Arc;

use super::errors::MaxErrors;
use super::event::{LoadEvent, Observer};
use super::pipeline::too_many;
use super::{Shared, lock};
use crate::error::Failure;
use crate::input::Stop;
use crate::protocol::{Batch, Fault};
use crate::transcode::RowError;

/// Takes them into the rejects, as long as they are tolerated.
pub(super) struct Refusals {
    pub shared: Arc<Shared>,
    pub max_errors: MaxErrors,
    /// Bad rows and rows of earlier runs.
    pub rejected_before: u64,
    pub read_before: u64,
    pub stop: Stop,
    pub observer: Observer,
}

impl Refusals {
    /// A refused record, alone in a part of its batch.
    pub(super) fn take(&self, part: &Batch, fault: &Fault) {
        if let Err(failure) = self.keep(part, fault) {
            // What was accepted is still acknowledged.
            self.stop.set();
            lock(&self.shared.failures).push(failure);
        }
        self.shared.moved.notify_all();
    }

    fn keep(&self, part: &Batch, fault: &Fault) -> Result<(), Failure> {
        let mut rejects = lock(&self.shared.rejects);
        let mut ledger = lock(&self.shared.ledger);
        let Some((origin, at, grown)) = ledger.origin(part.id) else {
            return Ok(());
        };
        let block = Arc::clone(&origin.block);
        let Some(row) = origin.row(part.first as usize) else {
            return Ok(());
        };
        let row = &block.rows[row];
        let byte = block.first_byte + row.start() as u64;
        let error = RowError::refused(block.line(row), byte, &fault.message);
        let rejected = self.rejected_before + ledger.rejected() + 1;
        let read = self.read_before + ledger.read();
        if self.max_errors.exceeded(rejected, read, false) {
            ledger.refuse(part.id, None);
            let has_rejects = rejects.is_some();
            return Err(too_many(&block.source, &error, rejected, has_rejects));
        }
        let kept = match rejects.as_mut() {
            Some(rejects) => {
                rejects.insert(at, grown, &block.source, block.row_with_end(row), &error)
            }
            None => Ok(Default::default()),
        };
        ledger.refuse(part.id, kept.as_ref().ok().copied());
        drop(ledger);
        kept?;
        (self.observer)(LoadEvent::RowRejected {
            source: block.source.name.clone(),
            error,
        });
        Ok(())
    }
}
