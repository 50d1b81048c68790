//! What a load promises when nothing goes wrong: every row, exactly, from every kind of
//! input, into a table that any Delta reader reads.

use serde_json::{Value, json};

use crate::rig::{AIR, Ran, Rig, air_row, numbers, sample, sorted_numbers};
use crate::table;

/// The rows of the air quality sample.
fn sample_rows() -> Vec<Value> {
    let text = std::fs::read_to_string(sample("air_quality.ndjson")).unwrap();
    text.lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect()
}

#[test]
fn the_ndjson_sample_lands_row_by_row() {
    let rig = Rig::new();
    let ran = rig.ingest(&[&sample("air_quality.ndjson")]).exits(0);
    assert_eq!(ran.stderr, "");
    let summary = ran.summary();
    assert_eq!(
        summary["records"],
        json!({"read": 2000, "acked": 2000, "rejected": 0, "unsent": 0, "in_doubt": 0, "resent": 0})
    );
    assert_eq!(summary["offsets"], json!({"first": 0, "last_acked": 1999}));
    assert_eq!(summary["status"], "ok");
    assert_eq!(summary["bytes"]["read"], 113_751);
    assert_eq!(rig.air_rows(), sample_rows());
    let schema = table::schema(&rig.path().join("wh/main/default/air_quality"));
    assert_eq!(schema["device_name"], "string");
    assert_eq!(schema["temp"], "integer");
    assert_eq!(schema["humidity"], "long");
}

#[test]
fn the_csv_sample_and_standard_input_land_the_same() {
    let rig = Rig::new();
    rig.ingest(&[&sample("air_quality.csv")]).exits(0);
    assert_eq!(rig.air_rows(), sample_rows());

    let rig = Rig::new();
    let input = std::fs::read(sample("air_quality.ndjson")).unwrap();
    let proto = sample("air_quality.proto");
    let args = ["ingest", "--local", "wh", "--table", AIR, "--proto", &proto];
    for end in [&["-"][..], &[]] {
        let args = [&args[..], end].concat();
        rig.pipe(&args, &input).exits(0);
    }
    assert_eq!(rig.air_rows(), [sample_rows(), sample_rows()].concat());
}

#[test]
fn json_records_go_into_a_table_that_exists() {
    let rig = Rig::new();
    let missing = ["ingest", "--local", "wh", "--table", AIR, "--json"];
    let ran = rig
        .run(&[&missing[..], &[&sample("air_quality.ndjson")]].concat())
        .exits(1);
    assert!(ran.stderr.contains("does not exist under wh"), "{ran:#?}");

    let one = rig.file("one.ndjson", air_row(1));
    rig.ingest(&[one.to_str().unwrap()]).exits(0);
    let expected = [rig.air_rows(), sample_rows(), sample_rows()].concat();
    for input in ["air_quality.ndjson", "air_quality.csv"] {
        rig.run(&[&missing[..], &[&sample(input)]].concat())
            .exits(0);
    }
    assert_eq!(rig.air_rows(), expected);
}

