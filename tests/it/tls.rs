//! The server over TLS, and the loader against it: what is trusted, and what is said when
//! it is not.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;

use crate::rig::{Ran, Rig, Server, air_row, numbers};

fn server(rig: &Rig, more: &[&str]) -> Server {
    rig.emulator(&[&["--tls", "--auto-create"], more].concat())
}

fn load(rig: &Rig, server: &Server, more: &[&str]) -> Ran {
    let flags = ["--recovery-backoff", "10ms", "--recovery-retries", "1"];
    let mut command = rig.remote(server, &flags);
    Ran::of(&command.args(more).arg("rows.ndjson").output().unwrap())
}

/// A rig with so many rows in `rows.ndjson`.
fn rig(rows: u64) -> Rig {
    let rig = Rig::new();
    rig.file("rows.ndjson", (0..rows).map(air_row).collect::<String>());
    rig
}

#[test]
fn a_load_over_tls_trusts_the_ca_that_is_printed() {
    let rig = rig(20_000);
    let server = server(&rig, &[]);
    assert!(server.url().starts_with("https://localhost:"));
    assert_eq!(server.env("DATABRICKS_HOST"), server.url());
    let ca = rig.path().join("wh/ca.pem").canonicalize().unwrap();
    assert_eq!(server.env("SSL_CERT_FILE"), ca.to_str().unwrap());
    // The token and the stream; loopback goes through no proxy.
    let mut command = rig.remote(&server, &["rows.ndjson"]);
    command.envs([
        ("HTTPS_PROXY", "http://127.0.0.1:9"),
        ("ALL_PROXY", "http://127.0.0.1:9"),
    ]);
    let ran = Ran::of(&command.output().unwrap()).exits(0);
    assert_eq!(ran.summary()["records"]["acked"], 20_000);
    // By address, too.
    let by_address = server.url().replace("localhost", "127.0.0.1");
    let urls = ["--endpoint", &by_address, "--workspace-url", &by_address];
    load(&rig, &server, &urls).exits(0);
    assert_eq!(numbers(&rig.air_rows()).len(), 40_000);
    assert_eq!(server.terminate(), 0);
}

#[test]
fn a_certificate_that_is_not_trusted_is_named_as_such() {
    let rig = rig(10);
    let mut server = server(&rig, &[]);
    server.env.retain(|(name, _)| name != "SSL_CERT_FILE");
    // Neither the secret nor a token is sent to whoever that is, nor is it tried again.
    for more in [&[][..], &["--token", "t"]] {
        let ran = load(&rig, &server, more).exits(1);
        assert_eq!(ran.summary()["error"]["kind"], "settings");
        for told in [
            "certificate is not trusted",
            "UnknownIssuer",
            "SSL_CERT_FILE=FILE",
        ] {
            assert!(ran.stderr.contains(told), "{}", ran.stderr);
        }
        assert!(!ran.stderr.contains("reconnecting"), "{}", ran.stderr);
    }
}

#[test]
fn a_server_goes_by_the_names_of_its_certificate() {
    let rig = rig(10);
    let server = server(&rig, &["--listen", "0.0.0.0:0"]);
    assert!(server.url().starts_with("https://localhost:"));
    load(&rig, &server, &[]).exits(0);
    let other = server.url().replace("localhost", "127.0.0.2");
    let ran = load(&rig, &server, &["--workspace-url", &other]).exits(1);
    assert!(ran.stderr.contains("not valid for name"), "{}", ran.stderr);
}

