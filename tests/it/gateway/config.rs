//! What the configuration says, also when it is read again.

use super::*;

fn tables(config: &mut Value) -> &mut serde_json::Map<String, Value> {
    config["tables"].as_object_mut().unwrap()
}

impl Gateway {
    /// Reads a changed configuration, and waits for the log to tell so.
    async fn reload(&self, change: impl FnOnce(&mut Value), told: &str) {
        let mut config = config();
        change(&mut config);
        Self::configured(&self.rig, self.server.as_ref().unwrap(), config);
        let seen = self.log().len();
        signal(&self.child, "HUP");
        self.until(told, async || self.log()[seen..].contains(told))
            .await;
    }
}

/// Records have a field for each column that Unity Catalog knows.
#[tokio::test]
async fn a_table_may_leave_its_record_to_the_catalog() {
    let rig = Rig::new();
    let create = "CREATE TABLE main.default.events (name STRING NOT NULL, at TIMESTAMP, \
                  tags ARRAY<STRING>, place STRUCT<city: STRING>, price DECIMAL(10, 2))";
    let server = rig.emulator(&["--create", create]);
    let mut config = config();
    *tables(&mut config) = serde_json::Map::new();
    config["tables"]["events"] = json!({"table_name": "main.default.events"});
    Gateway::configured(&rig, &server, config);
    let gateway = Gateway::started(rig, Some(server), &[]);
    let event = r#"{"name": "a", "at": "2026-01-31T12:00:00+02:00", "tags": ["x"],
        "place": {"city": "Oslo"}, "price": "1.20"}"#;
    let answer = gateway
        .post("/ingest/events?wait_for_ack=true", event)
        .await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let row = &gateway.rows("events")[0];
    assert_eq!(
        (&row["name"], &row["place"]),
        (&json!("a"), &json!({"city": "Oslo"}))
    );
    let answer = gateway.post("/ingest/events", "{}").await;
    assert_eq!(
        (answer.status, &answer.body["errors"][0]["field"]),
        (400, &json!("name"))
    );
    let api = gateway.get("/openapi.json").await;
    let record = &api.body["components"]["schemas"]["record.events"];
    assert_eq!(record["required"], json!(["name"]));
}

#[test]
fn a_table_that_the_catalog_does_not_know_is_told_at_the_start() {
    let rig = Rig::new();
    let server = rig.emulator(&[]);
    let mut config = config();
    config["tables"]["events"] = json!({"table_name": "main.default.events"});
    Gateway::configured(&rig, &server, config);
    let ran = rig.run(&["gateway", "--config", "config.json"]).exits(1);
    let told = "table \"events\": the columns of main.default.events cannot be fetched";
    assert!(ran.stderr.contains(told), "{ran:?}");
}

/// A table's own token is the one that counts for it.
#[tokio::test]
async fn a_table_may_have_a_token_of_its_own() {
    let rig = Rig::new();
    let mut config = config();
    config["tables"]["station_two"]["token_env"] = json!("TWO");
    rig.file("config.json", config.to_string());
    let start = |env: &str| {
        rig.file(".env", env);
        rig.run(&[
            "gateway",
            "--config",
            "config.json",
            "--listen",
            "0.0.0.0:0",
            "--local",
            "wh",
        ])
    };
    let ran = start("GATEWAY_TOKEN=all\n").exits(1);
    assert!(
        ran.stderr
            .contains("TWO is not set, the token_env of table \"station_two\"")
    );
    let ran = start("TWO=two\n").exits(2);
    assert!(ran.stderr.contains("open to other machines"), "{ran:?}");
    rig.file(".env", "GATEWAY_TOKEN=all\nTWO=two\n");
    let gateway = Gateway::started(rig, None, &["--local", "wh"]);
    for (table, token, status) in [
        ("station_one", "all", 202),
        ("station_one", "two", 401),
        ("station_two", "two", 202),
        ("station_two", "all", 401),
        ("nowhere", "two", 404),
    ] {
        let request = gateway.http.post(format!("{}/ingest/{table}", gateway.url));
        let answer = request.bearer_auth(token).body("{}").send().await.unwrap();
        assert_eq!(answer.status(), status, "{table} {token}");
    }
}

