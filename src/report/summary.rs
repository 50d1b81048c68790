//! The summary of a load, for people and for scripts.

use serde_json::{Value, json};
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use super::numbers::{bytes, count, rate};
use crate::error::{Failure, Kind, exit};
use crate::load::{Outcome, Records};

/// A load that has ended, as it is told.
pub struct Summary<'o> {
    table: String,
    outcome: &'o Outcome,
    rejects_file: Option<String>,
    checkpoint: Option<String>,
}

impl<'o> Summary<'o> {
    /// The summary of a load into a table.
    pub fn new(
        table: String,
        outcome: &'o Outcome,
        rejects_file: Option<String>,
        checkpoint: Option<String>,
    ) -> Self {
        Self {
            table,
            outcome,
            rejects_file,
            checkpoint,
        }
    }

    /// The exit code of the load.
    pub fn exit_code(&self) -> u8 {
        match &self.outcome.failure {
            Some(failure) => failure.kind.exit_code(),
            None if self.outcome.nothing_left => exit::OK,
            None if self.rejected_in_all() > 0 => exit::REJECTS,
            None => exit::OK,
        }
    }

    fn status(&self) -> &'static str {
        match self.exit_code() {
            exit::OK => "ok",
            exit::REJECTS => "rejects",
            exit::TOO_MANY_REJECTS => "too_many_rejects",
            exit::UNAVAILABLE => "unavailable",
            exit::SIGINT | exit::SIGTERM => "interrupted",
            _ => "failed",
        }
    }

    fn seconds(&self) -> f64 {
        self.outcome.elapsed.as_secs_f64()
    }

    fn records_per_second(&self) -> f64 {
        self.outcome.records.acked as f64 / self.seconds().max(0.001)
    }

    /// Bad rows over all runs.
    fn rejected_in_all(&self) -> u64 {
        let before = self.outcome.resumed_from.map_or(0, |r| r.rejected);
        before + self.outcome.records.rejected
    }

    /// Offsets of this run's first record, and of the last in the settled prefix.
    fn offsets(&self) -> (Option<u64>, Option<u64>) {
        let Records {
            acked,
            unsent,
            in_doubt,
            ..
        } = self.outcome.records;
        let first = self.outcome.resumed_from.map_or(0, |r| r.accepted);
        let any = acked + unsent + in_doubt > 0;
        let last = self.outcome.settled_records.checked_sub(1);
        (any.then_some(first), last.filter(|_| !self.outcome.dry_run))
    }

    /// The counts over all runs of a load that went on.
    fn total(&self) -> Option<Value> {
        let before = self.outcome.resumed_from?;
        let records = Records {
            read: before.read() + self.outcome.records.read,
            acked: before.accepted - before.refused + self.outcome.records.acked,
            rejected: before.rejected + self.outcome.records.rejected,
            resent: self.outcome.resent_total,
            ..self.outcome.records
        };
        Some(counts(&records))
    }

    /// One JSON object on one line.
    pub fn json(&self) -> String {
        let outcome = self.outcome;
        let records = outcome.records;
        let (first, last_acked) = self.offsets();
        let streams: Vec<Value> = outcome
            .streams
            .iter()
            .map(|stream| {
                json!({
                    "stream_id": stream.id,
                    "last_acked": stream.last_acked,
                    "reconnects": stream.counts.reconnects,
                })
            })
            .collect();
        json!({
            "table": self.table,
            "status": self.status(),
            "exit_code": self.exit_code(),
            "dry_run": outcome.dry_run,
            "records": counts(&records),
            "skipped": outcome.skipped,
            "resumed_from": outcome.resumed_from.map(|r| r.accepted),
            "total": self.total(),
            "bytes": { "read": outcome.bytes_read, "sent": outcome.bytes_sent },
            "offsets": { "first": first, "last_acked": last_acked },
            "streams": streams,
            "rotations": outcome.counts.rotations,
            "throttled_seconds": outcome.counts.throttled.as_secs_f64(),
            "seconds": rounded(self.seconds(), 1_000.0),
            "records_per_second": rounded(self.records_per_second(), 10.0),
            "rejects_file": self.rejects_file,
            "checkpoint": self.checkpoint,
            "error": outcome.failure.as_ref().map(error),
        })
        .to_string()
    }

    /// A few lines of at most 80 columns.
    pub fn text(&self) -> String {
        let records = self.outcome.records;
        let mut lines = vec![format!("{}: {}", self.table, self.headline())];
        let mut parts = vec![format!("{} read", count(records.read))];
        for (n, what) in [
            (records.acked, "acknowledged"),
            (self.outcome.skipped, "skipped before them"),
            (records.rejected, "rejected"),
            (records.unsent, "never sent"),
            (records.in_doubt, "in doubt"),
        ] {
            if n > 0 {
                parts.push(format!("{} {what}", count(n)));
            }
        }
        let before = self.outcome.resumed_from.map_or(0, |r| r.rejected);
        if before > 0 {
            parts.push(format!("{} rejected by earlier runs", count(before)));
        }
        lines.extend(wrapped("rows", &parts));
        if let (Some(first), Some(last)) = self.offsets() {
            lines.push(format!("  offsets  {first} to {last}"));
        }
        lines.push(format!(
            "  bytes    {} read, {} sent",
            bytes(self.outcome.bytes_read),
            bytes(self.outcome.bytes_sent)
        ));
        lines.push(format!(
            "  time     {:.2} s, {}",
            self.seconds(),
            rate(self.records_per_second())
        ));
        let counts = self.outcome.counts;
        if counts.reconnects > 0 || records.resent > 0 {
            lines.push(format!(
                "  stream   {} reconnects, {} rows sent again (rows may be there twice)",
                counts.reconnects,
                count(records.resent)
            ));
        }
        if !counts.throttled.is_zero() {
            let seconds = counts.throttled.as_secs_f64();
            lines.push(format!(
                "  waited   {seconds:.1} s, as the service asked for"
            ));
        }
        for (index, seen) in self.outcome.reasons.iter().enumerate() {
            let title = if index == 0 { "reasons" } else { "" };
            let rows = count(seen.rows);
            let (source, line) = (&seen.source, seen.line);
            lines.push(cut(&format!("  {title:<8} {rows} x {}", seen.reason)));
            let first = if seen.rows == 1 { "at" } else { "first at" };
            let space = " ".repeat(rows.len() + 3);
            let place = format!("{source}:{line}");
            lines.push(tail(&format!("  {:<8} {space}{first} ", ""), &place));
        }
        if self.outcome.other_reasons > 0 {
            let others = count(self.outcome.other_reasons);
            lines.push(format!("  {:<8} {others} x for other reasons", ""));
        }
        if let Some(file) = &self.rejects_file
            && self.rejected_in_all() > 0
        {
            lines.push(tail("  rejects  ", file));
        }
        lines.join("\n")
    }

    fn headline(&self) -> String {
        match (self.status(), self.outcome.failure.as_ref().map(|f| f.kind)) {
            ("ok", _) if self.outcome.nothing_left => "nothing is left to load".to_owned(),
            ("ok", _) if self.outcome.dry_run => "all rows are good".to_owned(),
            ("ok", _) => "all rows acknowledged".to_owned(),
            ("rejects", _) => "finished, with rejected rows".to_owned(),
            (_, Some(Kind::BadRow)) => "stopped at a bad row".to_owned(),
            ("interrupted", _) => "interrupted".to_owned(),
            ("unavailable", _) => "service unavailable".to_owned(),
            _ => "failed".to_owned(),
        }
    }
}

