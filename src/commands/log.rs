//! Starts the log of a command that runs for long: what its own code tells, on standard error.

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::cli::LogFormat;

pub(super) fn start(format: LogFormat) {
    let own = Targets::new().with_target(env!("CARGO_PKG_NAME"), LevelFilter::INFO);
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .with_target(false);
    let layer = match format {
        LogFormat::Text => lines.boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    let log = tracing_subscriber::registry().with(layer.with_filter(own));
    // A process has one log: whoever has started it before has it.
    let _ = log.try_init();
}
