//! How a table's stream is, as callers and monitors are told.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use serde::{Serialize, Serializer};

/// A stream that has had no acknowledgement for so long, with something outstanding, is not well.
pub(super) const SILENT_MAX: Duration = Duration::from_secs(10);

/// How well a table's stream is; the worse, the greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Status {
    Healthy,
    /// The service is away, or silent; what is accepted waits for it.
    Recovering,
    /// The service has refused the stream.
    Failed,
}

/// How a table is.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Health {
    /// Its key.
    pub(super) table: String,
    pub(super) table_name: String,
    pub(super) stream_active: bool,
    pub(super) status: Status,
    /// Records that are accepted and not settled.
    pub(super) unacknowledged: u64,
    /// When something was acknowledged last.
    #[serde(serialize_with = "rfc3339")]
    pub(super) last_ack: Option<SystemTime>,
    /// Records that were acknowledged since the gateway began.
    #[serde(skip)]
    pub(super) acknowledged: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) spool: Option<Spooled>,
    /// Why it is not healthy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) message: Option<String>,
}

/// What lies in a table's spool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) struct Spooled {
    /// Records that are not settled.
    pub(super) records: u64,
    /// What the files take.
    pub(super) bytes: u64,
}

impl Health {
    pub(super) fn is_well(&self) -> bool {
        self.status == Status::Healthy
    }

    pub(super) fn last_ack_seconds(&self) -> Option<f64> {
        let since = self.last_ack?.duration_since(UNIX_EPOCH).ok()?;
        Some(since.as_secs_f64())
    }
}

fn rfc3339<S: Serializer>(time: &Option<SystemTime>, to: S) -> Result<S::Ok, S::Error> {
    let time = time.and_then(|time| Timestamp::try_from(time).ok());
    let time = time.map(|time| format!("{time:.3}"));
    time.serialize(to)
}
