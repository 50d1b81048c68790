//! Keeps a table of many small commits readable: merges its small files.
//!
//! Files are sorted into tiers by their rows, each tier [`MERGE_FILES`] times the one
//! below. Once a tier has that many files they are merged into one, of a higher tier: so a
//! row is written again once for each tier, and `n` rows in commits of one leave less than
//! `MERGE_FILES` files for each of the `log(n)` tiers. Where [`MERGE_BYTES_MAX`] cuts a merge
//! short its file may stay in the tier, but then it is soon too large to be merged again.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use deltalake_core::DeltaTableError;
use deltalake_core::arrow::datatypes::Schema;
use deltalake_core::kernel::{Action, Add, Remove};
use deltalake_core::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use deltalake_core::writer::{DeltaWriter as _, RecordBatchWriter};

use super::sink;

/// Files of one tier that make a merge, and the step from one tier to the next.
pub(super) const MERGE_FILES: usize = 32;
/// What one merge takes where more have piled up.
const MERGE_FILES_MAX: usize = 256;
/// Larger files are left as they are.
const SMALL_FILE_BYTES_MAX: i64 = 8 << 20;
/// What one merge reads at most; the files beyond it wait for the next one.
const MERGE_BYTES_MAX: i64 = 32 << 20;
/// Rows that a merge holds decoded.
const MERGE_BATCH_ROWS: usize = 1 << 12;

/// A file that may be merged with others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SmallFile {
    /// Within the table's directory.
    pub(super) path: String,
    size: i64,
    rows: u64,
}

impl SmallFile {
    /// None: too large, or not known well enough to be touched.
    pub(super) fn new(path: &str, size: i64, rows: Option<u64>) -> Option<Self> {
        // Of a path with other characters there is more than one spelling, and what removes
        // a file must spell it as the log does.
        let plain = |c: u8| c.is_ascii_alphanumeric() || b"._/-".contains(&c);
        let plain = path.bytes().all(plain) && !path.starts_with('/') && !path.contains("..");
        let small = (0..SMALL_FILE_BYTES_MAX).contains(&size);
        (plain && small).then_some(())?;
        let path = path.to_owned();
        Some(Self {
            path,
            size,
            rows: rows?,
        })
    }

    fn of(add: &Add) -> Option<Self> {
        if add.deletion_vector.is_some() {
            return None;
        }
        let stats: serde_json::Value = serde_json::from_str(add.stats.as_deref()?).ok()?;
        Self::new(&add.path, add.size, stats["numRecords"].as_u64())
    }

    fn tier(&self) -> u32 {
        self.rows.max(1).ilog(MERGE_FILES as u64)
    }
}

/// The small files of a table, in the order of their commits.
#[derive(Debug, Default)]
pub(super) struct SmallFiles(Vec<SmallFile>);

impl SmallFiles {
    pub(super) fn push(&mut self, file: Option<SmallFile>) {
        self.0.extend(file);
    }

    /// Follows a commit.
    pub(super) fn apply(&mut self, actions: &[Action]) {
        for action in actions {
            match action {
                Action::Add(add) => self.push(SmallFile::of(add)),
                Action::Remove(remove) => self.0.retain(|file| file.path != remove.path),
                _ => {}
            }
        }
    }

    /// Whether all of these are still files of the table.
    pub(super) fn has_all(&self, files: &[SmallFile]) -> bool {
        files.iter().all(|file| self.0.contains(file))
    }

    /// Leaves these as they are from now on.
    pub(super) fn forget(&mut self, files: &[SmallFile]) {
        self.0.retain(|file| !files.contains(file));
    }

    /// The files to merge next, the smallest tier first; none: nothing is worth it.
    pub(super) fn due(&self) -> Option<Vec<SmallFile>> {
        let mut tiers: Vec<u32> = self.0.iter().map(SmallFile::tier).collect();
        tiers.sort_unstable();
        let full = tiers.windows(MERGE_FILES).find(|w| w.first() == w.last())?;
        let tier = *full.first()?;
        let mut bytes = 0;
        let files = self.0.iter().filter(|file| file.tier() == tier);
        let files = files.take(MERGE_FILES_MAX).take_while(|file| {
            bytes += file.size;
            bytes <= MERGE_BYTES_MAX
        });
        Some(files.cloned().collect())
    }
}

/// Files to be written again as one.
pub(super) struct Merge {
    pub(super) files: Vec<SmallFile>,
    pub(super) table: PathBuf,
    /// Of the merge before, since to read the table for a new one takes time.
    pub(super) writer: Option<RecordBatchWriter>,
}

/// Files and what holds their rows instead, not yet in the table.
pub(super) struct Merged {
    pub(super) files: Vec<SmallFile>,
    pub(super) writer: RecordBatchWriter,
    adds: Vec<Add>,
}

