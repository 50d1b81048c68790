//! Keeps the checkpoint while a load runs, on a thread of its own: a save waits for the disk.

use std::collections::HashMap;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::checkpoint::{Checkpoint, CheckpointFile, InputState};
use super::mark::Mark;
use super::{Shared, lock};
use crate::error::{Failure, Kind};
use crate::input::{Input, Stop};

/// A save is due after this long, if anything has moved.
const SAVE_EVERY: Duration = Duration::from_secs(1);

/// A checkpoint to be kept.
pub struct Keeping {
    /// Where.
    pub file: CheckpointFile,
    /// As it stands before this run.
    pub checkpoint: Checkpoint,
    /// A save is due after so many rows.
    pub every: u64,
}

/// The thread that saves.
pub(super) struct Keeper(JoinHandle<Option<Failure>>);

impl Keeper {
    /// Saves once, before the first row is sent, and goes on saving.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub(super) fn start(
        mut keeping: Keeping,
        inputs: Vec<Input>,
        shared: Arc<Shared>,
        stop: Stop,
    ) -> Result<Self, Failure> {
        keeping.checkpoint.finished = false;
        keeping.file.save(&keeping.checkpoint)?;
        let saved = keeping.checkpoint.mark();
        let names = keeping.checkpoint.inputs.iter().map(|s| s.name.clone());
        let index = names.zip(0..).collect();
        Ok(Self(std::thread::spawn(move || {
            let mut saver = Saver {
                keeping,
                inputs,
                saved,
                index,
            };
            let failure = saver.run(&shared).err();
            if failure.is_some() {
                stop.set();
                lock(&shared.ledger).give_up_saving();
                shared.moved.notify_all();
            }
            failure
        })))
    }

    /// Waits for the last save, which [`super::ledger::Ledger::close`] brings about.
    pub(super) fn end(self) -> Option<Failure> {
        self.0.join().unwrap_or_else(|_| {
            let message = "the thread that saves the checkpoint has died";
            Some(Failure::new(Kind::Output, message))
        })
    }
}

struct Saver {
    keeping: Keeping,
    inputs: Vec<Input>,
    saved: Mark,
    /// Where each input stands in the checkpoint, by its name.
    index: HashMap<String, usize>,
}

impl Saver {
    fn run(&mut self, shared: &Shared) -> Result<(), Failure> {
        let mut last = Instant::now();
        loop {
            let (mark, closed) = {
                let mut ledger = lock(&shared.ledger);
                loop {
                    let moved = ledger.settled().records.rows() - self.saved.records.rows();
                    let closed = ledger.closed();
                    let due = moved >= self.keeping.every
                        || (moved > 0 && (ledger.is_full() || last.elapsed() >= SAVE_EVERY));
                    if due || closed.is_some() {
                        self.keeping.checkpoint.resent = ledger.resent();
                        break (ledger.settled().clone(), closed);
                    }
                    (ledger, _) = shared
                        .moved
                        .wait_timeout(ledger, SAVE_EVERY)
                        .unwrap_or_else(std::sync::PoisonError::into_inner);
                }
            };
            self.keeping.checkpoint.finished = closed == Some(true);
            self.save(shared, mark)?;
            if closed.is_some() {
                return Ok(());
            }
            last = Instant::now();
        }
    }

    fn save(&mut self, shared: &Shared, mark: Mark) -> Result<(), Failure> {
        if mark.rejects != self.saved.rejects
            && let Some(rejects) = lock(&shared.rejects).as_mut()
        {
            rejects.sync()?;
        }
        loop {
            let ended = lock(&shared.ledger).take_end(&mark);
            match ended {
                Some(state) => self.put(state),
                None => break,
            }
        }
        if !mark.reached.ended && mark.reached.position.byte > 0 {
            self.put(InputState::new(&self.inputs[mark.input], &mark.reached));
        }
        self.keeping.checkpoint.records = mark.records;
        self.keeping.checkpoint.rejects = mark.rejects;
        self.keeping.file.save(&self.keeping.checkpoint)?;
        lock(&shared.ledger).saved(&mark);
        shared.moved.notify_all();
        self.saved = mark;
        Ok(())
    }

    fn put(&mut self, state: InputState) {
        let states = &mut self.keeping.checkpoint.inputs;
        match self.index.get(&state.name) {
            Some(&index) => states[index] = state,
            None => {
                self.index.insert(state.name.clone(), states.len());
                states.push(state);
            }
        }
    }
}
