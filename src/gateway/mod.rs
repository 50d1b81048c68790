//! The HTTP gateway: JSON over HTTP in, streams of the library out.
//!
//! A table of the configuration has its routes and one stream, which is opened by its first
//! record and stays open. A request's records are checked before any is accepted; then they are
//! in the stream's hands, or in the spool's, which send them whatever becomes of the request.

mod access;
mod answer;
mod body;
pub mod config;
mod docs;
mod feed;
mod health;
mod keeper;
mod letters;
mod metrics;
mod observe;
mod openapi;
mod reload;
mod routes;
mod server;
mod spool;
mod table;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use axum::body::Bytes;
use futures_util::future::join_all;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::AbortHandle;

use crate::sdk::{Credentials, Sdk, TableProperties};
pub use access::Token;
use body::Bodies;
use letters::DeadLetters;
use metrics::Metrics;
pub use spool::Unusable;
use spool::{Left, Spools};
use table::Table;

/// What is served: it may be given anew while the gateway runs.
pub struct Setup {
    /// The tables, in their order.
    pub tables: Vec<Served>,
    /// Where their streams go.
    pub sdk: Sdk,
    /// By whose leave.
    pub credentials: Credentials,
}

/// One table that is served.
pub struct Served {
    /// Its key: its place in URLs, letters, digits, `_`, `-` and `.`.
    pub key: String,
    /// Its name, and what its records are.
    pub properties: TableProperties,
    /// What callers must show to write to it; none: nothing.
    pub token: Option<Token>,
}

/// What the gateway goes by as long as it runs.
#[derive(Debug, Clone)]
pub struct Options {
    /// How long a request may take.
    pub deadline: Duration,
    /// The longest body of a request, in bytes.
    pub body_bytes_max: usize,
    /// Where records go that were accepted and that the service refuses, or that could not be
    /// sent before the end.
    pub dead_letters: PathBuf,
    /// Where accepted records lie until they are durable, and how many bytes there may be.
    pub spool: Option<(PathBuf, u64)>,
    /// Log each request, not only those that fail on the gateway's side.
    pub log_requests: bool,
    /// Nobody from elsewhere reaches it, except through a browser of this machine.
    pub is_local: bool,
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

/// What all requests share.
pub struct Gateway {
    current: RwLock<Arc<Tables>>,
    /// Tables that are not served any more, and have something to send.
    retired: Mutex<Vec<Entry>>,
    options: Options,
    metrics: Metrics,
    letters: Arc<DeadLetters>,
    bodies: Bodies,
    spools: Option<Arc<Spools>>,
}

/// Where streams go, and by whose leave.
#[derive(Clone, PartialEq)]
struct Upstream {
    sdk: Sdk,
    credentials: Credentials,
}

/// The tables that are served now.
struct Tables {
    entries: Vec<Entry>,
    upstream: Upstream,
    openapi: Bytes,
}

/// A table and who uses it.
#[derive(Clone)]
struct Entry {
    table: Arc<Table>,
    token: Option<Token>,
    /// Each request has one more of it.
    user: Arc<()>,
    feeder: Option<AbortHandle>,
}

impl Entry {
    async fn close(&self, patience: impl Future<Output = ()>) -> Result<(), String> {
        let closed = self.table.close(patience).await;
        if let Some(feeder) = &self.feeder {
            feeder.abort();
        }
        closed
    }
}

impl Gateway {
    /// Makes one, and takes what another process has left in the spool.
    ///
    /// # Errors
    /// The spool cannot be used, or the file for dead letters.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn new(setup: Setup, options: Options) -> Result<Arc<Self>, Unusable> {
        let letters = DeadLetters::new(options.dead_letters.clone());
        let (spools, mut left) = match &options.spool {
            Some((dir, bytes_max)) => {
                let (spools, left) = Spools::open(dir, *bytes_max)?;
                (Some(Arc::new(spools)), left)
            }
            None => (None, Vec::new()),
        };
        letters.check().map_err(|e| {
            let path = options.dead_letters.display();
            Unusable::Other(format!("{path}, where refused records are to go: {e}"))
        })?;
        let Setup {
            tables,
            sdk,
            credentials,
        } = setup;
        let upstream = Upstream { sdk, credentials };
        let mut gateway = Self {
            current: RwLock::new(Arc::new(Tables {
                entries: Vec::new(),
                upstream: upstream.clone(),
                openapi: openapi::document(&tables),
            })),
            retired: Mutex::default(),
            metrics: Metrics::new(),
            letters: Arc::new(letters),
            bodies: Bodies::new(options.body_bytes_max),
            options,
            spools,
        };
        let mut entries = Vec::new();
        for served in tables {
            let its = left
                .iter()
                .position(|l| l.is_of(&served.key, &served.properties));
            let its = its.map(|index| left.remove(index));
            let entry = gateway.entry(served, &upstream, its);
            entries.push(entry.map_err(Unusable::Other)?);
        }
        let mut retired = Vec::new();
        // Its configuration has changed since: what is left goes where it was to go.
        for left in left {
            let properties = left.properties();
            let properties = properties.map_err(|why| {
                Unusable::Other(format!("what is left of table \"{}\": {why}", left.key()))
            })?;
            let served = Served {
                key: left.key().to_owned(),
                properties,
                token: None,
            };
            let entry = gateway.entry(served, &upstream, Some(left));
            retired.push(entry.map_err(Unusable::Other)?);
        }
        gateway.retired = Mutex::new(retired);
        gateway.current = RwLock::new(Arc::new(Tables {
            openapi: gateway.tables().openapi.clone(),
            entries,
            upstream,
        }));
        Ok(Arc::new(gateway))
    }

