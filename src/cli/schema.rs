//! `zerobus schema`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::ingest::OutputArg;
use super::record::RecordArgs;

/// The verbs of `zerobus schema`.
#[derive(Debug, Subcommand)]
pub enum SchemaCommand {
    /// Show a record as the service will see it: fields, types and Delta columns
    Show(SchemaShowArgs),
}

/// Arguments of `zerobus schema show`.
#[derive(Debug, Args)]
pub struct SchemaShowArgs {
    /// What a record is.
    #[command(flatten)]
    pub record: RecordArgs,
    /// Write the descriptor that the service is sent, a serialized DescriptorProto
    #[arg(long, value_name = "FILE")]
    pub descriptor_out: Option<PathBuf>,
    /// The form on standard output
    #[arg(short, long, value_enum, default_value_t = OutputArg::Text)]
    pub output: OutputArg,
}
