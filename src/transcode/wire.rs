//! Protobuf's wire format, written into a buffer.

/// Wire types (protobuf encoding, "Message structure").
pub(super) const VARINT: u32 = 0;
pub(super) const FIXED64: u32 = 1;
pub(super) const LENGTH: u32 = 2;
pub(super) const FIXED32: u32 = 5;

pub(super) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
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
    let mut varint = Vec::with_capacity(10);
    put_varint(&mut varint, len as u64);
    let extra = varint.len() - 1;
    out.resize(out.len() + extra, 0);
    out.copy_within(start..start + len, start + extra);
    out[start - 1..start + extra].copy_from_slice(&varint);
    extra
}

#[cfg(test)]
mod tests {
    use super::*;

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
        }
    }
}
