//! Loads that end early and go on, where inputs, rejects and refusals make it hard.

use std::io::Write as _;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::rig::{AIR, Ran, Rig, Server, air_row, numbers, signal, sorted_numbers};

const CHECKPOINT: [&str; 3] = ["--checkpoint", "cp", "--resume"];

fn poison(i: u64) -> String {
    format!("{{\"device_name\": \"poison\", \"humidity\": {i}}}\n")
}

fn refusing(rig: &Rig) -> Server {
    rig.emulator(&["--auto-create", "--fault", "refuse-row:contains=poison"])
}

fn remote(rig: &Rig, server: &Server, more: &[&str]) -> Ran {
    let base = [&CHECKPOINT[..], &["--recovery-backoff", "10ms"]].concat();
    Ran::of(
        &rig.remote(server, &[&base[..], more].concat())
            .output()
            .unwrap(),
    )
}

fn local(rig: &Rig, more: &[&str]) -> Ran {
    rig.ingest(&[&CHECKPOINT[..], more].concat())
}

/// Runs a local load that reads this from a pipe.
fn feed(rig: &Rig, more: &[&str], text: &str) -> Ran {
    let mut child = rig.local(more).stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // A load that fails closes the pipe.
    let _ = stdin.write_all(text.as_bytes());
    drop(stdin);
    Ran::of(&child.wait_with_output().unwrap())
}

#[test]
fn a_refused_row_that_is_not_tolerated_ends_a_long_load() {
    let rig = Rig::new();
    let server = refusing(&rig);
    let rows: Vec<String> = (0..20_000).map(air_row).collect();
    rig.file(
        "a.ndjson",
        rows[..500].concat() + &poison(0) + &rows[500..].concat(),
    );
    let ran = remote(&rig, &server, &["--max-inflight", "1000", "a.ndjson"]).exits(4);
    assert_eq!(ran.summary()["error"]["line"], 501);
    assert!(ran.stderr.contains("go on with: "), "{ran:#?}");
    rig.file(
        "a.ndjson",
        rows[..500].concat() + &air_row(99_999) + &rows[500..].concat(),
    );
    // Other bytes before the place: those of the row that was refused are behind it.
    remote(&rig, &server, &["--max-inflight", "1000", "a.ndjson"]).exits(0);
    let mut landed = numbers(&rig.air_rows());
    landed.sort_unstable();
    landed.dedup();
    assert_eq!(landed.len(), 20_001);
}

#[test]
fn refused_rows_do_not_wait_for_rows_that_wait_for_them() {
    let rig = Rig::new();
    let server = refusing(&rig);
    let rows = [
        poison(0),
        air_row(1),
        poison(2),
        poison(3),
        air_row(4),
        poison(5),
    ];
    rig.file("a.ndjson", rows.concat());
    let more = [
        "--max-inflight",
        "1",
        "--max-errors",
        "9",
        "--rejects",
        "bad",
        "a.ndjson",
    ];
    let ran = remote(&rig, &server, &more).exits(3);
    assert_eq!(ran.summary()["records"]["rejected"], 4);
    let kept = std::fs::read_to_string(rig.path().join("bad")).unwrap();
    assert_eq!(kept, [poison(0), poison(2), poison(3), poison(5)].concat());
}

#[test]
fn a_refused_row_is_put_on_a_line_of_its_own() {
    let rig = Rig::new();
    let server = refusing(&rig);
    // The first file's last row is bad and has no end.
    rig.file("a.csv", "humidity,device_name\n1,a\nx,b");
    rig.file("b.csv", "humidity,device_name\n2,a\n3,poison\ny,c\n");
    let more = ["--max-errors", "9", "--rejects", "bad", "a.csv", "b.csv"];
    remote(&rig, &server, &more).exits(3);
    let kept = std::fs::read_to_string(rig.path().join("bad")).unwrap();
    let lines: Vec<&str> = kept.lines().collect();
    assert_eq!(lines[0], "humidity,device_name");
    let mut rows = lines[1..].to_vec();
    rows.sort_unstable();
    assert_eq!(rows, ["3,poison", "x,b", "y,c"]);
}

