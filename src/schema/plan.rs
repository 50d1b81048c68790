//! The record plan: a message descriptor compiled once into what the transcoder needs
//! for each field of each row, and the descriptor that the service is sent.

use std::collections::HashMap;

use prost_reflect::{
    Cardinality, EnumDescriptor, FieldDescriptor, Kind, MessageDescriptor, prost::Message as _,
};

use super::compile::{ProtoSource, compile};
use super::{ColumnType, SchemaError, bundle, hints};

/// The deepest nesting of messages that the service takes (PROTOCOL: limits).
pub const DEPTH_MAX: usize = 100;
/// The most columns that a table may have (PROTOCOL: limits).
pub const COLUMNS_MAX: usize = 2_000;

/// The most fields of a record, a message's counted wherever it stands: a few lines can hold
/// each other so often that no memory has room for their columns.
pub const FIELDS_MAX: usize = 100_000;

/// Everything known of a record before the first row is read.
#[derive(Debug)]
pub struct RecordPlan {
    /// The message's name without its package.
    pub name: String,
    /// A serialized `DescriptorProto` that refers to nothing outside itself.
    pub descriptor: Vec<u8>,
    /// All message types reached; the record itself comes first.
    pub messages: Vec<MessagePlan>,
    /// All enum types reached.
    pub enums: Vec<EnumPlan>,
}

