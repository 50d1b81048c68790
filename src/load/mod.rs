//! Joins input → transcode → client into one load: every queue bounded, every row accounted
//! for. Reports what happens as events and never prints.
//!
//! Threads do the work on rows: one reads and frames, some transcode, one takes what they made
//! in order, decides on bad rows and hands batches to the client's task.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

mod checkpoint;
mod errors;
mod event;
mod keeper;
mod ledger;
mod mark;
mod pace;
mod pipeline;
mod reader;
mod refusals;
mod rejects;
mod resume;
mod service;
mod signals;
mod workers;

pub use checkpoint::{Checkpoint, CheckpointFile, Identity, absolute};
pub use errors::MaxErrors;
pub use event::{LoadEvent, Observer};
pub use keeper::Keeping;
pub use ledger::Records;
pub use mark::{Mark, MarkRecords};
pub use rejects::{Rejects, reasons_path};
pub use resume::{Rest, Start, rest};
pub use service::{lacks_privileges, service_failure};
pub use signals::Signals;

use keeper::Keeper;
use ledger::{Bounds, Ledger};
use refusals::Refusals;
use tokio::sync::mpsc;

use crate::client::{self, Connector, Ended};
use crate::error::{Failure, Kind};
use crate::input::{Format, Framing, Input, Stop};
use crate::protocol::{Batch, Config, Counts};
use crate::transcode;

/// What is to be loaded, and how rows are taken.
pub struct Job {
    /// The inputs in order.
    pub inputs: Vec<JobInput>,
    /// What earlier runs of this load have settled.
    pub before: Mark,
    /// The checkpoint to keep.
    pub keeping: Option<Keeping>,
    /// Records sent again by earlier runs.
    pub resent_before: u64,
    /// The most records a second.
    pub rate_limit: Option<u32>,
    /// How inputs are cut into rows.
    pub framing: Framing,
    /// Which rows are loaded.
    pub range: RowRange,
    /// What a record is.
    pub target: transcode::Target,
    /// How rows are read.
    pub options: transcode::Options,
    /// How many bad rows are tolerated.
    pub max_errors: MaxErrors,
    /// Where bad rows go.
    pub rejects: Option<Rejects>,
    /// How long an interrupted load may take to acknowledge what it has accepted.
    pub shutdown_timeout: Duration,
}

/// An input of a load.
#[derive(Debug, Clone)]
pub struct JobInput {
    /// What is read.
    pub input: Input,
    /// How.
    pub format: Format,
    /// From where on.
    pub start: Start,
}

/// What the threads and tasks of a load share.
struct Shared {
    ledger: Mutex<Ledger>,
    /// Something in the ledger has changed.
    moved: Condvar,
    rejects: Mutex<Option<Rejects>>,
    /// What has failed apart from the stream and the work on rows.
    failures: Mutex<Vec<Failure>>,
}

/// Which rows are loaded, counted over all inputs.
#[derive(Debug, Clone, Copy, Default)]
pub struct RowRange {
    /// Rows passed over at the beginning.
    pub skip: u64,
    /// The most rows read after them.
    pub limit: Option<u64>,
    /// Fewer rows read are a failure.
    pub min_rows: u64,
}

/// How a load has ended.
#[derive(Debug, Default)]
pub struct Outcome {
    /// What became of the rows that were read.
    pub records: Records,
    /// Rows passed over by `skip`, or settled by earlier runs.
    pub skipped: u64,
    /// What earlier runs had settled, for a load that goes on.
    pub resumed_from: Option<MarkRecords>,
    /// All rows that are settled without a gap, over all runs.
    pub settled: MarkRecords,
    /// Records of the settled prefix, over all runs.
    pub settled_records: u64,
    /// Records sent again, over all runs.
    pub resent_total: u64,
    /// The inputs were read to their end, or as far as was asked for.
    pub all_read: bool,
    /// Nothing was to be sent.
    pub dry_run: bool,
    /// Earlier runs had settled everything.
    pub nothing_left: bool,
    /// Bytes read from the inputs.
    pub bytes_read: u64,
    /// Bytes of the records sent, without resends.
    pub bytes_sent: u64,
    /// What the stream has counted.
    pub counts: Counts,
    /// The streams that were opened.
    pub streams: Vec<StreamOutcome>,
    /// From the first byte read to the last acknowledgement, and what it took to fetch the
    /// table's schema before.
    pub elapsed: Duration,
    /// Timestamps whose digits past microseconds were cut.
    pub digits_cut: u64,
    /// The commonest reasons why rows were rejected, commonest first.
    pub reasons: Vec<ReasonSeen>,
    /// Rows that were rejected for other reasons.
    pub other_reasons: u64,
    /// Why the load did not succeed.
    pub failure: Option<Failure>,
}

/// A reason why rows were rejected.
#[derive(Debug, Clone)]
pub struct ReasonSeen {
    /// The first time: field, value, what was expected.
    pub reason: String,
    /// How many rows have it.
    pub rows: u64,
    /// The input of the first.
    pub source: String,
    /// Its line, from 1.
    pub line: u64,
}

