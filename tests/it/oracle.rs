//! Framing and cells against other people's code: the csv crate and serde_json, with random
//! rows for both. What becomes of rows is in `random`.

use std::io::Read;

use proptest::prelude::*;
use serde_json::{Value, json};
use zerobus::input::{
    Block, Bytes, Compression, CsvDialect, Format, Framer, Framing, Source, cells,
};

fn source(format: Format) -> Source {
    Source {
        index: 0,
        name: "test".into(),
        format,
        header: None,
    }
}

pub fn blocks(format: Format, text: &[u8]) -> Vec<Block> {
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
    let reader = Bytes::from_reader(reader, Compression::None);
    let mut framer = Framer::new(source(format), reader, &Framing::default()).unwrap();
    std::iter::from_fn(|| framer.next_block().unwrap()).collect()
}

/// Any JSON object.
fn row() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f32>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    let value = leaf.prop_recursive(3, 24, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::hash_map("[a-z{\\[\"]{0,3}", inner, 0..5).prop_map(|m| json!(m)),
        ]
    });
    prop::collection::hash_map("[a-z\u{e9}\"]{0,4}", value, 0..6).prop_map(|m| json!(m))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

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
                let begins = block.first_byte as usize + row.start();
                prop_assert!(begins >= next_byte);
                prop_assert_eq!(&text.as_bytes()[begins..begins + bytes.len()], bytes);
                let line = text[..begins].matches('\n').count() + 1;
                prop_assert_eq!(block.line(row), line as u64);
                next_byte = begins + bytes.len();
                read.push(serde_json::from_slice(bytes).unwrap());
            }
        }
        prop_assert_eq!(read, rows);
    }

    /// Promise: reading begins again at the end of any block, and before any row, with the
    /// rows that are left, each on its line.
    #[test]
    fn reading_begins_again_where_it_stopped(
        values in prop::collection::vec(row(), 0..6),
        form in 0..4usize,
        pretty in any::<bool>(),
        step in 1..40usize,
    ) {
        let print = |v: &Value| match pretty {
            true => format!("{v:#}"),
            false => v.to_string(),
        };
        let (format, text) = match form {
            0 => (Format::Json, print(&Value::Array(values)) + "\n \n"),
            1 => (Format::Json, values.iter().map(|r| print(r) + "\n").collect()),
            2 => (Format::Ndjson, values.iter().map(|r| format!("{r}\r\n\n")).collect()),
            _ => {
                let cell = |v: &Value| format!("\"{}\"\n", print(v).replace('"', "\"\""));
                (Format::Csv(CsvDialect::COMMA), "head\n".to_owned() + &values.iter().map(cell).collect::<String>())
            }
        };
        let framing = Framing { hashed: true, ..Framing::default() };
        let framer = |step| {
            let reader = Slow(std::io::Cursor::new(text.clone().into_bytes()), step);
            let bytes = Bytes::from_reader(reader, Compression::None);
            Framer::new(source(format), bytes, &framing).unwrap()
        };
        let rows = |framer: &mut Framer| {
            let mut rows = Vec::new();
            while let Some(block) = framer.next_block().unwrap() {
                for row in &block.rows {
                    rows.push((block.first_byte + row.start() as u64, block.line(row), block.row(row).to_vec()));
                }
            }
            rows
        };
        let all = rows(&mut framer(step));
        let mut first = framer(step);
        let mut seen = 0;
        while let Some(block) = first.next_block().unwrap() {
            let mut places: Vec<_> = block.rows.iter().map(|row| block.before(row.start(), block.line(row))).collect();
            places.push((block.end.unwrap(), block.hash_after.clone()));
            for (index, (place, hash)) in places.into_iter().enumerate() {
                let mut again = framer(step % 7 + 1);
                again.go_on(&place, hash.map(|h| h.hex()).as_deref()).unwrap();
                prop_assert_eq!(&rows(&mut again), &all[seen + index..], "{:?} {}", place, text);
            }
            seen += block.rows.len();
        }
        prop_assert_eq!(seen, all.len());
    }
}
