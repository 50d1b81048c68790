//! JSON records to Arrow columns, by the table's own types.
//!
//! Values are taken as they are written, not by way of a number type: every digit of a
//! DECIMAL or a VARIANT counts.

use std::borrow::Cow;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::builder::Builder;
use super::columns::{Cell, Problem, Rows};
use super::instants;
use super::numbers::parse_decimal;

/// A value, one level deep.
enum Json<'a> {
    Null,
    Bool(bool),
    /// As it is written.
    Number(&'a str),
    Text(Cow<'a, str>),
    Array(Vec<&'a RawValue>),
    Object(Object<'a>),
}

impl<'a> Json<'a> {
    fn read(raw: &'a RawValue) -> Result<Self, serde_json::Error> {
        let text = raw.get();
        Ok(match text.as_bytes().first() {
            Some(b'{') => Self::Object(serde_json::from_str(text)?),
            Some(b'[') => Self::Array(serde_json::from_str(text)?),
            Some(b'"') => Self::Text(serde_json::from_str::<Text<'a>>(text)?.0),
            Some(b't') => Self::Bool(true),
            Some(b'f') => Self::Bool(false),
            Some(b'n') => Self::Null,
            _ => Self::Number(text),
        })
    }
}

#[derive(serde::Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// The members of an object, in order; no name comes twice.
struct Object<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Object<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = Object<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object<'de>, A::Error> {
                let mut members: Vec<(Cow<'de, str>, &'de RawValue)> = Vec::new();
                let mut names = std::collections::HashSet::new();
                while let Some((Text(name), value)) = map.next_entry::<Text<'de>, _>()? {
                    if !names.insert(name.clone()) {
                        return Err(de::Error::custom(format_args!(
                            "key {name:?} is given twice"
                        )));
                    }
                    members.push((name, value));
                }
                Ok(Object(members))
            }
        }

        deserializer.deserialize_map(Members)
    }
}

impl<'a> Object<'a> {
    fn get(&self, name: &str) -> Option<&'a RawValue> {
        let member = self.0.iter().find(|(n, _)| n == name);
        member.map(|(_, value)| *value)
    }
}

/// Appends one record. After an error the rows are of no use any more.
pub(super) fn append(record: &str, rows: &mut Rows) -> Result<(), Problem> {
    let value = serde_json::from_str(record).and_then(Json::read);
    let Json::Object(object) = value.map_err(invalid)? else {
        return Err(Problem::new("a record must be a JSON object"));
    };
    append_object(&object, &mut rows.cells)?;
    rows.count += 1;
    Ok(())
}

fn invalid(error: serde_json::Error) -> Problem {
    Problem::new(format!("no valid JSON: {error}"))
}

fn append_object(object: &Object<'_>, cells: &mut [Cell]) -> Result<(), Problem> {
    let mut known = 0;
    for cell in cells.iter_mut() {
        let value = object.get(&cell.name);
        known += usize::from(value.is_some());
        match value {
            None => cell.push_null()?,
            Some(value) if value.get() == "null" => cell.push_null()?,
            Some(value) => append_value(value, &mut cell.builder)
                .map_err(|problem| problem.within(&cell.name))?,
        }
    }
    if known < object.0.len() {
        let is_column = |key: &str| cells.iter().any(|cell| cell.name == key);
        let unknown = object.0.iter().find(|(key, _)| !is_column(key));
        return Err(
            Problem::new("no such column in the table").within(unknown.map_or("", |(key, _)| key))
        );
    }
    Ok(())
}

/// `raw` is not null.
fn append_value(raw: &RawValue, builder: &mut Builder) -> Result<(), Problem> {
    let value = Json::read(raw).map_err(invalid)?;
    match (builder, value) {
        (Builder::Variant(text), value) => {
            // Its text is kept; what is inside was only looked over.
            check_inside(&value)?;
            text.append_value(raw.get());
            Ok(())
        }
        // A nested column may also come as the text of its JSON.
        (builder @ (Builder::Struct(_) | Builder::List(_) | Builder::Map(_)), Json::Text(text)) => {
            match serde_json::from_str::<&RawValue>(&text) {
                Ok(inner) if inner.get().starts_with(['{', '[']) => append_value(inner, builder),
                _ => Err(builder.unfit(raw.get()).into()),
            }
        }
        (Builder::Struct(fields), Json::Object(object)) => {
            append_object(&object, &mut fields.cells)?;
            fields.end();
            Ok(())
        }
        (Builder::List(list), Json::Array(elements)) => {
            for (index, element) in elements.into_iter().enumerate() {
                append_element(element, &mut list.element)
                    .map_err(|problem| problem.within(&index.to_string()))?;
            }
            list.end(true);
            Ok(())
        }
        (Builder::Map(map), Json::Object(entries)) => {
            for (key, value) in &entries.0 {
                append_text(key, &mut map.key)
                    .map_err(Problem::from)
                    .and_then(|()| append_element(value, &mut map.value))
                    .map_err(|problem| problem.within(key))?;
            }
            map.end(true);
            Ok(())
        }
        (builder, Json::Bool(value)) => Ok(builder.push_bool(value)?),
        (builder, Json::Number(number)) => Ok(append_number(number, builder)?),
        (builder, Json::Text(text)) => Ok(append_text(&text, builder)?),
        (builder, Json::Null | Json::Array(_) | Json::Object(_)) => {
            Err(builder.unfit(raw.get()).into())
        }
    }
}

