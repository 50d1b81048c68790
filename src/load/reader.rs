//! The thread that reads: opens the inputs one after another, where they are to begin, and
//! hands over their blocks.

use std::fs::File;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;

use super::JobInput;
use super::checkpoint::InputState;
use super::mark::Reached;
use super::resume::Start;
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
    Block(Arc<Block>),
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
    pub pieces: SyncSender<Piece>,
}

impl Reader {
    /// Reads to the end, or until nobody listens.
    pub(super) fn read(&self) -> Result<(), Unheard> {
        for (index, job_input) in self.inputs.iter().enumerate() {
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
                    Ok(Some(block)) => self.hand(Piece::Block(Arc::new(block)))?,
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
