//! A control plane that says what it is told to say, and remembers what it was asked.

use std::{
    collections::HashMap,
    fs,
    net::{Ipv4Addr, SocketAddr},
    pin::Pin,
    sync::Arc,
};

use fusebox_proto::v1::{
    AcknowledgeAlertRequest, Alert, AuditEvent, ChangeOptions, ChangeResult, EndSilenceRequest, Fleet, GetFleetRequest,
    GetSidecarRequest, ListAlertsRequest, ListAlertsResponse, ListAuditEventsRequest, ListAuditEventsResponse,
    ListSilencesRequest, ListSilencesResponse, SetBreakerRequest, SetBreakerResponse, SetDegradationRequest,
    SetDegradationResponse, SetProviderRequest, SetProviderResponse, SetSilenceRequest, Sidecar, Silence,
    WatchAlertsRequest, WatchFleetRequest, Word,
    control_service_server::{ControlService, ControlServiceServer},
};
use futures_util::{Stream, StreamExt as _, stream};
use parking_lot::Mutex;
use tokio::{
    net::TcpListener,
    runtime::Runtime,
    sync::{broadcast, watch},
};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{
    Request, Response, Status,
    transport::{Certificate, Identity, Server, ServerTlsConfig},
};

use super::command::PATIENCE;
use crate::tls;

/// How its door is kept.
#[derive(Debug, Clone, Default)]
pub struct Door {
    /// The token that callers must bear.
    pub token: Option<String>,
    /// The certificate that it shows, and so TLS.
    pub identity: Option<tls::Identity>,
    /// The authority whose certificates callers must show, in a file.
    pub callers: Option<String>,
}

/// A change that was asked for.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "each holds the request that it is named after")]
pub enum Asked {
    Provider(SetProviderRequest),
    Breaker(SetBreakerRequest),
    Degradation(SetDegradationRequest),
    Silence(SetSilenceRequest),
    EndSilence(EndSilenceRequest),
    Acknowledge(AcknowledgeAlertRequest),
}

/// A running control plane. Dropped, it closes its port and its connections.
#[derive(Debug)]
pub struct ControlPlane {
    address: SocketAddr,
    desk: Arc<Desk>,
    /// A server's connections are tasks of its own: they end with what they run on.
    runtime: Option<Runtime>,
}

#[derive(Debug)]
struct Desk {
    token: Option<String>,
    fleet: watch::Sender<Fleet>,
    alerts: broadcast::Sender<Alert>,
    script: Mutex<Script>,
}

#[derive(Debug, Default)]
struct Script {
    asked: Vec<Asked>,
    refusals: HashMap<&'static str, Status>,
    result: ChangeResult,
    alerts: Vec<Alert>,
    audit: Vec<AuditEvent>,
    silences: Vec<Silence>,
}

/// What gRPC streams are made of.
type Streamed<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

impl ControlPlane {
    /// Opens a door for anyone on a free port.
    pub async fn start(fleet: Fleet) -> Self {
        Self::behind(Door::default(), fleet).await
    }

    /// Opens a door on a free port.
    pub async fn behind(door: Door, fleet: Fleet) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port").into_std().unwrap();
        let address = listener.local_addr().unwrap();
        let desk = Arc::new(Desk {
            token: door.token.clone(),
            fleet: watch::Sender::new(fleet),
            alerts: broadcast::Sender::new(16),
            script: Mutex::default(),
        });
        let runtime = Some(serve(&desk, &door, listener));
        Self { address, desk, runtime }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Closes its port and all connections, and returns when they are.
    pub async fn close(&mut self) {
        let runtime = self.runtime.take().expect("it is open");
        tokio::task::spawn_blocking(move || runtime.shutdown_timeout(PATIENCE)).await.unwrap();
    }

    /// Opens the same port again, for anyone.
    pub async fn open(&mut self) {
        let listener = TcpListener::bind(self.address).await.expect("its own port").into_std().unwrap();
        self.runtime = Some(serve(&self.desk, &Door::default(), listener));
    }

    /// Shows this fleet from now on.
    pub fn show(&self, fleet: Fleet) {
        self.desk.fleet.send_replace(fleet);
    }

    /// Tells whoever watches alerts.
    pub fn tell(&self, alert: Alert) {
        let _ = self.desk.alerts.send(alert);
    }

    /// Answers `method` with this from now on.
    pub fn refuse(&self, method: &'static str, status: Status) {
        self.desk.script.lock().refusals.insert(method, status);
    }

