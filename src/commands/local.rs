//! `ingest --local DIR`: the embedded server in this process. The loader talks to it over a
//! loopback port exactly as to the service, token included.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use super::fetch::Known;
use super::table::Record;
use crate::client::{Credentials, Network, Secret, WorkspaceId};
use crate::emulator::{Emulator, EmulatorError, LocalTable, Options};
use crate::error::{Failure, Kind};
use crate::load::Outcome;
use crate::schema::{CatalogTable, TableName, columns};
use crate::settings::Service;
use crate::transcode::Target;

/// A running server and the one client that it knows.
pub(super) struct Local {
    emulator: Emulator,
    secret: Secret,
}

const CLIENT_ID: &str = "local";

/// Starts the server. Only a record that is declared can make the table.
pub(super) async fn start(
    dir: &Path,
    table: &TableName,
    record: &Record,
) -> Result<Local, Failure> {
    let secret = super::emulator::random_secret();
    let client = (CLIENT_ID.to_owned(), secret.expose().to_owned());
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let emulator = Emulator::start(Options::new(dir, listen, client)).await?;
    let needs = match record {
        Record::Declared(_) => None,
        Record::Json => Some("--json needs a table that exists; a load with --proto makes one"),
        Record::OfTable => Some("--proto declares a record, from which the table is made"),
    };
    if let Some(hint) = needs
        && !emulator.table_exists(table).await?
    {
        let message = format!("table {table} does not exist under {}", dir.display());
        return Err(Failure::new(Kind::NotFound, message).hint(hint));
    }
    Ok(Local { emulator, secret })
}

impl Local {
    /// Whether the table exists.
    pub(super) async fn has_table(&self, table: &TableName) -> Result<bool, Failure> {
        Ok(self.emulator.table_exists(table).await?)
    }

    /// Makes the table from the record if it does not exist. Tells whether it was made.
    pub(super) async fn make_table(
        &self,
        table: &TableName,
        target: &Target,
    ) -> Result<bool, Failure> {
        match target {
            Target::Proto(plan) => {
                let columns = columns::of_record(plan);
                Ok(self.emulator.create_table(table, &columns).await?)
            }
            Target::Json => Ok(false),
        }
    }

    pub(super) fn service(&self) -> Service {
        let url = self.emulator.url().to_owned();
        Service {
            endpoint: url.clone(),
            workspace_url: Some(url),
            workspace_id: WorkspaceId::Known("local".to_owned()),
            credentials: Credentials::Client {
                id: CLIENT_ID.to_owned(),
                secret: self.secret.clone(),
            },
            network: Network::default(),
            shown: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// Ends the server. If that goes wrong, what was acknowledged is in the table all the
    /// same.
    pub(super) async fn end(self, mut outcome: Outcome) -> Outcome {
        if let Some(failure) = &mut outcome.failure
            && failure.kind == Kind::Unavailable
        {
            failure.hint = Some(
                "check the space and the permissions of the directory given by --local".to_owned(),
            );
        }
        if let Err(error) = self.emulator.shutdown().await {
            outcome.failure.get_or_insert(error.into());
        }
        outcome
    }
}

/// What the files say of a table, without a server; whether it has rows, too.
pub(super) async fn read(dir: &Path, table: &TableName) -> Result<(Known, u64), Failure> {
    Ok(match LocalTable::open(&directory(dir, table)).await? {
        Some(table) => {
            let (id, columns) = (None, table.columns);
            (Known::Table(CatalogTable { id, columns }), table.rows)
        }
        None => (Known::Missing, 0),
    })
}

/// Where a table's files are.
pub(super) fn directory(dir: &Path, table: &TableName) -> PathBuf {
    let parts = [table.catalog(), table.schema(), table.table()];
    dir.join(parts.iter().collect::<PathBuf>())
}

impl From<EmulatorError> for Failure {
    fn from(error: EmulatorError) -> Self {
        if let EmulatorError::Sql(error) = error {
            let mut failure = Failure::new(Kind::Schema, error.to_string());
            failure.hint = error.hint;
            return failure;
        }
        let (kind, hint) = if error.is_locked() {
            (
                Kind::Locked,
                Some("end the other process, or use another directory"),
            )
        } else {
            (Kind::Output, None)
        };
        let mut failure = Failure::new(kind, error.to_string());
        failure.hint = hint.map(str::to_owned);
        failure
    }
}
