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
mod into_chat;
mod media;
mod options;
mod outcome;
mod parts;
mod said;
mod service;
mod status;

use std::{sync::Arc, time::Duration};

use fusebox_proto::v1::inference_service_server::SERVICE_NAME;
use tonic::{
    service::Routes,
    transport::{Server, server::Router},
};
use tonic_reflection::server::{Builder, Error};

pub use self::health::Health;
use self::guard::Guard;
use crate::{call::Engine, config::Limits};

/// Whether a bearer token, or the lack of one, may call.
pub type Authorize = Arc<dyn Fn(Option<&str>) -> bool + Send + Sync>;

/// A caller that answers no ping for this long is gone, and its calls are dropped.
const PING_EVERY: Duration = Duration::from_secs(30);
const PING_TIMEOUT: Duration = Duration::from_secs(20);

/// What stands behind the door.
pub struct Door<E> {
    /// What answers calls.
    pub engine: Arc<E>,
    /// Who may call; health and reflection are open to all.
    pub authorize: Authorize,
    /// What is reported to health checks.
    pub health: Health,
}

impl<E: Engine> Door<E> {
    /// The door's services, without a server around them.
    ///
    /// # Errors
    /// The descriptors built into the program cannot be read.
    pub fn routes(&self, limits: &Limits) -> Result<Routes, Error> {
        let guard = Guard {
            engine: Arc::clone(&self.engine),
            authorize: Arc::clone(&self.authorize),
            max_message: limits.max_body,
        };
        Ok(Routes::new(guard)
            .add_service(self.health.service())
            .add_service(reflection().build_v1()?)
            .add_service(reflection().build_v1alpha()?)
            .prepare())
    }

    /// A server of those services, to be run on a listener's connections.
    ///
    /// # Errors
    /// As [`routes`](Self::routes).
    pub fn router(&self, limits: &Limits) -> Result<Router, Error> {
        let header_bytes = u32::try_from(limits.max_headers).unwrap_or(u32::MAX);
        let mut server = Server::builder()
            .max_concurrent_streams(limits.max_streams)
            .http2_max_header_list_size(header_bytes)
            .http2_keepalive_interval(Some(PING_EVERY))
            .http2_keepalive_timeout(Some(PING_TIMEOUT));
        Ok(server.add_routes(self.routes(limits)?))
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
