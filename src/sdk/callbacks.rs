//! Calls back for each offset, on a thread of its own.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use tokio::sync::watch;

use super::ack::Ack;
use super::options::{AckResponse, StreamOptions};
use super::shared::Shared;
use super::{Error, ErrorKind};

/// Starts the thread, if there is anybody to call. What is returned tells when it has ended.
///
/// # Errors
/// There are no more threads to be had.
pub(super) fn start(
    shared: &Arc<Shared>,
    options: &StreamOptions,
) -> Result<Option<watch::Receiver<()>>, Error> {
    if options.on_ack.is_none() && options.on_error.is_none() {
        return Ok(None);
    }
    let (running, ended) = watch::channel(());
    let caller = Caller {
        shared: Arc::clone(shared),
        options: options.clone(),
    };
    let thread = std::thread::Builder::new().name("zerobus-callbacks".to_owned());
    thread
        .spawn(move || {
            caller.run();
            drop(running);
        })
        .map_err(|e| Error::new(ErrorKind::Settings, format!("no thread for callbacks: {e}")))?;
    Ok(Some(ended))
}

struct Caller {
    shared: Arc<Shared>,
    options: StreamOptions,
}

impl Caller {
    fn run(&self) {
        let mut told = 0;
        loop {
            // Of whatever there is next: the end is an answer, too.
            let next = Ack::new(&self.shared, told);
            let _ = self.shared.runtime().block_on(next);
            let (end, accepted) = self.shared.end_of_stream();
            let settled = self.shared.settled();
            for offset in told..settled {
                let known = self.shared.known(offset).unwrap_or(Ok(()));
                self.tell(offset, known);
            }
            told = settled;
            if let Some(end) = end {
                (told..accepted).for_each(|offset| self.tell(offset, end.clone()));
                return;
            }
        }
    }

    fn tell(&self, offset: u64, known: Result<(), Error>) {
        let offset = offset as i64;
        // Whatever the user's code does: the next one is called. The panic itself was told.
        let _ = catch_unwind(AssertUnwindSafe(|| {
            match (&known, &self.options.on_ack, &self.options.on_error) {
                (Ok(()), Some(callback), _) => callback(AckResponse::up_to(offset)),
                (Err(error), _, Some(callback)) => callback(offset, error),
                (Ok(()), None, _) | (Err(_), _, None) => {}
            }
        }));
    }
}
