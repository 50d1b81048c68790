//! Streams that are created, and those that cannot be.

use zerobus::{Credentials, ErrorKind, Sdk, StreamOptions, StreamState, TableProperties};

use super::*;

#[tokio::test]
async fn a_stream_is_created_open_and_with_an_id() {
    let rig = Rig::new().await;
    let stream = rig.open().await;
    assert_eq!(stream.state(), StreamState::Opened);
    assert!(!stream.stream_id().is_empty());
    assert_eq!(stream.table().table_name(), AIR);
    stream.close().await.unwrap();
    assert_eq!(stream.state(), StreamState::Closed);
    assert_eq!(stream.state().name(), "CLOSED");
}

/// A stream may be had before it is open, and takes records.
#[tokio::test]
async fn a_stream_that_is_started_is_uninitialized_and_accepts() {
    let rig = Rig::with(&["delay:for=100ms,at=create"]).await;
    let credentials = Credentials::client("id", "secret");
    let stream = rig.sdk.start_stream(credentials, &air(), quick()).unwrap();
    assert_eq!(stream.state(), StreamState::Uninitialized);
    assert_eq!(stream.stream_id(), "");
    let acks = ingest(&stream, 0, 3).await;
    stream.opened().await.unwrap();
    for ack in acks {
        ack.await.unwrap();
    }
    assert_eq!(rig.landed(), [0, 1, 2]);
}

#[tokio::test]
async fn each_stream_has_its_own_connection_and_id() {
    let rig = Rig::new().await;
    let (one, other) = (rig.open().await, rig.open().await);
    assert_ne!(one.stream_id(), other.stream_id());
}

/// With retries left: a refusal for good is not tried again.
#[tokio::test]
async fn what_is_refused_for_good_is_not_tried_again() {
    for (status, kind) in [
        ("INVALID_ARGUMENT", ErrorKind::Refused),
        ("PERMISSION_DENIED", ErrorKind::Credentials),
        ("NOT_FOUND", ErrorKind::NotFound),
        ("UNIMPLEMENTED", ErrorKind::Refused),
    ] {
        let fault = format!("fail:at=create,status={status},message=so it is,times=1");
        let rig = Rig::with(&[&fault]).await;
        let error = rig.stream(quick()).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(!error.is_retryable());
        assert!(error.message().contains("so it is"), "{error}");
        assert!(error.hint().is_some());
    }
}

#[tokio::test]
async fn without_recovery_there_is_one_attempt() {
    let rig = Rig::with(&["fail:at=create,times=1"]).await;
    let error = rig.stream(quick().recovery(false)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.is_retryable());
    rig.stream(quick().recovery(false)).await.unwrap();
}

#[tokio::test]
async fn a_creation_that_fails_at_first_is_tried_again() {
    let rig = Rig::with(&["fail:at=create,times=3"]).await;
    let stream = rig.open().await;
    ingest(&stream, 0, 3).await;
    stream.flush().await.unwrap();
    assert_eq!(rig.landed(), [0, 1, 2]);
}

#[tokio::test]
async fn a_creation_fails_once_its_retries_are_used_up() {
    let rig = Rig::with(&["fail:at=create,message=not today,times=3"]).await;
    let error = rig.stream(quick().recovery_retries(2)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.message().contains("not today"), "{error}");
    // The fourth attempt would have succeeded.
    rig.stream(quick().recovery(false)).await.unwrap();
}

#[tokio::test]
async fn a_creation_has_its_time_out() {
    let rig = Rig::with(&["delay:for=1m,at=create"]).await;
    let options = quick().recovery(false).recovery_timeout_ms(100);
    let error = rig.stream(options).await.unwrap_err();
    assert!(
        error.message().contains("no stream within 0.1 s"),
        "{error}"
    );
}

#[tokio::test]
async fn a_time_out_may_be_as_long_as_one_likes() {
    let rig = Rig::new().await;
    let options = StreamOptions::new()
        .recovery_timeout_ms(u64::MAX)
        .flush_timeout_ms(u64::MAX)
        .server_lack_of_ack_timeout_ms(u64::MAX)
        .linger_ms(u64::MAX)
        .max_inflight_records(usize::MAX)
        .max_inflight_bytes(usize::MAX);
    let stream = rig.stream(options).await.unwrap();
    ingest(&stream, 0, 3).await;
    stream.close().await.unwrap();
    assert_eq!(rig.landed(), [0, 1, 2]);
}

/// Every other request for a token fails: only the first stream may need one.
#[tokio::test]
async fn streams_of_one_table_share_a_token() {
    let rig = Rig::with(&["fail:at=token,every=2"]).await;
    for _ in 0..3 {
        rig.stream(quick().recovery(false)).await.unwrap();
    }
    let other = Credentials::client("id", "wrong");
    let options = quick().recovery(false);
    let error = rig.sdk.create_stream(other, &air(), options).await;
    assert!(error.is_err(), "other credentials do not share it");
}

/// A token that the server has forgotten is replaced once, without a retry.
#[tokio::test]
async fn a_token_that_is_refused_is_replaced_once() {
    let rig = Rig::with(&["expire-tokens:at=create,times=1"]).await;
    rig.stream(quick().recovery(false)).await.unwrap();
    let rig = Rig::with(&["expire-tokens:at=create"]).await;
    let error = rig.stream(quick()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Credentials);
}

#[tokio::test]
async fn wrong_credentials_are_told_without_the_secret() {
    let rig = Rig::new().await;
    let wrong = Credentials::client("id", "hunter2-hunter2");
    assert!(!format!("{wrong:?}").contains("hunter2"));
    let created = rig.sdk.create_stream(wrong, &air(), quick()).await;
    let error = created.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Credentials);
    assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
    assert!(error.hint().unwrap().contains("client id and secret"));
}

#[tokio::test]
async fn what_is_missing_is_told_before_anything_is_connected() {
    for (endpoint, workspace) in [("", "h"), ("http://example.com", "h"), ("h:0", "h")] {
        let error = Sdk::new(endpoint, workspace).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Settings, "{error}");
    }
    let error = Sdk::new("http://example.com", "h").unwrap_err();
    assert!(
        error
            .hint()
            .unwrap()
            .contains("SdkBuilder::allow_plaintext")
    );
    let open = Sdk::builder("http://example.com").allow_plaintext(true);
    let sdk = open.build().unwrap();
    let secret = Credentials::client("id", "secret");
    let error = sdk.start_stream(secret, &air(), quick()).unwrap_err();
    assert!(error.hint().unwrap().contains("workspace_url"), "{error}");
    let builder = Sdk::builder("h").header("authorization", "mine");
    assert!(
        builder
            .build()
            .unwrap_err()
            .message()
            .contains("protocol itself")
    );
    assert!(Sdk::builder("h").ca_certificate(b"no pem").build().is_err());
    assert!(TableProperties::json("two.parts").is_err());
}

/// The service is not there at all.
#[tokio::test]
async fn nobody_at_the_endpoint_is_unavailable() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", free.local_addr().unwrap());
    drop(free);
    let sdk = Sdk::new(&url, &url).unwrap();
    let options = quick().recovery_retries(1);
    let token = Credentials::token("any");
    let error = sdk.create_stream(token, &air(), options).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.message().contains(&url), "{error}");
}
