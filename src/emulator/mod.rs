//! The embedded server: a local Zerobus that writes real Delta tables. This file
//! starts and ends it.

mod auth;
mod bounds;
mod buffers;
mod builder;
mod catalog;
mod cells;
mod check;
mod check_json;
mod chores;
mod columns;
mod decode;
mod decode_json;
mod decode_proto;
mod delta_types;
mod descriptor;
mod details;
mod faults;
mod figures;
mod grants;
mod http;
mod incoming;
mod instants;
mod json_names;
mod log;
mod maintain;
mod numbers;
mod plan;
mod privileges;
mod read;
mod requests;
mod service;
mod shown;
mod sink;
mod sql;
mod status;
mod support;
mod table;
mod tls;
mod token;
mod unity;
mod upkeep;
mod wire_format;

use std::fs::{File, TryLockError};
use std::future::pending;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::{Stream, StreamExt as _};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tonic::service::Routes;
use tonic::transport::Server;
use tonic::transport::server::{Router, TcpIncoming};

use self::rpc::zerobus_server::ZerobusServer;
use crate::schema::{Column, TableName};

use self::auth::Auth;
use self::catalog::Catalog;
use self::faults::{Faults, Io};
use self::grants::Grants;
use self::service::Service;
use self::shown::without_backtrace;
use self::sql::Scripts;
use self::status::Activity;
use self::tls::Tls;

pub use self::faults::Fault;
pub use self::read::{LocalTable, local_tables};
pub use self::sql::{SqlError, SqlScript};

/// The service as tonic calls it, made by `build.rs`.
mod rpc {
    #![expect(clippy::all, unreachable_pub, reason = "generated")]
    tonic::include_proto!("databricks.zerobus.Zerobus");
}

/// A stream may have this much on its way before the server has read it.
const STREAM_WINDOW_BYTES: u32 = 8 << 20;
/// The same over all streams of one connection.
const CONNECTION_WINDOW_BYTES: u32 = 32 << 20;
/// Larger HTTP/2 frames than the default of 16 KiB: fewer wake-ups for each request.
const FRAME_BYTES_MAX: u32 = 1 << 20;
/// One request on the wire: the 10 MiB of record bytes and the framing of very small records.
const REQUEST_BYTES_MAX: usize = 32 << 20;
/// How long open connections may take to end once everything is committed: acknowledgements
/// are on their way, but nothing else is lost.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(3);
/// How long the service's own tokens are valid.
const TOKEN_TTL: Duration = Duration::from_secs(3_600);
/// Held while a server works on a directory.
const LOCK_FILE: &str = ".zerobus.lock";

/// How the server runs.
pub struct Options {
    /// Directory of the tables: `DIR/<catalog>/<schema>/<table>`.
    pub dir: PathBuf,
    /// Address to listen on; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Accepted OAuth clients: (id, secret).
    pub clients: Vec<(String, String)>,
    /// A file with a JWT that is exchanged for tokens, as workload identity federation does.
    pub federated: Option<PathBuf>,
    /// Let anybody in, with any token or none.
    pub no_auth: bool,
    /// How long a token is valid.
    pub token_ttl: Duration,
    /// Speak TLS only, with a certificate of the server's own CA: `DIR/ca.pem`.
    pub tls: bool,
    /// Check records and acknowledge them, store nothing.
    pub discard: bool,
    /// Let principals write only where they were granted it.
    pub enforce_grants: bool,
    /// Make a table that does not exist from the first stream's descriptor.
    pub auto_create: bool,
    /// Statements to carry out before anybody is served, in this order.
    pub scripts: Vec<SqlScript>,
    /// Least spacing of Delta commits of one table; zero: as soon as rows wait and the last commit ended.
    pub commit_interval: Duration,
    /// Faults on purpose; none: the server behaves.
    pub faults: Vec<Fault>,
    /// Settles what happens by chance: the same seed and the same order of connections, the
    /// same faults.
    pub seed: u64,
}

impl Options {
    /// A server for one client, that behaves: a token lasts an hour, as the service's does,
    /// and rows are committed as soon as they wait.
    pub fn new(dir: impl Into<PathBuf>, listen: SocketAddr, client: (String, String)) -> Self {
        Self {
            dir: dir.into(),
            listen,
            clients: vec![client],
            federated: None,
            no_auth: false,
            token_ttl: TOKEN_TTL,
            tls: false,
            discard: false,
            enforce_grants: false,
            auto_create: false,
            scripts: Vec::new(),
            commit_interval: Duration::ZERO,
            faults: Vec::new(),
            seed: 0,
        }
    }
}

