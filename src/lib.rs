//! Rows into Databricks Delta tables through Zerobus Ingest, over one gRPC stream: no Kafka, no
//! files to stage. This is the library; the `zerobus` command is a loader made of the same parts.
//!
//! # A stream
//!
//! An [`Sdk`] knows where the service is, [`TableProperties`] what a record is, [`Credentials`]
//! who asks. A [`Stream`] takes records and tells by an [`Ack`] when each is durable:
//!
//! ```
//! use zerobus::{Credentials, Json, Sdk, StreamOptions, TableProperties};
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let dir = tempfile::tempdir()?;
//! # let mut options = zerobus::emulator::Options::new(
//! #     dir.path(), ([127, 0, 0, 1], 0).into(), ("application-id".into(), "secret".into()));
//! # options.auto_create = true;
//! # let server = zerobus::emulator::Emulator::start(options).await?;
//! # let (server_endpoint, workspace_url) = (server.url(), server.url());
//! // Such as "1234567890123456.zerobus.us-west-2.cloud.databricks.com"
//! // and "https://dbc-a1b2c3d4-e5f6.cloud.databricks.com".
//! let sdk = Sdk::new(server_endpoint, workspace_url)?;
//! let table =
//!     TableProperties::from_proto_file("main.default.air_quality", "samples/air_quality.proto", None)?;
//! let credentials = Credentials::client("application-id", "secret");
//! let stream = sdk.create_stream(credentials, &table, StreamOptions::new()).await?;
//!
//! for n in 0..100 {
//!     let row = format!(r#"{{"device_name": "sensor-{}", "temp": {}}}"#, n % 10, 20 + n % 15);
//!     let ack = stream.ingest_record(Json(row)).await?;
//!     # if n > 0 { continue }
//!     ack.await?; // or not: see below
//! }
//! stream.close().await?;
//! # Ok(())
//! # }
//! ```
//!
//! A record may be a generated or dynamic protobuf [`Message`], bytes that are [`Encoded`]
//! already, or [`Json`] text, which is converted and checked on the spot.
//! [`ingest_records`](Stream::ingest_records) takes several that go in together or not at all.
//!
//! # Waiting, or not
//!
//! Ingesting waits for room only: 50,000 records may be unacknowledged
//! ([`max_inflight_records`](StreamOptions::max_inflight_records)). Whoever waits for each ack
//! before the next record has one record a round trip; whoever ingests on and then waits once has
//! millions a second:
//!
//! ```
//! # use zerobus::{Credentials, Encoded, Message, Sdk, StreamOptions, TableProperties};
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let dir = tempfile::tempdir()?;
//! # let mut options = zerobus::emulator::Options::new(
//! #     dir.path(), ([127, 0, 0, 1], 0).into(), ("application-id".into(), "secret".into()));
//! # options.auto_create = true;
//! # let server = zerobus::emulator::Emulator::start(options).await?;
//! # let sdk = Sdk::new(server.url(), server.url())?;
//! # let table = TableProperties::from_proto_file("main.default.air_quality", "samples/air_quality.proto", None)?;
//! # let credentials = Credentials::client("application-id", "secret");
//! use zerobus::prost;
//!
//! #[derive(Clone, PartialEq, prost::Message)]
//! struct AirQuality {
//!     #[prost(string, optional, tag = "1")]
//!     device_name: Option<String>,
//!     #[prost(int32, optional, tag = "2")]
//!     temp: Option<i32>,
//! }
//!
//! let options = StreamOptions::new()
//!     .max_inflight_records(10_000)
//!     .ack_callback(|ack| {
//!         let _so_far = ack.durability_ack_up_to_offset;
//!     });
//! let stream = sdk.create_stream(credentials, &table, options).await?;
//! for n in 0..100_000 {
//!     let row = AirQuality { device_name: Some(format!("sensor-{}", n % 10)), temp: Some(n % 40) };
//!     stream.ingest_record(Message(&row)).await?;
//! }
//! stream.flush().await?; // all of them are durable
//! stream.close().await?;
//! # Ok(())
//! # }
//! ```
//!
//! Records that come one by one are gathered into batches under the surface. One never waits for
//! others while nothing is outstanding, and never longer than
//! [`linger_ms`](StreamOptions::linger_ms).
//!
//! # When something goes wrong
//!
//! A lost connection is opened again, and what is not acknowledged is sent again: delivery is *at
//! least once*. Acks and offsets outlive it. [`Error::is_retryable`] tells what may pass from what
//! will not. A stream that fails keeps what is not durable:
//!
//! ```
//! # use zerobus::{Credentials, Error, Json, Sdk, Stream, StreamOptions, TableProperties};
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let dir = tempfile::tempdir()?;
//! # let mut options = zerobus::emulator::Options::new(
//! #     dir.path(), ([127, 0, 0, 1], 0).into(), ("application-id".into(), "secret".into()));
//! # options.auto_create = true;
//! # options.faults.push("fail:after=1,times=1".parse()?);
//! # let server = zerobus::emulator::Emulator::start(options).await?;
//! # let sdk = Sdk::new(server.url(), server.url())?;
//! # let table = TableProperties::from_proto_file("main.default.air_quality", "samples/air_quality.proto", None)?;
//! # let credentials = Credentials::client("application-id", "secret");
//! # let stream = sdk.create_stream(credentials, &table, StreamOptions::new().recovery(false)).await?;
//! # for n in 0..10 { let _ = stream.ingest_record(Json(format!(r#"{{"temp": {n}}}"#))).await; }
//! match stream.close().await {
//!     Ok(()) => {} // all that was ever accepted is durable
//!     Err(error) if error.is_retryable() => {
//!         let again = sdk.recreate_stream(&stream).await?; // with all that is left
//!         again.close().await?;
//!     }
//!     Err(error) => {
//!         for item in stream.unacknowledged()? {
//!             eprintln!("{}: {:?}", item.offset, item.refused);
//!         }
//!         return Err(error.into());
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! - **A record that does not fit** is refused by `ingest_record`, with its field, and takes no
//!   offset.
//! - **A record that the service refuses** is found and refused alone, and so is a batch: its ack
//!   has the error, the others go on, and [`close`](Stream::close) is an error.
//! - **[`flush`](Stream::flush)** waits for what was accepted before it; others may ingest
//!   meanwhile. One that fails for lack of time may be tried again.
//! - **[`close`](Stream::close)** is Ok only if everything is durable, however often and by whomever
//!   it is called. Nothing is accepted from the first call on.
//! - **A stream that is dropped** sends what it has as long as its runtime lives. Nobody learns of
//!   a failure but those who hold an ack, and the callbacks.
//! - **Many tasks** may use a stream by reference; each one's records keep their order.
//!
//! # Without async
//!
//! [`blocking`] has the same streams for threads.
//!
//! # Trying it out
//!
//! `zerobus emulator --dir wh --auto-create` is a local Zerobus that writes real Delta tables, and
//! prints the endpoint and the credentials to use; with the feature `emulator`, on by default,
//! a test may start one in its own process (`emulator::Emulator`). The programs in `examples/`
//! run against either.
//!
//! # Stability
//!
//! What this page shows is the library and follows semantic versioning. Its other modules are
//! the loader's, and may change with any release.

