//! One table: made or opened, and the one writer that turns what streams queue into
//! Delta commits.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use deltalake_core::arrow::array::RecordBatch;
use deltalake_core::arrow::datatypes::SchemaRef;
use deltalake_core::kernel::{Metadata, StructType};
use deltalake_core::operations::create::CreateBuilder;
use deltalake_core::{DeltaTableError, TableProperty};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::schema::{Column, TableName};

use super::EmulatorError;
use super::chores::{Done, UnderWay};
use super::delta_types::to_delta;
use super::figures::Figures;
use super::log;
use super::sink::{self, OpenError, Sink};
use super::upkeep::discard;

/// Decoded rows that wait for the writer, over all streams of a table.
const QUEUE_BYTES_MAX: usize = 64 << 20;
/// The grain in which the queue's room is counted.
const ROOM_BYTES: usize = 1 << 10;
/// How long a table made here keeps files that were merged into others, for readers of
/// older versions.
const MERGED_FILES_KEPT: &str = "interval 1 days";

/// An open table.
pub(super) struct Table {
    pub(super) name: TableName,
    pub(super) columns: Vec<Column>,
    /// The Arrow form of `columns`, as the Delta writer wants it.
    pub(super) schema: SchemaRef,
    figures: watch::Receiver<Figures>,
    /// Its id, comment and properties, as they were when it was opened.
    pub(super) metadata: Metadata,
    /// Its directory.
    pub(super) location: String,
    queue: mpsc::UnboundedSender<Write>,
    /// Bounds the queue, in units of [`ROOM_BYTES`].
    room: Arc<Semaphore>,
}

/// Where a stream hears of its rows: offsets that are durable, or why none follow.
pub(super) struct Acks {
    durable: mpsc::UnboundedSender<Result<i64, String>>,
    /// Once rows were lost nothing later may be acknowledged, since acks are cumulative.
    failed: AtomicBool,
}

impl Acks {
    pub(super) fn new() -> (Arc<Self>, mpsc::UnboundedReceiver<Result<i64, String>>) {
        let (durable, heard) = mpsc::unbounded_channel();
        let failed = AtomicBool::new(false);
        (Arc::new(Self { durable, failed }), heard)
    }

    fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Acquire)
    }

    // A stream that has gone needs no answer: the sends below may fail.
    pub(super) fn durable(&self, offset: i64) {
        let _ = self.durable.send(Ok(offset));
    }

    fn fail(&self, reason: &str) {
        if !self.failed.swap(true, Ordering::AcqRel) {
            let _ = self.durable.send(Err(reason.to_owned()));
        }
    }
}

/// Rows on their way to the writer; no batch: nothing to write, but an offset to acknowledge.
struct Write {
    batch: Option<RecordBatch>,
    offset: i64,
    acks: Arc<Acks>,
    room: OwnedSemaphorePermit,
}

impl Table {
    /// How large the table is as of its last commit.
    pub(super) fn figures(&self) -> Figures {
        *self.figures.borrow()
    }

    /// Whether rows can be stored. After a failure they cannot: the table is to be opened
    /// anew, as it is by then.
    pub(super) fn is_open(&self) -> bool {
        !self.queue.is_closed()
    }

    /// Queues rows, waiting for room; `offset` is acknowledged once they are committed.
    ///
    /// # Errors
    /// The writer has ended.
    pub(super) async fn write(
        &self,
        batch: Option<RecordBatch>,
        offset: i64,
        acks: &Arc<Acks>,
    ) -> Result<(), String> {
        let bytes = batch.as_ref().map_or(0, RecordBatch::get_array_memory_size);
        let units = (bytes / ROOM_BYTES).clamp(1, QUEUE_BYTES_MAX / ROOM_BYTES);
        let units = u32::try_from(units).unwrap_or(u32::MAX);
        let ended = |_| format!("table {}: its writer has ended", self.name);
        let room = self.room.clone().acquire_many_owned(units).await;
        let write = Write {
            batch,
            offset,
            acks: acks.clone(),
            room: room.map_err(|error| ended(error.to_string()))?,
        };
        let sent = self.queue.send(write);
        sent.map_err(|error| ended(error.to_string()))
    }
}

