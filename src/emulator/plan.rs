//! How the fields of a record message become the columns of a table: checked once for
//! each stream, then followed for every record.

use prost_reflect::{EnumDescriptor, FieldDescriptor, Kind, MessageDescriptor};

use crate::schema::{Column, ColumnType};

/// Columns that a record's fields fill, in the table's order.
pub(super) struct RecordPlan {
    pub(super) message: MessageDescriptor,
    /// None: no such field, the column is NULL.
    pub(super) fields: Vec<Option<FieldPlan>>,
    /// Fields that a record must hold although their column may be NULL.
    pub(super) required: Vec<FieldDescriptor>,
}

pub(super) struct FieldPlan {
    pub(super) field: FieldDescriptor,
    pub(super) shape: Shape,
}

pub(super) enum Shape {
    Single(ValuePlan),
    List(ValuePlan),
    /// The plan of the values; keys are scalars.
    Map(ValuePlan),
}

pub(super) enum ValuePlan {
    Scalar,
    /// Stored as the value's name.
    EnumName(EnumDescriptor),
    Message(RecordPlan),
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
        Err(problems.join("; "))
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
    let mut plan_column = |column: &Column| {
        let name = format!("{within}{}", column.name);
        let Some(field) = message.get_field_by_name(&column.name) else {
            if !column.nullable {
                problems.push(format!(
                    "column \"{name}\" is NOT NULL but the descriptor has no such field"
                ));
            }
            return None;
        };
        match plan_field(&field, &column.ty, &name, problems) {
            Some(shape) => Some(FieldPlan { field, shape }),
            None => {
                problems.push(format!(
                    "field \"{name}\" of type {} does not fit column type {}",
                    proto_type(&field),
                    column.ty
                ));
                None
            }
        }
    };
    RecordPlan {
        fields: columns.iter().map(&mut plan_column).collect(),
        required: message
            .fields()
            .filter(FieldDescriptor::is_required)
            .collect(),
        message: message.clone(),
    }
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
        let ValuePlan::Scalar = plan_value(&key_kind, key, name, problems)? else {
            return None;
        };
        let value_kind = entry.map_entry_value_field().kind();
        return plan_value(&value_kind, value, name, problems).map(Shape::Map);
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
                return Some(ValuePlan::EnumName(values.clone()));
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
    fits.then_some(ValuePlan::Scalar)
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
