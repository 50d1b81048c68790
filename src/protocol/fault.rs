//! What can go wrong with a stream, and what may be concluded from it.

use std::time::Duration;

/// What a fault means for the load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultClass {
    /// What was sent is not valid (InvalidArgument): the record's descriptor where a stream is
    /// created, one of the records under way on an open one.
    Invalid,
    /// The same request will be refused again (OutOfRange, Unimplemented, too large).
    Refused,
    /// Credentials or permissions (Unauthenticated, PermissionDenied).
    Credentials,
    /// The table is not there (NotFound).
    NotFound,
    /// The server's certificate: nothing was sent to whoever that is.
    Untrusted,
    /// The connection or the service, for now; everything that is not refused.
    Transient,
    /// Flow control (ResourceExhausted, HTTP 429): slow down, after this time if it is given.
    Throttled(Option<Duration>),
}

/// A failed attempt to open a stream, or the end of an open one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Fault {
    /// What may be concluded.
    pub class: FaultClass,
    /// What was seen.
    pub message: String,
}

impl Fault {
    /// A fault of this class.
    pub fn new(class: FaultClass, message: impl Into<String>) -> Self {
        Self {
            class,
            message: message.into(),
        }
    }

    /// A fault that may pass.
    pub fn transient(message: impl Into<String>) -> Self {
        Self::new(FaultClass::Transient, message)
    }

    /// Whether trying again may help.
    pub fn is_retryable(&self) -> bool {
        match self.class {
            FaultClass::Invalid
            | FaultClass::Refused
            | FaultClass::Credentials
            | FaultClass::NotFound
            | FaultClass::Untrusted => false,
            FaultClass::Transient | FaultClass::Throttled(_) => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_may_pass_is_tried_again() {
        for (class, retryable) in [
            (FaultClass::Invalid, false),
            (FaultClass::Refused, false),
            (FaultClass::Credentials, false),
            (FaultClass::NotFound, false),
            (FaultClass::Untrusted, false),
            (FaultClass::Transient, true),
            (FaultClass::Throttled(None), true),
        ] {
            assert_eq!(Fault::new(class, "").is_retryable(), retryable, "{class:?}");
        }
    }
}
