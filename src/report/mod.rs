//! Readers of load events: the bar, the plain lines, and at the end the summary. The only
//! place that prints progress.
//!
//! Standard error may be closed at any time; a load goes on without it.

use std::borrow::Cow;
use std::io::{IsTerminal as _, Write as _};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

mod bar;
mod numbers;
mod summary;

pub use summary::Summary;

use bar::Bar;
use numbers::{bytes, count, duration, rate};

use crate::load::{LoadEvent, Observer};

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
/// Bad rows shown one by one; a file of them would drown everything else.
const REJECTS_SHOWN_MAX: u64 = 10;

impl Progress {
    /// A bar on a terminal, lines elsewhere.
    pub fn auto() -> Self {
        if std::io::stderr().is_terminal() {
            Self::Bar
        } else {
            Self::Lines
        }
    }
}

/// What is known of the load so far.
#[derive(Debug, Default)]
struct Seen {
    inputs: usize,
    input: Option<(usize, String)>,
    bytes_total: Option<u64>,
    bytes: u64,
    acknowledged: u64,
    rejected: u64,
    reconnects: u64,
}

/// Shows a load while it runs.
pub struct Reporter {
    start: Instant,
    seen: Mutex<Seen>,
    progress: Progress,
    bar: Option<Bar>,
    quiet: bool,
}

impl Reporter {
    /// A reporter that shows progress in this way; `quiet` also silences warnings of single
    /// rows.
    pub fn new(progress: Progress, quiet: bool) -> Arc<Self> {
        Arc::new(Self {
            start: Instant::now(),
            seen: Mutex::new(Seen::default()),
            progress,
            bar: (progress == Progress::Bar).then(Bar::new),
            quiet,
        })
    }

    /// The observer to hand to the load.
    pub fn observer(self: &Arc<Self>) -> Observer {
        let reporter = Arc::clone(self);
        Arc::new(move |event| reporter.observe(event))
    }

    /// Draws and writes from time to time, until it is dropped.
    pub async fn run(&self) {
        let every = match self.progress {
            Progress::Bar => Duration::from_millis(100),
            Progress::Lines => LINE_EVERY,
            Progress::Nothing => return std::future::pending().await,
        };
        let mut ticks = tokio::time::interval(every);
        ticks.tick().await;
        loop {
            ticks.tick().await;
            self.show();
        }
    }

    /// Takes the bar off the screen.
    pub fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.end();
        }
    }

    /// Writes a line that is no progress, above the bar if there is one.
    pub fn say(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.above(|| write_line(text)),
            None => write_line(text),
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
            LoadEvent::Read { bytes } => seen.bytes = bytes,
            LoadEvent::Acknowledged { counts } => {
                seen.acknowledged = counts.acknowledged;
                seen.reconnects = counts.reconnects;
            }
            LoadEvent::RowRejected { source, error } => {
                seen.rejected += 1;
                let rejected = seen.rejected;
                drop(seen);
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
        let (line, bytes, total) = {
            let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            let line = seen.line(self.start.elapsed());
            (line, seen.bytes, seen.bytes_total)
        };
        match &self.bar {
            Some(bar) => bar.show(bytes, total, line),
            None => write_line(&line),
        }
    }
}

impl Seen {
    fn line(&self, elapsed: Duration) -> String {
        let seconds = elapsed.as_secs_f64().max(0.001);
        let mut parts = vec![
            format!("{} rows", count(self.acknowledged)),
            rate(self.acknowledged as f64 / seconds),
            match self.bytes_total {
                Some(total) => format!("{} of {}", bytes(self.bytes), bytes(total)),
                None => bytes(self.bytes),
            },
        ];
        if let Some(total) = self.bytes_total.filter(|&total| total > 0) {
            let share = self.bytes as f64 / total as f64;
            parts.push(format!("{:.0} %", share * 100.0));
            if share > 0.0 && share < 1.0 {
                let left = Duration::from_secs_f64(seconds * (1.0 - share) / share);
                parts.push(format!("{} left", duration(left)));
            }
        }
        if self.inputs > 1
            && let Some((index, name)) = &self.input
        {
            parts.push(format!("input {} of {}: {name}", index + 1, self.inputs));
        }
        if self.rejected > 0 {
            parts.push(format!("{} rejected", count(self.rejected)));
        }
        if self.reconnects > 0 {
            parts.push(format!("{} reconnects", self.reconnects));
        }
        parts.join(" · ")
    }
}

/// Writes text to standard error, if there is one.
pub fn write_line(text: &str) {
    let _ = writeln!(std::io::stderr(), "{}", printable(text));
}

/// Text of files and servers stands in messages: whatever would move a terminal's cursor or
/// change its colours is written out.
fn printable(text: &str) -> Cow<'_, str> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_what_people_want_to_know() {
        let mut seen = Seen {
            inputs: 2,
            input: Some((0, "a.ndjson".to_owned())),
            bytes_total: Some(200_000_000),
            bytes: 50_000_000,
            acknowledged: 1_000_000,
            rejected: 3,
            ..Seen::default()
        };
        assert_eq!(
            seen.line(Duration::from_secs(10)),
            "1,000,000 rows · 100,000 rows/s · 50.0 MB of 200.0 MB · 25 % · 30 s left · input 1 of 2: a.ndjson · 3 rejected"
        );
        seen = Seen {
            bytes: 1_500,
            acknowledged: 7,
            ..Seen::default()
        };
        assert_eq!(
            seen.line(Duration::from_secs(1)),
            "7 rows · 7 rows/s · 1.5 kB"
        );
    }
}
