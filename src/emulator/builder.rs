//! The values of one Arrow column under construction, each checked against its type.

use std::sync::Arc;

use deltalake_core::arrow::array::{ArrayRef, ListArray, MapArray, NullBufferBuilder, StructArray};
use deltalake_core::arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, FieldRef, Fields, Float32Type, Float64Type, Int8Type,
    Int16Type, Int32Type, Int64Type, TimeUnit, TimestampMicrosecondType,
};
use deltalake_core::arrow::error::ArrowError;
use serde::de::IgnoredAny;

use crate::schema::ColumnType;

use super::buffers::{Blobs, Booleans, Ends, Fixed};
use super::columns::{Cell, cells};
use super::json_names::check_names;
use super::numbers::{DATE_DAYS, TIMESTAMP_MICROS, parse_decimal, scale_integer};
use super::shown::quoted;

/// The values of a column so far.
pub(super) enum Builder {
    Boolean(Booleans),
    TinyInt(Fixed<Int8Type>),
    SmallInt(Fixed<Int16Type>),
    Int(Fixed<Int32Type>),
    BigInt(Fixed<Int64Type>),
    Float(Fixed<Float32Type>),
    Double(Fixed<Float64Type>),
    Decimal(DecimalBuilder),
    /// STRING, and VARCHAR with its length in characters.
    Text(Blobs, Option<u32>),
    Variant(Blobs),
    Binary(Blobs),
    Date(Fixed<Date32Type>),
    Timestamp(TimestampBuilder),
    Struct(StructBuilder),
    List(ListBuilder),
    Map(MapBuilder),
}

pub(super) struct DecimalBuilder {
    data_type: DataType,
    values: Fixed<Decimal128Type>,
    precision: u8,
    scale: u8,
}

/// TIMESTAMP and TIMESTAMP_NTZ.
pub(super) struct TimestampBuilder {
    data_type: DataType,
    values: Fixed<TimestampMicrosecondType>,
    /// It is TIMESTAMP_NTZ.
    pub(super) wall_clock: bool,
}

pub(super) struct StructBuilder {
    fields: Fields,
    pub(super) cells: Vec<Cell>,
    nulls: NullBufferBuilder,
}

pub(super) struct ListBuilder {
    field: FieldRef,
    pub(super) element: Box<Builder>,
    ends: Ends,
}

pub(super) struct MapBuilder {
    field: FieldRef,
    entry: Fields,
    pub(super) key: Box<Builder>,
    pub(super) value: Box<Builder>,
    ends: Ends,
}

impl Builder {
    pub(super) fn new(ty: &ColumnType, data_type: &DataType) -> Result<Self, String> {
        let unlike = || format!("the Arrow type {data_type} does not hold {ty}");
        Ok(match ty {
            ColumnType::Boolean => Self::Boolean(Booleans::new()),
            ColumnType::TinyInt => Self::TinyInt(Fixed::new()),
            ColumnType::SmallInt => Self::SmallInt(Fixed::new()),
            ColumnType::Int => Self::Int(Fixed::new()),
            ColumnType::BigInt => Self::BigInt(Fixed::new()),
            ColumnType::Float => Self::Float(Fixed::new()),
            ColumnType::Double => Self::Double(Fixed::new()),
            ColumnType::Decimal { precision, scale } => {
                if !matches!(data_type, DataType::Decimal128(..)) {
                    return Err(unlike());
                }
                Self::Decimal(DecimalBuilder {
                    data_type: data_type.clone(),
                    values: Fixed::new(),
                    precision: *precision,
                    scale: *scale,
                })
            }
            ColumnType::String => Self::Text(Blobs::new(), None),
            ColumnType::Varchar(n) => Self::Text(Blobs::new(), Some(*n)),
            ColumnType::Variant => Self::Variant(Blobs::new()),
            ColumnType::Binary => Self::Binary(Blobs::new()),
            ColumnType::Date => Self::Date(Fixed::new()),
            ColumnType::Timestamp | ColumnType::TimestampNtz => {
                if !matches!(data_type, DataType::Timestamp(TimeUnit::Microsecond, _)) {
                    return Err(unlike());
                }
                Self::Timestamp(TimestampBuilder {
                    data_type: data_type.clone(),
                    values: Fixed::new(),
                    wall_clock: *ty == ColumnType::TimestampNtz,
                })
            }
            ColumnType::Struct(columns) => {
                let DataType::Struct(fields) = data_type else {
                    return Err(unlike());
                };
                Self::Struct(StructBuilder {
                    fields: fields.clone(),
                    cells: cells(columns, fields)?,
                    nulls: NullBufferBuilder::new(0),
                })
            }
            ColumnType::Array(element) => {
                let DataType::List(field) = data_type else {
                    return Err(unlike());
                };
                Self::List(ListBuilder {
                    field: field.clone(),
                    element: Box::new(Self::new(element, field.data_type())?),
                    ends: Ends::new(),
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
                    ends: Ends::new(),
                })
            }
            ColumnType::Other(_) => return Err(unlike()),
        })
    }

