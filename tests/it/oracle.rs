//! The transcoder against other people's code: prost-reflect for JSON rows, the csv crate
//! for cells, random rows for both.

use std::io::Read;
use std::sync::Arc;

use proptest::prelude::*;
use prost_reflect::prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor};
use serde_json::{Map, Value, json};
use zerobus::input::{
    Block, Bytes, Compression, CsvDialect, Format, Framer, Framing, Source, cells,
};
use zerobus::schema::RecordPlan;
use zerobus::transcode::{BatchBuilder, Options, Target, Transcoder};
use zerobus::wire::ProtoEncodedRecordBatch;

const PROTO: &str = r#"
    syntax = "proto2";
    package test;
    message All {
        optional double f_double = 1; optional float f_float = 2;
        optional int32 f_int32 = 3; optional int64 f_int64 = 4;
        optional uint32 f_uint32 = 5; optional uint64 f_uint64 = 6;
        optional sint32 f_sint32 = 7; optional sint64 f_sint64 = 8;
        optional fixed32 f_fixed32 = 9; optional fixed64 f_fixed64 = 10;
        optional sfixed32 f_sfixed32 = 11; optional sfixed64 f_sfixed64 = 12;
        optional bool f_bool = 13; optional string f_string = 14; optional bytes f_bytes = 15;
        optional Kind f_kind = 16; optional Inner f_inner = 17;
        repeated int32 r_int32 = 18; repeated sint64 r_packed = 19 [packed = true];
        repeated string r_string = 20; repeated Inner r_inner = 21;
        map<string, int32> m_string = 22; map<int64, Inner> m_int = 23; map<bool, string> m_bool = 24;
        oneof choice { int32 c_int = 25; string c_text = 26; }
        repeated Kind r_kind = 2000 [packed = true];
    }
    message Inner { required string name = 1; optional int32 n = 2 [default = 5]; optional Inner2 deep = 3; }
    message Inner2 { repeated double d = 1 [packed = true]; }
    enum Kind { NONE = 0; SOME = 1; NEGATIVE = -5; }
"#;

fn message() -> MessageDescriptor {
    let file = protox::file::File::from_source("all.proto", PROTO).unwrap();
    let mut pool = DescriptorPool::new();
    pool.add_file_descriptor_proto(file.into()).unwrap();
    pool.get_message_by_name("test.All").unwrap()
}

fn source(format: Format) -> Source {
    Source {
        index: 0,
        name: "test".into(),
        format,
        header: None,
    }
}

fn blocks(format: Format, text: &[u8]) -> Vec<Block> {
    blocks_of(format, std::io::Cursor::new(text.to_vec()))
}

/// Gives out at most so many bytes at a time.
struct Slow(std::io::Cursor<Vec<u8>>, usize);

impl Read for Slow {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let n = self.1.min(buffer.len());
        self.0.read(&mut buffer[..n])
    }
}

fn blocks_of(format: Format, reader: impl Read + Send + 'static) -> Vec<Block> {
    let reader = Bytes::from_reader(reader, Compression::Auto);
    let mut framer = Framer::new(source(format), reader, &Framing::default()).unwrap();
    std::iter::from_fn(|| framer.next_block().unwrap()).collect()
}

/// What the transcoder makes of one row.
fn transcode(plan: &Arc<RecordPlan>, row: &str) -> Result<Vec<u8>, String> {
    let mut transcoder = Transcoder::new(Target::Proto(Arc::clone(plan)), Options::default());
    let mut out = BatchBuilder::new();
    for block in blocks(Format::Ndjson, row.as_bytes()) {
        if let Err((_, error)) = transcoder.block(&block, 0..block.rows.len(), &mut out) {
            return Err(error.reasons[0].to_string());
        }
    }
    let batches = out.take();
    let batch = ProtoEncodedRecordBatch::decode(batches[0].body.clone()).unwrap();
    Ok(batch.records[0].to_vec())
}

fn oracle(message: &MessageDescriptor, row: &str) -> Result<DynamicMessage, String> {
    let mut json = serde_json::Deserializer::from_str(row);
    let message =
        DynamicMessage::deserialize(message.clone(), &mut json).map_err(|e| e.to_string())?;
    json.end().map_err(|e| e.to_string())?;
    Ok(message)
}

