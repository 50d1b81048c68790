//! What is refused, at which place and why.

use super::*;

/// What is wrong with a text, as `line:column: message (hint)`.
fn refused(text: &str) -> String {
    let problem = match statements(text) {
        Ok(all) => panic!("{text}\n{all:?}"),
        Err(problem) => problem,
    };
    let Place { line, column } = problem.place;
    let hint = problem.hint.map(|hint| format!(" ({hint})"));
    let hint = hint.unwrap_or_default();
    format!("{line}:{column}: {}{hint}", problem.message)
}

/// Cases of a table: a text of one or more lines, then a line `=> ` with what is expected.
fn cases(table: &str) -> Vec<(String, String)> {
    let mut cases = Vec::new();
    let mut text: Vec<&str> = Vec::new();
    for line in table.trim_matches('\n').split('\n') {
        match line.strip_prefix("=> ") {
            Some(expected) => {
                cases.push((text.join("\n"), expected.to_owned()));
                text.clear();
            }
            None => text.push(line),
        }
    }
    assert!(text.is_empty(), "{text:?}");
    cases
}

const NOT_UNDERSTOOD: &str = r#"
SELECT 1
=> 1:1: expected CREATE TABLE, CREATE CATALOG, CREATE SCHEMA, USE, GRANT or REVOKE, found "SELECT"
CREATE TABLE a.b.c (x INT) CREATE
=> 1:28: expected USING, COMMENT, TBLPROPERTIES or ";", each once, found "CREATE"
CREATE CATALOG c d
=> 1:18: expected ";" behind the statement, found "d"
CREATE FUNCTION f
=> 1:8: expected TABLE, CATALOG or SCHEMA, found "FUNCTION"
CREATE TABLE IF EXISTS
=> 1:14: expected IF NOT EXISTS, found "IF"
CREATE TABLE IF NOT x
=> 1:14: expected IF NOT EXISTS, found "IF"
CREATE TABLE
=> 1:13: expected the name of a table, found the end
CREATE TABLE 'a' (x INT)
=> 1:14: expected the name of a table, found "'a'"
CREATE TABLE c (x INT)
=> 1:14: "c" is no full name, expected catalog.schema.table
CREATE TABLE a.b.c.d (x INT)
=> 1:14: "a.b.c.d" is no full name, expected catalog.schema.table
CREATE TABLE a-b.c.d (x INT)
=> 1:15: expected the end of the name, found "-" (a part with other signs than letters, digits and _ stands in backticks)
CREATE TABLE `a.b`.c.d (x INT)
=> 1:14: the name "a.b" holds '.', which Unity Catalog does not allow
CREATE TABLE a.`../b`.d (x INT)
=> 1:14: the name "../b" holds '.', which Unity Catalog does not allow
CREATE TABLE a.``.d (x INT)
=> 1:14: the name "" has an empty part, expected catalog.schema.table
CREATE TABLE a.b.c
(x
  INT,)
