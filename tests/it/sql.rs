//! Tables and grants from Databricks SQL, through the binary.

use std::io::Read as _;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::rig::{AIR, Ran, Rig, Server, air_row, sample};

/// Word for word from the guide of the Python SDK, its placeholder replaced.
const AIR_QUALITY: &str = "\
CREATE TABLE main.default.air_quality (
    device_name STRING,
    temp INT,
    humidity BIGINT
)
USING DELTA;
";

/// And from the station's.
const STATION: &str = "\
-- Create station_one table
CREATE TABLE YOUR_CATALOG.YOUR_SCHEMA.station_one (
  device_name STRING,
  temp INT,
  humidity BIGINT
)
TBLPROPERTIES (
    'delta.autoOptimize.optimizeWrite' = 'true',
    'delta.autoOptimize.autoCompact' = 'true',
    'delta.enableRowTracking' = 'false'
);

-- Create station_two table
CREATE TABLE YOUR_CATALOG.YOUR_SCHEMA.station_two (
  device_name STRING,
  temp INT,
  humidity BIGINT,
  description STRING
)
TBLPROPERTIES (
    'delta.autoOptimize.optimizeWrite' = 'true',
    'delta.autoOptimize.autoCompact' = 'true',
    'delta.enableRowTracking' = 'false'
);
";

/// The default client of a server.
const GRANTS: [&str; 3] = [
    "GRANT USE CATALOG ON CATALOG main TO `emulator`;",
    "GRANT USE SCHEMA ON SCHEMA main.default TO `emulator`;",
    "GRANT SELECT, MODIFY ON TABLE main.default.air_quality TO `emulator`;",
];

/// A load of ten rows into a table of a server.
fn load(rig: &Rig, server: &Server, table: &str) -> Ran {
    rig.file("rows.ndjson", (0..10).map(air_row).collect::<String>());
    let proto = sample("air_quality.proto");
    let args = ["ingest", "--table", table, "--proto", &proto, "rows.ndjson"];
    let mut command = rig.command(args);
    Ran::of(&command.envs(server.env.clone()).output().unwrap())
}

/// A server that does not start: what it says.
fn fails(rig: &Rig, args: &[&str]) -> String {
    let mut all = vec!["emulator", "--dir", "wh", "--listen", "127.0.0.1:0"];
    all.extend(args);
    let mut command = rig.command(&all);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // One that started all the same says so, and would not end.
    let mut first = [0];
    if child.stdout.as_mut().unwrap().read(&mut first).unwrap() > 0 {
        child.kill().unwrap();
    }
    Ran::of(&child.wait_with_output().unwrap()).exits(1).stderr
}

/// The first entry of this kind in a table's log.
fn logged(rig: &Rig, table: &str, kind: &str) -> Value {
    let log = format!("wh/{table}/_delta_log/00000000000000000000.json");
    let text = std::fs::read_to_string(rig.path().join(log)).unwrap();
    let mut lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
    lines
        .find_map(|entry: Value| entry.get(kind).cloned())
        .unwrap()
}

fn rows(rig: &Rig, table: &str) -> Vec<Value> {
    crate::table::rows(&rig.path().join("wh").join(table))
}

#[test]
fn the_tables_of_the_guides_take_rows_and_the_same_command_starts_again() {
    let rig = Rig::new();
    rig.file("air.sql", AIR_QUALITY);
    let grants = GRANTS.join("\n");
    let args = ["--sql", "air.sql", "--create", &grants, "--create", STATION];
    for runs in 1..=2 {
        let server = rig.emulator(&args);
        load(&rig, &server, AIR).exits(0);
        load(&rig, &server, "YOUR_CATALOG.YOUR_SCHEMA.station_one").exits(0);
        load(&rig, &server, "YOUR_CATALOG.YOUR_SCHEMA.station_two").exits(0);
        assert_eq!(server.terminate(), 0);
        assert_eq!(rig.air_rows().len(), 10 * runs);
        assert_eq!(
            rows(&rig, "YOUR_CATALOG/YOUR_SCHEMA/station_two").len(),
            10 * runs
        );
    }
    let station = "YOUR_CATALOG/YOUR_SCHEMA/station_one";
    // Readable and writable by everybody: no feature of Delta is asked for.
    let protocol = json!({"minReaderVersion": 1, "minWriterVersion": 2});
    assert_eq!(logged(&rig, station, "protocol"), protocol);
    assert_eq!(
        logged(&rig, station, "metaData")["configuration"],
        json!({
            "delta.autoOptimize.optimizeWrite": "true",
            "delta.autoOptimize.autoCompact": "true",
            "delta.enableRowTracking": "false",
            "delta.deletedFileRetentionDuration": "interval 1 days",
        })
    );
}