fn number(min: i128, max: i128) -> impl Strategy<Value = Value> {
    prop_oneof![
        4 => (min..=max).prop_map(|n| serde_json::from_str(&n.to_string()).unwrap()),
        2 => (min..=max).prop_map(|n| json!(n.to_string())),
        1 => (-9..9i32).prop_map(|n| json!(f64::from(n) * 100.0)),
        1 => (-9..9i32).prop_map(|n| json!(f64::from(n) / 2.0)),
        1 => prop_oneof![Just(json!(min - 1 > max)), Just(json!("12x")), Just(json!([])), Just(json!(""))],
    ]
}

fn float() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<f32>()
            .prop_filter("finite", |f| f.is_finite())
            .prop_map(|f| json!(f)),
        prop_oneof![
            Just("NaN"),
            Just("Infinity"),
            Just("-Infinity"),
            Just("1.5"),
            Just("1e2"),
            Just("x")
        ]
        .prop_map(|s| json!(s)),
        Just(json!(true)),
    ]
}

fn inner() -> impl Strategy<Value = Value> {
    (
        "[a-z]{0,3}",
        prop::option::of(-9..9i32),
        prop::option::of(prop::collection::vec(any::<i16>(), 0..40)),
    )
        .prop_map(|(name, n, d)| {
            let mut object = Map::new();
            object.insert("name".into(), name.into());
            object.insert("n".into(), n.into());
            if let Some(d) = d {
                object.insert("deep".into(), json!({ "d": d }));
            }
            object.into()
        })
}

