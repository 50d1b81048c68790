//! A gateway whose service misbehaves, and its start and end.

use super::*;

/// Promise: what was answered 200 is in the table, and so is what was answered 202 once the
/// gateway has ended.
#[tokio::test]
async fn a_signal_flushes_what_was_queued() {
    let mut gateway = Gateway::new(&["delay:for=200ms"], &[]);
    for n in 0..200 {
        assert_eq!(gateway.post(ONE, row(n)).await.status, 202);
    }
    assert_eq!(gateway.terminate(), 0);
    assert_eq!(gateway.numbers("station_one"), (0..200).collect::<Vec<_>>());
}

#[tokio::test]
async fn lost_connections_lose_no_record() {
    let faults = [
        "drop:after=50,times=3",
        "close:after=80,times=2,grace=100ms",
    ];
    let mut gateway = Gateway::new(&faults, &[]);
    for n in 0..300 {
        let path = if n % 20 == 0 { DURABLE } else { ONE };
        let answer = gateway.post(path, row(n)).await;
        assert!(matches!(answer.status, 200 | 202), "{answer:?}");
    }
    assert_eq!(gateway.terminate(), 0);
    let mut landed = gateway.numbers("station_one");
    landed.dedup();
    assert_eq!(landed, (0..300).collect::<Vec<_>>());
}

/// A request past its deadline says that its record may be durable.
#[tokio::test]
async fn a_durable_request_has_its_deadline() {
    let gateway = Gateway::new(&["delay:for=1h"], &["--deadline", "200ms"]);
    let answer = gateway.post(DURABLE, row(1)).await;
    assert_eq!(
        (answer.status, &answer.body["in_doubt"]),
        (504, &json!(true))
    );
    let answer = gateway.post("/flush/station_one", "").await;
    assert_eq!(answer.status, 504);
    let health = gateway.get("/health/station_one").await;
    assert_eq!(health.body["unacknowledged"], 1);
}

/// As many as may be in flight are; then callers are asked to wait, and nobody is lost.
#[tokio::test]
async fn too_much_at_once_is_429_and_recovers() {
    let mut gateway = Gateway::new(&["delay:for=1s"], &[]);
    let lines = |from: u64| {
        (from..from + 20_000)
            .map(row)
            .collect::<Vec<_>>()
            .join("\n")
    };
    let mut accepted = 0;
    let mut refused = 0;
    for _ in 0..4 {
        let body = lines(accepted * 20_000);
        let answer = gateway
            .ask(Method::POST, ONE, "application/x-ndjson", body)
            .await;
        match answer.status {
            202 => accepted += 1,
            429 => {
                refused += 1;
                assert_eq!(answer.retry_after.as_deref(), Some("1"));
            }
            _ => panic!("{answer:?}"),
        }
    }
    assert_eq!((accepted, refused), (2, 2));
    assert_eq!(gateway.post("/flush/station_one", "").await.status, 200);
    let answer = gateway.post(DURABLE, row(40_000)).await;
    assert_eq!(answer.status, 200);
    assert_eq!(gateway.terminate(), 0);
    assert_eq!(
        gateway.numbers("station_one"),
        (0..=40_000).collect::<Vec<_>>()
    );
}

/// The service refuses the gateway itself: callers are told apart from an outage, and once it
/// does not, what was accepted goes on.
#[tokio::test]
async fn refused_credentials_are_502_and_health_tells() {
    let fault = "fail:at=create,status=PERMISSION_DENIED,times=1";
    let gateway = Gateway::new(&[fault], &[]);
    let answer = gateway.post(ONE, row(1)).await;
    assert_eq!(answer.status, 502, "{answer:?}");
    let health = gateway.get("/health").await;
    assert_eq!(
        (health.status, &health.body["status"]),
        (503, &json!("failed"))
    );
    assert_eq!(gateway.get("/health/station_one").await.status, 503);
    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    let answer = gateway.post(DURABLE, row(2)).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(gateway.get("/health").await.status, 200);
    assert_eq!(gateway.numbers("station_one"), [2]);
}

