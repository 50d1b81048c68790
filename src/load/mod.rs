//! Joins input → transcode → client into one load: every queue bounded, every row accounted
//! for. Reports what happens as events and never prints.
//!
//! Two threads do the work on rows: one reads and frames, one transcodes and hands batches
//! to the client's task.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

mod errors;
mod event;
mod ledger;
mod pipeline;
mod rejects;

pub use errors::MaxErrors;
pub use event::{LoadEvent, Observer};
pub use ledger::Records;
pub use rejects::{Rejects, reasons_path};

use ledger::Ledger;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

use crate::client::{self, Connector, Ended};
use crate::error::{Failure, Kind};
use crate::input::{Format, Framing, Input, Stop};
use crate::protocol::{Batch, Config, Counts, Fault, FaultClass};
use crate::transcode;

/// What is to be loaded, and how rows are taken.
pub struct Job {
    /// The inputs in order, each with its format.
    pub inputs: Vec<(Input, Format)>,
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
#[derive(Debug)]
pub struct Outcome {
    /// What became of the rows that were read.
    pub records: Records,
    /// Rows passed over by `skip`.
    pub skipped: u64,
    /// Nothing was to be sent.
    pub dry_run: bool,
    /// Bytes read from the inputs.
    pub bytes_read: u64,
    /// Bytes of the records sent, without resends.
    pub bytes_sent: u64,
    /// What the stream has counted.
    pub counts: Counts,
    /// The id of the stream's last connection.
    pub stream_id: Option<String>,
    /// From the first byte read to the last acknowledgement.
    pub elapsed: Duration,
    /// Timestamps whose digits past microseconds were cut.
    pub digits_cut: u64,
    /// Why the load did not succeed.
    pub failure: Option<Failure>,
}

impl Outcome {
    /// A load that failed before anything was read.
    pub fn nothing(failure: Failure) -> Self {
        Self {
            records: Records::default(),
            skipped: 0,
            dry_run: false,
            bytes_read: 0,
            bytes_sent: 0,
            counts: Counts::default(),
            stream_id: None,
            elapsed: Duration::ZERO,
            digits_cut: 0,
            failure: Some(failure),
        }
    }
}

/// Batches between transcoding and the client's window.
const BATCHES_QUEUED_MAX: usize = 2;

/// Runs a load to its end. What fails is told by the outcome, next to what was achieved
/// before.
pub async fn run(job: Job, connector: Connector, config: Config, observer: Observer) -> Outcome {
    let (batches, queue) = mpsc::channel(BATCHES_QUEUED_MAX);
    let shutdown_timeout = job.shutdown_timeout;
    let work = Work::start(job, batches, &observer);
    let stream_id = Mutex::new(None);
    let interrupt = work.interrupted(shutdown_timeout, &observer);
    let ended = client::run(connector, config, queue, interrupt, |event| match event {
        client::Event::Opened { stream_id: id } => *lock(&stream_id) = Some(id),
        client::Event::Acknowledged { batches, counts } => {
            lock(&work.ledger).acknowledge(batches);
            observer(LoadEvent::Acknowledged { counts });
        }
        client::Event::Recovering { fault, wait } => {
            observer(LoadEvent::Recovering { fault, wait });
        }
    })
    .await;
    let mut outcome = work.end(&ended).await;
    outcome.stream_id = lock(&stream_id).take();
    outcome
}

/// Reads, maps and checks every row like a load, and sends nothing: good rows end as unsent.
pub async fn dry_run(job: Job, observer: Observer) -> Outcome {
    let (batches, mut queue) = mpsc::channel(BATCHES_QUEUED_MAX);
    let shutdown_timeout = job.shutdown_timeout;
    let work = Work::start(job, batches, &observer);
    let drained = async { while queue.recv().await.is_some() {} };
    tokio::select! {
        () = drained => {}
        () = work.interrupted(shutdown_timeout, &observer) => {}
    }
    let ended = Ended {
        outcome: Ok(()),
        counts: Counts::default(),
        in_doubt: 0,
    };
    let mut outcome = work.end(&ended).await;
    outcome.dry_run = true;
    outcome
}

/// The work on rows while something takes the batches.
struct Work {
    start: Instant,
    stop: Stop,
    ledger: Arc<Mutex<Ledger>>,
    rows: JoinHandle<pipeline::Report>,
    signalled: Mutex<Option<Kind>>,
}

impl Work {
    fn start(job: Job, batches: mpsc::Sender<Batch>, observer: &Observer) -> Self {
        let stop = Stop::default();
        let ledger = Arc::new(Mutex::new(Ledger::default()));
        let rows = pipeline::start(
            job,
            batches,
            stop.clone(),
            Arc::clone(&ledger),
            Arc::clone(observer),
        );
        Self {
            start: Instant::now(),
            stop,
            ledger,
            rows,
            signalled: Mutex::new(None),
        }
    }

