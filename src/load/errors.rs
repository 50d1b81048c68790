//! How many bad rows a load tolerates.

use std::str::FromStr;

/// `--max-errors`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum MaxErrors {
    /// This many rows.
    Count(u64),
    /// This share of the rows read, in percent.
    Percent(f64),
}

impl MaxErrors {
    /// A percentage says nothing before so many rows were read.
    pub const PERCENT_ROWS_MIN: u64 = 1_000;

    /// Whether more rows are bad than tolerated. `at_end`: no more rows will be read.
    pub fn exceeded(self, rejected: u64, read: u64, at_end: bool) -> bool {
        match self {
            Self::Count(max) => rejected > max,
            Self::Percent(max) => {
                let counts = at_end || read >= Self::PERCENT_ROWS_MIN;
                counts && rejected as f64 * 100.0 > max * read as f64
            }
        }
    }
}

impl FromStr for MaxErrors {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = || "expected a number of rows or a percentage such as 1%".to_owned();
        match text.strip_suffix('%') {
            None => text.parse().map(Self::Count).map_err(|_| expected()),
            Some(percent) => match percent.parse() {
                Ok(percent) if (0.0..=100.0).contains(&percent) => Ok(Self::Percent(percent)),
                _ => Err(expected()),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_and_percentages() {
        assert!(!MaxErrors::Count(0).exceeded(0, 10, true));
        assert!(MaxErrors::Count(0).exceeded(1, 1, false));
        let one: MaxErrors = "1%".parse().unwrap();
        assert!(!one.exceeded(5, 100, false), "too early to say");
        assert!(one.exceeded(5, 100, true));
        assert!(!one.exceeded(10, 1_000, false));
        assert!(one.exceeded(11, 1_000, false));
        for bad in ["", "-1", "101%", "x%", "1.5"] {
            assert!(bad.parse::<MaxErrors>().is_err(), "{bad}");
        }
    }
}
