//! The gRPC door: `fusebox.v1.InferenceService`, health and reflection.
//!
//! It translates each request to one [`Call`](crate::call::Call) and what comes of that back, and
//! does nothing else. It spawns nothing and holds no channel: a caller that goes away drops the
//! engine's future or stream there and then.

mod body;
mod extra;
mod faults;
mod from_chat;
mod guard;
mod health;
mod image;
mod into_chat;
mod media;
mod options;
mod outcome;
mod parts;
mod paths;
mod pixels;
mod said;
mod service;
mod status;

use std::sync::Arc;

use fusebox_proto::v1::inference_service_server::SERVICE_NAME;
use tonic::service::Routes;
use tonic_reflection::server::{Builder, Error};

use self::guard::Guard;
pub use self::health::Health;
use super::{Bounded, MaxBody};
use crate::call::Engine;

/// Whether a bearer token, or the lack of one, may call.
pub type Authorize = Arc<dyn Fn(Option<&str>) -> bool + Send + Sync>;

/// What stands behind the door.
pub struct Door<E> {
    /// What answers calls.
    pub engine: Arc<E>,
    /// Who may call; health and reflection are open to all.
    pub authorize: Authorize,
    /// How large a request's message may be.
    pub max_message: MaxBody,
    /// How much a request's content may be.
    pub bounds: Bounded,
    /// What is reported to health checks.
    pub health: Health,
}

impl<E: Engine> Door<E> {
    /// The door's services, to be served on connections. Not by tonic's own server: that cuts a call off at its
    /// grpc-timeout itself, with a bare CANCELLED, before the engine can say what it tried.
    ///
    /// # Errors
    /// The descriptors built into the program cannot be read.
    pub fn routes(&self) -> Result<Routes, Error> {
        let guard = Guard {
            engine: Arc::clone(&self.engine),
            authorize: Arc::clone(&self.authorize),
            max_message: Arc::clone(&self.max_message),
            bounds: Arc::clone(&self.bounds),
        };
        Ok(Routes::new(guard)
            .add_service(self.health.service())
            .add_service(reflection().build_v1()?)
            .add_service(reflection().build_v1alpha()?)
            .prepare())
    }
}

/// The sidecar's own services; `ControlService`, described in the same set, is not served here.
fn reflection() -> Builder<'static> {
    Builder::configure()
        .register_encoded_file_descriptor_set(fusebox_proto::DESCRIPTORS)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .with_service_name(SERVICE_NAME)
        .with_service_name("grpc.health.v1.Health")
        .with_service_name("grpc.reflection.v1.ServerReflection")
        .with_service_name("grpc.reflection.v1alpha.ServerReflection")
}

#[cfg(test)]
mod tests;
