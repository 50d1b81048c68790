//! How a stream is run.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

#[cfg(feature = "gateway")]
use super::Unacknowledged;
use super::{Credentials, Error};
use crate::protocol::Config;
#[cfg(feature = "gateway")]
use crate::protocol::{Batch, Fault};

/// Longer times are as good as for ever, and can be added to the clock.
const TIME_MAX: Duration = Duration::from_secs(100 * 365 * 24 * 3_600);

/// Refusals that a stream survives, each step of the search for a refused record counted.
const REFUSALS_MAX: u32 = 10_000;

type OnAck = Arc<dyn Fn(AckResponse) + Send + Sync>;
type OnError = Arc<dyn Fn(i64, &Error) + Send + Sync>;
/// The stream is away, for this reason and until another attempt after so long; none: it is open.
#[cfg(feature = "gateway")]
type OnAway = Arc<dyn Fn(Option<(Error, Duration)>) + Send + Sync>;
#[cfg(feature = "gateway")]
type OnRefused = Arc<dyn Fn(&Unacknowledged, &Error) + Send + Sync>;

/// What an acknowledgement says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct AckResponse {
    /// All that was accepted up to and including this offset is settled.
    pub durability_ack_up_to_offset: i64,
}

impl AckResponse {
    pub(super) fn up_to(offset: i64) -> Self {
        Self {
            durability_ack_up_to_offset: offset,
        }
    }
}

/// How a stream is run. Fields are read; methods of the same name set them:
///
/// ```
/// let options = zerobus::StreamOptions::new()
///     .max_inflight_records(10_000)
///     .recovery_timeout_ms(20_000);
/// assert_eq!(options.max_inflight_records, 10_000);
/// assert_eq!(options.recovery_retries, 3);
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub struct StreamOptions {
    /// The most unacknowledged records: 50,000. Whoever ingests more waits. A batch that is
    /// larger waits until it is alone.
    pub max_inflight_records: usize,
    /// The most unacknowledged bytes: 64 MiB, and never less than one request may have.
    pub max_inflight_bytes: usize,
    /// Reconnect after a failure and send again what is not acknowledged: true.
    pub recovery: bool,
    /// How long one attempt to connect may take, its token included, in milliseconds: 15,000.
    pub recovery_timeout_ms: u64,
    /// The wait before the first retry, in milliseconds: 2,000. It doubles with each failure in
    /// a row, up to 30 s, and up to a quarter is added at random.
    pub recovery_backoff_ms: u64,
    /// The most retries in a row, without an acknowledgement between them: 3. Being asked to slow
    /// down spends none, for 10 minutes without an acknowledgement.
    pub recovery_retries: u32,
    /// For how long to retry, in milliseconds and however many retries that takes, once
    /// something was acknowledged: none, retries count.
    pub recovery_deadline_ms: Option<u64>,
    /// How long [`flush`](super::Stream::flush) and [`close`](super::Stream::close) may take,
    /// in milliseconds: 300,000.
    pub flush_timeout_ms: u64,
    /// How long something may be outstanding without any acknowledgement, in milliseconds:
    /// 60,000. Then the connection is taken for dead.
    pub server_lack_of_ack_timeout_ms: u64,
    /// The longest wait for outstanding acknowledgements once the server has announced that it
    /// will close the connection, in milliseconds: none, as long as the server says. What is
    /// outstanding then is sent again.
    pub stream_paused_max_wait_time_ms: Option<u64>,
    /// The longest that a record waits for others to travel with, in milliseconds: 2. It does
    /// not wait at all while nothing is outstanding.
    pub linger_ms: u64,
    pub(super) on_ack: Option<OnAck>,
    pub(super) on_error: Option<OnError>,
    #[cfg(feature = "gateway")]
    pub(super) on_refused: Option<OnRefused>,
    #[cfg(feature = "gateway")]
    on_away: Option<OnAway>,
}

