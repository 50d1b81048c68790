//! Connections: each is served until the gateway is to end.

use std::time::Duration;

use axum::Router;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::{Ending, now, soon};

/// The wait after a connection that could not be accepted, as when too many are open.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// Serves until it is to end. Then no connection is taken any more, and those with a request
/// under way are waited for, `patience` at most. That is also how long a connection may take
/// to send a request's head, or stay idle.
pub(super) async fn serve(
    listener: TcpListener,
    routes: Router,
    patience: Duration,
    ending: watch::Receiver<Ending>,
) {
    let mut http = Builder::new(TokioExecutor::new()).http1_only();
    http.http1()
        .timer(TokioTimer::new())
        .header_read_timeout(patience);
    let open = GracefulShutdown::new();
    let mut end = std::pin::pin!(soon(ending.clone()));
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut end => break,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                // A connection that is gone already is nobody's trouble.
                if !is_of_connection(&error) {
                    tracing::warn!(%error, "cannot accept a connection");
                    sleep(ACCEPT_AGAIN).await;
                }
                continue;
            }
        };
        // Answers are small: none of them waits for more to travel with.
        let _ = stream.set_nodelay(true);
        let service = TowerToHyperService::new(routes.clone());
        let connection = http.serve_connection(TokioIo::new(stream), service);
        let connection = open.watch(connection.into_owned());
        tokio::spawn(async move {
            // How a connection ends is the caller's affair.
            let _ = connection.await;
        });
    }
    drop(listener);
    tokio::select! {
        _ = timeout(patience, open.shutdown()) => {}
        () = now(ending.clone()) => {}
    }
}

fn is_of_connection(error: &std::io::Error) -> bool {
    use std::io::ErrorKind;
    matches!(
        error.kind(),
        ErrorKind::ConnectionRefused | ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset
    )
}
