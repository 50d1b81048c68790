//! Column types to and from a Delta schema.

use deltalake_core::kernel::{
    ArrayType, DataType, DecimalType, MapType, MetadataValue, PrimitiveType, StructField,
    StructType,
};

use crate::schema::{Column, ColumnType};

/// Where Spark keeps a column's comment.
const COMMENT_KEY: &str = "comment";
/// Where Spark keeps the length of a VARCHAR, whose Delta type is a plain string.
const VARCHAR_KEY: &str = "__CHAR_VARCHAR_TYPE_STRING";
/// Where this server keeps what else a plain string stands for.
const TYPE_KEY: &str = "zerobus.type";
/// The same for the elements of an ARRAY, and the keys and values of a MAP.
const ELEMENT_KEY: &str = "zerobus.type.element";
const KEY_KEY: &str = "zerobus.type.key";
const VALUE_KEY: &str = "zerobus.type.value";

/// The Delta fields of a table's columns.
pub(super) fn to_delta(columns: &[Column]) -> Result<Vec<StructField>, String> {
    columns.iter().map(field_to_delta).collect()
}

fn field_to_delta(column: &Column) -> Result<StructField, String> {
    let in_column = |error| format!("column \"{}\": {error}", column.name);
    let ty = type_to_delta(&column.ty).map_err(in_column)?;
    let mut metadata = Vec::new();
    if let Some(comment) = &column.comment {
        let comment = MetadataValue::String(comment.clone());
        metadata.push((COMMENT_KEY.to_owned(), comment));
    }
    let mut hint = |key: &str, ty: &ColumnType| {
        let hint = match ty {
            ColumnType::Variant => "variant".to_owned(),
            ColumnType::Varchar(n) => format!("varchar({n})"),
            _ => return,
        };
        metadata.push((key.to_owned(), MetadataValue::String(hint)));
    };
    match &column.ty {
        ty @ ColumnType::Varchar(_) => hint(VARCHAR_KEY, ty),
        ColumnType::Array(element) => hint(ELEMENT_KEY, element),
        ColumnType::Map(key, value) => {
            hint(KEY_KEY, key);
            hint(VALUE_KEY, value);
        }
        ty => hint(TYPE_KEY, ty),
    }
    Ok(StructField::new(&column.name, ty, column.nullable).with_metadata(metadata))
}

fn type_to_delta(ty: &ColumnType) -> Result<DataType, String> {
    Ok(match ty {
        ColumnType::Boolean => PrimitiveType::Boolean.into(),
        ColumnType::TinyInt => PrimitiveType::Byte.into(),
        ColumnType::SmallInt => PrimitiveType::Short.into(),
        ColumnType::Int => PrimitiveType::Integer.into(),
        ColumnType::BigInt => PrimitiveType::Long.into(),
        ColumnType::Float => PrimitiveType::Float.into(),
        ColumnType::Double => PrimitiveType::Double.into(),
        ColumnType::Decimal { precision, scale } => DecimalType::try_new(*precision, *scale)
            .map_err(|error| error.to_string())?
            .into(),
        ColumnType::String | ColumnType::Varchar(_) | ColumnType::Variant => {
            PrimitiveType::String.into()
        }
        ColumnType::Binary => PrimitiveType::Binary.into(),
        ColumnType::Date => PrimitiveType::Date.into(),
        ColumnType::Timestamp => PrimitiveType::Timestamp.into(),
        ColumnType::TimestampNtz => PrimitiveType::TimestampNtz.into(),
        ColumnType::Struct(fields) => StructType::try_new(to_delta(fields)?)
            .map_err(|error| error.to_string())?
            .into(),
        // SQL declares ARRAY<T> and MAP<K, V> as able to hold NULL; no NULL is ever written.
        ColumnType::Array(element) => ArrayType::new(type_to_delta(element)?, true).into(),
        ColumnType::Map(key, value) => {
            MapType::new(type_to_delta(key)?, type_to_delta(value)?, true).into()
        }
        ColumnType::Other(name) => return Err(format!("this server cannot write the type {name}")),
    })
}

/// The columns of a Delta schema.
pub(super) fn from_delta(schema: &StructType) -> Result<Vec<Column>, String> {
    schema.fields().map(field_from_delta).collect()
}

