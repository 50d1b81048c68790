//! One value of an Arrow column as JSON text, every digit kept.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use deltalake_core::arrow::array::{Array, AsArray as _};
use deltalake_core::arrow::error::ArrowError;
use deltalake_core::arrow::util::display::{ArrayFormatter, FormatOptions};
use serde_json::value::RawValue;

use crate::schema::ColumnType;

/// Writes the value in a row of a column of this type.
///
/// # Errors
/// The column's Arrow type has no text.
pub(super) fn write_json(
    array: &dyn Array,
    row: usize,
    ty: &ColumnType,
    out: &mut String,
) -> Result<(), ArrowError> {
    if array.is_null(row) {
        out.push_str("null");
        return Ok(());
    }
    match ty {
        ColumnType::Struct(columns) => {
            if let Some(fields) = array.as_struct_opt() {
                let member = |column: &crate::schema::Column, out: &mut String| {
                    push_string(&column.name, out);
                    out.push(':');
                    match fields.column_by_name(&column.name) {
                        Some(field) => write_json(field, row, &column.ty, out),
                        None => {
                            out.push_str("null");
                            Ok(())
                        }
                    }
                };
                return enclosed('{', '}', columns, member, out);
            }
        }
        ColumnType::Array(element) => {
            if let Some(list) = array.as_list_opt::<i32>() {
                let values = list.value(row);
                let item = |i, out: &mut String| write_json(&values, i, element, out);
                return enclosed('[', ']', 0..values.len(), item, out);
            }
        }
        ColumnType::Map(key, value) => {
            if let Some(map) = array.as_map_opt() {
                let entries = map.value(row);
                let entry = |i, out: &mut String| {
                    push_string(&text(entries.column(0), i, key)?, out);
                    out.push(':');
                    write_json(entries.column(1), i, value, out)
                };
                return enclosed('{', '}', 0..entries.len(), entry, out);
            }
        }
        _ => {}
    }
    let text = text(array, row, ty)?;
    let bare = match ty {
        ColumnType::Boolean
        | ColumnType::TinyInt
        | ColumnType::SmallInt
        | ColumnType::Int
        | ColumnType::BigInt
        | ColumnType::Float
        | ColumnType::Double
        | ColumnType::Variant => serde_json::from_str::<&RawValue>(&text).is_ok(),
        _ => false,
    };
    match bare {
        // In JSON a line break stands between values only.
        true => out.extend(text.chars().map(|c| if c.is_control() { ' ' } else { c })),
        false => push_string(&text, out),
    }
    Ok(())
}

fn text(array: &dyn Array, row: usize, ty: &ColumnType) -> Result<String, ArrowError> {
    if let (ColumnType::Binary, Some(bytes)) = (ty, array.as_binary_opt::<i32>()) {
        return Ok(STANDARD.encode(bytes.value(row)));
    }
    let options = FormatOptions::new();
    ArrayFormatter::try_new(array, &options)?
        .value(row)
        .try_to_string()
}

fn push_string(text: &str, out: &mut String) {
    out.push_str(&serde_json::Value::from(text).to_string());
}

fn enclosed<T>(
    open: char,
    close: char,
    items: impl IntoIterator<Item = T>,
    mut write: impl FnMut(T, &mut String) -> Result<(), ArrowError>,
    out: &mut String,
) -> Result<(), ArrowError> {
    out.push(open);
    for (i, item) in items.into_iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        write(item, out)?;
    }
    out.push(close);
    Ok(())
}
