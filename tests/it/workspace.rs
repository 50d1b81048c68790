//! Whoever answers for the workspace: login pages, redirects, endless answers, certificates
//! that nobody trusts, echoes of secrets; and loads that name no workspace.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

use crate::rig::{Ran, Rig, air_row};

/// An HTTP server that gives every request the answer made of its head.
fn workspace(answer: impl Fn(&str, &mut TcpStream) + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for tcp in listener.incoming() {
            let mut tcp = BufReader::new(tcp.unwrap());
            let mut head = String::new();
            while tcp.read_line(&mut head).unwrap() > 2 {}
            let mut lines = head.lines();
            let length = lines.find_map(|l| l.strip_prefix("content-length: "));
            let length: u64 = length.map_or(0, |n| n.parse().unwrap());
            std::io::copy(&mut tcp.by_ref().take(length), &mut std::io::sink()).unwrap();
            answer(&head, tcp.get_mut());
        }
    });
    url
}

fn respond(tcp: &mut TcpStream, status: &str, headers: &str, body: &str) {
    let length = body.len();
    let head = format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {length}\r\n");
    // A reader that has enough goes away.
    let _ = tcp.write_all(format!("{head}{headers}\r\n{body}").as_bytes());
}

/// A load whose workspace is another server than the one that takes the rows.
fn ingest_beside(workspace: &str, more: &[&str]) -> Ran {
    let rig = Rig::new();
    let server = rig.emulator(&["--auto-create", "--no-auth"]);
    rig.file("row.ndjson", air_row(1));
    rig.file("token", TOKEN);
    rig.file("secret", SECRET);
    let quickly = ["--recovery-backoff", "10ms", "--recovery-retries", "1"];
    let mut command = rig.remote(&server, &quickly);
    command.args(["--workspace-url", workspace, "row.ndjson"]);
    Ran::of(&command.args(more).output().unwrap())
}

const TOKEN: &str = "dapi-0123456789-token";
const SECRET: &str = "dose-0123456789-secret";
const BY_TOKEN: [&str; 4] = ["--token-file", "token", "--table-check", "require"];
const BY_SECRET: [&str; 4] = ["--client-id", "me", "--client-secret-file", "secret"];

#[test]
fn who_is_no_workspace_is_named_as_such() {
    const LOGIN: &str = "<html>Sign in to continue</html>";
    for (status, headers, body, told) in [
        ("200 OK", "", LOGIN, ""),
        ("404 Not Found", "", LOGIN, "404 Not Found"),
        (
            "302 Found",
            "location: https://login.example.com/x?y=z\r\n",
            "",
            "and points to login.example.com",
        ),
        (
            "301 Moved Permanently",
            "location: //other.example.com/\r\n",
            "",
            "and points to other.example.com",
        ),
    ] {
        let url = workspace(move |_, tcp| respond(tcp, status, headers, body));
        for flags in [BY_TOKEN, BY_SECRET] {
            let ran = ingest_beside(&url, &flags).exits(1);
            assert_eq!(ran.summary()["error"]["kind"], "settings", "{ran:#?}");
            let hint = "hint: check --workspace-url (DATABRICKS_HOST)";
            for told in ["the workspace URL is not that of a workspace", told, hint] {
                assert!(ran.stderr.contains(told), "{told}: {ran:#?}");
            }
            assert!(!ran.stderr.contains("reconnecting"), "{ran:#?}");
        }
    }
}

#[test]
fn a_workspace_that_is_away_is_looked_for_under_its_own_flag() {
    let dead = TcpListener::bind("127.0.0.1:0").unwrap().local_addr();
    let dead = format!("http://{}", dead.unwrap());
    let busy = |status| workspace(move |_, tcp| respond(tcp, status, "", "later"));
    for url in [dead, busy("503 Service Unavailable"), busy("500 Oh")] {
        for flags in [BY_TOKEN, BY_SECRET] {
            let ran = ingest_beside(&url, &flags).exits(5);
            let hint = "hint: check --workspace-url (DATABRICKS_HOST) and the network";
            assert!(ran.stderr.contains(hint), "{ran:#?}");
        }
    }
    // A port that speaks TLS.
    let rig = Rig::new();
    let tls = rig.emulator(&["--tls"]);
    let plain = tls.url().replace("https://", "http://");
    let ran = ingest_beside(&plain, &BY_TOKEN).exits(5);
    assert!(ran.stderr.contains("name it as https://"), "{ran:#?}");
}

