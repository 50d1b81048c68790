//! Fetches the table's schema before the first row, with the retries that its streams have.

use std::time::{Duration, Instant};

use super::table::Record;
use crate::cli::{IngestArgs, TableCheckArg};
use crate::client::TokenSource;
use crate::error::{Failure, Kind};
use crate::load::service_failure;
use crate::protocol::{Fault, FaultClass};
use crate::report::write_line;
use crate::schema::{CatalogTable, Column};
use crate::settings::Service;

/// A wait that is longer is told.
const SILENT_MAX: Duration = Duration::from_secs(2);

/// The longest wait between two attempts that nobody has asked for.
const BACKOFF_MAX: Duration = Duration::from_secs(30);

/// What is known of the table before the first row.
pub(super) enum Known {
    /// What its catalog says.
    Table(CatalogTable),
    /// It does not exist. The server may make it from the record; if not, the stream tells.
    Missing,
    /// It could not be fetched.
    Unfetched(Fault),
    /// Nobody asked.
    Unasked,
}

impl Known {
    /// What is known, in words.
    pub(super) fn told(&self) -> String {
        match self {
            Self::Table(table) => format!("the table has {} columns", table.columns.len()),
            Self::Missing => "the table does not exist".to_owned(),
            Self::Unfetched(fault) => format!("the table's schema is not known: {fault}"),
            Self::Unasked => "the table's schema was not asked for".to_owned(),
        }
    }

    /// Its columns; none if they are not known.
    pub(super) fn columns(&self) -> &[Column] {
        match self {
            Self::Table(table) => &table.columns,
            Self::Missing | Self::Unfetched(_) | Self::Unasked => &[],
        }
    }

    /// Its id.
    pub(super) fn id(&self) -> Option<&str> {
        match self {
            Self::Table(table) => table.id.as_deref(),
            Self::Missing | Self::Unfetched(_) | Self::Unasked => None,
        }
    }
}

/// Fetches the table from the workspace, unless it is not to be checked. Tells how long the
/// service has asked to wait, too.
///
/// # Errors
/// It cannot be fetched, and it must be; or the stream would fail as well.
pub(super) async fn table(
    args: &IngestArgs,
    record: &Record,
    tokens: &mut TokenSource,
    service: &Service,
) -> Result<(Known, Duration), Failure> {
    let required = match (record, args.table_check) {
        (Record::OfTable, _) | (_, TableCheckArg::Require) => true,
        (_, TableCheckArg::Auto) => false,
        (_, TableCheckArg::Off) => return Ok((Known::Unasked, Duration::ZERO)),
    };
    let Some(workspace) = &service.workspace_url else {
        let message = "no workspace URL is given; the table's schema cannot be fetched";
        let failure = Failure::new(Kind::Settings, message);
        return match required {
            true => Err(failure.hint("give --workspace-url or set DATABRICKS_HOST")),
            false => Ok((Known::Unasked, Duration::ZERO)),
        };
    };
    let mut asking = std::pin::pin!(with_retries(args, tokens, service.credentials.patience()));
    let (fetched, throttled) = match tokio::time::timeout(SILENT_MAX, asking.as_mut()).await {
        Ok(fetched) => fetched,
        Err(_) => {
            if !args.quiet {
                write_line(&format!("waiting for the table's schema from {workspace}"));
            }
            asking.await
        }
    };
    let Unfetched { fault, no_token } = match fetched {
        Ok(table) => return Ok((Known::Table(table), throttled)),
        Err(unfetched) => unfetched,
    };
    if required {
        return Err(unfetchable(&fault));
    }
    match (record, fault.class) {
        // The stream needs the same token and table, and would be refused as well.
        (_, FaultClass::Credentials | FaultClass::Misdirected) if no_token => {
            Err(service_failure(&fault))
        }
        _ if no_token && fault.is_retryable() => Err(service_failure(&fault)),
        (Record::Json, FaultClass::NotFound) => Err(service_failure(&fault)),
        (_, FaultClass::NotFound) => Ok((Known::Missing, throttled)),
        (_, class) => {
            let why = match class {
                // The stream will be refused with the same words, or else need not be.
                FaultClass::Credentials => {
                    "Unity Catalog refuses the credentials; --table-check require says why"
                }
                _ => &fault.message,
            };
            write_line(&format!(
                "warning: the table's schema was not checked: {why}"
            ));
            Ok((Known::Unfetched(fault), throttled))
        }
    }
}

/// What it means that the table cannot be fetched, where the load depends on it.
pub(super) fn unfetchable(fault: &Fault) -> Failure {
    let mut failure = service_failure(fault);
    if fault.class == FaultClass::Refused {
        failure.message = format!("the table's schema cannot be fetched: {fault}");
        failure.hint = Some(
            "check --workspace-url, which serves Unity Catalog; --proto with --table-check off needs none".to_owned(),
        );
    }
    failure
}

/// Why there is no table.
struct Unfetched {
    fault: Fault,
    /// The catalog was not even asked.
    no_token: bool,
}

/// Asks until there is an answer that asking again would not change. Throttling spends no
/// retries, as on a stream.
async fn with_retries(
    args: &IngestArgs,
    tokens: &mut TokenSource,
    patience: Duration,
) -> (Result<CatalogTable, Unfetched>, Duration) {
    let start = Instant::now();
    let mut retries = args.recovery_retries;
    let mut backoff = args.recovery_backoff;
    let mut throttled = Duration::ZERO;
    loop {
        let unfetched = match fetch_once(args.recovery_timeout, tokens, patience).await {
            Ok(table) => return (Ok(table), throttled),
            Err(unfetched) => unfetched,
        };
        let fault = &unfetched.fault;
        // So that many loaders do not come back at once.
        let pause = backoff + backoff.mul_f64(fastrand::f64() / 4.0);
        let wait = match fault.class {
            FaultClass::Throttled(after) if start.elapsed() < args.recovery_deadline => {
                after.map_or(pause, |after| after.max(args.recovery_backoff))
            }
            FaultClass::Transient | FaultClass::Unreadable if retries > 0 => {
                retries -= 1;
                pause
            }
            _ => return (Err(unfetched), throttled),
        };
        if args.no_recovery {
            return (Err(unfetched), throttled);
        }
        if let FaultClass::Throttled(_) = fault.class {
            throttled += wait;
        }
        if !args.quiet {
            let seconds = wait.as_secs_f64();
            write_line(&format!(
                "warning: asking for the table's schema again in {seconds:.1} s: {fault}"
            ));
        }
        tokio::time::sleep(wait).await;
        backoff = backoff
            .saturating_mul(2)
            .min(BACKOFF_MAX.max(args.recovery_backoff));
    }
}

async fn fetch_once(
    timeout: Duration,
    tokens: &mut TokenSource,
    patience: Duration,
) -> Result<CatalogTable, Unfetched> {
    let late = || {
        let seconds = timeout.as_secs_f64();
        Fault::transient(format!("no answer within {seconds} s"))
    };
    let failed = |no_token| move |fault| Unfetched { fault, no_token };
    let token = tokio::time::timeout(timeout + patience, tokens.token()).await;
    token
        .unwrap_or_else(|_| Err(late()))
        .map_err(failed(true))?;
    let table = tokio::time::timeout(timeout, tokens.fetch_table()).await;
    table.unwrap_or_else(|_| Err(late())).map_err(failed(false))
}
