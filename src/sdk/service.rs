//! Where the service is, and the streams that go there.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use tokio::runtime::Handle;

use super::record::Encoding;
use super::stream::{Origin, Stream};
use super::{Credentials, Error, ErrorKind, StreamOptions, TableProperties, table};
use crate::client::url::{self, Url};
use crate::client::{Connector, Network, Proxies, Target, TokenSource, Tokens, WorkspaceId};
use crate::error::Failure;
use crate::protocol::Fault;
use crate::schema::TableName;

/// Sources of tokens that are kept for streams to come.
const SOURCES_MAX: usize = 1_024;

/// Where the service is. Makes [`Stream`]s, which share tokens: one that was obtained for a
/// table serves all its streams with the same credentials until shortly before it expires.
///
/// Clones are the same one. A program needs one.
#[derive(Clone)]
pub struct Sdk {
    service: Arc<Service>,
}

struct Service {
    endpoint: Url,
    workspace: Option<Url>,
    workspace_id: WorkspaceId,
    network: Network,
    /// The oldest first.
    sources: Mutex<Vec<Shares>>,
}

/// A source of tokens, and whose streams share it.
struct Shares {
    credentials: Credentials,
    table: TableName,
    tokens: Arc<Tokens>,
}

impl PartialEq for Sdk {
    /// Whether one is a clone of the other.
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.service, &other.service)
    }
}

impl Sdk {
    /// The service at an endpoint, such as `<workspace-id>.zerobus.<region>.cloud.databricks.com`,
    /// and its workspace's URL. Without a scheme both are `https://`.
    ///
    /// A proxy that the environment names (`grpc_proxy`, `https_proxy`, `http_proxy`,
    /// `no_grpc_proxy`, `no_proxy`) is used.
    ///
    /// # Errors
    /// [`ErrorKind::Settings`] for what is no URL, or not encrypted and not this machine.
    pub fn new(server_endpoint: &str, workspace_url: &str) -> Result<Self, Error> {
        Self::builder(server_endpoint)
            .workspace_url(workspace_url)
            .build()
    }

    /// The same with more to say.
    pub fn builder(server_endpoint: &str) -> SdkBuilder {
        SdkBuilder {
            endpoint: server_endpoint.to_owned(),
            workspace: None,
            workspace_id: None,
            ca: None,
            headers: Vec::new(),
            allow_plaintext: false,
        }
    }

    /// Creates a stream, and waits until it is open.
    ///
    /// # Errors
    /// What the service or whoever makes tokens refuses; [`ErrorKind::Unavailable`] once the
    /// retries are used up.
    ///
    /// # Panics
    /// Outside of a tokio runtime with time and I/O; [`blocking`](super::blocking) needs none.
    pub async fn create_stream(
        &self,
        credentials: Credentials,
        table: &TableProperties,
        options: StreamOptions,
    ) -> Result<Stream, Error> {
        let stream = self.start_stream(credentials, table, options)?;
        stream.opened().await?;
        Ok(stream)
    }

    /// Creates a stream that connects in the background. It accepts records at once, within its
    /// bounds.
    ///
    /// # Errors
    /// [`ErrorKind::Settings`] for credentials that need a workspace where none is given.
    ///
    /// # Panics
    /// As [`create_stream`](Self::create_stream).
    pub fn start_stream(
        &self,
        credentials: Credentials,
        table: &TableProperties,
        options: StreamOptions,
    ) -> Result<Stream, Error> {
        let origin = Origin {
            credentials,
            table: table.clone(),
            options,
        };
        self.start_on(origin, &Handle::current(), ())
    }

    pub(super) fn start_on(
        &self,
        origin: Origin,
        runtime: &Handle,
        alive: impl Send + 'static,
    ) -> Result<Stream, Error> {
        let Service {
            endpoint, network, ..
        } = &*self.service;
        let encoding = Encoding::new(origin.table.clone());
        let descriptor = origin.table.plan().map(|plan| plan.descriptor.clone());
        let target = Target {
            endpoint: endpoint.text.clone(),
            table: origin.table.name().clone(),
            kind: encoding.kind(),
            descriptor: descriptor.map(Bytes::from).unwrap_or_default(),
        };
        let tokens = self.tokens(&origin)?;
        let connector = Connector::sharing(target, tokens, network.clone());
        let connector = connector.map_err(|fault| of_settings(&fault))?;
        Stream::start(connector, origin, encoding, runtime, alive)
    }

