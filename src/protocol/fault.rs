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
    /// Whoever answers is not the workspace: a login page, a redirect, a path that is missing.
    Misdirected,
    /// The server has answered what cannot be read; again and again, if it refuses a record.
    Unreadable,
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
    /// What may be done, where whoever saw it knows better than the class tells.
    pub hint: Option<&'static str>,
}

impl Fault {
    /// A fault of this class.
    pub fn new(class: FaultClass, message: impl Into<String>) -> Self {
        Self {
            class,
            message: message.into(),
            hint: None,
        }
    }

    /// The same with something to do.
    #[must_use]
    pub fn hint(mut self, hint: &'static str) -> Self {
        self.hint = Some(hint);
        self
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
            | FaultClass::Untrusted
            | FaultClass::Misdirected => false,
            FaultClass::Unreadable | FaultClass::Transient | FaultClass::Throttled(_) => true,
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
            (FaultClass::Misdirected, false),
            (FaultClass::Unreadable, true),
            (FaultClass::Transient, true),
            (FaultClass::Throttled(None), true),
        ] {
            assert_eq!(Fault::new(class, "").is_retryable(), retryable, "{class:?}");
        }
    }
}
