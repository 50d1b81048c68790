//! What is understood: all that guides write, in every form.

mod refused;
mod soup;

use crate::schema::{Column, ColumnType, DEPTH_MAX};

use super::*;

/// The only statement of a text, in a form of its own.
fn parsed(text: &str) -> String {
    let mut all = statements(text).unwrap_or_else(|problem| panic!("{text}\n{problem:?}"));
    assert_eq!(all.len(), 1, "{text}");
    told(&all.remove(0).action)
}

fn told(action: &Action) -> String {
    match action {
        Action::CreateTable {
            name,
            if_not_exists,
            definition,
        } => {
            let columns: Vec<String> = definition.columns.iter().map(column).collect();
            let mut text = format!("{name} ({})", columns.join(", "));
            if *if_not_exists {
                text.push_str(" unless it exists");
            }
            if let Some(comment) = &definition.comment {
                text.push_str(&format!(" -- {comment}"));
            }
            for (key, value) in &definition.properties {
                text.push_str(&format!(" {key}={value}"));
            }
            text
        }
        Action::Grant(change) => format!("grant {}", told_change(change)),
        Action::Revoke(change) => format!("revoke {}", told_change(change)),
    }
}

fn told_change(change: &Change) -> String {
    let names: Vec<&str> = change.privileges.iter().map(|p| p.name()).collect();
    let Change {
        object, principal, ..
    } = change;
    format!("{} | {object} | {principal}", names.join(", "))
}

fn column(column: &Column) -> String {
    let not_null = if column.nullable { "" } else { " NOT NULL" };
    let comment = column.comment.as_deref().unwrap_or_default();
    let comment = match comment {
        "" => String::new(),
        comment => format!(" -- {comment}"),
    };
    format!("{} {}{not_null}{comment}", column.name, column.ty)
}

#[test]
fn every_type_and_its_synonyms() {
    for (given, expected) in [
        ("BOOLEAN", "BOOLEAN"),
        ("tinyint", "TINYINT"),
        ("BYTE", "TINYINT"),
        ("SMALLINT", "SMALLINT"),
        ("short", "SMALLINT"),
        ("INT", "INT"),
        ("INTEGER", "INT"),
        ("BIGINT", "BIGINT"),
        ("LONG", "BIGINT"),
        ("FLOAT", "FLOAT"),
        ("REAL", "FLOAT"),
        ("DOUBLE", "DOUBLE"),
        ("DECIMAL", "DECIMAL(10,0)"),
        ("DEC(5)", "DECIMAL(5,0)"),
        ("NUMERIC(38, 38)", "DECIMAL(38,38)"),
        ("DECIMAL(10,2)", "DECIMAL(10,2)"),
        ("STRING", "STRING"),
        ("VARCHAR(65535)", "VARCHAR(65535)"),
        ("BINARY", "BINARY"),
        ("DATE", "DATE"),
        ("TIMESTAMP", "TIMESTAMP"),
        ("TIMESTAMP_LTZ", "TIMESTAMP"),
        ("TIMESTAMP_NTZ", "TIMESTAMP_NTZ"),
        ("VARIANT", "VARIANT"),
        ("ARRAY<INT>", "ARRAY<INT>"),
        ("array < array<int>>", "ARRAY<ARRAY<INT>>"),
        ("MAP<STRING,INT>", "MAP<STRING, INT>"),
        (
            "MAP<DATE, MAP<LONG, ARRAY<BYTE>>>",
            "MAP<DATE, MAP<BIGINT, ARRAY<TINYINT>>>",
        ),
        ("STRUCT<a: INT, b STRING>", "STRUCT<a: INT, b: STRING>"),
        (
            "STRUCT<a:INT NOT NULL COMMENT 'x',`b` ARRAY<STRUCT<c:DEC(4,2)>>>",
            "STRUCT<a: INT NOT NULL, b: ARRAY<STRUCT<c: DECIMAL(4,2)>>>",
        ),
    ] {
        let text = format!("create table a.b.c (x {given})");
        assert_eq!(parsed(&text), format!("a.b.c (x {expected})"));
        let text = format!("create table a.b.c (x {given} NOT NULL COMMENT 'it''s')");
        let expected = format!("a.b.c (x {expected} NOT NULL -- it's)");
        assert_eq!(parsed(&text), expected);
    }
    // A comment within a STRUCT is kept, though it is no part of the type's name.
    let text = "CREATE TABLE a.b.c (x STRUCT<a: INT COMMENT 'in' NOT NULL>)";
    let action = statements(text).unwrap().remove(0).action;
    let Action::CreateTable { definition, .. } = action else {
        panic!("{action:?}");
    };
    let ColumnType::Struct(fields) = &definition.columns[0].ty else {
        panic!("{definition:?}");
    };
    assert_eq!(fields[0].comment.as_deref(), Some("in"));
    assert!(!fields[0].nullable);
}

