//! The bounds that the log gives of a file's columns: readers skip a file by them, so a
//! bound that is not one hides rows.
//!
//! deltalake-core puts decimals through floating point and leaves NaN out. A file whose
//! columns are not all to be trusted has no bounds at all: where some columns have them, the
//! PyPI package `deltalake` takes a missing one for NULL, and finds nothing in that column.

use deltalake_core::DeltaTableError;
use deltalake_core::arrow::datatypes::{DataType, Fields, TimeUnit};
use deltalake_core::kernel::Add;
use jiff::civil::DateTime;
use jiff::{Span, Timestamp, ToSpan as _};
use serde_json::{Map, Value};

/// Leaves bounds in a file's statistics only if they hold for each of its rows.
pub(super) fn keep_true(add: &mut Add, fields: &Fields) -> Result<(), DeltaTableError> {
    let Some(text) = &add.stats else {
        return Ok(());
    };
    let mut stats: Map<String, Value> = serde_json::from_str(text)?;
    let mut hold = !fields.iter().any(|field| is_doubtful(field.data_type()));
    for (key, side) in [("minValues", Side::Min), ("maxValues", Side::Max)] {
        if let (true, Some(Value::Object(bounds))) = (hold, stats.get_mut(key)) {
            hold = settle(bounds, fields, side);
        }
    }
    if !hold {
        stats.remove("minValues");
        stats.remove("maxValues");
    }
    add.stats = Some(Value::Object(stats).to_string());
    Ok(())
}

/// Whether values may lie outside of the bounds that the library gives, or have none there.
fn is_doubtful(ty: &DataType) -> bool {
    match ty {
        DataType::Struct(fields) => fields.iter().any(|field| is_doubtful(field.data_type())),
        DataType::Boolean
        | DataType::Int8
        | DataType::Int16
        | DataType::Int32
        | DataType::Int64
        | DataType::Utf8
        | DataType::LargeUtf8
        | DataType::Utf8View
        | DataType::Date32
        | DataType::Timestamp(TimeUnit::Microsecond, _) => false,
        // Nobody looks for bounds of these.
        DataType::List(_) | DataType::LargeList(_) | DataType::Map(..) => false,
        _ => true,
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Side {
    Min,
    Max,
}

/// Makes bounds of a library's bounds; no: one of them cannot be.
fn settle(bounds: &mut Map<String, Value>, fields: &Fields, side: Side) -> bool {
    bounds.iter_mut().all(|(name, bound)| {
        let ty = fields.find(name).map(|(_, field)| field.data_type());
        match (ty, bound) {
            (Some(DataType::Struct(fields)), Value::Object(bounds)) => settle(bounds, fields, side),
            (Some(DataType::Timestamp(_, zone)), Value::String(text)) => {
                let widened = match zone {
                    Some(_) => instant(text, side),
                    None => wall_clock(text, side),
                };
                // Years before 0 do not sort as text.
                let widened = widened.filter(|text| !text.starts_with('-'));
                *text = widened.unwrap_or_default();
                !text.is_empty()
            }
            (Some(DataType::Date32), Value::String(text)) => !text.starts_with(['-', '+']),
            (Some(_), bound) => !bound.is_null(),
            (None, _) => false,
        }
    })
}

/// Times are cut to milliseconds, so the last may be a part of one later.
fn rest(side: Side) -> Span {
    match side {
        Side::Min => 0.milliseconds(),
        Side::Max => 1.milliseconds(),
    }
}

fn instant(text: &str, side: Side) -> Option<String> {
    let at = text
        .parse::<Timestamp>()
        .ok()?
        .checked_add(rest(side))
        .ok()?;
    Some(at.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string())
}

fn wall_clock(text: &str, side: Side) -> Option<String> {
    let at = text
        .parse::<DateTime>()
        .ok()?
        .checked_add(rest(side))
        .ok()?;
    Some(at.strftime("%Y-%m-%d %H:%M:%S.%3f").to_string())
}
