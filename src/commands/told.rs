//! What the end of a load is told with.

use std::sync::Arc;

use super::grants;
use crate::cli::IngestArgs;
use crate::error::{Failure, Kind};
use crate::load::{self, Outcome};
use crate::report::{Metrics, write_line};
use crate::schema::TableName;
use crate::settings::Service;

/// What is kept of a load for the telling of its end, whatever ends it.
pub(super) struct Told {
    pub(super) metrics: Option<Arc<Metrics>>,
    /// The settings without secrets.
    settings: Option<String>,
    client_id: Option<String>,
}

impl Told {
    /// A dry run is no load, and has no figures.
    pub(super) fn new(args: &IngestArgs) -> Self {
        let path = args.metrics_file.as_ref().filter(|_| !args.dry_run);
        let table = args.table.to_string();
        Self {
            metrics: path.map(|path| Arc::new(Metrics::new(path, &table))),
            settings: None,
            client_id: None,
        }
    }

    /// Writes the figures of a load that has ended with this exit code; not those of one that
    /// another load has kept from running, which has figures of its own.
    pub(super) fn end(&self, outcome: &Outcome, exit_code: u8) {
        let locked = outcome
            .failure
            .as_ref()
            .is_some_and(|f| f.kind == Kind::Locked);
        let Some(metrics) = self.metrics.as_ref().filter(|_| !locked) else {
            return;
        };
        if let Err(why) = metrics.end(outcome, exit_code) {
            write_line(&format!("warning: {why}"));
        }
    }

    pub(super) fn keep(&mut self, service: &Service) {
        self.settings = (!service.shown.is_empty()).then(|| service.line());
        self.client_id = service.credentials.client_id().map(str::to_owned);
    }

    /// Adds to refused credentials what was shown, and what would grant the privileges.
    pub(super) fn explain(&self, failure: &mut Failure, table: &TableName) {
        if failure.kind != Kind::Credentials {
            return;
        }
        let Some(settings) = &self.settings else {
            return;
        };
        if load::lacks_privileges(failure) && !failure.message.contains("GRANT ") {
            let grants = grants::statements(table, self.client_id.as_deref());
            for grant in grants {
                failure.add_to_hint(&format!("  {grant}"));
            }
        }
        failure.add_to_hint(&format!("with: {settings}"));
    }
}
