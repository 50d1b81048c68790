//! What may be in flight, and flushing.

use zerobus::{ErrorKind, StreamState};

use super::*;

/// Acknowledgements come so late that a test sees what waits for them.
const LATE: &str = "delay:for=300ms";

#[tokio::test]
async fn ingesting_waits_once_as_many_are_in_flight_as_may_be() {
    let rig = Rig::with(&[LATE]).await;
    let stream = rig.stream(quick().max_inflight_records(10)).await.unwrap();
    let acks = ingest(&stream, 0, 10).await;
    let full = stream.try_ingest_record(json(10)).unwrap_err();
    assert_eq!(full.kind(), ErrorKind::Full);
    assert!(full.is_retryable());
    let mut next = Box::pin(stream.ingest_record(json(10)));
    assert!(waits(&mut next).await);
    assert!(!acks[0].is_done());
    let next = next.await.unwrap();
    assert!(acks[0].is_done(), "there was no room before");
    assert_eq!(next.offset(), 10, "what was refused room took no offset");
    for (n, ack) in ingest(&stream, 11, 4).await.into_iter().enumerate() {
        assert_eq!(ack.offset(), 11 + n as i64);
        ack.await.unwrap();
    }
    assert_eq!(rig.landed(), each(0..15));
}

#[tokio::test]
async fn a_batch_waits_for_room_for_all_of_it() {
    let rig = Rig::with(&[LATE]).await;
    let stream = rig.stream(quick().max_inflight_records(4)).await.unwrap();
    ingest(&stream, 0, 2).await;
    let batch = [json(2), json(3), json(4)];
    let mut batch = Box::pin(stream.ingest_records(batch));
    assert!(waits(&mut batch).await);
    batch.await.unwrap().unwrap().await.unwrap();
    // One that is larger than the bound goes alone.
    let batch = stream.ingest_records((5..15).map(json)).await.unwrap();
    assert!(waits(Box::pin(stream.ingest_record(json(15)))).await);
    batch.unwrap().await.unwrap();
    stream.close().await.unwrap();
    assert_eq!(rig.landed(), each(0..15));
}

#[tokio::test]
async fn bytes_in_flight_are_bounded_too() {
    let rig = Rig::with(&[LATE]).await;
    // Room for two of the largest, and not for three.
    let stream = rig.stream(quick().max_inflight_bytes(25_000_000)).await;
    let stream = stream.unwrap();
    let large = AirQuality {
        device_name: Some("x".repeat(10_000_000)),
        ..row(1)
    };
    let large = || stream.ingest_record(zerobus::Message(&large));
    let first = large().await.unwrap();
    large().await.unwrap();
    assert!(waits(Box::pin(large())).await);
    first.await.unwrap();
    large().await.unwrap();
    stream.close().await.unwrap();
    assert_eq!(rig.landed(), [1, 1, 1], "what was given up is not there");
}

/// Whoever stops waiting for room has ingested nothing, and gives back what it had.
#[tokio::test]
async fn giving_up_while_waiting_for_room_loses_none() {
    let rig = Rig::with(&["delay:for=1s"]).await;
    let stream = rig.stream(quick().max_inflight_records(2)).await.unwrap();
    ingest(&stream, 0, 2).await;
    for n in 100..103 {
        assert!(waits(Box::pin(stream.ingest_record(json(n)))).await);
        assert!(waits(Box::pin(stream.ingest_records([json(n), json(n)]))).await);
    }
    stream.flush().await.unwrap();
    ingest(&stream, 2, 2).await;
    stream.close().await.unwrap();
    assert_eq!(rig.landed(), [0, 1, 2, 3]);
}

#[tokio::test]
async fn flush_waits_for_all_and_leaves_the_stream_open() {
    let rig = Rig::with(&["delay:for=100ms"]).await;
    let stream = rig.open().await;
    let acks = ingest(&stream, 0, 5).await;
    stream.flush().await.unwrap();
    assert!(acks.iter().all(Ack::is_done));
    assert_eq!(stream.state(), StreamState::Opened);
    assert_eq!(rig.landed(), each(0..5));
    ingest(&stream, 5, 1).await;
    stream.close().await.unwrap();
}

