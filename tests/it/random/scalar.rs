//! Random scalars, as JSON text.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use prost_reflect::{EnumDescriptor, Kind};

use super::row::Writer;

impl Writer<'_> {
    /// A whole number of a type; beyond its range where values go astray.
    pub(super) fn whole(&mut self, min: i128, max: i128) -> i128 {
        if self.stray() {
            let beyond = self.rng.i128(1..3_000) * [1, 1 << 20, 1 << 70][self.rng.usize(0..3)];
            return if self.rng.bool() {
                max + beyond
            } else {
                min - beyond
            };
        }
        let near = match self.rng.u8(0..8) {
            0 => min,
            1 => max,
            2 => self.rng.i128(min..=max),
            3 => (1 << self.rng.u8(0..64)) + self.rng.i128(-1..2),
            4 => -(1 << self.rng.u8(0..64)),
            _ => self.rng.i128(-100..1000),
        };
        near.clamp(min, max)
    }

    /// A whole number in one of the forms that a JSON number has.
    pub(super) fn integer(&mut self, min: i128, max: i128) -> String {
        let mut number = self.whole(min, max);
        if self.rng.u8(0..8) > 0 {
            return number.to_string();
        }
        let mut exponent = 0;
        while number % 10 == 0 && number != 0 && self.rng.bool() {
            number /= 10;
            exponent += 1;
        }
        match self.rng.u8(0..5) {
            0 => format!("{number}e{exponent}"),
            1 => format!("{number}.000E+{exponent}"),
            2 => format!("{number}0e{}", exponent - 1),
            3 if exponent == 0 => format!("{number}.0"),
            4 if self.stray() => format!("{number}.00000000000000000001e{exponent}"),
            _ => format!("{number}e{exponent}"),
        }
    }

    pub(super) fn float(&mut self, single: bool) -> String {
        let text = match self.rng.u8(0..10) {
            0 => self
                .pick(&["\"NaN\"", "\"Infinity\"", "\"-Infinity\""])
                .to_owned(),
            1 => self
                .pick(&["0", "-0", "0.0", "-0.0", "0e5", "1e-400", "-1e-400"])
                .to_owned(),
            2 => self.integer(i64::MIN.into(), u64::MAX.into()),
            3 if single => self
                .pick(&["3.4028235e38", "-3.4028234e38", "1.4e-45"])
                .to_owned(),
            3 => self
                .pick(&["1.7976931348623157e308", "5e-324", "-4.9e-324"])
                .to_owned(),
            4 if single => {
                // Half way between two floats, and a little more.
                let low = f32::from_bits(self.rng.u32(0x3000_0000..0x5000_0000));
                let high = f32::from_bits(low.to_bits() + 1);
                format!("{}0000000001", (f64::from(low) + f64::from(high)) / 2.0)
            }
            5 if self.stray > 0.0 => self
                .pick(&["3.5e38", "-1e40", "1e308", "-1e309"])
                .to_owned(),
            6 => format!("{}.{}", self.rng.i32(-1000..1000), self.rng.u32(0..1000)),
            _ if single => {
                let value = f32::from_bits(self.rng.u32(..));
                let value = if value.is_finite() { value } else { 1.5 };
                if self.rng.bool() {
                    format!("{value:e}")
                } else {
                    format!("{value:?}")
                }
            }
            _ => {
                let value = f64::from_bits(self.rng.u64(..));
                let value = if value.is_finite() { value } else { 1.5 };
                if self.rng.bool() {
                    format!("{value:E}")
                } else {
                    format!("{value:?}")
                }
            }
        };
        match text.starts_with('"') || self.rng.u8(0..5) > 0 {
            true => text,
            false => format!("\"{text}\""),
        }
    }

    pub(super) fn enumeration(&mut self, descriptor: &EnumDescriptor) -> String {
        let values: Vec<_> = descriptor.values().collect();
        let value = self.rng.choice(&values).unwrap();
        match self.rng.u8(0..12) {
            0 if self.stray() => self.rng.i32(..).to_string(),
            1 if self.stray() => format!("\"{}\"", value.number()),
            2 => format!("{}.0", value.number()),
            3..6 => value.number().to_string(),
            _ => self.string(value.name()),
        }
    }

    pub(super) fn bytes(&mut self) -> String {
        let bytes: Vec<u8> = (0..self.rng.usize(0..9)).map(|_| self.rng.u8(..)).collect();
        let engines = [&STANDARD, &STANDARD_NO_PAD, &URL_SAFE, &URL_SAFE_NO_PAD];
        let mut text = engines[self.rng.usize(0..4)].encode(bytes);
        if self.stray() {
            let at = self.rng.usize(0..=text.len());
            text.insert_str(at, self.pick(&["=", "-", "+", "*", " ", "A", "B"]));
        }
        self.string(&text)
    }

    pub(super) fn timestamp(&mut self) -> String {
        let year = [1, 1969, 1970, 2026, 9999][self.rng.usize(0..5)];
        let (month, day) = (self.rng.u8(1..13), self.rng.u8(1..29));
        let (hour, minute, second) = (self.rng.u8(0..24), self.rng.u8(0..60), self.rng.u8(0..60));
        let fraction = self.pick(&["", ".5", ".123456", ".000001", ".999999999", ".1234567"]);
        let zone = self.pick(&["Z", "Z", "+01:00", "-07:30", "+00:00"]);
        let text = format!(
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{fraction}{zone}"
        );
        match self.stray() {
            true => self
                .pick(&[
                    "\"2026-01-31 12:00:00Z\"",
                    "\"2026-01-31T12:00:00\"",
                    "1769860800000000",
                    "\"2026-01-31t12:00:00z\"",
                    "\"2026-02-30T12:00:00Z\"",
                    "\"2026-01-31T12:00Z\"",
                    "\"2026-01-31T12:00:60Z\"",
                    "\"2026-01-31T24:00:00Z\"",
                    "1769860800",
                    "\"\"",
                    "\"0001-01-01T00:00:00+01:00\"",
                    "\"9999-12-31T23:59:59-01:00\"",
                    "\"2026-01-31T12:00:00.Z\"",
                    "\"2026-01-31T12:00:00.1234567891Z\"",
                ])
                .to_owned(),
            false => format!("\"{text}\""),
        }
    }

    pub(super) fn duration(&mut self) -> String {
        match self.stray() {
            true => self
                .pick(&[
                    "\"1\"",
                    "1",
                    "\"1.s\"",
                    "\".5s\"",
                    "\"+1s\"",
                    "\"1.0000000001s\"",
                    "\"s\"",
                    "\"315576000001s\"",
                    "\"-315576000001s\"",
                    "\"1 s\"",
                    "\"1e2s\"",
                    "\"--1s\"",
                    "\"1m\"",
                    "\"315576000000.5s\"",
                ])
                .to_owned(),
            false => {
                let sign = self.pick(&["", "", "-"]);
                let seconds = [0, 1, 59, 86_400, 315_576_000_000u64][self.rng.usize(0..5)];
                let fraction = match seconds {
                    315_576_000_000 => "",
                    _ => self.pick(&["", ".5", ".000001", ".0000005", ".999999999", ".10"]),
                };
                format!("\"{sign}{seconds}{fraction}s\"")
            }
        }
    }
}

/// The range of an integer type.
pub fn range(kind: &Kind) -> (i128, i128) {
    match kind {
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => (i32::MIN.into(), i32::MAX.into()),
        Kind::Uint32 | Kind::Fixed32 => (0, u32::MAX.into()),
        Kind::Uint64 | Kind::Fixed64 => (0, u64::MAX.into()),
        _ => (i64::MIN.into(), i64::MAX.into()),
    }
}
