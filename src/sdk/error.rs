//! What goes wrong with a stream, and whether trying again may help.

use std::fmt;
use std::sync::Arc;

use crate::protocol::{Fault, FaultClass};

/// What kind of thing went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A setting is missing or unusable: an endpoint, a URL, a descriptor, an option.
    Settings,
    /// A record is not what the stream takes. It was not accepted; the stream goes on.
    InvalidRecord,
    /// The service has refused a record, a batch or the stream, and would again.
    Refused,
    /// Credentials or privileges were refused.
    Credentials,
    /// The table does not exist.
    NotFound,
    /// The service cannot be reached, or not any more, and the retries are used up.
    Unavailable,
    /// Something took longer than its time-out. It may still happen.
    Timeout,
    /// There is no room for another record right now.
    Full,
    /// The stream is closed, or not in the state that this needs.
    Closed,
}

/// What went wrong, and what may be done. Clones share one text.
///
/// [`Error::is_retryable`] tells what may pass from what will not.
#[derive(Clone)]
pub struct Error(Arc<Inner>);

struct Inner {
    kind: ErrorKind,
    message: String,
    hint: Option<String>,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self::hinting(kind, message, None)
    }

    pub(super) fn hinting(kind: ErrorKind, message: impl Into<String>, hint: Option<&str>) -> Self {
        Self(Arc::new(Inner {
            kind,
            message: message.into(),
            hint: hint.map(str::to_owned),
        }))
    }

    /// What kind of thing went wrong.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Whether the same may succeed later: the service was away, or slow, or there was no room.
    /// All else is refused again until something is changed.
    pub fn is_retryable(&self) -> bool {
        match self.0.kind {
            ErrorKind::Unavailable | ErrorKind::Timeout | ErrorKind::Full => true,
            ErrorKind::Settings
            | ErrorKind::InvalidRecord
            | ErrorKind::Refused
            | ErrorKind::Credentials
            | ErrorKind::NotFound
            | ErrorKind::Closed => false,
        }
    }

    /// What was seen, without what to do about it.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// What to do next, where something is known.
    pub fn hint(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    pub(super) fn closed() -> Self {
        Self::new(ErrorKind::Closed, "the stream is closed")
    }

    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidRecord, message)
    }

    /// The end of a stream that is given up, or a refusal.
    pub(super) fn of_fault(fault: &Fault) -> Self {
        let (kind, hint) = match fault.class {
            FaultClass::Invalid | FaultClass::Refused => (
                ErrorKind::Refused,
                "compare the record with the table's columns, type by type",
            ),
            FaultClass::Credentials => (
                ErrorKind::Credentials,
                "check the credentials, and that whom they stand for has USE CATALOG, USE SCHEMA, and SELECT and MODIFY on the table; a table in default storage is refused alike",
            ),
            FaultClass::NotFound => (
                ErrorKind::NotFound,
                "check the table's name; it must exist before it is written to",
            ),
            FaultClass::Untrusted => (
                ErrorKind::Settings,
                "trust the server's CA with SdkBuilder::ca_certificate or SSL_CERT_FILE",
            ),
            FaultClass::Misdirected => (ErrorKind::Settings, "check the workspace's URL"),
            FaultClass::Unreadable | FaultClass::Transient | FaultClass::Throttled(_) => {
                (ErrorKind::Unavailable, "check the endpoint and the network")
            }
        };
        // Those of the loader name its flags.
        let own = fault.hint.filter(|hint| !hint.contains("--"));
        Self::hinting(kind, fault.message.as_str(), Some(own.unwrap_or(hint)))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)?;
        match &self.0.hint {
            Some(hint) => write!(f, "; {hint}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("message", &self.0.message)
            .field("hint", &self.0.hint)
            .finish()
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_may_pass_is_retryable() {
        for (kind, retryable) in [
            (ErrorKind::Settings, false),
            (ErrorKind::InvalidRecord, false),
            (ErrorKind::Refused, false),
            (ErrorKind::Credentials, false),
            (ErrorKind::NotFound, false),
            (ErrorKind::Unavailable, true),
            (ErrorKind::Timeout, true),
            (ErrorKind::Full, true),
            (ErrorKind::Closed, false),
        ] {
            assert_eq!(Error::new(kind, "").is_retryable(), retryable, "{kind:?}");
        }
    }

    #[test]
    fn a_fault_is_as_retryable_as_the_error_that_it_becomes() {
        for class in [
            FaultClass::Invalid,
            FaultClass::Refused,
            FaultClass::Credentials,
            FaultClass::NotFound,
            FaultClass::Untrusted,
            FaultClass::Misdirected,
            FaultClass::Unreadable,
            FaultClass::Transient,
            FaultClass::Throttled(None),
        ] {
            let fault = Fault::new(class, "what was seen");
            let error = Error::of_fault(&fault);
            assert_eq!(error.is_retryable(), fault.is_retryable(), "{class:?}");
            assert!(error.to_string().starts_with("what was seen; "));
        }
    }
}
