//! What is taken at once is what the careful path would have made of it.

use std::io::Cursor;
use std::sync::Arc;

use fastrand::Rng;

use super::*;
use crate::input::{Bytes, Compression, CsvDialect, Format, Framer, Framing, Limits, Source};
use crate::schema::{Declared, ProtoSource, RecordPlan};
use crate::transcode::{BatchBuilder, Options, RowError, Target, Transcoder};

const PROTO: &str = r#"
syntax = "proto3";
message Row {
  string text = 1;
  int32 small = 2;
  optional int64 large = 3;
  sint64 zigzag = 4;
  uint32 count = 5;
  uint64 total = 6;
  double wide = 7;
  float narrow = 8;
  bool flag = 9;
  repeated int32 numbers = 10;
  repeated string words = 11;
  map<string, int64> counters = 12;
  Inner inner = 13;
  repeated Inner inners = 14;
  string a_name_that_is_longer_than_two_words = 15;
  oneof one { int32 left = 16; string right = 200; }
  string short = 300; // @delta VARCHAR(3)
  int32 tiny = 301; // @delta TINYINT
  int32 needed = 302;
  bytes bytes = 303;
  message Inner { string name = 1; double value = 2; Inmost inmost = 3; }
  message Inmost { bool set = 1; sint32 at = 2; }
}
"#;

const TEXTS: &[&str] = &[
    "",
    "a",
    "seven b",
    "sixteen bytes ok",
    "Zürich",
    "Kyōto and São Paulo",
    "tab\\tand \\u00e9",
    "a \\\"quote\\\"",
    "bad \\x escape",
    "\\/\\b\\f\\n\\r\\\\",
    "\\ud83d\\ude00",
    "\\ud83d alone",
    "\\u00zz",
    "\\u+0e9",
    "\\u0000",
    "null",
    "12",
];
const NUMBERS: &[&str] = &[
    "0",
    "-0",
    "7",
    "-7",
    "127",
    "128",
    "-129",
    "300",
    "00",
    "01",
    "-",
    "1.",
    ".5",
    "+1",
    "1.0",
    "1.5",
    "-3.25",
    "1e3",
    "1E-2",
    "2147483647",
    "-2147483648",
    "2147483648",
    "4294967295",
    "12345678",
    "123456789",
    "1767225600000000",
    "123456789012345678",
    "1234567890123456789",
    "9007199254740993",
    "9223372036854775807",
    "-9223372036854775808",
    "9223372036854775808",
    "18446744073709551615",
    "99999999999999999999",
    "0.1",
    "12.345678",
    "1234567.1234567",
    "12345678901.1234567",
    "0.000000000000000001",
    "3.4028236e38",
    "16777217",
    "1.00000006",
    "12x",
    "\"5\"",
    "\"NaN\"",
];
const FIELDS: &[&str] = &[
    "text",
    "small",
    "large",
    "zigzag",
    "count",
    "total",
    "wide",
    "narrow",
    "flag",
    "numbers",
    "words",
    "counters",
    "inner",
    "inners",
    "a_name_that_is_longer_than_two_words",
    "left",
    "right",
    "short",
    "tiny",
    "needed",
    "bytes",
    "other",
];

fn plan() -> Arc<RecordPlan> {
    let dir = tempfile::TempDir::new().unwrap();
    let file = dir.path().join("row.proto");
    std::fs::write(&file, PROTO).unwrap();
    let plan = RecordPlan::from_proto(&ProtoSource {
        declared: Declared::Proto {
            file,
            include: Vec::new(),
        },
        message: None,
        types: Vec::new(),
    });
    let mut plan = plan.unwrap();
    for index in 0..plan.messages[0].fields.len() {
        if plan.messages[0].fields[index].name == "needed" {
            plan.messages[0].fields[index].required = true;
            plan.messages[0].required.push(index);
        }
    }
    Arc::new(plan)
}

fn pick<'a>(rng: &mut Rng, from: &[&'a str]) -> &'a str {
    from[rng.usize(..from.len())]
}

/// One in so many rows and values is any; the others fit everywhere.
const ODD: u8 = 16;

