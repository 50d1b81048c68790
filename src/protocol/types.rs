//! What goes into a stream's state machine and what comes out of it.

use std::time::Duration;

use super::batch::{Batch, BatchPart};
use super::fault::Fault;

/// How long to go on trying without an acknowledgement, unless something else is said.
pub(super) const RECOVERY_DEADLINE: Duration = Duration::from_secs(600);

/// A point in time, as the time since the load began.
pub type Now = Duration;

/// How a stream is run. The names and defaults are those of the official SDK's options
/// where it has them.
#[derive(Debug, Clone)]
pub struct Config {
    /// The most unacknowledged records.
    pub max_inflight_records: usize,
    /// The most unacknowledged bytes.
    pub max_inflight_bytes: usize,
    /// Reconnect and send again after a fault.
    pub recovery: bool,
    /// How long one attempt to connect may take, its token included.
    pub recovery_timeout: Duration,
    /// The wait before the first retry; it doubles with each failure in a row.
    pub recovery_backoff: Duration,
    /// Retries in a row.
    pub recovery_retries: u32,
    /// After the first acknowledgement: how long to go on trying without a new one, however
    /// many retries that takes; none: the retries count then as well.
    pub recovery_deadline: Option<Duration>,
    /// The longest wait for what is outstanding after a close signal; none: as long as the
    /// signal says.
    pub drain_max: Option<Duration>,
    /// How long something may be outstanding without an acknowledgement.
    pub ack_timeout: Duration,
    /// How long finishing may take once all input is accepted.
    pub flush_timeout: Duration,
    /// The most streams that are created to find what the service refuses.
    pub refusals_max: u32,
    /// So many refused records with none accepted between are the fault of the schema.
    pub refused_in_a_row_max: usize,
    /// Seed of the jitter.
    pub seed: u64,
}

impl Config {
    /// The configurations of so many streams that share the bounds of this one.
    pub fn shares(&self, streams: usize) -> Vec<Self> {
        let streams = streams.max(1);
        let share = |index: usize| Self {
            max_inflight_records: (self.max_inflight_records / streams).max(1),
            max_inflight_bytes: (self.max_inflight_bytes / streams).max(1),
            seed: self.seed.wrapping_add(index as u64),
            ..self.clone()
        };
        (0..streams).map(share).collect()
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_inflight_records: 50_000,
            max_inflight_bytes: 64 << 20,
            recovery: true,
            recovery_timeout: Duration::from_secs(15),
            recovery_backoff: Duration::from_secs(2),
            recovery_retries: 3,
            recovery_deadline: Some(RECOVERY_DEADLINE),
            drain_max: None,
            ack_timeout: Duration::from_secs(60),
            flush_timeout: Duration::from_secs(300),
            refusals_max: 64,
            refused_in_a_row_max: 20,
            seed: 0,
        }
    }
}

/// Where a stream is in its life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// The driver is to open a connection, until this time.
    Connecting {
        /// When the attempt is given up.
        deadline: Now,
    },
    /// Records flow.
    Open,
    /// The server will end the connection: nothing is sent, acknowledgements are taken.
    Draining {
        /// When the connection is half-closed, or given up if it is.
        deadline: Now,
        /// Nothing can be sent any more; late acknowledgements are still taken.
        half_closed: bool,
    },
    /// Everything is acknowledged; the server is to end the stream.
    Closing {
        /// When that is no longer waited for.
        deadline: Now,
    },
    /// Between two attempts.
    Waiting {
        /// When the next one begins.
        until: Now,
    },
    /// Everything is acknowledged and the stream has ended.
    Closed,
    /// Given up, for this reason.
    Failed(Fault),
}

/// What the driver is to do, or to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Open a connection and create the stream on it.
    Connect,
    /// Send this batch under this offset on the current connection.
    Send {
        /// Counts requests on this connection, from 0.
        offset: i64,
        /// What to send.
        batch: Batch,
    },
    /// End the sending side of the connection.
    HalfClose,
    /// Drop the connection, or the attempt to make one.
    Disconnect,
    /// These batches, the oldest, are durable.
    Acknowledged {
        /// Which.
        parts: Vec<BatchPart>,
    },
    /// The service has refused this batch, which was sent alone.
    Refused {
        /// What: one record, or a whole batch.
        batch: Batch,
        /// Why.
        fault: Fault,
    },
    /// A fault is being recovered from.
    Recovering {
        /// What happened.
        fault: Fault,
        /// How long until the next attempt.
        wait: Duration,
    },
}

/// What a stream has counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Records acknowledged. `acknowledged <= sent <= accepted`.
    pub acknowledged: u64,
    /// Records accepted into the window.
    pub accepted: u64,
    /// Records sent more than once, counted each further time.
    pub resent: u64,
    /// Connections opened after the first for any other reason than rotation.
    pub reconnects: u64,
    /// Close signals obeyed.
    pub rotations: u64,
    /// Time spent waiting because the service asked for it.
    pub throttled: Duration,
}

impl Counts {
    /// The counts of two streams together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            acknowledged: self.acknowledged + other.acknowledged,
            accepted: self.accepted + other.accepted,
            resent: self.resent + other.resent,
            reconnects: self.reconnects + other.reconnects,
            rotations: self.rotations + other.rotations,
            throttled: self.throttled + other.throttled,
        }
    }
}
