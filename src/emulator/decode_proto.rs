//! Protobuf records to Arrow columns.

use bytes::Bytes;
use prost_reflect::{DynamicMessage, MapKey, Value};

use super::builder::Builder;
use super::columns::{Cell, Problem, Rows};
use super::plan::{FieldPlan, RecordPlan, Shape, ValuePlan};

/// Appends one record. After an error the rows are of no use any more.
pub(super) fn append(plan: &RecordPlan, record: &Bytes, rows: &mut Rows) -> Result<(), Problem> {
    let message =
        DynamicMessage::decode(plan.message.clone(), record.clone()).map_err(|error| {
            Problem::new(format!(
                "no valid protobuf message \"{}\": {error}",
                plan.message.name()
            ))
        })?;
    append_message(plan, &message, &mut rows.cells)?;
    rows.count += 1;
    Ok(())
}

fn append_message(
    plan: &RecordPlan,
    message: &DynamicMessage,
    cells: &mut [Cell],
) -> Result<(), Problem> {
    if let Some(unknown) = message.unknown_fields().next() {
        return Err(Problem::new(format!(
            "field number {} is not in message \"{}\" of the descriptor",
            unknown.number(),
            plan.message.name()
        )));
    }
    if let Some(field) = plan.required.iter().find(|field| !message.has_field(field)) {
        return Err(Problem::new("required, but missing").within(field.name()));
    }
    for (cell, field) in cells.iter_mut().zip(&plan.fields) {
        match field {
            Some(field) => append_field(field, message, cell)?,
            None => cell.push_null()?,
        }
    }
    Ok(())
}

fn append_field(
    plan: &FieldPlan,
    message: &DynamicMessage,
    cell: &mut Cell,
) -> Result<(), Problem> {
    // On the wire an empty list or map is the same as none: it is empty, never NULL.
    if matches!(plan.shape, Shape::Single(_)) && !message.has_field(&plan.field) {
        return cell.push_null();
    }
    let value = message.get_field(&plan.field);
    append_shape(&plan.shape, &value, &mut cell.builder)
        .map_err(|problem| problem.within(&cell.name))
}

fn append_shape(shape: &Shape, value: &Value, builder: &mut Builder) -> Result<(), Problem> {
    match (shape, value, builder) {
        (Shape::Single(plan), value, builder) => append_value(plan, value, builder),
        (Shape::List(plan), Value::List(elements), Builder::List(list)) => {
            for (index, element) in elements.iter().enumerate() {
                append_value(plan, element, &mut list.element)
                    .map_err(|problem| problem.within(&index.to_string()))?;
            }
            list.end(true);
            Ok(())
        }
        (Shape::Map(plan), Value::Map(entries), Builder::Map(map)) => {
            // The entries come in no order of their own; a sorted table can be compared.
            let mut entries: Vec<_> = entries.iter().collect();
            entries.sort_unstable_by_key(|(key, _)| *key);
            for (key, value) in entries {
                append_key(key, &mut map.key)
                    .and_then(|()| append_value(plan, value, &mut map.value))
                    .map_err(|problem| problem.within(&key_text(key)))?;
            }
            map.end(true);
            Ok(())
        }
        (_, value, builder) => Err(builder.unfit(value).into()),
    }
}

fn append_value(plan: &ValuePlan, value: &Value, builder: &mut Builder) -> Result<(), Problem> {
    match (plan, value, builder) {
        (ValuePlan::Message(plan), Value::Message(message), Builder::Struct(fields)) => {
            append_message(plan, message, &mut fields.cells)?;
            fields.end();
            Ok(())
        }
        (ValuePlan::EnumName(values), Value::EnumNumber(number), builder) => {
            let value = values.get_value(*number).ok_or_else(|| {
                format!(
                    "enum \"{}\" has no value with number {number}",
                    values.name()
                )
            })?;
            Ok(builder.push_text(value.name())?)
        }
        (_, value, builder) => Ok(append_scalar(value, builder)?),
    }
}

fn append_scalar(value: &Value, builder: &mut Builder) -> Result<(), String> {
    match value {
        Value::Bool(value) => builder.push_bool(*value),
        Value::I32(value) | Value::EnumNumber(value) => builder.push_int((*value).into()),
        Value::I64(value) => builder.push_int(*value),
        Value::U32(value) => builder.push_int((*value).into()),
        Value::U64(value) => builder.push_u64(*value),
        Value::F32(value) => builder.push_f32(*value),
        Value::F64(value) => builder.push_f64(*value),
        Value::String(value) => builder.push_text(value),
        Value::Bytes(value) => builder.push_bytes(value),
        Value::Message(_) | Value::List(_) | Value::Map(_) => Err(builder.unfit(value)),
    }
}

fn append_key(key: &MapKey, builder: &mut Builder) -> Result<(), Problem> {
    Ok(match key {
        MapKey::Bool(key) => builder.push_bool(*key),
        MapKey::I32(key) => builder.push_int((*key).into()),
        MapKey::I64(key) => builder.push_int(*key),
        MapKey::U32(key) => builder.push_int((*key).into()),
        MapKey::U64(key) => builder.push_u64(*key),
        MapKey::String(key) => builder.push_text(key),
    }?)
}

fn key_text(key: &MapKey) -> String {
    match key {
        MapKey::Bool(key) => key.to_string(),
        MapKey::I32(key) => key.to_string(),
        MapKey::I64(key) => key.to_string(),
        MapKey::U32(key) => key.to_string(),
        MapKey::U64(key) => key.to_string(),
        MapKey::String(key) => key.clone(),
    }
}
