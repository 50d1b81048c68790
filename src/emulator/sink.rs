//! The Delta side of a table: rows into Parquet files, files into commits.
//!
//! A commit is one more file in the log and nothing else: appended rows conflict with
//! nothing, and to read the table's state again for each commit would make a table of
//! many commits slower with every one. Nothing of that state is held between commits but
//! the list of small files, so memory does not grow with them.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use deltalake_core::arrow::array::RecordBatch;
use deltalake_core::arrow::datatypes::SchemaRef;
use deltalake_core::kernel::transaction::{CommitData, TransactionError};
use deltalake_core::kernel::{Action, Add, Metadata, Version};
use deltalake_core::parquet::basic::Compression;
use deltalake_core::parquet::file::properties::WriterProperties;
use deltalake_core::protocol::{DeltaOperation, SaveMode};
use deltalake_core::writer::{DeltaWriter, RecordBatchWriter};
use deltalake_core::{DeltaTable, DeltaTableBuilder, DeltaTableError};
use reqwest::Url;

use crate::schema::Column;

use super::chores::{Chore, Done};
use super::delta_types::from_delta;
use super::figures::Figures;
use super::log::{self, Stamp};
use super::maintain::{self, Maintained, Maintenance};
use super::upkeep::{Merge, Merged, SmallFile, SmallFiles, discard, same_columns};
use super::{bounds, support};

/// What the names of this server's files begin with.
pub(super) const FILE_PREFIX: &str = "zerobus-";
/// What the Parquet writer holds of one file before it goes to the disk.
const ROW_GROUP_BYTES_MAX: usize = 64 << 20;
/// Attempts at a commit while someone else commits to the table too.
const COMMIT_ATTEMPTS: usize = 10;
/// Attempts at reading a log: it is listed in several steps, and under a steady load the
/// steps may not fit together.
const LOAD_ATTEMPTS: usize = 8;

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
    writer: RecordBatchWriter,
    /// Writes merged files; none while a merge has it.
    merger: Option<RecordBatchWriter>,
    columns: Vec<Column>,
    metadata: Metadata,
    small: SmallFiles,
    /// The last version that is known to exist.
    version: Version,
    /// Its entry; none if only a checkpoint tells of it.
    entry: Option<Stamp>,
    /// The table's size at `version`.
    pub(super) figures: Figures,
    /// The version of the last checkpoint that was written or thought of.
    checkpointed: Version,
    /// Removed files in the log; none: not looked for since the opening.
    tombstones: Option<u64>,
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
            writer: writer(&table)?,
            merger: Some(writer(&table)?),
            columns,
            metadata: state.metadata().clone(),
            small,
            version,
            entry: Stamp::of(path, version).map_err(DeltaTableError::from)?,
            figures: Figures::of(&table)?,
            checkpointed: maintain::last_checkpoint(path),
            tombstones: None,
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

    /// Commits the rows that were written, if any.
    pub(super) async fn commit(&mut self) -> Result<(), DeltaTableError> {
        if self.writer.buffered_record_batch_count() == 0 {
            return Ok(());
        }
        let adds = flush(&self.path, &mut self.writer).await?;
        let actions = adds.into_iter().map(Action::Add).collect();
        let operation = DeltaOperation::Write {
            mode: SaveMode::Append,
            partition_by: None,
            predicate: None,
        };
        self.append(actions, operation, &[]).await?;
        Ok(())
    }

    /// What is to be done beside the commits next, if anything.
    pub(super) fn chore(&mut self) -> Option<Chore> {
        let due = self
            .tombstones
            .is_none_or(|tombstones| maintain::is_due(self.version, self.checkpointed, tombstones));
        if due {
            return Some(Chore::Maintain(Maintenance {
                table: self.path.clone(),
                checkpointed: self.checkpointed,
            }));
        }
        self.merge().map(Box::new).map(Chore::Merge)
    }

    fn merge(&mut self) -> Option<Merge> {
        Some(Merge {
            files: self.small.due()?,
            table: self.path.clone(),
            writer: self.merger.take(),
        })
    }

    /// Takes over what was done beside the commits.
    pub(super) async fn take_over(&mut self, done: Done) -> Result<(), DeltaTableError> {
        match done {
            Done::Merged(merged) => self.replace(*merged).await?,
            Done::Maintained(maintained) => self.maintained(&maintained),
            // Not to be tried again with each commit.
            Done::Failed(files) if files.is_empty() => self.maintained(&Maintained {
                checkpointed: self.version,
                tombstones: self.tombstones.unwrap_or(0),
            }),
            Done::Failed(files) => self.small.forget(&files),
        }
        Ok(())
    }

    fn maintained(&mut self, maintained: &Maintained) {
        self.checkpointed = maintained.checkpointed;
        self.tombstones = Some(maintained.tombstones);
    }

    /// Puts a merged file in the place of the small ones, unless someone else has taken
    /// one of those out of the table meanwhile.
    async fn replace(&mut self, merged: Merged) -> Result<(), DeltaTableError> {
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
        self.merger = Some(merged.writer);
        replaced.map(|_| ())
    }

    /// Appends an entry to the log, if `needed` are still files of the table. What it would
    /// have added is deleted if there is no such entry.
    async fn append(
        &mut self,
        actions: Vec<Action>,
        operation: DeltaOperation,
        needed: &[SmallFile],
    ) -> Result<bool, DeltaTableError> {
        let data = CommitData::new(actions, operation, HashMap::new(), Vec::new());
        let appended = self.try_append(&data, needed).await;
        let in_doubt = || log::entry(&self.path, self.version + 1).exists();
        if matches!(appended, Ok(false)) || appended.is_err() && !in_doubt() {
            discard(&self.path, &data.actions);
        }
        appended
    }

    async fn try_append(
        &mut self,
        data: &CommitData,
        needed: &[SmallFile],
    ) -> Result<bool, DeltaTableError> {
        let entry = data.get_bytes()?;
        // What is appended to a log that has gone, or to another table in the place of this
        // one, would be lost; but someone else may have cleaned the log up.
        let stamp = Stamp::of(&self.path, self.version)?;
        if stamp.is_none() || stamp != self.entry {
            self.catch_up().await?;
        }
        for _ in 0..COMMIT_ATTEMPTS {
            if !self.small.has_all(needed) {
                return Ok(false);
            }
            let next = self.version + 1;
            if let Some(stamp) = log::write_entry(&self.path, next, &entry)? {
                self.version = next;
                self.entry = Some(stamp);
                self.figures = self.figures.after(next, &data.actions);
                self.small.apply(&data.actions);
                return Ok(true);
            }
            self.catch_up().await?;
        }
        Err(TransactionError::MaxCommitAttempts(COMMIT_ATTEMPTS as i32).into())
    }

    /// Someone else has written to the log: rows may still be appended if it is the same
    /// table, with the same columns.
    async fn catch_up(&mut self) -> Result<(), DeltaTableError> {
        let changed = |how: &str| {
            let changed = format!("another writer has changed the table: {how}");
            Err(DeltaTableError::Generic(changed))
        };
        let fresh = match Self::open(&self.path).await {
            Ok(fresh) => fresh,
            Err(OpenError::Delta(error)) if !log::directory(&self.path).is_dir() => {
                let gone = format!("the table's log has gone: {error}");
                return Err(DeltaTableError::Generic(gone));
            }
            Err(OpenError::Delta(error)) => return Err(error),
            Err(OpenError::Unsupported(why)) => return changed(&why),
        };
        if fresh.metadata.id() != self.metadata.id() {
            return changed("another one stands in its place");
        }
        if !same_columns(&fresh.schema(), &self.schema()) {
            return changed("its columns are others");
        }
        self.version = fresh.version;
        self.entry = fresh.entry;
        self.small = fresh.small;
        self.figures = fresh.figures;
        Ok(())
    }
}

