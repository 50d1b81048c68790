//! The command line as clap types, nothing else: they feed parsing, help and completions.

use clap::{Parser, Subcommand};

#[cfg(feature = "emulator")]
mod emulator;
mod ingest;
mod parse;
mod record;
mod schema;

#[cfg(feature = "emulator")]
pub use emulator::EmulatorArgs;
pub use ingest::{
    AmbiguousArg, CompressionArg, FormatArg, IngestArgs, OutputArg, ProgressArg, TableCheckArg,
    TimestampUnit, UnknownFields,
};
pub use record::RecordArgs;
pub use schema::{SchemaCommand, SchemaShowArgs};

/// Loads rows straight into Databricks Delta tables through Zerobus Ingest.
#[derive(Debug, Parser)]
#[command(
    name = "zerobus",
    version,
    disable_help_subcommand = true,
    arg_required_else_help = true
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Load NDJSON or CSV rows into a table
    #[command(after_help = ingest::EXAMPLES)]
    Ingest(Box<IngestArgs>),
    /// Look at the schema of a record
    #[command(subcommand)]
    Schema(SchemaCommand),
    /// Run a local Zerobus: gRPC, OAuth and Delta tables on one port
    #[cfg(feature = "emulator")]
    #[command(after_help = emulator::EXAMPLES)]
    Emulator(EmulatorArgs),
    /// Print the completions of a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}
