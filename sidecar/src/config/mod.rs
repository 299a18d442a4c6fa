//! What was meant: the configuration after it has been read, checked and completed.
//!
//! No field is an `Option` that stands for a default. What was typed, and its faults, stays in the
//! files beside this one.

pub mod advise;
pub mod args;
mod fault;
mod format;
mod key;
mod read;
pub mod reload;
mod secret;
mod section;
mod sources;
pub mod units;
mod value;
mod variables;

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use fusebox_rules::{
    breaker, budget, degradation, health, holdback::Holdback, limit, retry, run, survive::Continuation,
};

pub use self::{
    advise::{Advice, advise},
    args::{Args, Call, Check, Command, Status},
    fault::{Fault, Faults, Place},
    read::keys,
    reload::{Watch, needs_restart},
    secret::Secret,
    section::KeyDoc,
    sources::{Setting, Sources, load},
    variables::READY_FILE,
};

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
        read::config(&value::Value::empty(), &std::collections::BTreeMap::new()).0
    }
}

impl Config {
    /// Every file that it was read from beside its own: keys, tokens, certificates.
    #[must_use]
    pub fn files(&self) -> Vec<PathBuf> {
        let keys = self.providers.iter().filter_map(|provider| provider.api_key_file.clone());
        let tls = self.auth.tls.iter().flat_map(|tls| {
            [Some(tls.cert_file.clone()), Some(tls.key_file.clone()), tls.client_ca_file.clone()].into_iter().flatten()
        });
        keys.chain(self.auth.tokens_file.clone()).chain(tls).collect()
    }
}

/// Which fleet this sidecar belongs to.
#[derive(Debug, Clone, PartialEq)]
pub struct Fleet {
    /// The fleet's name.
    pub name: String,
    /// The shared store's URL; `None`: this process alone.
    pub redis: Option<Secret>,
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

/// A certificate to serve with.
#[derive(Debug, Clone, PartialEq)]
pub struct Tls {
    /// PEM, the leaf first.
    pub cert_file: PathBuf,
    /// PEM, PKCS#8, PKCS#1 or SEC1.
    pub key_file: PathBuf,
    /// Callers must show a certificate signed by one of these; `None`: they need none.
    pub client_ca_file: Option<PathBuf>,
}

/// Logs and traces.
#[derive(Debug, Clone, PartialEq)]
pub struct Telemetry {
    /// Where spans go by OTLP gRPC; `None`: the standard `OTEL_` variables decide.
    pub otlp_endpoint: Option<String>,
    /// A level or a `tracing` filter (`info,fusebox::call=debug`).
    pub log: String,
    /// How a log line looks.
    pub log_format: LogFormat,
}

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Something that answers calls.
#[derive(Debug, Clone, PartialEq)]
pub struct Provider {
    /// Unique; a label of metrics.
    pub name: Arc<str>,
    /// Which wire format it speaks.
    pub kind: ProviderKind,
    /// Where it is, without a trailing slash. Empty for `simulated`.
    pub base_url: String,
    /// Its key, already read from its file or variable.
    pub api_key: Option<Secret>,
    /// The file that its key was read from, if it was one; watched for a new key.
    pub api_key_file: Option<PathBuf>,
    /// Whose its breaker is.
    pub scope: Scope,
    /// Whether it is asked at all.
    pub enabled: bool,
    /// Lower is tried first.
    pub priority: u32,
    /// How long each step of an attempt may take.
    pub timeouts: Timeouts,
    /// How it is asked again.
    pub retry: retry::Policy,
    /// When it is left alone.
    pub breaker: breaker::Settings,
    /// How it goes on with a text that another one began.
    pub continuation: Continuation,
    /// What it allows the fleet.
    pub rate_limit: RateLimit,
    /// Inputs of one request for embeddings; at least 1.
    pub max_batch: u32,
    /// Where the inference server behind it tells of its queue; `None`: it is not asked.
    pub metrics_url: Option<String>,
    /// How `simulated` behaves; unused by the other kinds.
    pub simulated: Simulated,
}

impl Provider {
    /// Whether what is sent there stays on this machine.
    #[must_use]
    pub fn is_local(&self) -> bool {
        self.kind == ProviderKind::Simulated
            || advise::host_of(&self.base_url).is_some_and(|host| advise::is_loopback(&host))
    }
}

/// A wire format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProviderKind {
    /// The OpenAI API as OpenAI, vLLM, SGLang, TGI, Ollama and others serve it.
    OpenAi,
    /// Anthropic's Messages API.
    Anthropic,
    /// Built in: answers by itself at a settable pace.
    Simulated,
}