/// Where deltalake-core finds a table. In a directory with `%41` in its name it would make the
/// log in one place and look for it in another.
pub(super) fn location(path: &Path) -> Result<Url, DeltaTableError> {
    let path = path.canonicalize()?;
    let url = Url::from_directory_path(&path).ok();
    let plain = |url: &Url| !url.path().contains("%25");
    url.filter(plain).ok_or_else(|| {
        DeltaTableError::Generic(format!(
            "no table can be in {}, whose name has a % in it: choose another directory",
            path.display()
        ))
    })
}

/// Reads the table's log.
pub(super) async fn load(path: &Path) -> Result<DeltaTable, DeltaTableError> {
    let location = location(path)?;
    let mut attempt = 1;
    loop {
        match DeltaTableBuilder::from_url(location.clone())?.load().await {
            Err(error)
                if attempt < LOAD_ATTEMPTS && !matches!(error, DeltaTableError::NotATable(_)) =>
            {
                attempt += 1;
            }
            loaded => return loaded,
        }
    }
}

/// Ends the files of what was written: under names of this server, on the disk, and described
/// by what holds for all their rows.
pub(super) async fn flush(
    table: &Path,
    writer: &mut RecordBatchWriter,
) -> Result<Vec<Add>, DeltaTableError> {
    let mut adds = writer.flush().await?;
    let schema = writer.arrow_schema();
    for add in &mut adds {
        let name = format!("{FILE_PREFIX}{}", add.path);
        std::fs::rename(table.join(&add.path), table.join(&name))?;
        add.path = name;
        log::sync(&table.join(&add.path))?;
        bounds::keep_true(add, schema.fields())?;
    }
    log::sync(table)?;
    Ok(adds)
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
