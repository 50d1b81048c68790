//! Descriptors that do not stand alone or do not fit their table.

use bytes::Bytes;
use prost::Message as _;
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{DescriptorProto, FieldDescriptorProto, MessageOptions};
use zerobus::wire::CreateIngestStreamRequest;

use crate::wire::{message, narrow, proto_stream};

use super::{Refusal, creations, wide};

pub async fn refusals() -> Vec<Refusal> {
    let mut refusals = alone().await;
    refusals.extend(fitting().await);
    refusals.extend(types().await);
    refusals
}

fn raw(bytes: Vec<u8>) -> CreateIngestStreamRequest {
    CreateIngestStreamRequest {
        descriptor_proto: Some(Bytes::from(bytes)),
        ..proto_stream(&super::WIDE)
    }
}

/// A message `Row` with these fields and nested types.
fn row(field: Vec<FieldDescriptorProto>, nested_type: Vec<DescriptorProto>) -> Vec<u8> {
    let message = DescriptorProto {
        name: Some("Row".into()),
        field,
        nested_type,
        ..DescriptorProto::default()
    };
    message.encode_to_vec()
}

fn field(name: &str, number: i32, ty: Type, type_name: &str) -> FieldDescriptorProto {
    FieldDescriptorProto {
        name: Some(name.into()),
        number: Some(number),
        label: Some(Label::Optional.into()),
        r#type: Some(ty.into()),
        type_name: (!type_name.is_empty()).then(|| type_name.to_owned()),
        ..FieldDescriptorProto::default()
    }
}

fn entry(key: Type, value_number: i32) -> DescriptorProto {
    DescriptorProto {
        name: Some("NameEntry".into()),
        field: vec![
            field("key", 1, key, ""),
            field("value", value_number, Type::Int32, ""),
        ],
        options: Some(MessageOptions {
            map_entry: Some(true),
            ..MessageOptions::default()
        }),
        ..DescriptorProto::default()
    }
}

/// Refused for what they are, whatever the table.
async fn alone() -> Vec<Refusal> {
    let name = |ty, type_name: &str| field("name", 1, ty, type_name);
    let inner = DescriptorProto {
        name: Some("Inner".into()),
        ..DescriptorProto::default()
    };
    let repeated = |mut field: FieldDescriptorProto| {
        field.label = Some(Label::Repeated.into());
        field
    };
    let untyped = FieldDescriptorProto {
        r#type: None,
        ..name(Type::String, ".other.Kind")
    };
    let extension = FieldDescriptorProto {
        extendee: Some(".Row".into()),
        ..name(Type::String, "")
    };
    let imports = message(
        r#"syntax = "proto3"; import "google/protobuf/wrappers.proto";
        message Row { google.protobuf.StringValue name = 1; }"#,
    );
    let map = |entry| {
        let field = repeated(name(Type::Message, ".Row.NameEntry"));
        raw(row(vec![field], vec![entry]))
    };
    let one = |field| raw(row(vec![field], vec![inner.clone()]));
    let two = |second| raw(row(vec![name(Type::String, ""), second], vec![]));
    creations(
        narrow(),
        vec![
            ("bytes that are none", raw(b"\xff\xff".to_vec())),
            ("one without a name", raw(b"\x0a\x00".to_vec())),
            ("an imported type", proto_stream(&imports)),
            ("a relative type name", one(name(Type::Message, "Inner"))),
            (
                "a type that there is not",
                one(name(Type::Message, ".Row.Other")),
            ),
            (
                "an enum value's name of 129 bytes",
                proto_stream(&message(&format!(
                    "syntax = \"proto2\"; message Row {{ enum Kind {{ {} = 0; }} optional Kind kind = 1; }}",
                    "N".repeat(129)
                ))),
            ),
            (
                "an enum that there is not",
                one(name(Type::Enum, ".Row.Kind")),
            ),
            ("a message as an enum", one(name(Type::Enum, ".Row.Inner"))),
            ("a type that was not resolved", one(untyped)),
            (
                "a message without a type name",
                one(name(Type::Message, "")),
            ),
            (
                "a string with a type name",
                one(name(Type::String, ".Row.Inner")),
            ),
            ("a group", one(name(Type::Group, ".Row.Inner"))),
            ("an extension", one(extension)),
            ("a map with a float key", map(entry(Type::Float, 2))),
            ("a map whose value is number 3", map(entry(Type::String, 3))),
            (
                "a map field that is not repeated",
                raw(row(
                    vec![name(Type::Message, ".Row.NameEntry")],
                    vec![entry(Type::String, 2)],
                )),
            ),
            (
                "two fields of one name",
                two(field("name", 2, Type::String, "")),
            ),
            (
                "two fields of one number",
                two(field("temp", 1, Type::Int32, "")),
            ),
            ("a field number 0", two(field("temp", 0, Type::Int32, ""))),
            (
                "two types of one name",
                raw(row(vec![], vec![inner.clone(), inner.clone()])),
            ),
        ],
    )
    .await
}

