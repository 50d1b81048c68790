//! A single value in its plainest form: text, a number of a few digits, a bool.

use super::super::number::{F32_POWERS, F64_POWERS, U64_POWERS};
use super::super::value::wire_type;
use super::super::wire::{LENGTH, Tag, close_length, put_varint};
use super::super::words::{control, digits, not_plain, zero_bytes};
use crate::schema::plan::{Scalar, ValueType};

/// What a value is, as far as it can be plain.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    /// Surely short enough with so many bytes.
    Text {
        bytes_max: usize,
    },
    /// A varint, zigzag or not.
    Whole {
        min: i64,
        max: i64,
        zigzag: bool,
    },
    Double,
    Float,
    Bool,
    Message(usize),
}

/// The bytes of a row, and what stands behind them as far as a wide load may reach: a value
/// that is taken never extends into it, since no row ends within one.
#[derive(Clone, Copy)]
pub(in super::super) struct Around<'a>(pub &'a [u8]);

/// Where a value may end.
pub(super) trait Ends: Copy {
    /// Whether a value ends before this place.
    fn at(self, text: Around<'_>, at: usize) -> bool;
}

/// Before what follows a value in a JSON text without white space.
#[derive(Clone, Copy)]
pub(super) struct JsonEnds;

impl Ends for JsonEnds {
    #[inline]
    fn at(self, text: Around<'_>, at: usize) -> bool {
        matches!(text.byte(at), b',' | b'}' | b']')
    }
}

impl Around<'_> {
    /// Zero behind the end.
    #[inline]
    pub(super) fn byte(self, at: usize) -> u8 {
        self.0.get(at).copied().unwrap_or(0)
    }

    #[inline]
    pub(super) fn chunk<const N: usize>(self, at: usize) -> Option<[u8; N]> {
        self.0.get(at..)?.first_chunk().copied()
    }

    #[inline]
    pub(super) fn word(self, at: usize) -> Option<u64> {
        self.chunk(at).map(u64::from_le_bytes)
    }

    /// Behind the one space that there may be.
    #[inline]
    pub(super) fn after_space(self, at: usize) -> usize {
        at + usize::from(self.byte(at) == b' ')
    }
}

/// Where the cell of a CSV ends.
#[derive(Clone, Copy)]
pub(in super::super) struct CellEnds {
    pub delimiter: u8,
    pub quote: Option<u8>,
    /// Where the record ends.
    pub end: usize,
}

impl Ends for CellEnds {
    #[inline]
    fn at(self, text: Around<'_>, at: usize) -> bool {
        at == self.end || text.byte(at) == self.delimiter
    }
}

impl Kind {
    /// None of those that are left to the careful path.
    pub(super) fn of(ty: ValueType) -> Option<Self> {
        let whole = |min, max, zigzag| Some(Self::Whole { min, max, zigzag });
        match ty {
            ValueType::Scalar(Scalar::String) => Some(Self::Text {
                bytes_max: usize::MAX,
            }),
            ValueType::Varchar(chars) => Some(Self::Text {
                bytes_max: chars as usize,
            }),
            ValueType::Scalar(Scalar::Int32) => whole(i32::MIN.into(), i32::MAX.into(), false),
            ValueType::Scalar(Scalar::Sint32) => whole(i32::MIN.into(), i32::MAX.into(), true),
            ValueType::Scalar(Scalar::Uint32) => whole(0, u32::MAX.into(), false),
            ValueType::Scalar(Scalar::Int64) => whole(i64::MIN, i64::MAX, false),
            ValueType::Scalar(Scalar::Sint64) => whole(i64::MIN, i64::MAX, true),
            ValueType::Scalar(Scalar::Uint64) => whole(0, i64::MAX, false),
            ValueType::TinyInt => whole(i8::MIN.into(), i8::MAX.into(), false),
            ValueType::SmallInt => whole(i16::MIN.into(), i16::MAX.into(), false),
            ValueType::Scalar(Scalar::Double) => Some(Self::Double),
            ValueType::Scalar(Scalar::Float) => Some(Self::Float),
            ValueType::Scalar(Scalar::Bool) => Some(Self::Bool),
            ValueType::Message(index) => Some(Self::Message(index)),
            ValueType::Scalar(
                Scalar::Fixed32
                | Scalar::Fixed64
                | Scalar::Sfixed32
                | Scalar::Sfixed64
                | Scalar::Bytes,
            )
            | ValueType::Enum(_)
            | ValueType::Date
            | ValueType::Timestamp
            | ValueType::TimestampNtz
            | ValueType::Duration
            | ValueType::Decimal { .. }
            | ValueType::Variant(_) => None,
        }
    }

