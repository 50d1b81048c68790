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
#[cfg(feature = "gateway")]
pub(crate) use record::Encoding;
pub use record::{Encoded, Json, Message, Record};
pub use service::{Sdk, SdkBuilder};
pub use state::StreamState;
pub use stream::Stream;
pub use table::TableProperties;
pub use unacknowledged::Unacknowledged;

#[cfg(test)]
mod tests {
    use super::*;

    /// What is public may go to any thread, and be shared.
    #[test]
    fn all_types_are_send_and_sync() {
        fn is<T: Send + Sync + 'static>() {}
        is::<Sdk>();
        is::<SdkBuilder>();
        is::<Stream>();
        is::<Ack>();
        is::<Error>();
        is::<StreamOptions>();
        is::<TableProperties>();
        is::<Credentials>();
        is::<Unacknowledged>();
        is::<blocking::Sdk>();
        is::<blocking::Stream>();
        is::<blocking::Ack>();
    }
}
