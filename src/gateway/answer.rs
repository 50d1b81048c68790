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
    /// What was asked may have happened nevertheless.
    pub(super) in_doubt: bool,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
            errors: Vec::new(),
            in_doubt: false,
        }
    }

    pub(super) fn unknown_table(key: &str) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            format!("there is no table \"{key}\""),
        )
    }

    pub(super) fn of_rows(errors: Vec<RowError>) -> Self {
        let message = match &errors[..] {
            [one] => one.told(),
            [first, ..] => format!("{}, and {} more", first.told(), errors.len() - 1),
            [] => "the body is empty".to_owned(),
        };
        Self {
            errors,
            ..Self::new(StatusCode::BAD_REQUEST, message)
        }
    }

    /// The deadline has passed before records were accepted. Of those on their way into a
    /// spool nothing is known.
    pub(super) fn queued_late(may_be_spooled: bool) -> Self {
        let message = match may_be_spooled {
            true => "the spool was not written before the request's deadline",
            false => "the service was not reached before the request's deadline",
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
        Self::new(status, error.to_string())
    }
}

impl From<NotAccepted> for Refusal {
    fn from(why: NotAccepted) -> Self {
        match why {
            NotAccepted::Stream(error) => Self::of(&error),
            NotAccepted::Spool(NotSpooled::Full) => {
                let message = "as much lies in the spool as may";
                Self::new(StatusCode::TOO_MANY_REQUESTS, message)
            }
            NotAccepted::Spool(NotSpooled::Failed(why)) => {
                let message = format!("the spool cannot be written: {why}");
                Self::new(StatusCode::SERVICE_UNAVAILABLE, message)
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
