//! `--metrics-file`: a load's figures in Prometheus' text format, for node exporters and cron
//! jobs. Each time the file is replaced as a whole, so that nobody reads half of it.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::line::Seen;
use crate::error::{Failure, Kind, exit};
use crate::load::Outcome;

/// How often the file is written anew.
pub(super) const WRITE_EVERY: Duration = Duration::from_secs(5);

const LAST_SUCCESS: &str = "zerobus_last_success_timestamp_seconds";

/// The file and what stays the same in it.
pub struct Metrics {
    path: PathBuf,
    /// `{table="..."}`.
    labels: String,
    start: SystemTime,
    /// When a load into this table last succeeded, as the file told before.
    last_success: Option<f64>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The figures of the last writing.
    figures: Figures,
    failed: bool,
}

/// What is told of a load.
#[derive(Debug, Clone, Default)]
struct Figures {
    acknowledged: u64,
    rejected: u64,
    in_flight: u64,
    resent: u64,
    bytes_read: u64,
    bytes_total: Option<u64>,
    reconnects: u64,
    rotations: u64,
    throttled: Duration,
}

impl Metrics {
    /// The figures of a load into this table. Nothing is written yet.
    pub fn new(path: &Path, table: &str) -> Self {
        let labels = format!("{{table=\"{}\"}}", escaped(table));
        let before = fs::read_to_string(path).unwrap_or_default();
        let last_success = before.lines().find_map(|line| {
            let value = line.strip_prefix(LAST_SUCCESS)?.strip_prefix(&labels)?;
            value.trim().parse().ok()
        });
        Self {
            path: path.to_owned(),
            labels,
            start: SystemTime::now(),
            last_success,
            state: Mutex::default(),
        }
    }

    /// Writes that the load has begun.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn begin(&self) -> Result<(), Failure> {
        self.write(&Figures::default(), None).map_err(|e| {
            let message = format!("--metrics-file cannot be written: {e}");
            Failure::new(Kind::Output, message).at(self.path.display().to_string(), None)
        })
    }

    /// Writes what is known while the load runs. Tells the first failure: a load does not end
    /// for its figures.
    pub(super) fn update(&self, seen: &Seen) -> Result<(), String> {
        let figures = Figures {
            acknowledged: seen.acknowledged,
            rejected: seen.rejected,
            in_flight: seen.accepted.saturating_sub(seen.acknowledged),
            resent: seen.resent,
            bytes_read: seen.bytes,
            bytes_total: seen.bytes_total,
            reconnects: seen.reconnects,
            rotations: seen.rotations,
            throttled: seen.throttled,
        };
        let written = self.write(&figures, None);
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.figures = figures;
        match written {
            Err(e) if !state.failed => {
                state.failed = true;
                let path = self.path.display();
                Err(format!("--metrics-file {path} cannot be written: {e}"))
            }
            _ => Ok(()),
        }
    }

    /// Writes how the load has ended.
    ///
    /// # Errors
    /// What is wrong with the file.
    pub fn end(&self, outcome: &Outcome, exit_code: u8) -> Result<(), String> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let figures = Figures {
            acknowledged: outcome.records.acked,
            rejected: outcome.records.rejected,
            in_flight: 0,
            resent: outcome.records.resent,
            bytes_read: outcome.bytes_read,
            bytes_total: state.figures.bytes_total,
            reconnects: outcome.counts.reconnects,
            rotations: outcome.counts.rotations,
            throttled: outcome.counts.throttled,
        };
        let written = self.write(&figures, Some(exit_code));
        written.map_err(|e| {
            format!(
                "--metrics-file {} cannot be written: {e}",
                self.path.display()
            )
        })
    }

    fn write(&self, figures: &Figures, exit_code: Option<u8>) -> io::Result<()> {
        let text = self.text(figures, exit_code, SystemTime::now());
        // A link stays one; a device or a pipe is written to, not replaced.
        let path = fs::canonicalize(&self.path).unwrap_or_else(|_| self.path.clone());
        if fs::metadata(&path).is_ok_and(|m| !m.is_file()) {
            return fs::write(&path, text);
        }
        let mut name = path.clone().into_os_string();
        name.push(format!(".{}.tmp", std::process::id()));
        let temporary = PathBuf::from(name);
        let written = fs::write(&temporary, text).and_then(|()| fs::rename(&temporary, &path));
        if written.is_err() {
            let _ = fs::remove_file(&temporary);
        }
        written
    }

    fn text(&self, figures: &Figures, exit_code: Option<u8>, now: SystemTime) -> String {
        let seconds = |time: SystemTime| {
            let since = time.duration_since(UNIX_EPOCH);
            since.map_or(0.0, |since| (since.as_secs_f64() * 1e3).round() / 1e3)
        };
        let mut text = String::new();
        let mut metric = |name: &str, help: &str, value: Option<f64>| {
            let Some(value) = value else { return };
            let labels = &self.labels;
            let _ = write!(
                text,
                "# HELP {name} {help}\n# TYPE {name} gauge\n{name}{labels} {value}\n"
            );
        };
        let n = |n: u64| Some(n as f64);
        let running = exit_code.is_none();
        metric(
            "zerobus_running",
            "Whether the load is running.",
            n(running.into()),
        );
        metric(
            "zerobus_start_timestamp_seconds",
            "When the load began.",
            Some(seconds(self.start)),
        );
        metric(
            "zerobus_rows_acknowledged",
            "Rows that are durable in the table.",
            n(figures.acknowledged),
        );
        metric("zerobus_rows_rejected", "Bad rows.", n(figures.rejected));
        metric(
            "zerobus_rows_in_flight",
            "Rows sent and not acknowledged.",
            n(figures.in_flight),
        );
        metric(
            "zerobus_rows_resent",
            "Rows sent again after a reconnect.",
            n(figures.resent),
        );
        metric(
            "zerobus_bytes_read",
            "Bytes of the inputs that were read.",
            n(figures.bytes_read),
        );
        metric(
            "zerobus_bytes_total",
            "Bytes of the inputs, if they are known.",
            figures.bytes_total.and_then(n),
        );
        metric(
            "zerobus_reconnects",
            "Connections that had to be made again.",
            n(figures.reconnects),
        );
        metric(
            "zerobus_rotations",
            "Streams that the service closed as a routine.",
            n(figures.rotations),
        );
        metric(
            "zerobus_throttled_seconds",
            "Time waited because the service asked for it.",
            Some(figures.throttled.as_secs_f64()),
        );
        if let Some(code) = exit_code {
            metric(
                "zerobus_end_timestamp_seconds",
                "When the load ended.",
                Some(seconds(now)),
            );
            metric(
                "zerobus_exit_code",
                "The exit code: 0 and 3 are success.",
                n(code.into()),
            );
        }
        let succeeded = matches!(exit_code, Some(exit::OK | exit::REJECTS));
        let last = if succeeded {
            Some(seconds(now))
        } else {
            self.last_success
        };
        metric(
            LAST_SUCCESS,
            "When a load into this table last succeeded.",
            last,
        );
        text
    }
}

fn escaped(label: &str) -> String {
    label
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}
