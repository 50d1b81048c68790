//! The flags of `zerobus ingest` → what the rooms below want to know.

use std::collections::HashSet;
use std::io::IsTerminal as _;
use std::os::fd::AsFd as _;
use std::os::unix::fs::FileTypeExt as _;
use std::time::Duration;

use jiff::tz::TimeZone;

use crate::buffers::Pool;
use crate::cli::{
    AmbiguousArg, CompressionArg, FormatArg, IngestArgs, ProgressArg, TimestampUnit, UnknownFields,
};
use crate::client::{Connector, RecordKind, Target, TokenSource};
use crate::error::{Failure, Kind};
use crate::input::{self, Compression, CsvDialect, Format, Framing, Input, Limits};
use crate::protocol::Config;
use crate::report::{Progress, write_line};
use crate::schema::TableName;
use crate::settings::{Service, environment};
use crate::transcode::{self, Ambiguous, CellRules, Mapping, SetValue, TimeRules};

/// The shares of the in-flight bound that one block may take: small enough that several
/// batches overlap, large enough that a request is worth its frame.
const BLOCKS_IN_FLIGHT: u32 = 8;

/// Into how many batches a second a limited rate is cut at least.
const BATCHES_PER_SECOND: u32 = 10;

/// The format of all inputs, if it is given.
pub(super) fn format(args: &IngestArgs) -> Option<Format> {
    match args.format {
        FormatArg::Auto => None,
        FormatArg::Ndjson => Some(Format::Ndjson),
        FormatArg::Json => Some(Format::Json),
        FormatArg::Csv => Some(Format::Csv(CsvDialect::COMMA)),
        FormatArg::Tsv => Some(Format::Csv(CsvDialect::TAB)),
    }
}

pub(super) fn inputs(args: &IngestArgs) -> Result<Vec<(Input, Format)>, Failure> {
    let given = format(args);
    let format = |input: &Input| given.unwrap_or_else(|| input.format_by_name());
    let mut inputs = Vec::new();
    for argument in &args.inputs {
        inputs.extend(input::expand(argument, given.as_ref())?);
    }
    if args.inputs.is_empty() {
        if !stdin_is_given() {
            return Err(Failure::new(
                Kind::Usage,
                "no INPUT is given, and standard input is no pipe or file",
            )
            .hint("name files, or pipe rows in; zerobus ingest --help has examples"));
        }
        inputs.push(Input::Stdin);
    }
    if inputs.iter().filter(|i| **i == Input::Stdin).count() > 1 {
        return Err(Failure::new(
            Kind::Usage,
            "standard input (-) is given twice",
        ));
    }
    let mut seen = HashSet::new();
    for input in &inputs {
        if let Input::File(path) = input
            && !seen.insert(std::path::absolute(path).ok())
            && !args.quiet
        {
            let name = path.display();
            write_line(&format!(
                "warning: {name} is given twice: its rows are loaded twice"
            ));
        }
    }
    if let Some(shard) = args.shard {
        if shard.of > 1 && inputs.contains(&Input::Stdin) {
            let message = "--shard shares out files, which standard input is not";
            return Err(Failure::new(Kind::Usage, message));
        }
        inputs.retain(|input| shard.has(input));
    }
    let mut with_format = Vec::new();
    for input in inputs {
        let mut format = format(&input);
        if let Format::Csv(dialect) = &mut format {
            dialect.delimiter = args.delimiter.unwrap_or(dialect.delimiter);
            dialect.quote = args.quote;
            if dialect.quote == Some(dialect.delimiter) {
                let message = "--delimiter and --quote are the same character";
                return Err(Failure::new(Kind::Usage, message));
            }
            if args.json && args.no_header && args.columns.is_empty() {
                return Err(Failure::new(
                    Kind::Usage,
                    "--json with --no-header needs --columns: nothing else names the columns",
                ));
            }
        }
        with_format.push((input, format));
    }
    Ok(with_format)
}

/// A pipe, a socket or a regular file. A terminal or the null device is no input: a cron
/// job that names none has forgotten it.
fn stdin_is_given() -> bool {
    let stdin = std::io::stdin();
    if stdin.is_terminal() {
        return false;
    }
    let file = stdin.as_fd().try_clone_to_owned().map(std::fs::File::from);
    file.and_then(|f| f.metadata()).is_ok_and(|m| {
        let ty = m.file_type();
        ty.is_fifo() || ty.is_socket() || ty.is_file()
    })
}

fn mapping(
    args: &IngestArgs,
    target: &transcode::Target,
    load_id: &str,
) -> Result<Mapping, Failure> {
    let plan = match target {
        transcode::Target::Proto(plan) => plan,
        transcode::Target::Json if args.map.is_empty() && args.set.is_empty() => {
            return Ok(Mapping::default());
        }
        transcode::Target::Json => {
            return Err(Failure::new(
                Kind::Usage,
                "--map and --set need --proto, which names the fields",
            ));
        }
    };
    let set = args.set.iter().map(|(field, value)| {
        let value = match value.as_str() {
            "@source" => SetValue::Source,
            "@line" => SetValue::Line,
            "@load_id" => SetValue::Text(load_id.to_owned()),
            "@loaded_at" => SetValue::Text(jiff::Timestamp::now().to_string()),
            text => SetValue::Text(text.to_owned()),
        };
        (field.clone(), value)
    });
    Mapping::new(plan, &args.map, set.collect())
        .map_err(|reason| Failure::new(Kind::Usage, reason.message))
}

