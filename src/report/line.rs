//! What is known of a load while it runs, and the line that tells it in the room there is.

use std::collections::VecDeque;
use std::time::Duration;

use super::numbers::{bytes, count, duration, rate};
use crate::protocol::Counts;

/// What is known of the load so far.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
    pub inputs: usize,
    /// The current one: its position from 0, and its name.
    pub input: Option<(usize, String)>,
    pub bytes_total: Option<u64>,
    pub bytes: u64,
    /// Rows that nobody rejected, so far.
    pub checked: u64,
    /// acknowledged <= accepted
    pub accepted: u64,
    pub acknowledged: u64,
    pub rejected: u64,
    pub resent: u64,
    pub reconnects: u64,
    pub rotations: u64,
    pub throttled: Duration,
    /// Nothing is sent: rows count as they are checked.
    pub dry_run: bool,
}

/// Speed is that of the last so many samples, which are taken each time something is shown.
const SAMPLES: usize = 50;
/// And of no less than this time, so that it does not jump.
const SAMPLE_EVERY: Duration = Duration::from_millis(200);

/// How fast it goes now.
#[derive(Debug, Default)]
pub(super) struct Speed(VecDeque<(Duration, u64, u64)>);

impl Speed {
    /// Rows and bytes a second, at this time since the start.
    pub(super) fn at(&mut self, elapsed: Duration, rows: u64, bytes: u64) -> (f64, f64) {
        let (then, rows_then, bytes_then) = self.0.front().copied().unwrap_or_default();
        if self
            .0
            .back()
            .is_none_or(|(last, ..)| elapsed >= *last + SAMPLE_EVERY)
        {
            self.0.push_back((elapsed, rows, bytes));
        }
        if self.0.len() > SAMPLES {
            self.0.pop_front();
        }
        let seconds = elapsed.saturating_sub(then).as_secs_f64().max(0.001);
        let per_second = |n: u64| n as f64 / seconds;
        (
            per_second(rows.saturating_sub(rows_then)),
            per_second(bytes.saturating_sub(bytes_then)),
        )
    }
}

/// A part of a line. Where there is not room for all, those that matter less are left out.
struct Part {
    /// 0 matters most.
    rank: u8,
    text: String,
}

const BETWEEN: &str = " · ";

impl Seen {
    /// Takes what the streams count.
    pub(super) fn count(&mut self, counts: &Counts) {
        self.accepted = counts.accepted;
        self.acknowledged = counts.acknowledged;
        self.resent = counts.resent;
        self.reconnects = counts.reconnects;
        self.rotations = counts.rotations;
        self.throttled = counts.throttled;
    }

    /// Rows that are done.
    pub(super) fn rows(&self) -> u64 {
        match self.dry_run {
            true => self.checked,
            false => self.acknowledged,
        }
    }

    /// Bytes of the rows that are done, about: what is read and under way is not.
    pub(super) fn bytes_done(&self) -> u64 {
        let read = self.checked + self.rejected;
        let done = self.rows() + self.rejected;
        match read {
            0 => 0,
            read if done >= read => self.bytes,
            read => (self.bytes as f64 * (done as f64 / read as f64)) as u64,
        }
    }

    /// A line of at most so many columns, or of all there is to tell.
    pub(super) fn line(
        &self,
        elapsed: Duration,
        speed: &mut Speed,
        columns: Option<usize>,
    ) -> String {
        let done = self.bytes_done();
        let (rows_per_second, bytes_per_second) = speed.at(elapsed, self.rows(), done);
        let mut parts = Vec::new();
        let mut part = |rank, text| parts.push(Part { rank, text });
        if let Some(total) = self.bytes_total.filter(|&total| total > 0) {
            let share = (done as f64 / total as f64).min(1.0);
            part(1, format!("{:.0} %", share * 100.0));
        }
        let what = if self.dry_run { "rows checked" } else { "rows" };
        part(0, format!("{} {what}", count(self.rows())));
        part(2, rate(rows_per_second));
        part(6, format!("{}/s", bytes(bytes_per_second as u64)));
        if let Some(total) = self.bytes_total {
            part(9, format!("{} of {}", bytes(done), bytes(total)));
            let left = total.saturating_sub(done);
            if left > 0 && done > 0 && bytes_per_second > 0.0 {
                let seconds = (left as f64 / bytes_per_second).min(1e7);
                part(
                    4,
                    format!("{} left", duration(Duration::from_secs_f64(seconds))),
                );
            }
        } else {
            part(9, format!("{} read", bytes(done)));
        }
        if !self.dry_run {
            let in_flight = self.accepted.saturating_sub(self.acknowledged);
            part(8, format!("{} in flight", count(in_flight)));
        }
        if self.rejected > 0 {
            part(3, format!("{} rejected", count(self.rejected)));
        }
        if self.reconnects > 0 {
            let plural = if self.reconnects == 1 { "" } else { "s" };
            part(5, format!("{} reconnect{plural}", self.reconnects));
        }
        if self.inputs > 1
            && let Some((index, name)) = &self.input
        {
            part(7, format!("input {} of {}", index + 1, self.inputs));
            part(10, name.clone());
        }
        fitted(parts, columns)
    }
}

