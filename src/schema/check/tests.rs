//! Every kind of problem, and what is none.

use super::*;
use crate::schema::{Declared, ProtoSource, compile, type_text};

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
        ("optional google.protobuf.Timestamp x = 1;", "x:bigint"),
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
        // What a table has that was made from a descriptor.
        ("optional int64 x = 1; // @delta TIMESTAMP", "x:bigint"),
        ("optional int64 x = 1; // @delta TIMESTAMP_NTZ", "x:bigint"),
        ("optional int32 x = 1; // @delta DATE", "x:int"),
        ("optional string x = 1; // @delta DECIMAL(9,2)", "x:string"),
        ("optional string x = 1; // @delta VARIANT", "x:string"),
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
            "x:timestamp_ntz",
            "\"x\" (int64, taken as TIMESTAMP) does not fit its column (TIMESTAMP_NTZ): let its hint, by --type or @delta, name the column's type, or take it away",
        ),
        (
            "optional google.protobuf.Timestamp x = 1;",
            "x:timestamp_ntz",
            "\"x\" (int64, taken as TIMESTAMP) does not fit its column (TIMESTAMP_NTZ): declare it as int64 by itself, not as a google.protobuf type",
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
