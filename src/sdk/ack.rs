//! What becomes of one record or batch.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use super::shared::Shared;
use super::{Error, ErrorKind};

/// What becomes of one record or batch: a future that is done once it is durable, or has failed.
///
/// It may be waited for, cloned, asked or dropped as one likes: the record is sent all the same.
/// Its error is the service's refusal of what was ingested, or the failure of the stream; then
/// what was ingested is among [`Stream::unacknowledged`](super::Stream::unacknowledged).
pub struct Ack {
    shared: Arc<Shared>,
    offset: u64,
    /// Tells this one from others that wait for the same, once it has waited.
    waiter: Option<u64>,
}

impl Ack {
    pub(super) fn new(shared: &Arc<Shared>, offset: u64) -> Self {
        Self {
            shared: Arc::clone(shared),
            offset,
            waiter: None,
        }
    }

    /// The offset: how many records and batches were ingested into the stream before.
    pub fn offset(&self) -> i64 {
        self.offset as i64
    }

    /// Whether it is known what became of it: it is durable, or has failed.
    pub fn is_done(&self) -> bool {
        self.shared.known(self.offset).is_some()
    }

    /// Waits until it is durable; not longer than this, if it is given.
    ///
    /// # Errors
    /// It was refused, or the stream has failed; [`ErrorKind::Timeout`] if it took too long, and
    /// then it may be waited for again.
    pub async fn wait_for_ack(&mut self, timeout: Option<Duration>) -> Result<(), Error> {
        let Some(timeout) = timeout else {
            return self.await;
        };
        match tokio::time::timeout(timeout, &mut *self).await {
            Ok(known) => known,
            Err(_) => Err(late("no acknowledgement", timeout)),
        }
    }

    /// Calls this once it is known what became of it, on the stream's runtime: at once if it is
    /// known already.
    pub fn add_done_callback(&self, callback: impl FnOnce(Result<(), Error>) + Send + 'static) {
        let ack = self.clone();
        let runtime = self.shared.runtime();
        runtime.spawn(async move { callback(ack.await) });
    }
}

pub(super) fn late(what: &str, after: Duration) -> Error {
    let seconds = after.as_secs_f64();
    Error::new(ErrorKind::Timeout, format!("{what} within {seconds} s"))
}

impl Future for Ack {
    type Output = Result<(), Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self {
            shared,
            offset,
            waiter,
            ..
        } = &mut *self;
        let known = ready!(shared.poll_settled(cx, *offset, waiter));
        // It was taken out to be woken, or never put in.
        if let Some(waiter) = waiter.take() {
            shared.forget(*offset, waiter);
        }
        Poll::Ready(known)
    }
}

impl Clone for Ack {
    fn clone(&self) -> Self {
        Self::new(&self.shared, self.offset)
    }
}

impl Drop for Ack {
    fn drop(&mut self) {
        if let Some(waiter) = self.waiter {
            self.shared.forget(self.offset, waiter);
        }
    }
}

impl fmt::Debug for Ack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ack")
            .field("offset", &self.offset)
            .field("is_done", &self.is_done())
            .finish()
    }
}
