//! Connections: accepted, bounded, served and drained. What is said on them is the doors' business.
//!
//! Several threads may have listeners of their own on one address (SO_REUSEPORT), and each serves what it accepts.

mod heard;
mod peer;
pub mod tls;

use std::{
    error::Error,
    io,
    net::{SocketAddr, TcpListener as StdListener},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use http::{Request, Response};
use hyper::{
    body::Incoming,
    rt::{Read, Write},
    service::Service,
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub use self::peer::{Introduced, Peer};
use self::{heard::Heard, peer::Met, tls::Certificate};

/// Connections that wait to be accepted.
const BACKLOG: i32 = 1024;
/// How long a TLS handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// An HTTP/2 caller that answers no ping for this long is gone.
const PING_EVERY: Duration = Duration::from_secs(30);
const PING_TIMEOUT: Duration = Duration::from_secs(20);
/// The pause after a failed accept, lest a lack of file descriptors turn the loop into a hot one.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Binds `count` listeners to one address; of port 0, all to the same free one.
///
/// # Errors
/// The address is taken, not this machine's, or not allowed.
pub fn bind(mut address: SocketAddr, count: usize) -> io::Result<(SocketAddr, Vec<StdListener>)> {
    let mut listeners = Vec::with_capacity(count);
    if address.port() != 0 {
        // Other processes' listeners would share the port unseen: a plain one finds out that it is taken.
        drop(StdListener::bind(address)?);
    }
    for _ in 0..count.max(1) {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_reuse_address(true)?;
        socket.set_reuse_port(true)?;
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        let listener = StdListener::from(socket);
        address = listener.local_addr()?;
        listeners.push(listener);
    }
    Ok((address, listeners))
}

/// Bounds on connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Open at once.
    pub max_connections: usize,
    /// Bytes of a request's headers.
    pub max_headers: usize,
    /// How long a caller may take to send its headers.
    pub header_timeout: Duration,
    /// Streams open at once on one HTTP/2 connection.
    pub max_streams: u32,
}

/// Counts connections.
pub trait Count: Clone + Send + Sync + 'static {
    /// Kept for as long as a connection is open.
    type Open: Send;

    /// One more is open.
    fn opened(&self) -> Self::Open;
}

/// Nobody counts.
impl Count for () {
    type Open = ();

    fn opened(&self) {}
}

/// What the connections of one door have in common.
#[derive(Clone)]
pub struct Connections<C> {
    /// Bounds on them.
    pub bounds: Bounds,
    /// The certificate to serve with, if any.
    pub tls: Option<Certificate>,
    /// How many are open over all doors and threads that share this.
    pub open: Arc<AtomicUsize>,
    /// Where they are counted.
    pub count: C,
    /// Cancelled once no more are accepted and those that are idle close.
    pub draining: CancellationToken,
}

impl<C: Count> Connections<C> {
    /// Accepts until draining, and returns once every connection has ended.
    ///
    /// # Errors
    /// The listener cannot be used.
    pub async fn serve<S, B>(self, listener: StdListener, service: S) -> io::Result<()>
    where
        S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + 'static,
        S::Future: Send + 'static,
        S::Error: Into<Box<dyn Error + Send + Sync>>,
        B: http_body::Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        self.serve_each(listener, move |_: Met<'_>| service.clone()).await
    }

    /// The same, each request with an [`Arc<Peer>`](Peer) among its extensions.
    ///
    /// # Errors
    /// The listener cannot be used.
    pub async fn serve_introduced<S, B>(self, listener: StdListener, service: S) -> io::Result<()>
    where
        S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + 'static,
        S::Future: Send + 'static,
        S::Error: Into<Box<dyn Error + Send + Sync>>,
        B: http_body::Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        self.serve_each(listener, move |met: Met<'_>| Introduced::new(service.clone(), Peer::from(met))).await
    }