/// What one stream has done.
#[derive(Debug, Clone, Default)]
pub struct StreamOutcome {
    /// The id of its last connection.
    pub id: Option<String>,
    /// The offset of the last record that it had acknowledged.
    pub last_acked: Option<u64>,
    /// What it has counted.
    pub counts: Counts,
}

impl Outcome {
    /// A load of which earlier runs have settled everything.
    pub fn nothing_left(checkpoint: &Checkpoint) -> Self {
        Self {
            skipped: checkpoint.records.rows(),
            resumed_from: Some(checkpoint.records),
            settled: checkpoint.records,
            settled_records: checkpoint.records.accepted,
            resent_total: checkpoint.resent,
            nothing_left: true,
            ..Self::default()
        }
    }

    /// A load that failed before anything was read.
    pub fn nothing(failure: Failure) -> Self {
        Self {
            failure: Some(failure),
            ..Self::default()
        }
    }
}

/// Batches between transcoding and the client's window.
const BATCHES_QUEUED_MAX: usize = 2;

/// Runs a load to its end. What fails is told by the outcome, next to what was achieved
/// before.
///
/// `config` is that of all `streams` together: they share its bounds.
pub async fn run(
    job: Job,
    connector: Connector,
    config: Config,
    streams: usize,
    signals: &mut Signals,
    observer: Observer,
) -> Outcome {
    let (batches, queue) = mpsc::channel(BATCHES_QUEUED_MAX);
    let shutdown_timeout = job.shutdown_timeout;
    let resent_before = job.resent_before;
    let max_errors = job.max_errors;
    let bounds = Bounds {
        unsaved_max: (job.keeping.is_some()).then_some(config.max_inflight_records as u64),
        held_bytes_max: config.max_inflight_bytes,
    };
    let work = match Work::start(job, bounds, batches, &observer) {
        Ok(work) => work,
        Err(failure) => return Outcome::nothing(failure),
    };
    let refusals = Refusals {
        shared: Arc::clone(&work.shared),
        max_errors,
        rejected_before: work.before.records.rejected,
        read_before: work.before.records.read(),
        stop: work.stop.clone(),
        observer: Arc::clone(&observer),
    };
    let configs = config.shares(streams);
    let streams = Mutex::new(vec![StreamOutcome::default(); configs.len()]);
    let interrupt = work.interrupted(signals, shutdown_timeout, &observer);
    let ended = client::run(
        connector,
        configs,
        queue,
        interrupt,
        |index, event| match event {
            client::Event::Opened { stream_id, counts } => {
                let mut streams = lock(&streams);
                streams[index].id = Some(stream_id.clone());
                let counts = count(&mut streams, index, counts);
                observer(LoadEvent::Opened { stream_id, counts });
            }
            client::Event::Rotating { grace } => observer(LoadEvent::Rotating { grace }),
            client::Event::Sent { counts } => {
                let counts = count(&mut lock(&streams), index, counts);
                observer(LoadEvent::Sent { counts });
            }
            client::Event::Acknowledged { parts, counts } => {
                let mut streams = lock(&streams);
                let mut ledger = lock(&work.shared.ledger);
                for part in parts {
                    let last = ledger.acknowledge(part.id, part.records.into());
                    let stream = &mut streams[index];
                    stream.last_acked = stream.last_acked.max(last);
                }
                let counts = count(&mut streams, index, counts);
                ledger.set_resent(resent_before, counts.resent);
                drop(ledger);
                drop(streams);
                work.shared.moved.notify_all();
                observer(LoadEvent::Acknowledged { counts });
            }
            client::Event::Refused { batch, fault } => refusals.take(&batch, &fault),
            client::Event::Recovering { fault, wait } => {
                observer(LoadEvent::Recovering { fault, wait });
            }
        },
    )
    .await;
    let mut outcome = work.end(&ended, false).await;
    outcome.streams = std::mem::take(&mut *lock(&streams));
    outcome.streams.retain(|stream| stream.id.is_some());
    outcome
}

/// Notes what a stream has counted, and adds up what all have.
fn count(streams: &mut [StreamOutcome], index: usize, counts: Counts) -> Counts {
    streams[index].counts = counts;
    let all = streams.iter().map(|s| s.counts);
    all.fold(Counts::default(), Counts::plus)
}

/// Reads, maps and checks every row like a load, and sends nothing: good rows end as unsent.
pub async fn dry_run(job: Job, signals: &mut Signals, observer: Observer) -> Outcome {
    let (batches, mut queue) = mpsc::channel::<Batch>(BATCHES_QUEUED_MAX);
    let shutdown_timeout = job.shutdown_timeout;
    let bounds = Bounds {
        unsaved_max: None,
        held_bytes_max: usize::MAX,
    };
    let work = match Work::start(job, bounds, batches, &observer) {
        Ok(work) => work,
        Err(failure) => return Outcome::nothing(failure),
    };
    let drained = async {
        while let Some(batch) = queue.recv().await {
            lock(&work.shared.ledger).pass(batch.id);
        }
    };
    tokio::select! {
        () = drained => {}
        () = work.interrupted(signals, shutdown_timeout, &observer) => {}
    }
    let ended = Ended {
        outcome: Ok(()),
        counts: Counts::default(),
        in_doubt: Vec::new(),
    };
    work.end(&ended, true).await
}

