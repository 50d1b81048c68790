//! The tables under the server's directory and how large they are: the open ones as their
//! writers say, the others as their Delta logs do.
//!
//! The others are looked for only while somebody asks, and not more often than every few
//! seconds; a log is read again only if it has changed. They are read and not opened, so
//! that looking at them locks nothing and starts no writer.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use deltalake_core::{DeltaTableBuilder, DeltaTableError, ensure_table_uri};
use serde::Serialize;
use tokio::time::timeout;

use crate::schema::TableName;

use super::super::catalog::Catalog;
use super::super::figures::Figures;
use super::lock;

/// Tables that are shown.
const TABLES_MAX: usize = 500;
/// Least time between two looks at the directory.
const LOOK_INTERVAL: Duration = Duration::from_secs(5);
/// How long somebody who asks waits for a look; it goes on without him.
const LOOK_WAIT: Duration = Duration::from_secs(1);

/// The tables in the order of their names.
#[derive(Default, Serialize)]
pub(super) struct Tables {
    shown: Vec<TableReport>,
    /// There are more tables in the directory.
    more: bool,
}

#[derive(Serialize)]
struct TableReport {
    name: String,
    /// Whether a stream has been opened to it since the server's start.
    open: bool,
    #[serde(flatten)]
    figures: Option<Figures>,
    /// Why there are no figures; empty if there are.
    problem: String,
}

/// What is known of the tables.
pub(super) struct Directory {
    dir: PathBuf,
    catalog: Arc<Catalog>,
    /// When the last look has ended; held during one.
    looked: Arc<tokio::sync::Mutex<Option<Instant>>>,
    found: Mutex<Found>,
}

#[derive(Clone, Default)]
struct Found {
    tables: BTreeMap<String, Arc<OnDisk>>,
    more: bool,
}

/// A table as its log was read.
struct OnDisk {
    path: PathBuf,
    /// When the log's directory last changed, before it was read.
    changed: Option<SystemTime>,
    figures: Result<Figures, String>,
}

impl Directory {
    pub(super) fn new(dir: PathBuf, catalog: Arc<Catalog>) -> Arc<Self> {
        Arc::new(Self {
            dir,
            catalog,
            looked: Arc::default(),
            found: Mutex::default(),
        })
    }

    /// The tables as they are known now.
    pub(super) async fn tables(self: &Arc<Self>) -> Tables {
        let open = self.catalog.figures().await;
        self.look_if_due(&open).await;
        let found = lock(&self.found).clone();
        let on_disk = found.tables.iter().map(|(name, table)| {
            let figures = table.figures.as_ref();
            let problem = figures.err().cloned().unwrap_or_default();
            let report = TableReport {
                name: name.clone(),
                open: false,
                figures: figures.ok().copied(),
                problem,
            };
            (name.clone(), report)
        });
        let open = open.into_iter().map(|(name, figures)| {
            let report = TableReport {
                name: name.clone(),
                open: true,
                figures: Some(figures),
                problem: String::new(),
            };
            (name, report)
        });
        let tables: BTreeMap<_, _> = on_disk.chain(open).collect();
        let more = found.more || tables.len() > TABLES_MAX;
        let shown = tables.into_values().take(TABLES_MAX).collect();
        Tables { shown, more }
    }

    async fn look_if_due(self: &Arc<Self>, open: &BTreeMap<String, Figures>) {
        // Somebody else is looking: what was known before serves.
        let Ok(mut looked) = self.looked.clone().try_lock_owned() else {
            return;
        };
        if looked.is_some_and(|looked| looked.elapsed() < LOOK_INTERVAL) {
            return;
        }
        let directory = self.clone();
        let open: Vec<String> = open.keys().cloned().collect();
        let look = tokio::spawn(async move {
            directory.look(&open).await;
            *looked = Some(Instant::now());
        });
        let _ = timeout(LOOK_WAIT, look).await;
    }

    async fn look(&self, open: &[String]) {
        let dir = self.dir.clone();
        let names = tokio::task::spawn_blocking(move || names(&dir));
        let Ok(names) = names.await else { return };
        let more = names.len() > TABLES_MAX;
        let known = lock(&self.found).tables.clone();
        let mut tables = BTreeMap::new();
        for (name, path) in names.into_iter().take(TABLES_MAX) {
            if open.contains(&name) {
                continue;
            }
            let log = fs::metadata(path.join("_delta_log"));
            let changed = log.and_then(|log| log.modified()).ok();
            let table = match known.get(&name) {
                Some(table) if table.changed == changed && table.path == path => table.clone(),
                _ => Arc::new(OnDisk {
                    figures: read(&path).await.map_err(|error| error.to_string()),
                    path,
                    changed,
                }),
            };
            tables.insert(name, table);
        }
        *lock(&self.found) = Found { tables, more };
    }
}

/// The tables' names and directories, one more than are shown if there are more.
fn names(dir: &Path) -> Vec<(String, PathBuf)> {
    let subdirectories = |dir: PathBuf| {
        let entries = fs::read_dir(dir).into_iter().flatten().flatten();
        let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
        paths.sort();
        paths.into_iter().filter(|path| path.is_dir())
    };
    subdirectories(dir.to_owned())
        .flat_map(subdirectories)
        .flat_map(subdirectories)
        .filter(|path| path.join("_delta_log").is_dir())
        .filter_map(|path| Some((name(dir, &path)?, path)))
        .take(TABLES_MAX + 1)
        .collect()
}

/// The name of the table in a directory; none if a table cannot be called that.
fn name(dir: &Path, path: &Path) -> Option<String> {
    let path = path.strip_prefix(dir).ok()?.to_str()?;
    let name: TableName = path.replace('/', ".").parse().ok()?;
    Some(name.to_string())
}

async fn read(path: &Path) -> Result<Figures, DeltaTableError> {
    let url = ensure_table_uri(path.to_str().unwrap_or_default())?;
    let table = DeltaTableBuilder::from_url(url)?.load().await?;
    Figures::of(&table)
}
