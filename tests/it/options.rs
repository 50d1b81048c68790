//! What the flags for inputs, CSV and checking promise.

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::rig::{AIR, Rig, air_row, numbers, sample};

#[test]
fn csv_dialects_are_what_the_flags_say() {
    let rig = Rig::new();
    for (flags, text) in [
        (
            &["--delimiter", ";"][..],
            "device_name;temp;humidity\n\"a;b\";1;7\n",
        ),
        (
            &["--delimiter", "\\t"],
            "device_name\ttemp\thumidity\na;b\t1\t7\n",
        ),
        (&["--quote", "'"], "device_name,temp,humidity\n'a;b',1,7\n"),
        (&["--no-header"], "a;b,1,7\n"),
        (
            &["--no-header", "--columns", "humidity,device_name,temp"],
            "7,a;b,1\n",
        ),
        (
            &["--columns", "humidity,device_name,temp"],
            "x,y,z\n7,a;b,1\n",
        ),
        (&["--trim"], "device_name,temp,humidity\n a;b ,\t1, 7\n"),
    ] {
        rig.file("data.csv", text);
        rig.ingest(&[flags, &["data.csv"]].concat()).exits(0);
        let rows = rig.air_rows();
        let expected = json!({"device_name": "a;b", "temp": 1, "humidity": 7});
        assert_eq!(rows.last(), Some(&expected), "{flags:?}");
    }
    rig.file("data.csv", "device_name,temp\n\"a,2\n");
    rig.ingest(&["--quote", "", "data.csv"]).exits(0);
    assert_eq!(rig.air_rows().last().unwrap()["device_name"], "\"a");
}

#[test]
fn null_is_what_the_flags_say_and_never_in_quotes() {
    let rig = Rig::new();
    rig.file(
        "data.csv",
        "device_name,temp\n,NA\n\"\",1\n\"NA\",-\nNA,2\n",
    );
    let ran = rig.ingest(&["data.csv"]).exits(4);
    assert!(
        ran.stderr
            .contains("data.csv:2: field \"temp\": \"NA\" is not an int32")
    );
    rig.ingest(&["--null", "NA", "--null", "-", "data.csv"])
        .exits(0);
    assert_eq!(
        rig.air_rows(),
        [
            json!({"device_name": ""}),
            json!({"device_name": "", "temp": 1}),
            json!({"device_name": "NA"}),
            json!({"temp": 2}),
        ]
    );
}

#[test]
fn flags_that_contradict_each_other_are_wrong_usage() {
    let rig = Rig::new();
    rig.file("x.csv", "a,b\n1,2\n");
    for (flags, expected) in [
        (&["--delimiter", ","][..], None),
        (&["--delimiter", "\""], Some("are the same character")),
        (&["--delimiter", "é"], Some("expected one ASCII character")),
        (&["--quote", "ab"], Some("expected one ASCII character")),
        (&["--json", "--no-header"], Some("needs --columns")),
        (&["--dry-run", "--check-first"], Some("cannot be used with")),
    ] {
        let base = ["ingest", "--table", AIR, "--dry-run", "x.csv"];
        let mut args: Vec<&str> = base.into_iter().filter(|a| !flags.contains(a)).collect();
        args.extend(flags);
        if !flags.contains(&"--json") {
            args.push("--json");
        }
        match expected {
            None => drop(rig.run(&args).exits(0)),
            Some(text) => {
                let ran = rig.run(&args).exits(2);
                assert!(ran.stderr.contains(text), "{ran:#?}");
            }
        }
    }
    let ran = rig.pipe(
        &["ingest", "--table", AIR, "--json", "--check-first", "-"],
        b"",
    );
    assert!(ran.exits(2).stderr.contains("reads the inputs twice"));
    rig.file("two.csv", "temp,humidity\n1,2\n");
    let ran = rig.ingest(&["--columns", "temp", "two.csv"]).exits(1);
    assert!(
        ran.stderr
            .contains("--columns names 1 columns, the header has 2"),
        "{ran:#?}"
    );
}

