//! Tables stay readable and small: many small commits, kills while files are merged, and
//! tables that this server must leave alone.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};

use deltalake_core::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::{Value, json};

use crate::rig::{Ran, Rig, air_row, numbers, sample};
use crate::table;

fn air_table(rig: &Rig) -> PathBuf {
    rig.path().join("wh/main/default/air_quality")
}

/// Each row a commit of its own.
const ONE_BY_ONE: [&str; 4] = ["--max-inflight", "1", "--batch-records", "1"];

#[test]
fn many_small_commits_leave_few_files_and_every_row_once() {
    const ROWS: u64 = 1_100;
    let rig = Rig::new();
    let rows: String = (0..ROWS).map(air_row).collect();
    rig.file("rows.ndjson", rows);
    let mut args = vec!["rows.ndjson"];
    args.extend(ONE_BY_ONE);
    rig.ingest(&args).exits(0);
    let table = air_table(&rig);
    let rows = rig.air_rows();
    let mut seen = numbers(&rows);
    seen.sort_unstable();
    assert_eq!(seen, (0..ROWS).collect::<Vec<_>>());
    let files = table::files(&table);
    // Less than 32 of each of three tiers; a merge under way may lag behind by some.
    assert!(files.len() < 150, "{} files", files.len());
    // A merge changes no data, and says so.
    let removes = table::actions(&table, "remove");
    assert!(removes.len() > 900, "{}", removes.len());
    assert!(
        removes
            .iter()
            .all(|r| r["dataChange"] == false && r["deletionTimestamp"].is_i64())
    );
    // The statistics are those of the files.
    let adds = table::actions(&table, "add");
    let mut merged = 0;
    for add in adds
        .iter()
        .filter(|add| files.iter().any(|f| add["path"] == *f.as_str()))
    {
        let stats: Value = serde_json::from_str(add["stats"].as_str().unwrap()).unwrap();
        let path = table.join(add["path"].as_str().unwrap());
        assert_eq!(add["size"], path.metadata().unwrap().len());
        let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(&path).unwrap()).unwrap();
        assert_eq!(
            stats["numRecords"],
            reader.metadata().file_metadata().num_rows()
        );
        merged += u64::from(add["dataChange"] == false);
        let in_file = numbers(&table::rows_of(&path));
        assert_eq!(
            stats["minValues"]["humidity"],
            *in_file.iter().min().unwrap()
        );
        assert_eq!(
            stats["maxValues"]["humidity"],
            *in_file.iter().max().unwrap()
        );
        assert_eq!(stats["nullCount"]["humidity"], 0);
    }
    assert!(merged > 0);
    // A restart goes on from there.
    rig.file("more.ndjson", air_row(ROWS));
    rig.ingest(&["more.ndjson"]).exits(0);
    assert_eq!(rig.air_rows().len() as u64, ROWS + 1);
}

#[test]
fn a_kill_while_files_are_merged_loses_and_doubles_no_acknowledged_row() {
    const ROWS: u64 = 400;
    let rig = Rig::new();
    let rows: String = (0..ROWS).map(air_row).collect();
    rig.file("rows.ndjson", rows);
    let mut args = vec!["rows.ndjson", "--checkpoint", "cp", "--resume"];
    args.extend(ONE_BY_ONE);
    let mut kills = 0;
    for version in [32, 33, 34, 66, 67, 99, 100, 132, 150] {
        let mut loader = rig.local(&args).spawn().unwrap();
        // From 32 files on a merge is under way.
        rig.wait_for_version(version);
        loader.kill().unwrap();
        loader.wait().unwrap();
        kills += 1;
        let rows = numbers(&rig.air_rows());
        let distinct: BTreeSet<u64> = rows.iter().copied().collect();
        assert!(rows.len() <= distinct.len() + kills, "{rows:?}");
        assert_eq!(distinct, (0..distinct.len() as u64).collect());
    }
    rig.ingest(&args).exits(0);
    let rows = numbers(&rig.air_rows());
    let distinct: BTreeSet<u64> = rows.iter().copied().collect();
    assert_eq!(distinct, (0..ROWS).collect());
    assert!(rows.len() <= ROWS as usize + kills);
    assert!(!table::actions(&air_table(&rig), "remove").is_empty());
}

