//! A stream's record descriptor: checked to stand alone, made usable for decoding, and
//! read as the columns of a new table.

use std::collections::{HashMap, HashSet};

use prost::Message as _;
use prost_reflect::{Cardinality, DescriptorPool, FieldDescriptor, Kind, MessageDescriptor};
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{
    DescriptorProto, EnumDescriptorProto, EnumValueDescriptorProto, FieldDescriptorProto,
    FileDescriptorProto,
};

use crate::schema::{Column, ColumnType};

use super::columns::is_name;
use super::shown::quoted;

/// The record message of a serialized `google.protobuf.DescriptorProto`.
///
/// # Errors
/// The bytes are no descriptor, or it refers to anything outside itself.
pub(super) fn parse(bytes: &[u8]) -> Result<MessageDescriptor, String> {
    let mut root = DescriptorProto::decode(bytes)
        .map_err(|error| format!("descriptor_proto is no DescriptorProto: {error}"))?;
    let name = root.name().to_owned();
    if name.is_empty() {
        return Err("descriptor_proto has no message name".into());
    }
    let mut types = Types::default();
    types.collect("", &root);
    if types.fields > FIELDS_MAX {
        let fields = types.fields;
        return Err(format!("{fields} fields, at most {FIELDS_MAX} are allowed"));
    }
    types.check(&root)?;
    make_plain(&mut root);
    // A file around the message. In proto2 every field has presence, so that what is
    // absent on the wire is absent here whatever syntax the message was written in.
    let file = FileDescriptorProto {
        name: Some("record.proto".into()),
        syntax: Some("proto2".into()),
        message_type: vec![root],
        ..FileDescriptorProto::default()
    };
    let mut pool = DescriptorPool::new();
    pool.add_file_descriptor_proto(file)
        .map_err(|error| format!("descriptor_proto is not valid: {error}"))?;
    pool.get_message_by_name(&name)
        .ok_or_else(|| format!("descriptor_proto holds no message \"{name}\""))
}

/// The absolute names of what the descriptor itself declares.
#[derive(Default)]
struct Types {
    /// Each message, and whether it is the entry of a map.
    messages: HashMap<String, bool>,
    enums: HashSet<String>,
    /// How many all messages declare.
    fields: usize,
}

impl Types {
    fn collect(&mut self, scope: &str, message: &DescriptorProto) {
        let name = format!("{scope}.{}", message.name());
        for nested in &message.nested_type {
            self.collect(&name, nested);
        }
        for nested in &message.enum_type {
            self.enums.insert(format!("{name}.{}", nested.name()));
        }
        self.fields += message.field.len();
        self.messages.insert(name, is_map_entry(message));
    }

    fn check(&self, message: &DescriptorProto) -> Result<(), String> {
        if is_map_entry(message) {
            check_map_entry(message)?;
        }
        for field in &message.field {
            self.check_field(field)?;
        }
        message.enum_type.iter().try_for_each(check_enum)?;
        message
            .nested_type
            .iter()
            .try_for_each(|nested| self.check(nested))
    }

    fn check_field(&self, field: &FieldDescriptorProto) -> Result<(), String> {
        let (name, type_name) = (field.name(), field.type_name());
        if field.extendee.is_some() {
            return Err(format!(
                "field \"{name}\" is an extension, which has no column type"
            ));
        }
        let has_type = field.r#type.is_some();
        let known = match field.r#type() {
            Type::Group => {
                return Err(format!(
                    "field \"{name}\" is a group, which has no column type"
                ));
            }
            Type::Message => self.messages.contains_key(type_name),
            Type::Enum => self.enums.contains(type_name),
            // A compiler that could not resolve a name leaves the type out.
            _ => has_type && type_name.is_empty(),
        };
        if !known {
            return Err(format!(
                "Proto not self-contained for field \"{name}\" with type name \"{type_name}\". Error Code: 4033"
            ));
        }
        if self.messages.get(type_name) == Some(&true) && field.label() != Label::Repeated {
            return Err(format!("map field \"{name}\" is not repeated"));
        }
        Ok(())
    }
}

/// A column holds the names of an enum's values: a byte on the wire makes as many as a name has.
fn check_enum(values: &EnumDescriptorProto) -> Result<(), String> {
    let long = |value: &&EnumValueDescriptorProto| value.name().len() > ENUM_NAME_BYTES_MAX;
    match values.value.iter().find(long) {
        Some(value) => Err(format!(
            "enum \"{}\" has a value with a name of {} bytes, at most {ENUM_NAME_BYTES_MAX} are allowed",
            values.name(),
            value.name().len()
        )),
        None => Ok(()),
    }
}

fn is_map_entry(message: &DescriptorProto) -> bool {
    message.options.as_ref().is_some_and(|o| o.map_entry())
}

/// The decoder relies on the shape of map entries.
fn check_map_entry(entry: &DescriptorProto) -> Result<(), String> {
    let name = entry.name();
    let fit = match &entry.field[..] {
        [key, value] => {
            let key_fits = !matches!(
                key.r#type(),
                Type::Float | Type::Double | Type::Bytes | Type::Message | Type::Enum | Type::Group
            );
            let singular = |field: &FieldDescriptorProto| field.label() == Label::Optional;
            let numbers = (key.number(), value.number()) == (1, 2);
            key_fits && numbers && singular(key) && singular(value)
        }
        _ => false,
    };
    if fit {
        Ok(())
    } else {
        Err(format!(
            "map entry \"{name}\" needs an integer, bool or string key = 1 and a value = 2"
        ))
    }
}

