//! The values of one Arrow column under construction, each checked against its type.

use std::sync::Arc;

use deltalake_core::arrow::array::{
    ArrayRef, BinaryBuilder, BooleanBuilder, Date32Builder, Decimal128Builder, Float32Builder,
    Float64Builder, Int8Builder, Int16Builder, Int32Builder, Int64Builder, ListArray, MapArray,
    StringBuilder, StructArray, TimestampMicrosecondBuilder,
};
use deltalake_core::arrow::buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
use deltalake_core::arrow::datatypes::{DataType, FieldRef, Fields};
use deltalake_core::arrow::error::ArrowError;
use serde::de::IgnoredAny;

use crate::schema::ColumnType;

use super::columns::{Cell, cells};
use super::numbers::{DATE_DAYS, TIMESTAMP_MICROS, parse_decimal, scale_integer};

/// The values of a column so far.
pub(super) enum Builder {
    Boolean(BooleanBuilder),
    TinyInt(Int8Builder),
    SmallInt(Int16Builder),
    Int(Int32Builder),
    BigInt(Int64Builder),
    Float(Float32Builder),
    Double(Float64Builder),
    Decimal(Decimal128Builder, u8, u8),
    /// STRING, and VARCHAR with its length in characters.
    Text(StringBuilder, Option<u32>),
    Variant(StringBuilder),
    Binary(BinaryBuilder),
    Date(Date32Builder),
    /// TIMESTAMP and TIMESTAMP_NTZ; true: a wall clock.
    Timestamp(TimestampMicrosecondBuilder, bool),
    Struct(StructBuilder),
    List(ListBuilder),
    Map(MapBuilder),
}

pub(super) struct StructBuilder {
    fields: Fields,
    pub(super) cells: Vec<Cell>,
    valid: Vec<bool>,
}

pub(super) struct ListBuilder {
    field: FieldRef,
    pub(super) element: Box<Builder>,
    offsets: Vec<i32>,
    valid: Vec<bool>,
}

pub(super) struct MapBuilder {
    field: FieldRef,
    entry: Fields,
    pub(super) key: Box<Builder>,
    pub(super) value: Box<Builder>,
    offsets: Vec<i32>,
    valid: Vec<bool>,
}

impl Builder {
    pub(super) fn new(ty: &ColumnType, data_type: &DataType) -> Result<Self, String> {
        let unlike = || format!("the Arrow type {data_type} does not hold {ty}");
        Ok(match ty {
            ColumnType::Boolean => Self::Boolean(BooleanBuilder::new()),
            ColumnType::TinyInt => Self::TinyInt(Int8Builder::new()),
            ColumnType::SmallInt => Self::SmallInt(Int16Builder::new()),
            ColumnType::Int => Self::Int(Int32Builder::new()),
            ColumnType::BigInt => Self::BigInt(Int64Builder::new()),
            ColumnType::Float => Self::Float(Float32Builder::new()),
            ColumnType::Double => Self::Double(Float64Builder::new()),
            ColumnType::Decimal { precision, scale } => {
                let builder = Decimal128Builder::new().with_data_type(data_type.clone());
                Self::Decimal(builder, *precision, *scale)
            }
            ColumnType::String => Self::Text(StringBuilder::new(), None),
            ColumnType::Varchar(n) => Self::Text(StringBuilder::new(), Some(*n)),
            ColumnType::Variant => Self::Variant(StringBuilder::new()),
            ColumnType::Binary => Self::Binary(BinaryBuilder::new()),
            ColumnType::Date => Self::Date(Date32Builder::new()),
            ColumnType::Timestamp | ColumnType::TimestampNtz => {
                let builder = TimestampMicrosecondBuilder::new().with_data_type(data_type.clone());
                Self::Timestamp(builder, *ty == ColumnType::TimestampNtz)
            }
            ColumnType::Struct(columns) => {
                let DataType::Struct(fields) = data_type else {
                    return Err(unlike());
                };
                Self::Struct(StructBuilder {
                    fields: fields.clone(),
                    cells: cells(columns, fields)?,
                    valid: Vec::new(),
                })
            }
            ColumnType::Array(element) => {
                let DataType::List(field) = data_type else {
                    return Err(unlike());
                };
                Self::List(ListBuilder {
                    field: field.clone(),
                    element: Box::new(Self::new(element, field.data_type())?),
                    offsets: vec![0],
                    valid: Vec::new(),
                })
            }
            ColumnType::Map(key, value) => {
                let DataType::Map(field, _) = data_type else {
                    return Err(unlike());
                };
                let DataType::Struct(entry) = field.data_type() else {
                    return Err(unlike());
                };
                let [key_field, value_field] = &entry[..] else {
                    return Err(unlike());
                };
                Self::Map(MapBuilder {
                    field: field.clone(),
                    key: Box::new(Self::new(key, key_field.data_type())?),
                    value: Box::new(Self::new(value, value_field.data_type())?),
                    entry: entry.clone(),
                    offsets: vec![0],
                    valid: Vec::new(),
                })
            }
            ColumnType::Other(_) => return Err(unlike()),
        })
    }

