//! Rows that only the service refuses: they are found, named and kept like other bad rows,
//! and everything else gets through.

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::errors::told;
use crate::rig::{Ran, Rig, Server, air_row, numbers};

fn poison(i: u64) -> String {
    format!("{{\"device_name\": \"poison\", \"humidity\": {i}}}\n")
}

fn server(rig: &Rig) -> Server {
    rig.emulator(&["--auto-create", "--fault", "refuse-row:contains=poison"])
}

/// A load of `rows`, as a server sees it that refuses poison.
fn load(rig: &Rig, server: &Server, more: &[&str]) -> Ran {
    let base = ["--recovery-backoff", "10ms", "rows.ndjson"];
    Ran::of(
        &rig.remote(server, &[&base[..], more].concat())
            .output()
            .unwrap(),
    )
}

#[test]
fn a_refused_row_ends_the_load_with_its_line() {
    let rig = Rig::new();
    let server = server(&rig);
    rig.file(
        "rows.ndjson",
        air_row(0) + &air_row(1) + &poison(2) + &air_row(3),
    );
    let ran = load(&rig, &server, &[]).exits(4);
    assert_snapshot!(told(&rig, &ran), @r#"
    exit 4
    error: rows.ndjson:3: the service refused the row: InvalidArgument: table main.default.air_quality, offset 1, record 0: refused on purpose, it holds "poison"
      hint: --max-errors 10 --rejects bad.ndjson loads the good rows and keeps the bad ones
    "#);
    assert_eq!(ran.summary()["error"]["line"], 3);
    assert_eq!(
        ran.summary()["records"],
        json!({"read": 4, "acked": 3, "rejected": 1, "unsent": 0, "in_doubt": 0, "resent": 4})
    );
    assert_eq!(numbers(&rig.air_rows()), [0, 1, 3]);
}

#[test]
fn refused_rows_are_kept_in_their_place_among_other_bad_rows() {
    const ROWS: u64 = 20_000;
    let rig = Rig::new();
    let server = server(&rig);
    let is_poison = |i: u64| [5, 7_000, 7_001].contains(&i);
    let is_bad = |i: u64| i % 1_000 == 3;
    let row = |i: u64| match (is_poison(i), is_bad(i)) {
        (true, _) => poison(i),
        (_, true) => format!("{{\"temp\": \"bad {i}\"}}\n"),
        _ => air_row(i),
    };
    rig.file("rows.ndjson", (0..ROWS).map(row).collect::<String>());
    let more = [
        "--max-errors",
        "100",
        "--rejects",
        "bad",
        "--checkpoint",
        "cp",
        "--max-inflight",
        "4000",
    ];
    let ran = load(&rig, &server, &more).exits(3);
    let kept = std::fs::read_to_string(rig.path().join("bad")).unwrap();
    let expected: String = (0..ROWS)
        .filter(|&i| is_poison(i) || is_bad(i))
        .map(row)
        .collect();
    // In the order of the input, block by block; within one, refused rows come first.
    let sorted = |text: &str| {
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    assert_eq!(sorted(&kept), sorted(&expected));
    let places: Vec<usize> = [5, 7_000, 7_001]
        .map(|i| kept.find(poison(i).as_str()).unwrap())
        .into();
    assert!(places.is_sorted(), "{kept}");
    assert!(places[1] > kept.find("bad 1003").unwrap());
    assert!(places[2] < kept.find("bad 12003").unwrap());
    let reasons = std::fs::read_to_string(rig.path().join("bad.reasons.ndjson")).unwrap();
    let reasons: Vec<Value> = reasons
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    let mut lines: Vec<u64> = reasons
        .iter()
        .map(|r| r["line"].as_u64().unwrap() - 1)
        .collect();
    lines.sort_unstable();
    assert!(
        lines
            .into_iter()
            .eq((0..ROWS).filter(|&i| is_poison(i) || is_bad(i)))
    );
    let refused: Vec<&Value> = reasons.iter().filter(|r| r["kind"] == "refused").collect();
    assert_eq!(refused.len(), 3);
    assert!(
        refused[0]["message"]
            .as_str()
            .unwrap()
            .contains("refused on purpose")
    );
    let good: Vec<u64> = (0..ROWS).filter(|&i| !is_poison(i) && !is_bad(i)).collect();
    let mut landed = numbers(&rig.air_rows());
    landed.sort_unstable();
    assert_eq!(
        landed, good,
        "once each: a refused batch leaves the table untouched"
    );
    assert_eq!(ran.summary()["records"]["rejected"], ROWS / 1_000 + 3);
    let checkpoint: Value =
        serde_json::from_slice(&std::fs::read(rig.path().join("cp")).unwrap()).unwrap();
    assert_eq!(checkpoint["finished"], true);
    assert_eq!(checkpoint["records"]["refused"], 3);
    assert_eq!(checkpoint["records"]["rejected"], ROWS / 1_000 + 3);
    assert_eq!(checkpoint["rejects"]["rows"], kept.len());
}

#[test]
fn the_row_that_passes_what_is_tolerated_is_read_again() {
    let rig = Rig::new();
    let server = server(&rig);
    let rows: String = (0..10).map(air_row).collect();
    rig.file("rows.ndjson", rows.clone() + &poison(10) + &air_row(11));
    let more = ["--checkpoint", "cp", "--resume", "--rejects", "bad"];
    let ran = load(&rig, &server, &more).exits(4);
    assert_eq!(ran.summary()["records"]["acked"], 11);
    assert_eq!(std::fs::read(rig.path().join("bad")).unwrap(), b"");
    let ran = load(&rig, &server, &[&more[..], &["--max-errors", "1"]].concat()).exits(3);
    assert_eq!(ran.summary()["records"]["rejected"], 1);
    assert_eq!(
        std::fs::read_to_string(rig.path().join("bad")).unwrap(),
        poison(10)
    );
    let mut landed = numbers(&rig.air_rows());
    landed.sort_unstable();
    landed.dedup();
    assert_eq!(landed, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11]);
}

#[test]
fn a_schema_that_the_service_refuses_rejects_no_row() {
    let rig = Rig::new();
    let server = server(&rig);
    rig.file("rows.ndjson", (0..100).map(poison).collect::<String>());
    let ran = load(&rig, &server, &["--max-errors", "100", "--rejects", "bad"]).exits(1);
    assert_eq!(ran.summary()["error"]["kind"], "refused");
    assert_eq!(ran.summary()["records"]["rejected"], 0);
    assert_eq!(ran.summary()["records"]["in_doubt"], 100);
    assert_eq!(std::fs::read(rig.path().join("bad")).unwrap(), b"");
    assert!(rig.air_rows_or_none().is_empty());
}
