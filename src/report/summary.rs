//! The summary of a load, for people and for scripts.

use serde_json::{Value, json};

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
        lines.push(format!("  rows     {}", parts.join(", ")));
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
            lines.push(format!("  {title:<8} {rows} x {}", seen.reason));
            let first = if seen.rows == 1 { "at" } else { "first at" };
            lines.push(format!(
                "  {:<8} {:<w$}   {first} {source}:{line}",
                "",
                "",
                w = rows.len()
            ));
        }
        if self.outcome.other_reasons > 0 {
            let others = count(self.outcome.other_reasons);
            lines.push(format!("  {:<8} {others} x for other reasons", ""));
        }
        if let Some(file) = &self.rejects_file
            && records.rejected > 0
        {
            lines.push(format!("  rejects  {file}"));
        }
        lines.iter_mut().for_each(shorten);
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

/// A line that would be too long ends in an ellipsis; what moves the cursor is written out.
fn shorten(line: &mut String) {
    *line = super::printable(line).replace('\n', "\\n");
    if let Some((end, _)) = line.char_indices().nth(COLUMNS) {
        let keep = line[..end].char_indices().nth(COLUMNS - 1);
        line.truncate(keep.map_or(end, |(end, _)| end));
        line.push('…');
    }
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