    /// Creates a stream like one that has ended, and gives it what that one has left
    /// unacknowledged, but for what the service has refused; batches stay batches. Offsets begin
    /// at 0 again.
    ///
    /// # Errors
    /// [`ErrorKind::Closed`] if the stream has not ended; those of
    /// [`create_stream`](Self::create_stream). Then, and if the returned future is dropped before
    /// it is ready, the first stream still has it all; some of it may have been sent.
    ///
    /// # Panics
    /// As [`create_stream`](Self::create_stream).
    pub async fn recreate_stream(&self, ended: &Stream) -> Result<Stream, Error> {
        self.recreate_on(ended, &Handle::current(), ()).await
    }

    pub(super) async fn recreate_on(
        &self,
        ended: &Stream,
        runtime: &Handle,
        alive: impl Send + 'static,
    ) -> Result<Stream, Error> {
        let left = ended.unacknowledged()?;
        let stream = self.start_on(ended.origin().clone(), runtime, alive)?;
        let unfinished = Unfinished(Some(stream));
        if let Unfinished(Some(stream)) = &unfinished {
            stream.opened().await?;
            for item in left.iter().filter(|item| item.refused.is_none()) {
                stream.accept_again(item).await?;
            }
        }
        unfinished.finish()
    }

    /// The table as Unity Catalog knows it: one attempt. A record has a field for each of its
    /// columns.
    ///
    /// # Errors
    /// The catalog cannot be reached, or refuses; columns that no field fills;
    /// [`ErrorKind::Settings`] for a name that is none, or without a workspace's URL.
    pub async fn fetch_table(
        &self,
        credentials: &Credentials,
        table_name: &str,
    ) -> Result<TableProperties, Error> {
        let name = table::name(table_name)?;
        let mut tokens = self.token_source(credentials, &name)?;
        let fetched = tokens.fetch_table().await;
        let fetched = fetched.map_err(|fault| Error::of_fault(&fault))?;
        TableProperties::of_columns(name, &fetched.columns)
    }

    fn token_source(
        &self,
        credentials: &Credentials,
        table: &TableName,
    ) -> Result<TokenSource, Error> {
        let service = &*self.service;
        if service.workspace.is_none() && credentials.needs_workspace() {
            return Err(Error::hinting(
                ErrorKind::Settings,
                "no workspace URL is given, which hands out tokens",
                Some("give SdkBuilder::workspace_url"),
            ));
        }
        let tokens = TokenSource::new(
            service.workspace.as_ref().map(|url| url.text.as_str()),
            service.workspace_id.clone(),
            table,
            credentials.clone(),
            &service.network,
        );
        tokens.map_err(|fault| of_settings(&fault))
    }

    fn tokens(&self, origin: &Origin) -> Result<Arc<Tokens>, Error> {
        let Origin {
            credentials, table, ..
        } = origin;
        let service = &*self.service;
        // A list of sources, whatever a panic elsewhere has left.
        let mut sources = service
            .sources
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let shared = sources
            .iter()
            .find(|s| s.table == *table.name() && s.credentials == *credentials);
        if let Some(shared) = shared {
            return Ok(Arc::clone(&shared.tokens));
        }
        let tokens = self.token_source(credentials, table.name())?;
        let tokens = Arc::new(Tokens::new(tokens));
        if sources.len() == SOURCES_MAX {
            sources.remove(0);
        }
        sources.push(Shares {
            credentials: credentials.clone(),
            table: table.name().clone(),
            tokens: Arc::clone(&tokens),
        });
        Ok(tokens)
    }
}

/// A stream that goes no further unless it is finished.
struct Unfinished(Option<Stream>);

