//! The thread that reads: opens the inputs one after another, where they are to begin, hands
//! over their blocks, and gives those of their rows that are wanted to be transcoded.

use std::fs::File;
use std::ops::Range;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;

use super::JobInput;
use super::checkpoint::InputState;
use super::mark::Reached;
use super::resume::Start;
use super::workers::Workers;
use crate::input::{Block, Framer, Framing, InputError, Source, Stop};

/// What the reading thread hands over.
pub(super) enum Piece {
    Begin {
        source: Arc<Source>,
        /// Bytes of it that are settled already.
        settled_bytes: u64,
        /// The file, if it is a regular one.
        file: Option<Arc<File>>,
    },
    Block {
        block: Arc<Block>,
        /// The wanted ones; if there are any they are transcoded. Those before them are passed
        /// over, those behind them are left unread.
        rows: Range<usize>,
        /// What is to become of the row over the limit that follows them.
        long: Wanted,
    },
    /// No more of a source is read.
    Ended {
        reached: Reached,
        /// What a checkpoint is to know of it, where there is one.
        state: Option<Box<InputState>>,
        /// The source ends here.
        whole: bool,
    },
    Failed(InputError),
    /// The last input has ended, or reading was stopped.
    End,
    /// As many rows are read as were asked for.
    Enough,
}

/// Whether a row is loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    Yes,
    /// It is passed over.
    Passed,
    /// It is beyond the last one that is read.
    Unread,
}

/// Which of the rows to come are wanted.
#[derive(Debug)]
pub(super) struct Share {
    /// Rows still to be passed over, and still to be read after them.
    pub skip: u64,
    pub limit: u64,
    /// What becomes of the row over the limit whose pieces are passing.
    pub long: Wanted,
}

impl Share {
    /// Which of the next `count` rows are neither passed over nor beyond the limit.
    fn of(&mut self, count: usize) -> Range<usize> {
        let first = usize::try_from(self.skip).map_or(count, |skip| skip.min(count));
        self.skip -= first as u64;
        let most = count - first;
        let wanted = usize::try_from(self.limit).map_or(most, |limit| limit.min(most));
        self.limit -= wanted as u64;
        first..first + wanted
    }

    /// The same for a row over the limit. It counts with its first piece.
    fn of_long(&mut self, begins: bool) -> Wanted {
        if begins {
            self.long = match (self.skip, self.limit) {
                (0, 0) => Wanted::Unread,
                _ if self.of(1).is_empty() => Wanted::Passed,
                _ => Wanted::Yes,
            };
        }
        self.long
    }
}

/// Nobody takes pieces any more.
pub(super) struct Unheard;

/// Reads the inputs one after another.
pub(super) struct Reader {
    pub inputs: Vec<JobInput>,
    pub framing: Framing,
    /// Whether streams are hashed: only a checkpoint asks for it.
    pub hashes: bool,
    pub stop: Stop,
    pub share: Share,
    pub workers: Workers,
    pub pieces: SyncSender<Piece>,
}

impl Reader {
    /// Reads to the end, or until nobody listens.
    pub(super) fn read(mut self) -> Result<(), Unheard> {
        let inputs = std::mem::take(&mut self.inputs);
        for (index, job_input) in inputs.iter().enumerate() {
            if self.stop.is_set() {
                break;
            }
            if job_input.start == Start::Nowhere {
                continue;
            }
            let mut framer = match self.open(index, job_input) {
                Ok(framer) => framer,
                Err(error) => return self.hand(Piece::Failed(error)),
            };
            self.hand(Piece::Begin {
                source: Arc::clone(framer.source()),
                file: framer.file().filter(|_| self.hashes),
                settled_bytes: match job_input.start {
                    Start::At { .. } => framer.source_bytes(),
                    Start::Beginning | Start::Nowhere => 0,
                },
            })?;
            let failed = loop {
                match framer.next_block() {
                    Ok(Some(block)) => {
                        let between_rows = block.end.is_some();
                        self.hand_block(Arc::new(block))?;
                        let unread = self.share.long == Wanted::Unread;
                        if self.share.limit == 0 && (between_rows || unread) {
                            return self.hand(Piece::Enough);
                        }
                    }
                    Ok(None) => break None,
                    Err(error) => break Some(error),
                }
            };
            let mut reached = Reached {
                position: framer.position(),
                source_bytes: framer.source_bytes(),
                hash: framer.hash().cloned(),
                file: framer.file(),
                ended: true,
            };
            let state = || Box::new(InputState::new(&job_input.input, &reached));
            let state = self.hashes.then(state);
            // A load of many small files does not keep them open.
            reached.file = None;
            self.hand(Piece::Ended {
                reached,
                state,
                whole: failed.is_none() && !self.stop.is_set(),
            })?;
            if let Some(error) = failed {
                return self.hand(Piece::Failed(error));
            }
        }
        self.hand(Piece::End)
    }

    fn hand_block(&mut self, block: Arc<Block>) -> Result<(), Unheard> {
        let rows = self.share.of(block.rows.len());
        let long = match block.long {
            Some(long) if rows.end == block.rows.len() => self.share.of_long(long.begins),
            _ => Wanted::Unread,
        };
        if !rows.is_empty() {
            self.workers.give(Arc::clone(&block), rows.clone())?;
        }
        self.hand(Piece::Block { block, rows, long })
    }

    fn hand(&self, piece: Piece) -> Result<(), Unheard> {
        self.pieces.send(piece).map_err(|_| Unheard)
    }

    fn open(&self, index: usize, job_input: &JobInput) -> Result<Framer, InputError> {
        let JobInput {
            input,
            format,
            start,
        } = job_input;
        let source = Source {
            index,
            name: input.name(),
            format: *format,
            header: None,
        };
        let bytes = input.open(self.framing.compression, self.stop.clone())?;
        let framing = Framing {
            hashed: self.hashes && input.is_stream(),
            ..self.framing.clone()
        };
        let mut framer = Framer::new(source, bytes, &framing)?;
        if let Start::At { position, hash, .. } = start {
            framer.go_on(position, hash.as_deref())?;
        }
        Ok(framer)
    }
}
