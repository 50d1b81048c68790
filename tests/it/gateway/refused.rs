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
    assert_eq!(flushed.status, 502, "{flushed:?}");
    assert!(flushed.body["error"].as_str().unwrap().contains("refused"));
    assert!(flushed.body.get("in_doubt").is_none(), "{flushed:?}");
    let metrics = gateway.text("/metrics").await;
    let counted = "zerobus_gateway_records_refused_total{table=\"station_one\"} 5\n";
    assert!(metrics.contains(counted), "{metrics}");
    assert_eq!(gateway.get("/health").await.status, 200);
    assert_eq!(gateway.terminate(), 0);
    let letters = letters(&gateway, "dead-letters.ndjson");
    let refused: Vec<_> = letters.iter().map(|l| l["record"].to_string()).collect();
    let expected: Vec<_> = [7, 27, 47, 67, 87].map(poison).into();
    assert_eq!(refused, expected);
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
    let landed: Vec<_> = (0..100).filter(|n| n % 20 != 7).collect();
    assert_eq!(gateway.numbers("station_one"), landed);
    assert!(gateway.log().contains("a record was refused"));
}

/// A dead letter that cannot be written is in the log.
#[tokio::test]
async fn a_dead_letter_is_never_lost() {
    let more = [
        "--dead-letters",
        "nowhere/dead.ndjson",
        "--log-format",
        "json",
    ];
    let gateway = Gateway::new(&[REFUSE], &more);
    assert_eq!(gateway.post(ONE, poison(1)).await.status, 202);
    assert_eq!(gateway.post("/flush/station_one", "").await.status, 502);
    let log = gateway.log();
    let line = log
        .lines()
        .find(|line| line.contains("poison"))
        .expect(&log);
    let line: Value = serde_json::from_str(line).unwrap();
    assert_eq!(line["table"], "station_one");
    assert_eq!(line["record"], poison(1));
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
    assert_eq!(gateway.numbers("station_one"), [2, 4]);
}
