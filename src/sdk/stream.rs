//! A stream of records into one table.

use std::fmt;
#[cfg(feature = "gateway")]
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::runtime::Handle;
use tokio::sync::watch;

use super::ack::{Ack, late};
use super::bounds::Room;
use super::gather::{framed_len, put_record};
use super::record::{Encoding, Record};
#[cfg(feature = "gateway")]
use super::shared::Progress;
use super::shared::{Phase, Shared};
use super::{
    Credentials, Error, ErrorKind, StreamOptions, StreamState, TableProperties, Unacknowledged,
};
use crate::client::{Connector, run_one};
use crate::transcode::BATCH_BYTES_MAX;

/// How long a closed stream waits for its callbacks.
const CALLBACKS_MAX: Duration = Duration::from_secs(5);

/// A stream of records into one table. [`Sdk::create_stream`](super::Sdk::create_stream) makes
/// it.
///
/// All methods take `&self`: tasks and threads share a stream by reference or in an [`Arc`].
/// Records of one task keep their order; each call has one offset.
///
/// What waits with a time-out (`flush`, `close`, `Ack::wait_for_ack`) panics outside of a tokio
/// runtime.
///
/// # The end
///
/// [`close`](Self::close) sends what is left, waits for its acknowledgements and says how it went.
/// A stream that is dropped does the first two as long as its runtime lives, and tells nobody but
/// those who hold an [`Ack`], and the callbacks: what nobody waits for may be lost unnoticed, so
/// close it.
pub struct Stream {
    shared: Arc<Shared>,
    encoding: Encoding,
    origin: Origin,
    /// When the callbacks have ended, if there are any.
    callbacks: Option<watch::Receiver<()>>,
}

/// What a stream was made of.
#[derive(Clone)]
pub(super) struct Origin {
    pub(super) credentials: Credentials,
    pub(super) table: TableProperties,
    pub(super) options: StreamOptions,
}

impl Stream {
    /// Starts a stream on this runtime. `alive` lives as long as it does.
    pub(super) fn start(
        connector: Connector,
        origin: Origin,
        encoding: Encoding,
        runtime: &Handle,
        alive: impl Send + 'static,
    ) -> Result<Self, Error> {
        let shared = Arc::new(Shared::new(&origin.options, runtime));
        let callbacks = super::callbacks::start(&shared, &origin.options)?;
        let driven = Driven(Arc::clone(&shared));
        let config = origin.options.config(&origin.credentials);
        let timeout = origin.options.flush_timeout();
        runtime.spawn(async move {
            let shared = &driven.0;
            let observe = |event| shared.on(event);
            let given_up = shared.given_up(timeout);
            let stopped = run_one(&connector, config, &**shared, given_up, observe).await;
            shared.end(match stopped.outcome {
                Ok(()) => Ok(()),
                Err(Some(fault)) => {
                    shared.untold(stopped.stream.refused());
                    Err(Error::of_fault(&fault))
                }
                Err(None) if shared.is_settled() => Ok(()),
                Err(None) => Err(late("not everything was acknowledged", timeout)),
            });
            drop(alive);
        });
        Ok(Self {
            shared,
            encoding,
            origin,
            callbacks,
        })
    }

    /// Waits until the stream is open.
    ///
    /// # Errors
    /// It has failed before.
    pub async fn opened(&self) -> Result<(), Error> {
        let mut phases = self.shared.phases();
        // It lives as long as `self`.
        let _ = phases
            .wait_for(|phase| *phase != Phase::Uninitialized)
            .await;
        match self.shared.end_of_stream() {
            (Some(Err(error)), _) => Err(error),
            (Some(Ok(())) | None, _) => Ok(()),
        }
    }

    /// Accepts one record, and waits for nothing but room for it.
    ///
    /// Nothing is accepted if the returned future is dropped before it is ready.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidRecord`] if the stream does not take it; [`ErrorKind::Closed`] once
    /// the stream is closed or has failed.
    pub fn ingest_record(
        &self,
        record: impl Record,
    ) -> impl Future<Output = Result<Ack, Error>> + Send {
        let encoded = record.encode(&self.encoding);
        async move {
            let record = encoded?;
            let record = record.as_ref();
            let room = self.shared.room(1, framed_len(record.len())).await?;
            self.accept(room, record)
        }
    }

    /// Accepts one record if there is room for it right now.
    ///
    /// # Errors
    /// [`ErrorKind::Full`] if there is not; those of [`ingest_record`](Self::ingest_record).
    pub fn try_ingest_record(&self, record: impl Record) -> Result<Ack, Error> {
        let record = record.encode(&self.encoding)?;
        let record = record.as_ref();
        let room = self.shared.try_room(1, framed_len(record.len()))?;
        self.accept(room, record)
    }

