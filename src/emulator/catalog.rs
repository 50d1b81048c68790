//! Which tables there are: opened once, then shared by their streams.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, watch};
use tokio::task::JoinHandle;

use crate::schema::{Column, TableName};

use super::EmulatorError;
use super::figures::Figures;
use super::table::{self, Definition, Table};

/// The longest name of a directory.
const NAME_BYTES_MAX: usize = 255;

/// The tables under one directory.
pub(super) struct Catalog {
    dir: PathBuf,
    commit_interval: Duration,
    stopped: watch::Receiver<bool>,
    tables: Mutex<HashMap<TableName, Open>>,
}

struct Open {
    table: Arc<Table>,
    writer: JoinHandle<()>,
}

impl Catalog {
    pub(super) fn new(
        dir: PathBuf,
        commit_interval: Duration,
        stopped: watch::Receiver<bool>,
    ) -> Self {
        Self {
            dir,
            commit_interval,
            stopped,
            tables: Mutex::default(),
        }
    }

    /// The table, or none if there is no such table.
    pub(super) async fn get(&self, name: &TableName) -> Result<Option<Arc<Table>>, EmulatorError> {
        let mut tables = self.tables.lock().await;
        self.get_locked(&mut tables, name).await
    }

    /// Makes a table of these columns unless it exists.
    pub(super) async fn create(
        &self,
        name: &TableName,
        columns: &[Column],
    ) -> Result<bool, EmulatorError> {
        let definition = Definition {
            columns: columns.to_vec(),
            ..Definition::default()
        };
        self.define(name, &definition).await
    }

    /// Makes the table unless it exists; `Ok(true)` if it was made.
    pub(super) async fn define(
        &self,
        name: &TableName,
        definition: &Definition,
    ) -> Result<bool, EmulatorError> {
        let mut tables = self.tables.lock().await;
        if self.get_locked(&mut tables, name).await?.is_some() {
            return Ok(false);
        }
        table::create(&self.path(name)?, name, definition).await?;
        Ok(true)
    }

    /// How large the open tables are, by name.
    pub(super) async fn figures(&self) -> BTreeMap<String, Figures> {
        let tables = self.tables.lock().await;
        let figures = |(name, open): (&TableName, &Open)| (name.to_string(), open.table.figures());
        tables.iter().map(figures).collect()
    }

    /// Waits until streams have no more to write, as they are told to stop, and all of it is
    /// committed. No table is opened meanwhile, or it would have two writers.
    pub(super) async fn close(&self) {
        let mut tables = self.tables.lock().await;
        for (_, Open { table, writer }) in tables.drain() {
            drop(table);
            // A writer that ended abnormally has told its streams.
            let _ = writer.await;
        }
    }

    async fn get_locked(
        &self,
        tables: &mut HashMap<TableName, Open>,
        name: &TableName,
    ) -> Result<Option<Arc<Table>>, EmulatorError> {
        if let Some(open) = tables.get(name) {
            return Ok(Some(open.table.clone()));
        }
        let path = self.path(name)?;
        let opened = table::open(path, name, self.commit_interval, self.stopped.clone()).await?;
        let Some((table, writer)) = opened else {
            return Ok(None);
        };
        let table = Arc::new(table);
        let open = Open {
            table: table.clone(),
            writer,
        };
        tables.insert(name.clone(), open);
        Ok(Some(table))
    }

    /// The directory of a table.
    ///
    /// # Errors
    /// A name that makes no directory of its own: Delta libraries take `%41` in a path for
    /// `A` when they read, and `_delta_log` is the log of a table.
    fn path(&self, name: &TableName) -> Result<PathBuf, EmulatorError> {
        let refuse = |message: String| {
            Err(EmulatorError::Unsupported {
                table: name.to_string(),
                message,
            })
        };
        let mut path = self.dir.clone();
        for part in [name.catalog(), name.schema(), name.table()] {
            if part.len() > NAME_BYTES_MAX {
                return refuse(format!(
                    "has a part of more than {NAME_BYTES_MAX} bytes, the most that a directory's name takes"
                ));
            }
            if part.contains('%') || part == "_delta_log" {
                return refuse(format!(
                    "cannot be a directory here: choose another name for \"{part}\""
                ));
            }
            path.push(part);
        }
        Ok(path)
    }
}
