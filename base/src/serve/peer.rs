//! Who is at the other end of a connection, told to a service with each of its requests. Only where it is asked for.

use std::{net::SocketAddr, sync::Arc};

use http::Request;
use hyper::service::Service;
use rustls::pki_types::CertificateDer;

/// The other end of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Whence it connected.
    pub address: SocketAddr,
    /// The certificate that it showed, its signature checked; `None`: it showed none, or the connection is in the clear.
    pub certificate: Option<CertificateDer<'static>>,
}

/// The same, as it is known while a connection begins.
pub(super) struct Met<'a> {
    pub(super) address: SocketAddr,
    pub(super) certificate: Option<&'a CertificateDer<'static>>,
}

impl From<Met<'_>> for Peer {
    fn from(met: Met<'_>) -> Self {
        Self { address: met.address, certificate: met.certificate.cloned() }
    }
}

/// A service that finds an `Arc<Peer>` among the extensions of each request.
#[derive(Debug, Clone)]
pub struct Introduced<S> {
    service: S,
    peer: Arc<Peer>,
}

impl<S> Introduced<S> {
    /// `service`, asked by `peer`.
    pub fn new(service: S, peer: Peer) -> Self {
        Self { service, peer: Arc::new(peer) }
    }
}

impl<S: Service<Request<B>>, B> Service<Request<B>> for Introduced<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn call(&self, mut request: Request<B>) -> S::Future {
        request.extensions_mut().insert(Arc::clone(&self.peer));
        self.service.call(request)
    }
}
