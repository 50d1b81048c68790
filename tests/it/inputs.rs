//! What the command line names as inputs: globs, directories, shares of them; and the figures
//! of a load for those who watch it.

use std::path::Path;

use serde_json::json;

use crate::rig::{Ran, Rig, air_row, numbers, sorted_numbers};

fn rows(range: std::ops::Range<u64>) -> String {
    range.map(air_row).collect()
}

/// A directory of six files with ten rows each, and others that are none of them.
fn rig() -> Rig {
    let rig = Rig::new();
    std::fs::create_dir_all(rig.path().join("data/sub/.git")).unwrap();
    for (i, name) in [
        "b.ndjson",
        "a.jsonl",
        "sub/c.ndjson",
        "sub/d.json",
        "Z.ndjson",
    ]
    .iter()
    .enumerate()
    {
        let i = i as u64 * 10;
        rig.file(&format!("data/{name}"), rows(i..i + 10));
    }
    let csv: String = (50..60).map(|i| format!("s,1,{i}\n")).collect();
    rig.file(
        "data/sub/e.csv",
        format!("device_name,temp,humidity\n{csv}"),
    );
    rig.file("data/README.txt", "no rows");
    rig.file("data/.hidden.ndjson", "no rows");
    rig.file("data/sub/.git/x.ndjson", "no rows");
    rig.file("data/_SUCCESS", "");
    rig
}

#[test]
fn directories_and_globs_are_read_in_byte_order() {
    let all: Vec<u64> = (40..50)
        .chain(10..20)
        .chain(0..10)
        .chain(20..40)
        .chain(50..60)
        .collect();
    for (arguments, expected) in [
        (&["data"][..], all.clone()),
        (&["data/"], all),
        (&["data/*.ndjson"], (40..50).chain(0..10).collect()),
        (
            &["data/**/*.ndjson"],
            (40..50).chain(0..10).chain(20..30).collect(),
        ),
        (
            &["data/sub", "data/[ab].*"],
            (20..40).chain(50..60).chain(10..20).chain(0..10).collect(),
        ),
    ] {
        let rig = rig();
        rig.ingest(arguments).exits(0);
        assert_eq!(numbers(&rig.air_rows()), expected, "{arguments:?}");
    }
}

#[test]
fn what_names_no_file_is_a_failure() {
    let rig = rig();
    std::fs::create_dir(rig.path().join("empty")).unwrap();
    for (argument, told) in [
        ("none/*.ndjson", "error: none/*.ndjson: matches no file"),
        ("data/*.parquet", "error: data/*.parquet: matches no file"),
        (
            "empty",
            "error: empty: holds no file that ends in .ndjson, .jsonl, .json, .csv, .tsv",
        ),
    ] {
        let ran = rig.ingest(&[argument]).exits(1);
        assert!(ran.stderr.starts_with(told), "{ran:#?}");
        assert_eq!(ran.summary()["error"]["kind"], "input");
    }
    assert!(!rig.path().join("wh").exists(), "nothing was begun");
}

#[test]
fn outputs_among_the_inputs_are_wrong_usage() {
    let rig = rig();
    for (flags, told) in [
        (
            &["--rejects", "data/bad.ndjson", "data"][..],
            "would take for an INPUT",
        ),
        (
            &["--rejects", "data/bad", "data"],
            "data/bad.reasons.ndjson",
        ),
        (
            &["--checkpoint", "data/cp.jsonl", "data/*.jsonl"],
            "would take for an INPUT",
        ),
        (
            &[
                "--metrics-file",
                "record.proto",
                "--proto",
                "record.proto",
                "data",
            ],
            "which --proto reads",
        ),
    ] {
        let mut command = rig.command(["ingest", "--local", "wh", "--table", crate::rig::AIR]);
        if !flags.contains(&"--proto") {
            command.args(["--proto", &crate::rig::sample("air_quality.proto")]);
        } else {
            rig.file(
                "record.proto",
                "syntax = \"proto3\"; message R { int32 temp = 1; }",
            );
        }
        let ran = Ran::of(&command.args(flags).output().unwrap()).exits(2);
        assert!(ran.stderr.contains(told), "{ran:#?}");
    }
    let hidden = ["--rejects", "data/_bad", "--checkpoint", "data/.cp", "data"];
    rig.ingest(&hidden).exits(0);
    // Twice is told.
    let ran = rig.ingest(&["data", "./data/b.ndjson"]).exits(0);
    assert!(ran.stderr.contains("is given twice"), "{ran:#?}");
}