/// Promise: reading the configuration again loses no record.
#[tokio::test]
async fn a_signal_reads_the_configuration_again() {
    let mut gateway = Gateway::new(&["delay:for=200ms"], &[]);
    for n in 0..10 {
        assert_eq!(gateway.post(ONE, row(n)).await.status, 202);
    }
    // One table is written to elsewhere from now on, one is gone, one is new.
    let change = |config: &mut Value| {
        let two = tables(config).remove("station_two").unwrap();
        config["tables"]["station_one"]["table_name"] = json!("main.default.other");
        config["tables"]["station_three"] = two;
        config["tables"]["station_three"]["table_name"] = json!("main.default.three");
    };
    gateway.reload(change, "serving 2 tables").await;
    for n in 10..20 {
        assert_eq!(gateway.post(ONE, row(n)).await.status, 202);
    }
    assert_eq!(gateway.post("/ingest/station_two", "{}").await.status, 404);
    let three = gateway
        .post("/ingest/station_three?wait_for_ack=true", "{}")
        .await;
    assert_eq!(three.status, 200);
    let root = gateway.get("/").await;
    assert_eq!(root.body["tables"], json!(["station_one", "station_three"]));
    let api = gateway.get("/openapi.json").await;
    assert!(api.body["paths"].get("/ingest/station_three").is_some());
    assert_eq!(gateway.terminate(), 0);
    assert_eq!(gateway.numbers("station_one"), (0..10).collect::<Vec<_>>());
    assert_eq!(gateway.numbers("other"), (10..20).collect::<Vec<_>>());
}

/// A configuration that cannot be used changes nothing; a table that is what it was keeps its
/// stream.
#[tokio::test]
async fn what_is_as_it_was_stays() {
    let gateway = Gateway::new(&[], &[]);
    assert_eq!(gateway.post(DURABLE, row(1)).await.status, 200);
    let broken = |config: &mut Value| {
        config["tables"]["station_one"]["fields"][0]["proto_type"] = json!("text");
    };
    gateway.reload(broken, "serving as before").await;
    assert!(
        gateway
            .log()
            .contains("proto_type \\\"text\\\" is no scalar type"),
        "{}",
        gateway.log()
    );
    assert_eq!(gateway.post(DURABLE, row(2)).await.status, 200);
    gateway.reload(|_| {}, "serving 2 tables").await;
    assert_eq!(gateway.post(DURABLE, row(3)).await.status, 200);
    let health = gateway.get("/health").await;
    assert!(health.body.get("retired").is_none());
    let metrics = gateway.text("/metrics").await;
    let line = "zerobus_gateway_records_acknowledged_total{table=\"station_one\"} 3\n";
    assert!(metrics.contains(line), "{metrics}");
    assert!(!gateway.log().contains("it has changed or gone"));
}

/// Promise: credentials that are mended take over what others could not send.
#[tokio::test]
async fn other_credentials_send_what_is_left() {
    for more in [&[][..], &["--spool", "spool"]] {
        let rig = Rig::new();
        let start = |listen: &str, secret: &str| {
            let client = format!("station:{secret}");
            rig.emulator(&["--auto-create", "--listen", listen, "--client", &client])
        };
        let server = start("127.0.0.1:0", "old");
        let address = server.address();
        Gateway::directed(&rig, &server, config());
        let env = |secret: &str| {
            format!("DATABRICKS_CLIENT_ID=station\nDATABRICKS_CLIENT_SECRET={secret}\n")
        };
        rig.file(".env", env("old"));
        let (child, url) = Gateway::spawned(Gateway::command(&rig, more));
        let request = Client::new().post(format!("{url}{DURABLE}")).body(row(0));
        assert_eq!(request.send().await.unwrap().status(), 200);
        drop(server);
        let mut gateway = Gateway {
            url,
            child,
            server: None,
            http: Client::new(),
            rig,
        };
        for n in 1..10 {
            assert_eq!(gateway.post(ONE, row(n)).await.status, 202);
        }
        let client = ["--listen", &address, "--client", "station:new"];
        let server = gateway
            .rig
            .emulator(&[&["--auto-create"], &client[..]].concat());
        gateway
            .until("they are refused", async || {
                gateway.get("/health").await.status == 503
            })
            .await;
        gateway.rig.file(".env", env("new"));
        signal(&gateway.child, "HUP");
        gateway
            .until("all is there", async || {
                let mut landed = gateway.numbers("station_one");
                landed.dedup();
                landed == (0..10).collect::<Vec<_>>()
            })
            .await;
        assert_eq!(gateway.post(DURABLE, row(10)).await.status, 200);
        assert!(gateway.get("/health").await.body.get("retired").is_none());
        assert_eq!(gateway.terminate(), 0);
        drop(server);
    }
}

