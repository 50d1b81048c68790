//! JSON records to Arrow columns, by the table's own types.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::civil::{Date, DateTime};
use jiff::{Timestamp, tz::Offset};
use serde_json::{Map, Value};

use super::builder::Builder;
use super::columns::{Cell, Problem, Rows};
use super::numbers::parse_decimal;

/// Appends one record. After an error the rows are of no use any more.
pub(super) fn append(record: &str, rows: &mut Rows) -> Result<(), Problem> {
    let value = serde_json::from_str(record)
        .map_err(|error| Problem::new(format!("no valid JSON: {error}")))?;
    let Value::Object(object) = value else {
        return Err(Problem::new("a record must be a JSON object"));
    };
    append_object(&object, &mut rows.cells)?;
    rows.count += 1;
    Ok(())
}

fn append_object(object: &Map<String, Value>, cells: &mut [Cell]) -> Result<(), Problem> {
    let mut known = 0;
    for cell in cells.iter_mut() {
        let value = object.get(&cell.name);
        known += usize::from(value.is_some());
        match value {
            None | Some(Value::Null) => cell.push_null()?,
            Some(value) => append_value(value, &mut cell.builder)
                .map_err(|problem| problem.within(&cell.name))?,
        }
    }
    if known < object.len() {
        let is_column = |key: &String| cells.iter().any(|cell| cell.name == *key);
        let unknown = object.keys().find(|key| !is_column(key));
        return Err(
            Problem::new("no such column in the table").within(unknown.map_or("", String::as_str))
        );
    }
    Ok(())
}

/// `value` is not null.
fn append_value(value: &Value, builder: &mut Builder) -> Result<(), Problem> {
    match (builder, value) {
        (Builder::Variant(text), value) => {
            text.append_value(value.to_string());
            Ok(())
        }
        // A nested column may also come as the text of its JSON.
        (
            builder @ (Builder::Struct(_) | Builder::List(_) | Builder::Map(_)),
            Value::String(text),
        ) => match serde_json::from_str(text) {
            Ok(value @ (Value::Object(_) | Value::Array(_))) => append_value(&value, builder),
            _ => Err(builder.unfit(value).into()),
        },
        (Builder::Struct(fields), Value::Object(object)) => {
            append_object(object, &mut fields.cells)?;
            fields.end();
            Ok(())
        }
        (Builder::List(list), Value::Array(elements)) => {
            for (index, element) in elements.iter().enumerate() {
                append_element(element, &mut list.element)
                    .map_err(|problem| problem.within(&index.to_string()))?;
            }
            list.end(true);
            Ok(())
        }
        (Builder::Map(map), Value::Object(entries)) => {
            for (key, value) in entries {
                append_text(key, &mut map.key)
                    .map_err(Problem::from)
                    .and_then(|()| append_element(value, &mut map.value))
                    .map_err(|problem| problem.within(key))?;
            }
            map.end(true);
            Ok(())
        }
        (builder, Value::Bool(value)) => Ok(builder.push_bool(*value)?),
        (builder, Value::Number(number)) => Ok(append_number(number, builder)?),
        (builder, Value::String(text)) => Ok(append_text(text, builder)?),
        (builder, value) => Err(builder.unfit(value).into()),
    }
}

fn append_element(value: &Value, builder: &mut Builder) -> Result<(), Problem> {
    if value.is_null() {
        return Err(Problem::new(
            "elements of an ARRAY and values of a MAP must not be null",
        ));
    }
    append_value(value, builder)
}

fn append_number(number: &serde_json::Number, builder: &mut Builder) -> Result<(), String> {
    match builder {
        Builder::Float(b) => {
            let value = number.as_f64().unwrap_or(f64::NAN) as f32;
            if !value.is_finite() {
                return Err(builder.unfit(number));
            }
            b.append_value(value);
            Ok(())
        }
        Builder::Double(b) => {
            b.append_value(number.as_f64().unwrap_or(f64::NAN));
            Ok(())
        }
        Builder::Decimal(..) => builder.push_text(&number.to_string()),
        builder => append_whole(&number.to_string(), builder),
    }
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
            let days = match text.parse::<Date>() {
                Ok(date) => days_since_epoch(date),
                Err(_) => whole(text).ok_or_else(|| {
                    format!("{text:?} is no DATE: YYYY-MM-DD, or days since 1970-01-01")
                })?,
            };
            return builder.push_int(days);
        }
        Builder::Timestamp(_, wall_clock) => {
            let micros = match *wall_clock {
                false => text.parse::<Timestamp>(),
                true => text
                    .parse::<DateTime>()
                    .and_then(|time| Offset::UTC.to_timestamp(time)),
            };
            let expected = match *wall_clock {
                false => "TIMESTAMP: RFC 3339 with an offset",
                true => "TIMESTAMP_NTZ: a date and time without an offset",
            };
            let micros = micros.ok().map(Timestamp::as_microsecond);
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

fn days_since_epoch(date: Date) -> i64 {
    let midnight = Offset::UTC.to_timestamp(date.at(0, 0, 0, 0));
    midnight.map_or(i64::MIN, |time| time.as_second().div_euclid(86_400))
}
