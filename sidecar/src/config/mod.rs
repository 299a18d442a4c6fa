//! What was meant: the configuration after it has been read, checked and completed.
//!
//! No field is an `Option` that stands for a default. What was typed, and its faults, stays in the
//! files beside this one.

pub mod advise;
pub mod args;
mod features;
mod providers;
mod read;
mod reload;

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use fusebox_base::config::{self as base, Document, Section};
pub use fusebox_base::config::{
    Advice, Fault, Faults, KeyDoc, LogFormat, Place, READY_FILE, Secret, Setting, Sources, Telemetry, Tls, units,
};
use fusebox_rules::budget;

pub use self::{
    advise::advise,
    args::{Args, Call, Check, Command, Status},
    features::{
        Cache, CacheMode, ContentFilter, ContextOverflow, Degradation, GpuCounts, Health, Hedging, Idempotency,
        ModelChecks, Overload, RunBudgets, Streams, Validation,
    },
    providers::{Model, Provider, ProviderKind, Scope, Served, Simulated, Timeouts},
    reload::needs_restart,
};

/// Watches what the configuration was read from.
pub type Watch = base::Watch<Config>;

/// Every key that a file, a variable or `--set` may hold, with its default.
#[must_use]
pub fn keys() -> Vec<KeyDoc> {
    base::keys::<Config>()
}

/// The configuration that `sources` make.
///
/// # Errors
///
/// Everything that is wrong with it, at once.
pub fn load(sources: &Sources) -> Result<Config, Faults> {
    base::load(sources)
}

/// The whole configuration of one sidecar.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// Which fleet this sidecar belongs to.
    pub fleet: Fleet,
    /// Where it listens.
    pub listen: Listen,
    /// Who may call it.
    pub auth: Auth,
    /// Logs and traces.
    pub telemetry: Telemetry,
    /// What answers calls, in the order typed. Names are unique; at least one.
    pub providers: Vec<Arc<Provider>>,
    /// What callers may name, the first being the default. Empty: any name is passed on to every provider.
    pub models: Vec<Arc<Model>>,
    /// Retries that calls pay for.
    pub retry_budget: budget::Settings,
    /// Bounds on what a caller may send and hold.
    pub limits: Limits,
    /// What streams do about breaking off.
    pub streams: Streams,
    /// Second attempts beside late first ones.
    pub hedging: Hedging,
    /// Graceful drain.
    pub shutdown: Shutdown,
    /// What a prompt or an answer may hold.
    pub validation: Validation,
    /// Health checks.
    pub health: Health,
    /// The response cache.
    pub cache: Cache,
    /// Answers remembered under idempotency keys.
    pub idempotency: Idempotency,
    /// What follows once no provider's window is large enough.
    pub context_overflow: ContextOverflow,
    /// What follows a refusal of the content.
    pub content_filter: ContentFilter,
    /// Degradation by load, and the ladder's lower steps.
    pub degradation: Degradation,
    /// Load shedding before it is too late.
    pub overload: Overload,
    /// What one agent run may spend.
    pub run_budgets: RunBudgets,
}

impl Default for Config {
    /// What nothing typed means: one simulated provider, any model's name.
    fn default() -> Self {
        base::default()
    }
}

impl Document for Config {
    const EXAMPLE: &'static str = "providers.0.base_url=http://127.0.0.1:8000/v1";
    // So that the first start needs no configuration.
    const ASSUMED: &'static [(&'static str, &'static str)] = &[("providers", "[{ name: simulated, kind: simulated }]")];

    fn read(at: &mut Section<'_>) -> Self {
        read::config(at)
    }

    fn files(&self) -> Vec<PathBuf> {
        let keys = self.providers.iter().filter_map(|provider| provider.api_key_file.clone());
        let tls = self.auth.tls.iter().flat_map(Tls::files);
        keys.chain(self.auth.tokens_file.clone()).chain(self.fleet.secret_file.clone()).chain(tls).collect()
    }
}

/// Which fleet this sidecar belongs to.
#[derive(Debug, Clone, PartialEq)]
pub struct Fleet {
    /// The fleet's name.
    pub name: String,
    /// The shared store's URL; `None`: this process alone.
    pub redis: Option<Secret>,
    /// The pod that this sidecar is part of; `None`: it goes by the host's name.
    pub pod: Option<String>,
    /// The node that it runs on.
    pub node: Option<String>,
    /// The zone of that node.
    pub zone: Option<String>,
    /// What only its sidecars know; 16 bytes or more.
    pub secret: Option<Secret>,
    /// Where that stands.
    pub secret_file: Option<PathBuf>,
}

/// Where the sidecar listens.
#[derive(Debug, Clone, PartialEq)]
pub struct Listen {
    /// `InferenceService`, health and reflection.
    pub grpc: SocketAddr,
    /// The OpenAI surface, HTTP/1.1 and h2c (or h2 over TLS).
    pub http: SocketAddr,
    /// livez, readyz, health, status, metrics.
    pub admin: SocketAddr,
    /// Threads that serve calls, each with its own listener and connections. Default: one a processor.
    pub workers: usize,
}

/// Who may call the sidecar's gRPC and HTTP doors.
#[derive(Debug, Clone, PartialEq)]
pub struct Auth {
    /// Bearer tokens, one a line; `None`: anyone who can connect.
    pub tokens_file: Option<PathBuf>,
    /// The certificate to serve with; `None`: plaintext.
    pub tls: Option<Tls>,
}

/// Bounds on what a caller may send and hold.
#[derive(Debug, Clone, PartialEq)]
pub struct Limits {
    /// Bytes of a request's body or message.
    pub max_body: usize,
    /// Bytes of a provider's answer that is not streamed, or of one event of a stream.
    pub max_answer: usize,
    /// Bytes of a request's headers.
    pub max_headers: usize,
    /// How long a caller may take to send its headers.
    pub header_timeout: Duration,
    /// Connections open at once, over both doors.
    pub max_connections: usize,
    /// Streams open at once on one HTTP/2 connection.
    pub max_streams: u32,
    /// Calls in flight at once; one more is shed.
    pub max_in_flight: usize,
}

/// Graceful drain.
#[derive(Debug, Clone, PartialEq)]
pub struct Shutdown {
    /// How long calls in flight may take to finish.
    pub grace: Duration,
}

#[cfg(test)]
mod tests;