#[test]
fn inputs_that_can_be_read_only_once_are_not_read_twice() {
    let rig = Rig::new();
    let fifo = rig.path().join("pipe");
    assert!(
        Command::new("mkfifo")
            .arg(&fifo)
            .status()
            .unwrap()
            .success()
    );
    let ran = rig.run(&["ingest", "--table", AIR, "--json", "--check-first", "pipe"]);
    assert!(ran.exits(2).stderr.contains("reads the inputs twice"));
    rig.file("a.ndjson", air_row(1));
    let ran = local(&rig, &["a.ndjson", "./a.ndjson"]).exits(2);
    assert!(ran.stderr.contains("is given twice"), "{ran:#?}");
    for flags in [
        ["--rejects", "cp"],
        ["--rejects", "cp.lock"],
        ["--rejects", "cp.tmp"],
    ] {
        let ran = local(&rig, &[&flags[..], &["a.ndjson"]].concat()).exits(2);
        assert!(ran.stderr.contains("both write"), "{ran:#?}");
    }
    let ran = rig
        .ingest(&["--checkpoint", "a.ndjson", "a.ndjson"])
        .exits(2);
    assert!(ran.stderr.contains("which is also an INPUT"), "{ran:#?}");
    assert!(rig.air_rows_or_none().is_empty());
}

#[test]
fn a_pipe_that_ended_in_a_load_that_did_not_is_compared() {
    let rig = Rig::new();
    let rows: Vec<String> = (0..10).map(air_row).collect();
    let more = ["--checkpoint", "cp", "--resume", "--min-rows", "8", "-"];
    feed(&rig, &more, &rows[..5].concat()).exits(1);
    let ran = feed(&rig, &more, &(air_row(99) + &rows[1..].concat())).exits(1);
    assert!(
        ran.stderr
            .contains("differs from what an earlier load read"),
        "{ran:#?}"
    );
    feed(&rig, &more, &rows.concat()).exits(0);
    assert_eq!(numbers(&rig.air_rows()), (0..10).collect::<Vec<_>>());
}

#[test]
fn whole_rows_of_a_pipe_go_out_before_what_is_broken() {
    for (format, text) in [
        ("json", "[{\"humidity\": 1}, {\"humidity\": 2}"),
        (
            "json",
            "[{\"humidity\": 1}, {\"humidity\": 2} {\"humidity\": 3}]",
        ),
        ("csv", "humidity\n1\n2\n\"3"),
    ] {
        let rig = Rig::new();
        let ran = feed(&rig, &["--format", format, "--linger", "10s", "-"], text).exits(1);
        assert_eq!(ran.summary()["records"]["acked"], 2, "{text}: {ran:#?}");
        assert_eq!(numbers(&rig.air_rows()), [1, 2]);
    }
}

#[test]
fn rejects_of_earlier_runs_are_never_cut_off() {
    let rig = Rig::new();
    let bad = "{\"temp\": \"x\"}\n";
    let text = air_row(0) + bad + &air_row(1) + bad + &air_row(2) + bad + &air_row(3);
    rig.file("a.ndjson", &text);
    let run = |errors: &str, rejects: &[&str]| {
        local(
            &rig,
            &[&["--max-errors", errors, "a.ndjson"], rejects].concat(),
        )
    };
    let kept = || std::fs::read_to_string(rig.path().join("bad")).unwrap();
    run("1", &["--rejects", "bad"]).exits(4);
    assert_eq!(kept(), bad);
    run("2", &[]).exits(4);
    // Another load writes its own in the meantime.
    rig.file("b.ndjson", bad);
    rig.ingest(&["--max-errors", "1", "--rejects", "bad", "b.ndjson"])
        .exits(3);
    let ran = run("9", &["--rejects", "bad"]).exits(1);
    assert!(
        ran.stderr
            .contains("these are not the rejects that the checkpoint knows"),
        "{ran:#?}"
    );
    std::fs::remove_file(rig.path().join("bad")).unwrap();
    for name in ["bad", "bad.reasons.ndjson"] {
        let path = rig.path().join(name);
        std::fs::rename(path.with_file_name(format!("{name}.1")), path).unwrap();
    }
    run("9", &["--rejects", "bad"]).exits(3);
    assert_eq!(
        kept(),
        bad.repeat(2),
        "that of the run without --rejects is not among them"
    );
    assert_eq!(numbers(&rig.air_rows()), [0, 1, 2, 3,]);
}

#[test]
fn a_file_that_is_replaced_while_it_is_read_is_not_taken_for_the_new_one() {
    let rig = Rig::new();
    let server = rig.emulator(&["--auto-create", "--commit-interval", "100ms"]);
    rig.file("a.ndjson", (0..20_000).map(air_row).collect::<String>());
    let flags = [&CHECKPOINT[..], &["--max-inflight", "1000", "a.ndjson"]].concat();
    let child = rig.remote(&server, &flags).spawn().unwrap();
    rig.wait_for_version(2);
    rig.file("new", (50_000..70_000).map(air_row).collect::<String>());
    std::fs::rename(rig.path().join("new"), rig.path().join("a.ndjson")).unwrap();
    rig.wait_for_version(5);
    signal(&child, "INT");
    Ran::of(&child.wait_with_output().unwrap()).exits(130);
    let ran = Ran::of(&rig.remote(&server, &flags).output().unwrap()).exits(1);
    assert!(ran.stderr.contains("a.ndjson: has changed"), "{ran:#?}");
}

