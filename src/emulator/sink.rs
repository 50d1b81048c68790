//! The Delta side of a table: rows into Parquet files, files into commits.
//!
//! A commit is one more file in the log and nothing else: appended rows conflict with
//! nothing, and to read the table's state again for each commit would make a table of
//! many commits slower with every one. Nothing of that state is held between commits but
//! the list of small files, so memory does not grow with them.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use deltalake_core::arrow::array::RecordBatch;
use deltalake_core::arrow::datatypes::SchemaRef;
use deltalake_core::checkpoints::create_checkpoint;
use deltalake_core::kernel::transaction::{CommitData, TransactionError};
use deltalake_core::kernel::{Action, Metadata, Version};
use deltalake_core::logstore::{CommitOrBytes, LogStoreRef};
use deltalake_core::parquet::basic::Compression;
use deltalake_core::parquet::file::properties::WriterProperties;
use deltalake_core::protocol::{DeltaOperation, SaveMode};
use deltalake_core::table::config::TablePropertiesExt as _;
use deltalake_core::writer::{DeltaWriter, RecordBatchWriter};
use deltalake_core::{DeltaTable, DeltaTableBuilder, DeltaTableError, ensure_table_uri};
use futures_util::StreamExt as _;
use uuid::Uuid;

use crate::schema::Column;

use super::delta_types::from_delta;
use super::figures::Figures;
use super::support;
use super::upkeep::{Merge, Merged, SmallFile, SmallFiles};

/// What the Parquet writer holds of one file before it goes to the disk.
const ROW_GROUP_BYTES_MAX: usize = 64 << 20;
/// Versions between two checkpoints of the log.
const CHECKPOINT_INTERVAL: Version = 100;
/// Attempts at a commit while someone else commits to the table too.
const COMMIT_ATTEMPTS: usize = 10;

/// Why a table cannot be opened for appending.
#[derive(Debug, thiserror::Error)]
pub(super) enum OpenError {
    /// It asks of its writers what this server does not do.
    #[error("cannot be written: {0}")]
    Unsupported(String),
    /// It cannot be read.
    #[error("cannot be opened: {0}")]
    Delta(#[from] DeltaTableError),
}

/// A table open for appending.
pub(super) struct Sink {
    path: PathBuf,
    log: LogStoreRef,
    writer: RecordBatchWriter,
    /// Writes merged files; none while a merge has it.
    merger: Option<RecordBatchWriter>,
    columns: Vec<Column>,
    metadata: Metadata,
    small: SmallFiles,
    /// The last version that is known to exist.
    version: Version,
    /// The table's size at `version`.
    pub(super) figures: Figures,
    /// The last version that was thought of for a checkpoint.
    maintained: Version,
    /// Whether files that were replaced long ago have been looked for since the opening.
    swept: bool,
}

impl Sink {
    /// Opens the table at a directory.
    ///
    /// # Errors
    /// There is no table, or one that this server cannot write.
    pub(super) async fn open(path: &Path) -> Result<Self, OpenError> {
        let table = load(path).await?;
        let state = table.snapshot()?;
        if let Some(why) = support::refusal(state) {
            return Err(OpenError::Unsupported(why));
        }
        let columns = from_delta(state.schema().as_ref()).map_err(OpenError::Unsupported)?;
        let mut small = SmallFiles::default();
        for file in state.log_data().iter() {
            if file.deletion_vector_descriptor().is_none() {
                let rows = file.num_records().and_then(|rows| u64::try_from(rows).ok());
                small.push(SmallFile::new(&file.path(), file.size(), rows));
            }
        }
        let version = state.version();
        Ok(Self {
            path: path.to_owned(),
            log: table.log_store(),
            writer: writer(&table)?,
            merger: Some(writer(&table)?),
            columns,
            metadata: state.metadata().clone(),
            small,
            version,
            figures: Figures::of(&table)?,
            maintained: version,
            swept: false,
        })
    }

    /// The columns of the table.
    pub(super) fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// What else the log says of the table as a whole.
    pub(super) fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// The Arrow schema that batches must have.
    pub(super) fn schema(&self) -> SchemaRef {
        self.writer.arrow_schema()
    }

    /// Adds rows to the next commit.
    pub(super) async fn write(&mut self, batches: Vec<RecordBatch>) -> Result<(), DeltaTableError> {
        for batch in batches {
            self.writer.write(batch).await?;
        }
        Ok(())
    }

    /// Forgets the rows that were written and not committed.
    pub(super) fn reset(&mut self) {
        self.writer.reset();
    }

    /// Commits the rows that were written, if any.
    pub(super) async fn commit(&mut self) -> Result<(), DeltaTableError> {
        if self.writer.buffered_record_batch_count() == 0 {
            return Ok(());
        }
        let adds = self.writer.flush().await?;
        let actions = adds.into_iter().map(Action::Add).collect();
        let operation = DeltaOperation::Write {
            mode: SaveMode::Append,
            partition_by: None,
            predicate: None,
        };
        self.append(actions, operation, &[]).await?;
        Ok(())
    }

    /// The next merge of small files, if one is due; to be run elsewhere.
    pub(super) fn merge(&mut self) -> Option<Merge> {
        Some(Merge {
            files: self.small.due()?,
            table: self.path.clone(),
            writer: self.merger.take(),
        })
    }

