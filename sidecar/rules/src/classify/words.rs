//! Vendors' own words for their failures, in the order in which they are believed: what is said by a code and words
//! together, then codes that mean one thing, then words of messages, then codes that mean little.
//!
//! Messages are for people, and quote what people wrote: their words count only with a status that fits them.

use crate::error::ErrorKind::{self, *};

/// With which statuses a row counts. Inside a stream, where there is none, all do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum When {
    /// With any.
    Always,
    /// With those that say that the request is at fault.
    TheRequest,
    /// With those that say that the provider is, or is busy.
    TheProvider,
    /// With those that say that the caller may not, and 400, which some vendors say instead.
    Access,
}

/// Some words, and what they mean.
#[derive(Debug)]
pub(super) struct Row {
    /// The body's code or type; empty: any.
    pub(super) code: &'static str,
    /// A part of the message; empty: any.
    pub(super) words: &'static str,
    /// With which statuses.
    pub(super) when: When,
    /// What it means.
    pub(super) kind: ErrorKind,
}

const fn code(code: &'static str, kind: ErrorKind) -> Row {
    Row { code, words: "", when: When::Always, kind }
}

const fn both(code: &'static str, words: &'static str, kind: ErrorKind) -> Row {
    Row { code, words, when: When::Always, kind }
}

const fn always(words: &'static str, kind: ErrorKind) -> Row {
    Row { code: "", words, when: When::Always, kind }
}

const fn request(words: &'static str, kind: ErrorKind) -> Row {
    Row { code: "", words, when: When::TheRequest, kind }
}

const fn provider(words: &'static str, kind: ErrorKind) -> Row {
    Row { code: "", words, when: When::TheProvider, kind }
}

const fn access(words: &'static str, kind: ErrorKind) -> Row {
    Row { code: "", words, when: When::Access, kind }
}