    pub(super) fn push_null(&mut self) {
        match self {
            Self::Boolean(b) => b.append_null(),
            Self::TinyInt(b) => b.append_null(),
            Self::SmallInt(b) => b.append_null(),
            Self::Int(b) => b.append_null(),
            Self::BigInt(b) => b.append_null(),
            Self::Float(b) => b.append_null(),
            Self::Double(b) => b.append_null(),
            Self::Decimal(b, ..) => b.append_null(),
            Self::Text(b, _) | Self::Variant(b) => b.append_null(),
            Self::Binary(b) => b.append_null(),
            Self::Date(b) => b.append_null(),
            Self::Timestamp(b, _) => b.append_null(),
            // Below a NULL struct even NOT NULL fields hold NULL.
            Self::Struct(b) => {
                b.valid.push(false);
                b.cells.iter_mut().for_each(|cell| cell.builder.push_null());
            }
            Self::List(b) => b.end(false),
            Self::Map(b) => b.end(false),
        }
    }

    pub(super) fn push_bool(&mut self, value: bool) -> Result<(), String> {
        match self {
            Self::Boolean(b) => b.append_value(value),
            other => return Err(other.unfit(value)),
        }
        Ok(())
    }

    /// A whole number: for DATE days, for TIMESTAMP and TIMESTAMP_NTZ microseconds.
    pub(super) fn push_int(&mut self, value: i64) -> Result<(), String> {
        match self {
            Self::TinyInt(b) => b.append_value(in_range(value, "TINYINT")?),
            Self::SmallInt(b) => b.append_value(in_range(value, "SMALLINT")?),
            Self::Int(b) => b.append_value(in_range(value, "INT")?),
            Self::BigInt(b) => b.append_value(value),
            Self::Decimal(b, precision, scale) => {
                b.append_value(scale_integer(value.into(), *precision, *scale)?);
            }
            Self::Date(b) if DATE_DAYS.contains(&value) => b.append_value(in_range(value, "DATE")?),
            Self::Date(_) => {
                return Err(format!(
                    "{value} days since 1970-01-01 is outside the years 1 to 9999 of a DATE"
                ));
            }
            Self::Timestamp(b, _) if TIMESTAMP_MICROS.contains(&value) => b.append_value(value),
            Self::Timestamp(..) => {
                return Err(format!(
                    "{value} microseconds since 1970-01-01 is outside the years 1 to 9999 of a TIMESTAMP"
                ));
            }
            other => return Err(other.unfit(value)),
        }
        Ok(())
    }

    pub(super) fn push_u64(&mut self, value: u64) -> Result<(), String> {
        match self {
            Self::Decimal(b, precision, scale) => {
                b.append_value(scale_integer(value.into(), *precision, *scale)?);
                Ok(())
            }
            other => {
                let value = i64::try_from(value).map_err(|_| other.unfit(value))?;
                other.push_int(value)
            }
        }
    }

    pub(super) fn push_f32(&mut self, value: f32) -> Result<(), String> {
        match self {
            Self::Float(b) => b.append_value(value),
            other => return Err(other.unfit(value)),
        }
        Ok(())
    }

    pub(super) fn push_f64(&mut self, value: f64) -> Result<(), String> {
        match self {
            Self::Double(b) => b.append_value(value),
            other => return Err(other.unfit(value)),
        }
        Ok(())
    }

    /// Text: for DECIMAL the number, for VARIANT its JSON.
    pub(super) fn push_text(&mut self, value: &str) -> Result<(), String> {
        match self {
            Self::Text(b, chars_max) => {
                if let Some(n) = *chars_max
                    && value.len() > n as usize
                    && value.chars().count() > n as usize
                {
                    let length = value.chars().count();
                    return Err(format!("{length} characters do not fit VARCHAR({n})"));
                }
                b.append_value(value);
            }
            Self::Variant(b) => {
                serde_json::from_str::<IgnoredAny>(value)
                    .map_err(|error| format!("no JSON for VARIANT: {error}"))?;
                b.append_value(value);
            }
            Self::Decimal(b, precision, scale) => {
                b.append_value(parse_decimal(value, *precision, *scale)?);
            }
            other => return Err(other.unfit(format_args!("{value:?}"))),
        }
        Ok(())
    }

    pub(super) fn push_bytes(&mut self, value: &[u8]) -> Result<(), String> {
        match self {
            Self::Binary(b) => b.append_value(value),
            other => return Err(other.unfit(format_args!("{} bytes", value.len()))),
        }
        Ok(())
    }

