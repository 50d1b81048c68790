//! First requests that open no stream.

use bytes::Bytes;
use tonic::Status;
use zerobus::wire::ephemeral_stream_request::Payload;
use zerobus::wire::{CreateIngestStreamRequest, EphemeralStreamRequest};

use crate::wire::{
    AUTHORIZATION, Client, Rig, TABLE, TABLE_KEY, call, json, json_stream, message, narrow,
    proto_stream,
};

use super::requests::Odd;
use super::{Refusal, at, creations, unchanged};

pub async fn refusals() -> Vec<Refusal> {
    let row = message(crate::wire::NARROW);
    let proto = || proto_stream(&row);
    let of_type = |record_type| CreateIngestStreamRequest {
        record_type: Some(record_type),
        ..proto()
    };
    let mut refusals = first_requests().await;
    let cases = vec![
        (
            "no table_name",
            CreateIngestStreamRequest {
                table_name: None,
                ..proto()
            },
        ),
        (
            "another table_name",
            CreateIngestStreamRequest {
                table_name: Some("main.default.Events".into()),
                ..proto()
            },
        ),
        ("record_type AVRO", of_type(4)),
        ("record_type 3", of_type(3)),
        ("record_type 7", of_type(7)),
        (
            "no descriptor_proto",
            CreateIngestStreamRequest {
                descriptor_proto: None,
                ..proto()
            },
        ),
        (
            "no record_type and no descriptor_proto",
            CreateIngestStreamRequest {
                record_type: None,
                ..CreateIngestStreamRequest {
                    descriptor_proto: None,
                    ..proto()
                }
            },
        ),
        (
            "an empty descriptor_proto",
            CreateIngestStreamRequest {
                descriptor_proto: Some(Bytes::new()),
                ..proto()
            },
        ),
    ];
    refusals.extend(creations(narrow(), cases).await);
    refusals
}

async fn first_requests() -> Vec<Refusal> {
    let rig = Rig::with_table(&narrow()).await;
    let (_, token) = rig.token("secret", TABLE).await;
    let token = token["access_token"].as_str().unwrap();
    let open = async || Client::connect(&rig.server, token, TABLE).await.unwrap();
    let mut refusals = Vec::new();
    let mut refused = |sent: &str, status: &Status| refusals.push(Refusal::new(sent, status));

    let mut client = open().await;
    client.send(at(Some(0), json(&[r#"{"name":"a"}"#]))).await;
    refused("records before create_stream", &client.refusal().await);
    let mut client = open().await;
    client.request(EphemeralStreamRequest::default()).await;
    refused("an empty first request", &client.refusal().await);
    let mut client = open().await;
    client.end();
    refused("no request at all", &client.refusal().await);

    let authorization = format!("Bearer {token}");
    let metadata = [(AUTHORIZATION, authorization.as_str()), (TABLE_KEY, TABLE)];
    let garbage = futures_util::stream::iter([Odd {
        create_stream: Some(Bytes::from_static(b"\xff")),
        ..Odd::default()
    }]);
    let answers = call(&rig.server, "EphemeralStream", &metadata, garbage).await;
    let status = answers.unwrap().message().await.unwrap_err();
    refused("a create_stream that is none", &status);

    // The same token opens a stream.
    let mut client = open().await;
    client.send(Payload::CreateStream(json_stream())).await;
    client.created().await;
    drop(client);
    unchanged(&rig).await;
    rig.server.shutdown().await.unwrap();
    refusals
}
