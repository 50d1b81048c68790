//! What must hold of rows and blocks, whatever the bytes and however they are read.

use std::io::Read;

use serde_json::value::RawValue;
use zerobus::input::{Block, Bytes, Compression, Format, Framer, Framing, RowFault, Source};

use crate::choices::Choices;

/// What was found in an input, wherever its blocks end.
#[derive(Debug, Default, PartialEq)]
pub struct Framed {
    rows: Vec<Row>,
    long: Vec<Long>,
    header: Option<(Vec<String>, u64, Vec<u8>)>,
    /// The line and the message.
    error: Option<(Option<u64>, String)>,
}

#[derive(Debug, PartialEq)]
struct Row {
    byte: usize,
    len: usize,
    len_with_end: usize,
    line: u64,
    fault: Option<RowFault>,
}

/// A row over the limit, all its pieces together.
#[derive(Debug, PartialEq)]
struct Long {
    byte: usize,
    line: u64,
    end: usize,
    whole: bool,
}

const BOM: &[u8] = b"\xEF\xBB\xBF";

/// Cuts an input into rows, and checks that they do not depend on how it is read.
pub fn frame(input: &[u8], format: Format, choices: &Choices) -> (Framed, Vec<Block>) {
    let pieces = Pieces {
        rest: input.to_vec().into(),
        seed: choices.reads.into(),
    };
    let (framed, blocks) = read(input, pieces, format, &choices.framing());
    let at_once = Pieces {
        rest: input.to_vec().into(),
        seed: 0,
    };
    let (same, _) = read(input, at_once, format, &choices.framing_at_once());
    assert_eq!(framed, same, "rows depend on how they are read");
    (framed, blocks)
}

/// Gives out pieces of random sizes.
struct Pieces {
    rest: std::collections::VecDeque<u8>,
    seed: u32,
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.seed == 0 {
            return self.rest.read(buffer);
        }
        // The constants of Numerical Recipes; the low bits are the poor ones.
        self.seed = self
            .seed
            .wrapping_mul(1_664_525)
            .wrapping_add(1_013_904_223)
            | 1;
        let most = match self.seed >> 28 {
            0..8 => 1 + (self.seed >> 8) as usize % 4,
            _ => 1 + (self.seed >> 8) as usize % 100,
        };
        let size = most.min(buffer.len());
        self.rest.read(&mut buffer[..size])
    }
}

/// Reads all blocks, and checks that they hold the input and rows that lie in it.
fn read(input: &[u8], reader: Pieces, format: Format, framing: &Framing) -> (Framed, Vec<Block>) {
    let mut framed = Framed::default();
    let mut blocks = Vec::new();
    let source = Source {
        index: 0,
        name: "input".to_owned(),
        format,
        header: None,
    };
    let bytes = Bytes::from_reader(reader, Compression::None);
    let mut framer = match Framer::new(source, bytes, framing) {
        Ok(framer) => framer,
        Err(error) => {
            framed.error = Some((error.line, error.message));
            return (framed, blocks);
        }
    };
    let mut at = if input.starts_with(BOM) { BOM.len() } else { 0 };
    if let Some(header) = &framer.source().header {
        let (names, record) = (header.names.clone(), header.record.clone());
        framed.header = Some((names, header.line, record));
    }
    let mut lines = Lines {
        input,
        at: 0,
        line: 1,
    };
    loop {
        let block = match framer.next_block() {
            Ok(Some(block)) => block,
            Ok(None) => break,
            Err(error) => {
                framed.error = Some((error.line, error.message));
                break;
            }
        };
        let first_byte = block.first_byte as usize;
        if blocks.is_empty() && matches!(format, Format::Csv(_)) {
            // Behind the header, which may have blank lines before it.
            let header = &framer.source().header;
            let record: &[u8] = header.as_ref().map_or(b"", |header| &header.record);
            assert!(
                input[..first_byte].ends_with(record),
                "the header is not what stands there"
            );
            at = first_byte;
        }
        assert_eq!(first_byte, at, "blocks leave a gap or overlap");
        at += block.data.len();
        assert_eq!(
            block.data[..],
            input[first_byte..at],
            "a block is not what stands there"
        );
        assert!(!block.data.is_empty() || block.long.is_some_and(|long| long.ends));
        assert!(block.source_bytes <= input.len() as u64 && block.source_bytes >= at as u64);
        assert!(block.rows.len() <= framing.limits.block_rows_max);
        check_rows(&block, framing, &mut lines, &mut framed);
        blocks.push(block);
    }
    if framed.error.is_none() {
        if !blocks.is_empty() {
            assert_eq!(at, input.len(), "bytes at the end are in no block");
        }
        assert!(
            framed.long.iter().all(|long| long.whole),
            "a long row does not end"
        );
        assert!(framer.next_block().expect("no more").is_none());
    }
    (framed, blocks)
}

