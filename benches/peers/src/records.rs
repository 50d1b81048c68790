//! One record at a time, from several tasks on one stream: our library and the official Rust SDK.
//!
//! `records WHO MODE TASKS ROWS ENDPOINT TABLE PROTO`, WHO being `ours` or `official`, MODE `each`
//! (a task waits for the acknowledgement of each of its records before the next) or `flow` (it
//! does not wait; one flush at the end). Both streams take 50,000 records in flight, and prost
//! encodes each record. Prints JSON: records, seconds, and the time from the call that ingests a
//! record to its acknowledgement, its median and its 99th percentile, in microseconds.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use anyhow::{Context as _, bail};
use databricks_zerobus_ingest_sdk as official;
use prost_reflect::prost::Message as _;
use zerobus::{Credentials, Message, StreamOptions, TableProperties};

const INFLIGHT: usize = 50_000;

#[derive(Clone, PartialEq, prost::Message)]
struct AirQuality {
    #[prost(string, optional, tag = "1")]
    device_name: Option<String>,
    #[prost(int32, optional, tag = "2")]
    temp: Option<i32>,
    #[prost(int64, optional, tag = "3")]
    humidity: Option<i64>,
}

fn row(n: usize) -> AirQuality {
    AirQuality {
        device_name: Some(format!("sensor-{}", n % 1_000)),
        temp: Some((n % 50) as i32),
        humidity: Some(n as i64),
    }
}

/// When each record was sent and acknowledged, by its offset, in nanoseconds from the start.
struct Times {
    start: Instant,
    sent: Vec<AtomicU64>,
    acked: Vec<AtomicU64>,
}

impl Times {
    fn new(rows: usize) -> Self {
        let none = || (0..rows).map(|_| AtomicU64::new(0)).collect();
        Self {
            start: Instant::now(),
            sent: none(),
            acked: none(),
        }
    }

    fn now(&self) -> u64 {
        self.start.elapsed().as_nanos() as u64
    }

    fn ack(&self, offset: i64) {
        self.acked[offset as usize].store(self.now(), Ordering::Relaxed);
    }

    /// Microseconds: the median and the 99th percentile.
    fn percentiles(&self) -> (f64, f64) {
        let pairs = self.sent.iter().zip(&self.acked);
        let mut waits: Vec<u64> = pairs
            .map(|(sent, acked)| {
                let (sent, acked) = (sent.load(Ordering::Relaxed), acked.load(Ordering::Relaxed));
                assert!(acked > 0, "each record is acknowledged");
                acked - sent
            })
            .collect();
        waits.sort_unstable();
        let at = |share: f64| waits[((waits.len() - 1) as f64 * share) as usize] as f64 / 1e3;
        (at(0.5), at(0.99))
    }
}

/// What the measurement needs of a client.
trait Client: Send + Sync + 'static {
    type Ack: Send;
    fn ingest(&self, row: &AirQuality) -> impl Future<Output = anyhow::Result<Self::Ack>> + Send;
    fn offset(ack: &Self::Ack) -> i64;
    fn wait(&self, ack: Self::Ack) -> impl Future<Output = anyhow::Result<()>> + Send;
    fn flush(&self) -> impl Future<Output = anyhow::Result<()>> + Send;
}

impl Client for zerobus::Stream {
    type Ack = zerobus::Ack;

    async fn ingest(&self, row: &AirQuality) -> anyhow::Result<Self::Ack> {
        Ok(self.ingest_record(Message(row)).await?)
    }

    fn offset(ack: &Self::Ack) -> i64 {
        ack.offset()
    }

    async fn wait(&self, ack: Self::Ack) -> anyhow::Result<()> {
        Ok(ack.await?)
    }

    async fn flush(&self) -> anyhow::Result<()> {
        Ok(zerobus::Stream::flush(self).await?)
    }
}

impl Client for official::ZerobusStream {
    type Ack = i64;

    async fn ingest(&self, row: &AirQuality) -> anyhow::Result<i64> {
        let record = official::ProtoBytes(row.encode_to_vec());
        Ok(self.ingest_record_offset(record).await?)
    }

