//! Inputs that go wrong in every way that files and pipes do: an exit code and a message for
//! each, nothing lost, nothing guessed, and no more memory than for a good one.

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::{Child, Stdio};

use insta::assert_snapshot;
use serde_json::json;

use crate::errors::told;
use crate::rig::{Ran, Rig, air_row, numbers};

/// What an NDJSON row of the sample looks like around one value.
fn row(temp: &str) -> String {
    format!("{{\"device_name\": \"x\", \"temp\": {temp}, \"humidity\": 1}}\n")
}

#[test]
fn nasty_inputs_have_an_exit_code_and_a_message() {
    let good = air_row(1);
    let csv = "device_name,temp,humidity\n";
    let utf_16: Vec<u8> = csv.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let inputs: Vec<(&str, &str, Vec<u8>)> = vec![
        (
            "invalid UTF-8",
            "a.ndjson",
            [&b"{\"device_name\": \"\xff\"}\n"[..], good.as_bytes()].concat(),
        ),
        (
            "invalid UTF-8",
            "a.csv",
            [csv.as_bytes(), b"a\xc3,1,1\nb,2,2\n"].concat(),
        ),
        (
            "invalid UTF-8 in the header",
            "b.csv",
            b"device_name,te\xffmp\na,1\n".to_vec(),
        ),
        (
            "invalid UTF-8",
            "a.json",
            b"[{\"device_name\": \"\xff\"}, {\"temp\": 1}]".to_vec(),
        ),
        ("UTF-16", "c.csv", [&b"\xff\xfe"[..], &utf_16].concat()),
        ("UTF-16 without a mark", "d2.csv", utf_16),
        (
            "a header that moves the cursor",
            "d3.csv",
            b"temp,\x1b[2J\n1,2\n".to_vec(),
        ),
        (
            "NUL bytes",
            "b.ndjson",
            format!("\0\0\0\n{good}{{\"device_name\": \"a\0b\"}}\n").into(),
        ),
        ("NUL in a cell", "d.csv", format!("{csv}a\0b,1,1\n").into()),
        (
            "depth 10,000",
            "c.ndjson",
            format!(
                "{}{}{}{good}",
                "{\"temp\":".repeat(10_000),
                1,
                "}".repeat(10_000) + "\n"
            )
            .into(),
        ),
        (
            "depth 10,000 in an unknown field",
            "d.ndjson",
            format!(
                "{{\"x\": {}{}}}\n{good}",
                "[".repeat(10_000),
                "]".repeat(10_000)
            )
            .into(),
        ),
        (
            "depth 10,000",
            "b.json",
            format!(
                "[{}{}, {good}]",
                "{\"temp\":".repeat(10_000),
                "1".to_owned() + &"}".repeat(10_000)
            )
            .into(),
        ),
        (
            "number of 10,000 digits",
            "e.ndjson",
            (row(&"7".repeat(10_000))
                + &row(&format!("1{}e-10000", "0".repeat(10_000)))
                + &row("1e999999999999999999999"))
                .into(),
        ),
        (
            "number of 10,000 digits",
            "e.csv",
            format!("{csv}a,{},1\n", "7".repeat(10_000)).into(),
        ),
        (
            "unterminated quote",
            "f.csv",
            format!("{csv}a,1,1\n\"b,2,2\nc,3,3\n").into(),
        ),
        (
            "text after a quote",
            "g.csv",
            format!("{csv}\"a\"b,1,1\nc,3,3\n").into(),
        ),
        (
            "truncated JSON at the end",
            "f.ndjson",
            format!("{good}{{\"device_name\": \"x").into(),
        ),
        (
            "truncated JSON at the end",
            "c.json",
            format!("[{good},{{\"device_name\": \"x").into(),
        ),
        ("array without its end", "d.json", format!("[{good}").into()),
        (
            "text after an array",
            "e.json",
            format!("[{good}] {good}").into(),
        ),
        (
            "no comma in an array",
            "f.json",
            format!("[{good} {good}]").into(),
        ),
        (
            "scalars in an array",
            "g.json",
            format!("[1, \"x\", null, {good}]").into(),
        ),
        (
            "duplicate headers",
            "h.csv",
            b"temp,humidity,temp\n1,2,3\n".to_vec(),
        ),
        (
            "two names of one field",
            "i.csv",
            b"device_name,deviceName\na,b\n".to_vec(),
        ),
        ("empty header", "j.csv", b"\na,1,1\n".to_vec()),
        (
            "empty name in the header",
            "k.csv",
            b"device_name,,temp\na,1,1\n".to_vec(),
        ),
        (
            "short and long rows",
            "l.csv",
            format!("{csv}a\nb,1,1,1\n\nc,1,1\n").into(),
        ),
        (
            "numbers with separators and spaces",
            "m.csv",
            format!("{csv}a, 1234,1\nb,\"1,234\",1\nc,1e3,1\nd,0x10,1\ne,+5,1\nf,1.0,1\n").into(),
        ),
        ("BOM", "g.ndjson", format!("\u{feff}{good}").into()),
        ("BOM", "n.csv", format!("\u{feff}{csv}a,1,1\n").into()),
        ("BOM", "h.json", format!("\u{feff}[{good}]").into()),
        (
            "BOM in the middle",
            "h.ndjson",
            format!("{good}\u{feff}{good}").into(),
        ),
        (
            "mixed line ends",
            "i.ndjson",
            format!("{}\r\n{good}\r\n\r\n\n{}", good.trim_end(), good.trim_end()).into(),
        ),
        (
            "mixed line ends",
            "o.csv",
            format!("{}\r\na,1,1\nb,2,2\r\n\r\nc,3,3", csv.trim_end()).into(),
        ),
        ("empty file", "j.ndjson", Vec::new()),
        ("empty file", "p.csv", Vec::new()),
        ("empty file", "i.json", Vec::new()),
        ("only a header", "q.csv", csv.into()),
        ("empty array", "j.json", b" [ ] ".to_vec()),
        (
            "lone surrogate",
            "k.ndjson",
            (row("1").replace('x', "\\ud800") + &row("1").replace('x', "\\ud83d\\ude00")).into(),
        ),
        (
            "a control character",
            "l.ndjson",
            row("1").replace('x', "\u{1}").into(),
        ),
        (
            "text after the row",
            "m.ndjson",
            format!("{} 1\n{good}", good.trim_end()).into(),
        ),
        (
            "key twice",
            "n.ndjson",
            b"{\"temp\": 1, \"temp\": 2}\n{\"device_name\": \"a\", \"deviceName\": \"a\"}\n"
                .to_vec(),
        ),
        (
            "numbers that are none",
            "o.ndjson",
            (row("01")
                + &row("1.")
                + &row(".5")
                + &row("-")
                + &row("NaN")
                + &row("+1")
                + &row("0x1"))
                .into(),
        ),
    ];
    let mut transcript = String::new();
    for (name, file, content) in inputs {
        let rig = Rig::new();
        rig.file(file, content);
        let ran = rig.ingest(&["--max-errors", "10", file]);
        let told = told(&rig, &ran);
        let records = &ran.summary()["records"];
        writeln!(
            transcript,
            "## {name} ({file})\n{told}read {}, acknowledged {}, rejected {}\n",
            records["read"], records["acked"], records["rejected"]
        )
        .unwrap();
    }
    assert_snapshot!(transcript);
}