/// The work on rows while something takes the batches.
struct Work {
    start: Instant,
    stop: Stop,
    shared: Arc<Shared>,
    before: Mark,
    resumes: bool,
    rows: JoinHandle<pipeline::Report>,
    keeper: Option<Keeper>,
    signalled: Mutex<Option<Kind>>,
}

impl Work {
    fn start(
        mut job: Job,
        bounds: Bounds,
        batches: mpsc::Sender<Batch>,
        observer: &Observer,
    ) -> Result<Self, Failure> {
        let stop = Stop::default();
        let before = job.before.clone();
        let ledger = Ledger::new(before.clone(), job.resent_before, bounds);
        let shared = Arc::new(Shared {
            ledger: Mutex::new(ledger),
            moved: Condvar::new(),
            rejects: Mutex::new(job.rejects.take()),
            failures: Mutex::new(Vec::new()),
        });
        let keeper = match job.keeping.take() {
            Some(keeping) => {
                let inputs = job.inputs.iter().map(|i| i.input.clone()).collect();
                Some(Keeper::start(
                    keeping,
                    inputs,
                    Arc::clone(&shared),
                    stop.clone(),
                )?)
            }
            None => None,
        };
        let resumes =
            before.records.rows() > 0 || job.inputs.iter().any(|i| i.start != Start::Beginning);
        let rows = pipeline::start(
            job,
            keeper.is_some(),
            batches,
            stop.clone(),
            Arc::clone(&shared),
            Arc::clone(observer),
        );
        Ok(Self {
            start: Instant::now(),
            stop,
            shared,
            before,
            resumes,
            rows,
            keeper,
            signalled: Mutex::new(None),
        })
    }

    /// Stops reading at the first signal; completes at the second one, or when the time to
    /// acknowledge what was accepted is up.
    async fn interrupted(
        &self,
        signals: &mut Signals,
        shutdown_timeout: Duration,
        observer: &Observer,
    ) {
        let kind = signals.next().await;
        *lock(&self.signalled) = Some(kind);
        self.stop.set();
        observer(LoadEvent::Interrupted { shutdown_timeout });
        tokio::select! {
            _ = signals.next() => {}
            () = tokio::time::sleep(shutdown_timeout) => {}
        }
    }

    /// Ends the work on rows and tells what became of them.
    async fn end(self, ended: &Ended, dry_run: bool) -> Outcome {
        // The queue is gone: whoever still transcodes stops at the next batch.
        self.stop.set();
        let rows = tokio::task::spawn_blocking(move || self.rows.join()).await;
        let (records, bytes_sent) =
            lock(&self.shared.ledger).settle(&ended.in_doubt, ended.counts.resent);
        let mut failures: Vec<Failure> = Vec::new();
        let report = match rows {
            Ok(Ok(report)) => report,
            _ => {
                let message = "the thread that transcodes rows has died";
                failures.push(Failure::new(Kind::Input, message));
                pipeline::Report::default()
            }
        };
        // The row that the service refused is more than that there are too many.
        failures.append(&mut lock(&self.shared.failures));
        failures.extend(report.failures);
        if let Err(Some(fault)) = &ended.outcome {
            failures.push(service_failure(fault));
        }
        if let Some(kind) = *lock(&self.signalled) {
            failures.push(signals::interrupted(kind));
        }
        let open = records.unsent + records.in_doubt;
        if failures.is_empty() && open > 0 && !dry_run {
            let message = format!("{open} rows were not acknowledged");
            failures.push(Failure::new(Kind::Unavailable, message));
        }
        let complete = failures.is_empty();
        if let Some(keeper) = self.keeper {
            lock(&self.shared.ledger).close(complete);
            self.shared.moved.notify_all();
            let ended = tokio::task::spawn_blocking(move || keeper.end()).await;
            failures.extend(ended.ok().flatten());
        }
        let ledger = lock(&self.shared.ledger);
        Outcome {
            records,
            skipped: report.skipped + self.before.records.rows(),
            resumed_from: self.resumes.then_some(self.before.records),
            settled: ledger.settled().records,
            settled_records: ledger.settled_records(),
            resent_total: ledger.resent(),
            all_read: report.all_read,
            dry_run,
            nothing_left: false,
            bytes_read: report.bytes_read,
            bytes_sent,
            counts: ended.counts,
            streams: Vec::new(),
            elapsed: self.start.elapsed(),
            digits_cut: report.digits_cut,
            reasons: Vec::new(),
            other_reasons: 0,
            failure: failures.into_iter().min_by_key(|f| precedence(f.kind)),
        }
    }
}

/// Of several failures the one that decides the exit code: 1, 4, 5, then 130 and 143.
fn precedence(kind: Kind) -> u8 {
    use crate::error::exit;
    match kind.exit_code() {
        exit::FAILED => 0,
        exit::TOO_MANY_REJECTS => 1,
        exit::UNAVAILABLE => 2,
        _ => 3,
    }
}

/// A panic elsewhere does not make counters wrong.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