#![deny(missing_docs)]
#![warn(unreachable_pub)]
#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::expect_used))]

// The rooms of the loader; ARCHITECTURE.md draws the map. They are public for the binary, tests
// and measurements.
#[doc(hidden)]
pub mod buffers;
#[doc(hidden)]
pub mod cli;
#[doc(hidden)]
pub mod client;
#[doc(hidden)]
pub mod commands;
mod duration;
#[cfg(feature = "emulator")]
pub mod emulator;
#[doc(hidden)]
pub mod error;
#[cfg(feature = "gateway")]
#[doc(hidden)]
pub mod gateway;
#[doc(hidden)]
pub mod input;
#[doc(hidden)]
pub mod load;
#[cfg(any(feature = "emulator", feature = "gateway"))]
mod page;
#[doc(hidden)]
pub mod protocol;
#[doc(hidden)]
pub mod report;
#[doc(hidden)]
pub mod schema;
mod sdk;
#[doc(hidden)]
pub mod settings;
#[doc(hidden)]
pub mod transcode;

/// The messages of `proto/zerobus_service.proto`.
#[doc(hidden)]
pub mod wire {
    #![expect(clippy::all, reason = "generated")]
    tonic::include_proto!("databricks.zerobus");
}

/// The crates whose types appear here.
pub use prost_reflect::{self, prost};
pub use sdk::*;
