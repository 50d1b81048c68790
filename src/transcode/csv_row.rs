//! A CSV record → the wire bytes of a message, or a JSON object.
//!
//! An empty cell without quotes is null; a cell in quotes never is. Nested, repeated and map
//! fields are read from JSON text in their cell, nested ones from columns with dotted names
//! (`device.os`), too.

use std::borrow::Cow;

use super::json_row::{Encoder, unknown_field};
use super::plain::{Around, CellEnds};
use super::{Options, Reason, ReasonKind};
use crate::input::{Cell, CsvDialect, cells};
use crate::schema::plan::{FieldPlan, MessagePlan, Shape, ValueType};
use crate::schema::{Column, ColumnType, RecordPlan, closest};

/// How the text of a cell is read.
#[derive(Debug, Clone, Default)]
pub struct CellRules {
    /// Texts that mean null, instead of the empty text.
    pub null: Vec<String>,
    /// Take spaces off both ends of cells without quotes.
    pub trim: bool,
}

impl CellRules {
    /// Whether the empty text alone is null, and cells are taken as they are.
    pub(super) fn is_plain(&self) -> bool {
        self.null.is_empty() && !self.trim
    }

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
    targets: Vec<Target>,
    /// The columns of nested fields (`device.os`).
    nested: Vec<Nested>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Target {
    Ignored,
    /// Index into the record's fields.
    Field(usize),
    /// The cell is kept until those of its message are all read.
    Nested,
}

/// A message that is filled from columns of its own.
struct Nested {
    /// Index into the fields of the message around it.
    field: usize,
    /// Field → column, for its scalars and whatever else is one cell.
    cells: Vec<(usize, usize)>,
    nested: Vec<Nested>,
}

/// The cells of nested fields, by their column; null ones are left out.
type Kept<'c> = Vec<(usize, Cow<'c, str>)>;

impl Columns {
    /// The field of each column, where all go to fields of the record.
    pub(super) fn fields(&self) -> Option<Vec<usize>> {
        let field = |target: &Target| match target {
            Target::Field(index) => Some(*index),
            Target::Ignored | Target::Nested => None,
        };
        self.targets.iter().map(field).collect()
    }

    /// Columns by their names; without names, the fields in order.
    pub(super) fn new(
        plan: &RecordPlan,
        names: Option<&[String]>,
        options: &Options,
    ) -> Result<Self, Reason> {
        let root = plan.root();
        let Some(names) = names else {
            let targets = (0..root.fields.len()).map(Target::Field).collect();
            let nested = Vec::new();
            return Ok(Self { targets, nested });
        };
        options.mapping.check_header(names)?;
        let mut columns = Self::default();
        for (column, name) in names.iter().enumerate() {
            let target = match options.mapping.field(root, name) {
                Some(index) if columns.takes(index) => return Err(twice(&root.fields[index])),
                Some(index) => Target::Field(index),
                None => match columns.place(plan, name, column, options)? {
                    true => Target::Nested,
                    false if options.ignore_unknown => Target::Ignored,
                    false => return Err(unknown_field(root, name).in_field(name.clone())),
                },
            };
            columns.targets.push(target);
        }
        Ok(columns)
    }

    /// Whether a field of the record has a column already, or one inside it has.
    fn takes(&self, index: usize) -> bool {
        self.targets.contains(&Target::Field(index)) || self.nested.iter().any(|n| n.field == index)
    }

    /// Finds the field of a dotted name; false if there is none.
    fn place(
        &mut self,
        plan: &RecordPlan,
        name: &str,
        column: usize,
        options: &Options,
    ) -> Result<bool, Reason> {
        let Some((first, mut rest)) = name.split_once('.') else {
            return Ok(false);
        };
        let mut message = plan.root();
        let mut found = options.mapping.field(message, first);
        if let Some(index) = found
            && self.targets.contains(&Target::Field(index))
        {
            return Err(twice(&message.fields[index]));
        }
        let mut level = &mut self.nested;
        loop {
            let Some(index) = found else { return Ok(false) };
            let field = &message.fields[index];
            let (Shape::Single, ValueType::Message(inner)) = (field.shape, field.ty) else {
                return Ok(false);
            };
            message = &plan.messages[inner];
            let (name, more) = match rest.split_once('.') {
                Some((name, more)) => (name, Some(more)),
                None => (rest, None),
            };
            found = message.by_name.get(name).copied();
            let Some(leaf) = found else { return Ok(false) };
            let at = level.iter().position(|n| n.field == index);
            let at = at.unwrap_or_else(|| {
                level.push(Nested {
                    field: index,
                    cells: Vec::new(),
                    nested: Vec::new(),
                });
                level.len() - 1
            });
            let node = &mut level[at];
            let taken = node.cells.iter().any(|(f, _)| *f == leaf);
            match more {
                _ if taken => return Err(twice(&message.fields[leaf])),
                Some(more) => {
                    rest = more;
                    level = &mut node.nested;
                }
                None if node.nested.iter().any(|n| n.field == leaf) => {
                    return Err(twice(&message.fields[leaf]));
                }
                None => {
                    node.cells.push((leaf, column));
                    return Ok(true);
                }
            }
        }
    }
}

fn twice(field: &FieldPlan) -> Reason {
    let what = format!("two columns of the header go to field \"{}\"", field.name);
    Reason::of_row(ReasonKind::Duplicate, what)
}

