//! The client as a library, against the embedded server over loopback: what programs around the
//! official SDK count on, and what they wish for.

use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use zerobus::emulator::{Emulator, Options};
use zerobus::{Ack, Credentials, Error, Json, Sdk, Stream, StreamOptions, TableProperties};

use crate::rig::{AIR, numbers, sample};
use crate::{table, wire};

mod batches;
mod blocking;
mod callbacks;
mod creation;
mod endings;
mod examples;
mod flow;
mod many;
mod records;
mod recovery;

/// Long enough for anything that happens at all.
const LONG: Duration = Duration::from_secs(30);
/// Long enough to see that something does not happen.
const MOMENT: Duration = Duration::from_millis(50);

/// A record as `prost` would generate it.
#[derive(Clone, PartialEq, prost::Message)]
struct AirQuality {
    #[prost(string, optional, tag = "1")]
    device_name: Option<String>,
    #[prost(int32, optional, tag = "2")]
    temp: Option<i32>,
    #[prost(int64, optional, tag = "3")]
    humidity: Option<i64>,
}

/// A server, and what is needed to write to it.
struct Rig {
    dir: TempDir,
    _server: Emulator,
    sdk: Sdk,
}

impl Rig {
    async fn new() -> Self {
        Self::with(&[]).await
    }

    /// With these faults.
    async fn with(faults: &[&str]) -> Self {
        let dir = TempDir::new().unwrap();
        let server = Emulator::start(Options {
            auto_create: true,
            faults: faults.iter().map(|f| f.parse().unwrap()).collect(),
            ..wire::options(dir.path())
        });
        let server = server.await.unwrap();
        let sdk = Sdk::new(server.url(), server.url()).unwrap();
        Self {
            dir,
            _server: server,
            sdk,
        }
    }

    async fn stream(&self, options: StreamOptions) -> Result<Stream, Error> {
        let credentials = Credentials::client("id", "secret");
        self.sdk.create_stream(credentials, &air(), options).await
    }

    async fn open(&self) -> Stream {
        self.stream(quick()).await.unwrap()
    }

    /// The `humidity` of all rows in the table, in order.
    fn landed(&self) -> Vec<u64> {
        let table = self.dir.path().join("main/default/air_quality");
        match table.join("_delta_log").exists() {
            true => numbers(&table::rows(&table)),
            false => Vec::new(),
        }
    }
}

/// Records of the samples.
fn air() -> TableProperties {
    TableProperties::from_proto_file(AIR, sample("air_quality.proto"), None).unwrap()
}

/// Without the long waits.
fn quick() -> StreamOptions {
    StreamOptions::new().recovery_backoff_ms(10)
}

fn row(n: i64) -> AirQuality {
    AirQuality {
        device_name: Some(format!("sensor-{n}")),
        temp: Some(20),
        humidity: Some(n),
    }
}

fn json(n: i64) -> Json<String> {
    Json(format!("{{\"device_name\": \"d\", \"humidity\": {n}}}"))
}

/// Ingests so many rows from this one on; their acks.
async fn ingest(stream: &Stream, from: i64, count: i64) -> Vec<Ack> {
    let mut acks = Vec::new();
    for n in from..from + count {
        acks.push(stream.ingest_record(json(n)).await.unwrap());
    }
    acks
}

/// Waits for something that comes in its own time.
async fn until(what: impl Fn() -> bool) {
    let look = async {
        while !what() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(LONG, look).await.unwrap();
}

/// Nothing happens for a moment.
async fn waits<T>(future: impl Future<Output = T> + Unpin) -> bool {
    tokio::time::timeout(MOMENT, future).await.is_err()
}

fn each(numbers: std::ops::Range<u64>) -> Vec<u64> {
    numbers.collect()
}

fn shared<T>(value: T) -> Arc<T> {
    Arc::new(value)
}