/// Whose a breaker is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// This sidecar's own.
    Pod,
    /// Shared through Redis.
    Fleet,
}

/// How long each step of an attempt may take.
#[derive(Debug, Clone, PartialEq)]
pub struct Timeouts {
    /// Until the connection stands, TLS included.
    pub connect: Duration,
    /// From sending a streamed call to its first token.
    pub first_token: Duration,
    /// Between two tokens of a stream.
    pub idle: Duration,
    /// A whole attempt that is not streamed.
    pub total: Duration,
    /// A whole attempt that is streamed.
    pub stream_total: Duration,
}

/// What a provider allows.
#[derive(Debug, Clone, PartialEq)]
pub struct RateLimit {
    /// `None`: unlimited.
    pub requests_per_minute: Option<u64>,
    /// `None`: unlimited.
    pub tokens_per_minute: Option<u64>,
}

/// How a simulated provider behaves.
#[derive(Debug, Clone, PartialEq)]
pub struct Simulated {
    /// The wait before the first token.
    pub first_token: Duration,
    /// Tokens a second after it; zero: all at once.
    pub tokens_per_second: f64,
    /// The share of calls, from 0 to 1, that fail.
    pub failure_rate: f64,
    /// What they fail with.
    pub failure: fusebox_rules::error::ErrorKind,
    /// What is answered; `None`: an echo of the last user message.
    pub answer: Option<String>,
}

/// A model as callers name it.
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    /// Unique; a label of metrics.
    pub name: Arc<str>,
    /// Who serves it, in the order of their providers' priorities, those of one priority as typed. Never empty.
    pub providers: Vec<Served>,
    /// The model that takes its calls while the level is minimal, by its configured name.
    pub smaller: Option<Arc<str>>,
}

/// One provider's part in serving a model.
#[derive(Debug, Clone, PartialEq)]
pub struct Served {
    /// Index into [`Config::providers`].
    pub provider: usize,
    /// What the provider calls the model; `None`: what the caller called it.
    pub model: Option<Arc<str>>,
    /// Tokens; `None`: not known.
    pub context_window: Option<u32>,
    /// In whatever currency the operator thinks in.
    pub cost_per_1k_tokens: f64,
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

/// What streams do about breaking off.
#[derive(Debug, Clone, PartialEq)]
pub struct Streams {
    /// What is held back at the start of each, unless its caller says otherwise.
    pub holdback: Holdback,
}

/// Second attempts beside late first ones.
#[derive(Debug, Clone, PartialEq)]
pub struct Hedging {
    /// Whether there are any.
    pub enabled: bool,
    /// The share of a provider's latest answers, from 0 to 1, that came sooner than what is called late.
    pub quantile: f64,
    /// Answers before that is known, at most [`fusebox_rules::quantile::KEPT`].
    pub minimum_samples: u32,
}

/// Graceful drain.
#[derive(Debug, Clone, PartialEq)]
pub struct Shutdown {
    /// How long calls in flight may take to finish.
    pub grace: Duration,
}

/// What a prompt or an answer may hold.
#[derive(Debug, Clone, PartialEq)]
pub struct Validation {
    /// Whether answers are held to the JSON, the schema and the tools that their callers asked for.
    pub check_output: bool,
    /// Times that an answer with a fault is asked for again.
    pub max_reprompts: u32,
    /// Characters of all messages together.
    pub max_input_chars: usize,
    /// Bytes of one image.
    pub max_image_bytes: usize,
    /// Bytes of one document.
    pub max_document_bytes: usize,
    /// Pixels of one image that is asked for.
    pub max_output_pixels: u64,
}

/// Health checks.
#[derive(Debug, Clone, PartialEq)]
pub struct Health {
    /// Between two checks.
    pub interval: Duration,
    /// Whose free space is watched.
    pub disk_path: PathBuf,
    /// What is too little of it, and too much of a GPU's memory.
    pub limits: health::Limits,
    /// Which providers are asked a real question.
    pub model: ModelChecks,
    /// Between two such questions to one provider.
    pub model_interval: Duration,
    /// The checks without which the sidecar is no use.
    pub critical: Vec<health::Check>,
}

/// Which providers are asked a real question to see if they answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ModelChecks {
    /// Those on this machine: nobody sends a bill for the answer.
    Auto,
    /// None.
    Off,
    /// Every one.
    Always,
}