    pub(super) fn wire_type(self) -> u32 {
        match self {
            Self::Text { .. } | Self::Message(_) => LENGTH,
            Self::Whole { .. } | Self::Bool => wire_type(Scalar::Int64),
            Self::Double => wire_type(Scalar::Double),
            Self::Float => wire_type(Scalar::Float),
        }
    }

    /// Takes a value that is written without quotes in JSON and CSV alike.
    #[inline(always)]
    pub(super) fn bare(
        self,
        tag: Tag,
        text: Around<'_>,
        at: usize,
        ends: impl Ends,
        out: &mut Vec<u8>,
    ) -> Option<usize> {
        match self {
            Self::Whole { min, max, zigzag } => {
                let number = number(text, at)?;
                let value = i64::try_from(number.mantissa).ok()?;
                let value = if number.negative { -value } else { value };
                let fits = number.fraction == 0 && (min..=max).contains(&value);
                if !fits || !ends.at(text, number.end) {
                    return None;
                }
                tag.put(out);
                let zigzagged = (value << 1) ^ (value >> 63);
                put_varint(out, if zigzag { zigzagged } else { value } as u64);
                Some(number.end)
            }
            Self::Double => {
                let number = number(text, at)?;
                if !ends.at(text, number.end) {
                    return None;
                }
                // Both are exact, and so is the nearest value (see `value::float`).
                let value = match number.mantissa >> f64::MANTISSA_DIGITS {
                    0 => number.signed(number.mantissa as f64 / F64_POWERS[number.fraction]),
                    _ => number.text(text, at)?.parse().ok()?,
                };
                tag.put(out);
                out.extend_from_slice(&value.to_le_bytes());
                Some(number.end)
            }
            Self::Float => {
                let number = number(text, at)?;
                if !ends.at(text, number.end) {
                    return None;
                }
                let value = match (number.mantissa >> f32::MANTISSA_DIGITS, number.fraction) {
                    (0, ..=10) => {
                        let value = number.mantissa as f32 / F32_POWERS[number.fraction];
                        if number.negative { -value } else { value }
                    }
                    _ => number.text(text, at)?.parse().ok()?,
                };
                tag.put(out);
                out.extend_from_slice(&value.to_le_bytes());
                Some(number.end)
            }
            Self::Bool => {
                let (value, end) = match &text.chunk(at)? {
                    b"true" => (1, at + 4),
                    b"fals" if text.byte(at + 4) == b'e' => (0, at + 5),
                    _ => return None,
                };
                if !ends.at(text, end) {
                    return None;
                }
                tag.put(out);
                out.push(value);
                Some(end)
            }
            Self::Text { .. } | Self::Message(_) => None,
        }
    }
}

/// Takes a string in quotes.
#[inline(always)]
pub(super) fn quoted(
    text: Around<'_>,
    at: usize,
    tag: Tag,
    bytes_max: usize,
    out: &mut Vec<u8>,
) -> Option<usize> {
    if text.byte(at) != b'"' {
        return None;
    }
    let start = out.len();
    let end = copy_run(text, at + 1, tag, bytes_max, not_plain, out)?;
    match text.byte(end) {
        b'"' => Some(end + 1),
        b'\\' => {
            out.truncate(start);
            escaped(text, at + 1, tag, bytes_max, out)
        }
        _ => None,
    }
}