pub(super) fn options(
    args: &IngestArgs,
    target: &transcode::Target,
    load_id: &str,
) -> Result<transcode::Options, Failure> {
    Ok(transcode::Options {
        time: time_rules(args)?,
        mapping: mapping(args, target, load_id)?,
        cells: CellRules {
            null: args.null.clone(),
            trim: args.trim,
        },
        ignore_unknown: args.unknown_fields == UnknownFields::Ignore,
        columns: None,
    })
}

pub(super) fn time_rules(args: &IngestArgs) -> Result<TimeRules, Failure> {
    let zone = args.timezone.as_deref().unwrap_or("UTC");
    let zone = TimeZone::get(zone).map_err(|e| {
        let message = format!("--timezone \"{zone}\" is no time zone");
        Failure::new(Kind::Usage, message)
            .caused_by(e)
            .hint("expected a name such as UTC or Europe/Zurich")
    })?;
    Ok(TimeRules {
        unit_us: match args.timestamp_unit {
            None | Some(TimestampUnit::Us) => 1,
            Some(TimestampUnit::Ms) => 1_000,
            Some(TimestampUnit::S) => 1_000_000,
        },
        zone,
        ambiguous: match args.ambiguous {
            None | Some(AmbiguousArg::Reject) => Ambiguous::Reject,
            Some(AmbiguousArg::Earlier) => Ambiguous::Earlier,
            Some(AmbiguousArg::Later) => Ambiguous::Later,
        },
        allow_epoch: args.allow_epoch,
    })
}

pub(super) fn tokens(table: &TableName, service: &Service) -> Result<TokenSource, Failure> {
    TokenSource::new(
        service.workspace_url.as_deref(),
        service.workspace_id.clone(),
        table,
        service.credentials.clone(),
        &service.network,
    )
    .map_err(|e| Failure::new(Kind::Settings, e.message))
}

pub(super) fn connector(
    table: &TableName,
    target: &transcode::Target,
    service: &Service,
    tokens: TokenSource,
) -> Result<Connector, Failure> {
    let (kind, descriptor) = match target {
        transcode::Target::Proto(plan) => (RecordKind::Proto, plan.descriptor.clone().into()),
        transcode::Target::Json => (RecordKind::Json, bytes::Bytes::new()),
    };
    let target = Target {
        endpoint: service.endpoint.clone(),
        table: table.clone(),
        kind,
        descriptor,
    };
    Connector::new(target, tokens, service.network.clone())
        .map_err(|e| Failure::new(Kind::Settings, e.message))
}

/// `patience` is what it may take to have a token, beside an attempt to connect.
pub(super) fn config(args: &IngestArgs, patience: Duration) -> Config {
    Config {
        max_inflight_records: args.max_inflight as usize,
        max_inflight_bytes: args.max_inflight_bytes,
        recovery: !args.no_recovery,
        recovery_timeout: args.recovery_timeout + patience,
        recovery_backoff: args.recovery_backoff,
        recovery_retries: args.recovery_retries,
        recovery_deadline: Some(args.recovery_deadline),
        drain_max: None,
        refusals_max: Config::default().refusals_max,
        refused_in_a_row_max: Config::default().refused_in_a_row_max,
        ack_timeout: args.ack_timeout,
        flush_timeout: args.flush_timeout,
        seed: fastrand::u64(..),
    }
}

/// The rows of a batch at most. A block of rows becomes a batch.
fn batch_records(args: &IngestArgs) -> u32 {
    let share = args.max_inflight / u32::from(args.streams) / BLOCKS_IN_FLIGHT;
    let records = args.batch_records.unwrap_or(share).min(args.max_inflight);
    // A limited rate is kept batch by batch.
    let paced = args
        .rate_limit
        .map_or(records, |rate| rate / BATCHES_PER_SECOND);
    records.min(paced).max(1)
}

pub(super) fn framing(args: &IngestArgs) -> Framing {
    Framing {
        limits: Limits {
            line_bytes_max: args.max_line,
            block_rows_max: batch_records(args) as usize,
            block_bytes: args.batch_bytes,
        },
        linger: args.linger,
        pool: Pool::new(2 * args.batch_bytes),
        compression: match args.compression {
            CompressionArg::Auto => Compression::Auto,
            CompressionArg::None => Compression::None,
            CompressionArg::Gzip => Compression::Gzip,
            CompressionArg::Zstd => Compression::Zstd,
        },
        no_header: args.no_header,
        columns: (!args.columns.is_empty()).then(|| args.columns.clone()),
        hashed: false,
    }
}

pub(super) fn progress(args: &IngestArgs) -> Progress {
    if args.quiet {
        return Progress::Nothing;
    }
    let bar = || Progress::bar(environment("TERM").as_deref());
    match args.progress {
        // A bar that cannot be drawn would be nothing at all.
        ProgressArg::Auto | ProgressArg::Bar => bar(),
        ProgressArg::Plain => Progress::Lines,
        ProgressArg::None => Progress::Nothing,
    }
}
