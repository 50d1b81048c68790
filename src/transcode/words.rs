//! Eight bytes looked at as one word: marks for the bytes that are sought, and the number that
//! digits make.

use super::number::U64_POWERS;

const ONES: u64 = u64::MAX / 0xFF;
const HIGHEST: u64 = ONES * 0x80;

/// Marks the bytes that are zero, in their highest bits. In this and what is made of it, bytes
/// above the first that is marked may be marked wrongly.
#[inline]
pub(super) fn zero_bytes(eight: u64) -> u64 {
    eight.wrapping_sub(ONES) & !eight & HIGHEST
}

/// Marks control characters.
#[inline]
pub(super) fn control(eight: u64) -> u64 {
    eight.wrapping_sub(ONES * 0x20) & !eight & HIGHEST
}

/// Marks the bytes that are a quote, a backslash or a control character.
#[inline]
pub(super) fn not_plain(eight: u64) -> u64 {
    let quote = zero_bytes(eight ^ (ONES * b'"' as u64));
    let backslash = zero_bytes(eight ^ (ONES * b'\\' as u64));
    control(eight) | quote | backslash
}

/// The number that the digits at a place make, and how many they are: at least one and at most
/// 18. None also near the end of the text, where eight bytes cannot be looked at at once.
#[inline(always)]
pub(super) fn digits(text: &[u8], at: usize) -> Option<(u64, usize)> {
    let word = |at: usize| {
        let eight = text.get(at..)?.first_chunk()?;
        Some(u64::from_le_bytes(*eight))
    };
    let (value, count) = leading_digits(word(at)?);
    if count < 8 {
        return (count > 0).then_some((value, count));
    }
    let (next, more) = leading_digits(word(at + 8)?);
    let value = value * U64_POWERS[more] + next;
    if more < 8 {
        return Some((value, 8 + more));
    }
    let (next, more) = leading_digits(word(at + 16)?);
    (more <= 2).then(|| (value * U64_POWERS[more] + next, 16 + more))
}

/// The number that the first digits of eight bytes make, and how many they are.
#[inline(always)]
fn leading_digits(eight: u64) -> (u64, usize) {
    let from_zero = eight.wrapping_sub(ONES * b'0' as u64);
    // Above '9' the sum, below '0' the difference reaches the highest bit.
    let other = (eight.wrapping_add(ONES * (0x7F - b'9') as u64) | from_zero) & HIGHEST;
    let count = (other.trailing_zeros() / 8) as usize;
    // Behind as many zeros as make it eight.
    let digits = from_zero.unbounded_shl(64 - 8 * count as u32);
    // Pairs, then pairs of pairs, then both halves.
    let pairs = digits.wrapping_mul(10).wrapping_add(digits >> 8);
    let fours = (pairs & 0x0000_00FF_0000_00FF).wrapping_mul(0x000F_4240_0000_0064);
    let rest = (pairs >> 16 & 0x0000_00FF_0000_00FF).wrapping_mul(0x0000_2710_0000_0001);
    (fours.wrapping_add(rest) >> 32, count)
}
