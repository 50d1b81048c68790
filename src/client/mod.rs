//! Drives the protocol's state machine: token, gRPC connection, and one loop that joins
//! them with time.

mod codec;
mod connect;
mod credentials;
mod driver;
mod http;
mod network;
mod probe;
mod secret;
mod status;
mod supply;
mod token;
mod unity;
pub(crate) mod url;

pub use codec::RecordKind;
pub use connect::{Connector, Target};
pub use credentials::Credentials;
pub(crate) use driver::run_one;
pub use driver::{Ended, Event, run};
pub(crate) use network::is_loopback;
pub use network::{Network, Proxies};
pub use probe::Peer;
pub use secret::{Secret, read_bounded};
pub(crate) use supply::Source;
pub(crate) use token::Tokens;
pub use token::{Shown, TokenSource, WorkspaceId};

/// How the client names itself to servers.
const USER_AGENT: &str = concat!("zerobus/", env!("CARGO_PKG_VERSION"));