#[test]
fn a_table_of_every_type_takes_rows() {
    let rig = Rig::new();
    // As deep as Delta's log takes it.
    let deep = format!("{}INT{}", "STRUCT<d: ".repeat(41), ">".repeat(41));
    let sql = format!(
        "CREATE TABLE main.default.every (
            id BIGINT NOT NULL COMMENT 'the key', b BOOLEAN, i8 BYTE, i16 SHORT, i32 INTEGER,
            f REAL, d DOUBLE, dec DECIMAL, price DECIMAL(38,10), s STRING, v VARCHAR(3),
            bin BINARY, day DATE, at TIMESTAMP, ltz TIMESTAMP_LTZ, wall TIMESTAMP_NTZ, doc VARIANT,
            a ARRAY<ARRAY<DATE>>, m MAP<DATE, MAP<STRING, INT>>, mf MAP<DOUBLE, STRING>,
            mb MAP<BINARY, BOOLEAN>, st STRUCT<x: INT NOT NULL COMMENT 'in', y ARRAY<STRING>>,
            deep {deep})
        COMMENT 'all of them' TBLPROPERTIES (owner_team = 'air', 'delta.appendOnly' = 'true')"
    );
    let server = rig.emulator(&["--create", &sql]);
    let full = r#"{"id":1,"b":true,"i8":-128,"i16":1,"i32":2,"f":0.5,"d":0.25,"dec":"1234567890",
        "price":"1.5","s":"x","v":"abc","bin":"AP8=","day":"2024-02-29","at":"2024-02-29T00:00:00Z",
        "ltz":"2024-02-29T00:00:00Z","wall":"2024-02-29T00:00:00","doc":{"a":1},
        "a":[["2024-02-29"]],"m":{"2024-02-29":{"k":1}},"mf":{"0.5":"h"},"mb":{"AP8=":true},
        "st":{"x":1,"y":["z"]}}"#;
    rig.file("rows.ndjson", full.replace('\n', " ") + "\n{\"id\":2}\n");
    let mut command = rig.command([
        "ingest",
        "--table",
        "main.default.every",
        "--json",
        "rows.ndjson",
    ]);
    Ran::of(&command.envs(server.env.clone()).output().unwrap()).exits(0);
    assert_eq!(server.terminate(), 0);

    let metadata = logged(&rig, "main/default/every", "metaData");
    assert_eq!(metadata["description"], "all of them");
    assert_eq!(metadata["configuration"]["owner_team"], "air");
    let schema: Value = serde_json::from_str(metadata["schemaString"].as_str().unwrap()).unwrap();
    let fields = schema["fields"].as_array().unwrap();
    let field = |name: &str| fields.iter().find(|f| f["name"] == name).unwrap();
    assert_eq!(field("id")["metadata"]["comment"], "the key");
    assert_eq!(field("id")["nullable"], false);
    assert_eq!(field("dec")["type"], "decimal(10,0)");
    assert_eq!(field("wall")["type"], "timestamp_ntz");
    let inner = &field("st")["type"]["fields"][0];
    assert_eq!(inner["nullable"], false);
    assert_eq!(inner["metadata"]["comment"], "in");
    // A type that the log could not be read with again: no table, and no end by accident.
    let deep = format!("{}INT{}", "STRUCT<d: ".repeat(42), ">".repeat(42));
    let said = fails(
        &rig,
        &["--create", &format!("CREATE TABLE a.b.c (x {deep})")],
    );
    assert!(
        said.starts_with(
            "error: --create:1:1: table a.b.c cannot be made: its types nest too deep"
        ),
        "{said}"
    );
    // The same statement again, against what was read back from the log.
    let server = rig.emulator(&["--create", &sql]);
    assert_eq!(server.terminate(), 0);
}

#[test]
fn a_table_with_other_columns_is_an_error_and_stays_as_it_is() {
    let rig = Rig::new();
    let server = rig.emulator(&["--create", AIR_QUALITY]);
    load(&rig, &server, AIR).exits(0);
    assert_eq!(server.terminate(), 0);
    let other = AIR_QUALITY.replace("temp INT", "temp BIGINT");
    rig.file("other.sql", format!("-- changed\n{other}"));
    assert_eq!(
        fails(&rig, &["--sql", "other.sql"]),
        "error: other.sql:2:1: table main.default.air_quality exists with other columns: \
         column 2 is \"temp INT\", here it is \"temp BIGINT\"\n"
    );
    assert_eq!(rig.air_rows().len(), 10);
    let other = other.replace("TABLE", "TABLE IF NOT EXISTS");
    let server = rig.emulator(&["--create", &other]);
    load(&rig, &server, AIR).exits(0);
    assert_eq!(server.terminate(), 0);
}

