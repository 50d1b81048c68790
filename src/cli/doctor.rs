//! `zerobus doctor`.

use clap::Args;

use super::{OutputArg, RecordArgs, ServiceArgs};
use crate::schema::TableName;

pub(super) const EXAMPLES: &str = "\
Examples:
  Settings and network:
    zerobus doctor
  All that a load depends on, down to an open stream, with nothing sent:
    zerobus doctor --table main.default.air_quality --proto record.proto
  For scripts; the exit code is 0 or 1:
    zerobus doctor --table main.default.air_quality -o json";

/// Arguments of `zerobus doctor`.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// The table, as catalog.schema.table; without it only settings and network are checked
    #[arg(long, value_name = "C.S.T", help_heading = "Target")]
    pub table: Option<TableName>,
    /// Where the service is and who asks.
    #[command(flatten)]
    pub service: ServiceArgs,
    /// What a record is.
    #[command(flatten)]
    pub record: RecordArgs,
    /// The form on standard output
    #[arg(short, long, value_enum, default_value_t = OutputArg::Text, help_heading = "Output")]
    pub output: OutputArg,
}
