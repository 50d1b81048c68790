//! Lost connections, close signals, and what is left after a failure.

use zerobus::{ErrorKind, StreamState};

use super::*;

/// Each landed at least once, in order, and nothing else did.
fn landed_once_or_more(rig: &Rig, numbers: std::ops::Range<u64>) {
    let mut landed = rig.landed();
    landed.sort_unstable();
    landed.dedup();
    assert_eq!(landed, each(numbers));
}

#[tokio::test]
async fn offsets_and_acks_outlive_lost_connections() {
    for fault in [
        "drop:after=50,times=3",
        "fail:after=50,times=3",
        "fail:after=50,times=3,status=INTERNAL",
        "throttle:after=50,times=3,retry-after=1s",
        "wrong-ack:after=50,times=3",
        "expire-tokens:after=50,times=3",
    ] {
        let rig = Rig::with(&[fault]).await;
        let stream = rig.open().await;
        let acks = ingest(&stream, 0, 500).await;
        for (n, ack) in acks.into_iter().enumerate() {
            assert_eq!(ack.offset(), n as i64);
            ack.await.unwrap_or_else(|e| panic!("{fault}: {e}"));
        }
        stream.close().await.unwrap();
        landed_once_or_more(&rig, 0..500);
    }
}

#[tokio::test]
async fn a_server_that_acknowledges_nothing_is_left() {
    let rig = Rig::with(&["stall:after=1,times=1"]).await;
    let options = quick().server_lack_of_ack_timeout_ms(100);
    let stream = rig.stream(options).await.unwrap();
    ingest(&stream, 0, 5).await;
    stream.flush().await.unwrap();
    landed_once_or_more(&rig, 0..5);
}

#[tokio::test]
async fn without_recovery_a_silent_server_fails_the_stream() {
    let rig = Rig::with(&["delay:for=1h"]).await;
    let options = quick().recovery(false).server_lack_of_ack_timeout_ms(100);
    let stream = rig.stream(options).await.unwrap();
    let ack = stream.ingest_record(json(0)).await.unwrap();
    let error = ack.await.unwrap_err();
    assert!(error.is_retryable());
    assert!(error.message().contains("acknowledged nothing"), "{error}");
}

/// While the server is away the stream says so, and accepts.
#[tokio::test]
async fn a_recovering_stream_accepts_and_says_so() {
    let rig = Rig::with(&["fail:after=1,times=1"]).await;
    let stream = rig.stream(quick().recovery_backoff_ms(200)).await.unwrap();
    let id = stream.stream_id();
    ingest(&stream, 0, 1).await;
    until(|| stream.state() == StreamState::Recovering).await;
    ingest(&stream, 1, 9).await;
    stream.flush().await.unwrap();
    assert_eq!(stream.state(), StreamState::Opened);
    assert_ne!(stream.stream_id(), id, "the server gives another");
    landed_once_or_more(&rig, 0..10);
}

#[tokio::test]
async fn retries_that_are_used_up_tell_the_last_error() {
    let rig = Rig::with(&[
        "fail:after=1",
        "fail:at=create,every=2,message=not any more",
    ])
    .await;
    let options = quick().recovery_retries(0);
    let stream = rig.stream(options).await.unwrap();
    let ack = stream.ingest_record(json(0)).await.unwrap();
    let _ = ack.await;
    until(|| stream.state() == StreamState::Failed).await;
    let error = stream.flush().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
}

/// Batches are sent again as they were: each is in the table whole, or not at all.
#[tokio::test]
async fn recovery_keeps_batches_together() {
    let rig = Rig::with(&["drop:after=10,times=5", "delay:for=20ms"]).await;
    let stream = rig.stream(quick().recovery_retries(9)).await.unwrap();
    let mut acks = Vec::new();
    for n in 0..20 {
        acks.push(stream.ingest_record(json(n * 4)).await.unwrap());
        let batch = [json(n * 4 + 1), json(n * 4 + 2), json(n * 4 + 3)];
        acks.push(stream.ingest_records(batch).await.unwrap().unwrap());
    }
    for (n, ack) in acks.into_iter().enumerate() {
        assert_eq!(ack.offset(), n as i64);
        ack.await.unwrap();
    }
    stream.close().await.unwrap();
    let landed = rig.landed();
    for (at, number) in landed.iter().enumerate() {
        if number % 4 == 1 {
            assert_eq!(landed[at..at + 3], [*number, number + 1, number + 2]);
        }
    }
    landed_once_or_more(&rig, 0..80);
}