/// A message type.
#[derive(Debug)]
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
#[derive(Debug)]
pub struct FieldPlan {
    /// The name in the .proto file, which is the column's name.
    pub name: String,
    /// The field's number.
    pub number: u32,
    /// Whether it holds one value, a list or a map.
    pub shape: Shape,
    /// The type of the value, element or map value.
    pub ty: ValueType,
    /// proto2 `required`.
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
    Variant,
    /// string of at most this many characters.
    Varchar(u32),
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
#[derive(Debug)]
pub struct EnumPlan {
    /// The full name, for errors.
    pub name: String,
    /// Value name → number.
    pub numbers: HashMap<Box<str>, i32>,
}

impl ValueType {
    /// How the value goes onto the wire.
    pub fn scalar(self) -> Option<Scalar> {
        match self {
            Self::Scalar(scalar) => Some(scalar),
            Self::Enum(_) | Self::TinyInt | Self::SmallInt | Self::Date => Some(Scalar::Int32),
            Self::Timestamp | Self::TimestampNtz | Self::Duration => Some(Scalar::Int64),
            Self::Decimal { .. } | Self::Variant | Self::Varchar(_) => Some(Scalar::String),
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
    /// Compiles a .proto file and plans its message.
    ///
    /// # Errors
    /// Whatever makes the file or the message unfit, with its place in the file.
    pub fn from_proto(source: &ProtoSource) -> Result<Self, SchemaError> {
        Self::from_descriptor(&compile(source)?)
    }

    /// Plans a message.
    ///
    /// # Errors
    /// A message that the service has no columns for: groups, recursion, `Any`, more than
    /// [`COLUMNS_MAX`] fields, or [`FIELDS_MAX`] with nested ones, deeper than [`DEPTH_MAX`];
    /// a hint that does not fit.
    pub fn from_descriptor(root: &MessageDescriptor) -> Result<Self, SchemaError> {
        let fields = root.fields().len();
        let file = root.parent_file();
        if fields > COLUMNS_MAX {
            let message = format!(
                "message \"{}\" has {fields} fields, a table takes at most {COLUMNS_MAX}",
                root.full_name()
            );
            return Err(SchemaError::at(file.name(), None, message));
        }
        if fields == 0 {
            let message = format!("message \"{}\" has no fields", root.full_name());
            return Err(SchemaError::at(file.name(), None, message)
                .hint("choose another message with --message NAME"));
        }
        let mut builder = Builder::default();
        builder.message(root)?;
        if builder.extents[0].fields > FIELDS_MAX {
            let message = format!(
                "message \"{}\" has more than {FIELDS_MAX} fields in the messages it holds",
                root.full_name()
            );
            return Err(SchemaError::at(file.name(), None, message));
        }
        Ok(Self {
            name: root.name().to_owned(),
            descriptor: bundle::bundle(root).encode_to_vec(),
            messages: builder.messages,
            enums: builder.enums,
        })
    }

    /// The record's own message.
    pub fn root(&self) -> &MessagePlan {
        &self.messages[0]
    }
}

#[derive(Default)]
struct Builder {
    messages: Vec<MessagePlan>,
    /// Of each message that is finished.
    extents: Vec<Extent>,
    enums: Vec<EnumPlan>,
    message_index: HashMap<String, usize>,
    enum_index: HashMap<String, usize>,
    /// The messages being planned, outermost first.
    path: Vec<String>,
}

/// How much a message holds.
#[derive(Debug, Default, Clone, Copy)]
struct Extent {
    /// How many messages stand in one another, this one included.
    depth: usize,
    /// How many fields, those of its messages included.
    fields: usize,
}

impl Builder {
    fn message(&mut self, message: &MessageDescriptor) -> Result<usize, SchemaError> {
        let name = message.full_name();
        if let Some(&index) = self.message_index.get(name) {
            return Ok(index);
        }
        let index = self.messages.len();
        self.messages.push(MessagePlan {
            name: name.to_owned(),
            fields: Vec::new(),
            by_name: HashMap::new(),
            oneofs: Vec::new(),
            required: Vec::new(),
        });
        self.extents.push(Extent::default());
        self.path.push(name.to_owned());
        let mut oneofs: Vec<String> = Vec::new();
        let mut fields = Vec::new();
        // `fields()` goes by number; columns go in the order they are written in.
        let mut declared: Vec<FieldDescriptor> = message.fields().collect();
        declared.sort_by(|a, b| a.path().cmp(b.path()));
        for field in declared {
            let oneof = field.containing_oneof().filter(|o| !o.is_synthetic());
            let oneof = oneof.map(|o| match oneofs.iter().position(|n| n == o.name()) {
                Some(at) => at,
                None => {
                    oneofs.push(o.name().to_owned());
                    oneofs.len() - 1
                }
            });
            let (shape, ty) = self.field_type(&field)?;
            fields.push(FieldPlan {
                name: field.name().to_owned(),
                number: field.number(),
                shape,
                ty,
                required: field.cardinality() == Cardinality::Required,
                oneof,
            });
            let plan = &mut self.messages[index];
            // A field's own name beats another's JSON name.
            plan.by_name
                .entry(field.json_name().into())
                .or_insert(fields.len() - 1);
        }
        self.path.pop();
        self.extents[index] = self.extent(&fields);
        let plan = &mut self.messages[index];
        for (i, field) in fields.iter().enumerate() {
            plan.by_name.insert(field.name.as_str().into(), i);
            if field.required {
                plan.required.push(i);
            }
        }
        plan.fields = fields;
        plan.oneofs = oneofs;
        // Only a finished message may be found again: until then it would be recursion.
        self.message_index.insert(name.to_owned(), index);
        Ok(index)
    }

    fn extent(&self, fields: &[FieldPlan]) -> Extent {
        let mut extent = Extent {
            depth: 1,
            fields: fields.len(),
        };
        for field in fields {
            if let ValueType::Message(index) = field.ty {
                let inner = self.extents[index];
                extent.depth = extent.depth.max(1 + inner.depth);
                extent.fields = extent.fields.saturating_add(inner.fields);
            }
        }
        extent
    }

    fn field_type(&mut self, field: &FieldDescriptor) -> Result<(Shape, ValueType), SchemaError> {
        if field.is_group() {
            return Err(refuse(field, "is a group, which a table has no column for")
                .hint("declare a nested message instead"));
        }
        if let (true, Kind::Message(entry)) = (field.is_map(), field.kind()) {
            let key = scalar(&entry.map_entry_key_field().kind());
            let key = key.ok_or_else(|| refuse(field, "has a key that is no scalar"))?;
            let ty = self.value_type(field, &entry.map_entry_value_field().kind())?;
            return Ok((Shape::Map(key), ty));
        }
        let ty = self.value_type(field, &field.kind())?;
        let shape = match (field.is_list(), field.is_packed()) {
            (false, _) => Shape::Single,
            (true, false) => Shape::Repeated,
            (true, true) => Shape::Packed,
        };
        Ok((shape, ty))
    }

    fn value_type(
        &mut self,
        field: &FieldDescriptor,
        kind: &Kind,
    ) -> Result<ValueType, SchemaError> {
        let ty = match kind {
            Kind::Message(message) => match well_known(message) {
                Some(Some(ty)) => ty,
                Some(None) => {
                    let message = format!(
                        "is a {}, which the service has no column for",
                        message.full_name()
                    );
                    return Err(refuse(field, &message));
                }
                None => {
                    if self.path.iter().any(|name| name == message.full_name()) {
                        let message = format!("makes \"{}\" recursive", message.full_name());
                        return Err(refuse(field, &message)
                            .hint("a table's columns have a fixed depth; keep the rest as JSON text in a string with // @delta VARIANT"));
                    }
                    let too_deep =
                        || refuse(field, &format!("nests deeper than {DEPTH_MAX} messages"));
                    if self.path.len() >= DEPTH_MAX {
                        return Err(too_deep());
                    }
                    if message.fields().len() == 0 {
                        let message =
                            format!("is of \"{}\", which has no fields", message.full_name());
                        return Err(refuse(field, &message));
                    }
                    let index = self.message(message)?;
                    // It may have been planned before, where less stood around it.
                    if self.path.len() + self.extents[index].depth > DEPTH_MAX {
                        return Err(too_deep());
                    }
                    ValueType::Message(index)
                }
            },
            Kind::Enum(descriptor) => ValueType::Enum(self.enumeration(descriptor)),
            other => match scalar(other) {
                Some(scalar) => ValueType::Scalar(scalar),
                None => return Err(refuse(field, "has a type that the service does not know")),
            },
        };
        match hints::of_field(field)? {
            None => Ok(ty),
            Some(hint) => apply_hint(field, ty, &hint),
        }
    }

    fn enumeration(&mut self, descriptor: &EnumDescriptor) -> usize {
        let name = descriptor.full_name();
        if let Some(&index) = self.enum_index.get(name) {
            return index;
        }
        let index = self.enums.len();
        self.enum_index.insert(name.to_owned(), index);
        self.enums.push(EnumPlan {
            name: name.to_owned(),
            numbers: descriptor
                .values()
                .map(|v| (v.name().into(), v.number()))
                .collect(),
        });
        index
    }
}

/// The well-known types by what is sent in their place; `Some(None)`: refused.
pub(super) fn well_known(message: &MessageDescriptor) -> Option<Option<ValueType>> {
    let name = message.full_name().strip_prefix("google.protobuf.")?;
    Some(Some(match name {
        "Timestamp" => ValueType::Timestamp,
        "Duration" => ValueType::Duration,
        "DoubleValue" => ValueType::Scalar(Scalar::Double),
        "FloatValue" => ValueType::Scalar(Scalar::Float),
        "Int64Value" => ValueType::Scalar(Scalar::Int64),
        "UInt64Value" => ValueType::Scalar(Scalar::Uint64),
        "Int32Value" => ValueType::Scalar(Scalar::Int32),
        "UInt32Value" => ValueType::Scalar(Scalar::Uint32),
        "BoolValue" => ValueType::Scalar(Scalar::Bool),
        "StringValue" => ValueType::Scalar(Scalar::String),
        "BytesValue" => ValueType::Scalar(Scalar::Bytes),
        "Struct" | "Value" | "ListValue" => ValueType::Variant,
        _ => return Some(None),
    }))
}

fn scalar(kind: &Kind) -> Option<Scalar> {
    Some(match kind {
        Kind::Double => Scalar::Double,
        Kind::Float => Scalar::Float,
        Kind::Int32 => Scalar::Int32,
        Kind::Int64 => Scalar::Int64,
        Kind::Uint32 => Scalar::Uint32,
        Kind::Uint64 => Scalar::Uint64,
        Kind::Sint32 => Scalar::Sint32,
        Kind::Sint64 => Scalar::Sint64,
        Kind::Fixed32 => Scalar::Fixed32,
        Kind::Fixed64 => Scalar::Fixed64,
        Kind::Sfixed32 => Scalar::Sfixed32,
        Kind::Sfixed64 => Scalar::Sfixed64,
        Kind::Bool => Scalar::Bool,
        Kind::String => Scalar::String,
        Kind::Bytes => Scalar::Bytes,
        Kind::Message(_) | Kind::Enum(_) => return None,
    })
}

fn apply_hint(
    field: &FieldDescriptor,
    ty: ValueType,
    hint: &ColumnType,
) -> Result<ValueType, SchemaError> {
    let (needs, hinted) = match *hint {
        ColumnType::Timestamp => (Scalar::Int64, ValueType::Timestamp),
        ColumnType::TimestampNtz => (Scalar::Int64, ValueType::TimestampNtz),
        ColumnType::Date => (Scalar::Int32, ValueType::Date),
        ColumnType::TinyInt => (Scalar::Int32, ValueType::TinyInt),
        ColumnType::SmallInt => (Scalar::Int32, ValueType::SmallInt),
        ColumnType::Variant => (Scalar::String, ValueType::Variant),
        ColumnType::Varchar(n) => (Scalar::String, ValueType::Varchar(n)),
        ColumnType::Decimal { precision, scale } => {
            (Scalar::String, ValueType::Decimal { precision, scale })
        }
        _ => return Ok(ty),
    };
    if ty == ValueType::Scalar(needs) {
        return Ok(hinted);
    }
    let needs = needs.name();
    Err(refuse(
        field,
        &format!("has the hint {hint}, which needs the type {needs}"),
    ))
}

fn refuse(field: &FieldDescriptor, what: &str) -> SchemaError {
    let file = field.parent_message().parent_file();
    let message = format!("field \"{}\" {what}", field.name());
    SchemaError::at(file.name(), hints::line_of(field), message)
}

#[cfg(test)]
mod tests {
    use prost_reflect::DescriptorPool;

    use super::*;

    fn plan(source: &str) -> Result<RecordPlan, SchemaError> {
        let file = protox::file::File::from_source("test.proto", source).unwrap();
        let mut pool = DescriptorPool::new();
        pool.add_file_descriptor_proto(file.into()).unwrap();
        RecordPlan::from_descriptor(&pool.get_message_by_name("Root").unwrap())
    }

    #[test]
    fn depth_counts_wherever_a_message_was_met_first() {
        // The innermost message comes first, so that all below each one is planned already.
        let source = |depth: usize| {
            let inner: String = (2..=depth)
                .rev()
                .map(|n| format!("M{n} f{n} = {n};"))
                .collect();
            let chain: String = (2..depth)
                .map(|n| format!("message M{n} {{ M{} m = 1; }}", n + 1))
                .collect();
            format!(
                "syntax = \"proto3\"; message Root {{ {inner} }} {chain} message M{depth} {{ int32 x = 1; }}"
            )
        };
        assert!(plan(&source(DEPTH_MAX)).is_ok());
        let error = plan(&source(DEPTH_MAX + 1)).unwrap_err();
        assert_eq!(error.message, "field \"m\" nests deeper than 100 messages");
    }

    #[test]
    fn messages_that_hold_each_other_twice_are_counted_twice() {
        let source = |levels: usize| {
            let chain: String = (0..levels)
                .map(|n| format!("message M{n} {{ M{m} a = 1; M{m} b = 2; }}", m = n + 1))
                .collect();
            format!(
                "syntax = \"proto3\"; message Root {{ M0 m = 1; }} {chain} message M{levels} {{ int32 x = 1; }}"
            )
        };
        assert!(plan(&source(10)).is_ok());
        for levels in [20, 90] {
            let error = plan(&source(levels)).unwrap_err();
            assert_eq!(
                error.message,
                "message \"Root\" has more than 100000 fields in the messages it holds"
            );
        }
    }
}
