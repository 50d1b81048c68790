//! Values and reasons as a refusal shows them, whose length a client does not settle: the text
//! of a status travels in a header, and a client takes some 16 KiB of headers.

use std::fmt::Display;

use tonic::Status;

/// Characters of a value that are shown.
const VALUE_CHARS_MAX: usize = 60;
/// The text of one refusal: its encoding in a header takes three times as much at worst.
const TEXT_BYTES_MAX: usize = 4 << 10;

/// A value, or the beginning of a long one.
pub(super) fn shown(value: impl Display) -> String {
    let text = value.to_string();
    match text.char_indices().nth(VALUE_CHARS_MAX) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

/// The same of a text, in quotes.
pub(super) fn quoted(text: &str) -> String {
    format!("{:?}", shown(text))
}

/// What a Delta library says of its error: where RUST_BACKTRACE is set it adds more.
pub(super) fn without_backtrace(mut text: String) -> String {
    if let Some(end) = text.find("\n   0: ") {
        text.truncate(end);
    }
    text
}

/// The status with a text that fits its header.
pub(super) fn short(status: Status) -> Status {
    let text = status.message();
    if text.len() <= TEXT_BYTES_MAX {
        return status;
    }
    let end = (0..=TEXT_BYTES_MAX)
        .rev()
        .find(|end| text.is_char_boundary(*end));
    let begin = text.get(..end.unwrap_or_default()).unwrap_or_default();
    Status::with_metadata(
        status.code(),
        format!("{begin}…"),
        status.metadata().clone(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_long_is_cut_between_characters() {
        assert_eq!(shown(12), "12");
        let long = "ä".repeat(VALUE_CHARS_MAX);
        assert_eq!(shown(&long), long);
        assert_eq!(shown(format!("{long}b")), format!("{long}…"));
        assert_eq!(quoted("a\"b"), r#""a\"b""#);

        let traced = "no such file\n   0: with_backtrace\n".to_owned();
        assert_eq!(without_backtrace(traced), "no such file");

        let status = short(Status::not_found("x"));
        assert_eq!(status.message(), "x");
        let status = short(Status::not_found("ä€".repeat(TEXT_BYTES_MAX)));
        assert_eq!(status.code(), tonic::Code::NotFound);
        assert!(status.message().len() <= TEXT_BYTES_MAX + '…'.len_utf8());
        assert!(status.message().ends_with("…"));
    }
}
