//! A CSV record → the wire bytes of a message, or a JSON object.
//!
//! An empty cell without quotes is null; a cell in quotes never is. Nested, repeated and map
//! fields are read from JSON text in their cell.

use std::borrow::Cow;

use super::json_row::{Encoder, unknown_field};
use super::{Options, Reason, ReasonKind};
use crate::input::{Cell, CsvDialect, cells};
use crate::schema::plan::MessagePlan;

/// How the text of a cell is read.
#[derive(Debug, Clone, Default)]
pub struct CellRules {
    /// Texts that mean null, instead of the empty text.
    pub null: Vec<String>,
    /// Take spaces off both ends of cells without quotes.
    pub trim: bool,
}

impl CellRules {
    /// The cell's text; none if it is null. A cell in quotes never is.
    fn read<'c>(&self, cell: Cell<'c>) -> Option<Cow<'c, str>> {
        if cell.quoted {
            return Some(cell.text);
        }
        let text = match (self.trim, cell.text) {
            (true, Cow::Borrowed(text)) => Cow::Borrowed(text.trim_matches([' ', '\t'])),
            (_, text) => text,
        };
        let null = match self.null.as_slice() {
            [] => text.is_empty(),
            nulls => nulls.iter().any(|null| *null == text),
        };
        (!null).then_some(text)
    }
}

/// Which field each column of a file goes to.
#[derive(Default)]
pub(super) struct Columns {
    /// Index into the message's fields; none for a column that is ignored.
    fields: Vec<Option<usize>>,
}

impl Columns {
    /// Columns by their names; without names, the fields in order.
    pub(super) fn new(
        message: &MessagePlan,
        names: Option<&[String]>,
        options: &Options,
    ) -> Result<Self, Reason> {
        let Some(names) = names else {
            let fields = (0..message.fields.len()).map(Some).collect();
            return Ok(Self { fields });
        };
        options.mapping.check_header(names)?;
        let mut fields = Vec::with_capacity(names.len());
        for name in names {
            let found = options.mapping.field(message, name);
            match found {
                None if !options.ignore_unknown => {
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
    rules: &CellRules,
    encoder: &mut Encoder<'e>,
) {
    let message = encoder.root();
    let base = encoder.enter(message);
    encoder.put_set_fields(base);
    let mut count = 0;
    for cell in cells(record, dialect) {
        let column = columns.fields.get(count).copied();
        count += 1;
        let Some(Some(index)) = column else { continue };
        let field = &message.fields[index];
        let text = rules.read(cell);
        encoder.in_field(field, |encoder| {
            let given = encoder.note_field(message, base, index, text.is_none());
            if let (true, Some(text)) = (given, text) {
                encoder.put_untyped(field, &text);
            }
        });
    }
    if let Some(reason) = wrong_count(count, columns.fields.len()) {
        encoder.reject(reason);
    }
    encoder.leave(message, base);
}

/// Writes a record as a JSON object of strings, without its null cells.
pub(super) fn to_object(
    names: &[String],
    record: &str,
    dialect: CsvDialect,
    rules: &CellRules,
    out: &mut Vec<u8>,
) -> Result<(), Vec<Reason>> {
    let mut object = serde_json::Map::new();
    let mut count = 0;
    for cell in cells(record, dialect) {
        if let (Some(name), Some(text)) = (names.get(count), rules.read(cell)) {
            object.insert(name.clone(), text.into_owned().into());
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
    let what = format!("has {cells} cell{s}, expected {columns}");
    Some(Reason::of_row(ReasonKind::Columns, what))
}