    /// Answers changes with this from now on.
    pub fn result(&self, result: ChangeResult) {
        self.desk.script.lock().result = result;
    }

    /// Lists these alerts.
    pub fn alerts(&self, alerts: Vec<Alert>) {
        self.desk.script.lock().alerts = alerts;
    }

    /// Lists these events.
    pub fn audit(&self, events: Vec<AuditEvent>) {
        self.desk.script.lock().audit = events;
    }

    /// The changes that were asked for so far, in their order.
    #[must_use]
    pub fn asked(&self) -> Vec<Asked> {
        self.desk.script.lock().asked.clone()
    }
}

impl Drop for ControlPlane {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

fn serve(desk: &Arc<Desk>, door: &Door, listener: std::net::TcpListener) -> Runtime {
    let mut server = Server::builder();
    if let Some(identity) = &door.identity {
        let read = |file: &str| fs::read(file).unwrap();
        let identity = Identity::from_pem(read(&identity.cert_file), read(&identity.key_file));
        let mut tls = ServerTlsConfig::new().identity(identity);
        if let Some(callers) = &door.callers {
            tls = tls.client_ca_root(Certificate::from_pem(read(callers)));
        }
        server = server.tls_config(tls).unwrap();
    }
    let service = ControlServiceServer::from_arc(Arc::clone(desk));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    runtime.spawn(async move {
        let incoming = TcpListenerStream::new(TcpListener::from_std(listener).unwrap());
        server.add_service(service).serve_with_incoming(incoming).await.unwrap();
    });
    runtime
}

impl Desk {
    /// Lets a caller in, or answers as the script says.
    fn enter<T>(&self, method: &str, request: Request<T>) -> Result<T, Status> {
        if let Some(token) = &self.token {
            let borne = request.metadata().get("authorization").and_then(|value| value.to_str().ok());
            if borne != Some(&format!("Bearer {token}")) {
                return Err(Status::unauthenticated("a bearer token is needed, and this is none that is known"));
            }
        }
        match self.script.lock().refusals.get(method) {
            Some(status) => Err(status.clone()),
            None => Ok(request.into_inner()),
        }
    }

    /// The result of a change, which a dry run is not waited for.
    fn changed(&self, asked: Asked, options: Option<ChangeOptions>) -> Option<ChangeResult> {
        let mut script = self.script.lock();
        script.asked.push(asked);
        let result = script.result.clone();
        let dry = options.is_some_and(|options| options.dry_run);
        Some(if dry { ChangeResult { sidecars_applied: 0, waiting_for: Vec::new(), ..result } } else { result })
    }
}

/// One page of `all`, and the token of the next.
fn page<T: Clone>(all: &[T], size: u32, token: &str) -> (Vec<T>, String) {
    let from: usize = if token.is_empty() { 0 } else { token.parse().expect("a token of its own") };
    let to = all.len().min(from + size as usize);
    (all[from..to].to_vec(), if to < all.len() { to.to_string() } else { String::new() })
}

#[tonic::async_trait]
impl ControlService for Desk {
    type WatchFleetStream = Streamed<Fleet>;
    type WatchAlertsStream = Streamed<Alert>;

    async fn get_fleet(&self, request: Request<GetFleetRequest>) -> Result<Response<Fleet>, Status> {
        self.enter("GetFleet", request)?;
        Ok(Response::new(self.fleet.borrow().clone()))
    }

    async fn watch_fleet(
        &self,
        request: Request<WatchFleetRequest>,
    ) -> Result<Response<Self::WatchFleetStream>, Status> {
        self.enter("WatchFleet", request)?;
        let mut pictures = self.fleet.subscribe();
        pictures.mark_changed();
        let stream = stream::unfold(pictures, |mut pictures| async move {
            pictures.changed().await.ok()?;
            let fleet = pictures.borrow_and_update().clone();
            Some((Ok(fleet), pictures))
        });
        Ok(Response::new(stream.boxed()))
    }

    async fn set_provider(
        &self,
        request: Request<SetProviderRequest>,
    ) -> Result<Response<SetProviderResponse>, Status> {
        let request = self.enter("SetProvider", request)?;
        let result = self.changed(Asked::Provider(request.clone()), request.change);
        let provider = self.fleet.borrow().providers.iter().find(|one| one.name == request.name).cloned();
        Ok(Response::new(SetProviderResponse { provider, result }))
    }

