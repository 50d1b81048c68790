//! What is left of the inputs after an earlier load, by its checkpoint.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use super::checkpoint::{Checkpoint, InputState, absolute};
use crate::error::{Failure, Kind};
use crate::input::{Format, Input, Position, fingerprint};

/// Where reading of an input begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// At its first row.
    Beginning,
    /// Between two rows, as an earlier load left it.
    At {
        /// Where.
        position: Position,
        /// Bytes that were read for it, before decompression.
        source_bytes: u64,
        /// What all bytes before it hash to, for an input that must be read again.
        hash: Option<String>,
    },
    /// Nowhere: it is settled as a whole.
    Nowhere,
}

/// What a checkpoint leaves to do.
#[derive(Debug)]
pub enum Rest {
    /// Some of the inputs, or parts of them: a start for each.
    Some(Vec<Start>),
    /// Nothing: all inputs are settled.
    Nothing,
    /// All of it: the checkpoint is of a finished load of other inputs.
    Anew,
}

/// Compares the inputs with those that a checkpoint knows.
///
/// # Errors
/// An unfinished input that is not given, or any known one whose bytes have changed.
pub fn rest(checkpoint: &Checkpoint, inputs: &[(Input, Format)]) -> Result<Rest, Failure> {
    let names: Vec<String> = inputs.iter().map(|(input, _)| absolute(input)).collect();
    let known: HashMap<&str, &InputState> = checkpoint
        .inputs
        .iter()
        .map(|s| (s.name.as_str(), s))
        .collect();
    let given: HashSet<&str> = names.iter().map(String::as_str).collect();
    let half = |state: &&InputState| !state.finished && !checkpoint.finished;
    for state in checkpoint.inputs.iter().filter(half) {
        if !given.contains(state.name.as_str()) {
            let message = "the checkpoint has this input half loaded, but it is not given now";
            return Err(Failure::new(Kind::Input, message)
                .at(state.name.clone(), None)
                .hint("give it again, or begin anew without --resume"));
        }
    }
    let mut starts = Vec::new();
    let mut known_any = false;
    for ((input, format), name) in inputs.iter().zip(&names) {
        let start = match known.get(name.as_str()) {
            None => Start::Beginning,
            Some(state) => match start_of(checkpoint, state, input, *format)? {
                Some(start) => {
                    known_any = true;
                    start
                }
                None => Start::Beginning,
            },
        };
        starts.push(start);
    }
    if checkpoint.finished && !known_any && !checkpoint.inputs.is_empty() {
        return Ok(Rest::Anew);
    }
    let nothing = checkpoint.finished && starts.iter().all(|s| *s == Start::Nowhere);
    match nothing {
        true => Ok(Rest::Nothing),
        false => Ok(Rest::Some(starts)),
    }
}

/// Where a known input goes on; none if a finished load knew another of this name.
fn start_of(
    checkpoint: &Checkpoint,
    state: &InputState,
    input: &Input,
    format: Format,
) -> Result<Option<Start>, Failure> {
    let at = |hash| {
        Ok(Some(Start::At {
            position: state.position,
            source_bytes: state.source_bytes,
            hash,
        }))
    };
    let (Input::File(path), false) = (input, input.is_stream()) else {
        // A pipe that was read to its end is another one now.
        return match checkpoint.finished {
            true => Ok(None),
            false => at(Some(state.hash.clone())),
        };
    };
    let changed = |what: String| {
        if checkpoint.finished {
            return Ok(None);
        }
        Err(Failure::new(Kind::Input, what)
            .at(input.name(), None)
            .hint("the checkpoint was written for other bytes; begin anew without --resume, or give another --checkpoint"))
    };
    let size = match std::fs::metadata(path) {
        Ok(metadata) => metadata.len(),
        Err(e) => return changed(format!("cannot be opened: {e}")),
    };
    let same = File::open(path).and_then(|file| fingerprint(&file, state.source_bytes));
    let same = same.map_err(|e| {
        Failure::new(Kind::Input, format!("cannot be read: {e}")).at(input.name(), None)
    })?;
    if same.as_ref() != Some(&state.hash) {
        return changed(format!(
            "has changed since an earlier load read its first {} bytes",
            state.source_bytes
        ));
    }
    match state.finished {
        true if size == state.source_bytes => Ok(Some(Start::Nowhere)),
        // There was nothing but perhaps the beginning of a header.
        _ if state.position.byte == 0 => Ok(Some(Start::Beginning)),
        true if !ends_a_row(path, state, format).unwrap_or(false) => changed(
            "has grown, but its last row had no line's end when an earlier load read it".to_owned(),
        ),
        // It has grown at its end.
        _ => at(None),
    }
}

/// Whether the row before a file's settled end is whole, whatever has been added since.
fn ends_a_row(path: &Path, state: &InputState, format: Format) -> io::Result<bool> {
    // Where a JSON row ends is told by itself; compressed data, by its end.
    if format == Format::Json || state.position.byte != state.source_bytes {
        return Ok(true);
    }
    let mut around = [0; 2];
    File::open(path)?.read_exact_at(&mut around, state.source_bytes - 1)?;
    Ok(around[0] == b'\n' || matches!(around[1], b'\n' | b'\r'))
}
