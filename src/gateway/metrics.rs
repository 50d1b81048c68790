//! What the gateway counts, for Prometheus.

use std::fmt::Write as _;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Metric, Registry, Unit};

use super::health::Health;

/// What [`Metrics::text`] is.
pub(super) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The upper ends of the buckets of request times, in seconds.
const SECONDS: [f64; 12] = [
    0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0,
];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    route: &'static str,
    table: String,
    status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Route {
    route: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Of {
    table: String,
}

/// All figures.
pub(super) struct Metrics {
    registry: Registry,
    requests: Family<Answered, Counter>,
    seconds: Family<Route, Histogram>,
    accepted: Family<Of, Counter>,
    invalid: Family<Of, Counter>,
    refused: Family<Of, Counter>,
    acknowledged: Family<Of, Counter>,
    unacknowledged: Family<Of, Gauge>,
    spooled: Family<Of, Gauge>,
    spool_bytes: Family<Of, Gauge>,
    up: Family<Of, Gauge>,
    last_ack: Family<Of, Gauge<f64, std::sync::atomic::AtomicU64>>,
}

/// The counters of one table.
#[derive(Clone)]
pub(super) struct Figures {
    /// Records that were answered 202, or sent for a request that waits.
    pub(super) accepted: Counter,
    /// Rows that make no record.
    pub(super) invalid: Counter,
    /// Records that the service has refused.
    pub(super) refused: Counter,
    /// Records that the service has acknowledged.
    pub(super) acknowledged: Counter,
}

/// Makes a metric and registers it.
fn registered<M: Metric + Clone + Default>(registry: &mut Registry, name: &str, help: &str) -> M {
    let metric = M::default();
    registry.register(name, help, metric.clone());
    metric
}

impl Metrics {
    pub(super) fn new() -> Self {
        let mut registry = Registry::with_prefix("zerobus_gateway");
        let seconds: Family<Route, Histogram> =
            Family::new_with_constructor(|| Histogram::new(SECONDS));
        let help = "How long requests took";
        registry.register_with_unit("request", help, Unit::Seconds, seconds.clone());
        let r = &mut registry;
        Self {
            seconds,
            requests: registered(r, "requests", "Requests that were answered"),
            accepted: registered(r, "records_accepted", "Records that were accepted"),
            invalid: registered(r, "rows_invalid", "Rows of requests that make no record"),
            refused: registered(
                r,
                "records_refused",
                "Records that the service has refused; they are in the dead letters",
            ),
            acknowledged: registered(
                r,
                "records_acknowledged",
                "Records that the service has acknowledged",
            ),
            unacknowledged: registered(
                r,
                "records_unacknowledged",
                "Records that are accepted and not settled",
            ),
            spooled: registered(
                r,
                "spool_records",
                "Records in the spool that are not settled",
            ),
            spool_bytes: registered(r, "spool_bytes", "Bytes of the spool's files"),
            up: registered(
                r,
                "stream_healthy",
                "1 if the table's stream is well or not needed yet, 0 if it recovers or has failed",
            ),
            last_ack: registered(
                r,
                "last_ack_timestamp_seconds",
                "When a record was acknowledged last, in seconds since 1970",
            ),
            registry,
        }
    }

    pub(super) fn figures(&self, table: &str) -> Figures {
        let of = || Of {
            table: table.to_owned(),
        };
        Figures {
            accepted: self.accepted.get_or_create_owned(&of()),
            invalid: self.invalid.get_or_create_owned(&of()),
            refused: self.refused.get_or_create_owned(&of()),
            acknowledged: self.acknowledged.get_or_create_owned(&of()),
        }
    }

    /// A request was answered.
    pub(super) fn answered(&self, route: &'static str, table: &str, status: u16, took: Duration) {
        let table = table.to_owned();
        let answered = Answered {
            route,
            table,
            status,
        };
        self.requests.get_or_create(&answered).inc();
        let seconds = self.seconds.get_or_create(&Route { route });
        seconds.observe(took.as_secs_f64());
    }

    /// All figures in their text form, with what is told of each table now.
    pub(super) fn text(&self, served: &[Health], retired: &[Health]) -> String {
        let number = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        for family in [
            &self.unacknowledged,
            &self.up,
            &self.spooled,
            &self.spool_bytes,
        ] {
            family.clear();
        }
        // Of a key, there may be a table that is served and some that are not any more.
        for health in retired.iter().chain(served) {
            let of = Of {
                table: health.table.clone(),
            };
            let add = |family: &Family<Of, Gauge>, n: i64| family.get_or_create(&of).inc_by(n);
            add(&self.unacknowledged, number(health.unacknowledged));
            if let Some(spool) = &health.spool {
                add(&self.spooled, number(spool.records));
                add(&self.spool_bytes, number(spool.bytes));
            }
            let is_well = i64::from(health.is_well());
            self.up.get_or_create(&of).set(is_well);
            if let Some(seconds) = health.last_ack_seconds() {
                self.last_ack.get_or_create(&of).set(seconds);
            }
        }
        let mut text = String::new();
        // Writing to a string does not fail; if a metric has no text form, that is told.
        if let Err(error) = encode(&mut text, &self.registry) {
            let _ = writeln!(text, "# {error}");
        }
        text
    }
}