fn number(rng: &mut Rng) -> String {
    match rng.u8(..ODD) {
        0 => pick(rng, NUMBERS).to_owned(),
        _ => rng.u8(..100).to_string(),
    }
}

fn text(rng: &mut Rng) -> String {
    let text = match rng.u8(..ODD) {
        0 => "x".repeat(rng.usize(120..140)) + pick(rng, TEXTS),
        1 => pick(rng, TEXTS).to_owned(),
        _ => pick(rng, &TEXTS[..6]).to_owned(),
    };
    format!("\"{text}\"")
}

fn list(rng: &mut Rng, value: impl Fn(&mut Rng) -> String) -> String {
    let values: Vec<_> = (0..rng.usize(..4)).map(|_| value(rng)).collect();
    format!(
        "[{}]",
        values.join([",", ", ", " ,"][usize::from(rng.u8(..ODD) / 7)])
    )
}

fn inner(rng: &mut Rng) -> String {
    let mut members = vec![
        format!("\"name\":{}", text(rng)),
        format!("\"value\":{}", number(rng)),
        format!(
            "\"inmost\":{{\"set\":{},\"at\":{}}}",
            rng.bool(),
            number(rng)
        ),
    ];
    members.truncate(rng.usize(..=3));
    if rng.u8(..8) == 0 {
        rng.shuffle(&mut members);
    }
    format!("{{{}}}", members.join(","))
}

fn value(rng: &mut Rng, field: &str) -> String {
    let odd = rng.u8(..100) == 0;
    match field {
        _ if odd => [
            "null",
            "true",
            "{}",
            "[]",
            "\"\\ud800\"",
            "nul",
            "{\"a\":1}",
        ][rng.usize(..7)]
        .to_owned(),
        "text" | "right" | "other" | "a_name_that_is_longer_than_two_words" => text(rng),
        "short" => format!(
            "\"{}\"",
            ["", "abc", "é", "ab", "ōōō", "abcd"][rng.usize(..30) % 24 % 6]
        ),
        "bytes" => "\"AAEC\"".to_owned(),
        "flag" => ["true", "false", "null"][rng.usize(..3)].to_owned(),
        "numbers" => list(rng, number),
        "words" => list(rng, text),
        "inner" => inner(rng),
        "inners" => list(rng, inner),
        "counters" => {
            let entry = |rng: &mut Rng| {
                let key = ["a longer key", "\\u0061", "a"][usize::from(rng.u8(..30) / 14)];
                format!("\"{key}{}\":{}", rng.u8(..), number(rng))
            };
            let entries: Vec<_> = (0..rng.usize(..4)).map(|_| entry(rng)).collect();
            format!("{{{}}}", entries.join(","))
        }
        _ => number(rng),
    }
}

fn object(rng: &mut Rng) -> String {
    let mut fields: Vec<&str> = FIELDS.to_vec();
    if rng.u8(..ODD) > 0 {
        fields.retain(|f| !matches!(*f, "left" | "right" | "bytes" | "other"));
    }
    fields.retain(|f| *f == "needed" || rng.u8(..3) == 0);
    match rng.u8(..ODD) {
        0 => rng.shuffle(&mut fields),
        1 => fields.push(pick(rng, FIELDS)),
        _ => {}
    }
    let colon = [":", ": ", " :"][usize::from(rng.u8(..ODD) / 7)];
    let members = fields
        .iter()
        .map(|f| format!("\"{f}\"{colon}{}", value(rng, f)));
    let members: Vec<_> = members.collect();
    let row = format!(
        "{{{}}}",
        members.join([",", ", ", ",  "][usize::from(rng.u8(..ODD) / 7)])
    );
    match rng.u8(..30) {
        0 => row[..row.len() - 1].to_owned(),
        1 => row + "}",
        2 => format!(" {row} "),
        _ => row,
    }
}

