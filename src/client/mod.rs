//! Drives the protocol's state machine: token, gRPC connection, and one loop that joins
//! them with time.

mod codec;
mod connect;
mod driver;
mod http;
mod secret;
mod status;
mod supply;
mod token;
mod unity;

pub use codec::RecordKind;
pub use connect::{Connector, Target};
pub use driver::{Ended, Event, run};
pub use secret::Secret;
pub(crate) use token::is_loopback;
pub use token::{Credentials, Shown, TokenSource};
