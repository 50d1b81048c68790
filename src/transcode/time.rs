//! Timestamps and dates: text and numbers → microseconds or days since 1970-01-01.

use jiff::SignedDuration;
use jiff::civil::{Date, DateTime};
use jiff::tz::{AmbiguousOffset, TimeZone};

/// How numbers and text without an offset are read.
#[derive(Debug, Clone)]
pub struct TimeRules {
    /// What one unit of a number is, in microseconds.
    pub unit_us: i64,
    /// The zone of text without an offset.
    pub zone: TimeZone,
    /// What a time that stands twice on the zone's clock means.
    pub ambiguous: Ambiguous,
    /// Take numbers whose unit is plainly wrong.
    pub allow_epoch: bool,
}

/// What to make of a time that occurs twice, when clocks are put back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ambiguous {
    /// It is a bad row.
    Reject,
    /// The first of the two.
    Earlier,
    /// The second.
    Later,
}

impl Default for TimeRules {
    fn default() -> Self {
        Self {
            unit_us: 1,
            zone: TimeZone::UTC,
            ambiguous: Ambiguous::Reject,
            allow_epoch: false,
        }
    }
}

const DAY_US: u64 = 86_400_000_000;
/// Numbers nearer to the epoch than this are taken for a wrong unit: the year 2001 in
/// milliseconds lands within 12 days, the year 2100 within 48.
const EPOCH_GUARD_US: u64 = 60 * DAY_US;
/// 5000-01-01T00:00:00Z: a later number is taken for a wrong unit, too.
const LATEST_US: i64 = 95_617_584_000_000_000;

/// A number in a timestamp field, in microseconds.
///
/// # Errors
/// What is wrong, to follow the value in a message.
pub(super) fn from_number(value: i128, rules: &TimeRules) -> Result<i64, &'static str> {
    let us = value.checked_mul(i128::from(rules.unit_us));
    let us = us.and_then(|us| i64::try_from(us).ok());
    let us = us.ok_or(OUT_OF_RANGE)?;
    if rules.allow_epoch {
        return in_range(us);
    }
    if us != 0 && us.unsigned_abs() < EPOCH_GUARD_US {
        return Err(
            "is within 60 days of 1970-01-01: is it in milliseconds or seconds? (--timestamp-unit ms or s; --allow-epoch takes it as it is)",
        );
    }
    if us >= LATEST_US {
        return Err(
            "is after the year 5000: is the unit right? (--timestamp-unit us, ms or s; --allow-epoch takes it as it is)",
        );
    }
    in_range(us)
}

const OUT_OF_RANGE: &str = "is outside of the years 1 to 9999, which is what a table holds";

/// 0001-01-01T00:00:00Z to the end of 9999, in microseconds: beyond it readers of Delta
/// tables disagree or fail.
fn in_range(us: i64) -> Result<i64, &'static str> {
    match us {
        -62_135_596_800_000_000..=253_402_300_799_999_999 => Ok(us),
        _ => Err(OUT_OF_RANGE),
    }
}

/// The same for days.
pub(super) fn days_in_range(days: i32) -> Result<i32, &'static str> {
    match days {
        -719_162..=2_932_896 => Ok(days),
        _ => Err(OUT_OF_RANGE),
    }
}

/// Text in a TIMESTAMP field: RFC 3339, or without an offset in the rules' zone. Also says
/// whether digits past microseconds were cut.
pub(super) fn timestamp(text: &str, rules: &TimeRules) -> Result<(i64, bool), &'static str> {
    const EXPECTED: &str = "is not a timestamp (expected RFC 3339, such as 2026-01-31T12:00:00Z, or YYYY-MM-DD HH:MM:SS)";
    let (local, offset) = split_offset(text).ok_or(EXPECTED)?;
    let (local, cut) = civil(local).ok_or(EXPECTED)?;
    let wall = micros_of(local);
    let offset = match offset {
        Some(seconds) => seconds,
        None if rules.zone == TimeZone::UTC => 0,
        None => zone_offset(local, rules)?,
    };
    Ok((in_range(wall - i64::from(offset) * 1_000_000)?, cut))
}

/// The zone's offset at a time on its clock, in seconds.
fn zone_offset(local: DateTime, rules: &TimeRules) -> Result<i32, &'static str> {
    let offset = match rules.zone.to_ambiguous_timestamp(local).offset() {
        AmbiguousOffset::Unambiguous { offset } => offset,
        AmbiguousOffset::Gap { .. } => {
            return Err("does not exist in the time zone: clocks are put forward over it");
        }
        AmbiguousOffset::Fold { before, after } => match rules.ambiguous {
            Ambiguous::Reject => {
                return Err(
                    "occurs twice in the time zone: clocks are put back (--ambiguous earlier or later chooses)",
                );
            }
            Ambiguous::Earlier => before,
            Ambiguous::Later => after,
        },
    };
    Ok(offset.seconds())
}

