//! The record against the table: what no row can mend, before the first one is sent.
//!
//! Names must be the same in every letter: what the service makes of a field whose column
//! differs in case is not documented.

use std::collections::{HashMap, HashSet};

use super::plan::{EnumPlan, FieldPlan, MessagePlan, RecordPlan, Scalar, Shape, ValueType};
use super::{Column, ColumnType, closest, columns};

/// Whatever makes a record unfit for a table of these columns: fields without a column, NOT
/// NULL columns without a field, types that do not fit, hints that say otherwise than the
/// table. Each tells what to do. None: it fits.
///
/// A nullable field over a NOT NULL column is none of these: each row is checked for it.
pub fn problems(plan: &RecordPlan, columns: &[Column]) -> Vec<String> {
    let mut check = Check {
        plan,
        problems: Vec::new(),
    };
    check.message(plan.root(), columns, "");
    check.problems
}

struct Check<'p> {
    plan: &'p RecordPlan,
    problems: Vec<String>,
}

impl Check<'_> {
    fn message(&mut self, message: &MessagePlan, columns: &[Column], within: &str) {
        let by_name: HashMap<&str, &Column> =
            columns.iter().map(|c| (c.name.as_str(), c)).collect();
        let mut filled: HashSet<&str> = HashSet::new();
        for field in &message.fields {
            let path = format!("{within}{}", field.name);
            if let Some(column) = by_name.get(field.name.as_str()) {
                filled.insert(&column.name);
                self.field(field, &column.ty, &path);
                continue;
            }
            let case = |c: &&Column| c.name.eq_ignore_ascii_case(&field.name);
            let advice = match columns.iter().find(case) {
                Some(column) => {
                    filled.insert(&column.name);
                    let name = &column.name;
                    format!("the column is \"{name}\", and names must be the same in every letter")
                }
                None => match closest(&field.name, by_name.keys().copied()) {
                    Some(name) => format!("did you mean \"{name}\"?"),
                    None => {
                        let ty = columns::of_field(self.plan, field);
                        format!("add a column {} {ty}, or leave the field out", field.name)
                    }
                },
            };
            let is = self.plan.protobuf_type(field);
            self.tell(format!(
                "field \"{path}\" ({is}) has no column in the table: {advice}"
            ));
        }
        for column in columns {
            if column.nullable || filled.contains(column.name.as_str()) {
                continue;
            }
            let advice = match declared(&column.ty) {
                Some(ty) => format!("add a field {} of type {ty}", column.name),
                None => "no record has a field for this type; let the column be NULL".to_owned(),
            };
            let (name, ty) = (&column.name, &column.ty);
            self.tell(format!(
                "column \"{within}{name}\" ({ty} NOT NULL) has no field in the record: {advice}"
            ));
        }
    }

    fn field(&mut self, field: &FieldPlan, column: &ColumnType, path: &str) {
        let value = match (field.shape, column) {
            (Shape::Single, ty) => Some(ty),
            (Shape::Repeated | Shape::Packed, ColumnType::Array(element)) => Some(&**element),
            (Shape::Map(key), ColumnType::Map(is, value)) if key_fits(key, is) => Some(&**value),
            _ => None,
        };
        match (field.ty, value) {
            (ValueType::Message(index), Some(ColumnType::Struct(columns))) => {
                let message = &self.plan.messages[index];
                return self.message(message, columns, &format!("{path}."));
            }
            (ValueType::Enum(index), Some(ColumnType::Varchar(n))) => {
                return self.enum_in_varchar(&self.plan.enums[index], *n, path);
            }
            (_, Some(value)) if value_fits(field, value) => return,
            _ => {}
        }
        let is = self.plan.protobuf_type(field);
        let taken = value.and_then(|value| taken_as(self.plan, field, value));
        self.tell(match (taken, declared(column)) {
            (Some(taken), _) if field.hinted => format!(
                "field \"{path}\" ({is}, taken as {taken}) does not fit its column ({column}): \
                 let its hint, by --type or @delta, name the column's type, or take it away"
            ),
            (Some(taken), _) => format!(
                "field \"{path}\" ({is}, taken as {taken}) does not fit its column ({column}): \
                 declare it as {is} by itself, not as a google.protobuf type"
            ),
            (None, Some(ty)) => format!(
                "field \"{path}\" ({is}) does not fit its column ({column}): declare it as {ty}"
            ),
            (None, None) => format!(
                "field \"{path}\" ({is}) does not fit its column ({column}): \
                 no record has a field for this type; leave the field out"
            ),
        });
    }

    /// The column holds the names of the values.
    fn enum_in_varchar(&mut self, names: &EnumPlan, n: u32, path: &str) {
        let names_of_values = names.numbers.keys().map(|name| &**name);
        let longest = names_of_values.max_by_key(|name| (name.len(), *name));
        if let Some(longest) = longest.filter(|name| name.len() > n as usize) {
            let (is, length) = (&names.name, longest.len());
            self.tell(format!(
                "field \"{path}\" ({is}) does not fit its column (VARCHAR({n})): the name {longest} \
                 has {length} characters; let the column be longer, or a STRING"
            ));
        }
    }

    fn tell(&mut self, problem: String) {
        self.problems.push(problem);
    }
}

