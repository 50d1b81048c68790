//! How much may be in flight, and who waits for room.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::{Notify, Semaphore, SemaphorePermit, TryAcquireError};

use super::options::StreamOptions;
use crate::transcode::BATCH_BYTES_MAX;

/// Room for records and their bytes. What is accepted keeps its share until it is settled.
pub(super) struct Bounds {
    records: Semaphore,
    bytes: Semaphore,
    records_max: u32,
    /// Records come faster than the connection takes them.
    is_behind: AtomicBool,
    /// Wakes those who wait for that to end.
    caught_up: Notify,
}

/// Room for one call.
pub(super) struct Room<'b> {
    records: SemaphorePermit<'b>,
    bytes: SemaphorePermit<'b>,
}

impl Room<'_> {
    /// Keeps it until [`Bounds::give_back`].
    pub(super) fn keep(self) {
        self.records.forget();
        self.bytes.forget();
    }
}

/// Why there is no room.
pub(super) enum NoRoom {
    Full,
    /// Nothing is accepted any more.
    Closed,
}

impl Bounds {
    pub(super) fn new(options: &StreamOptions) -> Self {
        let records_max = options.max_inflight_records.clamp(1, u32::MAX as usize);
        // One request must fit; its record's framing is a few bytes more.
        let bytes_max = options.max_inflight_bytes.max(BATCH_BYTES_MAX + 16);
        Self {
            records: Semaphore::new(records_max.min(Semaphore::MAX_PERMITS)),
            bytes: Semaphore::new(bytes_max.min(Semaphore::MAX_PERMITS)),
            records_max: u32::try_from(records_max).unwrap_or(u32::MAX),
            is_behind: AtomicBool::new(false),
            caught_up: Notify::new(),
        }
    }

    /// Room for so many records of so many bytes, if there is. More records than there may be
    /// have room once they are alone.
    pub(super) fn try_room(&self, records: u32, bytes: usize) -> Result<Room<'_>, NoRoom> {
        let refused = |e| match e {
            TryAcquireError::NoPermits => NoRoom::Full,
            TryAcquireError::Closed => NoRoom::Closed,
        };
        let records = records.min(self.records_max);
        Ok(Room {
            records: self.records.try_acquire_many(records).map_err(refused)?,
            bytes: self.bytes.try_acquire_many(len(bytes)).map_err(refused)?,
        })
    }

    /// The same; waits for it. None once nothing is accepted any more.
    pub(super) async fn room(&self, records: u32, bytes: usize) -> Option<Room<'_>> {
        let records = records.min(self.records_max);
        Some(Room {
            records: self.records.acquire_many(records).await.ok()?,
            bytes: self.bytes.acquire_many(len(bytes)).await.ok()?,
        })
    }

    /// How many records a part of so many has kept room for.
    pub(super) fn share(&self, records: u32) -> usize {
        records.min(self.records_max) as usize
    }

    /// What kept so much is settled.
    pub(super) fn give_back(&self, records: usize, bytes: usize) {
        self.records.add_permits(records);
        self.bytes.add_permits(bytes);
    }

    /// There is no room any more; whoever waits for it is told.
    pub(super) fn close(&self) {
        self.records.close();
        self.bytes.close();
    }

    pub(super) fn is_behind(&self) -> bool {
        self.is_behind.load(Ordering::Acquire)
    }

    pub(super) fn set_behind(&self, is: bool) {
        if self.is_behind.swap(is, Ordering::AcqRel) != is {
            self.caught_up.notify_waiters();
        }
    }

    /// Waits until the connection has caught up.
    pub(super) async fn caught_up(&self) {
        loop {
            let caught_up = self.caught_up.notified();
            if !self.is_behind() {
                return;
            }
            caught_up.await;
        }
    }

    /// All the room that there is now, in records and bytes.
    #[cfg(test)]
    pub(super) fn left(&self) -> (usize, usize) {
        let left = Semaphore::available_permits;
        (left(&self.records), left(&self.bytes))
    }
}

/// As permits: what is accepted at once is no longer than a request.
fn len(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}
