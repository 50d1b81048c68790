//! Batches of the caller's own: one request, one offset, all or nothing.

use prost::Message as _;
use zerobus::{Encoded, ErrorKind, Message};

use super::*;

#[tokio::test]
async fn a_batch_has_one_offset_and_one_ack() {
    let rig = Rig::new().await;
    let stream = rig.open().await;
    let rows: Vec<_> = (0..100).map(row).collect();
    let ack = stream
        .ingest_records(rows.iter().map(Message))
        .await
        .unwrap();
    let ack = ack.unwrap();
    assert_eq!(ack.offset(), 0);
    ack.await.unwrap();
    assert_eq!(rig.landed(), each(0..100));
}

#[tokio::test]
async fn an_empty_batch_is_nothing() {
    let rig = Rig::new().await;
    let stream = rig.open().await;
    let none: [Json<&str>; 0] = [];
    assert!(stream.ingest_records(none).await.unwrap().is_none());
    ingest(&stream, 0, 2).await;
    assert!(stream.ingest_records(none).await.unwrap().is_none());
    let next = stream.ingest_record(json(2)).await.unwrap();
    assert_eq!(next.offset(), 2, "it took no offset");
    stream.close().await.unwrap();
}

#[tokio::test]
async fn batches_and_records_mix_in_order() {
    let rig = Rig::new().await;
    let stream = rig.open().await;
    let first = stream.ingest_record(json(0)).await.unwrap();
    let batch = stream.ingest_records([json(1), json(2)]).await.unwrap();
    let last = stream.ingest_record(json(3)).await.unwrap();
    let offsets = [first.offset(), batch.unwrap().offset(), last.offset()];
    assert_eq!(offsets, [0, 1, 2]);
    stream.flush().await.unwrap();
    assert_eq!(rig.landed(), [0, 1, 2, 3]);
}

#[tokio::test]
async fn a_batch_with_a_bad_record_is_not_accepted() {
    let rig = Rig::new().await;
    let stream = rig.open().await;
    let batch = [json(0), Json(r#"{"temp": "warm"}"#.to_owned()), json(2)];
    let error = stream.ingest_records(batch).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidRecord);
    assert!(
        error.message().starts_with("record 1 of the batch: "),
        "{error}"
    );
    assert!(error.message().contains("field \"temp\""), "{error}");
    stream.close().await.unwrap();
    assert!(rig.landed().is_empty());
}

#[tokio::test]
async fn a_batch_is_no_larger_than_a_request() {
    let rig = Rig::new().await;
    let stream = rig.open().await;
    let half = vec![0; 5_300_000];
    let batch = [Encoded(&half), Encoded(&half)];
    let error = stream.ingest_records(batch).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidRecord);
    assert!(
        error.message().contains("a request takes 10420224"),
        "{error}"
    );
    let large = AirQuality {
        device_name: Some("x".repeat(5_000_000)),
        ..row(1)
    };
    let batch = stream
        .ingest_records([Message(&large), Message(&large)])
        .await;
    batch.unwrap().unwrap().await.unwrap();
    stream.close().await.unwrap();
    assert_eq!(rig.landed(), [1, 1]);
}

/// The service refuses a whole batch as one, and takes what is around it.
#[tokio::test]
async fn a_batch_that_the_service_refuses_is_refused_whole() {
    let rig = Rig::with(&["refuse-row:contains=poison"]).await;
    let stream = rig.open().await;
    let before = ingest(&stream, 0, 3).await;
    let poison = AirQuality {
        device_name: Some("poison".to_owned()),
        ..row(11)
    };
    let rows = [row(10), poison, row(12)];
    let batch = stream.ingest_records(rows.iter().map(Message)).await;
    let batch = batch.unwrap().unwrap();
    let after = ingest(&stream, 20, 3).await;
    for ack in before.into_iter().chain(after) {
        ack.await.unwrap();
    }
    let error = batch.await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused);
    assert!(!error.is_retryable());
    let error = stream.close().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused);
    assert!(error.message().contains("offset 3"), "{error}");
    assert_eq!(rig.landed(), [0, 1, 2, 20, 21, 22]);
    let left = stream.unacknowledged().unwrap();
    assert_eq!(left.len(), 1);
    assert!(left[0].is_batch && left[0].refused.is_some());
    let sent: Vec<_> = rows.iter().map(|row| row.encode_to_vec()).collect();
    assert_eq!(left[0].records, sent);
}