/// What a field is taken as, by a hint or as a well-known type, where its protobuf type by
/// itself would fit the column.
fn taken_as(plan: &RecordPlan, field: &FieldPlan, column: &ColumnType) -> Option<ColumnType> {
    let bare = field.ty.scalar()?;
    if matches!(field.ty, ValueType::Scalar(_)) || declared(column)? != bare.name() {
        return None;
    }
    Some(match columns::of_field(plan, field) {
        ColumnType::Array(value) | ColumnType::Map(_, value) => *value,
        ty => ty,
    })
}

/// How a field for this column is declared; none if that is not possible.
fn declared(column: &ColumnType) -> Option<String> {
    let scalar = |ty: &ColumnType| {
        Some(match ty {
            ColumnType::Boolean => "bool",
            ColumnType::TinyInt | ColumnType::SmallInt | ColumnType::Int | ColumnType::Date => {
                "int32"
            }
            ColumnType::BigInt | ColumnType::Timestamp | ColumnType::TimestampNtz => "int64",
            ColumnType::Float => "float",
            ColumnType::Double => "double",
            ColumnType::Decimal { .. }
            | ColumnType::String
            | ColumnType::Varchar(_)
            | ColumnType::Variant => "string",
            ColumnType::Binary => "bytes",
            ColumnType::Struct(_) => "a message",
            ColumnType::Array(_) | ColumnType::Map(..) | ColumnType::Other(_) => return None,
        })
    };
    match column {
        ColumnType::Array(element) => Some(format!("repeated {}", scalar(element)?)),
        ColumnType::Map(key, value) => Some(format!("map<{}, {}>", scalar(key)?, scalar(value)?)),
        other => scalar(other).map(str::to_owned),
    }
}

/// Whether each value that the field takes goes into the column as what it is. A hint may be
/// narrower than its column: what is sent for a TIMESTAMP is an int64, and a BIGINT holds it,
/// as in a table that was made from a descriptor, which carries no hints.
fn value_fits(field: &FieldPlan, column: &ColumnType) -> bool {
    use ColumnType as C;
    match field.ty {
        ValueType::Scalar(scalar) => scalar_fits(scalar, column),
        // By its name, or by its number.
        ValueType::Enum(_) => matches!(
            column,
            C::String | C::TinyInt | C::SmallInt | C::Int | C::BigInt
        ),
        ValueType::Message(_) => false,
        ValueType::TinyInt => matches!(column, C::TinyInt | C::SmallInt | C::Int),
        ValueType::SmallInt => matches!(column, C::SmallInt | C::Int),
        ValueType::Date => matches!(column, C::Date | C::Int),
        ValueType::Timestamp => matches!(column, C::Timestamp | C::BigInt),
        ValueType::TimestampNtz => matches!(column, C::TimestampNtz | C::BigInt),
        ValueType::Duration => *column == C::BigInt,
        ValueType::Decimal { precision, scale } => {
            *column == C::String || holds_decimal(column, precision, scale)
        }
        ValueType::Variant(_) => matches!(column, C::Variant | C::String),
        ValueType::Varchar(n) => match column {
            C::Varchar(max) => n <= *max,
            other => *other == C::String,
        },
    }
}

/// A scalar that no hint has made anything else. What has a hint in the table has it by now,
/// except for sint32 and its like, whose hints would be of other bytes.
fn scalar_fits(scalar: Scalar, column: &ColumnType) -> bool {
    use ColumnType as C;
    match scalar {
        Scalar::Bool => *column == C::Boolean,
        Scalar::Float => *column == C::Float,
        Scalar::Double => *column == C::Double,
        Scalar::Int32 | Scalar::Sint32 | Scalar::Sfixed32 => {
            matches!(column, C::Int | C::SmallInt | C::TinyInt)
        }
        Scalar::Int64 | Scalar::Sint64 | Scalar::Sfixed64 | Scalar::Uint32 | Scalar::Fixed32 => {
            *column == C::BigInt
        }
        Scalar::Uint64 | Scalar::Fixed64 => holds_decimal(column, 20, 0),
        Scalar::String => *column == C::String,
        Scalar::Bytes => *column == C::Binary,
    }
}

/// Keys have no hints.
fn key_fits(key: Scalar, column: &ColumnType) -> bool {
    match column {
        ColumnType::Varchar(_) => key == Scalar::String,
        other => scalar_fits(key, other),
    }
}

fn holds_decimal(column: &ColumnType, precision: u8, scale: u8) -> bool {
    let ColumnType::Decimal {
        precision: p,
        scale: s,
    } = column
    else {
        return false;
    };
    *s >= scale && p.saturating_sub(*s) >= precision.saturating_sub(scale)
}

#[cfg(test)]
mod tests;
