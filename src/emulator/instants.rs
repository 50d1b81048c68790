//! Dates and times of JSON records, over the whole years 1 to 9999: jiff's own `Timestamp`
//! ends a day before they do.

use jiff::civil::{Date, DateTime, Time};
use jiff::fmt::temporal::Pieces;

/// `YYYY-MM-DD`
const DATE_BYTES: usize = 10;
const DAY_MICROS: i64 = 86_400_000_000;

/// Days since 1970-01-01 of `YYYY-MM-DD`.
pub(super) fn days(text: &str) -> Option<i64> {
    let date: Date = (text.len() == DATE_BYTES).then_some(text)?.parse().ok()?;
    Some(since_epoch(date.into())?.div_euclid(DAY_MICROS))
}

/// Microseconds since 1970-01-01 of a time with its offset, by RFC 3339.
pub(super) fn micros(text: &str) -> Option<i64> {
    let pieces = pieces(text)?;
    let offset = pieces.to_numeric_offset()?.seconds();
    let local = since_epoch(pieces.date().to_datetime(pieces.time()?))?;
    Some(local - i64::from(offset) * 1_000_000)
}

/// The same of a wall clock's time, which has no offset.
pub(super) fn wall_micros(text: &str) -> Option<i64> {
    let pieces = pieces(text)?;
    let time = pieces.time().unwrap_or(Time::midnight());
    match pieces.offset() {
        None => since_epoch(pieces.date().to_datetime(time)),
        Some(_) => None,
    }
}

/// A date with its dashes, and a time without the name of a zone, which could contradict the
/// offset, and without a leap second, for which a TIMESTAMP has no place.
fn pieces(text: &str) -> Option<Pieces<'_>> {
    let bytes = text.as_bytes();
    let dashes = bytes.get(4) == Some(&b'-') && bytes.get(7) == Some(&b'-');
    let leap = bytes.get(17..19) == Some(b"60");
    let plain = dashes && !leap && !text.contains('[');
    plain.then(|| Pieces::parse(text).ok()).flatten()
}

/// Digits past microseconds are cut.
fn since_epoch(time: DateTime) -> Option<i64> {
    let since = time.duration_since(Date::constant(1970, 1, 1).into());
    i64::try_from(since.as_nanos().div_euclid(1_000)).ok()
}

#[cfg(test)]
mod tests {
    use super::super::numbers::{DATE_DAYS, TIMESTAMP_MICROS};
    use super::*;

    #[test]
    fn the_first_and_the_last_of_all_years() {
        assert_eq!(days("0001-01-01"), Some(*DATE_DAYS.start()));
        assert_eq!(days("9999-12-31"), Some(*DATE_DAYS.end()));
        let (first, last) = TIMESTAMP_MICROS.into_inner();
        assert_eq!(micros("0001-01-01T00:00:00Z"), Some(first));
        assert_eq!(micros("9999-12-31T23:59:59.999999Z"), Some(last));
        assert_eq!(wall_micros("0001-01-01T00:00:00"), Some(first));
        assert_eq!(wall_micros("9999-12-31 23:59:59.999999"), Some(last));
    }

    #[test]
    fn before_1970_and_with_offsets() {
        assert_eq!(days("1969-12-31"), Some(-1));
        assert_eq!(days("1969-12-31T23:59:59"), None);
        assert_eq!(days("19691231"), None);
        for (text, expected) in [
            ("1970-01-01T00:00:00Z", Some(0)),
            ("1970-01-01T00:00:00-01:30", Some(5_400_000_000)),
            ("1970-01-01T01:30:00+01:30", Some(0)),
            ("1969-12-31T23:59:59.999999Z", Some(-1)),
            ("1969-12-31T23:59:59.9999999Z", Some(-1)),
            ("1969-12-31T23:59:59.0000009Z", Some(-1_000_000)),
            ("2024-02-29 12:00:00.5+00:00", Some(1_709_208_000_500_000)),
            ("2024-02-30T12:00:00Z", None),
            ("2024-02-29T12:00:00", None),
            ("2024-02-29Z", None),
            ("noon", None),
            ("20240229T120000Z", None),
            ("2016-12-31T23:59:60Z", None),
            ("2024-02-29T12:00:00+05:00[Europe/Paris]", None),
        ] {
            assert_eq!(micros(text), expected, "{text}");
        }
        for (text, expected) in [
            ("1969-12-31T23:59:59.999999", Some(-1)),
            ("1970-01-02", Some(86_400_000_000)),
            ("1970-01-01T00:00:00Z", None),
            ("1970-01-01T00:00:00+01:00", None),
            ("", None),
            ("20240229", None),
            ("2024-02-29T12:00:00[Europe/Paris]", None),
        ] {
            assert_eq!(wall_micros(text), expected, "{text}");
        }
    }
}