/// What a new table shall be.
#[derive(Debug, Default)]
pub(super) struct Definition {
    pub(super) columns: Vec<Column>,
    /// What its owner says of it.
    pub(super) comment: Option<String>,
    /// Keys and values that are kept with it, as TBLPROPERTIES.
    pub(super) properties: Vec<(String, String)>,
}

/// Makes a table.
pub(super) async fn create(
    path: &Path,
    name: &TableName,
    definition: &Definition,
) -> Result<(), EmulatorError> {
    let unsupported = |error| EmulatorError::Unsupported {
        table: name.to_string(),
        message: format!("cannot be made: {error}"),
    };
    let fields = to_delta(&definition.columns).map_err(unsupported)?;
    StructType::try_new(fields.clone()).map_err(|error| unsupported(error.to_string()))?;
    let properties = definition.properties.iter();
    let failed = |error: String| EmulatorError::table(name, format!("cannot be made: {error}"));
    std::fs::create_dir_all(path).map_err(|error| failed(error.to_string()))?;
    let location = sink::location(path).map_err(|error| failed(error.to_string()))?;
    let mut builder = CreateBuilder::new()
        .with_location(location)
        .with_table_name(name.table())
        .with_columns(fields)
        .with_configuration_property(
            TableProperty::DeletedFileRetentionDuration,
            Some(MERGED_FILES_KEPT),
        )
        .with_configuration(properties.map(|(key, value)| (key, Some(value))))
        // Keys of the user's own are kept, too.
        .with_raise_if_key_not_exists(false);
    if let Some(comment) = &definition.comment {
        builder = builder.with_comment(comment);
    }
    builder.await.map_err(|error| failed(error.to_string()))?;
    log::sync_made(path).map_err(|error| failed(error.to_string()))
}

/// Opens the table at `path` and starts its writer; none if no table is there.
pub(super) async fn open(
    path: PathBuf,
    name: &TableName,
    commit_interval: Duration,
    stopped: watch::Receiver<bool>,
) -> Result<Option<(Table, JoinHandle<()>)>, EmulatorError> {
    if !path.join("_delta_log").is_dir() {
        return Ok(None);
    }
    let sink = match Sink::open(&path).await {
        Ok(sink) => sink,
        Err(OpenError::Delta(DeltaTableError::NotATable(_))) => return Ok(None),
        Err(error @ OpenError::Unsupported(_)) => {
            return Err(EmulatorError::Unsupported {
                table: name.to_string(),
                message: error.to_string(),
            });
        }
        Err(error) => return Err(EmulatorError::table(name, error.to_string())),
    };
    let columns = sink.columns().to_vec();
    let metadata = sink.metadata().clone();
    let (figures, known) = watch::channel(sink.figures);
    let (queue, queued) = mpsc::unbounded_channel();
    let table = Table {
        name: name.clone(),
        columns,
        schema: sink.schema(),
        figures: known,
        metadata,
        location: utf8(&path, name)?.to_owned(),
        queue,
        room: Arc::new(Semaphore::new(QUEUE_BYTES_MAX / ROOM_BYTES)),
    };
    let writer = Writer {
        name: name.clone(),
        path,
        sink: Some(sink),
        under_way: None,
        figures,
        queued,
        commit_interval,
        stopped,
        last_commit: None,
    };
    Ok(Some((table, tokio::spawn(writer.run()))))
}

fn utf8<'a>(path: &'a Path, name: &TableName) -> Result<&'a str, EmulatorError> {
    let refuse = || EmulatorError::table(name, format!("path {} is not UTF-8", path.display()));
    path.to_str().ok_or_else(refuse)
}

/// The one task that writes a table.
struct Writer {
    name: TableName,
    path: PathBuf,
    /// None after it was lost.
    sink: Option<Sink>,
    under_way: Option<UnderWay>,
    figures: watch::Sender<Figures>,
    queued: mpsc::UnboundedReceiver<Write>,
    commit_interval: Duration,
    stopped: watch::Receiver<bool>,
    last_commit: Option<Instant>,
}

