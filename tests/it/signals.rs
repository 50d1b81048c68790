//! Interrupted loads: what was accepted is acknowledged, and the summary tells the truth.

use std::io::Write as _;
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use crate::rig::{AIR, Ran, Rig, air_row, numbers, sample, signal, sorted_numbers};

/// A loader that reads from a pipe which stays open, interrupted once rows have landed.
fn interrupted(rig: &Rig, more: &[&str], input: &str, name: &str) -> Ran {
    let mut command = rig.local(&[more, &["-"]].concat());
    let mut loader = command.stdin(Stdio::piped()).spawn().unwrap();
    let mut pipe = loader.stdin.take().unwrap();
    pipe.write_all(input.as_bytes()).unwrap();
    while rig.air_rows_or_none().is_empty() {
        thread::sleep(Duration::from_millis(5));
    }
    signal(&loader, name);
    let ran = Ran::of(&loader.wait_with_output().unwrap());
    drop(pipe);
    ran
}

#[test]
fn rows_of_a_slow_pipe_land_while_it_is_open_and_a_signal_ends_the_load() {
    let rows: String = (0..1_000).map(air_row).collect();
    // The last row is not complete: it does not count as accepted.
    let input = format!("{rows}{{\"humidity\": 1");
    for (name, code) in [("INT", 130), ("TERM", 143)] {
        let rig = Rig::new();
        let summary = interrupted(&rig, &[], &input, name).exits(code).summary();
        assert_eq!(summary["status"], "interrupted");
        assert_eq!(summary["records"]["acked"], 1_000);
        assert_eq!(summary["records"]["read"], 1_000);
        assert_eq!(numbers(&rig.air_rows()), (0..1_000).collect::<Vec<_>>());
    }
}

#[test]
fn whole_rows_that_were_read_count_as_accepted() {
    // Blocks of one row: nearly all that one read brings waits in the reader.
    let rig = Rig::new();
    let input: String = (0..500).map(air_row).collect();
    let ran = interrupted(&rig, &["--max-inflight", "8"], &input, "INT").exits(130);
    assert_eq!(ran.summary()["records"]["acked"], 500);
    assert_eq!(
        sorted_numbers(&rig.air_rows()),
        (0..500).collect::<Vec<_>>()
    );
}

#[test]
fn a_signal_in_the_middle_of_a_file_leaves_exactly_what_the_summary_says() {
    const ROWS: u64 = 3_000_000;
    let rig = Rig::new();
    rig.file("rows.ndjson", (0..ROWS).map(air_row).collect::<String>());
    let loader = rig.local(&["rows.ndjson"]).spawn().unwrap();
    rig.wait_for_version(2);
    signal(&loader, "INT");
    let ran = Ran::of(&loader.wait_with_output().unwrap()).exits(130);
    let records = &ran.summary()["records"];
    let acked = records["acked"].as_u64().unwrap();
    assert!(acked > 0 && acked < ROWS, "{records}");
    for nothing in ["unsent", "in_doubt"] {
        assert_eq!(records[nothing], 0);
    }
    assert_eq!(records["read"], acked);
    assert_eq!(numbers(&rig.air_rows()), (0..acked).collect::<Vec<_>>());
}

#[test]
fn closed_outputs_do_not_stop_a_load() {
    let rig = Rig::new();
    let proto = sample("air_quality.proto");
    let input = sample("air_quality.ndjson");
    let script = format!(
        "{} ingest --local wh --table {AIR} --proto {proto} {input} >&- 2>&-",
        crate::rig::ZEROBUS
    );
    let mut command = std::process::Command::new("sh");
    let status = command
        .arg("-c")
        .arg(script)
        .current_dir(rig.path())
        .status()
        .unwrap();
    assert_eq!(rig.air_rows().len(), 2_000);
    assert_eq!(status.code(), Some(0));
}
