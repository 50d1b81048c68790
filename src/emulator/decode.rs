//! A chunk of requests to one Arrow batch; a bad request ends it and leaves out
//! nothing but itself.

use std::sync::Arc;

use deltalake_core::arrow::array::RecordBatch;
use tonic::Status;

use super::columns::{Problem, Rows};
use super::plan::RecordPlan;
use super::requests::{Chunk, Records};
use super::table::Table;
use super::{decode_json, decode_proto};

/// How the records of a stream are encoded.
pub(super) enum Format {
    Proto(RecordPlan),
    Json,
}

/// Decodes the requests of one stream.
pub(super) struct Decoder {
    pub(super) table: Arc<Table>,
    pub(super) format: Format,
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
        let requests = &chunk.requests[..];
        match self.rows(requests) {
            Ok(good) => Decoded {
                good,
                refusal: None,
            },
            // A request is all or nothing, and the rows of a bad one are half done:
            // those before it are decoded again.
            Err((bad, status)) => match self.rows(&requests[..bad]) {
                Ok(good) => Decoded {
                    good,
                    refusal: Some(status),
                },
                Err((_, status)) => Decoded {
                    good: None,
                    refusal: Some(status),
                },
            },
        }
    }

    /// The rows of all requests, or the index of the first bad one and what is wrong.
    #[expect(clippy::type_complexity, reason = "used once, and named in `Decoded`")]
    fn rows(
        &self,
        requests: &[(i64, Records)],
    ) -> Result<Option<(Option<RecordBatch>, i64)>, (usize, Status)> {
        let Some((last, _)) = requests.last() else {
            return Ok(None);
        };
        let failed = |error: String| (0, Status::internal(error));
        let mut rows = Rows::new(&self.table.columns, &self.table.schema).map_err(failed)?;
        for (index, (offset, records)) in requests.iter().enumerate() {
            self.append(records, &mut rows)
                .map_err(|problem| (index, self.refusal(*offset, &problem)))?;
        }
        if rows.count == 0 {
            return Ok(Some((None, *last)));
        }
        let batch = rows.finish().map_err(|error| failed(error.to_string()))?;
        Ok(Some((Some(batch), *last)))
    }

    fn append(&self, records: &Records, rows: &mut Rows) -> Result<(), BadRecord> {
        let bad = |index| move |problem| BadRecord { index, problem };
        match (&self.format, records) {
            (Format::Proto(plan), Records::Proto(records)) => {
                let mut records = records.iter().enumerate();
                records.try_for_each(|(i, r)| decode_proto::append(plan, r, rows).map_err(bad(i)))
            }
            (Format::Json, Records::Json(records)) => {
                let mut records = records.iter().enumerate();
                records.try_for_each(|(i, r)| decode_json::append(r, rows).map_err(bad(i)))
            }
            (Format::Proto(_), records) | (Format::Json, records) => {
                let kind = records.kind();
                let problem = Problem::new(format!("{kind} on a stream of the other record type"));
                Err(bad(0)(problem))
            }
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
