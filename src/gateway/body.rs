//! The rows of a request's body: one JSON object, an array of them, or NDJSON.

use axum::http::{HeaderMap, header};
use serde_json::value::RawValue;

use super::answer::RowError;

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

/// The text of each row. What is no row at all is told in its place.
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
        return Ok(lines.filter(|line| !line.is_empty()).collect());
    }
    let trimmed = text.trim();
    if trimmed.is_empty() {
        return Ok(Vec::new());
    }
    if !trimmed.starts_with('[') {
        return Ok(vec![trimmed]);
    }
    let rows: Vec<&RawValue> =
        serde_json::from_str(trimmed).map_err(|e| whole(format!("the body is no JSON: {e}")))?;
    Ok(rows.into_iter().map(RawValue::get).collect())
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