/// A row with some fields of every kind, mostly good.
fn row() -> impl Strategy<Value = Value> {
    let (i32s, u32s) = ((i32::MIN.into(), i32::MAX.into()), (0, u32::MAX.into()));
    let (i64s, u64s) = ((i64::MIN.into(), i64::MAX.into()), (0, u64::MAX.into()));
    let int = |(min, max)| number(min, max).boxed();
    let field: Vec<(&'static str, BoxedStrategy<Value>)> = vec![
        ("f_double", float().boxed()),
        ("fFloat", float().boxed()),
        ("f_int32", int(i32s)),
        ("fInt64", int(i64s)),
        ("f_uint32", int(u32s)),
        ("f_uint64", int(u64s)),
        ("f_sint32", int(i32s)),
        ("f_sint64", int(i64s)),
        ("f_fixed32", int(u32s)),
        ("f_fixed64", int(u64s)),
        ("f_sfixed32", int(i32s)),
        ("f_sfixed64", int(i64s)),
        (
            "f_bool",
            prop_oneof![
                any::<bool>().prop_map(Value::from),
                Just(json!("true")),
                Just(Value::Null)
            ]
            .boxed(),
        ),
        (
            "f_string",
            prop_oneof![
                any::<String>().prop_map(Value::from),
                Just(json!(5)),
                Just(Value::Null)
            ]
            .boxed(),
        ),
        (
            "f_bytes",
            prop_oneof![
                Just(json!("AAEC")),
                Just(json!("-_8=")),
                Just(json!("-_8")),
                Just(json!("!"))
            ]
            .boxed(),
        ),
        (
            "f_kind",
            prop_oneof![Just(json!("SOME")), Just(json!(-5)), Just(json!("OTHER"))].boxed(),
        ),
        (
            "f_inner",
            prop_oneof![4 => inner(), 1 => Just(json!({"n": 1})), 1 => Just(json!(3))].boxed(),
        ),
        (
            "r_int32",
            prop::collection::vec(-300..300i32, 0..5)
                .prop_map(Value::from)
                .boxed(),
        ),
        (
            "r_packed",
            prop::collection::vec(any::<i64>(), 0..60)
                .prop_map(Value::from)
                .boxed(),
        ),
        (
            "r_string",
            prop::collection::vec("[a-z\u{e9}\"]{0,4}", 0..4)
                .prop_map(Value::from)
                .boxed(),
        ),
        (
            "r_inner",
            prop::collection::vec(inner(), 0..3)
                .prop_map(Value::from)
                .boxed(),
        ),
        (
            "m_string",
            prop::collection::hash_map("[a-z]{0,3}", any::<i32>(), 0..3)
                .prop_map(|m| json!(m))
                .boxed(),
        ),
        (
            "m_int",
            prop::collection::hash_map(any::<i64>().prop_map(|n| n.to_string()), inner(), 0..3)
                .prop_map(|m| json!(m))
                .boxed(),
        ),
        (
            "m_bool",
            prop_oneof![
                Just(json!({"true": "a", "false": "b"})),
                Just(json!({"yes": "a"}))
            ]
            .boxed(),
        ),
        (
            "c_int",
            prop_oneof![Just(json!(7)), Just(Value::Null)].boxed(),
        ),
        (
            "c_text",
            prop_oneof![Just(json!("t")), Just(Value::Null)].boxed(),
        ),
        ("r_kind", Just(json!(["NONE", -5, "SOME"])).boxed()),
        (
            "unknown",
            prop_oneof![20 => Just(Value::Null), 1 => Just(json!(1))]
                .prop_filter("rare", |v| !v.is_null())
                .boxed(),
        ),
    ];
    let count = field.len();
    let fields: Vec<_> = field
        .into_iter()
        .map(|(name, value)| value.prop_map(move |v| (name, v)))
        .collect();
    prop::sample::subsequence((0..count - 1).collect::<Vec<_>>(), 0..8).prop_flat_map(
        move |chosen| {
            let chosen: Vec<_> = chosen.into_iter().map(|i| fields[i].clone()).collect();
            chosen.prop_map(|pairs| {
                Value::Object(pairs.into_iter().map(|(n, v)| (n.to_owned(), v)).collect())
            })
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Promise: a row becomes the same message as by prost-reflect, or both refuse it.
    #[test]
    fn rows_become_what_prost_reflect_makes_of_them(row in row()) {
        thread_local! {
            static SCHEMA: (MessageDescriptor, Arc<RecordPlan>) = {
                let message = message();
                let plan = RecordPlan::from_descriptor(&message, &[]).unwrap();
                (message, Arc::new(plan))
            };
        }
        let row = row.to_string();
        let (message, plan) = SCHEMA.with(Clone::clone);
        match (transcode(&plan, &row), oracle(&message, &row)) {
            (Ok(ours), Ok(theirs)) => {
                let ours = DynamicMessage::decode(message, ours.as_slice()).unwrap();
                // As JSON, where NaN is equal to itself.
                let [ours, theirs] = [ours, theirs].map(|m| serde_json::to_value(m).unwrap());
                prop_assert_eq!(ours, theirs, "{}", row);
            }
            (Err(_), Err(_)) => {}
            // Its JSON does not check what proto2 requires.
            (Err(ours), Ok(_)) if ours.contains("required") => {}
            (ours, theirs) => prop_assert!(false, "{row}: {ours:?}, {theirs:?}"),
        }
    }

    /// Promise: records and cells are those of the csv crate, whatever the text.
    #[test]
    fn cells_are_those_of_the_csv_crate(rows in prop::collection::vec(prop::collection::vec("[a,\"\n\r é]{0,5}", 2..4), 1..5)) {
        let mut writer = csv::WriterBuilder::new().flexible(true).from_writer(Vec::new());
        writer.write_record(["h1", "h2"]).unwrap();
        for row in &rows {
            writer.write_record(row).unwrap();
        }
        let text = writer.into_inner().unwrap();
        let mut read: Vec<Vec<String>> = Vec::new();
        for block in blocks(Format::Csv(CsvDialect::COMMA), &text) {
            for row in &block.rows {
                prop_assert_eq!(row.fault, None);
                let record = std::str::from_utf8(block.row(row)).unwrap();
                read.push(cells(record, CsvDialect::COMMA).map(|c| c.text.into_owned()).collect());
            }
        }
        prop_assert_eq!(read, rows);
    }
    /// Promise: the rows of a JSON file are its values, however it is laid out and read.
    #[test]
    fn rows_of_a_json_file_are_its_values(
        rows in prop::collection::vec(row(), 0..6),
        array in any::<bool>(),
        pretty in any::<bool>(),
        step in 1..40usize,
    ) {
        let print = |v: &Value| match pretty {
            true => format!("{v:#}"),
            false => v.to_string(),
        };
        let text = match array {
            true => print(&Value::Array(rows.clone())),
            false => rows.iter().map(|r| print(r) + "\n").collect(),
        };
        let mut read: Vec<Value> = Vec::new();
        let mut next_byte = 0;
        for block in blocks_of(Format::Json, Slow(std::io::Cursor::new(text.clone().into_bytes()), step)) {
            for row in &block.rows {
                let bytes = block.row(row);
                let begins = block.first_byte as usize + row.start;
                prop_assert!(begins >= next_byte);
                prop_assert_eq!(&text.as_bytes()[begins..begins + bytes.len()], bytes);
                let line = text[..begins].matches('\n').count() + 1;
                prop_assert_eq!(row.line, line as u64);
                next_byte = begins + bytes.len();
                read.push(serde_json::from_slice(bytes).unwrap());
            }
        }
        prop_assert_eq!(read, rows);
    }
}
