//! Keeps the stream of one table: opens it when it is needed, and another when it has failed.
//!
//! A task of its own does that, so that it depends on no request: what was accepted is sent
//! although nobody asks any more. While the task refills a stream with what one before it has
//! left, requests wait: only so much may be accepted and not settled.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::Upstream;
use super::letters::Refused;
use crate::sdk::{
    Error, ErrorKind, Stream, StreamOptions, StreamState, TableProperties, Unacknowledged,
};

/// How long a request waits for the stream to open.
const OPENING_MAX: Duration = Duration::from_secs(5);
/// After the second failure in a row, a request makes no attempt unless so much has passed.
const FAILED_FOR: Duration = Duration::from_secs(1);
/// The longest wait before what a failed stream has left is tried again.
const AGAIN_MAX: Duration = Duration::from_secs(30);
/// How long a stream may take to end that has nothing outstanding, or is to make room.
const ENDING_MAX: Duration = Duration::from_secs(5);
/// How often it is looked whether all is settled.
const SETTLED_POLL: Duration = Duration::from_millis(10);

/// Where the stream is.
#[derive(Clone)]
pub(super) enum State {
    /// Nobody has needed it yet.
    Idle,
    /// It is being opened, and then refilled.
    Opening(Arc<Stream>),
    Open(Arc<Stream>),
    Failed {
        error: Error,
        at: Instant,
        /// Failures in a row.
        tries: u32,
    },
    Closed,
}

/// The stream of one table.
pub(super) struct Keeper {
    key: String,
    table: TableProperties,
    /// What a failed stream has left is sent by the next. Otherwise it is kept elsewhere.
    carries: bool,
    refused: Arc<Refused>,
    upstream: Mutex<Upstream>,
    away: Arc<Away>,
    state: watch::Sender<State>,
    /// Records that no stream has.
    left: watch::Sender<u64>,
    /// What streams before this one have had acknowledged: records, and when last.
    before: Mutex<(u64, Option<Instant>)>,
    /// Somebody needs a stream.
    needed: Notify,
    /// The upstream is another.
    moved: Notify,
    stop: watch::Sender<bool>,
    task: Mutex<Option<JoinHandle<VecDeque<Unacknowledged>>>>,
}

impl Keeper {
    /// Starts the task.
    pub(super) fn start(
        key: &str,
        table: &TableProperties,
        upstream: Upstream,
        carries: bool,
        refused: Arc<Refused>,
    ) -> Arc<Self> {
        let (stop, stopped) = watch::channel(false);
        let keeper = Arc::new(Self {
            key: key.to_owned(),
            table: table.clone(),
            carries,
            refused,
            upstream: Mutex::new(upstream),
            away: Arc::new(Away {
                table: key.to_owned(),
                why: Mutex::default(),
            }),
            state: watch::channel(State::Idle).0,
            left: watch::channel(0).0,
            before: Mutex::default(),
            needed: Notify::new(),
            moved: Notify::new(),
            stop,
            task: Mutex::default(),
        });
        let task = tokio::spawn(Arc::clone(&keeper).keep(stopped));
        *keeper.task.lock().unwrap_or_else(PoisonError::into_inner) = Some(task);
        keeper
    }

    pub(super) fn state(&self) -> State {
        self.state.borrow().clone()
    }

    /// Records that were acknowledged by streams before the one that is there, and when last.
    pub(super) fn before(&self) -> (u64, Option<Instant>) {
        *self.totals()
    }

    fn totals(&self) -> MutexGuard<'_, (u64, Option<Instant>)> {
        self.before.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn upstream(&self) -> MutexGuard<'_, Upstream> {
        // It is replaced as a whole.
        self.upstream.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Why the service could not be reached last, as long as it is not.
    pub(super) fn away(&self) -> Option<Error> {
        self.away.why().clone()
    }

    /// From now on the streams are those of other credentials; the one that is there ends. What
    /// was accepted for another service stays with that.
    pub(super) fn move_to(&self, upstream: &Upstream) {
        let mut current = self.upstream();
        if current.sdk == upstream.sdk && *current != *upstream {
            *current = upstream.clone();
            drop(current);
            self.moved.notify_one();
        }
    }