#[test]
fn files_that_grow_are_read_on_where_a_row_begins() {
    let rig = Rig::new();
    rig.file("a.csv", "");
    rig.file("b.ndjson", air_row(1));
    rig.file("c.ndjson", air_row(2).trim_end());
    let inputs = ["a.csv", "b.ndjson", "c.ndjson"];
    local(&rig, &inputs).exits(0);
    rig.file("a.csv", "humidity\n3\n");
    rig.file("b.ndjson", air_row(1) + &air_row(4));
    rig.file("c.ndjson", air_row(2) + &air_row(5));
    local(&rig, &inputs).exits(0);
    let mut landed = numbers(&rig.air_rows());
    landed.sort_unstable();
    assert_eq!(landed, [1, 2, 3, 4, 5]);
    // A row that went on is not read as two.
    rig.file("d.csv", "device_name,humidity\nx,6");
    local(&rig, &["d.csv"]).exits(0);
    rig.file("d.csv", "device_name,humidity\nx,67\ny,8\n");
    let ran = local(&rig, &["d.csv"]).exits(0);
    assert!(
        ran.stderr.contains("these inputs are a new one"),
        "{ran:#?}"
    );
}

#[test]
fn a_limit_leaves_the_rows_behind_it_unread_however_long() {
    let rig = Rig::new();
    let long = |n: usize| format!("{{\"device_name\": \"{}\"}}\n", "x".repeat(n));
    rig.file(
        "a.ndjson",
        air_row(0) + &long(90) + &air_row(2) + &long(400_000) + &air_row(4),
    );
    let run = |limit: &str| {
        let more = ["--max-line", "100", "--max-errors", "9", "--rejects", "bad"];
        local(&rig, &[&more[..], &["--limit", limit, "a.ndjson"]].concat())
    };
    let total = |ran: &Ran| ran.summary()["total"]["read"].clone();
    run("1").exits(0);
    assert_eq!(total(&run("2").exits(3)), 2);
    assert_eq!(total(&run("4").exits(3)), 4);
    let kept = std::fs::read_to_string(rig.path().join("bad")).unwrap();
    assert!(kept == long(90) + &long(400_000), "{} bytes", kept.len());
    assert_eq!(total(&run("9").exits(3)), 5);
    assert_eq!(numbers(&rig.air_rows()), [0, 2, 4]);
}

#[test]
fn a_percentage_counts_as_soon_as_it_can() {
    let rig = Rig::new();
    let row = |i: u64| match i < 900 && i.is_multiple_of(2) {
        true => "bad\n".to_owned(),
        false => air_row(i),
    };
    rig.file("a.ndjson", (0..200_000).map(row).collect::<String>());
    let ran = rig.ingest(&["--max-errors", "10%", "a.ndjson"]).exits(4);
    let read = ran.summary()["records"]["read"].as_u64().unwrap();
    assert!(read == 1_000, "{read} rows were read");
    assert_eq!(ran.summary()["error"]["kind"], json!("bad_row"));
    assert_eq!(ran.summary()["error"]["source"], Value::Null);
}

#[test]
fn a_load_of_many_files_keeps_few_of_them_open() {
    let rig = Rig::new();
    let names: Vec<String> = (0..600).map(|i| format!("{i}.ndjson")).collect();
    for (i, name) in (0..).zip(&names) {
        rig.file(name, air_row(i));
    }
    let mut command = rig.local(&CHECKPOINT);
    let arguments = command.args(&names).get_args().collect::<Vec<_>>();
    let mut shell = Command::new("/bin/sh");
    shell.args([
        "-c",
        "ulimit -n 100 && exec \"$0\" \"$@\"",
        crate::rig::ZEROBUS,
    ]);
    shell.args(arguments).current_dir(rig.path()).env_clear();
    Ran::of(&shell.output().unwrap()).exits(0);
    assert_eq!(
        sorted_numbers(&rig.air_rows()),
        (0..600).collect::<Vec<_>>()
    );
    let checkpoint = std::fs::read(rig.path().join("cp")).unwrap();
    let checkpoint: Value = serde_json::from_slice(&checkpoint).unwrap();
    let inputs = checkpoint["inputs"].as_array().unwrap();
    assert_eq!(inputs.len(), 600);
    assert!(
        inputs
            .iter()
            .all(|i| i["finished"] == true && i["hash"] != "")
    );
}
