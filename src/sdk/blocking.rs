//! The same streams for programs without async. They run on a thread of their own, which ends
//! once its [`Sdk`] is dropped and its streams have ended.
//!
//! Nothing here may be called from within an async runtime: it would block a thread of it, and
//! panics.
//!
//! ```no_run
//! use zerobus::blocking::Sdk;
//! use zerobus::{Credentials, Json, StreamOptions, TableProperties};
//!
//! # fn main() -> Result<(), zerobus::Error> {
//! let sdk = Sdk::new(
//!     "1234567890123456.zerobus.us-west-2.cloud.databricks.com",
//!     "https://dbc-a1b2c3d4-e5f6.cloud.databricks.com",
//! )?;
//! let table =
//!     TableProperties::from_proto_file("main.default.air_quality", "record.proto", None)?;
//! let credentials = Credentials::client("application-id", "secret");
//! let stream = sdk.create_stream(credentials, &table, StreamOptions::new())?;
//! let mut ack = stream.ingest_record(Json(r#"{"device_name": "sensor-1", "temp": 22}"#))?;
//! ack.wait_for_ack(None)?;
//! stream.close()
//! # }
//! ```

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::mpsc;

use super::stream::Origin;
use super::{
    Credentials, Error, ErrorKind, Record, SdkBuilder, StreamOptions, StreamState, TableProperties,
    Unacknowledged,
};

/// [`zerobus::Sdk`](super::Sdk) with the thread that its streams run on.
#[derive(Clone)]
pub struct Sdk {
    sdk: super::Sdk,
    thread: Thread,
}

/// The thread ends when nobody has it any more.
#[derive(Clone)]
struct Thread {
    runtime: Handle,
    alive: Arc<mpsc::Sender<()>>,
}

impl Thread {
    fn start() -> Result<Self, Error> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|e| Error::new(ErrorKind::Settings, format!("no runtime: {e}")))?;
        let (alive, mut all_gone) = mpsc::channel::<()>(1);
        let handle = runtime.handle().clone();
        let name = std::thread::Builder::new().name("zerobus".to_owned());
        name.spawn(move || runtime.block_on(all_gone.recv()))
            .map_err(|e| Error::new(ErrorKind::Settings, format!("no thread: {e}")))?;
        Ok(Self {
            runtime: handle,
            alive: Arc::new(alive),
        })
    }
}

impl Sdk {
    /// As [`zerobus::Sdk::new`](super::Sdk::new).
    ///
    /// # Errors
    /// Those of the same.
    pub fn new(server_endpoint: &str, workspace_url: &str) -> Result<Self, Error> {
        super::Sdk::new(server_endpoint, workspace_url)?.try_into()
    }

    /// As [`zerobus::Sdk::create_stream`](super::Sdk::create_stream).
    ///
    /// # Errors
    /// Those of the same.
    pub fn create_stream(
        &self,
        credentials: Credentials,
        table: &TableProperties,
        options: StreamOptions,
    ) -> Result<Stream, Error> {
        let stream = self.start_stream(credentials, table, options)?;
        stream.opened()?;
        Ok(stream)
    }

    /// As [`zerobus::Sdk::start_stream`](super::Sdk::start_stream).
    ///
    /// # Errors
    /// Those of the same.
    pub fn start_stream(
        &self,
        credentials: Credentials,
        table: &TableProperties,
        options: StreamOptions,
    ) -> Result<Stream, Error> {
        let origin = Origin {
            credentials,
            table: table.clone(),
            options,
        };
        let Thread { runtime, alive } = &self.thread;
        let stream = self.sdk.start_on(origin, runtime, Arc::clone(alive))?;
        Ok(self.stream(stream))
    }

    /// As [`zerobus::Sdk::recreate_stream`](super::Sdk::recreate_stream).
    ///
    /// # Errors
    /// Those of the same.
    pub fn recreate_stream(&self, ended: &Stream) -> Result<Stream, Error> {
        let Thread { runtime, alive } = &self.thread;
        let recreated = self
            .sdk
            .recreate_on(&ended.stream, runtime, Arc::clone(alive));
        Ok(self.stream(runtime.block_on(recreated)?))
    }

    fn stream(&self, stream: super::Stream) -> Stream {
        Stream {
            stream,
            thread: self.thread.clone(),
        }
    }
}

impl TryFrom<super::Sdk> for Sdk {
    type Error = Error;

    fn try_from(sdk: super::Sdk) -> Result<Self, Error> {
        Ok(Self {
            sdk,
            thread: Thread::start()?,
        })
    }
}

