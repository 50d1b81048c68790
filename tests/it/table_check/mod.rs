//! The table's schema from Unity Catalog: what the loader makes of it before the first row,
//! and records that only the table declares.

mod hiccups;
mod local;
mod server;
mod unasked;

use insta::assert_snapshot;
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use zerobus::emulator::{Emulator, Options};
use zerobus::schema::{Column, ColumnType as T};

use crate::errors::told;
use crate::rig::{AIR, Ran, Rig, air_row, sample};
use crate::table;

const TABLE: &str = "main.default.events";

// ---- a server with a table, and a loader beside it ----

struct Shop {
    rig: Rig,
    runtime: Runtime,
    server: Emulator,
}

impl Shop {
    fn new(columns: &[Column]) -> Self {
        let rig = Rig::new();
        let runtime = Runtime::new().unwrap();
        let client = ("id".to_owned(), "secret".to_owned());
        let options = Options::new(rig.path().join("wh"), ([127, 0, 0, 1], 0).into(), client);
        let server = runtime.block_on(Emulator::start(options)).unwrap();
        let name = TABLE.parse().unwrap();
        let made = runtime.block_on(server.create_table(&name, columns));
        assert!(made.unwrap());
        Self {
            rig,
            runtime,
            server,
        }
    }

    fn url(&self) -> String {
        format!("http://{}", self.server.address())
    }

    /// A load of `row.ndjson` with a JSON summary.
    fn ingest(&self, row: &str, more: &[&str]) -> Ran {
        self.rig.file("row.ndjson", row);
        let mut command = self.rig.command(["ingest", "--table", TABLE, "row.ndjson"]);
        command.args(["-o", "json", "--progress", "none"]);
        command.args(more);
        command.envs([
            ("ZEROBUS_ENDPOINT", &*self.url()),
            ("DATABRICKS_HOST", &*self.url()),
            ("DATABRICKS_CLIENT_ID", "id"),
            ("DATABRICKS_CLIENT_SECRET", "secret"),
        ]);
        Ran::of(&command.output().unwrap())
    }

    fn rows(&self) -> Vec<Value> {
        table::rows(&self.rig.path().join("wh/main/default/events"))
    }
}

fn column(name: &str, ty: T) -> Column {
    Column::new(name, ty, true)
}

fn array(ty: T) -> T {
    T::Array(Box::new(ty))
}

fn map(value: T) -> T {
    T::Map(Box::new(T::String), Box::new(value))
}

const MONEY: T = T::Decimal {
    precision: 10,
    scale: 2,
};

/// A column for each type that a field has to be told of.
fn hinted() -> Vec<Column> {
    let inner = || {
        T::Struct(vec![
            column("at", T::Timestamp),
            column("price", MONEY),
            column("codes", array(T::Varchar(3))),
        ])
    };
    vec![
        column("at", T::Timestamp),
        column("wall", T::TimestampNtz),
        column("day", T::Date),
        column("small", T::SmallInt),
        column("tiny", T::TinyInt),
        column("price", MONEY),
        column("code", T::Varchar(3)),
        column("doc", T::Variant),
        column("one", inner()),
        column("many", array(inner())),
        column("by_name", map(inner())),
        column("docs", map(T::Variant)),
    ]
}

/// The same without a word of what they hold.
const BARE: &str = "syntax = \"proto3\"; message Event {
    int64 at = 1; int64 wall = 2; int32 day = 3; int32 small = 4; int32 tiny = 5;
    string price = 6; string code = 7; string doc = 8;
    Inner one = 9; repeated Inner many = 10; map<string, Inner> by_name = 11;
    map<string, string> docs = 12;
    message Inner { int64 at = 1; string price = 2; repeated string codes = 3; } }";

const GOOD: &str = r#"{"at":"2026-01-31T12:00:00+01:00","wall":"2026-01-31 12:00:00","day":"2026-01-31","small":-32768,"tiny":127,"price":12345678.90,"code":"äbc","doc":{"a":[1,null]},"one":{"at":"2026-01-31T12:00:00Z","price":"1.5","codes":["a"]},"many":[{"at":"1999-12-31T23:59:59Z"}],"by_name":{"x":{"price":7,"codes":["b","c"]}},"docs":{"y":[true]}}"#;

