//! SIGINT and SIGTERM, from the start of a load: one that comes while nobody waits for it is
//! kept.

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::error::{Failure, Kind};

/// The signals that end a load.
pub struct Signals {
    interrupt: Option<Signal>,
    terminate: Option<Signal>,
}

impl Signals {
    /// Begins to listen. A signal that cannot be listened to ends the process by itself.
    pub fn listen() -> Self {
        Self {
            interrupt: signal(SignalKind::interrupt()).ok(),
            terminate: signal(SignalKind::terminate()).ok(),
        }
    }

    /// The next one.
    pub async fn next(&mut self) -> Kind {
        tokio::select! {
            () = receive(&mut self.interrupt) => Kind::Interrupted,
            () = receive(&mut self.terminate) => Kind::Terminated,
        }
    }

    /// Does work that a signal may cut off.
    ///
    /// # Errors
    /// That of the work, or the signal.
    pub async fn unless_interrupted<T>(
        &mut self,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        tokio::select! {
            done = work => done,
            kind = self.next() => Err(interrupted(kind)),
        }
    }
}

async fn receive(signals: &mut Option<Signal>) {
    if let Some(signals) = signals
        && signals.recv().await.is_some()
    {
        return;
    }
    std::future::pending().await
}

/// A load that one of these has ended.
pub(super) fn interrupted(kind: Kind) -> Failure {
    let terminated = kind == Kind::Terminated;
    let name = if terminated { "SIGTERM" } else { "SIGINT" };
    Failure::new(kind, format!("interrupted by {name}"))
}
