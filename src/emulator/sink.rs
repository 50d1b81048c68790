//! The Delta side of a table: rows into Parquet files, files into commits.
//!
//! A commit is one more file in the log and nothing else: appended rows conflict with
//! nothing, and to read the table's state again for each commit would make a table of
//! many commits slower with every one.

use std::collections::HashMap;

use deltalake_core::arrow::array::RecordBatch;
use deltalake_core::arrow::datatypes::SchemaRef;
use deltalake_core::checkpoints::create_checkpoint;
use deltalake_core::kernel::transaction::{CommitData, PROTOCOL, TransactionError};
use deltalake_core::kernel::{Action, Metadata, Version};
use deltalake_core::logstore::CommitOrBytes;
use deltalake_core::parquet::basic::Compression;
use deltalake_core::parquet::file::properties::WriterProperties;
use deltalake_core::protocol::{DeltaOperation, SaveMode};
use deltalake_core::writer::{DeltaWriter, RecordBatchWriter};
use deltalake_core::{DeltaTable, DeltaTableBuilder, DeltaTableError, ensure_table_uri};
use uuid::Uuid;

use crate::schema::Column;

use super::delta_types::from_delta;
use super::figures::{Added, Figures};

/// What the Parquet writer holds of one file before it goes to the disk.
const ROW_GROUP_BYTES_MAX: usize = 64 << 20;
/// Versions between two checkpoints of the log.
const CHECKPOINT_INTERVAL: Version = 100;
/// Attempts at a commit while someone else commits to the table too.
const COMMIT_ATTEMPTS: usize = 10;

/// A table open for appending.
pub(super) struct Sink {
    /// Its state is that of the last checkpoint or so, not of `version`.
    table: DeltaTable,
    writer: RecordBatchWriter,
    /// The last version that is known to exist.
    version: Version,
    /// The table's size at `version`.
    pub(super) figures: Figures,
    /// The last version that was thought of for a checkpoint.
    maintained: Version,
}

impl Sink {
    /// Opens the table at a directory.
    ///
    /// # Errors
    /// There is no table, or one that this server cannot write.
    pub(super) async fn open(location: &str) -> Result<Self, DeltaTableError> {
        let url = ensure_table_uri(location)?;
        let table = DeltaTableBuilder::from_url(url)?.load().await?;
        let writer = writer(&table)?;
        let version = table.snapshot()?.version();
        let figures = Figures::of(&table)?;
        Ok(Self {
            table,
            writer,
            version,
            figures,
            maintained: version,
        })
    }

    /// The columns of the table.
    pub(super) fn columns(&self) -> Result<Vec<Column>, String> {
        let state = self.table.snapshot().map_err(|error| error.to_string())?;
        from_delta(state.schema().as_ref())
    }

    /// What else the log says of the table as a whole.
    pub(super) fn metadata(&self) -> Result<Metadata, String> {
        let state = self.table.snapshot().map_err(|error| error.to_string())?;
        Ok(state.metadata().clone())
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
        let added: Vec<Added> = adds.iter().map(Added::from).collect();
        let actions = adds.into_iter().map(Action::Add).collect();
        let operation = DeltaOperation::Write {
            mode: SaveMode::Append,
            partition_by: None,
            predicate: None,
        };
        let entry = CommitData::new(actions, operation, HashMap::new(), Vec::new()).get_bytes()?;
        let log = self.table.log_store();
        // A commit onto a log that has gone, with its directory, could be read by nobody.
        if log.read_commit_entry(self.version).await?.is_none() {
            return Err(DeltaTableError::Generic(format!(
                "the table's log has gone: version {} is not there any more",
                self.version
            )));
        }
        for _ in 0..COMMIT_ATTEMPTS {
            let next = self.version + 1;
            let bytes = CommitOrBytes::LogBytes(entry.clone());
            match log.write_commit_entry(next, bytes, Uuid::new_v4()).await {
                Ok(()) => {
                    self.version = next;
                    self.figures = self.figures.after(next, &added);
                    return Ok(());
                }
                Err(TransactionError::VersionAlreadyExists(_)) => self.catch_up().await?,
                Err(error) => return Err(error.into()),
            }
        }
        Err(TransactionError::MaxCommitAttempts(COMMIT_ATTEMPTS as i32).into())
    }

    /// Writes a checkpoint when one is due, so that readers need not read every commit.
    pub(super) async fn maintain(&mut self) -> Result<(), DeltaTableError> {
        let due = self.version / CHECKPOINT_INTERVAL > self.maintained / CHECKPOINT_INTERVAL;
        self.maintained = self.version;
        if due {
            self.table.update_state().await?;
            create_checkpoint(&self.table, None).await?;
        }
        Ok(())
    }

    /// Someone else has committed: rows may still be appended if the table is as it was.
    async fn catch_up(&mut self) -> Result<(), DeltaTableError> {
        self.table.update_state().await?;
        if writer(&self.table)?.arrow_schema() != self.writer.arrow_schema() {
            return Err(DeltaTableError::Generic(
                "another writer has changed the table's columns".into(),
            ));
        }
        self.version = self.table.snapshot()?.version();
        self.figures = Figures::of(&self.table)?;
        Ok(())
    }
}

/// A writer for the table, if this server can write it.
fn writer(table: &DeltaTable) -> Result<RecordBatchWriter, DeltaTableError> {
    let state = table.snapshot()?;
    PROTOCOL.can_write_to(state)?;
    if let [first, ..] = state.metadata().partition_columns() {
        return Err(DeltaTableError::Generic(format!(
            "it is partitioned by \"{first}\", this server writes unpartitioned tables only"
        )));
    }
    let properties = WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .set_max_row_group_bytes(Some(ROW_GROUP_BYTES_MAX))
        .build();
    Ok(RecordBatchWriter::for_table(table)?.with_writer_properties(properties))
}
