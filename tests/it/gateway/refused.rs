//! Records that the service refuses: whoever waits is told, and the others find them in a file.

use super::*;

const REFUSE: &str = "refuse-row:contains=poison";

fn poison(n: u64) -> String {
    json!({"device_name": "poison", "humidity": n}).to_string()
}

fn letters(gateway: &Gateway, name: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(gateway.rig.path().join(name)).unwrap_or_default();
    let lines = text.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Promise: a record that was answered 202 and is refused later is in the dead letters, with
/// the reason, and keeps no other from the table.
#[tokio::test]
async fn what_is_refused_later_is_a_dead_letter() {
    let mut gateway = Gateway::new(&[REFUSE], &[]);
    for n in 0..100 {
        let body = if n % 20 == 7 { poison(n) } else { row(n) };
        assert_eq!(gateway.post(ONE, body).await.status, 202);
    }
    let flushed = gateway.post("/flush/station_one", "").await;
    assert_eq!(
        (flushed.status, &flushed.body["refused"]),
        (200, &json!(5)),
        "{flushed:?}"
    );
    assert!(
        flushed.body["message"]
            .as_str()
            .unwrap()
            .contains("dead letters")
    );
    let again = gateway.post("/flush/station_one", "").await;
    assert!(again.body.get("refused").is_none(), "{again:?}");
    let metrics = gateway.text("/metrics").await;
    let counted = "zerobus_gateway_records_refused_total{table=\"station_one\"} 5\n";
    assert!(metrics.contains(counted), "{metrics}");
    assert_eq!(gateway.get("/health").await.status, 200);
    let letters = letters(&gateway, "dead-letters.ndjson");
    let refused: Vec<_> = letters.iter().map(|l| &l["record"]["humidity"]).collect();
    assert_eq!(refused, ["7", "27", "47", "67", "87"]);
    // It may be sent again as it is.
    let record = letters[0]["record"].to_string();
    assert_eq!(gateway.post(ONE, record).await.status, 202);
    let first = &letters[0];
    assert_eq!(
        (&first["table"], &first["table_name"]),
        (&json!("station_one"), &json!("main.default.station_one"))
    );
    assert!(
        first["error"]
            .as_str()
            .unwrap()
            .contains("refused on purpose")
    );
    assert_eq!(gateway.terminate(), 0);
    let landed: Vec<_> = (0..100).filter(|n| n % 20 != 7).collect();
    assert_eq!(gateway.numbers("station_one"), landed);
    assert!(gateway.log().contains("a record was refused"));
}

/// A dead letter that cannot be written is in the log.
#[tokio::test]
async fn a_dead_letter_is_never_lost() {
    let rig = Rig::new();
    std::fs::create_dir(rig.path().join("letters")).unwrap();
    let server = rig.emulator(&["--auto-create", "--fault", REFUSE]);
    let more = [
        "--dead-letters",
        "letters/dead.ndjson",
        "--log-format",
        "json",
    ];
    let gateway = Gateway::before(rig, server, &more);
    std::fs::remove_dir(gateway.rig.path().join("letters")).unwrap();
    assert_eq!(gateway.post(ONE, poison(1)).await.status, 202);
    assert_eq!(gateway.post("/flush/station_one", "").await.status, 200);
    let log = gateway.log();
    let line = log
        .lines()
        .find(|line| line.contains("poison"))
        .expect(&log);
    let line: Value = serde_json::from_str(line).unwrap();
    assert_eq!(line["table"], "station_one");
    assert_eq!(line["record"], r#"{"device_name":"poison","humidity":"1"}"#);
    // The next one finds its file, where there is one again.
    std::fs::create_dir(gateway.rig.path().join("letters")).unwrap();
    assert_eq!(gateway.post(ONE, poison(2)).await.status, 202);
    assert_eq!(gateway.post("/flush/station_one", "").await.status, 200);
    let letters = letters(&gateway, "letters/dead.ndjson");
    assert_eq!(letters[0]["record"]["humidity"], "2");
}

/// However many records are refused, in a row, the others get through, each with one letter.
#[tokio::test]
async fn many_refused_records_do_not_block_the_rest() {
    for more in [&[][..], &["--spool", "spool"]] {
        let mut gateway = Gateway::new(&[REFUSE], more);
        let body = (0..60).map(poison).collect::<Vec<_>>().join("\n");
        let answer = gateway
            .ask(Method::POST, ONE, "application/x-ndjson", body)
            .await;
        assert_eq!(answer.status, 202);
        assert_eq!(gateway.post(ONE, row(60)).await.status, 202);
        let flushed = gateway.post("/flush/station_one", "").await;
        assert_eq!(
            (flushed.status, &flushed.body["refused"]),
            (200, &json!(60)),
            "{flushed:?}"
        );
        assert_eq!(gateway.get("/health").await.body["status"], "healthy");
        assert_eq!(gateway.terminate(), 0);
        assert_eq!(gateway.numbers("station_one"), [60]);
        let place = if more.is_empty() { "" } else { "spool/" };
        let letters = letters(&gateway, &format!("{place}dead-letters.ndjson"));
        let refused: Vec<_> = letters
            .iter()
            .map(|l| l["record"]["humidity"].clone())
            .collect();
        let expected: Vec<_> = (0..60).map(|n: u64| n.to_string()).collect();
        assert_eq!(refused, expected);
    }
}

/// Whoever waits learns which rows were refused; the others are durable.
#[tokio::test]
async fn whoever_waits_is_told_which_rows() {
    let gateway = Gateway::new(&[REFUSE], &[]);
    let answer = gateway.post(DURABLE, poison(1)).await;
    assert_eq!(answer.status, 400, "{answer:?}");
    assert_eq!(answer.body["errors"][0]["index"], 0);
    let body = format!(
        "[{{\"temp\": \"bad\"}}, {}, {}, {}, {}]",
        row(2),
        poison(3),
        row(4),
        poison(5)
    );
    let answer = gateway.post(&format!("{DURABLE}&partial=true"), body).await;
    assert_eq!(answer.status, 400, "{answer:?}");
    let errors = answer.body["errors"].as_array().unwrap();
    let indexes: Vec<_> = errors.iter().map(|error| error["index"].clone()).collect();
    assert_eq!(indexes, [2, 4]);
    let text = answer.body["error"].as_str().unwrap();
    assert!(text.ends_with("the other 2 records are durable"), "{text}");
    assert_eq!(answer.body["durable"], 2);
    assert_eq!(gateway.numbers("station_one"), [2, 4]);
}
