//! How rows flow: several streams, the size of batches, slow pipes, a limited rate.

use std::io::Write as _;
use std::process::Stdio;
use std::time::Duration;

use crate::rig::{Ran, Rig, Server, air_row, numbers};

const ROWS: u64 = 50_000;

fn server(rig: &Rig, faults: &[&str]) -> Server {
    let faults = faults.iter().flat_map(|fault| ["--fault", fault]);
    let flags: Vec<&str> = ["--auto-create"].into_iter().chain(faults).collect();
    rig.emulator(&flags)
}

fn assert_all_landed(rig: &Rig, ran: &Ran) {
    let resent = ran.summary()["records"]["resent"].as_u64().unwrap();
    let mut landed = numbers(&rig.air_rows());
    assert!(landed.len() as u64 - ROWS <= resent);
    landed.sort_unstable();
    landed.dedup();
    assert_eq!(landed, (0..ROWS).collect::<Vec<_>>());
}

#[test]
fn several_streams_share_the_rows() {
    let rig = Rig::new();
    let server = server(&rig, &[]);
    rig.file("rows.ndjson", (0..ROWS).map(air_row).collect::<String>());
    let mut command = rig.remote(&server, &["--streams", "4", "rows.ndjson"]);
    let ran = Ran::of(&command.output().unwrap()).exits(0);
    let summary = ran.summary();
    assert_eq!(summary["records"]["acked"], ROWS);
    assert_eq!(summary["offsets"]["last_acked"], ROWS - 1);
    let streams = summary["streams"].as_array().unwrap();
    assert_eq!(streams.len(), 4);
    let last = streams
        .iter()
        .filter_map(|s| s["last_acked"].as_u64())
        .max();
    assert_eq!(last, Some(ROWS - 1));
    let mut ids: Vec<&str> = streams
        .iter()
        .map(|s| s["stream_id"].as_str().unwrap())
        .collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 4);
    assert_all_landed(&rig, &ran);
}

#[test]
fn streams_that_break_lose_nothing_and_leave_a_right_checkpoint() {
    let rig = Rig::new();
    let server = server(
        &rig,
        &["drop:after=4000,p=0.5,times=10", "close:after=9000"],
    );
    rig.file("rows.ndjson", (0..ROWS).map(air_row).collect::<String>());
    let more = [
        "--streams",
        "3",
        "--max-inflight",
        "6000",
        "--checkpoint",
        "cp",
        "rows.ndjson",
        "--recovery-backoff",
        "10ms",
        "--recovery-retries",
        "50",
    ];
    let ran = Ran::of(&rig.remote(&server, &more).output().unwrap()).exits(0);
    assert_all_landed(&rig, &ran);
    let checkpoint = std::fs::read(rig.path().join("cp")).unwrap();
    let checkpoint: serde_json::Value = serde_json::from_slice(&checkpoint).unwrap();
    assert_eq!(checkpoint["records"]["accepted"], ROWS);
}

#[test]
fn a_stream_that_fails_leaves_its_rows_to_the_others() {
    let rig = Rig::new();
    // One creation in two never succeeds.
    let server = server(&rig, &["fail:at=create,every=2"]);
    rig.file("rows.ndjson", (0..ROWS).map(air_row).collect::<String>());
    let more = [
        "--streams",
        "2",
        "--max-inflight",
        "2000",
        "--recovery-retries",
        "0",
        "rows.ndjson",
    ];
    let ran = Ran::of(&rig.remote(&server, &more).output().unwrap()).exits(0);
    assert_eq!(ran.summary()["streams"].as_array().unwrap().len(), 1);
    assert_all_landed(&rig, &ran);
}

/// Where the server found the poison row: its batch and its place in it.
fn place_of_poison(stderr: &str) -> &str {
    let (_, rest) = stderr
        .split_once("air_quality, ")
        .unwrap_or_else(|| panic!("{stderr}"));
    rest.split(':').next().unwrap()
}

const POISON: &str = "{\"device_name\": \"poison\"}\n";

#[test]
fn a_batch_has_no_more_rows_than_asked_for() {
    let rig = Rig::new();
    let server = server(&rig, &["refuse-row:contains=poison"]);
    rig.file(
        "rows.ndjson",
        (0..20).map(air_row).collect::<String>() + POISON,
    );
    for (records, place) in [("1", "offset 20, record 0"), ("8", "offset 2, record 4")] {
        let more = ["--batch-records", records, "--no-recovery", "rows.ndjson"];
        let ran = Ran::of(&rig.remote(&server, &more).output().unwrap()).exits(1);
        assert_eq!(place_of_poison(&ran.stderr), place);
    }
}

#[test]
fn rows_of_a_slow_pipe_wait_for_each_other_as_long_as_they_may() {
    let rig = Rig::new();
    let server = server(&rig, &["refuse-row:contains=poison"]);
    // Until the pipe ends.
    let more = ["--linger", "1h", "--no-recovery", "-"];
    let mut child = rig
        .remote(&server, &more)
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    for row in [&air_row(1), &air_row(2), POISON] {
        stdin.write_all(row.as_bytes()).unwrap();
        std::thread::sleep(Duration::from_millis(50));
    }
    drop(stdin);
    let ran = Ran::of(&child.wait_with_output().unwrap()).exits(1);
    assert_eq!(place_of_poison(&ran.stderr), "offset 0, record 2");
}

#[test]
fn a_limited_rate_loads_every_row() {
    let rig = Rig::new();
    rig.file("rows.ndjson", (0..300).map(air_row).collect::<String>());
    rig.ingest(&["--rate-limit", "2000", "rows.ndjson"])
        .exits(0);
    assert_eq!(numbers(&rig.air_rows()), (0..300).collect::<Vec<_>>());
}
