//! `zerobus schema`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::ingest::OutputArg;

/// The verbs of `zerobus schema`.
#[derive(Debug, Subcommand)]
pub enum SchemaCommand {
    /// Show a record as the service will see it: fields, types and Delta columns
    Show(SchemaShowArgs),
}

/// Arguments of `zerobus schema show`.
#[derive(Debug, Args)]
pub struct SchemaShowArgs {
    /// The .proto file that declares the record
    #[arg(long, value_name = "FILE")]
    pub proto: PathBuf,
    /// Where imports are searched [default: the .proto file's directory]
    #[arg(short = 'I', long = "proto-path", value_name = "DIR")]
    pub proto_path: Vec<PathBuf>,
    /// The record's message [default: the file's only or first one]
    #[arg(long, value_name = "NAME")]
    pub message: Option<String>,
    /// Write the descriptor that the service is sent, a serialized DescriptorProto
    #[arg(long, value_name = "FILE")]
    pub descriptor_out: Option<PathBuf>,
    /// The form on standard output
    #[arg(short, long, value_enum, default_value_t = OutputArg::Text)]
    pub output: OutputArg,
}
