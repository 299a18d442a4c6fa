//! The admin door: is it alive, is it ready, how is it, what has it counted. Read-only, HTTP/1.1, no bodies read.
//!
//! What it shows of providers, models and the configuration comes through [`View`]; it knows no gate.

mod standing;

use std::{collections::BTreeMap, convert::Infallible, io, pin::pin, sync::Arc, time::Duration};

use axum::{
    Json, Router,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use fusebox_base::prometheus::Format;
use fusebox_rules::moment::Moment;
use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde::Serialize;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tower_service::Service as _;

use crate::{
    clock,
    telemetry::{BreakerState, ErrorSummary, ProviderLimit, Telemetry},
};

/// Connections at once; one more is closed at once.
const MAX_CONNECTIONS: usize = 64;
/// How long a client may take to send its headers, and how long a connection may idle.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of a request's head.
const MAX_HEAD: usize = 16 << 10;
/// How long a connection lives. A client that reads nothing holds one no longer; one that scrapes comes again.
const MAX_LIFE: Duration = Duration::from_secs(60);
/// How long an answer under way may take once its connection is to end.
const LAST_ANSWER: Duration = Duration::from_secs(5);
/// The pause after a failed accept, lest a lack of file descriptors turn the loop into a hot one.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What the door shows that it does not know itself.
pub trait View: Send + Sync + 'static {
    /// Why no call should be sent here now, in words; empty: ready.
    fn not_ready(&self) -> Vec<String>;
    /// The providers, in the order configured.
    fn providers(&self) -> Vec<ProviderView>;
    /// The models, in the order configured.
    fn models(&self) -> Vec<ModelView>;
    /// What was found by looking: in the order of their names.
    fn checks(&self) -> Vec<CheckView>;
    /// Agent runs that are remembered.
    fn runs(&self) -> usize;
    /// The configuration's own story.
    fn config(&self) -> ConfigView;
    /// How loaded the pod is.
    fn load(&self) -> LoadView;
    /// When the certificate that calls are served with ends, in seconds since the Unix epoch; `None`: there is none.
    fn certificate_ends(&self) -> Option<u64>;
    /// The fleet's name, even where it is alone.
    fn fleet_name(&self) -> String;
    /// Its place in the fleet; `None`: it is alone.
    fn fleet(&self) -> Option<FleetView>;
}

/// The sidecar's place in its fleet.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FleetView {
    /// The fleet's name.
    pub name: String,
    /// The sidecar's own.
    pub id: String,
    /// Whether the shared store answers.
    pub connected: bool,
    /// Sidecars that are there, this one among them; 0: not known yet.
    pub live: u32,
    /// The version of the settings that it holds to; 0: none were ever set.
    pub settings_version: u64,
    /// What its calls share with other sidecars.
    pub shares: SharesView,
}

/// What calls have shared with other sidecars since the process began, by what came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SharesView {
    /// Exchanges about agent runs.
    pub runs: BTreeMap<&'static str, u64>,
    /// Calls under idempotency keys; `None`: they are not shared.
    pub claims: Option<BTreeMap<&'static str, u64>>,
    /// Look-ups in what others have kept, and answers kept for them; `None`: the cache is not shared.
    pub cache: Option<BTreeMap<&'static str, u64>>,
    /// Answers, and ends of claims, that are yet to be told to the store.
    pub waiting: usize,
}

/// A provider as it is now.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ProviderView {
    /// Its configured name.
    pub name: Arc<str>,
    /// Whether it is asked at all.
    pub enabled: bool,
    /// Lower is tried first.
    pub priority: u32,
    /// Where its breaker stands.
    #[serde(serialize_with = "breaker_name")]
    pub breaker: BreakerState,
    /// Attempts under way.
    pub in_flight: u64,
    /// How long it is still to be left alone, in seconds; `None`: it is not.
    pub cool_down_seconds: Option<f64>,
    /// Why it is unhealthy, apart from its breaker; `None`: it is not.
    pub fault: Option<String>,
    /// What it allows, and what is left of that here; empty: all that is asked of it.
    pub rate_limits: Vec<LimitView>,
}

/// One limit of a provider's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct LimitView {
    /// `requests` or `tokens`.
    pub limit: &'static str,
    /// What it allows a minute.
    pub per_minute: u64,
    /// What calls from here could take now.
    pub left: u64,
}

/// A check and what it last found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CheckView {
    /// `model`, `disk`, `gpu`, `keys`; or one of these, a colon, and a provider's name.
    pub name: String,
    /// Whether the sidecar is no use without it.
    pub critical: bool,
    /// Whether all is well.
    pub healthy: bool,
    /// What was found, for people.
    pub message: String,
    /// How long looking took.
    pub took_seconds: f64,
    /// Since it was found.
    pub seconds_ago: f64,
}

/// A model as callers name it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ModelView {
    /// Its name.
    pub name: Arc<str>,
    /// Who serves it, by rank.
    pub providers: Vec<Arc<str>>,
}

/// Where the configuration came from, and how its last reload went.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ConfigView {
    /// The file, or `defaults and environment`.
    pub source: String,
    /// Seconds since the one in force was loaded.
    pub loaded_seconds_ago: f64,
    /// Times that another replaced it.
    pub reloads: u64,
    /// What was wrong with the last one that was refused since; empty: nothing.
    pub faults: Vec<String>,
}

/// How loaded the pod is, and what is done about it.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct LoadView {
    /// `full`, `reduced` or `minimal`.
    pub degradation_level: &'static str,
    /// What is read, each from 0 to 1; what cannot be read is not there.
    pub load: BTreeMap<&'static str, f64>,
    /// Calls at each provider.
    pub places: Vec<PlacesView>,
}

