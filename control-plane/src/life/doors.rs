//! The doors: bound, opened, drained.

use std::{
    convert::Infallible,
    io,
    net::{SocketAddr, TcpListener},
    sync::Arc,
};

use axum::{Router, extract::Request, middleware, response::Response};
use fusebox_base::serve::{self, Connections, tls::Certificate};
use hyper::{body::Incoming, service::Service};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tonic_health::server::HealthReporter;
use tower_service::Service as _;

use super::{Parts, StartError, addresses::Addresses};
use crate::{
    config::{Config, Listen},
    doors::{
        grpc,
        guard::Authority,
        metrics::{self, Pages},
        page,
        rest::{self, Rest},
    },
    telemetry::{Traces, span},
};

/// Sockets, before anything is served on them.
pub(super) struct Bound {
    grpc: TcpListener,
    http: TcpListener,
    pub(super) addresses: Addresses,
}

/// What serves.
pub(super) struct Doors {
    serving: JoinSet<io::Result<()>>,
    health: HealthReporter,
}

/// Binds both doors.
pub(super) fn bind(listen: &Listen) -> Result<Bound, StartError> {
    let (grpc, http) = (bind_one("grpc", listen.grpc)?, bind_one("http", listen.http)?);
    let addresses = Addresses { grpc: grpc.local_addr()?, http: http.local_addr()? };
    Ok(Bound { grpc, http, addresses })
}

fn bind_one(door: &'static str, address: SocketAddr) -> Result<TcpListener, StartError> {
    let fault = |error| StartError::Listen { door, address, error };
    let (_, mut listeners) = serve::bind(address, 1).map_err(fault)?;
    listeners.pop().ok_or_else(|| fault(io::Error::other("nothing was bound")))
}

impl Doors {
    /// Serves on both from now on.
    pub(super) async fn open(
        bound: Bound,
        parts: &Parts,
        config: &Config,
        certificate: Option<Certificate>,
        traces: Traces,
        draining: &CancellationToken,
    ) -> Result<Self, StartError> {
        let secure = certificate.is_some();
        let connections = Connections {
            bounds: config.limits.bounds(),
            tls: certificate,
            open: Arc::default(),
            count: (),
            draining: draining.clone(),
        };
        let (health, service) = tonic_health::server::health_reporter();
        let routes = grpc::routes(&parts.control, &parts.guard, service);
        let grpc = routes.map_err(|error| StartError::Unusable(format!("reflection: {error}")))?.into_axum_router();
        let rest = Rest {
            control: Arc::clone(&parts.control),
            guard: Arc::clone(&parts.guard),
            max_body: config.limits.max_body,
        };
        let pages = Pages {
            control: Arc::clone(&parts.control),
            draining: draining.clone(),
            configured: Arc::clone(&parts.configured),
        };
        let http = page::router(secure).merge(metrics::router(&Arc::new(pages))).merge(rest::router(&Arc::new(rest)));
        let mut serving = JoinSet::new();
        for (listener, router) in [(bound.grpc, grpc), (bound.http, http)] {
            let router = router.layer(middleware::from_fn_with_state(traces.clone(), span));
            serving.spawn(connections.clone().serve_introduced(listener, Routed(router)));
        }
        grpc::serving(&health, true).await;
        Ok(Self { serving, health })
    }

    /// Takes no more connections, and lets those that are idle go.
    pub(super) async fn drain(&self, draining: &CancellationToken) {
        grpc::serving(&self.health, false).await;
        draining.cancel();
    }

    /// Ends once every connection has ended.
    pub(super) async fn ended(&mut self) {
        while self.serving.join_next().await.is_some() {}
    }
}

/// A router, as connections ask it.
#[derive(Debug, Clone)]
struct Routed(Router);

impl Service<Request<Incoming>> for Routed {
    type Response = Response;
    type Error = Infallible;
    type Future = <Router as tower_service::Service<Request<Incoming>>>::Future;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        if let Some(authority) = request.uri().authority() {
            let authority = Authority(authority.to_string());
            request.extensions_mut().insert(authority);
        }
        self.0.clone().call(request)
    }
}
