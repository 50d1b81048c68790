//! The OpenAPI document: each table's routes, with the schema of its own records.

use axum::body::Bytes;
use serde_json::{Map, Value, json};

use super::Served;
use crate::schema::RecordPlan;
use crate::schema::plan::{FieldPlan, Json, MessagePlan, Scalar, Shape, ValueType};

/// The document of these tables.
pub(super) fn document(tables: &[Served]) -> Bytes {
    let mut paths = Map::new();
    let told = |summary: &str, kind: &str| {
        let content = json!({kind: {"schema": {}}});
        json!({"get": {"summary": summary, "responses": {
            "200": {"description": "It is told", "content": content}}}})
    };
    let root = told("The service and its tables", "application/json");
    paths.insert("/".to_owned(), root);
    let mut health = told("How all tables are", "application/json");
    health["get"]["responses"]["503"] = json!({"description": "A stream has failed"});
    paths.insert("/health".to_owned(), health);
    let metrics = told("Figures for Prometheus", "application/openmetrics-text");
    paths.insert("/metrics".to_owned(), metrics);
    let mut schemas = Map::new();
    schemas.insert("Accepted".to_owned(), accepted());
    schemas.insert("Error".to_owned(), error());
    for served in tables {
        let Served {
            key,
            properties,
            token,
        } = served;
        let Some(plan) = properties.plan() else {
            continue;
        };
        schemas.insert(format!("record.{key}"), schema(plan, plan.root()));
        let security = match token {
            Some(_) => json!([{"bearer": []}]),
            None => json!([]),
        };
        let name = properties.table_name();
        let ingest = json!({"post": ingest(key, &name, plan, &security)});
        paths.insert(format!("/ingest/{key}"), ingest);
        let flush = json!({"post": {
            "tags": [key],
            "summary": format!("Waits until all that {name} was sent is durable"),
            "security": security,
            "responses": {
                "200": {"description": "It is, or nothing was sent yet"},
                "401": refusal("The token is not shown"),
                "502": refusal("The service has refused records; all others are durable"),
                "503": refusal("The service is away"),
                "504": refusal("It has taken longer than a request may"),
            },
        }});
        paths.insert(format!("/flush/{key}"), flush);
        let health = json!({"get": {
            "tags": [key],
            "summary": format!("How the stream of {name} is"),
            "responses": {
                "200": {"description": "It is healthy, or recovers"},
                "503": {"description": "It has failed"},
            },
        }});
        paths.insert(format!("/health/{key}"), health);
    }
    let document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "zerobus gateway",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Records over HTTP into Delta tables, through Zerobus Ingest.",
        },
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
        },
    });
    Bytes::from(document.to_string())
}

fn ingest(key: &str, name: &str, plan: &RecordPlan, security: &Value) -> Value {
    let of = json!({"$ref": format!("#/components/schemas/record.{key}")});
    let example = example(plan, plan.root());
    let flag = |name: &str, what: &str| {
        json!({"name": name, "in": "query", "description": what,
            "schema": {"type": "boolean", "default": false}})
    };
    json!({
        "tags": [key],
        "summary": format!("Sends records to {name}"),
        "security": security,
        "parameters": [
            flag("wait_for_ack", "Answer once the records are durable"),
            flag("partial", "Take the good rows of a body that has bad ones"),
        ],
        "requestBody": {"required": true, "content": {
            "application/json": {
                "schema": {"oneOf": [of, {"type": "array", "items": of}]},
                "example": example,
            },
            "application/x-ndjson": {
                "schema": {"type": "string", "description": "A record on each line"},
            },
        }},
        "responses": {
            "200": taken("Durable"),
            "202": taken("Accepted, not durable yet"),
            "400": refusal("Rows are wrong, or the service has refused records"),
            "401": refusal("The token is not shown"),
            "408": refusal("The body did not come in time"),
            "413": refusal("The body is too long"),
            "415": refusal("The body is compressed"),
            "429": refusal("Too much is under way; see Retry-After"),
            "502": refusal("The service refuses the gateway"),
            "503": refusal("The service is away; see Retry-After"),
            "504": refusal("No acknowledgement in time; the records may be durable"),
        },
    })
}

fn taken(what: &str) -> Value {
    let schema = json!({"$ref": "#/components/schemas/Accepted"});
    json!({"description": what, "content": {"application/json": {"schema": schema}}})
}

fn refusal(what: &str) -> Value {
    let schema = json!({"$ref": "#/components/schemas/Error"});
    json!({"description": what, "content": {"application/json": {"schema": schema}}})
}

fn accepted() -> Value {
    json!({"type": "object", "required": ["status", "table", "message", "wait_for_ack"],
    "properties": {
        "status": {"enum": ["success", "queued"]},
        "table": {"type": "string"},
        "message": {"type": "string"},
        "wait_for_ack": {"type": "boolean"},
        "errors": row_errors(),
    }})
}