    async fn set_breaker(&self, request: Request<SetBreakerRequest>) -> Result<Response<SetBreakerResponse>, Status> {
        let request = self.enter("SetBreaker", request)?;
        let result = self.changed(Asked::Breaker(request.clone()), request.change);
        Ok(Response::new(SetBreakerResponse { provider: None, result }))
    }

    async fn set_degradation(
        &self,
        request: Request<SetDegradationRequest>,
    ) -> Result<Response<SetDegradationResponse>, Status> {
        let request = self.enter("SetDegradation", request)?;
        let result = self.changed(Asked::Degradation(request.clone()), request.change);
        Ok(Response::new(SetDegradationResponse { fleet: Some(self.fleet.borrow().clone()), result }))
    }

    async fn list_alerts(&self, request: Request<ListAlertsRequest>) -> Result<Response<ListAlertsResponse>, Status> {
        let request = self.enter("ListAlerts", request)?;
        let mut alerts = self.script.lock().alerts.clone();
        alerts.retain(|alert| request.include_resolved || alert.resolved_at.is_none());
        let (alerts, next_page_token) = page(&alerts, request.page_size, &request.page_token);
        Ok(Response::new(ListAlertsResponse { alerts, next_page_token }))
    }

    async fn watch_alerts(
        &self,
        request: Request<WatchAlertsRequest>,
    ) -> Result<Response<Self::WatchAlertsStream>, Status> {
        self.enter("WatchAlerts", request)?;
        let told = self.alerts.subscribe();
        let firing = self.script.lock().alerts.clone();
        let later = stream::unfold(told, |mut told| async move { told.recv().await.ok().map(|alert| (alert, told)) });
        Ok(Response::new(stream::iter(firing).chain(later).map(Ok).boxed()))
    }

    async fn acknowledge_alert(&self, request: Request<AcknowledgeAlertRequest>) -> Result<Response<Alert>, Status> {
        let request = self.enter("AcknowledgeAlert", request)?;
        let mut script = self.script.lock();
        script.asked.push(Asked::Acknowledge(request.clone()));
        let alert = script.alerts.iter().find(|alert| alert.id == request.id).cloned();
        alert.map(Response::new).ok_or_else(|| Status::not_found(format!("there is no alert {}", request.id)))
    }

    async fn set_silence(&self, request: Request<SetSilenceRequest>) -> Result<Response<Silence>, Status> {
        let request = self.enter("SetSilence", request)?;
        let mut script = self.script.lock();
        script.asked.push(Asked::Silence(request.clone()));
        let silence = Silence {
            id: format!("s-{}", script.silences.len() + 1),
            kind: request.kind,
            provider: request.provider,
            sidecar: request.sidecar,
            word: Some(Word { by: "ana".into(), reason: request.reason, ..Word::default() }),
        };
        script.silences.push(silence.clone());
        Ok(Response::new(silence))
    }

    async fn end_silence(&self, request: Request<EndSilenceRequest>) -> Result<Response<Silence>, Status> {
        let request = self.enter("EndSilence", request)?;
        let mut script = self.script.lock();
        script.asked.push(Asked::EndSilence(request.clone()));
        let at = script.silences.iter().position(|silence| silence.id == request.id);
        let at = at.ok_or_else(|| Status::not_found(format!("there is no silence {}", request.id)))?;
        Ok(Response::new(script.silences.remove(at)))
    }

    async fn list_silences(
        &self,
        request: Request<ListSilencesRequest>,
    ) -> Result<Response<ListSilencesResponse>, Status> {
        self.enter("ListSilences", request)?;
        Ok(Response::new(ListSilencesResponse { silences: self.script.lock().silences.clone() }))
    }

    async fn get_sidecar(&self, request: Request<GetSidecarRequest>) -> Result<Response<Sidecar>, Status> {
        let request = self.enter("GetSidecar", request)?;
        let found = self.fleet.borrow().sidecars.iter().find(|one| one.id == request.id).cloned();
        found.map(Response::new).ok_or_else(|| Status::not_found(format!("there is no sidecar {}", request.id)))
    }

    async fn list_audit_events(
        &self,
        request: Request<ListAuditEventsRequest>,
    ) -> Result<Response<ListAuditEventsResponse>, Status> {
        let request = self.enter("ListAuditEvents", request)?;
        let (events, next_page_token) = page(&self.script.lock().audit, request.page_size, &request.page_token);
        Ok(Response::new(ListAuditEventsResponse { events, next_page_token }))
    }
}