    fn entry(
        &self,
        served: Served,
        upstream: &Upstream,
        left: Option<Left>,
    ) -> Result<Entry, String> {
        let Served {
            key,
            properties,
            token,
        } = served;
        if let Some(left) = &left {
            let (records, table) = (left.records, &key);
            tracing::info!(
                table,
                "{records} records are left in the spool and are sent now"
            );
        }
        let spool = self
            .spools
            .as_ref()
            .map(|s| s.spool(&key, &properties, left));
        let spool = spool.transpose().map_err(|e| format!("the spool: {e}"))?;
        let (upstream, letters) = (upstream.clone(), &self.letters);
        let table = Table::start(key, properties, upstream, spool, letters, &self.metrics);
        let table = Arc::new(table);
        let feeder = table.spool.clone().map(|spool| {
            let feeding = feed::feed(Arc::clone(&table), spool);
            tokio::spawn(feeding).abort_handle()
        });
        Ok(Entry {
            table,
            token,
            user: Arc::default(),
            feeder,
        })
    }

    fn tables(&self) -> Arc<Tables> {
        // It is replaced as a whole.
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&current)
    }

    fn retired(&self) -> Vec<Entry> {
        let retired = self.retired.lock().unwrap_or_else(PoisonError::into_inner);
        retired.clone()
    }

    /// Serves until it is to end. Then no request is taken any more; those under way are
    /// answered, within the deadline of requests, and the streams flushed and closed.
    ///
    /// # Errors
    /// Streams that did not close, each with its table and why.
    pub async fn serve(
        self: Arc<Self>,
        listener: TcpListener,
        mut setups: mpsc::Receiver<Setup>,
        ending: watch::Receiver<Ending>,
    ) -> Result<(), Vec<String>> {
        let patience = self.options.deadline;
        let routes = routes::routes(Arc::clone(&self));
        self.retired()
            .into_iter()
            .for_each(|entry| self.see_off(entry));
        let reloading = async {
            while let Some(setup) = setups.recv().await {
                if let Err(error) = self.reload(setup) {
                    tracing::error!(error, "serving as before");
                }
            }
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = server::serve(listener, routes, patience, ending.clone()) => {}
            () = reloading => {}
        }
        let mut entries = self.tables().entries.clone();
        entries.extend(self.retired());
        let closing = entries.iter().map(|entry| async {
            let table = &entry.table;
            let left = table.outstanding();
            if left > 0 {
                tracing::info!(table = table.key, "flushing {left} records");
            }
            let patience = async {
                tokio::select! {
                    () = tokio::time::sleep(patience) => {}
                    () = now(ending.clone()) => {}
                }
            };
            let closed = entry.close(patience).await;
            closed.map_err(|why| format!("table \"{}\": {why}", table.key))
        });
        let failures = join_all(closing).await;
        let failures: Vec<_> = failures.into_iter().filter_map(Result::err).collect();
        match failures.is_empty() {
            true => Ok(()),
            false => Err(failures),
        }
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
