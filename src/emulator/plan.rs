//! How the fields of a record message become the columns of a table: checked once for
//! each stream, then followed for every record.

use std::collections::BTreeSet;

use prost_reflect::{Cardinality, EnumDescriptor, FieldDescriptor, Kind, MessageDescriptor};

use crate::schema::{Column, ColumnType};

use super::descriptor::all_of;
use super::wire_format::WireType;

/// Columns that a record's fields fill.
pub(super) struct RecordPlan {
    pub(super) message: MessageDescriptor,
    /// By number.
    pub(super) fields: Vec<FieldPlan>,
    /// In the table's order.
    pub(super) columns: Vec<Absent>,
}

/// What a column gets if the record has nothing for it.
#[derive(Clone, Copy)]
pub(super) enum Absent {
    Null,
    /// A refusal, although the column may be NULL.
    Required,
    /// On the wire an empty list or map is the same as none: it is empty, never NULL.
    Empty,
}

pub(super) struct FieldPlan {
    pub(super) number: u32,
    /// Place of its column.
    pub(super) column: usize,
    /// Columns of the other fields of its oneof: only one of them may have a value.
    pub(super) instead_of: Vec<usize>,
    pub(super) shape: Shape,
}

pub(super) enum Shape {
    Single(ValuePlan),
    List(ValuePlan),
    /// The key's type and the plan of the values.
    Map(Scalar, ValuePlan),
}

pub(super) enum ValuePlan {
    Scalar(Scalar),
    /// Stored as the value's name.
    EnumName(EnumNames),
    Message(RecordPlan),
}

/// A type as it stands on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scalar {
    Double,
    Float,
    /// And an enum's number.
    Int32,
    Int64,
    Uint32,
    Uint64,
    Sint32,
    Sint64,
    Fixed32,
    Fixed64,
    Sfixed32,
    Sfixed64,
    Bool,
    String,
    Bytes,
}

pub(super) struct EnumNames {
    pub(super) name: String,
    /// By number.
    values: Vec<(i32, String)>,
}

impl RecordPlan {
    /// The place in `fields` of the field with this number, which most often is `guess`.
    #[inline]
    pub(super) fn place(&self, number: u32, guess: usize) -> Option<usize> {
        match self.fields.get(guess) {
            Some(field) if field.number == number => Some(guess),
            _ => self.fields.binary_search_by_key(&number, |f| f.number).ok(),
        }
    }
}

impl EnumNames {
    fn new(values: &EnumDescriptor) -> Self {
        let numbers: BTreeSet<i32> = values.values().map(|v| v.number()).collect();
        let named = |number| Some((number, values.get_value(number)?.name().to_owned()));
        Self {
            name: values.name().to_owned(),
            values: numbers.into_iter().filter_map(named).collect(),
        }
    }

    pub(super) fn get(&self, number: i32) -> Option<&str> {
        let place = self
            .values
            .binary_search_by_key(&number, |(n, _)| *n)
            .ok()?;
        self.values.get(place).map(|(_, name)| name.as_str())
    }
}

impl ValuePlan {
    pub(super) fn wire_type(&self) -> WireType {
        match self {
            Self::Scalar(scalar) => scalar.wire_type(),
            Self::EnumName(_) => WireType::Varint,
            Self::Message(_) => WireType::Length,
        }
    }
}

impl Scalar {
    /// None: messages are no scalars.
    fn of(kind: &Kind) -> Option<Self> {
        Some(match kind {
            Kind::Double => Self::Double,
            Kind::Float => Self::Float,
            Kind::Int32 | Kind::Enum(_) => Self::Int32,
            Kind::Int64 => Self::Int64,
            Kind::Uint32 => Self::Uint32,
            Kind::Uint64 => Self::Uint64,
            Kind::Sint32 => Self::Sint32,
            Kind::Sint64 => Self::Sint64,
            Kind::Fixed32 => Self::Fixed32,
            Kind::Fixed64 => Self::Fixed64,
            Kind::Sfixed32 => Self::Sfixed32,
            Kind::Sfixed64 => Self::Sfixed64,
            Kind::Bool => Self::Bool,
            Kind::String => Self::String,
            Kind::Bytes => Self::Bytes,
            Kind::Message(_) => return None,
        })
    }

    #[inline]
    pub(super) fn wire_type(self) -> WireType {
        match self {
            Self::Int32
            | Self::Int64
            | Self::Uint32
            | Self::Uint64
            | Self::Sint32
            | Self::Sint64
            | Self::Bool => WireType::Varint,
            Self::Double | Self::Fixed64 | Self::Sfixed64 => WireType::Fixed64,
            Self::Float | Self::Fixed32 | Self::Sfixed32 => WireType::Fixed32,
            Self::String | Self::Bytes => WireType::Length,
        }
    }
}

/// Checks the fields of `message` against `columns`.
///
/// # Errors
/// Every field without a fitting column, and every NOT NULL column without a field.
pub(super) fn plan(message: &MessageDescriptor, columns: &[Column]) -> Result<RecordPlan, String> {
    let mut problems = Vec::new();
    let plan = plan_record(message, columns, "", &mut problems);
    if problems.is_empty() {
        Ok(plan)
    } else {
        Err(all_of(&problems))
    }
}

