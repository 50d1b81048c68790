//! The keys of objects within each other, to tell one that is given twice.

use std::borrow::Cow;
use std::collections::HashSet;

/// Keys of one object that are compared one by one; beyond that they are hashed.
const KEYS_COMPARED_MAX: usize = 32;

/// The keys of the objects that are open.
#[derive(Default)]
pub(super) struct Keys<'a> {
    /// Of each object the first ones, with what tells most of them apart; innermost last.
    few: Vec<(u64, Cow<'a, str>)>,
    levels: Vec<Level<'a>>,
}

struct Level<'a> {
    /// Where its keys begin in `few`.
    start: usize,
    /// All of them, once they are many.
    many: HashSet<Cow<'a, str>>,
}

impl<'a> Keys<'a> {
    /// An object opens within so many others.
    pub(super) fn open(&mut self, depth: usize) {
        self.close_to(depth);
        self.levels.push(Level {
            start: self.few.len(),
            many: HashSet::new(),
        });
    }

    /// Adds a key of the innermost of so many objects; false if it has it already.
    pub(super) fn add(&mut self, depth: usize, key: Cow<'a, str>) -> bool {
        self.close_to(depth);
        let Some(level) = self.levels.last_mut() else {
            return true;
        };
        let few = &self.few[level.start..];
        if few.len() < KEYS_COMPARED_MAX {
            let mark = mark(&key);
            let known = few.iter().any(|(m, k)| *m == mark && *k == key);
            self.few.push((mark, key));
            return !known;
        }
        if level.many.is_empty() {
            level.many.extend(few.iter().map(|(_, key)| key.clone()));
        }
        level.many.insert(key)
    }

    fn close_to(&mut self, depth: usize) {
        if let Some(level) = self.levels.get(depth) {
            self.few.truncate(level.start);
            self.levels.truncate(depth);
        }
    }
}

/// The length and the last bytes of a key: names that begin alike are common.
fn mark(key: &str) -> u64 {
    let bytes = key.as_bytes();
    let last = bytes.iter().rev().take(7);
    last.fold(bytes.len() as u64, |mark, &byte| {
        mark << 8 | u64::from(byte)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_counts_in_its_own_object() {
        for count in [3, KEYS_COMPARED_MAX, KEYS_COMPARED_MAX + 5] {
            let mut keys = Keys::default();
            keys.open(0);
            for n in 0..count {
                assert!(keys.add(1, n.to_string().into()), "{n} of {count}");
                keys.open(1);
                assert!(keys.add(2, "inner".into()));
                assert!(!keys.add(2, "inner".into()));
            }
            for n in 0..count {
                assert!(!keys.add(1, n.to_string().into()), "{n} of {count}");
            }
            keys.open(0);
            assert!(keys.add(1, "0".into()));
        }
    }
}
