//! `zerobus ingest`.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args, ValueEnum};

use super::parse;
use super::record::RecordArgs;
#[cfg(feature = "emulator")]
use super::service::SERVICE_FLAGS;
use super::service::ServiceArgs;
use crate::input::Shard;
use crate::load::MaxErrors;
use crate::schema::TableName;

pub(super) const EXAMPLES: &str = "\
Examples:
  Try it without an account, into Delta tables under ./wh:
    zerobus ingest --local wh --table main.default.air_quality --proto record.proto data.ndjson

  Into Databricks, with ZEROBUS_ENDPOINT, DATABRICKS_HOST, DATABRICKS_CLIENT_ID and
  DATABRICKS_CLIENT_SECRET in the environment:
    zerobus ingest --table main.default.air_quality --proto record.proto data.ndjson more.csv

  From a pipe, keeping bad rows for later:
    producer | zerobus ingest --table main.default.air_quality --proto record.proto \\
      --max-errors 1% --rejects bad.ndjson -

  From cron: what is new or unfinished in a directory, with figures for Prometheus:
    zerobus ingest --profile prod --table main.default.air_quality --checkpoint load.cp --resume \\
      --metrics-file load.prom /var/spool/air

  What does not work, and what to do: zerobus doctor --table main.default.air_quality

Exit codes:
  0 every row acknowledged     3 rows rejected, within --max-errors
  1 failed for good            4 more rows rejected than --max-errors
  2 wrong usage                5 service unavailable, try again
  130/143 interrupted, accepted rows acknowledged";

/// Arguments of `zerobus ingest`.
#[derive(Debug, Args)]
pub struct IngestArgs {
    /// Files, quoted globs, directories, or - for standard input; without any, standard input is read if it is piped
    #[arg(value_name = "INPUT")]
    pub inputs: Vec<OsString>,

    /// The table, as catalog.schema.table
    #[arg(long, value_name = "C.S.T", help_heading = "Target")]
    pub table: TableName,
    /// Where the service is and who asks.
    #[command(flatten)]
    pub service: ServiceArgs,
    /// Load into Delta tables under DIR, through a server in this process
    #[cfg(feature = "emulator")]
    #[arg(long, value_name = "DIR", help_heading = "Target", conflicts_with_all = SERVICE_FLAGS)]
    pub local: Option<PathBuf>,

    /// What a record is.
    #[command(flatten)]
    pub record: RecordArgs,
    /// Send rows as JSON records, which the service converts
    #[arg(long, help_heading = "Schema", conflicts_with_all = ["proto", "descriptor_set", "timestamp_unit", "timezone", "ambiguous", "allow_epoch", "unknown_fields"])]
    pub json: bool,
    /// Whether the record is compared with the table first; auto: if its schema can be fetched
    #[arg(long, value_enum, value_name = "HOW", default_value_t = TableCheckArg::Auto, help_heading = "Schema")]
    pub table_check: TableCheckArg,

    /// How rows are read; auto: by the file's name, ndjson for standard input
    #[arg(long, value_enum, default_value_t = FormatArg::Auto, help_heading = "Input")]
    pub format: FormatArg,
    /// How inputs are decompressed; auto: each as its first bytes say
    #[arg(long, value_enum, value_name = "HOW", default_value_t = CompressionArg::Auto, help_heading = "Input")]
    pub compression: CompressionArg,
    /// The longest row
    #[arg(long, value_name = "SIZE", value_parser = parse::held_size, default_value = "16MiB", help_heading = "Input")]
    pub max_line: usize,

    /// Rows to pass over, counted over all inputs
    #[arg(long, value_name = "N", default_value_t = 0, help_heading = "Input")]
    pub skip: u64,
    /// Rows to read at the most, after those
    #[arg(long, value_name = "N", help_heading = "Input")]
    pub limit: Option<u64>,
    /// Fewer rows read are a failure
    #[arg(long, value_name = "N", default_value_t = 0, help_heading = "Input")]
    pub min_rows: u64,

