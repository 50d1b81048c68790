//! Catalogs that cannot be asked, or have no such table: `--table-check auto`, `require` and
//! `off`.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use crate::rig::{AIR, Ran, Rig, air_row, sample};

/// An HTTP server that gives these answers to requests for tables, the last one again and
/// again, and a token to everybody. It keeps what it was asked.
pub(super) struct Catalog {
    pub(super) url: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Catalog {
    pub(super) fn new(answers: &[(u16, &str)]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let answers: Vec<(u16, String)> = answers.iter().map(|(s, b)| (*s, (*b).into())).collect();
        let kept = asked.clone();
        std::thread::spawn(move || {
            for tcp in listener.incoming() {
                let mut tcp = BufReader::new(tcp.unwrap());
                let mut head = String::new();
                while tcp.read_line(&mut head).unwrap() > 2 {}
                let length = head
                    .lines()
                    .find_map(|l| l.strip_prefix("content-length: "));
                let length: u64 = length.map_or(0, |n| n.parse().unwrap());
                std::io::copy(&mut tcp.by_ref().take(length), &mut std::io::sink()).unwrap();
                let mut asked = kept.lock().unwrap();
                let before = asked.iter().filter(|h| h.starts_with("GET")).count();
                let token = format!(
                    "{{\"access_token\":\"t{}\",\"expires_in\":900}}",
                    asked.len()
                );
                let (status, body) = match head.starts_with("GET") {
                    true => answers.get(before).or(answers.last()).unwrap().clone(),
                    false => (200, token),
                };
                asked.push(head);
                let length = body.len();
                let head = format!(
                    "HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n"
                );
                // A reader that has enough goes away.
                let _ = tcp.get_mut().write_all(head.as_bytes());
                let _ = tcp.get_mut().write_all(body.as_bytes());
            }
        });
        Self { url, asked }
    }

    /// The first lines of the requests, and the tokens that came with them.
    fn asked(&self) -> Vec<String> {
        let asked = self.asked.lock().unwrap();
        let line = |head: &String| {
            let first = head.lines().next().unwrap().to_owned();
            let token = head
                .lines()
                .find_map(|l| l.strip_prefix("authorization: Bearer "));
            [first.as_str(), token.unwrap_or_default()].join(" ")
        };
        asked.iter().map(line).collect()
    }
}

const ASK: &str = "GET /api/2.1/unity-catalog/tables/main.default.air_quality HTTP/1.1";

/// A load whose catalog is another server than the one that takes the rows.
pub(super) fn ingest_beside(catalog: &str, more: &[&str]) -> Ran {
    let rig = Rig::new();
    let server = rig.emulator(&["--auto-create", "--no-auth"]);
    rig.file("row.ndjson", air_row(1));
    let mut args = vec!["--workspace-url", catalog, "--recovery-backoff", "10ms"];
    args.push("row.ndjson");
    args.extend(more);
    let mut ran = Ran::of(&rig.remote(&server, &args).output().unwrap());
    ran.stderr = ran.stderr.replace(catalog, "CATALOG");
    ran
}

#[test]
fn a_catalog_that_gives_no_table_is_a_warning_or_a_failure() {
    let endless = "[".repeat(17 << 20);
    for (answer, warning, code, kind) in [
        (
            (404, "<html>nothing here</html>"),
            "answered 404 Not Found: <html>nothing here</html>",
            1,
            "settings",
        ),
        (
            (404, "{\"error_code\":\"ENDPOINT_NOT_FOUND\"}"),
            "answered 404 Not Found: ENDPOINT_NOT_FOUND",
            1,
            "settings",
        ),
        (
            (
                403,
                "{\"error_code\":\"PERMISSION_DENIED\",\"message\":\"no SELECT\"}",
            ),
            "answered 403 Forbidden: no SELECT",
            1,
            "credentials",
        ),
        (
            (503, "later"),
            "answered 503 Service Unavailable: later",
            5,
            "unavailable",
        ),
        (
            (429, "later"),
            "answered 429 Too Many Requests: later",
            5,
            "unavailable",
        ),
        ((302, ""), "answered 302 Found", 1, "settings"),
        (
            (200, "{\"columns\":[]}"),
            "is no table: it names no columns",
            1,
            "settings",
        ),
        ((200, "[[["), "is no table: ", 1, "settings"),
        (
            (200, &endless),
            "answered more than 16777216 bytes",
            1,
            "settings",
        ),
    ] {
        let catalog = Catalog::new(&[answer]);
        let ran = ingest_beside(&catalog.url, &["--no-recovery"]).exits(0);
        let told = "warning: the table's schema was not checked: ";
        assert!(
            ran.stderr.starts_with(told) && ran.stderr.lines().count() == 1,
            "{ran:#?}"
        );
        // A stream that is refused says the same once more.
        let shown = match kind {
            "credentials" => "Unity Catalog refuses the credentials",
            _ => warning,
        };
        assert!(ran.stderr.contains(shown), "{shown}: {ran:#?}");
        let require = ["--no-recovery", "--table-check", "require"];
        let ran = ingest_beside(&catalog.url, &require).exits(code);
        assert!(ran.stderr.contains(warning), "{warning}: {ran:#?}");
        assert_eq!(ran.summary()["error"]["kind"], kind, "{ran:#?}");
        assert_eq!(ran.summary()["records"]["read"], 0);
    }
    // A port that nobody listens on.
    let dead = TcpListener::bind("127.0.0.1:0").unwrap().local_addr();
    let dead = format!("http://{}", dead.unwrap());
    let ran = ingest_beside(&dead, &["--token", "t"]).exits(0);
    assert!(
        ran.stderr
            .contains("was not checked: no answer from CATALOG/api"),
        "{ran:#?}"
    );
    let off = ["--token", "t", "--table-check", "off"];
    let ran = ingest_beside(&dead, &off).exits(0);
    assert!(!ran.stderr.contains("not checked"), "{ran:#?}");
    // And one that takes connections and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let times = [
        "--token",
        "t",
        "--recovery-timeout",
        "1s",
        "--recovery-retries",
        "1",
    ];
    let require = [&times[..], &["--table-check", "require"]].concat();
    let ran = ingest_beside(&url, &require).exits(5);
    assert!(ran.stderr.contains("no answer within 1 s"), "{ran:#?}");
}

