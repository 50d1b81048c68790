//! Whether a record is plainly good, without building its row: for a server that discards.
//!
//! A record that is good here is one that `decode_proto` takes. What it is not sure of (a
//! value in a column with rules of its own, a field that comes twice, all that is wrong) is
//! left to that: so what is refused, and why, does not depend on whether rows are kept.

use crate::schema::{Column, ColumnType};

use super::numbers::{DATE_DAYS, TIMESTAMP_MICROS};
use super::plan::{Absent, FieldPlan, RecordPlan, Scalar, Shape, ValuePlan};
use super::wire_format::{Wire, WireType};

/// The deepest nesting that is looked into.
const DEPTH_MAX: usize = 50;
/// Map entries of one message that are told apart one by one.
const ENTRIES_MAX: usize = 32;

/// The fields of a message.
pub(super) struct Check {
    /// By number.
    fields: Vec<Field>,
    /// A bit for each field that must be there.
    required: u64,
}

struct Field {
    number: u32,
    bit: u64,
    shape: FieldShape,
}

enum FieldShape {
    Single(Value),
    List(Value),
    /// With keys of text.
    Map(Value),
    Unsure,
}

enum Value {
    /// Any number fits.
    Varint,
    Int32 {
        min: i64,
        max: i64,
    },
    Int64 {
        min: i64,
        max: i64,
    },
    Fixed32,
    Fixed64,
    /// Surely short enough with so many bytes.
    Text {
        bytes_max: usize,
    },
    Bytes,
    Message(Check),
}

impl Check {
    /// None if nothing can be told of such records.
    pub(super) fn new(plan: &RecordPlan, columns: &[Column]) -> Option<Self> {
        Self::at_depth(plan, columns, DEPTH_MAX)
    }

    fn at_depth(plan: &RecordPlan, columns: &[Column], depth: usize) -> Option<Self> {
        let depth = depth.checked_sub(1)?;
        if plan.fields.len() > 64 {
            return None;
        }
        let mut required = 0;
        let fields = plan.fields.iter().enumerate().map(|(place, field)| {
            let bit = 1 << place;
            let column = columns.get(field.column)?;
            match plan.columns.get(field.column)? {
                Absent::Required => required |= bit,
                Absent::Null if !column.nullable => required |= bit,
                Absent::Null | Absent::Empty => {}
            }
            Some(Field {
                number: field.number,
                bit,
                shape: FieldShape::new(field, &column.ty, depth),
            })
        });
        let fields = fields.collect::<Option<_>>()?;
        Some(Self { fields, required })
    }

    /// Whether the record surely makes a row.
    pub(super) fn is_good(&self, record: &[u8]) -> bool {
        self.message(record).is_some()
    }

    fn message(&self, record: &[u8]) -> Option<()> {
        let mut wire = Wire(record);
        let mut seen = 0;
        let mut guess = 0;
        let mut keys: Vec<(u64, &[u8])> = Vec::new();
        while !wire.is_empty() {
            let (number, wire_type) = wire.key().ok()?;
            let place = match self.fields.get(guess) {
                Some(field) if field.number == number => guess,
                _ => {
                    let found = self.fields.binary_search_by_key(&number, |f| f.number);
                    found.ok()?
                }
            };
            let field = self.fields.get(place)?;
            guess = place;
            match &field.shape {
                FieldShape::Single(value) => {
                    if seen & field.bit != 0 || wire_type != value.wire_type() as u8 {
                        return None;
                    }
                    value.pass(&mut wire)?;
                    guess += 1;
                }
                FieldShape::List(value) if wire_type == value.wire_type() as u8 => {
                    value.pass(&mut wire)?;
                }
                FieldShape::List(value) if wire_type == WireType::Length as u8 => {
                    let mut elements = Wire(wire.bytes().ok()?);
                    while !elements.is_empty() {
                        value.pass(&mut elements)?;
                    }
                }
                FieldShape::Map(value) if wire_type == WireType::Length as u8 => {
                    let key = (field.bit, entry(value, wire.bytes().ok()?)?);
                    if keys.len() >= ENTRIES_MAX || keys.contains(&key) {
                        return None;
                    }
                    keys.push(key);
                }
                FieldShape::List(_) | FieldShape::Map(_) | FieldShape::Unsure => return None,
            }
            seen |= field.bit;
        }
        (seen & self.required == self.required).then_some(())
    }
}

