//! The record of a load, once its table is known: `--table-check`, and the record that no
//! flag declares.

use std::sync::Arc;

use prost_reflect::MessageDescriptor;

use super::fetch::{Known, unfetchable};
use super::record::declared;
use crate::cli::{IngestArgs, TableCheckArg};
use crate::error::{Failure, Kind};
use crate::schema::plan::ValueType;
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
        if args.dry_run && args.table_check == TableCheckArg::Require {
            return Err(usage(
                "--dry-run connects nowhere: --table-check require needs the service",
            )
            .hint("--check-first checks all rows by the table's own types, then loads"));
        }
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

    /// What rows become by flags and table.
    ///
    /// # Errors
    /// The record does not fit the table, or a flag does not fit the record.
    pub(super) fn over(&self, args: &IngestArgs, known: &Known) -> Result<Target, Failure> {
        let (columns, types) = (known.columns(), &args.record.types);
        let plan = match self {
            Self::Json => return Ok(Target::Json),
            Self::Declared(message) => RecordPlan::over_table(message, types, columns)?,
            Self::OfTable => RecordPlan::of_table(&args.table, types, columns)?,
        };
        if let Known::Table(table) = known {
            fits(args, &plan, table)?;
        }
        times_are_held(args, &plan, known)?;
        Ok(Target::Proto(Arc::new(plan)))
    }
}

/// Whether each flag that says how times are read has a field to say it of. Without one it
/// would do nothing, and numbers would be stored as if they were microseconds.
fn times_are_held(args: &IngestArgs, plan: &RecordPlan, known: &Known) -> Result<(), Failure> {
    let holds = |ty| {
        plan.messages
            .iter()
            .flat_map(|m| &m.fields)
            .any(|f| f.ty == ty)
    };
    let zoned = holds(ValueType::Timestamp);
    let any = zoned || holds(ValueType::TimestampNtz);
    let flag = match () {
        () if args.timestamp_unit.is_some() && !any => "--timestamp-unit",
        () if args.allow_epoch && !any => "--allow-epoch",
        () if args.timezone.is_some() && !zoned => "--timezone",
        () if args.ambiguous.is_some() && !zoned => "--ambiguous",
        () => return Ok(()),
    };
    let nothing = format!(
        "{flag} is given, and no field of {} is a TIMESTAMP",
        plan.name
    );
    if let Known::Unfetched(fault) = known {
        let mut failure = unfetchable(fault);
        failure.message = format!("{nothing} as long as the table's schema is not known: {fault}");
        return Err(failure);
    }
    Err(Failure::new(Kind::Settings, nothing).hint(
        "take the flag away, or say of a field that it is one: --type FIELD=TIMESTAMP, or // @delta TIMESTAMP in the .proto",
    ))
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
