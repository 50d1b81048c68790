//! One step after the other of what a load does, for whoever wants to know which one fails.

use std::net::SocketAddr;
use std::time::Duration;

use reqwest::Url;
use tonic::transport::Endpoint;

use super::connect::Connector;
use super::network::Network;
use super::status::chain;
use crate::protocol::{Fault, FaultClass};

/// How long one step may take.
const STEP_TIMEOUT: Duration = Duration::from_secs(10);

/// A server that is to be reached: a URL, or the proxy that leads there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Its name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
}

impl Peer {
    /// The server of a URL.
    ///
    /// # Errors
    /// What is no URL.
    pub fn of(url: &str) -> Result<Self, String> {
        let parsed = Url::parse(url).map_err(|e| format!("\"{url}\" is no URL: {e}"))?;
        let host = parsed.host_str().unwrap_or_default();
        let host = host.trim_start_matches('[').trim_end_matches(']');
        Ok(Self {
            host: host.to_owned(),
            port: parsed.port_or_known_default().unwrap_or(443),
        })
    }

    /// The addresses that its name stands for.
    ///
    /// # Errors
    /// There are none, or nobody tells.
    pub async fn look_up(&self) -> Result<Vec<SocketAddr>, String> {
        let name = (self.host.as_str(), self.port);
        let found = tokio::time::timeout(STEP_TIMEOUT, tokio::net::lookup_host(name)).await;
        let found = found.map_err(|_| late("answer"))?;
        let found: Vec<SocketAddr> = found.map_err(|e| e.to_string())?.collect();
        match found.is_empty() {
            true => Err(format!("{} has no address", self.host)),
            false => Ok(found),
        }
    }

    /// Connects to the first address that answers.
    ///
    /// # Errors
    /// None does.
    pub async fn reach(&self, addresses: &[SocketAddr]) -> Result<SocketAddr, String> {
        let stream = tokio::net::TcpStream::connect(addresses);
        let stream = tokio::time::timeout(STEP_TIMEOUT, stream).await;
        let stream = stream.map_err(|_| late("connection"))?;
        let stream = stream.map_err(|e| e.to_string())?;
        stream.peer_addr().map_err(|e| e.to_string())
    }
}

fn late(what: &str) -> String {
    format!("no {what} within {} s", STEP_TIMEOUT.as_secs())
}

impl Network {
    /// Connects to an endpoint as a stream does: through the proxy, TLS and HTTP/2.
    ///
    /// # Errors
    /// What a stream would fail with.
    pub async fn shake_hands(&self, endpoint: &str) -> Result<(), Fault> {
        let refused = |e: tonic::transport::Error| Fault::new(FaultClass::Refused, chain(&e));
        let mut to = Endpoint::from_shared(endpoint.to_owned()).map_err(refused)?;
        if endpoint.starts_with("https://") {
            to = to.tls_config(self.tls()).map_err(refused)?;
        }
        let connected = tokio::time::timeout(STEP_TIMEOUT, self.connect(&to)).await;
        connected
            .unwrap_or_else(|_| Err(Fault::transient(late("handshake"))))
            .map(drop)
    }

    /// Asks a workspace for anything: whatever it answers, it is there and trusted.
    ///
    /// # Errors
    /// No answer.
    pub async fn greet(&self, workspace: &str) -> Result<(), Fault> {
        let url =
            Url::parse(workspace).map_err(|e| Fault::new(FaultClass::Refused, e.to_string()))?;
        let http = self.http(url.host_str())?;
        let answer = http.get(url.clone()).timeout(STEP_TIMEOUT).send().await;
        match answer {
            Ok(_) => Ok(()),
            Err(e) => Err(super::http::no_answer(&url, e)),
        }
    }
}

impl Connector {
    /// Opens a stream and closes it, with nothing sent. Tells its id.
    ///
    /// # Errors
    /// What a load would fail with.
    pub async fn try_out(&self) -> Result<String, Fault> {
        let opened = tokio::time::timeout(STEP_TIMEOUT, self.connect()).await;
        let mut connection = opened.unwrap_or_else(|_| Err(Fault::transient(late("stream"))))?;
        connection.requests = None;
        // The server ends its side in return; what it says is of no more use.
        let _ = tokio::time::timeout(STEP_TIMEOUT, connection.responses.message()).await;
        Ok(connection.stream_id)
    }
}
