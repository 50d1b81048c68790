//! `zerobus gateway`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::parse;

pub(super) const EXAMPLES: &str = "\
Examples:
  Serve the tables of config.json; DATABRICKS_CLIENT_ID and DATABRICKS_CLIENT_SECRET are in
  the environment, or in a file .env beside it:
    zerobus gateway --config config.json
  Try it out without an account, into Delta tables under ./wh:
    zerobus gateway --config config.json --local wh

Then:
    curl -d '{\"device_name\": \"sensor-001\", \"temp\": 25}' http://localhost:8000/ingest/station_one
    curl http://localhost:8000/health

and in a browser http://localhost:8000/docs

With GATEWAY_TOKEN set, there or in the environment, callers must show it:
    curl -H \"Authorization: Bearer $GATEWAY_TOKEN\" ...

SIGHUP reads config.json and .env again. SIGTERM or Ctrl-C answers the requests under way, flushes
all streams and ends; both take --deadline at most. A second one ends it at once.";

/// How the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// A line of text for each event
    Text,
    /// A JSON object for each event
    Json,
}

/// Arguments of `zerobus gateway`.
#[derive(Debug, Args)]
pub struct GatewayArgs {
    /// Where the service is, and which tables there are
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// The address to listen on; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8000", value_parser = parse::address)]
    pub listen: SocketAddr,
    /// Take requests from other machines without a token
    #[arg(long)]
    pub allow_anonymous: bool,
    /// How long a request may take
    #[arg(long, value_name = "DURATION", value_parser = parse::duration, default_value = "30s")]
    pub deadline: Duration,
    /// The longest body of a request
    #[arg(long, value_name = "SIZE", value_parser = parse::size, default_value = "10MiB")]
    pub max_body: usize,
    /// Keep accepted records in files under DIR until they are durable, so that they survive a
    /// crash
    #[arg(long, value_name = "DIR")]
    pub spool: Option<PathBuf>,
    /// How much may lie in the spool
    #[arg(long, value_name = "SIZE", value_parser = parse::size, default_value = "1GiB", requires = "spool")]
    pub spool_max: usize,
    /// Where records go that were accepted and that the service refuses, or that could not be sent
    /// before the end [default: dead-letters.ndjson in the spool, or else beside the configuration]
    #[arg(long, value_name = "FILE")]
    pub dead_letters: Option<PathBuf>,
    /// How the log on standard error is written
    #[arg(long, value_enum, value_name = "FORMAT", default_value = "text")]
    pub log_format: LogFormat,
    /// Log each request, not only those that fail on the gateway's side
    #[arg(long)]
    pub log_requests: bool,
    /// Write Delta tables under DIR instead of to Databricks, with a server in this process
    #[cfg(feature = "emulator")]
    #[arg(long, value_name = "DIR")]
    pub local: Option<PathBuf>,
}