/// A running server. Dropping it without [`Emulator::shutdown`] ends it too, but does
/// not wait for rows that were received and not yet committed.
pub struct Emulator {
    address: SocketAddr,
    url: String,
    /// The file with the CA, if the server speaks TLS.
    ca: Option<PathBuf>,
    catalog: Arc<Catalog>,
    /// Its end, sent or dropped, tells streams, writers and the listener to finish.
    stop: watch::Sender<bool>,
    server: JoinSet<Result<(), tonic::transport::Error>>,
    /// Unlocks the directory when it is dropped.
    _lock: File,
}

/// Why the server could not start or do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EmulatorError {
    /// The address cannot be bound.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// What the operating system says.
        source: io::Error,
    },
    /// Another server holds the directory.
    #[error("directory {} is in use by another server", dir.display())]
    Locked {
        /// The directory of the tables.
        dir: PathBuf,
    },
    /// A directory or file of the server cannot be used.
    #[error("cannot use {}: {source}", path.display())]
    Directory {
        /// The directory or file.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// A statement cannot be understood or carried out.
    #[error(transparent)]
    Sql(#[from] SqlError),
    /// A table cannot be made, read or written.
    #[error("table {table}: {message}")]
    Table {
        /// The table's three-part name.
        table: String,
        /// What is wrong.
        message: String,
    },
    /// A table asks of its writers what this server does not do.
    #[error("table {table} {message}")]
    Unsupported {
        /// The table's three-part name.
        table: String,
        /// What it asks.
        message: String,
    },
    /// The server ended abnormally.
    #[error("the server on {address} failed: {message}")]
    Serve {
        /// The address it listened on.
        address: SocketAddr,
        /// What is wrong.
        message: String,
    },
}

impl EmulatorError {
    /// Whether another server holds the directory.
    pub fn is_locked(&self) -> bool {
        matches!(self, Self::Locked { .. })
    }

    fn table(name: &TableName, message: impl Into<String>) -> Self {
        Self::Table {
            table: name.to_string(),
            message: without_backtrace(message.into()),
        }
    }
}

impl Emulator {
    /// Makes the directory if needed, locks it, binds the address, carries out the scripts
    /// and serves on the current tokio runtime.
    ///
    /// # Errors
    /// The directory cannot be used or is held by another server, the address cannot be
    /// bound, or a script cannot be carried out.
    pub async fn start(options: Options) -> Result<Self, EmulatorError> {
        // A slip in the last statement leaves nothing behind.
        let scripts = Scripts::parse(&options.scripts)?;
        let unusable = |path: &PathBuf| {
            let path = path.clone();
            move |source| EmulatorError::Directory { path, source }
        };
        std::fs::create_dir_all(&options.dir).map_err(unusable(&options.dir))?;
        let dir = options.dir.canonicalize().map_err(unusable(&options.dir))?;
        let activity = Activity::new(&options, &dir, Instant::now());
        let Options {
            dir: _,
            listen,
            clients,
            federated,
            no_auth,
            token_ttl,
            tls,
            enforce_grants,
            auto_create,
            discard,
            scripts: _,
            commit_interval,
            faults,
            seed,
        } = options;
        let lock = lock(&dir)?;
        let mut grants = Grants::load(&dir, enforce_grants)?;
        let (stop, stopped) = watch::channel(false);
        let catalog = Arc::new(Catalog::new(dir.clone(), commit_interval, stopped.clone()));
        let unbound = |source| EmulatorError::Listen {
            address: listen,
            source,
        };
        // Whoever connects waits until the scripts are done.
        let listener = TcpListener::bind(listen).await.map_err(unbound)?;
        let address = listener.local_addr().map_err(unbound)?;
        let tls = tls.then(|| Tls::open(&dir, address.ip())).transpose()?;
        scripts.run(&catalog, &mut grants).await?;
        let url = url(address, tls.is_some());
        let ca = tls.as_ref().map(|tls| tls.ca.clone());

        let auth = Auth::new(clients, token_ttl, no_auth, grants);
        let auth = Arc::new(auth.with_federated(federated));
        let faults = Faults::new(faults, seed, auth.clone(), stopped.clone());
        let cuttable = faults.is_some();
        let service = Service {
            catalog: catalog.clone(),
            auth: auth.clone(),
            auto_create,
            discard,
            faults: faults.clone(),
            activity: activity.clone(),
            stopped: stopped.clone(),
        };
        let page = status::router(activity.clone(), catalog.clone(), dir, address.ip());
        let http =
            http::router(catalog.clone(), auth, faults, activity.clone(), url.clone()).merge(page);
        let routes = Routes::from(http)
            .add_service(ZerobusServer::new(service).max_decoding_message_size(REQUEST_BYTES_MAX));
        let serve = Server::builder()
            .accept_http1(true)
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .max_frame_size(FRAME_BYTES_MAX)
            .add_routes(routes.prepare());
        let connections = TcpIncoming::from(listener).with_nodelay(Some(true));
        let mut server = JoinSet::new();
        match tls {
            None => {
                let connections = connections.map(move |tcp| Ok(Io::new(tcp?, cuttable)));
                server.spawn(serve_until(serve, connections, stopped))
            }
            Some(tls) => {
                let connections = tls.accept(connections, activity);
                let connections = connections.map(move |tls| Ok(Io::new(tls?, cuttable)));
                server.spawn(serve_until(serve, connections, stopped))
            }
        };
        Ok(Self {
            address,
            url,
            ca,
            catalog,
            stop,
            server,
            _lock: lock,
        })
    }

    /// The address that the server listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where clients reach it.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The file with the CA that clients must trust, if the server speaks TLS.
    pub fn ca(&self) -> Option<&Path> {
        self.ca.as_deref()
    }

    /// Makes a table unless it exists; `Ok(true)` if it was made.
    ///
    /// # Errors
    /// The columns make no table, or the directory cannot be written.
    pub async fn create_table(
        &self,
        name: &TableName,
        columns: &[Column],
    ) -> Result<bool, EmulatorError> {
        self.catalog.create(name, columns).await
    }

    /// Whether the table exists.
    ///
    /// # Errors
    /// There is a table, but it cannot be read.
    pub async fn table_exists(&self, name: &TableName) -> Result<bool, EmulatorError> {
        Ok(self.catalog.get(name).await?.is_some())
    }

    /// Ends gracefully: takes no new streams, commits and acknowledges what was
    /// received, closes the connections.
    ///
    /// # Errors
    /// The server had failed before.
    pub async fn shutdown(self) -> Result<(), EmulatorError> {
        self.shutdown_or(pending()).await
    }

    /// The same, but waits for no connection any more once `at_once` completes. What was
    /// received is committed even then.
    ///
    /// # Errors
    /// The server had failed before.
    pub async fn shutdown_or(
        mut self,
        at_once: impl Future<Output = ()>,
    ) -> Result<(), EmulatorError> {
        self.stop.send_replace(true);
        self.catalog.close().await;
        let served = tokio::select! {
            served = self.server.join_next() => match served {
                Some(Ok(served)) => served.map_err(|error| error.to_string()),
                Some(Err(error)) => Err(error.to_string()),
                None => Ok(()),
            },
            // Somebody does not end: a request that is never completed, answers never read.
            () = sleep(SHUTDOWN_GRACE) => Ok(()),
            () = at_once => Ok(()),
        };
        self.server.shutdown().await;
        // For a stream that was being created at the first time.
        self.catalog.close().await;
        served.map_err(|message| EmulatorError::Serve {
            address: self.address,
            message,
        })
    }
}

/// The URL of a server at this address. Over TLS by name where the certificate has one, as
/// clients are used to.
fn url(mut address: SocketAddr, tls: bool) -> String {
    // All addresses of a machine are none to connect to.
    address.set_ip(match address.ip() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    });
    let ip = address.ip();
    let has_name = ip == Ipv4Addr::LOCALHOST || ip == Ipv6Addr::LOCALHOST;
    match tls {
        false => format!("http://{address}"),
        true if has_name => format!("https://localhost:{}", address.port()),
        true => format!("https://{address}"),
    }
}

async fn serve_until<S>(
    server: Router,
    connections: impl Stream<Item = io::Result<Io<S>>>,
    stopped: watch::Receiver<bool>,
) -> Result<(), tonic::transport::Error>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let stop = stop_asked(stopped);
    server.serve_with_incoming_shutdown(connections, stop).await
}

/// Ends when the server shall stop, also when its handle was dropped.
async fn stop_asked(mut stopped: watch::Receiver<bool>) {
    // An error means that the sender is gone, which is the same request.
    let _ = stopped.wait_for(|stop| *stop).await;
}

fn lock(dir: &Path) -> Result<File, EmulatorError> {
    let path = dir.join(LOCK_FILE);
    let failed = |source| EmulatorError::Directory {
        path: path.clone(),
        source,
    };
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(EmulatorError::Locked { dir: dir.into() }),
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}
