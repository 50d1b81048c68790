//! The spool: what was answered 202 survives a crash.

use super::*;

const SPOOL: [&str; 2] = ["--spool", "spool"];

fn files(gateway: &Gateway) -> Vec<String> {
    let entries = std::fs::read_dir(gateway.rig.path().join("spool")).unwrap();
    let names = entries.map(|e| e.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.filter(|name| name != "lock").collect();
    names.sort();
    names
}

/// Promise: every record that was answered 202 is in the table, although the gateway was killed.
#[tokio::test]
async fn what_was_accepted_survives_a_kill() {
    let mut gateway = Gateway::new(&["delay:for=300ms"], &SPOOL);
    for n in 0..100 {
        assert_eq!(gateway.post(ONE, row(n)).await.status, 202);
    }
    gateway.crash(&SPOOL);
    // Those are sent without being asked for.
    gateway
        .until("all is there", async || {
            let mut landed = gateway.numbers("station_one");
            landed.dedup();
            landed == (0..100).collect::<Vec<_>>()
        })
        .await;
    assert_eq!(gateway.post(ONE, row(100)).await.status, 202);
    assert_eq!(gateway.post("/flush/station_one", "").await.status, 200);
    let health = gateway.get("/health/station_one").await;
    assert_eq!(health.body["spool"]["records"], 0);
    assert_eq!(gateway.terminate(), 0);
    let mut landed = gateway.numbers("station_one");
    landed.dedup();
    assert_eq!(landed, (0..=100).collect::<Vec<_>>());
    assert!(files(&gateway).is_empty(), "{:?}", files(&gateway));
}

/// The service is away from the beginning: records are taken all the same, also over a restart,
/// and sent once it is there.
#[tokio::test]
async fn records_are_taken_while_the_service_is_away() {
    let rig = Rig::new();
    let server = rig.emulator(&["--auto-create"]);
    let address = server.address();
    let secrets = ["DATABRICKS_CLIENT_ID", "DATABRICKS_CLIENT_SECRET"];
    let secrets = secrets.map(|name| server.env(name).to_owned());
    let more = [&SPOOL[..], &["--deadline", "1s"]].concat();
    let mut gateway = Gateway::before(rig, server, &more);
    drop(gateway.server.take());
    for n in 0..20 {
        assert_eq!(gateway.post(ONE, row(n)).await.status, 202);
    }
    assert_eq!(gateway.post(DURABLE, row(99)).await.status, 503);
    assert_eq!(gateway.post("/flush/station_one", "").await.status, 504);
    // What is not sent is no reason to stay, and none to fail.
    assert_eq!(gateway.terminate(), 0);
    assert!(gateway.log().contains("20 records stay in the spool"));
    gateway.crash(&more);
    for n in 20..40 {
        assert_eq!(gateway.post(ONE, row(n)).await.status, 202);
    }
    let unacknowledged = gateway.get("/health/station_one").await;
    assert_eq!(unacknowledged.body["unacknowledged"], 40);
    let client = secrets.join(":");
    let _server =
        gateway
            .rig
            .emulator(&["--auto-create", "--listen", &address, "--client", &client]);
    gateway
        .until("all is there", async || {
            gateway.numbers("station_one") == (0..40).collect::<Vec<_>>()
        })
        .await;
}

/// What was accepted goes where it was to go, also if the table's configuration is another by
/// then, or gone.
#[tokio::test]
async fn what_is_left_is_sent_as_it_was_to_be() {
    let mut gateway = Gateway::new(&["delay:for=5s,times=1"], &SPOOL);
    for n in 0..10 {
        assert_eq!(gateway.post(ONE, row(n)).await.status, 202);
    }
    let mut config = config();
    config["tables"]
        .as_object_mut()
        .unwrap()
        .remove("station_one");
    Gateway::configured(&gateway.rig, gateway.server.as_ref().unwrap(), config);
    gateway.crash(&SPOOL);
    assert_eq!(gateway.post(ONE, row(1)).await.status, 404);
    gateway
        .until("all is there", async || {
            gateway.numbers("station_one") == (0..10).collect::<Vec<_>>()
        })
        .await;
    gateway
        .until("the files are gone", async || files(&gateway).is_empty())
        .await;
    assert!(gateway.get("/health").await.body.get("retired").is_none());
}

/// Promise: a full disk is told, and what was answered 202 before is not lost.
#[tokio::test]
async fn a_full_disk_is_503() {
    let rig = Rig::new();
    let server = rig.emulator(&["--auto-create", "--fault", "delay:for=1h,times=1"]);
    Gateway::configured(&rig, &server, config());
    // No file grows beyond 64 KiB.
    let plain = Gateway::command(&rig, &SPOOL);
    let mut limited = Command::new("bash");
    let script = "trap '' XFSZ; ulimit -f 64; exec \"$0\" \"$@\"";
    limited.args(["-c", script]).arg(plain.get_program());
    limited.args(plain.get_args()).current_dir(rig.path());
    limited.env_clear().stderr(Stdio::null());
    let (child, url) = Gateway::spawned(limited);
    let mut gateway = Gateway {
        rig,
        server: Some(server),
        child,
        url,
        http: Client::new(),
    };
    let wide = |n: u64| json!({"device_name": "x".repeat(8_000), "humidity": n}).to_string();
    let mut accepted = Vec::new();
    let mut refused = 0;
    for n in 0..20 {
        let answer = gateway.post(ONE, wide(n)).await;
        match answer.status {
            202 => accepted.push(n),
            503 => {
                assert!(answer.retry_after.is_some());
                let text = answer.body["error"].as_str().unwrap();
                assert!(text.starts_with("the spool cannot be written: "), "{text}");
                refused += 1;
            }
            _ => panic!("{answer:?}"),
        }
    }
    assert!(accepted.len() > 4 && refused > 4, "{accepted:?}");
    gateway.crash(&SPOOL);
    gateway
        .until("all is there", async || {
            gateway.numbers("station_one") == accepted
        })
        .await;
    assert_eq!(gateway.post(ONE, wide(100)).await.status, 202);
}

#[tokio::test]
async fn as_much_lies_in_the_spool_as_may() {
    let more = [&SPOOL[..], &["--spool-max", "4KiB"]].concat();
    let gateway = Gateway::new(&["delay:for=1s"], &more);
    let mut answers = Vec::new();
    for n in 0..200 {
        answers.push(gateway.post(ONE, row(n)).await);
    }
    let full = answers.iter().find(|answer| answer.status == 429).unwrap();
    assert_eq!(full.retry_after.as_deref(), Some("1"));
    assert!(answers[..20].iter().all(|answer| answer.status == 202));
}

/// One process has a spool.
#[tokio::test]
async fn a_spool_in_use_is_told() {
    let gateway = Gateway::new(&[], &SPOOL);
    let rig = &gateway.rig;
    let args = [
        "gateway",
        "--config",
        "config.json",
        "--listen",
        "127.0.0.1:0",
    ];
    let ran = rig.run(&[&args[..], &SPOOL].concat()).exits(5);
    assert!(ran.stderr.contains("spool/lock"), "{ran:?}");
    assert!(ran.stderr.contains("in use by another process"), "{ran:?}");
}

/// Streams that end and begin again send what is left, and no more than that.
#[tokio::test]
async fn lost_streams_lose_no_spooled_record() {
    let faults = [
        "drop:after=50,times=3",
        "fail:after=70,times=3,status=PERMISSION_DENIED",
        "refuse-row:contains=poison",
    ];
    let mut gateway = Gateway::new(&faults, &SPOOL);
    for n in 0..400 {
        let device = if n % 100 == 3 { "poison" } else { "fine" };
        let body = json!({"device_name": device, "humidity": n}).to_string();
        assert_eq!(gateway.post(ONE, body).await.status, 202);
    }
    assert_eq!(gateway.terminate(), 0, "{}", gateway.log());
    let mut landed = gateway.numbers("station_one");
    landed.dedup();
    let expected: Vec<_> = (0..400).filter(|n| n % 100 != 3).collect();
    assert_eq!(landed, expected);
    let letters = gateway.rig.path().join("spool/dead-letters.ndjson");
    let letters = std::fs::read_to_string(letters).unwrap();
    for n in [3, 103, 203, 303] {
        let refused = format!("\"record\":{{\"device_name\":\"poison\",\"humidity\":\"{n}\"}}");
        assert!(letters.contains(&refused), "{letters}");
    }
}

/// What is settled makes room, also in the file that is written to.
#[tokio::test]
async fn a_full_spool_has_room_again() {
    let more = [&SPOOL[..], &["--spool-max", "64KiB"]].concat();
    let gateway = Gateway::new(&["delay:for=500ms"], &more);
    let wide = |n: u64| json!({"device_name": "x".repeat(5_000), "humidity": n}).to_string();
    for round in 0..3 {
        let mut statuses = Vec::new();
        for n in 0..20 {
            statuses.push(gateway.post(ONE, wide(n)).await.status);
        }
        assert_eq!(statuses[..5], [202; 5], "{round}");
        assert!(statuses.contains(&429), "{statuses:?}");
        assert_eq!(gateway.post("/flush/station_one", "").await.status, 200);
    }
}

/// A damaged file is told and kept, and what can be read of it is sent.
#[tokio::test]
async fn damage_costs_no_more_than_what_is_damaged() {
    let mut gateway = Gateway::new(&["delay:for=1s"], &SPOOL);
    for n in 0..20 {
        assert_eq!(gateway.post(ONE, row(n)).await.status, 202);
    }
    gateway.child.kill().unwrap();
    gateway.child.wait().unwrap();
    let name = files(&gateway)
        .into_iter()
        .find(|n| n.ends_with(".spool"))
        .unwrap();
    let path = gateway.rig.path().join("spool").join(&name);
    let mut content = std::fs::read(&path).unwrap();
    let middle = content.len() / 2;
    content[middle] ^= 0xff;
    content.extend([0; 300]);
    std::fs::write(&path, &content).unwrap();
    (gateway.child, gateway.url) = Gateway::spawned(Gateway::command(&gateway.rig, &SPOOL));
    gateway
        .until("the others are there", async || {
            gateway.numbers("station_one").len() == 19
        })
        .await;
    assert_eq!(gateway.terminate(), 0);
    assert_eq!(gateway.numbers("station_one").len(), 19);
    let log = gateway.log();
    assert!(
        log.contains("the file is kept as spool/0000000000000001.damaged"),
        "{log}"
    );
    assert_eq!(files(&gateway), ["0000000000000001.damaged"], "{log}");
}

/// Somebody takes the directory away: nothing is accepted into files that are none.
#[tokio::test]
async fn a_spool_that_is_gone_accepts_nothing() {
    let gateway = Gateway::new(&["delay:for=1h"], &SPOOL);
    assert_eq!(gateway.post(ONE, row(1)).await.status, 202);
    std::fs::remove_dir_all(gateway.rig.path().join("spool")).unwrap();
    for n in 2..5 {
        let answer = gateway.post(ONE, row(n)).await;
        assert_eq!(answer.status, 503, "{answer:?}");
    }
    let health = gateway.get("/health/station_one").await;
    assert_eq!(health.body["status"], "recovering");
    let message = health.body["message"].as_str().unwrap();
    assert!(
        message.starts_with("the spool cannot be written: "),
        "{message}"
    );
}

/// A flush waits for what was there, not for what comes.
#[tokio::test]
async fn a_flush_ends_although_records_keep_coming() {
    let gateway = Gateway::new(
        &["delay:for=100ms"],
        &[&SPOOL[..], &["--deadline", "10s"]].concat(),
    );
    let numbers = std::sync::atomic::AtomicU64::new(0);
    let flushed = std::sync::atomic::AtomicBool::new(false);
    let sending = async || {
        while !flushed.load(std::sync::atomic::Ordering::Relaxed) {
            let n = numbers.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            assert_eq!(gateway.post(ONE, row(n)).await.status, 202);
        }
    };
    let flushing = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        for _ in 0..3 {
            assert_eq!(gateway.post("/flush/station_one", "").await.status, 200);
        }
        flushed.store(true, std::sync::atomic::Ordering::Relaxed);
    };
    tokio::join!(flushing, sending(), sending(), sending(), sending());
}

/// What small tables keep for what comes next is no reason to refuse others.
#[tokio::test]
async fn tables_share_the_room_of_the_spool() {
    let rig = Rig::new();
    let server = rig.emulator(&["--auto-create"]);
    let mut config = config();
    let one = config["tables"]["station_one"].clone();
    for n in 0..20 {
        config["tables"][format!("table_{n}")] = one.clone();
        config["tables"][format!("table_{n}")]["table_name"] = json!(format!("main.default.t{n}"));
    }
    Gateway::configured(&rig, &server, config);
    let more = [&SPOOL[..], &["--spool-max", "64KiB"]].concat();
    let gateway = Gateway::started(rig, Some(server), &more);
    let wide = json!({"device_name": "x".repeat(7_000)}).to_string();
    for n in 0..20 {
        let answer = gateway
            .post(&format!("/ingest/table_{n}"), wide.clone())
            .await;
        assert_eq!(answer.status, 202, "table {n}: {answer:?}");
        assert_eq!(
            gateway.post(&format!("/flush/table_{n}"), "").await.status,
            200
        );
    }
}