/// Text in a TIMESTAMP_NTZ field: a date and time without an offset.
pub(super) fn wall_clock(text: &str) -> Result<(i64, bool), &'static str> {
    const EXPECTED: &str = "is not a time without a zone (expected YYYY-MM-DD HH:MM:SS)";
    match split_offset(text).ok_or(EXPECTED)? {
        (_, Some(_)) => Err("has an offset, which a TIMESTAMP_NTZ has no room for"),
        (local, None) => {
            let (local, cut) = civil(local).ok_or(EXPECTED)?;
            Ok((in_range(micros_of(local))?, cut))
        }
    }
}

/// Text in a DATE field.
pub(super) fn date(text: &str) -> Result<i32, &'static str> {
    const EXPECTED: &str = "is not a date (expected YYYY-MM-DD)";
    if text.len() != 10 || !text.bytes().all(|b| b.is_ascii_digit() || b == b'-') {
        return Err(EXPECTED);
    }
    let date: Date = text.parse().map_err(|_| EXPECTED)?;
    let since = date.duration_since(Date::constant(1970, 1, 1));
    let days = i32::try_from(since.as_secs().div_euclid(86_400)).map_err(|_| EXPECTED)?;
    days_in_range(days)
}

/// A google.protobuf.Duration in its JSON form: seconds with an `s` behind.
pub(super) fn duration(text: &str) -> Result<(i64, bool), &'static str> {
    const EXPECTED: &str = "is not a duration (expected seconds such as \"1.5s\")";
    let seconds = text.strip_suffix('s').ok_or(EXPECTED)?;
    let negative = seconds.starts_with('-');
    let (whole, fraction) = seconds.split_once('.').unwrap_or((seconds, "0"));
    let whole_digits = whole.strip_prefix('-').unwrap_or(whole);
    let all_digits = |t: &str| !t.is_empty() && t.bytes().all(|b| b.is_ascii_digit());
    if !all_digits(whole_digits) || !all_digits(fraction) || fraction.len() > 9 {
        return Err(EXPECTED);
    }
    let whole: i64 = whole_digits.parse().map_err(|_| EXPECTED)?;
    let nanos: i32 = format!("{fraction:0<9}").parse().map_err(|_| EXPECTED)?;
    // The range that protobuf gives: about 10,000 years.
    if whole > 315_576_000_000 {
        return Err("is out of range for a duration");
    }
    let (us, cut) = micros(SignedDuration::new(whole, nanos));
    Ok((if negative { -us } else { us }, cut))
}

/// Microseconds, rounded down; whether anything was cut.
fn micros(since: SignedDuration) -> (i64, bool) {
    let nanos = since.as_nanos();
    let us = nanos.div_euclid(1_000);
    (us as i64, nanos.rem_euclid(1_000) != 0)
}

/// Microseconds of a wall clock since 1970 began on it.
fn micros_of(local: DateTime) -> i64 {
    micros(local.duration_since(DateTime::constant(1970, 1, 1, 0, 0, 0, 0))).0
}

/// Parts `...Z`, `...+01:00` or `...-01:00` from the time before; the offset in seconds.
fn split_offset(text: &str) -> Option<(&str, Option<i32>)> {
    if let Some(local) = text.strip_suffix(['Z', 'z']) {
        return Some((local, Some(0)));
    }
    let Some(at) = text
        .len()
        .checked_sub(6)
        .filter(|&at| text.is_char_boundary(at))
    else {
        return Some((text, None));
    };
    let (local, offset) = text.split_at(at);
    let sign = match offset.as_bytes()[0] {
        b'+' => 1,
        b'-' => -1,
        _ => return Some((text, None)),
    };
    let (hours, minutes) = offset[1..].split_once(':')?;
    let number = |digits: &str, max: i32| {
        let plain = digits.len() == 2 && digits.bytes().all(|b| b.is_ascii_digit());
        let value: i32 = plain.then(|| digits.parse().ok())??;
        (value <= max).then_some(value)
    };
    Some((
        local,
        Some(sign * (number(hours, 23)? * 3_600 + number(minutes, 59)? * 60)),
    ))
}

