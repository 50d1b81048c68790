//! The bounds that the log gives of a file's columns: readers skip a file by them, so a
//! bound that is not one hides rows.
//!
//! deltalake-core puts decimals through floating point and leaves NaN out. What a reader
//! may not be able to trust is left out here: a column without bounds is read.

use deltalake_core::DeltaTableError;
use deltalake_core::arrow::datatypes::{DataType, Fields, TimeUnit};
use deltalake_core::kernel::Add;
use jiff::civil::DateTime;
use jiff::{Span, Timestamp, ToSpan as _};
use serde_json::{Map, Value};

/// Leaves only those bounds in a file's statistics that hold for each of its rows.
pub(super) fn keep_true(add: &mut Add, fields: &Fields) -> Result<(), DeltaTableError> {
    let Some(text) = &add.stats else {
        return Ok(());
    };
    let mut stats: Value = serde_json::from_str(text)?;
    for (key, side) in [("minValues", Side::Min), ("maxValues", Side::Max)] {
        if let Some(bounds) = stats.get_mut(key).and_then(Value::as_object_mut) {
            keep(bounds, fields, side);
        }
    }
    add.stats = Some(stats.to_string());
    Ok(())
}

#[derive(Clone, Copy, PartialEq)]
enum Side {
    Min,
    Max,
}

fn keep(bounds: &mut Map<String, Value>, fields: &Fields, side: Side) {
    bounds.retain(|name, bound| {
        let Some((_, field)) = fields.find(name) else {
            return false;
        };
        match (field.data_type(), bound) {
            (DataType::Struct(fields), Value::Object(bounds)) => {
                keep(bounds, fields, side);
                !bounds.is_empty()
            }
            (ty, bound) => match true_bound(ty, bound, side) {
                Some(kept) => {
                    *bound = kept;
                    true
                }
                None => false,
            },
        }
    });
}

/// A bound that holds; none for types whose values are not all within what the library
/// gives, DECIMAL and floating point among them.
fn true_bound(ty: &DataType, bound: &Value, side: Side) -> Option<Value> {
    match (ty, bound) {
        (DataType::Boolean, Value::Bool(_))
        | (
            DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64,
            Value::Number(_),
        )
        | (DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View, Value::String(_)) => {
            Some(bound.clone())
        }
        // Years beyond 9999 do not sort as text.
        (DataType::Date32, Value::String(text)) => {
            text.parse::<jiff::civil::Date>()
                .ok()
                .filter(|date| date.year() >= 0)?;
            Some(bound.clone())
        }
        (DataType::Timestamp(TimeUnit::Microsecond, zone), Value::String(text)) => {
            // They are cut to milliseconds, so the last may be a part of one later.
            let more: Span = match side {
                Side::Min => 0.milliseconds(),
                Side::Max => 1.milliseconds(),
            };
            let text = match zone {
                Some(_) => {
                    let at = text.parse::<Timestamp>().ok()?.checked_add(more).ok()?;
                    at.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
                }
                None => {
                    let at = text.parse::<DateTime>().ok()?.checked_add(more).ok()?;
                    at.strftime("%Y-%m-%d %H:%M:%S.%3f").to_string()
                }
            };
            (!text.starts_with('-')).then(|| text.into())
        }
        _ => None,
    }
}
