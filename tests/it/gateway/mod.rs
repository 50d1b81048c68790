//! The HTTP gateway over real HTTP, before a server in another process.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use reqwest::{Client, Method};
use serde_json::{Value, json};

use crate::rig::{Rig, Server, sample, signal};
use crate::table;

mod config;
mod observed;
mod parity;
mod refused;
mod requests;
mod running;
mod spool;

/// A gateway as a process of its own, and whom it serves.
struct Gateway {
    rig: Rig,
    server: Option<Server>,
    child: Child,
    url: String,
    http: Client,
}

/// What was answered.
#[derive(Debug)]
struct Answer {
    status: u16,
    retry_after: Option<String>,
    body: Value,
}

impl Gateway {
    fn new(faults: &[&str], more: &[&str]) -> Self {
        let rig = Rig::new();
        let faults = faults.iter().flat_map(|fault| ["--fault", fault]);
        let flags: Vec<_> = ["--auto-create"].into_iter().chain(faults).collect();
        let server = rig.emulator(&flags);
        Self::before(rig, server, more)
    }

    /// With the configuration of the samples, as it would be edited for this server.
    fn before(rig: Rig, server: Server, more: &[&str]) -> Self {
        Self::configured(&rig, &server, config());
        Self::started(rig, Some(server), more)
    }

    fn configured(rig: &Rig, server: &Server, config: Value) {
        Self::directed(rig, server, config);
        let secrets = ["DATABRICKS_CLIENT_ID", "DATABRICKS_CLIENT_SECRET"];
        let lines = secrets.map(|name| format!("{name}={}\n", server.env(name)));
        rig.file(".env", lines.concat());
    }

    /// A configuration with the places of a server.
    fn directed(rig: &Rig, server: &Server, mut config: Value) {
        config["databricks"] = json!({
            "server_endpoint": server.url(),
            "workspace_id": "local",
            "workspace_url": server.url(),
        });
        rig.file("config.json", config.to_string());
    }

    fn started(rig: Rig, server: Option<Server>, more: &[&str]) -> Self {
        let (child, url) = Self::spawned(Self::command(&rig, more));
        Self {
            url,
            rig,
            server,
            child,
            http: Client::new(),
        }
    }

    /// Writes its log to a file.
    fn command(rig: &Rig, more: &[&str]) -> Command {
        let mut command = rig.command(["gateway", "--config", "config.json"]);
        command.args(["--listen", "127.0.0.1:0"]).args(more);
        let log = rig.path().join("gateway.log");
        let log = File::options().create(true).append(true).open(log);
        command.stderr(log.unwrap());
        command
    }

    fn spawned(mut command: Command) -> (Child, String) {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        out.read_line(&mut line).unwrap();
        let url = line.trim().strip_prefix("listening on ").expect(&line);
        (child, url.to_owned())
    }

    /// Ends it with SIGKILL and starts it again.
    fn crash(&mut self, more: &[&str]) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        (self.child, self.url) = Self::spawned(Self::command(&self.rig, more));
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.rig.path().join("gateway.log")).unwrap()
    }

    /// Waits until something is so.
    async fn until(&self, what: &str, mut is: impl AsyncFnMut() -> bool) {
        for _ in 0..600 {
            if is().await {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("never: {what}; {}", self.log());
    }

    async fn ask(&self, method: Method, path: &str, kind: &str, body: impl Into<String>) -> Answer {
        let request = self.http.request(method, format!("{}{path}", self.url));
        let request = request.header("content-type", kind).body(body.into());
        let response = request.send().await.unwrap();
        let retry_after = response.headers().get("retry-after");
        Answer {
            status: response.status().as_u16(),
            retry_after: retry_after.map(|v| v.to_str().unwrap().to_owned()),
            body: response.json().await.unwrap(),
        }
    }

    async fn get(&self, path: &str) -> Answer {
        self.ask(Method::GET, path, "text/plain", "").await
    }

    async fn post(&self, path: &str, body: impl Into<String>) -> Answer {
        self.ask(Method::POST, path, "application/json", body).await
    }

    fn directory(&self, table: &str) -> PathBuf {
        self.rig.path().join("wh/main/default").join(table)
    }

    fn rows(&self, table: &str) -> Vec<Value> {
        let directory = self.directory(table);
        match directory.join("_delta_log").exists() {
            true => table::rows(&directory),
            false => Vec::new(),
        }
    }

    /// The `humidity` of each row, in order of size.
    fn numbers(&self, table: &str) -> Vec<u64> {
        crate::rig::sorted_numbers(&self.rows(table))
    }

    /// Ends it with SIGTERM and returns its exit code.
    fn terminate(&mut self) -> i32 {
        signal(&self.child, "TERM");
        self.child.wait().unwrap().code().unwrap_or(-1)
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The configuration of the samples.
fn config() -> Value {
    let text = std::fs::read_to_string(sample("gateway/config.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

const ONE: &str = "/ingest/station_one";
const DURABLE: &str = "/ingest/station_one?wait_for_ack=true";

fn row(n: u64) -> String {
    json!({"device_name": "sensor-001", "temp": 25, "humidity": n}).to_string()
}
