//! TLS for the server: a CA of its own that is kept with the tables, and a certificate that
//! it signs anew at each start.

use std::fs::{self, File};
use std::future::ready;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::{Stream, StreamExt as _};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, PublicKeyData as _,
};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::rustls::{RootCertStore, ServerConfig};
use tokio_rustls::server::TlsStream;

use super::EmulatorError;
use super::status::Activity;

/// What clients trust.
const CA_FILE: &str = "ca.pem";
/// What signs; nobody but the server's user may read it.
const KEY_FILE: &str = "ca.key";
/// More than any key takes.
const KEY_BYTES_MAX: u64 = 64 << 10;
const CA_DAYS: u32 = 3_652;
/// Python and browsers want no more than 398.
const CERTIFICATE_DAYS: u32 = 365;
/// Clocks differ: certificates begin to be valid so long ago.
const CLOCK_SKEW: Duration = Duration::from_secs(3_600);
/// How long a client may take for its handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Handshakes under way; more clients wait to be accepted.
const HANDSHAKES_MAX: usize = 1_024;

/// What a server needs for TLS.
pub(super) struct Tls {
    acceptor: TlsAcceptor,
    /// The file with the CA.
    pub(super) ca: PathBuf,
}

impl Tls {
    /// Takes the CA in `dir`, made if there is none, and makes a certificate for this
    /// machine's own names and for `address`.
    ///
    /// # Errors
    /// The CA's files cannot be used.
    pub(super) fn open(dir: &Path, address: IpAddr) -> Result<Self, EmulatorError> {
        let ca = dir.join(CA_FILE);
        let issuer = issuer(&dir.join(KEY_FILE), &ca)?;
        let config = config(&issuer, address).map_err(|error| unusable(&ca, error))?;
        let acceptor = TlsAcceptor::from(Arc::new(config));
        Ok(Self { acceptor, ca })
    }

    /// Shakes hands on each connection, on many at a time; one where that fails or takes too
    /// long is closed and concerns nobody else.
    pub(super) fn accept(
        self,
        connections: impl Stream<Item = io::Result<TcpStream>>,
        activity: Arc<Activity>,
    ) -> impl Stream<Item = io::Result<TlsStream<TcpStream>>> {
        let shake = move |tcp: io::Result<TcpStream>| {
            let (acceptor, activity) = (self.acceptor.clone(), activity.clone());
            async move {
                let tcp = match tcp {
                    Ok(tcp) => tcp,
                    Err(error) => return Some(Err(error)),
                };
                let shaken = timeout(HANDSHAKE_TIMEOUT, acceptor.accept(tcp)).await;
                let shaken = shaken.unwrap_or_else(|_| Err(ErrorKind::TimedOut.into()));
                let failed = |e: &io::Error| activity.refused("", "", "TLS", &e.to_string());
                shaken.inspect_err(failed).ok().map(Ok)
            }
        };
        connections
            .map(shake)
            .buffer_unordered(HANDSHAKES_MAX)
            .filter_map(ready)
    }
}

/// The CA. Its key is its state; the certificate is for clients, and made again if it is lost.
fn issuer(key_file: &Path, ca: &Path) -> Result<Issuer<'static, KeyPair>, EmulatorError> {
    let key = match File::open(key_file) {
        Ok(file) => read_key(file).map_err(|error| unusable(key_file, error))?,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            // It may be somebody else's, and clients trust it.
            if fs::symlink_metadata(ca).is_ok() {
                let foreign = format!("there is no {KEY_FILE} that it belongs to; remove it");
                return Err(unusable(ca, foreign));
            }
            let key = KeyPair::generate().map_err(|error| unusable(key_file, error))?;
            write_new(key_file, &key.serialize_pem(), 0o600)
                .map_err(|error| unusable(key_file, error))?;
            key
        }
        Err(error) => return Err(unusable(key_file, error)),
    };
    match fs::read(ca) {
        Ok(pem) => {
            if !belongs(&pem, &key).map_err(|error| unusable(ca, error))? {
                let other = format!("it does not belong to {KEY_FILE}; remove it to have it anew");
                return Err(unusable(ca, other));
            }
        }
        Err(error) if error.kind() == ErrorKind::NotFound => write_ca(&key, ca)?,
        Err(error) => return Err(unusable(ca, error)),
    }
    Ok(Issuer::new(ca_params(), key))
}

/// The key in its file, which nobody else may read.
fn read_key(file: File) -> Result<KeyPair, Box<dyn std::error::Error + Send + Sync>> {
    let mode = file.metadata()?.permissions().mode();
    if mode & 0o077 != 0 {
        return Err("others may read this key; chmod 600 keeps them out".into());
    }
    let mut pem = String::new();
    file.take(KEY_BYTES_MAX).read_to_string(&mut pem)?;
    KeyPair::from_pem(&pem)
        .map_err(|error| format!("{error}; remove it and {CA_FILE}, and a new CA is made").into())
}

/// Makes a file that was not there, with all of its text or not at all.
fn write_new(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    let new = path.with_added_extension("new");
    // Left over where a server was killed; the directory's lock keeps others out.
    if let Err(error) = fs::remove_file(&new)
        && error.kind() != ErrorKind::NotFound
    {
        return Err(error);
    }
    let mut options = File::options();
    let mut file = options.write(true).create_new(true).mode(mode).open(&new)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&new, path)
}

fn write_ca(key: &KeyPair, path: &Path) -> Result<(), EmulatorError> {
    let certificate = ca_params().self_signed(key);
    let certificate = certificate.map_err(|error| unusable(path, error))?;
    write_new(path, &certificate.pem(), 0o644).map_err(|error| unusable(path, error))
}

/// Whether a certificate is one of this key.
fn belongs(pem: &[u8], key: &KeyPair) -> Result<bool, Box<dyn std::error::Error + Send + Sync>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(pem)?)?;
    let public = key.subject_public_key_info();
    // That of a root comes without the outermost header.
    let mut roots = roots.roots.iter();
    Ok(roots.any(|root| public.ends_with(&root.subject_public_key_info)))
}

fn ca_params() -> CertificateParams {
    let mut params = valid_for(CA_DAYS, "zerobus emulator CA");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn config(
    issuer: &Issuer<'_, KeyPair>,
    address: IpAddr,
) -> Result<ServerConfig, Box<dyn std::error::Error + Send + Sync>> {
    let mut params = valid_for(CERTIFICATE_DAYS, "localhost");
    let own = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
    let mut names = vec!["localhost".try_into().map(rcgen::SanType::DnsName)?];
    names.extend(own.map(rcgen::SanType::IpAddress));
    if !own.contains(&address) {
        names.push(rcgen::SanType::IpAddress(address));
    }
    params.subject_alt_names = names;
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    let key = KeyPair::generate()?;
    let certificate = params.signed_by(&key, issuer)?;
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    // Named, since other crates of the tree may bring a second provider along.
    let mut config = ServerConfig::builder_with_provider(aws_lc_rs::default_provider().into())
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certificate.into()], key)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

fn valid_for(days: u32, name: &str) -> CertificateParams {
    let begin = SystemTime::now() - CLOCK_SKEW;
    let mut params = CertificateParams::default();
    params.not_before = begin.into();
    params.not_after = (begin + Duration::from_secs(86_400) * days).into();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

fn unusable(
    path: &Path,
    error: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> EmulatorError {
    EmulatorError::Directory {
        path: path.to_owned(),
        source: io::Error::other(error),
    }
}
