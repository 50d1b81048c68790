//! The HTTP gateway: JSON over HTTP in, streams of the library out.
//!
//! A table of the configuration has its routes and one stream, which is opened by its first
//! record and stays open. A request's records are checked before any is accepted; then they are
//! in the stream's hands, which sends them whatever becomes of the request.

mod access;
mod answer;
mod body;
pub mod config;
mod routes;
mod table;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;

use crate::sdk::{Credentials, Sdk};
pub use access::Token;
use config::Config;
use table::Table;

/// What the gateway goes by, besides its configuration.
#[derive(Clone)]
pub struct Limits {
    /// What callers must show to send anything; none: nothing.
    pub token: Option<Token>,
    /// How long a request may take; at least as long a record may wait for its acknowledgement.
    pub deadline: Duration,
    /// The longest body of a request, in bytes.
    pub body_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            token: None,
            deadline: Duration::from_secs(30),
            body_bytes_max: 10 << 20,
        }
    }
}

/// What all requests share.
struct Gateway {
    tables: Vec<Arc<Table>>,
    limits: Limits,
}

impl Gateway {
    fn table(&self, key: &str) -> Option<&Arc<Table>> {
        self.tables.iter().find(|table| table.key == key)
    }
}

/// Serves until `stop` completes. Then no request is taken any more; those under way are
/// answered, and the streams flushed and closed.
///
/// # Errors
/// The listener fails; or streams that did not close, each with its table and why.
pub async fn serve(
    listener: TcpListener,
    config: Config,
    sdk: Sdk,
    credentials: Credentials,
    limits: Limits,
    stop: impl Future<Output = ()> + Send + 'static,
) -> Result<(), Vec<String>> {
    let tables = config.tables.into_iter().map(|(key, properties)| {
        let table = Table::new(key, properties, sdk.clone(), credentials.clone());
        Arc::new(table)
    });
    let gateway = Arc::new(Gateway {
        tables: tables.collect(),
        limits,
    });
    let routes = routes::routes(Arc::clone(&gateway));
    let served = axum::serve(listener, routes).with_graceful_shutdown(stop);
    let served = served.await;
    let mut failures: Vec<String> = Vec::new();
    if let Err(error) = served {
        failures.push(format!("cannot serve: {error}"));
    }
    for table in &gateway.tables {
        if let Err(error) = table.close().await {
            failures.push(format!("table \"{}\": {error}", table.key));
        }
    }
    match failures.is_empty() {
        true => Ok(()),
        false => Err(failures),
    }
}
