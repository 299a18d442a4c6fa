//! The threads that serve calls: each a runtime, listeners and provider connections of its own.

use std::{
    io,
    net::TcpListener,
    sync::{Arc, atomic::AtomicUsize},
    thread,
};

use fusebox_base::serve::{self, Bounds, Connections, Count};
use hyper::service::service_fn;
use hyper_util::service::TowerToHyperService;
use tokio::{runtime::Builder, sync::mpsc};
use tokio_util::sync::CancellationToken;

use super::{Addresses, StartError, generation::Access};
use crate::{
    call::{Shared, Sidecar},
    config::{Limits, Listen},
    doors::{
        self, Bounded, MaxBody,
        grpc::{self, Health},
        openai::{Authorise, OpenAi},
    },
    telemetry::{Connection, Door, Telemetry},
};

/// Every listener, bound.
pub(super) struct Bound {
    grpc: Vec<TcpListener>,
    http: Vec<TcpListener>,
    pub(super) admin: TcpListener,
    pub(super) addresses: Addresses,
}

impl Bound {
    pub(super) fn bind(listen: &Listen) -> Result<Self, StartError> {
        let bind = |door, address, count| {
            serve::bind(address, count).map_err(|error| StartError::Listen { door, address, error })
        };
        let (grpc_at, grpc) = bind("grpc", listen.grpc, listen.workers)?;
        let (http_at, http) = bind("http", listen.http, listen.workers)?;
        let (admin_at, mut admin) = bind("admin", listen.admin, 1)?;
        let addresses = Addresses { grpc: grpc_at, http: http_at, admin: admin_at };
        Ok(Self { grpc, http, admin: admin.remove(0), addresses })
    }
}

/// Counts the connections of one door.
#[derive(Clone)]
struct Counted {
    telemetry: Arc<Telemetry>,
    door: Door,
}

impl Count for Counted {
    type Open = Connection;

    fn opened(&self) -> Connection {
        self.telemetry.connection(self.door)
    }
}

/// What connections are held to.
const fn bounds(limits: &Limits) -> Bounds {
    let Limits { max_headers, header_timeout, max_connections, max_streams, .. } = *limits;
    Bounds { max_connections, max_headers, header_timeout, max_streams }
}

/// The running threads.
pub(super) struct Workers {
    /// Each worker holds a sender until its connections have ended.
    alive: mpsc::Receiver<()>,
    /// Hears of a worker that ends before it was told to.
    died: mpsc::Receiver<()>,
}

/// What a worker takes along.
struct Worker {
    index: usize,
    shared: Arc<Shared>,
    access: Access,
    health: Health,
    connections: Connections<Counted>,
    grpc: TcpListener,
    http: TcpListener,
}

impl Workers {
    /// Starts a thread for each pair of listeners.
    ///
    /// # Errors
    /// The system gives no thread.
    pub(super) fn start(
        bound: Bound,
        shared: &Arc<Shared>,
        access: &Access,
        health: &Health,
        draining: &CancellationToken,
    ) -> io::Result<Self> {
        let current = shared.current.load();
        let connections = Connections {
            bounds: bounds(&current.plan.config.limits),
            tls: access.certificate.clone(),
            open: Arc::new(AtomicUsize::new(0)),
            count: Counted { telemetry: Arc::clone(&shared.telemetry), door: Door::Http },
            draining: draining.clone(),
        };
        let (alive_sender, alive) = mpsc::channel(1);
        let (died_sender, died) = mpsc::channel(1);
        for (index, (grpc, http)) in bound.grpc.into_iter().zip(bound.http).enumerate() {
            let worker = Worker {
                index,
                shared: Arc::clone(shared),
                access: access.clone(),
                health: health.clone(),
                connections: connections.clone(),
                grpc,
                http,
            };
            let alive = Alive { _ended: alive_sender.clone(), died: died_sender.clone(), draining: draining.clone() };
            thread::Builder::new().name(format!("worker-{index}")).spawn(move || {
                let _alive = alive;
                if let Err(error) = worker.work() {
                    tracing::error!(%error, "a worker could not serve");
                }
            })?;
        }
        Ok(Self { alive, died })
    }

    /// Waits until every connection has ended.
    pub(super) async fn ended(&mut self) {
        while self.alive.recv().await.is_some() {}
    }

    /// Waits until a worker ends that was not told to.
    pub(super) async fn lost(&mut self) {
        if self.died.recv().await.is_none() {
            std::future::pending::<()>().await;
        }
    }
}

/// Held by a worker's thread; dropped as it ends, whether by its end or by a panic.
struct Alive {
    _ended: mpsc::Sender<()>,
    died: mpsc::Sender<()>,
    draining: CancellationToken,
}

impl Drop for Alive {
    fn drop(&mut self) {
        if !self.draining.is_cancelled() {
            let _ = self.died.try_send(());
        }
    }
}

impl Worker {
    fn work(self) -> io::Result<()> {
        Builder::new_current_thread().enable_all().build()?.block_on(self.serve())
    }

    async fn serve(self) -> io::Result<()> {
        let engine = Arc::new(Sidecar::new(Arc::clone(&self.shared), self.index));
        let (access, shared) = (self.access, self.shared);
        let allow: Authorise = Arc::new(move |token| access.allow(token));
        let for_limit = Arc::clone(&shared);
        let max_body: MaxBody = Arc::new(move || for_limit.current.load().plan.config.limits.max_body);
        let for_bounds = Arc::clone(&shared);
        let bounds: Bounded = Arc::new(move || doors::bounds(&for_bounds.current.load().plan.config.validation));
        let openai = Arc::new(OpenAi {
            engine: Arc::clone(&engine),
            authorise: Arc::clone(&allow),
            max_body: Arc::clone(&max_body),
            bounds: Arc::clone(&bounds),
            models: Arc::new(move || {
                shared.current.load().plan.config.models.iter().map(|model| Arc::clone(&model.name)).collect()
            }),
        });
        let grpc = grpc::Door { engine, authorize: allow, max_message: max_body, bounds, health: self.health };
        let routes = TowerToHyperService::new(grpc.routes().map_err(io::Error::other)?);
        let http =
            self.connections.clone().serve(self.http, service_fn(move |request| Arc::clone(&openai).handle(request)));
        let count = Counted { door: Door::Grpc, ..self.connections.count.clone() };
        let grpc = Connections { count, ..self.connections }.serve(self.grpc, routes);
        tokio::try_join!(http, grpc).map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workers(draining: &CancellationToken) -> (Workers, Alive) {
        let (alive_sender, alive) = mpsc::channel(1);
        let (died_sender, died) = mpsc::channel(1);
        let held = Alive { _ended: alive_sender, died: died_sender, draining: draining.clone() };
        (Workers { alive, died }, held)
    }

    #[tokio::test]
    async fn a_worker_that_panics_is_missed() {
        let (mut workers, alive) = workers(&CancellationToken::new());
        let thread = thread::spawn(move || {
            let _alive = alive;
            panic!("as a worker might");
        });
        workers.lost().await;
        workers.ended().await;
        thread.join().unwrap_err();
    }

    #[tokio::test(start_paused = true)]
    async fn a_worker_that_ends_as_it_was_told_is_not_missed() {
        let draining = CancellationToken::new();
        let (mut workers, alive) = workers(&draining);
        draining.cancel();
        drop(alive);
        workers.ended().await;
        assert!(tokio::time::timeout(std::time::Duration::from_secs(60), workers.lost()).await.is_err());
    }
}