    fn accept(&self, room: Room<'_>, record: &[u8]) -> Result<Ack, Error> {
        let offset = self.shared.accept(room, record)?;
        Ok(Ack::new(&self.shared, offset))
    }

    /// Accepts records that go into the table together or not at all: one request, one offset,
    /// one acknowledgement, also when they are sent again. None for no records.
    ///
    /// Nothing is accepted if the returned future is dropped before it is ready.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidRecord`] for one that the stream does not take, or if they are too
    /// much for one request, which takes 10,420,224 bytes; [`ErrorKind::Closed`].
    pub fn ingest_records<R: Record>(
        &self,
        records: impl IntoIterator<Item = R>,
    ) -> impl Future<Output = Result<Option<Ack>, Error>> + Send {
        let framed = self.framed(records);
        async move {
            let (count, body) = framed?;
            if count == 0 {
                return Ok(None);
            }
            let room = self.shared.room(count, body.len()).await?;
            let offset = self.shared.accept_whole(room, count, body)?;
            Ok(Some(Ack::new(&self.shared, offset)))
        }
    }

    fn framed<R: Record>(
        &self,
        records: impl IntoIterator<Item = R>,
    ) -> Result<(u32, Bytes), Error> {
        let mut body = Vec::new();
        let mut count = 0;
        for record in records {
            let record = record.encode(&self.encoding).map_err(|e| {
                let message = format!("record {count} of the batch: {}", e.message());
                Error::hinting(e.kind(), message, e.hint())
            })?;
            put_record(&mut body, record.as_ref());
            count += 1;
            if body.len() > BATCH_BYTES_MAX && count > 1 {
                return Err(Error::invalid(format!(
                    "{count} records are {} bytes already, a request takes {BATCH_BYTES_MAX}",
                    body.len()
                )));
            }
        }
        Ok((count, body.into()))
    }

    /// Accepts all of these records or none, if there is room right now; their offsets. Each is
    /// by itself from then on.
    #[cfg(feature = "gateway")]
    pub(crate) fn try_ingest_all(&self, records: &[Vec<u8>]) -> Result<Range<u64>, Error> {
        let count = u32::try_from(records.len()).unwrap_or(u32::MAX);
        let most = self.origin.options.max_inflight_records;
        if records.len() > most {
            return Err(Error::invalid(format!(
                "{count} records at once are more than may be in flight, {most}"
            )));
        }
        let bytes = records.iter().map(|r| framed_len(r.len())).sum();
        let room = self.shared.try_room(count, bytes)?;
        self.shared.accept_all(room, records)
    }

    /// Waits until these offsets are settled; tells what was refused of them.
    ///
    /// # Errors
    /// The stream has ended before.
    #[cfg(feature = "gateway")]
    pub(crate) async fn settle(&self, offsets: Range<u64>) -> Result<Vec<(u64, Error)>, Error> {
        let Some(last) = offsets.end.checked_sub(1) else {
            return Ok(Vec::new());
        };
        let last = Ack::new(&self.shared, last).await;
        match self.shared.settled() >= offsets.end {
            true => Ok(self.shared.refused(offsets)),
            false => Err(last.err().unwrap_or_else(Error::closed)),
        }
    }

    /// All offsets below are settled.
    #[cfg(feature = "gateway")]
    pub(crate) fn settled(&self) -> u64 {
        self.shared.settled()
    }

    /// Waits until it has ended.
    pub(crate) async fn ended(&self) {
        let mut phases = self.shared.phases();
        // It lives as long as `self`.
        let _ = phases.wait_for(|phase| phase.has_ended()).await;
    }

    /// How many records and batches are accepted and not settled.
    #[cfg(feature = "gateway")]
    pub(crate) fn outstanding(&self) -> u64 {
        let (_, accepted) = self.shared.end_of_stream();
        accepted - self.shared.settled().min(accepted)
    }

    /// The same for records that may wait for room.
    #[cfg(feature = "gateway")]
    pub(crate) async fn ingest_all(&self, records: &[Vec<u8>]) -> Result<Range<u64>, Error> {
        let count = u32::try_from(records.len()).unwrap_or(u32::MAX);
        let bytes = records.iter().map(|r| framed_len(r.len())).sum();
        let room = self.shared.room(count, bytes).await?;
        self.shared.accept_all(room, records)
    }

    /// Why it has failed.
    #[cfg(feature = "gateway")]
    pub(crate) fn failure(&self) -> Option<Error> {
        self.shared.end_of_stream().0?.err()
    }

    /// How far it is.
    #[cfg(feature = "gateway")]
    pub(crate) fn progress(&self) -> Progress {
        self.shared.progress()
    }

