//! The status page and its JSON, over HTTP. How a browser shows it is seen by
//! `tests/status_page.py`.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};

use crate::rig::{AIR, Ran, Rig, Server, air_row, signal};

const ROWS: u64 = 3_000;

/// The head and the body of the answer to a request.
fn request(server: &Server, line: &str, more: &str) -> (String, String) {
    let mut tcp = TcpStream::connect(server.address()).unwrap();
    write!(
        tcp,
        "{line} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{more}\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    tcp.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.to_lowercase(), body.to_owned())
}

fn status(server: &Server) -> Value {
    let (head, body) = request(server, "GET /status.json", "");
    assert!(head.starts_with("http/1.1 200 "), "{head}");
    assert!(
        head.contains("\r\ncontent-type: application/json"),
        "{head}"
    );
    serde_json::from_str(&body).unwrap()
}

/// The status once it is as it shall become.
fn status_when(server: &Server, is_so: impl Fn(&Value) -> bool) -> Value {
    // Far more often than it takes.
    for _ in 0..3_000 {
        let status = status(server);
        if is_so(&status) {
            return status;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("it never came to that: {:#}", status(server));
}

fn rig() -> Rig {
    let rig = Rig::new();
    rig.file("rows.ndjson", (0..ROWS).map(air_row).collect::<String>());
    rig
}

fn load(rig: &Rig, server: &Server, more: &[&str]) -> Ran {
    let mut command = rig.remote(server, more);
    Ran::of(&command.arg("rows.ndjson").output().unwrap())
}

/// The one table.
fn table(status: &Value) -> &Value {
    let tables = status["tables"]["shown"].as_array().unwrap();
    assert_eq!(tables.len(), 1, "{status:#}");
    &tables[0]
}

#[test]
fn a_browser_is_not_led_here_by_another_name() {
    let rig = Rig::new();
    let status = |server: &Server, host: &str| {
        let mut tcp = TcpStream::connect(server.address()).unwrap();
        let request = format!("GET /status.json HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n");
        write!(tcp, "{request}\r\n").unwrap();
        let mut answer = String::new();
        tcp.read_to_string(&mut answer).unwrap();
        answer["HTTP/1.1 ".len()..][..3].to_owned()
    };
    let flags = ["--enforce-grants", "--token-ttl", "5m"];
    let server = rig.emulator(&flags);
    for own in ["localhost", "LOCALHOST:1", "127.0.0.1:8585", "[::1]:8585"] {
        assert_eq!(status(&server, own), "200", "{own}");
    }
    for other in [
        "attacker.example",
        "localhost.attacker.example:80",
        "10.0.0.1",
    ] {
        assert_eq!(status(&server, other), "403", "{other}");
    }
    let modes = json!(["enforce-grants", "token-ttl 300s"]);
    assert_eq!(self::status(&server)["server"]["modes"], modes);
    assert_eq!(server.terminate(), 0);
    // Whoever opens it to others has given it a name.
    let server = rig.emulator(&["--listen", "0.0.0.0:0"]);
    assert_eq!(status(&server, "build.example"), "200");
    assert_eq!(server.terminate(), 0);
}

#[test]
fn a_load_is_seen_while_it_runs() {
    let rig = rig();
    // Rows are committed at once, and acknowledged when nobody waits any more.
    let flags = ["--auto-create", "--fault", "delay:for=1h"];
    let server = rig.emulator(&flags);
    let before = status(&server);
    assert_eq!(before["tables"], json!({"shown": [], "more": false}));
    assert_eq!(before["streams"], json!([]));
    let modes = json!(["auto-create", "faults 1, seed 0"]);
    assert_eq!(before["server"]["modes"], modes);
    let dir = rig.path().join("wh").canonicalize().unwrap();
    assert_eq!(before["server"]["directory"], dir.to_str().unwrap());

    let mut loader = rig.remote(&server, &["rows.ndjson"]).spawn().unwrap();
    let status = status_when(&server, |status| {
        status["tables"]["shown"][0]["rows"] == ROWS
    });
    let table = table(&status);
    assert_eq!(
        (&table["name"], &table["open"]),
        (&json!(AIR), &json!(true))
    );
    assert_eq!(table["version"], table["files"], "each commit was a file");
    assert!(table["bytes"].as_u64().unwrap() > 0);
    let [stream] = &status["streams"].as_array().unwrap()[..] else {
        panic!("{status:#}")
    };
    assert_eq!(stream["table"], AIR);
    assert!(stream["client"].as_str().unwrap().starts_with("zerobus/"));
    assert_eq!(stream["records_received"], ROWS);
    assert_eq!(stream["records_acked"], 0);
    assert_eq!(stream["last_acked"], json!(null));
    assert!(stream["last_received"].as_i64().unwrap() >= 0);
    assert_eq!(status["streams_live"], 1);
    // The second in which they came is over at some time.
    status_when(&server, |status| {
        let seconds = status["received_by_second"].as_array().unwrap();
        seconds.iter().map(|n| n.as_u64().unwrap()).sum::<u64>() == ROWS
    });

    signal(&loader, "KILL");
    loader.wait().unwrap();
    let after = status_when(&server, |status| status["streams_live"] == 0);
    assert_eq!(after["streams_created"], 1);
    assert_eq!(
        after["refusals"],
        json!([]),
        "a client that goes is not refused"
    );
}

#[test]
fn acknowledged_rows_are_counted() {
    let rig = rig();
    let server = rig.emulator(&["--auto-create"]);
    let slowly = ["--rate-limit", "1000", "--batch-records", "100"];
    let mut loader = rig.remote(&server, &slowly);
    let loader = loader.arg("rows.ndjson").spawn().unwrap();
    let status = status_when(&server, |status| {
        status["streams"][0]["records_acked"].as_u64() >= Some(200)
    });
    let stream = &status["streams"][0];
    let [received, acked] = ["records_received", "records_acked"].map(|k| stream[k].as_u64());
    assert!(acked <= received, "{stream}");
    assert!(stream["last_acked"].as_i64().unwrap() >= 1, "{stream}");
    assert!(table(&status)["rows"].as_u64() >= acked, "{status:#}");
    Ran::of(&loader.wait_with_output().unwrap()).exits(0);
}

#[test]
fn refusals_are_told_and_secrets_are_not() {
    let rig = rig();
    let server = rig.emulator(&[]);
    let wrong = [
        "--client-id",
        "emulator",
        "--client-secret",
        "a-wrong-secret",
    ];
    load(&rig, &server, &wrong).exits(1);
    let token = ["--recovery-retries", "0", "--token", "a-made-up-token"];
    load(&rig, &server, &token).exits(1);
    let hostile = "main.default.<img>";
    let mut command = rig.command(["ingest", "--table", hostile, "--json", "rows.ndjson"]);
    // The stream is to be refused, not the question before it.
    command.args(["--table-check", "off"]);
    let output = command.envs(server.env.clone()).output();
    Ran::of(&output.unwrap()).exits(1);
    let status = status(&server);
    let refusals = status["refusals"].as_array().unwrap();
    let told = |n: usize| ["code", "table", "reason"].map(|k| refusals[n][k].as_str().unwrap());
    assert_eq!(refusals.len(), 3, "{refusals:#?}");
    assert_eq!(
        told(0),
        [
            "NotFound",
            hostile,
            "table main.default.<img> does not exist"
        ]
    );
    assert_eq!(
        told(1),
        [
            "Unauthenticated",
            AIR,
            "the token is unknown or has expired"
        ]
    );
    let reason = "client id or secret is wrong or missing (HTTP Basic)";
    assert_eq!(told(2), ["401 Unauthorized", "", reason]);
    for refusal in refusals {
        assert!(refusal["client"].as_str().unwrap().starts_with("zerobus/"));
        assert!(refusal["at_ms"].as_u64() <= status["now_ms"].as_u64());
    }
    let text = status.to_string();
    for secret in [
        server.env("DATABRICKS_CLIENT_SECRET"),
        "a-wrong-secret",
        "a-made-up-token",
    ] {
        assert!(!text.contains(secret), "{text}");
    }
}

#[test]
fn a_refused_row_is_told_by_its_stream() {
    let rig = rig();
    let server = rig.emulator(&[
        "--auto-create",
        "--fault",
        "refuse-row:contains=sensor-3,times=1",
    ]);
    load(&rig, &server, &["--no-recovery"]).exits(1);
    let refusal = &status(&server)["refusals"][0];
    assert_eq!(
        (&refusal["code"], &refusal["table"]),
        (&json!("InvalidArgument"), &json!(AIR))
    );
    let reason = refusal["reason"].as_str().unwrap();
    assert!(reason.contains("record 3: refused on purpose"), "{reason}");
}

#[test]
fn after_a_restart_the_counts_are_those_on_disk() {
    let rig = rig();
    let server = rig.emulator(&["--auto-create"]);
    load(&rig, &server, &[]).exits(0);
    let before = table(&status(&server)).clone();
    assert_eq!(before["rows"], ROWS);
    assert_eq!(server.terminate(), 0);
    // Something that looks like a table and is none.
    let broken = rig.path().join("wh/main/default/broken/_delta_log");
    std::fs::create_dir_all(&broken).unwrap();
    std::fs::write(broken.join("00000000000000000000.json"), "no JSON").unwrap();

    let server = rig.emulator(&[]);
    let now = status(&server);
    let tables = now["tables"]["shown"].as_array().unwrap();
    assert_eq!(tables.len(), 2, "{now:#}");
    for key in ["name", "rows", "version", "files", "bytes"] {
        assert_eq!(tables[0][key], before[key], "{key}");
    }
    assert_eq!(
        (&before["open"], &tables[0]["open"]),
        (&json!(true), &json!(false))
    );
    assert_eq!(tables[1]["name"], "main.default.broken");
    assert_ne!(tables[1]["problem"], "");
    assert_eq!(tables[1].get("rows"), None);
    // Looking at it has not opened it; a load does, and goes on counting.
    load(&rig, &server, &[]).exits(0);
    let again = status(&server);
    assert_eq!(again["tables"]["shown"][0]["rows"], 2 * ROWS);
    assert_eq!(again["tables"]["shown"][0]["open"], true);
}

#[test]
fn browsers_get_a_page_that_loads_nothing_from_elsewhere() {
    let rig = Rig::new();
    let server = rig.emulator(&[]);
    let accept = "accept: text/html,application/xhtml+xml,*/*;q=0.8\r\n";
    let (head, page) = request(&server, "GET /", accept);
    assert!(
        head.contains("\r\ncontent-type: text/html; charset=utf-8"),
        "{head}"
    );
    assert!(page.starts_with("<!doctype html>") && page.contains("<caption>Tables"));
    for (path, kind) in [
        ("/status.js", "text/javascript"),
        ("/status.css", "text/css"),
    ] {
        assert!(page.contains(&format!("=\"{path}\"")), "{path}");
        let (head, text) = request(&server, &format!("GET {path}"), "");
        assert!(
            head.contains(&format!("\r\ncontent-type: {kind}")),
            "{head}"
        );
        assert!(!text.is_empty() && !text.contains("://"), "{path}");
    }
    assert!(!page.contains("://"), "nothing from other hosts");
    for path in ["/", "/status.js", "/status.css", "/status.json"] {
        let (head, _) = request(&server, &format!("GET {path}"), accept);
        assert!(
            head.contains("\r\ncontent-security-policy: default-src 'none';"),
            "{head}"
        );
        assert!(
            head.contains("\r\nx-content-type-options: nosniff"),
            "{head}"
        );
    }
    // Whoever is no browser gets a line.
    for accept in ["", "accept: */*\r\n"] {
        let (head, line) = request(&server, "GET /", accept);
        assert!(head.contains("\r\ncontent-type: text/plain"), "{head}");
        assert_eq!(line.lines().count(), 1, "{line}");
    }
}

#[test]
fn a_client_that_does_not_trust_the_ca_is_told_of() {
    let rig = rig();
    let mut server = rig.emulator(&["--tls"]);
    let http = reqwest::Certificate::from_pem(&std::fs::read(server.env("SSL_CERT_FILE")).unwrap());
    server.env.retain(|(name, _)| name != "SSL_CERT_FILE");
    load(&rig, &server, &[]).exits(1);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let status: Value = runtime.block_on(async {
        let client = reqwest::Client::builder()
            .no_proxy()
            .tls_certs_only([http.unwrap()]);
        let answer = client
            .build()
            .unwrap()
            .get(format!("{}/status.json", server.url()));
        answer.send().await.unwrap().json().await.unwrap()
    });
    assert_eq!(status["server"]["modes"], json!(["tls"]));
    assert_eq!(status["refusals"][0]["code"], "TLS", "{status:#}");
    let reason = status["refusals"][0]["reason"].as_str().unwrap();
    assert!(reason.contains("UnknownCA"), "{reason}");
}
