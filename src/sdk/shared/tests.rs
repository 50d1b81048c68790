//! The two sides of a stream's shared part, without a connection.

use std::sync::Arc;

use super::driven::offsets;
use super::*;
use crate::client::{Event, Source as _};
use crate::protocol::{BatchPart, Counts, Fault, FaultClass};
use crate::sdk::gather::{framed_len, put_record};

fn opened(options: &StreamOptions) -> Arc<Shared> {
    let shared = Arc::new(Shared::new(options, &Handle::current()));
    shared.on(Event::Opened {
        stream_id: "s".to_owned(),
        counts: Counts::default(),
    });
    shared
}

fn accept(shared: &Shared, record: &[u8]) -> u64 {
    let room = shared.try_room(1, record.len() + 2).unwrap();
    shared.accept(room, record).unwrap()
}

fn acknowledged(batch: &Batch) -> Event {
    Event::Acknowledged {
        parts: vec![BatchPart::from(batch)],
        counts: Counts::default(),
    }
}

/// What is accepted after a flush began travels by itself and is not waited for.
#[tokio::test]
async fn a_flush_does_not_wait_for_what_comes_later() {
    let shared = opened(&StreamOptions::new());
    accept(&shared, b"one");
    accept(&shared, b"two");
    let (flushed, flushing) = shared.flushing();
    assert_eq!(flushed, 0..2);
    assert_eq!(accept(&shared, b"later"), 2);
    let batch = shared.take().await.unwrap();
    assert_eq!((batch.id, batch.records), (0, 2));
    shared.on(acknowledged(&batch));
    assert!(matches!(shared.known(1), Some(Ok(()))));
    assert!(shared.known(2).is_none());
    drop(flushing);
    assert_eq!(shared.take().await.unwrap().id, 2);
}

/// Whoever ingests waits for a connection that does not keep up, and not where there is none.
#[tokio::test]
async fn more_is_not_accepted_than_the_connection_takes() {
    let options = StreamOptions::new();
    let shared = Arc::new(Shared::new(&options, &Handle::current()));
    let many = UNSENT_MAX * 2;
    for _ in 0..many {
        let room = shared.room(1, 3).await.unwrap();
        shared.accept(room, b"x").unwrap();
    }
    shared.on(Event::Opened {
        stream_id: String::new(),
        counts: Counts::default(),
    });
    let mut next = Box::pin(shared.room(1, 3));
    let poll = futures_util::poll!(&mut next);
    assert!(poll.is_pending());
    while shared.lock().gather.waiting() > UNSENT_MAX / 2 {
        assert!(futures_util::poll!(&mut next).is_pending());
        shared.take().await.unwrap();
    }
    shared.take().await.unwrap();
    assert!(futures_util::poll!(&mut next).is_ready());
}

/// Promise: whatever is acknowledged or refused, whole or in halves, each offset is told
/// right, and all room is given back.
#[tokio::test]
async fn each_offset_is_settled_once_and_room_comes_back() {
    for seed in 0..300 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let options = StreamOptions::new().max_inflight_records(40);
        let shared = opened(&options);
        let room = shared.bounds.left();
        let mut sent = VecDeque::new();
        let mut refused = Vec::new();
        let mut accepted = 0;
        let mut steps = 0;
        while accepted < 200 || !sent.is_empty() {
            steps += 1;
            assert!(steps < 100_000, "seed {seed}: no end");
            let record = vec![7; rng.usize(..200)];
            if accepted < 200 && rng.u8(..4) > 0 {
                let count = if rng.u8(..5) == 0 { rng.u32(1..60) } else { 0 };
                let mut body = Vec::new();
                (0..count).for_each(|_| put_record(&mut body, &record));
                let offset = match count {
                    0 => shared
                        .try_room(1, framed_len(record.len()))
                        .and_then(|room| shared.accept(room, &record)),
                    _ => shared
                        .try_room(count, body.len())
                        .and_then(|room| shared.accept_whole(room, count, body.into())),
                };
                match offset {
                    Ok(offset) => {
                        assert_eq!(offset, accepted, "seed {seed}");
                        accepted += 1;
                    }
                    Err(error) => assert_eq!(error.kind(), ErrorKind::Full),
                }
            }
            if rng.bool() && shared.lock().gather.waiting() > 0 {
                let (_, _flushing) = shared.flushing();
                sent.push_back(shared.take().await.unwrap());
            } else if let Some(batch) = sent.pop_front() {
                // A part of it, then the rest: a half, or all.
                let half = batch.records / 2;
                if half > 0 && !batch.whole && rng.bool() {
                    let mut rest = batch.clone();
                    for _ in 0..half {
                        crate::protocol::take_record(&mut rest.body).unwrap();
                    }
                    let first = batch.body.len() - rest.body.len();
                    let first = Batch {
                        records: half,
                        body: batch.body.slice(..first),
                        ..batch
                    };
                    (rest.first, rest.records) = (batch.first + half, batch.records - half);
                    sent.push_front(rest);
                    shared.on(acknowledged(&first));
                } else if (batch.whole || batch.records == 1) && rng.u8(..4) == 0 {
                    refused.push(offsets(&BatchPart::from(&batch)).0);
                    let fault = Fault::new(FaultClass::Invalid, "no");
                    shared.on(Event::Refused { batch, fault });
                } else {
                    shared.on(acknowledged(&batch));
                }
            }
            if accepted == 200 && sent.is_empty() && shared.lock().gather.waiting() > 0 {
                let (_, _flushing) = shared.flushing();
                sent.push_back(shared.take().await.unwrap());
            }
        }
        assert_eq!(shared.settled(), 200, "seed {seed}");
        for offset in 0..200 {
            let known = shared.known(offset).unwrap();
            assert_eq!(known.is_err(), refused.contains(&offset), "seed {seed}");
        }
        assert!(shared.lock().taken.is_empty());
        assert_eq!(shared.bounds.left(), room, "seed {seed}");
        assert_eq!(shared.refusals(0..200).is_err(), !refused.is_empty());
        let told = shared.lock().refused.before(200).count();
        assert_eq!(told, refused.len(), "seed {seed}");
    }
}