/// Checks that no object within a value that is kept as text names a key twice.
fn check_inside(value: &Json<'_>) -> Result<(), Problem> {
    let within = |raw: &RawValue| check_inside(&Json::read(raw).map_err(invalid)?);
    match value {
        Json::Array(elements) => elements.iter().try_for_each(|e| within(e)),
        Json::Object(object) => object.0.iter().try_for_each(|(_, v)| within(v)),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::Text(_) => Ok(()),
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
            Ok(value) if value.is_finite() => b.append_value(value),
            _ => return Err(builder.unfit(number)),
        },
        Builder::Double(b) => match number.parse::<f64>() {
            Ok(value) if value.is_finite() => b.append_value(value),
            _ => return Err(builder.unfit(number)),
        },
        Builder::Decimal(..) => return builder.push_text(number),
        builder => return append_whole(number, builder),
    }
    Ok(())
}

/// Text for a column that is not nested.
fn append_text(text: &str, builder: &mut Builder) -> Result<(), String> {
    match builder {
        Builder::Boolean(b) => match text {
            "true" => b.append_value(true),
            "false" => b.append_value(false),
            _ => return Err(builder.unfit(format_args!("{text:?}"))),
        },
        Builder::Float(b) => match text.parse::<f32>() {
            Ok(value) if value.is_finite() || names_no_number(text) => b.append_value(value),
            _ => return Err(builder.unfit(format_args!("{text:?}"))),
        },
        Builder::Double(b) => match text.parse::<f64>() {
            Ok(value) if value.is_finite() || names_no_number(text) => b.append_value(value),
            _ => return Err(builder.unfit(format_args!("{text:?}"))),
        },
        Builder::Binary(b) => {
            let bytes = STANDARD.decode(text);
            b.append_value(bytes.map_err(|error| format!("no base64 for BINARY: {error}"))?);
        }
        Builder::Date(_) => {
            let days = instants::days(text).or_else(|| whole(text));
            let days = days.ok_or_else(|| {
                format!("{text:?} is no DATE: YYYY-MM-DD, or days since 1970-01-01")
            })?;
            return builder.push_int(days);
        }
        Builder::Timestamp(_, wall_clock) => {
            let (micros, expected) = match *wall_clock {
                false => (instants::micros(text), "TIMESTAMP: RFC 3339 with an offset"),
                true => (
                    instants::wall_micros(text),
                    "TIMESTAMP_NTZ: a date and time without an offset",
                ),
            };
            let micros = micros.or_else(|| whole(text)).ok_or_else(|| {
                format!("{text:?} is no {expected}, or microseconds since 1970-01-01")
            })?;
            return builder.push_int(micros);
        }
        Builder::Text(..) | Builder::Decimal(..) => return builder.push_text(text),
        builder => return append_whole(text, builder),
    }
    Ok(())
}

/// Rust reads "inf" and "nan" in any case, and "1e999" as infinite; JSON's own names are these.
fn names_no_number(text: &str) -> bool {
    matches!(text, "NaN" | "Infinity" | "-Infinity")
}

fn append_whole(text: &str, builder: &mut Builder) -> Result<(), String> {
    match whole(text) {
        Some(value) => builder.push_int(value),
        None => Err(builder.unfit(text)),
    }
}

/// A whole number of 64 bits, also as `1.0` or `1e3`.
fn whole(text: &str) -> Option<i64> {
    match text.parse() {
        Ok(value) => Some(value),
        Err(_) => i64::try_from(parse_decimal(text, 38, 0).ok()?).ok(),
    }
}
