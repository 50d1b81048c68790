//! A chunk of requests to one Arrow batch; a bad request ends it and leaves out
//! nothing but itself. Or to nothing, if rows are only to be checked: then one is built only
//! where [`Sure`] is not sure of it.

use std::sync::Arc;

use deltalake_core::arrow::array::RecordBatch;
use tonic::Status;

use super::columns::{Problem, Rows};
use super::incoming::Records;
use super::plan::RecordPlan;
use super::requests::Chunk;
use super::table::Table;
use super::{check, check_json, decode_json, decode_proto};

/// How the records of a stream are encoded.
pub(super) enum Format {
    Proto(RecordPlan),
    Json,
}

/// What tells good records without building their rows.
pub(super) enum Sure {
    Proto(check::Check),
    Json(check_json::Check),
}

/// Decodes the requests of one stream.
pub(super) struct Decoder {
    pub(super) table: Arc<Table>,
    pub(super) format: Format,
    /// Rows are checked and not kept.
    pub(super) discard: bool,
    /// What tells most good records of a server that discards.
    pub(super) sure: Option<Sure>,
}

/// What a chunk came to.
pub(super) struct Decoded {
    /// The rows and the last offset of the requests before the bad one, if any.
    pub(super) good: Option<(Option<RecordBatch>, i64)>,
    /// Why the stream ends here.
    pub(super) refusal: Option<Status>,
}

impl Decoder {
    pub(super) fn decode(&self, chunk: &Chunk) -> Decoded {
        let failed = |error: String| Decoded {
            good: None,
            refusal: Some(Status::internal(error)),
        };
        let mut rows = match Rows::new(&self.table.columns, &self.table.schema) {
            Ok(rows) => rows,
            Err(error) => return failed(error),
        };
        if !self.discard {
            rows.reserve(
                chunk
                    .requests
                    .iter()
                    .map(|(_, records)| records.len())
                    .sum(),
            );
        }
        let mut last = None;
        let mut refusal = None;
        for (offset, records) in &chunk.requests {
            let count = rows.count;
            if let Err(bad) = self.append(records, &mut rows) {
                // A request is all or nothing.
                rows.truncate(count);
                refusal = Some(self.refusal(*offset, &bad));
                break;
            }
            last = Some(*offset);
            if self.discard {
                rows.truncate(0);
            }
        }
        let batch = match rows.count {
            0 => None,
            _ => match rows.finish() {
                Ok(batch) => Some(batch),
                Err(error) => return failed(error.to_string()),
            },
        };
        Decoded {
            good: last.map(|last| (batch, last)),
            refusal,
        }
    }

    fn is_surely_good(&self, record: &[u8]) -> bool {
        match &self.sure {
            Some(Sure::Proto(check)) => check.is_good(record),
            Some(Sure::Json(check)) => check.is_good(record),
            None => false,
        }
    }

    fn append(&self, records: &Records, rows: &mut Rows) -> Result<(), BadRecord> {
        let bad = |index| move |problem| BadRecord { index, problem };
        match (&self.format, records) {
            (Format::Proto(plan), Records::Proto(records)) => {
                let records = records.iter().enumerate();
                let mut unsure = records.filter(|(_, record)| !self.is_surely_good(record));
                unsure.try_for_each(|(i, r)| decode_proto::append(plan, r, rows).map_err(bad(i)))
            }
            (Format::Json, Records::Json(records)) => {
                let records = records.iter().enumerate();
                let mut unsure = records.filter(|(_, record)| !self.is_surely_good(record));
                unsure.try_for_each(|(i, r)| {
                    let text = std::str::from_utf8(r).map_err(|_| Problem::new("not UTF-8"));
                    text.and_then(|text| decode_json::append(text, rows))
                        .map_err(bad(i))
                })
            }
            (Format::Proto(_), Records::Json(_)) => Err(bad(0)(Problem::new(
                "it is JSON, but create_stream has the record_type PROTO",
            ))),
            (Format::Json, Records::Proto(_)) => Err(bad(0)(Problem::new(
                "it is protobuf, but create_stream has the record_type JSON",
            ))),
        }
    }

    fn refusal(&self, offset: i64, bad: &BadRecord) -> Status {
        let BadRecord { index, problem } = bad;
        let table = &self.table.name;
        Status::invalid_argument(format!(
            "table {table}, offset {offset}, record {index}: {problem}"
        ))
    }
}

struct BadRecord {
    /// Its place in the request, from 0.
    index: usize,
    problem: Problem,
}