impl Default for StreamOptions {
    fn default() -> Self {
        Self {
            max_inflight_records: 50_000,
            max_inflight_bytes: 64 << 20,
            recovery: true,
            recovery_timeout_ms: 15_000,
            recovery_backoff_ms: 2_000,
            recovery_retries: 3,
            recovery_deadline_ms: None,
            flush_timeout_ms: 300_000,
            server_lack_of_ack_timeout_ms: 60_000,
            stream_paused_max_wait_time_ms: None,
            linger_ms: 2,
            on_ack: None,
            on_error: None,
            #[cfg(feature = "gateway")]
            on_refused: None,
            #[cfg(feature = "gateway")]
            on_away: None,
        }
    }
}

/// A method that sets the field of its name.
macro_rules! setters {
    ($($name:ident: $type:ty),+ $(,)?) => {
        $(
            #[doc = concat!("Sets [`", stringify!($name), "`](Self#structfield.", stringify!($name), ").")]
            #[must_use]
            pub fn $name(mut self, $name: $type) -> Self {
                self.$name = $name;
                self
            }
        )+
    };
}

impl StreamOptions {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    setters! {
        max_inflight_records: usize,
        max_inflight_bytes: usize,
        recovery: bool,
        recovery_timeout_ms: u64,
        recovery_backoff_ms: u64,
        recovery_retries: u32,
        recovery_deadline_ms: Option<u64>,
        flush_timeout_ms: u64,
        server_lack_of_ack_timeout_ms: u64,
        stream_paused_max_wait_time_ms: Option<u64>,
        linger_ms: u64,
    }

    /// Calls this for each offset that is acknowledged, in their order.
    ///
    /// Callbacks run on a thread of the stream's own, one at a time: a slow one delays the
    /// next, and nothing else. One that panics is passed over. An [`Ack`](super::Ack) may be
    /// done before its callback was called; [`close`](super::Stream::close) waits for the last
    /// callback, for 5 s at the most.
    #[must_use]
    pub fn ack_callback(mut self, callback: impl Fn(AckResponse) + Send + Sync + 'static) -> Self {
        self.on_ack = Some(Arc::new(callback));
        self
    }

    /// Calls this for each offset that the service refuses, and for each that is unacknowledged
    /// when the stream fails; in one order with [`ack_callback`](Self::ack_callback), on the
    /// same thread.
    #[must_use]
    pub fn error_callback(
        mut self,
        callback: impl Fn(i64, &Error) + Send + Sync + 'static,
    ) -> Self {
        self.on_error = Some(Arc::new(callback));
        self
    }

    /// Calls this for each record that the service refuses, before anybody is told that it is
    /// settled. The stream waits for it, and goes on however many there are.
    #[cfg(feature = "gateway")]
    pub(crate) fn refused_callback(
        mut self,
        callback: impl Fn(&Unacknowledged, &Error) + Send + Sync + 'static,
    ) -> Self {
        self.on_refused = Some(Arc::new(callback));
        self
    }

    /// Calls this each time that an attempt to connect has failed, or a connection, and each time
    /// that one has succeeded.
    #[cfg(feature = "gateway")]
    pub(crate) fn away_callback(
        mut self,
        callback: impl Fn(Option<(Error, Duration)>) + Send + Sync + 'static,
    ) -> Self {
        self.on_away = Some(Arc::new(callback));
        self
    }

    /// Tells whoever wants to know whether the stream is away.
    #[cfg(feature = "gateway")]
    pub(super) fn tell_away(&self, why: Option<(&Fault, Duration)>) {
        if let Some(callback) = &self.on_away {
            callback(why.map(|(fault, wait)| (Error::of_fault(fault), wait)));
        }
    }

    /// Tells whoever wants to know at once of what was refused.
    #[cfg(feature = "gateway")]
    pub(super) fn tell_refused(&self, batch: &Batch, error: &Error) {
        if let Some(callback) = &self.on_refused {
            let items = super::unacknowledged::items(batch);
            items.iter().for_each(|item| callback(item, error));
        }
    }

    /// Whether refusals never end the stream, and are kept by somebody else.
    pub(super) fn endures(&self) -> bool {
        #[cfg(feature = "gateway")]
        return self.on_refused.is_some();
        #[cfg(not(feature = "gateway"))]
        false
    }

