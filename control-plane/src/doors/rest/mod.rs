//! The REST door under `/api/v1/`: each of `ControlService`'s methods as a path, its messages as JSON.
//!
//! One table says all paths: requests are led by it, and the OpenAPI document is made from it.

mod answer;
mod body;
mod events;
mod handlers;
mod openapi;
mod routes;
mod session;

use std::sync::Arc;

use axum::Router;

use crate::{control::Control, doors::guard::Guard};

/// Where all of it is.
pub const ROOT: &str = "/api/v1";

/// What stands behind the door.
#[derive(Debug)]
pub struct Rest {
    /// What carries out what is asked for.
    pub control: Arc<Control>,
    /// Lets callers in.
    pub guard: Arc<Guard>,
    /// Bytes of a request's body.
    pub max_body: usize,
}

/// All paths.
pub fn router(rest: &Arc<Rest>) -> Router {
    let routed = routes::ROUTES
        .iter()
        .fold(Router::new(), |router, route| router.route(&format!("{ROOT}{}", route.path), (route.handle)()));
    routed.fallback(handlers::nothing_here).method_not_allowed_fallback(handlers::not_so).with_state(Arc::clone(rest))
}
