//! What the gateway tells of itself: documentation, figures, logs, ids.

use super::*;

impl Gateway {
    pub(super) async fn text(&self, path: &str) -> String {
        let answer = self.http.get(format!("{}{path}", self.url)).send().await;
        answer.unwrap().text().await.unwrap()
    }
}

#[tokio::test]
async fn the_api_is_described_with_each_tables_records() {
    let gateway = Gateway::new(&[], &[]);
    let api = gateway.get("/openapi.json").await;
    assert_eq!((api.status, &api.body["openapi"]), (200, &json!("3.1.0")));
    let ingest = &api.body["paths"]["/ingest/station_two"]["post"];
    let body = &ingest["requestBody"]["content"]["application/json"];
    let record = &body["schema"]["oneOf"][0]["$ref"];
    assert_eq!(record, "#/components/schemas/record.station_two");
    let record = &api.body["components"]["schemas"]["record.station_two"];
    let fields: Vec<_> = record["properties"].as_object().unwrap().keys().collect();
    assert_eq!(fields, ["device_name", "temp", "humidity", "description"]);
    // What it shows as an example is taken.
    let example = body["example"].to_string();
    let answer = gateway.post("/ingest/station_two?wait_for_ack=true", example);
    assert_eq!(answer.await.status, 200);
    for (path, kind) in [
        ("/docs", "text/html"),
        ("/docs.js", "text/javascript"),
        ("/docs.css", "text/css"),
    ] {
        let answer = gateway.http.get(format!("{}{path}", gateway.url)).send();
        let answer = answer.await.unwrap();
        let given = answer.headers()["content-type"]
            .to_str()
            .unwrap()
            .to_owned();
        assert!(given.starts_with(kind), "{path}: {given}");
        let policy = answer.headers()["content-security-policy"]
            .to_str()
            .unwrap();
        assert!(policy.starts_with("default-src 'none'"), "{policy}");
        let text = answer.text().await.unwrap();
        assert!(
            !text.contains("//cdn") && !text.contains("https://"),
            "{path}"
        );
    }
}

