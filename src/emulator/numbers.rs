//! Exact decimals from text, and the values a column's type can hold.

use std::ops::RangeInclusive;

use super::shown::{quoted, shown};

/// 0001-01-01 to 9999-12-31 in days: what readers of Delta tables can show.
pub(super) const DATE_DAYS: RangeInclusive<i64> = -719_162..=2_932_896;
/// The same in microseconds.
pub(super) const TIMESTAMP_MICROS: RangeInclusive<i64> =
    -62_135_596_800_000_000..=253_402_300_799_999_999;

/// Digits of the largest DECIMAL.
const DIGITS_MAX: usize = 38;

/// The unscaled value of a decimal's text (`-12.5`, `1e3`), exactly.
pub(super) fn parse_decimal(text: &str, precision: u8, scale: u8) -> Result<i128, String> {
    let no_number = || {
        format!(
            "{} is no number for DECIMAL({precision},{scale})",
            quoted(text)
        )
    };
    let too_large = || format!("{} does not fit DECIMAL({precision},{scale})", shown(text));
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => {
            let exponent: i32 = exponent.parse().map_err(|_| no_number())?;
            (mantissa, i64::from(exponent))
        }
        None => (text, 0),
    };
    let (negative, unsigned) = match mantissa.as_bytes() {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        all => (false, all),
    };
    let point = unsigned.iter().position(|b| *b == b'.');
    let (whole, fraction) = match point {
        Some(at) => (&unsigned[..at], &unsigned[at + 1..]),
        None => (unsigned, &unsigned[..0]),
    };
    let mut digits: Vec<u8> = [whole, fraction].concat();
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(no_number());
    }
    if digits.iter().all(|b| *b == b'0') {
        return Ok(0);
    }
    // The value is `digits` with this many of them after the point.
    let mut places = fraction.len() as i64 - exponent;
    while places > i64::from(scale) && digits.last() == Some(&b'0') {
        digits.pop();
        places -= 1;
    }
    if places > i64::from(scale) {
        return Err(format!(
            "{} does not fit DECIMAL({precision},{scale}): more than {scale} digits after the point",
            shown(text)
        ));
    }
    let significant = digits.iter().skip_while(|b| **b == b'0').count();
    let zeros = usize::try_from(i64::from(scale) - places).map_err(|_| too_large())?;
    if significant.saturating_add(zeros) > usize::from(precision).min(DIGITS_MAX) {
        return Err(too_large());
    }
    digits.resize(digits.len() + zeros, b'0');
    // At most 38 significant digits: no overflow.
    let value = digits
        .iter()
        .fold(0_i128, |value, b| value * 10 + i128::from(b - b'0'));
    Ok(if negative { -value } else { value })
}

/// A whole number as the unscaled value of a DECIMAL.
pub(super) fn scale_integer(value: i128, precision: u8, scale: u8) -> Result<i128, String> {
    let limit = 10_i128.checked_pow(u32::from(precision));
    10_i128
        .checked_pow(u32::from(scale))
        .and_then(|factor| value.checked_mul(factor))
        .filter(|scaled| limit.is_none_or(|limit| scaled.unsigned_abs() < limit.unsigned_abs()))
        .ok_or_else(|| format!("{value} does not fit DECIMAL({precision},{scale})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_exact_or_refused() {
        for (text, expected) in [
            ("0", Some(0)),
            ("-0.00", Some(0)),
            ("1", Some(100)),
            ("12.5", Some(1250)),
            ("-12.50000", Some(-1250)),
            ("+.5", Some(50)),
            ("5.", Some(500)),
            ("1e2", Some(10_000)),
            ("125E-2", Some(125)),
            ("000123.45", Some(12_345)),
            ("999.99", Some(99_999)),
            ("1000", None),
            ("0.001", None),
            ("1e2147483647", None),
            ("0e2147483647", Some(0)),
            ("", None),
            (".", None),
            ("-", None),
            ("1,5", None),
            ("1e", None),
            ("NaN", None),
            (" 1", None),
        ] {
            assert_eq!(parse_decimal(text, 5, 2).ok(), expected, "{text:?}");
        }
        let nines = "9".repeat(38);
        assert_eq!(parse_decimal(&nines, 38, 0), Ok(10_i128.pow(38) - 1));
        assert!(parse_decimal(&format!("{nines}9"), 38, 0).is_err());
    }

    #[test]
    fn integers_are_scaled_within_the_precision() {
        assert_eq!(
            scale_integer(u64::MAX.into(), 20, 0),
            Ok(i128::from(u64::MAX))
        );
        assert_eq!(scale_integer(-999, 5, 2), Ok(-99_900));
        assert!(scale_integer(1000, 5, 2).is_err());
        assert!(scale_integer(i128::MAX, 38, 38).is_err());
    }
}