/// A rotation is no failure: nothing is sent twice, and the stream is open all the while.
#[tokio::test]
async fn a_close_signal_is_waited_out_and_nothing_sent_twice() {
    let rig = Rig::with(&["close:after=10,grace=10s,times=3", "delay:for=20ms"]).await;
    let stream = rig.open().await;
    let id = stream.stream_id();
    for n in 0..20 {
        let acks = ingest(&stream, n * 5, 5).await;
        assert_eq!(stream.state(), StreamState::Opened);
        for ack in acks {
            ack.await.unwrap();
        }
    }
    stream.close().await.unwrap();
    assert_ne!(stream.stream_id(), id);
    assert_eq!(rig.landed(), each(0..100));
}

/// Acknowledgements would take longer than one cares to wait: the next connection is opened
/// at once, and what is outstanding sent again.
#[tokio::test]
async fn a_close_signal_need_not_be_waited_out() {
    let rig = Rig::with(&[
        "close:after=3,grace=1h,times=1",
        "delay:for=1h,after=3,times=1",
    ])
    .await;
    let options = quick().stream_paused_max_wait_time_ms(Some(0));
    let stream = rig.stream(options).await.unwrap();
    for ack in ingest(&stream, 0, 2).await {
        ack.await.unwrap();
    }
    let open = ingest(&stream, 2, 3).await;
    for ack in open {
        tokio::time::timeout(LONG, ack).await.unwrap().unwrap();
    }
    landed_once_or_more(&rig, 0..5);
}

#[tokio::test]
async fn what_is_left_is_told_in_order_and_as_it_came() {
    let rig = Rig::with(&["delay:for=1h,after=4"]).await;
    let options = quick().recovery(false).server_lack_of_ack_timeout_ms(200);
    let stream = rig.stream(options).await.unwrap();
    for ack in ingest(&stream, 0, 3).await {
        ack.await.unwrap();
    }
    let mut acks = ingest(&stream, 3, 2).await;
    let batch = [json(5), json(6), json(7)];
    acks.push(stream.ingest_records(batch).await.unwrap().unwrap());
    acks.extend(ingest(&stream, 8, 1).await);
    until(|| stream.state() == StreamState::Failed).await;
    let left = stream.unacknowledged().unwrap();
    let mut failed = Vec::new();
    for ack in acks {
        let offset = ack.offset();
        failed.extend(ack.await.is_err().then_some(offset));
    }
    let offsets: Vec<_> = left.iter().map(|item| item.offset).collect();
    assert_eq!(offsets, failed);
    assert!(offsets.ends_with(&[5, 6]), "{offsets:?}");
    let shapes: Vec<_> = left.iter().map(|i| (i.is_batch, i.records.len())).collect();
    assert!(shapes.ends_with(&[(true, 3), (false, 1)]), "{shapes:?}");
    assert!(left.iter().all(|item| item.refused.is_none()));
    let again = stream.unacknowledged().unwrap();
    assert_eq!(again.len(), left.len(), "asking changes nothing");
}

#[tokio::test]
async fn a_stream_is_recreated_with_what_the_first_has_left() {
    let rig = Rig::with(&["stall:after=3,times=1"]).await;
    let options = quick().recovery(false).server_lack_of_ack_timeout_ms(200);
    let stream = rig.stream(options).await.unwrap();
    for ack in ingest(&stream, 0, 2).await {
        ack.await.unwrap();
    }
    ingest(&stream, 2, 1).await;
    let batch = [json(3), json(4)];
    stream.ingest_records(batch).await.unwrap();
    ingest(&stream, 5, 3).await;
    until(|| stream.state() == StreamState::Failed).await;
    let again = rig.sdk.recreate_stream(&stream).await.unwrap();
    again.close().await.unwrap();
    landed_once_or_more(&rig, 0..8);
}
