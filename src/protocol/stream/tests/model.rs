//! The state machine against a model server that misbehaves, on simulated time.

use super::*;

/// The records of a simulated load.
const ALL: u8 = 60;

/// A server that keeps what it has acknowledged, and misbehaves as its seed says.
struct Model {
    rng: fastrand::Rng,
    /// Records that it refuses.
    poison: Vec<u8>,
    /// Received on this connection, not yet durable: the records of each batch.
    received: VecDeque<Vec<u8>>,
    next_offset: i64,
    acked: i64,
    durable: Vec<u8>,
}

impl Model {
    fn receive(&mut self, offset: i64, batch: &Batch) {
        assert_eq!(offset, self.next_offset, "offsets are consecutive");
        self.next_offset += 1;
        self.received.push_back(records_of(batch));
    }

    fn disconnect(&mut self) {
        // What was received may or may not have become durable, but nothing from the first
        // refused batch on.
        let good = self
            .received
            .iter()
            .take_while(|b| !self.refuses(b))
            .count();
        let kept = self.rng.usize(..=good);
        self.durable
            .extend(self.received.drain(..).take(kept).flatten());
        self.next_offset = 0;
        self.acked = 0;
    }

    fn refuses(&self, batch: &[u8]) -> bool {
        batch.iter().any(|r| self.poison.contains(r))
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
                let good = self
                    .received
                    .iter()
                    .take_while(|b| !self.refuses(b))
                    .count();
                let n = n.min(good);
                if n == 0 {
                    return stream.on_fault(now, refused());
                }
                self.durable.extend(self.received.drain(..n).flatten());
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

/// Promise: whatever the server does, every record that it does not refuse becomes durable
/// in order, those and only those that it refuses are told, nothing is sent twice on one
/// connection, the back-off is never below its bound, and `acknowledged <= accepted` within
/// the window.
///
/// `ZEROBUS_SEEDS=1000000` runs more of them, `ZEROBUS_SEED=N` begins with one.
#[test]
fn nothing_is_lost_whatever_the_seed() {
    let number = |name| {
        std::env::var(name)
            .ok()
            .map(|text| text.parse::<u64>().unwrap())
    };
    let first = number("ZEROBUS_SEED").unwrap_or(0);
    for seed in first..first + number("ZEROBUS_SEEDS").unwrap_or(2_000) {
        let config = Config {
            max_inflight_records: 8,
            recovery_backoff: Duration::from_millis(100),
            recovery_retries: u32::MAX,
            ack_timeout: Duration::from_secs(2),
            seed,
            ..Config::default()
        };
        let mut stream = Stream::new(config, Now::ZERO);
        let mut rng = fastrand::Rng::with_seed(seed);
        let poison: Vec<u8> = (0..rng.usize(..3)).map(|_| rng.u8(..ALL)).collect();
        let mut server = Model {
            rng,
            poison,
            received: VecDeque::new(),
            next_offset: 0,
            acked: 0,
            durable: Vec::new(),
        };
        let mut now = Now::ZERO;
        let mut accepted = 0u8;
        let mut told = Vec::new();
        let mut steps = 0;
        while *stream.state() != State::Closed {
            steps += 1;
            assert!(steps < 100_000, "seed {seed}: no end, {:?}", stream.state());
            while accepted < ALL {
                let end = (accepted + 1 + accepted % 3).min(ALL);
                let records: Vec<u8> = (accepted..end).collect();
                let next = batch_of(accepted.into(), &records);
                if !stream.has_room(&next) {
                    break;
                }
                stream.push(next);
                accepted = end;
                if accepted == ALL {
                    stream.finish(now);
                }
            }
            while let Some(action) = stream.poll(now, server.rng.u8(..4) > 0) {
                match action {
                    Action::Send { offset, batch } => server.receive(offset, &batch),
                    Action::Disconnect => server.disconnect(),
                    Action::Refused { batch, .. } => {
                        told.push((batch.id + u64::from(batch.first)) as u8);
                    }
                    Action::Recovering { wait, .. } => {
                        assert!(wait >= Duration::from_millis(100), "seed {seed}: {wait:?}");
                    }
                    Action::Connect | Action::HalfClose | Action::Acknowledged { .. } => {}
                }
            }
            let counts = stream.counts();
            assert!(counts.acknowledged <= counts.accepted, "seed {seed}");
            let open = counts.accepted - counts.acknowledged - told.len() as u64;
            // Besides the window: refused records that are not told yet.
            assert!(open <= 8 + 2, "seed {seed}: {open}");
            now += Duration::from_millis(server.rng.u64(..120));
            stream.on_time(now);
            server.step(&mut stream, now, steps > 500);
        }
        while let Some(action) = stream.poll(now, true) {
            if let Action::Refused { batch, .. } = action {
                told.push((batch.id + u64::from(batch.first)) as u8);
            }
        }
        // At least once, and in order: the first landings of all records are in sequence.
        let mut first = server.durable.clone();
        let mut seen = [false; ALL as usize];
        first.retain(|&r| !std::mem::replace(&mut seen[r as usize], true));
        let good = |r: &u8| !server.poison.contains(r);
        assert_eq!(
            first,
            (0..ALL).filter(good).collect::<Vec<_>>(),
            "seed {seed}"
        );
        server.poison.sort_unstable();
        server.poison.dedup();
        told.sort_unstable();
        assert_eq!(told, server.poison, "seed {seed}");
    }
}