/// Takes the rest of a string with escapes in it, but for those of surrogates.
fn escaped(
    text: Around<'_>,
    mut at: usize,
    tag: Tag,
    bytes_max: usize,
    out: &mut Vec<u8>,
) -> Option<usize> {
    tag.put_open(out);
    let content = out.len();
    loop {
        let from = at;
        let marked = loop {
            match not_plain(text.word(at)?) {
                0 => at += 8,
                marked => break marked,
            }
        };
        at += marked.trailing_zeros() as usize / 8;
        out.extend_from_slice(text.0.get(from..at)?);
        if text.byte(at) == b'"' {
            break;
        }
        let plain = match (text.byte(at), text.byte(at + 1)) {
            (b'\\', letter @ (b'"' | b'\\' | b'/')) => letter,
            (b'\\', b'b') => 0x8,
            (b'\\', b'f') => 0xC,
            (b'\\', b'n') => b'\n',
            (b'\\', b'r') => b'\r',
            (b'\\', b't') => b'\t',
            (b'\\', b'u') => {
                let code = text.chunk::<4>(at + 2)?.iter().try_fold(0, |code, &digit| {
                    Some(code * 16 + char::from(digit).to_digit(16)?)
                });
                let c = char::from_u32(code?)?;
                out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                at += 6;
                continue;
            }
            _ => return None,
        };
        out.push(plain);
        at += 2;
    }
    let fits = out.len() - content <= bytes_max;
    close_length(out, content);
    fits.then_some(at + 1)
}

/// Takes the cell of a CSV without quotes.
#[inline(always)]
pub(super) fn cell_text(
    text: Around<'_>,
    at: usize,
    tag: Tag,
    bytes_max: usize,
    ends: CellEnds,
    out: &mut Vec<u8>,
) -> Option<usize> {
    if ends.quote == Some(text.byte(at)) {
        return None;
    }
    // Whatever ends the record is a control character, or there is nothing to load.
    let delimiter = u64::from_le_bytes([ends.delimiter; 8]);
    let marks = |eight: u64| zero_bytes(eight ^ delimiter) | control(eight);
    let end = copy_run(text, at, tag, bytes_max, marks, out)?;
    ends.at(text, end).then_some(end)
}

/// Writes the text up to the first byte that `marks` marks in its highest bit, eight bytes at
/// a time, behind its tag and length. Texts of 128 bytes and more are copied as a whole.
#[inline(always)]
fn copy_run(
    text: Around<'_>,
    from: usize,
    tag: Tag,
    bytes_max: usize,
    marks: impl Fn(u64) -> u64,
    out: &mut Vec<u8>,
) -> Option<usize> {
    tag.put_open(out);
    let content = out.len();
    let mut at = from;
    let end = loop {
        let eight = text.word(at)?;
        let marked = marks(eight);
        if at - from < 0x80 {
            out.extend_from_slice(&eight.to_le_bytes());
        }
        if marked != 0 {
            break at + marked.trailing_zeros() as usize / 8;
        }
        at += 8;
    };
    let len = end - from;
    if len > bytes_max {
        return None;
    }
    if len < 0x80 {
        out.truncate(content + len);
        out[content - 1] = len as u8;
    } else {
        out.truncate(content - 1);
        put_varint(out, len as u64);
        out.extend_from_slice(text.0.get(from..end)?);
    }
    Some(end)
}

/// A number of a few digits, without an exponent.
struct Number {
    negative: bool,
    /// All digits as one number.
    mantissa: u64,
    /// How many of them stand behind the point; less than 20.
    fraction: usize,
    end: usize,
}

impl Number {
    #[inline]
    fn signed(&self, value: f64) -> f64 {
        if self.negative { -value } else { value }
    }

    fn text<'a>(&self, text: Around<'a>, at: usize) -> Option<&'a str> {
        std::str::from_utf8(text.0.get(at..self.end)?).ok()
    }
}

#[inline(always)]
fn number(text: Around<'_>, at: usize) -> Option<Number> {
    let negative = text.byte(at) == b'-';
    let start = at + usize::from(negative);
    let (mut mantissa, whole) = digits(text.0, start)?;
    if whole > 1 && text.byte(start) == b'0' {
        return None;
    }
    let mut end = start + whole;
    let mut fraction = 0;
    if text.byte(end) == b'.' {
        let (behind, count) = digits(text.0, end + 1)?;
        if whole + count > 18 {
            return None;
        }
        mantissa = mantissa * U64_POWERS[count] + behind;
        fraction = count;
        end += 1 + count;
    }
    Some(Number {
        negative,
        mantissa,
        fraction,
        end,
    })
}
