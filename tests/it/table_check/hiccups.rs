//! A token endpoint or catalog that fails for a while does not change what is stored: the
//! types of the table are waited for, and missed if they do not come.

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::process::Stdio;

use serde_json::json;

use super::TABLE;
use super::unasked::Catalog;
use crate::rig::{AIR, Ran, Rig, Server, air_row, sample, signal};
use crate::table;

const EVENTS: &str = "CREATE TABLE main.default.events (at TIMESTAMP, n BIGINT)";
/// The same as a catalog tells it.
const EVENTS_COLUMNS: &str = r#"{"columns":[{"name":"at","type_name":"TIMESTAMP"},
    {"name":"n","type_name":"LONG"}]}"#;
const BARE: &str = "syntax = \"proto3\"; message Event { int64 at = 1; int64 n = 2; }";
const MILLISECONDS: &str = "{\"at\":1769860800000,\"n\":1}\n";

fn load(rig: &Rig, server: &Server, more: &[&str]) -> Ran {
    rig.file("bare.proto", BARE);
    let mut command = rig.command(["ingest", "--table", TABLE, "--proto", "bare.proto"]);
    command.args([
        "-o",
        "json",
        "--progress",
        "none",
        "--recovery-backoff",
        "10ms",
    ]);
    command.args(more).envs(server.env.clone());
    Ran::of(&command.output().unwrap())
}

#[test]
fn the_types_of_the_table_are_waited_for() {
    for (fault, retries) in [
        ("fail:at=token,times=2", "2"),
        ("drop:at=token,times=2", "2"),
        // It spends no retries.
        ("throttle:at=token,times=1,retry-after=1s", "0"),
    ] {
        let rig = Rig::new();
        let server = rig.emulator(&["--create", EVENTS, "--fault", fault]);
        rig.file("row.ndjson", MILLISECONDS);
        let more = ["--timestamp-unit", "ms", "--recovery-retries", retries];
        let ran = load(&rig, &server, &[&more[..], &["row.ndjson"]].concat()).exits(0);
        assert!(
            ran.stderr
                .starts_with("warning: asking for the table's schema again in "),
            "{fault}: {ran:#?}"
        );
        let rows = table::rows(&rig.path().join("wh/main/default/events"));
        assert_eq!(rows, [json!({"at": "2026-01-31T12:00:00Z", "n": 1})]);
        let summary = ran.summary();
        let seconds = |key: &str| summary[key].as_f64().unwrap();
        assert_eq!(
            seconds("throttled_seconds") > 0.0,
            retries == "0",
            "{fault}"
        );
        assert!(
            seconds("seconds") >= seconds("throttled_seconds"),
            "{ran:#?}"
        );
    }
}

#[test]
fn without_any_token_the_load_ends_before_the_first_row() {
    let rig = Rig::new();
    let server = rig.emulator(&["--create", EVENTS, "--fault", "fail:at=token"]);
    rig.file("row.ndjson", "{\"n\":1}\n");
    let ran = load(&rig, &server, &["--recovery-retries", "1", "row.ndjson"]).exits(5);
    assert_eq!(ran.summary()["records"]["read"], 0);
    let again = "asking for the table's schema again";
    assert_eq!(ran.stderr.matches(again).count(), 1, "{ran:#?}");
}

