//! How requests become gRPC frames: a batch's body is copied once, behind a header of a few
//! bytes that holds its offset.

use bytes::{BufMut, Bytes};
use prost_reflect::prost::Message as _;
use prost_reflect::prost::encoding::{encode_varint, encoded_len_varint};
use tonic::Status;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};

use crate::wire::{
    CreateIngestStreamRequest, EphemeralStreamRequest, EphemeralStreamResponse, RecordType,
    ephemeral_stream_request::Payload,
};

/// How the records of a stream are encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordKind {
    /// Protobuf by the stream's descriptor.
    Proto,
    /// The text of JSON objects.
    Json,
}

impl RecordKind {
    /// The wire's name for it.
    pub(super) fn record_type(self) -> RecordType {
        match self {
            Self::Proto => RecordType::Proto,
            Self::Json => RecordType::Json,
        }
    }

    /// The field of `IngestRecordBatchRequest` that holds the batch.
    fn field(self) -> u8 {
        match self {
            Self::Proto => 2,
            Self::Json => 3,
        }
    }
}

/// What the client sends on a stream.
#[derive(Debug)]
pub(super) enum Request {
    Create(CreateIngestStreamRequest),
    Batch {
        offset: i64,
        kind: RecordKind,
        /// An encoded `ProtoEncodedRecordBatch` or `JsonRecordBatch`: alike on the wire.
        body: Bytes,
    },
}

#[derive(Debug, Default)]
pub(super) struct StreamCodec;

impl Codec for StreamCodec {
    type Encode = Request;
    type Decode = EphemeralStreamResponse;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

/// Tags of length-delimited fields: number << 3 | 2.
const INGEST_RECORD_BATCH: u8 = 3 << 3 | 2;
/// Tag of the offset: field 1, a varint.
const OFFSET: u8 = 1 << 3;

impl Encoder for StreamCodec {
    type Item = Request;
    type Error = Status;

    fn encode(&mut self, request: Request, out: &mut EncodeBuf<'_>) -> Result<(), Status> {
        put_request(request, out);
        Ok(())
    }
}

fn put_request(request: Request, out: &mut impl BufMut) {
    match request {
        Request::Create(create) => {
            let request = EphemeralStreamRequest {
                payload: Some(Payload::CreateStream(create)),
            };
            // Into a buffer that grows: encoding cannot fail.
            out.put_slice(&request.encode_to_vec());
        }
        Request::Batch { offset, kind, body } => {
            let batch_len = body.len() as u64;
            let offset = offset as u64;
            let inner =
                1 + encoded_len_varint(offset) + 1 + encoded_len_varint(batch_len) + body.len();
            out.put_u8(INGEST_RECORD_BATCH);
            encode_varint(inner as u64, out);
            out.put_u8(OFFSET);
            encode_varint(offset, out);
            out.put_u8(kind.field() << 3 | 2);
            encode_varint(batch_len, out);
            out.put_slice(&body);
        }
    }
}

impl Decoder for StreamCodec {
    type Item = EphemeralStreamResponse;
    type Error = Status;

    fn decode(&mut self, frame: &mut DecodeBuf<'_>) -> Result<Option<Self::Item>, Status> {
        EphemeralStreamResponse::decode(frame)
            .map(Some)
            .map_err(|e| Status::internal(format!("unreadable response: {e}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{
        IngestRecordBatchRequest, JsonRecordBatch, ProtoEncodedRecordBatch,
        ingest_record_batch_request::Batch,
    };

    #[test]
    fn a_frame_is_what_prost_would_write() {
        for (offset, size) in [(0, 0), (1, 10), (127, 200), (128, 20_000), (i64::MAX, 3)] {
            let proto = ProtoEncodedRecordBatch {
                records: vec![vec![7; size].into(), Bytes::new()],
            };
            let json = JsonRecordBatch {
                records: vec!["x".repeat(size)],
            };
            for (kind, body, batch) in [
                (
                    RecordKind::Proto,
                    proto.encode_to_vec(),
                    Batch::ProtoEncodedBatch(proto),
                ),
                (
                    RecordKind::Json,
                    json.encode_to_vec(),
                    Batch::JsonBatch(json),
                ),
            ] {
                let expected = EphemeralStreamRequest {
                    payload: Some(Payload::IngestRecordBatch(IngestRecordBatchRequest {
                        offset_id: Some(offset),
                        batch: Some(batch),
                    })),
                };
                let mut out = Vec::new();
                let body = body.into();
                put_request(Request::Batch { offset, kind, body }, &mut out);
                assert_eq!(out, expected.encode_to_vec());
            }
        }
    }
}