/// Leaves out what only matters to a compiler, and would be refused here.
fn make_plain(message: &mut DescriptorProto) {
    message.extension.clear();
    message.extension_range.clear();
    for field in &mut message.field {
        // A proto3 optional is an ordinary field of proto2; its oneof of one may stay.
        field.proto3_optional = None;
        field.default_value = None;
        field.options = None;
        // JSON names play no part, but two that are alike would be refused.
        field.json_name = field.name.clone();
    }
    for nested in &mut message.enum_type {
        for value in &mut nested.value {
            value.options = None;
        }
    }
    message.nested_type.iter_mut().for_each(make_plain);
}

/// The columns of a table for these records, in the descriptor's order.
///
/// # Errors
/// Some fields have no column type; all of them are named.
pub(super) fn columns(message: &MessageDescriptor) -> Result<Vec<Column>, String> {
    let mut walk = Walk {
        path: vec![message.clone()],
        fields: 0,
    };
    walk.columns(message).map_err(|problems| all_of(&problems))
}

/// Problems as one text: the first ones, and how many more there are.
pub(super) fn all_of(problems: &[String]) -> String {
    let mut text = problems[..problems.len().min(PROBLEMS_SHOWN_MAX)].join("; ");
    if let Some(more @ 1..) = problems.len().checked_sub(PROBLEMS_SHOWN_MAX) {
        text.push_str(&format!("; and {more} more"));
    }
    text
}

/// Problems of one descriptor that a refusal names.
const PROBLEMS_SHOWN_MAX: usize = 10;
/// The longest name of an enum's value: with it a request's values stay far below the 2 GiB
/// that a column of Arrow takes.
const ENUM_NAME_BYTES_MAX: usize = 128;
/// The most columns of a table (PROTOCOL: limits).
const COLUMNS_MAX: usize = 2_000;

/// The deepest nesting of messages (PROTOCOL: limits).
const DEPTH_MAX: usize = 100;
/// The most fields, a message's counted wherever it stands: a small descriptor can hold each
/// of its messages twice in the one before.
const FIELDS_MAX: usize = 20_000;

struct Walk {
    /// The messages around, so that recursion is found.
    path: Vec<MessageDescriptor>,
    /// Fields seen so far.
    fields: usize,
}

impl Walk {
    fn columns(&mut self, message: &MessageDescriptor) -> Result<Vec<Column>, Vec<String>> {
        let mut columns = Vec::new();
        let mut problems = Vec::new();
        // `fields()` goes by number; a table keeps the order in which they are written.
        for field in &message.descriptor_proto().field {
            let Some(field) = message.get_field_by_name(field.name()) else {
                continue;
            };
            self.fields += 1;
            if self.fields > FIELDS_MAX {
                return Err(vec![format!("more than {FIELDS_MAX} nested fields")]);
            }
            if let Some(problem) = self.name_problem(field.name(), &columns) {
                problems.push(problem);
                continue;
            }
            match self.column_type(&field) {
                Ok(ty) => {
                    let nullable = field.cardinality() != Cardinality::Required;
                    columns.push(Column::new(field.name(), ty, nullable));
                }
                Err(inner) => problems.extend(inner),
            }
        }
        if self.path.len() == 1 && columns.len() > COLUMNS_MAX {
            let count = columns.len();
            problems.push(format!(
                "{count} columns, a table takes at most {COLUMNS_MAX}"
            ));
        }
        if columns.is_empty() && problems.is_empty() {
            problems.push(format!("message \"{}\" has no fields", message.full_name()));
        }
        if problems.is_empty() {
            Ok(columns)
        } else {
            Err(problems)
        }
    }

    /// Why no column may have this name beside the others (PROTOCOL: limits).
    fn name_problem(&self, name: &str, columns: &[Column]) -> Option<String> {
        if !is_name(name) {
            return Some(format!(
                "field {}: columns have names of ASCII letters, digits and _ only",
                quoted(name)
            ));
        }
        let same = |column: &&Column| column.name.eq_ignore_ascii_case(name);
        let other = &columns.iter().find(same)?.name;
        Some(format!(
            "field \"{name}\" differs from \"{other}\" only in case, columns do not"
        ))
    }

    fn column_type(&mut self, field: &FieldDescriptor) -> Result<ColumnType, Vec<String>> {
        if let (true, Kind::Message(entry)) = (field.is_map(), field.kind()) {
            let key = self.column_type(&entry.map_entry_key_field())?;
            let value = self.column_type(&entry.map_entry_value_field())?;
            return Ok(ColumnType::Map(Box::new(key), Box::new(value)));
        }
        let ty = match field.kind() {
            Kind::Double => ColumnType::Double,
            Kind::Float => ColumnType::Float,
            Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => ColumnType::Int,
            Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 | Kind::Uint32 | Kind::Fixed32 => {
                ColumnType::BigInt
            }
            Kind::Uint64 | Kind::Fixed64 => ColumnType::Decimal {
                precision: 20,
                scale: 0,
            },
            Kind::Bool => ColumnType::Boolean,
            Kind::String | Kind::Enum(_) => ColumnType::String,
            Kind::Bytes => ColumnType::Binary,
            Kind::Message(message) => {
                if self.path.contains(&message) {
                    return Err(vec![format!(
                        "field \"{}\" is recursive, which has no column type",
                        field.full_name()
                    )]);
                }
                if self.path.len() >= DEPTH_MAX {
                    let what = format!("nests deeper than {DEPTH_MAX} messages");
                    return Err(vec![format!("field \"{}\" {what}", field.full_name())]);
                }
                self.path.push(message.clone());
                let columns = self.columns(&message);
                self.path.pop();
                ColumnType::Struct(columns?)
            }
        };
        Ok(if field.is_list() {
            ColumnType::Array(Box::new(ty))
        } else {
            ty
        })
    }
}
