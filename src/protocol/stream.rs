//! The states of a stream and what moves it from one to the next.
//!
//! ```text
//!              opened                    window empty, finishing
//! Connecting ──────────▶ Open ───────────────────────────────────▶ Closing ──▶ Closed
//!   ▲   │                 │ │ close signal                          (ended, or its time is up)
//!   │   │ fault     fault │ └───────▶ Draining ──┐ ended, or its time is up
//!   │   ▼                 ▼                      │
//!   └─ Waiting ◀──────────┘                      │
//!   └────────────────────────────────────────────┘
//! Draining is half-closed when nothing is outstanding, or its time is up; then late
//! acknowledgements are taken for a moment.
//! Any state but Closed ──▶ Failed: a fault that is not retryable, retries used up, time-outs.
//! ```

use std::collections::VecDeque;
use std::time::Duration;

use super::batch::{Batch, BatchPart};
use super::fault::{Fault, FaultClass};
use super::types::{Action, Config, Counts, Now, RECOVERY_DEADLINE, State};
use super::window::{Refused, Window};

/// The longest wait between two attempts.
const BACKOFF_MAX: Duration = Duration::from_secs(30);
/// The longest time that a close signal may announce.
const GRACE_MAX: Duration = Duration::from_secs(3_600);
/// How long acknowledgements are taken after a connection was half-closed whose time is up.
const LATE_ACKS_MAX: Duration = Duration::from_millis(500);
/// How long the server may take to end a stream that the client has half-closed.
const CLOSING_MAX: Duration = Duration::from_secs(5);

/// One stream to one table.
#[derive(Debug)]
pub struct Stream {
    config: Config,
    state: State,
    window: Window,
    counts: Counts,
    actions: VecDeque<Action>,
    /// The offset of the next request on this connection.
    next_offset: i64,
    /// The first offset on this connection that is not acknowledged;
    /// `acked_offset <= next_offset`.
    acked_offset: i64,
    /// Since when something is outstanding without a new acknowledgement.
    outstanding_since: Option<Now>,
    /// Failures since the last acknowledgement.
    failures: u32,
    /// Waits since the last acknowledgement that followed no failure.
    pauses: u32,
    /// When the failures since the last acknowledgement began.
    failing_since: Option<Now>,
    opened_before: bool,
    /// When the current connection was opened.
    opened_at: Now,
    /// The next connection replaces one that failed.
    reopening: bool,
    /// Refusals on open streams.
    refusals: u32,
    /// Records that were refused since the last acknowledgement: whether they are bad records
    /// or the schema is, is not known yet.
    refused: Vec<(Batch, Fault)>,
    /// The same, those included that were told.
    refused_in_a_row: usize,
    /// No more batches will come; since when.
    finishing_since: Option<Now>,
    rng: fastrand::Rng,
}

impl Stream {
    /// A stream that wants to connect.
    pub fn new(config: Config, now: Now) -> Self {
        let rng = fastrand::Rng::with_seed(config.seed);
        let mut stream = Self {
            config,
            state: State::Closed,
            window: Window::default(),
            counts: Counts::default(),
            actions: VecDeque::new(),
            next_offset: 0,
            acked_offset: 0,
            outstanding_since: None,
            failures: 0,
            pauses: 0,
            failing_since: None,
            opened_before: false,
            opened_at: now,
            reopening: false,
            refusals: 0,
            refused: Vec::new(),
            refused_in_a_row: 0,
            finishing_since: None,
            rng,
        };
        stream.connect(now);
        stream
    }

    /// Where the stream is.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// What it has counted.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// The batches that are not acknowledged, in order, and whether they were sent.
    pub fn unsettled(&self) -> Vec<(Batch, bool)> {
        let refused = self.refused.iter().map(|(batch, _)| (batch.clone(), true));
        refused.chain(self.window.unsettled()).collect()
    }

    /// What was refused of which it is not known yet whether it is bad, or the schema is.
    pub fn refused(&self) -> &[(Batch, Fault)] {
        &self.refused
    }

    /// What was sent and is not known to be durable.
    pub fn in_doubt(&self) -> Vec<BatchPart> {
        let refused = self.refused.iter().map(|(batch, _)| BatchPart::from(batch));
        refused.chain(self.window.in_doubt()).collect()
    }

    /// Whether a batch of this size fits into the window. One that is larger than the
    /// bounds themselves fits an empty window.
    pub fn has_room(&self, batch: &Batch) -> bool {
        self.window.is_empty()
            || (self.window.records() + batch.records as usize <= self.config.max_inflight_records
                && self.window.bytes() + batch.body.len() <= self.config.max_inflight_bytes)
    }

