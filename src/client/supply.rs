//! Where the streams of a load get their batches: one queue, and what a failed stream has
//! left behind.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use tokio::sync::{Notify, mpsc};

use crate::protocol::{Batch, BatchPart};

/// Where a stream gets its batches.
pub(crate) trait Source {
    /// The next batch; none once all have been taken. Nothing is lost if it is not waited for
    /// to the end.
    fn take(&self) -> impl Future<Output = Option<Batch>> + Send;
}

/// One queue for several streams: each batch goes to whichever asks first.
pub(super) struct Supply {
    queue: tokio::sync::Mutex<mpsc::Receiver<Batch>>,
    /// Batches of streams that have failed, and whether they were sent; they go out before
    /// fresh ones.
    left: Mutex<VecDeque<(Batch, bool)>>,
    more_left: Notify,
    closed: AtomicBool,
}

impl Supply {
    pub(super) fn new(queue: mpsc::Receiver<Batch>) -> Self {
        Self {
            queue: tokio::sync::Mutex::new(queue),
            left: Mutex::new(VecDeque::new()),
            more_left: Notify::new(),
            closed: AtomicBool::new(false),
        }
    }

    fn take_left(&self) -> Option<Batch> {
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        left.pop_front().map(|(batch, _)| batch)
    }

    /// A stream has failed with these batches in hand: others take them.
    pub(super) fn give_back(&self, batches: impl IntoIterator<Item = (Batch, bool)>) {
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        left.extend(batches);
        drop(left);
        self.more_left.notify_waiters();
    }

    /// The load has failed for good: nothing fresh goes out any more.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
        self.more_left.notify_waiters();
    }

    /// What was given back and nobody has taken, and whether it was sent.
    pub(super) fn untaken(&self) -> Vec<(BatchPart, bool)> {
        let left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        let part = |(batch, sent): &(Batch, bool)| (BatchPart::from(batch), *sent);
        left.iter().map(part).collect()
    }
}

impl Source for Supply {
    async fn take(&self) -> Option<Batch> {
        loop {
            if let Some(batch) = self.take_left() {
                return Some(batch);
            }
            if self.closed.load(Ordering::Relaxed) {
                return None;
            }
            let fresh = async { self.queue.lock().await.recv().await };
            tokio::select! {
                biased;
                () = self.more_left.notified() => {}
                batch = fresh => return batch.or_else(|| self.take_left()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(id: u64) -> Batch {
        Batch {
            id,
            first: 0,
            records: 1,
            body: Default::default(),
            whole: false,
        }
    }

    #[tokio::test]
    async fn every_batch_is_taken_once_and_what_is_given_back_again() {
        let (sender, queue) = mpsc::channel(2);
        let supply = Supply::new(queue);
        sender.send(batch(1)).await.unwrap();
        assert_eq!(supply.take().await, Some(batch(1)));
        // Somebody who waits is woken by what comes back.
        let (taken, ()) = tokio::join!(supply.take(), async {
            tokio::task::yield_now().await;
            supply.give_back([(batch(1), true)]);
        });
        assert_eq!(taken, Some(batch(1)));
        sender.send(batch(2)).await.unwrap();
        drop(sender);
        supply.give_back([(batch(3), false)]);
        assert_eq!(supply.take().await, Some(batch(3)));
        assert_eq!(supply.take().await, Some(batch(2)));
        assert_eq!(supply.take().await, None);
        assert!(supply.untaken().is_empty());
    }
}
