//! The two threads between the inputs and the client: one reads and frames, one transcodes.

use std::ops::Range;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SendError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::mpsc;

use super::errors::MaxErrors;
use super::event::{LoadEvent, Observer};
use super::ledger::Ledger;
use super::{Job, Rejects, lock};
use crate::error::{Failure, Kind};
use crate::input::{Block, Format, Framer, Framing, Input, InputError, LongRow, Source, Stop};
use crate::protocol::Batch;
use crate::transcode::{BatchBuilder, RowError, Transcoder};

/// Blocks that wait between the two threads.
const BLOCKS_QUEUED_MAX: usize = 4;
/// How long a stop may go unnoticed while nothing is read.
const STOP_CHECK: Duration = Duration::from_millis(50);
/// How long the reading thread may take to notice one, unless it hangs.
const READ_ENDS_MAX: Duration = Duration::from_secs(1);

/// What the threads have to say at the end.
#[derive(Debug, Default)]
pub(super) struct Report {
    pub bytes_read: u64,
    pub skipped: u64,
    pub digits_cut: u64,
    pub failures: Vec<Failure>,
}

/// What the reading thread hands over.
enum Piece {
    Begin(Arc<Source>),
    Block(Block),
    /// All of a source that is read, in bytes.
    Ended(u64),
    Failed(InputError),
    /// The last input has ended, or reading was stopped.
    End,
}

/// Starts the threads; the handle is that of the transcoding one. The other may hang in a
/// read for as long as a file system likes, and is left to the process's end.
pub(super) fn start(
    job: Job,
    batches: mpsc::Sender<Batch>,
    stop: Stop,
    ledger: Arc<Mutex<Ledger>>,
    observer: Observer,
) -> JoinHandle<Report> {
    let (pieces, queue) = sync_channel(BLOCKS_QUEUED_MAX);
    let (inputs, framing) = (job.inputs, job.framing);
    let reading = stop.clone();
    std::thread::spawn(move || {
        // Nobody listens any more: the load has ended.
        let _ = read(&inputs, &framing, &reading, &pieces);
    });
    std::thread::spawn(move || {
        let mut rows = Rows {
            transcoder: Transcoder::new(job.target, job.options),
            builder: BatchBuilder::new(),
            batches,
            ledger,
            max_errors: job.max_errors,
            rejects: job.rejects,
            observer,
            skip: job.range.skip,
            limit: job.range.limit.unwrap_or(u64::MAX),
            min_rows: job.range.min_rows,
            skipped: 0,
            long_is_skipped: false,
            bytes_before: 0,
            bytes_read: 0,
        };
        let mut failures = Vec::new();
        failures.extend(rows.run(&queue, &stop).err().flatten());
        if let Some(rejects) = &mut rows.rejects {
            failures.extend(rejects.flush().err());
        }
        Report {
            bytes_read: rows.bytes_read,
            skipped: rows.skipped,
            digits_cut: rows.transcoder.digits_cut(),
            failures,
        }
    })
}

fn read(
    inputs: &[(Input, Format)],
    framing: &Framing,
    stop: &Stop,
    pieces: &SyncSender<Piece>,
) -> Result<(), SendError<Piece>> {
    for (index, (input, format)) in inputs.iter().enumerate() {
        if stop.is_set() {
            break;
        }
        let source = Source {
            index,
            name: input.name(),
            format: *format,
            header: None,
        };
        let opened = input.open(framing.compression, stop.clone());
        let mut framer = match opened.and_then(|bytes| Framer::new(source, bytes, framing)) {
            Ok(framer) => framer,
            Err(error) => return pieces.send(Piece::Failed(error)),
        };
        pieces.send(Piece::Begin(Arc::clone(framer.source())))?;
        loop {
            match framer.next_block() {
                Ok(Some(block)) => pieces.send(Piece::Block(block))?,
                Ok(None) => break pieces.send(Piece::Ended(framer.source_bytes()))?,
                Err(error) => {
                    pieces.send(Piece::Ended(framer.source_bytes()))?;
                    return pieces.send(Piece::Failed(error));
                }
            }
        }
    }
    pieces.send(Piece::End)
}

/// Ends the work on rows: with a failure, or because the client has ended.
type Stopped = Option<Failure>;

struct Rows {
    transcoder: Transcoder,
    builder: BatchBuilder,
    batches: mpsc::Sender<Batch>,
    ledger: Arc<Mutex<Ledger>>,
    max_errors: MaxErrors,
    rejects: Option<Rejects>,
    observer: Observer,
    /// Rows still to be passed over, and still to be read after them.
    skip: u64,
    limit: u64,
    min_rows: u64,
    skipped: u64,
    /// The row over the limit that is passing is one of those passed over.
    long_is_skipped: bool,
    /// Bytes of the sources before the one being read.
    bytes_before: u64,
    bytes_read: u64,
}

