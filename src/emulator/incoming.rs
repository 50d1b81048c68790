//! Requests as they come off the wire: the records of a batch stay the bytes that they came
//! in, so that receiving them costs nothing for each.
//!
//! Only what every client sends is read here. Any other form of a request goes through the
//! general decoder, which knows all of protobuf, and comes to the same.

use bytes::{BufMut as _, Bytes, BytesMut};
use prost_reflect::prost::Message as _;
use prost_reflect::prost::encoding::encode_varint;
use tonic::Status;
use tonic::codec::{Codec, DecodeBuf, Decoder};
use tonic_prost::ProstCodec;

use crate::wire::ephemeral_stream_request::Payload;
use crate::wire::ingest_record_batch_request::Batch;
use crate::wire::ingest_record_request::Record;
use crate::wire::{EphemeralStreamRequest, EphemeralStreamResponse};

use super::wire_format::{Wire, WireType};

/// A request of a stream.
pub(crate) enum Incoming {
    /// Records, and the offset that the client has given them.
    Records {
        offset: Option<i64>,
        records: Records,
    },
    /// Anything else.
    Other(EphemeralStreamRequest),
}

/// The records of one request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Records {
    Proto(Framed),
    /// Text, known to be UTF-8.
    Json(Framed),
}

/// Records one after another, each behind a tag of one byte and its length.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Framed {
    bytes: Bytes,
    count: usize,
    record_bytes: usize,
}

/// The tag of a record in a batch.
const RECORD: u8 = 1 << 3 | WireType::Length as u8;
const OFFSET: (u32, u8) = (1, WireType::Varint as u8);
const INGEST_RECORD: (u32, u8) = (2, WireType::Length as u8);
const INGEST_RECORD_BATCH: (u32, u8) = (3, WireType::Length as u8);
/// Of a record, and of a batch alike.
const PROTO: (u32, u8) = (2, WireType::Length as u8);
const JSON: (u32, u8) = (3, WireType::Length as u8);

impl Incoming {
    /// The request that a frame holds.
    ///
    /// # Errors
    /// The frame is no message of the protocol; in the words of the general decoder.
    fn read(frame: &Bytes) -> Result<Self, Status> {
        if let Some(plain) = Self::plain(frame) {
            return Ok(plain);
        }
        let request = EphemeralStreamRequest::decode(frame.clone());
        request
            .map(Self::from)
            .map_err(|error| Status::internal(error.to_string()))
    }

    /// A request in the one form that encoders write: its fields in order, each once, and
    /// nothing else.
    fn plain(frame: &Bytes) -> Option<Self> {
        let mut wire = Wire(frame);
        let single = match wire.key().ok()? {
            INGEST_RECORD => true,
            INGEST_RECORD_BATCH => false,
            _ => return None,
        };
        let mut fields = Wire(wire.bytes().ok()?);
        if !wire.is_empty() || fields.key().ok()? != OFFSET {
            return None;
        }
        let offset = Some(fields.varint().ok()? as i64);
        let record = fields.0;
        let kind = fields.key().ok()?;
        let content = fields.bytes().ok()?;
        if !fields.is_empty() {
            return None;
        }
        let (framed, tag) = match single {
            true => (record, *record.first()?),
            false => (content, RECORD),
        };
        let framed = Framed::read(frame.slice_ref(framed), tag, kind == JSON)?;
        let records = match kind {
            PROTO => Records::Proto(framed),
            JSON => Records::Json(framed),
            _ => return None,
        };
        Some(Self::Records { offset, records })
    }
}