=> 3:7: expected the name of a column, found ")"
CREATE TABLE a.b.c ()
=> 1:21: expected the name of a column, found ")"
CREATE TABLE a.b.c (x INT
=> 1:26: expected NOT NULL, COMMENT, "," or ")" behind a column, found the end
CREATE TABLE a.b.c (x INT NULL)
=> 1:27: expected NOT NULL, COMMENT, "," or ")" behind a column, found "NULL"
CREATE TABLE a.b.c (x INT NOT NULL NOT NULL)
=> 1:36: expected NOT NULL, COMMENT, "," or ")" behind a column, found "NOT"
CREATE TABLE a.b.c (x INT COMMENT y)
=> 1:35: expected a comment in quotes, found "y"
CREATE TABLE a.b.c (x INT, X BIGINT)
=> 1:28: column "X" is there already
CREATE TABLE a.b.c (`my col` INT)
=> 1:21: column "my col": the service takes names of ASCII letters, digits and _ only
CREATE TABLE a.b.c (größe INT)
=> 1:23: expected a type, found "ö"
CREATE TABLE a.b.c (x STRUCT<a INT, A: INT>)
=> 1:37: field "A" is there already
CREATE TABLE a.b.c (x INT) USING DELTA USING DELTA
=> 1:40: expected USING, COMMENT, TBLPROPERTIES or ";", each once, found "USING"
CREATE TABLE a.b.c (x INT) COMMENT 'never closed
=> 1:36: Unterminated string literal
CREATE TABLE a.b.`c (x INT)
=> 1:18: Expected close delimiter '`' before EOF.
/* never closed
=> 1:16: Unexpected EOF while in a multi-line comment
USE
=> 1:4: expected the name of a schema, found the end
USE s
=> 1:5: "s" is no full name, expected catalog.schema
USE CATALOG a.b
=> 1:13: "a.b" is no full name, expected catalog
GRANT EXECUTE ON c.s.t TO p
=> 1:7: expected a privilege of USE CATALOG, USE SCHEMA, SELECT, MODIFY, ALL PRIVILEGES, found "EXECUTE"
GRANT SELECT TO p
=> 1:14: expected "ON", found "TO"
GRANT SELECT ON c.s.t FROM p
=> 1:23: expected "TO", found "FROM"
GRANT SELECT ON c.s.t TO 'p'
=> 1:26: expected a principal, in backticks, found "'p'" (a principal other than letters, digits and _ stands in backticks)
GRANT SELECT ON c.s.t TO 1-2
=> 1:26: expected a principal, in backticks, found "1" (a principal other than letters, digits and _ stands in backticks)
GRANT SELECT ON c.s.t TO x-y
=> 1:27: expected the end of the principal, found "-" (a principal other than letters, digits and _ stands in backticks)
GRANT SELECT ON c.s.t TO ` `
=> 1:26: a principal without a name
COMMENT ON TABLE c.s.t
=> 1:23: expected "IS", found the end
DROP TABLE c.s.t
=> 1:1: DROP has no place here: tables and their columns stay as they are (delete the statement; a table is removed with its directory under --dir)
CREATE TABLE a.b.c (x INT) CLUSTER BY (x)
=> 1:28: CLUSTER BY has no place here: this server does not cluster; rows are the same without it (delete CLUSTER BY and what belongs to it)
GRANT SELECT ON SCHEMA s TO p
=> 1:24: "s" is no full name, expected catalog.schema
GRANT SELECT, USE CATALOG ON SCHEMA c.s TO p
=> 1:15: USE CATALOG cannot be granted on a SCHEMA (grant it ON CATALOG)
GRANT USE SCHEMA ON c.s.t TO p
=> 1:7: USE SCHEMA cannot be granted on a TABLE (grant it ON SCHEMA or ON CATALOG)
"#;

#[test]
fn what_is_not_understood_is_shown_at_its_place() {
    for (text, expected) in cases(NOT_UNDERSTOOD) {
        assert_eq!(refused(&text), expected, "{text}");
    }
    assert!(refused("\n  GRANT \u{7}").ends_with(r#"found "\u{7}""#));
    let long = format!("GRANT {} ON", "x".repeat(100));
    let shown = format!("found \"{}...\"", "x".repeat(40));
    assert!(refused(&long).ends_with(&shown));
}

/// Each with the beginning of what is said.
const NOT_DONE: &str = r#"
CREATE OR REPLACE TABLE a.b.c (x INT)
=> 1:8: OR REPLACE has no place here: rows would be lost
CREATE EXTERNAL TABLE a.b.c (x INT)
=> 1:8: EXTERNAL has no place here: tables are kept under
CREATE TEMPORARY TABLE a.b.c (x INT)
=> 1:8: TEMPORARY has no place here: 
CREATE VIEW a.b.c AS SELECT 1
=> 1:8: VIEW has no place here: 
CREATE TABLE a.b.c AS SELECT 1
=> 1:20: AS has no place here: this server runs no queries
CREATE TABLE a.b.c LIKE a.b.d
=> 1:20: LIKE has no place here: 
CREATE TABLE a.b.c SHALLOW CLONE d
=> 1:20: SHALLOW has no place here: 
CREATE TABLE a.b.c (x INT) PARTITIONED BY (x)
=> 1:28: PARTITIONED BY has no place here: this server writes unp
CREATE TABLE a.b.c (x INT) CLUSTER BY (x)
=> 1:28: CLUSTER BY has no place here: this server does not cl
CREATE TABLE a.b.c (x INT) LOCATION 's3://x'
=> 1:28: LOCATION has no place here: tables are kept under
CREATE TABLE a.b.c (x INT) OPTIONS (a 'b')
=> 1:28: OPTIONS has no place here: 
CREATE TABLE a.b.c (x INT) AS SELECT 1
=> 1:28: AS has no place here: 
CREATE TABLE a.b.c (x INT) WITH ROW FILTER f ON (x)
=> 1:28: WITH has no place here: 
CREATE TABLE a.b.c (x INT) USING PARQUET
=> 1:34: expected DELTA, the one format of this server, found "PARQUET"
CREATE TABLE a.b.c (x INT GENERATED ALWAYS AS IDENTITY)
=> 1:27: GENERATED has no place here: this server does not compute
CREATE TABLE a.b.c (x INT DEFAULT 1)
=> 1:27: DEFAULT has no place here: the service fills
CREATE TABLE a.b.c (x INT NOT NULL PRIMARY KEY)
=> 1:36: PRIMARY KEY has no place here: keys bind nobody
CREATE TABLE a.b.c (x INT REFERENCES d)
=> 1:27: REFERENCES has no place here: 
CREATE TABLE a.b.c (x INT CHECK (x > 1))
=> 1:27: CHECK has no place here: the service writes to no table
CREATE TABLE a.b.c (x STRING COLLATE UTF8_LCASE)
=> 1:30: COLLATE has no place here: 
CREATE TABLE a.b.c (x INT, CONSTRAINT k PRIMARY KEY (x))
=> 1:28: CONSTRAINT has no place here: 
CREATE TABLE a.b.c (x INT, PRIMARY KEY (x))
=> 1:28: PRIMARY KEY has no place here: 
CREATE TABLE a.b.c (x INT, CHECK (x > 1))
=> 1:28: CHECK has no place here: 
"#;

#[test]
fn what_cannot_be_done_is_refused_with_its_reason() {
    for (text, expected) in cases(NOT_DONE) {
        let told = refused(&text);
        assert!(told.starts_with(&expected), "{text}\n{told}");
    }
    let columns = |n: usize| {
        let columns: Vec<String> = (0..n).map(|i| format!("c{i} INT")).collect();
        format!("CREATE TABLE a.b.c ({})", columns.join(", "))
    };
    assert_eq!(statements(&columns(2_000)).unwrap().len(), 1);
    assert!(refused(&columns(2_001)).contains("more than 2000 columns"));
}

/// Types on the third of four lines.
const TYPES: &str = r#"
INTERVAL
=> 3:1: the type INTERVAL has no place here: a Delta table cannot hold it
interval day to second
=> 3:1: the type INTERVAL has no place here: a Delta table cannot hold it
VOID
=> 3:1: the type VOID has no place here: a column of it could hold NULL only
OBJECT
=> 3:1: the type OBJECT has no place here: a Delta table cannot hold it
GEOMETRY(4326)
=> 3:1: the type GEOMETRY has no place here: the service has no records for it
GEOGRAPHY(4326)
=> 3:1: the type GEOGRAPHY has no place here: the service has no records for it
CHAR(3)
=> 3:1: the type CHAR has no place here: Databricks pads it with blanks, which this server does not; use VARCHAR(n)
ARRAY<VOID>
=> 3:7: the type VOID has no place here: a column of it could hold NULL only
BIGNIT
=> 3:1: expected a type, found "BIGNIT" (did you mean BIGINT?)
INT(4)
=> 3:4: expected NOT NULL, COMMENT, "," or ")" behind a column, found "("
`INT`
=> 3:1: expected a type, found "`INT`"
VARCHAR
=> 4:1: expected "(", found ")"
VARCHAR(0)
=> 3:9: VARCHAR takes 1 to 65535 characters
VARCHAR(65536)
=> 3:9: VARCHAR takes 1 to 65535 characters
DECIMAL(39)
=> 3:8: DECIMAL takes 1 to 38 digits, of which no more are behind the point
DECIMAL(0)
=> 3:8: DECIMAL takes 1 to 38 digits, of which no more are behind the point
DECIMAL(5,6)
=> 3:8: DECIMAL takes 1 to 38 digits, of which no more are behind the point
DECIMAL(999999999999,0)
=> 3:8: DECIMAL takes 1 to 38 digits, of which no more are behind the point
DECIMAL(-1)
=> 3:9: expected a number of digits, found "-"
ARRAY
=> 4:1: expected "<", found ")"
ARRAY<INT
=> 4:1: expected ">", found ")"
ARRAY<INT>>
=> 3:10: expected NOT NULL, COMMENT, "," or ")" behind a column, found ">"
MAP<INT>
=> 3:8: expected ",", found ">"
MAP<MAP<INT,INT>,INT>
=> 3:5: the key of a MAP must be of a simple type
STRUCT<>
=> 3:7: expected the name of a field, found ">"
STRUCT<a: INT,>
=> 3:15: expected the name of a field, found ">"
"#;

#[test]
fn types_without_a_place_are_refused_by_name() {
    let refused = |ty: &str| refused(&format!("CREATE TABLE a.b.c (\nx\n{ty}\n)"));
    for (ty, expected) in cases(TYPES) {
        assert_eq!(refused(&ty), expected, "{ty}");
    }
    assert!(refused("TEXT").contains("expected a type, found \"TEXT\" (known: BOOLEAN"));
    let nested = |depth: usize| format!("{}INT{}", "ARRAY<".repeat(depth), ">".repeat(depth));
    let text = format!("CREATE TABLE a.b.c (x {})", nested(DEPTH_MAX));
    assert_eq!(statements(&text).unwrap().len(), 1);
    assert!(refused(&nested(DEPTH_MAX + 1)).contains("types nest deeper than"));
    assert!(refused(&"STRUCT<a:".repeat(100_000)).contains("types nest deeper than"));
}

/// Properties on the second line.
const PROPERTIES: &str = r#"
'delta.columnMapping.mode' = 'name'
=> 2:2: 'delta.columnMapping.mode' = 'name': this server's tables have 'none'
'delta.minWriterVersion' = '3'
=> 2:2: 'delta.minWriterVersion' = '3': this server's tables have version 2
'delta.minReaderVersion' = '2'
=> 2:2: 'delta.minReaderVersion' = '2': this server's tables have version 1
'delta.checkpointPolicy' = 'v2'
=> 2:2: 'delta.checkpointPolicy' = 'v2': this server's tables have 'classic'
'delta.constraints.c' = 'x > 1'
=> 2:2: 'delta.constraints.c' = 'x > 1': this server cannot write to a table with this feature of Delta
'a' = 'b', 'delta.appendOnly' = 'yes'
=> 2:13: 'delta.appendOnly' = 'yes': expected true or false
'delta.checkpointInterval' = '-1'
=> 2:2: 'delta.checkpointInterval' = '-1': expected a whole number
'delta.enableRowTraking' = 'false'
=> 2:2: 'delta.enableRowTraking' is no property of Delta (did you mean 'delta.enableRowTracking'?)
'a' = 'b', a = 'c'
=> 2:13: the property "a" is there already
'a' = b
=> 2:8: expected the value of a property, found "b"
'a' = 'b',
=> 2:12: expected the name of a property, found ")"

=> 2:2: expected the name of a property, found ")"
"#;

#[test]
fn properties_that_need_another_writer_are_refused() {
    let refused = |properties: &str| {
        let create = "CREATE TABLE a.b.c (x INT) TBLPROPERTIES";
        refused(&format!("{create}\n({properties})"))
    };
    for (properties, expected) in cases(PROPERTIES) {
        assert_eq!(refused(&properties), expected, "{properties}");
    }
    for key in [
        "delta.enableRowTracking",
        "delta.enableChangeDataFeed",
        "delta.enableDeletionVectors",
        "delta.enableInCommitTimestamps",
        "delta.enableIcebergCompatV2",
        "delta.feature.allowColumnDefaults",
    ] {
        let expected = format!(
            "2:2: '{key}' = 'TRUE': this server cannot write to a table with this feature of Delta"
        );
        assert_eq!(refused(&format!("'{key}' = 'TRUE'")), expected);
    }
    let many: Vec<String> = (0..=1_000).map(|i| format!("k{i} = 1")).collect();
    assert!(refused(&many.join(",")).contains("more than 1000 properties"));
}

#[test]
fn a_placeholder_of_a_guide_is_to_be_replaced() {
    for (text, place, placeholder) in [
        (
            "CREATE TABLE <catalog_name>.default.t (x INT)",
            "1:14",
            "<catalog_name>",
        ),
        (
            "CREATE TABLE a.<your-schema>.t (x INT)",
            "1:16",
            "<your-schema>",
        ),
        ("CREATE TABLE a.b.c (<column> INT)", "1:21", "<column>"),
        (
            "GRANT USE CATALOG ON CATALOG <catalog_name> TO `x`",
            "1:30",
            "<catalog_name>",
        ),
        (
            "GRANT USE CATALOG ON CATALOG a TO `<service-principal-id>`",
            "1:35",
            "<service-principal-id>",
        ),
    ] {
        let told = refused(text);
        let expected = format!(
            "found the placeholder {placeholder} (put your own name in place of {placeholder})"
        );
        assert!(
            told.starts_with(place) && told.ends_with(&expected),
            "{told}"
        );
    }
    let told = refused("CREATE TABLE < (x INT)");
    assert_eq!(told, "1:14: expected the name of a table, found \"<\"");
}
