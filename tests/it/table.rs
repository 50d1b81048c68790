//! Reads a Delta table by its log and Parquet files, without the library that writes it.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use deltalake_core::arrow::json::ArrayWriter;
use deltalake_core::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::Value;

/// The paths of the table's data files, in the order of their commits.
pub fn files(table: &Path) -> Vec<String> {
    let log = table.join("_delta_log");
    let commits: BTreeMap<String, String> = std::fs::read_dir(&log)
        .unwrap_or_else(|e| panic!("{}: {e}", log.display()))
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.file_name().to_string_lossy().ends_with(".json"))
        .map(|entry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            (name, std::fs::read_to_string(entry.path()).unwrap())
        })
        .collect();
    let mut files = Vec::new();
    for action in commits.values().flat_map(|text| text.lines()) {
        let action: Value = serde_json::from_str(action).unwrap();
        if let Some(path) = action["add"]["path"].as_str() {
            files.push(path.to_owned());
        }
        if let Some(path) = action["remove"]["path"].as_str() {
            files.retain(|f| f != path);
        }
    }
    files
}

/// The entries of a table's log of one kind.
pub fn actions(table: &Path, kind: &str) -> Vec<Value> {
    let mut commits: Vec<PathBuf> = std::fs::read_dir(table.join("_delta_log"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "json"))
        .collect();
    commits.sort();
    let text = commits
        .iter()
        .map(|path| std::fs::read_to_string(path).unwrap());
    let lines: Vec<String> = text
        .flat_map(|t| t.lines().map(str::to_owned).collect::<Vec<_>>())
        .collect();
    let all = lines
        .iter()
        .map(|l| serde_json::from_str::<Value>(l).unwrap());
    all.filter_map(|action| action.get(kind).cloned()).collect()
}

/// The rows of a table as JSON objects, in the order of their commits.
pub fn rows(table: &Path) -> Vec<Value> {
    let files = files(table);
    files
        .iter()
        .flat_map(|file| rows_of(&table.join(file)))
        .collect()
}

/// The rows of one data file.
pub fn rows_of(file: &Path) -> Vec<Value> {
    let file = File::open(file).unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
    let mut writer = ArrayWriter::new(Vec::new());
    for batch in reader.build().unwrap() {
        writer.write(&batch.unwrap()).unwrap();
    }
    writer.finish().unwrap();
    let text = writer.into_inner();
    match text.is_empty() {
        true => Vec::new(),
        false => serde_json::from_slice(&text).unwrap(),
    }
}

/// Column name → type, as the table's schema in the log has them.
pub fn schema(table: &Path) -> BTreeMap<String, Value> {
    let first = table.join("_delta_log/00000000000000000000.json");
    let text = std::fs::read_to_string(first).unwrap();
    let metadata = text
        .lines()
        .map(|l| serde_json::from_str::<Value>(l).unwrap())
        .find_map(|a| a.get("metaData").cloned())
        .unwrap();
    let schema: Value = serde_json::from_str(metadata["schemaString"].as_str().unwrap()).unwrap();
    let fields = schema["fields"].as_array().unwrap().clone();
    fields
        .into_iter()
        .map(|f| (f["name"].as_str().unwrap().to_owned(), f["type"].clone()))
        .collect()
}
