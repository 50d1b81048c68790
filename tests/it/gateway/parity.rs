//! Zerobus Station's routes, request by request, and its quick start.

use super::*;

/// A request, and what it is answered. The table is written to `target/tmp/parity.md`.
struct Case {
    method: Method,
    path: &'static str,
    body: &'static str,
    status: u16,
    /// What stands in the answer; other members may stand beside it.
    answer: Value,
}

fn case(
    method: Method,
    path: &'static str,
    body: &'static str,
    status: u16,
    answer: Value,
) -> Case {
    Case {
        method,
        path,
        body,
        status,
        answer,
    }
}

/// Whether all of `expected` stands in `got`.
fn holds(got: &Value, expected: &Value) -> bool {
    match (got, expected) {
        (Value::Object(got), Value::Object(expected)) => expected
            .iter()
            .all(|(name, value)| got.get(name).is_some_and(|got| holds(got, value))),
        (Value::Array(got), Value::Array(expected)) => {
            got.len() == expected.len() && got.iter().zip(expected).all(|(g, e)| holds(g, e))
        }
        (got, expected) => got == expected,
    }
}

#[tokio::test]
async fn each_request_is_answered_as_the_station_would_or_better() {
    const GOOD: &str = r#"{"device_name": "sensor-001", "temp": 25, "humidity": 60}"#;
    let gateway = Gateway::new(&["refuse-row:contains=poison"], &["--max-body", "1KiB"]);
    let error = |status: u16, text: &str| json!({"error": text, "status_code": status});
    let cases = [
        case(
            Method::GET,
            "/",
            "",
            200,
            json!({
            "service": "zerobus gateway", "version": env!("CARGO_PKG_VERSION"),
            "tables": ["station_one", "station_two"],
            "endpoints": {"station_one": {"ingest": "/ingest/station_one",
                "health": "/health/station_one", "flush": "/flush/station_one"}}}),
        ),
        case(
            Method::GET,
            "/health",
            "",
            200,
            json!({"status": "healthy", "active_streams": 0}),
        ),
        case(
            Method::POST,
            "/flush/station_one",
            "",
            200,
            json!({"status": "no_active_stream", "table": "station_one"}),
        ),
        case(
            Method::POST,
            "/ingest/station_one",
            GOOD,
            202,
            json!({
            "status": "queued", "table": "station_one",
            "message": "1 record is accepted, not durable yet", "wait_for_ack": false}),
        ),
        case(
            Method::POST,
            "/ingest/station_one?wait_for_ack=true",
            GOOD,
            200,
            json!({
            "status": "success", "table": "station_one",
            "message": "1 record is durable", "wait_for_ack": true}),
        ),
        case(
            Method::POST,
            "/ingest/station_two",
            r#"{"device_name": "s", "temp": 1, "humidity": 2, "description": "d"}"#,
            202,
            json!({"status": "queued", "table": "station_two"}),
        ),
        case(
            Method::POST,
            "/flush/station_one",
            "",
            200,
            json!({"status": "success", "table": "station_one"}),
        ),
        case(
            Method::GET,
            "/health/station_one",
            "",
            200,
            json!({
            "table": "station_one", "table_name": "main.default.station_one",
            "stream_active": true, "status": "healthy", "unacknowledged": 0}),
        ),
        case(
            Method::GET,
            "/health",
            "",
            200,
            json!({"status": "healthy", "active_streams": 2}),
        ),
        // Where the Station is wrong.
        case(
            Method::POST,
            "/ingest/station_one?wait_for_ack=true",
            r#"{"temp": null}"#,
            200,
            json!({"status": "success"}),
        ),
        case(
            Method::POST,
            "/ingest/station_one",
            r#"{"temp": 3000000000}"#,
            400,
            json!({
            "error": "row 0, field \"temp\": 3000000000 is out of range for an int32 (-2147483648 to 2147483647)", "status_code": 400,
            "errors": [{"index": 0, "field": "temp",
                "message": "3000000000 is out of range for an int32 (-2147483648 to 2147483647)"}]}),
        ),
        case(
            Method::POST,
            "/ingest/station_one",
            r#"[{"temp": 1}, {"tmp": 2}]"#,
            400,
            json!({"status_code": 400, "errors": [{"index": 1, "field": "tmp"}]}),
        ),
        case(
            Method::POST,
            "/ingest/station_one?partial=true&wait_for_ack=true",
            r#"[{"temp": 1}, {"tmp": 2}]"#,
            200,
            json!({"message": "1 record is durable", "errors": [{"index": 1, "field": "tmp"}]}),
        ),
        case(
            Method::POST,
            "/ingest/station_one?wait_for_ack=true",
            r#"{"device_name": "poison"}"#,
            400,
            json!({"status_code": 400, "errors": [{"index": 0, "field": null}]}),
        ),
        case(
            Method::POST,
            "/ingest/station_one",
            "",
            400,
            error(400, "the body holds no row"),
        ),
        case(
            Method::POST,
            "/ingest/station_one?wait_for_ack=perhaps",
            GOOD,
            400,
            error(400, "wait_for_ack=perhaps: expected true or false"),
        ),
        case(
            Method::POST,
            "/ingest/other",
            GOOD,
            404,
            error(404, "there is no table \"other\""),
        ),
        case(
            Method::POST,
            "/flush/other",
            "",
            404,
            error(404, "there is no table \"other\""),
        ),
        case(
            Method::GET,
            "/health/other",
            "",
            404,
            error(404, "there is no table \"other\""),
        ),
        case(
            Method::GET,
            "/ingest/station_one",
            "",
            405,
            json!({"status_code": 405}),
        ),
        case(
            Method::GET,
            "/openapi.json",
            "",
            200,
            json!({"openapi": "3.1.0"}),
        ),
    ];
    let mut table = "| request | expected | got |\n|---|---|---|\n".to_owned();
    for case in cases {
        let Case {
            method,
            path,
            body,
            status,
            answer,
        } = case;
        let got = gateway
            .ask(method.clone(), path, "application/json", body)
            .await;
        let shown = got.body.to_string();
        let shown: String = shown.chars().take(160).collect();
        let got_status = got.status;
        table += &format!(
            "| `{method} {path}` `{body}` | {status} `{answer}` | {got_status} `{shown}` |\n"
        );
        assert_eq!(got.status, status, "{method} {path} {body}: {got:?}");
        assert!(holds(&got.body, &answer), "{method} {path} {body}: {got:?}");
    }
    std::fs::write(format!("{}/parity.md", env!("CARGO_TARGET_TMPDIR")), table).unwrap();
    let docs = gateway.text("/docs").await;
    assert!(docs.starts_with("<!doctype html>"));
}