/// A table that somebody else has made: its protocol, and what differs in its metadata.
fn foreign(dir: &Path, protocol: Value, change: impl FnOnce(&mut Value, &mut Value)) {
    let mut metadata = json!({
        "id": "5fba94ed-9794-4965-ba6e-6ee3c0d22af9",
        "format": {"provider": "parquet", "options": {}},
        "partitionColumns": [],
        "configuration": {},
        "createdTime": 1,
    });
    let mut schema = json!({"type": "struct", "fields": [
        {"name": "device_name", "type": "string", "nullable": true, "metadata": {}},
        {"name": "temp", "type": "integer", "nullable": true, "metadata": {}},
        {"name": "humidity", "type": "long", "nullable": true, "metadata": {}},
    ]});
    change(&mut metadata, &mut schema);
    metadata["schemaString"] = schema.to_string().into();
    let log = dir.join("_delta_log");
    std::fs::create_dir_all(&log).unwrap();
    let entry = format!(
        "{}\n{}\n",
        json!({"protocol": protocol}),
        json!({"metaData": metadata})
    );
    std::fs::write(log.join("00000000000000000000.json"), entry).unwrap();
}

fn legacy(writer: u8) -> Value {
    json!({"minReaderVersion": 1, "minWriterVersion": writer})
}

fn features(reader: &[&str], writer: &[&str]) -> Value {
    json!({"minReaderVersion": if reader.is_empty() { 1 } else { 3 }, "minWriterVersion": 7,
        "readerFeatures": (!reader.is_empty()).then_some(reader), "writerFeatures": writer})
}

fn load(rig: &Rig, server: &crate::rig::Server, table: &str) -> Ran {
    let proto = sample("air_quality.proto");
    let mut command = rig.command(["ingest", "rows.ndjson", "--proto", &proto, "--table", table]);
    command.args(["-o", "json", "--progress", "none"]);
    Ran::of(&command.envs(server.env.clone()).output().unwrap())
}

