//! One table of the gateway: its records, and how it is.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use super::health::{Health, SILENT_MAX, Status};
use super::keeper::{Keeper, State, is_away};
use super::letters::{DeadLetters, Refused};
use super::metrics::{Figures, Metrics};
use super::spool::{NotSpooled, Spool};
use super::{Served, Upstream};
use crate::sdk::{Encoding, Error, ErrorKind, Stream, TableProperties};
use crate::transcode::Reason;

/// One table of the gateway.
pub(super) struct Table {
    /// Its place in URLs.
    pub(super) key: String,
    pub(super) properties: TableProperties,
    pub(super) figures: Figures,
    pub(super) spool: Option<Arc<Spool>>,
    pub(super) keeper: Arc<Keeper>,
    encoding: Encoding,
    refused: Arc<Refused>,
    /// Acknowledged records that are counted.
    counted: AtomicU64,
    /// Refused records at the last flush.
    flushed: AtomicU64,
}

/// Why records were not accepted.
#[derive(Debug)]
pub(super) enum NotAccepted {
    Stream(Error),
    Spool(NotSpooled),
}

impl Table {
    /// Starts the task that keeps its stream.
    pub(super) fn start(
        key: String,
        properties: TableProperties,
        upstream: Upstream,
        spool: Option<Arc<Spool>>,
        letters: &Arc<DeadLetters>,
        metrics: &Metrics,
    ) -> Self {
        let figures = metrics.figures(&key);
        // Those of a table before it that had its key.
        let figures_refused = figures.refused.get();
        let refused = Arc::new(Refused {
            key: key.clone(),
            table_name: properties.table_name(),
            descriptor: properties.sent(),
            letters: Arc::clone(letters),
            figures: figures.clone(),
        });
        // What lies in a spool is sent from there again.
        let carries = spool.is_none();
        let keeper = Keeper::start(&key, &properties, upstream, carries, Arc::clone(&refused));
        Self {
            key,
            encoding: Encoding::new(properties.clone()),
            properties,
            figures,
            spool,
            keeper,
            refused,
            counted: AtomicU64::new(0),
            flushed: AtomicU64::new(figures_refused),
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
        let mut stream = self.keeper.stream().await?;
        let mut offsets = stream.try_ingest_all(records);
        if offsets
            .as_ref()
            .is_err_and(|e| e.kind() == ErrorKind::Closed)
        {
            // It has just ended; there is another, or will be.
            stream = self.keeper.stream().await?;
            offsets = stream.try_ingest_all(records);
        }
        let offsets = offsets?;
        self.figures.accepted.inc_by(records.len() as u64);
        Ok((stream, offsets))
    }

    /// How it is, now.
    pub(super) fn health(&self) -> Health {
        let state = self.keeper.state();
        let (mut acknowledged, mut last_ack) = self.keeper.before();
        let (mut status, mut message) = (Status::Healthy, None);
        let mut stream_active = false;
        match &state {
            State::Idle | State::Closed => {}
            State::Failed { error, .. } => {
                (status, message) = (Status::Failed, Some(error.to_string()));
            }
            State::Opening(stream) | State::Open(stream) => {
                let progress = stream.progress();
                acknowledged += progress.acknowledged;
                last_ack = progress.last_ack.or(last_ack);
                let silent = progress
                    .waiting
                    .map_or(Duration::ZERO, |since| since.elapsed());
                stream_active = matches!(state, State::Open(_));
                let what = match () {
                    () if !stream_active => Some("the stream is being opened".to_owned()),
                    () if is_away(stream) => Some("the stream is being opened again".to_owned()),
                    () if silent > SILENT_MAX => {
                        Some(format!("no acknowledgement for {} s", silent.as_secs()))
                    }
                    () => None,
                };
                if let Some(what) = what {
                    let why = self.keeper.away();
                    let why = why.map_or_else(String::new, |error| format!(": {error}"));
                    (status, message) = (Status::Recovering, Some(format!("{what}{why}")));
                }
            }
        }
        let spooled = self.spool.as_ref().map(|spool| spool.spooled());
        if let Some(error) = self.spool.as_ref().and_then(|spool| spool.trouble()) {
            status = status.max(Status::Recovering);
            message = Some(error);
        }
        let outstanding = self.keeper.outstanding();
        Health {
            table: self.key.clone(),
            table_name: self.properties.table_name(),
            stream_active,
            status,
            // What is in the stream is in the spool, but for records that somebody waits for.
            unacknowledged: spooled.map_or(outstanding, |spooled| spooled.records.max(outstanding)),
            last_ack: last_ack.and_then(|at| SystemTime::now().checked_sub(at.elapsed())),
            acknowledged,
            spool: spooled,
            message,
        }
    }

    /// Counts what was acknowledged since this was done last.
    pub(super) fn count(&self, health: &Health) {
        let before = self
            .counted
            .fetch_max(health.acknowledged, Ordering::Relaxed);
        let more = health.acknowledged.saturating_sub(before);
        self.figures.acknowledged.inc_by(more);
    }

    /// Waits until all that was accepted before is settled. Tells how much was refused since that
    /// was done last; none if there was nothing ever.
    pub(super) async fn flush(&self) -> Result<Option<u64>, Error> {
        if let Some(spool) = &self.spool {
            spool.drained().await;
        }
        if self.keeper.outstanding() > 0 {
            match self.keeper.stream().await?.flush().await {
                Err(error) if error.kind() != ErrorKind::Refused => return Err(error),
                // They are among the dead letters.
                Ok(()) | Err(_) => {}
            }
        }
        let refused = self.figures.refused.get();
        let since = refused - self.flushed.swap(refused, Ordering::Relaxed).min(refused);
        Ok((self.figures.accepted.get() > 0 || since > 0).then_some(since))
    }

    /// How many records are accepted and not settled.
    pub(super) fn outstanding(&self) -> u64 {
        self.health().unacknowledged
    }

    /// Waits until all that was accepted is settled.
    pub(super) async fn settled(&self) {
        if let Some(spool) = &self.spool {
            spool.drained().await;
        }
        self.keeper.settled().await;
    }

    /// Sends what there is, until `patience` is over, and ends the stream. What lies in a
    /// spool may stay there; of what does not, each record is a dead letter.
    ///
    /// # Errors
    /// Not all that was accepted is durable, and where it is.
    pub(super) async fn close(&self, patience: impl Future<Output = ()>) -> Result<(), String> {
        tokio::select! {
            () = self.settled() => {}
            () = patience => {}
        }
        let left = self.keeper.end().await;
        if let Some(spool) = &self.spool {
            match spool.close() {
                0 => {}
                records => tracing::warn!(
                    table = self.key,
                    "{records} records stay in the spool and are sent once the gateway runs again"
                ),
            }
        }
        if left.is_empty() {
            return Ok(());
        }
        let why = "the gateway has ended before it was acknowledged; it may be in the table";
        let error = Error::new(ErrorKind::Unavailable, why);
        let place = self.refused.put_all(&left, &error);
        let records = left.len();
        Err(format!(
            "{records} records are not known to be durable; they are in {place}"
        ))
    }
}