/// The steps of the Station's quick start, with the command that runs it replaced.
#[tokio::test]
async fn the_quick_start_of_the_station_works() {
    let rig = Rig::new();
    // 1 and 2: the tables, and who may write to them.
    let sql = include_str!("../../sdk/examples/station.sql")
        .replace("YOUR_CATALOG.YOUR_SCHEMA", "main.default")
        .replace("YOUR_CATALOG", "main")
        .replace("<service-principal-id>", "station");
    rig.file("setup.sql", sql);
    let flags = [
        "--sql",
        "setup.sql",
        "--enforce-grants",
        "--client",
        "station:secret",
    ];
    let server = rig.emulator(&flags);
    // 3: config.json and .env, as they are for the Station.
    Gateway::directed(&rig, &server, config());
    rig.file(
        ".env",
        "DATABRICKS_CLIENT_ID=station\nDATABRICKS_CLIENT_SECRET=secret\n",
    );
    // 4 and 5: the service, and its requests.
    let mut gateway = Gateway::started(rig, Some(server), &[]);
    let address = gateway.url.strip_prefix("http://").unwrap();
    let script = r#"
        curl -X POST http://localhost:8000/ingest/station_one \
          -H "Content-Type: application/json" \
          -d '{"device_name": "sensor-001", "temp": 25, "humidity": 60}'
        echo
        curl -X POST http://localhost:8000/ingest/station_two \
          -H "Content-Type: application/json" \
          -d '{"device_name": "sensor-002", "temp": 22, "humidity": 55, "description": "Main entrance"}'
        echo
        curl -X POST "http://localhost:8000/ingest/station_one?wait_for_ack=true" \
          -H "Content-Type: application/json" \
          -d '{
            "device_name": "sensor-001",
            "temp": 25,
            "humidity": 60
          }'
        echo
        curl -X POST http://localhost:8000/flush/station_one
        echo
        curl http://localhost:8000/
        echo
        curl http://localhost:8000/health
        echo
        curl http://localhost:8000/health/station_one
        echo
        curl http://localhost:8000/health/station_two
        "#
    .replace("localhost:8000", address);
    let output = Command::new("bash")
        .args(["-ec", &script])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let stdout = String::from_utf8(output.stdout).unwrap();
    let said: Vec<Value> = stdout
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    let statuses: Vec<_> = said
        .iter()
        .map(|s| s["status"].as_str().unwrap_or("-"))
        .collect();
    let expected = [
        "queued", "queued", "success", "success", "-", "healthy", "healthy", "healthy",
    ];
    assert_eq!(statuses, expected, "{stdout}");
    assert_eq!(gateway.terminate(), 0);
    assert_eq!(gateway.numbers("station_one"), [60, 60]);
    assert_eq!(
        gateway.rows("station_two")[0]["description"],
        "Main entrance"
    );
}
