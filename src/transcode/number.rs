//! Numbers as text → exact values: integers from every form that is whole, decimals with
//! every digit kept.

/// Why a text is not the number that is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Misfit {
    /// Not a number at all.
    NotANumber,
    /// A fraction where a whole number is wanted.
    Fraction,
    /// Too large or too small.
    Range,
}

/// A number's digits and where its point stands: `0.d1d2d3... × 10^point`.
struct Digits {
    negative: bool,
    /// Without leading and trailing zeros; empty for zero.
    digits: Vec<u8>,
    point: i64,
}

/// Takes a JSON number apart.
fn take_apart(text: &str) -> Option<Digits> {
    if !super::scanner::is_number(text) {
        return None;
    }
    let (negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        // An exponent beyond i32 is zero or out of range for everything here.
        Some((m, e)) => {
            let limit = if e.starts_with('-') {
                i32::MIN
            } else {
                i32::MAX
            };
            (m, i64::from(e.parse::<i32>().unwrap_or(limit)))
        }
        None => (text, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all = [whole.as_bytes(), fraction.as_bytes()].concat();
    let leading = all.iter().take_while(|&&b| b == b'0').count();
    let trailing = all[leading..]
        .iter()
        .rev()
        .take_while(|&&b| b == b'0')
        .count();
    let digits = all[leading..all.len() - trailing].to_vec();
    let point = match digits.is_empty() {
        true => 0,
        false => whole.len() as i64 - leading as i64 + exponent,
    };
    Some(Digits {
        negative,
        digits,
        point,
    })
}

/// Powers of ten from 1 on, each exact in its type: all that are, for the floats.
macro_rules! powers_of_ten {
    ($($name:ident $ty:ident $largest:literal),*) => {$(
        pub(super) const $name: [$ty; $largest + 1] = {
            let mut powers = [1 as $ty; $largest + 1];
            let mut at = 1;
            while at < powers.len() {
                powers[at] = powers[at - 1] * 10 as $ty;
                at += 1;
            }
            powers
        };
    )*};
}
powers_of_ten!(U64_POWERS u64 19, F32_POWERS f32 10, F64_POWERS f64 22);

/// A whole number: `12`, `-3`, `1e3`, `1.0`.
pub(super) fn integer(text: &str) -> Result<i128, Misfit> {
    // What nearly all rows hold: a sign and up to 18 digits.
    let (negative, plain) = match text.as_bytes() {
        [b'-', rest @ ..] => (true, rest),
        all => (false, all),
    };
    let canonical = plain.first() != Some(&b'0') || plain.len() == 1;
    if canonical && (1..=18).contains(&plain.len()) && plain.iter().all(u8::is_ascii_digit) {
        let value = plain.iter().fold(0i64, |v, b| v * 10 + i64::from(b - b'0'));
        return Ok(i128::from(if negative { -value } else { value }));
    }
    let Digits {
        negative,
        digits,
        point,
    } = take_apart(text).ok_or(Misfit::NotANumber)?;
    if digits.is_empty() {
        return Ok(0);
    }
    if point < digits.len() as i64 {
        return Err(Misfit::Fraction);
    }
    // 38 digits fit an i128; the widest integer here has 20.
    if point > 38 {
        return Err(Misfit::Range);
    }
    let mut value = digits
        .iter()
        .fold(0i128, |v, b| v * 10 + i128::from(b - b'0'));
    for _ in digits.len() as i64..point {
        value *= 10;
    }
    Ok(if negative { -value } else { value })
}

/// Exact decimal text for DECIMAL(precision, scale), without an exponent.
pub(super) fn decimal(text: &str, precision: u8, scale: u8) -> Result<String, Misfit> {
    let number = take_apart(text).ok_or(Misfit::NotANumber)?;
    let Digits {
        negative,
        digits,
        point,
    } = number;
    if digits.is_empty() {
        return Ok("0".to_owned());
    }
    if digits.len() as i64 - point > i64::from(scale) {
        return Err(Misfit::Fraction);
    }
    if point > i64::from(precision - scale) {
        return Err(Misfit::Range);
    }
    let digits: String = digits.iter().map(|&b| char::from(b)).collect();
    let sign = if negative { "-" } else { "" };
    let len = digits.len();
    Ok(match usize::try_from(point) {
        Ok(point) if point >= len => format!("{sign}{digits}{}", "0".repeat(point - len)),
        Ok(point) if point > 0 => format!("{sign}{}.{}", &digits[..point], &digits[point..]),
        // At most `scale` zeros: more were a fraction too fine above.
        _ => format!(
            "{sign}0.{}{digits}",
            "0".repeat(point.unsigned_abs() as usize)
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_in_every_form() {
        for (text, value) in [
            ("0", 0),
            ("-0", 0),
            ("12", 12),
            ("-7", -7),
            ("1e3", 1000),
            ("1.50e1", 15),
            ("100e-2", 1),
            ("0e99999999999", 0),
            ("18446744073709551615", 18_446_744_073_709_551_615),
            ("-9223372036854775808", -9_223_372_036_854_775_808),
        ] {
            assert_eq!(integer(text), Ok(value), "{text}");
        }
        for (text, misfit) in [
            ("1.5", Misfit::Fraction),
            ("1e-1", Misfit::Fraction),
            ("1e-99999999999", Misfit::Fraction),
            ("1e39", Misfit::Range),
            ("1e99999999999", Misfit::Range),
            ("", Misfit::NotANumber),
            ("-", Misfit::NotANumber),
            ("+1", Misfit::NotANumber),
            ("01", Misfit::NotANumber),
            (" 1", Misfit::NotANumber),
            ("1,234", Misfit::NotANumber),
            ("0x10", Misfit::NotANumber),
            ("12x", Misfit::NotANumber),
        ] {
            assert_eq!(integer(text), Err(misfit), "{text}");
        }
        let long = "9".repeat(10_000);
        assert_eq!(integer(&long), Err(Misfit::Range));
    }

    #[test]
    fn decimals_keep_every_digit() {
        for (text, value) in [
            ("12.30", "12.3"),
            ("-0.05", "-0.05"),
            ("1e3", "1000"),
            ("12345678.99", "12345678.99"),
            ("0.00", "0"),
            ("5e-2", "0.05"),
        ] {
            assert_eq!(decimal(text, 10, 2).as_deref(), Ok(value), "{text}");
        }
        assert_eq!(decimal("0.005", 10, 2), Err(Misfit::Fraction));
        assert_eq!(decimal("123456789", 10, 2), Err(Misfit::Range));
        assert_eq!(decimal("1e99999999999", 10, 2), Err(Misfit::Range));
        assert_eq!(decimal("abc", 10, 2), Err(Misfit::NotANumber));
        assert_eq!(decimal("0.001", 3, 3).as_deref(), Ok("0.001"));
    }
}