impl Merge {
    /// Writes the rows of all files into one. It blocks: not for an async thread.
    pub(super) async fn run(self) -> Result<Merged, DeltaTableError> {
        let mut writer = match self.writer {
            Some(writer) => writer,
            None => sink::writer(&sink::load(&self.table).await?)?,
        };
        let schema = writer.arrow_schema();
        for file in &self.files {
            let opened = File::open(self.table.join(&file.path))?;
            let reader =
                ParquetRecordBatchReaderBuilder::try_new(opened)?.with_batch_size(MERGE_BATCH_ROWS);
            if !same_columns(reader.schema(), &schema) {
                return Err(DeltaTableError::Generic(format!(
                    "{} has other columns than the table",
                    file.path
                )));
            }
            for batch in reader.build()? {
                let batch = batch?.with_schema(schema.clone())?;
                writer.write(batch).await?;
            }
        }
        let mut adds = sink::flush(&self.table, &mut writer).await?;
        for add in &mut adds {
            add.data_change = false;
        }
        let files = self.files;
        Ok(Merged {
            files,
            writer,
            adds,
        })
    }
}

impl Merged {
    /// The commit that puts the new file in the place of the old ones.
    pub(super) fn actions(&self) -> Vec<Action> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.map_or(0, |now| i64::try_from(now.as_millis()).unwrap_or(i64::MAX));
        let remove = |file: &SmallFile| {
            Action::Remove(Remove {
                path: file.path.clone(),
                data_change: false,
                deletion_timestamp: Some(now),
                extended_file_metadata: Some(true),
                partition_values: Some(Default::default()),
                size: Some(file.size),
                ..Default::default()
            })
        };
        let removes = self.files.iter().map(remove);
        removes
            .chain(self.adds.iter().cloned().map(Action::Add))
            .collect()
    }
}

/// Deletes the files that an entry would have added: nobody will refer to them.
pub(super) fn discard(table: &Path, actions: &[Action]) {
    for action in actions {
        if let Action::Add(add) = action {
            // A file that stays harms nobody.
            let _ = std::fs::remove_file(table.join(&add.path));
        }
    }
}

/// Whether the columns of a file, or of a later version, are the table's, metadata aside.
pub(super) fn same_columns(file: &Schema, table: &Schema) -> bool {
    file.fields().len() == table.fields().len()
        && file
            .fields()
            .iter()
            .zip(table.fields())
            .all(|(file, table)| {
                file.name() == table.name()
                    && file.data_type().equals_datatype(table.data_type())
                    && file.is_nullable() == table.is_nullable()
            })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(i: usize, size: i64, rows: u64) -> SmallFile {
        SmallFile::new(&format!("{i}.parquet"), size, Some(rows)).unwrap()
    }

    #[test]
    fn a_row_is_rewritten_once_for_each_tier() {
        const COMMITS: usize = 10_000;
        let mut files = SmallFiles::default();
        let mut rewritten = 0;
        for i in 0..COMMITS {
            files.push(Some(file(i, 1_000, 1)));
            while let Some(due) = files.due() {
                assert_eq!(due.len(), MERGE_FILES);
                let rows = due.iter().map(|file| file.rows).sum();
                rewritten += rows;
                files.forget(&due);
                files.push(Some(file(COMMITS + rewritten as usize, 1_000, rows)));
            }
        }
        assert!(files.0.len() < 3 * MERGE_FILES, "{}", files.0.len());
        assert!(rewritten <= 2 * COMMITS as u64, "{rewritten}");
        assert_eq!(files.0.iter().map(|f| f.rows).sum::<u64>(), COMMITS as u64);
    }

    #[test]
    fn a_merge_reads_no_more_than_it_may_and_leaves_large_files() {
        assert_eq!(SmallFile::new("a", SMALL_FILE_BYTES_MAX, Some(1)), None);
        assert_eq!(SmallFile::new("/a", 1, Some(1)), None);
        assert_eq!(SmallFile::new("s3://a", 1, Some(1)), None);
        assert_eq!(SmallFile::new("a", 1, None), None);
        for spelling in ["ä.parquet", "a%2Bb", "a%2bb", "a+b", "a b"] {
            assert_eq!(SmallFile::new(spelling, 1, Some(1)), None);
        }
        let mut files = SmallFiles::default();
        for i in 0..MERGE_FILES {
            files.push(Some(file(i, SMALL_FILE_BYTES_MAX - 1, 1_000)));
        }
        let due = files.due().unwrap();
        assert_eq!(due.len(), 4);
        assert!(due.iter().map(|f| f.size).sum::<i64>() <= MERGE_BYTES_MAX);
        files.forget(&due);
        assert_eq!(files.due(), None);
        let mut backlog = SmallFiles::default();
        for i in 0..2 * MERGE_FILES_MAX {
            backlog.push(Some(file(i, 1, 1)));
        }
        assert_eq!(backlog.due().unwrap().len(), MERGE_FILES_MAX);
    }
}
