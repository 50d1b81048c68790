//! Random descriptors, tables that fit them, and records that often do.

use fastrand::Rng;
use prost_reflect::prost::Message as _;
use prost_reflect::prost::encoding::{WireType, encode_key, encode_varint};
use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{
    DescriptorProto, EnumDescriptorProto, EnumValueDescriptorProto, FieldDescriptorProto,
    MessageOptions, OneofDescriptorProto,
};

use crate::emulator::descriptor;
use crate::schema::{Column, ColumnType};

const SCALARS: [Type; 15] = [
    Type::Double,
    Type::Float,
    Type::Int32,
    Type::Int64,
    Type::Uint32,
    Type::Uint64,
    Type::Sint32,
    Type::Sint64,
    Type::Fixed32,
    Type::Fixed64,
    Type::Sfixed32,
    Type::Sfixed64,
    Type::Bool,
    Type::String,
    Type::Bytes,
];
const KEYS: [Type; 5] = [
    Type::Int32,
    Type::Sint64,
    Type::Uint32,
    Type::Bool,
    Type::String,
];

pub(super) fn message(rng: &mut Rng) -> MessageDescriptor {
    let root = declare(rng, "Row", "", 0);
    descriptor::parse(&root.encode_to_vec()).unwrap()
}

fn declare(rng: &mut Rng, name: &str, scope: &str, depth: usize) -> DescriptorProto {
    let path = format!("{scope}.{name}");
    let mut message = DescriptorProto {
        name: Some(name.into()),
        ..Default::default()
    };
    let values =
        [("NONE", 0), ("SOME", 1), ("MINUS", -1)].map(|(name, number)| EnumValueDescriptorProto {
            name: Some(name.into()),
            number: Some(number),
            ..Default::default()
        });
    message.enum_type.push(EnumDescriptorProto {
        name: Some("Kind".into()),
        value: values.into(),
        ..Default::default()
    });
    if rng.bool() {
        message.oneof_decl.push(OneofDescriptorProto {
            name: Some("one".into()),
            ..Default::default()
        });
    }
    let mut number = 0;
    for index in 0..rng.i32(1..8) {
        number += if rng.u8(..4) == 0 {
            rng.i32(1..3_000)
        } else {
            1
        };
        let mut value = FieldDescriptorProto {
            number: Some(number),
            name: Some(format!("f{index}")),
            ..Default::default()
        };
        match rng.u8(..8) {
            0 => {
                value.type_name = Some(format!("{path}.Kind"));
                value.set_type(Type::Enum);
            }
            1 | 2 if depth < 3 => {
                let name = format!("M{index}");
                value.type_name = Some(format!("{path}.{name}"));
                value.set_type(Type::Message);
                message
                    .nested_type
                    .push(declare(rng, &name, &path, depth + 1));
            }
            _ => value.set_type(SCALARS[rng.usize(..SCALARS.len())]),
        }
        value.set_label(Label::Optional);
        match rng.u8(..8) {
            0 => value.set_label(Label::Required),
            1 | 2 => value.set_label(Label::Repeated),
            3 | 4 => {
                let entry = format!("E{index}");
                let mut key = FieldDescriptorProto {
                    number: Some(1),
                    name: Some("key".into()),
                    ..Default::default()
                };
                key.set_type(KEYS[rng.usize(..KEYS.len())]);
                key.set_label(Label::Optional);
                let field = FieldDescriptorProto {
                    number: Some(number),
                    name: Some(format!("map{index}")),
                    type_name: Some(format!("{path}.{entry}")),
                    r#type: Some(Type::Message.into()),
                    label: Some(Label::Repeated.into()),
                    ..Default::default()
                };
                value.number = Some(2);
                value.name = Some("value".into());
                message.nested_type.push(DescriptorProto {
                    name: Some(entry),
                    field: vec![key, std::mem::replace(&mut value, field)],
                    options: Some(MessageOptions {
                        map_entry: Some(true),
                        ..Default::default()
                    }),
                    ..Default::default()
                });
            }
            5 | 6 if !message.oneof_decl.is_empty() => value.oneof_index = Some(0),
            _ => {}
        }
        message.field.push(value);
    }
    if !message.field.iter().any(|f| f.oneof_index.is_some()) {
        message.oneof_decl.clear();
    }
    message
}

