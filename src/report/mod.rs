//! Readers of load events: the bar, the plain lines, and at the end the summary. The only
//! place that prints progress.
//!
//! Standard error may be closed at any time; a load goes on without it.

use std::borrow::Cow;
use std::io::{IsTerminal as _, Write as _};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::time::{Interval, MissedTickBehavior};

mod bar;
mod line;
mod metrics;
mod numbers;
mod summary;
mod tally;

pub use metrics::Metrics;
pub use summary::Summary;

use bar::Bar;
use line::{Seen, Speed};
use tally::Tally;

use crate::load::{LoadEvent, Observer, Outcome};

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// A bar that is drawn again and again.
    Bar,
    /// A line every [`LINE_EVERY`].
    Lines,
    /// Nothing but warnings.
    Nothing,
}

/// How often a plain line is written.
pub const LINE_EVERY: Duration = Duration::from_secs(10);
/// How often the bar is drawn.
const BAR_EVERY: Duration = Duration::from_millis(100);
/// Bad rows shown one by one; a file of them would drown everything else.
const REJECTS_SHOWN_MAX: u64 = 10;

impl Progress {
    /// A bar where it can be drawn again and again, which is on a terminal that can move its
    /// cursor; lines elsewhere.
    pub fn bar(term: Option<&str>) -> Self {
        match std::io::stderr().is_terminal() && term != Some("dumb") {
            true => Self::Bar,
            false => Self::Lines,
        }
    }
}

/// How a load is shown.
#[derive(Clone)]
pub struct Showing {
    /// Its progress.
    pub progress: Progress,
    /// Warnings of single rows are not shown either.
    pub quiet: bool,
    /// The steps of the conversation with the service are.
    pub verbose: bool,
    /// Where its figures go.
    pub metrics: Option<Arc<Metrics>>,
}

/// Shows a load while it runs.
pub struct Reporter {
    start: Instant,
    seen: Mutex<Seen>,
    speed: Mutex<Speed>,
    tally: Mutex<Tally>,
    progress: Progress,
    bar: Option<Bar>,
    quiet: bool,
    verbose: bool,
    metrics: Option<Arc<Metrics>>,
}

impl Reporter {
    /// A reporter that shows a load in this way. A dry run acknowledges nothing.
    pub fn new(showing: Showing, dry_run: bool) -> Arc<Self> {
        let seen = Seen {
            dry_run,
            ..Seen::default()
        };
        Arc::new(Self {
            start: Instant::now(),
            seen: Mutex::new(seen),
            speed: Mutex::default(),
            tally: Mutex::default(),
            progress: showing.progress,
            bar: (showing.progress == Progress::Bar).then(Bar::new),
            quiet: showing.quiet,
            verbose: showing.verbose,
            metrics: showing.metrics,
        })
    }

    /// The observer to hand to the load.
    pub fn observer(self: &Arc<Self>) -> Observer {
        let reporter = Arc::clone(self);
        Arc::new(move |event| reporter.observe(event))
    }

    /// Draws and writes from time to time, until it is dropped.
    pub async fn run(&self) {
        let every = |period| {
            let mut ticks = tokio::time::interval(period);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            ticks
        };
        let mut lines = match self.progress {
            Progress::Bar => Some(every(BAR_EVERY)),
            Progress::Lines => Some(every(LINE_EVERY)),
            Progress::Nothing => None,
        };
        let mut writings = self.metrics.as_ref().map(|_| every(metrics::WRITE_EVERY));
        // The first tick is at once: there is nothing to tell yet.
        tick(&mut lines).await;
        loop {
            tokio::select! {
                () = tick_or_never(&mut lines) => self.show(),
                () = tick_or_never(&mut writings) => self.update_metrics(),
            }
        }
    }

    /// Takes the bar off the screen, and tells why rows were rejected.
    pub fn end(&self, outcome: &mut Outcome) {
        if let Some(bar) = &self.bar {
            bar.end();
        }
        self.update_metrics();
        let tally = self.tally.lock().unwrap_or_else(PoisonError::into_inner);
        (outcome.reasons, outcome.other_reasons) = tally.top();
    }