    /// Serves each connection with what `make` makes for it.
    async fn serve_each<M, S, B>(self, listener: StdListener, make: M) -> io::Result<()>
    where
        M: Fn(Met<'_>) -> S + Clone + Send + 'static,
        S: Service<Request<Incoming>, Response = Response<B>> + Send + 'static,
        S::Future: Send + 'static,
        S::Error: Into<Box<dyn Error + Send + Sync>>,
        B: http_body::Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        let listener = TcpListener::from_std(listener)?;
        let tasks = TaskTracker::new();
        let this = Arc::new(self);
        loop {
            let accepted = tokio::select! {
                biased;
                () = this.draining.cancelled() => break,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, from)) => {
                    if let Some(place) = this.place() {
                        tasks.spawn(Arc::clone(&this).connection(stream, from, make.clone(), place));
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "could not accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        drop(listener);
        tasks.close();
        tasks.wait().await;
        Ok(())
    }

    /// A place among the open connections; one too many is closed at once.
    fn place(&self) -> Option<Place> {
        let place = Place(Arc::clone(&self.open));
        if self.open.fetch_add(1, Relaxed) < self.bounds.max_connections {
            return Some(place);
        }
        tracing::debug!("closed a connection: as many are open as may be");
        None
    }

    async fn connection<M, S, B>(self: Arc<Self>, stream: TcpStream, from: SocketAddr, make: M, _place: Place)
    where
        M: FnOnce(Met<'_>) -> S + Send + 'static,
        S: Service<Request<Incoming>, Response = Response<B>> + Send + 'static,
        S::Future: Send + 'static,
        S::Error: Into<Box<dyn Error + Send + Sync>>,
        B: http_body::Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        let _counted = self.count.opened();
        // Small writes go out at once: a token waits for nobody.
        let _ = stream.set_nodelay(true);
        let Some(tls) = &self.tls else {
            let service = make(Met { address: from, certificate: None });
            return self.http(TokioIo::new(stream), service).await;
        };
        match tokio::time::timeout(HANDSHAKE, tls.acceptor().accept(stream)).await {
            Ok(Ok(stream)) => {
                let shown = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
                let service = make(Met { address: from, certificate: shown });
                self.http(TokioIo::new(stream), service).await;
            }
            Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake failed"),
            Err(_) => tracing::debug!("a TLS handshake took too long"),
        }
    }

    async fn http<I, S, B>(&self, io: I, service: S)
    where
        I: Read + Write + Unpin + Send + 'static,
        S: Service<Request<Incoming>, Response = Response<B>> + Send + 'static,
        S::Future: Send + 'static,
        S::Error: Into<Box<dyn Error + Send + Sync>>,
        B: http_body::Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        let builder = self.builder();
        let (service, heard) = Heard::listen(service);
        let mut connection = std::pin::pin!(builder.serve_connection(io, service));
        let ended = tokio::select! {
            biased;
            ended = connection.as_mut() => Some(ended),
            () = self.draining.cancelled() => None,
            () = heard.nothing_within(self.bounds.header_timeout) => None,
        };
        let ended = match ended {
            Some(ended) => ended,
            None => {
                connection.as_mut().graceful_shutdown();
                tokio::select! {
                    biased;
                    ended = connection => ended,
                    // The farewell is not heard either.
                    () = heard.nothing_within(self.bounds.header_timeout) => Ok(()),
                }
            }
        };
        if let Err(error) = ended {
            tracing::debug!(error, "a connection broke");
        }
    }

    fn builder(&self) -> auto::Builder<TokioExecutor> {
        let mut builder = auto::Builder::new(TokioExecutor::new());
        builder
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(self.bounds.header_timeout)
            .max_buf_size(self.bounds.max_headers.max(8192));
        builder
            .http2()
            .timer(TokioTimer::new())
            .max_concurrent_streams(self.bounds.max_streams)
            .max_header_list_size(u32::try_from(self.bounds.max_headers).unwrap_or(u32::MAX))
            .keep_alive_interval(PING_EVERY)
            .keep_alive_timeout(PING_TIMEOUT);
        builder
    }
}

struct Place(Arc<AtomicUsize>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests;
