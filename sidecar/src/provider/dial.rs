//! Connections to a provider: direct, by a proxy or through it, in plain or under TLS, within one timeout.

use std::{
    io,
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll},
    time::Duration,
};

use http::Uri;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::{
    client::{
        legacy::connect::{Connected, Connection, HttpConnector, proxy::Tunnel},
        proxy::matcher::Intercept,
    },
    rt::TokioIo,
};
use rustls::{ClientConfig, RootCertStore, crypto::ring};
use tokio::net::TcpStream;
use tower_service::Service;

type BoxError = Box<dyn std::error::Error + Send + Sync>;
type Connecting<T> = Pin<Box<dyn Future<Output = Result<T, BoxError>> + Send>>;

/// Makes connections within the provider's connect timeout, name, proxy and TLS handshake included.
#[derive(Debug, Clone)]
pub(super) struct Dialer {
    timeout: Duration,
    connect: HttpsConnector<Route>,
}

impl Dialer {
    /// Connections for a provider behind TLS or not, by `proxy` if the environment names one.
    ///
    /// # Errors
    /// The system's roots or the proxy cannot be used.
    pub(super) fn try_new(timeout: Duration, secure: bool, proxy: Option<&Intercept>) -> Result<Self, String> {
        let mut tcp = HttpConnector::new();
        tcp.set_nodelay(true);
        tcp.enforce_http(false);
        let route = match proxy {
            None => Route::Direct(tcp),
            Some(proxy) if proxy.uri().scheme_str() != Some("http") => {
                return Err("only http:// proxies can be used; see HTTP_PROXY, HTTPS_PROXY and ALL_PROXY".into());
            }
            Some(proxy) if secure => {
                let tunnel = Tunnel::new(proxy.uri().clone(), tcp);
                Route::Through(match proxy.basic_auth() {
                    Some(auth) => tunnel.with_auth(auth.clone()),
                    None => tunnel,
                })
            }
            Some(proxy) => Route::By(tcp, proxy.uri().clone()),
        };
        let connect = HttpsConnectorBuilder::new()
            .with_tls_config(tls(secure)?)
            .https_or_http()
            .enable_all_versions()
            .wrap_connector(route);
        Ok(Self { timeout, connect })
    }
}

/// Only a provider behind TLS needs the system's roots: a pod without any may still call its neighbour. They are many
/// and do not change, so they are read once a process; not finding any is not kept.
fn tls(secure: bool) -> Result<ClientConfig, String> {
    static BY_SYSTEMS_ROOTS: OnceLock<ClientConfig> = OnceLock::new();
    if !secure {
        return trusting(RootCertStore::empty());
    }
    if let Some(config) = BY_SYSTEMS_ROOTS.get() {
        return Ok(config.clone());
    }
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        return Err("no certificate authorities found; install ca-certificates or set SSL_CERT_FILE".into());
    }
    let config = trusting(roots)?;
    Ok(BY_SYSTEMS_ROOTS.get_or_init(|| config).clone())
}

fn trusting(roots: RootCertStore) -> Result<ClientConfig, String> {
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

impl Service<Uri> for Dialer {
    type Response = MaybeHttpsStream<Wire>;
    type Error = BoxError;
    type Future = Connecting<Self::Response>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.connect.poll_ready(cx)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let (timeout, connecting) = (self.timeout, self.connect.call(uri));
        Box::pin(async move {
            match tokio::time::timeout(timeout, connecting).await {
                Ok(connected) => connected,
                Err(_) => Err(format!("no connection within {timeout:?}").into()),
            }
        })
    }
}

/// How a connection gets there.
#[derive(Debug, Clone)]
enum Route {
    Direct(HttpConnector),
    /// Asks the proxy at this address for the whole URL.
    By(HttpConnector, Uri),
    /// Asks a proxy to connect.
    Through(Tunnel<HttpConnector>),
}

impl Service<Uri> for Route {
    type Response = Wire;
    type Error = BoxError;
    type Future = Connecting<Wire>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        match self {
            Self::Direct(tcp) | Self::By(tcp, _) => tcp.poll_ready(cx).map_err(Into::into),
            Self::Through(tunnel) => tunnel.poll_ready(cx).map_err(Into::into),
        }
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        match self {
            Self::Direct(tcp) => {
                let connecting = tcp.call(uri);
                Box::pin(async move { Ok(Wire { io: connecting.await?, by_proxy: false }) })
            }
            Self::By(tcp, proxy) => {
                let connecting = tcp.call(proxy.clone());
                Box::pin(async move { Ok(Wire { io: connecting.await?, by_proxy: true }) })
            }
            Self::Through(tunnel) => {
                let connecting = tunnel.call(uri);
                Box::pin(async move { Ok(Wire { io: connecting.await?, by_proxy: false }) })
            }
        }
    }
}

/// A TCP connection that knows whether requests on it must name the whole URL.
#[derive(Debug)]
pub(super) struct Wire {
    io: TokioIo<TcpStream>,
    by_proxy: bool,
}

impl Connection for Wire {
    fn connected(&self) -> Connected {
        self.io.connected().proxy(self.by_proxy)
    }
}

impl Read for Wire {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl Write for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, slices)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_systems_roots_are_read_once_a_process() {
        // A configuration that was made anew would have a resolver of its own.
        let [first, second] = [(); 2].map(|()| tls(true).unwrap().client_auth_cert_resolver);
        assert!(Arc::ptr_eq(&first, &second));
    }
}