fn plan_record(
    message: &MessageDescriptor,
    columns: &[Column],
    within: &str,
    problems: &mut Vec<String>,
) -> RecordPlan {
    for field in message.fields() {
        if !columns.iter().any(|column| column.name == field.name()) {
            problems.push(format!(
                "field \"{within}{}\" has no column in the table",
                field.name()
            ));
        }
    }
    let mut fields: Vec<FieldPlan> = Vec::new();
    let mut absent = Vec::new();
    for (place, column) in columns.iter().enumerate() {
        let name = format!("{within}{}", column.name);
        let Some(field) = message.get_field_by_name(&column.name) else {
            if !column.nullable {
                problems.push(format!(
                    "column \"{name}\" is NOT NULL but the descriptor has no such field"
                ));
            }
            absent.push(Absent::Null);
            continue;
        };
        absent.push(match field.cardinality() {
            Cardinality::Repeated => Absent::Empty,
            Cardinality::Required => Absent::Required,
            Cardinality::Optional => Absent::Null,
        });
        match plan_field(&field, &column.ty, &name, problems) {
            Some(shape) => fields.push(FieldPlan {
                number: field.number(),
                column: place,
                instead_of: instead_of(&field, columns),
                shape,
            }),
            None => problems.push(format!(
                "field \"{name}\" of type {} does not fit column type {}",
                proto_type(&field),
                column.ty
            )),
        }
    }
    fields.sort_unstable_by_key(|field| field.number);
    RecordPlan {
        message: message.clone(),
        fields,
        columns: absent,
    }
}

/// The places of the columns of the other fields of the field's oneof.
fn instead_of(field: &FieldDescriptor, columns: &[Column]) -> Vec<usize> {
    let others = field.containing_oneof().into_iter().flat_map(|oneof| {
        let others = oneof.fields().filter(|other| other != field);
        others.collect::<Vec<_>>()
    });
    others
        .filter_map(|other| columns.iter().position(|c| c.name == other.name()))
        .collect()
}

/// None: the field does not fit the column. What is wrong deeper goes to `problems`.
fn plan_field(
    field: &FieldDescriptor,
    ty: &ColumnType,
    name: &str,
    problems: &mut Vec<String>,
) -> Option<Shape> {
    if let (true, Kind::Message(entry)) = (field.is_map(), field.kind()) {
        let ColumnType::Map(key, value) = ty else {
            return None;
        };
        let key_kind = entry.map_entry_key_field().kind();
        let ValuePlan::Scalar(key) = plan_value(&key_kind, key, name, problems)? else {
            return None;
        };
        let value_kind = entry.map_entry_value_field().kind();
        return plan_value(&value_kind, value, name, problems).map(|value| Shape::Map(key, value));
    }
    if field.is_list() {
        let ColumnType::Array(element) = ty else {
            return None;
        };
        return plan_value(&field.kind(), element, name, problems).map(Shape::List);
    }
    plan_value(&field.kind(), ty, name, problems).map(Shape::Single)
}

fn plan_value(
    kind: &Kind,
    ty: &ColumnType,
    name: &str,
    problems: &mut Vec<String>,
) -> Option<ValuePlan> {
    use ColumnType as T;
    let fits = match kind {
        Kind::Bool => *ty == T::Boolean,
        Kind::Float => *ty == T::Float,
        Kind::Double => *ty == T::Double,
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => {
            matches!(ty, T::TinyInt | T::SmallInt | T::Int | T::Date)
        }
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => {
            matches!(ty, T::BigInt | T::Timestamp | T::TimestampNtz)
        }
        Kind::Uint32 | Kind::Fixed32 => *ty == T::BigInt,
        Kind::Uint64 | Kind::Fixed64 => {
            matches!(ty, T::Decimal { precision, scale } if precision.saturating_sub(*scale) >= 20)
        }
        Kind::String => matches!(
            ty,
            T::String | T::Varchar(_) | T::Variant | T::Decimal { .. }
        ),
        Kind::Bytes => *ty == T::Binary,
        Kind::Enum(values) => {
            if matches!(ty, T::String | T::Varchar(_)) {
                return Some(ValuePlan::EnumName(EnumNames::new(values)));
            }
            matches!(ty, T::TinyInt | T::SmallInt | T::Int | T::BigInt)
        }
        Kind::Message(message) => {
            let T::Struct(columns) = ty else {
                return None;
            };
            let within = format!("{name}.");
            let plan = plan_record(message, columns, &within, problems);
            return Some(ValuePlan::Message(plan));
        }
    };
    Scalar::of(kind).filter(|_| fits).map(ValuePlan::Scalar)
}

/// The field's type as a .proto file names it.
fn proto_type(field: &FieldDescriptor) -> String {
    let name = |kind: Kind| match kind {
        Kind::Double => "double".to_owned(),
        Kind::Float => "float".to_owned(),
        Kind::Int32 => "int32".to_owned(),
        Kind::Int64 => "int64".to_owned(),
        Kind::Uint32 => "uint32".to_owned(),
        Kind::Uint64 => "uint64".to_owned(),
        Kind::Sint32 => "sint32".to_owned(),
        Kind::Sint64 => "sint64".to_owned(),
        Kind::Fixed32 => "fixed32".to_owned(),
        Kind::Fixed64 => "fixed64".to_owned(),
        Kind::Sfixed32 => "sfixed32".to_owned(),
        Kind::Sfixed64 => "sfixed64".to_owned(),
        Kind::Bool => "bool".to_owned(),
        Kind::String => "string".to_owned(),
        Kind::Bytes => "bytes".to_owned(),
        Kind::Message(message) => format!("message {}", message.name()),
        Kind::Enum(values) => format!("enum {}", values.name()),
    };
    match field.kind() {
        Kind::Message(entry) if field.is_map() => format!(
            "map<{}, {}>",
            name(entry.map_entry_key_field().kind()),
            name(entry.map_entry_value_field().kind())
        ),
        kind if field.is_list() => format!("repeated {}", name(kind)),
        kind => name(kind),
    }
}