    fn offset(ack: &i64) -> i64 {
        *ack
    }

    async fn wait(&self, ack: i64) -> anyhow::Result<()> {
        Ok(self.wait_for_offset(ack).await?)
    }

    async fn flush(&self) -> anyhow::Result<()> {
        Ok(official::ZerobusStream::flush(self).await?)
    }
}

struct Official(Arc<Times>);

impl official::AckCallback for Official {
    fn on_ack(&self, offset: i64) {
        self.0.ack(offset);
    }

    fn on_error(&self, offset: i64, error: &str) {
        panic!("offset {offset}: {error}");
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [who, mode, tasks, rows, endpoint, table, proto] = &args[..] else {
        bail!("WHO MODE TASKS ROWS ENDPOINT TABLE PROTO");
    };
    let waits = match mode.as_str() {
        "each" => true,
        "flow" => false,
        other => bail!("no such mode: {other}"),
    };
    let (tasks, rows): (usize, usize) = (tasks.parse()?, rows.parse()?);
    let rows = rows / tasks * tasks;
    let times = Arc::new(Times::new(rows));
    let seconds = match who.as_str() {
        "ours" => {
            let sdk = zerobus::Sdk::new(endpoint, endpoint)?;
            let table = TableProperties::from_proto_file(table, proto, None)?;
            let told = Arc::clone(&times);
            let mut options = StreamOptions::new().max_inflight_records(INFLIGHT);
            if !waits {
                options =
                    options.ack_callback(move |ack| told.ack(ack.durability_ack_up_to_offset));
            }
            let credentials = Credentials::client("any", "any");
            let stream = sdk.create_stream(credentials, &table, options).await?;
            run(stream, &times, waits, tasks).await?
        }
        "official" => {
            let sdk = official::ZerobusSdk::builder()
                .endpoint(endpoint.as_str())
                .unity_catalog_url(endpoint.as_str())
                .no_tls()
                .build()?;
            let mut builder = sdk
                .stream_builder()
                .table(table.as_str())
                .oauth("any", "any")
                .dynamic_proto(descriptor(Path::new(proto))?)
                .max_inflight_requests(INFLIGHT);
            if !waits {
                builder = builder.ack_callback(Arc::new(Official(Arc::clone(&times))));
            }
            run(builder.build().await?, &times, waits, tasks).await?
        }
        other => bail!("no such client: {other}"),
    };
    let (p50, p99) = times.percentiles();
    println!("{{\"records\": {rows}, \"seconds\": {seconds}, \"p50\": {p50}, \"p99\": {p99}}}");
    Ok(())
}

fn descriptor(proto: &Path) -> anyhow::Result<prost_reflect::MessageDescriptor> {
    let mut compiler = protox::Compiler::new([proto.parent().context("a file in a folder")?])?;
    compiler.open_file(proto)?;
    let pool = compiler.descriptor_pool();
    pool.all_messages().next().context("a message")
}

/// Runs the tasks; the seconds until the last acknowledgement.
async fn run<C: Client>(
    stream: C,
    times: &Arc<Times>,
    waits: bool,
    tasks: usize,
) -> anyhow::Result<f64> {
    let stream = Arc::new(stream);
    let begin = Instant::now();
    let each = times.sent.len() / tasks;
    let running: Vec<_> = (0..tasks)
        .map(|task| {
            let (stream, times) = (Arc::clone(&stream), Arc::clone(times));
            tokio::spawn(async move {
                for n in task * each..(task + 1) * each {
                    let row = row(n);
                    let sent = times.now();
                    let ack = stream.ingest(&row).await?;
                    let offset = C::offset(&ack);
                    times.sent[offset as usize].store(sent, Ordering::Relaxed);
                    if waits {
                        stream.wait(ack).await?;
                        times.ack(offset);
                    }
                }
                anyhow::Ok(())
            })
        })
        .collect();
    for task in running {
        task.await??;
    }
    stream.flush().await?;
    let seconds = begin.elapsed().as_secs_f64();
    // Callbacks come a moment after what they tell.
    while times.acked.iter().any(|t| t.load(Ordering::Relaxed) == 0) {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    Ok(seconds)
}
