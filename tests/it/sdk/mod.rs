//! The client as a library, against the embedded server over loopback: what programs around the
//! official SDK count on, and what they wish for.
//!
//! What other SDKs document, what it is here, and the test that shows it:
//!
//! | there | here | shown by |
//! |---|---|---|
//! | `ZerobusSdk(server_endpoint, unity_catalog_endpoint)` | `Sdk::new`, `blocking::Sdk::new` | `creation::a_stream_is_created_open_and_with_an_id`, `blocking::a_program_without_async_ingests` |
//! | `create_stream(client_id, client_secret, table_properties, options)` | `create_stream(Credentials::client(..), &table, options)` | the same |
//! | `ingest_record` → acknowledgement, awaitable | `ingest_record` → `Ack`, a future | `records::one_record_is_accepted_before_and_durable_after_its_ack` |
//! | batches of later SDKs | `ingest_records` → `Option<Ack>` | `batches::a_batch_has_one_offset_and_one_ack` |
//! | `flush` | `flush` | `flow::flush_waits_for_all_and_leaves_the_stream_open` |
//! | `close` | `close` | `endings::close_waits_for_every_acknowledgement` |
//! | `get_state` | `state` | each state below |
//! | `stream_id` | `stream_id` | `creation::each_stream_has_its_own_connection_and_id` |
//! | `TableProperties(table_name, descriptor)` | `TableProperties::new`, `from_descriptor_proto`, `from_proto_file`, `json` | `records::a_descriptor_may_be_given_as_its_own_message` |
//! | `table_name`, `descriptor` | `table_name`, `descriptor` | the same, `records::json_records_go_as_they_are` |
//! | `StreamConfigurationOptions` and its defaults | `StreamOptions` | `sdk::options::tests::the_defaults_are_the_documented_ones` |
//! | `max_inflight_records` 50000 | the same | `flow::ingesting_waits_once_as_many_are_in_flight_as_may_be` |
//! | `recovery` true | the same | `creation::without_recovery_there_is_one_attempt`, `recovery::without_recovery_a_silent_server_fails_the_stream` |
//! | `recovery_timeout_ms` 15000 | the same | `creation::a_creation_has_its_time_out` |
//! | `recovery_backoff_ms` 2000 | the same, doubling | `recovery::a_recovering_stream_accepts_and_says_so`, and the simulation of `protocol` |
//! | `recovery_retries` 3 | the same | `creation::a_creation_fails_once_its_retries_are_used_up` |
//! | `flush_timeout_ms` 300000 | the same | `flow::flush_has_its_time_out`, `endings::close_that_runs_out_of_time_says_so_and_keeps_what_is_left` |
//! | `server_lack_of_ack_timeout_ms` 60000 | the same | `recovery::a_server_that_acknowledges_nothing_is_left` |
//! | `ack_callback` none | `ack_callback`, `error_callback` | `callbacks::each_offset_is_told_once_and_in_order` |
//! | `RecordAcknowledgment.wait_for_ack(timeout)` | `Ack::wait_for_ack`, `blocking::Ack::wait_for_ack` | `flow::flush_has_its_time_out`, `blocking::waiting_has_its_time_out` |
//! | `add_done_callback` | the same | `flow::an_ack_may_be_waited_for_by_many_and_dropped_by_some` |
//! | `is_done` | the same | the same |
//! | `UNINITIALIZED` | `StreamState::Uninitialized` | `creation::a_stream_that_is_started_is_uninitialized_and_accepts` |
//! | `OPENED` | `Opened` | `creation::a_stream_is_created_open_and_with_an_id` |
//! | `FLUSHING` | `Flushing` | `flow::a_stream_that_is_flushed_says_so_and_accepts` |
//! | `RECOVERING` | `Recovering` | `recovery::a_recovering_stream_accepts_and_says_so` |
//! | `CLOSED` | `Closed` | `endings::close_waits_for_every_acknowledgement` |
//! | `FAILED` | `Failed` | `endings::a_failed_stream_says_why_to_all` |
//! | `ZerobusException`, `NonRetriableException` | `Error::is_retryable` | `creation::what_is_refused_for_good_is_not_tried_again`, `creation::without_recovery_there_is_one_attempt` |
//! | tokens are refreshed on creation and recovery | and shared by streams | `creation::streams_of_one_table_share_a_token`, `recovery::offsets_and_acks_outlive_lost_connections` |
//! | unacknowledged records, recreated streams of later SDKs | `unacknowledged`, `recreate_stream` | `recovery::what_is_left_is_told_in_order_and_as_it_came`, `recovery::a_stream_is_recreated_with_what_the_first_has_left` |
//! | `stream_paused_max_wait_time_ms` of later SDKs | the same | `recovery::a_close_signal_need_not_be_waited_out`, `recovery::a_close_signal_is_waited_out_and_nothing_sent_twice` |

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

/// What the table above calls a test is one.
#[test]
fn the_table_names_tests_that_there_are() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |file: &str| std::fs::read_to_string(root.join(file)).unwrap();
    let table = read("tests/it/sdk/mod.rs");
    let rows = table.lines().filter(|line| line.starts_with("//! | "));
    let shown = rows.filter_map(|row| row.split(" | ").nth(3));
    let names = shown.flat_map(|cell| cell.split('`').skip(1).step_by(2));
    let mut count = 0;
    for name in names {
        let (file, test) = match name.strip_prefix("sdk::options::tests::") {
            Some(test) => ("src/sdk/options.rs".to_owned(), test),
            None => match name.split_once("::") {
                Some((module, test)) => (format!("tests/it/sdk/{module}.rs"), test),
                None => continue,
            },
        };
        let defined = read(&file).contains(&format!("fn {test}("));
        assert!(defined, "{name}");
        count += 1;
    }
    assert!(count > 30, "{count}");
}
