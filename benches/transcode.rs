//! The stages of one core: framing, NDJSON and CSV to records; beside them what a program
//! does that goes through `DynamicMessage`, and the limit of any that reads its input at all.

use std::hint::black_box;
use std::io::Cursor;
use std::path::PathBuf;
use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use prost_reflect::prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor};
use zerobus::input::{Block, Bytes, Compression, CsvDialect, Format, Framer, Framing, Source};
use zerobus::schema::{Declared, ProtoSource, RecordPlan};
use zerobus::transcode::{BatchBuilder, Options, Target, Transcoder};

#[path = "data.rs"]
#[allow(dead_code, reason = "shared with the peers' measurement")]
mod data;

/// About this much text for each measurement.
const TEXT_BYTES: usize = 8 << 20;

struct Case {
    name: &'static str,
    proto: &'static str,
    row: fn(u64, &mut String),
}

const CASES: [Case; 2] = [
    Case {
        name: "narrow",
        proto: data::NARROW_PROTO,
        row: data::narrow_ndjson,
    },
    Case {
        name: "wide",
        proto: data::WIDE_PROTO,
        row: data::wide_ndjson,
    },
];

fn rows(header: &str, row: fn(u64, &mut String)) -> (Vec<u8>, u64) {
    let mut text = header.to_owned();
    let mut count = 0;
    while text.len() < TEXT_BYTES {
        row(count, &mut text);
        count += 1;
    }
    (text.into_bytes(), count)
}

fn blocks(format: Format, text: &[u8]) -> Vec<Block> {
    let source = Source {
        index: 0,
        name: "bench".into(),
        format,
        header: None,
    };
    let bytes = Bytes::from_reader(Cursor::new(text.to_vec()), Compression::None);
    let mut framer = Framer::new(source, bytes, &Framing::default()).expect("a readable text");
    std::iter::from_fn(|| framer.next_block().expect("whole rows")).collect()
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
        let (text, count) = rows("", case.row);
        let (plan, message) = record(case.name, case.proto);
        let mut group = c.benchmark_group(case.name);
        group.sample_size(20);
        group.throughput(Throughput::Bytes(text.len() as u64));
        let lines: Vec<&str> = std::str::from_utf8(&text).expect("text").lines().collect();
        assert_eq!(lines.len() as u64, count);

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
        group.bench_function("framing", |b| b.iter(|| blocks(Format::Ndjson, &text)));
        let framed = blocks(Format::Ndjson, &text);
        group.bench_function("transcoding", |b| b.iter(|| transcode(&plan, &framed)));
        group.finish();
    }

    let (text, _) = rows(data::NARROW_HEADER, data::narrow_csv);
    let (plan, _) = record("narrow", data::NARROW_PROTO);
    let mut group = c.benchmark_group("narrow CSV");
    group.sample_size(20);
    group.throughput(Throughput::Bytes(text.len() as u64));
    let csv = Format::Csv(CsvDialect::COMMA);
    group.bench_function("framing", |b| b.iter(|| blocks(csv, &text)));
    let framed = blocks(csv, &text);
    group.bench_function("transcoding", |b| b.iter(|| transcode(&plan, &framed)));
    group.finish();
}

criterion_group!(all, benches);
criterion_main!(all);