/// A stream that fails for good is made anew with what it had.
#[tokio::test]
async fn what_a_failed_stream_had_is_sent_by_the_next() {
    let fault = "fail:after=20,times=3,status=PERMISSION_DENIED";
    let mut gateway = Gateway::new(&[fault], &[]);
    let mut accepted = Vec::new();
    let mut refused = 0;
    for n in 0..200 {
        let answer = gateway.post(ONE, row(n)).await;
        match answer.status {
            202 => accepted.push(n),
            502 | 503 => {
                refused += 1;
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            }
            _ => panic!("{answer:?}"),
        }
    }
    assert!(accepted.len() > 20, "{refused} refused");
    assert_eq!(gateway.post(DURABLE, row(1_000)).await.status, 200);
    assert_eq!(gateway.terminate(), 0);
    let landed = gateway.numbers("station_one");
    accepted.retain(|n| !landed.contains(n));
    assert!(accepted.is_empty(), "lost: {accepted:?}");
}

/// Nobody is at the endpoint: 503 within the deadline, and a Retry-After.
#[tokio::test]
async fn a_service_that_is_away_is_503() {
    let rig = Rig::new();
    let server = rig.emulator(&["--auto-create"]);
    let mut gateway = Gateway::before(rig, server, &["--deadline", "300ms"]);
    drop(gateway.server.take());
    let answer = gateway.post(DURABLE, row(1)).await;
    assert_eq!(
        (answer.status, answer.retry_after.as_deref()),
        (503, Some("1"))
    );
    let health = gateway.get("/health").await;
    assert_eq!(
        (health.status, &health.body["status"]),
        (200, &json!("recovering"))
    );
}

#[tokio::test]
async fn it_may_be_tried_out_without_a_server() {
    let rig = Rig::new();
    let config = std::fs::read_to_string(sample("gateway/config.json")).unwrap();
    rig.file("config.json", config);
    let mut gateway = Gateway::started(rig, None, &["--local", "wh"]);
    assert_eq!(gateway.post(DURABLE, row(1)).await.status, 200);
    assert_eq!(gateway.post(ONE, row(2)).await.status, 202);
    assert_eq!(gateway.terminate(), 0);
    assert_eq!(gateway.numbers("station_one"), [1, 2]);
}

#[test]
fn what_is_wrong_at_the_start_is_told() {
    let rig = Rig::new();
    let config = std::fs::read_to_string(sample("gateway/config.json")).unwrap();
    rig.file("config.json", &config);
    let run = |more: &[&str]| {
        let mut args = vec!["gateway", "--config", "config.json"];
        args.extend(more);
        rig.run(&args)
    };
    let ran = run(&[]).exits(1);
    assert!(
        ran.stderr.contains("DATABRICKS_CLIENT_ID is not set"),
        "{ran:?}"
    );
    rig.file(
        ".env",
        "DATABRICKS_CLIENT_ID=id\nDATABRICKS_CLIENT_SECRET s3cret\n",
    );
    let ran = run(&[]).exits(1);
    assert!(ran.stderr.contains(".env: variable 2"), "{ran:?}");
    assert!(!ran.stderr.contains("s3cret"), "{ran:?}");
    rig.file(".env", "");
    let ran = run(&["--listen", "0.0.0.0:0"]).exits(2);
    assert!(ran.stderr.contains("GATEWAY_TOKEN"), "{ran:?}");
    rig.file("config.json", config.replace("int64", "int65"));
    let ran = run(&[]).exits(1);
    assert!(
        ran.stderr
            .contains("table \"station_one\": field \"humidity\""),
        "{ran:?}"
    );
    rig.file("config.json", "{");
    let ran = run(&[]).exits(1);
    assert!(ran.stderr.contains("config.json: EOF"), "{ran:?}");
}