fn field_from_delta(field: &StructField) -> Result<Column, String> {
    let in_column = |error| format!("column \"{}\": {error}", field.name());
    let mut ty = type_from_delta(field.data_type()).map_err(in_column)?;
    let hint = |key: &str, ty: &mut ColumnType| {
        if let (ColumnType::String, Some(MetadataValue::String(hint))) =
            (&*ty, field.metadata().get(key))
            && let Some(hinted) = parse_hint(hint)
        {
            *ty = hinted;
        }
    };
    match &mut ty {
        ColumnType::Array(element) => hint(ELEMENT_KEY, element),
        ColumnType::Map(key, value) => {
            hint(KEY_KEY, key);
            hint(VALUE_KEY, value);
        }
        ty => {
            hint(VARCHAR_KEY, ty);
            hint(TYPE_KEY, ty);
        }
    }
    let comment = match field.metadata().get(COMMENT_KEY) {
        Some(MetadataValue::String(comment)) => Some(comment.clone()),
        _ => None,
    };
    Ok(Column {
        name: field.name().clone(),
        ty,
        nullable: field.is_nullable(),
        comment,
    })
}

fn parse_hint(hint: &str) -> Option<ColumnType> {
    if hint == "variant" {
        return Some(ColumnType::Variant);
    }
    let length = hint.strip_prefix("varchar(")?.strip_suffix(')')?;
    length.trim().parse().ok().map(ColumnType::Varchar)
}

fn type_from_delta(ty: &DataType) -> Result<ColumnType, String> {
    Ok(match ty {
        DataType::Primitive(primitive) => match primitive {
            PrimitiveType::Boolean => ColumnType::Boolean,
            PrimitiveType::Byte => ColumnType::TinyInt,
            PrimitiveType::Short => ColumnType::SmallInt,
            PrimitiveType::Integer => ColumnType::Int,
            PrimitiveType::Long => ColumnType::BigInt,
            PrimitiveType::Float => ColumnType::Float,
            PrimitiveType::Double => ColumnType::Double,
            PrimitiveType::Decimal(decimal) => ColumnType::Decimal {
                precision: decimal.precision(),
                scale: decimal.scale(),
            },
            PrimitiveType::String => ColumnType::String,
            PrimitiveType::Binary => ColumnType::Binary,
            PrimitiveType::Date => ColumnType::Date,
            PrimitiveType::Timestamp => ColumnType::Timestamp,
            PrimitiveType::TimestampNtz => ColumnType::TimestampNtz,
            other => return Err(format!("this server cannot write the type {other}")),
        },
        DataType::Array(array) => {
            ColumnType::Array(Box::new(type_from_delta(array.element_type())?))
        }
        DataType::Map(map) => ColumnType::Map(
            Box::new(type_from_delta(map.key_type())?),
            Box::new(type_from_delta(map.value_type())?),
        ),
        DataType::Struct(fields) => ColumnType::Struct(from_delta(fields)?),
        DataType::Variant(_) => {
            return Err("this server cannot write variants in their binary form".into());
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_comes_back_as_it_was() {
        let types = [
            ColumnType::Boolean,
            ColumnType::TinyInt,
            ColumnType::SmallInt,
            ColumnType::Int,
            ColumnType::BigInt,
            ColumnType::Float,
            ColumnType::Double,
            ColumnType::Decimal {
                precision: 38,
                scale: 10,
            },
            ColumnType::String,
            ColumnType::Varchar(12),
            ColumnType::Binary,
            ColumnType::Date,
            ColumnType::Timestamp,
            ColumnType::TimestampNtz,
            ColumnType::Variant,
            ColumnType::Array(Box::new(ColumnType::Varchar(3))),
            ColumnType::Map(Box::new(ColumnType::String), Box::new(ColumnType::Variant)),
            ColumnType::Struct(vec![Column::new(
                "inner",
                ColumnType::Array(Box::new(ColumnType::Struct(vec![Column::new(
                    "v",
                    ColumnType::Variant,
                    false,
                )]))),
                true,
            )]),
        ];
        let columns: Vec<Column> = types
            .into_iter()
            .enumerate()
            .map(|(i, ty)| Column {
                name: format!("c{i}"),
                ty,
                nullable: i % 2 == 0,
                comment: (i % 3 == 0).then(|| format!("the {i}th")),
            })
            .collect();
        let schema = StructType::try_new(to_delta(&columns).unwrap()).unwrap();
        assert_eq!(from_delta(&schema).unwrap(), columns);
    }
}
