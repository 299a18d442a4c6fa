//! Refusals as vendors word them.

use proptest::prelude::*;

use super::*;
use crate::error::ErrorKind::{self, *};

/// Status (0: inside a stream), code, type, message, and what it is.
type Case = (u16, &'static str, &'static str, &'static str, ErrorKind);

fn kind_of(status: u16, code: &str, error_type: &str, message: &str) -> ErrorKind {
    let status = (status != 0).then_some(status);
    classify(&Evidence { status, code, error_type, message, html: false, empty: false })
}

fn check(cases: &[Case]) {
    for (status, code, error_type, message, expected) in cases {
        assert_eq!(kind_of(*status, code, error_type, message), *expected, "{status} {code} {error_type} {message}");
    }
}

#[rustfmt::skip]
const OPENAI_AND_AZURE: &[Case] = &[
    (429, "rate_limit_exceeded", "tokens", "Rate limit reached for gpt-4o in organization org-x on tokens per min (TPM): Limit 30000, Used 29000, Requested 2000. Please try again in 2s.", RateLimited),
    (429, "rate_limit_exceeded", "requests", "Rate limit reached for gpt-4o on requests per min (RPM): Limit 3, Used 3, Requested 1.", RateLimited),
    (429, "rate_limit_exceeded", "tokens", "Request too large for gpt-4o in organization org-x on tokens per min (TPM): Limit 30000, Requested 47000. The input or output tokens must be reduced in order to run successfully.", ContextLengthExceeded),
    (429, "insufficient_quota", "insufficient_quota", "You exceeded your current quota, please check your plan and billing details.", PermissionDenied),
    (429, "billing_hard_limit_reached", "invalid_request_error", "Billing hard limit has been reached", PermissionDenied),
    (429, "", "", "The engine is currently overloaded, please try again later", ModelOverloaded),
    (503, "", "server_error", "The engine is currently overloaded, please try again later", ModelOverloaded),
    (503, "", "", "Slow Down", ModelOverloaded),
    (500, "", "server_error", "The server had an error while processing your request. Sorry about that!", ProviderError),
    (0, "", "server_error", "The server had an error while processing your request. Sorry about that!", ProviderError),
    (400, "context_length_exceeded", "invalid_request_error", "This model's maximum context length is 8192 tokens. However, your messages resulted in 9001 tokens.", ContextLengthExceeded),
    (400, "", "invalid_request_error", "This model's maximum context length is 8192 tokens, however you requested 9001 tokens", ContextLengthExceeded),
    (400, "string_above_max_length", "invalid_request_error", "Invalid 'messages[0].content': string too long.", InvalidInput),
    (400, "content_policy_violation", "invalid_request_error", "Your request was rejected as a result of our safety system.", ContentFiltered),
    (400, "moderation_blocked", "image_generation_user_error", "Your request was rejected as a result of our safety system.", ContentFiltered),
    (400, "invalid_prompt", "invalid_request_error", "Invalid prompt: your prompt was flagged as potentially violating our usage policy.", ContentFiltered),
    (401, "invalid_api_key", "invalid_request_error", "Incorrect API key provided: sk-x.", Authentication),
    (401, "", "invalid_request_error", "You have insufficient permissions for this operation. Missing scopes: model.request.", PermissionDenied),
    (403, "unsupported_country_region_territory", "request_forbidden", "Country, region, or territory not supported", PermissionDenied),
    (404, "model_not_found", "invalid_request_error", "The model `gpt-9` does not exist or you do not have access to it.", ModelNotFound),
    (400, "unsupported_value", "invalid_request_error", "Unsupported value: 'temperature' does not support 0.2 with this model.", InvalidInput),
    (400, "content_filter", "", "The response was filtered due to the prompt triggering Azure OpenAI's content management policy. Please modify your prompt and retry.", ContentFiltered),
    (400, "", "ResponsibleAIPolicyViolation", "The response was filtered.", ContentFiltered),
    (429, "429", "", "Requests to the ChatCompletions_Create Operation under Azure OpenAI API version 2024-02-01 have exceeded token rate limit of your current OpenAI S0 pricing tier. Please retry after 20 seconds.", RateLimited),
    (404, "DeploymentNotFound", "", "The API deployment for this resource does not exist.", ModelNotFound),
    (401, "401", "", "Access denied due to invalid subscription key or wrong API endpoint.", Authentication),
    (408, "Timeout", "", "The operation was timeout.", InferenceTimeout),
    (429, "NoCapacity", "", "The system is currently experiencing high demand and cannot process your request.", ModelOverloaded),
];

#[rustfmt::skip]
const ENGINES: &[Case] = &[
    // vLLM
    (400, "400", "BadRequestError", "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens (4900 in the messages, 100 in the completion).", ContextLengthExceeded),
    (400, "400", "BadRequestError", "'max_tokens' or 'max_completion_tokens' is too large: 5000. This model's maximum context length is 4096 tokens and your request has 100 input tokens", ContextLengthExceeded),
    (400, "400", "BadRequestError", "The decoder prompt (length 9000) is longer than the maximum model length of 8192.", ContextLengthExceeded),
    (400, "400", "BadRequestError", "temperature must be non-negative, got -1.0.", InvalidInput),
    (404, "404", "NotFoundError", "The model `llama` does not exist.", ModelNotFound),
    (500, "500", "InternalServerError", "EngineCore encountered an issue. See stack trace (above) for the root cause.", ProviderError),
    (500, "", "EngineDeadError", "EngineCore encountered an issue.", ProviderError),
    (500, "500", "InternalServerError", "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 79.15 GiB", OutOfMemory),
    (0, "500", "InternalServerError", "torch.OutOfMemoryError: CUDA error", OutOfMemory),
    (0, "400", "BadRequestError", "This model's maximum context length is 4096 tokens.", ContextLengthExceeded),
    (0, "400", "BadRequestError", "bad grammar", InvalidInput),
    // SGLang
    (400, "400", "BadRequestError", "The input (10000 tokens) is longer than the model's context length (8192 tokens).", ContextLengthExceeded),
    (400, "400", "BadRequestError", "Requested token count exceeds the model's maximum context length of 4096 tokens.", ContextLengthExceeded),
    (400, "", "", "Input length (10000 tokens) exceeds the maximum allowed length (8187 tokens). Use a shorter input or enable --allow-auto-truncate.", ContextLengthExceeded),
    (503, "", "", "The request queue is full.", ModelOverloaded),
    (500, "", "", "Prefill out of memory. Try to lower your batch size.", OutOfMemory),
    // TGI
    (422, "", "validation", "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 2048. Given: 3000 `inputs` tokens and 20 `max_new_tokens`", ContextLengthExceeded),
    (422, "", "validation", "Input validation error: `inputs` must have less than 1024 tokens. Given: 2000", ContextLengthExceeded),
    (422, "", "validation", "Input validation error: `temperature` must be strictly positive", InvalidInput),
    (0, "", "validation", "Input validation error: `top_p` must be > 0.0 and < 1.0", InvalidInput),
    (429, "", "overloaded", "Model is overloaded", ModelOverloaded),
    (0, "", "overloaded", "Model is busy", ModelOverloaded),
    (424, "", "generation", "Request failed during generation: Server error: Unexpected <class 'RuntimeError'>", GenerationFailed),
    (424, "", "generation", "Request failed during generation: Server error: CUDA out of memory. Tried to allocate 20.00 MiB", OutOfMemory),
    (500, "", "incomplete_generation", "Incomplete generation", GenerationFailed),
    (503, "", "", "Model meta-llama/Llama-3.1-8B is currently loading", ModelLoadingFailed),
    // llama.cpp
    (400, "400", "exceed_context_size_error", "the request exceeds the available context size, try increasing it", ContextLengthExceeded),
    (500, "500", "server_error", "input (7501 tokens) is too large to process. increase the physical batch size (current batch size: 512)", ContextLengthExceeded),
    (500, "500", "server_error", "image input is not supported - hint: if this is unexpected, you may need to provide the mmproj", InvalidInput),
    (500, "500", "server_error", "Failed to parse tools: Missing tool function: {\"type\":\"function\"}", InvalidInput),
    (501, "501", "not_supported_error", "This server does not support embeddings. Start it with `--embeddings`", ModelNotFound),
    (501, "", "", "Not Implemented", ModelNotFound),
    (503, "503", "unavailable_error", "Loading model", ModelLoadingFailed),
    (503, "503", "unavailable_error", "slot unavailable", ModelOverloaded),
    (401, "401", "authentication_error", "Invalid API Key", Authentication),
    // Ollama
    (404, "", "", "model \"llama3\" not found, try pulling it first", ModelNotFound),
    (500, "", "", "model requires more system memory (8.4 GiB) than is available (5.5 GiB)", ModelLoadingFailed),
    (500, "", "", "llama runner process has terminated: exit status 2", ModelLoadingFailed),
    (500, "", "", "llama runner process has terminated: cudaMalloc failed: out of memory", OutOfMemory),
    (500, "", "", "timed out waiting for llama runner to start - progress 0.00 - ", ModelLoadingFailed),
    (503, "", "", "server busy, please try again.  maximum pending requests exceeded", ModelOverloaded),
    (0, "", "", "an error was encountered while running the model: unexpected EOF", GenerationFailed),
    (400, "", "", "the input length exceeds the context length", ContextLengthExceeded),
    // TensorRT-LLM, Triton
    (500, "", "", "Prompt length (9000) exceeds maximum input length (8192). Set log level to info and check TRTGptModel logs", ContextLengthExceeded),
    (400, "", "", "The sum of prompt length (5000.0), query length (0) should not exceed max_num_tokens (4096)", ContextLengthExceeded),
    (400, "", "", "Request for unknown model: 'ensemble' is not found", ModelNotFound),
    (503, "", "", "Exceeds maximum queue size", ModelOverloaded),
    (500, "", "", "Request timeout expired", InferenceTimeout),
];

#[rustfmt::skip]
const HOSTED: &[Case] = &[
    // Anthropic
    (400, "", "invalid_request_error", "prompt is too long: 210000 tokens > 200000 maximum", ContextLengthExceeded),
    (400, "", "invalid_request_error", "input length and `max_tokens` exceed context limit: 188240 + 21333 > 200000", ContextLengthExceeded),
    (400, "", "invalid_request_error", "messages: at least one message is required", InvalidInput),
    (400, "", "invalid_request_error", "Your credit balance is too low to access the Anthropic API.", PermissionDenied),
    (400, "", "invalid_request_error", "Output blocked by content filtering policy", ContentFiltered),
    (401, "", "authentication_error", "invalid x-api-key", Authentication),
    (402, "", "billing_error", "There is an issue with your billing.", PermissionDenied),
    (403, "", "permission_error", "Your API key does not have permission to use the specified resource.", PermissionDenied),
    (404, "", "not_found_error", "model: claude-9", ModelNotFound),
    (413, "", "request_too_large", "Request exceeds the maximum size", ContextLengthExceeded),
    (429, "", "rate_limit_error", "Number of request tokens has exceeded your per-minute rate limit", RateLimited),
    (500, "", "api_error", "Internal server error", ProviderError),
    (504, "", "timeout_error", "Request timed out", InferenceTimeout),
    (529, "", "overloaded_error", "Overloaded", ModelOverloaded),
    (0, "", "overloaded_error", "Overloaded", ModelOverloaded),
    (0, "", "api_error", "Internal server error", ProviderError),
    (0, "", "rate_limit_error", "", RateLimited),
    (0, "", "not_found_error", "model: claude-9", ModelNotFound),
    // Gemini
    (429, "429", "RESOURCE_EXHAUSTED", "You exceeded your current quota. Please retry in 33.1s.", RateLimited),
    (0, "", "RESOURCE_EXHAUSTED", "Resource has been exhausted (e.g. check quota).", RateLimited),
    (503, "503", "UNAVAILABLE", "The model is overloaded. Please try again later.", ModelOverloaded),
    (400, "400", "INVALID_ARGUMENT", "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).", ContextLengthExceeded),
    (400, "400", "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key.", Authentication),
    (400, "400", "INVALID_ARGUMENT", "Request contains an invalid argument.", InvalidInput),
    (400, "400", "FAILED_PRECONDITION", "User location is not supported for the API use.", PermissionDenied),
    (404, "404", "NOT_FOUND", "models/gemini-9 is not found for API version v1beta", ModelNotFound),
    (500, "500", "INTERNAL", "An internal error has occurred.", ProviderError),
    (504, "504", "DEADLINE_EXCEEDED", "Deadline expired before operation could complete.", InferenceTimeout),
    (400, "SAFETY", "", "The prompt was blocked.", ContentFiltered),
    // Bedrock
    (429, "", "ThrottlingException", "Too many tokens, please wait before trying again.", RateLimited),
    (400, "", "com.amazonaws.bedrock#ThrottlingException:http://internal.amazon.com/", "Rate exceeded", RateLimited),
    (429, "", "ModelNotReadyException", "Model is not ready for inference.", ModelLoadingFailed),
    (408, "", "ModelTimeoutException", "Model has timed out in processing the request.", InferenceTimeout),
    (424, "", "ModelErrorException", "The system encountered an unexpected error during processing.", GenerationFailed),
    (400, "", "ValidationException", "Input is too long for requested model.", ContextLengthExceeded),
    (400, "", "ValidationException", "The provided model identifier is invalid.", ModelNotFound),
    (400, "", "ValidationException", "Malformed input request: #/temperature: 3 is not less or equal to 1", InvalidInput),
    (403, "", "AccessDeniedException", "You don't have access to the model with the specified model ID.", PermissionDenied),
    (403, "", "ExpiredTokenException", "The security token included in the request is expired", Authentication),
    // Groq, Together, Mistral, OpenRouter, DeepSeek, xAI, Cohere
    (413, "rate_limit_exceeded", "tokens", "Request too large for model `llama-3.1-8b` on tokens per minute (TPM): Limit 6000, Requested 7000", ContextLengthExceeded),
    (400, "json_validate_failed", "invalid_request_error", "Failed to generate JSON. Please adjust your prompt.", InvalidResponse),
    (400, "tool_use_failed", "invalid_request_error", "Failed to call a function. Please adjust your prompt.", InvalidResponse),
    (498, "", "", "Flex tier capacity exceeded", ModelOverloaded),
    (422, "", "invalid_request_error", "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 8193. Given: 9000", ContextLengthExceeded),
    (400, "model_not_available", "invalid_request_error", "Unable to access model x. Please visit the docs for a list of supported models.", ModelNotFound),
    (400, "3051", "invalid_request_prompt", "Prompt contains 40001 tokens and 0 draft tokens, too large for model with 32768 maximum context length", ContextLengthExceeded),
    (400, "1500", "invalid_model", "Invalid model: mistral-x", ModelNotFound),
    (429, "1300", "rate_limited", "Rate limit exceeded", RateLimited),
    (402, "402", "", "Insufficient credits. Add more using https://openrouter.ai/credits", PermissionDenied),
    (403, "403", "", "openai/gpt-4o requires moderation on OpenRouter. Your input was flagged for \"violence\".", ContentFiltered),
    (400, "400", "", "vendor/model-x is not a valid model ID", ModelNotFound),
    (404, "404", "", "No endpoints found for vendor/model-x.", ModelNotFound),
    (502, "502", "", "Provider returned error", ProviderError),
    (200, "429", "", "Provider returned error", RateLimited),
    (0, "502", "", "Provider disconnected", ProviderError),
    (402, "invalid_request_error", "unknown_error", "Insufficient Balance", PermissionDenied),
    (400, "", "", "This model's maximum prompt length is 131072 but the request contains 1100000 tokens.", ContextLengthExceeded),
    (400, "", "", "too many tokens: total number of tokens in the prompt cannot exceed 4081 - received 5000.", ContextLengthExceeded),
    // Another Fusebox
    (503, "", "circuit_open", "every provider's breaker is open", ModelOverloaded),
    (503, "", "shed", "refused to protect calls in flight", ModelOverloaded),
    (502, "", "stream_broken", "the stream was cut", StreamBroken),
    (0, "", "inference_timeout", "no token for 10 s", InferenceTimeout),
];

#[test]
fn what_openai_and_azure_say_is_understood() {
    check(OPENAI_AND_AZURE);
}

#[test]
fn what_inference_servers_say_is_understood() {
    check(ENGINES);
}

#[test]
fn what_hosted_apis_say_is_understood() {
    check(HOSTED);
}

#[test]
fn without_words_the_status_decides() {
    for (status, expected) in [
        (200, InvalidResponse),
        (302, ProviderError),
        (400, InvalidInput),
        (401, Authentication),
        (402, PermissionDenied),
        (403, PermissionDenied),
        (404, ModelNotFound),
        (405, ModelNotFound),
        (408, InferenceTimeout),
        (409, ProviderError),
        (413, ContextLengthExceeded),
        (415, InvalidInput),
        (422, InvalidInput),
        (424, GenerationFailed),
        (425, ProviderError),
        (429, RateLimited),
        (431, InvalidInput),
        (499, NetworkError),
        (500, ProviderError),
        (501, ModelNotFound),
        (502, ProviderError),
        (503, ModelOverloaded),
        (504, InferenceTimeout),
        (507, OutOfMemory),
        (520, ProviderError),
        (521, NetworkError),
        (522, NetworkError),
        (523, NetworkError),
        (524, InferenceTimeout),
        (525, NetworkError),
        (526, NetworkError),
        (529, ModelOverloaded),
        (530, NetworkError),
        (999, ProviderError),
    ] {
        let empty = Evidence { status: Some(status), empty: true, ..Evidence::default() };
        assert_eq!(classify(&empty), expected, "{status}");
        assert_eq!(kind_of(status, "", "", "something went wrong"), expected, "{status}");
    }
    assert_eq!(classify(&Evidence::default()), GenerationFailed);
}

#[test]
fn of_a_gateways_page_only_the_status_is_believed() {
    for (status, message, expected) in [
        (502, "<html><head><title>502 Bad Gateway</title></head><center>nginx</center>", ProviderError),
        (503, "<html><title>503 Service Temporarily Unavailable</title>", ProviderError),
        (504, "<html><title>504 Gateway Time-out</title>", InferenceTimeout),
        (522, "<title>example.com | 522: Connection timed out</title>", NetworkError),
        (524, "<title>example.com | 524: A timeout occurred</title>", InferenceTimeout),
        (429, "<title>You are being rate limited: the server is overloaded</title>", RateLimited),
        (413, "<title>413 Request Entity Too Large</title>", ContextLengthExceeded),
        (403, "<title>Just a moment...</title>", PermissionDenied),
        (200, "<title>Sign in</title>", InvalidResponse),
    ] {
        let page = Evidence { status: Some(status), message, html: true, ..Evidence::default() };
        assert_eq!(classify(&page), expected, "{message}");
    }
}

#[test]
fn gateways_plain_words_are_understood() {
    check(&[
        (
            503,
            "",
            "",
            "upstream connect error or disconnect/reset before headers. reset reason: connection failure",
            NetworkError,
        ),
        (503, "", "", "no healthy upstream", NetworkError),
        (504, "", "", "upstream request timeout", InferenceTimeout),
        (502, "", "", "dial tcp 10.0.0.1:8000: connect: connection refused", NetworkError),
    ]);
}

#[test]
fn a_refusal_that_quotes_its_caller_is_not_taken_at_the_callers_word() {
    let quoted = "messages[1].content: expected a string, got ['the model is overloaded, rate limit exceeded, \
                  CUDA out of memory, request timed out, connection refused, Loading model']";
    for status in [400, 422] {
        assert_eq!(kind_of(status, "", "invalid_request_error", quoted), InvalidInput, "{status}");
    }
    assert_eq!(kind_of(401, "", "", quoted), Authentication);
    assert_eq!(kind_of(404, "", "", quoted), ModelNotFound);
    let unsafe_words = "worker failed on 'this was blocked due to safety, try pulling it, prompt is too long'";
    assert_eq!(kind_of(500, "", "", unsafe_words), ProviderError);
    assert_eq!(kind_of(429, "", "", unsafe_words), RateLimited);
}

#[test]
fn a_code_beats_the_words_and_the_case_of_neither_matters() {
    assert_eq!(kind_of(503, "Rate_Limit_Exceeded", "", "overloaded"), RateLimited);
    assert_eq!(kind_of(500, "", "", "CUDA OUT OF MEMORY"), OutOfMemory);
}

#[test]
fn each_row_says_something_and_none_is_hidden_by_one_before_it() {
    for (index, row) in words::ROWS.iter().enumerate() {
        assert!(!(row.code.is_empty() && row.words.is_empty()), "row {index} says nothing");
        let status = match row.when {
            When::Always => None,
            When::TheRequest => Some(422),
            When::TheProvider => Some(500),
            When::Access => Some(401),
        };
        let evidence = Evidence { status, code: row.code, message: row.words, ..Evidence::default() };
        let first = words::ROWS.iter().position(|other| {
            (other.code.is_empty() || names(row.code, other.code))
                && applies(other.when, status)
                && (other.words.is_empty() || find(row.words.as_bytes(), other.words).is_some())
        });
        assert_eq!(first, Some(index), "row {index} {:?} {:?}", row.code, row.words);
        assert_eq!(classify(&evidence), row.kind);
    }
}

proptest! {
    #[test]
    fn any_words_under_a_status_that_is_the_callers_fault_never_blame_the_provider(
        message in any::<String>(), row in 0..words::ROWS.len(),
    ) {
        let quoted = format!("{message} '{}'", words::ROWS[row].words);
        let kind = kind_of(400, "", "", &quoted);
        prop_assert_eq!(kind.row().blame == crate::error::Blame::Breaker, false, "{}", kind);
    }

    #[test]
    fn anything_at_all_is_some_kind(
        status in any::<Option<u16>>(), code in any::<String>(), message in any::<String>(),
        html in any::<bool>(), empty in any::<bool>(),
    ) {
        let _any = classify(&Evidence { status, code: &code, error_type: &message, message: &message, html, empty });
    }
}
