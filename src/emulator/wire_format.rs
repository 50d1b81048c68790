//! Reads protobuf's wire format: keys, varints, fixed widths and lengths.

use super::columns::Problem;

/// Bytes of the longest varint.
const VARINT_BYTES_MAX: usize = 10;

/// How the bytes behind a key are to be read. There are groups too: they have a number, and
/// no field here is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WireType {
    Varint = 0,
    Fixed64 = 1,
    Length = 2,
    Fixed32 = 5,
}

/// A wire type as protobuf's own documents name it, also one that no field here has.
pub(super) fn wire_type_name(number: u8) -> &'static str {
    match number {
        0 => "0 (VARINT)",
        1 => "1 (I64)",
        2 => "2 (LEN)",
        3 => "3 (SGROUP)",
        4 => "4 (EGROUP)",
        5 => "5 (I32)",
        6 => "6, which there is not,",
        _ => "7, which there is not,",
    }
}

/// What is wrong with the bytes.
pub(super) type Malformed = &'static str;

impl From<Malformed> for Problem {
    fn from(reason: Malformed) -> Self {
        Self::malformed(reason)
    }
}

/// Bytes that have not been read yet.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wire<'a>(pub(super) &'a [u8]);

impl<'a> Wire<'a> {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A field's number and its wire type, which may be one that there is not.
    #[inline]
    pub(super) fn key(&mut self) -> Result<(u32, u8), Malformed> {
        let key = self.varint()?;
        let key = u32::try_from(key).map_err(|_| "a field number is too large")?;
        if key < 8 {
            return Err("a field has number 0");
        }
        Ok((key >> 3, (key & 7) as u8))
    }

    #[inline]
    pub(super) fn varint(&mut self) -> Result<u64, Malformed> {
        match self.0 {
            [byte, rest @ ..] if *byte < 0x80 => {
                self.0 = rest;
                Ok(u64::from(*byte))
            }
            _ => self.long_varint(),
        }
    }

    fn long_varint(&mut self) -> Result<u64, Malformed> {
        let mut value = 0;
        for (index, byte) in self.0.iter().take(VARINT_BYTES_MAX).enumerate() {
            value |= u64::from(byte & 0x7f) << (7 * index);
            if *byte < 0x80 {
                if index == VARINT_BYTES_MAX - 1 && *byte > 1 {
                    return Err("a varint has more than 64 bits");
                }
                self.0 = self.0.get(index + 1..).unwrap_or_default();
                return Ok(value);
            }
        }
        Err(match self.0.len() < VARINT_BYTES_MAX {
            true => "it ends within a varint",
            false => "a varint is longer than 10 bytes",
        })
    }

    #[inline]
    pub(super) fn fixed<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (bytes, rest) = self
            .0
            .split_first_chunk()
            .ok_or("it ends within a number of fixed width")?;
        self.0 = rest;
        Ok(*bytes)
    }

    /// A length and that many bytes.
    #[inline]
    pub(super) fn bytes(&mut self) -> Result<&'a [u8], Malformed> {
        let short = "a length goes beyond the end";
        let length = usize::try_from(self.varint()?).map_err(|_| short)?;
        let (bytes, rest) = self.0.split_at_checked(length).ok_or(short)?;
        self.0 = rest;
        Ok(bytes)
    }

    #[inline]
    pub(super) fn text(&mut self) -> Result<&'a str, Malformed> {
        std::str::from_utf8(self.bytes()?).map_err(|_| "text is not UTF-8")
    }

    /// Passes over a value.
    pub(super) fn skip(&mut self, wire_type: WireType) -> Result<(), Malformed> {
        match wire_type {
            WireType::Varint => self.varint().map(|_| ()),
            WireType::Fixed64 => self.fixed::<8>().map(|_| ()),
            WireType::Length => self.bytes().map(|_| ()),
            WireType::Fixed32 => self.fixed::<4>().map(|_| ()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varints_have_up_to_64_bits_and_end() {
        for (bytes, expected) in [
            (&b"\x00"[..], Some((0, 0))),
            (b"\x7f\x01", Some((127, 1))),
            (b"\x80\x01", Some((128, 0))),
            (b"\x80\x00", Some((0, 0))),
            (
                b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
                Some((u64::MAX, 0)),
            ),
            (b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", None),
            (b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", None),
            (b"\xff\xff\xff\xff\xff\xff\xff\xff\xff", None),
            (b"\x80", None),
            (b"", None),
        ] {
            let mut wire = Wire(bytes);
            let value = wire.varint().ok();
            assert_eq!(value.map(|v| (v, wire.0.len())), expected, "{bytes:?}");
        }
    }

    #[test]
    fn nothing_is_read_beyond_the_end() {
        assert_eq!(Wire(b"\x02ab").text(), Ok("ab"));
        assert!(Wire(b"\x03ab").bytes().is_err());
        assert!(
            Wire(b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01")
                .bytes()
                .is_err()
        );
        assert!(Wire(b"\x01\xff").text().is_err());
        assert!(Wire(b"abc").fixed::<4>().is_err());
        assert_eq!(Wire(b"\x0d").key(), Ok((1, 5)));
        assert!(Wire(b"\x05").key().is_err());
        assert!(Wire(b"\xff\xff\xff\xff\x1f").key().is_err());
    }
}
