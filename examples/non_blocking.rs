//! Ingests without waiting, and flushes once: as fast as it goes.
//!
//! ```sh
//! zerobus emulator --dir wh --auto-create    # prints the variables to export
//! cargo run --release --example non_blocking
//! ```

#![allow(clippy::print_stdout, reason = "a program")]

use std::env::var;
use std::time::Instant;

use zerobus::{Credentials, Message, Sdk, StreamOptions, TableProperties};

/// As `prost-build` generates it from samples/air_quality.proto.
#[derive(Clone, PartialEq, prost::Message)]
struct AirQuality {
    #[prost(string, optional, tag = "1")]
    device_name: Option<String>,
    #[prost(int32, optional, tag = "2")]
    temp: Option<i32>,
    #[prost(int64, optional, tag = "3")]
    humidity: Option<i64>,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let sdk = Sdk::new(&var("ZEROBUS_ENDPOINT")?, &var("DATABRICKS_HOST")?)?;
    let credentials = Credentials::client(
        var("DATABRICKS_CLIENT_ID")?,
        var("DATABRICKS_CLIENT_SECRET")?,
    );
    let proto = "samples/air_quality.proto";
    let table = TableProperties::from_proto_file("main.default.air_quality", proto, None)?;
    let options = StreamOptions::new().max_inflight_records(50_000);
    let stream = sdk.create_stream(credentials, &table, options).await?;

    let start = Instant::now();
    let mut acks = Vec::new();
    for i in 0..100_000 {
        let row = AirQuality {
            device_name: Some(format!("sensor-{}", i % 10)),
            temp: Some(20 + i % 15),
            humidity: Some(i64::from(50 + i % 40)),
        };
        acks.push(stream.ingest_record(Message(&row)).await?);
    }
    stream.flush().await?;
    assert!(acks.iter().all(zerobus::Ack::is_done));
    stream.close().await?;
    println!("100000 records are durable, in {:?}", start.elapsed());
    Ok(())
}
