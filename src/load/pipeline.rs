//! The thread that decides: takes what [`super::reader`] reads and [`super::workers`] make of
//! it, in order, decides on bad rows, enters batches in the ledger and hands them to the client.

use std::fs::File;
use std::ops::Range;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::sync::{Arc, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::checkpoint::InputState;
use super::errors::MaxErrors;
use super::event::{LoadEvent, Observer};
use super::ledger::{self, Origin};
use super::mark::{Mark, MarkRecords, Reached, RejectsLen};
use super::pace::Pace;
use super::reader::{Piece, Reader, Share, Wanted};
use super::workers::{self, Encoded, Results};
use super::{Job, Rejects, Shared, lock};
use crate::error::{Failure, Kind};
use crate::input::{Block, Header, InputError, LongRow, Position, RunningHash, Source, Stop};
use crate::protocol::Batch;
use crate::transcode::{BatchBuilder, EncodedBatch, RowError, Transcoder};

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
    /// The inputs were read to their end, or as far as was asked for.
    pub all_read: bool,
    pub digits_cut: u64,
    pub failures: Vec<Failure>,
}

/// Starts the threads; `hashes` says whether streams are hashed. The handle is that of the
/// deciding one. The reading one may hang in a read for as long as a file system likes, and is
/// left to the process's end.
pub(super) fn start(
    job: Job,
    hashes: bool,
    batches: mpsc::Sender<Batch>,
    stop: Stop,
    shared: Arc<Shared>,
    observer: Observer,
) -> JoinHandle<Report> {
    let before = job.before.records;
    let transcoder = move || Transcoder::new(job.target.clone(), job.options.clone());
    let count = workers::count();
    let (workers, results) = workers::start(count, &transcoder);
    let (pieces, queue) = sync_channel(BLOCKS_QUEUED_MAX + count);
    let reader = Reader {
        inputs: job.inputs,
        framing: job.framing,
        hashes,
        stop: stop.clone(),
        share: Share {
            skip: job.range.skip.saturating_sub(before.passed),
            limit: job
                .range
                .limit
                .map_or(u64::MAX, |n| n.saturating_sub(before.read())),
            long: Wanted::Yes,
        },
        workers,
        pieces,
    };
    std::thread::spawn(move || {
        // Nobody listens any more: the load has ended.
        let _ = reader.read();
    });
    let mut rows = Rows {
        transcoder: transcoder(),
        results,
        batches,
        shared,
        max_errors: job.max_errors,
        observer,
        stop,
        pace: job.rate_limit.map(|rate| (Instant::now(), Pace::new(rate))),
        min_rows: job.range.min_rows,
        before,
        rejects_before: job.before.rejects,
        counts: before,
        all_read: false,
        digits_cut: 0,
        input: 0,
        file: None,
        bytes_before: 0,
        bytes_read: 0,
    };
    std::thread::spawn(move || {
        let mut failures = Vec::new();
        failures.extend(rows.run(&queue).err().flatten());
        if let Some(rejects) = lock(&rows.shared.rejects).as_mut() {
            failures.extend(rejects.flush().err());
        }
        Report {
            bytes_read: rows.bytes_read,
            skipped: rows.counts.passed - before.passed,
            all_read: rows.all_read,
            digits_cut: rows.digits_cut,
            failures,
        }
    })
}

/// Ends the work on rows: with a failure, or because the client has ended.
type Stopped = Option<Failure>;

struct Rows {
    /// For headers, and for the rows before one that ends the load.
    transcoder: Transcoder,
    results: Results,
    batches: mpsc::Sender<Batch>,
    shared: Arc<Shared>,
    max_errors: MaxErrors,
    observer: Observer,
    stop: Stop,
    /// A limited rate, and when it began.
    pace: Option<(Instant, Pace)>,
    min_rows: u64,
    /// The rows of earlier runs, and how long their rejects are.
    before: MarkRecords,
    rejects_before: RejectsLen,
    /// All rows that were dealt with, over all runs. What the service refuses is counted by
    /// the ledger.
    counts: MarkRecords,
    all_read: bool,
    digits_cut: u64,
    /// The input being read, and its file if it is one.
    input: usize,
    file: Option<Arc<File>>,
    /// What makes bytes of the input being read into bytes of all of them; less than zero
    /// where an earlier run has read some.
    bytes_before: i64,
    bytes_read: u64,
}

