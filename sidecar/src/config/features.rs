//! What a call meets beside providers, as it was meant: the cache, validation, what follows an overflow or a refusal,
//! degradation, budgets of agent runs, health checks.

use std::{path::PathBuf, time::Duration};

use fusebox_rules::{degradation, health, holdback::Holdback, limit, run};

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
    /// Whether sidecars share them through Redis.
    pub shared: bool,
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
