//! Keeps what a table's log has piled up small: checkpoints, so that readers need not read
//! every entry; entries and checkpoints that nobody needs; files that merges have replaced.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use deltalake_core::checkpoints::create_checkpoint;
use deltalake_core::kernel::Version;
use deltalake_core::table::config::TablePropertiesExt as _;
use deltalake_core::{DeltaTable, DeltaTableError};
use futures_util::StreamExt as _;

use super::upkeep::SmallFile;
use super::{log, sink};

/// Versions between two checkpoints of a small table.
const CHECKPOINT_VERSIONS_MIN: u64 = 100;
/// Removed files that put the next checkpoint off by one version: it lists them all.
const TOMBSTONES_PER_VERSION: u64 = 10;
/// The last checkpoints, which readers may just be reading.
const CHECKPOINTS_KEPT: usize = 2;
const DAY: Duration = Duration::from_secs(86_400);

/// Whether the table is to have another checkpoint.
pub(super) fn is_due(version: Version, checkpointed: Version, tombstones: u64) -> bool {
    let interval = CHECKPOINT_VERSIONS_MIN.max(tombstones / TOMBSTONES_PER_VERSION);
    version.saturating_sub(checkpointed) >= interval
}

/// The version of the last checkpoint, as the log has it; 0 if there is none.
pub(super) fn last_checkpoint(table: &Path) -> Version {
    let hint = std::fs::read(log::directory(table).join("_last_checkpoint"));
    let hint = hint
        .ok()
        .and_then(|text| serde_json::from_slice(&text).ok());
    let version = hint.and_then(|hint: serde_json::Value| hint["version"].as_u64());
    version.unwrap_or(0)
}

/// A look after the log of a table, to be run beside its commits.
pub(super) struct Maintenance {
    pub(super) table: PathBuf,
    pub(super) checkpointed: Version,
}

/// What came of it.
pub(super) struct Maintained {
    pub(super) checkpointed: Version,
    /// Removed files that the log still tells of.
    pub(super) tombstones: u64,
}

impl Maintenance {
    /// Deletes what merges have replaced, and writes a checkpoint if one is due: after it
    /// the log forgets what was deleted. It blocks: not for an async thread.
    pub(super) async fn run(self) -> Result<Maintained, DeltaTableError> {
        let table = sink::load(&self.table).await?;
        let tombstones = sweep(&self.table, &table).await?;
        let version = table.snapshot()?.version();
        let mut checkpointed = self.checkpointed;
        if is_due(version, checkpointed, tombstones) {
            create_checkpoint(&table, None).await?;
            checkpointed = version;
            tidy(&self.table, &table, version)?;
        }
        Ok(Maintained {
            checkpointed,
            tombstones,
        })
    }
}

/// Deletes files of this server that were merged into others longer ago than the table keeps
/// them, and counts the removed files. Rows that someone has deleted, and files that others
/// have written, are theirs to remove for good.
async fn sweep(path: &Path, table: &DeltaTable) -> Result<u64, DeltaTableError> {
    let state = table.snapshot()?;
    let keep = state.table_config().deleted_file_retention_duration();
    let before = now().saturating_sub(keep).as_millis();
    let mut expired = HashSet::new();
    let mut tombstones = 0;
    let log = table.log_store();
    let mut removed = state.all_tombstones(log.as_ref());
    while let Some(file) = removed.next().await {
        let file = file?;
        tombstones += 1;
        let old = file
            .deletion_timestamp()
            .is_some_and(|at| u128::try_from(at).is_ok_and(|at| at < before));
        if old && !file.data_change() && file.path().starts_with(sink::FILE_PREFIX) {
            expired.extend(SmallFile::new(&file.path(), 0, Some(0)).map(|f| f.path));
        }
    }
    for file in state.log_data().iter() {
        expired.remove(file.path().as_ref());
    }
    for file in expired {
        // Most have gone before; one that cannot be deleted harms nobody.
        let _ = std::fs::remove_file(path.join(file));
    }
    Ok(tombstones)
}

/// Brings a new checkpoint to the disk, then deletes what it makes superfluous.
fn tidy(path: &Path, table: &DeltaTable, version: Version) -> Result<(), DeltaTableError> {
    let directory = log::directory(path);
    let mut files = Vec::new();
    for file in std::fs::read_dir(&directory)? {
        let file = file?;
        let Ok(name) = file.file_name().into_string() else {
            continue;
        };
        // Checkpoints of other writers may share files among them.
        if name == "_sidecars" {
            return Ok(());
        }
        // Deleted meanwhile by someone else.
        let Ok(modified) = file.metadata().and_then(|file| file.modified()) else {
            continue;
        };
        let modified = modified.duration_since(UNIX_EPOCH).unwrap_or_default();
        files.extend(LogFile::new(name, modified));
    }
    for file in &files {
        if (file.version, file.kind) == (version, Kind::Checkpoint) {
            log::sync(&directory.join(&file.name))?;
        }
    }
    log::sync(&directory)?;
    let config = table.snapshot()?.table_config();
    let retention = config.enable_expired_log_cleanup();
    let retention = retention.then(|| config.log_retention_duration());
    for name in superfluous(files, now(), retention) {
        let _ = std::fs::remove_file(directory.join(name));
    }
    Ok(())
}

fn now() -> Duration {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.unwrap_or_default()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Entry,
    Checkpoint,
    /// Of an entry that was never made.
    Draft,
}