#[test]
fn skip_and_limit_count_rows_over_all_inputs() {
    let rig = Rig::new();
    let a = (0..5).map(air_row).collect::<String>() + "bad\n";
    rig.file("a.ndjson", a);
    rig.file("b.ndjson", (5..10).map(air_row).collect::<String>());
    let inputs = ["a.ndjson", "b.ndjson"];
    let ran = rig
        .ingest(&[&["--skip", "2", "--limit", "3"], &inputs[..]].concat())
        .exits(0);
    let summary = ran.summary();
    assert_eq!(
        (&summary["skipped"], &summary["records"]["read"]),
        (&json!(2), &json!(3))
    );
    assert_eq!(numbers(&rig.air_rows()), [2, 3, 4]);
    // The bad row is the sixth.
    rig.ingest(&[&["--skip", "6"], &inputs[..]].concat())
        .exits(0);
    assert_eq!(numbers(&rig.air_rows())[3..], [5, 6, 7, 8, 9]);
    rig.ingest(&[&["--skip", "5", "--limit", "1"], &inputs[..]].concat())
        .exits(4);
    let summary = rig
        .ingest(&[&["--skip", "100"], &inputs[..]].concat())
        .exits(0)
        .summary();
    assert_eq!(summary["skipped"], 11);
    let summary = rig
        .ingest(&[&["--limit", "0"], &inputs[..]].concat())
        .exits(0)
        .summary();
    assert_eq!(summary["records"]["read"], 0);
}

#[test]
fn a_long_row_is_a_row_to_skip_and_limit() {
    let rig = Rig::new();
    let long = format!("{{\"device_name\": \"{}\"}}\n", "x".repeat(3 << 20));
    rig.file(
        "a.ndjson",
        [air_row(0), long, air_row(1), air_row(2)].concat(),
    );
    let args = ["--max-line", "64KiB", "a.ndjson"];
    rig.ingest(&[&["--skip", "2", "--limit", "1"], &args[..]].concat())
        .exits(0);
    assert_eq!(numbers(&rig.air_rows()), [1]);
    rig.ingest(&[&["--limit", "1"], &args[..]].concat())
        .exits(0);
    rig.ingest(&[&["--limit", "2"], &args[..]].concat())
        .exits(4);
}