#[test]
fn the_ca_is_kept_and_its_key_is_nobody_elses() {
    let rig = rig(10);
    let files = || ["wh/ca.pem", "wh/ca.key"].map(|f| std::fs::read(rig.path().join(f)).unwrap());
    let first = server(&rig, &[]);
    let made = files();
    let key = rig.path().join("wh/ca.key");
    assert_eq!(key.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(first.terminate(), 0);
    // A client that trusts the first server's CA trusts the next one, also on another address.
    rig.file("kept.pem", &made[0]);
    let mut second = server(&rig, &["--listen", "127.0.0.3:0"]);
    assert!(second.url().starts_with("https://127.0.0.3:"));
    assert_eq!(files(), made);
    second.env.push(("SSL_CERT_FILE".into(), "kept.pem".into()));
    load(&rig, &second, &[]).exits(0);
    assert_eq!(second.terminate(), 0);
    // A lost certificate is made again for the same key, which the old one still fits.
    std::fs::remove_file(rig.path().join("wh/ca.pem")).unwrap();
    let mut third = server(&rig, &[]);
    third.env.push(("SSL_CERT_FILE".into(), "kept.pem".into()));
    load(&rig, &third, &[]).exits(0);
    assert_eq!(third.terminate(), 0);
    // A key without its certificate, and one that is none.
    let start = [
        "emulator",
        "--dir",
        "wh",
        "--tls",
        "--listen",
        "127.0.0.1:0",
    ];
    let other = Rig::new();
    assert_eq!(server(&other, &[]).terminate(), 0);
    rig.file(
        "wh/ca.pem",
        std::fs::read(other.path().join("wh/ca.pem")).unwrap(),
    );
    let ran = rig.run(&start).exits(1);
    assert!(
        ran.stderr.contains("ca.pem: it does not belong to ca.key"),
        "{}",
        ran.stderr
    );
    for broken in ["", "-----BEGIN PRIVATE KEY-----\n"] {
        rig.file("wh/ca.key", broken);
        let ran = rig.run(&start).exits(1);
        assert!(ran.stderr.contains("ca.key: "), "{}", ran.stderr);
        let told = "remove it and ca.pem, and a new CA is made";
        assert!(ran.stderr.contains(told), "{}", ran.stderr);
    }
}

#[test]
fn a_ca_that_is_not_the_servers_own_is_neither_used_nor_overwritten() {
    let rig = Rig::new();
    let start = [
        "emulator",
        "--dir",
        "wh",
        "--tls",
        "--listen",
        "127.0.0.1:0",
    ];
    std::fs::create_dir(rig.path().join("wh")).unwrap();
    let mine = rig.file("mine.pem", "precious");
    let ca = rig.path().join("wh/ca.pem");
    std::os::unix::fs::symlink(&mine, &ca).unwrap();
    for _ in 0..2 {
        let ran = rig.run(&start).exits(1);
        assert!(
            ran.stderr.contains("ca.pem: there is no ca.key"),
            "{}",
            ran.stderr
        );
        assert_eq!(std::fs::read(&mine).unwrap(), b"precious");
    }
    std::fs::remove_file(&ca).unwrap();
    assert_eq!(server(&rig, &[]).terminate(), 0);
    let key = rig.path().join("wh/ca.key");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o640)).unwrap();
    let ran = rig.run(&start).exits(1);
    assert!(
        ran.stderr.contains("ca.key: others may read"),
        "{}",
        ran.stderr
    );
    assert!(ran.stderr.contains("chmod 600"), "{}", ran.stderr);
}

#[test]
fn tls_on_one_side_only_is_told() {
    let rig = rig(10);
    let tls = server(&rig, &[]);
    let plain = tls.url().replace("https", "http");
    for flag in ["--endpoint", "--workspace-url"] {
        let ran = load(&rig, &tls, &[flag, &plain]).exits(5);
        assert!(ran.stderr.contains("name it as https://"), "{}", ran.stderr);
    }
    assert_eq!(tls.terminate(), 0);
    let mut plain = rig.emulator(&["--auto-create"]);
    plain.env.push(("SSL_CERT_FILE".into(), "wh/ca.pem".into()));
    let tls = plain.url().replace("http", "https");
    for flag in ["--endpoint", "--workspace-url"] {
        let ran = load(&rig, &plain, &[flag, &tls]).exits(5);
        assert!(ran.stderr.contains("is it http://?"), "{}", ran.stderr);
    }
}

#[test]
fn handshakes_that_fail_or_stall_hold_nobody_up() {
    let rig = rig(10);
    let server = server(&rig, &[]);
    // Says nothing, for as long as the test takes.
    let silent = TcpStream::connect(server.address()).unwrap();
    let mut plain = TcpStream::connect(server.address()).unwrap();
    plain
        .write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        .unwrap();
    let mut answer = Vec::new();
    let _ = plain.read_to_end(&mut answer);
    assert!(
        !answer.starts_with(b"HTTP"),
        "nothing is served in plaintext"
    );
    load(&rig, &server, &[]).exits(0);
    drop(silent);
    assert_eq!(server.terminate(), 0);
}

#[tokio::test]
async fn the_configuration_says_https() {
    let rig = Rig::new();
    let server = server(&rig, &[]);
    let ca = std::fs::read(server.env("SSL_CERT_FILE")).unwrap();
    let ca = reqwest::Certificate::from_pem(&ca).unwrap();
    let http = reqwest::Client::builder().no_proxy().tls_certs_only([ca]);
    let url = format!("{}/.well-known/databricks-config", server.url());
    let answer = http.build().unwrap().get(url).send().await.unwrap();
    let config: serde_json::Value = answer.json().await.unwrap();
    assert_eq!(config["oidc_endpoint"], format!("{}/oidc", server.url()));
}

#[test]
fn a_cut_is_one_over_tls_too() {
    let rows = 50_000;
    let rig = rig(rows);
    let server = server(&rig, &["--fault", "drop:after=15000,times=2"]);
    let flags = ["--recovery-backoff", "10ms", "--recovery-retries", "20"];
    let mut command = rig.remote(&server, &flags);
    let ran = Ran::of(&command.arg("rows.ndjson").output().unwrap()).exits(0);
    let summary = ran.summary();
    assert_eq!(summary["streams"][0]["reconnects"], 2);
    assert!(summary["records"]["resent"].as_u64().unwrap() > 0);
    assert_eq!(server.terminate(), 0);
    let mut landed = numbers(&rig.air_rows());
    landed.sort_unstable();
    landed.dedup();
    assert_eq!(landed, (0..rows).collect::<Vec<_>>());
    // Nobody has said why: the connection is gone.
    let server = self::server(&rig, &["--fault", "drop:after=15000"]);
    let mut command = rig.remote(&server, &["--no-recovery", "rows.ndjson"]);
    let ran = Ran::of(&command.output().unwrap()).exits(5);
    assert!(!ran.stderr.contains("is cut"), "{}", ran.stderr);
}