    /// Puts a merged file in the place of the small ones, unless someone else has taken
    /// one of those out of the table meanwhile.
    pub(super) async fn replace(&mut self, merged: Merged) -> Result<(), DeltaTableError> {
        let operation = DeltaOperation::Optimize {
            predicate: None,
            target_size: 0,
        };
        let replaced = self
            .append(merged.actions(), operation, &merged.files)
            .await;
        if !matches!(replaced, Ok(true)) {
            // Otherwise the same files would be merged again and again.
            self.small.forget(&merged.files);
        }
        if let Ok(false) = replaced {
            merged.discard(&self.path);
        }
        self.merger = Some(merged.writer);
        replaced.map(|_| ())
    }

    /// Leaves files that cannot be merged as they are.
    pub(super) fn forget(&mut self, files: &[SmallFile]) {
        self.small.forget(files);
    }

    /// Appends an entry to the log, if `needed` are still files of the table.
    async fn append(
        &mut self,
        actions: Vec<Action>,
        operation: DeltaOperation,
        needed: &[SmallFile],
    ) -> Result<bool, DeltaTableError> {
        let data = CommitData::new(actions, operation, HashMap::new(), Vec::new());
        let entry = data.get_bytes()?;
        // A commit onto a log that has gone, with its directory, could be read by nobody.
        if self.log.read_commit_entry(self.version).await?.is_none() {
            return Err(DeltaTableError::Generic(format!(
                "the table's log has gone: version {} is not there any more",
                self.version
            )));
        }
        for _ in 0..COMMIT_ATTEMPTS {
            if !self.small.has_all(needed) {
                return Ok(false);
            }
            let next = self.version + 1;
            let bytes = CommitOrBytes::LogBytes(entry.clone());
            let log = self.log.clone();
            match log.write_commit_entry(next, bytes, Uuid::new_v4()).await {
                Ok(()) => {
                    self.version = next;
                    self.figures = self.figures.after(next, &data.actions);
                    self.small.apply(&data.actions);
                    return Ok(true);
                }
                Err(TransactionError::VersionAlreadyExists(_)) => self.catch_up().await?,
                Err(error) => return Err(error.into()),
            }
        }
        Err(TransactionError::MaxCommitAttempts(COMMIT_ATTEMPTS as i32).into())
    }

    /// Writes a checkpoint when one is due, so that readers need not read every commit.
    /// Before it, and once after the opening, files that were merged into others longer
    /// ago than the table keeps them are deleted: a checkpoint forgets them.
    pub(super) async fn maintain(&mut self) -> Result<(), DeltaTableError> {
        let due = self.version / CHECKPOINT_INTERVAL > self.maintained / CHECKPOINT_INTERVAL;
        self.maintained = self.version;
        if due || !self.swept {
            self.swept = true;
            let table = load(&self.path).await?;
            self.sweep(&table).await?;
            if due {
                create_checkpoint(&table, None).await?;
            }
        }
        Ok(())
    }

    async fn sweep(&self, table: &DeltaTable) -> Result<(), DeltaTableError> {
        let state = table.snapshot()?;
        let keep = state.table_config().deleted_file_retention_duration();
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let before = now.unwrap_or_default().saturating_sub(keep).as_millis();
        let mut expired = HashSet::new();
        let mut removed = state.all_tombstones(self.log.as_ref());
        while let Some(file) = removed.next().await {
            let file = file?;
            // Rows that someone has deleted are theirs to remove for good.
            let old = file
                .deletion_timestamp()
                .is_some_and(|at| u128::try_from(at).is_ok_and(|at| at < before));
            if old && !file.data_change() {
                expired.extend(SmallFile::new(&file.path(), 0, Some(0)).map(|f| f.path));
            }
        }
        for file in state.log_data().iter() {
            expired.remove(file.path().as_ref());
        }
        for path in expired {
            // Most have gone before; one that cannot be deleted harms nobody.
            let _ = std::fs::remove_file(self.path.join(path));
        }
        Ok(())
    }

    /// Someone else has committed: rows may still be appended if the table is as it was.
    async fn catch_up(&mut self) -> Result<(), DeltaTableError> {
        let fresh = match Self::open(&self.path).await {
            Ok(fresh) => fresh,
            Err(OpenError::Delta(error)) => return Err(error),
            Err(OpenError::Unsupported(why)) => {
                let changed = format!("another writer has changed the table: {why}");
                return Err(DeltaTableError::Generic(changed));
            }
        };
        if fresh.schema() != self.schema() {
            return Err(DeltaTableError::Generic(
                "another writer has changed the table's columns".into(),
            ));
        }
        self.version = fresh.version;
        self.small = fresh.small;
        self.figures = fresh.figures;
        Ok(())
    }
}

/// Reads the table's log.
pub(super) async fn load(path: &Path) -> Result<DeltaTable, DeltaTableError> {
    let location = path
        .to_str()
        .ok_or_else(|| DeltaTableError::Generic(format!("path {} is not UTF-8", path.display())))?;
    DeltaTableBuilder::from_url(ensure_table_uri(location)?)?
        .load()
        .await
}

/// A writer of the table's files.
pub(super) fn writer(table: &DeltaTable) -> Result<RecordBatchWriter, DeltaTableError> {
    let properties = WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .set_max_row_group_bytes(Some(ROW_GROUP_BYTES_MAX))
        .build();
    Ok(RecordBatchWriter::for_table(table)?.with_writer_properties(properties))
}

#[cfg(test)]
mod tests;
