//! The state machine by itself; against a model server in `model`.

use std::collections::VecDeque;

use bytes::Bytes;

use super::*;

mod model;

const SECOND: Duration = Duration::from_secs(1);

fn batch(records: u32) -> Batch {
    Batch {
        id: u64::from(records),
        first: 0,
        records,
        body: Bytes::from(vec![0; records as usize]),
        whole: false,
    }
}

fn actions(stream: &mut Stream, now: Now) -> Vec<Action> {
    std::iter::from_fn(|| stream.poll(now, true)).collect()
}

fn acknowledged(records: &[u32]) -> Action {
    let parts = records.iter().map(|&records| BatchPart {
        id: records.into(),
        first: 0,
        records,
        bytes: records as usize,
        whole: false,
    });
    Action::Acknowledged {
        parts: parts.collect(),
    }
}

fn opened(config: Config) -> Stream {
    let mut stream = Stream::new(config, Now::ZERO);
    assert_eq!(actions(&mut stream, Now::ZERO), [Action::Connect]);
    stream.on_opened(Now::ZERO);
    stream
}

#[test]
fn a_load_without_faults_sends_acknowledges_and_closes() {
    let mut stream = opened(Config::default());
    stream.push(batch(3));
    stream.push(batch(4));
    let sent = actions(&mut stream, SECOND);
    assert!(matches!(
        sent[..],
        [
            Action::Send { offset: 0, .. },
            Action::Send { offset: 1, .. }
        ]
    ));
    stream.finish(SECOND);
    stream.on_ack(SECOND, 1);
    assert_eq!(
        actions(&mut stream, SECOND),
        [acknowledged(&[3, 4]), Action::HalfClose]
    );
    stream.on_fault(SECOND, Fault::transient("ended with OK"));
    assert_eq!(stream.state(), &State::Closed);
    assert_eq!(stream.counts().acknowledged, 7);
}

#[test]
fn an_empty_load_opens_and_closes_a_stream() {
    let mut stream = Stream::new(Config::default(), Now::ZERO);
    stream.finish(Now::ZERO);
    assert_eq!(actions(&mut stream, Now::ZERO), [Action::Connect]);
    stream.on_opened(SECOND);
    assert_eq!(actions(&mut stream, SECOND), [Action::HalfClose]);
}

#[test]
fn the_window_is_bounded_in_records_and_in_bytes() {
    let mut stream = opened(Config {
        max_inflight_records: 10,
        max_inflight_bytes: 100,
        ..Config::default()
    });
    assert!(stream.has_room(&batch(11)), "alone, whatever its size");
    stream.push(batch(6));
    assert!(stream.has_room(&batch(4)));
    assert!(!stream.has_room(&batch(5)));
    let heavy = Batch {
        id: 0,
        first: 0,
        records: 1,
        body: Bytes::from(vec![0; 95]),
        whole: false,
    };
    assert!(!stream.has_room(&heavy));
}

#[test]
fn an_acknowledgement_of_what_was_never_sent_breaks_the_connection() {
    for wrong in [2, i64::MAX, -5] {
        let mut stream = opened(Config::default());
        stream.push(batch(1));
        stream.push(batch(1));
        actions(&mut stream, Now::ZERO);
        stream.on_ack(SECOND, wrong);
        assert!(matches!(stream.state(), State::Waiting { .. }), "{wrong}");
        assert_eq!(stream.counts().acknowledged, 0);
    }
}

#[test]
fn a_repeated_acknowledgement_changes_nothing() {
    let mut stream = opened(Config::default());
    stream.push(batch(1));
    stream.push(batch(1));
    actions(&mut stream, Now::ZERO);
    stream.on_ack(SECOND, 0);
    stream.on_ack(SECOND, 0);
    assert_eq!(stream.state(), &State::Open);
    assert_eq!(stream.counts().acknowledged, 1);
}

