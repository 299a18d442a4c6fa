//! `grpc.health.v1`: whether the sidecar takes calls, for the server as a whole and for `InferenceService`; and for each
//! model, under its name, whether somebody can take a call of it now.

use fusebox_proto::v1::inference_service_server::SERVICE_NAME;
use tonic_health::{
    ServingStatus,
    pb::health_server::HealthServer,
    server::{HealthReporter, HealthService},
};

/// What is reported; shared by every worker's listener.
#[derive(Debug, Clone)]
pub struct Health(HealthReporter);

/// The whole server, and the one service.
const NAMES: [&str; 2] = ["", SERVICE_NAME];

impl Health {
    /// Not serving yet.
    pub async fn starting() -> Self {
        let health = Self(HealthReporter::new());
        health.set(ServingStatus::NotServing).await;
        health
    }

    /// Reports that calls are taken, or that they are not.
    pub async fn serving(&self, yes: bool) {
        self.set(if yes { ServingStatus::Serving } else { ServingStatus::NotServing }).await;
    }

    /// Reports whether somebody can take a call of `model`.
    pub async fn model(&self, model: &str, serving: bool) {
        if !NAMES.contains(&model) {
            let status = if serving { ServingStatus::Serving } else { ServingStatus::NotServing };
            self.0.set_service_status(model, status).await;
        }
    }

    /// Reports no longer on `model`, and ends its watches.
    pub async fn forget(&self, model: &str) {
        if !NAMES.contains(&model) {
            self.0.clone().clear_service_status(model).await;
        }
    }

    /// Reports that calls are no longer taken, and ends every watch, those of `models` too, which would otherwise keep
    /// its connection open until the drain's grace is over.
    pub async fn drain(&self, models: impl IntoIterator<Item = &str>) {
        self.set(ServingStatus::NotServing).await;
        for model in models {
            self.model(model, false).await;
            self.forget(model).await;
            self.model(model, false).await;
        }
        let mut reporter = self.0.clone();
        for name in NAMES {
            reporter.clear_service_status(name).await;
        }
        self.set(ServingStatus::NotServing).await;
    }

    /// The service that reports it.
    pub(super) fn service(&self) -> HealthServer<HealthService> {
        HealthServer::new(HealthService::from_health_reporter(self.0.clone()))
    }

    async fn set(&self, status: ServingStatus) {
        for name in NAMES {
            self.0.set_service_status(name, status).await;
        }
    }
}
