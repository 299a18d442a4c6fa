//! The doors: bound, opened, drained.

use std::{
    convert::Infallible,
    io,
    net::{SocketAddr, TcpListener},
    sync::Arc,
};

use axum::{Router, extract::Request, middleware, response::Response};
use fusebox_base::serve::{self, Connections};
use hyper::{body::Incoming, service::Service};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tonic_health::server::HealthReporter;
use tower_service::Service as _;

use super::{Parts, StartError, addresses::Addresses, certificates::Certificates};
use crate::{
    config::{Config, Listen},
    doors::{
        admission, grpc,
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
    injector: Option<TcpListener>,
    pub(super) addresses: Addresses,
}

/// What serves.
pub(super) struct Doors {
    serving: JoinSet<io::Result<()>>,
    health: HealthReporter,
}

/// Binds all doors.
pub(super) fn bind(config: &Config) -> Result<Bound, StartError> {
    let Listen { grpc, http } = config.listen;
    let (grpc, http) = (bind_one("listen.grpc", grpc)?, bind_one("listen.http", http)?);
    let injector = config.injector.as_ref().map(|injector| bind_one("injector.listen", injector.listen));
    let injector = injector.transpose()?;
    let addresses = Addresses {
        grpc: grpc.local_addr()?,
        http: http.local_addr()?,
        injector: injector.as_ref().map(TcpListener::local_addr).transpose()?,
    };
    Ok(Bound { grpc, http, injector, addresses })
}

fn bind_one(key: &'static str, address: SocketAddr) -> Result<TcpListener, StartError> {
    let fault = |error| StartError::Listen { key, address, error };
    let (_, mut listeners) = serve::bind(address, 1).map_err(fault)?;
    listeners.pop().ok_or_else(|| fault(io::Error::other("nothing was bound")))
}

impl Doors {
    /// Serves on all from now on.
    pub(super) async fn open(
        bound: Bound,
        parts: &Parts,
        config: &Config,
        certificates: &Certificates,
        traces: Traces,
        draining: &CancellationToken,
    ) -> Result<Self, StartError> {
        let secure = certificates.doors.is_some();
        let connections = Connections {
            bounds: config.limits.bounds(),
            tls: certificates.doors.clone(),
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
        let injections = parts.admission.as_ref().map(|admission| Arc::clone(admission.counts()));
        let pages = Pages {
            control: Arc::clone(&parts.control),
            injections,
            draining: draining.clone(),
            traces: traces.clone(),
            configured: Arc::clone(&parts.configured),
        };
        let http = page::router(secure).merge(metrics::router(&Arc::new(pages))).merge(rest::router(&Arc::new(rest)));
        let mut serving = JoinSet::new();
        for (listener, router) in [(bound.grpc, grpc), (bound.http, http)] {
            let router = router.layer(middleware::from_fn_with_state(traces.clone(), span));
            serving.spawn(connections.clone().serve_introduced(listener, Routed(router)));
        }
        if let (Some(listener), Some(admission)) = (bound.injector, &parts.admission) {
            // However many look at the dashboard, pods can start.
            let apart = Connections { tls: certificates.injector.clone(), open: Arc::default(), ..connections };
            let router = admission::router(admission).layer(middleware::from_fn_with_state(traces, span));
            serving.spawn(apart.serve(listener, Routed(router)));
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
