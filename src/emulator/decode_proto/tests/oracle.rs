//! The same columns by way of prost-reflect's `DynamicMessage`.

use prost_reflect::ReflectMessage as _;
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MapKey, MessageDescriptor, Value};

use crate::emulator::builder::Builder;
use crate::emulator::columns::{Cell, Problem, Rows};

pub(super) fn append(
    message: &MessageDescriptor,
    record: &[u8],
    rows: &mut Rows,
) -> Result<(), Problem> {
    let record = DynamicMessage::decode(message.clone(), record)
        .map_err(|error| Problem::new(error.to_string()))?;
    append_message(&record, &mut rows.cells)?;
    rows.count += 1;
    Ok(())
}

fn append_message(message: &DynamicMessage, cells: &mut [Cell]) -> Result<(), Problem> {
    if let Some(unknown) = message.unknown_fields().next() {
        return Err(Problem::new(format!("unknown {}", unknown.number())));
    }
    let descriptor = message.descriptor();
    if descriptor
        .fields()
        .any(|f| f.is_required() && !message.has_field(&f))
    {
        return Err(Problem::new("required"));
    }
    for cell in cells {
        match descriptor.get_field_by_name(&cell.name) {
            Some(field) if message.has_field(&field) || field.is_list() || field.is_map() => {
                let value = message.get_field(&field);
                append_field(&field, &value, &mut cell.builder)
                    .map_err(|problem| problem.within(&cell.name))?;
            }
            _ => cell.push_null("missing")?,
        }
    }
    Ok(())
}

fn append_field(
    field: &FieldDescriptor,
    value: &Value,
    builder: &mut Builder,
) -> Result<(), Problem> {
    match (value, builder) {
        (Value::List(elements), Builder::List(list)) => {
            for element in elements {
                append_value(&field.kind(), element, &mut list.element)?;
            }
            list.end(true);
        }
        (Value::Map(entries), Builder::Map(map)) => {
            let Kind::Message(entry) = field.kind() else {
                unreachable!("a map");
            };
            let kind = entry.map_entry_value_field().kind();
            let mut entries: Vec<_> = entries.iter().collect();
            entries.sort_unstable_by_key(|(key, _)| *key);
            for (key, value) in entries {
                append_key(key, &mut map.key)?;
                append_value(&kind, value, &mut map.value)?;
            }
            map.end(true);
        }
        (value, builder) => append_value(&field.kind(), value, builder)?,
    }
    Ok(())
}

fn append_value(kind: &Kind, value: &Value, builder: &mut Builder) -> Result<(), Problem> {
    match (kind, value, builder) {
        (Kind::Message(_), Value::Message(message), Builder::Struct(fields)) => {
            append_message(message, &mut fields.cells)?;
            fields.end();
        }
        (Kind::Enum(values), Value::EnumNumber(number), builder @ Builder::Text(..)) => {
            let value = values.get_value(*number);
            let value = value.ok_or_else(|| Problem::new("no such value"))?;
            builder.push_text(value.name())?;
        }
        (_, value, builder) => match value {
            Value::Bool(value) => builder.push_bool(*value),
            Value::I32(value) | Value::EnumNumber(value) => builder.push_int((*value).into()),
            Value::I64(value) => builder.push_int(*value),
            Value::U32(value) => builder.push_int((*value).into()),
            Value::U64(value) => builder.push_u64(*value),
            Value::F32(value) => builder.push_f32(*value),
            Value::F64(value) => builder.push_f64(*value),
            Value::String(value) => builder.push_text(value),
            Value::Bytes(value) => builder.push_bytes(value),
            Value::Message(_) | Value::List(_) | Value::Map(_) => unreachable!("no scalar"),
        }?,
    }
    Ok(())
}

fn append_key(key: &MapKey, builder: &mut Builder) -> Result<(), String> {
    match key {
        MapKey::Bool(key) => builder.push_bool(*key),
        MapKey::I32(key) => builder.push_int((*key).into()),
        MapKey::I64(key) => builder.push_int(*key),
        MapKey::U32(key) => builder.push_int((*key).into()),
        MapKey::U64(key) => builder.push_u64(*key),
        MapKey::String(key) => builder.push_text(key),
    }
}
