//! `zerobus peek`: what it shows of a table is what is in it.

use serde_json::{Value, json};

use crate::rig::{Rig, air_row};

const ALL: &str = r#"syntax = "proto2";
message Row {
  required int64 id = 1;
  optional bool flag = 2;
  optional double ratio = 3;
  optional string name = 4;
  optional bytes data = 5;
  optional int64 at = 6; // @delta TIMESTAMP
  optional int64 wall = 7; // @delta TIMESTAMP_NTZ
  optional int32 day = 8; // @delta DATE
  optional string price = 9; // @delta DECIMAL(38,10)
  optional string any = 10; // @delta VARIANT
  optional int32 tiny = 11; // @delta TINYINT
  repeated int32 list = 12;
  map<string, int64> counts = 13;
  optional Site site = 14;
  message Site { optional string city = 1; optional float height = 2; }
}"#;

const FULL: &str = r#"{"id": 9223372036854775807, "flag": true, "ratio": 1.5, "name": "a\u001b[2J\nb",
 "data": "AP8=", "at": "2026-01-31T12:00:00.25Z", "wall": "2026-01-31 12:00:00", "day": "2026-01-31",
 "price": "1234567890123456789012345678.0123456789", "any": {"n": 12345678901234567890123, "t": [1]},
 "tiny": -7, "list": [1, 2], "counts": {"k": 5}, "site": {"city": "Ulm", "height": 0.5}}"#;

fn loaded() -> Rig {
    let rig = Rig::new();
    rig.file("all.proto", ALL);
    rig.file("all.ndjson", FULL.replace('\n', "") + "\n{\"id\": 2}\n");
    let args = "ingest --local wh --table main.default.all --proto all.proto all.ndjson";
    rig.run(&args.split(' ').collect::<Vec<_>>()).exits(0);
    rig
}

#[test]
fn every_type_is_shown_with_every_digit() {
    let rig = loaded();
    let args = [
        "peek",
        "--local",
        "wh",
        "--table",
        "main.default.all",
        "-o",
        "json",
    ];
    let ran = rig.run(&args).exits(0);
    assert_eq!(ran.stdout.lines().count(), 1);
    let shown = ran.summary();
    assert_eq!(shown["table"], "main.default.all");
    assert_eq!(shown["path"], "wh/main/default/all");
    assert_eq!((&shown["rows"], &shown["files"]), (&json!(2), &json!(1)));
    let id = json!({"name": "id", "type": "BIGINT", "nullable": false, "comment": null});
    assert_eq!(shown["columns"][0], id);
    assert_eq!(shown["columns"][8]["type"], "DECIMAL(38,10)");
    assert_eq!(shown["columns"][9]["type"], "VARIANT");
    let row = json!({
        "id": i64::MAX, "flag": true, "ratio": 1.5, "name": "a\u{1b}[2J\nb", "data": "AP8=",
        "at": "2026-01-31T12:00:00.250Z", "wall": "2026-01-31T12:00:00", "day": "2026-01-31",
        "price": "1234567890123456789012345678.0123456789",
        "any": shown["sample"][0]["any"], "tiny": -7, "list": [1, 2], "counts": {"k": 5},
        "site": {"city": "Ulm", "height": 0.5},
    });
    assert_eq!(shown["sample"][0], row);
    assert!(
        ran.stdout.contains("12345678901234567890123"),
        "{}",
        ran.stdout
    );
    assert_eq!(shown["sample"][1]["id"], 2);
    assert_eq!(shown["sample"][1]["site"], Value::Null);
}

