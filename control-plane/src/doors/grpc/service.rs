//! `ControlService`: who asks is found out, and what is asked goes to [`Control`].

use std::{pin::Pin, sync::Arc};

use fusebox_proto::v1::{self, control_service_server::ControlService};
use futures_core::Stream;
use prost::Name;
use tonic::{Request, Response, Status};

use super::status::status;
use crate::{
    access::{Caller, Door},
    control::{Control, Refusal},
    doors::{
        guard::{Guard, Need},
        watch,
    },
};

type Told<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

pub(super) struct Service {
    pub(super) control: Arc<Control>,
    pub(super) guard: Arc<Guard>,
}

impl Service {
    /// Whoever may look.
    async fn viewer<T: Name>(&self, request: &Request<T>) -> Result<Caller, Status> {
        self.caller(request, Need::to_look(action::<T>())).await
    }

    /// Whoever may change something.
    async fn operator<T: Name>(&self, request: &Request<T>) -> Result<Caller, Status> {
        self.caller(request, Need::to_change(action::<T>())).await
    }

    async fn caller<T>(&self, request: &Request<T>, need: Need) -> Result<Caller, Status> {
        let headers = request.metadata().clone().into_headers();
        let extensions = request.extensions();
        self.guard.admit(Door::Grpc, &headers, extensions, need).await.map_err(|refusal| status(&refusal))
    }
}

/// The method whose request is `T`.
fn action<T: Name>() -> &'static str {
    T::NAME.strip_suffix("Request").unwrap_or(T::NAME)
}

fn answer<T>(done: Result<T, Refusal>) -> Result<Response<T>, Status> {
    done.map(Response::new).map_err(|refusal| status(&refusal))
}

#[tonic::async_trait]
impl ControlService for Service {
    type WatchFleetStream = Told<v1::Fleet>;
    type WatchAlertsStream = Told<v1::Alert>;

    async fn get_fleet(&self, request: Request<v1::GetFleetRequest>) -> Result<Response<v1::Fleet>, Status> {
        self.viewer(&request).await?;
        Ok(Response::new(self.control.fleet().fleet.clone()))
    }

    async fn watch_fleet(
        &self,
        request: Request<v1::WatchFleetRequest>,
    ) -> Result<Response<Self::WatchFleetStream>, Status> {
        self.viewer(&request).await?;
        let place = self.control.watchers().place().map_err(|refusal| status(&refusal))?;
        let pictures = watch::pictures(self.control.reader().follow(), place, |picture| Ok(picture.fleet.clone()));
        Ok(Response::new(Box::pin(pictures)))
    }

    async fn set_provider(
        &self,
        request: Request<v1::SetProviderRequest>,
    ) -> Result<Response<v1::SetProviderResponse>, Status> {
        let caller = self.operator(&request).await?;
        answer(self.control.set_provider(&caller, request.into_inner()).await)
    }

    async fn set_breaker(
        &self,
        request: Request<v1::SetBreakerRequest>,
    ) -> Result<Response<v1::SetBreakerResponse>, Status> {
        let caller = self.operator(&request).await?;
        answer(self.control.set_breaker(&caller, request.into_inner()).await)
    }

    async fn set_degradation(
        &self,
        request: Request<v1::SetDegradationRequest>,
    ) -> Result<Response<v1::SetDegradationResponse>, Status> {
        let caller = self.operator(&request).await?;
        answer(self.control.set_degradation(&caller, request.into_inner()).await)
    }

    async fn list_alerts(
        &self,
        request: Request<v1::ListAlertsRequest>,
    ) -> Result<Response<v1::ListAlertsResponse>, Status> {
        self.viewer(&request).await?;
        answer(self.control.alerts(request.get_ref()).await)
    }

    async fn watch_alerts(
        &self,
        request: Request<v1::WatchAlertsRequest>,
    ) -> Result<Response<Self::WatchAlertsStream>, Status> {
        self.viewer(&request).await?;
        let place = self.control.watchers().place().map_err(|refusal| status(&refusal))?;
        let alerts = watch::alerts(Arc::clone(&self.control), place, Ok);
        Ok(Response::new(Box::pin(alerts)))
    }

    async fn acknowledge_alert(
        &self,
        request: Request<v1::AcknowledgeAlertRequest>,
    ) -> Result<Response<v1::Alert>, Status> {
        let caller = self.operator(&request).await?;
        answer(self.control.acknowledge(&caller, request.into_inner()).await)
    }

    async fn list_audit_events(
        &self,
        request: Request<v1::ListAuditEventsRequest>,
    ) -> Result<Response<v1::ListAuditEventsResponse>, Status> {
        self.viewer(&request).await?;
        answer(self.control.audit(request.get_ref()).await)
    }

    async fn set_silence(&self, request: Request<v1::SetSilenceRequest>) -> Result<Response<v1::Silence>, Status> {
        let caller = self.operator(&request).await?;
        answer(self.control.set_silence(&caller, request.into_inner()).await)
    }

    async fn end_silence(&self, request: Request<v1::EndSilenceRequest>) -> Result<Response<v1::Silence>, Status> {
        let caller = self.operator(&request).await?;
        answer(self.control.end_silence(&caller, request.into_inner()).await)
    }

    async fn list_silences(
        &self,
        request: Request<v1::ListSilencesRequest>,
    ) -> Result<Response<v1::ListSilencesResponse>, Status> {
        self.viewer(&request).await?;
        answer(self.control.silences().await)
    }

    async fn get_sidecar(&self, request: Request<v1::GetSidecarRequest>) -> Result<Response<v1::Sidecar>, Status> {
        self.viewer(&request).await?;
        answer(self.control.sidecar(&request.get_ref().id))
    }
}