    pub(super) fn push_null(&mut self) {
        match self {
            Self::Boolean(b) => b.push_null(),
            Self::TinyInt(b) => b.push_null(),
            Self::SmallInt(b) => b.push_null(),
            Self::Int(b) => b.push_null(),
            Self::BigInt(b) => b.push_null(),
            Self::Float(b) => b.push_null(),
            Self::Double(b) => b.push_null(),
            Self::Decimal(b) => b.values.push_null(),
            Self::Text(b, _) | Self::Variant(b) | Self::Binary(b) => b.push_null(),
            Self::Date(b) => b.push_null(),
            Self::Timestamp(b) => b.values.push_null(),
            // Below a NULL struct even NOT NULL fields hold NULL.
            Self::Struct(b) => {
                b.nulls.append_null();
                b.cells.iter_mut().for_each(|cell| cell.builder.push_null());
            }
            Self::List(b) => b.end(false),
            Self::Map(b) => b.end(false),
        }
    }

    pub(super) fn push_bool(&mut self, value: bool) -> Result<(), String> {
        match self {
            Self::Boolean(b) => b.push(value),
            other => return Err(other.unfit(value)),
        }
        Ok(())
    }

    /// A whole number: for DATE days, for TIMESTAMP and TIMESTAMP_NTZ microseconds.
    pub(super) fn push_int(&mut self, value: i64) -> Result<(), String> {
        match self {
            Self::TinyInt(b) => b.push(in_range(value, "TINYINT")?),
            Self::SmallInt(b) => b.push(in_range(value, "SMALLINT")?),
            Self::Int(b) => b.push(in_range(value, "INT")?),
            Self::BigInt(b) => b.push(value),
            Self::Decimal(b) => {
                b.values
                    .push(scale_integer(value.into(), b.precision, b.scale)?);
            }
            Self::Date(b) if DATE_DAYS.contains(&value) => b.push(in_range(value, "DATE")?),
            Self::Date(_) => {
                return Err(format!(
                    "{value} days since 1970-01-01 is outside the years 1 to 9999 of a DATE"
                ));
            }
            Self::Timestamp(b) if TIMESTAMP_MICROS.contains(&value) => b.values.push(value),
            Self::Timestamp(b) => {
                let ty = if b.wall_clock {
                    "TIMESTAMP_NTZ"
                } else {
                    "TIMESTAMP"
                };
                return Err(format!(
                    "{value} microseconds since 1970-01-01 is outside the years 1 to 9999 of a {ty}"
                ));
            }
            other => return Err(other.unfit(value)),
        }
        Ok(())
    }

