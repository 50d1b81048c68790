//! The token endpoint through HTTP: what a token may be asked for with.

use serde_json::{Value, json};
use tempfile::TempDir;
use zerobus::emulator::Emulator;

use crate::wire::{TABLE, details, options};

const RESOURCE: &str = "api://databricks/workspaces/local/zerobusDirectWriteApi";

pub type Form = Vec<(&'static str, String)>;

/// A request that is right in every way.
pub fn form(details: &[Value]) -> Form {
    vec![
        ("grant_type", "client_credentials".to_owned()),
        ("scope", "all-apis".to_owned()),
        ("resource", RESOURCE.to_owned()),
        ("authorization_details", json!(details).to_string()),
    ]
}

/// The same with another value for a key, or without it.
pub fn with(key: &'static str, value: Option<&str>) -> Form {
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
pub async fn token(server: &Emulator, form: &Form) -> String {
    let (status, token) = ask(server, form).await;
    assert_eq!(status, 200, "{token}");
    token
}

#[tokio::test]
async fn what_a_token_may_be_asked_for_with() {
    let (_dir, server) = server().await;
    token(&server, &form(&details(TABLE))).await;
    token(&server, &with("scope", Some("openid all-apis"))).await;
    let elsewhere = "api://databricks/workspaces/1234/zerobusDirectWriteApi";
    token(&server, &with("resource", Some(elsewhere))).await;
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
