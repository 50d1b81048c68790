//! JSON records to Arrow columns, by the table's own types.
//!
//! Values are taken as they are written, not by way of a number type: every digit of a
//! DECIMAL or a VARIANT counts.

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserializer as _;
use serde::de::{self, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::builder::{Builder, ListBuilder, MapBuilder};
use super::columns::{Cell as Column, Problem, Rows};
use super::instants;
use super::json_names::{Names, Text, check_names};
use super::numbers::parse_decimal;
use super::shown::{quoted, shown};

/// Appends one record. After an error the rows hold a part of it.
pub(super) fn append(record: &str, rows: &mut Rows) -> Result<(), Problem> {
    if !record.trim_ascii_start().starts_with('{') {
        serde_json::from_str::<&RawValue>(record).map_err(invalid)?;
        let found = shown(record.trim_ascii());
        return Err(Problem::new(format!(
            "a record must be a JSON object, not {found}"
        )));
    }
    append_object(record, &mut rows.cells, rows.count)?;
    rows.count += 1;
    Ok(())
}

fn invalid(error: serde_json::Error) -> Problem {
    Problem::new(format!("no valid JSON: {error}"))
}

/// Reads one level of an object or an array. What is wrong with a value goes aside, since a
/// visitor's own error is text.
fn read<'de, V>(text: &'de str, visitor: V, aside: &Aside) -> Result<(), Problem>
where
    V: Visitor<'de, Value = ()>,
{
    let mut json = serde_json::Deserializer::from_str(text);
    let outcome = json.deserialize_any(visitor).and_then(|()| json.end());
    outcome.map_err(|error| aside.take().unwrap_or_else(|| invalid(error)))
}

/// Where a visitor leaves a problem as it ends.
type Aside = Cell<Option<Problem>>;

fn stop<E: de::Error>(aside: &Aside, problem: Problem) -> E {
    aside.set(Some(problem));
    E::custom("")
}

/// Appends an object to columns that hold `row` values each.
fn append_object(text: &str, columns: &mut [Column], row: usize) -> Result<(), Problem> {
    let aside = Aside::default();
    let members = Members {
        columns: &mut *columns,
        row,
        aside: &aside,
    };
    read(text, members, &aside)?;
    let mut absent = columns.iter_mut().filter(|c| c.builder.len() == row);
    absent.try_for_each(|column| column.push_null("missing"))
}

struct Members<'c> {
    columns: &'c mut [Column],
    row: usize,
    aside: &'c Aside,
}

impl Members<'_> {
    /// The place of a column: most often the next one, or one after it.
    fn place(&self, name: &str, next: usize) -> Option<usize> {
        let (before, behind) = self.columns.split_at_checked(next)?;
        let is_named = |column: &Column| column.name == name;
        let place = behind.iter().position(is_named).map(|place| next + place);
        place.or_else(|| before.iter().position(is_named))
    }
}

impl<'de> Visitor<'de> for Members<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut next = 0;
        while let Some((Text(name), value)) = map.next_entry::<_, &RawValue>()? {
            let place = self.place(&name, next);
            let Some((place, column)) = place.and_then(|p| Some((p, self.columns.get_mut(p)?)))
            else {
                let problem = Problem::new("no such column in the table");
                return Err(stop(self.aside, problem.within(&name)));
            };
            if column.builder.len() > self.row {
                let problem = Problem::new("given twice");
                return Err(stop(self.aside, problem.within(&name)));
            }
            let appended = match value.get() {
                "null" => column.push_null("null"),
                _ => append_value(value, &mut column.builder).map_err(|p| p.within(&name)),
            };
            appended.map_err(|problem| stop(self.aside, problem))?;
            next = place + 1;
        }
        Ok(())
    }
}

struct Elements<'c> {
    list: &'c mut ListBuilder,
    aside: &'c Aside,
}

impl<'de> Visitor<'de> for Elements<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        while let Some(element) = elements.next_element::<&RawValue>()? {
            append_element(element, &mut self.list.element).map_err(|problem| {
                stop(self.aside, problem.within(&self.list.pending().to_string()))
            })?;
        }
        self.list.end(true);
        Ok(())
    }
}

struct Entries<'c> {
    map: &'c mut MapBuilder,
    aside: &'c Aside,
}

impl<'de> Visitor<'de> for Entries<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        let mut names = Names::default();
        while let Some((Text(key), value)) = entries.next_entry::<_, &RawValue>()? {
            names.add(as_value(&key, &self.map.key))?;
            append_text(&key, &mut self.map.key)
                .map_err(Problem::from)
                .and_then(|()| append_element(value, &mut self.map.value))
                .map_err(|problem| stop(self.aside, problem.within(&key)))?;
        }
        self.map.end(true);
        Ok(())
    }
}

/// A map's key in the one form of its value: `1` and `1.0` are the same.
fn as_value<'k>(key: &Cow<'k, str>, column: &Builder) -> Cow<'k, str> {
    let number = match column {
        Builder::TinyInt(_) | Builder::SmallInt(_) | Builder::Int(_) | Builder::BigInt(_) => {
            whole(key)
        }
        _ => None,
    };
    number.map_or_else(|| key.clone(), |number| Cow::Owned(number.to_string()))
}