/// The columns that such a table gets, or narrower ones.
pub(super) fn columns(rng: &mut Rng, message: &MessageDescriptor) -> Vec<Column> {
    let mut columns = descriptor::columns(message).unwrap();
    narrow(rng, message, &mut columns);
    rng.shuffle(&mut columns);
    if rng.u8(..4) == 0 {
        columns.push(Column::new("unused", ColumnType::String, true));
    }
    columns
}

fn narrow(rng: &mut Rng, message: &MessageDescriptor, columns: &mut [Column]) {
    for column in columns {
        let field = message.get_field_by_name(&column.name).unwrap();
        if !field.is_list() && !field.is_map() {
            column.nullable = rng.u8(..8) != 0;
        }
        narrow_type(rng, &field.kind(), &mut column.ty);
    }
}

fn narrow_type(rng: &mut Rng, kind: &Kind, ty: &mut ColumnType) {
    match (kind, ty) {
        (kind, ColumnType::Array(element)) => narrow_type(rng, kind, element),
        (Kind::Message(entry), ColumnType::Map(_, value)) => {
            narrow_type(rng, &entry.map_entry_value_field().kind(), value);
        }
        (Kind::Message(message), ColumnType::Struct(columns)) => narrow(rng, message, columns),
        (Kind::Enum(_), ty) if rng.bool() => *ty = ColumnType::TinyInt,
        (Kind::String, ty) => {
            let precise = ColumnType::Decimal {
                precision: 5,
                scale: 2,
            };
            let types = [ColumnType::Varchar(2), ColumnType::Variant, precise];
            if let Some(narrow) = types.into_iter().nth(rng.usize(..6)) {
                *ty = narrow;
            }
        }
        (_, ty @ ColumnType::Int) => {
            let types = [ColumnType::TinyInt, ColumnType::SmallInt, ColumnType::Date];
            if let Some(narrow) = types.into_iter().nth(rng.usize(..6)) {
                *ty = narrow;
            }
        }
        (Kind::Int64, ty @ ColumnType::BigInt) if rng.bool() => *ty = ColumnType::Timestamp,
        _ => {}
    }
}

pub(super) fn record(rng: &mut Rng, message: &MessageDescriptor) -> Vec<u8> {
    let mut record = body(rng, message);
    if rng.u8(..6) == 0 && !record.is_empty() {
        for _ in 0..rng.usize(1..3) {
            let at = rng.usize(..record.len());
            match rng.u8(..4) {
                0 => record.truncate(at + 1),
                1 => record[at] = rng.u8(..),
                2 => record[at] ^= 1 << rng.u8(..8),
                _ => record.insert(at, rng.u8(..)),
            }
        }
    }
    record
}

