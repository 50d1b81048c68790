//! `@delta` hints: the Delta type that a protobuf type cannot express, named in a
//! comment on the field (`// @delta TIMESTAMP`).

use prost_reflect::FieldDescriptor;
use prost_reflect::prost_types::source_code_info::Location;

use super::{ColumnType, SchemaError};

/// The hint in the comments on `field`, before it or on its line.
///
/// # Errors
/// A hint that names no known type.
pub(super) fn of_field(field: &FieldDescriptor) -> Result<Option<ColumnType>, SchemaError> {
    let file = field.parent_message().parent_file();
    let Some(location) = location(field) else {
        return Ok(None);
    };
    let comments = location
        .trailing_comments
        .iter()
        .chain(&location.leading_comments);
    for comment in comments {
        let Some((_, rest)) = comment.split_once("@delta") else {
            continue;
        };
        let text = rest.lines().next().unwrap_or_default().trim();
        return match parse(text) {
            Some(ty) => Ok(Some(ty)),
            None => {
                let message = format!(
                    "field \"{}\": \"@delta {text}\" is no known type",
                    field.name()
                );
                Err(SchemaError::at(file.name(), line_of(field), message).hint(KNOWN))
            }
        };
    }
    Ok(None)
}

/// The line of a field's declaration, counted from 1.
pub(super) fn line_of(field: &FieldDescriptor) -> Option<u64> {
    let line = *location(field)?.span.first()?;
    u64::try_from(line).ok().map(|line| line + 1)
}

const KNOWN: &str =
    "known: TIMESTAMP, TIMESTAMP_NTZ, DATE, DECIMAL(p,s), VARIANT, TINYINT, SMALLINT, VARCHAR(n)";

fn location(field: &FieldDescriptor) -> Option<Location> {
    let file = field.parent_message().parent_file();
    let info = file.file_descriptor_proto().source_code_info.as_ref()?;
    let found = info.location.iter().find(|l| l.path == field.path())?;
    Some(found.clone())
}

/// Parses a hint's type. Text after it is a remark: `TIMESTAMP in UTC`.
pub(super) fn parse(text: &str) -> Option<ColumnType> {
    let end = text
        .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
        .unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    let rest = rest.trim_start();
    let arguments: Option<Vec<u32>> = match rest.strip_prefix('(') {
        None => Some(Vec::new()),
        Some(inside) => inside
            .split_once(')')
            .and_then(|(numbers, _)| numbers.split(',').map(|n| n.trim().parse().ok()).collect()),
    };
    match (name.to_ascii_uppercase().as_str(), arguments?.as_slice()) {
        ("TIMESTAMP", []) => Some(ColumnType::Timestamp),
        ("TIMESTAMP_NTZ", []) => Some(ColumnType::TimestampNtz),
        ("DATE", []) => Some(ColumnType::Date),
        ("VARIANT", []) => Some(ColumnType::Variant),
        ("TINYINT", []) => Some(ColumnType::TinyInt),
        ("SMALLINT", []) => Some(ColumnType::SmallInt),
        ("VARCHAR", &[n]) if n > 0 => Some(ColumnType::Varchar(n)),
        ("DECIMAL", &[p]) => decimal(p, 0),
        ("DECIMAL", &[p, s]) => decimal(p, s),
        _ => None,
    }
}

fn decimal(precision: u32, scale: u32) -> Option<ColumnType> {
    let fits = (1..=38).contains(&precision) && scale <= precision;
    fits.then_some(ColumnType::Decimal {
        precision: precision as u8,
        scale: scale as u8,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_types_parse_and_others_do_not() {
        for (text, display) in [
            ("TIMESTAMP", "TIMESTAMP"),
            ("timestamp in UTC", "TIMESTAMP"),
            ("TIMESTAMP_NTZ", "TIMESTAMP_NTZ"),
            ("DECIMAL(10, 2)", "DECIMAL(10,2)"),
            ("DECIMAL(5)", "DECIMAL(5,0)"),
            ("VARCHAR(20)", "VARCHAR(20)"),
        ] {
            assert_eq!(parse(text).unwrap().to_string(), display);
        }
        for text in [
            "",
            "DECIMAL",
            "DECIMAL(39,0)",
            "DECIMAL(4,5)",
            "VARCHAR(0)",
            "TIME",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
