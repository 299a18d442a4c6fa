//! The gRPC door: `fusebox.v1.ControlService`, health and reflection.

mod service;
mod status;

use std::sync::Arc;

use fusebox_proto::v1::control_service_server::{ControlServiceServer, SERVICE_NAME};
use tonic::service::Routes;
use tonic_health::{
    ServingStatus,
    pb::health_server::{Health, HealthServer},
    server::HealthReporter,
};
use tonic_reflection::server::{Builder, Error};

use self::service::Service;
use crate::{control::Control, doors::guard::Guard};

/// Bytes of a request's message.
const MAX_MESSAGE: usize = 64 << 10;

/// The door's services, to be served on connections.
///
/// # Errors
/// The descriptors built into the program cannot be read.
pub fn routes(control: &Arc<Control>, guard: &Arc<Guard>, health: HealthServer<impl Health>) -> Result<Routes, Error> {
    let service = Service { control: Arc::clone(control), guard: Arc::clone(guard) };
    let service = ControlServiceServer::new(service).max_decoding_message_size(MAX_MESSAGE);
    Ok(Routes::new(service)
        .add_service(health)
        .add_service(reflection().build_v1()?)
        .add_service(reflection().build_v1alpha()?)
        .prepare())
}

/// Says to health checks whether calls are served.
pub async fn serving(reporter: &HealthReporter, serving: bool) {
    let status = if serving { ServingStatus::Serving } else { ServingStatus::NotServing };
    for service in ["", SERVICE_NAME] {
        reporter.set_service_status(service, status).await;
    }
}

/// The control plane's own services; `InferenceService`, described in the same set, is not served here.
fn reflection() -> Builder<'static> {
    Builder::configure()
        .register_encoded_file_descriptor_set(fusebox_proto::DESCRIPTORS)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .with_service_name(SERVICE_NAME)
        .with_service_name("grpc.health.v1.Health")
        .with_service_name("grpc.reflection.v1.ServerReflection")
        .with_service_name("grpc.reflection.v1alpha.ServerReflection")
}