impl Rows {
    fn run(&mut self, queue: &Receiver<Piece>) -> Result<(), Stopped> {
        let mut stopped_for = Duration::ZERO;
        loop {
            match queue.recv_timeout(STOP_CHECK) {
                Ok(Piece::Begin {
                    source,
                    settled_bytes,
                    file,
                }) => {
                    self.file = file;
                    self.begin(&source, settled_bytes)?;
                }
                Ok(Piece::Block { block, rows, long }) => self.block(&block, rows, long)?,
                Ok(Piece::Ended {
                    reached,
                    state,
                    whole,
                }) => self.ended(reached, state.filter(|_| whole), whole),
                Ok(Piece::Failed(error)) => return Err(Some(error.into())),
                Ok(Piece::End) => return self.finish(!self.stop.is_set()),
                Ok(Piece::Enough) => return self.finish(true),
                Err(RecvTimeoutError::Disconnected) => {
                    let message = "the thread that reads the inputs has died";
                    return Err(Some(Failure::new(Kind::Input, message)));
                }
                Err(RecvTimeoutError::Timeout) if self.stop.is_set() => {
                    stopped_for += STOP_CHECK;
                    if stopped_for >= READ_ENDS_MAX {
                        return Ok(());
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }

    fn begin(&mut self, source: &Source, settled_bytes: u64) -> Result<(), Stopped> {
        self.input = source.index;
        self.bytes_before = self.bytes_read as i64 - settled_bytes as i64;
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
                    .hint(header_hint(source.header.as_ref())),
            )
        })
    }

    fn ended(&mut self, reached: Reached, state: Option<Box<InputState>>, whole: bool) {
        self.count_bytes(reached.source_bytes);
        if whole {
            if let Some(state) = state {
                lock(&self.shared.ledger).input_ended(self.input, *state);
            }
            self.mark(reached);
        }
    }

    fn count_bytes(&mut self, source_bytes: u64) {
        let bytes = self.bytes_before + source_bytes as i64;
        self.bytes_read = u64::try_from(bytes).unwrap_or(0);
    }

    /// All rows before this place are dealt with, as far as this thread goes.
    fn mark(&mut self, reached: Reached) {
        // Held until the mark stands: a refused row may come in between.
        let rejects = lock(&self.shared.rejects);
        lock(&self.shared.ledger).mark(Mark {
            input: self.input,
            reached,
            records: self.counts,
            rejects: rejects.as_ref().map_or(self.rejects_before, Rejects::len),
        });
        drop(rejects);
        self.shared.moved.notify_all();
    }

    fn block(
        &mut self,
        block: &Arc<Block>,
        rows: Range<usize>,
        long: Wanted,
    ) -> Result<(), Stopped> {
        self.count_bytes(block.source_bytes);
        self.counts.passed += rows.start as u64;
        let mut encoded = Encoded::default();
        if !rows.is_empty() {
            encoded = self.results.take().ok_or_else(|| {
                let message = "a thread that transcodes rows has died";
                Some(Failure::new(Kind::Input, message))
            })?;
        }
        let mut bad = Vec::new();
        let (unread, mut result) = self.judge(block, &rows, encoded.bad, &mut bad);
        if unread < rows.end {
            let builder = &mut BatchBuilder::new();
            encoded = workers::encode(&mut self.transcoder, builder, block, rows.start..unread);
        }
        self.digits_cut += encoded.digits_cut;
        // What is good goes out even if the load ends here.
        self.send(block, rows.start, &bad, encoded.batches)?;
        if let Some(row) = block.rows.get(unread) {
            self.mark_in(block, row.start(), block.line(row));
            result?;
        } else if let (Some(long), Wanted::Unread) = (block.long, long) {
            self.mark_in(block, long.start, long.line);
        } else if let Some(piece) = block.long {
            result = self.long_row(block, &piece, long);
            match (&result, block.end) {
                (Err(_), _) => {
                    let start = block.data.len().min(piece.start);
                    if piece.begins {
                        self.mark_in(block, start, piece.line);
                    }
                    result?;
                }
                (Ok(()), Some(end)) => self.mark_at(block, end, block.hash_after.clone()),
                (Ok(()), None) => {}
            }
        } else if let Some(end) = block.end {
            self.mark_at(block, end, block.hash_after.clone());
        }
        (self.observer)(LoadEvent::Read {
            bytes: self.bytes_read,
            records: self.counts.accepted,
        });
        Ok(())
    }

    /// Decides on the bad ones of some rows of a block, and notes them. Returns the first row
    /// that is left unread, and why it is.
    fn judge(
        &mut self,
        block: &Block,
        rows: &Range<usize>,
        found: Vec<(usize, RowError)>,
        bad: &mut Vec<usize>,
    ) -> (usize, Result<(), Stopped>) {
        let before = self.read();
        let read = |end: usize| before + (end - rows.start) as u64;
        // A percentage of bad rows begins to count within the block.
        let until = MaxErrors::PERCENT_ROWS_MIN.saturating_sub(before);
        let until = usize::try_from(until).unwrap_or(usize::MAX).min(rows.len());
        let counts_from = rows.start + until;
        let mut found = found.into_iter().peekable();
        for end in [counts_from, rows.end] {
            while let Some((index, error)) = found.next_if(|(index, _)| *index < end) {
                bad.push(index);
                let bytes = block.row_with_end(&block.rows[index]);
                if let Err(stopped) = self.reject(&block.source, error, bytes, read(index + 1)) {
                    return (index, Err(stopped));
                }
            }
            if let Err(stopped) = self.check_errors(read(end), false) {
                return (end, Err(stopped));
            }
        }
        (rows.end, Ok(()))
    }

    /// Rows read so far, over all runs.
    fn read(&self) -> u64 {
        let entered = lock(&self.shared.ledger).read();
        self.before.read() + entered
    }

    fn mark_in(&mut self, block: &Block, start: usize, line: u64) {
        let (position, hash) = block.before(start, line);
        self.mark_at(block, position, hash);
    }

    fn mark_at(&mut self, block: &Block, position: Position, hash: Option<RunningHash>) {
        self.mark(Reached {
            source_bytes: match block.compressed {
                true => block.source_bytes,
                false => position.byte,
            },
            position,
            hash,
            file: self.file.clone(),
            ended: false,
        });
    }

    /// A piece of a row over the limit: it counts with its first piece, and all pieces go to
    /// the rejects.
    fn long_row(&mut self, block: &Block, long: &LongRow, wanted: Wanted) -> Result<(), Stopped> {
        let bytes = &block.data[long.start..];
        if wanted != Wanted::Yes {
            self.counts.passed += u64::from(long.begins);
            return Ok(());
        }
        if long.begins {
            let read = self.read() + 1;
            return self.reject(&block.source, long.into(), bytes, read);
        }
        if let Some(rejects) = lock(&self.shared.rejects).as_mut() {
            rejects.go_on_with(bytes)?;
        }
        Ok(())
    }

    /// A bad row, the last of `read`.
    fn reject(
        &mut self,
        source: &Source,
        error: RowError,
        row: &[u8],
        read: u64,
    ) -> Result<(), Stopped> {
        let rejected = {
            let mut ledger = lock(&self.shared.ledger);
            ledger.reject();
            ledger.rejected() + self.before.rejected
        };
        let mut rejects = lock(&self.shared.rejects);
        if self.max_errors.exceeded(rejected, read, false) {
            let has_rejects = rejects.is_some();
            return Err(Some(too_many(source, &error, rejected, has_rejects)));
        }
        if let Some(rejects) = rejects.as_mut() {
            rejects.write(source, row, &error)?;
        }
        drop(rejects);
        self.counts.rejected += 1;
        (self.observer)(LoadEvent::RowRejected {
            source: source.name.clone(),
            error,
        });
        Ok(())
    }

    fn send(
        &mut self,
        block: &Arc<Block>,
        first: usize,
        bad: &[usize],
        batches: Vec<EncodedBatch>,
    ) -> Result<(), Stopped> {
        let bad: Arc<[usize]> = bad.into();
        let mut origin = Origin {
            block: Arc::clone(block),
            first,
            bad,
        };
        for batch in batches {
            self.wait_for_pace(batch.records);
            self.wait_for_room(&batch, block);
            self.counts.accepted += u64::from(batch.records);
            let id = lock(&self.shared.ledger).enter(&batch, Some(origin.clone()));
            origin.first = origin.row(batch.records as usize).unwrap_or(usize::MAX);
            let batch = Batch {
                id,
                first: 0,
                records: batch.records,
                body: batch.body,
                whole: false,
            };
            // The client has ended and says why itself.
            self.batches.blocking_send(batch).map_err(|_| None)?;
        }
        Ok(())
    }

    /// Waits as the rate asks for; not once the load is to end.
    fn wait_for_pace(&mut self, records: u32) {
        let Some((start, pace)) = &mut self.pace else {
            return;
        };
        let until = start.elapsed() + pace.wait(start.elapsed(), records);
        while let Some(left) = until.checked_sub(start.elapsed())
            && !left.is_zero()
            && !self.stop.is_set()
            && !self.batches.is_closed()
        {
            std::thread::sleep(left.min(STOP_CHECK));
        }
    }

    /// Waits until the ledger may hold more; not for a client that has ended.
    fn wait_for_room(&self, batch: &EncodedBatch, block: &Block) {
        let bytes = ledger::held_bytes(batch, Some(block));
        let mut ledger = lock(&self.shared.ledger);
        while !ledger.has_room(batch.records.into(), bytes) && !self.batches.is_closed() {
            self.shared.moved.notify_all();
            (ledger, _) = self
                .shared
                .moved
                .wait_timeout(ledger, STOP_CHECK)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Whether the bad rows are tolerated.
    fn check_errors(&self, read: u64, all_read: bool) -> Result<(), Stopped> {
        let rejected = lock(&self.shared.ledger).rejected() + self.before.rejected;
        if self.max_errors.exceeded(rejected, read, all_read) {
            let message =
                format!("{rejected} of {read} rows were bad, more than --max-errors allows");
            return Err(Some(Failure::new(Kind::BadRow, message).hint(
                "the good rows are acknowledged; a higher --max-errors lets such a load succeed",
            )));
        }
        Ok(())
    }

    /// After the last row that is read. A share of the rows can be told only of all of them.
    fn finish(&mut self, all_read: bool) -> Result<(), Stopped> {
        self.all_read = all_read;
        let read = self.read();
        self.check_errors(read, all_read)?;
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

/// What to do about a header that does not fit. One long name is several, cut by something
/// else.
fn header_hint(header: Option<&Header>) -> &'static str {
    let only = header.and_then(|header| match &header.names[..] {
        [name] => Some(name.as_str()),
        _ => None,
    });
    match only {
        Some(name) if name.contains(';') => "is --delimiter ';' meant?",
        Some(name) if name.contains('\t') => "is --delimiter '\\t' meant?",
        Some(name) if name.contains(',') => "is --delimiter ',' meant?",
        _ => {
            "--map FIELD=COLUMN gives a column to a field of another name, --unknown-fields ignore leaves out what is no field"
        }
    }
}

/// The row that passes what is tolerated.
pub(super) fn too_many(
    source: &Source,
    error: &RowError,
    rejected: u64,
    has_rejects: bool,
) -> Failure {
    let first = error.reasons.first();
    let message = first.map_or_else(String::new, ToString::to_string);
    let hint = match has_rejects {
        false => "--max-errors 10 --rejects bad.ndjson loads the good rows and keeps the bad ones"
            .to_owned(),
        true => format!("{rejected} rows were bad; raise --max-errors to go on"),
    };
    Failure::new(Kind::BadRow, message)
        .at(source.name.clone(), error.line)
        .hint(hint)
}

impl From<InputError> for Failure {
    fn from(error: InputError) -> Self {
        let mut failure = Self::new(Kind::Input, error.message).at(error.source_name, error.line);
        failure.hint = error.hint.map(str::to_owned);
        failure
    }
}