    /// How many records and batches are accepted and not settled; for a moment more, as they go
    /// from one stream to the next.
    pub(super) fn outstanding(&self) -> u64 {
        let before = *self.left.borrow();
        let in_stream = match &*self.state.borrow() {
            State::Opening(stream) | State::Open(stream) => stream.outstanding(),
            State::Idle | State::Failed { .. } | State::Closed => 0,
        };
        before.max(*self.left.borrow()) + in_stream
    }

    /// The stream, for a request: it is waited for a while.
    ///
    /// # Errors
    /// It cannot be opened, or not yet.
    pub(super) async fn stream(&self) -> Result<Arc<Stream>, Error> {
        let mut states = self.state.subscribe();
        let mut has_asked = false;
        let opened = async {
            loop {
                let state = states.borrow_and_update().clone();
                let ask = match state {
                    State::Open(stream) if stream.failure().is_none() => return Ok(stream),
                    State::Open(_) | State::Opening(_) => false,
                    State::Idle => true,
                    State::Failed { error, at, tries } => {
                        if has_asked || tries > 1 && at.elapsed() < FAILED_FOR {
                            return Err(error);
                        }
                        true
                    }
                    State::Closed => return Err(closed()),
                };
                if ask {
                    has_asked = true;
                    self.needed.notify_one();
                }
                states.changed().await.map_err(|_| closed())?;
            }
        };
        timeout(OPENING_MAX, opened).await.unwrap_or_else(|_| {
            let seconds = OPENING_MAX.as_secs();
            let why = self
                .away()
                .map_or_else(String::new, |error| format!(": {error}"));
            let message = format!("the service has opened no stream within {seconds} s{why}");
            Err(Error::new(ErrorKind::Unavailable, message))
        })
    }

    /// Waits until all that was accepted is settled.
    pub(super) async fn settled(&self) {
        while self.outstanding() > 0 {
            sleep(SETTLED_POLL).await;
        }
    }

    /// Ends the stream, whatever it has: what is left of it is returned.
    pub(super) async fn end(&self) -> VecDeque<Unacknowledged> {
        self.stop.send_replace(true);
        let task = self
            .task
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        match task {
            Some(task) => task.await.unwrap_or_default(),
            None => VecDeque::new(),
        }
    }

    async fn keep(self: Arc<Self>, mut stopped: watch::Receiver<bool>) -> VecDeque<Unacknowledged> {
        let mut left = VecDeque::new();
        let mut tries = 0;
        loop {
            tokio::select! {
                // Where both are so, there is nothing more to do.
                biased;
                () = told(&mut stopped) => break,
                is_needed = self.is_needed(left.is_empty(), tries) => if !is_needed {
                    tries = 0;
                    self.state.send_replace(State::Idle);
                    continue;
                }
            }
            let started = match self.started() {
                Ok(stream) => Arc::new(stream),
                Err(error) => {
                    tries += 1;
                    self.fail(error, tries);
                    continue;
                }
            };
            self.state
                .send_replace(State::Opening(Arc::clone(&started)));
            let why = tokio::select! {
                biased;
                () = told(&mut stopped) => {
                    // Who stops it has waited for what is outstanding.
                    if started.outstanding() == 0 {
                        let _ = timeout(ENDING_MAX, started.close()).await;
                    }
                    None
                }
                () = self.moved.notified() => {
                    // Requests wait for the next.
                    self.state.send_replace(State::Opening(Arc::clone(&started)));
                    let _ = timeout(ENDING_MAX, started.close()).await;
                    None
                }
                error = self.run(&started, &mut left) => error,
            };
            started.abort();
            started.ended().await;
            let progress = started.progress();
            if self.carries {
                // They were accepted before those that the stream was not given any more.
                let of_stream = started.unacknowledged().unwrap_or_default();
                let of_stream = of_stream.into_iter().filter(|item| item.refused.is_none());
                left = of_stream.chain(left).collect();
            }
            self.left.send_replace(left.len() as u64);
            tries = match why {
                None => 0,
                Some(_) if progress.acknowledged > 0 => 1,
                Some(_) => tries + 1,
            };
            match why {
                None => {
                    self.state.send_replace(State::Idle);
                }
                Some(error) => self.fail(error, tries),
            }
            let mut totals = self.totals();
            totals.0 += progress.acknowledged;
            totals.1 = progress.last_ack.or(totals.1);
        }
        self.state.send_replace(State::Closed);
        left
    }

