//! Faults on purpose, through the wire: each one strikes, and the loader comes through with
//! every row or says why not.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use serde_json::{Value, json};

use crate::rig::{Ran, Rig, Server, air_row, numbers};

/// Some ten batches.
const ROWS: u64 = 50_000;

/// A server with these faults.
fn server(rig: &Rig, faults: &[&str]) -> Server {
    let faults = faults.iter().flat_map(|fault| ["--fault", fault]);
    rig.emulator(
        &["--auto-create"]
            .into_iter()
            .chain(faults)
            .collect::<Vec<_>>(),
    )
}

/// A load through a server with these faults, and the rows that landed, in order.
fn load_rows(rows: &str, faults: &[&str], more: &[&str]) -> (Ran, Vec<u64>) {
    let rig = Rig::new();
    let server = server(&rig, faults);
    rig.file("rows.ndjson", rows);
    let mut command = rig.remote(&server, &["--recovery-backoff", "10ms", "rows.ndjson"]);
    let ran = Ran::of(&command.args(more).output().unwrap());
    assert_eq!(server.terminate(), 0);
    (ran, numbers(&rig.air_rows_or_none()))
}

fn rows() -> String {
    (0..ROWS).map(air_row).collect()
}

/// A load that comes through: nothing is lost, and nothing doubled that was not sent again.
/// Returns its summary.
fn survives(faults: &[&str], more: &[&str]) -> Value {
    let (ran, mut landed) = load_rows(&rows(), faults, more);
    let summary = ran.exits(0).summary();
    assert_eq!(summary["records"]["acked"], ROWS);
    let resent = summary["records"]["resent"].as_u64().unwrap();
    let doubled = landed.len() as u64 - ROWS;
    assert!(doubled <= resent, "{doubled} doubled, {resent} sent again");
    landed.sort_unstable();
    landed.dedup();
    assert_eq!(landed, (0..ROWS).collect::<Vec<_>>(), "every row is there");
    summary
}

fn reconnects(summary: &Value) -> u64 {
    summary["streams"][0]["reconnects"].as_u64().unwrap()
}

fn throttled(summary: &Value) -> f64 {
    summary["throttled_seconds"].as_f64().unwrap()
}

/// A load that fails for good: its exit code and the kind of its error.
fn fails(faults: &[&str], more: &[&str]) -> (i32, Value, String) {
    let (ran, landed) = load_rows(&rows(), faults, more);
    let summary = ran.summary();
    let records = &summary["records"];
    let acked = records["acked"].as_u64().unwrap();
    let prefix: Vec<u64> = landed.iter().copied().take(acked as usize).collect();
    assert_eq!(
        prefix,
        (0..acked).collect::<Vec<_>>(),
        "what was acknowledged is there"
    );
    let accounted =
        ["acked", "rejected", "unsent", "in_doubt"].map(|k| records[k].as_u64().unwrap());
    assert_eq!(records["read"], accounted.iter().sum::<u64>());
    (ran.code, summary["error"]["kind"].clone(), ran.stderr)
}

// ---- creating a stream ----

#[test]
fn a_refused_creation_is_tried_again_if_that_may_help() {
    let summary = survives(&["fail:at=create,times=2"], &[]);
    assert_eq!(reconnects(&summary), 0, "none was open before");
    for (status, code, kind) in [
        ("PERMISSION_DENIED", 1, "credentials"),
        ("UNAUTHENTICATED", 1, "credentials"),
        ("INVALID_ARGUMENT", 1, "refused"),
        ("NOT_FOUND", 1, "not_found"),
        ("INTERNAL", 5, "unavailable"),
        ("OK", 5, "unavailable"),
    ] {
        let fault = format!("fail:at=create,status={status},message=no\\, never");
        let (got, got_kind, stderr) = fails(&[&fault], &["--recovery-retries", "1"]);
        assert_eq!((got, got_kind), (code, json!(kind)), "{status}");
        assert!(status == "OK" || stderr.contains("no, never"), "{stderr}");
    }
}