fn stored() -> Value {
    json!({
        "at": "2026-01-31T11:00:00Z", "wall": "2026-01-31T12:00:00", "day": "2026-01-31",
        "small": -32768, "tiny": 127, "price": 12345678.90, "code": "äbc",
        "doc": r#"{"a":[1,null]}"#,
        "one": {"at": "2026-01-31T12:00:00Z", "price": 1.5, "codes": ["a"]},
        "many": [{"at": "1999-12-31T23:59:59Z", "codes": []}],
        "by_name": {"x": {"price": 7.0, "codes": ["b", "c"]}},
        "docs": {"y": "[true]"},
    })
}

/// One value that fits the field's protobuf type or looks like it, and not its column.
const MISFITS: [(&str, &str); 12] = [
    // Milliseconds: they would land in January 1970.
    (r#"{"at":1769860800000}"#, "at"),
    (r#"{"wall":1769860800000}"#, "wall"),
    (r#"{"day":"31.01.2026"}"#, "day"),
    (r#"{"small":32768}"#, "small"),
    (r#"{"tiny":128}"#, "tiny"),
    (r#"{"price":"123456789.00"}"#, "price"),
    (r#"{"code":"abcd"}"#, "code"),
    (r#"{"doc":{"a":1,"a":2}}"#, ""),
    (r#"{"one":{"at":1769860800000}}"#, "one.at"),
    (r#"{"many":[{"price":"0.001"}]}"#, "many[0].price"),
    (r#"{"by_name":{"x":{"codes":["abcd"]}}}"#, "codes[0]"),
    (
        r#"{"by_name":{"x":{"at":1769860800000}}}"#,
        "by_name[\"x\"].at",
    ),
];

// ---- hints ----

#[test]
fn a_field_without_a_hint_takes_what_its_column_holds() {
    let shop = Shop::new(&hinted());
    shop.rig.file("bare.proto", BARE);
    let ran = shop.ingest(GOOD, &["--proto", "bare.proto"]).exits(0);
    assert_eq!(ran.stderr, "");
    assert_eq!(shop.rows(), [stored()]);
    // Without the table's word the same row is no row.
    let unchecked = ["--proto", "bare.proto", "--table-check", "off"];
    let ran = shop.ingest(GOOD, &unchecked).exits(4);
    assert!(ran.stderr.contains("is not an int64"), "{ran:#?}");
}

#[test]
fn what_its_column_cannot_hold_is_a_bad_row() {
    let shop = Shop::new(&hinted());
    shop.rig.file("bare.proto", BARE);
    let rows: String = MISFITS.map(|(row, _)| format!("{row}\n")).concat();
    let args = ["--proto", "bare.proto", "--max-errors", "100"];
    let args = [&args[..], &["--rejects", "bad.ndjson"]].concat();
    let ran = shop.ingest(&rows, &args).exits(3);
    assert_eq!(ran.summary()["records"]["rejected"], MISFITS.len());
    let reasons = shop.rig.path().join("bad.ndjson.reasons.ndjson");
    let reasons = std::fs::read_to_string(reasons).unwrap();
    for ((row, field), reason) in MISFITS.iter().zip(reasons.lines()) {
        let reason: Value = serde_json::from_str(reason).unwrap();
        let named = reason["field"].as_str().unwrap_or_default();
        assert!(named.ends_with(field), "{row}: {reason}");
        assert_ne!(reason["kind"], "refused", "{row}: {reason}");
    }
}

#[test]
fn a_column_that_is_never_null_asks_each_row_for_it() {
    let shop = Shop::new(&[
        Column::new("id", T::BigInt, false),
        Column::new("tags", array(T::String), false),
    ]);
    let proto = "syntax = \"proto3\"; message Event { int64 id = 1; repeated string tags = 2; }";
    shop.rig.file("e.proto", proto);
    let args = ["--proto", "e.proto", "--max-errors", "1"];
    let ran = shop
        .ingest("{\"id\":0}\n{\"tags\":[\"a\"]}\n", &args)
        .exits(3);
    assert_eq!(
        ran.stderr,
        "warning: row.ndjson:2: field \"id\": required, but missing\n"
    );
    assert_eq!(shop.rows(), [json!({"id": 0, "tags": []})]);
}

// ---- problems ----

#[test]
fn all_that_does_not_fit_is_told_before_anything_is_sent() {
    let shop = Shop::new(&[
        Column::new("id", T::BigInt, false),
        column("Temp", T::Int),
        column("humidity", T::BigInt),
        column("at", T::BigInt),
        column("site", T::Struct(vec![column("floor", T::Int)])),
        column("tags", array(T::String)),
    ]);
    shop.rig.file(
        "e.proto",
        "syntax = \"proto2\"; message Event {
            optional int32 temp = 1; optional int64 humidty = 2;
            optional int64 at = 3; // @delta TIMESTAMP
            optional Site site = 4; optional string tags = 5;
            message Site { optional string floor = 1; optional bool open = 2; } }",
    );
    let ran = shop.ingest("{}\n", &["--proto", "e.proto"]).exits(1);
    assert_snapshot!(told(&shop.rig, &ran), @r#"
    exit 1
    error: the record Event does not fit table main.default.events: field "temp" (int32) has no column in the table: the column is "Temp", and names must be the same in every letter; field "humidty" (int64) has no column in the table: did you mean "humidity"?; field "site.floor" (string) does not fit its column (INT): declare it as int32; field "site.open" (bool) has no column in the table: add a column open BOOLEAN, or leave the field out; field "tags" (string) does not fit its column (ARRAY<STRING>): declare it as repeated string; column "id" (BIGINT NOT NULL) has no field in the record: add a field id of type int64
      hint: nothing was sent; --table-check off leaves it to the service what fits
    "#);
    let summary = ran.summary();
    assert_eq!(summary["error"]["kind"], "schema");
    assert_eq!(summary["records"]["read"], 0);
    assert!(
        summary["error"]["message"]
            .as_str()
            .unwrap()
            .contains("humidty")
    );
    assert_eq!(shop.rows(), [json!(null); 0]);
}

#[test]
fn a_flag_that_contradicts_the_table_is_named() {
    let shop = Shop::new(&hinted());
    shop.rig.file("bare.proto", BARE);
    let args = ["--proto", "bare.proto", "--type", "one.at=timestamp_ntz"];
    let ran = shop.ingest(GOOD, &args).exits(1);
    let problem = "field \"one.at\" (int64, taken as TIMESTAMP_NTZ) does not fit its column (TIMESTAMP): let its hint";
    assert!(ran.stderr.contains(problem), "{ran:#?}");
}

// ---- records that the table declares ----

#[test]
fn without_a_proto_the_table_is_the_record() {
    let shop = Shop::new(&hinted());
    let ran = shop.ingest(GOOD, &[]).exits(0);
    assert_eq!(ran.stderr, "");
    assert_eq!(shop.rows(), [stored()]);
    let ran = shop.ingest(MISFITS[0].0, &[]).exits(4);
    assert!(
        ran.stderr.contains("field \"at\": 1769860800000"),
        "{ran:#?}"
    );
    // Flags that name its fields, and those that contradict it.
    let csv = shop
        .rig
        .file("row.csv", "when,one.price\n2026-02-01T00:00:00Z,2.5\n");
    let csv = csv.display().to_string();
    let args = ["--map", "at=when", "--set", "code=csv", "--skip", "1", &csv];
    shop.ingest("{}\n", &args).exits(0);
    let row = json!({"at": "2026-02-01T00:00:00Z", "code": "csv", "one": {"price": 2.5, "codes": []},
        "many": [], "by_name": {}, "docs": {}});
    assert_eq!(shop.rows()[1], row);
    let ran = shop.ingest("{}\n", &["--map", "when=at"]).exits(2);
    assert!(ran.stderr.contains("when"), "{ran:#?}");
    let ran = shop
        .ingest("{}\n", &["--type", "at=timestamp_ntz"])
        .exits(1);
    assert!(ran.stderr.contains("taken as TIMESTAMP_NTZ"), "{ran:#?}");
}

#[test]
fn what_a_table_has_no_column_for_is_told_without_a_proto() {
    let shop = Shop::new(&[column("a", T::Int), column("at", T::BigInt)]);
    for (header, hint) in [
        ("a,b", "--unknown-fields ignore"),
        ("a;at", "is --delimiter ';' meant?"),
        ("a\tat", "is --delimiter '\\t' meant?"),
    ] {
        let csv = shop.rig.file("row.csv", format!("{header}\n1\n"));
        let args = ["--skip", "1", &*csv.display().to_string()];
        let ran = shop.ingest("{}\n", &args).exits(1);
        assert!(
            ran.stderr.contains("in table main.default.events"),
            "{ran:#?}"
        );
        assert!(ran.stderr.contains(hint), "{ran:#?}");
        assert!(!ran.stderr.contains(".proto"), "{ran:#?}");
    }
    // A time for a plain number, and the flag that makes one of it.
    let row = "{\"at\":\"1970-01-01T00:00:01Z\"}\n";
    let ran = shop.ingest(row, &[]).exits(4);
    assert!(ran.stderr.contains("--type FIELD=timestamp"), "{ran:#?}");
    shop.ingest(row, &["--type", "at=timestamp"]).exits(0);
    assert_eq!(shop.rows(), [json!({"at": 1_000_000})]);
}

#[test]
fn the_names_of_an_enum_fit_their_varchar_or_not() {
    let shop = Shop::new(&[column("k", T::Varchar(5))]);
    for (longest, code) in [("FIVES", 0), ("SIXSIX", 1)] {
        let proto = format!(
            "syntax = \"proto3\"; message E {{ K k = 1; }} enum K {{ A = 0; {longest} = 1; }}"
        );
        shop.rig.file("e.proto", proto);
        let ran = shop
            .ingest("{\"k\":\"A\"}\n", &["--proto", "e.proto"])
            .exits(code);
        let told = "field \"k\" (K) does not fit its column (VARCHAR(5)): the name SIXSIX has 6";
        assert_eq!(ran.stderr.contains(told), code == 1, "{ran:#?}");
    }
}

#[test]
fn columns_that_no_record_fills_are_named() {
    let shop = Shop::new(&[
        column("a", T::Int),
        column("deep", array(array(T::Int))),
        column("b c", T::Int),
    ]);
    let ran = shop.ingest("{}\n", &[]).exits(1);
    assert_snapshot!(told(&shop.rig, &ran), @r#"
    exit 1
    error: main.default.events: column "deep" (ARRAY<ARRAY<INT>>): protobuf has no list or map within an ARRAY; column "b c" (INT): its name is not of ASCII letters, digits and _
      hint: declare a record without these columns and give it with --proto, or send JSON records with --json
    "#);
    assert_eq!(ran.summary()["error"]["kind"], "schema");
    // A record without them is another matter.
    shop.rig
        .file("a.proto", "syntax = \"proto3\"; message A { int32 a = 1; }");
    shop.ingest("{\"a\":1}\n", &["--proto", "a.proto"]).exits(0);
}

#[test]
fn a_local_table_is_checked_and_is_the_record_too() {
    let rig = Rig::new();
    rig.file("row.ndjson", air_row(1));
    let local = ["ingest", "--local", "wh", "--table", AIR, "row.ndjson"];
    let run = |more: &[&str]| rig.run(&[&local[..], more].concat());
    let ran = run(&[]).exits(1);
    assert_snapshot!(told(&rig, &ran), @"
    exit 1
    error: table main.default.air_quality does not exist under wh
      hint: --proto declares a record, from which the table is made
    ");
    let proto = sample("air_quality.proto");
    run(&["--proto", &proto]).exits(0);
    run(&["--proto", &proto, "--table-check", "require"]).exits(0);
    run(&[]).exits(0);
    assert_eq!(rig.air_rows().len(), 3);
    rig.file(
        "other.proto",
        "syntax = \"proto2\"; message Other { optional string temp = 1; }",
    );
    let ran = run(&["--proto", "other.proto"]).exits(1);
    assert!(
        ran.stderr
            .contains("field \"temp\" (string) does not fit its column (INT): declare it as int32"),
        "{ran:#?}"
    );
}

// ---- the checkpoint ----

#[test]
fn a_load_does_not_go_on_into_a_table_that_was_made_anew() {
    let rig = Rig::new();
    rig.file("a.ndjson", [&air_row(1), "x\n"].concat());
    let resume = ["--checkpoint", "cp", "--resume", "a.ndjson"];
    rig.file("first.ndjson", air_row(0));
    rig.ingest(&["first.ndjson"]).exits(0);
    rig.ingest(&resume).exits(4);
    rig.ingest(&resume).exits(4);
    std::fs::remove_dir_all(rig.path().join("wh")).unwrap();
    rig.ingest(&["first.ndjson"]).exits(0);
    let ran = rig.ingest(&resume).exits(1);
    assert!(
        ran.stderr.starts_with(
            "error: cp: is the checkpoint of another load: the table was made anew since"
        ),
        "{ran:#?}"
    );
    assert_eq!(rig.air_rows().len(), 1);
}
