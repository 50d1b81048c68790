//! Messages as plain values: what a message says, whichever descriptor it was read by.

use std::collections::BTreeMap;

use prost_reflect::{DynamicMessage, Kind, MapKey, MessageDescriptor, ReflectMessage, Value};

/// A value that can be compared: all numbers of one kind alike, NaN equal to itself.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Plain {
    Int(i128),
    Double(u64),
    Float(u32),
    Bool(bool),
    Text(String),
    Bytes(Vec<u8>),
    List(Vec<Plain>),
    Map(BTreeMap<Plain, Plain>),
    Message(BTreeMap<u32, Plain>),
    /// The value in a wrapper such as `google.protobuf.DoubleValue`.
    Wrapped(Box<Plain>),
}

/// A message as its own descriptor declares it, or, for records, as a bundle does: there
/// well-known types are scalars, and each scalar may be there or not.
pub fn plain(message: &DynamicMessage, declared: &MessageDescriptor) -> Plain {
    let mut fields = BTreeMap::new();
    for field in declared.fields() {
        let number = field.number();
        let here = message.descriptor().get_field(number).unwrap();
        let given = message.has_field(&here);
        // Without presence a field has its default, given or not.
        if !given && (field.supports_presence() || field.is_list() || field.is_map()) {
            continue;
        }
        let value = message.get_field(&here);
        fields.insert(number, plain_value(&value, &field.kind()));
    }
    Plain::Message(fields)
}

fn plain_value(value: &Value, declared: &Kind) -> Plain {
    match (value, declared) {
        (Value::Message(message), Kind::Message(declared)) => {
            let part = |n| message.get_field_by_number(n).unwrap().into_owned();
            match declared.full_name().strip_prefix("google.protobuf.") {
                None => plain(message, declared),
                // Nanoseconds have the sign of the seconds.
                Some("Timestamp" | "Duration") => match (part(1), part(2)) {
                    (Value::I64(seconds), Value::I32(nanos)) => {
                        Plain::Int(i128::from(seconds) * 1_000_000 + i128::from(nanos / 1_000))
                    }
                    other => unreachable!("{other:?}"),
                },
                Some(_) => plain_value(&part(1), &Kind::Message(declared.clone())),
            }
        }
        (Value::Map(map), Kind::Message(entry)) => {
            let kind = entry.map_entry_value_field().kind();
            let key = |key: &MapKey| plain_value(&Value::from(key.clone()), &Kind::Bool);
            Plain::Map(
                map.iter()
                    .map(|(k, v)| (key(k), plain_value(v, &kind)))
                    .collect(),
            )
        }
        (Value::List(list), _) => {
            Plain::List(list.iter().map(|v| plain_value(v, declared)).collect())
        }
        (value, Kind::Message(known)) => match known.get_field(2) {
            None => Plain::Wrapped(Box::new(plain_value(
                value,
                &known.get_field(1).unwrap().kind(),
            ))),
            // A Timestamp or a Duration in microseconds.
            Some(_) => plain_value(value, &Kind::Int64),
        },
        (Value::I32(n) | Value::EnumNumber(n), _) => Plain::Int((*n).into()),
        (Value::I64(n), _) => Plain::Int((*n).into()),
        (Value::U32(n), _) => Plain::Int((*n).into()),
        (Value::U64(n), _) => Plain::Int((*n).into()),
        (Value::F64(n), _) if n.is_nan() => Plain::Double(f64::NAN.to_bits()),
        (Value::F32(n), _) if n.is_nan() => Plain::Float(f32::NAN.to_bits()),
        (Value::F64(n), _) => Plain::Double(n.to_bits()),
        (Value::F32(n), _) => Plain::Float(n.to_bits()),
        (Value::Bool(b), _) => Plain::Bool(*b),
        (Value::String(s), _) => Plain::Text(s.clone()),
        (Value::Bytes(b), _) => Plain::Bytes(b.to_vec()),
        (Value::Message(_), _) => unreachable!("a message where none is declared"),
        (Value::Map(_), _) => unreachable!("a map where none is declared"),
    }
}

/// The scalars in which two values of one shape differ; none if their shapes differ.
pub fn unequal<'p>(ours: &'p Plain, theirs: &'p Plain) -> Option<Vec<(&'p Plain, &'p Plain)>> {
    fn all<'p>(
        pairs: impl Iterator<Item = (&'p Plain, &'p Plain)>,
    ) -> Option<Vec<(&'p Plain, &'p Plain)>> {
        let mut found = Vec::new();
        for (ours, theirs) in pairs {
            found.extend(unequal(ours, theirs)?);
        }
        Some(found)
    }
    match (ours, theirs) {
        (Plain::List(a), Plain::List(b)) => (a.len() == b.len()).then(|| all(a.iter().zip(b)))?,
        (Plain::Map(a), Plain::Map(b)) => a
            .keys()
            .eq(b.keys())
            .then(|| all(a.values().zip(b.values())))?,
        (Plain::Message(a), Plain::Message(b)) => a
            .keys()
            .eq(b.keys())
            .then(|| all(a.values().zip(b.values())))?,
        (a, b) if a == b => Some(Vec::new()),
        (a, b) => Some(vec![(a, b)]),
    }
}

/// Whether a bundled message declares what the original does.
pub fn same_declaration(original: &MessageDescriptor, bundled: &MessageDescriptor) -> bool {
    original.fields().len() == bundled.fields().len()
        && original
            .oneofs()
            .map(|o| o.name().to_owned())
            .eq(bundled.oneofs().map(|o| o.name().to_owned()))
        && original.fields().all(|a| {
            let Some(b) = bundled.get_field(a.number()) else {
                return false;
            };
            let oneof = |f: &prost_reflect::FieldDescriptor| {
                f.containing_oneof().map(|o| o.name().to_owned())
            };
            let same_kind = match (a.kind(), b.kind()) {
                (Kind::Message(a), Kind::Message(b)) => same_declaration(&a, &b),
                (Kind::Message(a), b) => match a.full_name() {
                    "google.protobuf.Timestamp" | "google.protobuf.Duration" => b == Kind::Int64,
                    _ => a.get_field(1).is_some_and(|inner| inner.kind() == b),
                },
                (Kind::Enum(a), Kind::Enum(b)) => a
                    .values()
                    .map(|v| (v.name().to_owned(), v.number()))
                    .eq(b.values().map(|v| (v.name().to_owned(), v.number()))),
                (a, b) => a == b,
            };
            same_kind
                && (
                    a.name(),
                    a.json_name(),
                    a.cardinality(),
                    a.is_packed(),
                    a.is_map(),
                ) == (
                    b.name(),
                    b.json_name(),
                    b.cardinality(),
                    b.is_packed(),
                    b.is_map(),
                )
                && oneof(&a) == oneof(&b)
        })
}