impl SdkBuilder {
    /// Makes a [`blocking::Sdk`](Sdk).
    ///
    /// # Errors
    /// Those of [`build`](Self::build); no thread could be started.
    pub fn build_blocking(self) -> Result<Sdk, Error> {
        self.build()?.try_into()
    }
}

/// [`zerobus::Stream`](super::Stream) for threads.
pub struct Stream {
    stream: super::Stream,
    thread: Thread,
}

impl Stream {
    /// Blocks until the stream is open.
    ///
    /// # Errors
    /// It has failed before.
    pub fn opened(&self) -> Result<(), Error> {
        self.block_on(self.stream.opened())
    }

    /// The table that it writes to.
    pub fn table(&self) -> &TableProperties {
        self.stream.table()
    }

    /// Accepts one record; blocks while there is no room for it.
    ///
    /// # Errors
    /// Those of [`zerobus::Stream::ingest_record`](super::Stream::ingest_record).
    pub fn ingest_record(&self, record: impl Record) -> Result<Ack, Error> {
        let ack = self.block_on(self.stream.ingest_record(record))?;
        Ok(self.ack(ack))
    }

    /// Accepts one record if there is room for it right now.
    ///
    /// # Errors
    /// Those of [`zerobus::Stream::try_ingest_record`](super::Stream::try_ingest_record).
    pub fn try_ingest_record(&self, record: impl Record) -> Result<Ack, Error> {
        Ok(self.ack(self.stream.try_ingest_record(record)?))
    }

    /// Accepts records that go into the table together or not at all.
    ///
    /// # Errors
    /// Those of [`zerobus::Stream::ingest_records`](super::Stream::ingest_records).
    pub fn ingest_records<R: Record>(
        &self,
        records: impl IntoIterator<Item = R>,
    ) -> Result<Option<Ack>, Error> {
        let ack = self.block_on(self.stream.ingest_records(records))?;
        Ok(ack.map(|ack| self.ack(ack)))
    }

    /// Blocks until all that was accepted before is durable.
    ///
    /// # Errors
    /// Those of [`zerobus::Stream::flush`](super::Stream::flush).
    pub fn flush(&self) -> Result<(), Error> {
        self.block_on(self.stream.flush())
    }

    /// Flushes and ends the stream: Ok only if all that it has ever accepted is durable.
    ///
    /// # Errors
    /// Those of [`zerobus::Stream::close`](super::Stream::close).
    pub fn close(&self) -> Result<(), Error> {
        self.block_on(self.stream.close())
    }

    /// Where the stream is in its life.
    pub fn state(&self) -> StreamState {
        self.stream.state()
    }

    /// The id that the server gave the stream last.
    pub fn stream_id(&self) -> String {
        self.stream.stream_id()
    }

    /// What was accepted and is not known to be durable, in the order of ingesting.
    ///
    /// # Errors
    /// Those of [`zerobus::Stream::unacknowledged`](super::Stream::unacknowledged).
    pub fn unacknowledged(&self) -> Result<Vec<Unacknowledged>, Error> {
        self.stream.unacknowledged()
    }

    fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.thread.runtime.block_on(future)
    }

    fn ack(&self, ack: super::Ack) -> Ack {
        Ack {
            ack,
            thread: self.thread.clone(),
        }
    }
}

/// [`zerobus::Ack`](super::Ack) for threads.
#[derive(Clone)]
pub struct Ack {
    ack: super::Ack,
    thread: Thread,
}

impl Ack {
    /// The offset: how many records and batches were ingested into the stream before.
    pub fn offset(&self) -> i64 {
        self.ack.offset()
    }

    /// Whether it is known what became of it: it is durable, or has failed.
    pub fn is_done(&self) -> bool {
        self.ack.is_done()
    }

    /// Blocks until it is durable; not longer than this, if it is given.
    ///
    /// # Errors
    /// Those of [`zerobus::Ack::wait_for_ack`](super::Ack::wait_for_ack).
    pub fn wait_for_ack(&mut self, timeout: Option<Duration>) -> Result<(), Error> {
        let Thread { runtime, .. } = &self.thread;
        runtime.block_on(self.ack.wait_for_ack(timeout))
    }

    /// Calls this once it is known what became of it: at once if it is known already. It runs on
    /// the thread of the streams, which it holds up, and may not block: another call of this
    /// module would panic.
    pub fn add_done_callback(&self, callback: impl FnOnce(Result<(), Error>) + Send + 'static) {
        let alive = Arc::clone(&self.thread.alive);
        self.ack.add_done_callback(move |known| {
            callback(known);
            drop(alive);
        });
    }
}

impl fmt::Debug for Sdk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.sdk.fmt(f)
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.stream.fmt(f)
    }
}

impl fmt::Debug for Ack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.ack.fmt(f)
    }
}
