//! The messages of `record.proto`, and what every record of them must be.

use std::path::Path;
use std::sync::{Arc, LazyLock};

use prost_reflect::prost::Message as _;
use prost_reflect::prost_types::{DescriptorProto, FileDescriptorProto};
use prost_reflect::{
    DescriptorPool, DynamicMessage, MessageDescriptor, ReflectMessage as _, Value,
};
use zerobus::schema::compile::compile;
use zerobus::schema::plan::{MessagePlan, Shape, ValueType};
use zerobus::schema::{Declared, ProtoSource, RecordPlan};

/// A message with all that is made of it.
pub struct Record {
    pub plan: Arc<RecordPlan>,
    /// As the service gets it.
    pub bundled: MessageDescriptor,
    /// As declared; none where the record differs from it on the wire.
    pub declared: Option<MessageDescriptor>,
}

static RECORDS: LazyLock<Vec<Record>> = LazyLock::new(|| {
    ["Plain", "Rich", "Strict"]
        .map(|name| {
            let source = ProtoSource {
                declared: Declared::Proto {
                    file: Path::new(env!("CARGO_MANIFEST_DIR")).join("record.proto"),
                    include: Vec::new(),
                },
                message: Some(name.to_owned()),
                types: Vec::new(),
            };
            let declared = compile(&source).expect("record.proto compiles");
            let plan = RecordPlan::from_descriptor(&declared, &[]).expect("a plan for it");
            Record {
                bundled: bundled(&plan),
                plan: Arc::new(plan),
                // Well-known types become scalars.
                declared: (name != "Rich").then_some(declared),
            }
        })
        .into()
});

impl Record {
    pub fn number(index: usize) -> &'static Self {
        &RECORDS[index]
    }

    /// Decodes a record with each of its descriptors, and checks every value against the plan.
    pub fn check(&self, record: &[u8]) -> DynamicMessage {
        let message = decode(&self.bundled, record);
        check_message(&self.plan, self.plan.root(), &message);
        if let Some(declared) = &self.declared {
            let declared = decode(declared, record);
            assert_eq!(
                as_json(&declared),
                as_json(&message),
                "the two descriptors read different things"
            );
            return declared;
        }
        message
    }
}

/// The descriptor in a plan, with nothing around it.
pub fn bundled(plan: &RecordPlan) -> MessageDescriptor {
    let mut root = DescriptorProto::decode(&*plan.descriptor).expect("a DescriptorProto");
    let name = root.name().to_owned();
    as_proto2(&mut root);
    let file = FileDescriptorProto {
        name: Some("record.proto".to_owned()),
        message_type: vec![root],
        ..Default::default()
    };
    let mut pool = DescriptorPool::new();
    pool.add_file_descriptor_proto(file)
        .expect("a descriptor that stands alone");
    pool.get_message_by_name(&name).expect("its message")
}

/// Without a file around it the message is read as proto2, where a field needs no mark to be
/// optional.
fn as_proto2(message: &mut DescriptorProto) {
    for field in &mut message.field {
        field.proto3_optional = None;
    }
    message.nested_type.iter_mut().for_each(as_proto2);
}

fn decode(descriptor: &MessageDescriptor, record: &[u8]) -> DynamicMessage {
    let message =
        DynamicMessage::decode(descriptor.clone(), record).expect("a record that decodes");
    // Something given twice, or unknown, would be lost or left out.
    assert_eq!(message.unknown_fields().count(), 0, "unknown fields");
    assert_eq!(
        message.encoded_len(),
        record.len(),
        "a record is not what it decodes to"
    );
    message
}

/// As JSON, where NaN is equal to itself.
pub fn as_json(message: &DynamicMessage) -> serde_json::Value {
    serde_json::to_value(message).expect("a message as JSON")
}

fn check_message(plan: &RecordPlan, fields: &MessagePlan, message: &DynamicMessage) {
    for field in &fields.fields {
        let descriptor = message
            .descriptor()
            .get_field(field.number)
            .expect("a field of the plan");
        if !message.has_field(&descriptor) {
            assert!(!field.required, "{} is required", field.name);
            continue;
        }
        let value = message.get_field(&descriptor);
        match (field.shape, &*value) {
            (Shape::Single, value) => check_value(plan, field.ty, value),
            (Shape::Repeated | Shape::Packed, Value::List(list)) => {
                list.iter()
                    .for_each(|value| check_value(plan, field.ty, value));
            }
            (Shape::Map(_), Value::Map(map)) => {
                map.values()
                    .for_each(|value| check_value(plan, field.ty, value));
            }
            (shape, value) => panic!("{}: {shape:?} holds {value:?}", field.name),
        }
    }
}

/// The years 1 to 9999.
const DAYS: std::ops::RangeInclusive<i64> = -719_162..=2_932_896;
const DAY_US: i64 = 86_400_000_000;

fn check_value(plan: &RecordPlan, ty: ValueType, value: &Value) {
    let fits = match (ty, value) {
        (ValueType::Message(index), Value::Message(message)) => {
            check_message(plan, &plan.messages[index], message);
            true
        }
        (ValueType::Enum(index), Value::EnumNumber(number)) => {
            plan.enums[index].numbers.values().any(|n| n == number)
        }
        (ValueType::TinyInt, Value::I32(n)) => i8::try_from(*n).is_ok(),
        (ValueType::SmallInt, Value::I32(n)) => i16::try_from(*n).is_ok(),
        (ValueType::Date, Value::I32(days)) => DAYS.contains(&(*days).into()),
        (ValueType::Timestamp | ValueType::TimestampNtz, Value::I64(us)) => {
            DAYS.contains(&us.div_euclid(DAY_US))
        }
        (ValueType::Duration, Value::I64(_)) => true,
        (ValueType::Decimal { precision, scale }, Value::String(text)) => {
            is_decimal(text, precision.into(), scale.into())
        }
        (ValueType::Variant(_), Value::String(text)) => is_json(text),
        (ValueType::Varchar(limit), Value::String(text)) => text.chars().count() <= limit as usize,
        (ValueType::Scalar(_), Value::Message(_) | Value::List(_) | Value::Map(_)) => false,
        (ValueType::Scalar(_), _) => true,
        _ => false,
    };
    assert!(fits, "{ty:?} holds {value:?}");
}

fn is_decimal(text: &str, precision: usize, scale: usize) -> bool {
    let text = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let significant = whole.trim_start_matches('0').len();
    !whole.is_empty()
        && digits(whole)
        && digits(fraction)
        && !text.ends_with('.')
        && fraction.len() <= scale
        && significant <= precision - scale
}

/// Whether a text is JSON to somebody else.
pub fn is_json(text: &str) -> bool {
    serde_json::from_str::<&serde_json::value::RawValue>(text).is_ok()
}