fn check_rows(block: &Block, framing: &Framing, lines: &mut Lines<'_>, framed: &mut Framed) {
    let first_byte = block.first_byte as usize;
    let format = block.source.format;
    let limit = framing.limits.line_bytes_max;
    let mut end = 0;
    for row in &block.rows {
        assert!(row.start() >= end, "rows overlap");
        check_gap(&block.data[end..row.start()], format);
        end = row.start() + row.len_with_end();
        assert!(
            row.len() > 0 && row.len() <= limit,
            "a row of {} bytes",
            row.len()
        );
        let line_end = &block.row_with_end(row)[row.len()..];
        assert!(
            matches!(line_end, b"" | b"\r" | b"\n" | b"\r\n"),
            "{line_end:?} is no line's end"
        );
        let byte = first_byte + row.start();
        assert_eq!(
            block.line(row),
            lines.of(byte),
            "the line of the row at byte {byte}"
        );
        framed.rows.push(Row {
            byte,
            len: row.len(),
            len_with_end: row.len_with_end(),
            line: block.line(row),
            fault: row.fault,
        });
    }
    let Some(long) = block.long else {
        check_gap(&block.data[end..], format);
        assert!(
            framed.long.last().is_none_or(|long| long.whole),
            "a long row lost its end"
        );
        return;
    };
    assert!(
        long.start >= end && long.start <= block.data.len(),
        "a long row overlaps"
    );
    assert_eq!(long.limit, limit);
    let byte = long.byte as usize;
    if long.begins {
        check_gap(&block.data[end..long.start], format);
        assert!(framed.long.last().is_none_or(|long| long.whole));
        assert_eq!(byte, first_byte + long.start);
        assert_eq!(
            long.line,
            lines.of(byte),
            "the line of the long row at byte {byte}"
        );
        framed.long.push(Long {
            byte,
            line: long.line,
            end: 0,
            whole: false,
        });
    } else {
        assert!(block.rows.is_empty() && long.start == 0);
    }
    let all = framed.long.last_mut().expect("a piece after the first one");
    assert!(
        !all.whole && (all.byte, all.line) == (byte, long.line),
        "pieces of two rows"
    );
    all.end = first_byte + block.data.len();
    all.whole = long.ends;
    if long.ends {
        let text = without_line_end(&lines.input[byte..all.end]);
        assert!(
            text.len() > limit,
            "a row of {} bytes is taken for a long one",
            text.len()
        );
    }
}

/// What stands between rows.
fn check_gap(gap: &[u8], format: Format) {
    let known: &[u8] = match format {
        Format::Ndjson => b" \t\r\n",
        Format::Csv(_) => b"\r\n",
        Format::Json => b" \t\r\n,[]",
    };
    assert!(
        gap.iter().all(|b| known.contains(b)),
        "{} is in no row",
        gap.escape_ascii()
    );
}

/// Counts lines, going forward only.
struct Lines<'i> {
    input: &'i [u8],
    at: usize,
    line: u64,
}

impl Lines<'_> {
    fn of(&mut self, byte: usize) -> u64 {
        let passed = &self.input[self.at..byte];
        self.line += passed.iter().filter(|&&b| b == b'\n').count() as u64;
        self.at = byte;
        self.line
    }
}

fn without_line_end(row: &[u8]) -> &[u8] {
    let row = row.strip_suffix(b"\n").unwrap_or(row);
    row.strip_suffix(b"\r").unwrap_or(row)
}

/// Compares the rows with those that plain code or serde_json finds, where one of them can say.
pub fn check_against_oracle(framed: &Framed, input: &[u8], format: Format, choices: &Choices) {
    // It is said to be UTF-16.
    if [b"\xFF\xFE", b"\xFE\xFF"]
        .iter()
        .any(|mark| input.starts_with(*mark))
    {
        assert!(framed.error.is_some());
        return;
    }
    let text = input.strip_prefix(BOM).unwrap_or(input);
    let found = framed
        .rows
        .iter()
        .map(|row| &input[row.byte..row.byte + row.len]);
    match format {
        Format::Ndjson => {
            let blank = |line: &[u8]| line.iter().all(|b| matches!(b, b' ' | b'\t'));
            let lines = text.split(|&b| b == b'\n');
            let lines = lines.map(|line| line.strip_suffix(b"\r").unwrap_or(line));
            let short = lines.filter(|line| line.len() <= choices.line_bytes_max && !blank(line));
            assert!(found.eq(short), "rows are not the lines");
            assert_eq!(framed.error, None);
        }
        Format::Json if choices.line_bytes_max > input.len() => {
            let Some(values) = json_values(text) else {
                return;
            };
            assert_eq!(framed.error, None, "this is JSON");
            assert!(
                found.eq(values.iter().map(|v| v.get().as_bytes())),
                "rows are not the values"
            );
        }
        Format::Json | Format::Csv(_) => {}
    }
}

/// The objects of an array, or one after another.
fn json_values(text: &[u8]) -> Option<Vec<Box<RawValue>>> {
    let text = std::str::from_utf8(text).ok()?;
    let values: Vec<Box<RawValue>> = match text.trim_ascii_start().starts_with('[') {
        true => serde_json::from_str(text).ok()?,
        false => serde_json::Deserializer::from_str(text)
            .into_iter()
            .collect::<Result<_, _>>()
            .ok()?,
    };
    values
        .iter()
        .all(|v| v.get().starts_with('{'))
        .then_some(values)
}
