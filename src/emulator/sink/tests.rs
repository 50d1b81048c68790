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
    try_append(sink, n).await.unwrap();
}

async fn try_append(sink: &mut Sink, n: i64) -> Result<(), DeltaTableError> {
    let column: ArrayRef = Arc::new(Int64Array::from(vec![n]));
    let batch = RecordBatch::try_new(sink.schema(), vec![column]).unwrap();
    sink.write(vec![batch]).await.unwrap();
    sink.commit().await
}

/// Files and rows, as the log has them.
async fn counts(dir: &TempDir) -> (usize, usize) {
    let table = load(dir.path()).await.unwrap();
    let files = table.snapshot().unwrap().log_data();
    let rows = files.iter().map(|file| file.num_records().unwrap()).sum();
    (files.num_files(), rows)
}

async fn maintain(sink: &mut Sink) {
    let Some(Chore::Maintain(maintenance)) = sink.chore() else {
        panic!("nothing is due");
    };
    let maintained = maintenance.run().await.unwrap();
    sink.take_over(Done::Maintained(maintained)).await.unwrap();
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
    maintain(&mut again).await;
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
    maintain(&mut again).await;
    assert_eq!(parquet_files(&dir), 2);
    assert_eq!(counts(&dir).await, (1, MERGE_FILES));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_in_the_place_of_another_gets_none_of_its_rows() {
    let (dir, mut sink) = table().await;
    // The same name, columns and versions.
    let (other, _) = table().await;
    for entry in std::fs::read_dir(dir.path()).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => std::fs::remove_dir_all(path).unwrap(),
            false => std::fs::remove_file(path).unwrap(),
        }
    }
    let gone = try_append(&mut sink, 7).await.unwrap_err().to_string();
    assert!(gone.contains("log has gone"), "{gone}");
    for entry in std::fs::read_dir(other.path()).unwrap() {
        let entry = entry.unwrap();
        std::fs::rename(entry.path(), dir.path().join(entry.file_name())).unwrap();
    }
    let replaced = try_append(&mut sink, 7).await.unwrap_err().to_string();
    assert!(
        replaced.contains("another one stands in its place"),
        "{replaced}"
    );
    assert_eq!(counts(&dir).await, (MERGE_FILES, MERGE_FILES));
    // Nothing is left of what could not be stored.
    assert_eq!(parquet_files(&dir), MERGE_FILES);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_someone_else_has_cleaned_up_is_written_on() {
    let (dir, mut sink) = table().await;
    let checkpoint = load(dir.path()).await.unwrap();
    deltalake_core::checkpoints::create_checkpoint(&checkpoint, None)
        .await
        .unwrap();
    for version in 0..=sink.version {
        std::fs::remove_file(log::entry(dir.path(), version)).unwrap();
    }
    append(&mut sink, 7).await;
    append(&mut sink, 8).await;
    assert_eq!(counts(&dir).await, (MERGE_FILES + 2, MERGE_FILES + 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_columns_comment_keeps_nobody_from_writing_and_another_column_does() {
    let (dir, mut sink) = table().await;
    let first = std::fs::read_to_string(log::entry(dir.path(), 0)).unwrap();
    let mut lines = first.lines();
    let metadata = lines.find(|line| line.contains("metaData")).unwrap();
    let plain = r#"\"metadata\":{}"#;
    assert!(metadata.contains(plain), "{metadata}");
    let comment = metadata.replace(plain, r#"\"metadata\":{\"comment\":\"of theirs\"}"#);
    std::fs::write(log::entry(dir.path(), sink.version + 1), comment).unwrap();
    append(&mut sink, 7).await;
    assert_eq!(counts(&dir).await, (MERGE_FILES + 1, MERGE_FILES + 1));
    let renamed = metadata.replace(r#"\"n\""#, r#"\"m\""#);
    std::fs::write(log::entry(dir.path(), sink.version + 1), renamed).unwrap();
    let changed = try_append(&mut sink, 8).await.unwrap_err().to_string();
    assert!(changed.contains("its columns are others"), "{changed}");
}

#[test]
fn a_directory_that_would_be_taken_for_another_is_refused() {
    let dir = TempDir::new().unwrap();
    let plain = dir.path().join("a b#c?d");
    let escape = dir.path().join("a%41");
    std::fs::create_dir(&plain).unwrap();
    std::fs::create_dir(&escape).unwrap();
    assert_eq!(
        location(&plain).unwrap().to_file_path().unwrap(),
        plain.canonicalize().unwrap()
    );
    let refused = location(&escape).unwrap_err().to_string();
    assert!(refused.contains("whose name has a % in it"), "{refused}");
}
