//! Protobuf records to Arrow columns, straight from their bytes.

use std::fmt;

use prost_reflect::DynamicMessage;
use prost_reflect::prost::Message as _;

use super::builder::{Builder, MapBuilder};
use super::columns::{Cell, Problem, Rows};
use super::plan::{Absent, FieldPlan, RecordPlan, Scalar, Shape, ValuePlan};
use super::wire_format::{Malformed, Wire, WireType, wire_type_name};

/// The deepest nesting of messages (PROTOCOL: limits).
const DEPTH_MAX: usize = 100;

/// Appends one record. After an error the rows hold a part of it.
pub(super) fn append(plan: &RecordPlan, record: &[u8], rows: &mut Rows) -> Result<(), Problem> {
    let invalid = |problem: &dyn fmt::Display| {
        let name = plan.message.name();
        Problem::new(format!("no valid protobuf message \"{name}\": {problem}"))
    };
    let count = rows.count;
    match append_message(plan, record, &mut rows.cells, count, DEPTH_MAX) {
        Ok(()) => {}
        Err(problem) if problem.malformed => return Err(invalid(&problem)),
        // In protobuf a field may come more than once: the last one counts, messages are
        // merged. No encoder does that, so what it means is left to a general decoder: as
        // its message is encoded again, each field comes once. A value that seemed wrong may
        // have been replaced by a later one.
        Err(_) => {
            rows.truncate(count);
            let message = DynamicMessage::decode(plan.message.clone(), record);
            let plain = message.map_err(|error| invalid(&error))?.encode_to_vec();
            append_message(plan, &plain, &mut rows.cells, count, DEPTH_MAX)?;
        }
    }
    rows.count += 1;
    Ok(())
}

/// A field that has its value already.
fn again() -> Problem {
    Problem::new("given more than once")
}

/// Appends a message to cells that hold `row` values each.
fn append_message<'a>(
    plan: &'a RecordPlan,
    record: &'a [u8],
    cells: &mut [Cell],
    row: usize,
    depth: usize,
) -> Result<(), Problem> {
    let mut wire = Wire(record);
    let mut entries = Vec::new();
    let mut guess = 0;
    while !wire.is_empty() {
        let (number, wire_type) = wire.key()?;
        let place = plan.place(number, guess);
        let Some((place, field)) = place.and_then(|p| Some((p, plan.fields.get(p)?))) else {
            return Err(Problem::new(format!(
                "field number {number} is not in message \"{}\" of the descriptor",
                plan.message.name()
            )));
        };
        let is_set = |column: &usize| cells.get(*column).is_some_and(|c| c.builder.len() > row);
        if field.instead_of.iter().any(is_set) {
            return Err(again());
        }
        let Some(cell) = cells.get_mut(field.column) else {
            return Err(Problem::new("no such column in the table"));
        };
        append_field(field, wire_type, &mut wire, cell, row, depth, &mut entries)
            .map_err(|problem| problem.within(&cell.name))?;
        guess = match field.shape {
            Shape::Single(_) => place + 1,
            Shape::List(_) | Shape::Map(..) => place,
        };
    }
    if !entries.is_empty() {
        append_entries(&mut entries, cells, depth)?;
    }
    end_message(plan, cells, row)
}

/// Gives each column that the record has nothing for what it gets then, and ends lists and maps.
fn end_message(plan: &RecordPlan, cells: &mut [Cell], row: usize) -> Result<(), Problem> {
    for (cell, absent) in cells.iter_mut().zip(&plan.columns) {
        match (absent, &mut cell.builder) {
            (Absent::Empty, Builder::List(list)) => list.end(true),
            (Absent::Empty, Builder::Map(map)) => map.end(true),
            (Absent::Null | Absent::Empty, builder) if builder.len() == row => {
                cell.push_null("missing")?
            }
            (Absent::Required, builder) if builder.len() == row => {
                return Err(
                    Problem::new("missing, but required by the descriptor").within(&cell.name)
                );
            }
            (Absent::Null | Absent::Empty | Absent::Required, _) => {}
        }
    }
    Ok(())
}