fn body(rng: &mut Rng, message: &MessageDescriptor) -> Vec<u8> {
    let mut fields: Vec<FieldDescriptor> = message.fields().collect();
    // Most often as an encoder writes it: each field once, in order.
    if rng.u8(..4) == 0 {
        rng.shuffle(&mut fields);
        let more = rng.choice(fields.clone());
        fields.extend(more.filter(|_| rng.bool()));
    }
    let mut out = Vec::new();
    let mut chosen = Vec::new();
    for field in fields {
        let oneof = field.containing_oneof().map(|o| o.name().to_owned());
        let clash = oneof.is_some() && chosen.contains(&oneof) && rng.u8(..6) != 0;
        if clash || (!field.is_required() && rng.u8(..4) == 0) {
            continue;
        }
        if oneof.is_some() {
            chosen.push(oneof);
        }
        match field.kind() {
            Kind::Message(entry) if field.is_map() => {
                for _ in 0..rng.usize(..4) {
                    let bytes = map_entry(rng, &entry);
                    encode_key(field.number(), WireType::LengthDelimited, &mut out);
                    prefixed(&bytes, &mut out);
                }
            }
            kind if field.is_list() => {
                if kind.wire_type() != WireType::LengthDelimited && rng.bool() {
                    let mut packed = Vec::new();
                    (0..rng.usize(..4)).for_each(|_| value(rng, &kind, &mut packed));
                    encode_key(field.number(), WireType::LengthDelimited, &mut out);
                    prefixed(&packed, &mut out);
                } else {
                    for _ in 0..rng.usize(..3) {
                        encode_key(field.number(), kind.wire_type(), &mut out);
                        value(rng, &kind, &mut out);
                    }
                }
            }
            kind => {
                encode_key(field.number(), kind.wire_type(), &mut out);
                value(rng, &kind, &mut out);
            }
        }
    }
    if rng.u8(..40) == 0 {
        encode_key(rng.u32(1..20), WireType::Varint, &mut out);
        encode_varint(rng.u64(..300), &mut out);
    }
    out
}

fn map_entry(rng: &mut Rng, entry: &MessageDescriptor) -> Vec<u8> {
    let mut fields = vec![entry.map_entry_key_field(), entry.map_entry_value_field()];
    match rng.u8(..20) {
        0 => fields.swap(0, 1),
        1 => drop(fields.pop()),
        2 => drop(fields.remove(0)),
        3 => fields.extend(fields.clone()),
        _ => {}
    }
    let mut out = Vec::new();
    for field in fields {
        encode_key(field.number(), field.kind().wire_type(), &mut out);
        value(rng, &field.kind(), &mut out);
    }
    if rng.u8(..30) == 0 {
        encode_key(3, WireType::Varint, &mut out);
        encode_varint(1, &mut out);
    }
    out
}

/// Small values are common: keys meet, and narrow columns hold them.
fn value(rng: &mut Rng, kind: &Kind, out: &mut Vec<u8>) {
    match kind {
        Kind::Message(message) => {
            let bytes = body(rng, message);
            prefixed(&bytes, out);
        }
        Kind::String => {
            let texts = [
                "",
                "1",
                "-0.5",
                "ab",
                "äöü",
                "{\"a\":[1]}",
                "12345",
                "\u{1F600}",
            ];
            match rng.u8(..40) {
                0 => prefixed(b"\xff", out),
                1 => prefixed(b"\xed\xa0\x80", out),
                2.. if rng.bool() => prefixed(b"7", out),
                _ => prefixed(texts[rng.usize(..texts.len())].as_bytes(), out),
            }
        }
        Kind::Bytes => prefixed(&[0xff, rng.u8(..)][..rng.usize(..3)], out),
        kind => match kind.wire_type() {
            WireType::Varint => {
                let small = rng.u64(..3);
                let value = match rng.u8(..24) {
                    0 => rng.u64(..),
                    1 => rng.u64(..) >> rng.u8(..64),
                    2 => rng.i64(-200..200) as u64,
                    _ => small,
                };
                encode_varint(value, out);
            }
            WireType::ThirtyTwoBit => {
                let value = if rng.u8(..8) == 0 {
                    rng.u32(..)
                } else {
                    rng.u32(..100)
                };
                out.extend(value.to_le_bytes());
            }
            _ => {
                let value = if rng.u8(..8) == 0 {
                    rng.u64(..)
                } else {
                    rng.u64(..100)
                };
                out.extend(value.to_le_bytes());
            }
        },
    }
}

fn prefixed(bytes: &[u8], out: &mut Vec<u8>) {
    encode_varint(bytes.len() as u64, out);
    out.extend(bytes);
}
