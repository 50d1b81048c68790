//! Calls that are refused before a stream is: metadata, tokens, grants, other methods.

use std::time::Duration;

use serde_json::json;
use tempfile::TempDir;
use tonic::Status;
use zerobus::emulator::{Emulator, Options, SqlScript};
use zerobus::wire::{PersistentStreamRequest, RetireStreamRequest};

use crate::token::{self, Form, form, with};
use crate::wire::{
    AUTHORIZATION, Client, Rig, TABLE, TABLE_KEY, call, details, name, narrow, options,
};

use super::{Refusal, refused_call, unchanged};

pub async fn refusals() -> Vec<Refusal> {
    let mut refusals = metadata().await;
    refusals.extend(tokens().await);
    refusals.extend(grants().await);
    refusals.extend(methods().await);
    refusals.push(shutdown().await);
    refusals
}

async fn rig(change: impl FnOnce(&mut Options)) -> Rig {
    let dir = TempDir::new().unwrap();
    let mut options = options(dir.path());
    change(&mut options);
    let server = Emulator::start(options).await.unwrap();
    server.create_table(&name(), &narrow()).await.unwrap();
    Rig { dir, server }
}

async fn ended(rig: Rig) {
    unchanged(&rig).await;
    rig.server.shutdown().await.unwrap();
}

async fn metadata() -> Vec<Refusal> {
    let rig = rig(|_| {}).await;
    let good = token::token(&rig.server, &form(&details(TABLE))).await;
    let good = format!("Bearer {good}");
    let mut refusals = Vec::new();
    for (sent, metadata) in [
        ("no metadata", vec![]),
        ("no authorization", vec![(TABLE_KEY, TABLE)]),
        (
            "authorization: Basic aWQ6c2VjcmV0",
            vec![(AUTHORIZATION, "Basic aWQ6c2VjcmV0"), (TABLE_KEY, TABLE)],
        ),
        (
            "authorization: Bearer made-up",
            vec![(AUTHORIZATION, "Bearer made-up"), (TABLE_KEY, TABLE)],
        ),
        ("no table", vec![(AUTHORIZATION, &good)]),
        (
            "table: events",
            vec![(AUTHORIZATION, &good), (TABLE_KEY, "events")],
        ),
        (
            "table: main..events",
            vec![(AUTHORIZATION, &good), (TABLE_KEY, "main..events")],
        ),
        (
            "table: main.a/x.events",
            vec![(AUTHORIZATION, &good), (TABLE_KEY, "main.a/x.events")],
        ),
        (
            "table: `main`.default.events",
            vec![(AUTHORIZATION, &good), (TABLE_KEY, "`main`.default.events")],
        ),
    ] {
        let status = refused_call(Client::call(&rig.server, &metadata)).await;
        refusals.push(Refusal::new(sent, &status));
    }
    ended(rig).await;
    refusals
}

async fn tokens() -> Vec<Refusal> {
    let lasting = rig(|_| {}).await;
    let without = |index: usize| {
        let mut details = details(TABLE).to_vec();
        details.remove(index);
        form(&details)
    };
    let less = |key: &str, value: serde_json::Value| {
        let mut details = details(TABLE);
        details[2][key] = value;
        form(&details)
    };
    let plain: Form = with("authorization_details", None);
    let mut refusals = Vec::new();
    for (sent, form) in [
        (
            "a token for another table",
            form(&details("main.default.other")),
        ),
        ("a token without authorization_details", plain),
        ("a token for no objects", form(&[])),
        ("a token without CATALOG", without(0)),
        ("a token without SCHEMA", without(1)),
        ("a token without TABLE", without(2)),
        (
            "a token without SELECT",
            less("privileges", json!(["MODIFY"])),
        ),
        (
            "a token without MODIFY",
            less("privileges", json!(["SELECT"])),
        ),
        (
            "a token without zerobuswrite",
            less("operations", json!([])),
        ),
    ] {
        let token = token::token(&lasting.server, &form).await;
        refusals.push(refused(sent, &lasting, &token).await);
    }
    ended(lasting).await;

    let expiring = rig(|options| options.token_ttl = Duration::ZERO).await;
    let token = token::token(&expiring.server, &form(&details(TABLE))).await;
    refusals.push(refused("a token that has expired", &expiring, &token).await);
    ended(expiring).await;
    refusals
}

async fn refused(sent: &str, rig: &Rig, token: &str) -> Refusal {
    let status = refused_call(Client::connect(&rig.server, token, TABLE)).await;
    Refusal::new(sent, &status)
}

async fn grants() -> Vec<Refusal> {
    let mut refusals = Vec::new();
    for (sent, granted) in [
        ("a token of a client without grants", ""),
        (
            "a token of a client without MODIFY",
            "GRANT USE CATALOG ON CATALOG main TO `id`; \
             GRANT USE SCHEMA, SELECT ON SCHEMA main.default TO `id`;",
        ),
    ] {
        let strict = rig(|options| {
            options.enforce_grants = true;
            options.scripts = vec![SqlScript {
                origin: "grants".to_owned(),
                text: granted.to_owned(),
            }];
        });
        let strict = strict.await;
        let token = token::token(&strict.server, &form(&details(TABLE))).await;
        refusals.push(refused(sent, &strict, &token).await);
        ended(strict).await;
    }
    refusals
}

async fn methods() -> Vec<Refusal> {
    let rig = rig(|_| {}).await;
    let server = &rig.server;
    let persistent = futures_util::stream::iter([PersistentStreamRequest::default()]);
    let retire = || futures_util::stream::iter([RetireStreamRequest::default()]);
    let statuses: [(&str, Option<Status>); 3] = [
        (
            "PersistentStream",
            call(server, "PersistentStream", &[], persistent)
                .await
                .err(),
        ),
        (
            "RetireStream",
            call(server, "RetireStream", &[], retire()).await.err(),
        ),
        (
            "a method that there is not",
            call(server, "NoSuchStream", &[], retire()).await.err(),
        ),
    ];
    let refusals = statuses.map(|(sent, status)| Refusal::new(sent, &status.unwrap()));
    ended(rig).await;
    refusals.into()
}

async fn shutdown() -> Refusal {
    let Rig { dir, server } = rig(|_| {}).await;
    let token = token::token(&server, &form(&details(TABLE))).await;
    let mut client = Client::connect(&server, &token, TABLE).await.unwrap();
    let ended = tokio::spawn(server.shutdown());
    let status = client.refusal().await;
    drop(client);
    ended.await.unwrap().unwrap();
    assert!(crate::wire::rows(dir.path()).await.is_empty());
    Refusal::new("nothing yet, as the server ends", &status)
}