/// The key of a map's entry whose value is good.
fn entry<'e>(value: &Value, entry: &'e [u8]) -> Option<&'e [u8]> {
    let mut wire = Wire(entry);
    if wire.key().ok()? != (1, WireType::Length as u8) {
        return None;
    }
    let key = wire.text().ok()?.as_bytes();
    if wire.key().ok()? != (2, value.wire_type() as u8) {
        return None;
    }
    value.pass(&mut wire)?;
    wire.is_empty().then_some(key)
}

impl FieldShape {
    fn new(field: &FieldPlan, ty: &ColumnType, depth: usize) -> Self {
        let shape = match (&field.shape, ty) {
            // Whether another field of its oneof is given is not looked at.
            _ if !field.instead_of.is_empty() => None,
            (Shape::Single(value), ty) => Value::new(value, ty, depth).map(Self::Single),
            (Shape::List(value), ColumnType::Array(element)) => {
                Value::new(value, element, depth).map(Self::List)
            }
            (Shape::Map(Scalar::String, value), ColumnType::Map(key, ty))
                if **key == ColumnType::String =>
            {
                Value::new(value, ty, depth).map(Self::Map)
            }
            (Shape::List(_) | Shape::Map(..), _) => None,
        };
        shape.unwrap_or(Self::Unsure)
    }
}

impl Value {
    /// None: what it may hold is left to the decoder.
    fn new(plan: &ValuePlan, ty: &ColumnType, depth: usize) -> Option<Self> {
        use ColumnType as T;
        use Scalar as S;
        let scalar = match (plan, ty) {
            (ValuePlan::Message(plan), T::Struct(columns)) => {
                return Check::at_depth(plan, columns, depth).map(Self::Message);
            }
            (ValuePlan::Scalar(scalar), _) => *scalar,
            (ValuePlan::Message(_) | ValuePlan::EnumName(_), _) => return None,
        };
        let int32 = |min, max| Some(Self::Int32 { min, max });
        match (scalar, ty) {
            (S::Int32, T::TinyInt) => int32(i8::MIN.into(), i8::MAX.into()),
            (S::Int32, T::SmallInt) => int32(i16::MIN.into(), i16::MAX.into()),
            (S::Int32, T::Date) => int32(*DATE_DAYS.start(), *DATE_DAYS.end()),
            (S::Int64, T::Timestamp | T::TimestampNtz) => Some(Self::Int64 {
                min: *TIMESTAMP_MICROS.start(),
                max: *TIMESTAMP_MICROS.end(),
            }),
            (S::Int32 | S::Sint32, T::Int) => Some(Self::Varint),
            (S::Int32 | S::Sint32 | S::Uint32 | S::Int64 | S::Sint64, T::BigInt) => {
                Some(Self::Varint)
            }
            (S::Bool, T::Boolean) => Some(Self::Varint),
            (S::Float, T::Float) | (S::Sfixed32, T::Int) | (S::Fixed32, T::BigInt) => {
                Some(Self::Fixed32)
            }
            (S::Double, T::Double) | (S::Sfixed64, T::BigInt) => Some(Self::Fixed64),
            (S::String, T::String) => Some(Self::Text {
                bytes_max: usize::MAX,
            }),
            (S::String, T::Varchar(chars)) => Some(Self::Text {
                bytes_max: *chars as usize,
            }),
            (S::Bytes, T::Binary) => Some(Self::Bytes),
            _ => None,
        }
    }

    fn wire_type(&self) -> WireType {
        match self {
            Self::Varint | Self::Int32 { .. } | Self::Int64 { .. } => WireType::Varint,
            Self::Fixed32 => WireType::Fixed32,
            Self::Fixed64 => WireType::Fixed64,
            Self::Text { .. } | Self::Bytes | Self::Message(_) => WireType::Length,
        }
    }

    /// Passes over a value that is good.
    #[inline]
    fn pass(&self, wire: &mut Wire<'_>) -> Option<()> {
        match self {
            Self::Varint => wire.varint().ok().map(drop),
            Self::Int32 { min, max } => {
                let value = i64::from(wire.varint().ok()? as i32);
                (*min..=*max).contains(&value).then_some(())
            }
            Self::Int64 { min, max } => {
                let value = wire.varint().ok()? as i64;
                (*min..=*max).contains(&value).then_some(())
            }
            Self::Fixed32 => wire.fixed::<4>().ok().map(drop),
            Self::Fixed64 => wire.fixed::<8>().ok().map(drop),
            Self::Text { bytes_max } => {
                let text = wire.bytes().ok()?;
                let is_text = text.is_ascii() || std::str::from_utf8(text).is_ok();
                (is_text && text.len() <= *bytes_max).then_some(())
            }
            Self::Bytes => wire.bytes().ok().map(drop),
            Self::Message(check) => check.message(wire.bytes().ok()?),
        }
    }
}
