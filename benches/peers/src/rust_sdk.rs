//! A loader on the official Rust SDK, as a program around it would be written: a line read, a
//! record made of it, the record queued; at the end one flush.
//!
//! `rust_sdk MODE ENDPOINT TABLE PROTO FILE`, MODE being `single` (dynamic protobuf, record by
//! record), `batch` (the same, 1,000 at a time) or `json` (the lines as they are, unchecked,
//! 1,000 at a time). Prints how many records were queued and flushed.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use anyhow::{Context as _, bail};
use databricks_zerobus_ingest_sdk::{JsonString, ProtoBytes, ZerobusSdk, ZerobusStream};
use prost_reflect::prost::Message as _;
use prost_reflect::{DynamicMessage, MessageDescriptor};

const BATCH_RECORDS: usize = 1_000;
const READ_BYTES: usize = 1 << 20;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [mode, endpoint, table, proto, file] = &args[..] else {
        bail!("MODE ENDPOINT TABLE PROTO FILE");
    };
    let message = descriptor(Path::new(proto))?;
    let sdk = ZerobusSdk::builder()
        .endpoint(endpoint.as_str())
        .unity_catalog_url(endpoint.as_str())
        .no_tls()
        .build()?;
    let stream = sdk
        .stream_builder()
        .table(table.as_str())
        .oauth("any", "any");
    let mut stream = match mode.as_str() {
        "json" => stream.json().build().await?,
        _ => stream.dynamic_proto(message.clone()).build().await?,
    };
    let lines = BufReader::with_capacity(READ_BYTES, File::open(file)?);
    let count = match mode.as_str() {
        "single" => single(&stream, &message, lines).await?,
        "batch" => batches(&stream, lines, |line| record(&message, &line)).await?,
        "json" => batches(&stream, lines, |line| Ok(JsonString(line))).await?,
        other => bail!("no such mode: {other}"),
    };
    stream.flush().await?;
    stream.close().await?;
    println!("{count}");
    Ok(())
}

fn descriptor(proto: &Path) -> anyhow::Result<MessageDescriptor> {
    let mut compiler = protox::Compiler::new([proto.parent().context("a file in a folder")?])?;
    compiler.open_file(proto)?;
    let pool = compiler.descriptor_pool();
    pool.all_messages().next().context("a message")
}

fn record(message: &MessageDescriptor, line: &str) -> anyhow::Result<ProtoBytes> {
    let mut json = serde_json::Deserializer::from_str(line);
    let record = DynamicMessage::deserialize(message.clone(), &mut json)?;
    Ok(ProtoBytes(record.encode_to_vec()))
}

async fn single(
    stream: &ZerobusStream,
    message: &MessageDescriptor,
    mut lines: impl BufRead,
) -> anyhow::Result<usize> {
    let mut line = String::new();
    let mut count = 0;
    while lines.read_line(&mut line)? > 0 {
        stream.ingest_record_offset(record(message, &line)?).await?;
        line.clear();
        count += 1;
    }
    Ok(count)
}

async fn batches<R>(
    stream: &ZerobusStream,
    lines: impl BufRead,
    record: impl Fn(String) -> anyhow::Result<R>,
) -> anyhow::Result<usize>
where
    R: Into<databricks_zerobus_ingest_sdk::EncodedRecord>,
{
    let mut batch = Vec::with_capacity(BATCH_RECORDS);
    let mut count = 0;
    for line in lines.lines() {
        batch.push(record(line?)?);
        count += 1;
        if batch.len() == BATCH_RECORDS {
            let full = std::mem::replace(&mut batch, Vec::with_capacity(BATCH_RECORDS));
            stream.ingest_records_offset(full).await?;
        }
    }
    if !batch.is_empty() {
        stream.ingest_records_offset(batch).await?;
    }
    Ok(count)
}
