//! What answers calls, and the models that it serves, as they were meant.

use std::{net::IpAddr, path::PathBuf, sync::Arc, time::Duration};

use fusebox_rules::{breaker, error::ErrorKind, fleet::allowance::RateLimits, retry, survive::Continuation};
use http::Uri;

use super::Secret;

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
    /// Whose its breaker is, and whom its limits are for.
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
    /// What it allows: the fleet where it is the fleet's, else this sidecar.
    pub rate_limit: RateLimits,
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
        self.kind == ProviderKind::Simulated || host_of(&self.base_url).is_some_and(|host| is_loopback(&host))
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

/// Whose a provider's breaker is, and whom its limits are for.
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
    pub failure: ErrorKind,
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

/// The host of a URL, without brackets.
pub(super) fn host_of(url: &str) -> Option<String> {
    let host = url.parse::<Uri>().ok()?.host()?.trim_matches(['[', ']']).to_ascii_lowercase();
    Some(host)
}

/// Whether what is sent to `host` stays on this machine.
pub(super) fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.to_canonical().is_loopback())
}
