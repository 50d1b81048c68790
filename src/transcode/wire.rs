//! Protobuf's wire format, written into a buffer.

/// Wire types (protobuf encoding, "Message structure").
pub(super) const VARINT: u32 = 0;
pub(super) const FIXED64: u32 = 1;
pub(super) const LENGTH: u32 = 2;
pub(super) const FIXED32: u32 = 5;

/// Appends the first `len` of eight bytes: one store of a fixed size, which costs less than
/// a loop or a copy of a few bytes.
#[inline(always)]
pub(super) fn put_short(out: &mut Vec<u8>, bytes: u64, len: usize) {
    let end = out.len() + len;
    out.extend_from_slice(&bytes.to_le_bytes());
    out.truncate(end);
}

#[inline(always)]
pub(super) fn put_varint(out: &mut Vec<u8>, value: u64) {
    if value < 0x80 {
        return out.push(value as u8);
    }
    let bits = 64 - value.leading_zeros() as usize;
    let len = bits.div_ceil(7);
    let low = spread(value);
    if len <= 8 {
        return put_short(out, low | more(len), len);
    }
    out.extend_from_slice(&(low | more(9)).to_le_bytes());
    // One byte, or for numbers with the highest bit a second one.
    let high = value >> 56;
    put_short(out, high | (high & 0x80) << 1, len - 8);
}

/// Groups of seven bits, each in a byte of its own: moved apart by halves.
#[inline]
fn spread(value: u64) -> u64 {
    let value = (value & 0x00FF_FFFF_F000_0000) << 4 | value & 0x0FFF_FFFF;
    let value = (value & 0x0FFF_C000_0FFF_C000) << 2 | value & 0x0000_3FFF_0000_3FFF;
    (value & 0x3F80_3F80_3F80_3F80) << 1 | value & 0x007F_007F_007F_007F
}

/// The bits that say that another byte follows, for a varint of so many bytes (1 to 9).
#[inline]
fn more(len: usize) -> u64 {
    const ALL: u64 = 0x8080_8080_8080_8080;
    ALL & !(u64::MAX.unbounded_shl(8 * (len as u32 - 1)))
}

/// A field's tag as it stands on the wire.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tag {
    bytes: u64,
    len: usize,
}

impl Tag {
    /// No tag at all: of an element behind the tag of its list.
    pub(super) const NONE: Self = Self { bytes: 0, len: 0 };

    pub(super) fn new(number: u32, wire_type: u32) -> Self {
        let mut bytes = Vec::new();
        put_tag(&mut bytes, number, wire_type);
        let len = bytes.len();
        bytes.resize(8, 0);
        let bytes = bytes
            .iter()
            .rev()
            .fold(0, |all, &b| all << 8 | u64::from(b));
        Self { bytes, len }
    }

    #[inline]
    pub(super) fn put(self, out: &mut Vec<u8>) {
        put_short(out, self.bytes, self.len);
    }

    /// The same, and a length of one byte that is filled in later ([`open_length`]).
    #[inline]
    pub(super) fn put_open(self, out: &mut Vec<u8>) {
        put_short(out, self.bytes, self.len + 1);
    }
}

pub(super) fn put_tag(out: &mut Vec<u8>, number: u32, wire_type: u32) {
    put_varint(out, u64::from(number << 3 | wire_type));
}

pub(super) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Leaves room for a length of one byte; what follows is measured by [`close_length`].
pub(super) fn open_length(out: &mut Vec<u8>) -> usize {
    out.push(0);
    out.len()
}

/// Writes the length of all that was put since [`open_length`]. Only content of 128 bytes
/// and more is moved, by the bytes that its length needs beyond the first; returns how many.
pub(super) fn close_length(out: &mut Vec<u8>, start: usize) -> usize {
    let len = out.len() - start;
    if len < 0x80 {
        out[start - 1] = len as u8;
        return 0;
    }
    let bits = usize::BITS - len.leading_zeros();
    let varint_len = bits.div_ceil(7) as usize;
    let extra = varint_len - 1;
    out.resize(out.len() + extra, 0);
    out.copy_within(start..start + len, start + extra);
    let varint = spread(len as u64) | more(varint_len);
    // No buffer here comes near the 2^56 bytes for which a word is too short.
    let varint = &varint.to_le_bytes()[..varint_len.min(8)];
    out[start - 1..start - 1 + varint.len()].copy_from_slice(varint);
    extra
}

/// The length of the content of a field of so many bytes with a tag of one byte.
#[inline]
pub(super) fn content_len(field_len: usize) -> usize {
    let varint_len = |len: usize| (usize::BITS - (len | 1).leading_zeros()).div_ceil(7) as usize;
    let mut len = field_len.saturating_sub(2);
    while len > 0 && 1 + varint_len(len) + len > field_len {
        len -= 1;
    }
    len
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varints_are_those_of_prost() {
        let numbers = (0..64).flat_map(|bit| [(1 << bit) - 1, 1 << bit, (1u64 << bit) + 1]);
        for number in numbers.chain([u64::MAX, i32::MIN as u64, 0x0123_4567_89AB_CDEF]) {
            let mut expected = Vec::new();
            prost_reflect::prost::encoding::encode_varint(number, &mut expected);
            let mut out = Vec::new();
            put_varint(&mut out, number);
            assert_eq!(out, expected, "{number:x}");
        }
    }

    #[test]
    fn tags_are_those_that_are_put() {
        for number in [1, 15, 16, 2_047, 2_048, 536_870_911] {
            let (mut out, mut expected) = (Vec::new(), Vec::new());
            Tag::new(number, LENGTH).put(&mut out);
            put_tag(&mut expected, number, LENGTH);
            assert_eq!(out, expected);
            Tag::new(number, LENGTH).put_open(&mut out);
            expected.extend(expected.clone());
            assert_eq!(out, [expected, vec![0]].concat());
        }
    }

    #[test]
    fn lengths_of_every_size_are_written_in_place() {
        for len in [0, 1, 127, 128, 129, 16_383, 16_384, 3_000_000] {
            let mut out = vec![7];
            let start = open_length(&mut out);
            out.extend((0..len).map(|i| i as u8));
            let moved = close_length(&mut out, start);
            assert_eq!(
                out[start + moved..],
                (0..len).map(|i| i as u8).collect::<Vec<_>>()
            );
            let mut expected = vec![7];
            put_bytes(
                &mut expected,
                &(0..len).map(|i| i as u8).collect::<Vec<_>>(),
            );
            assert!(out == expected, "{len}");
            assert_eq!(content_len(out.len()), len);
        }
    }
}
