//! Local tables that are empty or missing, and what a dry run makes of them.

use serde_json::json;

use crate::rig::{AIR, Ran, Rig, air_row, sample};

/// A load of `row.ndjson` by `a.proto` into a local table.
fn load(rig: &Rig, proto: &str, row: &str, more: &[&str]) -> Ran {
    rig.file("a.proto", proto);
    rig.file("row.ndjson", row);
    let base = [
        "ingest", "--local", "wh", "--table", AIR, "--proto", "a.proto",
    ];
    let base = [&base[..], &["-o", "json", "row.ndjson"]].concat();
    rig.run(&[&base[..], more].concat())
}

const NUMBER: &str = "syntax = \"proto3\"; message A { int32 temp = 1; }";
const TEXT: &str = "syntax = \"proto3\"; message A { string temp = 1; }";

#[test]
fn an_empty_table_of_a_record_that_was_corrected_is_named_as_such() {
    let rig = Rig::new();
    let row = "{\"temp\":\"warm\"}\n";
    let ran = load(&rig, NUMBER, row, &[]).exits(4);
    assert!(!ran.stderr.contains("go on with"), "{ran:#?}");
    let ran = load(&rig, TEXT, row, &[]).exits(1);
    let hint = "hint: the table is empty: remove wh/main/default/air_quality to have it made anew";
    assert!(ran.stderr.contains(hint), "{ran:#?}");
    std::fs::remove_dir_all(rig.path().join("wh/main/default/air_quality")).unwrap();
    load(&rig, TEXT, row, &[]).exits(0);
    // One that has rows is not to be removed.
    let ran = load(&rig, NUMBER, "{\"temp\":1}\n", &[]).exits(1);
    assert!(ran.stderr.contains("hint: nothing was sent"), "{ran:#?}");
}

#[test]
fn a_command_that_must_fail_again_is_not_printed() {
    let rig = Rig::new();
    for more in [&[][..], &["--checkpoint", "cp", "--resume"]] {
        rig.file("a.ndjson", ["x\n", &air_row(1)].concat());
        let ran = rig.ingest(&[more, &["a.ndjson"]].concat()).exits(4);
        assert!(!ran.stderr.contains("go on with"), "{ran:#?}");
        rig.file("a.ndjson", [&air_row(1), "x\n"].concat());
        let ran = rig.ingest(&[more, &["a.ndjson"]].concat()).exits(4);
        assert!(ran.stderr.contains("go on with"), "{ran:#?}");
    }
}

#[test]
fn a_dry_run_takes_the_types_of_a_local_table_or_says_that_it_has_none() {
    let rig = Rig::new();
    let table = "syntax = \"proto3\"; message A { int64 at = 1; // @delta TIMESTAMP\n }";
    let bare = "syntax = \"proto3\"; message A { int64 at = 1; }";
    let row = "{\"at\":\"2026-01-31T12:00:00Z\"}\n";
    // What the record would make of a table is all there is to know.
    let ran = load(&rig, table, row, &["--dry-run"]).exits(0);
    assert_eq!(ran.stderr, "");
    assert!(!rig.path().join("wh").exists());
    load(&rig, table, row, &[]).exits(0);
    let ran = load(&rig, bare, row, &["--dry-run"]).exits(0);
    assert_eq!(ran.stderr, "");
    let ran = load(&rig, TEXT, "{\"temp\":\"x\"}\n", &["--dry-run"]).exits(1);
    assert!(
        ran.stderr.contains("has no column in the table"),
        "{ran:#?}"
    );
    rig.file("a.proto", bare);
    rig.file("row.ndjson", row);
    let remote = [
        "ingest",
        "--table",
        AIR,
        "--proto",
        "a.proto",
        "row.ndjson",
        "--dry-run",
    ];
    let run = |more: &[&str]| rig.run(&[&remote[..], more].concat());
    let note = "note: a dry run does not know the table's column types";
    let ran = run(&[]).exits(4);
    assert!(ran.stderr.starts_with(note), "{ran:#?}");
    let ran = run(&["--table-check", "off"]).exits(4);
    assert!(!ran.stderr.contains("note: "), "{ran:#?}");
    let ran = run(&["-q"]).exits(4);
    assert!(!ran.stderr.contains("note: "), "{ran:#?}");
    let ran = run(&["--table-check", "require"]).exits(2);
    assert!(
        ran.stderr.contains("--dry-run connects nowhere"),
        "{ran:#?}"
    );
}

#[test]
fn a_load_does_not_go_on_into_a_table_that_is_gone() {
    for check in ["auto", "off"] {
        let rig = Rig::new();
        rig.file("a.ndjson", [&air_row(1), "x\n"].concat());
        let resume = [
            "--checkpoint",
            "cp",
            "--resume",
            "--table-check",
            check,
            "a.ndjson",
        ];
        rig.ingest(&resume).exits(4);
        let checkpoint = std::fs::read(rig.path().join("cp")).unwrap();
        let checkpoint: serde_json::Value = serde_json::from_slice(&checkpoint).unwrap();
        assert!(
            checkpoint["identity"]["table_id"].is_string(),
            "{checkpoint}"
        );
        std::fs::remove_dir_all(rig.path().join("wh/main")).unwrap();
        let ran = rig
            .ingest(&[&resume[..], &["--max-errors", "1"]].concat())
            .exits(1);
        assert!(
            ran.stderr.starts_with(
                "error: cp: is the checkpoint of another load: the table is not there any more"
            ),
            "{ran:#?}"
        );
        assert!(!rig.path().join("wh/main").exists());
    }
}

#[test]
fn json_records_take_no_flags_for_fields_and_only_columns_of_the_table() {
    let rig = Rig::new();
    rig.ingest(&[&sample("air_quality.ndjson")]).exits(0);
    rig.file("rows.csv", "device_name,humidty\na,1\nb,2\n");
    let json = [
        "ingest", "--local", "wh", "--table", AIR, "--json", "-o", "json", "rows.csv",
    ];
    let run = |more: &[&str]| rig.run(&[&json[..], more].concat());
    for flag in [
        &["--timestamp-unit", "us"][..],
        &["--timezone", "UTC"],
        &["--ambiguous", "reject"],
        &["--allow-epoch"],
        &["--unknown-fields", "ignore"],
    ] {
        let ran = run(flag).exits(2);
        assert!(ran.stderr.contains(flag[0]), "{ran:#?}");
    }
    for more in [&["--max-errors", "9"][..], &["--dry-run"]] {
        let ran = run(more).exits(1);
        let told = "rows.csv:1: the header does not fit the record: field \"humidty\": no such column in the table (did you mean \"humidity\"?)";
        assert!(ran.stderr.contains(told), "{ran:#?}");
        assert_eq!(ran.summary()["records"]["read"], 0);
    }
    rig.file("rows.csv", "device_name,humidity\na,1\n");
    run(&[]).exits(0);
    let last = json!({"device_name": "a", "humidity": 1});
    assert_eq!(rig.air_rows().last(), Some(&last));
}