/// What becomes of the rows of a text, and how many are plain as a whole.
fn rows(
    text: &str,
    format: Format,
    plan: &Arc<RecordPlan>,
    careful: bool,
) -> (Vec<u8>, Vec<RowError>, usize) {
    let source = Source {
        index: 0,
        name: "test".into(),
        format,
        header: None,
    };
    let reader = Cursor::new(text.to_owned().into_bytes());
    let bytes = Bytes::from_reader(reader, Compression::None);
    let framing = Framing {
        limits: Limits {
            block_bytes: 4_000,
            ..Limits::default()
        },
        ..Framing::default()
    };
    let mut framer = Framer::new(source, bytes, &framing).unwrap();
    let mut transcoder = Transcoder::new(Target::Proto(plan.clone()), Options::default());
    if careful {
        transcoder
            .plain
            .messages
            .iter_mut()
            .for_each(Message::forget);
    }
    transcoder.begin_source(framer.source()).unwrap();
    let mut builder = BatchBuilder::new();
    let (mut bytes, mut bad, mut whole) = (Vec::new(), Vec::new(), 0);
    while let Some(block) = framer.next_block().unwrap() {
        for index in 0..block.rows.len() {
            transcoder.careful_rows = 0;
            if let Err((_, error)) = transcoder.block(&block, index..index + 1, &mut builder) {
                bad.push(error);
            } else {
                whole += usize::from(transcoder.careful_rows == 0);
            }
        }
        let batches = builder.take();
        bytes.extend(batches.iter().flat_map(|batch| batch.body.to_vec()));
    }
    (bytes, bad, whole)
}

impl Message {
    fn forget(&mut self) {
        self.small = false;
        for field in &mut self.fields {
            field.value = Value::Other;
            field.nullable = false;
        }
    }
}

#[test]
fn json_rows_are_those_of_the_careful_path() {
    let plan = plan();
    let (mut rows_read, mut taken, mut refused) = (0, 0, 0);
    for seed in 0..400 {
        let rng = &mut Rng::with_seed(seed);
        let text: String = (0..50).map(|_| object(rng) + "\n").collect();
        let (bytes, bad, whole) = rows(&text, Format::Ndjson, &plan, false);
        let (expected, expected_bad, _) = rows(&text, Format::Ndjson, &plan, true);
        assert_eq!(bad, expected_bad, "seed {seed}");
        assert!(bytes == expected, "seed {seed}");
        rows_read += 50;
        taken += whole;
        refused += bad.len();
    }
    assert!(
        taken * 20 > rows_read && refused * 10 > rows_read,
        "{taken} {refused} of {rows_read}"
    );
}

#[test]
fn csv_rows_are_those_of_the_careful_path() {
    let plan = plan();
    let columns = [
        "text", "small", "large", "zigzag", "total", "wide", "narrow", "flag", "short", "needed",
    ];
    let (mut rows_read, mut taken, mut refused) = (0, 0, 0);
    for seed in 0..400 {
        let rng = &mut Rng::with_seed(seed);
        let cell = |rng: &mut Rng, column: &&str| match *column {
            _ if rng.u8(..20) == 0 => String::new(),
            "text" => [
                "plain",
                "\"quoted, \"\"text\"\"\"",
                "a\"b",
                "é, no",
                "tab\there",
            ][rng.usize(..5)]
            .to_owned(),
            "short" => ["a", "abc", "abcd", "ōōō"][rng.usize(..4)].to_owned(),
            "flag" => ["true", "false", "TRUE", "no"][rng.usize(..4)].to_owned(),
            _ => number(rng).replace('"', ""),
        };
        let line = |rng: &mut Rng| {
            let cells: Vec<_> = columns.iter().map(|c| cell(rng, c)).collect();
            cells.join(",") + ["\n", "\r\n", ",\n"][usize::from(rng.u8(..19) / 9)]
        };
        let rows_text: String = (0..50).map(|_| line(rng)).collect();
        let text = columns.join(",") + "\n" + &rows_text;
        let format = Format::Csv(CsvDialect::COMMA);
        let (bytes, bad, whole) = rows(&text, format, &plan, false);
        let (expected, expected_bad, _) = rows(&text, format, &plan, true);
        assert_eq!(bad, expected_bad, "seed {seed}");
        assert!(bytes == expected, "seed {seed}");
        rows_read += 50;
        taken += whole;
        refused += bad.len();
    }
    assert!(
        taken * 20 > rows_read && refused * 10 > rows_read,
        "{taken} {refused} of {rows_read}"
    );
}