    pub(super) fn push_u64(&mut self, value: u64) -> Result<(), String> {
        match self {
            Self::Decimal(b) => {
                b.values
                    .push(scale_integer(value.into(), b.precision, b.scale)?);
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
            Self::Float(b) => b.push(value),
            other => return Err(other.unfit(value)),
        }
        Ok(())
    }

    pub(super) fn push_f64(&mut self, value: f64) -> Result<(), String> {
        match self {
            Self::Double(b) => b.push(value),
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
                    return Err(format!(
                        "{}: {length} characters do not fit VARCHAR({n})",
                        quoted(value)
                    ));
                }
                b.push(value.as_bytes());
            }
            Self::Variant(b) => {
                serde_json::from_str::<IgnoredAny>(value)
                    .and_then(|_| check_names(value))
                    .map_err(|error| {
                        format!("{} is no JSON for VARIANT: {error}", quoted(value))
                    })?;
                b.push(value.as_bytes());
            }
            Self::Decimal(b) => b.push_text(value)?,
            other => return Err(other.unfit(quoted(value))),
        }
        Ok(())
    }

    pub(super) fn push_bytes(&mut self, value: &[u8]) -> Result<(), String> {
        match self {
            Self::Binary(b) => b.push(value),
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
            Self::Decimal(_) => "DECIMAL",
            Self::Text(..) => "STRING",
            Self::Variant(_) => "VARIANT",
            Self::Binary(_) => "BINARY",
            Self::Date(_) => "DATE",
            Self::Timestamp(b) if !b.wall_clock => "TIMESTAMP",
            Self::Timestamp(_) => "TIMESTAMP_NTZ",
            Self::Struct(_) => "STRUCT",
            Self::List(_) => "ARRAY",
            Self::Map(_) => "MAP",
        };
        format!("{value} does not fit {ty}")
    }

    /// How many values, NULLs counted.
    #[inline]
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Boolean(b) => b.len(),
            Self::TinyInt(b) => b.len(),
            Self::SmallInt(b) => b.len(),
            Self::Int(b) => b.len(),
            Self::BigInt(b) => b.len(),
            Self::Float(b) => b.len(),
            Self::Double(b) => b.len(),
            Self::Decimal(b) => b.values.len(),
            Self::Text(b, _) | Self::Variant(b) | Self::Binary(b) => b.len(),
            Self::Date(b) => b.len(),
            Self::Timestamp(b) => b.values.len(),
            Self::Struct(b) => b.nulls.len(),
            Self::List(b) => b.ends.len(),
            Self::Map(b) => b.ends.len(),
        }
    }

    /// Makes room for this many values more.
    pub(super) fn reserve(&mut self, rows: usize) {
        match self {
            Self::Boolean(b) => b.reserve(rows),
            Self::TinyInt(b) => b.reserve(rows),
            Self::SmallInt(b) => b.reserve(rows),
            Self::Int(b) => b.reserve(rows),
            Self::BigInt(b) => b.reserve(rows),
            Self::Float(b) => b.reserve(rows),
            Self::Double(b) => b.reserve(rows),
            Self::Decimal(b) => b.values.reserve(rows),
            Self::Text(b, _) | Self::Variant(b) | Self::Binary(b) => b.reserve(rows),
            Self::Date(b) => b.reserve(rows),
            Self::Timestamp(b) => b.values.reserve(rows),
            Self::Struct(b) => b.cells.iter_mut().for_each(|c| c.builder.reserve(rows)),
            Self::List(b) => b.ends.reserve(rows),
            Self::Map(b) => b.ends.reserve(rows),
        }
    }

    /// Forgets all but the first `len` values, and those that were begun.
    pub(super) fn truncate(&mut self, len: usize) {
        match self {
            Self::Boolean(b) => b.truncate(len),
            Self::TinyInt(b) => b.truncate(len),
            Self::SmallInt(b) => b.truncate(len),
            Self::Int(b) => b.truncate(len),
            Self::BigInt(b) => b.truncate(len),
            Self::Float(b) => b.truncate(len),
            Self::Double(b) => b.truncate(len),
            Self::Decimal(b) => b.values.truncate(len),
            Self::Text(b, _) | Self::Variant(b) | Self::Binary(b) => b.truncate(len),
            Self::Date(b) => b.truncate(len),
            Self::Timestamp(b) => b.values.truncate(len),
            Self::Struct(b) => {
                b.nulls.truncate(len);
                b.cells.iter_mut().for_each(|c| c.builder.truncate(len));
            }
            Self::List(b) => b.element.truncate(b.ends.truncate(len)),
            Self::Map(b) => {
                let entries = b.ends.truncate(len);
                b.key.truncate(entries);
                b.value.truncate(entries);
            }
        }
    }

    pub(super) fn finish(self) -> Result<ArrayRef, ArrowError> {
        Ok(match self {
            Self::Boolean(b) => Arc::new(b.finish()?),
            Self::TinyInt(b) => Arc::new(b.finish()?),
            Self::SmallInt(b) => Arc::new(b.finish()?),
            Self::Int(b) => Arc::new(b.finish()?),
            Self::BigInt(b) => Arc::new(b.finish()?),
            Self::Float(b) => Arc::new(b.finish()?),
            Self::Double(b) => Arc::new(b.finish()?),
            Self::Decimal(b) => Arc::new(b.values.finish()?.with_data_type(b.data_type)),
            Self::Text(b, _) | Self::Variant(b) => Arc::new(b.finish_text()?),
            Self::Binary(b) => Arc::new(b.finish_binary()?),
            Self::Date(b) => Arc::new(b.finish()?),
            Self::Timestamp(b) => Arc::new(b.values.finish()?.with_data_type(b.data_type)),
            Self::Struct(b) => {
                let length = b.nulls.len();
                let arrays = b.cells.into_iter().map(|cell| cell.builder.finish());
                let arrays = arrays.collect::<Result<_, _>>()?;
                let nulls = b.nulls.build();
                let array = StructArray::try_new_with_length(b.fields, arrays, nulls, length)?;
                Arc::new(array)
            }
            Self::List(b) => {
                let (offsets, nulls) = b.ends.finish();
                let element = b.element.finish()?;
                Arc::new(ListArray::try_new(b.field, offsets, element, nulls)?)
            }
            Self::Map(b) => {
                let (offsets, nulls) = b.ends.finish();
                let entries = vec![b.key.finish()?, b.value.finish()?];
                let entries = StructArray::try_new(b.entry, entries, None)?;
                Arc::new(MapArray::try_new(b.field, offsets, entries, nulls, false)?)
            }
        })
    }
}

impl DecimalBuilder {
    fn push_text(&mut self, value: &str) -> Result<(), String> {
        let value = parse_decimal(value, self.precision, self.scale)?;
        self.values.push(value);
        Ok(())
    }
}

impl StructBuilder {
    /// Values that have ended.
    pub(super) fn len(&self) -> usize {
        self.nulls.len()
    }

    /// Ends a value whose fields were appended to `cells`.
    pub(super) fn end(&mut self) {
        self.nulls.append_non_null();
    }
}

impl ListBuilder {
    /// Elements of the value that has not ended.
    pub(super) fn pending(&self) -> usize {
        self.element.len() - self.ends.last()
    }

    /// Ends a value whose elements were appended; not `valid`: NULL.
    pub(super) fn end(&mut self, valid: bool) {
        self.ends.push(self.element.len(), valid);
    }
}

impl MapBuilder {
    /// Ends a value whose keys and values were appended; not `valid`: NULL.
    pub(super) fn end(&mut self, valid: bool) {
        self.ends.push(self.key.len(), valid);
    }
}

fn in_range<T: TryFrom<i64>>(value: i64, ty: &str) -> Result<T, String> {
    T::try_from(value).map_err(|_| format!("{value} does not fit {ty}"))
}