#[test]
fn the_text_fits_80_columns_and_moves_no_cursor() {
    let rig = loaded();
    let by_name = [
        "peek",
        "--local",
        "wh",
        "--table",
        "main.default.all",
        "-n",
        "1",
    ];
    let ran = rig.run(&by_name).exits(0);
    assert!(!ran.stdout.contains('\u{1b}'));
    let sample = ran.stdout.split("\n\n").nth(2).unwrap();
    assert_eq!(sample.lines().count(), 4, "{sample}");
    for line in sample.lines().take(3) {
        assert!(line.chars().count() <= 80, "{line}");
    }
    assert!(sample.contains("more columns: "), "{sample}");
    assert!(ran.stdout.contains("rows     2\n"), "{}", ran.stdout);
    assert!(ran.stdout.contains("id      BIGINT"), "{}", ran.stdout);
    // The same by its directory.
    let by_path = rig
        .run(&["peek", "wh/main/default/all", "-n", "1"])
        .exits(0);
    assert_eq!(by_path.stdout, ran.stdout);
    let none = rig
        .run(&["peek", "wh/main/default/all", "-n", "0"])
        .exits(0);
    assert_eq!(none.stdout.split("\n\n").count(), 2);
}

#[test]
fn tables_are_listed_and_a_missing_one_is_named() {
    let rig = loaded();
    rig.file("air.ndjson", (0..5).map(air_row).collect::<String>());
    rig.ingest(&["air.ndjson"]).exits(0);
    let list = rig
        .run(&["peek", "--local", "wh", "-o", "json"])
        .exits(0)
        .summary();
    let names = |key: &str| [&list["tables"][0][key], &list["tables"][1][key]].map(Value::clone);
    assert_eq!(
        names("table"),
        ["main.default.air_quality", "main.default.all"]
    );
    assert_eq!(names("rows"), [5, 2]);
    let text = rig.run(&["peek", "wh"]).exits(0).stdout;
    assert!(text.contains("\nmain.default.air_quality  "), "{text}");
    let slip = rig
        .run(&[
            "peek",
            "--local",
            "wh",
            "--table",
            "main.default.air_qualty",
        ])
        .exits(1);
    assert!(
        slip.stderr
            .contains("did you mean main.default.air_quality?"),
        "{slip:?}"
    );
    let gone = rig
        .run(&["peek", "--local", "wh", "--table", "main.default.other"])
        .exits(1);
    assert!(
        gone.stderr.contains("zerobus peek --local wh lists"),
        "{gone:?}"
    );
    rig.run(&["peek", "nowhere"]).exits(1);
    rig.run(&["peek"]).exits(2);
}

#[test]
fn an_empty_table_and_one_that_is_being_written_are_shown() {
    let rig = Rig::new();
    rig.file("none.ndjson", "");
    rig.ingest(&["none.ndjson"]).exits(0);
    let args = ["peek", "wh/main/default/air_quality", "-o", "json"];
    let empty = rig.run(&args).exits(0).summary();
    assert_eq!((&empty["rows"], &empty["sample"]), (&json!(0), &json!([])));
    assert!(!empty["columns"].as_array().unwrap().is_empty());
    // The lock is the server's; peek needs none.
    let server = rig.emulator(&[]);
    rig.file("air.ndjson", air_row(7));
    let load = rig.remote(&server, &["air.ndjson"]).output().unwrap();
    assert!(load.status.success());
    let shown = rig.run(&args).exits(0).summary();
    assert_eq!(
        (&shown["rows"], &shown["sample"][0]["humidity"]),
        (&json!(1), &json!(7))
    );
}

#[test]
fn rows_are_counted_without_statistics_too() {
    let rig = Rig::new();
    rig.file("air.ndjson", (0..5).map(air_row).collect::<String>());
    rig.ingest(&["air.ndjson"]).exits(0);
    let log = rig
        .path()
        .join("wh/main/default/air_quality/_delta_log/00000000000000000001.json");
    let text = std::fs::read_to_string(&log).unwrap();
    let lines = text.lines().map(|line| {
        let mut action: Value = serde_json::from_str(line).unwrap();
        if let Some(add) = action.get_mut("add") {
            add.as_object_mut().unwrap().remove("stats").unwrap();
        }
        action.to_string() + "\n"
    });
    std::fs::write(&log, lines.collect::<String>()).unwrap();
    let args = ["peek", "wh/main/default/air_quality", "-o", "json"];
    assert_eq!(rig.run(&args).exits(0).summary()["rows"], 5);
}