fn error() -> Value {
    json!({"type": "object", "required": ["error", "status_code"],
    "properties": {
        "error": {"type": "string"},
        "status_code": {"type": "integer"},
        "errors": row_errors(),
        "in_doubt": {"type": "boolean",
            "description": "What was asked may have happened nevertheless"},
    }})
}

fn row_errors() -> Value {
    json!({"type": "array", "items": {"type": "object",
    "properties": {
        "index": {"type": "integer", "description": "Which row, counted from 0"},
        "field": {"type": ["string", "null"]},
        "message": {"type": "string"},
    }}})
}

/// The schema of a message's JSON.
fn schema(plan: &RecordPlan, message: &MessagePlan) -> Value {
    let fields = message.fields.iter();
    let fields: Map<_, _> = fields
        .map(|field| (field.name.clone(), of_field(plan, field)))
        .collect();
    let mut schema = json!({
        "type": "object", "properties": fields, "additionalProperties": false,
    });
    if !message.required.is_empty() {
        let required = message.required.iter();
        let names = required.filter_map(|index| message.fields.get(*index));
        schema["required"] = names.map(|field| field.name.as_str()).collect();
    }
    schema
}

fn of_field(plan: &RecordPlan, field: &FieldPlan) -> Value {
    let value = of_value(plan, field.ty);
    let mut schema = match field.shape {
        Shape::Single => value,
        Shape::Repeated | Shape::Packed => json!({"type": "array", "items": value}),
        Shape::Map(_) => json!({"type": "object", "additionalProperties": value}),
    };
    if !field.required {
        // Absent and null are NULL both.
        match schema.get_mut("type") {
            Some(Value::Array(types)) => types.push(json!("null")),
            Some(ty) => *ty = json!([ty.take(), "null"]),
            None => {}
        }
        if let Some(Value::Array(values)) = schema.get_mut("enum") {
            values.push(Value::Null);
        }
    }
    schema
}

fn of_value(plan: &RecordPlan, ty: ValueType) -> Value {
    let integer = |min: i64, max: u64, format: &str| json!({"type": "integer", "format": format, "minimum": min, "maximum": max});
    let ranged = |min: i64, max: u64| json!({"type": "integer", "minimum": min, "maximum": max});
    match ty {
        ValueType::Scalar(scalar) => match scalar {
            Scalar::Double => json!({"type": "number", "format": "double"}),
            Scalar::Float => json!({"type": "number", "format": "float"}),
            Scalar::Int32 | Scalar::Sint32 | Scalar::Sfixed32 => {
                integer(i32::MIN.into(), i32::MAX as u64, "int32")
            }
            Scalar::Int64 | Scalar::Sint64 | Scalar::Sfixed64 => {
                integer(i64::MIN, i64::MAX as u64, "int64")
            }
            Scalar::Uint32 | Scalar::Fixed32 => ranged(0, u32::MAX.into()),
            Scalar::Uint64 | Scalar::Fixed64 => ranged(0, u64::MAX),
            Scalar::Bool => json!({"type": "boolean"}),
            Scalar::String => json!({"type": "string"}),
            Scalar::Bytes => json!({"type": "string", "contentEncoding": "base64"}),
        },
        ValueType::Enum(index) => {
            let names = plan.enums.get(index).map(|of| of.names());
            json!({"type": "string", "enum": names.unwrap_or_default()})
        }
        ValueType::Message(index) => {
            let message = plan.messages.get(index);
            message.map_or_else(|| json!({}), |message| schema(plan, message))
        }
        ValueType::TinyInt => ranged(i8::MIN.into(), i8::MAX as u64),
        ValueType::SmallInt => ranged(i16::MIN.into(), i16::MAX as u64),
        ValueType::Date => json!({"type": "string", "format": "date"}),
        ValueType::Timestamp => json!({"type": ["string", "integer"], "format": "date-time",
            "description": "RFC 3339, or microseconds since 1970"}),
        ValueType::TimestampNtz => json!({"type": ["string", "integer"],
            "description": "A date and a time without a zone, or microseconds since 1970"}),
        ValueType::Duration => json!({"type": "string", "description": "Seconds, such as 1.5s"}),
        ValueType::Decimal { precision, scale } => json!({"type": ["string", "number"],
            "description": format!("{precision} digits at most, {scale} of them after the point")}),
        ValueType::Variant(Json::Any | Json::AnyOrNull) => json!({}),
        ValueType::Variant(Json::Object) => json!({"type": "object"}),
        ValueType::Variant(Json::Array) => json!({"type": "array"}),
        ValueType::Varchar(max) => json!({"type": "string", "maxLength": max}),
    }
}

