//! `zerobus ingest`: settles what is to be done, runs the load, tells how it ended.

use std::ffi::OsString;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use super::again::{self, GoOn};
use super::checkpoint::{self, Kept};
use super::fetch::{self, Known};
use super::flags;
use super::outputs;
use super::table::Record;
use super::told::Told;
use crate::cli::{IngestArgs, OutputArg, TableCheckArg};
use crate::error::{Failure, Kind, exit};
use crate::input::{Format, Input};
use crate::load::{
    self, Job, JobInput, LoadEvent, Mark, Observer, Outcome, Rejects, RowRange, Signals, Start,
};
use crate::report::{Metrics, Reporter, Showing, Summary, write_line};
use crate::settings::{Service, environment};
use crate::transcode::{self, Target};

pub(super) async fn run(args: IngestArgs) -> Result<u8, Failure> {
    let table = args.table.to_string();
    let rejects = args.rejects.as_ref().map(|p| p.display().to_string());
    let start = Instant::now();
    let mut told = Told::new(&args);
    let mut outcome = match load(&args, &mut told).await {
        Ok(outcome) => outcome,
        Err(failure) if failure.kind == Kind::Usage => return Err(failure),
        Err(failure) => Outcome {
            elapsed: start.elapsed(),
            ..Outcome::nothing(failure)
        },
    };
    if let Some(failure) = &mut outcome.failure {
        told.explain(failure, &args.table);
        write_line(&failure.to_string());
    }
    if outcome.failure.is_some()
        && let Some(how) = go_on(&args, &outcome)
    {
        let command = again::command(std::env::args_os(), how);
        write_line(&format!("  go on with: {command}"));
        let is_file = |argument: &OsString| Path::new(argument).is_file();
        if let GoOn::Skip { .. } = how
            && !args.inputs.iter().all(is_file)
        {
            write_line(
                "  as long as no file comes or goes meanwhile; --checkpoint FILE --resume goes on even so",
            );
        }
    }
    if outcome.digits_cut > 0 {
        let n = outcome.digits_cut;
        write_line(&format!(
            "warning: {n} timestamps had digits past microseconds, which were cut"
        ));
    }
    let checkpoint = args.checkpoint.as_ref().map(|p| p.display().to_string());
    let summary = Summary::new(table, &outcome, rejects, checkpoint);
    let printed = match args.output {
        OutputArg::Json => super::print(&format!("{}\n", summary.json())),
        OutputArg::Text if args.quiet => Ok(()),
        OutputArg::Text => super::print(&format!("{}\n", summary.text())),
    };
    let code = match &printed {
        Ok(()) => summary.exit_code(),
        Err(failure) => failure.kind.exit_code(),
    };
    told.end(&outcome, code);
    printed.map(|()| code)
}

/// How a load that stopped early goes on. What came from a pipe is gone with it.
fn go_on(args: &IngestArgs, outcome: &Outcome) -> Option<GoOn> {
    let records = outcome.records;
    let done = outcome.all_read && outcome.settled.rows() == outcome.skipped + records.read;
    if outcome.dry_run || records.read == 0 || done {
        return None;
    }
    // What needs mending before any row is settled needs no other command after it.
    let failed = outcome.failure.as_ref().map(|f| f.kind.exit_code());
    let needs_mending = matches!(failed, Some(exit::FAILED | exit::TOO_MANY_REJECTS));
    if needs_mending && outcome.settled.rows() == outcome.skipped {
        return None;
    }
    if args.checkpoint.is_some() {
        return Some(GoOn::Resume);
    }
    let inputs = args.inputs.iter().map(|a| Input::from_argument(a));
    if args.inputs.is_empty() || inputs.into_iter().any(|input| input.is_stream()) {
        return None;
    }
    let read = outcome.settled.read();
    Some(GoOn::Skip {
        rows: outcome.settled.rows(),
        limit: args.limit.map(|n| n.saturating_sub(read)),
        min_rows: args.min_rows.saturating_sub(read),
    })
}

