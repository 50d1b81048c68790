//! Why rows were rejected: the commonest reasons, each with its first place.

use std::collections::HashMap;

use crate::load::ReasonSeen;
use crate::transcode::{ReasonKind, RowError};

/// Reasons told apart; rows with further ones are counted together.
const REASONS_MAX: usize = 1_000;
/// Reasons that a summary shows.
const SHOWN_MAX: usize = 5;

/// Counts bad rows by what is wrong with them.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// By kind and field, since messages hold values.
    seen: HashMap<(ReasonKind, Option<String>), ReasonSeen>,
    others: u64,
}

impl Tally {
    /// Counts a row, by each field that is wrong.
    pub(super) fn add(&mut self, source: &str, error: &RowError) {
        for reason in &error.reasons {
            let key = (reason.kind, reason.field.as_deref().map(without_indices));
            if let Some(seen) = self.seen.get_mut(&key) {
                seen.rows += 1;
            } else if self.seen.len() < REASONS_MAX {
                let seen = ReasonSeen {
                    reason: reason.to_string(),
                    rows: 1,
                    source: source.to_owned(),
                    line: error.line,
                };
                self.seen.insert(key, seen);
            } else {
                self.others += 1;
            }
        }
    }

    /// The commonest reasons, commonest first, and how many rows have others.
    pub(super) fn top(&self) -> (Vec<ReasonSeen>, u64) {
        let mut all: Vec<_> = self.seen.values().cloned().collect();
        all.sort_by(|a, b| {
            let place = |r: &ReasonSeen| (r.source.clone(), r.line, r.reason.clone());
            b.rows.cmp(&a.rows).then_with(|| place(a).cmp(&place(b)))
        });
        let rest: u64 = all.iter().skip(SHOWN_MAX).map(|r| r.rows).sum();
        all.truncate(SHOWN_MAX);
        (all, rest + self.others)
    }
}

/// `tags[2].name` is the same field as `tags[7].name`.
fn without_indices(field: &str) -> String {
    let mut inside = false;
    let mut name = String::new();
    for c in field.chars() {
        inside |= c == '[';
        if !inside {
            name.push(c);
        }
        inside &= c != ']';
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transcode::Reason;

    #[test]
    fn reasons_are_told_apart_by_kind_and_field() {
        let mut tally = Tally::default();
        let mut add = |line, field: &str, kind, message: &str| {
            let reason = Reason {
                field: Some(field.to_owned()),
                kind,
                message: message.to_owned(),
            };
            let error = RowError {
                line,
                byte: 0,
                reasons: vec![reason],
            };
            tally.add("a.csv", &error);
        };
        add(7, "temp", ReasonKind::Range, "300 is out of range");
        add(8, "tags[1].name", ReasonKind::Type, "1 is no string");
        add(9, "tags[0].name", ReasonKind::Type, "2 is no string");
        let (top, others) = tally.top();
        let told: Vec<_> = top.iter().map(|r| (r.rows, r.line)).collect();
        assert_eq!((told, others), (vec![(2, 8), (1, 7)], 0));
        assert!(top[0].reason.contains("1 is no string"), "{top:?}");
    }
}