#[tokio::test]
async fn a_stream_that_is_flushed_says_so_and_accepts() {
    let rig = Rig::with(&[LATE]).await;
    let stream = rig.open().await;
    let before = ingest(&stream, 0, 10).await;
    let mut flush = Box::pin(stream.flush());
    assert!(waits(&mut flush).await);
    assert_eq!(stream.state(), StreamState::Flushing);
    ingest(&stream, 10, 5).await;
    flush.await.unwrap();
    assert!(before.iter().all(Ack::is_done));
    assert_eq!(stream.state(), StreamState::Opened);
    stream.flush().await.unwrap();
    assert_eq!(rig.landed(), each(0..15));
}

#[tokio::test]
async fn nothing_to_flush_is_flushed() {
    let rig = Rig::new().await;
    let stream = rig.open().await;
    stream.flush().await.unwrap();
    stream.close().await.unwrap();
    stream.flush().await.unwrap();
}

/// The stream goes on: a later flush may succeed.
#[tokio::test]
async fn flush_has_its_time_out() {
    let rig = Rig::with(&[LATE]).await;
    let stream = rig.stream(quick().flush_timeout_ms(50)).await.unwrap();
    let mut acks = ingest(&stream, 0, 1).await;
    let error = stream.flush().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(error.is_retryable());
    assert_eq!(stream.state(), StreamState::Opened);
    let late = acks[0].wait_for_ack(Some(MOMENT)).await.unwrap_err();
    assert_eq!(late.kind(), ErrorKind::Timeout);
    acks[0].wait_for_ack(Some(LONG)).await.unwrap();
    stream.flush().await.unwrap();
}

/// Nobody flushes, nobody waits: records go out by themselves.
#[tokio::test]
async fn records_do_not_wait_to_be_flushed() {
    let rig = Rig::new().await;
    let stream = rig.open().await;
    let acks = ingest(&stream, 0, 100).await;
    until(|| acks.iter().all(Ack::is_done)).await;
    assert_eq!(rig.landed(), each(0..100));
}

#[tokio::test]
async fn an_ack_may_be_waited_for_by_many_and_dropped_by_some() {
    let rig = Rig::with(&["delay:for=100ms"]).await;
    let stream = rig.open().await;
    let ack = stream.ingest_record(json(0)).await.unwrap();
    let mut given_up = Box::pin(ack.clone());
    assert!(waits(&mut given_up).await);
    drop(given_up);
    let waiting: Vec<_> = (0..10).map(|_| tokio::spawn(ack.clone())).collect();
    let (told, tell) = tokio::sync::oneshot::channel();
    ack.add_done_callback(|known| told.send(known).unwrap());
    assert!(!ack.is_done());
    for one in waiting {
        one.await.unwrap().unwrap();
    }
    tell.await.unwrap().unwrap();
    let (told, tell) = tokio::sync::oneshot::channel();
    ack.add_done_callback(|known| told.send(known).unwrap());
    tell.await.unwrap().unwrap();
    assert!(ack.is_done());
    assert_eq!(format!("{ack:?}"), "Ack { offset: 0, is_done: true }");
}

#[tokio::test]
async fn the_least_of_everything_is_one_record_at_a_time() {
    let rig = Rig::new().await;
    let options = quick()
        .max_inflight_records(0)
        .max_inflight_bytes(0)
        .linger_ms(0);
    let stream = rig.stream(options).await.unwrap();
    let acks = ingest(&stream, 0, 20).await;
    assert!(acks[..19].iter().all(Ack::is_done));
    let batch = stream.ingest_records((20..30).map(json)).await.unwrap();
    batch.unwrap().await.unwrap();
    stream.close().await.unwrap();
    let mut landed = rig.landed();
    landed.sort_unstable();
    assert_eq!(landed, each(0..30));
}
