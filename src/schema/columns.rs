//! Record plan → the columns of a table that fits it.

use super::plan::{FieldPlan, MessagePlan, RecordPlan, Scalar, Shape, ValueType};
use super::{Column, ColumnType};

/// The columns of a table made for this record, in the order of its fields
/// (PROTOCOL: Delta and Unity Catalog types).
pub fn of_record(plan: &RecordPlan) -> Vec<Column> {
    of_message(plan, plan.root())
}

/// The fields of one message as columns.
pub fn of_message(plan: &RecordPlan, message: &MessagePlan) -> Vec<Column> {
    message
        .fields
        .iter()
        .map(|field| Column::new(&field.name, of_field(plan, field), !field.required))
        .collect()
}

/// The column of one field.
pub fn of_field(plan: &RecordPlan, field: &FieldPlan) -> ColumnType {
    let value = of_value(plan, field.ty);
    match field.shape {
        Shape::Single => value,
        Shape::Repeated | Shape::Packed => ColumnType::Array(Box::new(value)),
        Shape::Map(key) => ColumnType::Map(Box::new(of_scalar(key)), Box::new(value)),
    }
}

fn of_value(plan: &RecordPlan, ty: ValueType) -> ColumnType {
    match ty {
        ValueType::Scalar(scalar) => of_scalar(scalar),
        // An enum is stored as its value's name.
        ValueType::Enum(_) => ColumnType::String,
        ValueType::Message(index) => ColumnType::Struct(of_message(plan, &plan.messages[index])),
        ValueType::TinyInt => ColumnType::TinyInt,
        ValueType::SmallInt => ColumnType::SmallInt,
        ValueType::Date => ColumnType::Date,
        ValueType::Timestamp => ColumnType::Timestamp,
        ValueType::TimestampNtz => ColumnType::TimestampNtz,
        ValueType::Duration => ColumnType::BigInt,
        ValueType::Decimal { precision, scale } => ColumnType::Decimal { precision, scale },
        ValueType::Variant(_) => ColumnType::Variant,
        ValueType::Varchar(n) => ColumnType::Varchar(n),
    }
}

fn of_scalar(scalar: Scalar) -> ColumnType {
    match scalar {
        Scalar::Double => ColumnType::Double,
        Scalar::Float => ColumnType::Float,
        Scalar::Int32 | Scalar::Sint32 | Scalar::Sfixed32 => ColumnType::Int,
        Scalar::Int64 | Scalar::Sint64 | Scalar::Sfixed64 => ColumnType::BigInt,
        Scalar::Uint32 | Scalar::Fixed32 => ColumnType::BigInt,
        Scalar::Uint64 | Scalar::Fixed64 => ColumnType::Decimal {
            precision: 20,
            scale: 0,
        },
        Scalar::Bool => ColumnType::Boolean,
        Scalar::String => ColumnType::String,
        Scalar::Bytes => ColumnType::Binary,
    }
}
