//! Where the transcoder, on purpose, differs from prost-reflect: the one list of it. Each
//! entry is tested by its example, excuses what the random rows find, and stands in
//! ARCHITECTURE.md.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use zerobus::transcode::{Reason, ReasonKind};

use super::Subject;
use super::schema::Schema;
use super::strict::Faults;
use super::tokens::{is_not_a, last_token, shown, unquoted, whole};
use super::values::Plain;

pub struct Difference {
    pub name: &'static str,
    /// The file of a message `Row`.
    pub schema: &'static str,
    pub row: &'static str,
    pub ours: Outcome,
    pub prost_reflect: Outcome,
    /// What the PyPI package `protobuf` does, which `tests/json_format.py` checks.
    pub json_format: Outcome,
    pub reason: &'static str,
    pub excuse: Excuse,
}

#[derive(Clone, Copy)]
pub enum Outcome {
    Refused,
    /// Taken, with the values that this row has for prost-reflect.
    As(&'static str),
    /// Taken, with values that no row has for prost-reflect.
    Values(&'static str),
}

/// What exactly is excused.
#[derive(Clone, Copy)]
pub enum Excuse {
    /// That we refuse, for this reason, what they take.
    Refusal(fn(&Reason, &Faults) -> bool),
    /// That they refuse a token, with this error, which we take. In its place goes what
    /// means the same to both.
    Acceptance(fn(error: &str, token: &str) -> Option<String>),
    /// Other values than theirs.
    Values(fn(ours: &Plain, theirs: &Plain) -> bool),
    /// Random rows have none of it.
    NeverDrawn,
}

impl Difference {
    pub fn subject(&self) -> Subject {
        let schema = Schema {
            files: vec![("row.proto", self.schema.to_owned())],
            root: "Row".to_owned(),
        };
        Subject::new(schema.compile().unwrap())
    }

    pub fn excuses_refusal(&self, reason: &Reason, faults: &Faults) -> bool {
        matches!(self.excuse, Excuse::Refusal(excuses) if excuses(reason, faults))
    }

    /// The row with what they refuse written as they take it.
    pub fn excuses_acceptance(&self, row: &str, error: &str) -> Option<String> {
        let Excuse::Acceptance(rewrite) = self.excuse else {
            return None;
        };
        let (_, column) = error.rsplit_once(" column ")?;
        let before = row.get(..column.parse().ok()?)?.trim_end();
        let start = last_token(before);
        let new = rewrite(error, &before[start..])?;
        Some(format!("{}{new}{}", &row[..start], &row[before.len()..]))
    }

    pub fn excuses_values(&self, ours: &Plain, theirs: &Plain) -> bool {
        let Excuse::Values(excuses) = self.excuse else {
            return false;
        };
        match (ours, theirs) {
            (Plain::Wrapped(a), Plain::Wrapped(b)) if !excuses(ours, theirs) => excuses(a, b),
            _ => excuses(ours, theirs),
        }
    }
}

pub const DIFFERENCES: &[Difference] = &[
    Difference {
        name: "a key given twice",
        schema: "syntax = \"proto2\"; message Row { optional int32 n = 1; }",
        row: r#"{"n":1,"n":2}"#,
        ours: Outcome::Refused,
        prost_reflect: Outcome::As(r#"{"n":2}"#),
        json_format: Outcome::Refused,
        reason: "readers disagree on which of the two counts",
        excuse: Excuse::Refusal(|reason, faults| {
            let twice = reason.message == "given twice" && faults.field_twice;
            reason.kind == ReasonKind::Duplicate && twice
        }),
    },
    Difference {
        name: "a required field that is missing or null",
        schema: "syntax = \"proto2\"; message Row { required int32 n = 1; optional int32 m = 2; }",
        row: r#"{"m":1,"n":null}"#,
        ours: Outcome::Refused,
        prost_reflect: Outcome::As(r#"{"m":1}"#),
        json_format: Outcome::As(r#"{"m":1}"#),
        reason: "the service refuses such a record",
        excuse: Excuse::Refusal(|reason, faults| {
            reason.kind == ReasonKind::Missing && (faults.missing || faults.field_twice)
        }),
    },
    Difference {
        name: "an enum number without a name",
        schema: "syntax = \"proto3\"; message Row { Kind k = 1; } enum Kind { ZERO = 0; }",
        row: r#"{"k":7}"#,
        ours: Outcome::Refused,
        prost_reflect: Outcome::As(r#"{"k":7}"#),
        json_format: Outcome::As(r#"{"k":7}"#),
        reason: "the column holds the name",
        excuse: Excuse::Refusal(|reason, faults| {
            let number = shown(reason).parse::<i32>().is_ok() && is_not_a(reason, "value of ");
            reason.kind == ReasonKind::Type && number && (faults.unnamed || faults.field_twice)
        }),
    },
    Difference {
        name: "an enum number written as `1.0` or `1e0`",
        schema: "syntax = \"proto3\"; message Row { Kind k = 1; } enum Kind { ZERO = 0; ONE = 1; }",
        row: r#"{"k":1.0}"#,
        ours: Outcome::As(r#"{"k":1}"#),
        prost_reflect: Outcome::Refused,
        json_format: Outcome::As(r#"{"k":1}"#),
        reason: "it is the number 1, as in every other field",
        excuse: Excuse::Acceptance(|error, token| {
            let floating = error.starts_with("invalid type: floating point");
            (floating && error.contains("expected a string or integer")).then(|| whole(token))?
        }),
    },
    Difference {
        name: "a whole number written as `\"1.0\"` or `\"1e2\"`",
        schema: "syntax = \"proto3\"; message Row { map<int32, uint64> m = 1; }",
        row: r#"{"m":{"1e2":"2.0"}}"#,
        ours: Outcome::As(r#"{"m":{"100":2}}"#),
        prost_reflect: Outcome::Refused,
        json_format: Outcome::As(r#"{"m":{"100":2}}"#),
        reason: "protobuf's JSON mapping takes numbers and strings alike",
        excuse: Excuse::Acceptance(|error, token| {
            let parsing = error.starts_with("invalid digit found in string")
                || error.starts_with("number too ");
            let inner: String = serde_json::from_str(token).ok()?;
            // `-0` is their `invalid digit` in an unsigned field.
            let form = inner.contains(['.', 'e', 'E']) || inner == "-0";
            (parsing && form)
                .then(|| whole(&inner))
                .flatten()
                .map(|n| format!("\"{n}\""))
        }),
    },
    Difference {
        name: "an integer beyond 64 bits",
        schema: "syntax = \"proto3\"; message Row { int64 n = 1; }",
        row: r#"{"n":-9223372036854775809}"#,
        ours: Outcome::Refused,
        prost_reflect: Outcome::As(r#"{"n":-9223372036854775808}"#),
        json_format: Outcome::Refused,
        reason: "a number is kept as it is or refused, never brought into range",
        excuse: Excuse::Refusal(|reason, _| {
            let bounds = [-(2f64.powi(63)), 2f64.powi(63), 2f64.powi(64)];
            let at_bound = shown(reason)
                .parse()
                .is_ok_and(|n: f64| bounds.contains(&n));
            let mut unsigned = [" a uint64 ", " a fixed64 "].into_iter();
            let digits = whole(shown(reason)).unwrap_or_default();
            let fits = match unsigned.any(|ty| reason.message.contains(ty)) {
                true => digits.parse::<u64>().is_ok(),
                false => digits.parse::<i64>().is_ok(),
            };
            reason.kind == ReasonKind::Range && at_bound && !fits
        }),
    },
    Difference {
        name: "a large integer with a point or an exponent",
        schema: "syntax = \"proto3\"; message Row { int64 n = 1; }",
        row: r#"{"n":9007199254740993.0}"#,
        ours: Outcome::As(r#"{"n":9007199254740993}"#),
        prost_reflect: Outcome::As(r#"{"n":9007199254740992}"#),
        json_format: Outcome::As(r#"{"n":9007199254740992}"#),
        reason: "every digit counts; others go through a double",
        excuse: Excuse::Values(|ours, theirs| match (ours, theirs) {
            (Plain::Int(a), Plain::Int(b)) => a.abs() > 1 << 53 && *a as f64 == *b as f64,
            _ => false,
        }),
    },
    Difference {
        name: "a fraction too small for a double to show",
        schema: "syntax = \"proto3\"; message Row { int32 n = 1; }",
        row: r#"{"n":1.00000000000000000001}"#,
        ours: Outcome::Refused,
        prost_reflect: Outcome::As(r#"{"n":1}"#),
        json_format: Outcome::As(r#"{"n":1}"#),
        reason: "every digit counts; others go through a double",
        excuse: Excuse::Refusal(|reason, _| {
            let rounds = shown(reason).parse().is_ok_and(|n: f64| n.fract() == 0.0);
            rounds
                && whole(shown(reason)).is_none()
                && reason.message.contains(" is not a whole number")
        }),
    },
    Difference {
        name: "a number in a string that is no JSON number",
        schema: "syntax = \"proto3\"; message Row { double d = 1; }",
        row: r#"{"d":"+.5"}"#,
        ours: Outcome::Refused,
        prost_reflect: Outcome::As(r#"{"d":0.5}"#),
        json_format: Outcome::As(r#"{"d":0.5}"#),
        reason: "`+5`, `007`, `inf`: each library takes others",
        excuse: Excuse::Refusal(|reason, _| {
            let text = unquoted(reason).unwrap_or_default();
            let number = text.parse::<i128>().is_ok() || text.parse::<f64>().is_ok();
            let ours = serde_json::from_str::<serde_json::Number>(text).is_ok()
                || ["NaN", "Infinity", "-Infinity"].contains(&text);
            let types = ["int", "uint", "sint", "fixed", "sfixed", "double", "float"];
            let numeric = types.iter().any(|ty| is_not_a(reason, ty));
            reason.kind == ReasonKind::Type && number && !ours && numeric
        }),
    },
    Difference {
        name: "a number in a string beyond a float's range",
        schema: "syntax = \"proto3\"; message Row { float f = 1; }",
        row: r#"{"f":"1e39"}"#,
        ours: Outcome::Refused,
        prost_reflect: Outcome::As(r#"{"f":"Infinity"}"#),
        json_format: Outcome::As(r#"{"f":"Infinity"}"#),
        reason: "a number is kept as it is or refused, as without the quotes",
        excuse: Excuse::Refusal(|reason, _| {
            let text = unquoted(reason).unwrap_or_default();
            let double = text.parse().is_ok_and(|n: f64| n.is_infinite());
            let float = text.parse().is_ok_and(|n: f32| n.is_infinite());
            let beyond = match reason.message.split_once(" is out of range for a ") {
                Some((_, "double")) => double,
                Some((_, "float")) => float,
                _ => false,
            };
            reason.kind == ReasonKind::Range && beyond
        }),
    },
    Difference {
        name: "the largest float in its shortest form",
        schema: "syntax = \"proto3\"; message Row { float f = 1; }",
        row: r#"{"f":3.4028235e38}"#,
        ours: Outcome::As(r#"{"f":3.4028234663852886e38}"#),
        prost_reflect: Outcome::Refused,
        json_format: Outcome::Refused,
        reason: "so it is printed: it rounds to the largest float",
        excuse: Excuse::Acceptance(|error, token| {
            let value: f32 = token.parse().ok()?;
            let largest = error.starts_with("float value out of range") && value.abs() == f32::MAX;
            largest.then(|| f64::from(value).to_string())
        }),
    },
    Difference {
        name: "a float that a double would round first",
        schema: "syntax = \"proto3\"; message Row { float f = 1; }",
        row: r#"{"f":1.00000005960464477539062500000001}"#,
        ours: Outcome::As(r#"{"f":1.0000001192092896}"#),
        prost_reflect: Outcome::As(r#"{"f":1.0}"#),
        json_format: Outcome::As(r#"{"f":1.0}"#),
        reason: "rounded once, to the nearest float",
        excuse: Excuse::Values(|ours, theirs| match (ours, theirs) {
            (Plain::Float(a), Plain::Float(b)) => a.abs_diff(*b) == 1,
            _ => false,
        }),
    },
    Difference {
        name: "-0.0 in a wrapper",
        schema: "syntax = \"proto3\"; import \"google/protobuf/wrappers.proto\";
            message Row { google.protobuf.DoubleValue d = 1; }",
        row: r#"{"d":-0.0}"#,
        ours: Outcome::Values("Message({1: Wrapped(Double(9223372036854775808))})"),
        prost_reflect: Outcome::As(r#"{"d":0.0}"#),
        json_format: Outcome::As(r#"{"d":-0.0}"#),
        reason: "the row gives it",
        excuse: Excuse::Values(|ours, theirs| match (ours, theirs) {
            (Plain::Wrapped(a), Plain::Wrapped(b)) => match (&**a, &**b) {
                (Plain::Double(a), Plain::Double(0)) => *a == (-0.0f64).to_bits(),
                (Plain::Float(a), Plain::Float(0)) => *a == (-0.0f32).to_bits(),
                _ => false,
            },
            _ => false,
        }),
    },
    Difference {
        name: "a timestamp without an offset, or as a number",
        schema: "syntax = \"proto3\"; import \"google/protobuf/timestamp.proto\";
            message Row { repeated google.protobuf.Timestamp t = 1; }",
        row: r#"{"t":["2026-01-31 12:00:00",1769860800000000]}"#,
        ours: Outcome::As(r#"{"t":["2026-01-31T12:00:00Z","2026-01-31T12:00:00Z"]}"#),
        prost_reflect: Outcome::Refused,
        json_format: Outcome::Refused,
        reason: "the column is a TIMESTAMP, which takes them (`--timezone`, `--timestamp-unit`)",
        excuse: Excuse::Acceptance(|error, token| {
            if let Ok(us) = token.parse() {
                let time = jiff::Timestamp::from_microsecond(us).ok()?;
                let integer = error.contains("expected a rfc3339 timestamp string");
                return integer.then(|| format!("\"{time}\""));
            }
            let text = token.trim_matches('"').to_uppercase().replace(' ', "T");
            let text = if text.ends_with('Z') {
                text
            } else {
                text + "Z"
            };
            error
                .starts_with("invalid rfc3339 timestamp")
                .then(|| format!("\"{text}\""))
        }),
    },
    Difference {
        name: "a leap second",
        schema: "syntax = \"proto3\"; import \"google/protobuf/timestamp.proto\";
            message Row { google.protobuf.Timestamp t = 1; }",
        row: r#"{"t":"2016-12-31T23:59:60Z"}"#,
        ours: Outcome::Refused,
        prost_reflect: Outcome::As(r#"{"t":"2016-12-31T23:59:59Z"}"#),
        json_format: Outcome::Refused,
        reason: "a TIMESTAMP has no place for it",
        excuse: Excuse::Refusal(|reason, _| {
            let text = unquoted(reason).unwrap_or_default();
            text.get(16..19) == Some(":60") && reason.message.contains(" is not a timestamp")
        }),
    },
    Difference {
        name: "a duration with more than nine digits after the point",
        schema: "syntax = \"proto3\"; import \"google/protobuf/duration.proto\";
            message Row { google.protobuf.Duration d = 1; }",
        row: r#"{"d":"1.0000000001s"}"#,
        ours: Outcome::Refused,
        prost_reflect: Outcome::As(r#"{"d":"1s"}"#),
        json_format: Outcome::As(r#"{"d":"1s"}"#),
        reason: "a duration has nine",
        excuse: Excuse::Refusal(|reason, _| {
            let fraction = unquoted(reason).and_then(|text| text.split_once('.'));
            let long = fraction.is_some_and(|(_, fraction)| fraction.len() > "123456789s".len());
            long && reason.message.contains(" is not a duration")
        }),
    },
    Difference {
        name: "base64 with bits left over",
        schema: "syntax = \"proto3\"; message Row { bytes b = 1; }",
        row: r#"{"b":"AB=="}"#,
        ours: Outcome::Refused,
        prost_reflect: Outcome::As(r#"{"b":"AA=="}"#),
        json_format: Outcome::As(r#"{"b":"AA=="}"#),
        reason: "no encoder writes it: the text was cut or changed",
        excuse: Excuse::Refusal(|reason, _| {
            let text = unquoted(reason).unwrap_or("?");
            let decodes = |trailing_bits| {
                let config = GeneralPurposeConfig::new()
                    .with_decode_allow_trailing_bits(trailing_bits)
                    .with_decode_padding_mode(DecodePaddingMode::Indifferent);
                let decodes = |a| GeneralPurpose::new(a, config).decode(text).is_ok();
                decodes(&alphabet::STANDARD) || decodes(&alphabet::URL_SAFE)
            };
            let base64 = reason
                .message
                .ends_with(" is not base64 text, as bytes must be");
            base64 && decodes(true) && !decodes(false)
        }),
    },
    Difference {
        name: "a name that is also another field's JSON name",
        schema: "syntax = \"proto2\"; message Row {
            optional int32 a = 1 [json_name = \"b\"]; optional int32 b = 2 [json_name = \"c\"]; }",
        row: r#"{"b":1}"#,
        ours: Outcome::As(r#"{"c":1}"#),
        prost_reflect: Outcome::As(r#"{"a":1}"#),
        json_format: Outcome::As(r#"{"a":1}"#),
        reason: "a field's name is its column's name",
        excuse: Excuse::NeverDrawn,
    },
];
