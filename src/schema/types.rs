//! Delta column types, as Databricks SQL names them.
//!
//! The common ground of the loader (record plan → columns) and the embedded server
//! (columns → Delta schema).

use std::fmt;

/// A column of a table, or a field of a STRUCT.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// The column's name.
    pub name: String,
    /// Its type.
    pub ty: ColumnType,
    /// Whether it may hold NULL.
    pub nullable: bool,
    /// What its owner says of it.
    pub comment: Option<String>,
}

impl Column {
    /// A column without a comment.
    pub fn new(name: impl Into<String>, ty: ColumnType, nullable: bool) -> Self {
        Self {
            name: name.into(),
            ty,
            nullable,
            comment: None,
        }
    }
}

/// The type of a column. `Display` writes it as Databricks SQL does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ColumnType {
    /// BOOLEAN
    Boolean,
    /// TINYINT, 8 bits, signed
    TinyInt,
    /// SMALLINT, 16 bits, signed
    SmallInt,
    /// INT, 32 bits, signed
    Int,
    /// BIGINT, 64 bits, signed
    BigInt,
    /// FLOAT, IEEE 754 single precision
    Float,
    /// DOUBLE, IEEE 754 double precision
    Double,
    /// DECIMAL(precision, scale)
    Decimal {
        /// Digits in all, 1 to 38.
        precision: u8,
        /// Digits after the point, 0 to `precision`.
        scale: u8,
    },
    /// STRING, UTF-8
    String,
    /// VARCHAR(n), at most n characters
    Varchar(u32),
    /// BINARY
    Binary,
    /// DATE, days since 1970-01-01
    Date,
    /// TIMESTAMP, microseconds since the epoch in UTC
    Timestamp,
    /// TIMESTAMP_NTZ, microseconds since the epoch of the wall clock
    TimestampNtz,
    /// VARIANT, on the wire JSON text
    Variant,
    /// `STRUCT<...>`
    Struct(Vec<Column>),
    /// `ARRAY<element>`; elements are never NULL
    Array(Box<ColumnType>),
    /// `MAP<key, value>`; values are never NULL
    Map(Box<ColumnType>, Box<ColumnType>),
    /// Any other, as its catalog names it: no field of a record goes into it.
    Other(String),
}

impl fmt::Display for ColumnType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Boolean => f.write_str("BOOLEAN"),
            Self::TinyInt => f.write_str("TINYINT"),
            Self::SmallInt => f.write_str("SMALLINT"),
            Self::Int => f.write_str("INT"),
            Self::BigInt => f.write_str("BIGINT"),
            Self::Float => f.write_str("FLOAT"),
            Self::Double => f.write_str("DOUBLE"),
            Self::Decimal { precision, scale } => write!(f, "DECIMAL({precision},{scale})"),
            Self::String => f.write_str("STRING"),
            Self::Varchar(n) => write!(f, "VARCHAR({n})"),
            Self::Binary => f.write_str("BINARY"),
            Self::Date => f.write_str("DATE"),
            Self::Timestamp => f.write_str("TIMESTAMP"),
            Self::TimestampNtz => f.write_str("TIMESTAMP_NTZ"),
            Self::Variant => f.write_str("VARIANT"),
            Self::Struct(fields) => {
                f.write_str("STRUCT<")?;
                for (i, field) in fields.iter().enumerate() {
                    if i > 0 {
                        f.write_str(", ")?;
                    }
                    write!(f, "{}: {}", field.name, field.ty)?;
                    if !field.nullable {
                        f.write_str(" NOT NULL")?;
                    }
                }
                f.write_str(">")
            }
            Self::Array(element) => write!(f, "ARRAY<{element}>"),
            Self::Map(key, value) => write!(f, "MAP<{key}, {value}>"),
            Self::Other(name) => f.write_str(name),
        }
    }
}
