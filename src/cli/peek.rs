//! `zerobus peek`.

use std::path::PathBuf;

use clap::Args;

use super::ingest::OutputArg;
use crate::schema::TableName;

pub(super) const EXAMPLES: &str = "\
Examples:
  The tables of a local directory:
    zerobus peek --local wh
  One of them, with its first 3 rows:
    zerobus peek --local wh --table main.default.air_quality -n 3
  The same by its directory, for scripts:
    zerobus peek wh/main/default/air_quality -n 3 -o json

It takes no lock: a server or a load may be writing meanwhile.";

/// Arguments of `zerobus peek`.
#[derive(Debug, Args)]
pub struct PeekArgs {
    /// The directory of a table, or of tables, as with --local
    #[arg(value_name = "PATH", required_unless_present = "local")]
    pub path: Option<PathBuf>,
    /// Where the tables are: DIR/CATALOG/SCHEMA/TABLE
    #[arg(long, value_name = "DIR", conflicts_with = "path")]
    pub local: Option<PathBuf>,
    /// The table; without it all tables are listed
    #[arg(long, value_name = "CATALOG.SCHEMA.TABLE")]
    pub table: Option<TableName>,
    /// How many rows to show
    #[arg(short = 'n', long, value_name = "N", default_value_t = 10)]
    pub rows: usize,
    /// The form on standard output
    #[arg(short, long, value_enum, default_value_t = OutputArg::Text)]
    pub output: OutputArg,
}