impl From<EphemeralStreamRequest> for Incoming {
    fn from(request: EphemeralStreamRequest) -> Self {
        let (offset, records) = match request.payload {
            Some(Payload::IngestRecord(request)) => match request.record {
                Some(Record::ProtoEncodedRecord(record)) => {
                    (request.offset_id, Records::proto(&[record]))
                }
                Some(Record::JsonRecord(record)) => (request.offset_id, Records::json(&[record])),
                record @ (Some(Record::AvroEncodedRecord(_)) | None) => {
                    let request = crate::wire::IngestRecordRequest { record, ..request };
                    return Self::other(Payload::IngestRecord(request));
                }
            },
            Some(Payload::IngestRecordBatch(request)) => match request.batch {
                Some(Batch::ProtoEncodedBatch(batch)) => {
                    (request.offset_id, Records::proto(&batch.records))
                }
                Some(Batch::JsonBatch(batch)) => (request.offset_id, Records::json(&batch.records)),
                batch @ (Some(Batch::AvroBatch(_)) | None) => {
                    let request = crate::wire::IngestRecordBatchRequest { batch, ..request };
                    return Self::other(Payload::IngestRecordBatch(request));
                }
            },
            payload @ (Some(Payload::CreateStream(_)) | None) => {
                return Self::Other(EphemeralStreamRequest { payload });
            }
        };
        Self::Records { offset, records }
    }
}

impl Incoming {
    fn other(payload: Payload) -> Self {
        Self::Other(EphemeralStreamRequest {
            payload: Some(payload),
        })
    }
}

impl Records {
    /// Protobuf records.
    pub(super) fn proto(records: &[Bytes]) -> Self {
        Self::Proto(Framed::of(records.iter().map(|record| &**record)))
    }

    /// JSON records.
    pub(super) fn json(records: &[String]) -> Self {
        Self::Json(Framed::of(records.iter().map(|record| record.as_bytes())))
    }

    fn framed(&self) -> &Framed {
        match self {
            Self::Proto(framed) | Self::Json(framed) => framed,
        }
    }

    /// How many records.
    pub(super) fn len(&self) -> usize {
        self.framed().count
    }

    /// Bytes of the records alone.
    pub(super) fn bytes(&self) -> usize {
        self.framed().record_bytes
    }

    /// The place of the first record that holds these bytes.
    pub(super) fn position_containing(&self, bytes: &[u8]) -> Option<usize> {
        let holds = |record: &[u8]| memchr::memmem::find(record, bytes).is_some();
        self.framed().iter().position(holds)
    }
}

impl Framed {
    fn of<'r>(records: impl Iterator<Item = &'r [u8]>) -> Self {
        let mut bytes = BytesMut::new();
        let (mut count, mut record_bytes) = (0, 0);
        for record in records {
            bytes.put_u8(RECORD);
            encode_varint(record.len() as u64, &mut bytes);
            bytes.put_slice(record);
            count += 1;
            record_bytes += record.len();
        }
        Self {
            bytes: bytes.freeze(),
            count,
            record_bytes,
        }
    }

    /// Counts the records; none if anything but records with this tag is among them, or, where
    /// text is asked for, one that is not UTF-8.
    fn read(bytes: Bytes, tag: u8, text: bool) -> Option<Self> {
        let (mut count, mut record_bytes) = (0, 0);
        let mut wire = Wire(&bytes);
        while let [first, rest @ ..] = wire.0 {
            wire.0 = rest;
            let record = wire.bytes().ok()?;
            if *first != tag || text && std::str::from_utf8(record).is_err() {
                return None;
            }
            count += 1;
            record_bytes += record.len();
        }
        Some(Self {
            bytes,
            count,
            record_bytes,
        })
    }

    /// The records, in order.
    #[inline]
    pub(super) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let mut wire = Wire(&self.bytes);
        std::iter::from_fn(move || {
            wire.0 = wire.0.get(1..)?;
            // It was read to its end before.
            wire.bytes().ok()
        })
    }
}

/// Reads requests as [`Incoming`], writes answers as usual.
#[derive(Debug, Default)]
pub(crate) struct IncomingCodec;

impl Codec for IncomingCodec {
    type Encode = EphemeralStreamResponse;
    type Decode = Incoming;
    type Encoder = <ProstCodec<EphemeralStreamResponse, EphemeralStreamRequest> as Codec>::Encoder;
    type Decoder = Self;