#[test]
fn the_statements_of_the_guides() {
    let table = "
CREATE TABLE main.default.air_quality (
    device_name STRING,
    temp INT,
    humidity BIGINT
)
USING DELTA;
";
    let columns = "(device_name STRING, temp INT, humidity BIGINT)";
    assert_eq!(parsed(table), format!("main.default.air_quality {columns}"));
    let station = "-- Create station_one table
CREATE TABLE YOUR_CATALOG.YOUR_SCHEMA.station_one (
  device_name STRING,
  temp INT,
  humidity BIGINT
)
TBLPROPERTIES (
    'delta.autoOptimize.optimizeWrite' = 'true',
    'delta.autoOptimize.autoCompact' = 'true',
    'delta.enableRowTracking' = 'false'
);";
    assert_eq!(
        parsed(station),
        format!(
            "YOUR_CATALOG.YOUR_SCHEMA.station_one {columns} \
             delta.autoOptimize.optimizeWrite=true delta.autoOptimize.autoCompact=true \
             delta.enableRowTracking=false"
        )
    );
    let grants = "
-- Grant catalog permission
GRANT USE CATALOG ON CATALOG main TO `11111111-2222-3333-4444-555555555555`;

-- Grant schema permission
GRANT USE SCHEMA ON SCHEMA main.default TO `11111111-2222-3333-4444-555555555555`;

-- Grant table permissions
GRANT SELECT, MODIFY ON TABLE main.default.air_quality TO `11111111-2222-3333-4444-555555555555`;
";
    let all: Vec<String> = statements(grants)
        .unwrap()
        .iter()
        .map(|statement| {
            told(&statement.action).replace("11111111-2222-3333-4444-555555555555", "id")
        })
        .collect();
    assert_eq!(
        all,
        [
            "grant USE CATALOG | CATALOG main | id",
            "grant USE SCHEMA | SCHEMA main.default | id",
            "grant SELECT, MODIFY | TABLE main.default.air_quality | id",
        ]
    );
}

#[test]
fn clauses_in_any_order_and_form() {
    for (given, expected) in [
        (
            "using delta comment 'all' tblproperties ('a'='b')",
            " -- all a=b",
        ),
        (
            "TBLPROPERTIES (a.b = 1, c 'd', 'e' = TRUE) COMMENT \"it\" USING DELTA",
            " -- it a.b=1 c=d e=true",
        ),
        ("COMMENT 'a' 'b\\'c\\n'", " -- ab'c\n"),
        (
            "TBLPROPERTIES ('delta.columnMapping.mode' = 'NONE', 'delta.minWriterVersion' = '2', delta.minReaderVersion = 1)",
            " delta.columnMapping.mode=NONE delta.minWriterVersion=2 delta.minReaderVersion=1",
        ),
        (
            "TBLPROPERTIES (delta.appendOnly = true, delta.enableChangeDataFeed = false)",
            " delta.appendOnly=true delta.enableChangeDataFeed=false",
        ),
        ("/* of /* both */ kinds */ -- and this\n", ""),
    ] {
        let text = format!("\u{feff}CREATE TABLE IF NOT EXISTS `a`.`b-1`.c(x INT){given};;");
        assert_eq!(
            parsed(&text),
            format!("a.b-1.c (x INT) unless it exists{expected}")
        );
    }
    // Names that are keywords elsewhere.
    assert_eq!(
        parsed("CREATE TABLE table.schema.comment (comment STRING, check INT, `not` INT, 2nd INT)"),
        "table.schema.comment (comment STRING, check INT, not INT, 2nd INT)"
    );
    for nothing in [
        "",
        " ; -- only this\n;",
        "/* */",
        "SET CATALOG c",
        "CREATE CATALOG c MANAGED LOCATION 's3://x' COMMENT 'y'",
        "CREATE SCHEMA c.s COMMENT 'y' WITH DBPROPERTIES (a = 'b') MANAGED LOCATION 'x'",
        "COMMENT ON COLUMN c.s.t.x IS 'y'; COMMENT ON TABLE c.s.t IS NULL",
    ] {
        assert!(statements(nothing).unwrap().is_empty());
    }
}

#[test]
fn grants_on_everything() {
    for (given, expected) in [
        (
            "grant use_catalog, use schema, all privileges on catalog c to `p q`",
            "grant USE CATALOG, USE SCHEMA, ALL PRIVILEGES | CATALOG c | p q",
        ),
        (
            "GRANT USE_SCHEMA ON DATABASE c.s TO me",
            "grant USE SCHEMA | SCHEMA c.s | me",
        ),
        (
            "GRANT MODIFY ON c.s.`t-1` TO `a``b`;",
            "grant MODIFY | TABLE c.s.`t-1` | a`b",
        ),
        (
            "REVOKE SELECT ON TABLE c.s.t FROM `p`",
            "revoke SELECT | TABLE c.s.t | p",
        ),
    ] {
        assert_eq!(parsed(given), expected);
    }
}

#[test]
fn what_use_says_completes_short_names() {
    let text = "CREATE CATALOG IF NOT EXISTS c; USE CATALOG c; CREATE SCHEMA s COMMENT 'x'; \
                CREATE TABLE t1 (x INT); USE SCHEMA s; CREATE TABLE t2 (x INT); \
                CREATE TABLE s2.t3 (x INT); USE d.e; GRANT USE SCHEMA ON SCHEMA f TO g; \
                CREATE TABLE t4 (x INT); USE DATABASE h; CREATE TABLE t5 (x INT)";
    let all: Vec<String> = statements(text)
        .unwrap()
        .iter()
        .map(|statement| told(&statement.action))
        .collect();
    assert_eq!(
        all,
        [
            "c.default.t1 (x INT)",
            "c.s.t2 (x INT)",
            "c.s2.t3 (x INT)",
            "grant USE SCHEMA | SCHEMA d.f | g",
            "d.e.t4 (x INT)",
            "d.h.t5 (x INT)",
        ]
    );
}