/// Calls at one provider.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PlacesView {
    /// The provider's name.
    pub provider: Arc<str>,
    /// Calls that may be in flight; `None`: any number.
    pub limit: Option<u32>,
    /// Calls in flight.
    pub taken: u32,
    /// Calls that wait for a place.
    pub waiting: usize,
}

/// What the door needs.
pub struct Admin {
    telemetry: Arc<Telemetry>,
    view: Arc<dyn View>,
    started: Moment,
}

#[derive(Debug, Serialize)]
struct Readiness {
    ready: bool,
    reasons: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Health {
    /// `healthy`; `degraded`: some provider cannot be asked, or a check fails; `critical`: none can, a critical check
    /// fails, or the sidecar is not ready.
    status: &'static str,
    ready: bool,
    reasons: Vec<String>,
    version: &'static str,
    uptime_seconds: f64,
    checks: Vec<CheckView>,
}

#[derive(Debug, Serialize)]
struct Status {
    #[serde(flatten)]
    health: Health,
    pid: u32,
    in_flight: u64,
    runs: usize,
    providers: Vec<ProviderView>,
    models: Vec<ModelView>,
    config: ConfigView,
    errors: ErrorSummary,
    #[serde(flatten)]
    load: LoadView,
    fleet: Option<FleetView>,
}

impl Admin {
    /// A door onto `view`, for a process that starts now.
    #[must_use]
    pub fn new(telemetry: Arc<Telemetry>, view: Arc<dyn View>) -> Self {
        Self { telemetry, view, started: clock::now() }
    }

    fn health(&self, providers: &[ProviderView]) -> Health {
        let (reasons, checks) = (self.view.not_ready(), self.view.checks());
        let ready = reasons.is_empty();
        let status = standing::status(ready, providers, &checks).name();
        let uptime_seconds = clock::now().since(self.started).as_secs_f64();
        Health { status, ready, reasons, version: env!("CARGO_PKG_VERSION"), uptime_seconds, checks }
    }
}

impl ProviderView {
    fn can_be_asked(&self) -> bool {
        self.breaker != BreakerState::Open && self.cool_down_seconds.is_none() && self.fault.is_none()
    }
}

/// Answers on `listener` until `shutdown`, which should come after all else has ended: a sidecar that drains
/// still says so.
///
/// # Errors
/// None once it listens; a failed accept is waited out.
pub async fn serve(listener: TcpListener, admin: Arc<Admin>, shutdown: CancellationToken) -> io::Result<()> {
    let router = router(admin);
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            () = shutdown.cancelled() => break,
            Some(_) = connections.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                if let Ok(place) = Arc::clone(&places).try_acquire_owned() {
                    let (router, shutdown) = (router.clone(), shutdown.clone());
                    connections.spawn(async move {
                        connection(stream, router, &shutdown).await;
                        drop(place);
                    });
                }
            }
            Err(error) => {
                tracing::debug!(%error, "the admin door could not accept");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    while connections.join_next().await.is_some() {}
    Ok(())
}

async fn connection(stream: TcpStream, router: Router, shutdown: &CancellationToken) {
    let service = service_fn(move |request| {
        let mut router = router.clone();
        async move {
            // A router is always ready, and its error has no values.
            Ok::<_, Infallible>(router.call(request).await.unwrap_or_else(|never| match never {}))
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(MAX_HEAD)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    tokio::select! {
        // What a broken connection broke of is the client's affair.
        _ = connection.as_mut() => return,
        () = shutdown.cancelled() => {}
        () = sleep(MAX_LIFE) => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = timeout(LAST_ANSWER, connection).await;
}

fn router(admin: Arc<Admin>) -> Router {
    Router::new()
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz))
        .route("/health", get(health))
        .route("/status", get(status))
        .route("/metrics", get(metrics))
        .with_state(admin)
}

async fn readyz(State(admin): State<Arc<Admin>>) -> Response {
    let reasons = admin.view.not_ready();
    let ready = reasons.is_empty();
    (code(ready), Json(Readiness { ready, reasons })).into_response()
}

async fn health(State(admin): State<Arc<Admin>>) -> Response {
    let health = admin.health(&admin.view.providers());
    (code(health.status != "critical"), Json(health)).into_response()
}

async fn status(State(admin): State<Arc<Admin>>) -> Json<Status> {
    let providers = admin.view.providers();
    Json(Status {
        health: admin.health(&providers),
        pid: std::process::id(),
        in_flight: admin.telemetry.in_flight(),
        runs: admin.view.runs(),
        providers,
        models: admin.view.models(),
        config: admin.view.config(),
        errors: admin.telemetry.error_summary(),
        load: admin.view.load(),
        fleet: admin.view.fleet(),
    })
}

async fn metrics(State(admin): State<Arc<Admin>>, headers: HeaderMap) -> Response {
    let format = Format::accepted(headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()));
    let providers = admin.view.providers();
    admin.telemetry.set_standing(standing::standing(&*admin.view, &providers));
    let limits = |one: ProviderView| {
        one.rate_limits.into_iter().map(move |LimitView { limit, left, .. }| {
            let provider = Arc::clone(&one.name);
            ProviderLimit { provider, limit, left }
        })
    };
    admin.telemetry.set_limits(providers.into_iter().flat_map(limits).collect());
    ([(header::CONTENT_TYPE, format.content_type())], admin.telemetry.render(format)).into_response()
}

fn code(good: bool) -> StatusCode {
    if good { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
}

fn breaker_name<S: serde::Serializer>(state: &BreakerState, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(state.name())
}

#[cfg(test)]
mod tests;