    pub(super) fn flush_timeout(&self) -> Duration {
        millis(self.flush_timeout_ms)
    }

    /// What the state machine goes by. What is in flight is bounded where it is accepted.
    pub(super) fn config(&self, credentials: &Credentials) -> Config {
        Config {
            max_inflight_records: usize::MAX,
            max_inflight_bytes: usize::MAX,
            recovery: self.recovery,
            recovery_timeout: millis(self.recovery_timeout_ms) + credentials.patience(),
            recovery_backoff: millis(self.recovery_backoff_ms.max(1)),
            recovery_retries: self.recovery_retries,
            recovery_deadline: self.recovery_deadline_ms.map(millis),
            drain_max: self.stream_paused_max_wait_time_ms.map(millis),
            ack_timeout: millis(self.server_lack_of_ack_timeout_ms),
            // Counted from `close`, not from when its last record has a place.
            flush_timeout: TIME_MAX,
            refusals_max: if self.endures() {
                u32::MAX
            } else {
                REFUSALS_MAX
            },
            refused_in_a_row_max: match self.endures() {
                true => usize::MAX,
                false => Config::default().refused_in_a_row_max,
            },
            seed: fastrand::u64(..),
        }
    }
}

impl fmt::Debug for StreamOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamOptions")
            .field("max_inflight_records", &self.max_inflight_records)
            .field("max_inflight_bytes", &self.max_inflight_bytes)
            .field("recovery", &self.recovery)
            .field("recovery_timeout_ms", &self.recovery_timeout_ms)
            .field("recovery_backoff_ms", &self.recovery_backoff_ms)
            .field("recovery_retries", &self.recovery_retries)
            .field("recovery_deadline_ms", &self.recovery_deadline_ms)
            .field("flush_timeout_ms", &self.flush_timeout_ms)
            .field(
                "server_lack_of_ack_timeout_ms",
                &self.server_lack_of_ack_timeout_ms,
            )
            .field(
                "stream_paused_max_wait_time_ms",
                &self.stream_paused_max_wait_time_ms,
            )
            .field("linger_ms", &self.linger_ms)
            .field("ack_callback", &self.on_ack.is_some())
            .field("error_callback", &self.on_error.is_some())
            .finish()
    }
}

pub(super) fn millis(ms: u64) -> Duration {
    Duration::from_millis(ms).min(TIME_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Promise: the names and defaults are those that the SDK for Python documents.
    #[test]
    fn the_defaults_are_the_documented_ones() {
        let options = StreamOptions::new();
        assert_eq!(options.max_inflight_records, 50_000);
        assert!(options.recovery);
        assert_eq!(options.recovery_timeout_ms, 15_000);
        assert_eq!(options.recovery_backoff_ms, 2_000);
        assert_eq!(options.recovery_retries, 3);
        assert_eq!(options.flush_timeout_ms, 300_000);
        assert_eq!(options.server_lack_of_ack_timeout_ms, 60_000);
        assert!(options.on_ack.is_none());
    }

    #[test]
    fn each_option_reaches_the_state_machine_and_none_overflows() {
        let options = StreamOptions::new()
            .recovery(false)
            .recovery_timeout_ms(u64::MAX)
            .recovery_backoff_ms(2)
            .recovery_retries(5)
            .recovery_deadline_ms(Some(6))
            .flush_timeout_ms(7)
            .server_lack_of_ack_timeout_ms(8)
            .stream_paused_max_wait_time_ms(Some(9));
        let config = options.config(&Credentials::token("t"));
        let ms = Duration::from_millis;
        assert!(!config.recovery);
        assert_eq!(config.recovery_timeout, TIME_MAX);
        assert!(std::time::Instant::now().checked_add(TIME_MAX).is_some());
        assert_eq!(config.recovery_backoff, ms(2));
        assert_eq!(config.recovery_retries, 5);
        assert_eq!(config.recovery_deadline, Some(ms(6)));
        assert_eq!(options.flush_timeout(), ms(7));
        assert_eq!(config.ack_timeout, ms(8));
        assert_eq!(config.drain_max, Some(ms(9)));
    }
}
