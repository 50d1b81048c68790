//! What a load reports while it runs.

use std::sync::Arc;
use std::time::Duration;

use crate::protocol::{Counts, Fault};
use crate::transcode::RowError;

/// One thing that has happened.
#[derive(Debug, Clone)]
pub enum LoadEvent {
    /// The load begins.
    Started {
        /// How many inputs.
        inputs: usize,
        /// Their size in bytes, if all of them have one.
        bytes: Option<u64>,
    },
    /// An input is being read.
    InputStarted {
        /// Its position among the inputs, from 0.
        index: usize,
        /// Its name.
        name: String,
    },
    /// A block was read and transcoded.
    Read {
        /// Bytes of all inputs so far.
        bytes: u64,
        /// Rows that became records so far.
        records: u64,
    },
    /// A stream is open.
    Opened {
        /// The id that the service gave it.
        stream_id: String,
        /// What the streams count now.
        counts: Counts,
    },
    /// The service closes a stream as a routine.
    Rotating {
        /// How long it serves on.
        grace: Duration,
    },
    /// Records are on their way.
    Sent {
        /// What the streams count now.
        counts: Counts,
    },
    /// A row did not become a record.
    RowRejected {
        /// The input's name.
        source: String,
        /// What is wrong.
        error: RowError,
    },
    /// Records have become durable.
    Acknowledged {
        /// What the streams count now.
        counts: Counts,
    },
    /// The stream is being recovered.
    Recovering {
        /// What happened.
        fault: Fault,
        /// How long until the next attempt.
        wait: Duration,
    },
    /// A signal ends the load; what is accepted is still acknowledged.
    Interrupted {
        /// How long that may take.
        shutdown_timeout: Duration,
    },
}

/// A reader of events. It is called from several threads and must not wait.
pub type Observer = Arc<dyn Fn(LoadEvent) + Send + Sync>;
