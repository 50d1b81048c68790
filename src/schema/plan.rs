//! The record plan: a message descriptor compiled once into what the transcoder needs
//! for each field of each row, and the descriptor that the service is sent.

use std::collections::HashMap;

/// Everything known of a record before the first row is read.
#[derive(Debug, PartialEq, Eq)]
pub struct RecordPlan {
    /// The message's name without its package.
    pub name: String,
    /// A serialized `DescriptorProto` that refers to nothing outside itself.
    pub descriptor: Vec<u8>,
    /// The record itself, and the message of each field that holds one. A type that two
    /// fields share is there twice, since their columns may differ.
    pub messages: Vec<MessagePlan>,
    /// All enum types reached.
    pub enums: Vec<EnumPlan>,
    /// The record holds well-known types, in whose place scalars are sent: bytes of the
    /// original message are not those of the record.
    pub rewritten: bool,
}

/// A message at one place of the record.
#[derive(Debug, PartialEq, Eq)]
pub struct MessagePlan {
    /// The full name, for errors.
    pub name: String,
    /// In the order of the .proto file.
    pub fields: Vec<FieldPlan>,
    /// Field names and JSON names → index into `fields`.
    pub by_name: HashMap<Box<str>, usize>,
    /// Names of the oneofs (synthetic ones excepted).
    pub oneofs: Vec<String>,
    /// Indexes of the fields that every row must have.
    pub required: Vec<usize>,
}

/// A field of a message.
#[derive(Debug, PartialEq, Eq)]
pub struct FieldPlan {
    /// The name in the .proto file, which is the column's name.
    pub name: String,
    /// The field's number.
    pub number: u32,
    /// Whether it holds one value, a list or a map.
    pub shape: Shape,
    /// The type of the value, element or map value.
    pub ty: ValueType,
    /// A flag or a comment has named the type of its column.
    pub hinted: bool,
    /// Every row must have it: proto2 `required`, or a column that is never NULL.
    pub required: bool,
    /// Index into the message's `oneofs`.
    pub oneof: Option<usize>,
}

/// How many values a field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// One value.
    Single,
    /// A list, each element with its own tag.
    Repeated,
    /// A list of scalars behind one tag.
    Packed,
    /// A map with keys of this type.
    Map(Scalar),
}

/// What a value is, and how it goes onto the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueType {
    /// A protobuf scalar taken as it is.
    Scalar(Scalar),
    /// Index into the plan's `enums`.
    Enum(usize),
    /// Index into the plan's `messages`.
    Message(usize),
    /// int32 within 8 bits.
    TinyInt,
    /// int32 within 16 bits.
    SmallInt,
    /// int32: days since 1970-01-01.
    Date,
    /// int64: microseconds since the epoch, UTC.
    Timestamp,
    /// int64: microseconds since the epoch, wall clock.
    TimestampNtz,
    /// int64: microseconds (google.protobuf.Duration).
    Duration,
    /// string: exact decimal text.
    Decimal {
        /// Digits in all.
        precision: u8,
        /// Digits after the point.
        scale: u8,
    },
    /// string: JSON text.
    Variant(Json),
    /// string of at most this many characters.
    Varchar(u32),
}

/// What JSON a VARIANT takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Json {
    /// Any; null is NULL (the hint VARIANT).
    Any,
    /// Any; null is the JSON null (google.protobuf.Value).
    AnyOrNull,
    /// An object (google.protobuf.Struct).
    Object,
    /// An array (google.protobuf.ListValue).
    Array,
}

/// The protobuf scalar types.
#[expect(missing_docs, reason = "named as in protobuf")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scalar {
    Double,
    Float,
    Int32,
    Int64,
    Uint32,
    Uint64,
    Sint32,
    Sint64,
    Fixed32,
    Fixed64,
    Sfixed32,
    Sfixed64,
    Bool,
    String,
    Bytes,
}

/// An enum type.
#[derive(Debug, PartialEq, Eq)]
pub struct EnumPlan {
    /// The full name, for errors.
    pub name: String,
    /// Value name → number.
    pub numbers: HashMap<Box<str>, i32>,
}

impl FieldPlan {
    /// Whether JSON's null is a value of this field, not the lack of one.
    pub fn takes_null(&self) -> bool {
        self.shape == Shape::Single && self.ty == ValueType::Variant(Json::AnyOrNull)
    }
}

impl ValueType {
    /// How the value goes onto the wire.
    pub fn scalar(self) -> Option<Scalar> {
        match self {
            Self::Scalar(scalar) => Some(scalar),
            Self::Enum(_) | Self::TinyInt | Self::SmallInt | Self::Date => Some(Scalar::Int32),
            Self::Timestamp | Self::TimestampNtz | Self::Duration => Some(Scalar::Int64),
            Self::Decimal { .. } | Self::Variant(_) | Self::Varchar(_) => Some(Scalar::String),
            Self::Message(_) => None,
        }
    }
}

impl Scalar {
    /// The name in a .proto file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Double => "double",
            Self::Float => "float",
            Self::Int32 => "int32",
            Self::Int64 => "int64",
            Self::Uint32 => "uint32",
            Self::Uint64 => "uint64",
            Self::Sint32 => "sint32",
            Self::Sint64 => "sint64",
            Self::Fixed32 => "fixed32",
            Self::Fixed64 => "fixed64",
            Self::Sfixed32 => "sfixed32",
            Self::Sfixed64 => "sfixed64",
            Self::Bool => "bool",
            Self::String => "string",
            Self::Bytes => "bytes",
        }
    }
}

impl EnumPlan {
    /// The declared names, in order of their numbers, for error messages.
    pub fn names(&self) -> Vec<&str> {
        let mut names: Vec<_> = self.numbers.iter().map(|(n, i)| (*i, &**n)).collect();
        names.sort_unstable();
        names.into_iter().map(|(_, name)| name).collect()
    }
}

impl RecordPlan {
    /// The record's own message.
    pub fn root(&self) -> &MessagePlan {
        &self.messages[0]
    }

    /// A field's type as a .proto file names it; well-known types are scalars by then.
    pub fn protobuf_type(&self, field: &FieldPlan) -> String {
        let value = match (field.ty, field.ty.scalar()) {
            (ValueType::Message(index), _) => self.messages[index].name.clone(),
            (ValueType::Enum(index), _) => self.enums[index].name.clone(),
            (_, Some(scalar)) => scalar.name().to_owned(),
            (_, None) => String::new(),
        };
        match field.shape {
            Shape::Single => value,
            Shape::Repeated | Shape::Packed => format!("repeated {value}"),
            Shape::Map(key) => format!("map<{}, {value}>", key.name()),
        }
    }
}