    /// Between cells: a character, or \t [default: by the format]
    #[arg(long, value_name = "C", value_parser = parse::csv_character, help_heading = "CSV")]
    pub delimiter: Option<u8>,
    /// Around cells; empty: quotes mean nothing
    #[arg(long, value_name = "C", value_parser = parse::csv_quote, default_value = "\"", help_heading = "CSV")]
    pub quote: parse::Quote,
    /// The first line is a row; columns are the record's fields in order, or --columns
    #[arg(long, help_heading = "CSV")]
    pub no_header: bool,
    /// The columns' names, instead of those in the header
    #[arg(
        long,
        value_name = "A,B,C",
        value_delimiter = ',',
        help_heading = "CSV"
    )]
    pub columns: Vec<String>,
    /// What means null in a cell without quotes, repeatable [default: an empty cell]
    #[arg(long, value_name = "TEXT", help_heading = "CSV")]
    pub null: Vec<String>,
    /// Take spaces off both ends of cells without quotes
    #[arg(long, help_heading = "CSV")]
    pub trim: bool,

    /// Take a field from a column or key of another name, repeatable
    #[arg(long, value_name = "FIELD=COLUMN", value_parser = parse::pair, help_heading = "Mapping")]
    pub map: Vec<(String, String)>,
    /// Set a field in every row; @source, @line, @load_id and @loaded_at tell where it comes from
    #[arg(long, value_name = "FIELD=VALUE", value_parser = parse::pair, help_heading = "Mapping")]
    pub set: Vec<(String, String)>,
    /// What numbers in timestamp fields count [default: us]
    #[arg(long, value_enum, help_heading = "Mapping")]
    pub timestamp_unit: Option<TimestampUnit>,
    /// The time zone of timestamps without an offset [default: UTC]
    #[arg(long, value_name = "ZONE", help_heading = "Mapping")]
    pub timezone: Option<String>,
    /// What a time means that occurs twice in the zone [default: reject]
    #[arg(long, value_enum, help_heading = "Mapping")]
    pub ambiguous: Option<AmbiguousArg>,
    /// Take numbers whose unit is plainly wrong
    #[arg(long, help_heading = "Mapping")]
    pub allow_epoch: bool,
    /// What to do with fields that the record does not have
    #[arg(long, value_enum, default_value_t = UnknownFields::Error, help_heading = "Mapping")]
    pub unknown_fields: UnknownFields,

    /// Bad rows tolerated: a number, or a percentage of the rows read
    #[arg(
        long,
        value_name = "N|N%",
        default_value = "0",
        help_heading = "Errors"
    )]
    pub max_errors: MaxErrors,
    /// Keep bad rows here, and the reasons in FILE.reasons.ndjson
    #[arg(long, value_name = "FILE", help_heading = "Errors")]
    pub rejects: Option<PathBuf>,

    /// Read, map and check every row; connect nowhere
    #[arg(long, help_heading = "Errors")]
    pub dry_run: bool,
    /// The same over all inputs, then load
    #[arg(long, help_heading = "Errors", conflicts_with = "dry_run")]
    pub check_first: bool,

    /// The most records sent and not acknowledged
    #[arg(long, value_name = "N", default_value_t = 50_000, value_parser = clap::value_parser!(u32).range(1..), help_heading = "Flow")]
    pub max_inflight: u32,
    /// The most bytes sent and not acknowledged
    #[arg(long, value_name = "SIZE", value_parser = parse::size, default_value = "64MiB", help_heading = "Flow")]
    pub max_inflight_bytes: usize,

    /// Streams at the same time, a connection each; order is kept only with one
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=100), help_heading = "Flow")]
    pub streams: u16,
    /// The most rows of one batch [default: an eighth of --max-inflight]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), help_heading = "Flow")]
    pub batch_records: Option<u32>,
    /// About how many bytes make a batch
    #[arg(long, value_name = "SIZE", value_parser = parse::held_size, default_value = "256KiB", help_heading = "Flow")]
    pub batch_bytes: usize,
    /// How long rows of a slow pipe wait for others to fill a batch
    #[arg(long, value_name = "DURATION", value_parser = parse::duration, default_value = "5ms", help_heading = "Flow")]
    pub linger: Duration,
    /// The most rows a second
    #[arg(long, value_name = "RECORDS_PER_S", value_parser = clap::value_parser!(u32).range(1..), help_heading = "Flow")]
    pub rate_limit: Option<u32>,

    /// Fail at the first fault instead of reconnecting
    #[arg(long, help_heading = "Recovery")]
    pub no_recovery: bool,
    /// How long one attempt to connect may take
    #[arg(long, value_name = "DURATION", value_parser = parse::duration, default_value = "15s", help_heading = "Recovery")]
    pub recovery_timeout: Duration,
    /// The wait before the first retry; it doubles with each failure in a row
    #[arg(long, value_name = "DURATION", value_parser = parse::duration, default_value = "2s", help_heading = "Recovery")]
    pub recovery_backoff: Duration,
    /// Retries until the first acknowledgement
    #[arg(long, value_name = "N", default_value_t = 3, help_heading = "Recovery")]
    pub recovery_retries: u32,
    /// After it: how long to go on trying without a new acknowledgement
    #[arg(long, value_name = "DURATION", value_parser = parse::duration, default_value = "10m", help_heading = "Recovery")]
    pub recovery_deadline: Duration,
    /// Reconnect if nothing is acknowledged for this long
    #[arg(long, value_name = "DURATION", value_parser = parse::duration, default_value = "60s", help_heading = "Recovery")]
    pub ack_timeout: Duration,
    /// How long acknowledging may take after the last row
    #[arg(long, value_name = "DURATION", value_parser = parse::duration, default_value = "300s", help_heading = "Recovery")]
    pub flush_timeout: Duration,
    /// The same after SIGINT or SIGTERM
    #[arg(long, value_name = "DURATION", value_parser = parse::duration, default_value = "20s", help_heading = "Recovery")]
    pub shutdown_timeout: Duration,

    /// Keep here how far the load is settled, so that it can go on after whatever happens
    #[arg(long, value_name = "FILE", help_heading = "Resume")]
    pub checkpoint: Option<PathBuf>,
    /// Go on where the checkpoint stands; begin if there is none
    #[arg(long, help_heading = "Resume", requires = "checkpoint")]
    pub resume: bool,
    /// Load only this share of the inputs, K from 0: an input is in one share of N, by its name
    #[arg(long, value_name = "K/N", help_heading = "Resume")]
    pub shard: Option<Shard>,

    /// How progress is shown; auto: a bar on a terminal, a line every 10 s elsewhere
    #[arg(long, value_enum, default_value_t = ProgressArg::Auto, help_heading = "Output")]
    pub progress: ProgressArg,
    /// Keep the load's figures here for Prometheus (text format), written anew every 5 s
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub metrics_file: Option<PathBuf>,
    /// Tell the steps of the conversation with the service; no secrets
    #[arg(short, long, help_heading = "Output", conflicts_with = "quiet")]
    pub verbose: bool,
    /// No progress and no text summary; errors are shown
    #[arg(short, long, help_heading = "Output", action = ArgAction::SetTrue)]
    pub quiet: bool,
    /// The form of the summary on standard output
    #[arg(short, long, value_enum, default_value_t = OutputArg::Text, help_heading = "Output")]
    pub output: OutputArg,
}

