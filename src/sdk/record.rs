//! What a record may be given as.

use std::any::Any;
use std::sync::{Mutex, PoisonError};

use prost_reflect::prost::Message as ProstMessage;
use prost_reflect::{DynamicMessage, MessageDescriptor, ReflectMessage as _, SerializeOptions};

use super::Error;
use super::table::TableProperties;
use crate::client::RecordKind;
use crate::schema::RecordPlan;
use crate::transcode::{Options, ROW_BYTES_MAX, Reason, ReasonKind, Target, Transcoder};

/// A record: one of [`Encoded`], [`Message`] and [`Json`].
pub trait Record: sealed::Sealed {
    /// The bytes that are sent.
    #[doc(hidden)]
    type Bytes: AsRef<[u8]> + Send;

    #[doc(hidden)]
    fn encode(self, encoding: &Encoding) -> Result<Self::Bytes, Error>;
}

/// A record that is encoded already, by the descriptor that the service is sent. Its bytes go
/// out as they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Encoded<B>(pub B);

/// A protobuf message: a generated one, or a [`DynamicMessage`].
///
/// Well-known types become what the service takes in their place, such as microseconds for a
/// `Timestamp`. Of a proto3 message, fields without presence that are zero are not sent, as
/// protobuf has it, and are NULL in the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message<'m, M>(pub &'m M);

/// The text of a JSON object.
///
/// A stream of protobuf records converts it by protobuf's JSON mapping, with exact range checks,
/// and takes times as RFC 3339 where the column is one; what does not fit is refused at once,
/// with the field. A stream of JSON records sends it as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Json<S>(pub S);

mod sealed {
    pub trait Sealed {}

    impl<B: AsRef<[u8]>> Sealed for super::Encoded<B> {}
    impl<M: prost_reflect::prost::Message> Sealed for super::Message<'_, M> {}
    impl<S: AsRef<str>> Sealed for super::Json<S> {}
}

impl<B: AsRef<[u8]> + Send> Record for Encoded<B> {
    type Bytes = B;

    fn encode(self, encoding: &Encoding) -> Result<B, Error> {
        encoding.proto("encoded bytes")?;
        check_len(self.0.as_ref().len())?;
        Ok(self.0)
    }
}

impl<M: ProstMessage + Any> Record for Message<'_, M> {
    type Bytes = Vec<u8>;

    fn encode(self, encoding: &Encoding) -> Result<Vec<u8>, Error> {
        let (descriptor, plan) = encoding.proto("a message")?;
        let dynamic = (self.0 as &dyn Any).downcast_ref::<DynamicMessage>();
        if let Some(dynamic) = dynamic
            && dynamic.descriptor().full_name() != descriptor.full_name()
        {
            let (given, expected) = (dynamic.descriptor(), descriptor.full_name());
            let given = given.full_name();
            return Err(Error::invalid(format!(
                "the message is a {given}, the stream's records are {expected}"
            )));
        }
        if plan.rewritten {
            return encoding.rewritten(descriptor, &self.0.encode_to_vec());
        }
        check_len(self.0.encoded_len())?;
        Ok(self.0.encode_to_vec())
    }
}

impl<S: AsRef<str>> Record for Json<S> {
    type Bytes = Vec<u8>;

    fn encode(self, encoding: &Encoding) -> Result<Vec<u8>, Error> {
        encoding.transcoded(self.0.as_ref())
    }
}

/// How a stream's records become bytes.
#[doc(hidden)]
pub struct Encoding {
    table: TableProperties,
    transcoder: Mutex<Transcoder>,
}

impl Encoding {
    pub(crate) fn new(table: TableProperties) -> Self {
        let target = match table.plan() {
            Some(plan) => Target::Proto(plan.clone()),
            None => Target::Json,
        };
        Self {
            table,
            transcoder: Mutex::new(Transcoder::new(target, Options::default())),
        }
    }

    /// What the stream is to be told its records are.
    pub(super) fn kind(&self) -> RecordKind {
        match self.table.plan() {
            Some(_) => RecordKind::Proto,
            None => RecordKind::Json,
        }
    }

    /// The record's type, if the stream takes protobuf.
    fn proto(&self, given: &str) -> Result<(&MessageDescriptor, &RecordPlan), Error> {
        let of_proto = self.table.descriptor().zip(self.table.plan());
        let (descriptor, plan) = of_proto.ok_or_else(|| {
            Error::invalid(format!(
                "the stream takes JSON records, {given} is protobuf"
            ))
        })?;
        Ok((descriptor, plan))
    }

    /// The bytes of a record that is given as JSON text.
    pub(crate) fn json(&self, text: &str) -> Result<Vec<u8>, Vec<Reason>> {
        let mut bytes = Vec::with_capacity(text.len());
        // Whatever a panic has left of its buffers, each row begins anew.
        let mut transcoder = self
            .transcoder
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        transcoder.object(text, &mut bytes)?;
        drop(transcoder);
        match too_long(bytes.len()) {
            Some(message) => Err(vec![Reason {
                field: None,
                kind: ReasonKind::RowTooLarge,
                message,
            }]),
            None => Ok(bytes),
        }
    }

    fn transcoded(&self, text: &str) -> Result<Vec<u8>, Error> {
        self.json(text).map_err(|reasons| {
            let reasons: Vec<_> = reasons.iter().map(Reason::to_string).collect();
            Error::invalid(reasons.join("; "))
        })
    }

    /// A message with well-known types, as the service takes it: by way of its JSON form.
    fn rewritten(&self, descriptor: &MessageDescriptor, bytes: &[u8]) -> Result<Vec<u8>, Error> {
        let message = DynamicMessage::decode(descriptor.clone(), bytes).map_err(|e| {
            Error::invalid(format!("the message is no {}: {e}", descriptor.full_name()))
        })?;
        let mut text = serde_json::Serializer::new(Vec::new());
        let options = SerializeOptions::new()
            .use_proto_field_name(true)
            .stringify_64_bit_integers(false);
        message
            .serialize_with_options(&mut text, &options)
            .map_err(|e| Error::invalid(format!("the message has no JSON form: {e}")))?;
        let text = String::from_utf8(text.into_inner())
            .map_err(|_| Error::invalid("the message's JSON form is no UTF-8"))?;
        self.transcoded(&text)
    }
}

/// What the service takes of one record.
fn check_len(bytes: usize) -> Result<(), Error> {
    too_long(bytes).map_or(Ok(()), |message| Err(Error::invalid(message)))
}

fn too_long(bytes: usize) -> Option<String> {
    (bytes > ROW_BYTES_MAX)
        .then(|| format!("the record has {bytes} bytes, the service takes {ROW_BYTES_MAX}"))
}