/// The parts that fit, in their order.
fn fitted(parts: Vec<Part>, columns: Option<usize>) -> String {
    let columns = columns.unwrap_or(usize::MAX);
    let width = |part: &Part| part.text.chars().count();
    let mut by_rank: Vec<usize> = (0..parts.len()).collect();
    by_rank.sort_by_key(|&i| parts[i].rank);
    let mut taken = vec![false; parts.len()];
    let mut used = 0;
    for i in by_rank {
        let between = if used > 0 { BETWEEN.chars().count() } else { 0 };
        if used + between + width(&parts[i]) <= columns {
            used += between + width(&parts[i]);
            taken[i] = true;
        }
    }
    let parts = parts.into_iter().zip(taken).filter(|(_, taken)| *taken);
    let texts: Vec<String> = parts.map(|(part, _)| part.text).collect();
    texts.join(BETWEEN)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen() -> Seen {
        Seen {
            inputs: 2,
            input: Some((0, "a.ndjson".to_owned())),
            bytes_total: Some(200_000_000),
            bytes: 52_500_000,
            checked: 1_050_000,
            accepted: 1_050_000,
            acknowledged: 1_000_000,
            rejected: 3,
            ..Seen::default()
        }
    }

    fn line(seen: &Seen, seconds: u64, columns: Option<usize>) -> String {
        seen.line(Duration::from_secs(seconds), &mut Speed::default(), columns)
    }

    #[test]
    fn a_line_says_what_people_want_to_know() {
        let mut seen = seen();
        assert_eq!(
            line(&seen, 10, None),
            "25 % · 1,000,000 rows · 100,000 rows/s · 5.0 MB/s · 50.0 MB of 200.0 MB · 29 s left · 50,000 in flight · 3 rejected · input 1 of 2 · a.ndjson"
        );
        seen = Seen {
            bytes: 1_500,
            checked: 7,
            acknowledged: 7,
            accepted: 7,
            reconnects: 1,
            ..Seen::default()
        };
        assert_eq!(
            line(&seen, 1, None),
            "7 rows · 7 rows/s · 1.5 kB/s · 1.5 kB read · 0 in flight · 1 reconnect"
        );
    }

    #[test]
    fn what_matters_most_is_told_where_room_is_short() {
        for (columns, expected) in [
            (3, ""),
            (10, "25 %"),
            (16, "1,000,000 rows"),
            (40, "25 % · 1,000,000 rows · 100,000 rows/s"),
            (60, "25 % · 1,000,000 rows · 100,000 rows/s · 3 rejected"),
            (
                80,
                "25 % · 1,000,000 rows · 100,000 rows/s · 5.0 MB/s · 29 s left · 3 rejected",
            ),
        ] {
            let line = line(&seen(), 10, Some(columns));
            assert_eq!(line, expected, "{columns}");
            assert!(line.chars().count() <= columns);
        }
    }

    #[test]
    fn speed_is_that_of_the_last_seconds() {
        let mut speed = Speed::default();
        for second in 0..=100 {
            speed.at(Duration::from_secs(second), second * 10, 0);
        }
        let (rows, _) = speed.at(Duration::from_secs(101), 1_000, 0);
        assert!((9.0..10.0).contains(&rows), "{rows}");
        for second in 102..200 {
            speed.at(Duration::from_secs(second), 1_000, 0);
        }
        let (rows, _) = speed.at(Duration::from_secs(200), 1_000, 0);
        assert_eq!(rows, 0.0, "a load that stands still");
    }
}