#[test]
fn a_late_or_missing_answer_to_the_creation_is_not_waited_for_for_ever() {
    survives(&["delay:at=create,for=50ms"], &[]);
    let impatient = ["--recovery-timeout", "1s"];
    survives(&["delay:at=create,for=60s,times=1"], &impatient);
    survives(&["stall:at=create,times=1"], &impatient);
    survives(&["drop:at=create,times=2"], &[]);
}

#[test]
fn a_throttled_creation_spends_no_retries() {
    let faults = [
        "throttle:at=create,times=1,retry-after=1s",
        "throttle:at=create,every=2,times=1",
    ];
    let summary = survives(&faults, &["--recovery-retries", "0"]);
    assert!(throttled(&summary) > 1.0, "{summary}");
}

// ---- an open stream ----

#[test]
fn a_close_signal_is_routine() {
    let window = ["--max-inflight", "5000"];
    let summary = survives(&["close:after=10000,grace=30s"], &window);
    assert!(summary["rotations"].as_u64().unwrap() >= 2, "{summary}");
    assert_eq!(reconnects(&summary), 0);
    assert_eq!(summary["records"]["resent"], 0);
    // No time at all: what came before the signal is acknowledged all the same.
    let summary = survives(&["close:after=10000,grace=0s"], &window);
    assert!(summary["rotations"].as_u64().unwrap() >= 2, "{summary}");
}

#[test]
fn a_stream_that_ends_with_a_status_is_opened_again_if_that_may_help() {
    for status in ["INTERNAL", "OK", "ABORTED"] {
        let fault = format!("fail:after=10000,times=2,status={status}");
        assert_eq!(reconnects(&survives(&[&fault], &[])), 2, "{status}");
    }
    let fault = "fail:after=10000,status=OUT_OF_RANGE,message=too much";
    let (code, kind, stderr) = fails(&[fault], &[]);
    assert_eq!((code, kind), (1, json!("refused")));
    assert!(stderr.contains("too much"), "{stderr}");
    // At once, each time: nothing is ever acknowledged.
    let (code, kind, _) = fails(&["fail"], &["--recovery-retries", "3"]);
    assert_eq!((code, kind), (5, json!("unavailable")));
}

#[test]
fn throttling_waits_as_long_as_it_is_told() {
    let summary = survives(
        &[
            "throttle:after=5000,times=1,retry-after=1s",
            "throttle:after=9000,times=2",
        ],
        &["--recovery-retries", "0"],
    );
    assert!(throttled(&summary) > 1.0, "{summary}");
}

#[test]
fn a_dropped_connection_loses_nothing() {
    let summary = survives(&["drop:after=15000,times=3"], &["--recovery-retries", "20"]);
    assert_eq!(reconnects(&summary), 3);
    assert!(summary["records"]["resent"].as_u64().unwrap() > 0);
    // Nobody has said why: the connection is gone.
    let (code, _, stderr) = fails(&["drop:after=15000"], &["--no-recovery"]);
    assert_eq!(code, 5);
    assert!(
        !stderr.contains("on purpose") && !stderr.contains("is cut"),
        "{stderr}"
    );
}

#[test]
fn a_stalled_stream_is_left() {
    let summary = survives(&["stall:after=10000,times=1"], &["--ack-timeout", "1s"]);
    assert!(reconnects(&summary) >= 1);
    assert!(summary["records"]["resent"].as_u64().unwrap() > 0);
}

#[test]
fn late_acknowledgements_are_waited_for_or_not() {
    let summary = survives(&["delay:for=50ms"], &["--max-inflight", "20000"]);
    assert_eq!(reconnects(&summary), 0);
    assert_eq!(summary["records"]["resent"], 0);
    let summary = survives(&["delay:for=5s,times=1"], &["--ack-timeout", "1s"]);
    assert!(reconnects(&summary) >= 1);
}