fn append_field<'a>(
    field: &'a FieldPlan,
    wire_type: u8,
    wire: &mut Wire<'a>,
    cell: &mut Cell,
    row: usize,
    depth: usize,
    entries: &mut Vec<Entry<'a>>,
) -> Result<(), Problem> {
    match (&field.shape, &mut cell.builder) {
        (Shape::Single(plan), builder) => {
            check_wire_type(wire_type, plan.wire_type())?;
            if builder.len() > row {
                return Err(again());
            }
            append_value(plan, wire, builder, depth)
        }
        (Shape::List(plan), Builder::List(list)) => {
            let packed =
                wire_type == WireType::Length as u8 && plan.wire_type() != WireType::Length;
            let mut elements = if packed { Wire(wire.bytes()?) } else { *wire };
            if !packed {
                check_wire_type(wire_type, plan.wire_type())?;
            }
            while !(packed && elements.is_empty()) {
                append_value(plan, &mut elements, &mut list.element, depth)
                    .map_err(|problem| problem.within(&list.pending().to_string()))?;
                if !packed {
                    *wire = elements;
                    break;
                }
            }
            Ok(())
        }
        (Shape::Map(key, value), Builder::Map(_)) => {
            check_wire_type(wire_type, WireType::Length)?;
            entries.push(Entry::read(field.column, *key, value, wire.bytes()?)?);
            Ok(())
        }
        (Shape::List(_) | Shape::Map(..), builder) => Err(builder.unfit("a repeated field").into()),
    }
}

fn check_wire_type(found: u8, expected: WireType) -> Result<(), Problem> {
    if found == expected as u8 {
        return Ok(());
    }
    Err(Problem::malformed(format!(
        "wire type {} where the descriptor's type has {}",
        wire_type_name(found),
        wire_type_name(expected as u8)
    )))
}

fn append_value(
    plan: &ValuePlan,
    wire: &mut Wire<'_>,
    builder: &mut Builder,
    depth: usize,
) -> Result<(), Problem> {
    match (plan, builder) {
        (ValuePlan::Scalar(scalar), builder) => append_scalar(*scalar, wire, builder),
        (ValuePlan::EnumName(values), builder) => {
            let number = wire.varint()? as i32;
            let name = values.get(number).ok_or_else(|| {
                format!("enum \"{}\" has no value with number {number}", values.name)
            })?;
            Ok(builder.push_text(name)?)
        }
        (ValuePlan::Message(plan), Builder::Struct(fields)) => {
            let record = wire.bytes()?;
            let depth = depth
                .checked_sub(1)
                .ok_or("messages are nested deeper than 100")?;
            let row = fields.len();
            append_message(plan, record, &mut fields.cells, row, depth)?;
            fields.end();
            Ok(())
        }
        (ValuePlan::Message(_), builder) => Err(builder.unfit("a message").into()),
    }
}

/// As protobuf has it, a varint that is too large for its type is cut.
#[inline]
fn append_scalar(
    scalar: Scalar,
    wire: &mut Wire<'_>,
    builder: &mut Builder,
) -> Result<(), Problem> {
    Ok(match scalar {
        Scalar::Int32 => builder.push_int((wire.varint()? as i32).into()),
        Scalar::Int64 => builder.push_int(wire.varint()? as i64),
        Scalar::Uint32 => builder.push_int((wire.varint()? as u32).into()),
        Scalar::Uint64 => builder.push_u64(wire.varint()?),
        Scalar::Sint32 => builder.push_int(sint32(wire.varint()?).into()),
        Scalar::Sint64 => builder.push_int(sint64(wire.varint()?)),
        Scalar::Fixed32 => builder.push_int(u32::from_le_bytes(wire.fixed()?).into()),
        Scalar::Fixed64 => builder.push_u64(u64::from_le_bytes(wire.fixed()?)),
        Scalar::Sfixed32 => builder.push_int(i32::from_le_bytes(wire.fixed()?).into()),
        Scalar::Sfixed64 => builder.push_int(i64::from_le_bytes(wire.fixed()?)),
        Scalar::Float => builder.push_f32(f32::from_le_bytes(wire.fixed()?)),
        Scalar::Double => builder.push_f64(f64::from_le_bytes(wire.fixed()?)),
        Scalar::Bool => builder.push_bool(wire.varint()? != 0),
        Scalar::String => builder.push_text(wire.text()?),
        Scalar::Bytes => builder.push_bytes(wire.bytes()?),
    }?)
}

fn sint32(zigzag: u64) -> i32 {
    let zigzag = zigzag as u32;
    (zigzag >> 1) as i32 ^ -((zigzag & 1) as i32)
}

fn sint64(zigzag: u64) -> i64 {
    (zigzag >> 1) as i64 ^ -((zigzag & 1) as i64)
}

