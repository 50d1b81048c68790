//! How a stream ends: closed, twice, by many, dropped, failed, with its runtime.

use zerobus::{ErrorKind, StreamState};

use super::*;

#[tokio::test]
async fn close_waits_for_every_acknowledgement() {
    let rig = Rig::with(&["delay:for=100ms"]).await;
    let stream = rig.open().await;
    let acks = ingest(&stream, 0, 10).await;
    let mut close = Box::pin(stream.close());
    assert!(waits(&mut close).await);
    assert_eq!(stream.state(), StreamState::Flushing);
    close.await.unwrap();
    assert!(acks.iter().all(Ack::is_done));
    assert_eq!(stream.state(), StreamState::Closed);
    assert_eq!(rig.landed(), each(0..10));
    assert!(stream.unacknowledged().unwrap().is_empty());
}

#[tokio::test]
async fn closing_twice_is_closing_once() {
    let rig = Rig::new().await;
    let stream = rig.open().await;
    ingest(&stream, 0, 1).await;
    stream.close().await.unwrap();
    stream.close().await.unwrap();
    assert_eq!(rig.landed(), [0]);
}

#[tokio::test]
async fn many_may_close_at_once() {
    let rig = Rig::with(&["delay:for=50ms"]).await;
    let stream = shared(rig.open().await);
    ingest(&stream, 0, 5).await;
    let close = |stream: Arc<Stream>| async move { stream.close().await };
    let closing: Vec<_> = (0..3)
        .map(|_| tokio::spawn(close(Arc::clone(&stream))))
        .collect();
    for one in closing {
        one.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn nothing_is_accepted_after_close() {
    let rig = Rig::new().await;
    let stream = rig.open().await;
    stream.close().await.unwrap();
    let error = stream.ingest_record(json(0)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed);
    assert!(!error.is_retryable());
    assert_eq!(error.to_string(), "the stream is closed");
    let error = stream.ingest_records([json(0), json(1)]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed);
    let error = stream.try_ingest_record(json(0)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed);
    assert!(rig.landed().is_empty());
}

/// Whoever waits for room when the stream is closed is told; what was accepted is sent.
#[tokio::test]
async fn close_ends_the_wait_for_room() {
    let rig = Rig::with(&["delay:for=200ms"]).await;
    let stream = shared(rig.stream(quick().max_inflight_records(1)).await.unwrap());
    ingest(&stream, 0, 1).await;
    let waiting = Arc::clone(&stream);
    let waiting = tokio::spawn(async move { waiting.ingest_record(json(1)).await });
    tokio::time::sleep(MOMENT).await;
    stream.close().await.unwrap();
    let error = waiting.await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed);
    assert_eq!(rig.landed(), [0]);
}

/// Promise: close never reports success with a record unacknowledged.
#[tokio::test]
async fn close_that_runs_out_of_time_says_so_and_keeps_what_is_left() {
    let rig = Rig::with(&["delay:for=1h,after=4"]).await;
    let stream = rig.stream(quick().flush_timeout_ms(200)).await.unwrap();
    for ack in ingest(&stream, 0, 3).await {
        ack.await.unwrap();
    }
    let open = ingest(&stream, 3, 3).await;
    let error = stream.close().await.unwrap_err();
    assert!(error.is_retryable(), "{error}");
    assert_eq!(stream.state(), StreamState::Failed);
    let left = stream.unacknowledged().unwrap();
    assert!(!left.is_empty());
    for (ack, number) in open.into_iter().zip(3..) {
        let is_left = left.iter().any(|item| item.offset == number);
        assert_eq!(ack.await.is_err(), is_left, "{number}");
    }
    assert_eq!(stream.close().await.unwrap_err().message(), error.message());
}

#[tokio::test]
async fn a_failed_stream_says_why_to_all() {
    let rig = Rig::with(&["fail:after=3,status=PERMISSION_DENIED,message=go away"]).await;
    let stream = rig.open().await;
    for ack in ingest(&stream, 0, 2).await {
        ack.await.unwrap();
    }
    // The fault takes the batch that completes the three.
    ingest(&stream, 2, 1).await;
    until(|| stream.state() == StreamState::Failed).await;
    let error = stream.flush().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Credentials);
    assert!(error.message().contains("go away"), "{error}");
    let error = stream.ingest_record(json(5)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed);
    assert!(error.message().contains("go away"), "{error}");
    let error = stream.close().await.unwrap_err();
    assert!(!error.is_retryable());
    assert!(error.message().contains("go away"), "{error}");
}