#[test]
fn a_wrong_acknowledgement_acknowledges_nothing() {
    let window = ["--max-inflight", "5000"];
    for (offset, expected) in [("beyond", 1), ("back", 1), ("repeat", 0)] {
        let fault = format!("wrong-ack:offset={offset},after=10000,times=1");
        assert_eq!(
            reconnects(&survives(&[&fault], &window)),
            expected,
            "{offset}"
        );
    }
    let (code, _, stderr) = fails(&["wrong-ack"], &["--no-recovery"]);
    assert_eq!(code, 5);
    // A million beyond the batches that the first acknowledgement would have been for.
    let offset = stderr
        .split_once("the server acknowledged offset ")
        .and_then(|(_, rest)| rest.split_once(','))
        .and_then(|(offset, _)| offset.parse::<u64>().ok());
    assert!(offset.is_some_and(|o| o >= 1_000_000), "{stderr}");
}

// ---- tokens ----

#[test]
fn expired_tokens_are_replaced() {
    // Each second creation finds its token gone.
    let faults = [
        "close:after=10000,grace=30s",
        "expire-tokens:at=create,every=2",
    ];
    let summary = survives(&faults, &["--max-inflight", "5000"]);
    assert_eq!(reconnects(&summary), 0);
    // Under an open stream.
    let summary = survives(&["expire-tokens:after=10000,times=2"], &[]);
    assert_eq!(reconnects(&summary), 2);
    // A new one, too.
    let (code, kind, _) = fails(&["expire-tokens:at=create"], &[]);
    assert_eq!((code, kind), (1, json!("credentials")));
}

#[test]
fn the_token_endpoint_fails_like_any_other() {
    // The stream's token, not that of the check before it.
    let unchecked = ["--table-check", "off"];
    let summary = survives(
        &[
            "throttle:at=token,times=1,retry-after=1s",
            "delay:at=token,for=50ms",
        ],
        &[&unchecked[..], &["--recovery-retries", "0"]].concat(),
    );
    assert!(throttled(&summary) >= 1.0, "{summary}");
    survives(
        &["fail:at=token,times=1", "drop:at=token,every=2,times=1"],
        &unchecked,
    );
    survives(
        &["stall:at=token,times=1"],
        &[&unchecked[..], &["--recovery-timeout", "1s"]].concat(),
    );
    let fault = "fail:at=token,status=403,message=you shall not";
    let (code, kind, stderr) = fails(&[fault], &unchecked);
    assert_eq!((code, kind), (1, json!("credentials")));
    assert!(stderr.contains("403 Forbidden: you shall not"), "{stderr}");
}

/// What the token endpoint sends back to a request without credentials.
fn raw_token(server: &Server) -> String {
    let mut tcp = TcpStream::connect(server.address()).unwrap();
    let request =
        "POST /oidc/v1/token HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
    tcp.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    // A connection that is reset has answered nothing, too.
    let _ = tcp.read_to_string(&mut answer);
    answer
}

#[test]
fn throttling_and_cutting_are_real_on_the_wire() {
    let rig = Rig::new();
    let server = server(
        &rig,
        &[
            "throttle:at=token,times=1,retry-after=7s",
            "drop:at=token,times=1",
        ],
    );
    let answer = raw_token(&server);
    assert!(answer.starts_with("HTTP/1.1 429 "), "{answer}");
    assert!(answer.contains("\r\nretry-after: 7\r\n"), "{answer}");
    assert!(
        answer.contains("\"error_code\":\"TOO_MANY_REQUESTS\""),
        "{answer}"
    );
    assert_eq!(raw_token(&server), "");
    assert!(raw_token(&server).starts_with("HTTP/1.1 401 "));
}

