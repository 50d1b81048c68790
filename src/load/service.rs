//! What a fault of the service means to the user, in words.

use crate::error::{Failure, Kind};
use crate::protocol::{Fault, FaultClass};

/// The numbers in the service's texts, and what they mean (PROTOCOL 7).
const NUMBERS: [(&str, &str); 4] = [
    (
        "4024",
        "either the principal lacks a privilege, or the table is in default storage, which the service cannot write to: the two cannot be told apart; grant the privileges, and if it stays so use a table in a location of your own",
    ),
    (
        "4033",
        "the record's descriptor does not stand by itself; that is the loader's doing, not yours: please report it with the .proto file",
    ),
    (
        "4002",
        "the offsets were not consecutive; that is the loader's doing, not yours: please report it; the printed command goes on behind what is acknowledged",
    ),
    (
        "6002",
        "the service ends each stream after a while, as a routine; the same command goes on",
    ),
];

/// What a fault of the service means to the user.
pub fn service_failure(fault: &Fault) -> Failure {
    let mut failure = failure_of_class(fault);
    let numbered = NUMBERS
        .iter()
        .find(|(number, _)| holds(&fault.message, number));
    let hint = numbered.map(|(_, hint)| *hint).or(fault.hint);
    if let Some(hint) = hint {
        failure.hint = Some(hint.to_owned());
    }
    failure
}

/// Whether a text holds a number, and not as a part of a longer one.
fn holds(text: &str, number: &str) -> bool {
    text.split(|c: char| !c.is_ascii_alphanumeric())
        .any(|word| word == number)
}

/// Whether a failure is one of privileges, which statements would grant.
pub fn lacks_privileges(failure: &Failure) -> bool {
    failure.kind == Kind::Credentials
        && (holds(&failure.message, "4024")
            || failure.message.contains("PermissionDenied")
            || failure.message.contains("403 Forbidden"))
}

fn failure_of_class(fault: &Fault) -> Failure {
    match fault.class {
        FaultClass::Invalid | FaultClass::Refused => {
            Failure::new(Kind::Refused, format!("the service refused the stream: {fault}"))
                .hint("compare the record with the table's columns, type by type; nothing that was refused is in the table")
        }
        FaultClass::Credentials => {
            Failure::new(Kind::Credentials, format!("the service refused the credentials: {fault}"))
                .hint("check client id and secret, and that the service principal has USE CATALOG, USE SCHEMA, and SELECT and MODIFY on the table")
        }
        FaultClass::NotFound => {
            Failure::new(Kind::NotFound, format!("the table was not found: {fault}"))
                .hint("check --table; the table must exist before it is loaded")
        }
        FaultClass::Untrusted => {
            Failure::new(Kind::Settings, format!("the server's certificate is not trusted: {fault}"))
                .hint("trust the server's CA with --ca-cert FILE or SSL_CERT_FILE=FILE, a PEM file, and name the server as its certificate does")
        }
        FaultClass::Misdirected => {
            Failure::new(Kind::Settings, format!("the workspace URL is not that of a workspace: {fault}"))
                .hint("check --workspace-url (DATABRICKS_HOST)")
        }
        FaultClass::Unreadable => {
            Failure::new(Kind::Unavailable, format!("the service answered what cannot be read: {fault}"))
                .hint("it may refuse a row in too many words: with --batch-records 1 that is the first row that is not acknowledged")
        }
        FaultClass::Transient | FaultClass::Throttled(_) => {
            Failure::new(Kind::Unavailable, format!("the service is unavailable: {fault}"))
                .hint("check --endpoint and the network; the same command may succeed later")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_the_service_are_explained() {
        let of = |class, text: &str| service_failure(&Fault::new(class, text));
        let refused = of(
            FaultClass::Credentials,
            "PermissionDenied: principal x lacks privileges. Error Code: 4024",
        );
        assert!(
            refused
                .hint
                .as_ref()
                .is_some_and(|h| h.contains("default storage"))
        );
        assert!(lacks_privileges(&refused));
        let unknown = of(FaultClass::Credentials, "Unauthenticated: token 40245");
        assert!(!lacks_privileges(&unknown));
        let descriptor = of(FaultClass::Invalid, "InvalidArgument: Error Code: 4033");
        assert!(descriptor.hint.is_some_and(|h| h.contains("please report")));
    }
}
