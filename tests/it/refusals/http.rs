//! What the token endpoint and the catalog refuse over plain HTTP.

use reqwest::RequestBuilder;
use serde_json::{Value, json};
use tempfile::TempDir;
use zerobus::emulator::Emulator;

use crate::token::{self, form, with};
use crate::wire::{Rig, TABLE, details, name, narrow, options};

use super::{Refusal, unchanged};

const TOKEN: &str = "/oidc/v1/token";
const TABLES: &str = "/api/2.1/unity-catalog/tables";

pub async fn refusals() -> Vec<Refusal> {
    let rig = Rig::with_table(&narrow()).await;
    let mut refusals = token_requests(&rig).await;
    refusals.extend(authorization_details(&rig).await);
    refusals.extend(catalog(&rig).await);
    unchanged(&rig).await;
    rig.server.shutdown().await.unwrap();
    refusals.push(ungranted().await);
    refusals
}

fn http() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().unwrap()
}

fn url(server: &Emulator, path: &str) -> String {
    format!("http://{}{path}", server.address())
}

/// The refusal of a request, whose body names its kind and its reason.
async fn refused(sent: &str, request: RequestBuilder) -> Refusal {
    let response = request.send().await.unwrap();
    let status = response.status();
    assert!(!status.is_success(), "{sent}: {status}");
    let body = response.text().await.unwrap();
    let body: Value = serde_json::from_str(&body).unwrap_or_else(|_| panic!("{sent}: {body:?}"));
    let of = |keys: [&str; 2]| keys.into_iter().find_map(|key| body[key].as_str());
    let kind = of(["error", "error_code"]).unwrap();
    let reason = of(["error_description", "message"]).unwrap();
    Refusal {
        sent: sent.to_owned(),
        status: status.as_u16().to_string(),
        text: format!("{kind}: {reason}"),
    }
}

async fn token_requests(rig: &Rig) -> Vec<Refusal> {
    let url = url(&rig.server, TOKEN);
    let right = form(&details(TABLE));
    let known = || http().post(&url).basic_auth("id", Some("secret"));
    let mut twice = right.clone();
    twice.push(("scope", "all-apis".to_owned()));
    let large = "[".repeat(20_000);
    let form = |key, value| known().form(&with(key, value));
    let requests = [
        ("GET", http().get(&url)),
        ("no credentials", http().post(&url).form(&right)),
        (
            "a wrong secret",
            http().post(&url).basic_auth("id", Some("x")).form(&right),
        ),
        (
            "an unknown client",
            http()
                .post(&url)
                .basic_auth("x", Some("secret"))
                .form(&right),
        ),
        (
            "a bearer token",
            http().post(&url).bearer_auth("x").form(&right),
        ),
        ("JSON in place of a form", known().json(&json!({}))),
        (
            "a form of more than 16 KiB",
            form("authorization_details", Some(&large)),
        ),
        ("no grant_type", form("grant_type", None)),
        ("another grant_type", form("grant_type", Some("password"))),
        ("no scope", form("scope", None)),
        ("another scope", form("scope", Some("sql"))),
        ("scope twice", known().form(&twice)),
        ("no resource", form("resource", None)),
        ("another resource", form("resource", Some("api://x"))),
    ];
    let mut refusals = Vec::new();
    for (sent, request) in requests {
        refusals.push(refused(sent, request).await);
    }
    refusals
}

async fn authorization_details(rig: &Rig) -> Vec<Refusal> {
    let url = url(&rig.server, TOKEN);
    let changed = |index: usize, key: &str, value: Value| {
        let mut details = details(TABLE);
        details[index][key] = value;
        json!(details).to_string()
    };
    let object = json!({"type": "", "privileges": [], "object_type": "", "object_full_path": ""});
    let many = vec![object; 101];
    let mut refusals = Vec::new();
    for (sent, details) in [
        ("details: no JSON", "{".to_owned()),
        ("details: no list", "{}".to_owned()),
        ("details: no objects", "[1]".to_owned()),
        ("details: objects without keys", "[{}]".to_owned()),
        ("details: too many objects", json!(many).to_string()),
        ("details: another type", changed(0, "type", json!("other"))),
        (
            "details: another object_type",
            changed(1, "object_type", json!("VIEW")),
        ),
        (
            "details: too short a path",
            changed(2, "object_full_path", json!("a.b")),
        ),
        (
            "details: a path with a slash",
            changed(0, "object_full_path", json!("a/b")),
        ),
        (
            "details: an unknown privilege",
            changed(2, "privileges", json!(["FLY"])),
        ),
        (
            "details: another object's privilege",
            changed(2, "privileges", json!(["USE CATALOG"])),
        ),
        (
            "details: another operation",
            changed(2, "operations", json!(["read"])),
        ),
    ] {
        let form = with("authorization_details", Some(&details));
        let request = http()
            .post(&url)
            .basic_auth("id", Some("secret"))
            .form(&form);
        refusals.push(refused(sent, request).await);
    }
    refusals
}

async fn catalog(rig: &Rig) -> Vec<Refusal> {
    let plain = token::token(&rig.server, &with("authorization_details", None)).await;
    let other = token::token(&rig.server, &form(&details("main.default.other"))).await;
    let url = |name: &str| url(&rig.server, &format!("{TABLES}/{name}"));
    let get = |name: &str, token: &str| http().get(url(name)).bearer_auth(token);
    let requests = [
        ("a table without a token", http().get(url(TABLE))),
        ("a table with an unknown token", get(TABLE, "made-up")),
        ("a table with another's token", get(TABLE, &other)),
        ("a table of two parts", get("main.events", &plain)),
        ("a table not in UTF-8", get("%ff", &plain)),
        (
            "a table that there is not",
            get("main.default.missing", &plain),
        ),
        ("POST", http().post(url(TABLE)).bearer_auth(&plain)),
        ("a path that there is not", get("x/y", &plain)),
    ];
    let mut refusals = Vec::new();
    for (sent, request) in requests {
        refusals.push(refused(sent, request).await);
    }
    refusals
}

async fn ungranted() -> Refusal {
    let dir = TempDir::new().unwrap();
    let mut options = options(dir.path());
    options.enforce_grants = true;
    let server = Emulator::start(options).await.unwrap();
    server.create_table(&name(), &narrow()).await.unwrap();
    let token = token::token(&server, &form(&details(TABLE))).await;
    let request = http().get(url(&server, &format!("{TABLES}/{TABLE}")));
    let refusal = refused("a table without grants", request.bearer_auth(token)).await;
    server.shutdown().await.unwrap();
    refusal
}