impl Unfinished {
    fn finish(mut self) -> Result<Stream, Error> {
        self.0.take().ok_or_else(Error::closed)
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if let Some(stream) = &self.0 {
            stream.abort();
        }
    }
}

impl fmt::Debug for Sdk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sdk")
            .field("endpoint", &self.service.endpoint.text)
            .finish_non_exhaustive()
    }
}

/// Says more of where the service is and how it is reached.
#[derive(Clone)]
#[must_use = "`build` makes an Sdk of it"]
pub struct SdkBuilder {
    endpoint: String,
    workspace: Option<String>,
    workspace_id: Option<String>,
    ca: Option<Vec<u8>>,
    headers: Vec<(String, crate::client::Secret)>,
    allow_plaintext: bool,
}

impl fmt::Debug for SdkBuilder {
    /// Nothing of it: what is not parsed yet may hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SdkBuilder").finish_non_exhaustive()
    }
}

impl SdkBuilder {
    /// The workspace's URL. A token that was obtained elsewhere needs none.
    pub fn workspace_url(mut self, url: &str) -> Self {
        self.workspace = Some(url.to_owned());
        self
    }

    /// The workspace's id, where neither the endpoint's host nor the workspace tells it.
    pub fn workspace_id(mut self, id: &str) -> Self {
        self.workspace_id = Some(id.to_owned());
        self
    }

    /// Certificates of CAs to trust besides the system's, as PEM.
    pub fn ca_certificate(mut self, pem: &[u8]) -> Self {
        self.ca = Some(pem.to_owned());
        self
    }

    /// Adds a header to each request to service and workspace.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        let value = crate::client::Secret::new(value);
        self.headers.push((name.to_owned(), value));
        self
    }

    /// Allows `http://` for other hosts than this machine, where the network is trusted.
    pub fn allow_plaintext(mut self, allow: bool) -> Self {
        self.allow_plaintext = allow;
        self
    }

    /// Makes the [`Sdk`]. Nothing is connected yet.
    ///
    /// # Errors
    /// [`ErrorKind::Settings`], with what is wrong.
    pub fn build(self) -> Result<Sdk, Error> {
        let settings = |message: String| Error::new(ErrorKind::Settings, message);
        let parse = |what: &str, given: &str| {
            Url::parse(what, given, self.allow_plaintext).map_err(|e| of_failure(&e))
        };
        let endpoint = parse("the endpoint", &self.endpoint)?;
        let workspace = self.workspace.as_deref();
        let workspace = workspace.map(|given| parse("the workspace URL", given));
        let workspace = workspace.transpose()?;
        let mut network = Network::default();
        if let Some(pem) = &self.ca {
            let trusted = network.trust(pem);
            network = trusted.map_err(|why| settings(format!("the CA's certificate {why}")))?;
        }
        for (name, value) in &self.headers {
            let added = network.header(name, value.expose());
            added.map_err(|why| settings(format!("the header {name:?} {why}")))?;
        }
        let proxies = Proxies::of(&crate::settings::environment);
        network.proxies = proxies
            .map_err(|variable| settings(format!("{variable} is not the URL of a proxy")))?;
        let workspace_id = match self.workspace_id {
            Some(id) => WorkspaceId::Known(id),
            None => url::workspace_id(&endpoint, workspace.as_ref()).0,
        };
        Ok(Sdk {
            service: Arc::new(Service {
                endpoint,
                workspace,
                workspace_id,
                network,
                sources: Mutex::default(),
            }),
        })
    }
}

fn of_settings(fault: &Fault) -> Error {
    Error::hinting(ErrorKind::Settings, fault.message.as_str(), fault.hint)
}

fn of_failure(failure: &Failure) -> Error {
    let hint = failure.hint.as_deref().map(|hint| {
        // The flag's name in a library.
        hint.replace("--allow-plaintext", "SdkBuilder::allow_plaintext")
    });
    Error::hinting(
        ErrorKind::Settings,
        failure.message.as_str(),
        hint.as_deref(),
    )
}
