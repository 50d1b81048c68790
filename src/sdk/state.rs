//! Where a stream is in its life, as its user sees it.

use std::fmt;

/// Where a stream is in its life.
///
/// ```text
///                    flush, close
/// Uninitialized ──▶ Opened ◀──────▶ Flushing ──▶ Closed
///      │               ▲ │             │
///      │               │ ▼             │
///      ├──────────── Recovering ◀──────┤
///      ▼               │               │
///    Failed ◀──────────┴───────────────┘
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StreamState {
    /// It was never connected yet. Records are accepted.
    Uninitialized,
    /// Connected; records are accepted and sent. A connection that the service replaces as a
    /// routine changes nothing.
    Opened,
    /// The same, while somebody waits in `flush` or `close`.
    Flushing,
    /// The connection was lost, and there will be another. Records are accepted.
    Recovering,
    /// It was closed: all that it has accepted is durable, but for what the service has refused.
    Closed,
    /// It was given up.
    Failed,
}

impl StreamState {
    /// The name as other SDKs spell it, such as `OPENED`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Uninitialized => "UNINITIALIZED",
            Self::Opened => "OPENED",
            Self::Flushing => "FLUSHING",
            Self::Recovering => "RECOVERING",
            Self::Closed => "CLOSED",
            Self::Failed => "FAILED",
        }
    }
}

impl fmt::Display for StreamState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