    /// Accepts again what another stream has left.
    pub(crate) async fn accept_again(&self, item: &Unacknowledged) -> Result<(), Error> {
        let mut body = Vec::new();
        item.records.iter().for_each(|r| put_record(&mut body, r));
        let count = u32::try_from(item.records.len()).unwrap_or(u32::MAX);
        let room = self.shared.room(count, body.len()).await?;
        match (item.is_batch, &item.records[..]) {
            (false, [record]) => self.shared.accept(room, record)?,
            _ => self.shared.accept_whole(room, count, body.into())?,
        };
        Ok(())
    }

    /// Waits until all that was accepted before is durable. The stream stays open, and goes on
    /// accepting meanwhile.
    ///
    /// # Errors
    /// The stream has failed; [`ErrorKind::Refused`] if the service has refused something that was
    /// accepted since the last flush, while all else is durable; [`ErrorKind::Timeout`] after
    /// `flush_timeout_ms`.
    pub async fn flush(&self) -> Result<(), Error> {
        let timeout = self.origin.options.flush_timeout();
        let (end, _) = self.shared.end_of_stream();
        if let Some(Err(error)) = end {
            return Err(error);
        }
        let (offsets, _flushing) = self.shared.flushing();
        if let Some(last) = offsets.end.checked_sub(1) {
            let last = Ack::new(&self.shared, last);
            // How it went is told below.
            if tokio::time::timeout(timeout, last).await.is_err() {
                return Err(late("not everything was acknowledged", timeout));
            }
        }
        if let (Some(Err(error)), _) = self.shared.end_of_stream() {
            return Err(error);
        }
        self.shared.flushed(offsets)
    }

    /// Flushes and ends the stream: Ok only if all that it has ever accepted is durable. Nothing
    /// more is accepted from the first call on. Further calls wait for the same and say the same.
    ///
    /// # Errors
    /// The stream has failed; [`ErrorKind::Timeout`] if it has taken longer than
    /// `flush_timeout_ms`, and then it has failed, too; [`ErrorKind::Refused`] if the
    /// service has refused something, while all else is durable. What is not durable is told by
    /// [`unacknowledged`](Self::unacknowledged).
    pub async fn close(&self) -> Result<(), Error> {
        self.shared.close();
        self.ended().await;
        if let Some(callbacks) = &self.callbacks {
            let mut ended = callbacks.clone();
            let ended = async { while ended.changed().await.is_ok() {} };
            let _ = tokio::time::timeout(CALLBACKS_MAX, ended).await;
        }
        match self.shared.end_of_stream() {
            (Some(Err(error)), _) => Err(error),
            (Some(Ok(())) | None, last) => self.shared.refusals(0..last),
        }
    }

    /// Where the stream is in its life.
    pub fn state(&self) -> StreamState {
        match self.shared.phase() {
            (Phase::Uninitialized, _) => StreamState::Uninitialized,
            (Phase::Opened, false) => StreamState::Opened,
            (Phase::Opened, true) => StreamState::Flushing,
            (Phase::Recovering, _) => StreamState::Recovering,
            (Phase::Closed, _) => StreamState::Closed,
            (Phase::Failed, _) => StreamState::Failed,
        }
    }

    /// The id that the server gave the stream last; it gives another after each reconnect. Empty
    /// before the first.
    pub fn stream_id(&self) -> String {
        self.shared.stream_id()
    }

    /// What was accepted and is not known to be durable, in the order of ingesting; calls stay
    /// what they were, a batch is one item.
    ///
    /// What was sent and not acknowledged may be in the table nevertheless.
    ///
    /// # Errors
    /// [`ErrorKind::Closed`] as long as the stream has neither closed nor failed.
    pub fn unacknowledged(&self) -> Result<Vec<Unacknowledged>, Error> {
        self.shared.unacknowledged().ok_or_else(|| {
            let message = "the stream is in use: what is unacknowledged is known once it has ended";
            Error::new(ErrorKind::Closed, message)
        })
    }

    /// The table that it writes to.
    pub fn table(&self) -> &TableProperties {
        &self.origin.table
    }

    /// Ends it at once, whatever it has.
    pub(crate) fn abort(&self) {
        self.shared.abort();
    }

    pub(super) fn origin(&self) -> &Origin {
        &self.origin
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.shared.close();
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream")
            .field("table", &self.origin.table.table_name())
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}

/// A stream that is being driven: it ends even if whoever drives it is gone.
struct Driven(Arc<Shared>);

impl Drop for Driven {
    fn drop(&mut self) {
        let message = "the runtime that the stream ran on has ended";
        self.0.end(Err(Error::new(ErrorKind::Closed, message)));
    }
}
