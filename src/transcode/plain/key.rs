//! A field's name as a row gives it, compared in one step.

use super::values::Around;

/// A field's name in quotes with its colon, to be compared in one step.
pub(super) struct Key {
    words: [u64; 2],
    masks: [u64; 2],
    /// What is longer than two words.
    rest: Box<[u8]>,
    len: usize,
}

impl Key {
    pub(super) fn new(name: &str) -> Self {
        let key = format!("\"{name}\":").into_bytes();
        let mut bytes = [0; 16];
        let mut mask = [0; 16];
        let len = key.len().min(16);
        bytes[..len].copy_from_slice(&key[..len]);
        mask[..len].fill(0xFF);
        let words = |bytes: [u8; 16]| {
            let both = u128::from_le_bytes(bytes);
            [both as u64, (both >> 64) as u64]
        };
        Self {
            words: words(bytes),
            masks: words(mask),
            rest: key[len..].into(),
            len: key.len(),
        }
    }

    /// The place behind it, if it stands here.
    #[inline]
    pub(super) fn after(&self, text: Around<'_>, at: usize) -> Option<usize> {
        let first = (text.word(at)? ^ self.words[0]) & self.masks[0];
        let second = (text.word(at + 8)? ^ self.words[1]) & self.masks[1];
        let same = first | second == 0
            && (self.rest.is_empty() || text.0[at + 16..].starts_with(&self.rest));
        same.then_some(at + self.len)
    }
}
