//! What requests are answered: JSON, one form for all errors.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::Serialize;
use serde_json::{Value, json};

use super::observe::Reason;
use super::spool::NotSpooled;
use super::table::NotAccepted;
use crate::sdk::{Error, ErrorKind};

/// How long a client is asked to wait, in seconds.
const RETRY_AFTER_S: u32 = 1;

/// So many bad rows of a request that is refused are told.
const ERRORS_TOLD_MAX: usize = 100;

/// What is wrong with one row of a request.
#[derive(Debug, Clone, Serialize)]
pub(super) struct RowError {
    /// Which row, counted from 0.
    pub(super) index: usize,
    /// The field's path; none where it is the row as a whole.
    pub(super) field: Option<String>,
    pub(super) message: String,
}

/// A request that is not carried out.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) message: String,
    pub(super) errors: Vec<RowError>,
    /// So many more bad rows there are.
    pub(super) errors_omitted: usize,
    /// So many records of the request are durable.
    pub(super) durable: Option<usize>,
    /// What was asked may have happened nevertheless.
    pub(super) in_doubt: bool,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
            errors: Vec::new(),
            errors_omitted: 0,
            durable: None,
            in_doubt: false,
        }
    }

    pub(super) fn unknown_table(key: &str) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            format!("there is no table \"{key}\""),
        )
    }

    /// Rows are wrong; the first so many are told.
    pub(super) fn of_rows(mut errors: Vec<RowError>) -> Self {
        let count = errors.len();
        let message = match &errors[..] {
            [one] => one.told(),
            [first, ..] => format!("{}, and {} more", first.told(), count - 1),
            [] => "the body holds no row".to_owned(),
        };
        errors.truncate(ERRORS_TOLD_MAX);
        Self {
            errors_omitted: count - errors.len(),
            errors,
            ..Self::new(StatusCode::BAD_REQUEST, message)
        }
    }

    /// The deadline has passed before records were accepted. Of those on their way into a
    /// spool nothing is known.
    pub(super) fn queued_late(may_be_spooled: bool, why: Option<Error>) -> Self {
        let what = match may_be_spooled {
            true => "the spool was not written before the request's deadline",
            false => "the service was not reached before the request's deadline",
        };
        let message = match why.filter(|_| !may_be_spooled) {
            Some(error) => format!("{what}: {error}"),
            None => what.to_owned(),
        };
        Self {
            in_doubt: may_be_spooled,
            ..Self::new(StatusCode::SERVICE_UNAVAILABLE, message)
        }
    }

    /// The deadline has passed before records were acknowledged.
    pub(super) fn unacknowledged() -> Self {
        let message = "no acknowledgement before the request's deadline; the records may be durable, or become so";
        Self::new(StatusCode::GATEWAY_TIMEOUT, message).in_doubt()
    }

    pub(super) fn in_doubt(self) -> Self {
        Self {
            in_doubt: true,
            ..self
        }
    }

    /// What the stream says.
    pub(super) fn of(error: &Error) -> Self {
        let status = match error.kind() {
            ErrorKind::InvalidRecord => StatusCode::BAD_REQUEST,
            ErrorKind::Full => StatusCode::TOO_MANY_REQUESTS,
            ErrorKind::Unavailable | ErrorKind::Timeout | ErrorKind::Closed => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            // The gateway itself is refused: nothing that the caller could mend.
            ErrorKind::Settings
            | ErrorKind::Refused
            | ErrorKind::Credentials
            | ErrorKind::NotFound => StatusCode::BAD_GATEWAY,
        };
        match error.kind() {
            // The hint names options that a caller has not.
            ErrorKind::Full => Self::new(status, format!("{}; try again later", error.message())),
            _ => Self::new(status, error.to_string()),
        }
    }
}

impl From<NotAccepted> for Refusal {
    fn from(why: NotAccepted) -> Self {
        match why {
            NotAccepted::Stream(error) => Self::of(&error),
            NotAccepted::Spool(NotSpooled::Full) => {
                let message = "as much lies in the spool as --spool-max allows";
                Self::new(StatusCode::TOO_MANY_REQUESTS, message)
            }
            NotAccepted::Spool(NotSpooled::Failed(why)) => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, why)
            }
            NotAccepted::Spool(NotSpooled::InDoubt(why)) => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, why).in_doubt()
            }
        }
    }
}

impl RowError {
    fn told(&self) -> String {
        let Self {
            index,
            field,
            message,
        } = self;
        match field {
            Some(field) => format!("row {index}, field \"{field}\": {message}"),
            None => format!("row {index}: {message}"),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let reason = Reason(self.message.as_str().into());
        let mut body = json!({"error": self.message, "status_code": self.status.as_u16()});
        if !self.errors.is_empty() {
            body["errors"] = json!(self.errors);
        }
        if self.errors_omitted > 0 {
            body["errors_omitted"] = json!(self.errors_omitted);
        }
        if let Some(durable) = self.durable {
            body["durable"] = json!(durable);
        }
        if self.in_doubt {
            body["in_doubt"] = Value::Bool(true);
        }
        let mut response = (self.status, Extension(reason), Json(body)).into_response();
        if self.status == StatusCode::UNAUTHORIZED {
            let scheme = HeaderValue::from_static("Bearer");
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, scheme);
        }
        if matches!(
            self.status,
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE
        ) {
            let seconds = HeaderValue::from(RETRY_AFTER_S);
            response.headers_mut().insert(header::RETRY_AFTER, seconds);
        }
        response
    }
}