/// Encodes a record.
pub(super) fn encode<'e>(
    columns: &Columns,
    record: &str,
    around: Around<'_>,
    dialect: CsvDialect,
    rules: &CellRules,
    encoder: &mut Encoder<'e>,
) {
    let message = encoder.root();
    let base = encoder.enter(message);
    encoder.put_set_fields(base);
    let mut count = 0;
    let mut kept = Kept::new();
    let ends = CellEnds {
        delimiter: dialect.delimiter,
        quote: dialect.quote,
        end: record.len(),
    };
    let plain = rules.is_plain();
    let mut cells = cells(record, dialect);
    loop {
        if let (true, Some(at), Some(Target::Field(index))) =
            (plain, cells.at(), columns.targets.get(count))
            && let Some(end) = encoder.plain_cell(base, *index, around, at, ends)
        {
            cells.pass(end);
            count += 1;
            continue;
        }
        let Some(cell) = cells.next() else { break };
        match columns.targets.get(count) {
            Some(Target::Field(index)) => {
                let text = rules.read(cell);
                put_cell(message, base, *index, text.as_deref(), encoder);
            }
            Some(Target::Nested) => {
                kept.extend(rules.read(cell).map(|text| (count, text)));
            }
            Some(Target::Ignored) | None => {}
        }
        count += 1;
    }
    for nested in &columns.nested {
        put_nested(message, base, nested, &kept, encoder);
    }
    if let Some(reason) = wrong_count(count, columns.targets.len()) {
        encoder.reject(reason);
    }
    encoder.leave(message, base);
}

fn put_cell<'e>(
    message: &'e MessagePlan,
    base: usize,
    index: usize,
    text: Option<&str>,
    encoder: &mut Encoder<'e>,
) {
    let field = &message.fields[index];
    encoder.in_field(field, |encoder| {
        let given = encoder.note_field(message, base, index, text.is_none());
        if let (true, Some(text)) = (given, text) {
            encoder.put_untyped(field, text);
        }
    });
}

/// Writes a message from its cells. Without any, it is null.
fn put_nested<'e>(
    around: &'e MessagePlan,
    base: usize,
    nested: &Nested,
    kept: &Kept<'_>,
    encoder: &mut Encoder<'e>,
) {
    let field = &around.fields[nested.field];
    encoder.in_field(field, |encoder| {
        let given = encoder.note_field(around, base, nested.field, !nested.has_any(kept));
        if !given {
            return;
        }
        encoder.nested(field, |encoder, message, base| {
            for (index, column) in &nested.cells {
                let text = find(kept, *column);
                put_cell(message, base, *index, text, encoder);
            }
            for inner in &nested.nested {
                put_nested(message, base, inner, kept, encoder);
            }
        });
    });
}

impl Nested {
    fn has_any(&self, kept: &Kept<'_>) -> bool {
        let cell = |(_, column): &(usize, usize)| find(kept, *column).is_some();
        self.cells.iter().any(cell) || self.nested.iter().any(|n| n.has_any(kept))
    }
}

fn find<'k>(kept: &'k Kept<'_>, column: usize) -> Option<&'k str> {
    // They are in the order of their columns.
    let at = kept.binary_search_by_key(&column, |(column, _)| *column);
    at.ok().map(|at| &*kept[at].1)
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
            insert(&mut object, name, text.into_owned());
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

/// Puts a value under a name; one with dots goes into objects of its own.
fn insert(object: &mut serde_json::Map<String, serde_json::Value>, name: &str, text: String) {
    if let Some((first, rest)) = name.split_once('.') {
        let inner = object
            .entry(first)
            .or_insert_with(|| serde_json::Map::new().into());
        // The header was checked: no other column is called like the first part.
        if let Some(inner) = inner.as_object_mut() {
            return insert(inner, rest, text);
        }
    }
    object.insert(name.to_owned(), text.into());
}

/// Checks the header of a CSV whose rows go out as JSON objects.
pub(super) fn check_names(names: &[String]) -> Result<(), Reason> {
    let mut sorted: Vec<&str> = names.iter().map(String::as_str).collect();
    // As parts, so that `a`, `a.b` and `a-c` stand in that order.
    sorted.sort_by(|a, b| a.split('.').cmp(b.split('.')));
    for pair in sorted.windows(2) {
        let same = pair[1].strip_prefix(pair[0]);
        if same.is_some_and(|rest| rest.is_empty() || rest.starts_with('.')) {
            let what = format!("two columns of the header go to field \"{}\"", pair[0]);
            return Err(Reason::of_row(ReasonKind::Duplicate, what));
        }
    }
    Ok(())
}

/// Checks that the table has a column for each name, or for the part of it before a dot.
pub(super) fn check_columns(names: &[String], columns: &[Column]) -> Result<(), Reason> {
    for name in names {
        let mut level = columns;
        for part in name.split('.') {
            let Some(column) = level.iter().find(|column| column.name == part) else {
                let mut what = "no such column in the table".to_owned();
                if let Some(close) = closest(part, level.iter().map(|c| c.name.as_str())) {
                    what.push_str(&format!(" (did you mean \"{close}\"?)"));
                }
                return Err(Reason {
                    field: Some(name.clone()),
                    kind: ReasonKind::UnknownField,
                    message: what,
                });
            };
            match &column.ty {
                ColumnType::Struct(fields) => level = fields,
                // What is inside it is not known by name.
                _ => break,
            }
        }
    }
    Ok(())
}

fn wrong_count(cells: usize, columns: usize) -> Option<Reason> {
    if cells == columns {
        return None;
    }
    let s = if cells == 1 { "" } else { "s" };
    let what = format!("has {cells} cell{s}, expected {columns}");
    Some(Reason::of_row(ReasonKind::Columns, what))
}
