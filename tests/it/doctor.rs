//! `zerobus doctor` against a server with each thing broken in turn: it names that thing and
//! only that.

use serde_json::Value;

use crate::rig::{AIR, Ran, Rig, Server, sample};

const COLUMNS: &str = "device_name STRING, temp INT, humidity BIGINT";

fn create() -> String {
    format!("CREATE TABLE {AIR} ({COLUMNS})")
}

/// What is wrong, by the names of the steps.
fn failed(ran: &Ran) -> Vec<String> {
    let report = ran.summary();
    let steps = report["steps"].as_array().unwrap();
    let failed = steps.iter().filter(|s| s["status"] == "failed");
    let names: Vec<String> = failed
        .map(|s| s["name"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(report["ok"], names.is_empty());
    assert_eq!(ran.code, i32::from(!names.is_empty()), "{ran:#?}");
    names
}

fn doctor(rig: &Rig, server: &Server, more: &[&str]) -> Ran {
    let mut command = rig.command(["doctor", "--table", AIR, "-o", "json"]);
    command.envs(server.env.clone()).args(more);
    Ran::of(&command.output().unwrap())
}

#[test]
fn all_is_well() {
    let rig = Rig::new();
    let server = rig.emulator(&["--create", &create()]);
    let proto = sample("air_quality.proto");
    for more in [&["--proto", &proto][..], &[]] {
        let ran = doctor(&rig, &server, more);
        assert_eq!(failed(&ran), Vec::<String>::new(), "{ran:#?}");
        let report = ran.summary();
        let names = report["steps"]
            .as_array()
            .unwrap()
            .iter()
            .map(|s| s["name"].as_str().unwrap());
        let expected = [
            "settings", "dns", "tcp", "tls", "token", "table", "record", "stream",
        ];
        assert_eq!(names.collect::<Vec<_>>(), expected);
    }
    let mut command = rig.command(["doctor", "--table", AIR, "--proto", &proto]);
    command.envs(server.env.clone());
    let ran = Ran::of(&command.output().unwrap()).exits(0);
    let port = server.address().rsplit_once(':').unwrap().1.to_owned();
    let text = ran.stdout.replace(&port, "PORT");
    let text: Vec<String> = text
        .lines()
        .map(|line| match line.split_once("stream    ") {
            Some((mark, rest)) => format!("{mark}stream    ID {}", rest.split_once(' ').unwrap().1),
            None => line.to_owned(),
        })
        .collect();
    insta::assert_snapshot!(text.join("\n"));
    let mut command = rig.command(["doctor"]);
    command.envs(server.env.clone());
    let ran = Ran::of(&command.output().unwrap()).exits(0);
    assert!(ran.stdout.contains("give --table"), "{ran:#?}");
    // Nothing was sent.
    assert!(crate::table::rows(&rig.path().join("wh/main/default/air_quality")).is_empty());
}

#[test]
fn each_broken_thing_is_named_and_only_that() {
    let rig = Rig::new();
    let air = sample("air_quality.proto");
    rig.file("other.proto", "syntax = \"proto3\"; message R { string device_name = 1; string temp = 2; int32 wind = 3; }");
    rig.file(
        "broken.proto",
        "syntax = \"proto3\"; message R { nothing device_name = 1; }",
    );
    let server = rig.emulator(&["--create", &create()]);
    let nobody = "http://127.0.0.1:1";
    let nowhere = "http://zerobus.invalid";
    rig.file("wrong", "not-the-secret");
    for (expected, flags) in [
        ("settings", &["--client-id", "x"][..]),
        ("dns", &["--endpoint", nowhere, "--allow-plaintext"]),
        ("tcp", &["--endpoint", nobody]),
        ("ws dns", &["--workspace-url", nowhere, "--allow-plaintext"]),
        ("ws tcp", &["--workspace-url", nobody]),
        (
            "token",
            &["--client-id", "emulator", "--client-secret-file", "wrong"],
        ),
        ("token", &["--token-command", "exit 1"]),
        ("token", &["--token-file", "empty"]),
        ("table", &["--table", "main.default.none"]),
        ("table", &["--token-file", "wrong"]),
        ("record", &["--proto", "other.proto"]),
        ("record", &["--proto", "broken.proto"]),
        ("record", &["--proto", "none.proto"]),
    ] {
        let expected = if flags.contains(&"empty") {
            "settings"
        } else {
            expected
        };
        let flags: Vec<&str> = match flags[0] {
            "--table" => flags.to_vec(),
            "--proto" => flags.to_vec(),
            _ => [&["--proto", &air][..], flags].concat(),
        };
        let mut command = rig.command(["doctor", "-o", "json"]);
        command.envs(server.env.clone()).args(&flags);
        if !flags.contains(&"--table") {
            command.args(["--table", AIR]);
        }
        let ran = Ran::of(&command.output().unwrap());
        assert_eq!(failed(&ran), [expected], "{flags:?} {ran:#?}");
        let hint = |s: &Value| s["status"] == "failed" && s["hint"].is_string();
        let report = ran.summary();
        let hinted = report["steps"].as_array().unwrap().iter().any(hint);
        assert!(
            hinted || expected == "record" || expected == "settings",
            "{ran:#?}"
        );
    }
    let ran = doctor(&rig, &server, &["--proto", "other.proto"]);
    for told in ["temp", "wind"] {
        assert!(ran.stdout.contains(told), "{ran:#?}");
    }
}

#[test]
fn a_certificate_that_is_not_trusted() {
    let rig = Rig::new();
    let mut server = rig.emulator(&["--create", &create(), "--tls"]);
    assert_eq!(failed(&doctor(&rig, &server, &[])), Vec::<String>::new());
    server.env.retain(|(name, _)| name != "SSL_CERT_FILE");
    let ran = doctor(&rig, &server, &[]);
    assert_eq!(failed(&ran), ["tls"]);
    assert!(ran.stdout.contains("--ca-cert"), "{ran:#?}");
    assert_eq!(
        failed(&doctor(&rig, &server, &["--ca-cert", "wh/ca.pem"])),
        Vec::<String>::new()
    );
}

#[test]
fn missing_privileges_are_told_as_statements_to_paste() {
    let rig = Rig::new();
    let server = rig.emulator(&["--create", &create(), "--enforce-grants"]);
    let ran = doctor(&rig, &server, &[]);
    assert_eq!(failed(&ran), ["table"]);
    let grants = ran.summary()["grants"].as_array().unwrap().clone();
    let grants: Vec<&str> = grants.iter().map(|g| g.as_str().unwrap()).collect();
    assert_eq!(grants.len(), 3);
    drop(server);
    // They work as they are.
    let rig = Rig::new();
    let statements = grants.join("\n");
    let all = rig.emulator(&[
        "--create",
        &create(),
        "--create",
        &statements,
        "--enforce-grants",
    ]);
    assert_eq!(failed(&doctor(&rig, &all, &[])), Vec::<String>::new());
    drop(all);
    // Who may only read is stopped at the stream.
    let rig = Rig::new();
    let read = statements.replace("SELECT, MODIFY", "SELECT");
    let reader = rig.emulator(&["--create", &create(), "--create", &read, "--enforce-grants"]);
    let ran = doctor(&rig, &reader, &[]);
    assert_eq!(failed(&ran), ["stream"]);
    assert!(ran.stdout.contains("default storage"), "{ran:#?}");
    assert_eq!(ran.summary()["grants"].as_array().unwrap().len(), 3);
}

#[test]
fn a_workspace_that_never_answers_is_given_up_and_signals_end_it() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let mut held = Vec::new();
        for tcp in listener.incoming() {
            held.push(tcp);
        }
    });
    let rig = Rig::new();
    let server = rig.emulator(&["--create", &create()]);
    let ran = doctor(&rig, &server, &["--workspace-url", &silent]);
    assert_eq!(failed(&ran), ["ws tls"]);
    // What it has started ends with it.
    let mut command = rig.command(["doctor", "--table", AIR, "--token-command"]);
    command.arg("echo $$ > pid; sleep 1000");
    let mut child = command.envs(server.env.clone()).spawn().unwrap();
    let pid = loop {
        let pid = std::fs::read_to_string(rig.path().join("pid")).unwrap_or_default();
        if pid.ends_with('\n') {
            break pid.trim().to_owned();
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    };
    crate::rig::signal(&child, "INT");
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let state = format!("/proc/{pid}/stat");
    let is_dead = || std::fs::read_to_string(&state).map_or(true, |s| s.contains(") Z "));
    while !is_dead() {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}

#[test]
fn a_stream_that_is_refused() {
    let rig = Rig::new();
    let fault = "fail:at=create,status=INTERNAL,message=no streams today";
    let server = rig.emulator(&["--create", &create(), "--fault", fault]);
    let ran = doctor(&rig, &server, &[]);
    assert_eq!(failed(&ran), ["stream"]);
    assert!(ran.stdout.contains("no streams today"), "{ran:#?}");
}
