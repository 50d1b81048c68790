//! What goes wrong before or during a load: the exit code, and a message that says where,
//! what, and what next.

use std::net::TcpListener;

use insta::assert_snapshot;
use serde_json::json;

use crate::rig::{AIR, Ran, Rig, air_row, numbers, sample};

/// The message and the code, with what differs from run to run cut out.
pub fn told(rig: &Rig, ran: &Ran) -> String {
    let dir = rig.path().display().to_string();
    let text = ran.stderr.replace(&dir, "DIR");
    let text = text.replace(crate::rig::ZEROBUS, "zerobus");
    let text = text.replace(env!("CARGO_MANIFEST_DIR"), "SRC");
    format!("exit {}\n{text}", ran.code)
}

#[test]
fn a_bad_row_is_named_by_file_line_field_and_value() {
    let rig = Rig::new();
    let mut rows: String = (0..5).map(air_row).collect();
    rows.push_str("{\"device_name\": \"x\", \"temp\": \"12x\", \"humidity\": 5}\n");
    rows.push_str(&air_row(6));
    rig.file("data.ndjson", rows);
    let ran = rig.ingest(&["data.ndjson"]).exits(4);
    assert_snapshot!(told(&rig, &ran), @r#"
    exit 4
    error: data.ndjson:6: field "temp": "12x" is not an int32
      hint: --max-errors 10 --rejects bad.ndjson loads the good rows and keeps the bad ones
      go on with: zerobus ingest --skip 5 --local wh --table main.default.air_quality --proto SRC/samples/air_quality.proto -o json --progress none data.ndjson
    "#);
    let summary = ran.summary();
    assert_eq!(summary["status"], "too_many_rejects");
    assert_eq!(
        summary["records"],
        json!({"read": 6, "acked": 5, "rejected": 1, "unsent": 0, "in_doubt": 0, "resent": 0})
    );
    assert_eq!(summary["error"]["source"], "data.ndjson");
    assert_eq!(summary["error"]["line"], 6);
    assert_eq!(
        numbers(&rig.air_rows()),
        [0, 1, 2, 3, 4],
        "what was accepted is there"
    );
}

#[test]
fn the_hint_works_and_rejects_can_be_mended_and_loaded_again() {
    let rig = Rig::new();
    let bad = [
        "{\"temp\": 3000000000, \"humidty\": 1}",
        "{\"temp\": 1.5}",
        "not json",
    ];
    let text = [
        &air_row(1),
        bad[0],
        "\r\n",
        bad[1],
        "\n\n",
        bad[2],
        "\n",
        &air_row(2),
    ]
    .concat();
    rig.file("data.ndjson", text);
    rig.file("bad.ndjson", "kept from before\n");
    let ran = rig
        .ingest(&[
            "--max-errors",
            "10",
            "--rejects",
            "bad.ndjson",
            "data.ndjson",
        ])
        .exits(3);
    assert_snapshot!(told(&rig, &ran), @r#"
    exit 3
    warning: data.ndjson:2: field "temp": 3000000000 is out of range for an int32 (-2147483648 to 2147483647)
    warning: data.ndjson:2: field "humidty": no such field in AirQuality (did you mean "humidity"?)
    warning: data.ndjson:3: field "temp": 1.5 is not a whole number, as an int32 must be
    warning: data.ndjson:5: not a JSON object, as a row must be
    "#);
    assert_eq!(ran.summary()["records"]["rejected"], 3);
    let read = |name: &str| std::fs::read_to_string(rig.path().join(name)).unwrap();
    // Every byte of the source, line ends too.
    assert_eq!(
        read("bad.ndjson"),
        format!("{}\r\n{}\n{}\n", bad[0], bad[1], bad[2])
    );
    assert_eq!(read("bad.ndjson.1"), "kept from before\n");
    let reasons = read("bad.ndjson.reasons.ndjson");
    let first: serde_json::Value = serde_json::from_str(reasons.lines().next().unwrap()).unwrap();
    let byte = air_row(1).len();
    assert_eq!(
        first,
        json!({"source": "data.ndjson", "line": 2, "byte": byte, "field": "temp", "kind": "range",
               "message": "3000000000 is out of range for an int32 (-2147483648 to 2147483647)"})
    );
    assert_eq!(reasons.lines().count(), 4);
    assert_eq!(numbers(&rig.air_rows()), [1, 2]);
}

#[test]
fn bad_cells_of_a_csv_are_named_and_its_rejects_have_the_header() {
    let rig = Rig::new();
    rig.file(
        "data.csv",
        "device_name,temp,humidity\na,\" 1,234\",1\nb,1e3,2\n\"c\"x,1,3\nd,1\ne,1,4,5\n\"multi\nline\",x,6\n",
    );
    let ran = rig
        .ingest(&["--max-errors", "10", "--rejects", "bad.csv", "data.csv"])
        .exits(3);
    assert_snapshot!(told(&rig, &ran), @r#"
    exit 3
    warning: data.csv:2: field "temp": " 1,234" is not an int32
    warning: data.csv:4: text after the closing quote of a cell (double the quotes inside a cell)
    warning: data.csv:5: has 2 cells, expected 3
    warning: data.csv:6: has 4 cells, expected 3
    warning: data.csv:7: field "temp": "x" is not an int32
    "#);
    let rejects = std::fs::read_to_string(rig.path().join("bad.csv")).unwrap();
    assert_eq!(
        rejects,
        "device_name,temp,humidity\na,\" 1,234\",1\n\"c\"x,1,3\nd,1\ne,1,4,5\n\"multi\nline\",x,6\n"
    );
    assert_eq!(rig.air_rows()[0]["temp"], 1000);
}

#[test]
fn inputs_that_cannot_be_read() {
    let rig = Rig::new();
    let ran = rig.ingest(&["nowhere.ndjson"]).exits(1);
    assert_snapshot!(told(&rig, &ran), @"
    exit 1
    error: nowhere.ndjson: cannot be opened: No such file or directory (os error 2)
      hint: check the path; `-` reads standard input
    ");
    assert_eq!(ran.summary()["error"]["kind"], "input");
    let ran = rig.ingest(&["."]).exits(1);
    assert_snapshot!(told(&rig, &ran), @"
    exit 1
    error: .: holds no file that ends in .ndjson, .jsonl, .json, .csv, .tsv (.gz, .zst)
      hint: other files are named by a glob, such as 'DIR/*.txt'
    ");
    rig.file("open.csv", "device_name,temp\na,1\n\"b,2\nc,3\n");
    let ran = rig.ingest(&["open.csv"]).exits(1);
    assert_snapshot!(told(&rig, &ran), @"
    exit 1
    error: open.csv:3: a quoted cell opens here and does not close
      hint: close the quote, or double the quotes inside the cell
      go on with: zerobus ingest --skip 1 --local wh --table main.default.air_quality --proto SRC/samples/air_quality.proto -o json --progress none open.csv
    ");
    assert_eq!(rig.air_rows().len(), 1);
    rig.file("header.csv", "device_name,tmep\na,1\n");
    let ran = rig.ingest(&["header.csv"]).exits(1);
    assert_snapshot!(told(&rig, &ran), @r#"
    exit 1
    error: header.csv:1: the header does not fit the record: field "tmep": no such field in AirQuality (did you mean "temp"?)
      hint: --map FIELD=COLUMN gives a column to a field of another name, --unknown-fields ignore leaves out what is no field
    "#);
}

#[test]
fn wrong_usage_ends_in_2_and_prints_no_summary() {
    let rig = Rig::new();
    for (args, expected) in [
        (
            &["ingest", "--table", "default.air_quality", "x"][..],
            "has 2 parts, expected three: catalog.schema.table",
        ),
        (
            &["ingest", "--table", AIR, "--dry-run", "x"],
            "--dry-run connects nowhere: it needs --proto",
        ),
        (
            &["ingest", "--table", AIR, "--message", "M", "x"],
            "--message needs --proto or --descriptor-set",
        ),
        (
            &["ingest", "--table", AIR, "--table-check", "off", "x"],
            "--table-check off needs --proto",
        ),
        (&["schema", "show"], "no --proto FILE is given"),
        (&["ingest", "--table", AIR, "--json"], "no INPUT is given"),
        (
            &["ingest", "--table", AIR, "--json", "-", "-"],
            "given twice",
        ),
        (
            &["ingest", "--table", AIR, "--json", "--rejects", "x", "./x"],
            "which is also an INPUT",
        ),
        (
            &["ingest", "--table", AIR, "--timezone", "Mars/Base", "x"],
            "is no time zone",
        ),
        (&["ingest", "--tabel", AIR], "--table"),
        (
            &[
                "ingest",
                "--table",
                AIR,
                "--json",
                "--max-inflight",
                "0",
                "x",
            ],
            "0 is not in 1..",
        ),
        (
            &["emulator", "--dir", "wh", "--client", "s3cret"],
            "expected ID:SECRET",
        ),
    ] {
        rig.file("x", "");
        let ran = rig.run(args).exits(2);
        assert!(ran.stderr.contains(expected), "{expected}: {ran:#?}");
        assert_eq!(ran.stdout, "");
        assert!(!ran.stderr.contains("s3cret"), "{ran:#?}");
    }
}

#[test]
fn settings_that_are_missing_or_unsafe() {
    let rig = Rig::new();
    rig.file("row.ndjson", air_row(1));
    let base = [
        "ingest",
        "--table",
        AIR,
        "--json",
        "row.ndjson",
        "-o",
        "json",
    ];
    let ran = rig.run(&base).exits(1);
    assert_snapshot!(told(&rig, &ran), @"
    exit 1
    error: no Zerobus endpoint is given
      hint: give --endpoint or set ZEROBUS_ENDPOINT; a load with --local DIR needs none
    ");
    assert_eq!(ran.summary()["error"]["kind"], "settings");
    let ran = rig
        .run(
            &[
                &base[..],
                &["--endpoint", "http://example.com", "--token", "t"],
            ]
            .concat(),
        )
        .exits(1);
    assert_snapshot!(told(&rig, &ran), @r#"
    exit 1
    error: --endpoint "http://example.com" is not encrypted
      hint: use https://, or --allow-plaintext if the network is trusted
    "#);
}

#[test]
fn wrong_credentials_are_refused_at_once_and_never_shown() {
    let rig = Rig::new();
    let server = rig.emulator(&["--auto-create", "--client", "me:right-secret"]);
    rig.file("row.ndjson", air_row(1));
    let proto = sample("air_quality.proto");
    let mut command = rig.command(["ingest", "--table", AIR, "--proto", &proto, "row.ndjson"]);
    command
        .envs(server.env.clone())
        .env("DATABRICKS_CLIENT_SECRET", "wrong-secret");
    let ran = Ran::of(&command.output().unwrap()).exits(1);
    let text = told(&rig, &ran).replace(&server.address(), "SERVER");
    assert_snapshot!(text, @"
    exit 1
    error: the service refused the credentials: http://SERVER/oidc/v1/token answered 401 Unauthorized: client id or secret is wrong or missing (HTTP Basic)
      hint: check client id and secret, and that the service principal has USE CATALOG, USE SCHEMA, and SELECT and MODIFY on the table
      with: endpoint=http://SERVER, host=http://SERVER, workspace_id=local, client_id=me, client_secret=***
    ");
    assert!(!ran.stderr.contains("-secret") && !ran.stdout.contains("-secret"));

    let mut command = rig.command([
        "ingest",
        "--table",
        AIR,
        "--json",
        "row.ndjson",
        "--token-file",
        "t",
    ]);
    rig.file("t", "made-up\n");
    let ran = Ran::of(&command.envs(server.env.clone()).output().unwrap()).exits(1);
    assert!(ran.stderr.contains("Unauthenticated"), "{ran:#?}");
    assert!(!ran.stderr.contains("made-up"));
}

#[test]
fn a_table_that_does_not_exist_or_does_not_fit() {
    let rig = Rig::new();
    let server = rig.emulator(&[]);
    rig.file("row.ndjson", air_row(1));
    let proto = sample("air_quality.proto");
    let ingest = |proto: &str| {
        let mut command = rig.command(["ingest", "--table", AIR, "--proto", proto, "row.ndjson"]);
        let output = command.envs(server.env.clone()).output();
        told(&rig, &Ran::of(&output.unwrap()).exits(1))
    };
    assert_snapshot!(ingest(&proto), @"
    exit 1
    error: the table was not found: NotFound: table main.default.air_quality does not exist
      hint: check --table; the table must exist before it is loaded
    ");
    // A table of other columns.
    let server = rig.emulator(&["--auto-create", "--dir", "other"]);
    rig.file(
        "other.proto",
        "syntax = \"proto2\"; message Other { optional string temp = 1; }",
    );
    rig.file("other.ndjson", "{\"temp\": \"warm\"}");
    let ingest = |proto: &str, input: &str| {
        let mut command = rig.command(["ingest", "--table", AIR, "--proto", proto, input]);
        let output = command.envs(server.env.clone()).output();
        Ran::of(&output.unwrap())
    };
    ingest("other.proto", "other.ndjson").exits(0);
    let mut command = rig.command(["ingest", "--table", AIR, "--proto", &proto, "row.ndjson"]);
    let command = command
        .args(["--table-check", "off"])
        .envs(server.env.clone());
    let ran = Ran::of(&command.output().unwrap()).exits(1);
    assert_snapshot!(told(&rig, &ran), @r#"
    exit 1
    error: the service refused the stream: InvalidArgument: table main.default.air_quality: field "device_name" has no column in the table; field "humidity" has no column in the table; field "temp" of type int32 does not fit column type STRING
      hint: compare the record with the table's columns, type by type; nothing that was refused is in the table
    "#);
}

#[test]
fn a_dead_endpoint_ends_in_5_after_the_documented_retries() {
    let rig = Rig::new();
    rig.file("row.ndjson", air_row(1));
    // A port that nobody listens on.
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let url = format!("http://127.0.0.1:{port}");
    let ran = rig
        .run(&[
            "ingest",
            "--table",
            AIR,
            "--json",
            "row.ndjson",
            "-o",
            "json",
            "--endpoint",
            &url,
            "--workspace-url",
            &url,
            "--client-id",
            "a",
            "--client-secret",
            "s3cret",
            "--table-check",
            "off",
            "--recovery-backoff",
            "50ms",
        ])
        .exits(5);
    assert_eq!(
        ran.stderr.matches("warning: reconnecting in").count(),
        3,
        "{ran:#?}"
    );
    assert!(
        ran.stderr.contains("--client-secret on the command line"),
        "{ran:#?}"
    );
    assert!(ran.stderr.contains("Connection refused"), "{ran:#?}");
    assert!(!ran.stderr.contains("s3cret"));
    let summary = ran.summary();
    assert_eq!(summary["status"], "unavailable");
    assert_eq!(summary["records"]["unsent"], 1);
    assert_eq!(summary["offsets"], json!({"first": 0, "last_acked": null}));
}

#[test]
fn an_endpoint_that_never_answers_is_given_up() {
    let rig = Rig::new();
    rig.file("row.ndjson", air_row(1));
    // The backlog takes connections; nobody reads them.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    rig.file("token", "t");
    let base = [
        "ingest",
        "--table",
        AIR,
        "--json",
        "row.ndjson",
        "--endpoint",
        &url,
    ];
    let times = ["--recovery-timeout", "100ms", "--recovery-backoff", "10ms"];
    let token = ["--token-file", "token"];
    let ran = rig.run(&[&base[..], &times, &token].concat()).exits(5);
    assert!(ran.stderr.contains("no stream within 0.1 s"), "{ran:#?}");
    let ran = rig
        .run(&[&base[..], &times, &token, &["--no-recovery"]].concat())
        .exits(5);
    assert!(!ran.stderr.contains("reconnecting"), "{ran:#?}");
}

#[test]
fn one_directory_has_one_server() {
    let rig = Rig::new();
    let _server = rig.emulator(&[]);
    rig.file("row.ndjson", air_row(1));
    let ran = rig.ingest(&["row.ndjson"]).exits(5);
    assert!(ran.stderr.contains("in use by another server"), "{ran:#?}");
    assert_eq!(ran.summary()["error"]["kind"], "locked");
}

#[test]
fn rejects_of_different_headers_do_not_share_a_file() {
    let rig = Rig::new();
    rig.file("a.csv", "temp,humidity\nx,1\n");
    rig.file("b.csv", "humidity,temp\n2,x\n");
    let ran = rig
        .ingest(&[
            "--max-errors",
            "5",
            "--rejects",
            "bad.csv",
            "a.csv",
            "b.csv",
        ])
        .exits(1);
    assert!(
        ran.stderr.contains("does not fit into the rejects"),
        "{ran:#?}"
    );
    let kept = std::fs::read_to_string(rig.path().join("bad.csv")).unwrap();
    assert_eq!(kept, "temp,humidity\nx,1\n");
}

#[test]
fn what_a_table_cannot_hold_is_a_bad_row_and_not_a_refused_batch() {
    let rig = Rig::new();
    rig.file(
        "r.proto",
        "syntax = \"proto3\"; message R { E e = 1; int64 t = 2; // @delta TIMESTAMP
         int32 d = 3; // @delta DATE
         map<bool, int32> m = 4; string v = 5; // @delta VARIANT
         enum E { ZERO = 0; ONE = 1; } }",
    );
    rig.file(
        "r.ndjson",
        "{\"e\": 99}\n{\"t\": \"0001-01-01T00:00:00+14:00\"}\n{\"d\": 2147483647}\n{\"m\": {\"True\": 1}}\n{\"v\": {\"a\": 1, \"a\": 2}}\n{\"e\": 1}\n",
    );
    let args = [
        "ingest", "--local", "wh", "--table", "m.d.r", "--proto", "r.proto", "r.ndjson", "-o",
        "json",
    ];
    let ran = rig
        .run(&[&args[..], &["--max-errors", "5"]].concat())
        .exits(3);
    assert_snapshot!(told(&rig, &ran), @r#"
    exit 3
    warning: r.ndjson:1: field "e": 99 is not a value of R.E
    warning: r.ndjson:2: field "t": "0001-01-01T00:00:00+14:00" is outside of the years 1 to 9999, which is what a table holds
    warning: r.ndjson:3: field "d": 2147483647 is outside of the years 1 to 9999, which is what a table holds
    warning: r.ndjson:4: field "m["True"]": "True" is not a bool (true or false)
    warning: r.ndjson:5: not valid JSON at column 20: a key that the object has already
    "#);
    assert_eq!(ran.summary()["records"]["acked"], 1);
    rig.file(
        "e.proto",
        "syntax = \"proto3\";\nmessage R {\n  N n = 1;\n  message N {}\n}",
    );
    let args = [
        "ingest", "--local", "wh", "--table", "m.d.e", "--proto", "e.proto", "r.ndjson",
    ];
    let ran = rig.run(&args).exits(1);
    assert!(
        ran.stderr
            .contains("e.proto:3: field \"n\" is of \"R.N\", which has no fields"),
        "{ran:#?}"
    );
}

#[test]
fn rejects_never_write_over_an_input() {
    let rig = Rig::new();
    rig.file("z.reasons.ndjson", air_row(1));
    let linked = rig.file("a.ndjson", air_row(1));
    std::fs::hard_link(linked, rig.path().join("b.ndjson")).unwrap();
    for (rejects, input) in [("z", "z.reasons.ndjson"), ("a.ndjson", "b.ndjson")] {
        let ran = rig.ingest(&["--rejects", rejects, input]).exits(2);
        assert!(ran.stderr.contains("which is also an INPUT"), "{ran:#?}");
    }
}

#[test]
fn rejects_that_cannot_be_written_fail_the_load() {
    let rig = Rig::new();
    rig.file("row.ndjson", [&air_row(1), "x\n"].concat());
    let ran = rig
        .ingest(&["--rejects", "no/such/dir/bad", "row.ndjson"])
        .exits(1);
    assert_eq!(ran.summary()["error"]["kind"], "output");
    // A device that is always full.
    std::os::unix::fs::symlink("/dev/full", rig.path().join("full")).unwrap();
    let ran = rig
        .ingest(&["--max-errors", "5", "--rejects", "full", "row.ndjson"])
        .exits(1);
    assert!(ran.stderr.contains("cannot write the rejects"), "{ran:#?}");
}
