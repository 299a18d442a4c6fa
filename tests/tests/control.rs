//! The control plane: what it shows of a fleet, and what it changes there. Real programs, a real Redis.

mod access;
mod alerts;
mod change;
mod command;
mod inject;
mod life;
mod picture;
mod rest;
mod traces;

use std::path::Path;

use fusebox_proto::v1;
use fusebox_tests::{control_plane::ControlPlane, provider::Provider, redis::Server, sidecar::Config};
use serde_json::{Value, json};

use crate::fleet::{One, fleet, shared};

/// A fleet of sidecars with providers `first` and `second`, and its control plane.
struct Scene {
    redis: Server,
    first: Provider,
    second: Provider,
    sidecars: Vec<One>,
    control: ControlPlane,
}

impl Scene {
    /// With `count` sidecars; every answer of a provider is one token.
    async fn start(count: usize) -> Self {
        Self::with(count, json!({})).await
    }

    /// The same, with `changes` to the control plane's configuration.
    async fn with(count: usize, changes: Value) -> Self {
        use fusebox_tests::provider::act::tokens;
        let (redis, first) = (Server::start().await, Provider::start(tokens(1)).await);
        let second = Provider::start(tokens(1)).await;
        let url = redis.url();
        let sidecars = fleet(count, |_| config(&url, &first, &second)).await;
        let is_plain = changes.pointer("/auth/tls").is_none();
        let control = ControlPlane::of(&url, changes).await;
        // Where there is TLS, only the test has what it takes to ask.
        if is_plain {
            control.sees(count, control.http()).await;
        }
        Self { redis, first, second, sidecars, control }
    }

    /// One sidecar, and a control plane that asks for the tokens in `file`.
    async fn with_tokens(file: &Path) -> Self {
        Self::with(1, json!({"auth": {"tokens_file": file}})).await
    }

    /// Another replica of that control plane.
    async fn another(&self, file: &Path) -> ControlPlane {
        ControlPlane::of(&self.redis.url(), json!({"auth": {"tokens_file": file}})).await
    }

    /// Calls of each sidecar, one after the other; each has to be answered.
    async fn call_all(&self) {
        for one in &self.sidecars {
            one.call().await.good();
        }
    }
}

/// A sidecar of the fleet at `redis`.
fn config(redis: &str, first: &Provider, second: &Provider) -> Config {
    Config::new()
        .provider("first", first)
        .provider("second", second)
        .each(&shared(&json!({})))
        .with(json!({"fleet": {"redis": redis}}))
}

/// How a change is made: waited for, ten seconds at most.
fn waited() -> Option<v1::ChangeOptions> {
    let wait = Some(prost_types::Duration { seconds: 10, nanos: 0 });
    Some(v1::ChangeOptions { wait, ..v1::ChangeOptions::default() })
}

/// Switches a provider.
fn switch(name: &str, enabled: bool) -> v1::SetProviderRequest {
    v1::SetProviderRequest {
        name: name.into(),
        enabled: Some(enabled),
        reason: "a drill".into(),
        change: waited(),
        ..v1::SetProviderRequest::default()
    }
}

fn provider<'a>(fleet: &'a v1::Fleet, name: &str) -> &'a v1::Provider {
    fleet.providers.iter().find(|one| one.name == name).unwrap_or_else(|| panic!("no {name} in {fleet:#?}"))
}
