//! Is told of each acknowledgement and each failure, and makes a failed stream anew with what it
//! has left.
//!
//! ```sh
//! zerobus emulator --dir wh --auto-create    # prints the variables to export
//! cargo run --example callback
//! ```

#![allow(clippy::print_stdout, reason = "a program")]

use std::env::var;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use zerobus::{Credentials, Json, Sdk, StreamOptions, TableProperties};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let sdk = Sdk::new(&var("ZEROBUS_ENDPOINT")?, &var("DATABRICKS_HOST")?)?;
    let credentials = Credentials::client(
        var("DATABRICKS_CLIENT_ID")?,
        var("DATABRICKS_CLIENT_SECRET")?,
    );
    let proto = "samples/air_quality.proto";
    let table = TableProperties::from_proto_file("main.default.air_quality", proto, None)?;

    let count = Arc::new(AtomicI64::new(0));
    let counted = Arc::clone(&count);
    let options = StreamOptions::new()
        .ack_callback(move |ack| {
            counted.fetch_add(1, Ordering::Relaxed);
            if ack.durability_ack_up_to_offset % 1_000 == 999 {
                println!("durable up to offset {}", ack.durability_ack_up_to_offset);
            }
        })
        .error_callback(|offset, error| println!("offset {offset}: {error}"));
    let stream = sdk.create_stream(credentials, &table, options).await?;

    for i in 0..10_000 {
        let row = format!(
            r#"{{"device_name": "sensor-{}", "temp": {}}}"#,
            i % 10,
            i % 40
        );
        // What became of it is told by the callbacks.
        stream.ingest_record(Json(row)).await?;
    }
    match stream.close().await {
        Ok(()) => {}
        Err(error) if error.is_retryable() => {
            println!("once more: {error}");
            sdk.recreate_stream(&stream).await?.close().await?;
        }
        Err(error) => return Err(error.into()),
    }
    println!("{} records are durable", count.load(Ordering::Relaxed));
    Ok(())
}
