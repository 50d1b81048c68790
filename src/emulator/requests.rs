//! The requests of a stream: what they hold, their limits, and their numbering.

use tonic::{Code, Status};

use crate::wire::ephemeral_stream_request::Payload;
use crate::wire::ingest_record_batch_request::Batch;
use crate::wire::ingest_record_request::Record;
use crate::wire::{IngestRecordBatchRequest, IngestRecordRequest};

use super::incoming::{Incoming, Records};

/// Record bytes of one request, the service's own limit.
const RECORD_BYTES_MAX: usize = 10 << 20;
/// Values that one request may make, NULL included: a record of no bytes makes one for each
/// column of the table.
const VALUES_MAX: usize = 64 << 20;
/// Requests that wait are decoded together up to this size.
const CHUNK_BYTES: usize = 4 << 20;
/// And up to this number.
const CHUNK_REQUESTS: usize = 8192;
/// And up to this number of values.
const CHUNK_VALUES: usize = 8 << 20;

/// Consecutive requests.
#[derive(Default)]
pub(super) struct Chunk {
    pub(super) requests: Vec<(i64, Records)>,
    /// How many they hold.
    pub(super) records: u64,
    bytes: usize,
}

impl Chunk {
    /// Whether no more should be added, for a table that holds so many values a row.
    pub(super) fn is_full(&self, row_values: usize) -> bool {
        let rows_max = CHUNK_VALUES / row_values.max(1);
        self.bytes >= CHUNK_BYTES
            || self.requests.len() >= CHUNK_REQUESTS
            || self.records >= rows_max as u64
    }

    pub(super) fn push(&mut self, (offset, records): (i64, Records)) {
        self.bytes += records.bytes();
        self.records += records.len() as u64;
        self.requests.push((offset, records));
    }
}

/// Takes the requests of one stream in their order.
pub(super) struct Numbering {
    next: i64,
    /// Values that a row of the table holds.
    row_values: usize,
}

impl Numbering {
    pub(super) fn new(row_values: usize) -> Self {
        Self {
            next: 0,
            row_values,
        }
    }

    /// The offset and records of the next request.
    ///
    /// # Errors
    /// What a client must not send.
    pub(super) fn take(&mut self, request: Incoming) -> Result<(i64, Records), Status> {
        let next = self.next;
        let empty = |what: &str| {
            Status::invalid_argument(format!(
                "{what}, where the records at offset {next} were expected"
            ))
        };
        let (offset, records) = match request {
            Incoming::Records { offset, records } => (offset, records),
            Incoming::Other(request) => {
                return Err(match request.payload {
                    Some(Payload::IngestRecord(IngestRecordRequest { record, .. })) => match record
                    {
                        Some(Record::AvroEncodedRecord(_)) => avro(),
                        _ => empty("ingest_record holds no record"),
                    },
                    Some(Payload::IngestRecordBatch(IngestRecordBatchRequest {
                        batch, ..
                    })) => match batch {
                        Some(Batch::AvroBatch(_)) => avro(),
                        _ => empty("ingest_record_batch holds no batch"),
                    },
                    Some(Payload::CreateStream(_)) => empty("create_stream was sent again"),
                    None => empty("the request is empty or of an unknown kind"),
                });
            }
        };
        match offset {
            Some(offset) if offset == next => {}
            Some(offset) => {
                return Err(Status::invalid_argument(format!(
                    "offset {offset} is not consecutive, expected {next}. Error Code: 4002"
                )));
            }
            None => {
                return Err(Status::invalid_argument(format!(
                    "the request has no offset_id, expected {next}. Error Code: 4002"
                )));
            }
        }
        let bytes = records.bytes();
        if bytes > RECORD_BYTES_MAX {
            return Err(Status::invalid_argument(format!(
                "the request at offset {next} holds {bytes} bytes of records, at most {RECORD_BYTES_MAX} are allowed"
            )));
        }
        let records_max = VALUES_MAX / self.row_values.max(1);
        if records.len() > records_max {
            return Err(Status::invalid_argument(format!(
                "the request at offset {next} holds {} records, at most {records_max} are allowed for this table",
                records.len()
            )));
        }
        self.next += 1;
        Ok((next, records))
    }

    /// Why there is no next request.
    pub(super) fn unreadable(&self, status: Status) -> Status {
        unreadable(&format!("the request at offset {}", self.next), status)
    }
}

/// The refusal of bytes that are no message of the protocol: they would be the same again,
/// which the transport's Internal does not say. Any other end of a stream stays as it is.
pub(super) fn unreadable(what: &str, status: Status) -> Status {
    let text = status.message();
    match text.strip_prefix("failed to decode Protobuf message: ") {
        Some(why) if status.code() == Code::Internal => {
            Status::invalid_argument(format!("{what} cannot be decoded: {why}"))
        }
        _ => status,
    }
}

/// What a stream with Avro records is told.
pub(super) fn avro() -> Status {
    Status::unimplemented("this server takes no Avro records, send protobuf or JSON")
}
