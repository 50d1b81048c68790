//! The token endpoint through HTTP, and what its tokens open on the wire.

use serde_json::{Value, json};
use tempfile::TempDir;
use tonic::Code;
use zerobus::emulator::Emulator;

use crate::emulator::{Client, details, options};

const TABLE: &str = "main.default.events";
const RESOURCE: &str = "api://databricks/workspaces/local/zerobusDirectWriteApi";

type Form = Vec<(&'static str, String)>;

/// A request that is right in every way.
fn form(details: &[Value]) -> Form {
    vec![
        ("grant_type", "client_credentials".to_owned()),
        ("scope", "all-apis".to_owned()),
        ("resource", RESOURCE.to_owned()),
        ("authorization_details", json!(details).to_string()),
    ]
}

/// The same with another value for a key, or without it.
fn with(key: &'static str, value: Option<&str>) -> Form {
    let mut form = form(&details(TABLE));
    form.retain(|(name, _)| *name != key);
    form.extend(value.map(|value| (key, value.to_owned())));
    form
}

async fn server() -> (TempDir, Emulator) {
    let dir = TempDir::new().unwrap();
    let server = Emulator::start(options(dir.path())).await.unwrap();
    (dir, server)
}

/// Asks for a token as the client `id`: the status, and the error or the token.
async fn ask(server: &Emulator, form: &Form) -> (u16, String) {
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = format!("http://{}/oidc/v1/token", server.address());
    let request = http.post(url).basic_auth("id", Some("secret")).form(form);
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    let body: Value = response.json().await.unwrap();
    let key = if status == 200 {
        "access_token"
    } else {
        "error"
    };
    (status, body[key].as_str().unwrap().to_owned())
}

/// A token that is minted for these details.
async fn token(server: &Emulator, form: &Form) -> String {
    let (status, token) = ask(server, form).await;
    assert_eq!(status, 200, "{token}");
    token
}

#[tokio::test]
async fn a_request_for_a_token_is_checked_in_every_part() {
    let (_dir, server) = server().await;
    token(&server, &form(&details(TABLE))).await;
    token(&server, &with("scope", Some("openid all-apis"))).await;
    let elsewhere = "api://databricks/workspaces/1234/zerobusDirectWriteApi";
    token(&server, &with("resource", Some(elsewhere))).await;
    let mut unknown = details(TABLE);
    unknown[2]["privileges"] = json!(["SELECT", "FLY"]);
    for (form, error) in [
        (with("grant_type", None), "unsupported_grant_type"),
        (
            with("grant_type", Some("authorization_code")),
            "unsupported_grant_type",
        ),
        (with("scope", None), "invalid_scope"),
        (with("scope", Some("sql")), "invalid_scope"),
        (with("resource", None), "invalid_target"),
        (with("resource", Some("api://x")), "invalid_target"),
        (
            with("authorization_details", Some("{")),
            "invalid_authorization_details",
        ),
        (form(&unknown), "invalid_authorization_details"),
        (
            with("authorization_details", Some(&"[".repeat(20_000))),
            "invalid_request",
        ),
    ] {
        let refused = ask(&server, &form).await;
        assert_eq!(refused, (400, error.to_owned()), "{form:?}");
    }
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = format!("http://{}/oidc/v1/token", server.address());
    let right = form(&details(TABLE));
    for (secret, status) in [("x", 401), ("secret", 200)] {
        let request = http.post(&url).basic_auth("id", Some(secret)).form(&right);
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status().as_u16(), status);
        assert_eq!(answer.headers()["cache-control"], "no-store");
        let challenge = answer.headers().get("www-authenticate");
        assert_eq!(challenge.is_some(), status == 401);
    }
    // Id and secret in the form are no HTTP Basic.
    let mut inside = right.clone();
    inside.push(("client_id", "id".to_owned()));
    inside.push(("client_secret", "secret".to_owned()));
    let inside = http.post(&url).form(&inside).send().await.unwrap();
    assert_eq!(inside.status().as_u16(), 401);
    server.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_token_that_was_asked_for_with_less_is_minted_and_refused_on_write() {
    let (_dir, server) = server().await;
    let refused = async |form: Form| {
        let token = token(&server, &form).await;
        let client = Client::connect(&server, &token, TABLE).await;
        let status = client.err().expect("the stream was opened");
        assert_eq!(status.code(), Code::PermissionDenied);
        status.message().to_owned()
    };
    let without = |index: usize| {
        let mut details = details(TABLE).to_vec();
        details.remove(index);
        form(&details)
    };
    for (index, missing) in [
        (0, "CATALOG main with \"USE CATALOG\""),
        (1, "SCHEMA main.default with \"USE SCHEMA\""),
        (2, "TABLE main.default.events with \"SELECT\""),
    ] {
        let expected =
            format!("the token was asked for without {missing} in its authorization_details");
        assert_eq!(refused(without(index)).await, expected);
    }
    for (key, value, missing) in [
        ("privileges", json!(["SELECT"]), "\"MODIFY\""),
        ("operations", json!([]), "the operation \"zerobuswrite\""),
    ] {
        let mut less = details(TABLE);
        less[2][key] = value;
        let message = refused(form(&less)).await;
        assert!(message.contains(missing), "{message}");
    }
    let other = form(&details("main.default.other"));
    assert_eq!(
        refused(other).await,
        "the token is for table main.default.other, not for main.default.events"
    );
    let plain = vec![
        ("grant_type", "client_credentials".to_owned()),
        ("scope", "all-apis".to_owned()),
    ];
    let expected = "the token was asked for without authorization_details, \
                    which writing to table main.default.events needs";
    assert_eq!(refused(plain).await, expected);
    assert_eq!(refused(with("authorization_details", None)).await, expected);

    let full = token(&server, &form(&details(TABLE))).await;
    assert!(Client::connect(&server, &full, TABLE).await.is_ok());
    server.shutdown().await.unwrap();
}
