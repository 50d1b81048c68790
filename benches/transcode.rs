//! The stages of one core: framing, NDJSON and CSV to records, narrow and wide; beside them what
//! a program does that goes through `DynamicMessage`, and the limit of any that reads its input
//! at all.

use std::hint::black_box;
use std::io::Cursor;
use std::path::PathBuf;
use std::sync::Arc;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};
use prost_reflect::prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor};
use zerobus::input::{Block, Bytes, Compression, CsvDialect, Format, Framer, Framing, Source};
use zerobus::schema::{Declared, ProtoSource, RecordPlan};
use zerobus::transcode::{BatchBuilder, Options, Target, Transcoder};

#[path = "data.rs"]
mod data;

/// Rows for each measurement.
const ROWS: u64 = 30_000;

type Group<'g> = BenchmarkGroup<'g, WallTime>;

struct Case {
    name: &'static str,
    proto: &'static str,
    ndjson: fn(u64, &mut String),
    header: &'static str,
    csv: fn(u64, &mut String),
}

const CASES: [Case; 2] = [
    Case {
        name: "narrow",
        proto: data::NARROW_PROTO,
        ndjson: data::narrow_ndjson,
        header: data::NARROW_HEADER,
        csv: data::narrow_csv,
    },
    Case {
        name: "wide",
        proto: data::WIDE_PROTO,
        ndjson: data::wide_ndjson,
        header: data::WIDE_HEADER,
        csv: data::wide_csv,
    },
];

fn rows(header: &str, row: fn(u64, &mut String)) -> Arc<[u8]> {
    let mut text = header.to_owned();
    for index in 0..ROWS {
        row(index, &mut text);
    }
    text.into_bytes().into()
}

fn framer(format: Format, text: &Arc<[u8]>) -> Framer {
    let source = Source {
        index: 0,
        name: "bench".into(),
        format,
        header: None,
    };
    let bytes = Bytes::from_reader(Cursor::new(text.clone()), Compression::None);
    Framer::new(source, bytes, &Framing::default()).expect("a readable text")
}

fn blocks(mut framer: Framer) -> impl Iterator<Item = Block> {
    std::iter::from_fn(move || framer.next_block().expect("whole rows"))
}

/// The record's plan, and its descriptor for the others.
fn record(name: &str, proto: &str) -> (Arc<RecordPlan>, MessageDescriptor) {
    let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let file = dir.join(format!("{name}.proto"));
    std::fs::write(&file, proto).expect("a writable target directory");
    let plan = RecordPlan::from_proto(&ProtoSource {
        declared: Declared::Proto {
            file: file.clone(),
            include: Vec::new(),
        },
        message: None,
        types: Vec::new(),
    });
    let pool: DescriptorPool = protox::Compiler::new([&dir])
        .and_then(|mut compiler| {
            compiler.open_file(&file)?;
            Ok(compiler.descriptor_pool())
        })
        .expect("a valid .proto");
    let message = pool.all_messages().next().expect("a message");
    (Arc::new(plan.expect("a record")), message)
}

fn transcode(plan: &Arc<RecordPlan>, blocks: &[Block]) -> usize {
    let mut transcoder = Transcoder::new(Target::Proto(plan.clone()), Options::default());
    let mut batch = BatchBuilder::new();
    transcoder
        .begin_source(&blocks[0].source)
        .expect("columns that are fields");
    let mut bytes = 0;
    for block in blocks {
        transcoder
            .block(block, 0..block.rows.len(), &mut batch)
            .expect("good rows");
        bytes += batch.take().iter().map(|b| b.body.len()).sum::<usize>();
    }
    bytes
}

fn benches(c: &mut Criterion) {
    for case in &CASES {
        let mut group = c.benchmark_group(case.name);
        group.sample_size(20);
        let (plan, message) = record(case.name, case.proto);

        let ndjson = rows("", case.ndjson);
        group.throughput(Throughput::Bytes(ndjson.len() as u64));
        others(&mut group, &ndjson, &message);
        ours(&mut group, "NDJSON", Format::Ndjson, &ndjson, &plan);

        let csv = rows(case.header, case.csv);
        group.throughput(Throughput::Bytes(csv.len() as u64));
        let format = Format::Csv(CsvDialect::COMMA);
        ours(&mut group, "CSV", format, &csv, &plan);
        group.finish();
    }
}

/// What a program does that goes through `DynamicMessage`, and the limit of any.
fn others(group: &mut Group<'_>, text: &[u8], message: &MessageDescriptor) {
    let lines: Vec<&str> = std::str::from_utf8(text).expect("text").lines().collect();
    assert_eq!(lines.len() as u64, ROWS);
    group.bench_function("scan limit (IgnoredAny)", |b| {
        b.iter(|| {
            for line in &lines {
                let value: serde::de::IgnoredAny = serde_json::from_str(line).expect("JSON");
                black_box(value);
            }
        });
    });
    group.bench_function("DynamicMessage", |b| {
        b.iter(|| {
            let mut bytes = 0;
            for line in &lines {
                let mut json = serde_json::Deserializer::from_str(line);
                let record = DynamicMessage::deserialize(message.clone(), &mut json);
                bytes += record.expect("a record").encode_to_vec().len();
            }
            bytes
        });
    });
}

/// Our stages, which for a CSV and NDJSON of the same rows are to be compared by their times.
fn ours(
    group: &mut Group<'_>,
    name: &str,
    format: Format,
    text: &Arc<[u8]>,
    plan: &Arc<RecordPlan>,
) {
    group.bench_function(format!("{name}: framing"), |b| {
        b.iter(|| {
            blocks(framer(format, text))
                .map(|b| b.rows.len())
                .sum::<usize>()
        });
    });
    let framed: Vec<Block> = blocks(framer(format, text)).collect();
    group.bench_function(format!("{name}: transcoding"), |b| {
        b.iter(|| transcode(plan, &framed));
    });
}

criterion_group!(all, benches);
criterion_main!(all);