impl Writer {
    async fn run(mut self) {
        let failed = loop {
            let first = tokio::select! {
                biased;
                first = self.queued.recv() => first,
                done = ended(&mut self.under_way) => {
                    self.take_over(done).await;
                    self.start_chore();
                    continue;
                }
            };
            let Some(first) = first else { break false };
            // The last offset of each stream in this window.
            let mut window: Vec<(Arc<Acks>, i64)> = Vec::new();
            let outcome = self.fill_and_commit(first, &mut window).await;
            self.last_commit = Some(Instant::now());
            match outcome {
                Ok(()) => {
                    for (acks, offset) in window {
                        acks.durable(offset);
                    }
                    self.do_chores().await;
                }
                Err(reason) => {
                    self.fail(&reason, window).await;
                    break true;
                }
            }
        };
        if self.under_way.is_some() {
            match ended(&mut self.under_way).await {
                // Whoever has opened the table anew knows nothing of it.
                Done::Merged(merged) if failed => discard(&self.path, &merged.actions()),
                done => self.take_over(done).await,
            }
        }
    }

    /// Tells all streams that their rows are lost, and takes no more.
    async fn fail(&mut self, reason: &str, window: Vec<(Arc<Acks>, i64)>) {
        let reason = format!("table {}: rows not stored: {reason}", self.name);
        self.queued.close();
        for (acks, _) in window {
            acks.fail(&reason);
        }
        while let Some(write) = self.queued.recv().await {
            write.acks.fail(&reason);
        }
    }

    /// Takes over what has ended beside the commits, and starts what comes next.
    async fn do_chores(&mut self) {
        if self.under_way.as_ref().is_some_and(UnderWay::has_ended) {
            let done = ended(&mut self.under_way).await;
            self.take_over(done).await;
        }
        self.start_chore();
    }

    fn start_chore(&mut self) {
        if self.under_way.is_none() {
            let chore = self.sink.as_mut().and_then(Sink::chore);
            self.under_way = chore.map(|chore| chore.start());
        }
    }

    async fn take_over(&mut self, done: Done) {
        let _ = self
            .with_sink(async move |sink: &mut Sink| sink.take_over(done).await)
            .await;
    }

    /// Writes `first` and what waits behind it until a commit is due, then commits.
    async fn fill_and_commit(
        &mut self,
        first: Write,
        window: &mut Vec<(Arc<Acks>, i64)>,
    ) -> Result<(), String> {
        let due = self.last_commit.map(|last| last + self.commit_interval);
        let mut next = Some(first);
        while let Some(write) = next.take() {
            // No more than waits now: under a steady load the window must end somewhere.
            let waiting = self.queued.len();
            let more = std::iter::from_fn(|| self.queued.try_recv().ok()).take(waiting);
            let mut batches = Vec::new();
            let mut rooms = Vec::new();
            for write in std::iter::once(write).chain(more) {
                if write.acks.has_failed() {
                    continue;
                }
                batches.extend(write.batch);
                rooms.push(write.room);
                match window.iter_mut().find(|(a, _)| Arc::ptr_eq(a, &write.acks)) {
                    Some((_, offset)) => *offset = write.offset,
                    None => window.push((write.acks, write.offset)),
                }
            }
            self.with_sink(async move |sink: &mut Sink| sink.write(batches).await)
                .await?;
            drop(rooms);
            if let Some(due) = due.filter(|due| *due > Instant::now()) {
                next = tokio::select! {
                    next = self.queued.recv() => next,
                    () = tokio::time::sleep_until(due) => None,
                    _ = self.stopped.wait_for(|stop| *stop) => None,
                };
            }
        }
        self.with_sink(async |sink: &mut Sink| sink.commit().await)
            .await
    }

    /// Runs `work` on a thread that may block: encoding Parquet takes its time.
    async fn with_sink<F>(&mut self, work: F) -> Result<(), String>
    where
        F: AsyncFnOnce(&mut Sink) -> Result<(), DeltaTableError> + Send + 'static,
    {
        let Some(mut sink) = self.sink.take() else {
            return Err("the writer was lost".into());
        };
        let handle = Handle::current();
        let job = tokio::task::spawn_blocking(move || {
            handle.block_on(async move {
                let outcome = work(&mut sink).await;
                (sink, outcome)
            })
        });
        let (sink, outcome) = job
            .await
            .map_err(|error| format!("the writer ended abnormally: {error}"))?;
        self.figures.send_replace(sink.figures);
        self.sink = Some(sink);
        outcome.map_err(|error| error.to_string())
    }
}

/// The end of what is under way. Waits for ever if there is nothing.
async fn ended(under_way: &mut Option<UnderWay>) -> Done {
    let Some(chore) = under_way else {
        return std::future::pending().await;
    };
    let done = chore.end().await;
    *under_way = None;
    done
}