#[test]
fn a_certificate_of_the_workspace_that_is_not_trusted() {
    let rig = Rig::new();
    let tls = rig.emulator(&["--tls"]);
    for flags in [BY_TOKEN, BY_SECRET] {
        let ran = ingest_beside(tls.url(), &flags).exits(1);
        assert_eq!(ran.summary()["error"]["kind"], "settings");
        for told in ["certificate is not trusted", "SSL_CERT_FILE=FILE"] {
            assert!(ran.stderr.contains(told), "{ran:#?}");
        }
    }
}

#[test]
fn an_endless_answer_is_not_read_to_its_end() {
    let url = workspace(|_, tcp| {
        let mut written = 0_u64;
        let _ = tcp.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n");
        // Ends when nobody reads any more.
        while tcp.write_all(&[b' '; 65_536]).is_ok() {
            written += 65_536;
            assert!(written < 1 << 30, "a gibibyte was read");
        }
    });
    let ran = ingest_beside(&url, &BY_SECRET).exits(1);
    assert!(
        ran.stderr
            .contains("/oidc/v1/token answered more than 1048576 bytes"),
        "{ran:#?}"
    );
    let ran = ingest_beside(&url, &BY_TOKEN).exits(1);
    assert!(
        ran.stderr.contains("answered more than 16777216 bytes"),
        "{ran:#?}"
    );
}

#[test]
fn what_a_server_echoes_is_not_shown() {
    for status in [
        "401 Unauthorized",
        "403 Forbidden",
        "404 Not Found",
        "500 Oh",
    ] {
        let url = workspace(move |head, tcp| {
            let shown = head.lines().find_map(|l| l.strip_prefix("authorization: "));
            // So far in that a cut goes through the middle of it.
            let body = format!("{}[{}] and {SECRET}", ".".repeat(280), shown.unwrap());
            respond(tcp, status, "", &body);
        });
        for flags in [BY_TOKEN, BY_SECRET] {
            let ran = ingest_beside(&url, &flags);
            assert_ne!(ran.code, 0);
            assert!(ran.stderr.contains("..[B"), "{ran:#?}");
            assert!(ran.stderr.contains(" ***"), "{ran:#?}");
            for secret in [&TOKEN[..6], &SECRET[..6], "bWU6ZG9z"] {
                assert!(!ran.stderr.contains(secret), "{ran:#?}");
                assert!(!ran.stdout.contains(secret), "{ran:#?}");
            }
        }
    }
    // On gRPC.
    let rig = Rig::new();
    let fault = format!("fail:at=create,status=PERMISSION_DENIED,message=not {TOKEN}\\, no");
    let server = rig.emulator(&["--auto-create", "--no-auth", "--fault", &fault]);
    rig.file("row.ndjson", air_row(1));
    rig.file("token", TOKEN);
    let mut command = rig.remote(&server, &["--token-file", "token", "row.ndjson"]);
    let ran = Ran::of(&command.output().unwrap()).exits(1);
    assert!(ran.stderr.contains("not ***, no"), "{ran:#?}");
    assert!(
        ran.stderr.contains("hint: check that the token"),
        "{ran:#?}"
    );
    assert!(!ran.stdout.contains(TOKEN), "{ran:#?}");
}

#[test]
fn a_token_needs_a_workspace_only_for_the_table() {
    let rig = Rig::new();
    rig.file("row.ndjson", air_row(1));
    rig.file("token", TOKEN);
    // A name that never resolves: nobody is asked.
    let base = [
        "ingest",
        "--table",
        "main.default.t",
        "--token-file",
        "token",
    ];
    let base = [
        &base[..],
        &["--endpoint", "1.zerobus.invalid", "row.ndjson"],
    ]
    .concat();
    let proto = crate::rig::sample("air_quality.proto");
    let proto = ["--proto", &proto];
    for more in [
        &[][..],
        &[&proto[..], &["--table-check", "require"]].concat(),
    ] {
        let ran = rig.run(&[&base[..], more].concat()).exits(1);
        let told = "error: no workspace URL is given; the table's schema cannot be fetched\n  hint: give --workspace-url or set DATABRICKS_HOST\n";
        assert!(ran.stderr.contains(told), "{ran:#?}");
    }
    let more = [&proto[..], &["--recovery-retries", "0"]].concat();
    let ran = rig.run(&[&base[..], &more].concat()).exits(5);
    assert!(
        ran.stderr
            .starts_with("error: the service is unavailable: cannot connect"),
        "{ran:#?}"
    );
    // The local server is its own workspace.
    let server = rig.emulator(&["--auto-create", "--no-auth"]);
    let mut command = rig.remote(&server, &["--token-file", "token", "row.ndjson"]);
    command.env_remove("DATABRICKS_HOST");
    Ran::of(&command.output().unwrap()).exits(0);
    command.args(["--table-check", "require"]);
    Ran::of(&command.output().unwrap()).exits(0);
}