/// Refused for the table's columns: all that is wrong is told at once.
async fn fitting() -> Vec<Refusal> {
    let row = |fields: &str| {
        proto_stream(&message(&format!(
            "syntax = \"proto2\"; message Row {{ {fields} }}"
        )))
    };
    let mut refusals = creations(
        narrow(),
        vec![
            (
                "a field without a column",
                row("optional string name = 1; optional int32 more = 2;"),
            ),
            ("a name in another case", row("optional string Name = 1;")),
            (
                "no field for a NOT NULL column",
                row("optional int32 temp = 1;"),
            ),
            (
                "four things at once",
                row("optional string temp = 1; optional int32 at = 2; repeated int64 more = 3;"),
            ),
            (
                "2000 fields without columns",
                row(&(1..=2000)
                    .map(|n| format!("optional int32 a_field_{n} = {n};"))
                    .collect::<String>()),
            ),
        ],
    )
    .await;
    let nested = "optional int64 id = 1;";
    refusals.extend(
        creations(wide(), vec![
            (
                "a nested field without a column",
                row(&format!("{nested} message In {{ optional int32 y = 1; optional int32 z = 2; }} optional In inner = 2;")),
            ),
            (
                "no field for a nested NOT NULL column",
                row(&format!("{nested} message In {{ optional int32 x = 1; }} repeated In inners = 2;")),
            ),
            (
                "a nested field of another type",
                row(&format!("{nested} message In {{ optional string y = 1; }} optional In inner = 2;")),
            ),
            ("repeated over a scalar", row(&format!("{nested} repeated int32 tiny = 2;"))),
            ("a scalar over an ARRAY", row(&format!("{nested} optional int32 list = 2;"))),
            ("a map over an ARRAY", row(&format!("{nested} map<int32, int32> list = 2;"))),
            ("a map of other values", row(&format!("{nested} map<int32, string> map = 2;"))),
            ("a map of other keys", row(&format!("{nested} map<string, int32> map = 2;"))),
        ])
        .await,
    );
    refusals
}

/// A type for each column that it does not hold.
async fn types() -> Vec<Refusal> {
    let row = |field: &str| {
        let rest = match field.ends_with(" id") {
            true => "",
            false => "optional int64 id = 1;",
        };
        let kind = "enum Kind { NONE = 0; }";
        let proto = format!("syntax = \"proto2\"; message Row {{ {kind} {rest} {field} = 2; }}");
        proto_stream(&message(&proto))
    };
    let fields = [
        "optional int32 id",
        "optional int32 flag",
        "optional int64 tiny",
        "optional uint32 small",
        "optional int64 whole",
        "optional double f",
        "optional float d",
        "optional uint64 price",
        "optional double price",
        "optional bytes text",
        "optional int32 code",
        "optional string raw",
        "optional string day",
        "optional string at",
        "optional int32 wall",
        "optional bytes doc",
        "optional fixed64 kind",
        "optional Kind flag",
        "repeated int64 list",
        "repeated string inners",
        "optional sint32 inner",
    ];
    let cases = fields.map(|field| (field, row(field)));
    creations(wide(), cases.into()).await
}
