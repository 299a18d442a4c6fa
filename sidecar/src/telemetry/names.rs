//! Every name that a trace or a log line uses: OpenTelemetry's for generative AI, which are still in
//! development there, for HTTP and for RPC; and our own for what has no standard name. No metric's name is here.

use crate::{chat::answer::Finish, config::ProviderKind};

pub(super) const OPERATION: &str = "gen_ai.operation.name";
pub(super) const PROVIDER_SYSTEM: &str = "gen_ai.provider.name";
pub(super) const REQUEST_MODEL: &str = "gen_ai.request.model";
/// Set only where it is so.
pub(super) const REQUEST_STREAM: &str = "gen_ai.request.stream";
pub(super) const REQUEST_MAX_TOKENS: &str = "gen_ai.request.max_tokens";
/// Set only where it is not one.
pub(super) const REQUEST_CHOICES: &str = "gen_ai.request.choice.count";
pub(super) const RESPONSE_MODEL: &str = "gen_ai.response.model";
pub(super) const FINISH_REASONS: &str = "gen_ai.response.finish_reasons";
/// Seconds.
pub(super) const FIRST_CHUNK: &str = "gen_ai.response.time_to_first_chunk";
pub(super) const INPUT_TOKENS: &str = "gen_ai.usage.input_tokens";
pub(super) const OUTPUT_TOKENS: &str = "gen_ai.usage.output_tokens";
pub(super) const ERROR_TYPE: &str = "error.type";
pub(super) const SERVER_ADDRESS: &str = "server.address";
pub(super) const SERVER_PORT: &str = "server.port";
pub(super) const HTTP_METHOD: &str = "http.request.method";
pub(super) const HTTP_ROUTE: &str = "http.route";
pub(super) const HTTP_STATUS: &str = "http.response.status_code";
pub(super) const RPC_SYSTEM: &str = "rpc.system.name";
pub(super) const RPC_METHOD: &str = "rpc.method";
pub(super) const RPC_STATUS: &str = "rpc.response.status_code";

pub(super) const CORRELATION_ID: &str = "fusebox.correlation_id";
pub(super) const DOOR: &str = "fusebox.door";
/// The agent run that a call belongs to.
pub(super) const RUN: &str = "fusebox.run_id";
/// Set only where nobody waits for the answer.
pub(super) const PRIORITY: &str = "fusebox.priority";
/// On a call: how many attempts it took.
pub(super) const ATTEMPTS: &str = "fusebox.attempts";
/// On an attempt: which of the call's it is, from 1.
pub(super) const ATTEMPT: &str = "fusebox.attempt";
pub(super) const SOURCE: &str = "fusebox.source";
pub(super) const QUALITY: &str = "fusebox.quality";
/// Set only where it is not full.
pub(super) const LEVEL: &str = "fusebox.degradation_level";
/// True on a call that the first provider by rank did not answer as it was asked, and absent from all others: what a
/// tail sampler looks for.
pub(super) const FELL_BACK: &str = "fusebox.fallback";
/// The provider's configured name.
pub(super) const PROVIDER: &str = "fusebox.provider";
/// What an attempt asks otherwise than the one before it.
pub(super) const CHANGE: &str = "fusebox.change";
/// Of a batch: which of the caller's inputs an attempt asks for, as `0-99`.
pub(super) const INPUTS: &str = "fusebox.inputs";
/// Into how many parts a batch was split.
pub(super) const PARTS: &str = "fusebox.parts";
/// Seconds.
pub(super) const WAIT: &str = "fusebox.wait";
pub(super) const WAIT_REASON: &str = "fusebox.wait.reason";
pub(super) const FALLBACK_FROM: &str = "fusebox.fallback.from";
pub(super) const FALLBACK_TO: &str = "fusebox.fallback.to";
pub(super) const BREAKER_FROM: &str = "fusebox.breaker.from";
pub(super) const BREAKER_TO: &str = "fusebox.breaker.to";
pub(super) const BREAKER_REASON: &str = "fusebox.breaker.reason";
pub(super) const CACHE_RESULT: &str = "fusebox.cache.result";
/// Seconds.
pub(super) const CACHE_AGE: &str = "fusebox.cache.age";
/// A step of the ladder, by its rule's name.
pub(super) const RUNG: &str = "fusebox.ladder.rung";
/// True on a question of the sidecar's own.
pub(super) const PROBE: &str = "fusebox.probe";
pub(super) const SETTINGS_VERSION: &str = "fusebox.settings.version";
/// The sidecar's own id in its fleet.
pub(super) const SIDECAR: &str = "fusebox.sidecar.id";

/// Span events.
pub(super) const LADDER_EVENT: &str = "fusebox.ladder";
pub(super) const RETRY_EVENT: &str = "fusebox.retry";
pub(super) const FALLBACK_EVENT: &str = "fusebox.fallback";
pub(super) const HEDGE_EVENT: &str = "fusebox.hedge";
pub(super) const WAIT_EVENT: &str = "fusebox.wait";
pub(super) const CACHE_EVENT: &str = "fusebox.cache";
pub(super) const PARTS_EVENT: &str = "fusebox.parts";
pub(super) const BREAKER_EVENT: &str = "fusebox.breaker";

/// `gen_ai.provider.name`: the wire format, which is what is known of who answers.
pub(super) const fn system(kind: ProviderKind) -> &'static str {
    match kind {
        ProviderKind::OpenAi => "openai",
        ProviderKind::Anthropic => "anthropic",
        ProviderKind::Simulated => "fusebox.simulated",
    }
}

/// A finish reason in the words of OpenAI's API.
pub(super) const fn finish(finish: Finish) -> &'static str {
    match finish {
        Finish::Stop => "stop",
        Finish::Length => "length",
        Finish::ToolCalls => "tool_calls",
        Finish::ContentFilter => "content_filter",
        Finish::Other => "other",
    }
}
