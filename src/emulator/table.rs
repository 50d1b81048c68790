//! One table: made or opened, and the one writer that turns what streams queue into
//! Delta commits.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use deltalake_core::DeltaTableError;
use deltalake_core::arrow::array::RecordBatch;
use deltalake_core::arrow::datatypes::SchemaRef;
use deltalake_core::kernel::Metadata;
use deltalake_core::operations::create::CreateBuilder;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::schema::{Column, TableName};

use super::EmulatorError;
use super::delta_types::to_delta;
use super::figures::Figures;
use super::sink::Sink;

/// Decoded rows that wait for the writer, over all streams of a table.
const QUEUE_BYTES_MAX: usize = 64 << 20;
/// The grain in which the queue's room is counted.
const ROOM_BYTES: usize = 1 << 10;
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

/// Makes a table of these columns.
pub(super) async fn create(
    path: &Path,
    name: &TableName,
    columns: &[Column],
) -> Result<(), EmulatorError> {
    let fields = to_delta(columns).map_err(|error| EmulatorError::table(name, error))?;
    CreateBuilder::new()
        .with_location(utf8(path, name)?)
        .with_table_name(name.table())
        .with_columns(fields)
        .await
        .map_err(|error| EmulatorError::table(name, format!("cannot be made: {error}")))?;
    Ok(())
}

/// Opens the table at `path` and starts its writer; none if no table is there.
pub(super) async fn open(
    path: PathBuf,
    name: &TableName,
    commit_interval: Duration,
    stopped: watch::Receiver<bool>,
) -> Result<Option<(Table, JoinHandle<()>)>, EmulatorError> {
    let fail = |message: String| EmulatorError::table(name, message);
    if !path.join("_delta_log").is_dir() {
        return Ok(None);
    }
    let location = utf8(&path, name)?.to_owned();
    let sink = match Sink::open(&location).await {
        Ok(sink) => sink,
        Err(DeltaTableError::NotATable(_)) => return Ok(None),
        Err(error) => return Err(fail(format!("cannot be opened: {error}"))),
    };
    let columns = sink.columns().map_err(fail)?;
    let (figures, known) = watch::channel(sink.figures);
    let metadata = sink.metadata().map_err(fail)?;
    let (queue, queued) = mpsc::unbounded_channel();
    let table = Table {
        name: name.clone(),
        columns,
        schema: sink.schema(),
        figures: known,
        metadata,
        location: location.clone(),
        queue,
        room: Arc::new(Semaphore::new(QUEUE_BYTES_MAX / ROOM_BYTES)),
    };
    let writer = Writer {
        name: name.clone(),
        location,
        sink: Some(sink),
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
    location: String,
    /// None after it was lost; opened again for the next rows.
    sink: Option<Sink>,
    figures: watch::Sender<Figures>,
    queued: mpsc::UnboundedReceiver<Write>,
    commit_interval: Duration,
    stopped: watch::Receiver<bool>,
    last_commit: Option<Instant>,
}

impl Writer {
    async fn run(mut self) {
        while let Some(first) = self.queued.recv().await {
            // The last offset of each stream in this window.
            let mut window: Vec<(Arc<Acks>, i64)> = Vec::new();
            let outcome = self.fill_and_commit(first, &mut window).await;
            self.last_commit = Some(Instant::now());
            match outcome {
                Ok(()) => {
                    for (acks, offset) in window {
                        acks.durable(offset);
                    }
                    // A checkpoint saves readers time; that it failed harms no row.
                    let _ = self
                        .with_sink(async |sink: &mut Sink| sink.maintain().await)
                        .await;
                }
                Err(reason) => {
                    let reason = format!("table {}: rows not stored: {reason}", self.name);
                    if let Some(sink) = &mut self.sink {
                        sink.reset();
                    }
                    for (acks, _) in window {
                        acks.fail(&reason);
                    }
                }
            }
        }
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
        let sink = self.sink.take();
        let location = self.location.clone();
        let handle = Handle::current();
        let job = tokio::task::spawn_blocking(move || {
            handle.block_on(async move {
                let mut sink = match sink {
                    Some(sink) => sink,
                    None => Sink::open(&location).await?,
                };
                let outcome = work(&mut sink).await;
                Ok::<_, DeltaTableError>((sink, outcome))
            })
        });
        match job.await {
            Ok(Ok((sink, outcome))) => {
                self.figures.send_replace(sink.figures);
                self.sink = Some(sink);
                outcome.map_err(|error| error.to_string())
            }
            Ok(Err(error)) => Err(format!("the table cannot be opened again: {error}")),
            Err(error) => Err(format!("the writer ended abnormally: {error}")),
        }
    }
}
