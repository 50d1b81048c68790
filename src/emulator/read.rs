//! Reads a local table as it stands, beside whoever writes it: no lock is taken, since a
//! version of a Delta table never changes.

use std::fs::File;
use std::path::{Path, PathBuf};

use deltalake_core::DeltaTableError;
use deltalake_core::arrow::array::RecordBatch;
use deltalake_core::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use deltalake_core::table::state::DeltaTableState;
use serde_json::Value;

use crate::schema::{Column, ColumnType, TableName};

use super::EmulatorError;
use super::cells::write_json;
use super::delta_types::from_delta;
use super::{sink, support};

/// Rows that are held decoded.
const BATCH_ROWS: usize = 1 << 10;

/// One version of a local table.
pub struct LocalTable {
    /// The version.
    pub version: u64,
    /// All rows, by the statistics in the log or else the files' footers.
    pub rows: u64,
    /// The size of the data files.
    pub bytes: u64,
    /// The columns.
    pub columns: Vec<Column>,
    directory: PathBuf,
    /// The data files, those written first in front.
    files: Vec<DataFile>,
}

struct DataFile {
    path: String,
    /// Values that stand in no file: partition columns.
    partition: Vec<(String, Option<String>)>,
}

impl LocalTable {
    /// The table in this directory; none if there is no table.
    ///
    /// # Errors
    /// The table cannot be read.
    pub async fn open(directory: &Path) -> Result<Option<Self>, EmulatorError> {
        if !directory.join("_delta_log").is_dir() {
            return Ok(None);
        }
        let fail = |error: String| unreadable(directory, error);
        let table = match sink::load(directory).await {
            Ok(table) => table,
            Err(DeltaTableError::NotATable(_)) => return Ok(None),
            Err(error) => return Err(fail(error.to_string())),
        };
        let state = table.snapshot().map_err(|error| fail(error.to_string()))?;
        Self::of(directory, state).map(Some).map_err(fail)
    }

    fn of(directory: &Path, state: &DeltaTableState) -> Result<Self, String> {
        if let Some(mode) = support::column_mapping(state.metadata()) {
            return Err(format!(
                "its columns are mapped by {mode}, which this reader does not know"
            ));
        }
        let mut table = Self {
            version: state.version(),
            rows: 0,
            bytes: 0,
            columns: from_delta(state.schema().as_ref())?,
            directory: directory.to_owned(),
            files: Vec::new(),
        };
        let mut files = Vec::new();
        for file in state.log_data().iter() {
            if file.deletion_vector_descriptor().is_some() {
                return Err("it has deletion vectors, which this reader does not know".into());
            }
            let path = file.object_store_path().to_string();
            table.rows += match file.num_records() {
                Some(rows) => rows as u64,
                None => table.footer_rows(&path)?,
            };
            table.bytes += u64::try_from(file.size()).unwrap_or(0);
            let partition = file.partition_values_map().into_iter().collect();
            files.push((file.modification_time(), DataFile { path, partition }));
        }
        files.sort_by(|(a, x), (b, y)| (a, &x.path).cmp(&(b, &y.path)));
        table.files = files.into_iter().map(|(_, file)| file).collect();
        Ok(table)
    }

    /// How many data files there are.
    pub fn file_count(&self) -> usize {
        self.files.len()
    }

    /// The first rows: for each column the value as JSON text.
    ///
    /// # Errors
    /// A file cannot be read.
    pub fn sample(&self, rows_max: usize) -> Result<Vec<Vec<String>>, EmulatorError> {
        let mut rows = Vec::new();
        for file in &self.files {
            if rows.len() >= rows_max {
                break;
            }
            let sampled = self.sample_file(file, rows_max, &mut rows);
            sampled.map_err(|e| unreadable(&self.directory.join(&file.path), e))?;
        }
        Ok(rows)
    }

    fn sample_file(
        &self,
        file: &DataFile,
        rows_max: usize,
        rows: &mut Vec<Vec<String>>,
    ) -> Result<(), String> {
        let reader = self.reader(&file.path)?;
        let wanted = rows_max - rows.len();
        let reader = reader
            .with_batch_size(BATCH_ROWS.min(wanted))
            .with_limit(wanted);
        for batch in reader.build().map_err(|error| error.to_string())? {
            let batch = batch.map_err(|error| error.to_string())?;
            for row in 0..batch.num_rows() {
                let cells = self
                    .columns
                    .iter()
                    .map(|column| cell(&batch, row, column, file));
                rows.push(cells.collect::<Result<_, _>>()?);
            }
        }
        Ok(())
    }

    fn footer_rows(&self, path: &str) -> Result<u64, String> {
        let rows = self.reader(path)?.metadata().file_metadata().num_rows();
        u64::try_from(rows).map_err(|_| format!("{path} has {rows} rows"))
    }

    fn reader(&self, path: &str) -> Result<ParquetRecordBatchReaderBuilder<File>, String> {
        let file = File::open(self.directory.join(path)).map_err(|error| error.to_string())?;
        ParquetRecordBatchReaderBuilder::try_new(file).map_err(|error| error.to_string())
    }
}

/// A column that a file does not have is NULL in its rows, or a partition column.
fn cell(
    batch: &RecordBatch,
    row: usize,
    column: &Column,
    file: &DataFile,
) -> Result<String, String> {
    let mut out = String::new();
    if let Some(array) = batch.column_by_name(&column.name) {
        write_json(array, row, &column.ty, &mut out).map_err(|error| error.to_string())?;
        return Ok(out);
    }
    let value = file.partition.iter().find(|(name, _)| *name == column.name);
    let value = value.and_then(|(_, value)| value.as_deref());
    Ok(partition_value(value, &column.ty).to_string())
}

/// The log has them as text.
fn partition_value(text: Option<&str>, ty: &ColumnType) -> Value {
    let typed = text.and_then(|text| match ty {
        ColumnType::Boolean => text.parse::<bool>().ok().map(Value::from),
        ColumnType::TinyInt | ColumnType::SmallInt | ColumnType::Int | ColumnType::BigInt => {
            text.parse::<i64>().ok().map(Value::from)
        }
        ColumnType::Float | ColumnType::Double => {
            let number = text.parse::<f64>().ok()?;
            number.is_finite().then(|| Value::from(number))
        }
        _ => None,
    });
    typed.unwrap_or_else(|| Value::from(text))
}

/// The names of the tables under a directory, in order.
///
/// # Errors
/// The directory cannot be read.
pub fn local_tables(dir: &Path) -> Result<Vec<TableName>, EmulatorError> {
    let mut tables = Vec::new();
    for catalog in directories(dir)? {
        for schema in directories(&dir.join(&catalog))? {
            for table in directories(&dir.join(&catalog).join(&schema))? {
                let log = dir
                    .join(&catalog)
                    .join(&schema)
                    .join(&table)
                    .join("_delta_log");
                if let (true, Ok(name)) =
                    (log.is_dir(), format!("{catalog}.{schema}.{table}").parse())
                {
                    tables.push(name);
                }
            }
        }
    }
    Ok(tables)
}

/// Names of directories in a directory; what has no plain name is no table's.
fn directories(dir: &Path) -> Result<Vec<String>, EmulatorError> {
    let failed = |source| EmulatorError::Directory {
        path: dir.to_owned(),
        source,
    };
    let mut names = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if let (true, Ok(name)) = (entry.path().is_dir(), entry.file_name().into_string()) {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

fn unreadable(path: &Path, error: String) -> EmulatorError {
    EmulatorError::Table {
        table: path.display().to_string(),
        message: format!("cannot be read: {error}"),
    }
}
