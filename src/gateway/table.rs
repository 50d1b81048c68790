//! One table of the gateway: its records and its stream.

use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use super::Served;
use super::health::{Health, SILENT_MAX, Status};
use super::letters::{DeadLetters, Refused};
use super::metrics::{Figures, Metrics};
use super::spool::{NotSpooled, Spool};
use crate::sdk::{
    Credentials, Encoding, Error, ErrorKind, Sdk, Stream, StreamOptions, StreamState,
    TableProperties,
};
use crate::transcode::Reason;

/// How long a request waits for the stream to open.
const OPENING_MAX: Duration = Duration::from_secs(5);
/// A stream that has failed is made anew once this has passed.
const FAILED_FOR: Duration = Duration::from_secs(1);

/// Where streams go, and by whose leave.
#[derive(Clone, PartialEq)]
pub(super) struct Upstream {
    pub(super) sdk: Sdk,
    pub(super) credentials: Credentials,
}

/// One table of the gateway.
pub(super) struct Table {
    /// Its place in URLs.
    pub(super) key: String,
    pub(super) properties: TableProperties,
    pub(super) figures: Figures,
    pub(super) spool: Option<Arc<Spool>>,
    encoding: Encoding,
    upstream: Upstream,
    refused: Arc<Refused>,
    slot: Mutex<Slot>,
    /// Held by whoever opens the stream.
    opening: tokio::sync::Mutex<()>,
}

/// The stream is opened by the first record. One that has failed stays until there is another.
#[derive(Default)]
struct Slot {
    stream: Option<Arc<Stream>>,
    /// Why it could not be made anew, and when that was tried.
    failed: Option<(Instant, Error)>,
    /// What the streams before it have had acknowledged: records, and when last.
    before: (u64, Option<Instant>),
}

/// Why records were not accepted.
#[derive(Debug)]
pub(super) enum NotAccepted {
    Stream(Error),
    Spool(NotSpooled),
}

impl Table {
    pub(super) fn new(
        key: String,
        properties: TableProperties,
        upstream: Upstream,
        spool: Option<Arc<Spool>>,
        letters: &Arc<DeadLetters>,
        metrics: &Metrics,
    ) -> Self {
        let figures = metrics.figures(&key);
        let refused = Refused {
            key: key.clone(),
            table_name: properties.table_name(),
            descriptor: properties.sent(),
            letters: Arc::clone(letters),
            figures: figures.clone(),
        };
        Self {
            key,
            encoding: Encoding::new(properties.clone()),
            properties,
            figures,
            spool,
            upstream,
            refused: Arc::new(refused),
            slot: Mutex::default(),
            opening: tokio::sync::Mutex::default(),
        }
    }

    /// Whether it is what is to be served under its key.
    pub(super) fn is(&self, served: &Served) -> bool {
        self.key == served.key
            && self.properties.table_name() == served.properties.table_name()
            && self.properties.plan() == served.properties.plan()
    }

    /// The bytes of a row's record.
    pub(super) fn encode(&self, row: &str) -> Result<Vec<u8>, Vec<Reason>> {
        self.encoding.json(row)
    }

    /// Accepts records that nobody waits for.
    pub(super) async fn queue(&self, records: &[Vec<u8>]) -> Result<(), NotAccepted> {
        match &self.spool {
            Some(spool) => {
                spool.append(records).await.map_err(NotAccepted::Spool)?;
                self.figures.accepted.inc_by(records.len() as u64);
            }
            None => {
                self.send(records).await.map_err(NotAccepted::Stream)?;
            }
        }
        Ok(())
    }

    /// Hands records to the stream; their offsets there.
    pub(super) async fn send(
        &self,
        records: &[Vec<u8>],
    ) -> Result<(Arc<Stream>, Range<u64>), Error> {
        let stream = self.stream().await?;
        let offsets = stream.try_ingest_all(records)?;
        self.figures.accepted.inc_by(records.len() as u64);
        Ok((stream, offsets))
    }

    fn slot(&self) -> MutexGuard<'_, Slot> {
        // No step leaves it between two states.
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The stream if there is one.
    fn active(&self) -> Option<Arc<Stream>> {
        self.slot().stream.clone()
    }

    /// The stream if there is one that has not failed.
    fn usable(&self) -> Option<Arc<Stream>> {
        let stream = self.active();
        stream.filter(|stream| stream.state() != StreamState::Failed)
    }

    /// The stream; opens it, or makes another of one that has failed.
    pub(super) async fn stream(&self) -> Result<Arc<Stream>, Error> {
        let stream = match self.usable() {
            Some(stream) => stream,
            None => self.opened_anew().await?,
        };
        let opened = tokio::time::timeout(OPENING_MAX, stream.opened());
        opened.await.unwrap_or_else(|_| Err(unopened()))?;
        Ok(stream)
    }

    async fn opened_anew(&self) -> Result<Arc<Stream>, Error> {
        let _one = self.opening.lock().await;
        if let Some(stream) = self.usable() {
            return Ok(stream);
        }
        let Some(failed) = self.active() else {
            let started = Arc::new(self.started()?);
            return Ok(Arc::clone(self.slot().stream.insert(started)));
        };
        let tried = self.slot().failed.clone();
        match tried {
            Some((at, error)) if at.elapsed() < FAILED_FOR => return Err(error),
            Some(_) => {}
            None => {
                let error = failed.failure();
                let error = error.map_or_else(String::new, |e| e.to_string());
                tracing::error!(table = self.key, error, "the stream has failed");
            }
        }
        match self.another(&failed).await {
            Ok(another) => {
                tracing::info!(table = self.key, "another stream is open");
                let mut slot = self.slot();
                let progress = failed.progress();
                slot.failed = None;
                slot.before.0 += progress.acknowledged;
                slot.before.1 = progress.last_ack.or(slot.before.1);
                Ok(Arc::clone(slot.stream.insert(Arc::new(another))))
            }
            Err(error) => {
                self.slot().failed = Some((Instant::now(), error.clone()));
                Err(error)
            }
        }
    }