/// A record that may be sent.
fn example(plan: &RecordPlan, message: &MessagePlan) -> Value {
    // Of a oneof, one field may be there.
    let mut seen = Vec::new();
    let fields = message.fields.iter().filter(|field| match field.oneof {
        Some(of) if seen.contains(&of) => false,
        Some(of) => {
            seen.push(of);
            true
        }
        None => true,
    });
    let shown = |field: &FieldPlan| {
        let value = example_of(plan, field.ty);
        match field.shape {
            Shape::Single => value,
            Shape::Repeated | Shape::Packed => json!([value]),
            Shape::Map(Scalar::String) => json!({"key": value}),
            Shape::Map(Scalar::Bool) => json!({"true": value}),
            Shape::Map(_) => json!({"1": value}),
        }
    };
    fields
        .map(|field| (field.name.clone(), shown(field)))
        .collect::<Map<_, _>>()
        .into()
}

fn example_of(plan: &RecordPlan, ty: ValueType) -> Value {
    match ty {
        ValueType::Scalar(Scalar::Double | Scalar::Float) => json!(1.5),
        ValueType::Scalar(Scalar::Bool) => json!(true),
        ValueType::Scalar(Scalar::String) => json!("text"),
        ValueType::Scalar(Scalar::Bytes) => json!("AQI="),
        ValueType::Scalar(_) | ValueType::TinyInt | ValueType::SmallInt => json!(1),
        ValueType::Enum(index) => {
            let of = plan.enums.get(index);
            json!(of.and_then(|of| of.names().first().map(|name| (*name).to_owned())))
        }
        ValueType::Message(index) => {
            let message = plan.messages.get(index);
            message.map_or_else(|| json!({}), |message| example(plan, message))
        }
        ValueType::Date => json!("2026-01-31"),
        ValueType::Timestamp => json!("2026-01-31T12:00:00Z"),
        ValueType::TimestampNtz => json!("2026-01-31T12:00:00"),
        ValueType::Duration => json!("1.5s"),
        ValueType::Decimal { .. } => json!("1"),
        ValueType::Variant(Json::Array) => json!([]),
        ValueType::Variant(_) => json!({}),
        ValueType::Varchar(_) => json!("t"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sdk::TableProperties;
    use crate::transcode::{Options, Target, Transcoder};

    /// Promise: what the documentation shows as a record is one.
    #[test]
    fn the_example_of_each_sample_is_a_record() {
        let samples = concat!(env!("CARGO_MANIFEST_DIR"), "/samples");
        let mut seen = 0;
        for entry in std::fs::read_dir(samples).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_none_or(|e| e != "proto") {
                continue;
            }
            let properties = TableProperties::from_proto_file("c.s.t", &path, None).unwrap();
            let plan = properties.plan().unwrap().clone();
            let text = example(&plan, plan.root()).to_string();
            let mut transcoder = Transcoder::new(Target::Proto(plan), Options::default());
            let made = transcoder.object(&text, &mut Vec::new());
            assert!(made.is_ok(), "{text}: {made:?}");
            seen += 1;
        }
        assert!(seen > 1);
    }

    #[test]
    fn a_record_has_its_schema() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("t.proto");
        let text = r#"syntax = "proto2";
            message T {
              required string name = 1;
              optional int32 temp = 2;
              repeated uint64 counts = 3;
              map<string, bool> flags = 4;
              optional Kind kind = 5;
              optional Where at = 6;
              enum Kind { A = 0; B = 1; }
              message Where { optional double lat = 1; }
            }"#;
        std::fs::write(&file, text).unwrap();
        let properties = TableProperties::from_proto_file("c.s.t", &file, None).unwrap();
        let served = Served {
            key: "t".to_owned(),
            properties,
            token: None,
        };
        let document: Value = serde_json::from_slice(&document(&[served])).unwrap();
        let record = &document["components"]["schemas"]["record.t"];
        let expected = json!({
            "type": "object", "additionalProperties": false, "required": ["name"],
            "properties": {
                "name": {"type": "string"},
                "temp": {"type": ["integer", "null"], "format": "int32",
                    "minimum": -2147483648, "maximum": 2147483647},
                "counts": {"type": ["array", "null"],
                    "items": {"type": "integer", "minimum": 0, "maximum": u64::MAX}},
                "flags": {"type": ["object", "null"], "additionalProperties": {"type": "boolean"}},
                "kind": {"type": ["string", "null"], "enum": ["A", "B", null]},
                "at": {"type": ["object", "null"], "additionalProperties": false, "properties": {
                    "lat": {"type": ["number", "null"], "format": "double"}}},
            },
        });
        assert_eq!(*record, expected);
        let paths: Vec<_> = document["paths"].as_object().unwrap().keys().collect();
        assert_eq!(
            paths,
            [
                "/",
                "/health",
                "/metrics",
                "/ingest/t",
                "/flush/t",
                "/health/t"
            ]
        );
    }
}
