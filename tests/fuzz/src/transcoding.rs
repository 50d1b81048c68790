//! What must hold of records, whatever the rows.

use prost_reflect::prost::Message as _;
use prost_reflect::{DeserializeOptions, DynamicMessage, MessageDescriptor};
use zerobus::input::{Block, CsvDialect, Format, cells};
use zerobus::transcode::{BatchBuilder, EncodedBatch, Reason, Transcoder};
use zerobus::wire::{JsonRecordBatch, ProtoEncodedRecordBatch};

use crate::choices::Choices;
use crate::records::{as_json, is_json};

/// Transcodes the blocks of one source.
pub fn check(blocks: &[Block], choices: &Choices) {
    let source = &*blocks[0].source;
    let (mut transcoder, mut apart) = (choices.transcoder(), choices.transcoder());
    let begun = transcoder.begin_source(source);
    assert_eq!(begun, apart.begin_source(source));
    if begun.is_err() {
        return;
    }
    let mut together = BatchBuilder::new();
    let mut records: Vec<Vec<u8>> = Vec::new();
    for block in blocks {
        let mut reasons = reasons(&mut transcoder, block, &mut together);
        // Each row by itself becomes the same: a bad row leaves nothing behind.
        for (index, reasons) in reasons.iter_mut().enumerate() {
            let row = std::str::from_utf8(block.row(&block.rows[index]));
            let mut own = BatchBuilder::new();
            match (apart.block(block, index..index + 1, &mut own), reasons) {
                (Ok(()), None) => {
                    let record = taken(own.take(), choices).pop().expect("a record");
                    check_record(
                        row.expect("a record of text"),
                        &record,
                        source.format,
                        choices,
                        block,
                    );
                    records.push(record);
                }
                (Err((_, error)), Some(reasons)) => {
                    assert_eq!(error.reasons, *reasons);
                    assert_eq!(own.records(), 0);
                    assert_eq!(own.take(), [], "a bad row is in the batch");
                }
                (alone, _) => panic!("among other rows the end is another: {row:?}: {alone:?}"),
            }
        }
    }
    assert_eq!(together.records(), records.len() as u64);
    assert_eq!(
        taken(together.take(), choices),
        records,
        "records differ among other rows"
    );
    assert_eq!(transcoder.digits_cut(), apart.digits_cut());
}

/// What is wrong with each row of a block.
fn reasons(
    transcoder: &mut Transcoder,
    block: &Block,
    out: &mut BatchBuilder,
) -> Vec<Option<Vec<Reason>>> {
    let count = block.rows.len();
    let mut reasons = vec![None; count];
    let mut from = 0;
    while let Err((index, error)) = transcoder.block(block, from..count, out) {
        assert!((from..count).contains(&index));
        let row = &block.rows[index];
        assert_eq!(
            (error.line, error.byte),
            (block.line(row), block.first_byte + row.start() as u64)
        );
        assert!(!error.reasons.is_empty(), "a bad row without a reason");
        assert!(error.reasons.len() < 100);
        reasons[index] = Some(error.reasons);
        from = index + 1;
    }
    reasons
}

/// The records of batches.
fn taken(batches: Vec<EncodedBatch>, choices: &Choices) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for batch in batches {
        let records: Vec<Vec<u8>> = match choices.json {
            true => {
                let batch = JsonRecordBatch::decode(batch.body.clone()).expect("a batch");
                batch.records.into_iter().map(String::into_bytes).collect()
            }
            false => {
                let batch = ProtoEncodedRecordBatch::decode(batch.body.clone()).expect("a batch");
                batch.records.iter().map(|record| record.to_vec()).collect()
            }
        };
        let bytes: usize = records.iter().map(Vec::len).sum();
        assert_eq!(
            (batch.records as usize, batch.record_bytes),
            (records.len(), bytes as u64)
        );
        all.extend(records);
    }
    all
}

