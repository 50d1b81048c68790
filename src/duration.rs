//! Durations as people write them.

use std::time::Duration;

/// So that no sum of a time and a duration overflows.
const DURATION_MAX: Duration = Duration::from_secs(366 * 86_400);

/// `200ms`, `15s`, `10m`, `2h`.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let expected = || format!("\"{text}\" is no duration, expected such as 200ms, 15s, 10m or 2h");
    let split = text
        .find(|c: char| c.is_ascii_alphabetic())
        .ok_or_else(expected)?;
    let (number, unit) = text.split_at(split);
    let number: f64 = number.trim().parse().map_err(|_| expected())?;
    let seconds = match unit {
        "ms" => number / 1_000.0,
        "s" => number,
        "m" => number * 60.0,
        "h" => number * 3_600.0,
        _ => return Err(expected()),
    };
    let duration = Duration::try_from_secs_f64(seconds).map_err(|_| expected())?;
    if duration > DURATION_MAX {
        return Err(format!("\"{text}\" is more than a year"));
    }
    Ok(duration)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_and_a_unit() {
        assert_eq!(parse("200ms"), Ok(Duration::from_millis(200)));
        assert_eq!(parse("10m"), Ok(Duration::from_secs(600)));
        for bad in ["", "5", "ms", "5 days", "-1s", "1e400s", "99999999h"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
