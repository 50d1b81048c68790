//! The library behind the `zerobus` binary: a straight pipe from rows in files to
//! acknowledged records in a Delta table.
//!
//! `input` frames bytes into blocks of rows, `transcode` turns a block into a batch
//! of encoded records, `load` moves batches through a `client` whose stream is the
//! state machine in `protocol`, and `report` tells what happened. ARCHITECTURE.md
//! draws the map and names the invariants.

#![deny(missing_docs)]
#![warn(unreachable_pub)]
#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::expect_used))]

pub mod buffers;
pub mod cli;
pub mod client;
pub mod commands;
mod duration;
#[cfg(feature = "emulator")]
pub mod emulator;
pub mod error;
pub mod input;
pub mod load;
pub mod protocol;
pub mod report;
pub mod schema;
mod sdk;
pub mod settings;
pub mod transcode;

/// The messages of `proto/zerobus_service.proto`.
pub mod wire {
    #![expect(missing_docs, reason = "generated; documented in the .proto file")]
    #![expect(clippy::all, reason = "generated")]
    tonic::include_proto!("databricks.zerobus");
}

pub use sdk::*;
