//! The rows of a request's body: one JSON object, an array of them, or NDJSON.

use std::fmt;

use axum::body::{Body, Bytes, HttpBody as _};
use axum::http::{HeaderMap, StatusCode, header};
use futures_util::StreamExt as _;
use serde::de::{Deserialize, Deserializer, SeqAccess, Visitor};
use serde_json::value::RawValue;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout_at};

use super::answer::{Refusal, RowError};

/// So many rows of a request are taken: as many as may be in flight.
pub(super) const ROWS_MAX: usize = 50_000;

/// How much the bodies of all requests may be together.
pub(super) struct Bodies {
    room: Semaphore,
    bytes_max: usize,
}

/// The body of a request, which has its room as long as this lives.
pub(super) struct Read<'b> {
    pub(super) bytes: Bytes,
    _room: SemaphorePermit<'b>,
}

impl Bodies {
    /// One may be so long, all together a few times that.
    pub(super) fn new(bytes_max: usize) -> Self {
        let all = bytes_max.saturating_mul(4).max(128 << 20);
        Self {
            room: Semaphore::new(all.min(Semaphore::MAX_PERMITS)),
            bytes_max,
        }
    }

    /// Reads a body within its limit and its deadline.
    pub(super) async fn read(
        &self,
        headers: &HeaderMap,
        body: Body,
        deadline: Instant,
    ) -> Result<Read<'_>, Refusal> {
        let coding = headers.get(header::CONTENT_ENCODING);
        if coding.is_some_and(|coding| coding != "identity") {
            let message = "a body that is compressed is not taken";
            return Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, message));
        }
        // What is announced has its room before it is read.
        let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
        let mut room = self.room(announced)?;
        let mut data = body.into_data_stream();
        let mut parts: Vec<Bytes> = Vec::new();
        let mut len = 0;
        let late = |_| {
            let message = "the body did not come before the request's deadline";
            Refusal::new(StatusCode::REQUEST_TIMEOUT, message)
        };
        while let Some(part) = timeout_at(deadline, data.next()).await.map_err(late)? {
            let part = part.map_err(|error| {
                let message = format!("the body cannot be read: {error}");
                Refusal::new(StatusCode::BAD_REQUEST, message)
            })?;
            len += part.len();
            if len > room.num_permits() {
                room.merge(self.room(len - room.num_permits())?);
            }
            if len > self.bytes_max {
                return Err(self.too_long());
            }
            parts.push(part);
        }
        let bytes = match <[Bytes; 1]>::try_from(parts) {
            Ok([one]) => one,
            Err(parts) => parts.concat().into(),
        };
        Ok(Read { bytes, _room: room })
    }

    fn room(&self, bytes: usize) -> Result<SemaphorePermit<'_>, Refusal> {
        if bytes > self.bytes_max {
            return Err(self.too_long());
        }
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        self.room.try_acquire_many(bytes).map_err(|_| {
            let message = "the requests under way are too much at once";
            Refusal::new(StatusCode::TOO_MANY_REQUESTS, message)
        })
    }

    fn too_long(&self) -> Refusal {
        let message = format!("the body is longer than {} bytes", self.bytes_max);
        Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, message)
    }
}

/// How a body is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// An object or an array of objects.
    Json,
    /// A row on each line.
    Ndjson,
}

impl Form {
    /// What the request says that its body is.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let given = headers.get(header::CONTENT_TYPE);
        let given = given
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        let essence = given.split(';').next().unwrap_or_default().trim();
        let is = |name: &str| essence.eq_ignore_ascii_case(name);
        match is("application/x-ndjson") || is("application/ndjson") || is("application/jsonl") {
            true => Self::Ndjson,
            false => Self::Json,
        }
    }
}

/// The text of each row; of too many, one more than [`ROWS_MAX`]. What is no row at all is told in its place.
pub(super) fn rows(body: &[u8], form: Form) -> Result<Vec<&str>, RowError> {
    let whole = |message: String| RowError {
        index: 0,
        field: None,
        message,
    };
    let text = std::str::from_utf8(body).map_err(|e| {
        let at = e.valid_up_to();
        whole(format!("the body is not UTF-8 after byte {at}"))
    })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if form == Form::Ndjson {
        let lines = text.lines().map(str::trim);
        let lines = lines.filter(|line| !line.is_empty());
        return Ok(lines.take(ROWS_MAX + 1).collect());
    }
    let trimmed = text.trim();
    if trimmed.is_empty() {
        return Ok(Vec::new());
    }
    if !trimmed.starts_with('[') {
        return Ok(vec![trimmed]);
    }
    let rows: Rows =
        serde_json::from_str(trimmed).map_err(|e| whole(format!("the body is no JSON: {e}")))?;
    Ok(rows.0)
}

/// The elements of an array. Of one that is too long, the others are passed over.
struct Rows<'b>(Vec<&'b str>);

impl<'de> Deserialize<'de> for Rows<'de> {
    fn deserialize<D: Deserializer<'de>>(given: D) -> Result<Self, D::Error> {
        struct Elements;
        impl<'de> Visitor<'de> for Elements {
            type Value = Rows<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array of objects")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut all: A) -> Result<Self::Value, A::Error> {
                let mut rows = Vec::new();
                while let Some(row) = all.next_element::<&RawValue>()? {
                    if rows.len() <= ROWS_MAX {
                        rows.push(row.get());
                    }
                }
                Ok(Rows(rows))
            }
        }
        given.deserialize_seq(Elements)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_alone_in_an_array_or_on_lines() {
        let of = |body: &'static str, form| rows(body.as_bytes(), form).unwrap();
        assert_eq!(of(" {\"a\": 1} ", Form::Json), ["{\"a\": 1}"]);
        assert_eq!(of("[{\"a\": 1}, {}]", Form::Json), ["{\"a\": 1}", "{}"]);
        assert_eq!(of("[]", Form::Json), [""; 0]);
        assert_eq!(of(" ", Form::Json), [""; 0]);
        assert_eq!(of("{}\r\n\n{\"b\":2}", Form::Ndjson), ["{}", "{\"b\":2}"]);
        assert_eq!(of("\u{feff}{}", Form::Json), ["{}"]);
        assert!(
            rows(b"[{}", Form::Json)
                .unwrap_err()
                .message
                .contains("no JSON")
        );
        assert!(
            rows(b"\xff", Form::Json)
                .unwrap_err()
                .message
                .contains("UTF-8")
        );
    }

    #[test]
    fn the_form_is_that_of_the_content_type() {
        let of = |given: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, given.parse().unwrap());
            Form::of(&headers)
        };
        assert_eq!(of("application/x-ndjson; charset=utf-8"), Form::Ndjson);
        assert_eq!(of("application/json"), Form::Json);
        assert_eq!(Form::of(&HeaderMap::new()), Form::Json);
    }
}
