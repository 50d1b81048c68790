//! How deep the brackets of a .proto file nest. The compiler reads the value of an option by
//! recursion without a bound, so a file made for it would exhaust the stack.

/// More than messages may nest (31), with room for the value of an option.
pub(super) const NESTING_MAX: usize = 100;

/// Whether brackets nest deeper than [`NESTING_MAX`] in a text that the parser has accepted,
/// which does not recurse into values.
pub(super) fn is_too_deep(source: &str) -> bool {
    let mut depth = 0;
    let mut rest = source.as_bytes();
    while let [byte, behind @ ..] = rest {
        rest = match byte {
            quote @ (b'"' | b'\'') => behind_string(behind, *quote),
            // Inside a value `#` opens a comment; elsewhere it is an error.
            b'#' => behind_line(behind),
            b'/' if behind.starts_with(b"/") => behind_line(behind),
            b'/' if behind.starts_with(b"*") => {
                let end = memchr::memmem::find(&behind[1..], b"*/");
                end.map_or(&[], |at| &behind[at + 3..])
            }
            b'{' | b'[' | b'<' => {
                depth += 1;
                if depth > NESTING_MAX {
                    return true;
                }
                behind
            }
            b'}' | b']' | b'>' => {
                depth = depth.saturating_sub(1);
                behind
            }
            _ => behind,
        };
    }
    false
}

fn behind_line(text: &[u8]) -> &[u8] {
    memchr::memchr(b'\n', text).map_or(&[], |at| &text[at + 1..])
}

fn behind_string(mut text: &[u8], quote: u8) -> &[u8] {
    while let Some(at) = memchr::memchr2(quote, b'\\', text) {
        if text[at] == quote {
            return &text[at + 1..];
        }
        text = text.get(at + 2..).unwrap_or_default();
    }
    &[]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_count_where_they_open_something() {
        let open = "{[<".repeat(NESTING_MAX);
        assert!(is_too_deep(&open));
        assert!(!is_too_deep(&"{".repeat(NESTING_MAX)));
        assert!(!is_too_deep(
            &"message M { map<int32, A> m = 1; }".repeat(1_000)
        ));
        for hidden in [
            format!("// {open}\n{{}}"),
            format!("/* {open} */ {{}} /"),
            format!("# {open}"),
            format!("\"\\\"{open}\" '{open}'"),
            format!("/* * / {open}"),
            format!("\"{open}\\"),
        ] {
            assert!(!is_too_deep(&hidden), "{hidden}");
        }
        for shown in [
            format!("// '\n{open}"),
            format!("/* \" */{open}"),
            format!("# \"\n{open}"),
            format!("'\"' \"\\\\\" {open}"),
            format!("/ {open}"),
        ] {
            assert!(is_too_deep(&shown), "{shown}");
        }
    }
}
