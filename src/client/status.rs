//! What a gRPC status or an HTTP answer means for the load (PROTOCOL: retry classes).

use std::error::Error;
use std::time::Duration;

use serde_json::Value;
use tonic::{Code, Status};

use crate::protocol::{Fault, FaultClass};

/// What is added to the words of libraries where only one side speaks TLS.
const NO_TLS: &str = " (the server speaks no TLS on this port: is it http://?)";
const PERHAPS_TLS: &str = " (if the server speaks TLS on this port, name it as https://)";

/// What HTTP/2 says on this side of an answer whose headers are over the limit.
const HEADERS_TOO_LONG: [&str; 2] = ["header_list_way_too_large", "too_many_continuations"];

/// The fault that a status stands for.
pub(super) fn fault(status: &Status) -> Fault {
    let message = status.message();
    // What the server itself says has no source: the code is the transport's.
    if let Some(source) = status.source() {
        return transport_fault(message, &chain(source));
    }
    let class = match status.code() {
        Code::InvalidArgument => FaultClass::Invalid,
        Code::OutOfRange | Code::Unimplemented => FaultClass::Refused,
        Code::NotFound => FaultClass::NotFound,
        Code::PermissionDenied | Code::Unauthenticated => FaultClass::Credentials,
        // A message over the size limit stays over it.
        Code::ResourceExhausted if speaks_of_message_size(message) => FaultClass::Refused,
        Code::ResourceExhausted => FaultClass::Throttled(retry_after(status)),
        Code::Ok
        | Code::Cancelled
        | Code::Unknown
        | Code::DeadlineExceeded
        | Code::AlreadyExists
        | Code::FailedPrecondition
        | Code::Aborted
        | Code::Internal
        | Code::Unavailable
        | Code::DataLoss => FaultClass::Transient,
    };
    let text = match message {
        "" => "no reason given, or one too long for HTTP/2",
        message => message,
    };
    Fault::new(class, format!("{:?}: {text}", status.code()))
}

fn transport_fault(message: &str, source: &str) -> Fault {
    let text = match message {
        "" => source,
        message => message,
    };
    if HEADERS_TOO_LONG.iter().any(|words| source.contains(words)) {
        let message = format!("the server's answer is too long for HTTP/2 headers ({text})");
        return Fault::new(FaultClass::Unreadable, message);
    }
    Fault::transient(format!("the connection was cut ({text})"))
}

fn speaks_of_message_size(text: &str) -> bool {
    let text = text.to_lowercase();
    text.contains("message") && (text.contains("size") || text.contains("large"))
}

fn retry_after(status: &Status) -> Option<Duration> {
    let value = status.metadata().get("retry-after")?.to_str().ok()?;
    seconds(value)
}

/// A Retry-After in seconds; at most an hour, so that a slip of the server ends the load
/// neither late nor never.
pub(super) fn seconds(value: &str) -> Option<Duration> {
    let seconds: u64 = value.trim().parse().ok()?;
    Some(Duration::from_secs(seconds.min(3_600)))
}

/// The fault of a connection or a request that got no answer.
pub(super) fn unanswered(what: &str, error: &dyn Error) -> Fault {
    let text = format!("{what}: {}", chain(error));
    // The words of rustls and hyper: their own types are lost on the way.
    if text.contains("invalid peer certificate") {
        return Fault::new(FaultClass::Untrusted, text);
    }
    let advice = match () {
        () if text.contains("InvalidContentType") => NO_TLS,
        () if text.contains("invalid HTTP version") => PERHAPS_TLS,
        () => "",
    };
    Fault::transient(format!("{text}{advice}"))
}

/// The end of a stream before it was created, over plaintext.
pub(super) fn plaintext_fault(status: &Status) -> Fault {
    let mut fault = fault(status);
    // What the server itself says has no source.
    if status.source().is_some() {
        fault.message.push_str(PERHAPS_TLS);
    }
    fault
}

/// What is said of an answer's body at most, in characters.
const SHOWN_MAX: usize = 300;

/// What the body of an HTTP answer says: the first of these keys, or else all of it. `hide`
/// takes out of it what must not be shown, before the text is cut.
pub(super) fn said(body: &[u8], keys: &[&str], hide: impl Fn(&str) -> String) -> String {
    let object = serde_json::from_slice::<Value>(body).ok();
    let text = object
        .as_ref()
        .and_then(|o| keys.iter().find_map(|k| o[*k].as_str()));
    let text = text.map_or_else(|| String::from_utf8_lossy(body), Into::into);
    let shown: String = text.chars().filter(|c| !c.is_control()).collect();
    hide(&shown).chars().take(SHOWN_MAX).collect()
}

/// An error and its causes in one line.
pub(super) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_transports_own_codes_say_nothing_of_the_server() {
        #[derive(Debug, thiserror::Error)]
        #[error("connection error detected: {0}")]
        struct Broken(&'static str);
        let of = |code, words| {
            let mut status = Status::new(code, "h2 protocol error");
            status.set_source(std::sync::Arc::new(Broken(words)));
            fault(&status)
        };
        for code in [
            Code::ResourceExhausted,
            Code::PermissionDenied,
            Code::Unknown,
        ] {
            assert_eq!(of(code, "calm").class, FaultClass::Transient, "{code:?}");
        }
        let told = of(Code::ResourceExhausted, "b\"header_list_way_too_large\"");
        assert_eq!(told.class, FaultClass::Unreadable);
        assert!(told.message.contains("too long for HTTP/2"), "{told}");
        let unsaid = fault(&Status::invalid_argument(""));
        assert_eq!(unsaid.class, FaultClass::Invalid);
        assert!(unsaid.message.contains("one too long for HTTP/2"));
    }

    #[test]
    fn every_code_has_its_class() {
        use FaultClass::{Credentials, Invalid, NotFound, Refused, Throttled, Transient};
        for (code, class) in [
            (Code::Ok, Transient),
            (Code::Cancelled, Transient),
            (Code::Unknown, Transient),
            (Code::InvalidArgument, Invalid),
            (Code::DeadlineExceeded, Transient),
            (Code::NotFound, NotFound),
            (Code::AlreadyExists, Transient),
            (Code::PermissionDenied, Credentials),
            (Code::ResourceExhausted, Throttled(None)),
            (Code::FailedPrecondition, Transient),
            (Code::Aborted, Transient),
            (Code::OutOfRange, Refused),
            (Code::Unimplemented, Refused),
            (Code::Internal, Transient),
            (Code::Unavailable, Transient),
            (Code::DataLoss, Transient),
            (Code::Unauthenticated, Credentials),
        ] {
            assert_eq!(fault(&Status::new(code, "x")).class, class, "{code:?}");
        }
        let size = Status::resource_exhausted("message size 11 MiB is over the limit");
        assert_eq!(fault(&size).class, Refused);
        let busy = Status::resource_exhausted("request rate is large, queue size exceeded");
        assert_eq!(fault(&busy).class, Throttled(None));
    }
}