#[test]
fn what_may_pass_is_tried_again_and_a_dead_token_replaced_once() {
    let columns = r#"{"columns":[{"name":"device_name","type_text":"string"},{"name":"temp",
        "type_name":"INT"},{"name":"humidity","type_json":"\"long\""}]}"#;
    let token = "POST /oidc/v1/token HTTP/1.1 ";
    let ask = |token: &str| format!("{ASK} {token}");
    for how in ["require", "auto"] {
        let catalog = Catalog::new(&[(503, ""), (429, ""), (200, columns)]);
        let how = ["--recovery-retries", "1", "--table-check", how];
        let ran = ingest_beside(&catalog.url, &how).exits(0);
        assert!(!ran.stderr.contains("not checked"), "{ran:#?}");
        assert_eq!(catalog.asked(), [token, &ask("t0"), &ask("t0"), &ask("t0")]);
    }

    let catalog = Catalog::new(&[(401, ""), (200, columns)]);
    let ran = ingest_beside(&catalog.url, &[]).exits(0);
    assert_eq!(ran.stderr, "");
    assert_eq!(catalog.asked(), [token, &ask("t0"), token, &ask("t2")]);

    let catalog = Catalog::new(&[(401, "")]);
    let ran = ingest_beside(&catalog.url, &["--table-check", "require"]).exits(1);
    assert_eq!(ran.summary()["error"]["kind"], "credentials");
    assert_eq!(catalog.asked(), [token, &ask("t0"), token, &ask("t2")]);
}

#[test]
fn a_table_that_is_missing() {
    let rig = Rig::new();
    let server = rig.emulator(&["--auto-create"]);
    rig.file("row.ndjson", air_row(1));
    let run = |args: &[&str]| {
        let mut command = rig.command(["ingest", "--table", AIR, "row.ndjson", "-o", "json"]);
        Ran::of(
            &command
                .args(args)
                .envs(server.env.clone())
                .output()
                .unwrap(),
        )
    };
    let proto = sample("air_quality.proto");
    for args in [
        &["--json"][..],
        &["--json", "--table-check", "require"],
        &["--proto", &proto, "--table-check", "require"],
        &[],
    ] {
        let ran = run(args).exits(1);
        assert_eq!(ran.summary()["error"]["kind"], "not_found", "{ran:#?}");
        let told = "error: the table was not found: ";
        assert!(ran.stderr.starts_with(told), "{ran:#?}");
        assert!(ran.stderr.contains("main.default.air_quality"), "{ran:#?}");
        assert_eq!(ran.summary()["records"]["read"], 0);
    }
    // One that the server makes from the record.
    let ran = run(&["--proto", &proto]).exits(0);
    assert_eq!(ran.stderr, "");
    // Now it is there to be checked, and to be the record.
    run(&["--proto", &proto, "--table-check", "require"]).exits(0);
    run(&["--json", "--table-check", "require"]).exits(0);
    run(&[]).exits(0);
    assert_eq!(rig.air_rows().len(), 4);
}
