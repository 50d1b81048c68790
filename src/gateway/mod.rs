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

use std::future::IntoFuture as _;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::report::write_line;
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

/// Whether the gateway is to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// It serves.
    No,
    /// It answers what is under way, flushes its streams and ends.
    Soon,
    /// It ends.
    Now,
}

/// Serves until it is to end. Then no request is taken any more; those under way are answered,
/// within the deadline of requests, and the streams flushed and closed.
///
/// # Errors
/// The listener fails; or streams that did not close, each with its table and why.
pub async fn serve(
    listener: TcpListener,
    config: Config,
    sdk: Sdk,
    credentials: Credentials,
    limits: Limits,
    ending: watch::Receiver<Ending>,
) -> Result<(), Vec<String>> {
    let tables = config.tables.into_iter().map(|(key, properties)| {
        let table = Table::new(key, properties, sdk.clone(), credentials.clone());
        Arc::new(table)
    });
    let deadline = limits.deadline;
    let gateway = Arc::new(Gateway {
        tables: tables.collect(),
        limits,
    });
    let routes = routes::routes(Arc::clone(&gateway));
    let served = axum::serve(listener, routes).with_graceful_shutdown(soon(ending.clone()));
    let late = async {
        // Whoever takes longer to send a request than it may take is not waited for.
        soon(ending.clone()).await;
        let _ = tokio::time::timeout(deadline, now(ending.clone())).await;
    };
    let served = tokio::select! {
        served = served.into_future() => served,
        () = late => Ok(()),
    };
    let mut failures: Vec<String> = Vec::new();
    if let Err(error) = served {
        failures.push(format!("cannot serve: {error}"));
    }
    for table in &gateway.tables {
        let left = table.outstanding().await;
        if left > 0 {
            write_line(&format!("table \"{}\": flushing {left} records", table.key));
        }
    }
    let closing = gateway.tables.iter().map(|table| async {
        let closed = tokio::select! {
            closed = table.close() => closed.map_err(|e| e.to_string()),
            () = now(ending.clone()) => Err("not flushed, since it was to end at once".to_owned()),
        };
        let left = table.outstanding().await;
        closed.map_err(|why| match left {
            0 => format!("table \"{}\": {why}", table.key),
            left => format!(
                "table \"{}\": {why}; {left} records are in doubt",
                table.key
            ),
        })
    });
    failures.extend(join_all(closing).await.into_iter().filter_map(Result::err));
    match failures.is_empty() {
        true => Ok(()),
        false => Err(failures),
    }
}

/// Completes once the gateway is to end. If nobody is left to say so, it is.
async fn soon(mut ending: watch::Receiver<Ending>) {
    let _ = ending.wait_for(|ending| *ending != Ending::No).await;
}

/// Completes once it is to end at once; if nobody is left to say so, never.
async fn now(mut ending: watch::Receiver<Ending>) {
    if ending
        .wait_for(|ending| *ending == Ending::Now)
        .await
        .is_err()
    {
        std::future::pending::<()>().await;
    }
}
