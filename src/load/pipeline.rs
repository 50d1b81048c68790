//! The two threads between the inputs and the client: one reads and frames, one transcodes.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::mpsc;

use super::errors::MaxErrors;
use super::event::{LoadEvent, Observer};
use super::ledger::Ledger;
use super::{Job, Rejects, lock};
use crate::error::{Failure, Kind};
use crate::input::{Block, Format, Input, InputError, Limits};
use crate::protocol::Batch;
use crate::transcode::{BatchBuilder, RowError, Transcoder};

/// Blocks that wait between the two threads.
const BLOCKS_QUEUED_MAX: usize = 4;
/// How long a stop may go unnoticed while nothing is read.
const STOP_CHECK: Duration = Duration::from_millis(50);

/// What the threads have to say at the end.
#[derive(Debug, Default)]
pub(super) struct Report {
    pub bytes_read: u64,
    pub digits_cut: u64,
    pub failure: Option<Failure>,
}

/// Starts the threads; the handle is that of the transcoding one. The other may hang in a
/// read from a pipe for as long as its writer likes, and is left to the process's end.
pub(super) fn start(
    job: Job,
    batches: mpsc::Sender<Batch>,
    stop: Arc<AtomicBool>,
    ledger: Arc<Mutex<Ledger>>,
    observer: Observer,
) -> JoinHandle<Report> {
    let (blocks, queue) = sync_channel(BLOCKS_QUEUED_MAX);
    let (inputs, limits) = (job.inputs, job.limits);
    let reading = Arc::clone(&stop);
    std::thread::spawn(move || read(&inputs, limits, &reading, &blocks));
    std::thread::spawn(move || {
        let mut rows = Rows {
            transcoder: Transcoder::new(job.target, job.options),
            builder: BatchBuilder::new(),
            batches,
            ledger,
            max_errors: job.max_errors,
            rejects: job.rejects,
            observer,
            source: None,
            bytes_before: 0,
            bytes_read: 0,
        };
        let result = rows.run(&queue, &stop);
        let result = result.and_then(|()| rows.finish());
        Report {
            bytes_read: rows.bytes_read,
            digits_cut: rows.transcoder.digits_cut(),
            failure: result.err().flatten(),
        }
    })
}

fn read(
    inputs: &[(Input, Format)],
    limits: Limits,
    stop: &AtomicBool,
    blocks: &SyncSender<Result<Block, InputError>>,
) {
    for (index, (input, format)) in inputs.iter().enumerate() {
        let opened = input.open(index, *format).and_then(|o| o.frame(limits));
        let mut framer = match opened {
            Ok(framer) => framer,
            Err(error) => {
                let _ = blocks.send(Err(error));
                return;
            }
        };
        while !stop.load(Ordering::Relaxed) {
            let block = match framer.next_block().transpose() {
                None => break,
                Some(block) => block,
            };
            let failed = block.is_err();
            // Nobody listens any more: the load has ended.
            if blocks.send(block).is_err() || failed {
                return;
            }
        }
    }
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
    /// Index of the source being read.
    source: Option<usize>,
    /// Bytes of the sources before it.
    bytes_before: u64,
    bytes_read: u64,
}

impl Rows {
    fn run(
        &mut self,
        queue: &Receiver<Result<Block, InputError>>,
        stop: &AtomicBool,
    ) -> Result<(), Stopped> {
        loop {
            match queue.recv_timeout(STOP_CHECK) {
                Ok(Ok(block)) => self.block(&block)?,
                Ok(Err(error)) => return Err(Some(input_failure(error))),
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
                // Blocks that were read before the stop have been taken above.
                Err(RecvTimeoutError::Timeout) if stop.load(Ordering::Relaxed) => return Ok(()),
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }

    fn block(&mut self, block: &Block) -> Result<(), Stopped> {
        let source = &block.source;
        if self.source != Some(source.index) {
            self.bytes_before = self.bytes_read;
            self.source = Some(source.index);
            (self.observer)(LoadEvent::InputStarted {
                index: source.index,
                name: source.name.clone(),
            });
            let header_line = source.header.as_ref().map(|(_, line)| *line);
            self.transcoder.begin_source(source).map_err(|reason| {
                Failure::new(
                    Kind::Input,
                    format!("the header does not fit the record: {reason}"),
                )
                .at(source.name.clone(), header_line)
                .hint("each column must be a field of the record; see the .proto file")
            })?;
        }
        let mut next = 0;
        let mut result = Ok(());
        while let Err((index, error)) = self.transcoder.block(block, next, &mut self.builder) {
            next = index + 1;
            let bytes = block.row(&block.rows[index]);
            result = self.reject(block, error, bytes);
            if result.is_err() {
                break;
            }
        }
        // What is good goes out even if the load ends here.
        self.send()?;
        result?;
        if let Some(long) = block.long_row {
            self.reject(block, long.into(), &[])?;
        }
        self.bytes_read = self.bytes_before + block.source_bytes;
        (self.observer)(LoadEvent::Read {
            bytes: self.bytes_read,
        });
        Ok(())
    }

    fn reject(&mut self, block: &Block, error: RowError, row: &[u8]) -> Result<(), Stopped> {
        let source = &block.source;
        let (rejected, read) = {
            let mut ledger = lock(&self.ledger);
            ledger.reject();
            (ledger.rejected(), ledger.read() + self.builder.records())
        };
        if self.max_errors.exceeded(rejected, read, false) {
            let first = error.reasons.first();
            let message = first.map_or_else(String::new, ToString::to_string);
            let hint = match (&self.rejects, rejected) {
                (None, _) => "--max-errors 10 --rejects bad.ndjson loads the good rows and keeps the bad ones".to_owned(),
                (Some(_), n) => format!("{n} rows were bad; raise --max-errors to go on"),
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

    /// After the last row: what only counts at the end.
    fn finish(&mut self) -> Result<(), Stopped> {
        if let Some(rejects) = &mut self.rejects {
            rejects.flush()?;
        }
        let ledger = lock(&self.ledger);
        let (rejected, read) = (ledger.rejected(), ledger.read());
        if self.max_errors.exceeded(rejected, read, true) {
            let message =
                format!("{rejected} of {read} rows were bad, more than --max-errors allows");
            return Err(Some(Failure::new(Kind::BadRow, message)));
        }
        Ok(())
    }
}

fn input_failure(error: InputError) -> Failure {
    let mut failure = Failure::new(Kind::Input, error.message).at(error.source_name, error.line);
    failure.hint = error.hint.map(str::to_owned);
    failure
}

impl From<InputError> for Failure {
    fn from(error: InputError) -> Self {
        input_failure(error)
    }
}
