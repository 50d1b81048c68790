//! The client as a library: streams with an acknowledgement for each record, over
//! [`client`](crate::client). The crate's own page is its guide.

mod ack;
pub mod blocking;
mod bounds;
mod callbacks;
mod error;
mod gather;
mod options;
mod record;
mod refusals;
mod service;
mod shared;
mod state;
mod stream;
mod table;
mod unacknowledged;

pub use crate::client::Credentials;
pub use ack::Ack;
pub use error::{Error, ErrorKind};
pub use options::{AckResponse, StreamOptions};
pub use record::{Encoded, Json, Message, Record};
pub use service::{Sdk, SdkBuilder};
pub use state::StreamState;
pub use stream::Stream;
pub use table::TableProperties;
pub use unacknowledged::Unacknowledged;