/// The response cache.
#[derive(Debug, Clone, PartialEq)]
pub struct Cache {
    /// When it is read.
    pub mode: CacheMode,
    /// Bytes.
    pub capacity: usize,
    /// How old an answer may be.
    pub ttl: Duration,
    /// Whether sidecars share it through Redis.
    pub shared: bool,
}

/// Answers remembered under idempotency keys.
#[derive(Debug, Clone, PartialEq)]
pub struct Idempotency {
    /// How long a call may be sent again and get the same answer.
    pub ttl: Duration,
    /// Bytes. Zero: only calls in flight share their answers.
    pub capacity: usize,
}

/// When the cache is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CacheMode {
    /// Never.
    Off,
    /// Once every provider has failed.
    Fallback,
    /// First.
    Prefer,
}

/// What follows once no provider's window is large enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContextOverflow {
    /// Look for a larger window, then an error.
    Failover,
    /// An error at once.
    Error,
    /// Look for a larger window, then leave out the oldest turns.
    Truncate,
}

/// What follows a refusal of the content.
#[derive(Debug, Clone, PartialEq)]
pub enum ContentFilter {
    /// The refusal is the answer.
    Error,
    /// Ask once more under this instruction.
    Rewrite(String),
    /// Ask the next provider.
    Failover,
}

/// Degradation by load, and the ladder's lower steps.
#[derive(Debug, Clone, PartialEq)]
pub struct Degradation {
    /// Whether load is read and followed.
    pub enabled: bool,
    /// Between two readings of the load.
    pub interval: Duration,
    /// At which load, from 0 to 1, the level changes.
    pub levels: degradation::Settings,
    /// Requests waiting in an inference server that count as a load of 1.
    pub queue_full: u32,
    /// Whether the use of processors counts.
    pub cpu: bool,
    /// Whether the use of memory counts.
    pub memory: bool,
    /// Whether GPUs count.
    pub gpu: GpuCounts,
    /// What a call that sets no number of tokens is taken to ask for; `None`: it is never given fewer.
    pub assumed_max_tokens: Option<u64>,
    /// The answer of last resort.
    pub fallback_response: Option<String>,
    /// A smaller model, by its configured name.
    pub fallback_model: Option<String>,
    /// A shorter prompt, `{original_prompt}` standing for the last user message.
    pub simplified_prompt: Option<String>,
}

/// Whether the use of GPUs and their memory counts as load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GpuCounts {
    /// While no inference server tells of its own queue, which says more: one request keeps a GPU busy, and vLLM takes
    /// nine tenths of its memory when it starts.
    Auto,
    /// Always.
    On,
    /// Never.
    Off,
}

/// Load shedding before it is too late.
#[derive(Debug, Clone, PartialEq)]
pub struct Overload {
    /// Whether each provider's calls in flight are limited by what it can do.
    pub enabled: bool,
    /// Between which bounds.
    pub limit: limit::Settings,
    /// Calls that may wait for one provider.
    pub max_queue: usize,
    /// How long one may wait.
    pub max_queue_wait: Duration,
}

/// What one agent run may spend, and who is told that it goes in circles.
#[derive(Debug, Clone, PartialEq)]
pub struct RunBudgets {
    /// What it may spend.
    pub limits: run::Limits,
    /// Whether the model hears of its repeated tool calls too, in a message added to the conversation.
    pub tell_model: bool,
}

#[cfg(test)]
mod tests;