/// Of records that came one by one, only the bad one is refused.
#[tokio::test]
async fn a_record_that_the_service_refuses_is_refused_alone() {
    let rig = Rig::with(&["refuse-row:contains=poison"]).await;
    let stream = rig.open().await;
    let mut acks = ingest(&stream, 0, 20).await;
    let poison = Json(r#"{"device_name": "poison", "humidity": 99}"#);
    let refused = stream.ingest_record(poison).await.unwrap();
    acks.extend(ingest(&stream, 20, 20).await);
    let error = stream.flush().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused);
    for ack in acks {
        ack.await.unwrap();
    }
    assert_eq!(refused.await.unwrap_err().kind(), ErrorKind::Refused);
    assert_eq!(rig.landed(), each(0..40));
    // A flush tells of it once, and the end again.
    ingest(&stream, 40, 1).await;
    stream.flush().await.unwrap();
    assert_eq!(stream.close().await.unwrap_err().kind(), ErrorKind::Refused);
    assert_eq!(stream.state(), zerobus::StreamState::Closed);
    let left = stream.unacknowledged().unwrap();
    let offsets: Vec<_> = left.iter().map(|item| item.offset).collect();
    assert_eq!(offsets, [20]);
}

#[tokio::test]
async fn every_flush_that_waited_for_a_refused_record_says_so() {
    let rig = Rig::with(&["refuse-row:contains=poison", "delay:for=50ms"]).await;
    let stream = rig.open().await;
    ingest(&stream, 0, 3).await;
    let poison = || Json(r#"{"device_name": "poison"}"#);
    stream.ingest_record(poison()).await.unwrap();
    let (one, other) = tokio::join!(stream.flush(), stream.flush());
    assert_eq!(one.unwrap_err().kind(), ErrorKind::Refused);
    assert_eq!(other.unwrap_err().kind(), ErrorKind::Refused);
    stream.flush().await.unwrap();
}

/// A stream that lives long has seen bad records before.
#[tokio::test]
async fn a_stream_survives_many_refused_records() {
    let rig = Rig::with(&["refuse-row:contains=poison"]).await;
    let stream = rig.open().await;
    for n in 0..100 {
        let poison = Json(r#"{"device_name": "poison"}"#);
        let refused = stream.ingest_record(poison).await.unwrap();
        let good = stream.ingest_record(json(n)).await.unwrap();
        assert_eq!(refused.await.unwrap_err().kind(), ErrorKind::Refused);
        good.await.unwrap();
    }
    let error = stream.close().await.unwrap_err();
    assert!(error.message().ends_with("99 more were refused"), "{error}");
    assert_eq!(stream.unacknowledged().unwrap().len(), 100);
    assert_eq!(rig.landed().len(), 100);
}

/// Twenty records refused and none accepted: it is the schema, and the stream fails.
#[tokio::test]
async fn a_stream_of_refused_records_fails_and_says_which() {
    let rig = Rig::with(&["refuse-row:contains=d"]).await;
    let stream = rig.open().await;
    ingest(&stream, 0, 30).await;
    let error = stream.close().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused);
    assert_eq!(stream.state(), zerobus::StreamState::Failed);
    let left = stream.unacknowledged().unwrap();
    let offsets: Vec<_> = left.iter().map(|item| item.offset).collect();
    assert_eq!(offsets, (0..30).collect::<Vec<i64>>());
    let refused = left.iter().filter(|item| item.refused.is_some());
    assert_eq!(refused.count(), 20);
    assert!(left.iter().all(|item| item.records.len() == 1));
}