/// `--format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FormatArg {
    /// By the file's name
    Auto,
    /// One JSON object a line
    Ndjson,
    /// One array of objects, or objects one after another
    Json,
    /// Comma-separated, with a header
    Csv,
    /// Tab-separated, with a header
    Tsv,
}

/// `--table-check`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TableCheckArg {
    /// If Unity Catalog can be asked; a warning if not
    Auto,
    /// Or else the load fails
    Require,
    /// Never
    Off,
}

/// `--compression`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CompressionArg {
    /// As the first bytes say
    Auto,
    /// Not at all
    None,
    /// All inputs must be gzip
    Gzip,
    /// All inputs must be zstd
    Zstd,
}

/// `--timestamp-unit`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TimestampUnit {
    /// Microseconds
    Us,
    /// Milliseconds
    Ms,
    /// Seconds
    S,
}

/// `--ambiguous`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum AmbiguousArg {
    /// It is a bad row
    Reject,
    /// The first of the two
    Earlier,
    /// The second
    Later,
}

/// `--unknown-fields`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum UnknownFields {
    /// The row is bad
    Error,
    /// They are left out
    Ignore,
}

/// `--progress`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ProgressArg {
    /// A bar on a terminal, lines elsewhere
    Auto,
    /// A bar
    Bar,
    /// A line every 10 s
    Plain,
    /// Nothing
    None,
}

/// `--output`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OutputArg {
    /// For people
    Text,
    /// One JSON object on one line
    Json,
}