#[test]
fn after_a_fault_what_is_unacknowledged_is_sent_again_from_offset_zero() {
    let mut stream = opened(Config::default());
    for records in [1, 2, 3] {
        stream.push(batch(records));
    }
    actions(&mut stream, Now::ZERO);
    stream.on_ack(SECOND, 0);
    stream.on_fault(SECOND, Fault::transient("gone"));
    let State::Waiting { until } = *stream.state() else {
        panic!("{:?}", stream.state());
    };
    assert!(until >= SECOND + Config::default().recovery_backoff);
    assert_eq!(stream.in_doubt().iter().map(|p| p.records).sum::<u32>(), 5);
    actions(&mut stream, SECOND);
    stream.on_time(until);
    assert_eq!(actions(&mut stream, until), [Action::Connect]);
    stream.on_opened(until);
    let again: Vec<(i64, u32)> = actions(&mut stream, until)
        .into_iter()
        .map(|action| match action {
            Action::Send { offset, batch } => (offset, batch.records),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(again, [(0, 2), (1, 3)]);
    assert_eq!(stream.counts().resent, 5);
    assert_eq!(stream.counts().reconnects, 1);
}

#[test]
fn the_ack_timer_runs_only_while_something_is_outstanding() {
    let mut stream = opened(Config::default());
    let idle = Duration::from_secs(3_600);
    assert_eq!(stream.next_wakeup(), None);
    stream.push(batch(1));
    actions(&mut stream, idle);
    assert_eq!(
        stream.next_wakeup(),
        Some(idle + Config::default().ack_timeout)
    );
    stream.on_ack(idle + SECOND, 0);
    assert_eq!(stream.next_wakeup(), None);
}

#[test]
fn retries_before_the_first_acknowledgement_are_counted() {
    let mut stream = Stream::new(Config::default(), Now::ZERO);
    let mut now = Now::ZERO;
    let mut attempts = 0;
    while !matches!(stream.state(), State::Failed(_)) {
        attempts += actions(&mut stream, now)
            .iter()
            .filter(|a| **a == Action::Connect)
            .count();
        match *stream.state() {
            State::Connecting { .. } => stream.on_fault(now, Fault::transient("refused")),
            State::Waiting { until } => {
                now = until;
                stream.on_time(now);
            }
            ref other => panic!("{other:?}"),
        }
    }
    assert_eq!(attempts, 4, "one attempt and three retries");
}

#[test]
fn what_will_be_refused_again_is_not_tried_again() {
    for class in [
        FaultClass::Invalid,
        FaultClass::Refused,
        FaultClass::Credentials,
        FaultClass::NotFound,
    ] {
        let mut stream = Stream::new(Config::default(), Now::ZERO);
        stream.on_fault(SECOND, Fault::new(class, "no"));
        assert!(matches!(stream.state(), State::Failed(_)));
    }
}

#[test]
fn throttling_spends_no_retries() {
    let mut stream = Stream::new(Config::default(), Now::ZERO);
    let mut now = Now::ZERO;
    for _ in 0..50 {
        stream.on_fault(
            now,
            Fault::new(FaultClass::Throttled(Some(SECOND * 3)), "slower"),
        );
        now += SECOND * 3;
        stream.on_time(now);
        assert!(matches!(stream.state(), State::Connecting { .. }));
    }
    assert_eq!(stream.counts().throttled, SECOND * 150);
}

#[test]
fn throttling_without_a_time_waits_longer_and_longer_and_sends_less() {
    let config = Config::default();
    let mut stream = opened(config.clone());
    for id in 0..8 {
        stream.push(batch_of(id, &[1]));
    }
    let mut now = Now::ZERO;
    let mut waits = Vec::new();
    let mut sent = Vec::new();
    for _ in 0..4 {
        let sends = |a: &Action| matches!(a, Action::Send { .. });
        sent.push(actions(&mut stream, now).into_iter().filter(sends).count());
        stream.on_fault(now, Fault::new(FaultClass::Throttled(None), "slower"));
        let State::Waiting { until } = *stream.state() else {
            panic!("{:?}", stream.state());
        };
        waits.push(until - now);
        now = until;
        stream.on_time(now);
        stream.on_opened(now);
    }
    assert_eq!(sent, [8, 4, 2, 1]);
    assert!(waits.windows(2).all(|w| w[1] > w[0]), "{waits:?}");
    assert!(waits[0] >= config.recovery_backoff);
    // Each acknowledgement lets more through.
    actions(&mut stream, now);
    stream.on_ack(now, 0);
    let again = actions(&mut stream, now);
    assert_eq!(
        again.len(),
        3,
        "an acknowledgement and two batches: {again:?}"
    );
}

#[test]
fn a_close_signal_drains_and_reconnects_without_resending() {
    let mut stream = opened(Config::default());
    stream.push(batch(1));
    actions(&mut stream, Now::ZERO);
    stream.on_close_signal(Now::ZERO, SECOND * 10);
    stream.push(batch(2));
    assert_eq!(
        actions(&mut stream, Now::ZERO),
        [],
        "nothing is sent while draining"
    );
    stream.on_ack(SECOND, 0);
    assert_eq!(
        actions(&mut stream, SECOND),
        [
            acknowledged(&[1]),
            Action::HalfClose,
            Action::Disconnect,
            Action::Connect
        ]
    );
    stream.on_opened(SECOND);
    assert!(matches!(
        actions(&mut stream, SECOND)[..],
        [Action::Send { offset: 0, .. }]
    ));
    let counts = stream.counts();
    assert_eq!(
        (counts.rotations, counts.resent, counts.reconnects),
        (1, 0, 0)
    );
}

#[test]
fn after_the_grace_late_acknowledgements_are_taken_for_a_moment() {
    for (drain_max, grace) in [(None, SECOND), (Some(Duration::ZERO), Duration::ZERO)] {
        let mut stream = opened(Config {
            drain_max,
            ..Config::default()
        });
        stream.push(batch(1));
        stream.push(batch(2));
        stream.push(batch(3));
        actions(&mut stream, Now::ZERO);
        stream.on_ack(Now::ZERO, 0);
        actions(&mut stream, Now::ZERO);
        stream.on_close_signal(Now::ZERO, SECOND);
        assert_eq!(stream.next_wakeup(), Some(grace));
        stream.on_time(grace);
        assert_eq!(actions(&mut stream, grace), [Action::HalfClose]);
        // One is late, the other does not come.
        stream.on_ack(grace, 1);
        assert_eq!(actions(&mut stream, grace), [acknowledged(&[2])]);
        let end = stream.next_wakeup().unwrap();
        assert_eq!(end, grace + LATE_ACKS_MAX);
        stream.on_time(end);
        let reconnects = [Action::Disconnect, Action::Connect];
        assert_eq!(actions(&mut stream, end), reconnects);
        stream.on_opened(end);
        actions(&mut stream, end);
        assert_eq!(stream.counts().resent, 3);
    }
}

/// Promise: a record that comes after an idle rotation does not wait for the next connection.
#[test]
fn an_idle_connection_that_served_long_is_replaced_at_once() {
    let mut stream = opened(Config::default());
    let mut now = Now::ZERO;
    for _ in 0..10 {
        now += 900 * SECOND;
        stream.on_close_signal(now, SECOND);
        let actions = actions(&mut stream, now);
        assert_eq!(
            actions,
            [Action::HalfClose, Action::Disconnect, Action::Connect]
        );
        stream.on_opened(now);
    }
}

#[test]
fn without_recovery_nothing_is_sent_twice_after_a_close_signal() {
    let mut stream = opened(Config {
        recovery: false,
        ..Config::default()
    });
    stream.push(batch(1));
    stream.push(batch(2));
    actions(&mut stream, Now::ZERO);
    stream.on_ack(Now::ZERO, 0);
    stream.on_close_signal(Now::ZERO, SECOND);
    stream.on_fault(SECOND, Fault::transient("the end"));
    assert!(matches!(stream.state(), State::Failed(_)));
    assert_eq!(stream.in_doubt().len(), 1);
}

#[test]
fn a_server_that_signals_close_at_every_start_is_not_asked_without_a_pause() {
    let mut stream = opened(Config::default());
    stream.push(batch(1));
    stream.on_close_signal(Now::ZERO, SECOND);
    assert!(matches!(stream.state(), State::Waiting { until } if *until >= SECOND * 2));
}

#[test]
fn flushing_has_its_time() {
    let mut stream = opened(Config::default());
    stream.push(batch(1));
    actions(&mut stream, Now::ZERO);
    stream.finish(Now::ZERO);
    for t in (0..=300).step_by(20).map(Duration::from_secs) {
        stream.on_time(t);
        if matches!(stream.state(), State::Connecting { .. }) {
            stream.on_opened(t);
        }
    }
    assert!(matches!(stream.state(), State::Failed(_)));
}

#[test]
fn a_connection_that_idles_and_ends_spends_nothing() {
    let mut stream = Stream::new(Config::default(), Now::ZERO);
    let mut now = Now::ZERO;
    for _ in 0..20 {
        stream.on_opened(now);
        now += Duration::from_secs(900);
        stream.on_fault(now, Fault::transient("idle for too long"));
        let State::Waiting { until } = *stream.state() else {
            panic!("{:?}", stream.state());
        };
        now = until;
        stream.on_time(now);
    }
}

#[test]
fn throttling_without_end_ends_at_the_deadline() {
    let mut stream = Stream::new(Config::default(), Now::ZERO);
    let mut now = Now::ZERO;
    while !matches!(stream.state(), State::Failed(_)) {
        stream.on_fault(
            now,
            Fault::new(FaultClass::Throttled(Some(Duration::ZERO)), "slower"),
        );
        now += Config::default().recovery_backoff;
        stream.on_time(now);
        assert!(now < Duration::from_secs(700));
    }
    assert!(now >= RECOVERY_DEADLINE);
}

#[test]
fn an_answer_that_cannot_be_read_is_counted_after_acknowledgements_too() {
    let mut stream = opened(Config::default());
    stream.push(batch(1));
    stream.push(batch(2));
    let mut now = SECOND;
    actions(&mut stream, now);
    stream.on_ack(now, 0);
    let mut attempts = 0;
    while !matches!(stream.state(), State::Failed(_)) {
        attempts += 1;
        stream.on_fault(now, Fault::new(FaultClass::Unreadable, "too long"));
        now += Duration::from_secs(30);
        stream.on_time(now);
        stream.on_opened(now);
        actions(&mut stream, now);
    }
    assert_eq!(attempts, Config::default().recovery_retries + 1);
    assert_eq!(stream.in_doubt().len(), 1);
}

/// A batch whose records are these bytes.
fn batch_of(id: u64, records: &[u8]) -> Batch {
    Batch {
        id,
        first: 0,
        records: records.len() as u32,
        body: records.iter().flat_map(|&r| [10, 1, r]).collect(),
        whole: false,
    }
}

/// The records of such a batch.
fn records_of(batch: &Batch) -> Vec<u8> {
    batch.body.chunks(3).map(|record| record[2]).collect()
}

fn refused() -> Fault {
    Fault::new(FaultClass::Invalid, "no")
}

/// Sends what there is to an open stream and refuses whatever holds one of `poison`, until
/// all is settled or the stream fails; returns the accepted and the refused records.
fn settle(stream: &mut Stream, poison: &[u8]) -> (Vec<u8>, Vec<(u64, u32)>) {
    let (mut accepted, mut rejected) = (Vec::new(), Vec::new());
    let mut under_way: VecDeque<(i64, Batch)> = VecDeque::new();
    for _ in 0..2_000 {
        for action in actions(stream, SECOND) {
            match action {
                Action::Send { offset, batch } => under_way.push_back((offset, batch)),
                Action::Disconnect => under_way.clear(),
                Action::Refused { batch, .. } => rejected.push((batch.id, batch.first)),
                Action::Connect
                | Action::HalfClose
                | Action::Acknowledged { .. }
                | Action::Recovering { .. } => {}
            }
        }
        match stream.state() {
            State::Connecting { .. } => stream.on_opened(SECOND),
            State::Closing { .. } => stream.on_fault(SECOND, Fault::transient("OK")),
            State::Closed | State::Failed(_) => break,
            State::Open | State::Draining { .. } | State::Waiting { .. } => {
                let Some((offset, batch)) = under_way.pop_front() else {
                    break;
                };
                let records = records_of(&batch);
                if records.iter().any(|r| poison.contains(r)) {
                    stream.on_fault(SECOND, refused());
                } else {
                    accepted.extend(records);
                    stream.on_ack(SECOND, offset);
                }
            }
        }
    }
    (accepted, rejected)
}

#[test]
fn a_poison_record_is_found_and_all_others_get_through() {
    let mut stream = opened(Config::default());
    let all: Vec<u8> = (0..250).collect();
    for (id, records) in all.chunks(50).enumerate() {
        stream.push(batch_of(id as u64, records));
    }
    stream.finish(SECOND);
    let (accepted, rejected) = settle(&mut stream, &[60, 149, 150]);
    assert_eq!(stream.state(), &State::Closed);
    assert_eq!(rejected, [(1, 10), (2, 49), (3, 0)]);
    let good: Vec<u8> = all
        .into_iter()
        .filter(|r| ![60, 149, 150].contains(r))
        .collect();
    assert_eq!(accepted, good, "once each, in order");
    assert_eq!(stream.counts().acknowledged, 247);
}

#[test]
fn a_single_record_that_is_refused_at_the_end_is_told() {
    let mut stream = opened(Config::default());
    stream.push(batch_of(7, &[1]));
    stream.finish(SECOND);
    let (accepted, rejected) = settle(&mut stream, &[1]);
    assert_eq!((accepted, rejected), (vec![], vec![(7, 0)]));
    assert_eq!(stream.state(), &State::Closed);
}

#[test]
fn a_schema_that_is_refused_rejects_no_record() {
    let mut stream = opened(Config::default());
    let all: Vec<u8> = (0..200).collect();
    stream.push(batch_of(0, &all));
    let (accepted, rejected) = settle(&mut stream, &all);
    assert_eq!((accepted, rejected), (vec![], vec![]));
    assert_eq!(stream.state(), &State::Failed(refused()));
    let in_doubt: u32 = stream.in_doubt().iter().map(|p| p.records).sum();
    assert_eq!(in_doubt, 200);
}

#[test]
fn looking_for_poison_has_an_end() {
    let mut stream = opened(Config::default());
    let all: Vec<u8> = (0..250).collect();
    let poison: Vec<u8> = all.iter().copied().filter(|r| r % 16 == 3).collect();
    stream.push(batch_of(0, &all));
    settle(&mut stream, &poison);
    assert_eq!(stream.state(), &State::Failed(refused()));
    assert!(stream.counts().reconnects <= 64);
}

#[test]
fn a_whole_batch_is_refused_as_one() {
    let mut stream = opened(Config::default());
    let whole = Batch {
        whole: true,
        ..batch_of(7, &[1, 2, 3])
    };
    stream.push(batch_of(0, &[4, 5]));
    stream.push(whole);
    stream.push(batch_of(9, &[6]));
    let (accepted, rejected) = settle(&mut stream, &[2]);
    assert_eq!(accepted, [4, 5, 6]);
    assert_eq!(rejected, [(7, 0)]);
}

#[test]
fn without_a_deadline_retries_count_after_an_acknowledgement_as_well() {
    let mut stream = opened(Config {
        recovery_deadline: None,
        recovery_retries: 2,
        ..Config::default()
    });
    stream.push(batch(1));
    actions(&mut stream, SECOND);
    stream.on_ack(SECOND, 0);
    stream.push(batch(2));
    let mut failures = 0;
    let mut now = SECOND;
    while !matches!(stream.state(), State::Failed(_)) {
        actions(&mut stream, now);
        stream.on_fault(now, Fault::transient("reset"));
        failures += 1;
        now += 60 * SECOND;
        stream.on_time(now);
    }
    assert_eq!(failures, 3);
}

#[test]
fn a_refused_creation_is_never_split() {
    let mut stream = Stream::new(Config::default(), Now::ZERO);
    stream.push(batch_of(0, &[1, 2]));
    stream.on_fault(SECOND, refused());
    assert_eq!(stream.state(), &State::Failed(refused()));
}

/// Promise: the cost of acknowledgements grows with their number, not with its square.
#[test]
#[ignore = "measures; tests/simulate.sh runs it"]
#[expect(clippy::print_stderr, reason = "a measurement")]
fn acknowledgements_cost_the_same_however_many_are_in_flight() {
    let cost = |batches: u64| {
        let config = Config {
            max_inflight_records: batches as usize,
            max_inflight_bytes: usize::MAX,
            ..Config::default()
        };
        let mut stream = opened(config);
        for id in 0..batches {
            stream.push(batch_of(id, &[1]));
        }
        assert_eq!(actions(&mut stream, SECOND).len() as u64, batches);
        let start = std::time::Instant::now();
        for offset in 0..batches {
            stream.on_ack(SECOND, offset as i64);
            assert_eq!(actions(&mut stream, SECOND).len(), 1);
        }
        assert_eq!(stream.counts().acknowledged, batches);
        start.elapsed().as_secs_f64()
    };
    let (few, many) = (cost(100_000), cost(1_000_000));
    let ratio = many / few;
    eprintln!("100,000 acknowledgements: {few:.4} s, 1,000,000: {many:.4} s, ratio {ratio:.1}");
    assert!(ratio <= 12.0, "{ratio}");
}
