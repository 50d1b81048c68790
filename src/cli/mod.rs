//! The command line as clap types, nothing else: they feed parsing, help and completions.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

mod doctor;
#[cfg(feature = "emulator")]
mod emulator;
#[cfg(feature = "gateway")]
mod gateway;
mod ingest;
mod parse;
#[cfg(feature = "emulator")]
mod peek;
mod record;
mod schema;
mod service;
#[cfg(feature = "emulator")]
mod sql;

pub use doctor::DoctorArgs;
#[cfg(feature = "emulator")]
pub use emulator::EmulatorArgs;
#[cfg(feature = "gateway")]
pub use gateway::{GatewayArgs, LogFormat};
pub use ingest::{
    AmbiguousArg, CompressionArg, FormatArg, IngestArgs, OutputArg, ProgressArg, TableCheckArg,
    TimestampUnit, UnknownFields,
};
#[cfg(feature = "emulator")]
pub use peek::PeekArgs;
pub use record::RecordArgs;
pub use schema::{SchemaCommand, SchemaShowArgs};
pub use service::ServiceArgs;
#[cfg(feature = "emulator")]
pub use sql::{SqlArg, SqlArgs};

/// Examples stand before the flags: most people want one of them.
const EXAMPLES_FIRST: &str = "\
{about-with-newline}
{usage-heading} {usage}{after-help}

{all-args}";

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
    #[command(after_help = ingest::EXAMPLES, help_template = EXAMPLES_FIRST)]
    Ingest(Box<IngestArgs>),
    /// Look at the schema of a record
    #[command(subcommand)]
    Schema(SchemaCommand),
    /// Run a local Zerobus: gRPC, OAuth and Delta tables on one port
    #[cfg(feature = "emulator")]
    #[command(after_help = emulator::EXAMPLES, help_template = EXAMPLES_FIRST)]
    Emulator(EmulatorArgs),
    /// Serve HTTP: JSON rows in, streams into tables out
    #[cfg(feature = "gateway")]
    #[command(after_help = gateway::EXAMPLES, help_template = EXAMPLES_FIRST)]
    Gateway(GatewayArgs),
    /// Show a local table: schema, row count, first rows
    #[cfg(feature = "emulator")]
    #[command(after_help = peek::EXAMPLES, help_template = EXAMPLES_FIRST)]
    Peek(PeekArgs),
    /// Check settings, network, token, table and record before a load, step by step
    #[command(after_help = doctor::EXAMPLES, help_template = EXAMPLES_FIRST)]
    Doctor(Box<DoctorArgs>),
    /// Print the completions of a shell, or install them
    Completions(CompletionsArgs),
    /// Print a manual page, or write all of them
    Man(ManArgs),
}

/// Arguments of `zerobus completions`.
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// The shell [default: that of SHELL]
    pub shell: Option<clap_complete::Shell>,
    /// Put them where the shell looks for them, under the home directory
    #[arg(long)]
    pub install: bool,
}

/// Arguments of `zerobus man`.
#[derive(Debug, Args)]
pub struct ManArgs {
    /// The command, such as `ingest` or `schema show` [default: zerobus itself]
    #[arg(conflicts_with = "dir")]
    pub command: Vec<String>,
    /// Write the pages of all commands to this directory
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
}