    fn started(&self) -> Result<Stream, Error> {
        let Upstream { sdk, credentials } = &self.upstream;
        sdk.start_stream(credentials.clone(), &self.properties, self.options())
    }

    /// A stream after one that has failed. Without a spool it gets what that one has left; with
    /// one that is sent from there, and whoever waited for a record was told.
    async fn another(&self, failed: &Stream) -> Result<Stream, Error> {
        let another = async {
            match &self.spool {
                None => self.upstream.sdk.recreate_stream(failed).await,
                Some(_) => {
                    let started = self.started()?;
                    started.opened().await?;
                    Ok(started)
                }
            }
        };
        let another = tokio::time::timeout(OPENING_MAX, another).await;
        another.unwrap_or_else(|_| Err(unopened()))
    }

    /// A service that is away is waited for as long as that takes: what was accepted is kept.
    fn options(&self) -> StreamOptions {
        let refused = Arc::clone(&self.refused);
        StreamOptions::new()
            .recovery_retries(u32::MAX)
            .refused_callback(move |item, error| refused.put(item, error))
    }

    /// How it is, now.
    pub(super) fn health(&self) -> Health {
        let slot = self.slot();
        let (stream, failed) = (slot.stream.clone(), slot.failed.clone());
        let (mut acknowledged, mut last_ack) = slot.before;
        drop(slot);
        let mut health = Health {
            table: self.key.clone(),
            table_name: self.properties.table_name(),
            stream_active: false,
            status: Status::Healthy,
            unacknowledged: 0,
            last_ack: None,
            acknowledged: 0,
            spool: self.spool.as_ref().map(|spool| spool.spooled()),
            message: None,
        };
        if let Some(stream) = &stream {
            let progress = stream.progress();
            acknowledged += progress.acknowledged;
            last_ack = progress.last_ack.or(last_ack);
            health.unacknowledged = stream.outstanding();
            let silent = progress
                .waiting
                .map_or(Duration::ZERO, |since| since.elapsed());
            let (status, message) = match stream.state() {
                StreamState::Opened | StreamState::Flushing if silent > SILENT_MAX => {
                    let seconds = silent.as_secs();
                    let message = format!("no acknowledgement for {seconds} s");
                    (Status::Recovering, Some(message))
                }
                StreamState::Opened | StreamState::Flushing | StreamState::Closed => {
                    (Status::Healthy, None)
                }
                StreamState::Uninitialized => (
                    Status::Recovering,
                    Some("the stream is being opened".to_owned()),
                ),
                StreamState::Recovering => (
                    Status::Recovering,
                    Some("the stream is being opened again".to_owned()),
                ),
                StreamState::Failed => {
                    let why = failed.map(|(_, error)| error);
                    let why = why.or_else(|| stream.failure());
                    (Status::Failed, why.map(|error| error.to_string()))
                }
            };
            (health.status, health.message) = (status, message);
            health.stream_active = !matches!(
                stream.state(),
                StreamState::Uninitialized | StreamState::Failed
            );
        }
        if let Some(spool) = &health.spool {
            // What is in the stream is in the spool, but for records that somebody waits for.
            health.unacknowledged = health.unacknowledged.max(spool.records);
        }
        health.acknowledged = acknowledged;
        let ago = last_ack.map(|at| at.elapsed());
        health.last_ack = ago.and_then(|ago| SystemTime::now().checked_sub(ago));
        health
    }

    /// Waits until all that was accepted before is durable; false if there was nothing ever.
    pub(super) async fn flush(&self) -> Result<bool, Error> {
        if let Some(spool) = &self.spool {
            spool.drained().await;
        }
        if self.active().is_none() {
            return Ok(false);
        }
        self.stream().await?.flush().await?;
        Ok(true)
    }

    /// How many records are accepted and not settled.
    pub(super) fn outstanding(&self) -> u64 {
        self.health().unacknowledged
    }

    /// Sends what there is and ends the stream. What lies in a spool may stay there.
    pub(super) async fn close(&self, patience: Duration) -> Result<(), Error> {
        if let Some(spool) = &self.spool
            && tokio::time::timeout(patience, spool.drained())
                .await
                .is_err()
        {
            let left = spool.spooled().records;
            tracing::warn!(
                table = self.key,
                "{left} records stay in the spool and are sent once the gateway runs again"
            );
            return Ok(());
        }
        let closed = match self.active() {
            None => Ok(()),
            // What it has left has one more chance.
            Some(stream) if stream.state() == StreamState::Failed => {
                match self.spool.is_some() || stream.outstanding() == 0 {
                    true => Ok(()),
                    false => self.stream().await?.close().await,
                }
            }
            Some(stream) => stream.close().await,
        };
        if let Some(spool) = &self.spool {
            spool.clear();
        }
        match closed {
            // It was told when it happened, and is in the dead letters; all else is durable.
            Err(error) if error.kind() == ErrorKind::Refused && self.outstanding() == 0 => Ok(()),
            closed => closed,
        }
    }
}

fn unopened() -> Error {
    let seconds = OPENING_MAX.as_secs();
    let message = format!("the service has opened no stream within {seconds} s");
    Error::new(ErrorKind::Unavailable, message)
}
