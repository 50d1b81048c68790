//! What each request is answered.

use super::*;

#[tokio::test]
async fn a_record_is_queued_or_durable_as_asked() {
    let gateway = Gateway::new(&[], &[]);
    let queued = gateway.post(ONE, row(1)).await;
    assert_eq!(queued.status, 202);
    let expected = json!({
        "status": "queued", "table": "station_one",
        "message": "1 record is accepted, not durable yet", "wait_for_ack": false,
    });
    assert_eq!(queued.body, expected);
    let durable = gateway.post(DURABLE, row(2)).await;
    assert_eq!(durable.status, 200);
    let expected = json!({
        "status": "success", "table": "station_one",
        "message": "1 record is durable", "wait_for_ack": true,
    });
    assert_eq!(durable.body, expected);
    assert_eq!(gateway.numbers("station_one"), [1, 2]);
    let two = json!({"device_name": "s", "description": "Main entrance"});
    let second = gateway.post("/ingest/station_two?wait_for_ack=true", two.to_string());
    assert_eq!(second.await.status, 200);
    assert_eq!(
        gateway.rows("station_two")[0]["description"],
        "Main entrance"
    );
}

/// Nothing about a field is asked but its type: it may be left out, or null.
#[tokio::test]
async fn fields_may_be_left_out_or_null() {
    let gateway = Gateway::new(&[], &[]);
    for body in ["{}", r#"{"temp": null, "device_name": "d"}"#] {
        assert_eq!(gateway.post(DURABLE, body).await.status, 200, "{body}");
    }
    let rows = gateway.rows("station_one");
    assert_eq!(rows.len(), 2);
}