    /// Stops reading at the first signal; completes at the second one, or when the time to
    /// acknowledge what was accepted is up.
    async fn interrupted(&self, shutdown_timeout: Duration, observer: &Observer) {
        let kind = first_signal().await;
        *lock(&self.signalled) = Some(kind);
        self.stop.set();
        observer(LoadEvent::Interrupted { shutdown_timeout });
        tokio::select! {
            _ = first_signal() => {}
            () = tokio::time::sleep(shutdown_timeout) => {}
        }
    }

    /// Ends the work on rows and tells what became of them.
    async fn end(self, ended: &Ended) -> Outcome {
        // The queue is gone: whoever still transcodes stops at the next batch.
        self.stop.set();
        let rows = tokio::task::spawn_blocking(move || self.rows.join()).await;
        let (records, bytes_sent) = lock(&self.ledger).settle(ended.in_doubt, ended.counts.resent);
        let mut failures: Vec<Failure> = Vec::new();
        let report = match rows {
            Ok(Ok(report)) => report,
            _ => {
                let message = "the thread that transcodes rows has died";
                failures.push(Failure::new(Kind::Input, message));
                pipeline::Report::default()
            }
        };
        failures.extend(report.failures);
        if let Err(Some(fault)) = &ended.outcome {
            failures.push(service_failure(fault));
        }
        if let Some(kind) = *lock(&self.signalled) {
            let terminated = kind == Kind::Terminated;
            let name = if terminated { "SIGTERM" } else { "SIGINT" };
            failures.push(Failure::new(kind, format!("interrupted by {name}")));
        }
        Outcome {
            records,
            skipped: report.skipped,
            dry_run: false,
            bytes_read: report.bytes_read,
            bytes_sent,
            counts: ended.counts,
            stream_id: None,
            elapsed: self.start.elapsed(),
            digits_cut: report.digits_cut,
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

async fn first_signal() -> Kind {
    let receive = |kind: SignalKind| async move {
        match signal(kind) {
            Ok(mut signals) => Signal::recv(&mut signals).await,
            // Without a handler the signal ends the process by itself.
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = receive(SignalKind::interrupt()) => Kind::Interrupted,
        _ = receive(SignalKind::terminate()) => Kind::Terminated,
    }
}

/// What a fault of the stream means to the user.
fn service_failure(fault: &Fault) -> Failure {
    match fault.class {
        FaultClass::Refused => {
            Failure::new(Kind::Refused, format!("the service refused the stream: {fault}"))
                .hint("compare the record with the table's columns, type by type; nothing that was refused is in the table")
        }
        FaultClass::Credentials => {
            Failure::new(Kind::Credentials, format!("the service refused the credentials: {fault}"))
                .hint("check client id and secret, and that the service principal has USE CATALOG, USE SCHEMA, and SELECT and MODIFY on the table")
        }
        FaultClass::NotFound => {
            Failure::new(Kind::NotFound, format!("the table was not found: {fault}"))
                .hint("check --table; the table must exist before it is loaded")
        }
        FaultClass::Transient | FaultClass::Throttled(_) => {
            Failure::new(Kind::Unavailable, format!("the service is unavailable: {fault}"))
                .hint("check --endpoint and the network; the same command may succeed later")
        }
    }
}

/// A panic elsewhere does not make counters wrong.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
