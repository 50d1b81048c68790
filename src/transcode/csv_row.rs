//! A CSV record → the wire bytes of a message, or a JSON object.
//!
//! An empty cell without quotes is null; a cell in quotes never is. Nested, repeated and map
//! fields are read from JSON text in their cell.

use super::json_row::{Encoder, unknown_field};
use super::scanner::Scanner;
use super::value::Misread;
use super::{Reason, ReasonKind};
use crate::input::{CsvDialect, cells};
use crate::schema::plan::{FieldPlan, MessagePlan, Shape, ValueType};

/// Which field each column of a file goes to.
#[derive(Default)]
pub(super) struct Columns {
    /// Index into the message's fields; none for a column that is ignored.
    fields: Vec<Option<usize>>,
}

impl Columns {
    pub(super) fn new(
        message: &MessagePlan,
        names: &[String],
        ignore_unknown: bool,
    ) -> Result<Self, Reason> {
        let mut fields = Vec::with_capacity(names.len());
        for name in names {
            let found = message.by_name.get(name.as_str()).copied();
            match found {
                None if !ignore_unknown => {
                    return Err(unknown_field(message, name).in_field(name.clone()));
                }
                Some(index) if fields.contains(&found) => {
                    let field = &message.fields[index].name;
                    let what = format!("two columns of the header go to field \"{field}\"");
                    return Err(Reason::of_row(ReasonKind::Duplicate, what));
                }
                _ => fields.push(found),
            }
        }
        Ok(Self { fields })
    }
}

/// Encodes a record.
pub(super) fn encode<'e>(
    columns: &Columns,
    record: &str,
    dialect: CsvDialect,
    encoder: &mut Encoder<'e>,
) {
    let message = encoder.root();
    let base = encoder.enter(message);
    let mut count = 0;
    for cell in cells(record, dialect) {
        let column = columns.fields.get(count).copied();
        count += 1;
        let Some(Some(index)) = column else { continue };
        let field = &message.fields[index];
        let null = cell.text.is_empty() && !cell.quoted;
        encoder.in_field(field, |encoder| {
            if encoder.note_field(message, base, index, null) {
                put_cell(encoder, field, &cell.text);
            }
        });
    }
    if let Some(reason) = wrong_count(count, columns.fields.len()) {
        encoder.reject(reason);
    }
    encoder.leave(message, base);
}

fn put_cell<'e>(encoder: &mut Encoder<'e>, field: &'e FieldPlan, text: &str) {
    let plain = field.shape == Shape::Single
        && !matches!(field.ty, ValueType::Message(_) | ValueType::Variant);
    if plain {
        return encoder.put_untyped(field, text);
    }
    let mut json = Scanner::new(text);
    if let Err(syntax) = encoder.field(field, &mut json).and_then(|()| json.end()) {
        let what = format!(
            "the cell is not valid JSON at its column {}: {}",
            syntax.at + 1,
            syntax.what
        );
        encoder.bad(Misread::new(ReasonKind::Syntax, what));
    }
}

/// Writes a record as a JSON object of strings, without its null cells.
pub(super) fn to_object(
    names: &[String],
    record: &str,
    dialect: CsvDialect,
    out: &mut Vec<u8>,
) -> Result<(), Vec<Reason>> {
    let mut object = serde_json::Map::new();
    let mut count = 0;
    for cell in cells(record, dialect) {
        if let Some(name) = names.get(count)
            && (cell.quoted || !cell.text.is_empty())
        {
            object.insert(name.clone(), cell.text.into_owned().into());
        }
        count += 1;
    }
    match wrong_count(count, names.len()) {
        Some(reason) => Err(vec![reason]),
        None => {
            let text = serde_json::Value::Object(object).to_string();
            out.extend_from_slice(text.as_bytes());
            Ok(())
        }
    }
}

fn wrong_count(cells: usize, columns: usize) -> Option<Reason> {
    if cells == columns {
        return None;
    }
    let s = if cells == 1 { "" } else { "s" };
    let what = format!("has {cells} cell{s}, the header has {columns}");
    Some(Reason::of_row(ReasonKind::Columns, what))
}
