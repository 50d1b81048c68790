//! How servers are reached: whom to trust, what to say besides, and through which proxy.

use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use tonic::codegen::http::Uri;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};

use super::secret::Secret;
use super::status::{chain, unanswered};
use crate::protocol::{Fault, FaultClass};

/// How servers are reached.
#[derive(Debug, Clone, Default)]
pub struct Network {
    /// CAs to trust besides the system's, as PEM.
    ca: Option<Vec<u8>>,
    headers: HeaderMap,
    /// The proxies of streams. Those of HTTP are found by its client.
    pub proxies: Option<Proxies>,
}

/// Headers that say what the protocol itself must say.
const OWN_HEADERS: [&str; 7] = [
    "authorization",
    "x-databricks-zerobus-table-name",
    "content-type",
    "content-length",
    "host",
    "te",
    "user-agent",
];

/// A proxy, and who is reached without it (PROTOCOL 2). Loopback always is.
#[derive(Clone)]
pub struct Proxies {
    /// Where the proxy is; may hold a user and a password.
    pub url: String,
    /// Hosts, domains and networks, separated by commas.
    pub bypass: String,
}

impl Proxies {
    /// The proxy that an environment names, if it does.
    ///
    /// # Errors
    /// The variable that holds no URL of a proxy.
    pub fn of(env: &dyn Fn(&str) -> Option<String>) -> Result<Option<Self>, String> {
        let first = |names: &[&str]| {
            let cases = names
                .iter()
                .flat_map(|n| [(*n).to_owned(), n.to_ascii_uppercase()]);
            cases.into_iter().find_map(|name| Some((env(&name)?, name)))
        };
        let Some((url, variable)) = first(&["grpc_proxy", "https_proxy", "http_proxy"]) else {
            return Ok(None);
        };
        let bypass = first(&["no_grpc_proxy", "no_proxy"]);
        let bypass = bypass.map_or(String::new(), |(bypass, _)| bypass);
        let proxies = Self { url, bypass };
        match proxies.is_usable() {
            true => Ok(Some(proxies)),
            false => Err(variable),
        }
    }

    /// Whether the URL is that of a proxy. One that is not would be passed over.
    fn is_usable(&self) -> bool {
        let everything = Matcher::builder().http(self.url.clone()).build();
        everything
            .intercept(&Uri::from_static("http://example.com"))
            .is_some()
    }
}

impl std::fmt::Debug for Proxies {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Proxies except {:?}", self.bypass)
    }
}

impl Network {
    /// Trusts the CAs of a PEM file, too.
    ///
    /// # Errors
    /// It holds no certificate; what is wrong with it.
    pub fn trust(mut self, pem: &[u8]) -> Result<Self, String> {
        let certificates = reqwest::Certificate::from_pem_bundle(pem);
        match certificates {
            Ok(found) if !found.is_empty() => {
                // What is no certificate in it is only noticed by whoever builds with it.
                self.ca = Some(pem.to_owned());
                self.http_builder().build().map_err(|e| chain(&e))?;
                Ok(self)
            }
            Ok(_) => Err("holds no certificate".to_owned()),
            Err(e) => Err(format!("cannot be read: {}", chain(&e))),
        }
    }