/// A dropped stream sends what it has accepted.
#[tokio::test]
async fn a_dropped_stream_finishes_in_the_background() {
    let rig = Rig::with(&["delay:for=50ms"]).await;
    let stream = rig.open().await;
    let acks = ingest(&stream, 0, 1_000).await;
    drop(stream);
    for ack in acks {
        ack.await.unwrap();
    }
    assert_eq!(rig.landed(), each(0..1_000));
    drop(rig.open().await);
}

/// The runtime that a stream runs on may end first.
#[test]
fn with_its_runtime_a_stream_ends_as_failed() {
    let server = tokio::runtime::Runtime::new().unwrap();
    let rig = server.block_on(Rig::with(&["delay:for=1h"]));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (stream, acks) = runtime.block_on(async {
        let stream = rig.open().await;
        let acks = ingest(&stream, 0, 3).await;
        (stream, acks)
    });
    drop(runtime);
    assert_eq!(stream.state(), StreamState::Failed);
    let left = stream.unacknowledged().unwrap();
    assert_eq!(left.len(), 3);
    server.block_on(async {
        for ack in acks {
            let error = ack.await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Closed);
            assert!(error.message().contains("runtime"), "{error}");
        }
        assert!(stream.close().await.is_err());
    });
}

#[tokio::test]
async fn what_is_unacknowledged_is_not_known_before_the_end() {
    let rig = Rig::new().await;
    let stream = rig.open().await;
    let error = stream.unacknowledged().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed);
    assert!(rig.sdk.recreate_stream(&stream).await.is_err());
}

/// Nothing was accepted, and nobody answers: there is nothing to wait for.
#[tokio::test]
async fn a_stream_that_never_connected_closes_at_once_if_it_is_empty() {
    let rig = Rig::with(&["stall:at=create"]).await;
    let start = || {
        let credentials = Credentials::client("id", "secret");
        let options = quick().recovery_timeout_ms(u64::MAX).flush_timeout_ms(200);
        rig.sdk.start_stream(credentials, &air(), options).unwrap()
    };
    let stream = start();
    tokio::time::sleep(MOMENT).await;
    stream.close().await.unwrap();
    assert_eq!(stream.state(), StreamState::Closed);
    let stream = start();
    ingest(&stream, 0, 2).await;
    let error = stream.close().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    assert_eq!(stream.state(), StreamState::Failed);
    assert_eq!(stream.unacknowledged().unwrap().len(), 2);
}

/// Promise: the time-out counts from `close`, also where the server does not even read.
#[tokio::test]
async fn close_has_its_time_out_whatever_the_server_does() {
    let rig = Rig::with(&["stall:after=1"]).await;
    let options = quick()
        .flush_timeout_ms(200)
        .server_lack_of_ack_timeout_ms(u64::MAX);
    let stream = rig.stream(options).await.unwrap();
    let large = AirQuality {
        device_name: Some("x".repeat(1_000_000)),
        ..row(1)
    };
    for _ in 0..60 {
        let ingest = stream.ingest_record(zerobus::Message(&large));
        ingest.await.unwrap();
    }
    let closed = tokio::time::timeout(LONG, stream.close()).await.unwrap();
    assert_eq!(closed.unwrap_err().kind(), ErrorKind::Timeout);
    assert!(!stream.unacknowledged().unwrap().is_empty());
}

/// Some programs drop what they have begun.
#[tokio::test]
async fn a_creation_that_is_given_up_leaves_nothing_behind() {
    let rig = Rig::with(&["delay:for=200ms,at=create,times=1"]).await;
    assert!(waits(Box::pin(rig.stream(quick()))).await);
    rig.open().await.close().await.unwrap();
}
