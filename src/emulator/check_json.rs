//! The same as [`super::check`] for JSON records.

use std::fmt;

use serde::Deserialize as _;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::schema::{Column, ColumnType};

/// The longest number whose size is not looked at.
const SHORT_NUMBER_BYTES_MAX: usize = 30;

/// The columns of a table or a STRUCT.
pub(super) struct Check {
    columns: Vec<Known>,
    /// A bit for each column that is never NULL.
    required: u64,
}

struct Known {
    name: String,
    nullable: bool,
    kind: Kind,
}

enum Kind {
    Boolean,
    Whole {
        min: i64,
        max: i64,
    },
    /// FLOAT and DOUBLE.
    Floating,
    /// Surely short enough with so many bytes.
    Text {
        bytes_max: usize,
    },
    Struct(Check),
    Array(Box<Kind>),
    /// With keys of text.
    Map(Box<Kind>),
    /// What it may hold is left to the decoder.
    Unsure,
}

impl Check {
    /// None if nothing can be told of such records.
    pub(super) fn new(columns: &[Column]) -> Option<Self> {
        if columns.len() > 64 {
            return None;
        }
        let known = |column: &Column| Known {
            name: column.name.clone(),
            nullable: column.nullable,
            kind: Kind::new(&column.ty),
        };
        let required = columns.iter().enumerate().filter(|(_, c)| !c.nullable);
        Some(Self {
            columns: columns.iter().map(known).collect(),
            required: required.fold(0, |bits, (place, _)| bits | 1 << place),
        })
    }

    /// Whether the record surely makes a row.
    pub(super) fn is_good(&self, record: &[u8]) -> bool {
        // As a whole, which takes less than text by text.
        let Ok(text) = std::str::from_utf8(record) else {
            return false;
        };
        let mut json = serde_json::Deserializer::from_str(text);
        let good = json.deserialize_map(Members(self));
        good.and_then(|()| json.end()).is_ok()
    }
}

impl Kind {
    fn new(ty: &ColumnType) -> Self {
        let whole = |min, max| Self::Whole { min, max };
        match ty {
            ColumnType::Boolean => Self::Boolean,
            ColumnType::TinyInt => whole(i8::MIN.into(), i8::MAX.into()),
            ColumnType::SmallInt => whole(i16::MIN.into(), i16::MAX.into()),
            ColumnType::Int => whole(i32::MIN.into(), i32::MAX.into()),
            ColumnType::BigInt => whole(i64::MIN, i64::MAX),
            ColumnType::Float | ColumnType::Double => Self::Floating,
            ColumnType::String => Self::Text {
                bytes_max: usize::MAX,
            },
            ColumnType::Varchar(chars) => Self::Text {
                bytes_max: *chars as usize,
            },
            ColumnType::Struct(columns) => Check::new(columns).map_or(Self::Unsure, Self::Struct),
            ColumnType::Array(element) => Self::Array(Self::new(element).into()),
            ColumnType::Map(key, value) if **key == ColumnType::String => {
                Self::Map(Self::new(value).into())
            }
            ColumnType::Map(..)
            | ColumnType::Decimal { .. }
            | ColumnType::Variant
            | ColumnType::Binary
            | ColumnType::Date
            | ColumnType::Timestamp
            | ColumnType::TimestampNtz
            | ColumnType::Other(_) => Self::Unsure,
        }
    }
}

/// Nobody sees it: the decoder says what is wrong, if anything is.
fn unsure<T, E: Error>() -> Result<T, E> {
    Err(E::custom(""))
}

/// Looks at the members of an object.
struct Members<'c>(&'c Check);

impl<'de> Visitor<'de> for Members<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let Check { columns, required } = self.0;
        let (mut next, mut seen, mut null) = (0, 0u64, 0);
        while let Some(place) = members.next_key_seed(Place { columns, next })? {
            let bit = 1 << place;
            if seen & bit != 0 {
                return unsure();
            }
            seen |= bit;
            let column = &columns[place];
            if !members.next_value_seed(Value(&column.kind))? {
                if !column.nullable {
                    return unsure();
                }
                null |= bit;
            }
            next = place + 1;
        }
        match seen & !null & required == *required {
            true => Ok(()),
            false => unsure(),
        }
    }
}

/// The place of the column that a key names, most often the next.
struct Place<'c> {
    columns: &'c [Known],
    next: usize,
}

impl<'de> DeserializeSeed<'de> for Place<'_> {
    type Value = usize;

    fn deserialize<D: Deserializer<'de>>(self, key: D) -> Result<usize, D::Error> {
        key.deserialize_str(self)
    }
}

impl Visitor<'_> for Place<'_> {
    type Value = usize;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<usize, E> {
        if self.columns.get(self.next).is_some_and(|c| c.name == key) {
            return Ok(self.next);
        }
        let place = self.columns.iter().position(|column| column.name == key);
        place.map_or_else(unsure, Ok)
    }
}

/// Looks at a value; false if it is null.
struct Value<'c>(&'c Kind);

impl<'de> DeserializeSeed<'de> for Value<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<bool, D::Error> {
        match self.0 {
            // To find the nearest number takes longer than all else.
            Kind::Floating => match <&RawValue>::deserialize(value)?.get() {
                "null" => Ok(false),
                text if is_short_number(text) => Ok(true),
                _ => unsure(),
            },
            _ => value.deserialize_any(self),
        }
    }
}

/// A JSON number that no type is too small for: without an exponent, and of a few digits.
fn is_short_number(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'.' | b'-');
    text.len() <= SHORT_NUMBER_BYTES_MAX && text.bytes().all(plain)
}