    pub(super) fn unfit(&self, value: impl std::fmt::Display) -> String {
        let ty = match self {
            Self::Boolean(_) => "BOOLEAN",
            Self::TinyInt(_) => "TINYINT",
            Self::SmallInt(_) => "SMALLINT",
            Self::Int(_) => "INT",
            Self::BigInt(_) => "BIGINT",
            Self::Float(_) => "FLOAT",
            Self::Double(_) => "DOUBLE",
            Self::Decimal(..) => "DECIMAL",
            Self::Text(..) => "STRING",
            Self::Variant(_) => "VARIANT",
            Self::Binary(_) => "BINARY",
            Self::Date(_) => "DATE",
            Self::Timestamp(_, false) => "TIMESTAMP",
            Self::Timestamp(_, true) => "TIMESTAMP_NTZ",
            Self::Struct(_) => "STRUCT",
            Self::List(_) => "ARRAY",
            Self::Map(_) => "MAP",
        };
        format!("{value} does not fit {ty}")
    }

    fn len(&self) -> usize {
        use deltalake_core::arrow::array::ArrayBuilder as _;
        match self {
            Self::Boolean(b) => b.len(),
            Self::TinyInt(b) => b.len(),
            Self::SmallInt(b) => b.len(),
            Self::Int(b) => b.len(),
            Self::BigInt(b) => b.len(),
            Self::Float(b) => b.len(),
            Self::Double(b) => b.len(),
            Self::Decimal(b, ..) => b.len(),
            Self::Text(b, _) | Self::Variant(b) => b.len(),
            Self::Binary(b) => b.len(),
            Self::Date(b) => b.len(),
            Self::Timestamp(b, _) => b.len(),
            Self::Struct(b) => b.valid.len(),
            Self::List(b) => b.valid.len(),
            Self::Map(b) => b.valid.len(),
        }
    }

    pub(super) fn finish(self) -> Result<ArrayRef, ArrowError> {
        Ok(match self {
            Self::Boolean(mut b) => Arc::new(b.finish()),
            Self::TinyInt(mut b) => Arc::new(b.finish()),
            Self::SmallInt(mut b) => Arc::new(b.finish()),
            Self::Int(mut b) => Arc::new(b.finish()),
            Self::BigInt(mut b) => Arc::new(b.finish()),
            Self::Float(mut b) => Arc::new(b.finish()),
            Self::Double(mut b) => Arc::new(b.finish()),
            Self::Decimal(mut b, ..) => Arc::new(b.finish()),
            Self::Text(mut b, _) | Self::Variant(mut b) => Arc::new(b.finish()),
            Self::Binary(mut b) => Arc::new(b.finish()),
            Self::Date(mut b) => Arc::new(b.finish()),
            Self::Timestamp(mut b, _) => Arc::new(b.finish()),
            Self::Struct(b) => {
                let length = b.valid.len();
                let arrays = b.cells.into_iter().map(|cell| cell.builder.finish());
                let arrays = arrays.collect::<Result<_, _>>()?;
                let valid = Some(NullBuffer::from(b.valid));
                let array = StructArray::try_new_with_length(b.fields, arrays, valid, length)?;
                Arc::new(array)
            }
            Self::List(b) => {
                let offsets = OffsetBuffer::new(ScalarBuffer::from(b.offsets));
                let valid = Some(NullBuffer::from(b.valid));
                let element = b.element.finish()?;
                Arc::new(ListArray::try_new(b.field, offsets, element, valid)?)
            }
            Self::Map(b) => {
                let offsets = OffsetBuffer::new(ScalarBuffer::from(b.offsets));
                let valid = Some(NullBuffer::from(b.valid));
                let entries = vec![b.key.finish()?, b.value.finish()?];
                let entries = StructArray::try_new(b.entry, entries, None)?;
                Arc::new(MapArray::try_new(b.field, offsets, entries, valid, false)?)
            }
        })
    }
}

impl StructBuilder {
    /// Ends a value whose fields were appended to `cells`.
    pub(super) fn end(&mut self) {
        self.valid.push(true);
    }
}

impl ListBuilder {
    /// Ends a value whose elements were appended; not `valid`: NULL.
    pub(super) fn end(&mut self, valid: bool) {
        self.offsets.push(offset(self.element.len()));
        self.valid.push(valid);
    }
}

impl MapBuilder {
    /// Ends a value whose keys and values were appended; not `valid`: NULL.
    pub(super) fn end(&mut self, valid: bool) {
        self.offsets.push(offset(self.key.len()));
        self.valid.push(valid);
    }
}

/// Elements come from requests of some MiB, far below this limit.
fn offset(length: usize) -> i32 {
    i32::try_from(length).unwrap_or(i32::MAX)
}

fn in_range<T: TryFrom<i64>>(value: i64, ty: &str) -> Result<T, String> {
    T::try_from(value).map_err(|_| format!("{value} does not fit {ty}"))
}