async fn load(args: &IngestArgs, told: &mut Told) -> Result<Outcome, Failure> {
    let mut signals = Signals::listen();
    let mut work = Prepared::new(args)?;
    if args.dry_run {
        return dry_run(&mut work, &mut signals).await;
    }
    // Once: a secret may come through a pipe.
    let (service, workspace) = match self::local(args) {
        Some(dir) => (None, checkpoint::local_workspace(dir)),
        None => {
            let service = Service::resolve(&args.service, &environment)?;
            let workspace = service.workspace().to_owned();
            (Some(service), workspace)
        }
    };
    let mut kept = work.kept(workspace)?;
    // Whoever loads by the same checkpoint has been told of by now: the figures are its own.
    if let Some(metrics) = &told.metrics {
        metrics.begin()?;
        work.metrics = Some(Arc::clone(metrics));
    }
    if let Some(kept) = &kept
        && kept.nothing_left
    {
        return Ok(Outcome::nothing_left(&kept.checkpoint));
    }
    #[cfg(feature = "emulator")]
    let local = match &args.local {
        Some(dir) => Some(super::local::start(dir, &args.table, &work.record).await?),
        None => None,
    };
    #[cfg(feature = "emulator")]
    let service = local.as_ref().map(|local| local.service()).or(service);
    let Some(service) = service else {
        unreachable!("a load goes into a directory or to a service");
    };
    for warning in &service.warnings {
        write_line(&format!("warning: {warning}"));
    }
    told.keep(&service);
    if args.verbose {
        for setting in &service.shown {
            write_line(&setting.to_string());
        }
        if let Some(proxy) = service.network.proxy_to(&service.endpoint) {
            write_line(&format!("streams go through the proxy {proxy}"));
        }
    }

    let mut tokens = flags::tokens(&args.table, &service)?;
    let asked = Instant::now();
    let fetched = fetch::table(args, &work.record, &mut tokens, &service);
    let (known, throttled) = signals.unless_interrupted(fetched).await?;
    let fetching = asked.elapsed();
    if args.verbose {
        write_line(&format!(
            "{} ({:.2} s)",
            known.told(),
            fetching.as_secs_f64()
        ));
    }
    #[cfg(feature = "emulator")]
    let known = match &local {
        Some(local) if !local.has_table(&args.table).await? => Known::Missing,
        _ => known,
    };
    let target = work.target_over(&known).await?;
    if let (Some(kept), Some(path)) = (&mut kept, &args.checkpoint) {
        kept.belongs_to(&known, &target, path)?;
    }
    let options = work.options(&target, &known)?;
    if args.check_first {
        let job = work.job(&target, &options, None);
        let check = |observer| load::dry_run(job, &mut signals, observer);
        let outcome = work.show(true, check).await;
        if outcome.failure.is_some() {
            return Ok(outcome);
        }
    }
    #[cfg(feature = "emulator")]
    if let Some(local) = &local
        && local.make_table(&args.table, &target).await?
        && let Some(kept) = &mut kept
    {
        let made = tokens.fetch_table().await;
        kept.has_made_table(made.map_err(|fault| load::service_failure(&fault))?.id);
    }
    if args.verbose
        && let Target::Proto(plan) = &target
    {
        let (fields, bytes) = (plan.messages[0].fields.len(), plan.descriptor.len());
        let name = &plan.name;
        write_line(&format!(
            "the record is {name}: {fields} fields, a descriptor of {bytes} bytes"
        ));
    }
    let patience = service.credentials.patience();
    let connector = flags::connector(&args.table, &target, &service, tokens)?;
    let rejects = match (&mut kept, &args.rejects) {
        (Some(kept), Some(path)) => Some(kept.rejects(path)?),
        _ => rejects(args)?,
    };
    let mut job = work.job(&target, &options, rejects);
    if let Some(kept) = kept {
        work.bytes = work
            .bytes
            .map(|all| all.saturating_sub(work.settled(&kept)));
        job.before = kept.checkpoint.mark();
        job.resent_before = kept.checkpoint.resent;
        for (input, start) in job.inputs.iter_mut().zip(kept.starts.iter().flatten()) {
            input.start = start.clone();
        }
        job.keeping = Some(kept.keeping(args.max_inflight));
    }
    let (config, streams) = (flags::config(args, patience), args.streams.into());
    let run = |observer| load::run(job, connector, config, streams, &mut signals, observer);
    let mut outcome = work.show(false, run).await;
    outcome.elapsed += fetching;
    outcome.counts.throttled += throttled;
    #[cfg(feature = "emulator")]
    let outcome = match local {
        Some(local) => local.end(outcome).await,
        None => outcome,
    };
    Ok(outcome)
}

