//! Serves the door's services on a listener's connections.
//!
//! Not by tonic's own server: that cuts a call off at its grpc-timeout itself, with a bare CANCELLED,
//! before the engine can say what it tried. It does not listen, bound connections or speak TLS.

use std::{future::Future, pin::pin, time::Duration};

use futures_core::Stream;
use futures_util::StreamExt as _;
use hyper::{body::Incoming, server::conn::http2, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    task::JoinSet,
};
use tonic::service::Routes;
use tower_service::Service as _;

use crate::config::Limits;

/// A caller that is silent for this long is pinged, and one that does not answer is gone with all its calls.
const PING_AFTER: Duration = Duration::from_secs(30);
const PING_TIMEOUT: Duration = Duration::from_secs(20);

/// Serves `routes` on each connection that comes, until `stop` or the last one; then waits until the calls in flight
/// have ended. To cut those off, drop the future.
pub async fn serve<IO>(
    routes: Routes,
    limits: &Limits,
    incoming: impl Stream<Item = IO>,
    stop: impl Future<Output = ()>,
) where
    IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let http2 = http2(limits);
    let draining = GracefulShutdown::new();
    let mut connections = JoinSet::new();
    let (mut incoming, mut stop) = (pin!(incoming), pin!(stop));
    loop {
        tokio::select! {
            () = &mut stop => break,
            Some(_) = connections.join_next() => {}
            next = incoming.next() => {
                let Some(io) = next else { break };
                let routes = routes.clone();
                let answer = move |request: http::Request<Incoming>| routes.clone().call(request);
                let connection = http2.serve_connection(TokioIo::new(io), service_fn(answer));
                connections.spawn(draining.watch(connection));
            }
        }
    }
    draining.shutdown().await;
}

fn http2(limits: &Limits) -> http2::Builder<TokioExecutor> {
    let mut http2 = http2::Builder::new(TokioExecutor::new());
    http2
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.max_streams)
        .max_header_list_size(u32::try_from(limits.max_headers).unwrap_or(u32::MAX))
        .keep_alive_interval(PING_AFTER)
        .keep_alive_timeout(PING_TIMEOUT)
        // No gRPC caller reads it.
        .auto_date_header(false);
    http2
}
