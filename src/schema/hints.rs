//! `@delta` hints: the Delta type that a protobuf type cannot express, named in a
//! comment on the field (`// @delta TIMESTAMP`).

use prost_reflect::prost_types::source_code_info::Location;
use prost_reflect::{FieldDescriptor, FileDescriptor};

use super::{ColumnType, SchemaError};

/// The hint in the comments on `field`, before it or on its line.
///
/// # Errors
/// A hint that names no known type.
pub(super) fn of_field(field: &FieldDescriptor) -> Result<Option<ColumnType>, SchemaError> {
    let file = field.parent_message().parent_file();
    let Some(location) = location(&file, field.path()) else {
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
            // Text after the type is a remark: `TIMESTAMP in UTC`.
            Some((ty, _)) => Ok(Some(ty)),
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
    line_of_path(&field.parent_message().parent_file(), field.path())
}

/// The same for anything that a file declares.
pub(super) fn line_of_path(file: &FileDescriptor, path: &[i32]) -> Option<u64> {
    let line = *location(file, path)?.span.first()?;
    u64::try_from(line).ok().map(|line| line + 1)
}

const KNOWN: &str =
    "known: TIMESTAMP, TIMESTAMP_NTZ, DATE, DECIMAL(p,s), VARIANT, TINYINT, SMALLINT, VARCHAR(n)";

fn location<'f>(file: &'f FileDescriptor, path: &[i32]) -> Option<&'f Location> {
    let info = file.file_descriptor_proto().source_code_info.as_ref()?;
    info.location.iter().find(|l| l.path == path)
}

/// A column type as a flag names it, such as `decimal(10,2)`: the types of hints.
///
/// # Errors
/// Text that is no such type, with those that are known.
pub fn column_type(text: &str) -> Result<ColumnType, String> {
    match parse(text.trim()) {
        Some((ty, "")) => Ok(ty),
        _ => Err(format!("\"{text}\" is no known type; {KNOWN}")),
    }
}

/// Parses a type at the start of a text; returns what stands behind it, too.
fn parse(text: &str) -> Option<(ColumnType, &str)> {
    let end = text
        .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
        .unwrap_or(text.len());
    let (name, mut rest) = text.split_at(end);
    let mut arguments: Vec<u32> = Vec::new();
    if let Some(inside) = rest.trim_start().strip_prefix('(') {
        let (numbers, after) = inside.split_once(')')?;
        for number in numbers.split(',') {
            arguments.push(number.trim().parse().ok()?);
        }
        rest = after;
    }
    let ty = match (name.to_ascii_uppercase().as_str(), arguments.as_slice()) {
        ("TIMESTAMP", []) => ColumnType::Timestamp,
        ("TIMESTAMP_NTZ", []) => ColumnType::TimestampNtz,
        ("DATE", []) => ColumnType::Date,
        ("VARIANT", []) => ColumnType::Variant,
        ("TINYINT", []) => ColumnType::TinyInt,
        ("SMALLINT", []) => ColumnType::SmallInt,
        ("VARCHAR", &[n]) if n > 0 => ColumnType::Varchar(n),
        ("DECIMAL", &[p]) => decimal(p, 0)?,
        ("DECIMAL", &[p, s]) => decimal(p, s)?,
        _ => return None,
    };
    Some((ty, rest.trim()))
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
            assert_eq!(parse(text).unwrap().0.to_string(), display);
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
            assert!(column_type(text).is_err(), "{text}");
        }
        assert_eq!(
            column_type("decimal(10,2)").unwrap().to_string(),
            "DECIMAL(10,2)"
        );
        // A remark has its place in a comment.
        assert!(column_type("TIMESTAMP in UTC").is_err());
    }
}