    /// Accepts a batch, for which there must be room.
    pub fn push(&mut self, batch: Batch) {
        debug_assert!(self.has_room(&batch), "the window is bounded");
        debug_assert!(
            self.finishing_since.is_none(),
            "nothing comes after the end"
        );
        self.counts.accepted += u64::from(batch.records);
        self.window.push(batch);
    }

    /// No more batches will come: end once everything is acknowledged.
    pub fn finish(&mut self, now: Now) {
        self.finishing_since.get_or_insert(now);
        match self.state {
            State::Open => self.close_if_done(now),
            // Nothing is left to open a connection for.
            State::Connecting { .. } | State::Waiting { .. }
                if self.opened_before && self.window.is_empty() =>
            {
                self.close();
            }
            State::Connecting { .. }
            | State::Draining { .. }
            | State::Closing { .. }
            | State::Waiting { .. }
            | State::Closed
            | State::Failed(_) => {}
        }
    }

    /// The next thing to do. A batch to send comes only if `can_send`: the transport takes
    /// it without waiting.
    pub fn poll(&mut self, now: Now, can_send: bool) -> Option<Action> {
        if let Some(action) = self.actions.pop_front() {
            return Some(action);
        }
        if !can_send || !self.wants_to_send() {
            return None;
        }
        let (batch, again) = self.window.send_next()?;
        if again {
            self.counts.resent += u64::from(batch.records);
        }
        let offset = self.next_offset;
        self.next_offset += 1;
        self.outstanding_since.get_or_insert(now);
        Some(Action::Send { offset, batch })
    }

    /// Whether a batch waits to be sent on an open connection, and may be.
    pub fn wants_to_send(&self) -> bool {
        self.state == State::Open && self.window.has_unsent()
    }

    /// Whether a batch waits on an open connection for whatever there is to wait for: another
    /// would only wait behind it.
    pub fn is_held_up(&self) -> bool {
        self.state == State::Open && self.window.holds_unsent()
    }

    /// When [`Self::on_time`] must be called if nothing else happens.
    pub fn next_wakeup(&self) -> Option<Now> {
        let state = match self.state {
            State::Connecting { deadline }
            | State::Draining { deadline, .. }
            | State::Closing { deadline } => Some(deadline),
            State::Waiting { until } => Some(until),
            State::Open => self.outstanding_since.map(|t| t + self.config.ack_timeout),
            State::Closed | State::Failed(_) => return None,
        };
        state.into_iter().chain(self.flush_deadline()).min()
    }

    fn flush_deadline(&self) -> Option<Now> {
        let since = self.finishing_since?;
        (!self.window.is_empty()).then_some(since + self.config.flush_timeout)
    }

    /// The server has created the stream.
    pub fn on_opened(&mut self, now: Now) {
        match self.state {
            State::Connecting { .. } => {
                self.state = State::Open;
                self.counts.reconnects += u64::from(std::mem::take(&mut self.reopening));
                self.opened_before = true;
                self.opened_at = now;
                self.close_if_done(now);
            }
            State::Open
            | State::Draining { .. }
            | State::Closing { .. }
            | State::Waiting { .. }
            | State::Closed
            | State::Failed(_) => {}
        }
    }

    /// The server says that everything up to and including this offset is durable.
    pub fn on_ack(&mut self, now: Now, offset: i64) {
        match self.state {
            State::Open | State::Draining { .. } => {}
            State::Connecting { .. }
            | State::Closing { .. }
            | State::Waiting { .. }
            | State::Closed
            | State::Failed(_) => return,
        }
        if offset == self.acked_offset - 1 {
            return; // a repeated acknowledgement changes nothing
        }
        if offset < self.acked_offset || offset >= self.next_offset {
            let outstanding = match self.next_offset - self.acked_offset {
                0 => "nothing was".to_owned(),
                _ => format!("{} to {} were", self.acked_offset, self.next_offset - 1),
            };
            let message =
                format!("the server acknowledged offset {offset}, but {outstanding} outstanding");
            return self.on_fault(now, Fault::transient(message));
        }
        let batches = (offset + 1 - self.acked_offset) as usize;
        let parts = self.window.acknowledge(batches);
        self.acked_offset = offset + 1;
        self.counts.acknowledged += parts.iter().map(|p| u64::from(p.records)).sum::<u64>();
        self.failures = 0;
        self.pauses = 0;
        self.refused_in_a_row = 0;
        self.failing_since = None;
        self.outstanding_since = (self.window.outstanding() > 0).then_some(now);
        self.tell_refused();
        self.actions.push_back(Action::Acknowledged { parts });
        self.drained(now);
        self.close_if_done(now);
    }