    fn fail(&self, error: Error, tries: u32) {
        let left = *self.left.borrow();
        let text = error.to_string();
        tracing::error!(
            table = self.key,
            error = text,
            left,
            "the stream has failed"
        );
        let at = Instant::now();
        self.state.send_replace(State::Failed { error, at, tries });
    }

    /// Waits until there is something to open a stream for: a request, what another has left, or
    /// that it is time to look whether what has failed still does. False once there is nothing
    /// to open one for, and it need not fail any more.
    async fn is_needed(&self, has_nothing: bool, tries: u32) -> bool {
        let at = Instant::now();
        let doublings = tries.saturating_sub(1).min(10);
        let again = match tries {
            0 => Duration::ZERO,
            _ => (FAILED_FOR * 2_u32.pow(doublings)).min(AGAIN_MAX),
        };
        let mut again = std::pin::pin!(sleep(again));
        loop {
            tokio::select! {
                () = self.needed.notified() => {
                    if tries <= 1 || at.elapsed() >= FAILED_FOR {
                        return true;
                    }
                }
                // What was refused may not be, for somebody else.
                () = self.moved.notified() => return !has_nothing,
                () = &mut again, if tries > 0 || !has_nothing => return true,
            }
        }
    }

    /// A service that is away is waited for as long as that takes: what was accepted is kept.
    fn started(&self) -> Result<Stream, Error> {
        let (refused, away) = (Arc::clone(&self.refused), Arc::clone(&self.away));
        let options = StreamOptions::new()
            .recovery_retries(u32::MAX)
            .flush_timeout_ms(u64::MAX)
            .refused_callback(move |item, error| refused.put(item, error))
            .away_callback(move |why| away.tell(why));
        let Upstream { sdk, credentials } = self.upstream().clone();
        sdk.start_stream(credentials, &self.table, options)
    }

    /// Opens and refills a stream, and waits for its end; why it has failed.
    async fn run(
        &self,
        stream: &Arc<Stream>,
        left: &mut VecDeque<Unacknowledged>,
    ) -> Option<Error> {
        if let Err(error) = stream.opened().await {
            return Some(error);
        }
        if !left.is_empty() {
            let records = left.len();
            tracing::info!(table = self.key, "sending {records} records again");
        }
        while let Some(item) = left.front() {
            if let Err(error) = stream.accept_again(item).await {
                return Some(stream.failure().unwrap_or(error));
            }
            left.pop_front();
            self.left.send_modify(|left| *left -= 1);
        }
        self.state.send_replace(State::Open(Arc::clone(stream)));
        stream.ended().await;
        stream.failure()
    }
}

/// Whether the service can be reached, for the log and for whoever asks.
struct Away {
    table: String,
    why: Mutex<Option<Error>>,
}

impl Away {
    fn why(&self) -> MutexGuard<'_, Option<Error>> {
        self.why.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, why: Option<(Error, Duration)>) {
        let table = &self.table;
        let before = match &why {
            Some((error, wait)) => {
                let (error_text, wait_ms) = (error.to_string(), wait.as_millis() as u64);
                tracing::warn!(table, error = error_text, wait_ms, "the stream is away");
                self.why().replace(error.clone())
            }
            None => self.why().take(),
        };
        if before.is_some() && why.is_none() {
            tracing::info!(table, "the stream is open again");
        }
    }
}

/// Waits until it is to stop; whoever tells that lives as long.
async fn told(stopped: &mut watch::Receiver<bool>) {
    let _ = stopped.wait_for(|stop| *stop).await;
}

/// How a stream that is there is.
pub(super) fn is_away(stream: &Stream) -> bool {
    matches!(
        stream.state(),
        StreamState::Uninitialized | StreamState::Recovering
    )
}

fn closed() -> Error {
    Error::new(ErrorKind::Closed, "the table is not served any more")
}