#[tokio::test]
async fn figures_are_those_of_the_requests() {
    let gateway = Gateway::new(&[], &[]);
    for n in 0..3 {
        gateway.post(ONE, row(n)).await;
    }
    gateway.post(ONE, r#"[{"temp": "x"}, {"temp": "y"}]"#).await;
    gateway.post("/ingest/nowhere", "{}").await;
    gateway.post("/flush/station_one", "").await;
    let text = gateway.text("/metrics").await;
    for line in [
        "zerobus_gateway_requests_total{route=\"ingest\",table=\"station_one\",status=\"202\"} 3",
        "zerobus_gateway_requests_total{route=\"ingest\",table=\"station_one\",status=\"400\"} 1",
        "zerobus_gateway_requests_total{route=\"ingest\",table=\"\",status=\"404\"} 1",
        "zerobus_gateway_request_seconds_count{route=\"ingest\"} 5",
        "zerobus_gateway_records_accepted_total{table=\"station_one\"} 3",
        "zerobus_gateway_records_acknowledged_total{table=\"station_one\"} 3",
        "zerobus_gateway_records_unacknowledged{table=\"station_one\"} 0",
        "zerobus_gateway_rows_invalid_total{table=\"station_one\"} 2",
        "zerobus_gateway_stream_healthy{table=\"station_one\"} 1",
    ] {
        assert!(text.contains(&format!("{line}\n")), "{line} in {text}");
    }
    assert!(text.ends_with("# EOF\n"));
}

/// A request has an id, its own or the caller's, in its answer and in the log.
#[tokio::test]
async fn a_request_is_found_in_the_log_by_its_id() {
    let gateway = Gateway::new(&[], &["--log-format", "json", "--log-requests"]);
    let request = gateway.http.post(format!("{}{DURABLE}", gateway.url));
    let request = request.header("x-request-id", "mine-1").body(row(1));
    let answer = request.send().await.unwrap();
    assert_eq!(answer.headers()["x-request-id"], "mine-1");
    let request = gateway.http.get(format!("{}/health", gateway.url));
    let answer = request
        .header("x-request-id", "not one")
        .send()
        .await
        .unwrap();
    let id = answer.headers()["x-request-id"].to_str().unwrap();
    assert_eq!(id.len(), 32);
    let log = gateway.log();
    let lines: Vec<Value> = log
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    let of = |id: &str| lines.iter().find(|line| line["id"] == id).expect(&log);
    let mine = of("mine-1");
    assert_eq!(mine["path"], "/ingest/station_one");
    assert_eq!(
        (&mine["status"], &mine["records"]),
        (&json!(200), &json!(1))
    );
    assert_eq!(of(id)["path"], "/health");
}

/// What fails on the gateway's side is in the log with its reason, without being asked for.
#[tokio::test]
async fn a_failure_is_logged_with_its_reason() {
    let fault = "fail:at=create,status=PERMISSION_DENIED,times=1";
    let gateway = Gateway::new(&[fault], &[]);
    assert_eq!(gateway.post(ONE, row(1)).await.status, 502);
    let log = gateway.log();
    let line = log.lines().find(|l| l.contains("status=502")).expect(&log);
    assert!(
        line.contains(" WARN ") && line.contains("PermissionDenied"),
        "{line}"
    );
}

/// A server that accepts and says nothing is not healthy for long, whatever its connection is.
#[tokio::test]
async fn a_silent_server_is_not_healthy() {
    let gateway = Gateway::new(&["delay:for=1h"], &[]);
    assert_eq!(gateway.post(ONE, row(1)).await.status, 202);
    assert_eq!(gateway.get("/health").await.body["status"], "healthy");
    gateway
        .until("it is told", async || {
            gateway.get("/health").await.body["status"] == "recovering"
        })
        .await;
    let health = gateway.get("/health/station_one").await;
    assert_eq!(
        (health.status, &health.body["last_ack"]),
        (200, &Value::Null)
    );
    let message = health.body["message"].as_str().unwrap();
    assert!(message.starts_with("no acknowledgement for "), "{message}");
    let text = gateway.text("/metrics").await;
    let line = "zerobus_gateway_stream_healthy{table=\"station_one\"} 0\n";
    assert!(text.contains(line), "{text}");
}

/// A page from elsewhere does not write through somebody's browser.
#[tokio::test]
async fn another_origin_is_refused_where_no_token_is_asked_for() {
    let gateway = Gateway::new(&[], &[]);
    for (origin, status) in [
        (gateway.url.as_str(), 202),
        ("https://elsewhere.example", 403),
        ("null", 403),
    ] {
        let request = gateway.http.post(format!("{}{ONE}", gateway.url));
        let answer = request.header("origin", origin).body(row(1)).send().await;
        assert_eq!(answer.unwrap().status(), status, "{origin}");
    }
    // A name of somebody else's that leads here.
    let request = gateway.http.post(format!("{}{ONE}", gateway.url));
    let request = request.header("origin", "http://elsewhere.example:1");
    let answer = request
        .header("host", "elsewhere.example:1")
        .body(row(1))
        .send()
        .await;
    assert_eq!(answer.unwrap().status(), 403);
}

/// A connection that sends no whole request is ended within the deadline.
#[tokio::test]
async fn half_a_request_is_not_waited_for() {
    use std::io::{Read as _, Write as _};

    let gateway = Gateway::new(&[], &["--deadline", "300ms"]);
    let address = gateway.url.strip_prefix("http://").unwrap();
    for sent in ["", "POST /ingest/station_one HTTP/1.1\r\nhost"] {
        let mut slow = std::net::TcpStream::connect(address).unwrap();
        slow.write_all(sent.as_bytes()).unwrap();
        slow.set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        let mut all = Vec::new();
        slow.read_to_end(&mut all).unwrap();
    }
}

/// An outage leaves its reason in the log, in health and in answers.
#[tokio::test]
async fn an_outage_is_told_with_its_reason() {
    let fault = "fail:at=create,status=INTERNAL,message=on fire";
    let gateway = Gateway::new(&[fault], &["--deadline", "1s"]);
    let answer = gateway.post(ONE, row(1)).await;
    assert_eq!(answer.status, 503);
    assert!(
        answer.body["error"].as_str().unwrap().contains("on fire"),
        "{answer:?}"
    );
    let health = gateway.get("/health/station_one").await;
    assert!(
        health.body["message"].as_str().unwrap().contains("on fire"),
        "{health:?}"
    );
    let log = gateway.log();
    let line = log
        .lines()
        .find(|line| line.contains("the stream is away"))
        .expect(&log);
    assert!(
        line.contains("on fire") && line.contains("wait_ms="),
        "{line}"
    );
}