#[test]
fn too_few_rows_are_a_failure() {
    let rig = Rig::new();
    rig.file("a.ndjson", air_row(1));
    rig.ingest(&["--min-rows", "1", "a.ndjson"]).exits(0);
    let ran = rig.ingest(&["--min-rows", "2", "a.ndjson"]).exits(1);
    assert_snapshot!(ran.stderr, @"
    error: only 1 rows were read, fewer than --min-rows 2
      hint: rows that were read are acknowledged; check why the input is short
    ");
    assert_eq!(ran.summary()["records"]["acked"], 1);
}

#[test]
fn a_dry_run_checks_every_row_and_connects_nowhere() {
    let rig = Rig::new();
    rig.file("good.ndjson", (0..3).map(air_row).collect::<String>());
    rig.file(
        "bad.ndjson",
        [&air_row(1), "{\"temp\": \"x\"}\n", &air_row(2)].concat(),
    );
    let proto = sample("air_quality.proto");
    // No endpoint, no credentials.
    let base = [
        "ingest",
        "--table",
        AIR,
        "--proto",
        &proto,
        "--dry-run",
        "-o",
        "json",
    ];
    let ran = rig.run(&[&base[..], &["good.ndjson"]].concat()).exits(0);
    let summary = ran.summary();
    assert_eq!(summary["dry_run"], true);
    assert_eq!(
        summary["records"],
        json!({"read": 3, "acked": 0, "rejected": 0, "unsent": 3, "in_doubt": 0, "resent": 0})
    );
    assert_eq!(summary["status"], "ok");
    rig.run(&[&base[..], &["bad.ndjson"]].concat()).exits(4);
    let more = [
        "--max-errors",
        "1",
        "--rejects",
        "rejects",
        "bad.ndjson",
        "--local",
        "wh",
    ];
    rig.run(&[&base[..], &more].concat()).exits(3);
    let rejects = std::fs::read_to_string(rig.path().join("rejects")).unwrap();
    assert_eq!(rejects, "{\"temp\": \"x\"}\n");
    assert!(!rig.path().join("wh").exists());
}

#[test]
fn checking_first_loads_all_or_nothing() {
    let rig = Rig::new();
    rig.file("good.ndjson", (0..3).map(air_row).collect::<String>());
    rig.file("bad.ndjson", "{\"temp\": \"x\"}\n");
    rig.ingest(&["--check-first", "good.ndjson", "bad.ndjson"])
        .exits(4);
    assert!(!rig.path().join("wh/main").exists(), "nothing was loaded");
    rig.ingest(&["--check-first", "good.ndjson"]).exits(0);
    assert_eq!(numbers(&rig.air_rows()), [0, 1, 2]);
    let args = ["--check-first", "--max-errors", "1", "bad.ndjson"];
    let summary = rig.ingest(&args).exits(3).summary();
    assert_eq!(
        summary["records"]["rejected"], 1,
        "the check counts for itself"
    );
}

#[test]
fn a_schema_is_shown_as_the_service_will_see_it() {
    let rig = Rig::new();
    let proto = sample("station.proto");
    let show = ["schema", "show", "--proto", &proto];
    assert_snapshot!("schema_show", rig.run(&show).exits(0).stdout);
    let ran = rig
        .run(&[&show[..], &["-o", "json", "--descriptor-out", "d.bin"]].concat())
        .exits(0);
    let shown: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(
        shown["fields"][1],
        json!({"field": "measured_at", "number": 2, "protobuf": "int64", "column": "TIMESTAMP", "nullable": true})
    );
    let descriptor = std::fs::read(rig.path().join("d.bin")).unwrap();
    let descriptor =
        <prost_types::DescriptorProto as prost::Message>::decode(&*descriptor).unwrap();
    assert_eq!(descriptor.name(), "StationReport");
    assert_eq!(descriptor.field[5].type_name(), ".StationReport.Location");
}

#[test]
fn a_json_file_is_an_array_or_objects_one_after_another() {
    let rig = Rig::new();
    for (text, expected) in [
        ("[]", &[][..]),
        (" \n", &[]),
        ("\u{feff}[{\"humidity\": 1}, {\"humidity\": 2}]\n", &[1, 2]),
        (
            "{\"humidity\": 3}{\"humidity\":\n4}\n\n{\"device_name\": \"]},{[\\\"\", \"humidity\": 5}",
            &[3, 4, 5],
        ),
    ] {
        let before = rig.air_rows_or_none().len();
        rig.file("data.json", text);
        rig.ingest(&["data.json"]).exits(0);
        assert_eq!(&numbers(&rig.air_rows())[before..], expected, "{text}");
    }
    let rows = rig.air_rows();
    assert_eq!(rows.last().unwrap()["device_name"], "]},{[\"");
    let piped = rig.pipe(
        &[
            "ingest",
            "--table",
            AIR,
            "--json",
            "--dry-run",
            "--format",
            "json",
            "-o",
            "json",
        ],
        b"[{\"a\": 1},\n{\"a\": 2}]",
    );
    assert_eq!(piped.exits(0).summary()["records"]["read"], 2);
}

#[test]
fn a_json_file_that_is_none_fails_at_its_place() {
    let rig = Rig::new();
    for (text, code, message) in [
        (
            "[{\"humidity\": 1},\n{\"humidity\": 2}",
            1,
            "data.json:1: the array that opens here never closes",
        ),
        (
            "[{\"humidity\": 1},\n{\"humid",
            1,
            "data.json:1: the array that opens here never closes",
        ),
        (
            "[{\"humidity\": 1}\n{\"humidity\": 2}]",
            1,
            "data.json:2: expected `,` or `]` after a row",
        ),
        ("[{\"humidity\": 1},\n]", 1, "data.json:2: expected a row"),
        (
            "[{\"humidity\": 1}]\n{}",
            1,
            "data.json:2: text after the end of the array",
        ),
        (
            "[{\"humidity\": 1},\n\n7]",
            4,
            "data.json:3: not a JSON object, as a row must be",
        ),
        (
            "{\"humidity\": 1}\n{\"humidity\": ",
            4,
            "data.json:2: not valid JSON at column",
        ),
    ] {
        rig.file("data.json", text);
        let before = rig.air_rows_or_none().len();
        let ran = rig.ingest(&["data.json"]).exits(code);
        assert!(ran.stderr.contains(message), "{message}: {ran:#?}");
        assert!(
            rig.air_rows_or_none().len() > before,
            "rows before the place are there: {text}"
        );
    }
}

#[test]
fn fields_are_mapped_from_other_names_and_set_to_where_a_row_comes_from() {
    let rig = Rig::new();
    rig.file(
        "r.proto",
        "syntax = \"proto2\";
         message R {
           optional string name = 1; optional int32 temp = 2; optional string src = 3;
           optional int64 line = 4; optional string load = 5;
           optional int64 at = 6; // @delta TIMESTAMP
           repeated int32 tags = 7; optional int32 version = 8;
         }",
    );
    rig.file(
        "a.ndjson",
        "\n{\"sensor\": \"x\", \"temp\": 1}\n{\"temp\": 2, \"sensor\": \"y\"}\n",
    );
    rig.file("b.csv", "temp,sensor\n3,\"z\nz\"\n");
    let args = [
        "ingest",
        "--local",
        "wh",
        "--table",
        "m.d.r",
        "--proto",
        "r.proto",
        "--map",
        "name=sensor",
        "--set",
        "src=@source",
        "--set",
        "line=@line",
        "--set",
        "load=@load_id",
        "--set",
        "at=@loaded_at",
        "--set",
        "tags=[1,2]",
        "--set",
        "version=7",
    ];
    rig.run(&[&args[..], &["a.ndjson", "b.csv"]].concat())
        .exits(0);
    let rows = crate::table::rows(&rig.path().join("wh/m/d/r"));
    let seen: Vec<_> = rows
        .iter()
        .map(|r| {
            json!([
                r["name"],
                r["temp"],
                r["src"],
                r["line"],
                r["tags"],
                r["version"]
            ])
        })
        .collect();
    assert_eq!(
        seen,
        [
            json!(["x", 1, "a.ndjson", 2, [1, 2], 7]),
            json!(["y", 2, "a.ndjson", 3, [1, 2], 7]),
            json!(["z\nz", 3, "b.csv", 2, [1, 2], 7]),
        ]
    );
    assert!(
        rows.iter()
            .all(|r| r["load"] == rows[0]["load"] && r["at"] == rows[0]["at"])
    );
    assert_eq!(rows[0]["load"].as_str().unwrap().len(), 32);

    for (flags, code, message) in [
        (
            &["--map", "nme=sensor"][..],
            2,
            "--map nme: no such field in R (did you mean \"name\"?)",
        ),
        (
            &["--set", "temp=1", "--map", "temp=t"],
            2,
            "mapped or set twice",
        ),
        (&["--set", "temp"], 2, "expected NAME=TEXT"),
        (
            &["--map", "name=gauge"],
            1,
            "--map name=gauge: there is no such column",
        ),
        (
            &["--map", "name=sensor", "--set", "temp=warm"],
            4,
            "field \"temp\": \"warm\" is not an int32",
        ),
        (
            &["--map", "name=sensor", "--set", "temp=1"],
            4,
            "field \"temp\": given twice",
        ),
    ] {
        let base = [
            "ingest",
            "--dry-run",
            "--table",
            "m.d.r",
            "--proto",
            "r.proto",
            "b.csv",
        ];
        let ran = rig.run(&[&base[..], flags].concat()).exits(code);
        assert!(ran.stderr.contains(message), "{ran:#?}");
    }
    let json = [
        "ingest",
        "--dry-run",
        "--table",
        "m.d.r",
        "--json",
        "--set",
        "a=b",
        "b.csv",
    ];
    assert!(rig.run(&json).exits(2).stderr.contains("need --proto"));
}