/// Checks every row by what can be known without connecting: the flags, and a local table.
async fn dry_run(work: &mut Prepared<'_>, signals: &mut Signals) -> Result<Outcome, Failure> {
    let args = work.args;
    let by_flags = work.target.take();
    let (known, target) = match (local(args), by_flags) {
        (None, Some(target)) if args.table_check == TableCheckArg::Auto => {
            if matches!(target, Target::Proto(_)) && !args.quiet {
                write_line(
                    "note: a dry run does not know the table's column types, which say how rows are read; --check-first fetches them",
                );
            }
            (Known::Unasked, target)
        }
        (dir, _) => {
            let known = local_table(args, dir).await?;
            let target = work.target_over(&known).await?;
            (known, target)
        }
    };
    let options = work.options(&target, &known)?;
    // The rejects of a load that is to go on are not for a trial to move aside.
    let rejects = match (&args.rejects, &args.checkpoint) {
        (Some(_), Some(_)) => {
            if !args.quiet {
                write_line("note: a dry run keeps no rejects beside a --checkpoint");
            }
            None
        }
        _ => rejects(args)?,
    };
    let job = work.job(&target, &options, rejects);
    Ok(work
        .show(true, |observer| load::dry_run(job, signals, observer))
        .await)
}

/// What a dry run knows of the table.
#[cfg(feature = "emulator")]
async fn local_table(args: &IngestArgs, dir: Option<&Path>) -> Result<Known, Failure> {
    match dir {
        Some(dir) if args.table_check != TableCheckArg::Off => {
            Ok(super::local::read(dir, &args.table).await?.0)
        }
        _ => Ok(Known::Unasked),
    }
}

#[cfg(not(feature = "emulator"))]
async fn local_table(_: &IngestArgs, _: Option<&Path>) -> Result<Known, Failure> {
    Ok(Known::Unasked)
}

/// All that is settled before anything is read.
struct Prepared<'a> {
    args: &'a IngestArgs,
    inputs: Vec<(Input, Format)>,
    record: Record,
    /// What rows become by the flags alone.
    target: Option<Target>,
    load_id: String,
    /// Bytes that are left of all inputs, where that is known.
    bytes: Option<u64>,
    metrics: Option<Arc<Metrics>>,
}

impl<'a> Prepared<'a> {
    fn new(args: &'a IngestArgs) -> Result<Self, Failure> {
        let inputs = flags::inputs(args)?;
        let record = Record::of(args)?;
        let target = record.target(args)?;
        let load_id = format!("{:032x}", fastrand::u128(..));
        // Wrong usage is told before anything is opened.
        match &target {
            Some(target) => drop(flags::options(args, target, &load_id)?),
            None => drop(flags::time_rules(args)?),
        }
        outputs::check(args, &inputs)?;
        if args.check_first && inputs.iter().any(|(i, _)| i.is_stream()) {
            let message =
                "--check-first reads the inputs twice, which standard input and pipes do not allow";
            return Err(Failure::new(Kind::Usage, message));
        }
        let mut sizes = Vec::new();
        for (input, _) in &inputs {
            sizes.push(input.examine().map_err(Failure::from)?);
        }
        Ok(Self {
            args,
            inputs,
            record,
            target,
            load_id,
            bytes: sizes.into_iter().sum(),
            metrics: None,
        })
    }

