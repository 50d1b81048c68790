//! Connections that can be cut: from then on they are broken for whoever reads or writes,
//! so the server closes the socket with nothing said.

use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use futures_util::task::AtomicWaker;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tonic::transport::server::Connected;

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
}

impl<S> Io<S> {
    /// Wraps a connection; unless it is `cuttable` nothing is looked at but that.
    pub(in super::super) fn new(socket: S, cuttable: bool) -> Self {
        let cut = Cut(cuttable.then(Arc::default));
        Self { socket, cut }
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

impl<S: AsyncWrite + Unpin> AsyncWrite for Io<S> {
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
        Pin::new(&mut self.socket).poll_shutdown(context)
    }
}