impl<'de> Visitor<'de> for Value<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: Error>(self) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<bool, E> {
        match self.0 {
            Kind::Boolean => Ok(true),
            _ => unsure(),
        }
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<bool, E> {
        match self.0 {
            Kind::Whole { min, max } if (*min..=*max).contains(&value) => Ok(true),
            _ => unsure(),
        }
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<bool, E> {
        i64::try_from(value).map_or_else(|_| unsure(), |value| self.visit_i64(value))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<bool, E> {
        match self.0 {
            Kind::Text { bytes_max } if text.len() <= *bytes_max => Ok(true),
            _ => unsure(),
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<bool, A::Error> {
        let Kind::Array(kind) = self.0 else {
            return unsure();
        };
        while let Some(given) = elements.next_element_seed(Value(kind))? {
            if !given {
                return unsure();
            }
        }
        Ok(true)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<bool, A::Error> {
        let kind = match self.0 {
            Kind::Struct(check) => return Members(check).visit_map(entries).map(|()| true),
            Kind::Map(kind) => kind,
            _ => return unsure(),
        };
        // Two that are the same by chance are left to the decoder, too.
        let mut hashes: Vec<u64> = Vec::new();
        while let Some(hash) = entries.next_key_seed(KeyHash)? {
            if hashes.contains(&hash) || !entries.next_value_seed(Value(kind))? {
                return unsure();
            }
            hashes.push(hash);
        }
        Ok(true)
    }
}

/// The hash of a key (FNV-1a).
struct KeyHash;

impl<'de> DeserializeSeed<'de> for KeyHash {
    type Value = u64;

    fn deserialize<D: Deserializer<'de>>(self, key: D) -> Result<u64, D::Error> {
        key.deserialize_str(self)
    }
}

impl Visitor<'_> for KeyHash {
    type Value = u64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<u64, E> {
        let fnv = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        Ok(key.bytes().fold(0xcbf2_9ce4_8422_2325, fnv))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use deltalake_core::arrow::datatypes::Schema;
    use deltalake_core::kernel::StructType;
    use deltalake_core::kernel::engine::arrow_conversion::TryIntoArrow as _;
    use fastrand::Rng;

    use super::*;
    use crate::emulator::columns::Rows;
    use crate::emulator::decode_json;
    use crate::emulator::delta_types::to_delta;

    const VALUES: &[&str] = &[
        "null",
        "true",
        "false",
        "0",
        "-1",
        "127",
        "128",
        "32768",
        "2147483648",
        "9223372036854775807",
        "9223372036854775808",
        "1.0",
        "1.5",
        "1e3",
        "3.5e38",
        "1e308",
        "1e999",
        "-0",
        "\"\"",
        "\"abc\"",
        "\"abcd\"",
        "\"12\"",
        "\"\\u00e9\\n\"",
        "\"\\ud800\"",
        "[]",
        "[1,2]",
        "[1,null]",
        "[\"a\"]",
        "{}",
        "{\"a\":1,\"b\":\"x\"}",
        "{\"b\":\"x\"}",
        "{\"a\":1,\"a\":2}",
        "{\"k\":1,\"l\":2}",
        "{\"k\":1,\"\\u006b\":2}",
        "{\"k\":null}",
        "01",
        "nul",
        "{",
        "\"2026-01-01\"",
    ];

    fn columns() -> Vec<Column> {
        let column = |name: &str, ty, nullable| Column::new(name, ty, nullable);
        let inner = vec![
            column("a", ColumnType::Int, false),
            column("b", ColumnType::String, true),
        ];
        [
            ColumnType::Boolean,
            ColumnType::TinyInt,
            ColumnType::SmallInt,
            ColumnType::Int,
            ColumnType::BigInt,
            ColumnType::Float,
            ColumnType::Double,
            ColumnType::String,
            ColumnType::Varchar(3),
            ColumnType::Date,
            ColumnType::Struct(inner),
            ColumnType::Array(ColumnType::Int.into()),
            ColumnType::Map(ColumnType::String.into(), ColumnType::BigInt.into()),
        ]
        .into_iter()
        .enumerate()
        .map(|(place, ty)| column(&format!("c{place}"), ty, place != 4))
        .collect()
    }

    /// Promise: what is good here, the decoder takes.
    #[test]
    fn records_that_are_good_are_taken() {
        let columns = columns();
        let schema = StructType::try_new(to_delta(&columns).unwrap()).unwrap();
        let schema: Schema = (&schema).try_into_arrow().unwrap();
        let schema = Arc::new(schema);
        let check = Check::new(&columns).unwrap();
        let (mut good, mut taken, mut refused) = (0, 0, 0);
        for seed in 0..20_000 {
            let rng = &mut Rng::with_seed(seed);
            let mut members = vec![format!("\"c4\":{}", rng.i32(..))];
            for _ in 0..rng.usize(..3) {
                let value = VALUES[rng.usize(..VALUES.len())];
                members.push(format!("\"c{}\":{value}", rng.usize(..columns.len() + 1)));
            }
            rng.shuffle(&mut members);
            let record = format!(
                "{{{}}}",
                members.join([",", ", ", ",,"][rng.usize(..30) / 14])
            );
            let mut rows = Rows::new(&columns, &schema).unwrap();
            let appended = decode_json::append(&record, &mut rows);
            if check.is_good(record.as_bytes()) {
                assert!(appended.is_ok(), "{record}: {appended:?}");
                good += 1;
            }
            taken += usize::from(appended.is_ok());
            refused += usize::from(appended.is_err());
        }
        assert!(
            good * 4 > taken * 3 && good < taken && refused > 2_000,
            "{good} {taken} {refused}"
        );
    }
}