#[derive(Debug)]
struct LogFile {
    name: String,
    version: Version,
    kind: Kind,
    /// Since the epoch.
    modified: Duration,
}

impl LogFile {
    /// None: nothing that is known.
    fn new(name: String, modified: Duration) -> Option<Self> {
        let (version, kind) = match name.split_once('.')? {
            ("", rest) if rest.ends_with(".tmp") => (0, Kind::Draft),
            (version, "json") => (version.parse().ok()?, Kind::Entry),
            (version, rest) if rest.starts_with("checkpoint.") => {
                (version.parse().ok()?, Kind::Checkpoint)
            }
            _ => return None,
        };
        Some(Self {
            name,
            version,
            kind,
            modified,
        })
    }
}

/// The names of files in a log that nobody needs: with a `retention`, each version younger
/// than that can still be read, from the checkpoint before it on. One checkpoint of each day
/// is kept for that; those between are of no use to it but speed.
fn superfluous(files: Vec<LogFile>, now: Duration, retention: Option<Duration>) -> Vec<String> {
    let mut checkpoints: Vec<(Version, u64)> = files
        .iter()
        .filter(|file| file.kind == Kind::Checkpoint)
        .map(|file| (file.version, file.modified.as_secs() / DAY.as_secs()))
        .collect();
    checkpoints.sort_unstable();
    checkpoints.dedup_by_key(|(version, _)| *version);
    let Some(last) = checkpoints.len().checked_sub(CHECKPOINTS_KEPT) else {
        return Vec::new();
    };
    let Some(&(last, _)) = checkpoints.get(last) else {
        return Vec::new();
    };
    let base = retention.and_then(|retention| {
        let since = now.saturating_sub(retention);
        let entries = files.iter().filter(|file| file.kind == Kind::Entry);
        let young = entries.filter(|file| file.modified >= since);
        let first = young
            .map(|file| file.version)
            .min()
            .unwrap_or(last)
            .min(last);
        let before = checkpoints.iter().map(|(version, _)| *version);
        before.take_while(|version| *version <= first).last()
    });
    let base = base.unwrap_or(0);
    let mut kept = HashSet::new();
    let mut day_before = None;
    for (version, day) in checkpoints
        .into_iter()
        .filter(|(version, _)| *version >= base)
    {
        if day_before.replace(day) != Some(day) || version >= last {
            kept.insert(version);
        }
    }
    let needed = |file: &LogFile| match file.kind {
        Kind::Entry => file.version >= base,
        Kind::Checkpoint => kept.contains(&file.version),
        Kind::Draft => file.modified + DAY > now,
    };
    let files = files.into_iter().filter(|file| !needed(file));
    files.map(|file| file.name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A log of an entry for each hour, with a checkpoint every ten.
    fn log(hours: u64) -> Vec<LogFile> {
        let mut files = Vec::new();
        for version in 0..hours {
            let modified = Duration::from_secs(version * 3_600);
            files.extend(LogFile::new(format!("{version:020}.json"), modified));
            if version % 10 == 0 && version > 0 {
                let name = format!("{version:020}.checkpoint.parquet");
                files.extend(LogFile::new(name, modified));
            }
        }
        files
    }

    fn left(hours: u64, retention: Option<Duration>) -> (Vec<u64>, Vec<u64>) {
        let gone = superfluous(log(hours), Duration::from_secs(hours * 3_600), retention);
        let mut left = log(hours);
        left.retain(|file| !gone.contains(&file.name));
        let of = |kind: Kind| {
            let files = left.iter().filter(|file| file.kind == kind);
            files.map(|file| file.version).collect()
        };
        (of(Kind::Entry), of(Kind::Checkpoint))
    }

    #[test]
    fn every_version_that_the_table_keeps_can_still_be_read() {
        // Nothing is old enough, but checkpoints are many.
        let (entries, checkpoints) = left(105, Some(30 * DAY));
        assert_eq!(entries.len(), 105);
        assert_eq!(checkpoints, [10, 30, 50, 80, 90, 100]);
        // Version 57 is two days old, and the checkpoint of 50 the last one before it.
        let (entries, checkpoints) = left(105, Some(2 * DAY));
        assert_eq!(entries, (50..105).collect::<Vec<_>>());
        assert_eq!(checkpoints, [50, 80, 90, 100]);
        let (entries, checkpoints) = left(105, Some(Duration::ZERO));
        assert_eq!(entries, (90..105).collect::<Vec<_>>());
        assert_eq!(checkpoints, [90, 100]);
        // A table that keeps its log for ever.
        assert_eq!(left(105, None).0.len(), 105);
        // One checkpoint, or none: nothing can be spared.
        assert_eq!(left(15, Some(Duration::ZERO)).0.len(), 15);
        assert_eq!(left(5, Some(Duration::ZERO)).0.len(), 5);
    }

    #[test]
    fn what_is_not_known_is_left_alone() {
        let file = |name: &str| LogFile::new(name.to_owned(), Duration::ZERO);
        for name in [
            "_last_checkpoint",
            "00000000000000000007.crc",
            "x.json",
            "a",
        ] {
            assert!(file(name).is_none(), "{name}");
        }
        assert_eq!(file(".f00.tmp").unwrap().kind, Kind::Draft);
    }

    #[test]
    fn checkpoints_grow_apart_with_what_they_list() {
        assert!(!is_due(99, 0, 0) && is_due(100, 0, 0));
        assert!(!is_due(5_099, 100, 50_000) && is_due(5_100, 100, 50_000));
    }
}
