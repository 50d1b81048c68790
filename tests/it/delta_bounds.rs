//! What a table's log says of a file's columns holds for every row: readers skip files by it.

use serde_json::Value;

use crate::rig::Rig;
use crate::table;

/// Columns whose bounds can be trusted, and more.
fn proto(more: &[&str]) -> String {
    format!(
        "syntax = \"proto2\";
message Row {{
  optional int64 id = 1;
  optional int64 at = 2; // @delta TIMESTAMP
  optional int64 wall = 3; // @delta TIMESTAMP_NTZ
  optional int32 day = 4; // @delta DATE
  optional string name = 5;
  optional Site site = 6;
  message Site {{ optional int32 floor = 1; }}
  {}
}}",
        more.join("\n")
    )
}

/// Enough rows for a merge, each a commit of its own.
const ROWS: i64 = 40;

fn row(i: i64) -> String {
    let sign = if i % 2 == 0 { "" } else { "-" };
    let name = "é".repeat(i as usize * 3);
    let (at, wall) = (123_999 + i, 999_999 - i);
    format!(
        r#"{{"id":{sign}{i},"at":"20{i:02}-01-01T00:00:00.{at:06}Z","wall":"1969-01-01 00:00:00.{wall:06}","#
    ) + &format!(
        r#""day":"20{i:02}-01-31","name":"{name}","site":{{"floor":{sign}{i}}},"data":"AP8=","#
    ) + &format!(
        r#""sum":"{sign}1234567890123456789012.678{}","ratio":"NaN","share":0.{i}}}"#,
        i % 10
    ) + "\n"
}

fn in_order(path: &str, low: &Value, high: &Value) -> bool {
    // Times without what differs in the way they are written.
    let time = |value: &Value| {
        let text = value.as_str().unwrap().replace(' ', "T").replace('Z', "");
        format!(
            "{:0<26}",
            text.replace("00:00:00.", "00:00:00")
                .replace("00:00:01.", "00:00:01")
        )
    };
    match path {
        "/at" | "/wall" => time(low) <= time(high),
        "/day" | "/name" => low.as_str().unwrap() <= high.as_str().unwrap(),
        _ => low.as_f64().unwrap() <= high.as_f64().unwrap(),
    }
}

/// The paths of what is no object.
fn leaves(value: &Value, path: String, found: &mut Vec<String>) {
    match value.as_object() {
        Some(members) => {
            for (name, member) in members {
                leaves(member, format!("{path}/{name}"), found);
            }
        }
        None => found.push(path),
    }
}

/// Loads the rows, each a commit of its own, and returns the log's files after they were merged.
fn loaded(rig: &Rig, proto: &str) -> Vec<(Value, Vec<Value>)> {
    rig.file("row.proto", proto);
    rig.file("rows.ndjson", (0..ROWS).map(row).collect::<String>());
    let args = "ingest --local wh --table main.default.t --proto row.proto rows.ndjson \
                --unknown-fields ignore --max-inflight 1 --batch-records 1";
    rig.run(&args.split_whitespace().collect::<Vec<_>>())
        .exits(0);
    let table = rig.path().join("wh/main/default/t");
    let adds = table::actions(&table, "add");
    assert!(adds.iter().any(|add| add["dataChange"] == false));
    let read = |add: &Value| {
        let stats: Value = serde_json::from_str(add["stats"].as_str().unwrap()).unwrap();
        let rows = table::rows_of(&table.join(add["path"].as_str().unwrap()));
        assert_eq!(stats["numRecords"], rows.len());
        assert_eq!(stats["nullCount"]["id"], 0);
        (stats, rows)
    };
    adds.iter().map(read).collect()
}

#[test]
fn the_bounds_of_each_column_hold_for_every_row() {
    let rig = Rig::new();
    for (stats, rows) in loaded(&rig, &proto(&[])) {
        for side in ["minValues", "maxValues"] {
            let mut paths = Vec::new();
            leaves(&stats[side], String::new(), &mut paths);
            paths.sort();
            let all = ["/at", "/day", "/id", "/name", "/site/floor", "/wall"];
            assert_eq!(paths, all, "{stats}");
            for path in &paths {
                let bound = stats[side].pointer(path).unwrap();
                for row in &rows {
                    let value = row.pointer(path).unwrap();
                    let (low, high) = match side {
                        "minValues" => (bound, value),
                        _ => (value, bound),
                    };
                    let holds = in_order(path, low, high);
                    assert!(holds, "{side} {path}: {bound} against {value}");
                }
            }
        }
    }
}

#[test]
fn a_file_has_no_bounds_where_one_might_not_hold() {
    for column in [
        "optional string sum = 20; // @delta DECIMAL(30,4)",
        "optional double ratio = 20;",
        "optional float share = 20;",
        "optional bytes data = 20;",
    ] {
        let rig = Rig::new();
        for (stats, _) in loaded(&rig, &proto(&[column])) {
            let bounds = (stats.get("minValues"), stats.get("maxValues"));
            assert_eq!(bounds, (None, None), "{column}");
        }
    }
}
