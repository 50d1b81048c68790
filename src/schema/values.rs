//! What a protobuf type is to a table: well-known types, scalars, and what a column makes
//! of them.

use prost_reflect::{Kind, MessageDescriptor};

use super::ColumnType;
use super::plan::{Json, Scalar, ValueType};

/// The well-known types by what is sent in their place; `Some(None)`: refused.
pub(super) fn well_known(message: &MessageDescriptor) -> Option<Option<ValueType>> {
    let name = message.full_name().strip_prefix("google.protobuf.")?;
    Some(Some(match name {
        "Timestamp" => ValueType::Timestamp,
        "Duration" => ValueType::Duration,
        "DoubleValue" => ValueType::Scalar(Scalar::Double),
        "FloatValue" => ValueType::Scalar(Scalar::Float),
        "Int64Value" => ValueType::Scalar(Scalar::Int64),
        "UInt64Value" => ValueType::Scalar(Scalar::Uint64),
        "Int32Value" => ValueType::Scalar(Scalar::Int32),
        "UInt32Value" => ValueType::Scalar(Scalar::Uint32),
        "BoolValue" => ValueType::Scalar(Scalar::Bool),
        "StringValue" => ValueType::Scalar(Scalar::String),
        "BytesValue" => ValueType::Scalar(Scalar::Bytes),
        "Struct" => ValueType::Variant(Json::Object),
        "Value" => ValueType::Variant(Json::AnyOrNull),
        "ListValue" => ValueType::Variant(Json::Array),
        _ => return Some(None),
    }))
}

/// The scalar that a kind is, if it is one.
pub(super) fn scalar(kind: &Kind) -> Option<Scalar> {
    Some(match kind {
        Kind::Double => Scalar::Double,
        Kind::Float => Scalar::Float,
        Kind::Int32 => Scalar::Int32,
        Kind::Int64 => Scalar::Int64,
        Kind::Uint32 => Scalar::Uint32,
        Kind::Uint64 => Scalar::Uint64,
        Kind::Sint32 => Scalar::Sint32,
        Kind::Sint64 => Scalar::Sint64,
        Kind::Fixed32 => Scalar::Fixed32,
        Kind::Fixed64 => Scalar::Fixed64,
        Kind::Sfixed32 => Scalar::Sfixed32,
        Kind::Sfixed64 => Scalar::Sfixed64,
        Kind::Bool => Scalar::Bool,
        Kind::String => Scalar::String,
        Kind::Bytes => Scalar::Bytes,
        Kind::Message(_) | Kind::Enum(_) => return None,
    })
}

/// A type as the column that was asked for, or the protobuf type that this column needs.
pub(super) fn as_column(ty: ValueType, column: &ColumnType) -> Result<ValueType, &'static str> {
    let (needs, wanted) = match *column {
        ColumnType::Timestamp => (Scalar::Int64, ValueType::Timestamp),
        ColumnType::TimestampNtz => (Scalar::Int64, ValueType::TimestampNtz),
        ColumnType::Date => (Scalar::Int32, ValueType::Date),
        ColumnType::TinyInt => (Scalar::Int32, ValueType::TinyInt),
        ColumnType::SmallInt => (Scalar::Int32, ValueType::SmallInt),
        ColumnType::Variant => (Scalar::String, ValueType::Variant(Json::Any)),
        ColumnType::Varchar(n) => (Scalar::String, ValueType::Varchar(n)),
        ColumnType::Decimal { precision, scale } => {
            (Scalar::String, ValueType::Decimal { precision, scale })
        }
        _ => return Ok(ty),
    };
    match ty {
        ValueType::Scalar(scalar) if scalar == needs => Ok(wanted),
        // A well-known type is its column's already.
        ValueType::Variant(_) if *column == ColumnType::Variant => Ok(ty),
        _ if ty == wanted => Ok(ty),
        _ => Err(needs.name()),
    }
}
