//! What breaks on the way: real connections cut at real places. Nothing that was
//! acknowledged is lost, and everything gets through in the end.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::rig::{Ran, Rig, Server, air_row, numbers};

/// Forwards connections to a server and cuts each of the first `cuts` after it has carried
/// `bytes` towards it.
struct Proxy {
    address: String,
    cut: Arc<AtomicUsize>,
}

impl Proxy {
    fn start(server: &Server, cuts: usize, bytes: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let upstream = server.address();
        let cut = Arc::new(AtomicUsize::new(0));
        let done = Arc::clone(&cut);
        thread::spawn(move || {
            for client in listener.incoming() {
                let Ok(client) = client else { return };
                let server = TcpStream::connect(&upstream).unwrap();
                let (from, to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                thread::spawn(move || forward(server, client, None));
                // Requests for tokens are short: they are never cut.
                let limit = (done.load(Ordering::SeqCst) < cuts).then_some(bytes);
                let done = Arc::clone(&done);
                thread::spawn(move || {
                    if forward(from, to, limit) {
                        done.fetch_add(1, Ordering::SeqCst);
                    }
                });
            }
        });
        Self { address, cut }
    }
}

/// Copies until the end or the limit; true if the limit cut it.
fn forward(mut from: TcpStream, mut to: TcpStream, mut limit: Option<usize>) -> bool {
    let mut buffer = vec![0; 16 << 10];
    let cut = loop {
        let n = match from.read(&mut buffer) {
            Ok(n) if n > 0 => n,
            _ => break false,
        };
        let n = limit.map_or(n, |limit| n.min(limit));
        if to.write_all(&buffer[..n]).is_err() {
            break false;
        }
        if let Some(limit) = &mut limit {
            *limit -= n;
            if *limit == 0 {
                break true;
            }
        }
    };
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
    cut
}

#[test]
fn connections_that_break_lose_nothing() {
    const ROWS: u64 = 60_000;
    const CUTS: usize = 5;
    let rig = Rig::new();
    let server = rig.emulator(&["--auto-create"]);
    let proxy = Proxy::start(&server, CUTS, 150_000);
    rig.file("rows.ndjson", (0..ROWS).map(air_row).collect::<String>());
    let mut command = rig.remote(&server, &["--max-inflight", "5000", "rows.ndjson"]);
    command
        .args(["--recovery-backoff", "10ms", "--recovery-retries", "20"])
        .env("ZEROBUS_ENDPOINT", format!("http://{}", proxy.address));
    let ran = Ran::of(&command.output().unwrap()).exits(0);
    assert_eq!(
        proxy.cut.load(Ordering::SeqCst),
        CUTS,
        "the faults took place"
    );
    let summary = ran.summary();
    assert_eq!(summary["records"]["acked"], ROWS);
    assert_eq!(summary["streams"][0]["reconnects"], CUTS);
    let resent = summary["records"]["resent"].as_u64().unwrap();
    assert!(resent > 0);
    assert_eq!(server.terminate(), 0);

    let landed = numbers(&rig.air_rows());
    let duplicates = landed.len() as u64 - ROWS;
    assert!(
        duplicates <= resent,
        "{duplicates} duplicates, {resent} resent"
    );
    let mut distinct = landed;
    distinct.sort_unstable();
    distinct.dedup();
    assert_eq!(
        distinct,
        (0..ROWS).collect::<Vec<_>>(),
        "every row is there"
    );
}

#[test]
fn a_server_that_is_killed_and_comes_back_loses_nothing() {
    const ROWS: u64 = 200_000;
    let rig = Rig::new();
    let client = "me:secret";
    let first = rig.emulator(&["--auto-create", "--client", client]);
    let address = first.address();
    rig.file("rows.ndjson", (0..ROWS).map(air_row).collect::<String>());
    let mut command = rig.remote(&first, &["--max-inflight", "2000", "rows.ndjson"]);
    command
        .args(["--recovery-backoff", "50ms", "--recovery-retries", "100"])
        .env("DATABRICKS_CLIENT_SECRET", "secret");
    let loader = command.spawn().unwrap();
    // Once a part is durable the server is killed; another one takes the port.
    rig.wait_for_version(3);
    drop(first);
    let second = rig.emulator(&["--client", client, "--listen", &address]);
    let ran = Ran::of(&loader.wait_with_output().unwrap()).exits(0);
    assert_eq!(ran.summary()["records"]["acked"], ROWS);
    assert_eq!(ran.summary()["streams"][0]["reconnects"], 1, "{ran:#?}");
    assert_eq!(second.terminate(), 0);
    let mut landed = numbers(&rig.air_rows());
    assert!(
        landed.len() as u64 - ROWS <= 2_000,
        "at most the window is there twice"
    );
    landed.sort_unstable();
    landed.dedup();
    assert_eq!(landed, (0..ROWS).collect::<Vec<_>>());
}

fn load_one_row(rig: &Rig, server: &Server) -> Ran {
    rig.file("row.ndjson", air_row(1));
    let mut command = rig.remote(server, &["--recovery-backoff", "10ms", "row.ndjson"]);
    Ran::of(&command.output().unwrap())
}

#[test]
fn a_server_that_cannot_store_acknowledges_nothing() {
    let rig = Rig::new();
    let server = rig.emulator(&["--auto-create"]);
    let ingest = || load_one_row(&rig, &server);
    ingest().exits(0);
    // The log gives way to a file: no commit can stand.
    let table = rig.path().join("wh/main/default/air_quality");
    let (log, aside) = (table.join("_delta_log"), table.join("aside"));
    std::fs::rename(&log, &aside).unwrap();
    std::fs::write(&log, "").unwrap();
    let ran = ingest().exits(5);
    assert_eq!(ran.summary()["records"]["acked"], 0);
    assert_eq!(ran.summary()["records"]["in_doubt"], 1);
    std::fs::remove_file(&log).unwrap();
    std::fs::rename(&aside, &log).unwrap();
    assert_eq!(numbers(&rig.air_rows()), [1]);
}

#[test]
fn a_table_that_is_removed_acknowledges_nothing_more() {
    let rig = Rig::new();
    let create =
        "CREATE TABLE main.default.air_quality (device_name STRING, temp INT, humidity BIGINT)";
    let server = rig.emulator(&["--create", create]);
    let ingest = || load_one_row(&rig, &server);
    ingest().exits(0);
    std::fs::remove_dir_all(rig.path().join("wh/main/default/air_quality")).unwrap();
    let ran = ingest().exits(1);
    assert!(ran.stderr.contains("does not exist"), "{ran:#?}");
    assert_eq!(ran.summary()["records"]["acked"], 0);
}
