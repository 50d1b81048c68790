//! The record against the table: what no row can mend, before the first one is sent.
//!
//! Names must be the same in every letter: what the service makes of a field whose column
//! differs in case is not documented.

use std::collections::{HashMap, HashSet};

use super::plan::{FieldPlan, Json, MessagePlan, RecordPlan, Scalar, Shape, ValueType};
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
            (ty, Some(value)) if value_fits(ty, value) => return,
            _ => {}
        }
        let is = self.plan.protobuf_type(field);
        let hinted = value.and_then(|value| hinted(self.plan, field, value));
        self.tell(match (hinted, declared(column)) {
            (Some(as_type), _) => format!(
                "field \"{path}\" ({is}, taken as {as_type}) does not fit its column ({column}): \
                 let its hint, by --type or @delta, name the column's type, or take it away"
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

    fn tell(&mut self, problem: String) {
        self.problems.push(problem);
    }
}

/// What a field is taken as, where its protobuf type by itself would fit the column.
fn hinted(plan: &RecordPlan, field: &FieldPlan, column: &ColumnType) -> Option<ColumnType> {
    let bare = field.ty.scalar()?;
    let is_hint = !matches!(field.ty, ValueType::Scalar(_) | ValueType::Enum(_));
    if !is_hint || declared(column)? != bare.name() {
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
/// narrower than its column.
fn value_fits(ty: ValueType, column: &ColumnType) -> bool {
    use ColumnType as C;
    match ty {
        ValueType::Scalar(scalar) => scalar_fits(scalar, column),
        // By its name, or by its number.
        ValueType::Enum(_) => matches!(
            column,
            C::String | C::Varchar(_) | C::TinyInt | C::SmallInt | C::Int | C::BigInt
        ),
        ValueType::Message(_) => false,
        ValueType::TinyInt => matches!(column, C::TinyInt | C::SmallInt | C::Int),
        ValueType::SmallInt => matches!(column, C::SmallInt | C::Int),
        ValueType::Date => *column == C::Date,
        ValueType::Timestamp => *column == C::Timestamp,
        ValueType::TimestampNtz => *column == C::TimestampNtz,
        ValueType::Duration => *column == C::BigInt,
        ValueType::Decimal { precision, scale } => holds_decimal(column, precision, scale),
        ValueType::Variant(Json::Any) => *column == C::Variant,
        // google.protobuf.Struct and its like are JSON text wherever they go.
        ValueType::Variant(Json::AnyOrNull | Json::Object | Json::Array) => {
            matches!(column, C::Variant | C::String)
        }
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
mod tests {
    use super::super::type_text;
    use super::super::{Declared, ProtoSource, compile};
    use super::*;

    /// Columns as in a STRUCT's text; those whose name begins with `!` are NOT NULL.
    fn columns(text: &str) -> Vec<Column> {
        match type_text::parse(&format!("struct<{text}>")) {
            ColumnType::Struct(columns) => columns.into_iter().map(not_null).collect(),
            other => panic!("{other}"),
        }
    }

    fn not_null(mut column: Column) -> Column {
        if let Some(name) = column.name.strip_prefix('!') {
            (column.name, column.nullable) = (name.to_owned(), false);
        }
        if let ColumnType::Struct(fields) = column.ty {
            column.ty = ColumnType::Struct(fields.into_iter().map(not_null).collect());
        }
        column
    }

    fn plan(fields: &str, types: &[(&str, &str)], columns: &[Column]) -> RecordPlan {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("r.proto");
        let text = format!(
            "syntax = \"proto2\"; import \"google/protobuf/struct.proto\";
            import \"google/protobuf/timestamp.proto\";
            message R {{\n{fields}\n}} message N {{ optional int64 a = 1; }} enum E {{ Z = 0; }}"
        );
        std::fs::write(&file, text).unwrap();
        let source = ProtoSource {
            declared: Declared::Proto {
                file,
                include: Vec::new(),
            },
            message: None,
            types: Vec::new(),
        };
        let types: Vec<(String, ColumnType)> = types
            .iter()
            .map(|(path, ty)| ((*path).to_owned(), type_text::parse(ty)))
            .collect();
        RecordPlan::over_table(&compile::compile(&source).unwrap(), &types, columns).unwrap()
    }

    fn told(fields: &str, types: &[(&str, &str)], table: &str) -> Vec<String> {
        let columns = columns(table);
        problems(&plan(fields, types, &columns), &columns)
    }

    #[test]
    fn what_fits_is_no_problem() {
        for (fields, table) in [
            ("optional int32 x = 1;", "x:int"),
            ("optional int32 x = 1;", "x:date"),
            ("optional int32 x = 1;", "x:smallint"),
            ("optional sint32 x = 1;", "x:tinyint"),
            ("optional int64 x = 1;", "x:bigint"),
            ("optional int64 x = 1;", "x:timestamp"),
            ("optional int64 x = 1;", "x:timestamp_ntz"),
            ("optional uint32 x = 1;", "x:bigint"),
            ("optional uint64 x = 1;", "x:decimal(22,2)"),
            ("optional float x = 1;", "x:float"),
            ("optional double x = 1;", "x:double"),
            ("optional bool x = 1;", "x:boolean"),
            ("optional bytes x = 1;", "x:binary"),
            ("optional string x = 1;", "x:string"),
            ("optional string x = 1;", "x:varchar(3)"),
            ("optional string x = 1;", "x:variant"),
            ("optional string x = 1;", "x:decimal(9,2)"),
            ("optional E x = 1;", "x:string"),
            ("optional E x = 1;", "x:int"),
            ("optional google.protobuf.Timestamp x = 1;", "x:timestamp"),
            ("optional google.protobuf.Struct x = 1;", "x:variant"),
            ("optional google.protobuf.Struct x = 1;", "x:string"),
            ("repeated int64 x = 1;", "x:array<timestamp>"),
            ("map<string, string> x = 1;", "x:map<varchar(9),variant>"),
            (
                "map<int32, N> x = 1;",
                "x:map<smallint,struct<a:timestamp>>",
            ),
            ("repeated N x = 1;", "x:array<struct<a:timestamp,b:int>>"),
            ("optional int32 x = 1; // @delta TINYINT", "x:int"),
            (
                "optional string x = 1; // @delta VARCHAR(3)",
                "x:varchar(4)",
            ),
            (
                "optional string x = 1; // @delta DECIMAL(9,2)",
                "x:decimal(11,4)",
            ),
            // What the record leaves out is NULL.
            ("optional int32 x = 1;", "x:int,y:geometry(1)"),
            // Checked row by row.
            ("optional int32 x = 1;", "!x:int"),
            ("required int32 x = 1;", "x:int"),
        ] {
            assert_eq!(told(fields, &[], table), [""; 0], "{fields} {table}");
        }
    }

    #[test]
    fn each_problem_is_named_with_what_to_do() {
        let misfit = |rest: &str| format!("field {rest}");
        for (fields, table, expected) in [
            (
                "optional int64 humidty = 1;",
                "humidity:bigint",
                "\"humidty\" (int64) has no column in the table: did you mean \"humidity\"?",
            ),
            (
                "optional int64 pressure = 1;",
                "humidity:bigint",
                "\"pressure\" (int64) has no column in the table: add a column pressure BIGINT, or leave the field out",
            ),
            (
                "optional int64 Humidity = 1;",
                "!humidity:bigint",
                "\"Humidity\" (int64) has no column in the table: the column is \"humidity\", and names must be the same in every letter",
            ),
            (
                "optional int32 x = 1;",
                "x:string",
                "\"x\" (int32) does not fit its column (STRING): declare it as string",
            ),
            (
                "optional sint64 x = 1;",
                "x:timestamp",
                "\"x\" (sint64) does not fit its column (TIMESTAMP): declare it as int64",
            ),
            (
                "optional N x = 1;",
                "x:string",
                "\"x\" (N) does not fit its column (STRING): declare it as string",
            ),
            (
                "optional string x = 1;",
                "x:struct<a:int>",
                "\"x\" (string) does not fit its column (STRUCT<a: INT>): declare it as a message",
            ),
            (
                "repeated int32 x = 1;",
                "x:int",
                "\"x\" (repeated int32) does not fit its column (INT): declare it as int32",
            ),
            (
                "map<int64, int32> x = 1;",
                "x:map<string,int>",
                "\"x\" (map<int64, int32>) does not fit its column (MAP<STRING, INT>): declare it as map<string, int32>",
            ),
            (
                "optional string x = 1;",
                "x:interval day",
                "\"x\" (string) does not fit its column (interval day): no record has a field for this type; leave the field out",
            ),
            (
                "repeated int32 x = 1;",
                "x:array<array<int>>",
                "\"x\" (repeated int32) does not fit its column (ARRAY<ARRAY<INT>>): no record has a field for this type; leave the field out",
            ),
            (
                "optional int64 x = 1; // @delta TIMESTAMP",
                "x:bigint",
                "\"x\" (int64, taken as TIMESTAMP) does not fit its column (BIGINT): let its hint, by --type or @delta, name the column's type, or take it away",
            ),
            (
                "repeated string x = 1; // @delta DECIMAL(10,2)",
                "x:array<decimal(8,2)>",
                "\"x\" (repeated string, taken as DECIMAL(10,2)) does not fit its column (ARRAY<DECIMAL(8,2)>): let its hint, by --type or @delta, name the column's type, or take it away",
            ),
            (
                "map<string, N> x = 1;",
                "x:map<string,struct<a:string>>",
                "\"x.a\" (int64) does not fit its column (STRING): declare it as string",
            ),
        ] {
            assert_eq!(told(fields, &[], table), [misfit(expected)], "{fields}");
        }
        for (table, expected) in [
            (
                "x:int,!id:bigint",
                "column \"id\" (BIGINT NOT NULL) has no field in the record: add a field id of type int64",
            ),
            (
                "x:int,!id:interval day",
                "column \"id\" (interval day NOT NULL) has no field in the record: no record has a field for this type; let the column be NULL",
            ),
        ] {
            assert_eq!(told("optional int32 x = 1;", &[], table), [expected]);
        }
    }

    #[test]
    fn all_problems_are_told_at_once() {
        let fields = "optional int32 a = 1; optional N n = 2; optional int64 t = 3;";
        let table = "a:string,n:struct<a:int>,t:timestamp,!k:int";
        let all = told(fields, &[("t", "timestamp_ntz")], table);
        assert_eq!(all.len(), 4, "{all:#?}");
        assert!(all[1].starts_with("field \"n.a\" (int64)"), "{all:#?}");
        assert!(all[2].contains("taken as TIMESTAMP_NTZ"), "{all:#?}");
    }

    #[test]
    fn the_table_says_what_flags_and_comments_do_not() {
        let table = columns("!a:timestamp,b:date,c:date,!l:array<int>,n:struct<!a:timestamp>");
        let fields = "optional int64 a = 1; optional int32 b = 2;
            optional int32 c = 3; // @delta SMALLINT
            repeated int32 l = 4; optional N n = 5;";
        let plan = plan(fields, &[("b", "tinyint")], &table);
        let of = |message: usize, name: &str| {
            let message = &plan.messages[message];
            let index = message.by_name[name];
            (message.fields[index].ty, message.required.contains(&index))
        };
        assert_eq!(of(0, "a"), (ValueType::Timestamp, true));
        assert_eq!(of(0, "b"), (ValueType::TinyInt, false));
        assert_eq!(of(0, "c"), (ValueType::SmallInt, false));
        assert_eq!(of(0, "l"), (ValueType::Scalar(Scalar::Int32), false));
        assert_eq!(of(1, "a"), (ValueType::Timestamp, true));
    }
}
