//! The record of a load, once its table is known: `--table-check`, and the record that no
//! flag declares.

use std::sync::Arc;
use std::time::Duration;

use prost_reflect::MessageDescriptor;

use super::record::declared;
use crate::cli::{IngestArgs, TableCheckArg};
use crate::client::TokenSource;
use crate::error::{Failure, Kind};
use crate::load::service_failure;
use crate::protocol::{Fault, FaultClass};
use crate::report::write_line;
use crate::schema::{CatalogTable, RecordPlan, check, message_name};
use crate::transcode::Target;

/// Problems that one message names; so many have one cause.
const PROBLEMS_SHOWN_MAX: usize = 100;

/// What a record is, as far as the flags say it.
pub(super) enum Record {
    /// JSON text.
    Json,
    /// A message of a .proto file or a descriptor set.
    Declared(MessageDescriptor),
    /// What the table's columns make of it.
    OfTable,
}

impl Record {
    pub(super) fn of(args: &IngestArgs) -> Result<Self, Failure> {
        let usage = |message: &str| Failure::new(Kind::Usage, message);
        if args.json {
            return match (&args.record.message, args.record.types.first()) {
                (None, None) => Ok(Self::Json),
                _ => Err(usage(
                    "--message and --type need --proto or --descriptor-set",
                )),
            };
        }
        if let Some(message) = declared(&args.record)? {
            return Ok(Self::Declared(message));
        }
        let hint = "without --proto, --descriptor-set and --json the record is what the table's columns make of it, as Unity Catalog knows them";
        let needs = match () {
            () if args.record.message.is_some() => "--message needs --proto or --descriptor-set",
            () if args.dry_run => {
                "--dry-run connects nowhere: it needs --proto, --descriptor-set or --json"
            }
            () if args.table_check == TableCheckArg::Off => {
                "--table-check off needs --proto, --descriptor-set or --json"
            }
            () => return Ok(Self::OfTable),
        };
        Err(usage(needs).hint(hint))
    }

    /// The message's name, for the checkpoint; none for JSON.
    pub(super) fn message(&self, args: &IngestArgs) -> Option<String> {
        match self {
            Self::Json => None,
            Self::Declared(message) => Some(message.full_name().to_owned()),
            Self::OfTable => Some(message_name(&args.table)),
        }
    }

    /// What rows become, by the flags alone; none if only the table can tell.
    pub(super) fn target(&self, args: &IngestArgs) -> Result<Option<Target>, Failure> {
        Ok(match self {
            Self::Json => Some(Target::Json),
            Self::Declared(message) => {
                let plan = RecordPlan::from_descriptor(message, &args.record.types)?;
                Some(Target::Proto(Arc::new(plan)))
            }
            Self::OfTable => None,
        })
    }

    /// What rows become by flags and table, and the table's id where it is known.
    ///
    /// # Errors
    /// The record does not fit the table; or the table cannot be fetched, and it must be.
    pub(super) async fn over_table(
        &self,
        args: &IngestArgs,
        tokens: &mut TokenSource,
    ) -> Result<(Target, Option<String>), Failure> {
        let table = self.fetch(args, tokens).await?;
        let columns = table.as_ref().map_or(&[][..], |table| &table.columns);
        let types = &args.record.types;
        let plan = match self {
            Self::Json => return Ok((Target::Json, table.and_then(|table| table.id))),
            Self::Declared(message) => RecordPlan::over_table(message, types, columns)?,
            Self::OfTable => RecordPlan::of_table(&args.table, types, columns)?,
        };
        if let Some(table) = &table {
            fits(args, &plan, table)?;
        }
        let id = table.and_then(|table| table.id);
        Ok((Target::Proto(Arc::new(plan)), id))
    }

    /// The table; none if there is none to check, or if it need not be and cannot.
    async fn fetch(
        &self,
        args: &IngestArgs,
        tokens: &mut TokenSource,
    ) -> Result<Option<CatalogTable>, Failure> {
        let required = match (self, args.table_check) {
            (Self::OfTable, _) | (_, TableCheckArg::Require) => true,
            (_, TableCheckArg::Auto) => false,
            (_, TableCheckArg::Off) => return Ok(None),
        };
        if !tokens.has_workspace() {
            let message = "no workspace URL is given; the table's schema cannot be fetched";
            let failure = Failure::new(Kind::Settings, message);
            return match required {
                true => Err(failure.hint("give --workspace-url or set DATABRICKS_HOST")),
                false => Ok(None),
            };
        }
        let mut retries = match required && !args.no_recovery {
            true => args.recovery_retries,
            false => 0,
        };
        let mut backoff = args.recovery_backoff;
        let unfetched = loop {
            match fetch_once(args.recovery_timeout, tokens).await {
                Ok(table) => return Ok(Some(table)),
                Err(unfetched) if retries > 0 && unfetched.fault.is_retryable() => {
                    retries -= 1;
                    tokio::time::sleep(backoff).await;
                    backoff = backoff.saturating_mul(2);
                }
                Err(unfetched) => break unfetched,
            }
        };
        let Unfetched { fault, no_token } = unfetched;
        if required {
            return Err(unfetchable(&fault));
        }
        match (self, fault.class) {
            // The stream would be refused as well: it needs the same token and table.
            (_, FaultClass::Credentials | FaultClass::Misdirected) if no_token => {
                Err(service_failure(&fault))
            }
            (Self::Json, FaultClass::NotFound) => Err(service_failure(&fault)),
            // The server may make it from the record. If not, the stream tells.
            (_, FaultClass::NotFound) => Ok(None),
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
                Ok(None)
            }
        }
    }
}

/// Why there is no table.
struct Unfetched {
    fault: Fault,
    /// The catalog was not even asked.
    no_token: bool,
}

async fn fetch_once(
    timeout: Duration,
    tokens: &mut TokenSource,
) -> Result<CatalogTable, Unfetched> {
    let late = || {
        let seconds = timeout.as_secs_f64();
        Fault::transient(format!("no answer within {seconds} s"))
    };
    let failed = |no_token| move |fault| Unfetched { fault, no_token };
    let token = tokio::time::timeout(timeout, tokens.token()).await;
    token
        .unwrap_or_else(|_| Err(late()))
        .map_err(failed(true))?;
    let table = tokio::time::timeout(timeout, tokens.fetch_table()).await;
    table.unwrap_or_else(|_| Err(late())).map_err(failed(false))
}

fn unfetchable(fault: &Fault) -> Failure {
    let mut failure = service_failure(fault);
    if fault.class == FaultClass::Refused {
        failure.message = format!("the table's schema cannot be fetched: {fault}");
        failure.hint = Some(
            "check --workspace-url, which serves Unity Catalog; --proto with --table-check off needs none".to_owned(),
        );
    }
    failure
}

/// All that makes the record unfit for its table, in one failure.
fn fits(args: &IngestArgs, plan: &RecordPlan, table: &CatalogTable) -> Result<(), Failure> {
    let mut problems = check::problems(plan, &table.columns);
    if problems.is_empty() {
        return Ok(());
    }
    let more = problems.len().saturating_sub(PROBLEMS_SHOWN_MAX);
    problems.truncate(PROBLEMS_SHOWN_MAX);
    if more > 0 {
        problems.push(format!("and {more} more"));
    }
    let (name, table) = (&plan.name, &args.table);
    let message = format!(
        "the record {name} does not fit table {table}: {}",
        problems.join("; ")
    );
    Err(Failure::new(Kind::Schema, message)
        .hint("nothing was sent; --table-check off leaves it to the service what fits"))
}