/// The words, the first that fit being believed.
#[rustfmt::skip]
pub(super) const ROWS: &[Row] = &[
    // A code that would mislead by itself. One call larger than a minute's whole allowance does not heal by waiting
    // (OpenAI 429, Groq 413).
    both("rate_limit_exceeded", "request too large", ContextLengthExceeded),
    both("tokens", "request too large", ContextLengthExceeded),
    both("invalid_request_error", "credit balance is too low", PermissionDenied),

    // Another Fusebox: its kinds by their names. What it says of itself says something else of it as a provider.
    code("rate_limited", RateLimited),
    code("inference_timeout", InferenceTimeout),
    code("network_error", NetworkError),
    code("provider_error", ProviderError),
    code("model_overloaded", ModelOverloaded),
    code("model_loading_failed", ModelLoadingFailed),
    code("out_of_memory", OutOfMemory),
    code("generation_failed", GenerationFailed),
    code("stream_broken", StreamBroken),
    code("invalid_response", InvalidResponse),
    code("content_filtered", ContentFiltered),
    code("authentication", Authentication),
    code("permission_denied", PermissionDenied),
    code("invalid_input", InvalidInput),
    code("circuit_open", ModelOverloaded),
    code("shed", ModelOverloaded),
    code("budget_exceeded", PermissionDenied),
    code("cancelled", NetworkError),

    // OpenAI, and those that follow it; Azure.
    code("context_length_exceeded", ContextLengthExceeded),
    code("insufficient_quota", PermissionDenied),
    code("billing_hard_limit_reached", PermissionDenied),
    code("billing_not_active", PermissionDenied),
    code("rate_limit_exceeded", RateLimited),
    code("content_filter", ContentFiltered),
    code("content_policy_violation", ContentFiltered),
    code("ResponsibleAIPolicyViolation", ContentFiltered),
    code("moderation_blocked", ContentFiltered),
    code("invalid_api_key", Authentication),
    code("model_not_found", ModelNotFound),
    code("model_not_available", ModelNotFound),
    code("DeploymentNotFound", ModelNotFound),
    code("NoCapacity", ModelOverloaded),
    code("slow_down", ModelOverloaded),
    code("engine_overloaded", ModelOverloaded),
    code("unsupported_country_region_territory", PermissionDenied),
    // Groq: the model wrote something that is not what it was asked for.
    code("json_validate_failed", InvalidResponse),
    code("tool_use_failed", InvalidResponse),
    // Mistral.
    code("invalid_model", ModelNotFound),
    // llama.cpp.
    code("exceed_context_size_error", ContextLengthExceeded),
    // TGI.
    code("incomplete_generation", GenerationFailed),
    // Anthropic.
    code("overloaded_error", ModelOverloaded),
    code("rate_limit_error", RateLimited),
    code("request_too_large", ContextLengthExceeded),
    code("billing_error", PermissionDenied),
    code("timeout_error", InferenceTimeout),
    code("authentication_error", Authentication),
    // Google.
    code("SAFETY", ContentFiltered),
    code("PROHIBITED_CONTENT", ContentFiltered),
    code("API_KEY_INVALID", Authentication),
    code("UNAUTHENTICATED", Authentication),
    code("DEADLINE_EXCEEDED", InferenceTimeout),
    // Bedrock.
    code("ThrottlingException", RateLimited),
    code("TooManyRequestsException", RateLimited),
    code("ServiceQuotaExceededException", RateLimited),
    code("ModelNotReadyException", ModelLoadingFailed),
    code("ModelTimeoutException", InferenceTimeout),
    code("ModelErrorException", GenerationFailed),
    code("ModelStreamErrorException", GenerationFailed),
    code("AccessDeniedException", PermissionDenied),
    code("UnrecognizedClientException", Authentication),
    code("ExpiredTokenException", Authentication),
    code("ResourceNotFoundException", ModelNotFound),

    // The prompt does not fit: OpenAI, vLLM and SGLang; vLLM; Anthropic.
    always("maximum context length", ContextLengthExceeded),
    always("context_length_exceeded", ContextLengthExceeded),
    request("prompt is too long", ContextLengthExceeded),
    always("longer than the maximum model length", ContextLengthExceeded),
    always("exceed context limit", ContextLengthExceeded),
    // SGLang.
    always("longer than the model's context length", ContextLengthExceeded),
    always("exceeds the maximum allowed length", ContextLengthExceeded),
    // TGI.
    always("`inputs` tokens + `max_new_tokens` must be", ContextLengthExceeded),
    always("`inputs` must have less than", ContextLengthExceeded),
    // llama.cpp, Ollama.
    always("exceeds the available context size", ContextLengthExceeded),
    always("is too large to process. increase the physical batch size", ContextLengthExceeded),
    // llama.cpp says with a 5xx what is wrong with the request.
    both("server_error", "image input is not supported", InvalidInput),
    both("server_error", "failed to parse tools", InvalidInput),
    both("server_error", "failed to parse messages", InvalidInput),
    always("input length exceeds the context length", ContextLengthExceeded),
    // TensorRT-LLM.
    always("exceeds maximum input length", ContextLengthExceeded),
    always("should not exceed max_num_tokens", ContextLengthExceeded),
    // Gemini; Bedrock; xAI; Cohere.
    always("exceeds the maximum number of tokens", ContextLengthExceeded),
    request("input is too long for requested model", ContextLengthExceeded),
    request("too many input tokens", ContextLengthExceeded),
    always("maximum prompt length is", ContextLengthExceeded),
    request("too many tokens: total number of tokens in the prompt", ContextLengthExceeded),

    // Refused content: Azure; OpenAI; Anthropic; OpenRouter; Gemini.
    request("content management policy", ContentFiltered),
    request("rejected as a result of our safety system", ContentFiltered),
    request("flagged as potentially violating", ContentFiltered),
    request("blocked by content filtering policy", ContentFiltered),
    always("requires moderation", ContentFiltered),
    request("was blocked due to safety", ContentFiltered),
    request("blocked by safety", ContentFiltered),

    // Out of memory: before "has terminated", which Ollama says of this too.
    provider("out of memory", OutOfMemory),
    provider("OutOfMemoryError", OutOfMemory),
    provider("cannot allocate memory", OutOfMemory),
    provider("kv cache pool is full", OutOfMemory),

    // Not loaded, or not loadable: llama.cpp; Hugging Face; Ollama; Bedrock; Triton.
    provider("loading model", ModelLoadingFailed),
    provider("is currently loading", ModelLoadingFailed),
    provider("requires more system memory", ModelLoadingFailed),
    provider("llama runner process has terminated", ModelLoadingFailed),
    provider("waiting for llama runner to start", ModelLoadingFailed),
    provider("unable to load model", ModelLoadingFailed),
    provider("model is not ready", ModelLoadingFailed),
    provider("has no available versions", ModelLoadingFailed),

    // Too much work: OpenAI, TGI, Google, DeepSeek; Ollama; SGLang; llama.cpp; Triton; OpenRouter; Azure.
    provider("overloaded", ModelOverloaded),
    provider("server busy", ModelOverloaded),
    provider("queue is full", ModelOverloaded),
    provider("maximum queue size", ModelOverloaded),
    provider("slot unavailable", ModelOverloaded),
    provider("slow down", ModelOverloaded),
    provider("no instances available", ModelOverloaded),
    provider("experiencing high demand", ModelOverloaded),

    // Timeouts and broken ways, as gateways (Envoy) and engines put them.
    provider("upstream request timeout", InferenceTimeout),
    provider("request timeout expired", InferenceTimeout),
    provider("timed out", InferenceTimeout),
    provider("upstream connect error", NetworkError),
    provider("no healthy upstream", NetworkError),
    provider("connection refused", NetworkError),

    // The model began and failed: TGI; Ollama.
    provider("request failed during generation", GenerationFailed),
    provider("error was encountered while running the model", GenerationFailed),
    provider("llama runner process no longer running", GenerationFailed),

    // Who may do what: OpenAI; Gemini.
    access("insufficient permissions", PermissionDenied),
    access("user location is not supported", PermissionDenied),
    access("api key not valid", Authentication),

    // No such model: Ollama; OpenRouter; Triton; Bedrock; Mistral.
    request("try pulling it", ModelNotFound),
    request("is not a valid model id", ModelNotFound),
    request("no endpoints found", ModelNotFound),
    request("request for unknown model", ModelNotFound),
    request("model identifier is invalid", ModelNotFound),
    request("on-demand throughput isn", ModelNotFound),
    request("invalid model:", ModelNotFound),

    // Last, as it is said in passing.
    provider("rate limit", RateLimited),

    // Codes that mean little, for when nothing else was said.
    code("overloaded", ModelOverloaded),
    code("UNAVAILABLE", ModelOverloaded),
    code("RESOURCE_EXHAUSTED", RateLimited),
    code("permission_error", PermissionDenied),
    code("NOT_FOUND", ModelNotFound),
    code("not_found_error", ModelNotFound),
    code("NotFoundError", ModelNotFound),
    code("generation", GenerationFailed),
    code("server_error", ProviderError),
    code("api_error", ProviderError),
    code("InternalServerError", ProviderError),
    code("INTERNAL", ProviderError),
    code("internal_error", ProviderError),
    code("validation", InvalidInput),
    code("ValidationException", InvalidInput),
    code("BadRequestError", InvalidInput),
    code("INVALID_ARGUMENT", InvalidInput),
];
