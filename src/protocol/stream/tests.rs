//! The state machine by itself, and against a model server on simulated time.

use std::collections::VecDeque;

use bytes::Bytes;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn batch(records: u32) -> Batch {
    Batch {
        id: u64::from(records),
        records,
        body: Bytes::from(vec![0; records as usize]),
    }
}

fn actions(stream: &mut Stream, now: Now) -> Vec<Action> {
    std::iter::from_fn(|| stream.poll(now, true)).collect()
}

fn acknowledged(records: &[u64]) -> Action {
    let parts = records.iter().map(|&records| BatchPart {
        id: records,
        records,
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
        records: 1,
        body: Bytes::from(vec![0; 95]),
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
    assert_eq!(stream.in_doubt().iter().map(|p| p.records).sum::<u64>(), 5);
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
    assert!(now >= Config::default().recovery_deadline);
}

/// A server that keeps what it has acknowledged, and misbehaves as its seed says.
struct Model {
    rng: fastrand::Rng,
    /// Received on this connection, not yet durable.
    received: VecDeque<u8>,
    next_offset: i64,
    acked: i64,
    durable: Vec<u8>,
}

impl Model {
    fn receive(&mut self, offset: i64, batch: &Batch) {
        assert_eq!(offset, self.next_offset, "offsets are consecutive");
        self.next_offset += 1;
        self.received.push_back(batch.body[0]);
    }

    fn disconnect(&mut self) {
        // What was received may or may not have become durable.
        let kept = self.rng.usize(..=self.received.len());
        self.durable.extend(self.received.drain(..).take(kept));
        self.next_offset = 0;
        self.acked = 0;
    }

    fn step(&mut self, stream: &mut Stream, now: Now, healed: bool) {
        let choice = if healed {
            self.rng.u32(..2)
        } else {
            self.rng.u32(..20)
        };
        match (choice, stream.state()) {
            (_, State::Connecting { .. }) => match choice {
                10.. => stream.on_fault(now, Fault::transient("refused")),
                _ => stream.on_opened(now),
            },
            (_, State::Closing { .. }) => stream.on_fault(now, Fault::transient("OK")),
            (0..10, _) if !self.received.is_empty() => {
                let n = 1 + self.rng.usize(..self.received.len());
                self.durable.extend(self.received.drain(..n));
                self.acked += n as i64;
                stream.on_ack(now, self.acked - 1);
            }
            (10 | 11, State::Open) => stream.on_fault(now, Fault::transient("reset")),
            (12, State::Open) => stream.on_close_signal(now, Duration::from_millis(300)),
            (13, State::Open) => stream.on_ack(now, self.next_offset + 3),
            (14, State::Open) => {
                stream.on_fault(now, Fault::new(FaultClass::Throttled(None), "slower"));
            }
            _ => {}
        }
    }
}

/// Promise: whatever the server does, every accepted record becomes durable in order, none
/// is sent twice on one connection, and `acknowledged <= accepted` within the window.
#[test]
fn nothing_is_lost_whatever_the_seed() {
    for seed in 0..2_000 {
        let config = Config {
            max_inflight_records: 8,
            recovery_backoff: Duration::from_millis(100),
            recovery_retries: u32::MAX,
            ack_timeout: Duration::from_secs(2),
            seed,
            ..Config::default()
        };
        let mut stream = Stream::new(config, Now::ZERO);
        let mut server = Model {
            rng: fastrand::Rng::with_seed(seed),
            received: VecDeque::new(),
            next_offset: 0,
            acked: 0,
            durable: Vec::new(),
        };
        let mut now = Now::ZERO;
        let mut accepted = 0u8;
        const ALL: u8 = 40;
        let mut steps = 0;
        while *stream.state() != State::Closed {
            steps += 1;
            assert!(steps < 100_000, "seed {seed}: no end, {:?}", stream.state());
            while accepted < ALL {
                let next = Batch {
                    id: accepted.into(),
                    records: 1 + u32::from(accepted % 3),
                    body: Bytes::from(vec![accepted]),
                };
                if !stream.has_room(&next) {
                    break;
                }
                stream.push(next);
                accepted += 1;
                if accepted == ALL {
                    stream.finish(now);
                }
            }
            while let Some(action) = stream.poll(now, server.rng.u8(..4) > 0) {
                match action {
                    Action::Send { offset, batch } => server.receive(offset, &batch),
                    Action::Disconnect => server.disconnect(),
                    Action::Connect
                    | Action::HalfClose
                    | Action::Acknowledged { .. }
                    | Action::Recovering { .. } => {}
                }
            }
            let counts = stream.counts();
            assert!(counts.acknowledged <= counts.accepted, "seed {seed}");
            assert!(counts.accepted - counts.acknowledged <= 8, "seed {seed}");
            now += Duration::from_millis(server.rng.u64(..120));
            stream.on_time(now);
            server.step(&mut stream, now, steps > 500);
        }
        // At least once, and in order: the first landings of all batches are in sequence.
        let mut first = server.durable.clone();
        let mut seen = [false; ALL as usize];
        first.retain(|&b| !std::mem::replace(&mut seen[b as usize], true));
        assert_eq!(first, (0..ALL).collect::<Vec<_>>(), "seed {seed}");
    }
}