/// An entry of a map: they may come in any order and among other fields, and are put into
/// the column once all are known.
struct Entry<'a> {
    column: usize,
    key: Key<'a>,
    plan: &'a ValuePlan,
    /// Begins with the value.
    value: Wire<'a>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Key<'a> {
    Bool(bool),
    Int(i64),
    Uint(u64),
    Text(&'a str),
}

impl<'a> Entry<'a> {
    fn read(
        column: usize,
        key_type: Scalar,
        plan: &'a ValuePlan,
        entry: &'a [u8],
    ) -> Result<Self, Problem> {
        let mut wire = Wire(entry);
        let (mut key, mut value) = (None, None);
        while !wire.is_empty() {
            match wire.key()? {
                (1, wire_type) if key.is_none() => {
                    check_wire_type(wire_type, key_type.wire_type())?;
                    key = Some(Key::read(key_type, &mut wire)?);
                }
                (2, wire_type) if value.is_none() => {
                    check_wire_type(wire_type, plan.wire_type())?;
                    value = Some(wire);
                    wire.skip(plan.wire_type())?;
                }
                _ => return Err(again()),
            }
        }
        match (key, value) {
            (Some(key), Some(value)) => Ok(Self {
                column,
                key,
                plan,
                value,
            }),
            // Its default, which a general decoder knows.
            _ => Err(Problem::new("a map entry has no key or no value")),
        }
    }
}

impl<'a> Key<'a> {
    fn read(scalar: Scalar, wire: &mut Wire<'a>) -> Result<Self, Malformed> {
        Ok(match scalar {
            Scalar::Int32 => Self::Int((wire.varint()? as i32).into()),
            Scalar::Int64 => Self::Int(wire.varint()? as i64),
            Scalar::Uint32 => Self::Int((wire.varint()? as u32).into()),
            Scalar::Uint64 => Self::Uint(wire.varint()?),
            Scalar::Sint32 => Self::Int(sint32(wire.varint()?).into()),
            Scalar::Sint64 => Self::Int(sint64(wire.varint()?)),
            Scalar::Fixed32 => Self::Int(u32::from_le_bytes(wire.fixed()?).into()),
            Scalar::Fixed64 => Self::Uint(u64::from_le_bytes(wire.fixed()?)),
            Scalar::Sfixed32 => Self::Int(i32::from_le_bytes(wire.fixed()?).into()),
            Scalar::Sfixed64 => Self::Int(i64::from_le_bytes(wire.fixed()?)),
            Scalar::Bool => Self::Bool(wire.varint()? != 0),
            Scalar::String => Self::Text(wire.text()?),
            // The descriptor's check lets none of these be a key.
            Scalar::Float | Scalar::Double | Scalar::Bytes => {
                return Err("no type for a map's key");
            }
        })
    }

    fn append(self, builder: &mut Builder) -> Result<(), String> {
        match self {
            Self::Bool(key) => builder.push_bool(key),
            Self::Int(key) => builder.push_int(key),
            Self::Uint(key) => builder.push_u64(key),
            Self::Text(key) => builder.push_text(key),
        }
    }
}

impl fmt::Display for Key<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool(key) => key.fmt(f),
            Self::Int(key) => key.fmt(f),
            Self::Uint(key) => key.fmt(f),
            Self::Text(key) => key.fmt(f),
        }
    }
}

/// Entries mean the same in any order; a sorted table can be compared.
fn append_entries(
    entries: &mut [Entry<'_>],
    cells: &mut [Cell],
    depth: usize,
) -> Result<(), Problem> {
    entries.sort_unstable_by_key(|entry| (entry.column, entry.key));
    let mut last = None;
    for entry in entries {
        let Some(cell) = cells.get_mut(entry.column) else {
            return Err(Problem::new("no such column in the table"));
        };
        if last.replace((entry.column, entry.key)) == Some((entry.column, entry.key)) {
            return Err(again().within(&cell.name));
        }
        let Builder::Map(map) = &mut cell.builder else {
            return Err(cell.builder.unfit("a map").into());
        };
        append_entry(entry, map, depth)
            .map_err(|problem| problem.within(&entry.key.to_string()).within(&cell.name))?;
    }
    Ok(())
}

fn append_entry(entry: &Entry<'_>, map: &mut MapBuilder, depth: usize) -> Result<(), Problem> {
    entry.key.append(&mut map.key)?;
    append_value(entry.plan, &mut entry.value.clone(), &mut map.value, depth)
}

#[cfg(test)]
mod tests;