#[test]
fn a_stalled_request_does_not_keep_the_server_from_ending() {
    let rig = Rig::new();
    let server = server(&rig, &["stall:at=token"]);
    let mut tcp = TcpStream::connect(server.address()).unwrap();
    tcp.write_all(b"POST /oidc/v1/token HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n")
        .unwrap();
    std::thread::sleep(std::time::Duration::from_millis(100));
    assert_eq!(server.terminate(), 0);
}

// ---- by seed, by the command line ----

#[test]
fn the_same_seed_brings_the_same_faults() {
    let rig = Rig::new();
    let struck = |seed: &str| {
        let faults = ["--fault", "fail:at=token,p=0.5", "--seed", seed];
        let server = rig.emulator(&faults);
        let struck: Vec<bool> = (0..40)
            .map(|_| raw_token(&server).contains(" 503 "))
            .collect();
        assert_eq!(server.terminate(), 0);
        struck
    };
    let first = struck("0");
    assert!(first.contains(&true) && first.contains(&false), "{first:?}");
    assert_eq!(struck("0"), first);
    assert_ne!(struck("1"), first);
}

#[test]
fn wrong_usage_names_what_there_is() {
    let rig = Rig::new();
    for (fault, told) in [
        (
            "stal:times=1",
            "\"stal\" is no kind of fault, did you mean stall? (the kinds are fail, throttle, delay, drop, stall, close, refuse-row, wrong-ack, expire-tokens)",
        ),
        (
            "drop:grace=1s",
            "drop has no key \"grace\": it takes at, after, every, p, times",
        ),
        (
            "fail:status=WHAT",
            "status=WHAT is no gRPC status: there are OK, CANCELLED, ",
        ),
        ("close:at=token", "at=token: close strikes at=stream only"),
    ] {
        let ran = rig
            .run(&["emulator", "--dir", "wh", "--fault", fault])
            .exits(2);
        assert!(ran.stderr.contains(told), "{}", ran.stderr);
    }
    // The help describes each kind.
    let told = rig.run(&["emulator", "--dir", "wh", "--fault", "?"]).stderr;
    let kinds = told.split_once("the kinds are ").unwrap().1;
    let help = rig.run(&["emulator", "--help"]).exits(0).stdout;
    for kind in kinds.lines().next().unwrap().split(", ") {
        assert!(help.contains(&format!("\n          {kind} ")), "{kind}");
    }
    rig.run(&["emulator", "--dir", "wh", "--seed", "-1"])
        .exits(2);
}

#[test]
fn tokens_that_live_for_a_second_are_renewed_in_time() {
    let rig = Rig::new();
    // Each rotation comes after the token's end.
    let fault = "close:after=5000,grace=1s";
    let flags = ["--auto-create", "--token-ttl", "1s", "--fault", fault];
    let server = rig.emulator(&[&flags[..], &["--commit-interval", "600ms"]].concat());
    rig.file("rows.ndjson", (0..20_000).map(air_row).collect::<String>());
    let mut command = rig.remote(&server, &["--max-inflight", "5000", "rows.ndjson"]);
    let ran = Ran::of(&command.output().unwrap()).exits(0);
    assert!(
        ran.summary()["rotations"].as_u64().unwrap() >= 2,
        "{ran:#?}"
    );
    assert_eq!(ran.summary()["records"]["acked"], 20_000);
}

#[test]
fn without_authentication_any_token_serves() {
    let rig = Rig::new();
    let server = rig.emulator(&["--auto-create", "--no-auth"]);
    rig.file("row.ndjson", air_row(1));
    let load = |name: &str, value: &str| {
        let mut command = rig.remote(&server, &["row.ndjson"]);
        command.env(name, value);
        Ran::of(&command.output().unwrap())
    };
    load("DATABRICKS_CLIENT_SECRET", "wrong").exits(0);
    load("ZEROBUS_TOKEN", "made up").exits(0);
    assert_eq!(numbers(&rig.air_rows()), [1, 1]);
    let ran = rig.run(&["emulator", "--dir", "x", "--no-auth", "--client", "a:b"]);
    ran.exits(2);
}