#[test]
fn a_flag_for_times_is_never_dropped_without_a_word() {
    let rig = Rig::new();
    rig.file("row.ndjson", air_row(1));
    for flag in [
        &["--timestamp-unit", "ms"][..],
        &["--timezone", "Europe/Zurich"],
        &["--ambiguous", "later"],
        &["--allow-epoch"],
    ] {
        let given = format!("{} is given, and no field of AirQuality", flag[0]);
        let run = |more: &[&str]| rig.ingest(&[flag, more, &["row.ndjson"]].concat());
        let ran = run(&[]).exits(1);
        assert!(ran.stderr.contains(&given), "{ran:#?}");
        assert_eq!(ran.summary()["error"]["kind"], "settings");
        let ran = run(&["--dry-run", "--table-check", "off"]).exits(1);
        assert!(ran.stderr.contains(&given), "{ran:#?}");
        let catalog = Catalog::new(&[(503, "later")]);
        let more = [flag, &["--recovery-retries", "1"]].concat();
        let ran = super::unasked::ingest_beside(&catalog.url, &more).exits(5);
        assert!(ran.stderr.contains(&given), "{ran:#?}");
        assert!(ran.stderr.contains("503 Service Unavailable"), "{ran:#?}");
        assert_eq!(ran.summary()["records"]["read"], 0);
    }
    assert!(rig.air_rows_or_none().is_empty());
    // A zone is nothing to a time without one; its unit is.
    let wall = ["--type", "humidity=timestamp_ntz", "row.ndjson"];
    rig.file("row.ndjson", air_row(1_769_860_800_000));
    let ran = rig
        .ingest(&[&["--timezone", "UTC"], &wall[..]].concat())
        .exits(1);
    assert!(ran.stderr.contains("--timezone is given"), "{ran:#?}");
    rig.ingest(&[&["--timestamp-unit", "ms"], &wall[..]].concat())
        .exits(0);
    assert_eq!(rig.air_rows()[0]["humidity"], "2026-01-31T12:00:00");
}

#[test]
fn a_load_goes_on_by_the_types_that_it_began_with() {
    let rig = Rig::new();
    let server = rig.emulator(&["--no-auth", "--create", EVENTS]);
    let catalog = Catalog::new(&[(200, EVENTS_COLUMNS), (503, "later"), (200, EVENTS_COLUMNS)]);
    let rows = "{\"at\":\"2026-01-31T12:00:00Z\"}\nx\n{\"n\":2}\n";
    rig.file("rows.ndjson", rows);
    let run = |more: &[&str]| {
        let base = [
            "--workspace-url",
            &catalog.url,
            "--checkpoint",
            "cp",
            "--resume",
        ];
        let base = [&base[..], &["--recovery-retries", "0", "rows.ndjson"]].concat();
        load(&rig, &server, &[&base[..], more].concat())
    };
    run(&[]).exits(4);
    let told =
        "cp: is the checkpoint of another load: the column types by which its rows were read";
    let ran = run(&["--max-errors", "1"]).exits(5);
    assert!(ran.stderr.contains(told), "{ran:#?}");
    let ran = run(&["--max-errors", "1", "--table-check", "off"]).exits(1);
    assert!(ran.stderr.contains(told), "{ran:#?}");
    let stored = || table::rows(&rig.path().join("wh/main/default/events"));
    assert_eq!(stored().len(), 1);
    run(&["--max-errors", "1"]).exits(3);
    assert_eq!(stored().len(), 2);
}

#[test]
fn a_signal_ends_the_wait_for_the_table_with_a_summary() {
    for (name, code) in [("INT", 130), ("TERM", 143)] {
        let rig = Rig::new();
        rig.file("row.ndjson", air_row(1));
        // It takes connections and never answers.
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", silent.local_addr().unwrap());
        let proto = sample("air_quality.proto");
        let mut command = rig.command(["ingest", "--table", AIR, "--proto", &proto]);
        command.args(["--endpoint", &url, "--workspace-url", &url]);
        command.args(["-o", "json", "row.ndjson", "--token-file", "t"]);
        rig.file("t", "t");
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut loader = command.spawn().unwrap();
        let mut stderr = BufReader::new(loader.stderr.take().unwrap());
        let mut line = String::new();
        stderr.read_line(&mut line).unwrap();
        assert_eq!(line, format!("waiting for the table's schema from {url}\n"));
        signal(&loader, name);
        let ran = Ran::of(&loader.wait_with_output().unwrap()).exits(code);
        let summary = ran.summary();
        assert_eq!(summary["status"], "interrupted");
        assert_eq!(summary["records"]["read"], 0);
        assert_ne!(summary["seconds"], 0.0);
    }
}