#[test]
fn a_dry_run_leaves_the_rejects_of_a_load_alone() {
    let rig = rig();
    rig.file("data/b.ndjson", "{\"temp\": \"x\"}\n{\"temp\": \"y\"}\n");
    let flags = ["--rejects", "bad", "--checkpoint", "cp", "--resume", "data"];
    rig.ingest(&[&flags[..], &["--max-errors", "1"]].concat())
        .exits(4);
    let more = [&flags[..], &["--max-errors", "5"]].concat();
    rig.ingest(&[&more[..], &["--dry-run"]].concat()).exits(3);
    assert!(!rig.path().join("bad.1").exists());
    rig.ingest(&more).exits(3);
    let rejects = std::fs::read_to_string(rig.path().join("bad")).unwrap();
    assert_eq!(rejects.lines().count(), 2);
}

#[test]
fn a_directory_that_grows_is_loaded_on() {
    let rig = rig();
    let flags = ["--checkpoint", "cp", "--resume", "data"];
    rig.ingest(&flags).exits(0);
    rig.file("data/aa.ndjson", rows(60..70));
    let ran = rig.ingest(&flags).exits(0);
    assert_eq!(ran.summary()["records"]["acked"], 10);
    assert_eq!(rig.ingest(&flags).exits(0).summary()["records"]["acked"], 0);
    assert_eq!(sorted_numbers(&rig.air_rows()), (0..70).collect::<Vec<_>>());
}

#[test]
fn a_load_of_a_directory_that_stops_tells_how_to_go_on() {
    let rig = rig();
    rig.file(
        "data/b.ndjson",
        format!("{}{{\"temp\": \"x\"}}\n", rows(0..5)),
    );
    let ran = rig.ingest(&["data"]).exits(4);
    assert!(ran.stderr.contains(" ingest --skip 25 "), "{ran:#?}");
    assert!(
        ran.stderr.contains("as long as no file comes or goes"),
        "{ran:#?}"
    );
    let ran = rig.ingest(&["data/b.ndjson"]).exits(4);
    assert!(!ran.stderr.contains("as long as"), "{ran:#?}");
}

#[test]
fn shares_are_whole_and_disjoint() {
    let rig = rig();
    let mut acked = 0;
    for shard in ["0/3", "1/3", "2/3"] {
        let ran = rig.ingest(&["--shard", shard, "data"]).exits(0);
        acked += ran.summary()["records"]["acked"].as_u64().unwrap();
    }
    assert_eq!(acked, 60);
    assert_eq!(sorted_numbers(&rig.air_rows()), (0..60).collect::<Vec<_>>());
    assert_eq!(rig.ingest(&["--shard", "3/3", "data"]).code, 2);
    assert_eq!(
        rig.pipe(
            &[
                "ingest", "--local", "wh", "--table", "a.b.c", "--json", "--shard", "0/2"
            ],
            b""
        )
        .code,
        2
    );
}

/// A metric's value; none if it is not there.
fn metric(file: &Path, name: &str) -> Option<f64> {
    let text = std::fs::read_to_string(file).unwrap();
    let prefix = format!("{name}{{table=\"main.default.air_quality\"}} ");
    let mut lines = text.lines().filter_map(|l| l.strip_prefix(&prefix));
    lines.next().map(|value| value.parse().unwrap())
}