    /// Adds a header to each request.
    ///
    /// # Errors
    /// A name or a value that no header may have, or a name that is the protocol's own; the
    /// value is not told.
    pub fn header(&mut self, name: &str, value: &str) -> Result<(), String> {
        let name = name.to_ascii_lowercase();
        if OWN_HEADERS.contains(&name.as_str()) || name.starts_with("grpc-") {
            return Err("is set by the protocol itself".to_owned());
        }
        let name = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| "is no name of a header".to_owned())?;
        if name.as_str().ends_with("-bin") {
            return Err("names a binary header, which a text cannot be".to_owned());
        }
        let mut value = HeaderValue::from_str(value)
            .ok()
            .filter(|value| value.to_str().is_ok())
            .ok_or_else(|| "has a value that no header may have".to_owned())?;
        value.set_sensitive(true);
        self.headers.append(name, value);
        Ok(())
    }

    /// The values of the headers: they may be secret.
    pub(super) fn secrets(&self) -> impl Iterator<Item = Secret> {
        let text = |value: &HeaderValue| value.to_str().ok().map(Secret::new);
        self.headers.values().filter_map(text)
    }

    pub(super) fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// A client of the workspace at this host.
    pub(super) fn http(&self, host: Option<&str>) -> Result<reqwest::Client, Fault> {
        let mut builder = self.http_builder();
        if host.is_some_and(is_loopback) {
            builder = builder.no_proxy();
        }
        builder
            .build()
            .map_err(|e| Fault::new(FaultClass::Refused, format!("HTTP client: {}", chain(&e))))
    }

    fn http_builder(&self) -> reqwest::ClientBuilder {
        let ca = self
            .ca
            .as_deref()
            .map(reqwest::Certificate::from_pem_bundle);
        reqwest::Client::builder()
            // A secret goes to the host it is meant for, and nowhere else.
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(super::USER_AGENT)
            .default_headers(self.headers.clone())
            .tls_certs_merge(ca.and_then(Result::ok).unwrap_or_default())
    }

    pub(super) fn tls(&self) -> ClientTlsConfig {
        let tls = ClientTlsConfig::new().with_native_roots();
        match &self.ca {
            Some(pem) => tls.ca_certificate(Certificate::from_pem(pem)),
            None => tls,
        }
    }

    /// Where the proxy is that leads to this endpoint, as it may be shown.
    pub fn proxy_to(&self, endpoint: &str) -> Option<String> {
        shown(&self.intercept(&endpoint.parse().ok()?)?)
    }

    /// The same for the workspace, by the rules of the HTTP client.
    pub fn http_proxy_to(&self, url: &str) -> Option<String> {
        let uri: Uri = url.parse().ok()?;
        if uri.host().is_some_and(is_loopback) {
            return None;
        }
        shown(&Matcher::from_system().intercept(&uri)?)
    }

    fn intercept(&self, uri: &Uri) -> Option<Intercept> {
        let proxies = self.proxies.as_ref()?;
        if uri.host().is_some_and(is_loopback) {
            return None;
        }
        Matcher::builder()
            .http(proxies.url.clone())
            .https(proxies.url.clone())
            .no(proxies.bypass.clone())
            .build()
            .intercept(uri)
    }

    /// A connection for streams.
    pub(super) async fn connect(&self, endpoint: &Endpoint) -> Result<Channel, Fault> {
        let uri = endpoint.uri();
        let to = format!(
            "cannot connect to {}",
            uri.to_string().trim_end_matches('/')
        );
        let Some(proxy) = self.intercept(uri) else {
            return endpoint.connect().await.map_err(|e| unanswered(&to, &e));
        };
        let shown = shown(&proxy).unwrap_or_default();
        if proxy.uri().scheme_str() != Some("http") {
            let message = format!("the proxy {shown} is not http://, as that of a stream must be");
            return Err(Fault::new(FaultClass::Refused, message)
                .hint("set grpc_proxy to an http:// proxy, or no_grpc_proxy to reach the service without one"));
        }
        let mut direct = HttpConnector::new();
        direct.set_nodelay(true);
        let mut tunnel = Tunnel::new(proxy.uri().clone(), direct);
        if let Some(basic) = proxy.basic_auth() {
            tunnel = tunnel.with_auth(basic.clone());
        }
        let channel = endpoint.connect_with_connector(tunnel).await;
        channel.map_err(|e| unanswered(&format!("{to} through the proxy {shown}"), &e))
    }
}

/// Where a proxy is, without a user.
fn shown(proxy: &Intercept) -> Option<String> {
    let uri = proxy.uri();
    let (scheme, host) = (uri.scheme_str()?, uri.host()?);
    Some(match uri.port_u16() {
        Some(port) => format!("{scheme}://{host}:{port}"),
        None => format!("{scheme}://{host}"),
    })
}

/// Whether a host is this machine: it is never reached through a proxy.
pub(crate) fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare == "localhost"
        || bare
            .parse::<std::net::IpAddr>()
            .is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_leads_to_all_but_loopback_and_what_bypasses_it() {
        let network = Network {
            proxies: Some(Proxies {
                url: "http://user:pass@proxy:3128".to_owned(),
                bypass: "internal.example, 10.0.0.0/8".to_owned(),
            }),
            ..Network::default()
        };
        let shown = Some("http://proxy:3128".to_owned());
        assert_eq!(network.proxy_to("https://1.zerobus.example"), shown);
        for direct in [
            "https://localhost:1",
            "http://127.0.0.1:1",
            "https://a.internal.example",
            "https://10.1.2.3",
        ] {
            assert_eq!(network.proxy_to(direct), None, "{direct}");
        }
        assert!(!format!("{network:?}").contains("pass"));
    }

    #[test]
    fn headers_are_checked_and_not_shown() {
        let mut network = Network::default();
        network.header("x-key", "s3cret-value").unwrap();
        assert!(!format!("{network:?}").contains("s3cret"));
        assert!(network.header("x y", "1").is_err());
        assert!(network.header("x-bin", "1").is_err());
        let why = network.header("x", "a\nb").unwrap_err();
        assert!(!why.contains("a\n"), "{why}");
        assert!(Network::default().trust(b"no pem").is_err());
    }
}
