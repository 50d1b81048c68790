//! How many records came in each of the last seconds.

/// Counts of the last `N` seconds, the one under way included. A second is one since the
/// server's start.
pub(super) struct Seconds<const N: usize> {
    counts: [u64; N],
    /// The latest second that was counted in; those of `counts` are this one and before.
    newest: u64,
}

impl<const N: usize> Seconds<N> {
    pub(super) fn new(now: u64) -> Self {
        Self {
            counts: [0; N],
            newest: now,
        }
    }

    pub(super) fn add(&mut self, now: u64, records: u64) {
        self.advance(now);
        self.counts[Self::place(self.newest)] += records;
    }

    /// The counts of the seconds before this one, oldest first.
    pub(super) fn complete(&mut self, now: u64) -> impl DoubleEndedIterator<Item = u64> {
        self.advance(now);
        // The oldest of them stands behind the newest.
        let first = self.newest + 1;
        (0..N as u64 - 1).map(move |n| self.counts[Self::place(first + n)])
    }

    /// Time passes; a clock that goes back counts for the newest second.
    fn advance(&mut self, now: u64) {
        for second in self.newest..now.min(self.newest + N as u64) {
            self.counts[Self::place(second + 1)] = 0;
        }
        self.newest = self.newest.max(now);
    }

    fn place(second: u64) -> usize {
        (second % N as u64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complete(seconds: &mut Seconds<4>, now: u64) -> Vec<u64> {
        seconds.complete(now).collect()
    }

    #[test]
    fn each_second_has_its_count_and_old_ones_go() {
        let mut seconds = Seconds::new(10);
        seconds.add(10, 1);
        seconds.add(10, 2);
        assert_eq!(complete(&mut seconds, 10), [0, 0, 0], "not over yet");
        assert_eq!(complete(&mut seconds, 11), [0, 0, 3]);
        seconds.add(12, 5);
        // Whoever was late.
        seconds.add(11, 1);
        assert_eq!(complete(&mut seconds, 13), [3, 0, 6]);
        assert_eq!(complete(&mut seconds, 15), [6, 0, 0]);
        assert_eq!(complete(&mut seconds, 16), [0, 0, 0]);
        seconds.add(16, 7);
        assert_eq!(complete(&mut seconds, 1_000_000), [0, 0, 0]);
        seconds.add(1_000_000, 8);
        assert_eq!(complete(&mut seconds, 1_000_001), [0, 0, 8]);
    }
}