impl Rows {
    fn run(&mut self, queue: &Receiver<Piece>, stop: &Stop) -> Result<(), Stopped> {
        let mut stopped_for = Duration::ZERO;
        loop {
            match queue.recv_timeout(STOP_CHECK) {
                Ok(Piece::Begin(source)) => self.begin(&source)?,
                Ok(Piece::Block(block)) => {
                    self.block(&block)?;
                    // The reading thread ends when nobody listens.
                    if self.limit == 0 {
                        return self.finish(true);
                    }
                }
                Ok(Piece::Ended(bytes)) => self.bytes_read = self.bytes_before + bytes,
                Ok(Piece::Failed(error)) => return Err(Some(error.into())),
                Ok(Piece::End) => return self.finish(!stop.is_set()),
                Err(RecvTimeoutError::Disconnected) => {
                    let message = "the thread that reads the inputs has died";
                    return Err(Some(Failure::new(Kind::Input, message)));
                }
                Err(RecvTimeoutError::Timeout) if stop.is_set() => {
                    stopped_for += STOP_CHECK;
                    if stopped_for >= READ_ENDS_MAX {
                        return Ok(());
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }

    fn begin(&mut self, source: &Source) -> Result<(), Stopped> {
        self.bytes_before = self.bytes_read;
        (self.observer)(LoadEvent::InputStarted {
            index: source.index,
            name: source.name.clone(),
        });
        let line = source.header.as_ref().map(|h| h.line);
        self.transcoder.begin_source(source).map_err(|reason| {
            let message = format!("the header does not fit the record: {reason}");
            Some(
                Failure::new(Kind::Input, message)
                    .at(source.name.clone(), line)
                    .hint("each column must be a field of the record; see the .proto file"),
            )
        })
    }

    fn block(&mut self, block: &Block) -> Result<(), Stopped> {
        self.bytes_read = self.bytes_before + block.source_bytes;
        let mut rows = self.rows_wanted(block.rows.len());
        let mut result = Ok(());
        while let Err((index, error)) =
            self.transcoder
                .block(block, rows.clone(), &mut self.builder)
        {
            rows.start = index + 1;
            let bytes = block.row_with_end(&block.rows[index]);
            result = self.reject(&block.source, error, bytes);
            if result.is_err() {
                break;
            }
        }
        // What is good goes out even if the load ends here.
        self.send()?;
        result?;
        if let Some(long) = &block.long {
            self.long_row(block, long)?;
        }
        (self.observer)(LoadEvent::Read {
            bytes: self.bytes_read,
        });
        Ok(())
    }

    /// Which of the next `count` rows are neither passed over nor beyond the limit.
    fn rows_wanted(&mut self, count: usize) -> Range<usize> {
        let first = usize::try_from(self.skip).map_or(count, |skip| skip.min(count));
        self.skip -= first as u64;
        self.skipped += first as u64;
        let most = count - first;
        let wanted = usize::try_from(self.limit).map_or(most, |limit| limit.min(most));
        self.limit -= wanted as u64;
        first..first + wanted
    }

    /// A piece of a row over the limit: it counts with its first piece, and all pieces go to
    /// the rejects.
    fn long_row(&mut self, block: &Block, long: &LongRow) -> Result<(), Stopped> {
        let bytes = &block.data[long.start..];
        if long.begins {
            self.long_is_skipped = self.rows_wanted(1).is_empty();
        }
        if self.long_is_skipped {
            return Ok(());
        }
        if long.begins {
            return self.reject(&block.source, long.into(), bytes);
        }
        if let Some(rejects) = &mut self.rejects {
            rejects.go_on(bytes)?;
        }
        Ok(())
    }

    fn reject(&mut self, source: &Source, error: RowError, row: &[u8]) -> Result<(), Stopped> {
        let (rejected, read) = {
            let mut ledger = lock(&self.ledger);
            ledger.reject();
            (ledger.rejected(), ledger.read() + self.builder.records())
        };
        if self.max_errors.exceeded(rejected, read, false) {
            let first = error.reasons.first();
            let message = first.map_or_else(String::new, ToString::to_string);
            let hint = match &self.rejects {
                None => "--max-errors 10 --rejects bad.ndjson loads the good rows and keeps the bad ones".to_owned(),
                Some(_) => format!("{rejected} rows were bad; raise --max-errors to go on"),
            };
            return Err(Some(
                Failure::new(Kind::BadRow, message)
                    .at(source.name.clone(), error.line)
                    .hint(hint),
            ));
        }
        if let Some(rejects) = &mut self.rejects {
            rejects.write(source, row, &error)?;
        }
        (self.observer)(LoadEvent::RowRejected {
            source: source.name.clone(),
            error,
        });
        Ok(())
    }

    fn send(&mut self) -> Result<(), Stopped> {
        for batch in self.builder.take() {
            lock(&self.ledger).enter(&batch);
            let batch = Batch {
                records: batch.records,
                body: batch.body,
            };
            // The client has ended and says why itself.
            self.batches.blocking_send(batch).map_err(|_| None)?;
        }
        Ok(())
    }

    /// After the last row that is read. A share of the rows can be told only of all of them.
    fn finish(&mut self, all_read: bool) -> Result<(), Stopped> {
        let ledger = lock(&self.ledger);
        let (rejected, read) = (ledger.rejected(), ledger.read());
        if self.max_errors.exceeded(rejected, read, all_read) {
            let message =
                format!("{rejected} of {read} rows were bad, more than --max-errors allows");
            return Err(Some(Failure::new(Kind::BadRow, message).hint(
                "the good rows are acknowledged; a higher --max-errors lets such a load succeed",
            )));
        }
        if all_read && read < self.min_rows {
            let message = format!(
                "only {read} rows were read, fewer than --min-rows {}",
                self.min_rows
            );
            return Err(Some(Failure::new(Kind::Input, message).hint(
                "rows that were read are acknowledged; check why the input is short",
            )));
        }
        Ok(())
    }
}

impl From<InputError> for Failure {
    fn from(error: InputError) -> Self {
        let mut failure = Self::new(Kind::Input, error.message).at(error.source_name, error.line);
        failure.hint = error.hint.map(str::to_owned);
        failure
    }
}