/// `raw` is not null.
fn append_value(raw: &RawValue, builder: &mut Builder) -> Result<(), Problem> {
    let json = raw.get();
    let aside = Aside::default();
    match (builder, json.as_bytes().first()) {
        // Its text is kept; what is inside is only looked over.
        (Builder::Variant(text), _) => {
            check_names(json).map_err(invalid)?;
            text.push(json.as_bytes());
            Ok(())
        }
        (Builder::Struct(fields), Some(b'{')) => {
            let row = fields.len();
            append_object(json, &mut fields.cells, row)?;
            fields.end();
            Ok(())
        }
        (Builder::List(list), Some(b'[')) => read(
            json,
            Elements {
                list,
                aside: &aside,
            },
            &aside,
        ),
        (Builder::Map(map), Some(b'{')) => read(json, Entries { map, aside: &aside }, &aside),
        // A nested column may also come as the text of its JSON.
        (builder @ (Builder::Struct(_) | Builder::List(_) | Builder::Map(_)), Some(b'"')) => {
            match serde_json::from_str::<&RawValue>(&text(json)?) {
                Ok(inner) if inner.get().starts_with(['{', '[']) => append_value(inner, builder),
                _ => Err(builder.unfit(shown(json)).into()),
            }
        }
        (builder @ (Builder::Struct(_) | Builder::List(_) | Builder::Map(_)), _)
        | (builder, Some(b'{' | b'[' | b'n')) => Err(builder.unfit(shown(json)).into()),
        (builder, Some(b'"')) => Ok(append_text(&text(json)?, builder)?),
        (builder, Some(b't' | b'f')) => Ok(builder.push_bool(json == "true")?),
        (builder, _) => Ok(append_number(json, builder)?),
    }
}

/// What a JSON string says.
fn text(json: &str) -> Result<Cow<'_, str>, Problem> {
    let quoted = json
        .strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'));
    match quoted {
        Some(text) if memchr::memchr(b'\\', text.as_bytes()).is_none() => Ok(Cow::Borrowed(text)),
        _ => serde_json::from_str(json)
            .map(|Text(text)| text)
            .map_err(invalid),
    }
}

fn append_element(raw: &RawValue, builder: &mut Builder) -> Result<(), Problem> {
    if raw.get() == "null" {
        return Err(Problem::new(
            "elements of an ARRAY and values of a MAP must not be null",
        ));
    }
    append_value(raw, builder)
}

fn append_number(number: &str, builder: &mut Builder) -> Result<(), String> {
    match builder {
        Builder::Float(b) => match number.parse::<f32>() {
            Ok(value) if value.is_finite() => b.push(value),
            _ => return Err(builder.unfit(shown(number))),
        },
        Builder::Double(b) => match number.parse::<f64>() {
            Ok(value) if value.is_finite() => b.push(value),
            _ => return Err(builder.unfit(shown(number))),
        },
        Builder::Decimal(_) => return builder.push_text(number),
        builder => match whole(number) {
            Some(value) => return builder.push_int(value),
            None => return Err(builder.unfit(shown(number))),
        },
    }
    Ok(())
}

/// Text for a column that is not nested.
fn append_text(text: &str, builder: &mut Builder) -> Result<(), String> {
    match builder {
        Builder::Boolean(b) => match text {
            "true" => b.push(true),
            "false" => b.push(false),
            _ => return Err(builder.unfit(quoted(text))),
        },
        Builder::Float(b) => match text.parse::<f32>() {
            Ok(value) if value.is_finite() || names_no_number(text) => b.push(value),
            _ => return Err(builder.unfit(quoted(text))),
        },
        Builder::Double(b) => match text.parse::<f64>() {
            Ok(value) if value.is_finite() || names_no_number(text) => b.push(value),
            _ => return Err(builder.unfit(quoted(text))),
        },
        Builder::Binary(b) => {
            let bytes = STANDARD
                .decode(text)
                .map_err(|error| format!("{} is no base64 for BINARY: {error}", quoted(text)))?;
            b.push(&bytes);
        }
        Builder::Date(_) => {
            let days = instants::days(text).or_else(|| whole(text));
            let days = days.ok_or_else(|| {
                let text = quoted(text);
                format!("{text} is no DATE: YYYY-MM-DD, or days since 1970-01-01")
            })?;
            return builder.push_int(days);
        }
        Builder::Timestamp(b) => {
            let (micros, expected) = match b.wall_clock {
                false => (instants::micros(text), "TIMESTAMP: RFC 3339 with an offset"),
                true => (
                    instants::wall_micros(text),
                    "TIMESTAMP_NTZ: a date and time without an offset",
                ),
            };
            let micros = micros.or_else(|| whole(text)).ok_or_else(|| {
                let text = quoted(text);
                format!("{text} is no {expected}, or microseconds since 1970-01-01")
            })?;
            return builder.push_int(micros);
        }
        Builder::Text(..) | Builder::Decimal(_) => return builder.push_text(text),
        builder => match whole(text) {
            Some(value) => return builder.push_int(value),
            None => return Err(builder.unfit(quoted(text))),
        },
    }
    Ok(())
}

/// Rust reads "inf" and "nan" in any case, and "1e999" as infinite; JSON's own names are these.
fn names_no_number(text: &str) -> bool {
    matches!(text, "NaN" | "Infinity" | "-Infinity")
}

/// A whole number of 64 bits, also as `1.0` or `1e3`.
fn whole(text: &str) -> Option<i64> {
    match text.parse() {
        Ok(value) => Some(value),
        Err(_) => i64::try_from(parse_decimal(text, 38, 0).ok()?).ok(),
    }
}