    fn encoder(&mut self) -> Self::Encoder {
        ProstCodec::<EphemeralStreamResponse, EphemeralStreamRequest>::default().encoder()
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Decoder for IncomingCodec {
    type Item = Incoming;
    type Error = Status;

    fn decode(&mut self, frame: &mut DecodeBuf<'_>) -> Result<Option<Incoming>, Status> {
        use bytes::Buf as _;
        let frame = frame.copy_to_bytes(frame.remaining());
        Incoming::read(&frame).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use fastrand::Rng;

    use super::*;
    use crate::wire::{
        IngestRecordBatchRequest, IngestRecordRequest, JsonRecordBatch, ProtoEncodedRecordBatch,
    };

    /// What a request comes to, to be compared.
    fn told(incoming: Result<Incoming, Status>) -> String {
        match incoming {
            Err(status) => format!("{:?} {}", status.code(), status.message()),
            Ok(Incoming::Other(request)) => format!("{request:?}"),
            Ok(Incoming::Records { offset, records }) => {
                let kind = matches!(records, Records::Json(_));
                let all: Vec<_> = records.framed().iter().collect();
                assert_eq!(all.len(), records.len());
                assert_eq!(all.iter().map(|r| r.len()).sum::<usize>(), records.bytes());
                format!("{offset:?} json {kind}: {all:?}")
            }
        }
    }

    fn request(rng: &mut Rng) -> EphemeralStreamRequest {
        let record = |rng: &mut Rng| vec![b'a' + rng.u8(..20); rng.usize(..200)];
        let text = |rng: &mut Rng| String::from_utf8(record(rng)).unwrap();
        let offset_id = rng.bool().then(|| rng.i64(-1..300));
        let count = rng.usize(..5);
        let payload = match rng.u8(..4) {
            0 => Payload::IngestRecord(IngestRecordRequest {
                offset_id,
                record: Some(Record::ProtoEncodedRecord(record(rng).into())),
            }),
            1 => Payload::IngestRecord(IngestRecordRequest {
                offset_id,
                record: Some(Record::JsonRecord(text(rng))),
            }),
            2 => Payload::IngestRecordBatch(IngestRecordBatchRequest {
                offset_id,
                batch: Some(Batch::ProtoEncodedBatch(ProtoEncodedRecordBatch {
                    records: (0..count).map(|_| record(rng).into()).collect(),
                })),
            }),
            _ => Payload::IngestRecordBatch(IngestRecordBatchRequest {
                offset_id,
                batch: Some(Batch::JsonBatch(JsonRecordBatch {
                    records: (0..count).map(|_| text(rng)).collect(),
                })),
            }),
        };
        EphemeralStreamRequest {
            payload: Some(payload),
        }
    }

    /// Promise: however a request is written, and however its bytes are damaged, it is what
    /// the general decoder says.
    #[test]
    fn requests_are_those_of_the_general_decoder() {
        let mut plain = 0;
        for seed in 0..20_000 {
            let rng = &mut Rng::with_seed(seed);
            let mut frame = request(rng).encode_to_vec();
            for _ in 0..rng.usize(..3) {
                let at = rng.usize(..=frame.len().min(12));
                match rng.u8(..3) {
                    0 if at < frame.len() => frame[at] = rng.u8(..),
                    1 if at < frame.len() => drop(frame.remove(at)),
                    _ => frame.insert(at, rng.u8(..)),
                }
            }
            if rng.u8(..8) == 0 {
                frame.extend(request(rng).encode_to_vec());
            }
            let frame = Bytes::from(frame);
            let general = EphemeralStreamRequest::decode(frame.clone())
                .map(Incoming::from)
                .map_err(|error| Status::internal(error.to_string()));
            assert_eq!(told(Incoming::read(&frame)), told(general), "seed {seed}");
            plain += usize::from(Incoming::plain(&frame).is_some());
        }
        assert!((2_000..15_000).contains(&plain), "{plain} plain");
    }
}
