//! Faults on purpose: what they are, and the decision whether one strikes, which the seed
//! and the order of events settle. What then happens is in the submodules.

mod act;
mod cut;
mod spec;
mod stream;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fastrand::Rng;
use tokio::sync::watch;
use tonic::Code;

use super::auth::Auth;

pub(super) use cut::{Cut, Io};
pub(super) use stream::{Reading, faultless};

/// A fault: what happens, where, and how often. Its form as text is that of `--fault`.
#[derive(Debug, Clone, PartialEq)]
pub struct Fault {
    kind: Kind,
    at: Place,
    /// Records that have come on a stream before it strikes there.
    after: u64,
    /// Only each such occasion counts; at least 1.
    every: u64,
    /// How likely it strikes then.
    p: f64,
    /// How often it strikes in all.
    times: u64,
}

/// Where a fault strikes. An occasion is one of these: a request for a token, the creation
/// of a stream, an open stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Token,
    Create,
    Stream,
}

/// What happens.
#[derive(Debug, Clone, PartialEq)]
enum Kind {
    /// `fail` and `throttle`.
    Refuse(Refusal),
    /// Answers are late; on a stream, all acknowledgements from then on.
    Delay(Duration),
    /// The connection is cut.
    Drop,
    /// Nothing is read or answered any more, and nothing closed.
    Stall,
    /// A close signal, and the end after this time.
    Close(Duration),
    /// A batch with a record that holds these bytes is refused.
    RefuseRow(String),
    WrongAck(WrongAck),
    ExpireTokens,
}

/// What is answered, on gRPC or on HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Refusal {
    code: Code,
    http: u16,
    /// In whole seconds.
    retry_after: Option<Duration>,
    message: String,
}

/// What is wrong with an acknowledgement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum WrongAck {
    /// Its offset was never sent.
    Beyond,
    /// Its offset is below that of the one before.
    Back,
    /// It is the one before once more.
    Repeat,
}

/// Decides when which fault strikes.
struct Decider {
    faults: Vec<Armed>,
}

struct Armed {
    fault: Arc<Fault>,
    rng: Rng,
    /// How many occasions there were.
    occasions: u64,
    /// How often it may still strike.
    left: u64,
}

impl Decider {
    fn new(faults: Vec<Fault>, seed: u64) -> Self {
        let arm = |(index, fault): (usize, Fault)| Armed {
            // One sequence each, so that the occasions of one say nothing to another.
            rng: Rng::with_seed(seed.wrapping_add((index as u64) << 32)),
            occasions: 0,
            left: fault.times,
            fault: Arc::new(fault),
        };
        Self {
            faults: faults.into_iter().enumerate().map(arm).collect(),
        }
    }

    /// An occasion for the faults at this place that `concerns` names: those that it is due
    /// for, in the order given. They strike once [`Self::strikes`] says so.
    fn occasion(&mut self, at: Place, concerns: fn(&Kind) -> bool) -> Vec<(usize, Arc<Fault>)> {
        let mut due = Vec::new();
        for (index, armed) in self.faults.iter_mut().enumerate() {
            let fault = &armed.fault;
            if fault.at != at || !concerns(&fault.kind) {
                continue;
            }
            armed.occasions += 1;
            // Drawn each time, so that no draw depends on what became of those before.
            let drawn = armed.rng.f64() < fault.p;
            if drawn && armed.occasions.is_multiple_of(fault.every) {
                due.push((index, fault.clone()));
            }
        }
        due
    }

    /// Whether the fault may strike once more. If so it has.
    fn strikes(&mut self, index: usize) -> bool {
        let left = &mut self.faults[index].left;
        let strikes = *left > 0;
        *left -= u64::from(strikes);
        strikes
    }
}

/// The faults of a server.
pub(super) struct Faults {
    decider: Mutex<Decider>,
    auth: Arc<Auth>,
    /// Whoever waits on purpose ends with the server.
    stopped: watch::Receiver<bool>,
}

impl Faults {
    /// None without any fault: then nothing is decided anywhere.
    pub(super) fn new(
        faults: Vec<Fault>,
        seed: u64,
        auth: Arc<Auth>,
        stopped: watch::Receiver<bool>,
    ) -> Option<Arc<Self>> {
        if faults.is_empty() {
            return None;
        }
        Some(Arc::new(Self {
            decider: Mutex::new(Decider::new(faults, seed)),
            auth,
            stopped,
        }))
    }

    fn occasion(&self, at: Place, concerns: fn(&Kind) -> bool) -> Vec<(usize, Arc<Fault>)> {
        self.decider().occasion(at, concerns)
    }

    fn strikes(&self, index: usize) -> bool {
        self.decider().strikes(index)
    }

    fn decider(&self) -> std::sync::MutexGuard<'_, Decider> {
        self.decider.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decider(specs: &[&str], seed: u64) -> Decider {
        let faults = specs.iter().map(|spec| spec.parse().unwrap()).collect();
        Decider::new(faults, seed)
    }

    /// Which of so many occasions fault 0 strikes at.
    fn struck(decider: &mut Decider, at: Place, occasions: usize) -> Vec<usize> {
        let mut struck = Vec::new();
        for n in 1..=occasions {
            for (index, _) in decider.occasion(at, |_| true) {
                if decider.strikes(index) && index == 0 {
                    struck.push(n);
                }
            }
        }
        struck
    }

    #[test]
    fn a_fault_strikes_always_unless_told_how_often() {
        let strikes = |spec| struck(&mut decider(&[spec], 0), Place::Create, 7);
        assert_eq!(strikes("stall:at=create"), [1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(strikes("stall:at=create,times=2"), [1, 2]);
        assert_eq!(strikes("stall:at=create,every=3"), [3, 6]);
        assert_eq!(strikes("stall:at=create,every=3,times=1"), [3]);
        assert_eq!(strikes("stall:at=token"), [0; 0]);
        assert_eq!(strikes("stall"), [0; 0]);
    }

    #[test]
    fn the_seed_settles_what_chance_does() {
        let specs = ["drop:p=0.3", "stall:p=0.5", "close"];
        let alone = struck(&mut decider(&specs[..1], 7), Place::Stream, 1_000);
        assert!((200..400).contains(&alone.len()), "{}", alone.len());
        // The same seed, the same occasions; other faults change nothing.
        let again = struck(&mut decider(&specs, 7), Place::Stream, 1_000);
        assert_eq!(alone, again);
        let other = struck(&mut decider(&specs, 8), Place::Stream, 1_000);
        assert_ne!(alone, other);
        // Two alike strike at different occasions.
        let mut twins = decider(&["drop:p=0.5", "drop:p=0.5"], 0);
        let both = (0..64).map(|_| twins.occasion(Place::Stream, |_| true).len());
        assert!(both.filter(|&n| n == 1).count() > 10);
    }

    #[test]
    fn a_fault_that_is_due_but_does_not_strike_is_not_spent() {
        let mut decider = decider(&["drop:after=100,times=1"], 0);
        let due = |decider: &mut Decider| decider.occasion(Place::Stream, |_| true).len();
        // Two streams are open; the second one gets that far.
        assert_eq!((due(&mut decider), due(&mut decider)), (1, 1));
        assert!(decider.strikes(0));
        assert!(!decider.strikes(0));
    }
}