/// Writes the first entry of a table's log, changed from that of the table of samples.
fn changed(rig: &Rig, name: &str, add: Option<&str>, change: impl Fn(&mut Value)) {
    let log = rig.path().join("wh/main/default/air_quality/_delta_log");
    let text = std::fs::read_to_string(log.join("00000000000000000000.json")).unwrap();
    let mut entry = String::new();
    for line in text.lines() {
        let mut action: Value = serde_json::from_str(line).unwrap();
        change(&mut action);
        entry += &format!("{action}\n");
    }
    entry += add.unwrap_or_default();
    let log = rig
        .path()
        .join(format!("wh/main/default/{name}/_delta_log"));
    std::fs::create_dir_all(&log).unwrap();
    std::fs::write(log.join("00000000000000000000.json"), entry).unwrap();
}

#[test]
fn a_table_that_cannot_be_read_is_listed_with_its_problem() {
    let rig = Rig::new();
    rig.file("air.ndjson", air_row(7));
    rig.ingest(&["air.ndjson"]).exits(0);
    changed(&rig, "mapped", None, |action| {
        if let Some(metadata) = action.get_mut("metaData") {
            metadata["configuration"]["delta.columnMapping.mode"] = "name".into();
        }
    });
    let ran = rig.run(&["peek", "--local", "wh", "-o", "json"]).exits(1);
    let shown: Value = serde_json::from_str(ran.stdout.lines().next().unwrap()).unwrap();
    assert_eq!(shown["tables"][0]["rows"], 1);
    assert_eq!(shown["tables"][1]["table"], "main.default.mapped");
    let problem = shown["tables"][1]["error"].as_str().unwrap();
    assert!(problem.contains("columns are mapped by name"), "{problem}");
    assert!(ran.stderr.contains("1 of 2 tables"), "{}", ran.stderr);
    let text = rig.run(&["peek", "--local", "wh"]).exits(1).stdout;
    assert!(text.contains("main.default.air_quality  "), "{text}");
    assert!(text.contains("\nmain.default.mapped: "), "{text}");
    // By itself it is refused, too: its values would all be NULL.
    rig.run(&["peek", "wh/main/default/mapped"]).exits(1);
}

#[test]
fn partition_values_have_their_types() {
    let rig = Rig::new();
    rig.file("air.ndjson", air_row(7));
    rig.ingest(&["air.ndjson"]).exits(0);
    let files = crate::table::files(&rig.path().join("wh/main/default/air_quality"));
    let add = json!({"add": {"path": "a.parquet", "partitionValues": {"day": "5", "wet": "true",
        "note": "5"}, "size": 1, "modificationTime": 1, "dataChange": true}});
    changed(&rig, "parted", Some(&add.to_string()), |action| {
        if let Some(metadata) = action.get_mut("metaData") {
            let schema = metadata["schemaString"].as_str().unwrap();
            let mut schema: Value = serde_json::from_str(schema).unwrap();
            for (name, ty) in [("day", "integer"), ("wet", "boolean"), ("note", "string")] {
                let field = json!({"name": name, "type": ty, "nullable": true, "metadata": {}});
                schema["fields"].as_array_mut().unwrap().push(field);
            }
            metadata["schemaString"] = schema.to_string().into();
            metadata["partitionColumns"] = json!(["day", "wet", "note"]);
        }
    });
    let from = rig
        .path()
        .join("wh/main/default/air_quality")
        .join(&files[0]);
    std::fs::copy(from, rig.path().join("wh/main/default/parted/a.parquet")).unwrap();
    let args = ["peek", "wh/main/default/parted", "-o", "json"];
    let row = rig.run(&args).exits(0).summary()["sample"][0].clone();
    assert_eq!((&row["day"], &row["wet"]), (&json!(5), &json!(true)));
    assert_eq!((&row["note"], &row["humidity"]), (&json!("5"), &json!(7)));
}
