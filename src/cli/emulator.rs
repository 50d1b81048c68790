//! `zerobus emulator`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::parse;

pub(super) const EXAMPLES: &str = "\
Examples:
  Tables under ./wh are made from the first stream's descriptor:
    zerobus emulator --dir wh --auto-create

It prints the lines to export for a loader in another shell. SIGTERM or Ctrl-C commits what
was accepted and ends it.";

/// Arguments of `zerobus emulator`.
#[derive(Debug, Args)]
pub struct EmulatorArgs {
    /// Where the Delta tables are: DIR/CATALOG/SCHEMA/TABLE
    #[arg(long, value_name = "DIR")]
    pub dir: PathBuf,
    /// The address to listen on; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8585")]
    pub listen: SocketAddr,
    /// Accepted credentials, repeatable [default: a pair made at start and printed]
    #[arg(long = "client", value_name = "ID:SECRET")]
    pub clients: Vec<String>,
    /// Make a table that does not exist from the first stream's descriptor
    #[arg(long)]
    pub auto_create: bool,
    /// The least spacing of a table's Delta commits; 0s: as soon as rows wait
    #[arg(long, value_name = "DURATION", value_parser = parse::duration, default_value = "0s")]
    pub commit_interval: Duration,
}
