//! The command that goes on where a load has stopped: the one that was given, with
//! `--resume` or `--skip`, and without secrets.

use std::ffi::OsString;

/// How a load goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum GoOn {
    /// By its checkpoint.
    Resume,
    /// By passing over rows.
    Skip {
        /// Rows settled without a gap, from the first one of the first input.
        rows: u64,
        /// What is left of `--limit` and `--min-rows`.
        limit: Option<u64>,
        min_rows: u64,
    },
}

/// Flags whose value is secret.
const SECRET: [&str; 4] = ["--client-secret", "--token", "--token-command", "--header"];
/// What stands in place of a secret.
const MASK: &str = "***";

/// Rewrites a command line, the program's name first, for a shell.
pub(super) fn command(arguments: impl IntoIterator<Item = OsString>, how: GoOn) -> String {
    let mut replaced: Vec<(&str, Option<String>)> = vec![("--resume", None)];
    if let GoOn::Skip {
        rows,
        limit,
        min_rows,
    } = how
    {
        let some = |n: u64| (n > 0).then(|| n.to_string());
        replaced.push(("--skip", some(rows)));
        replaced.push(("--limit", limit.map(|n| n.to_string())));
        replaced.push(("--min-rows", some(min_rows)));
    }
    let mut words = Vec::new();
    let mut arguments = arguments.into_iter();
    let mut verb_seen = false;
    let mut inputs_only = false;
    while let Some(argument) = arguments.next() {
        let text = argument.to_string_lossy().into_owned();
        let (flag, inline) = match text.split_once('=') {
            Some((flag, value)) if flag.starts_with("--") => (flag, Some(value)),
            _ => (text.as_str(), None),
        };
        inputs_only |= text == "--";
        if !inputs_only && replaced.iter().any(|(name, _)| *name == flag) {
            if inline.is_none() && flag != "--resume" {
                arguments.next();
            }
            continue;
        }
        if !inputs_only && SECRET.contains(&flag) {
            if inline.is_none() {
                arguments.next();
            }
            words.push(format!("{flag} {}", quote(MASK)));
            continue;
        }
        words.push(quote(&text));
        if !verb_seen && text == "ingest" {
            verb_seen = true;
            if how == GoOn::Resume {
                words.push("--resume".to_owned());
            }
            for (name, value) in &replaced {
                words.extend(value.as_ref().map(|value| format!("{name} {value}")));
            }
        }
    }
    words.join(" ")
}

/// A word as a POSIX shell reads it back.
pub(super) fn quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_replaced_words_quoted_and_secrets_masked() {
        let given = |line: &str| line.split('|').map(OsString::from).collect::<Vec<_>>();
        let skip = |rows, limit| GoOn::Skip {
            rows,
            limit,
            min_rows: 0,
        };
        for (line, how, expected) in [
            (
                "zerobus|ingest|a b.csv",
                GoOn::Resume,
                "zerobus ingest --resume 'a b.csv'",
            ),
            ("z|ingest|--resume|x", GoOn::Resume, "z ingest --resume x"),
            (
                "z|ingest|--skip|3|--limit=9|it's|x",
                skip(7, Some(5)),
                r"z ingest --skip 7 --limit 5 'it'\''s' x",
            ),
            ("z|ingest|--skip=3|x", skip(0, None), "z ingest x"),
            (
                "z|ingest|--client-secret|s3cret|--token=t0ken|--|--skip|x",
                GoOn::Resume,
                "z ingest --resume --client-secret '***' --token '***' -- --skip x",
            ),
        ] {
            assert_eq!(command(given(line), how), expected);
        }
    }
}