#[test]
fn metrics_tell_how_a_load_ended_and_when_one_last_succeeded() {
    let rig = rig();
    let file = rig.path().join("load.prom");
    let flags = ["--metrics-file", "load.prom"];
    let run = |more: &[&str]| rig.ingest(&[&flags, more].concat());
    run(&["data/b.ndjson"]).exits(0);
    let of = |name: &str| metric(&file, name);
    assert_eq!(of("zerobus_rows_acknowledged"), Some(10.0));
    assert_eq!(of("zerobus_running"), Some(0.0));
    assert_eq!(of("zerobus_exit_code"), Some(0.0));
    let succeeded = of("zerobus_last_success_timestamp_seconds").unwrap();
    assert!(succeeded >= of("zerobus_start_timestamp_seconds").unwrap());
    // A failure leaves that alone.
    rig.file("data/b.ndjson", "{\"temp\": \"x\"}\n");
    run(&["data/b.ndjson"]).exits(4);
    assert_eq!(of("zerobus_exit_code"), Some(4.0));
    assert_eq!(of("zerobus_rows_rejected"), Some(1.0));
    assert_eq!(
        of("zerobus_last_success_timestamp_seconds"),
        Some(succeeded)
    );
    let ran = rig
        .ingest(&["--metrics-file", "none/load.prom", "data"])
        .exits(1);
    assert_eq!(ran.summary()["error"]["kind"], "output");
    assert_eq!(ran.summary()["records"]["read"], json!(0));
    // Text that a scraper takes: a type for each, and nothing else.
    let text = std::fs::read_to_string(&file).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    for three in lines.chunks(3) {
        let name = three[0].split(' ').nth(2).unwrap();
        assert_eq!(three[1], format!("# TYPE {name} gauge"));
        assert!(three[2].starts_with(&format!("{name}{{")), "{three:?}");
    }
    let left = std::fs::read_dir(rig.path()).unwrap();
    assert!(
        !left
            .map(|e| e.unwrap().file_name())
            .any(|n| n.to_string_lossy().ends_with(".tmp"))
    );
}

#[test]
fn the_steps_of_the_conversation_are_told_when_asked_for() {
    let rig = rig();
    let server = rig.emulator(&["--auto-create", "--fault", "close:after=5,grace=1s,times=1"]);
    let mut command = rig.remote(&server, &["-v", "--batch-records", "5", "data"]);
    let ran = Ran::of(&command.output().unwrap()).exits(0);
    for step in [
        "endpoint = http://127.0.0.1",
        "(from ZEROBUS_ENDPOINT)",
        "client_secret = ***",
        "the table does not exist",
        "the record is AirQuality: 3 fields",
        "is open",
        "as a routine; another one is opened",
    ] {
        assert!(ran.stderr.contains(step), "{step}: {ran:#?}");
    }
    assert_eq!(rig.ingest(&["-v", "-q", "data"]).code, 2);
}

#[test]
fn the_summary_tells_the_commonest_reasons_in_80_columns() {
    let rig = Rig::new();
    let mut text = String::new();
    for i in 0..30_u64 {
        text.push_str(&air_row(i));
        if i % 2 == 0 {
            text.push_str(&format!("{{\"temp\": \"{}\"}}\n", "y".repeat(100)));
        }
        if i % 10 == 0 {
            text.push_str("not json\u{1b}[2J\n");
        }
        if i == 7 {
            text.push_str("{\"humidity\": -1.5}\n");
        }
    }
    rig.file("rows.ndjson", text);
    let proto = crate::rig::sample("air_quality.proto");
    let args = [
        "ingest",
        "--local",
        "wh",
        "--table",
        crate::rig::AIR,
        "--proto",
        &proto,
    ];
    let mut command = rig.command(args);
    command.args([
        "--max-errors",
        "50%",
        "--rejects",
        "bad.ndjson",
        "rows.ndjson",
    ]);
    let ran = Ran::of(&command.output().unwrap()).exits(3);
    let lines = ran.stdout.lines().filter(|l| !l.starts_with("  time"));
    let text: String = lines.map(|l| format!("{l}\n")).collect();
    assert!(text.lines().all(|l| l.chars().count() <= 80), "{text}");
    insta::assert_snapshot!(text);
}