#[test]
fn json_records_keep_every_digit() {
    let rig = Rig::new();
    rig.file(
        "r.proto",
        "syntax = \"proto3\"; message R { int64 l = 1; double d = 2;
         string v = 3; // @delta VARIANT
         string big = 4; // @delta DECIMAL(38,0)
        }",
    );
    let row = r#"{"l":9007199254740993.0,"d":0.1,"v":{"b":1.10,"n":12345678901234567890123},"big":18446744073709551616}"#;
    rig.file("r.ndjson", row);
    let base = ["ingest", "--local", "wh", "--table", "m.d.r", "r.ndjson"];
    rig.run(&[&base[..], &["--proto", "r.proto"]].concat())
        .exits(0);
    rig.run(&[&base[..], &["--json"]].concat()).exits(0);
    let rows = table::rows(&rig.path().join("wh/m/d/r"));
    assert_eq!(rows[0]["v"], r#"{"b":1.10,"n":12345678901234567890123}"#);
    assert_eq!(rows[0]["l"], 9_007_199_254_740_993_i64);
    assert_eq!(rows[0], rows[1], "both ways lead to the same row");
    rig.file("r.ndjson", r#"{"l":1,"v":{"a":1,"a":2}}"#);
    rig.run(&[&base[..], &["--json"]].concat()).exits(4);
}

#[test]
fn the_rich_sample_lands_with_its_types() {
    let rig = Rig::new();
    let proto = sample("station.proto");
    let name = "main.default.station";
    let input = sample("station.ndjson");
    rig.run(&[
        "ingest", "--local", "wh", "--table", name, "--proto", &proto, &input,
    ])
    .exits(0);
    let path = rig.path().join("wh/main/default/station");
    let rows = table::rows(&path);
    assert_eq!(rows.len(), 200);
    // Parquet keeps a DECIMAL as digits and a DATE as days; the writer of JSON shows them so.
    assert_eq!(
        rows[10],
        json!({
            "station_id": "st-2",
            "measured_at": "2026-01-01T00:50:00.000010Z",
            "installed_on": "2025-11-15",
            "price_per_kwh": 0.2010,
            "location": {
                "latitude": rows[10]["location"]["latitude"],
                "longitude": rows[10]["location"]["longitude"],
                "site": {"name": "roof 2", "floor": 2}
            },
            "wind_speeds": rows[10]["wind_speeds"],
            "alarms": [{"code": "LOW_BATTERY", "raised_at": "2026-01-01T00:00:00Z"}],
            "counters": {"samples": 3000, "errors": 1},
            "status": "MAINTENANCE",
            "firmware_hash": rows[10]["firmware_hash"],
            "indoor": true,
            "mains_circuit": "C4",
            "extra": "{\"note\": \"ünïcode\", \"n\": 10}"
        })
    );
    assert_eq!(rows[10]["wind_speeds"].as_array().unwrap().len(), 2);
    let schema = table::schema(&path);
    for (column, ty) in [
        ("measured_at", json!("timestamp")),
        ("installed_on", json!("date")),
        ("price_per_kwh", json!("decimal(10,4)")),
        ("firmware_hash", json!("binary")),
        ("status", json!("string")),
        ("battery_volts", json!("double")),
    ] {
        assert_eq!(schema[column], ty, "{column}");
    }
    assert_eq!(schema["location"]["type"], "struct");
    assert_eq!(schema["alarms"]["elementType"]["type"], "struct");
    assert_eq!(schema["counters"]["type"], "map");
}

#[test]
fn imports_siblings_and_packages_reach_the_service_in_one_piece() {
    let rig = Rig::new();
    std::fs::create_dir(rig.path().join("common")).unwrap();
    rig.file(
        "common/geo.proto",
        "syntax = \"proto3\"; package common.v1;
         message Point { double x = 1; double y = 2; Kind kind = 3; enum Kind { UNKNOWN = 0; GPS = 1; } }
         enum Color { NONE = 0; RED = 1; }",
    );
    rig.file(
        "track.proto",
        "syntax = \"proto3\"; package app;
         import \"common/geo.proto\"; import \"google/protobuf/timestamp.proto\"; import \"google/protobuf/wrappers.proto\";
         message Track {
           string id = 1;
           repeated common.v1.Point points = 2;
           google.protobuf.Timestamp at = 3;
           google.protobuf.Int64Value size = 4;
           map<string, Leg> legs = 5;
           common.v1.Color color = 6;
           Color own = 7;
           enum Color { NONE = 0; BLUE = 1; }
         }
         message Leg { common.v1.Point from = 1; }",
    );
    let row = json!({
        "id": "a", "points": [{"x": 1.5, "y": 2, "kind": "GPS"}], "at": "2026-01-01T00:00:00Z",
        "size": "7", "legs": {"one": {"from": {"x": 3}}}, "color": "RED", "own": "BLUE"
    });
    rig.file("track.ndjson", row.to_string());
    let args = [
        "ingest",
        "--local",
        "wh",
        "--table",
        "m.d.track",
        "--proto",
        "track.proto",
        "track.ndjson",
    ];
    rig.run(&args).exits(0);
    let rows = table::rows(&rig.path().join("wh/m/d/track"));
    assert_eq!(
        rows,
        [json!({
            "id": "a", "points": [{"x": 1.5, "y": 2.0, "kind": "GPS"}], "at": "2026-01-01T00:00:00Z",
            "size": 7, "legs": {"one": {"from": {"x": 3.0}}}, "color": "RED", "own": "BLUE"
        })]
    );
}

#[test]
fn an_empty_file_loads_nothing_and_is_fine() {
    let rig = Rig::new();
    for (name, content) in [
        ("a.ndjson", ""),
        ("b.csv", ""),
        ("c.csv", "device_name,temp\n"),
        ("d.ndjson", "\n \r\n"),
    ] {
        let file = rig.file(name, content);
        let summary = rig.ingest(&[file.to_str().unwrap()]).exits(0).summary();
        assert_eq!(summary["records"]["read"], 0, "{name}");
        assert_eq!(
            summary["offsets"],
            json!({"first": null, "last_acked": null})
        );
    }
    assert_eq!(rig.air_rows(), [] as [Value; 0]);
}

#[test]
fn line_ends_of_every_kind_are_lines() {
    let rig = Rig::new();
    let row = |i: u64| air_row(i).trim_end().to_owned();
    let text = format!("\u{feff}{}\r\n\r\n{}\n\n  \n{}", row(1), row(2), row(3));
    let file = rig.file("mixed.ndjson", text);
    rig.ingest(&[file.to_str().unwrap()]).exits(0);
    let file = rig.file(
        "mixed.csv",
        "\u{feff}device_name,temp,humidity\r\na,1,4\r\n\r\n\"b\r\nb\",\"2\",5\nc,,6",
    );
    rig.ingest(&[file.to_str().unwrap()]).exits(0);
    let rows = rig.air_rows();
    assert_eq!(numbers(&rows), [1, 2, 3, 4, 5, 6]);
    assert_eq!(rows[4]["device_name"], "b\r\nb");
    assert_eq!(rows[5]["temp"], Value::Null, "an empty cell is null");
}

#[test]
fn a_file_that_is_still_being_written_keeps_its_last_row_for_later() {
    let rig = Rig::new();
    let whole: String = (0..200_000).map(air_row).collect();
    let (now, later) = whole.split_at(whole.len() - 10);
    let file = rig.file("growing.ndjson", now);
    let mut command = rig.local(&["--max-inflight", "1000", "growing.ndjson"]);
    let loader = command.spawn().unwrap();
    rig.wait_for_version(2);
    let mut file = std::fs::File::options().append(true).open(file).unwrap();
    std::io::Write::write_all(&mut file, later.as_bytes()).unwrap();
    let ran = Ran::of(&loader.wait_with_output().unwrap()).exits(1);
    assert!(
        ran.stderr
            .contains("growing.ndjson:200000: the file is still being written"),
        "{ran:#?}"
    );
    assert_eq!(ran.summary()["records"]["acked"], 199_999);
    assert_eq!(
        sorted_numbers(&rig.air_rows()),
        (0..199_999).collect::<Vec<_>>()
    );
}

#[test]
fn a_file_that_is_cut_off_while_it_is_read_is_no_success() {
    let rig = Rig::new();
    let row = air_row(0);
    let file = rig.file("cut.ndjson", row.repeat(200_000));
    let mut command = rig.local(&["--max-inflight", "1000", "cut.ndjson"]);
    let loader = command.spawn().unwrap();
    rig.wait_for_version(2);
    let file = std::fs::File::options().write(true).open(file).unwrap();
    file.set_len(row.len() as u64 * 150_000).unwrap();
    let ran = Ran::of(&loader.wait_with_output().unwrap()).exits(1);
    assert!(
        ran.stderr.contains("was cut off while it was read"),
        "{ran:#?}"
    );
    assert_eq!(ran.summary()["records"]["acked"], 150_000);
}

#[test]
fn file_names_need_not_be_text() {
    use std::os::unix::ffi::OsStrExt as _;
    let rig = Rig::new();
    let name = std::ffi::OsStr::from_bytes(b"b\xff.ndjson");
    std::fs::write(rig.path().join(name), air_row(1)).unwrap();
    let mut command = rig.local(&[]);
    Ran::of(&command.arg(name).output().unwrap()).exits(0);
    assert_eq!(rig.air_rows().len(), 1);
}

#[test]
fn several_inputs_are_read_in_the_order_given() {
    let rig = Rig::new();
    let a = rig.file("a.ndjson", air_row(1));
    let b = rig.file("b.csv", "humidity\n2\n");
    let ran = rig
        .ingest(&[b.to_str().unwrap(), a.to_str().unwrap()])
        .exits(0);
    assert_eq!(numbers(&rig.air_rows()), [2, 1]);
    assert_eq!(ran.summary()["offsets"]["last_acked"], 1);
}

#[test]
fn a_loader_and_a_server_in_processes_of_their_own() {
    let rig = Rig::new();
    let server = rig.emulator(&["--auto-create"]);
    rig.file("rows.ndjson", (0..100_000).map(air_row).collect::<String>());
    let ran = Ran::of(&rig.remote(&server, &["rows.ndjson"]).output().unwrap()).exits(0);
    assert_eq!(ran.summary()["offsets"]["last_acked"], 99_999);
    assert_eq!(server.terminate(), 0);
    assert_eq!(numbers(&rig.air_rows()), (0..100_000).collect::<Vec<_>>());
}

#[test]
fn progress_goes_to_standard_error_and_the_summary_to_standard_output() {
    let rig = Rig::new();
    let (proto, input) = (sample("air_quality.proto"), sample("air_quality.ndjson"));
    let args = [
        "ingest", "--local", "wh", "--table", AIR, "--proto", &proto, &input,
    ];
    let text = rig.run(&args).exits(0);
    assert!(
        text.stdout
            .starts_with("main.default.air_quality: all rows acknowledged\n")
    );
    assert!(text.stdout.lines().all(|l| l.chars().count() <= 80));
    let quiet = rig.run(&[&args[..], &["-q"]].concat()).exits(0);
    assert_eq!((quiet.stdout.as_str(), quiet.stderr.as_str()), ("", ""));
    let json = rig
        .run(&[&args[..], &["-q", "-o", "json"]].concat())
        .exits(0);
    assert_eq!(json.stdout.lines().count(), 1);
    assert_eq!(json.summary()["status"], "ok");
}