    /// The server will end the connection after `grace`.
    pub fn on_close_signal(&mut self, now: Now, grace: Duration) {
        match self.state {
            State::Open => {
                self.counts.rotations += 1;
                let wait = grace.min(self.config.drain_max.unwrap_or(GRACE_MAX));
                self.state = State::Draining {
                    deadline: now + wait.min(GRACE_MAX),
                    half_closed: false,
                };
                self.drained(now);
            }
            State::Connecting { .. }
            | State::Draining { .. }
            | State::Closing { .. }
            | State::Waiting { .. }
            | State::Closed
            | State::Failed(_) => {}
        }
    }

    /// The connection, or the attempt to make one, has ended. The server's OK is a fault,
    /// too, unless nothing is outstanding.
    pub fn on_fault(&mut self, now: Now, fault: Fault) {
        match self.state {
            State::Connecting { .. } => self.recover(now, fault),
            State::Open => {
                if fault.class == FaultClass::Invalid && self.window.outstanding() > 0 {
                    return self.refuse(now, fault);
                }
                // A connection that idled for a while and ended has failed nobody.
                if self.window.is_empty() && now >= self.opened_at + BACKOFF_MAX {
                    self.failures = 0;
                    self.failing_since = None;
                }
                self.recover(now, fault);
            }
            // The end was announced, or everything is durable already.
            State::Draining { .. } => self.rotate(now),
            State::Closing { .. } => self.close(),
            State::Waiting { .. } | State::Closed | State::Failed(_) => {}
        }
    }

    /// Time has passed.
    pub fn on_time(&mut self, now: Now) {
        if self
            .flush_deadline()
            .is_some_and(|deadline| now >= deadline)
        {
            let seconds = self.config.flush_timeout.as_secs_f64();
            let message = format!(
                "not everything was acknowledged within {seconds} s of the end of the input"
            );
            return self.fail(Fault::transient(message));
        }
        match self.state {
            State::Connecting { deadline } if now >= deadline => {
                let seconds = self.config.recovery_timeout.as_secs_f64();
                self.recover(
                    now,
                    Fault::transient(format!("no stream within {seconds} s")),
                );
            }
            State::Open => {
                let timeout = self.config.ack_timeout;
                if self.outstanding_since.is_some_and(|t| now >= t + timeout) {
                    let seconds = timeout.as_secs_f64();
                    let message = format!("the server acknowledged nothing for {seconds} s");
                    self.recover(now, Fault::transient(message));
                }
            }
            State::Draining {
                deadline,
                half_closed: false,
            } if now >= deadline => {
                self.actions.push_back(Action::HalfClose);
                self.state = State::Draining {
                    deadline: now + LATE_ACKS_MAX,
                    half_closed: true,
                };
            }
            State::Draining { deadline, .. } if now >= deadline => self.rotate(now),
            State::Closing { deadline } if now >= deadline => self.close(),
            State::Waiting { until } if now >= until => self.connect(now),
            State::Connecting { .. }
            | State::Draining { .. }
            | State::Closing { .. }
            | State::Waiting { .. }
            | State::Closed
            | State::Failed(_) => {}
        }
    }

    fn connect(&mut self, now: Now) {
        self.window.rewind();
        self.next_offset = 0;
        self.acked_offset = 0;
        self.outstanding_since = None;
        self.state = State::Connecting {
            deadline: now + self.config.recovery_timeout,
        };
        self.actions.push_back(Action::Connect);
    }

    fn recover(&mut self, now: Now, fault: Fault) {
        self.actions.push_back(Action::Disconnect);
        if let FaultClass::Throttled(_) = fault.class
            && self.window.outstanding() > 0
        {
            self.window.slow_down();
        }
        self.window.rewind();
        self.outstanding_since = None;
        self.reopening = self.opened_before;
        if !fault.is_retryable() || !self.config.recovery {
            return self.fail(fault);
        }
        let too_late = self.is_too_late(now);
        let wait = match fault.class {
            // No failure: it spends no retries. But it must lead somewhere.
            FaultClass::Throttled(after) => {
                if too_late {
                    return self.fail(fault);
                }
                let wait = match after {
                    Some(after) => after.max(self.config.recovery_backoff),
                    None => self.pause(),
                };
                self.counts.throttled += wait;
                wait
            }
            class => {
                self.failures += 1;
                // What cannot be read may be the refusal of a record, which no time mends.
                let counted = self.counts.acknowledged == 0
                    || self.config.recovery_deadline.is_none()
                    || class == FaultClass::Unreadable;
                let given_up = match counted {
                    true => self.failures > self.config.recovery_retries,
                    false => too_late,
                };
                if given_up {
                    return self.fail(fault);
                }
                self.backoff(self.failures)
            }
        };
        self.state = State::Waiting { until: now + wait };
        self.actions.push_back(Action::Recovering { fault, wait });
    }