#[tokio::test]
async fn a_token_that_no_header_carries_is_told_and_one_that_is_gone_as_well() {
    let rig = Rig::new();
    rig.file("config.json", config().to_string());
    for token in ["'  '", "\"a\\nb\""] {
        rig.file(".env", format!("GATEWAY_TOKEN={token}\n"));
        let ran = rig
            .run(&["gateway", "--config", "config.json", "--local", "wh"])
            .exits(1);
        assert!(
            ran.stderr
                .contains("GATEWAY_TOKEN is no token that a header can carry"),
            "{ran:?}"
        );
    }
    rig.file(".env", "GATEWAY_TOKEN=all\n");
    let gateway = Gateway::started(rig, None, &["--local", "wh"]);
    assert_eq!(gateway.post(ONE, row(1)).await.status, 401);
    gateway.rig.file(".env", "");
    signal(&gateway.child, "HUP");
    let told = "callers need no token any more";
    gateway
        .until(told, async || gateway.log().contains(told))
        .await;
    assert_eq!(gateway.post(ONE, row(1)).await.status, 202);
}

/// Promise: what was accepted for one service goes to no other.
#[tokio::test]
async fn another_service_gets_nothing_of_what_was_accepted_before() {
    let gateway = Gateway::new(&[], &[]);
    assert_eq!(gateway.post(DURABLE, row(0)).await.status, 200);
    let first = gateway.server.as_ref().unwrap();
    signal(first.child(), "STOP");
    for n in 1..4 {
        assert_eq!(gateway.post(ONE, row(n)).await.status, 202);
    }
    let other = Rig::new();
    let client = ["DATABRICKS_CLIENT_ID", "DATABRICKS_CLIENT_SECRET"].map(|name| first.env(name));
    let second = other.emulator(&["--auto-create", "--client", &client.join(":")]);
    Gateway::directed(&gateway.rig, &second, config());
    for times in 1..3 {
        signal(&gateway.child, "HUP");
        let told = || gateway.log().matches("serving 2 tables").count() == times;
        gateway.until("it is read", async || told()).await;
        assert_eq!(gateway.post(DURABLE, row(10)).await.status, 200);
    }
    let health = gateway.get("/health").await;
    assert_eq!(health.body["retired"][0]["unacknowledged"], 3);
    signal(gateway.server.as_ref().unwrap().child(), "CONT");
    gateway
        .until("all is there", async || {
            gateway.numbers("station_one") == [0, 1, 2, 3]
        })
        .await;
    let table = other.path().join("wh/main/default/station_one");
    assert_eq!(crate::rig::sorted_numbers(&table::rows(&table)), [10, 10]);
}

/// Whoever asks for its health learns that it is well again, without a request between.
#[tokio::test]
async fn health_is_well_again_once_the_cause_is_gone() {
    let gateway = Gateway::new(&[], &[]);
    let good = std::fs::read_to_string(gateway.rig.path().join(".env")).unwrap();
    gateway.rig.file(
        ".env",
        "DATABRICKS_CLIENT_ID=x\nDATABRICKS_CLIENT_SECRET=y\n",
    );
    signal(&gateway.child, "HUP");
    gateway
        .until("the others are refused", async || {
            gateway.post(ONE, row(1)).await.status == 502
        })
        .await;
    assert_eq!(gateway.get("/health").await.status, 503);
    gateway.rig.file(".env", good);
    signal(&gateway.child, "HUP");
    gateway
        .until("it is well", async || {
            gateway.get("/health").await.status == 200
        })
        .await;
}

/// A table that changes takes its figures along.
#[tokio::test]
async fn what_a_table_has_counted_stays_counted() {
    let gateway = Gateway::new(&[], &[]);
    assert_eq!(gateway.post(DURABLE, row(1)).await.status, 200);
    let change = |config: &mut Value| {
        config["tables"]["station_one"]["table_name"] = json!("main.default.other");
    };
    gateway
        .reload(change, "all that was accepted before is settled")
        .await;
    assert_eq!(gateway.post(DURABLE, row(2)).await.status, 200);
    let metrics = gateway.text("/metrics").await;
    let line = "zerobus_gateway_records_acknowledged_total{table=\"station_one\"} 2\n";
    assert!(metrics.contains(line), "{metrics}");
}
