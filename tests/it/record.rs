//! What a record may be: declarations that serve and those that do not, types by flag,
//! nested fields from the columns of a CSV.

use insta::assert_snapshot;
use prost_reflect::prost::Message as _;
use serde_json::{Value, json};

use crate::errors::told;
use crate::rig::{AIR, Ran, Rig, air_row};
use crate::table;

/// Loads `input` as the record of `record.proto` into a local table.
fn load(rig: &Rig, input: &str, more: &[&str]) -> Ran {
    let base = [
        "ingest",
        "--local",
        "wh",
        "--table",
        "a.b.c",
        "--proto",
        "record.proto",
    ];
    rig.run(
        &[
            &base[..],
            &["--progress", "none", "-o", "json", input],
            more,
        ]
        .concat(),
    )
}

fn rows(rig: &Rig) -> Vec<Value> {
    table::rows(&rig.path().join("wh/a/b/c"))
}

fn schema(rig: &Rig) -> std::collections::BTreeMap<String, Value> {
    table::schema(&rig.path().join("wh/a/b/c"))
}

#[test]
fn proto_files_that_do_not_serve() {
    let rig = Rig::new();
    rig.file("row.ndjson", air_row(1));
    let with = |proto: &str, more: &[&str]| {
        rig.file("record.proto", proto);
        let args = [
            "ingest",
            "--local",
            "wh",
            "--table",
            AIR,
            "--proto",
            "record.proto",
            "row.ndjson",
        ];
        told(&rig, &rig.run(&[&args[..], more].concat()).exits(1))
    };
    assert_snapshot!(with("syntax = \"proto2\";\nmessage A {\n  optional int32 x 1;\n}\n", &[]), @"
    exit 1
    error: record.proto:3: expected '=', but found '1'
    ");
    assert_snapshot!(with("syntax = \"proto2\";\nmessage A { optional Missing x = 1; }\n", &[]), @"
    exit 1
    error: record.proto:2: name 'Missing' is not defined
    ");
    assert_snapshot!(with("syntax = \"proto2\"; import \"common/a.proto\";\nmessage A { optional int32 x = 1; }\n", &[]), @"
    exit 1
    error: record.proto:1: import 'common/a.proto' not found
      hint: add the directory that imports start from with -I DIR
    ");
    let two = "syntax = \"proto2\"; package p;\nmessage AirQuality { optional int32 x = 1; } message Other { optional int32 x = 1; }";
    assert_snapshot!(with(two, &["--message", "AirQualty"]), @r#"
    exit 1
    error: record.proto: has no message "AirQualty"
      hint: did you mean --message p.AirQuality?
    "#);
    assert_snapshot!(with(two, &["--message", "Nothing"]), @r#"
    exit 1
    error: record.proto: has no message "Nothing"
      hint: the file has: p.AirQuality, p.Other
    "#);
    assert_snapshot!(with("syntax = \"proto2\";\nmessage A { optional string x = 1; optional A a = 2; }", &[]), @r#"
    exit 1
    error: record.proto:2: field "a" makes "A" recursive
      hint: a table's columns have a fixed depth; keep the rest as JSON text in a string with // @delta VARIANT
    "#);
    assert_snapshot!(with("syntax = \"proto2\";\nmessage A {\n  optional int32 t = 1; // @delta TIMESTAMP\n}", &[]), @r#"
    exit 1
    error: record.proto:3: field "t" has the hint TIMESTAMP, which needs the type int64
    "#);
    assert_snapshot!(with("edition = \"2023\";\nmessage A { int32 x = 1; }", &[]), @r#"
    exit 1
    error: record.proto:1: expected 'enum', 'extend', 'import', 'message', 'option', 'service', 'package' or ';', but found 'edition' (protobuf editions are not supported)
      hint: use syntax = "proto2" or "proto3"
    "#);
}

#[test]
fn messages_that_no_table_can_hold() {
    let rig = Rig::new();
    let refused = |proto: &str| {
        rig.file("record.proto", proto);
        let ran = rig.run(&["schema", "show", "--proto", "record.proto"]);
        told(&rig, &ran.exits(1))
    };
    assert_snapshot!(refused("syntax = \"proto2\";\nmessage A {\n  optional int32 x = 1;\n  extensions 100 to 199;\n}"), @r#"
    exit 1
    error: record.proto:2: message "A" has an extension range
      hint: a table's columns are all known; declare the fields in the message
    "#);
    assert_snapshot!(refused("syntax = \"proto2\";\nmessage A {\n  optional group G = 1 { optional int32 x = 2; }\n}"), @r#"
    exit 1
    error: record.proto:3: field "g" is a group, which a table has no column for
      hint: declare a nested message instead
    "#);
    assert_snapshot!(refused("syntax = \"proto2\";\nmessage A {\n  optional int32 temp = 1;\n  optional int32 Temp = 2;\n}"), @r#"
    exit 1
    error: record.proto:4: field "Temp" differs from "temp" only in case, columns do not
    "#);
    assert_snapshot!(refused("syntax = \"proto3\";\nimport \"google/protobuf/any.proto\";\nmessage A {\n  google.protobuf.Any x = 1;\n}"), @r#"
    exit 1
    error: record.proto:4: field "x" is a google.protobuf.Any, which the service has no column for
    "#);
    assert_snapshot!(refused("syntax = \"proto2\";\nmessage A { optional B b = 1; }\nmessage B {}"), @r#"
    exit 1
    error: record.proto:2: field "b" is of "B", which has no fields
    "#);
    assert_snapshot!(refused("syntax = \"proto2\";\n// nothing\nmessage A {}"), @r#"
    exit 1
    error: record.proto:3: message "A" has no fields
      hint: choose another message with --message NAME
    "#);
    let fields = |n: usize| {
        (1..=n)
            .map(|i| {
                format!(
                    "optional int32 f{i} = {};",
                    if i < 19_000 { i } else { i + 1_000 }
                )
            })
            .collect::<String>()
    };
    assert_snapshot!(refused(&format!("syntax = \"proto2\";\n\nmessage A {{ {} }}", fields(2_001))), @r#"
    exit 1
    error: record.proto:3: message "A" has 2001 fields, a table takes at most 2000
    "#);
    // Reached by a short way and by a long one: the long one is too deep.
    let mut deep = String::from(
        "syntax = \"proto2\";\nmessage M0 { optional M60 short = 1; optional M1 long = 2; }\n",
    );
    for i in 1..120 {
        deep.push_str(&format!("message M{i} {{ optional M{} m = 1; }}\n", i + 1));
    }
    deep.push_str("message M120 { optional int32 x = 1; }");
    assert_snapshot!(refused(&deep), @r#"
    exit 1
    error: record.proto:101: field "m" nests deeper than 100 messages
    "#);
    // Each holds the next twice: 2^30 columns.
    let mut wide = String::from("syntax = \"proto2\";\n");
    for i in 0..30 {
        wide.push_str(&format!(
            "message M{i} {{ optional M{n} a = 1; optional M{n} b = 2; }}\n",
            n = i + 1
        ));
    }
    wide.push_str("message M30 { optional int32 x = 1; }");
    assert_snapshot!(refused(&wide), @r#"
    exit 1
    error: record.proto:32: field "x" is one of more than 20000 nested fields
    "#);
}

#[test]
fn a_type_by_flag_beats_the_hint_and_reaches_nested_fields() {
    let rig = Rig::new();
    rig.file(
        "record.proto",
        "syntax = \"proto2\";
        message Event {
          optional int64 at = 1; // @delta TIMESTAMP
          optional string price = 2;
          optional Place from = 3;
          optional Place to = 4;
        }
        message Place { optional int64 seen = 1; optional string site = 2; }",
    );
    rig.file(
        "row.ndjson",
        r#"{"at": "2024-05-06 07:08:09", "price": 12.5, "from": {"seen": "2024-05-06T00:00:00Z"}, "to": {"seen": 7}}"#,
    );
    let types = [
        "--type",
        "at=timestamp_ntz",
        "--type",
        "price=decimal(10,2)",
        "--type",
        "from.seen=TIMESTAMP",
    ];
    load(&rig, "row.ndjson", &types).exits(0);
    let schema = schema(&rig);
    assert_eq!(schema["at"], "timestamp_ntz");
    assert_eq!(schema["price"], "decimal(10,2)");
    assert_eq!(schema["from"]["fields"][0]["type"], "timestamp");
    // The other field of the same message type keeps its own.
    assert_eq!(schema["to"]["fields"][0]["type"], "long");
    assert_eq!(
        rows(&rig),
        [
            json!({"at": "2024-05-06T07:08:09", "price": 12.50, "from": {"seen": "2024-05-06T00:00:00Z"}, "to": {"seen": 7}})
        ]
    );
    for (wrong, expected) in [
        (
            "price=DATE",
            "--type price=DATE needs a field of type int32, it is string",
        ),
        (
            "pirce=DATE",
            "--type pirce: no such field in Event\n  hint: did you mean \"price\"?",
        ),
        ("from.sean=TIMESTAMP", "did you mean \"from.seen\"?"),
        ("from=DATE", "--type from=DATE needs a field of type int32"),
        ("price=MONEY", "is no known type; known: TIMESTAMP"),
        ("price", "expected NAME=TEXT"),
    ] {
        let ran = load(&rig, "row.ndjson", &["--type", wrong]).exits(2);
        assert!(ran.stderr.contains(expected), "{ran:#?}");
    }
}

#[test]
fn a_descriptor_set_serves_like_the_file_it_was_compiled_from() {
    let rig = Rig::new();
    rig.file(
        "place.proto",
        "syntax = \"proto3\"; package geo; message Place { string site = 1; }",
    );
    rig.file(
        "record.proto",
        "syntax = \"proto3\"; package p; import \"place.proto\";
        message Event { int64 at = 1; geo.Place place = 2; }
        message Other { int32 x = 1; }",
    );
    let set = |imports: bool| {
        let mut compiler = protox::Compiler::new([rig.path()]).unwrap();
        compiler.include_imports(imports).include_source_info(true);
        compiler.open_file(rig.path().join("record.proto")).unwrap();
        rig.file("record.pb", compiler.file_descriptor_set().encode_to_vec());
    };
    set(true);
    let show = |flags: &[&str]| rig.run(&[&["schema", "show"], flags].concat());
    let by_set = show(&["--descriptor-set", "record.pb"]).exits(0).stdout;
    assert_eq!(by_set, show(&["--proto", "record.proto"]).exits(0).stdout);
    let other = show(&["--descriptor-set", "record.pb", "--message", "Other"]).exits(0);
    assert!(other.stdout.contains("message Other"), "{other:#?}");

    rig.file("row.ndjson", r#"{"at": 5, "place": {"site": "x"}}"#);
    let base = [
        "ingest",
        "--local",
        "wh",
        "--table",
        "a.b.c",
        "-q",
        "row.ndjson",
    ];
    let ran = rig.run(&[&base[..], &["--descriptor-set", "record.pb"]].concat());
    ran.exits(0);
    assert_eq!(rows(&rig), [json!({"at": 5, "place": {"site": "x"}})]);

    set(false);
    assert_snapshot!(told(&rig, &show(&["--descriptor-set", "record.pb"]).exits(1)), @"
    exit 1
    error: record.pb: imported file 'place.proto' has not been added
      hint: a set must hold all that it imports (protoc --include_imports)
    ");
    let not_a_set = show(&["--descriptor-set", "record.proto"]);
    assert_snapshot!(told(&rig, &not_a_set.exits(1)), @"
    exit 1
    error: record.proto: is no descriptor set: failed to decode Protobuf message: invalid wire type value: 7
      hint: protoc --include_imports --descriptor_set_out=FILE writes one; a .proto file is given with --proto
    ");
    show(&["--descriptor-set", "record.pb", "--proto", "record.proto"]).exits(2);
    show(&[]).exits(2);
}

const NESTED: &str = "syntax = \"proto2\";
    message Event {
      required int64 id = 1;
      optional Device device = 2;
      repeated string tags = 3;
    }
    message Device { optional string os = 1; required int32 build = 2; optional Screen screen = 3; }
    message Screen { optional int32 width = 1; optional int32 height = 2; }";

#[test]
fn dotted_columns_fill_nested_fields() {
    let rig = Rig::new();
    rig.file("record.proto", NESTED);
    // Columns of one message need not stand together.
    rig.file(
        "data.csv",
        "device.screen.height,id,device.os,tags,device.build,device.screen.width\n\
         1080,1,linux,\"[\"\"a\"\"]\",7,1920\n\
         ,2,,,,\n\
         ,3,\"\",,8,\n",
    );
    load(&rig, "data.csv", &[]).exits(0);
    let expected = [
        json!({"id": 1, "device": {"os": "linux", "build": 7, "screen": {"width": 1920, "height": 1080}}, "tags": ["a"]}),
        json!({"id": 2}),
        json!({"id": 3, "device": {"os": "", "build": 8}}),
    ];
    let without_lists: Vec<Value> = rows(&rig)
        .into_iter()
        .map(|mut row| {
            let fields = row.as_object_mut().unwrap();
            fields.retain(|_, v| *v != json!([]));
            row
        })
        .collect();
    assert_eq!(without_lists, expected);

    rig.file(
        "data.csv",
        "id,device.os,device.build\n4,linux,\n5,linux,x\n",
    );
    let bad = load(&rig, "data.csv", &["--max-errors", "5"]).exits(3);
    assert_snapshot!(told(&rig, &bad), @r#"
    exit 3
    warning: data.csv:2: field "device.build": required, but null
    warning: data.csv:3: field "device.build": "x" is not an int32
    "#);

    for (header, expected) in [
        (
            "id,device.oss",
            "field \"device.oss\": no such field in Event",
        ),
        ("id,tags.x", "no such field"),
        ("id,device.os.x", "no such field"),
        (
            "id,device,device.os",
            "two columns of the header go to field \"device\"",
        ),
        (
            "id,device.os,device",
            "two columns of the header go to field \"device\"",
        ),
        (
            "id,device.os,device.os",
            "the header names column \"device.os\" twice",
        ),
        (
            "id,device.screen,device.screen.width",
            "go to field \"screen\"",
        ),
        (
            "id,device.screen.width,device.screen",
            "go to field \"screen\"",
        ),
    ] {
        rig.file("data.csv", format!("{header}\n"));
        let ran = load(&rig, "data.csv", &[]).exits(1);
        assert!(ran.stderr.contains(expected), "{header}: {ran:#?}");
    }
    rig.file("data.csv", "6,linux,9\n");
    load(
        &rig,
        "data.csv",
        &["--no-header", "--columns", "id,device.os,device.build"],
    )
    .exits(0);
    assert_eq!(rows(&rig).last().unwrap()["device"]["build"], 9);

    // JSON records get objects.
    rig.file("data.csv", "id,device.os,device.build\n7,mac,10\n");
    let json = [
        "ingest", "--local", "wh", "--table", "a.b.c", "--json", "data.csv",
    ];
    rig.run(&json).exits(0);
    assert_eq!(
        rows(&rig).last().unwrap()["device"],
        json!({"os": "mac", "build": 10})
    );
    rig.file("data.csv", "id,device,device.os\n7,mac,10\n");
    rig.run(&json).exits(1);
}

#[test]
fn well_known_json_types_take_their_own_kind_of_json() {
    let rig = Rig::new();
    rig.file(
        "record.proto",
        "syntax = \"proto3\";
        import \"google/protobuf/struct.proto\";
        message Event {
          google.protobuf.Struct s = 1;
          google.protobuf.Value v = 2;
          google.protobuf.ListValue l = 3;
          repeated google.protobuf.Value many = 4;
          string hinted = 5; // @delta VARIANT
        }",
    );
    rig.file(
        "good.ndjson",
        r#"{"s": {"a": [1.50]}, "v": null, "l": [null, "x"], "many": [1, null, "y"], "hinted": null}
{"s": null, "v": 3, "l": null, "hinted": {"a": 1}}
"#,
    );
    load(&rig, "good.ndjson", &[]).exits(0);
    let rows = rows(&rig);
    assert_eq!(
        rows[0],
        json!({"s": "{\"a\": [1.50]}", "v": "null", "l": "[null, \"x\"]", "many": ["1", "null", "\"y\""]})
    );
    assert_eq!(
        (&rows[1]["v"], &rows[1]["hinted"]),
        (&json!("3"), &json!("{\"a\": 1}"))
    );
    rig.file("bad.ndjson", "{\"s\": [1]}\n{\"l\": {}}\n{\"s\": \"x\"}\n");
    let bad = load(&rig, "bad.ndjson", &["--max-errors", "5"]).exits(3);
    assert_snapshot!(told(&rig, &bad), @r#"
    exit 3
    warning: bad.ndjson:1: field "s": a JSON array, expected a JSON object
    warning: bad.ndjson:2: field "l": a JSON object, expected a JSON array
    warning: bad.ndjson:3: field "s": a string, expected a JSON object
    "#);
}
