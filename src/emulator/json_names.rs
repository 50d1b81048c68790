//! The names in JSON objects, none of which may come twice in one.

use std::borrow::Cow;
use std::collections::HashSet;

use serde::de;

use super::shown::quoted;

/// Names up to this number are compared one by one.
const NAMES_COMPARED_MAX: usize = 16;

/// A string, not copied unless it holds escapes.
#[derive(serde::Deserialize)]
pub(super) struct Text<'a>(#[serde(borrow)] pub(super) Cow<'a, str>);

/// The names of one object so far.
#[derive(Default)]
pub(super) struct Names<'a> {
    few: Vec<Cow<'a, str>>,
    more: HashSet<Cow<'a, str>>,
}

impl<'a> Names<'a> {
    /// Takes a name in, unless it is there.
    ///
    /// # Errors
    /// It is there.
    pub(super) fn add<E: de::Error>(&mut self, name: Cow<'a, str>) -> Result<(), E> {
        if self.few.contains(&name) || self.more.contains(&name) {
            let name = quoted(&name);
            return Err(E::custom(format_args!("key {name} is given twice")));
        }
        if self.few.len() < NAMES_COMPARED_MAX {
            self.few.push(name);
        } else {
            self.more.insert(name);
        }
        Ok(())
    }
}

/// Checks that no object within `json`, which is valid, has a name twice. Iterative, so that
/// depth costs no stack.
pub(super) fn check_names(json: &str) -> Result<(), serde_json::Error> {
    // The containers around; none: an array.
    let mut around: Vec<Option<Names<'_>>> = Vec::new();
    let mut rest = json;
    while let Some(at) = rest.find(['{', '}', '[', ']', '"']) {
        let (opened, behind) = (
            rest.as_bytes().get(at),
            rest.get(at + 1..).unwrap_or_default(),
        );
        match opened {
            Some(b'{') => around.push(Some(Names::default())),
            Some(b'[') => around.push(None),
            Some(b'"') => {
                let end = at + 1 + string_length(behind) + 1;
                let after = rest.get(end..).unwrap_or_default();
                if let (Some(Some(names)), true) =
                    (around.last_mut(), after.trim_ascii_start().starts_with(':'))
                {
                    let Text(name) = serde_json::from_str(rest.get(at..end).unwrap_or_default())?;
                    names.add(name)?;
                }
                rest = after;
                continue;
            }
            _ => {
                around.pop();
            }
        }
        rest = behind;
    }
    Ok(())
}

/// Bytes up to the quote that ends a string.
fn string_length(text: &str) -> usize {
    let mut escaped = false;
    let end = text.bytes().position(|byte| {
        let ends = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    });
    end.unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_comes_once_in_each_object() {
        for good in [
            r#"{"a":{"a":"a"},"b":[{"a":1},{"a":2}]}"#,
            r#"["a","a",{"x":"y","y":"x"}]"#,
            r#"{"a":"}","b":"\"a\":1","c\\":"{\"a\":","d":[]}"#,
            r#""a""#,
            "1",
        ] {
            assert!(check_names(good).is_ok(), "{good}");
        }
        for bad in [
            r#"{"a":1,"a":2}"#,
            r#"[{"b":{"a":1,"c":{},"\u0061" :2}}]"#,
            r#"{"c":[1],"x":{"c":1},"c":"\\"}"#,
        ] {
            let error = check_names(bad).unwrap_err().to_string();
            assert!(error.contains("is given twice"), "{bad}: {error}");
        }
        let many: String = (0..100).map(|i| format!("\"{i}\":0,")).collect();
        assert!(check_names(&format!("{{{many}\"x\":0}}")).is_ok());
        assert!(check_names(&format!("{{{many}\"99\":0}}")).is_err());
        let deep = "[".repeat(1_000_000) + &"]".repeat(1_000_000);
        assert!(check_names(&deep).is_ok());
    }
}