    /// Writes a line that is no progress, above the bar if there is one.
    pub fn say(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.above(|| write_line(text)),
            None => write_line(text),
        }
    }

    /// Writes a step of the conversation, where they are wanted.
    pub fn tell(&self, step: &str) {
        if self.verbose {
            self.say(step);
        }
    }

    fn observe(&self, event: LoadEvent) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            LoadEvent::Started { inputs, bytes } => {
                seen.inputs = inputs;
                seen.bytes_total = bytes;
            }
            LoadEvent::InputStarted { index, name } => seen.input = Some((index, name)),
            LoadEvent::Read { bytes, records } => {
                seen.bytes = bytes;
                seen.checked = records;
            }
            LoadEvent::Opened { stream_id, counts } => {
                seen.count(&counts);
                drop(seen);
                self.tell(&format!("stream {stream_id} is open"));
            }
            LoadEvent::Rotating { grace } => {
                drop(seen);
                let seconds = grace.as_secs_f64();
                self.tell(&format!(
                    "the service closes the stream within {seconds} s, as a routine; another one is opened"
                ));
            }
            LoadEvent::Sent { counts } | LoadEvent::Acknowledged { counts } => seen.count(&counts),
            LoadEvent::RowRejected { source, error } => {
                seen.rejected += 1;
                let rejected = seen.rejected;
                drop(seen);
                let mut tally = self.tally.lock().unwrap_or_else(PoisonError::into_inner);
                tally.add(&source, &error);
                drop(tally);
                if self.quiet || rejected > REJECTS_SHOWN_MAX {
                    return;
                }
                for reason in &error.reasons {
                    self.say(&format!("warning: {source}:{}: {reason}", error.line));
                }
                if rejected == REJECTS_SHOWN_MAX {
                    self.say("warning: further bad rows are counted, not shown");
                }
            }
            LoadEvent::Recovering { fault, wait } => {
                drop(seen);
                let wait = wait.as_secs_f64();
                self.say(&format!("warning: reconnecting in {wait:.1} s: {fault}"));
            }
            LoadEvent::Interrupted { shutdown_timeout } => {
                drop(seen);
                let seconds = shutdown_timeout.as_secs_f64();
                self.say(&format!("interrupted: acknowledging what was accepted, for at most {seconds} s (again: stop at once)"));
            }
        }
    }

    fn show(&self) {
        let mut speed = self.speed.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = seen.clone();
        let mut line = |columns| seen.line(self.start.elapsed(), &mut speed, columns);
        match &self.bar {
            Some(bar) => bar.show(seen.bytes_done(), seen.bytes_total, |columns| {
                line(Some(columns))
            }),
            None => write_line(&line(None)),
        }
    }

    fn update_metrics(&self) {
        let Some(metrics) = &self.metrics else { return };
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(why) = metrics.update(&seen) {
            drop(seen);
            self.say(&format!("warning: {why}"));
        }
    }
}

async fn tick(ticks: &mut Option<Interval>) {
    if let Some(ticks) = ticks {
        ticks.tick().await;
    }
}

async fn tick_or_never(ticks: &mut Option<Interval>) {
    match ticks {
        Some(ticks) => drop(ticks.tick().await),
        None => std::future::pending().await,
    }
}

/// Writes text to standard error, if there is one.
pub fn write_line(text: &str) {
    let _ = writeln!(std::io::stderr(), "{}", printable(text));
}

/// Text of files and servers stands in messages: whatever would move a terminal's cursor or
/// change its colours is written out.
pub(crate) fn printable(text: &str) -> Cow<'_, str> {
    let moves = |c: char| c.is_control() && c != '\n';
    if !text.contains(moves) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match moves(c) {
            true => out.extend(c.escape_default()),
            false => out.push(c),
        }
    }
    Cow::Owned(out)
}
