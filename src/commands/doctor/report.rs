//! What `zerobus doctor` has found, for people and for scripts.

use serde_json::{Value, json};

use crate::error::Failure;
use crate::report::printable;

/// How a step has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    Ok,
    Failed,
    /// It depends on one that failed, or on what is not given.
    Skipped,
}

pub(super) struct Step {
    pub(super) name: &'static str,
    pub(super) status: Status,
    /// Lines; the first one says it all.
    detail: Vec<String>,
    hint: Option<String>,
}

/// The steps so far.
#[derive(Default)]
pub(super) struct Report {
    pub(super) steps: Vec<Step>,
    pub(super) settings: Vec<Value>,
    pub(super) grants: Vec<String>,
}

impl Report {
    pub(super) fn ok(&mut self, name: &'static str, detail: impl Into<String>) {
        self.push(name, Status::Ok, vec![detail.into()], None);
    }

    pub(super) fn skipped(&mut self, name: &'static str, why: &str) {
        self.push(name, Status::Skipped, vec![why.to_owned()], None);
    }

    pub(super) fn failed(&mut self, name: &'static str, failure: &Failure) {
        let place = failure
            .place
            .as_ref()
            .map_or(String::new(), |p| format!("{p}: "));
        let mut detail = vec![format!("{place}{}", failure.message)];
        detail.extend(failure.causes.iter().map(|c| format!("caused by: {c}")));
        self.push(name, Status::Failed, detail, failure.hint.clone());
    }

    pub(super) fn push(
        &mut self,
        name: &'static str,
        status: Status,
        detail: Vec<String>,
        hint: Option<String>,
    ) {
        self.steps.push(Step {
            name,
            status,
            detail,
            hint,
        });
    }

    pub(super) fn is_well(&self) -> bool {
        self.steps.iter().all(|step| step.status != Status::Failed)
    }

    pub(super) fn text(&self) -> String {
        let mut lines = Vec::new();
        for step in &self.steps {
            let mark = match step.status {
                Status::Ok => '✓',
                Status::Failed => '✗',
                Status::Skipped => '-',
            };
            let mut detail = step.detail.iter();
            let first = detail.next().map_or("", String::as_str);
            lines.push(format!("{mark} {:<9} {first}", step.name));
            lines.extend(detail.map(|line| format!("            {line}")));
            lines.extend(
                step.hint
                    .iter()
                    .map(|hint| format!("            hint: {hint}")),
            );
            if step.status == Status::Failed && matches!(step.name, "token" | "table" | "stream") {
                lines.extend(self.grants.iter().map(|g| format!("              {g}")));
            }
        }
        let failed = self.steps.iter().filter(|s| s.status == Status::Failed);
        lines.push(match failed.map(|s| s.name).collect::<Vec<_>>() {
            none if none.is_empty() => "all is well, as far as it was checked".to_owned(),
            names => format!("to be mended: {}", names.join(", ")),
        });
        lines
            .iter()
            .map(|line| format!("{}\n", printable(line)))
            .collect()
    }

    pub(super) fn json(&self) -> String {
        let step = |step: &Step| {
            json!({
                "name": step.name,
                "status": match step.status {
                    Status::Ok => "ok",
                    Status::Failed => "failed",
                    Status::Skipped => "skipped",
                },
                "detail": step.detail.join("\n"),
                "hint": step.hint,
            })
        };
        let steps: Vec<Value> = self.steps.iter().map(step).collect();
        let report = json!({
            "ok": self.is_well(),
            "settings": self.settings,
            "steps": steps,
            "grants": self.grants,
        });
        format!("{report}\n")
    }
}