/// The columns of the text.
const COLUMNS: usize = 80;

/// Parts behind a title, on as many lines as it takes.
fn wrapped(title: &str, parts: &[String]) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = format!("  {title:<8}");
    for (index, part) in parts.iter().enumerate() {
        let comma = if index + 1 < parts.len() { "," } else { "" };
        if index > 0 && line.len() + part.len() + comma.len() >= COLUMNS {
            lines.push(std::mem::replace(&mut line, " ".repeat(10)));
        }
        line.push_str(&format!(" {part}{comma}"));
    }
    lines.push(line);
    lines
}

/// What moves the cursor is written out.
fn one_line(text: &str) -> String {
    super::printable(text).replace('\n', "\\n")
}

/// A line without what would be too much at its end.
fn cut(line: &str) -> String {
    let line = one_line(line);
    if line.width() <= COLUMNS {
        return line;
    }
    let mut width = 1;
    let fits = line.chars().take_while(|c| {
        width += c.width().unwrap_or(0);
        width <= COLUMNS
    });
    fits.chain(['…']).collect()
}

/// A place behind its title, without what would be too much at its beginning: its end tells
/// more.
fn tail(title: &str, place: &str) -> String {
    let place = one_line(place);
    let room = COLUMNS.saturating_sub(title.width());
    if place.width() <= room {
        return format!("{title}{place}");
    }
    let mut width = 1;
    let fits = place.chars().rev().take_while(|c| {
        width += c.width().unwrap_or(0);
        width <= room
    });
    let kept: Vec<char> = fits.collect();
    let kept: String = kept.into_iter().rev().collect();
    format!("{title}…{kept}")
}

fn counts(records: &Records) -> Value {
    json!({
        "read": records.read,
        "acked": records.acked,
        "rejected": records.rejected,
        "unsent": records.unsent,
        "in_doubt": records.in_doubt,
        "resent": records.resent,
    })
}

fn rounded(value: f64, factor: f64) -> f64 {
    (value * factor).round() / factor
}

fn error(failure: &Failure) -> Value {
    json!({
        "kind": failure.kind.name(),
        "message": failure.message,
        "hint": failure.hint,
        "source": failure.place.as_ref().map(|p| &p.source),
        "line": failure.place.as_ref().and_then(|p| p.line),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_keep_to_their_columns_and_what_matters() {
        let long = "x/".repeat(100) + "rows.ndjson:17";
        let line = tail("  rejects  ", &long);
        assert_eq!(line.width(), COLUMNS);
        assert!(
            line.ends_with("/rows.ndjson:17") && line.contains("  …x/"),
            "{line}"
        );
        assert!(cut(&"漢字".repeat(30)).width() <= COLUMNS);
        let parts: Vec<String> = (0..9).map(|i| format!("{i}23,456,789 rows")).collect();
        let lines = wrapped("rows", &parts);
        assert!(
            lines.len() == 3 && lines.iter().all(|l| l.len() < COLUMNS),
            "{lines:#?}"
        );
    }
}