    /// The service has refused something that was under way, and does not say which. It is
    /// found by sending batches one at a time and halving the one that is refused.
    fn refuse(&mut self, now: Now, fault: Fault) {
        self.refusals += 1;
        if !self.config.recovery || self.refusals > self.config.refusals_max {
            self.window.rewind();
            return self.fail(fault);
        }
        match self.window.refuse() {
            Refused::Sought => {}
            Refused::Found(batch) => {
                self.refused.push((batch, fault.clone()));
                self.refused_in_a_row += 1;
                if self.refused_in_a_row >= self.config.refused_in_a_row_max {
                    self.window.rewind();
                    return self.fail(fault);
                }
                // Nothing is under way that could tell more, and whoever waits for these to
                // be settled may have the next batch.
                if self.window.is_empty() {
                    self.tell_refused();
                }
            }
        }
        self.actions.push_back(Action::Disconnect);
        self.reopening = true;
        if self.finishing_since.is_some() && self.window.is_empty() {
            return self.close();
        }
        self.connect(now);
    }

    /// The records that were refused are bad ones: others are accepted.
    fn tell_refused(&mut self) {
        let refused = self.refused.drain(..);
        self.actions
            .extend(refused.map(|(batch, fault)| Action::Refused { batch, fault }));
    }

    /// Whether the time without a new acknowledgement is used up, which begins here if it
    /// has not begun.
    fn is_too_late(&mut self, now: Now) -> bool {
        let failing_since = *self.failing_since.get_or_insert(now);
        now >= failing_since + self.config.recovery_deadline.unwrap_or(RECOVERY_DEADLINE)
    }

    /// The backoff doubles with each failure in a row, up to a maximum, and up to a quarter
    /// is added so that many loaders do not come back at once.
    fn backoff(&mut self, in_a_row: u32) -> Duration {
        let doublings = in_a_row.saturating_sub(1).min(16);
        let base = self.config.recovery_backoff * (1 << doublings);
        let base = base.min(BACKOFF_MAX.max(self.config.recovery_backoff));
        base + base.mul_f64(self.rng.f64() / 4.0)
    }

    /// The wait after an end that is no failure, and brought no acknowledgement.
    fn pause(&mut self) -> Duration {
        self.pauses += 1;
        self.backoff(self.pauses)
    }

    /// A draining connection on which nothing is outstanding has served its time.
    fn drained(&mut self, now: Now) {
        if matches!(self.state, State::Draining { .. }) && self.window.outstanding() == 0 {
            self.actions.push_back(Action::HalfClose);
            self.rotate(now);
        }
    }

    /// Goes on to the next connection after a close signal. A connection that served for
    /// nothing is not replaced at once, or a server that signals at every start would be
    /// asked without a pause.
    fn rotate(&mut self, now: Now) {
        if self.finishing_since.is_some() && self.window.is_empty() {
            return self.close();
        }
        self.actions.push_back(Action::Disconnect);
        if !self.config.recovery && self.window.outstanding() > 0 {
            self.window.rewind();
            let message =
                "the server ended the connection, as announced, before it acknowledged everything";
            return self.fail(Fault::transient(message));
        }
        // What is still under way goes out again: the end has cost something.
        self.reopening |= self.window.outstanding() > 0;
        if self.acked_offset > 0 {
            return self.connect(now);
        }
        // It served for long, and nobody had anything to send.
        if self.window.outstanding() == 0 && now >= self.opened_at + BACKOFF_MAX {
            self.pauses = 0;
            return self.connect(now);
        }
        self.window.rewind();
        self.outstanding_since = None;
        if !self.window.is_empty() && self.is_too_late(now) {
            let message = "the server ends every connection before it acknowledges anything";
            return self.fail(Fault::transient(message));
        }
        let until = now + self.pause();
        self.state = State::Waiting { until };
    }

    fn close_if_done(&mut self, now: Now) {
        if self.state == State::Open && self.finishing_since.is_some() && self.window.is_empty() {
            self.state = State::Closing {
                deadline: now + CLOSING_MAX,
            };
            self.actions.push_back(Action::HalfClose);
        }
    }

    fn close(&mut self) {
        self.tell_refused();
        self.actions.push_back(Action::Disconnect);
        self.state = State::Closed;
    }

    fn fail(&mut self, fault: Fault) {
        self.actions.push_back(Action::Disconnect);
        self.state = State::Failed(fault);
    }
}

#[cfg(test)]
mod tests;
