//! The threads that transcode. Each takes every n-th block, so that what they make of the
//! blocks comes back in order without a number on it.

use std::num::NonZero;
use std::ops::Range;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use super::reader::Unheard;
use crate::input::{Block, Source};
use crate::transcode::{BatchBuilder, EncodedBatch, RowError, Transcoder};

/// More cores than these have nothing to do: each transcodes more than a stream carries.
const WORKERS_MAX: usize = 8;
/// Blocks that wait for a thread, and results of it that wait, at the most.
const QUEUED_MAX: usize = 1;

/// What became of the rows of a block.
#[derive(Debug, Default)]
pub(super) struct Encoded {
    /// The good ones, in order.
    pub batches: Vec<EncodedBatch>,
    /// The bad ones, by their index, ascending.
    pub bad: Vec<(usize, RowError)>,
    /// Timestamps whose digits past microseconds were cut.
    pub digits_cut: u64,
}

/// Rows to be transcoded.
struct Work {
    block: Arc<Block>,
    rows: Range<usize>,
}

/// Gives blocks to the threads in turn.
pub(super) struct Workers {
    queues: Vec<SyncSender<Work>>,
    next: usize,
}

/// Takes what they have made, in the same order.
pub(super) struct Results {
    queues: Vec<Receiver<Encoded>>,
    next: usize,
}

/// How many threads transcode: one for each core. What else a load does is little.
pub(super) fn count() -> usize {
    std::thread::available_parallelism()
        .map_or(1, NonZero::get)
        .min(WORKERS_MAX)
}

/// Starts `count` threads. They end when either half is dropped.
pub(super) fn start(count: usize, transcoder: impl Fn() -> Transcoder) -> (Workers, Results) {
    let mut workers = Workers {
        queues: Vec::new(),
        next: 0,
    };
    let mut results = Results {
        queues: Vec::new(),
        next: 0,
    };
    for _ in 0..count {
        let (give, work) = sync_channel(QUEUED_MAX);
        let (give_back, encoded) = sync_channel(QUEUED_MAX);
        workers.queues.push(give);
        results.queues.push(encoded);
        let transcoder = transcoder();
        std::thread::spawn(move || run(transcoder, &work, &give_back));
    }
    (workers, results)
}

impl Workers {
    /// Gives rows of a block to the thread whose turn it is.
    pub(super) fn give(&mut self, block: Arc<Block>, rows: Range<usize>) -> Result<(), Unheard> {
        let queue = &self.queues[self.next];
        self.next = (self.next + 1) % self.queues.len();
        queue.send(Work { block, rows }).map_err(|_| Unheard)
    }
}

impl Results {
    /// What became of the next rows that were given; none if their thread has died.
    pub(super) fn take(&mut self) -> Option<Encoded> {
        let queue = &self.queues[self.next];
        self.next = (self.next + 1) % self.queues.len();
        queue.recv().ok()
    }
}

fn run(mut transcoder: Transcoder, work: &Receiver<Work>, results: &SyncSender<Encoded>) {
    let mut builder = BatchBuilder::new();
    let mut source: Option<Arc<Source>> = None;
    while let Ok(Work { block, rows }) = work.recv() {
        if !source
            .as_ref()
            .is_some_and(|s| Arc::ptr_eq(s, &block.source))
        {
            // A header that does not fit has ended the load already: nobody takes the result.
            let _ = transcoder.begin_source(&block.source);
            source = Some(Arc::clone(&block.source));
        }
        let encoded = encode(&mut transcoder, &mut builder, &block, rows);
        if results.send(encoded).is_err() {
            return;
        }
    }
}

/// Transcodes rows of a block.
pub(super) fn encode(
    transcoder: &mut Transcoder,
    builder: &mut BatchBuilder,
    block: &Block,
    mut rows: Range<usize>,
) -> Encoded {
    let cut_before = transcoder.digits_cut();
    let mut bad = Vec::new();
    while let Err((index, error)) = transcoder.block(block, rows.clone(), builder) {
        rows.start = index + 1;
        bad.push((index, error));
    }
    Encoded {
        batches: builder.take(),
        bad,
        digits_cut: transcoder.digits_cut() - cut_before,
    }
}