#[test]
fn nothing_is_done_unless_every_statement_is_understood() {
    let rig = Rig::new();
    rig.file("air.sql", AIR_QUALITY);
    rig.file("guide.sql", AIR_QUALITY.replace("main", "<catalog_name>"));
    let said = fails(&rig, &["--sql", "air.sql", "--sql", "guide.sql"]);
    assert_eq!(
        said,
        "error: guide.sql:1:14: expected the name of a table, found the placeholder <catalog_name>\n  \
         hint: put your own name in place of <catalog_name>\n"
    );
    assert!(!rig.path().join("wh").exists());
    let said = fails(&rig, &["--sql", "air.sql", "--create", "DROP TABLE x"]);
    assert!(
        said.starts_with("error: --create:1:1: expected CREATE TABLE, "),
        "{said}"
    );
    assert!(!rig.path().join("wh").exists());

    let said = fails(&rig, &["--sql", "missing.sql"]);
    assert!(said.contains("cannot read --sql missing.sql"), "{said}");
    rig.file("latin.sql", b"-- gr\xfc\xdfe");
    assert!(fails(&rig, &["--sql", "latin.sql"]).contains("no UTF-8 in --sql latin.sql"));
    rig.file("large.sql", " ".repeat((1 << 20) + 1));
    assert!(fails(&rig, &["--sql", "large.sql"]).contains("more than 1048576 bytes"));
}

#[test]
fn nothing_is_done_where_a_table_or_another_server_is_in_the_way() {
    let rig = Rig::new();
    let server = rig.emulator(&["--create", AIR_QUALITY]);
    let address = server.address();
    let others = AIR_QUALITY.replace("air_quality", "other");
    let taken = ["emulator", "--dir", "new", "--listen", &address];
    let ran = rig.run(&[&taken[..], &["--create", &others]].concat());
    assert!(ran.exits(1).stderr.contains("cannot listen on"));
    assert!(!rig.path().join("new/main").exists());
    assert_eq!(server.terminate(), 0);

    let changed = AIR_QUALITY.replace("temp INT", "temp BIGINT");
    let said = fails(&rig, &["--create", &others, "--create", &changed]);
    assert!(said.contains("exists with other columns"), "{said}");
    assert!(!rig.path().join("wh/main/default/other").exists());
}

#[test]
fn what_was_done_before_a_statement_fails_stays() {
    let rig = Rig::new();
    let other = AIR_QUALITY.replace("temp INT", "temp BIGINT");
    let grants = GRANTS.join("\n");
    let all = format!("{AIR_QUALITY}{grants}{other}");
    let said = fails(&rig, &["--create", &all]);
    assert!(said.contains("exists with other columns"), "{said}");
    let server = rig.emulator(&["--enforce-grants"]);
    load(&rig, &server, AIR).exits(0);
    assert_eq!(server.terminate(), 0);
}

#[test]
fn flags_count_in_their_order() {
    let rig = Rig::new();
    rig.file(
        "revoke.sql",
        "REVOKE USE CATALOG ON CATALOG main FROM `emulator`",
    );
    let grants = GRANTS.join("\n");
    let table = ["--enforce-grants", "--create", AIR_QUALITY];
    for (order, code) in [
        (["--create", &grants, "--sql", "revoke.sql"], 1),
        (["--sql", "revoke.sql", "--create", &grants], 0),
    ] {
        let server = rig.emulator(&[&table[..], &order].concat());
        load(&rig, &server, AIR).exits(code);
        assert_eq!(server.terminate(), 0);
    }
}

#[test]
fn enforced_grants_are_needed_one_and_all_and_are_kept() {
    let rig = Rig::new();
    for (index, grant) in GRANTS.iter().enumerate() {
        let others: String = GRANTS
            .iter()
            .filter(|other| *other != grant)
            .copied()
            .collect();
        let dir = format!("wh{index}");
        let args = ["--dir", &dir, "--create", AIR_QUALITY, "--create", &others];
        // Not asked for, they are kept and count for nothing.
        let server = rig.emulator(&args);
        load(&rig, &server, AIR).exits(0);
        assert_eq!(server.terminate(), 0);

        let strict = ["--dir", &dir, "--enforce-grants"];
        let server = rig.emulator(&strict);
        let said = load(&rig, &server, AIR).exits(1).stderr;
        assert_eq!(server.terminate(), 0);
        assert!(said.contains("PermissionDenied"), "{said}");
        assert!(said.contains("Error Code: 4024"), "{said}");
        assert!(
            said.contains(&format!("To grant them: {grant}\n")),
            "{said}"
        );

        // What it says is ready to be pasted.
        let server = rig.emulator(&[&strict[..], &["--create", grant]].concat());
        load(&rig, &server, AIR).exits(0);
        assert_eq!(server.terminate(), 0);
        let server = rig.emulator(&strict);
        load(&rig, &server, AIR).exits(0);
        assert_eq!(server.terminate(), 0);
    }
}
