//! Prints the rows that everything is measured with: `rows narrow|wide|csv COUNT`, the narrow
//! ones as NDJSON or as a CSV.

use std::io::{BufWriter, Write as _};

use anyhow::{Context as _, bail};

#[path = "../../data.rs"]
#[expect(dead_code, reason = "shared with the benches of the stages")]
mod data;

const CHUNK_BYTES: usize = 1 << 20;

fn main() -> anyhow::Result<()> {
    let mut args = std::env::args().skip(1);
    let kind = args.next().context("which rows: narrow, wide or csv")?;
    let count: u64 = args.next().context("how many rows")?.parse()?;
    let row: fn(u64, &mut String) = match kind.as_str() {
        "narrow" => data::narrow_ndjson,
        "wide" => data::wide_ndjson,
        "csv" => data::narrow_csv,
        other => bail!("no such rows: {other}"),
    };
    let mut text = String::new();
    if kind == "csv" {
        text.push_str(data::NARROW_HEADER);
    }
    let mut out = BufWriter::with_capacity(CHUNK_BYTES, std::io::stdout().lock());
    for index in 0..count {
        row(index, &mut text);
        if text.len() >= CHUNK_BYTES / 2 {
            out.write_all(text.as_bytes())?;
            text.clear();
        }
    }
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}
