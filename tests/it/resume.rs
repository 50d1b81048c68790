//! Loads that end early and go on: by a checkpoint, or by the command that is printed.

use std::io::Write as _;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::compressed::{gzip, zstd};
use crate::rig::{Ran, Rig, air_row, numbers, signal};

const ROWS: u64 = 20_000;

/// A load with a checkpoint against a server that is slow to commit, so that it can be
/// interrupted in the middle.
fn slow(rig: &Rig) -> crate::rig::Server {
    rig.emulator(&["--auto-create", "--commit-interval", "100ms"])
}

const FLAGS: [&str; 5] = ["--checkpoint", "cp", "--resume", "--max-inflight", "1000"];

fn checkpoint(rig: &Rig) -> Value {
    let text = std::fs::read(rig.path().join("cp")).unwrap();
    serde_json::from_slice(&text).unwrap()
}

/// Starts a load, kills it each time so many versions of the table stand, and runs it again
/// to its end, and once more.
fn killed_and_resumed(rig: &Rig, inputs: &[&str], versions: &[u64]) -> (Ran, Ran) {
    let server = slow(rig);
    let load = || rig.remote(&server, &[&FLAGS[..], inputs].concat());
    for &version in versions {
        let mut child = load().spawn().unwrap();
        rig.wait_for_version(version);
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let ran = Ran::of(&load().output().unwrap()).exits(0);
    let again = Ran::of(&load().output().unwrap()).exits(0);
    assert_eq!(server.terminate(), 0);
    (ran, again)
}

/// Asserts that every row is there, and none of them too often.
fn assert_landed(rig: &Rig, kills: usize) {
    let mut landed = numbers(&rig.air_rows());
    let twice = landed.len() as u64 - ROWS;
    assert!(
        twice <= 1_000 * kills as u64,
        "{twice} rows are there twice"
    );
    landed.sort_unstable();
    landed.dedup();
    assert_eq!(landed, (0..ROWS).collect::<Vec<_>>());
}

#[test]
fn a_killed_load_goes_on_whatever_its_format() {
    let rows = |range: std::ops::Range<u64>| range.map(air_row).collect::<Vec<_>>();
    let half = ROWS / 2;
    let csv = |range: std::ops::Range<u64>| {
        let cells = range.map(|i| format!("\"a\n{i}\",{},{i}\n", i % 50));
        "device_name,temp,humidity\n".to_owned() + &cells.collect::<String>()
    };
    let array = |range| format!("[\n{}]\n", rows(range).join(",\n"));
    for (names, texts) in [
        (
            ["a.ndjson", "b.ndjson"],
            [rows(0..half).concat(), rows(half..ROWS).concat()],
        ),
        (["a.csv", "b.csv"], [csv(0..half), csv(half..ROWS)]),
        (
            ["a.json", "b.json"],
            [array(0..half), rows(half..ROWS).concat()],
        ),
    ] {
        let rig = Rig::new();
        for (name, text) in names.iter().zip(texts) {
            match *name {
                "a.ndjson.gz" => rig.file(name, gzip(text)),
                "b.csv.zst" => rig.file(name, zstd(text)),
                _ => rig.file(name, text),
            };
        }
        let (ran, again) = killed_and_resumed(&rig, &names, &[2, 6]);
        assert_landed(&rig, 2);
        let summary = ran.summary();
        assert_eq!(summary["total"]["acked"], ROWS, "{names:?}");
        assert_eq!(summary["total"]["read"], ROWS);
        let before = summary["skipped"].as_u64().unwrap();
        assert!(before > 0);
        assert_eq!(summary["records"]["acked"], ROWS - before);
        assert_eq!(summary["resumed_from"], before);
        assert_eq!(
            summary["offsets"],
            json!({"first": before, "last_acked": ROWS - 1})
        );
        let kept = checkpoint(&rig);
        assert_eq!(kept["finished"], true);
        assert_eq!(kept["inputs"].as_array().unwrap().len(), 2);
        // The same again is nothing.
        assert!(again.stderr.contains("nothing is left to do"), "{again:#?}");
        assert_eq!(again.summary()["records"]["read"], 0);
        assert_eq!(again.summary()["total"]["acked"], ROWS);
        assert_landed(&rig, 2);
    }
}

#[test]
fn rejects_are_neither_lost_nor_doubled() {
    let rig = Rig::new();
    let bad = |i: u64| format!("{{\"temp\": \"bad {i}\"}}\n");
    let row = |i| if i % 10 == 3 { bad(i) } else { air_row(i) };
    rig.file("a.ndjson", (0..ROWS).map(row).collect::<String>());
    let server = slow(&rig);
    let more = ["--max-errors", "11%", "--rejects", "bad", "a.ndjson"];
    let load = || rig.remote(&server, &[&FLAGS[..], &more].concat());
    for version in [2, 6] {
        let mut child = load().spawn().unwrap();
        rig.wait_for_version(version);
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let ran = Ran::of(&load().output().unwrap()).exits(3);
    assert_eq!(ran.summary()["total"]["rejected"], ROWS / 10);
    let kept = std::fs::read_to_string(rig.path().join("bad")).unwrap();
    let expected: String = (0..ROWS).filter(|i| i % 10 == 3).map(bad).collect();
    assert!(
        kept == expected,
        "{} of {} bytes",
        kept.len(),
        expected.len()
    );
    let reasons = std::fs::read_to_string(rig.path().join("bad.reasons.ndjson")).unwrap();
    let lines = reasons.lines().map(|l| {
        serde_json::from_str::<Value>(l).unwrap()["line"]
            .as_u64()
            .unwrap()
    });
    assert!(lines.eq((0..ROWS).filter(|i| i % 10 == 3).map(|i| i + 1)));
    assert!(!rig.path().join("bad.1").exists());
}

#[test]
fn an_interrupted_load_is_completed_exactly() {
    let rig = Rig::new();
    rig.file("a.ndjson", (0..ROWS).map(air_row).collect::<String>());
    let server = slow(&rig);
    let load = || rig.remote(&server, &[&FLAGS[..], &["a.ndjson"]].concat());
    let child = load().spawn().unwrap();
    rig.wait_for_version(3);
    signal(&child, "INT");
    let ran = Ran::of(&child.wait_with_output().unwrap()).exits(130);
    let acked = ran.summary()["records"]["acked"].as_u64().unwrap();
    assert_eq!(numbers(&rig.air_rows()), (0..acked).collect::<Vec<_>>());
    assert!(ran.stderr.contains("go on with: "), "{ran:#?}");
    Ran::of(&load().output().unwrap()).exits(0);
    assert_eq!(numbers(&rig.air_rows()), (0..ROWS).collect::<Vec<_>>());
}

/// Runs the command that a load has printed.
fn printed(rig: &Rig, ran: &Ran, server: Option<&crate::rig::Server>) -> Ran {
    let line = ran
        .stderr
        .lines()
        .find_map(|l| l.trim().strip_prefix("go on with: "));
    let line = line.unwrap_or_else(|| panic!("{ran:#?}"));
    let mut shell = std::process::Command::new("/bin/sh");
    shell.args(["-c", line]).current_dir(rig.path()).env_clear();
    if let Some(server) = server {
        shell.envs(server.env.clone());
    }
    Ran::of(&shell.output().unwrap())
}

#[test]
fn the_printed_command_goes_on_behind_what_is_settled() {
    let rig = Rig::new();
    let mut rows: Vec<String> = (0..10).map(air_row).collect();
    rows[4] = "{\"temp\": \"x\"}\n".to_owned();
    rows[7] = "{\"temp\": \"y\"}\n".to_owned();
    rig.file("a file.ndjson", rows[..6].concat());
    rig.file("b.ndjson", rows[6..].concat());
    let inputs = ["a file.ndjson", "b.ndjson"];
    // Without a checkpoint, by the number of rows.
    let ran = rig
        .ingest(&[&["--max-errors", "1"], &inputs[..]].concat())
        .exits(4);
    assert!(ran.stderr.contains(" --skip 7 "), "{ran:#?}");
    rows[7] = air_row(7);
    rig.file("b.ndjson", rows[6..].concat());
    printed(&rig, &ran, None).exits(0);
    let expected: Vec<u64> = (0..10).filter(|i| *i != 4).collect();
    assert_eq!(numbers(&rig.air_rows()), expected);

    // With one: the row that passed what is tolerated is read again.
    rows[2] = "{\"temp\": \"z\"}\n".to_owned();
    rig.file("c.csv", "humidity\n100\n101\nx\n103\n");
    let ran = rig.ingest(&["--checkpoint", "cp", "c.csv"]).exits(4);
    assert_eq!(ran.summary()["checkpoint"], "cp");
    assert_eq!(checkpoint(&rig)["records"]["accepted"], 2);
    let again = rig.ingest(&["--checkpoint", "cp", "c.csv"]).exits(1);
    assert!(
        again
            .stderr
            .contains("cp: holds a load that is not finished (2 rows are settled)")
    );
    assert!(again.stderr.contains("hint: go on with: "), "{again:#?}");
    // Mended behind what was read.
    rig.file("c.csv", "humidity\n100\n101\n102\n103\n");
    let ran = printed(&rig, &ran, None).exits(0);
    assert_eq!(ran.summary()["total"]["acked"], 4);
    assert_eq!(numbers(&rig.air_rows())[9..], [100, 101, 102, 103]);
}

#[test]
fn inputs_that_have_changed_are_told() {
    let rig = Rig::new();
    let text = (0..10).map(air_row).collect::<String>() + "bad\n";
    rig.file("a.ndjson", &text);
    let load =
        |inputs: &[&str]| rig.ingest(&[&["--checkpoint", "cp", "--resume"], inputs].concat());
    load(&["a.ndjson"]).exits(4);
    rig.file("a.ndjson", text.replace("sensor-1", "sensor-2"));
    let ran = load(&["a.ndjson"]).exits(1);
    assert!(
        ran.stderr
            .contains("a.ndjson: has changed since an earlier load read its first"),
        "{ran:#?}"
    );
    std::fs::remove_file(rig.path().join("a.ndjson")).unwrap();
    load(&["a.ndjson"]).exits(1);
    rig.file("b.ndjson", air_row(11));
    let ran = load(&["b.ndjson"]).exits(1);
    assert!(
        ran.stderr.contains("half loaded, but it is not given now"),
        "{ran:#?}"
    );
    // Mended, grown, and next to a new one.
    rig.file("a.ndjson", text.replace("bad\n", &air_row(10)));
    load(&["a.ndjson", "b.ndjson"]).exits(0);
    assert_eq!(numbers(&rig.air_rows()), (0..12).collect::<Vec<_>>());
    rig.file("c.ndjson", air_row(12));
    rig.file("b.ndjson", air_row(11) + &air_row(13));
    let ran = load(&["a.ndjson", "b.ndjson", "c.ndjson"]).exits(0);
    assert_eq!(ran.summary()["records"]["acked"], 2);
    assert_eq!(numbers(&rig.air_rows())[12..], [13, 12]);
    // Others are another load.
    rig.file("d.ndjson", air_row(14));
    let ran = load(&["d.ndjson"]).exits(0);
    assert!(
        ran.stderr
            .contains("that load is finished; these inputs are a new one"),
        "{ran:#?}"
    );
    assert_eq!(ran.summary()["total"], Value::Null);
}

#[test]
fn a_checkpoint_serves_one_load_only() {
    let rig = Rig::new();
    rig.file("a.csv", "humidity\n1\nx\n");
    let base = ["--checkpoint", "cp", "--resume", "a.csv"];
    rig.ingest(&base).exits(4);
    for (more, expected) in [
        (
            &["--no-header"][..],
            "how it is read was --format auto --compression auto, and is --format auto --compression auto --no-header",
        ),
        (&["--delimiter", ";"], "--delimiter ';'"),
        (
            &["--table", "main.default.other"],
            "the table was main.default.air_quality, and is main.default.other",
        ),
        (&["--local", "elsewhere"], "the workspace was "),
    ] {
        let command = rig.local(&[]);
        let args: Vec<_> = command
            .get_args()
            .map(|a| a.to_str().unwrap().to_owned())
            .collect();
        let mut args: Vec<&str> = args.iter().map(String::as_str).collect();
        if let Some(at) = args.iter().position(|a| Some(a) == more.first()) {
            args.drain(at..at + 2);
        }
        let ran = rig.run(&[&args[..], &base, more].concat()).exits(1);
        assert!(ran.stderr.contains(expected), "{ran:#?}");
    }
    rig.file("cp", "not a checkpoint");
    let ran = rig.ingest(&base).exits(1);
    assert!(ran.stderr.contains("cp: is no checkpoint"), "{ran:#?}");
    let ran = rig.ingest(&["--resume", "a.csv"]).exits(2);
    assert!(ran.stderr.contains("--checkpoint"), "{ran:#?}");
    let ran = rig
        .ingest(&["--checkpoint", "no/such/cp", "a.csv"])
        .exits(1);
    assert!(
        ran.stderr.contains("cannot write the checkpoint"),
        "{ran:#?}"
    );
}

#[test]
fn checkpoints_and_rejects_have_one_holder() {
    let rig = Rig::new();
    let more = [
        "--checkpoint",
        "cp",
        "--rejects",
        "bad",
        "--max-errors",
        "9",
        "-",
    ];
    let mut first = rig.local(&more).stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = first.stdin.take().unwrap();
    stdin.write_all(air_row(1).as_bytes()).unwrap();
    rig.wait_for_version(1);
    rig.file("a.ndjson", air_row(2));
    let other = [
        "--local",
        "other",
        "--table",
        "a.b.c",
        "--json",
        "a.ndjson",
        "--dry-run",
    ];
    let ran = rig.ingest(&["--checkpoint", "cp", "a.ndjson"]).exits(5);
    assert!(
        ran.stderr
            .contains("cp: another load holds this checkpoint"),
        "{ran:#?}"
    );
    let ran = rig
        .run(&[&["ingest"], &other[..], &["--rejects", "bad"]].concat())
        .exits(5);
    assert!(
        ran.stderr
            .contains("bad: another load is writing these rejects"),
        "{ran:#?}"
    );
    drop(stdin);
    Ran::of(&first.wait_with_output().unwrap()).exits(0);
    // They are free again.
    rig.ingest(&["--checkpoint", "cp", "a.ndjson"]).exits(0);
}

#[test]
fn standard_input_goes_on_behind_bytes_that_hash_the_same() {
    let rig = Rig::new();
    let rows: Vec<String> = (0..2_000).map(air_row).collect();
    let more = ["--checkpoint", "cp", "--resume", "-"];
    let feed = |text: &str, code: i32| {
        let mut child = rig.local(&more).stdin(Stdio::piped()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        // A load that fails closes the pipe.
        let _ = stdin.write_all(text.as_bytes());
        drop(stdin);
        Ran::of(&child.wait_with_output().unwrap()).exits(code)
    };
    let stopped = rows[..1_500].concat() + "bad\n";
    feed(&stopped, 4);
    let whole = rows.concat();
    let ran = feed(&whole.replacen("sensor-1", "sensor-9", 1), 1);
    assert!(
        ran.stderr
            .contains("-: differs from what an earlier load read"),
        "{ran:#?}"
    );
    assert_eq!(ran.summary()["records"]["read"], 0);
    let ran = feed(&rows[..100].concat(), 1);
    assert!(ran.stderr.contains("-: ends after"), "{ran:#?}");
    let ran = feed(&whole, 0);
    assert_eq!(ran.summary()["records"]["acked"], 500);
    assert_eq!(numbers(&rig.air_rows()), (0..2_000).collect::<Vec<_>>());
    // A pipe after one that was read to its end is another load.
    feed(&air_row(7), 0);
    assert_eq!(numbers(&rig.air_rows()).len(), 2_001);
}

#[test]
fn skip_limit_and_tolerated_errors_count_over_all_runs() {
    let rig = Rig::new();
    let mut rows: Vec<String> = (0..20).map(air_row).collect();
    rows[6] = "bad\n".to_owned();
    rows[9] = "bad\n".to_owned();
    rig.file("a.ndjson", rows.concat());
    let load = |more: &[&str]| {
        let base = [
            "--checkpoint",
            "cp",
            "--resume",
            "--skip",
            "2",
            "--limit",
            "10",
            "a.ndjson",
        ];
        rig.ingest(&[&base[..], more].concat())
    };
    load(&["--max-errors", "1"]).exits(4);
    load(&["--max-errors", "1"]).exits(4);
    let ran = load(&["--max-errors", "2"]).exits(3);
    let total = &ran.summary()["total"];
    assert_eq!(
        (&total["read"], &total["rejected"]),
        (&json!(10), &json!(2))
    );
    assert_eq!(numbers(&rig.air_rows()), [2, 3, 4, 5, 7, 8, 10, 11]);
    let ran = load(&["--max-errors", "2"]);
    assert_eq!(ran.summary()["records"]["read"], 0, "{ran:#?}");
}