    /// What rows become, once it is known of the table what can be.
    async fn target_over(&self, known: &Known) -> Result<Target, Failure> {
        let fitted = self.record.over(self.args, known);
        #[cfg(feature = "emulator")]
        if let (Err(failure), Some(dir), Record::Declared(_)) =
            (&fitted, local(self.args), &self.record)
            && failure.kind == Kind::Schema
            && let (Known::Table(_), 0) = super::local::read(dir, &self.args.table).await?
        {
            let table = super::local::directory(dir, &self.args.table);
            let hint = format!(
                "the table is empty: remove {} to have it made anew",
                table.display()
            );
            return fitted.map_err(|failure| failure.hint(hint));
        }
        fitted
    }

    fn options(&self, target: &Target, known: &Known) -> Result<transcode::Options, Failure> {
        let mut options = flags::options(self.args, target, &self.load_id)?;
        if let (Target::Json, Known::Table(table)) = (target, known) {
            options.columns = Some(table.columns.clone());
        }
        Ok(options)
    }

    /// What `--checkpoint` makes of the load.
    fn kept(&mut self, workspace: String) -> Result<Option<Kept>, Failure> {
        let args = self.args;
        let identity = checkpoint::identity(args, &self.record, workspace);
        let kept = Kept::open(args, &self.inputs, identity, &self.load_id)?;
        if let Some(kept) = &kept {
            self.load_id.clone_from(&kept.checkpoint.load_id);
        }
        Ok(kept)
    }

    /// Bytes of the inputs that an earlier run has settled.
    fn settled(&self, kept: &Kept) -> u64 {
        let starts = kept.starts.iter().flatten().zip(&self.inputs);
        let settled = starts.map(|(start, (input, _))| match start {
            Start::Beginning => 0,
            Start::At { source_bytes, .. } => *source_bytes,
            Start::Nowhere => input.examine().ok().flatten().unwrap_or(0),
        });
        settled.sum()
    }

    fn job(&self, target: &Target, options: &transcode::Options, rejects: Option<Rejects>) -> Job {
        let args = self.args;
        let input = |(input, format): &(Input, Format)| JobInput {
            input: input.clone(),
            format: *format,
            start: Start::Beginning,
        };
        Job {
            inputs: self.inputs.iter().map(input).collect(),
            before: Mark::default(),
            keeping: None,
            resent_before: 0,
            rate_limit: args.rate_limit,
            framing: flags::framing(args),
            range: RowRange {
                skip: args.skip,
                limit: args.limit,
                min_rows: args.min_rows,
            },
            target: target.clone(),
            options: options.clone(),
            max_errors: args.max_errors,
            rejects,
            shutdown_timeout: args.shutdown_timeout,
        }
    }

    /// Shows progress while the work runs. Each run has a reporter of its own: a check
    /// before a load counts for itself.
    async fn show<W: Future<Output = Outcome>>(
        &self,
        dry_run: bool,
        work: impl FnOnce(Observer) -> W,
    ) -> Outcome {
        let showing = Showing {
            progress: flags::progress(self.args),
            quiet: self.args.quiet,
            verbose: self.args.verbose,
            metrics: self.metrics.clone(),
        };
        let reporter = Reporter::new(showing, dry_run);
        let observer = reporter.observer();
        observer(LoadEvent::Started {
            inputs: self.inputs.len(),
            bytes: self.bytes,
        });
        let mut outcome = tokio::select! {
            outcome = work(observer) => outcome,
            () = reporter.run() => unreachable!("a reporter never ends by itself"),
        };
        reporter.end(&mut outcome);
        outcome
    }
}

fn rejects(args: &IngestArgs) -> Result<Option<Rejects>, Failure> {
    let path = args.rejects.as_ref();
    path.map(|path| Rejects::create(path)).transpose()
}

/// The directory of a local load.
#[cfg(feature = "emulator")]
fn local(args: &IngestArgs) -> Option<&Path> {
    args.local.as_deref()
}

#[cfg(not(feature = "emulator"))]
fn local(_: &IngestArgs) -> Option<&Path> {
    None
}
