//! A limited rate: how long each batch is to wait.

use std::time::Duration;

/// Spaces batches so that no more than so many records go out in a second.
#[derive(Debug)]
pub(super) struct Pace {
    records_per_second: u32,
    /// When the next batch may go, as time since the load began.
    next: Duration,
}

impl Pace {
    pub(super) fn new(records_per_second: u32) -> Self {
        Self {
            records_per_second,
            next: Duration::ZERO,
        }
    }

    /// How long a batch is to wait that is ready now. Time in which nothing was ready is not
    /// made up for.
    pub(super) fn wait(&mut self, now: Duration, records: u32) -> Duration {
        let wait = self.next.saturating_sub(now);
        let takes = Duration::from_secs(records.into()) / self.records_per_second;
        self.next = now + wait + takes;
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_are_spaced_by_their_size_and_idle_time_is_gone() {
        let mut pace = Pace::new(100);
        let ms = Duration::from_millis;
        assert_eq!(pace.wait(ms(0), 10), ms(0));
        assert_eq!(pace.wait(ms(0), 20), ms(100));
        assert_eq!(pace.wait(ms(250), 10), ms(50));
        assert_eq!(pace.wait(ms(5_000), 100), ms(0));
        assert_eq!(pace.wait(ms(5_000), 1), ms(1_000));
    }
}
