//! Waits for each record before the next: simple, and one record a round trip.
//!
//! ```sh
//! zerobus emulator --dir wh --auto-create    # prints the variables to export
//! cargo run --example blocking
//! ```

#![allow(clippy::print_stdout, reason = "a program")]

use std::env::var;

use zerobus::{Credentials, Json, StreamOptions, TableProperties, blocking};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let sdk = blocking::Sdk::new(&var("ZEROBUS_ENDPOINT")?, &var("DATABRICKS_HOST")?)?;
    let credentials = Credentials::client(
        var("DATABRICKS_CLIENT_ID")?,
        var("DATABRICKS_CLIENT_SECRET")?,
    );
    let proto = "samples/air_quality.proto";
    let table = TableProperties::from_proto_file("main.default.air_quality", proto, None)?;
    let stream = sdk.create_stream(credentials, &table, StreamOptions::new())?;

    for i in 0..100 {
        let row = serde_json::json!({
            "device_name": format!("sensor-{}", i % 10),
            "temp": 20 + i % 15,
            "humidity": 50 + i % 40,
        });
        let mut ack = stream.ingest_record(Json(row.to_string()))?;
        ack.wait_for_ack(None)?;
        println!("record {} is durable", i + 1);
    }
    stream.close()?;
    println!("100 records are durable");
    Ok(())
}