/// Callers show the token to send anything; whether all is well is told to everybody.
#[tokio::test]
async fn a_token_is_asked_for_where_one_is_set() {
    let rig = Rig::new();
    let config = std::fs::read_to_string(sample("gateway/config.json")).unwrap();
    rig.file("config.json", config);
    rig.file(".env", "GATEWAY_TOKEN='s3cret token'\n");
    let gateway = Gateway::started(rig, None, &["--local", "wh"]);
    for path in [ONE, DURABLE, "/flush/station_one"] {
        let answer = gateway.post(path, row(1)).await;
        assert_eq!(
            (answer.status, &answer.body["status_code"]),
            (401, &json!(401)),
            "{path}"
        );
    }
    assert_eq!(gateway.get("/health").await.status, 200);
    assert!(!gateway.directory("station_one").exists());
    let request = gateway.http.post(format!("{}{DURABLE}", gateway.url));
    let request = request.bearer_auth("s3cret token").body(row(1));
    assert_eq!(request.send().await.unwrap().status(), 200);
    assert_eq!(gateway.numbers("station_one"), [1]);
}

/// A client that never finishes its request does not keep the gateway from ending.
#[tokio::test]
async fn a_client_that_does_not_finish_is_not_waited_for() {
    use std::io::Write as _;

    let mut gateway = Gateway::new(&[], &["--deadline", "300ms"]);
    let address = gateway.url.strip_prefix("http://").unwrap();
    let mut slow = std::net::TcpStream::connect(address).unwrap();
    let head = "POST /ingest/station_one HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{";
    slow.write_all(head.as_bytes()).unwrap();
    assert_eq!(gateway.post(ONE, row(1)).await.status, 202);
    assert_eq!(gateway.terminate(), 0);
    assert_eq!(gateway.numbers("station_one"), [1]);
}

/// A second signal ends it although something is unacknowledged, and says so.
#[tokio::test]
async fn a_second_signal_ends_it_at_once() {
    let mut gateway = Gateway::new(&["delay:for=1h"], &[]);
    assert_eq!(gateway.post(ONE, row(1)).await.status, 202);
    signal(&gateway.child, "TERM");
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    assert!(gateway.child.try_wait().unwrap().is_none(), "it waits");
    assert_eq!(gateway.terminate(), 5);
}

/// What a failed stream has left is sent although nobody asks any more.
#[tokio::test]
async fn a_failed_stream_is_made_anew_without_a_request() {
    let gateway = Gateway::new(&["fail:after=20,times=2,status=PERMISSION_DENIED"], &[]);
    let body = (0..100).map(row).collect::<Vec<_>>().join("\n");
    let answer = gateway
        .ask(Method::POST, ONE, "application/x-ndjson", body)
        .await;
    assert_eq!(answer.status, 202);
    gateway
        .until("all is there", async || {
            let mut landed = gateway.numbers("station_one");
            landed.dedup();
            landed == (0..100).collect::<Vec<_>>()
        })
        .await;
}

/// Promise: without a spool, what cannot be sent before the gateway ends is a dead letter.
#[tokio::test]
async fn what_is_not_sent_at_the_end_is_a_dead_letter() {
    let mut gateway = Gateway::new(&[], &["--deadline", "1s"]);
    assert_eq!(gateway.post(DURABLE, row(0)).await.status, 200);
    drop(gateway.server.take());
    for n in 1..10 {
        assert_eq!(gateway.post(ONE, row(n)).await.status, 202);
    }
    assert_eq!(gateway.terminate(), 5);
    let letters = gateway.rig.path().join("dead-letters.ndjson");
    let letters = std::fs::read_to_string(letters).unwrap();
    let letters: Vec<Value> = letters
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    let numbers: Vec<_> = letters
        .iter()
        .map(|l| l["record"]["humidity"].clone())
        .collect();
    let expected: Vec<_> = (1..10).map(|n: u64| n.to_string()).collect();
    assert_eq!(numbers, expected);
    let log = gateway.log();
    assert!(
        log.contains("9 records are not known to be durable; they are in dead-letters.ndjson"),
        "{log}"
    );
}