fn check_record(row: &str, record: &[u8], format: Format, choices: &Choices, block: &Block) {
    if let Format::Csv(dialect) = format {
        check_cells(row, dialect);
    }
    if choices.json {
        let record = std::str::from_utf8(record).expect("JSON is text");
        assert!(is_json(record), "no JSON: {record}");
        match format {
            Format::Csv(dialect) => {
                let names = block.source.header.as_ref().map(|header| &header.names[..]);
                check_object(row, record, names.unwrap_or_default(), dialect, choices);
            }
            Format::Ndjson | Format::Json => assert_eq!(record, row),
        }
        return;
    }
    let message = choices.record.check(record);
    let oracle = choices.record.declared.as_ref();
    if let (Format::Ndjson | Format::Json, Some(declared), true) =
        (format, oracle, choices.is_plain())
    {
        assert!(is_json(row), "no JSON: {row}");
        // It refuses some forms of numbers: `1.0` as a map's key or for an enum's value.
        if let Ok(theirs) = from_json(declared, row, choices) {
            assert_eq!(as_json(&message), as_json(&theirs), "{row}");
        }
    }
}

/// What prost-reflect makes of a row.
fn from_json(
    message: &MessageDescriptor,
    row: &str,
    choices: &Choices,
) -> Result<DynamicMessage, serde_json::Error> {
    let options = DeserializeOptions::new().deny_unknown_fields(!choices.ignore_unknown);
    let mut json = serde_json::Deserializer::from_str(row);
    let message = DynamicMessage::deserialize_with_options(message.clone(), &mut json, &options)?;
    json.end()?;
    Ok(message)
}

/// The cells are those of the csv crate.
fn check_cells(row: &str, dialect: CsvDialect) {
    // Behind a cell of ours, since the crate skips a mark of byte order at the start.
    let text = format!("-{}{row}", char::from(dialect.delimiter));
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(dialect.delimiter)
        .quote(dialect.quote.unwrap_or(b'"'))
        .quoting(dialect.quote.is_some())
        .has_headers(false)
        .flexible(true)
        .buffer_capacity(text.len())
        .from_reader(text.as_bytes());
    let theirs: Vec<_> = reader
        .records()
        .map(|record| record.expect("text"))
        .collect();
    let [theirs] = &theirs[..] else {
        panic!("{} records: {row:?}", theirs.len());
    };
    let ours: Vec<_> = cells(row, dialect).map(|cell| cell.text).collect();
    let theirs: Vec<_> = theirs.iter().skip(1).collect();
    assert_eq!(ours, theirs, "{row:?}");
}

/// The object has the cells that are not null, under their columns' names.
fn check_object(row: &str, record: &str, names: &[String], dialect: CsvDialect, choices: &Choices) {
    let object: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(record).expect("an object");
    let mut expected = serde_json::Map::new();
    let mut count = 0;
    for (cell, name) in cells(row, dialect).zip(names) {
        count += 1;
        let text = match choices.cells.trim && !cell.quoted {
            true => cell.text.trim_matches([' ', '\t']),
            false => &cell.text,
        };
        let nulls = &choices.cells.null;
        let null = match nulls.is_empty() {
            true => text.is_empty(),
            false => nulls.iter().any(|null| null == text),
        };
        if cell.quoted || !null {
            expected.insert(name.clone(), text.into());
        }
    }
    assert_eq!(
        (count, cells(row, dialect).count()),
        (names.len(), names.len())
    );
    let mut flat = serde_json::Map::new();
    flatten(object, "", &mut flat);
    assert_eq!(flat, expected, "{row:?}");
}

/// Columns with dotted names make objects of their own.
fn flatten(
    object: serde_json::Map<String, serde_json::Value>,
    prefix: &str,
    flat: &mut serde_json::Map<String, serde_json::Value>,
) {
    for (name, value) in object {
        let path = format!("{prefix}{name}");
        match value {
            serde_json::Value::Object(inner) => flatten(inner, &format!("{path}."), flat),
            leaf => {
                flat.insert(path, leaf);
            }
        }
    }
}
