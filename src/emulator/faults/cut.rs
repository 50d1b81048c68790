//! A connection as the server holds it. It can be cut: from then on it is broken for whoever
//! reads or writes, so the socket is closed with nothing said. Otherwise it lingers at its
//! end: a socket that is closed while bytes wait to be read is reset, and the client's system
//! throws away the last acknowledgements.

use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::task::AtomicWaker;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};
use tonic::transport::server::Connected;

/// How long a client may take to read what was said and close its side.
const LINGER: Duration = Duration::from_secs(1);
/// What is read and dropped meanwhile, at a time.
const DROPPED_BYTES: usize = 16 << 10;

/// Cuts one connection. Requests find it among their extensions.
#[derive(Clone, Default)]
pub(in super::super) struct Cut(Option<Arc<Switch>>);

#[derive(Default)]
struct Switch {
    is_cut: AtomicBool,
    reader: AtomicWaker,
}

impl Cut {
    /// Cuts the connection, and all streams on it.
    pub(super) fn cut(&self) {
        if let Some(switch) = &self.0 {
            switch.is_cut.store(true, Ordering::Release);
            switch.reader.wake();
        }
    }

    fn check(&self) -> io::Result<()> {
        match &self.0 {
            Some(switch) if switch.is_cut.load(Ordering::Acquire) => {
                Err(ErrorKind::ConnectionReset.into())
            }
            _ => Ok(()),
        }
    }
}

/// A connection, over TCP or TLS.
pub(in super::super) struct Io<S> {
    socket: S,
    cut: Cut,
    /// Runs once everything is said.
    lingering: Option<Pin<Box<Sleep>>>,
}

impl<S> Io<S> {
    /// Wraps a connection; unless it is `cuttable` nothing is looked at but that.
    pub(in super::super) fn new(socket: S, cuttable: bool) -> Self {
        let cut = Cut(cuttable.then(Arc::default));
        Self {
            socket,
            cut,
            lingering: None,
        }
    }
}

// The service knows connections by how they are cut, whatever they are made of.
impl<S> Connected for Io<S> {
    type ConnectInfo = Cut;

    fn connect_info(&self) -> Cut {
        self.cut.clone()
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Io<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(switch) = &self.cut.0 {
            // Before the check, or a cut between the two would go unnoticed.
            switch.reader.register(context.waker());
        }
        self.cut.check()?;
        Pin::new(&mut self.socket).poll_read(context, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Io<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.cut.check()?;
        Pin::new(&mut self.socket).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.cut.check()?;
        Pin::new(&mut self.socket).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.cut.check()?;
        Pin::new(&mut self.socket).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Over TLS, not even that it ends.
        self.cut.check()?;
        let this = &mut *self;
        if this.lingering.is_none() {
            ready!(Pin::new(&mut this.socket).poll_shutdown(context))?;
        }
        let lingering = this
            .lingering
            .get_or_insert_with(|| Box::pin(sleep(LINGER)));
        let mut dropped = [0; DROPPED_BYTES];
        while lingering.as_mut().poll(context).is_pending() {
            let mut dropped = ReadBuf::new(&mut dropped);
            let read = ready!(Pin::new(&mut this.socket).poll_read(context, &mut dropped));
            if read.is_err() || dropped.filled().is_empty() {
                break;
            }
        }
        Poll::Ready(Ok(()))
    }
}
