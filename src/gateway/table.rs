//! One table of the gateway: its records and its stream.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Mutex;

use crate::report::write_line;
use crate::sdk::{
    Credentials, Encoding, Error, ErrorKind, Sdk, Stream, StreamOptions, StreamState,
    TableProperties,
};
use crate::transcode::Reason;

/// How long a request waits for the stream to open.
const OPENING_MAX: Duration = Duration::from_secs(5);
/// A stream that has failed is made anew once this has passed.
const FAILED_FOR: Duration = Duration::from_secs(1);

/// One table of the gateway.
pub(super) struct Table {
    /// Its place in URLs.
    pub(super) key: String,
    pub(super) properties: TableProperties,
    encoding: Encoding,
    sdk: Sdk,
    credentials: Credentials,
    slot: Mutex<Slot>,
}

/// Opened by the first record. One that has failed stays until another has what it left.
#[derive(Default)]
struct Slot {
    stream: Option<Arc<Stream>>,
    /// Why it could not be made anew, and when that was tried.
    failed: Option<(Instant, Error)>,
}

impl Table {
    pub(super) fn new(
        key: String,
        properties: TableProperties,
        sdk: Sdk,
        credentials: Credentials,
    ) -> Self {
        Self {
            key,
            encoding: Encoding::new(properties.clone()),
            properties,
            sdk,
            credentials,
            slot: Mutex::default(),
        }
    }

    /// The bytes of a row's record.
    pub(super) fn encode(&self, row: &str) -> Result<Vec<u8>, Vec<Reason>> {
        self.encoding.json(row)
    }

    /// The stream if there is one.
    pub(super) async fn active(&self) -> Option<Arc<Stream>> {
        self.slot.lock().await.stream.clone()
    }

    /// The stream; opens it, or makes it anew with what a failed one has left.
    pub(super) async fn stream(&self) -> Result<Arc<Stream>, Error> {
        let mut slot = self.slot.lock().await;
        let stream = match slot.stream.clone() {
            None => {
                let options = self.options();
                let started =
                    self.sdk
                        .start_stream(self.credentials.clone(), &self.properties, options)?;
                Arc::clone(slot.stream.insert(Arc::new(started)))
            }
            Some(stream) if stream.state() == StreamState::Failed => {
                match &slot.failed {
                    Some((at, error)) if at.elapsed() < FAILED_FOR => return Err(error.clone()),
                    Some(_) => {}
                    None => {
                        let why = stream.opened().await.err();
                        let why = why.map_or_else(String::new, |e| format!(": {e}"));
                        write_line(&format!(
                            "table \"{}\": the stream has failed{why}",
                            self.key
                        ));
                    }
                }
                let again = tokio::time::timeout(OPENING_MAX, self.sdk.recreate_stream(&stream));
                let again = again.await.unwrap_or_else(|_| Err(unopened()));
                match again {
                    Ok(again) => {
                        slot.failed = None;
                        Arc::clone(slot.stream.insert(Arc::new(again)))
                    }
                    Err(error) => {
                        slot.failed = Some((Instant::now(), error.clone()));
                        return Err(error);
                    }
                }
            }
            Some(stream) => stream,
        };
        drop(slot);
        // Others need not wait for each other.
        let opened = tokio::time::timeout(OPENING_MAX, stream.opened());
        opened.await.unwrap_or_else(|_| Err(unopened()))?;
        Ok(stream)
    }

    /// A service that is away is waited for as long as that takes: what was accepted is kept.
    fn options(&self) -> StreamOptions {
        let key = self.key.clone();
        StreamOptions::new()
            .recovery_retries(u32::MAX)
            .error_callback(move |offset, error| {
                // What is unacknowledged when a stream fails is sent by the next.
                if error.kind() == ErrorKind::Refused {
                    write_line(&format!("table \"{key}\", offset {offset}: {error}"));
                }
            })
    }

    /// How many records are accepted and not settled.
    pub(super) async fn outstanding(&self) -> u64 {
        let stream = self.active().await;
        stream.map_or(0, |stream| stream.outstanding())
    }

    /// Sends what there is and ends the stream.
    pub(super) async fn close(&self) -> Result<(), Error> {
        let stream = match self.active().await {
            None => return Ok(()),
            // What it has left has one more chance.
            Some(stream) if stream.state() == StreamState::Failed => self.stream().await?,
            Some(stream) => stream,
        };
        stream.close().await
    }
}

fn unopened() -> Error {
    let seconds = OPENING_MAX.as_secs();
    let message = format!("the service has opened no stream within {seconds} s");
    Error::new(ErrorKind::Unavailable, message)
}