/// The most memory that a running process has had, in bytes.
pub fn peak_bytes(child: &Child) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let line = status.lines().find(|l| l.starts_with("VmHWM:")).unwrap();
    let kib: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kib * 1024
}

/// Promise: a line of 1 GB without an end is one bad row, and costs no memory.
#[test]
fn a_line_of_a_gigabyte_is_one_bad_row() {
    const LINE_BYTES: usize = 1 << 30;
    // Far above what any load takes, far below the line.
    const PEAK_BYTES_MAX: u64 = 192 << 20;
    let rig = Rig::new();
    let mut command = rig.local(&["--max-errors", "1", "-"]);
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(air_row(1).as_bytes()).unwrap();
    let chunk = [b'x'; 1 << 20];
    for _ in 0..LINE_BYTES / chunk.len() {
        stdin.write_all(&chunk).unwrap();
    }
    let peak = peak_bytes(&child);
    drop(stdin);
    let ran = Ran::of(&child.wait_with_output().unwrap()).exits(3);
    assert!(peak < PEAK_BYTES_MAX, "{peak} bytes");
    assert_snapshot!(told(&rig, &ran), @"
    exit 3
    warning: -:2: the row is longer than 16777216 bytes, the limit of --max-line
    ");
    assert_eq!(numbers(&rig.air_rows()), [1]);
}

#[test]
fn a_row_over_the_limit_is_one_bad_row_and_goes_to_the_rejects_whole() {
    let rig = Rig::new();
    let long = |n: usize| format!("{{\"device_name\": \"{}\"}}\n", "x".repeat(n));
    let (one, two) = (long(3 << 20), long((1 << 20) + 1));
    let text = [
        &air_row(1),
        &one,
        &air_row(2),
        &two,
        &air_row(3),
        long(2 << 20).trim_end(),
    ]
    .concat();
    rig.file("long.ndjson", &text);
    let ran = rig
        .ingest(&[
            "--max-line",
            "1MiB",
            "--max-errors",
            "3",
            "--rejects",
            "bad",
            "long.ndjson",
        ])
        .exits(3);
    assert_snapshot!(told(&rig, &ran), @"
    exit 3
    warning: long.ndjson:2: the row is longer than 1048576 bytes, the limit of --max-line
    warning: long.ndjson:4: the row is longer than 1048576 bytes, the limit of --max-line
    warning: long.ndjson:6: the row is longer than 1048576 bytes, the limit of --max-line
    ");
    assert_eq!(ran.summary()["bytes"]["read"], text.len());
    assert_eq!(numbers(&rig.air_rows()), [1, 2, 3]);
    let kept = std::fs::read_to_string(rig.path().join("bad")).unwrap();
    assert!(kept == [&one, &two, long(2 << 20).trim_end()].concat());
    let reasons = std::fs::read_to_string(rig.path().join("bad.reasons.ndjson")).unwrap();
    let byte = air_row(1).len() + one.len() + air_row(2).len();
    assert!(
        reasons
            .lines()
            .nth(1)
            .unwrap()
            .contains(&format!("\"byte\":{byte},")),
        "{reasons}"
    );
}

#[test]
fn carriage_returns_tabs_and_quotes_are_never_guessed_at() {
    let rig = Rig::new();
    rig.file(
        "cr.csv",
        "device_name,humidity\na\rb,1\n\"a\"\r\"b\",2\n\"a\rb\",3\r\n",
    );
    let ran = rig.ingest(&["--max-errors", "5", "cr.csv"]).exits(3);
    assert_eq!(
        ran.stderr
            .matches("a carriage return without a newline")
            .count(),
        2,
        "{ran:#?}"
    );
    assert_eq!(rig.air_rows()[0]["device_name"], "a\rb");
    rig.file("mac.csv", "device_name,humidity\ra,1\rb,2");
    let ran = rig.ingest(&["mac.csv"]).exits(1);
    assert!(
        ran.stderr
            .contains("mac.csv:1: the header: a carriage return"),
        "{ran:#?}"
    );
    rig.file("tabs.tsv", "device_name\ttemp\thumidity\n\t\t\n \t1\t4\n");
    rig.ingest(&["tabs.tsv"]).exits(0);
    let rows = rig.air_rows();
    assert_eq!(rows[1], json!({}), "a row of nulls is a row");
    assert_eq!(
        rows[2],
        json!({"device_name": " ", "temp": 1, "humidity": 4})
    );
}
