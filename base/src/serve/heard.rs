//! Whether a connection has ever asked for anything. Until it has, neither HTTP/1.1's timer for a request's head nor
//! HTTP/2's pings need run: which of the two it speaks may still be open.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use http::Request;
use hyper::{body::Incoming, service::Service};

/// A service that notes that it was asked.
#[derive(Debug, Clone)]
pub(super) struct Heard<S> {
    service: S,
    ears: Ears,
}

/// What was noted.
#[derive(Debug, Clone, Default)]
pub(super) struct Ears(Arc<AtomicBool>);

impl<S> Heard<S> {
    /// `service`, listened to.
    pub(super) fn listen(service: S) -> (Self, Ears) {
        let ears = Ears::default();
        (Self { service, ears: ears.clone() }, ears)
    }
}

impl Ears {
    /// Ends `within` from now if no request has come by then; otherwise never.
    pub(super) async fn nothing_within(&self, within: Duration) {
        tokio::time::sleep(within).await;
        if self.0.load(Relaxed) {
            std::future::pending::<()>().await;
        }
    }
}

impl<S: Service<Request<Incoming>>> Service<Request<Incoming>> for Heard<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn call(&self, request: Request<Incoming>) -> S::Future {
        self.ears.0.store(true, Relaxed);
        self.service.call(request)
    }
}
