//! Tables that are not there, that cannot be made, and that others have made so that this
//! server cannot write them.

use serde_json::{Value, json};
use tempfile::TempDir;
use zerobus::emulator::Emulator;

use crate::wire::{Rig, json_stream, message, name, options, proto_stream};

use super::Refusal;

pub async fn refusals() -> Vec<Refusal> {
    let mut refusals = missing().await;
    refusals.extend(unsupported().await);
    refusals
}

async fn missing() -> Vec<Refusal> {
    let mut refusals = Vec::new();
    let plain = message(r#"syntax = "proto2"; message Row { optional int32 v = 1; }"#);
    let rig = Rig::new().await;
    for (sent, create) in [
        (
            "protobuf to a table that there is not",
            proto_stream(&plain),
        ),
        ("JSON to a table that there is not", json_stream()),
    ] {
        let status = rig.open(create).await.refusal().await;
        refusals.push(Refusal::new(sent, &status));
    }
    assert!(!rig.server.table_exists(&name()).await.unwrap());
    rig.server.shutdown().await.unwrap();

    // Each message holds the next one twice: 2^40 columns.
    let twice = |n| {
        let next = n + 1;
        format!("message M{n} {{ optional M{next} a = 1; optional M{next} b = 2; }}")
    };
    let chain = |n| format!("message M{n} {{ optional M{} a = 1; }}", n + 1);
    let nested = |messages: u32, each: &dyn Fn(u32) -> String| {
        let within: String = (0..messages).map(each).collect();
        format!("optional M0 m = 1; {within} message M{messages} {{ optional int32 v = 1; }}")
    };
    let dir = TempDir::new().unwrap();
    let mut options = options(dir.path());
    options.auto_create = true;
    let server = Emulator::start(options).await.unwrap();
    let rig = Rig { dir, server };
    for (sent, fields) in [
        ("--auto-create: a message without fields", String::new()),
        (
            "--auto-create: recursive messages",
            "optional Row row = 1; message In { optional In in = 1; } optional In in = 2;".into(),
        ),
        ("--auto-create: 2^40 columns", nested(40, &twice)),
        ("--auto-create: 101 messages deep", nested(101, &chain)),
        ("--auto-create: 50 messages deep", nested(50, &chain)),
        (
            "--auto-create: names that differ in case only",
            "optional int32 v = 1; optional int32 V = 2;".into(),
        ),
        (
            "--auto-create: 2,001 columns",
            (1..=2_001)
                .map(|n| format!("optional int32 v{n} = {n};"))
                .collect(),
        ),
    ] {
        let row = message(&format!("syntax = \"proto2\"; message Row {{ {fields} }}"));
        let status = rig.open(proto_stream(&row)).await.refusal().await;
        refusals.push(Refusal::new(sent, &status));
        let made = rig.server.table_exists(&name()).await.unwrap();
        assert!(!made, "{sent}");
    }
    let status = rig.open(json_stream()).await.refusal().await;
    refusals.push(Refusal::new("--auto-create: JSON records", &status));
    rig.server.shutdown().await.unwrap();
    refusals
}

/// Tables as other programs make them.
async fn unsupported() -> Vec<Refusal> {
    let plain = message(r#"syntax = "proto2"; message Row { optional int32 v = 1; }"#);
    let property = |key: &str, value: &str| changed(&["metaData", "configuration", key], value);
    let column = |key: &str, value: Value| {
        let mut field = json!({"name": "v", "type": "integer", "nullable": true, "metadata": {}});
        field[key] = value;
        let schema = json!({"type": "struct", "fields": [field]});
        changed(&["metaData", "schemaString"], schema.to_string())
    };
    let feature = |name: &str| {
        let features =
            json!({"minReaderVersion": 1, "minWriterVersion": 7, "writerFeatures": [name]});
        changed(&["protocol"], features)
    };
    let mut refusals = Vec::new();
    for (sent, log) in [
        (
            "a partitioned table",
            changed(&["metaData", "partitionColumns"], json!(["v"])),
        ),
        (
            "a table with a change data feed",
            property("delta.enableChangeDataFeed", "true"),
        ),
        (
            "a table with row tracking",
            property("delta.enableRowTracking", "true"),
        ),
        (
            "a table with deletion vectors",
            property("delta.enableDeletionVectors", "true"),
        ),
        (
            "a table with timestamps in its commits",
            property("delta.enableInCommitTimestamps", "true"),
        ),
        (
            "a table for Iceberg",
            property("delta.enableIcebergCompatV2", "true"),
        ),
        (
            "a table with widened types",
            property("delta.enableTypeWidening", "true"),
        ),
        (
            "a table with a CHECK constraint",
            property("delta.constraints.positive", "v > 0"),
        ),
        (
            "a table with mapped columns",
            property("delta.columnMapping.mode", "name"),
        ),
        (
            "a table with a generated column",
            column("metadata", json!({"delta.generationExpression": "1 + 1"})),
        ),
        (
            "a table with an identity column",
            column("metadata", json!({"delta.identity.start": 1})),
        ),
        (
            "a table with a default",
            column("metadata", json!({"CURRENT_DEFAULT": "1"})),
        ),
        (
            "a table with an interval",
            column("type", json!("interval day")),
        ),
        ("a table with a feature", feature("clustering")),
        (
            "a table of a later protocol",
            changed(
                &["protocol"],
                json!({"minReaderVersion": 9, "minWriterVersion": 9}),
            ),
        ),
        ("a table whose log is damaged", "{".to_owned()),
    ] {
        let rig = Rig::new().await;
        let dir = rig.dir.path().join("main/default/events/_delta_log");
        std::fs::create_dir_all(&dir).unwrap();
        let first = dir.join("00000000000000000000.json");
        std::fs::write(&first, &log).unwrap();
        let status = rig.open(proto_stream(&plain)).await.refusal().await;
        let mut refusal = Refusal::new(sent, &status);
        let root = rig.dir.path().canonicalize().unwrap();
        refusal.text = refusal.text.replace(root.to_str().unwrap(), "DIR");
        refusals.push(refusal);
        rig.server.shutdown().await.unwrap();
        assert_eq!(std::fs::read_to_string(first).unwrap(), log, "{sent}");
        assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 1, "{sent}");
    }
    refusals
}

/// The first entry of a table's log, with another value at a place in it.
fn changed(place: &[&str], value: impl Into<Value>) -> String {
    let field = json!({"name": "v", "type": "integer", "nullable": true, "metadata": {}});
    let mut actions = json!({
        "protocol": {"minReaderVersion": 1, "minWriterVersion": 2},
        "metaData": {
            "id": "2e3bf5b2-7b8f-4c5c-a2f1-2c5f7f0f8d10",
            "format": {"provider": "parquet", "options": {}},
            "schemaString": json!({"type": "struct", "fields": [field]}).to_string(),
            "partitionColumns": [],
            "configuration": {},
            "createdTime": 0,
        },
    });
    let at = place
        .iter()
        .fold(&mut actions, |value, key| &mut value[*key]);
    *at = value.into();
    let actions = actions.as_object().unwrap().iter();
    actions
        .map(|(key, action)| format!("{}\n", json!({key: action})))
        .collect()
}