/// A date and time without an offset; whether digits past microseconds were cut. Second 60
/// is refused: there is no microsecond for it.
fn civil(text: &str) -> Option<(DateTime, bool)> {
    let bytes = text.as_bytes();
    let separated = matches!(bytes.get(10)?, b'T' | b't' | b' ');
    let plain = bytes[..10].iter().all(|b| b.is_ascii_digit() || *b == b'-')
        && bytes[11..]
            .iter()
            .all(|b| b.is_ascii_digit() || matches!(b, b':' | b'.'));
    // Seconds are required: `12:30` alone could mean anything.
    if !separated || !plain || bytes.len() < 19 || &bytes[17..19] == b"60" {
        return None;
    }
    // The digits that are cut: jiff takes nine of them at most.
    let keep = text.len().min(26);
    let cut = bytes[keep..].iter().any(|&b| b != b'0');
    if !bytes[keep..].iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some((text[..keep].parse().ok()?, cut))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEW_YEAR_2026: i64 = 1_767_225_600_000_000;

    #[test]
    fn text_with_and_without_an_offset() {
        let utc = TimeRules::default();
        for text in [
            "2026-01-01T00:00:00Z",
            "2026-01-01T01:00:00+01:00",
            "2026-01-01 00:00:00",
            "2026-01-01T00:00:00.000",
        ] {
            assert_eq!(timestamp(text, &utc), Ok((NEW_YEAR_2026, false)), "{text}");
        }
        assert_eq!(
            timestamp("2026-01-01T00:00:00.0000019Z", &utc),
            Ok((NEW_YEAR_2026 + 1, true))
        );
        for text in [
            "2026-01-01",
            "2026-13-01T00:00:00Z",
            "2026-01-01T12:30:60Z",
            "2026-01-01T24:00:00Z",
            "2026-01-01T12:30:00+25:00",
            "2026-01-01T12:30+01:00",
            "2026-01-01T12:30:00.Z",
            "2026-01-01T12:30:00+01:00[Europe/Zurich]",
            "2026-01-01T12:30:00Zé",
            "noon",
            "2026-01-01T00:00",
            "1767225600",
        ] {
            assert!(timestamp(text, &utc).is_err(), "{text}");
        }
    }

    #[test]
    fn the_ends_of_the_calendar_and_long_fractions() {
        let utc = TimeRules::default();
        let last = 253_402_300_799_000_000;
        for text in ["9999-12-31T23:59:59Z", "9999-12-31 23:59:59"] {
            assert_eq!(timestamp(text, &utc), Ok((last, false)));
        }
        assert_eq!(wall_clock("9999-12-31 23:59:59"), Ok((last, false)));
        assert_eq!(
            timestamp("1969-12-31T23:59:59.999999999999Z", &utc),
            Ok((-1, true))
        );
        assert_eq!(
            timestamp("2026-01-01T00:00:00.0000000000Z", &utc),
            Ok((NEW_YEAR_2026, false))
        );
        for beyond in [
            "0000-12-31T23:59:59Z",
            "0001-01-01T00:00:00+14:00",
            "9999-12-31T23:59:59-14:00",
        ] {
            assert_eq!(timestamp(beyond, &utc), Err(OUT_OF_RANGE), "{beyond}");
        }
        assert_eq!(from_number(i64::MIN.into(), &utc), Err(OUT_OF_RANGE));
        assert_eq!(date("0000-12-31"), Err(OUT_OF_RANGE));
        assert_eq!(date("0001-01-01"), Ok(-719_162));
        assert_eq!(date("9999-12-31"), Ok(2_932_896));
    }

    #[test]
    fn a_zones_gap_is_bad_and_its_overlap_is_a_choice() {
        let mut rules = TimeRules {
            zone: TimeZone::get("Europe/Zurich").unwrap(),
            ..TimeRules::default()
        };
        assert!(
            timestamp("2026-03-29 02:30:00", &rules)
                .unwrap_err()
                .contains("does not exist")
        );
        assert!(
            timestamp("2026-10-25 02:30:00", &rules)
                .unwrap_err()
                .contains("twice")
        );
        rules.ambiguous = Ambiguous::Earlier;
        let earlier = timestamp("2026-10-25 02:30:00", &rules).unwrap().0;
        rules.ambiguous = Ambiguous::Later;
        let later = timestamp("2026-10-25 02:30:00", &rules).unwrap().0;
        assert_eq!(later - earlier, 3_600_000_000);
    }

    #[test]
    fn a_number_in_the_wrong_unit_is_caught() {
        let us = TimeRules::default();
        let ms = TimeRules {
            unit_us: 1_000,
            ..TimeRules::default()
        };
        assert_eq!(from_number(0, &us), Ok(0));
        assert_eq!(
            from_number(i128::from(NEW_YEAR_2026), &us),
            Ok(NEW_YEAR_2026)
        );
        assert_eq!(from_number(1_767_225_600_000, &ms), Ok(NEW_YEAR_2026));
        assert!(
            from_number(1_767_225_600_000, &us)
                .unwrap_err()
                .contains("1970")
        );
        assert!(
            from_number(i128::from(NEW_YEAR_2026), &ms)
                .unwrap_err()
                .contains("5000")
        );
    }

    #[test]
    fn dates_durations_and_wall_clocks() {
        assert_eq!(date("1970-01-02"), Ok(1));
        assert_eq!(date("1969-12-31"), Ok(-1));
        assert!(date("2026-02-30").is_err() && date("2026-2-3").is_err());
        assert_eq!(duration("-1.5s"), Ok((-1_500_000, false)));
        assert_eq!(duration("0.0000001s"), Ok((0, true)));
        assert!(duration("1.5").is_err() && duration("s").is_err() && duration("+1s").is_err());
        assert_eq!(
            wall_clock("2026-01-01 00:00:00"),
            Ok((NEW_YEAR_2026, false))
        );
        assert!(
            wall_clock("2026-01-01T00:00:00Z")
                .unwrap_err()
                .contains("offset")
        );
    }
}