#[tokio::test]
async fn what_does_not_fit_is_told_with_row_and_field() {
    let gateway = Gateway::new(&[], &[]);
    let answer = gateway
        .post(ONE, r#"{"temp": 3000000000, "humidity": "x"}"#)
        .await;
    assert_eq!(answer.status, 400);
    assert_eq!(answer.body["status_code"], 400);
    let errors = answer.body["errors"].as_array().unwrap();
    let fields: Vec<_> = errors.iter().map(|e| (&e["index"], &e["field"])).collect();
    assert_eq!(
        fields,
        [(&json!(0), &json!("temp")), (&json!(0), &json!("humidity"))]
    );
    assert!(
        answer.body["error"]
            .as_str()
            .unwrap()
            .contains("field \"temp\"")
    );
    for bad in [
        "",
        "{",
        "3",
        "[3]",
        r#"{"tmp": 1}"#,
        r#"{"temp":1,"temp":2}"#,
        "[]",
        "[{}",
    ] {
        let answer = gateway.post(ONE, bad).await;
        assert_eq!(
            (answer.status, &answer.body["status_code"]),
            (400, &json!(400)),
            "{bad}"
        );
        assert!(answer.body["error"].is_string());
    }
    assert!(
        !gateway.directory("station_one").exists(),
        "no stream was opened"
    );
}

#[tokio::test]
async fn many_rows_come_as_an_array_or_on_lines() {
    let gateway = Gateway::new(&[], &[]);
    let array = format!("[{}]", (0..100).map(row).collect::<Vec<_>>().join(","));
    let answer = gateway.post(DURABLE, array).await;
    assert_eq!(answer.body["message"], "100 records are durable");
    let lines: Vec<_> = (100..200).map(row).collect();
    let lines = lines.join("\n");
    let answer = gateway.ask(Method::POST, DURABLE, "application/x-ndjson", lines);
    assert_eq!(answer.await.status, 200);
    assert_eq!(gateway.numbers("station_one"), (0..200).collect::<Vec<_>>());
}

/// A body with a bad row is refused whole, unless the rest is asked for.
#[tokio::test]
async fn a_bad_row_refuses_the_body_unless_partial_is_asked_for() {
    let gateway = Gateway::new(&[], &[]);
    let body = format!("[{}, {{\"temp\": \"warm\"}}, {}]", row(1), row(2));
    let answer = gateway.post(DURABLE, body.clone()).await;
    assert_eq!(answer.status, 400);
    assert_eq!(answer.body["errors"][0]["index"], 1);
    assert!(gateway.rows("station_one").is_empty());
    let partial = format!("{DURABLE}&partial=true");
    let answer = gateway.post(&partial, body).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.body["message"], "2 records are durable");
    assert_eq!(answer.body["errors"][0]["field"], "temp");
    assert_eq!(gateway.numbers("station_one"), [1, 2]);
    let answer = gateway.post(&partial, r#"[{"temp": "warm"}]"#).await;
    assert_eq!(answer.status, 400, "nothing is left");
}

#[tokio::test]
async fn what_there_is_not_is_404_and_405() {
    let gateway = Gateway::new(&[], &[]);
    for (method, path, status) in [
        (Method::POST, "/ingest/nowhere", 404),
        (Method::POST, "/flush/nowhere", 404),
        (Method::GET, "/health/nowhere", 404),
        (Method::GET, "/elsewhere", 404),
        (Method::GET, ONE, 405),
    ] {
        let answer = gateway.ask(method, path, "application/json", row(1)).await;
        assert_eq!(answer.status, status, "{path}");
        assert_eq!(answer.body["status_code"], status);
        assert!(answer.body["error"].is_string());
    }
    for (query, told) in [
        (
            "wait_for_ack=maybe",
            "wait_for_ack=maybe: expected true or false",
        ),
        (
            "wait_for_akc=true",
            "there is no parameter wait_for_akc, only wait_for_ack and partial",
        ),
        ("partial=1&partial=0", "partial is given twice"),
    ] {
        let answer = gateway.post(&format!("{ONE}?{query}"), row(1)).await;
        assert_eq!((answer.status, &answer.body["error"]), (400, &json!(told)));
    }
    let encoded = gateway
        .post("/ingest/station_one?wait%5Ffor_ack=%74rue", row(1))
        .await;
    assert_eq!(encoded.status, 200, "{encoded:?}");
    let unreadable = gateway.post("/ingest/%ff", row(1)).await;
    assert_eq!(
        (unreadable.status, &unreadable.body["status_code"]),
        (400, &json!(400))
    );
}

#[tokio::test]
async fn a_body_has_its_limit() {
    let gateway = Gateway::new(&[], &["--max-body", "1KiB"]);
    let long = json!({"device_name": "x".repeat(1_100)}).to_string();
    let answer = gateway.post(ONE, long).await;
    assert_eq!(
        (answer.status, &answer.body["status_code"]),
        (413, &json!(413))
    );
}

#[tokio::test]
async fn the_service_tells_what_it_is_and_how_it_is() {
    let gateway = Gateway::new(&[], &[]);
    let root = gateway.get("/").await;
    assert_eq!(root.status, 200);
    assert_eq!(root.body["tables"], json!(["station_one", "station_two"]));
    assert_eq!(root.body["endpoints"]["station_one"]["ingest"], ONE);
    let health = gateway.get("/health").await;
    assert_eq!(
        (health.status, &health.body["status"]),
        (200, &json!("healthy"))
    );
    assert_eq!(health.body["active_streams"], 0);
    let flushed = gateway.post("/flush/station_one", "").await;
    assert_eq!(
        (flushed.status, &flushed.body["status"]),
        (200, &json!("no_active_stream"))
    );
    gateway.post(ONE, row(1)).await;
    let flushed = gateway.post("/flush/station_one", "").await;
    assert_eq!(
        (flushed.status, &flushed.body["status"]),
        (200, &json!("success"))
    );
    assert_eq!(gateway.numbers("station_one"), [1]);
    assert_eq!(gateway.get("/health").await.body["active_streams"], 1);
    let health = gateway.get("/health/station_one").await;
    let last_ack = health.body["last_ack"].clone();
    let expected = json!({
        "table": "station_one", "table_name": "main.default.station_one",
        "stream_active": true, "status": "healthy", "unacknowledged": 0, "last_ack": last_ack,
    });
    assert_eq!((health.status, health.body), (200, expected));
    let last_ack: jiff::Timestamp = last_ack.as_str().unwrap().parse().unwrap();
    let ago = jiff::Timestamp::now().as_second() - last_ack.as_second();
    assert!((0..300).contains(&ago), "{last_ack}");
}

/// A body that does not come is answered within the deadline; one that is compressed is not
/// taken for rows.
#[tokio::test]
async fn a_body_that_cannot_be_read_is_told() {
    use std::io::{Read as _, Write as _};

    let gateway = Gateway::new(&[], &["--deadline", "200ms", "--max-body", "1KiB"]);
    let address = gateway.url.strip_prefix("http://").unwrap();
    for (length, status) in [("100", " 408 "), ("99999999999", " 413 ")] {
        let mut slow = std::net::TcpStream::connect(address).unwrap();
        let head = format!("POST {ONE} HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n\r\n{{");
        slow.write_all(head.as_bytes()).unwrap();
        let mut answer = [0; 12];
        slow.read_exact(&mut answer).unwrap();
        assert!(
            String::from_utf8_lossy(&answer).contains(status.trim_end()),
            "{answer:?}"
        );
    }
    let request = gateway.http.post(format!("{}{ONE}", gateway.url));
    let request = request.header("content-encoding", "gzip").body("x");
    assert_eq!(request.send().await.unwrap().status(), 415);
}

/// Of a partial body each bad row is told; of one that is refused, how many there are.
#[tokio::test]
async fn no_bad_row_goes_untold() {
    let gateway = Gateway::new(&[], &[]);
    let mut rows = vec![r#"{"temp": "x"}"#.to_owned(); 500];
    rows.push(row(1));
    let body = format!("[{}]", rows.join(","));
    let answer = gateway
        .post(&format!("{DURABLE}&partial=true"), body.clone())
        .await;
    assert_eq!(
        (
            answer.status,
            answer.body["errors"].as_array().unwrap().len()
        ),
        (200, 500)
    );
    let answer = gateway.post(ONE, body).await;
    assert_eq!(
        (
            answer.status,
            answer.body["errors"].as_array().unwrap().len()
        ),
        (400, 100)
    );
    assert_eq!(answer.body["errors_omitted"], 400);
    assert!(
        answer.body["error"]
            .as_str()
            .unwrap()
            .ends_with(", and 499 more")
    );
}

#[tokio::test]
async fn so_many_rows_are_not_taken_at_once() {
    let gateway = Gateway::new(&[], &[]);
    let lines = "{}\n".repeat(50_001);
    let array = format!("[{}]", vec!["{}"; 50_001].join(","));
    for (kind, body) in [("application/x-ndjson", lines), ("application/json", array)] {
        let answer = gateway.ask(Method::POST, ONE, kind, body).await;
        assert_eq!(answer.status, 413, "{answer:?}");
    }
}