#[test]
fn a_table_that_asks_for_more_is_refused_with_the_reason_and_left_alone() {
    type Change = Box<dyn FnOnce(&mut Value, &mut Value)>;
    let property = |key: &'static str, value: &'static str| {
        move |metadata: &mut Value, _: &mut Value| metadata["configuration"][key] = value.into()
    };
    let field = |key: &'static str, value: Value| {
        move |_: &mut Value, schema: &mut Value| schema["fields"][2]["metadata"][key] = value
    };
    let none = |_: &mut Value, _: &mut Value| {};
    let rig = Rig::new();
    rig.file("rows.ndjson", air_row(1));
    let mut cases: Vec<&str> = Vec::new();
    let mut case = |protocol, change: Change, reason| {
        let table = rig.path().join(format!("wh/main/default/t{}", cases.len()));
        foreign(&table, protocol, change);
        cases.push(reason);
    };
    case(
        legacy(2),
        Box::new(|metadata, _| metadata["partitionColumns"] = json!(["device_name"])),
        "partitioned by \"device_name\"",
    );
    case(
        legacy(4),
        Box::new(property("delta.enableChangeDataFeed", "true")),
        "change data feed is on",
    );
    case(
        legacy(3),
        Box::new(property("delta.constraints.warm", "temp > 0")),
        "CHECK constraint \"warm\"",
    );
    case(
        legacy(2),
        Box::new(field(
            "delta.invariants",
            json!("{\"expression\":{\"expression\":\"x > 3\"}}"),
        )),
        "\"humidity\" has an invariant",
    );
    case(
        legacy(4),
        Box::new(field("delta.generationExpression", json!("temp + 1"))),
        "\"humidity\" is generated",
    );
    case(
        legacy(6),
        Box::new(field("delta.identity.start", json!(1))),
        "\"humidity\" is an identity",
    );
    case(
        features(&[], &["rowTracking", "domainMetadata"]),
        Box::new(none),
        "feature \"rowTracking\"",
    );
    case(
        features(&["deletionVectors"], &["deletionVectors"]),
        Box::new(property("delta.enableDeletionVectors", "true")),
        "may hold deletion vectors",
    );
    case(
        features(&["columnMapping"], &["columnMapping"]),
        Box::new(|metadata, schema| {
            metadata["configuration"]["delta.columnMapping.mode"] = "name".into();
            for i in 0..3 {
                let name = schema["fields"][i]["name"].clone();
                schema["fields"][i]["metadata"] = json!({
                    "delta.columnMapping.id": i + 1, "delta.columnMapping.physicalName": name});
            }
        }),
        "columns are mapped by name",
    );
    case(
        features(&[], &["icebergCompatV1"]),
        Box::new(none),
        "feature \"icebergCompatV1\"",
    );
    // What is off, or not used, asks nothing.
    case(
        legacy(4),
        Box::new(property("delta.enableChangeDataFeed", "false")),
        "",
    );
    case(
        features(&[], &["appendOnly", "invariants", "changeDataFeed"]),
        Box::new(property("delta.appendOnly", "true")),
        "",
    );
    let cases = cases;

    let server = rig.emulator(&[]);
    for (i, reason) in cases.iter().enumerate() {
        let ran = load(&rig, &server, &format!("main.default.t{i}"));
        let commits =
            std::fs::read_dir(rig.path().join(format!("wh/main/default/t{i}/_delta_log")));
        let commits = commits.unwrap().count();
        if !reason.is_empty() {
            assert!(ran.stderr.contains(reason), "{reason}: {ran:#?}");
            assert_eq!(ran.summary()["error"]["kind"], "refused", "{ran:#?}");
            assert_eq!(ran.summary()["records"]["acked"], 0);
            assert_eq!((ran.code, commits), (1, 1), "{ran:#?}");
            let files = std::fs::read_dir(rig.path().join(format!("wh/main/default/t{i}")));
            assert_eq!(files.unwrap().count(), 1);
        } else {
            assert_eq!((ran.code, commits), (0, 2), "{ran:#?}");
        }
    }
    assert_eq!(server.terminate(), 0);
}

#[test]
fn what_the_server_has_not_room_for_is_refused_and_the_table_goes_on() {
    let rig = Rig::new();
    rig.file("rows.ndjson", air_row(0));
    rig.file("more.ndjson", air_row(1));
    let server = rig.emulator(&["--auto-create"]);
    Ran::of(&rig.remote(&server, &["rows.ndjson"]).output().unwrap()).exits(0);
    // A directory in the place of the next commit's file: nothing can be written there.
    let log = air_table(&rig).join("_delta_log");
    let next = log.join("00000000000000000002.json");
    std::fs::create_dir(&next).unwrap();
    let quick = ["more.ndjson", "--no-recovery"];
    let ran = Ran::of(&rig.remote(&server, &quick).output().unwrap());
    assert_ne!(ran.code, 0, "{ran:#?}");
    assert_eq!(ran.summary()["records"]["acked"], 0);
    std::fs::remove_dir(&next).unwrap();
    Ran::of(&rig.remote(&server, &["more.ndjson"]).output().unwrap()).exits(0);
    assert_eq!(numbers(&rig.air_rows()).len(), 2);
}

#[test]
fn a_table_that_has_gone_is_made_anew_without_a_restart() {
    let rig = Rig::new();
    rig.file("rows.ndjson", air_row(0));
    // What stands in a directory's name is not a URL's.
    let server = rig.emulator(&["--auto-create", "--dir", "a b#c?d"]);
    let table = rig.path().join("a b#c?d/main/default/air_quality");
    for _ in 0..2 {
        let ran = Ran::of(&rig.remote(&server, &["rows.ndjson"]).output().unwrap()).exits(0);
        assert_eq!(ran.summary()["records"]["acked"], 1);
        assert_eq!(numbers(&table::rows(&table)), [0]);
        let shown = rig
            .run(&["peek", "--local", "a%20b%41", "-o", "json"])
            .exits(0);
        assert_eq!(shown.summary()["tables"][0]["rows"], 1);
        std::fs::remove_dir_all(&table).unwrap();
    }
}
