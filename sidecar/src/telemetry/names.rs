//! Every name that a trace or a log line uses: OpenTelemetry's for generative AI, which are still in
//! development there, and our own for what has no standard name. No metric's name is here.

use crate::{chat::answer::Finish, config::ProviderKind};

pub(super) const OPERATION: &str = "gen_ai.operation.name";
pub(super) const PROVIDER_SYSTEM: &str = "gen_ai.provider.name";
pub(super) const REQUEST_MODEL: &str = "gen_ai.request.model";
pub(super) const RESPONSE_MODEL: &str = "gen_ai.response.model";
pub(super) const FINISH_REASONS: &str = "gen_ai.response.finish_reasons";
/// Seconds.
pub(super) const FIRST_CHUNK: &str = "gen_ai.response.time_to_first_chunk";
pub(super) const INPUT_TOKENS: &str = "gen_ai.usage.input_tokens";
pub(super) const OUTPUT_TOKENS: &str = "gen_ai.usage.output_tokens";
pub(super) const ERROR_TYPE: &str = "error.type";
pub(super) const SERVER_ADDRESS: &str = "server.address";
pub(super) const SERVER_PORT: &str = "server.port";

pub(super) const CORRELATION_ID: &str = "fusebox.correlation_id";
pub(super) const DOOR: &str = "fusebox.door";
/// On a call: how many attempts it took.
pub(super) const ATTEMPTS: &str = "fusebox.attempts";
/// On an attempt: which of the call's it is, from 1.
pub(super) const ATTEMPT: &str = "fusebox.attempt";
pub(super) const SOURCE: &str = "fusebox.source";
/// The provider's configured name.
pub(super) const PROVIDER: &str = "fusebox.provider";
/// Seconds.
pub(super) const WAIT: &str = "fusebox.wait";
pub(super) const WAIT_REASON: &str = "fusebox.wait.reason";
pub(super) const FALLBACK_FROM: &str = "fusebox.fallback.from";
pub(super) const FALLBACK_TO: &str = "fusebox.fallback.to";
pub(super) const BREAKER_FROM: &str = "fusebox.breaker.from";
pub(super) const BREAKER_TO: &str = "fusebox.breaker.to";
pub(super) const BREAKER_REASON: &str = "fusebox.breaker.reason";

/// A step of the ladder, by its rule's name.
pub(super) const RUNG: &str = "fusebox.ladder.rung";

/// Span events.
pub(super) const LADDER_EVENT: &str = "fusebox.ladder";
pub(super) const RETRY_EVENT: &str = "fusebox.retry";
pub(super) const FALLBACK_EVENT: &str = "fusebox.fallback";
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
