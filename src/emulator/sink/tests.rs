//! Merges that meet someone else's commits.

use std::sync::Arc;

use deltalake_core::arrow::array::{ArrayRef, Int64Array};
use tempfile::TempDir;

use super::super::table::Definition;
use super::super::upkeep::MERGE_FILES;
use super::*;
use crate::schema::{ColumnType, TableName};

/// A table with as many files as make a merge, of one row each.
async fn table() -> (TempDir, Sink) {
    let dir = TempDir::new().unwrap();
    let name: TableName = "main.default.t".parse().unwrap();
    let definition = Definition {
        columns: vec![Column::new("n", ColumnType::BigInt, false)],
        ..Definition::default()
    };
    super::super::table::create(dir.path(), &name, &definition)
        .await
        .unwrap();
    let mut sink = Sink::open(dir.path()).await.unwrap();
    for n in 0..MERGE_FILES {
        append(&mut sink, n as i64).await;
    }
    (dir, sink)
}

async fn append(sink: &mut Sink, n: i64) {
    let column: ArrayRef = Arc::new(Int64Array::from(vec![n]));
    let batch = RecordBatch::try_new(sink.schema(), vec![column]).unwrap();
    sink.write(vec![batch]).await.unwrap();
    sink.commit().await.unwrap();
}

/// Files and rows, as the log has them.
async fn counts(dir: &TempDir) -> (usize, usize) {
    let table = load(dir.path()).await.unwrap();
    let files = table.snapshot().unwrap().log_data();
    let rows = files.iter().map(|file| file.num_records().unwrap()).sum();
    (files.num_files(), rows)
}

fn parquet_files(dir: &TempDir) -> usize {
    let entries = std::fs::read_dir(dir.path()).unwrap();
    entries
        .filter(|e| {
            e.as_ref()
                .unwrap()
                .path()
                .extension()
                .is_some_and(|x| x == "parquet")
        })
        .count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merge_puts_one_file_in_the_place_of_many() {
    let (dir, mut sink) = table().await;
    assert_eq!(counts(&dir).await, (MERGE_FILES, MERGE_FILES));
    let merged = sink.merge().unwrap().run().await.unwrap();
    append(&mut sink, 99).await;
    sink.replace(merged).await.unwrap();
    assert_eq!(counts(&dir).await, (2, MERGE_FILES + 1));
    assert!(sink.merge().is_none());
    // Readers of older versions find their files still.
    assert_eq!(parquet_files(&dir), MERGE_FILES + 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merge_of_files_that_someone_else_removed_is_dropped() {
    let (dir, mut sink) = table().await;
    let merged = sink.merge().unwrap().run().await.unwrap();
    let gone = merged.files[3].path.clone();
    let remove =
        format!(r#"{{"remove":{{"path":"{gone}","dataChange":true,"deletionTimestamp":1}}}}"#);
    let next = sink.version + 1;
    let log = dir.path().join("_delta_log");
    std::fs::write(log.join(format!("{next:020}.json")), remove).unwrap();
    sink.replace(merged).await.unwrap();
    assert_eq!(counts(&dir).await, (MERGE_FILES - 1, MERGE_FILES - 1));
    assert_eq!(parquet_files(&dir), MERGE_FILES);
    // The table is written on, and the rest merged once it is worth it.
    append(&mut sink, 99).await;
    assert_eq!(counts(&dir).await, (MERGE_FILES, MERGE_FILES));
}

#[tokio::test(flavor = "multi_thread")]
async fn merged_files_are_deleted_once_the_table_keeps_them_no_longer() {
    let (dir, mut sink) = table().await;
    let merged = sink.merge().unwrap().run().await.unwrap();
    sink.replace(merged).await.unwrap();
    let mut again = Sink::open(dir.path()).await.unwrap();
    again.maintain().await.unwrap();
    assert_eq!(parquet_files(&dir), MERGE_FILES + 1);
    // The removals as if they were two days old; but of one file someone else's.
    let commit = dir
        .path()
        .join(format!("_delta_log/{:020}.json", sink.version));
    let text = std::fs::read_to_string(&commit).unwrap();
    let mut foreign = true;
    let lines = text.lines().map(|line| {
        let mut action: serde_json::Value = serde_json::from_str(line).unwrap();
        if let Some(remove) = action.get_mut("remove") {
            let at = remove["deletionTimestamp"].as_i64().unwrap() - 2 * 86_400_000;
            remove["deletionTimestamp"] = at.into();
            remove["dataChange"] = std::mem::take(&mut foreign).into();
        }
        action.to_string() + "\n"
    });
    std::fs::write(&commit, lines.collect::<String>()).unwrap();
    let mut again = Sink::open(dir.path()).await.unwrap();
    again.maintain().await.unwrap();
    assert_eq!(parquet_files(&dir), 2);
    assert_eq!(counts(&dir).await, (1, MERGE_FILES));
}
