//! The ways in which providers fail, in their own words, with the kind that each is.
//!
//! The wordings are those that the vendors' servers and documentation use; each carries [`MARK`], so
//! that a test can tell whether a provider's raw words reached a caller.

use std::time::Duration;

use serde_json::{Value, json};

use super::act::{Act, cut, document, half_headers, hang, headers, json as answer, nothing, refuse, tokens};

/// Stands in every raw wording, and nowhere else.
pub const MARK: &str = "zebra-quartz-77";

/// A way to fail.
#[derive(Debug, Clone)]
pub struct Fault {
    /// What to call it when a test fails.
    pub name: &'static str,
    /// What it is, in the contract's words; more than one where the contract leaves it open.
    pub kinds: &'static [&'static str],
    /// How it is done.
    pub act: Act,
    /// The wait that it names.
    pub wait: Option<Duration>,
}

impl Fault {
    fn new(name: &'static str, kinds: &'static [&'static str], act: Act) -> Self {
        Self { name, kinds, act, wait: None }
    }

    fn wait(self, wait: Duration) -> Self {
        Self { wait: Some(wait), ..self }
    }
}

/// Errors told with a status, by servers that speak OpenAI's format.
#[must_use]
pub fn statuses() -> Vec<Fault> {
    [rate_limits(), servers_own(), the_callers_own()].concat()
}

fn rate_limits() -> Vec<Fault> {
    const RATE: &[&str] = &["rate_limited"];
    let limited = || {
        let words = format!(
            "Rate limit reached for gpt-4o in organization org-{MARK} on requests per min (RPM): Limit 3, Used 3, Requested 1."
        );
        answer(429, &openai(&words, "requests", Some("rate_limit_exceeded")))
    };
    let azure = format!("Requests to the ChatCompletions_Create Operation have exceeded call rate limit of {MARK}.");
    vec![
        Fault::new("429 without a wait", RATE, limited()),
        Fault::new("429 with no body", RATE, document(429, "text/plain", "")),
        Fault::new("429 in azure's words", RATE, answer(429, &json!({"error": {"code": "429", "message": azure}}))),
        Fault::new("429 with retry-after", RATE, limited().header("retry-after", "7")).wait(Duration::from_secs(7)),
        Fault::new(
            "429 with retry-after-ms",
            RATE,
            limited().header("retry-after-ms", "7250").header("retry-after", "8"),
        )
        .wait(Duration::from_millis(7250)),
        Fault::new(
            "429 with a reset of requests",
            RATE,
            limited().header("x-ratelimit-remaining-requests", "0").header("x-ratelimit-reset-requests", "8.64s"),
        )
        .wait(Duration::from_millis(8640)),
        Fault::new(
            "429 with a reset of tokens",
            RATE,
            limited().header("x-ratelimit-remaining-tokens", "0").header("x-ratelimit-reset-tokens", "1m3s"),
        )
        .wait(Duration::from_secs(63)),
    ]
}

fn servers_own() -> Vec<Fault> {
    const PROVIDER: &[&str] = &["provider_error"];
    const OVERLOADED: &[&str] = &["model_overloaded"];
    const LOADING: &[&str] = &["model_loading_failed"];
    const MEMORY: &[&str] = &["out_of_memory"];
    let sorry = "The server had an error while processing your request. Sorry about that!";
    let gateway = |title: &str| {
        format!(
            "<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>{title}</h1></center>\r\n<hr><center>nginx {MARK}</center>\r\n</body>\r\n</html>\r\n"
        )
    };
    let envoy = format!("upstream connect error or disconnect/reset before headers. reset reason: {MARK}");
    let cuda =
        format!("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 79.11 GiB {MARK}");
    let ollama = format!("model requires more system memory (5.6 GiB) than is available (4.1 GiB) {MARK}");
    let engine = "The engine is currently overloaded, please try again later";
    vec![
        Fault::new("500", PROVIDER, answer(500, &openai(&format!("{sorry} {MARK}"), "server_error", None))),
        Fault::new("500 with no body", PROVIDER, document(500, "text/plain", "")),
        Fault::new("502 with a page", PROVIDER, document(502, "text/html", gateway("502 Bad Gateway"))),
        Fault::new(
            "503 with a sentence",
            &["provider_error", "network_error", "model_overloaded"],
            document(503, "text/plain", envoy),
        ),
        Fault::new(
            "504 with a page",
            &["provider_error", "inference_timeout"],
            document(504, "text/html", gateway("504 Gateway Time-out")),
        ),
        Fault::new(
            "503 overloaded",
            OVERLOADED,
            answer(503, &openai(&format!("{engine} {MARK}"), "server_error", None)),
        ),
        Fault::new(
            "503 queue full",
            OVERLOADED,
            answer(503, &vllm(503, &format!("The request queue is full. {MARK}"), "ServiceUnavailable")),
        ),
        Fault::new(
            "503 loading, in tgi's words",
            LOADING,
            answer(503, &json!({"error": format!("Model {MARK} is currently loading"), "estimated_time": 20.0})),
        ),
        Fault::new(
            "503 loading, in llama.cpp's words",
            LOADING,
            answer(
                503,
                &json!({"error": {"code": 503, "message": "Loading model", "type": "unavailable_error", "x": MARK}}),
            ),
        ),
        Fault::new("500 out of memory, in vllm's words", MEMORY, answer(500, &vllm(500, &cuda, "InternalServerError"))),
        Fault::new(
            "500 out of memory, in ollama's words",
            &["out_of_memory", "model_loading_failed"],
            answer(500, &openai(&ollama, "api_error", None)),
        ),
        Fault::new(
            "424 generation failed",
            &["generation_failed"],
            answer(
                424,
                &json!({"error": format!("Request failed during generation: Server error: {MARK}"), "error_type": "generation"}),
            ),
        ),
    ]
}

fn the_callers_own() -> Vec<Fault> {
    const KEY: &[&str] = &["authentication"];
    const LENGTH: &[&str] = &["context_length_exceeded"];
    const FILTER: &[&str] = &["content_filtered"];
    const MODEL: &[&str] = &["model_not_found"];
    const INPUT: &[&str] = &["invalid_input"];
    let window = format!(
        "This model's maximum context length is 4096 tokens. However, your messages resulted in 5000 tokens. {MARK}"
    );
    let asked = format!(
        "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens (4900 in the messages, 100 in the completion). {MARK}"
    );
    let llama = format!("the request exceeds the available context size. try increasing the context size {MARK}");
    let sglang = format!("The input (5000 tokens) is longer than the model's context length (4096 tokens). {MARK}");
    let policy = format!(
        "The response was filtered due to the prompt triggering Azure OpenAI's content management policy. {MARK}"
    );
    let loc = json!({"detail": [{"type": "less_than_equal", "loc": ["body", "temperature"], "msg": MARK}]});
    vec![
        Fault::new(
            "401",
            KEY,
            answer(
                401,
                &openai(
                    &format!("Incorrect API key provided: sk-{MARK}."),
                    "invalid_request_error",
                    Some("invalid_api_key"),
                ),
            ),
        ),
        Fault::new("401 in vllm's words", KEY, answer(401, &json!({"error": "Unauthorized", "x": MARK}))),
        Fault::new(
            "403",
            &["permission_denied"],
            answer(
                403,
                &openai(
                    &format!("Country not supported {MARK}"),
                    "request_forbidden",
                    Some("unsupported_country_region_territory"),
                ),
            ),
        ),
        Fault::new(
            "404 model",
            MODEL,
            answer(
                404,
                &openai(
                    &format!("The model `{MARK}` does not exist or you do not have access to it."),
                    "invalid_request_error",
                    Some("model_not_found"),
                ),
            ),
        ),
        Fault::new(
            "404 model, in vllm's words",
            MODEL,
            answer(404, &vllm(404, &format!("The model `{MARK}` does not exist."), "NotFoundError")),
        ),
        Fault::new(
            "404 model, in ollama's words",
            MODEL,
            answer(404, &openai(&format!("model \"{MARK}\" not found, try pulling it first"), "api_error", None)),
        ),
        Fault::new(
            "400 context length",
            LENGTH,
            answer(400, &openai(&window, "invalid_request_error", Some("context_length_exceeded"))),
        ),
        Fault::new("400 context length, in vllm's words", LENGTH, answer(400, &vllm(400, &asked, "BadRequestError"))),
        Fault::new(
            "400 context length, in llama.cpp's words",
            LENGTH,
            answer(
                400,
                &json!({"error": {"code": 400, "message": llama, "type": "exceed_context_size_error", "n_prompt_tokens": 5000, "n_ctx": 4096}}),
            ),
        ),
        Fault::new(
            "400 context length, in sglang's words",
            LENGTH,
            answer(400, &vllm(400, &sglang, "BadRequestError")),
        ),
        Fault::new(
            "400 content filter",
            FILTER,
            answer(
                400,
                &json!({"error": {"message": policy, "type": null, "param": "prompt", "code": "content_filter", "status": 400, "innererror": {"code": "ResponsibleAIPolicyViolation"}}}),
            ),
        ),
        Fault::new(
            "400 content policy",
            FILTER,
            answer(
                400,
                &openai(
                    &format!("Your request was rejected as a result of our safety system. {MARK}"),
                    "image_generation_user_error",
                    Some("content_policy_violation"),
                ),
            ),
        ),
        Fault::new(
            "400",
            INPUT,
            answer(400, &openai(&format!("Invalid type for 'stop': {MARK}"), "invalid_request_error", None)),
        ),
        Fault::new("422 in pydantic's words", INPUT, answer(422, &loc)),
    ]
}

/// Errors told with a status, in Anthropic's format.
#[must_use]
pub fn anthropic_statuses() -> Vec<Fault> {
    let error = |status: u16, kind: &str, message: &str| {
        let body = json!({"type": "error", "error": {"type": kind, "message": format!("{message} {MARK}")}, "request_id": "req_1"});
        answer(status, &body)
    };
    let limited = || error(429, "rate_limit_error", "This request would exceed your organization's rate limit");
    vec![
        Fault::new("429", &["rate_limited"], limited()),
        Fault::new("429 with retry-after", &["rate_limited"], limited().header("retry-after", "9"))
            .wait(Duration::from_secs(9)),
        Fault::new("529", &["model_overloaded"], error(529, "overloaded_error", "Overloaded")),
        Fault::new("500", &["provider_error"], error(500, "api_error", "Internal server error")),
        Fault::new("401", &["authentication"], error(401, "authentication_error", "invalid x-api-key")),
        Fault::new(
            "403",
            &["permission_denied"],
            error(403, "permission_error", "Your API key does not have permission"),
        ),
        Fault::new("404", &["model_not_found"], error(404, "not_found_error", "model: claude-none")),
        Fault::new(
            "400 too long",
            &["context_length_exceeded"],
            error(400, "invalid_request_error", "prompt is too long: 212014 tokens > 200000 maximum"),
        ),
        Fault::new(
            "400",
            &["invalid_input"],
            error(400, "invalid_request_error", "messages.0.content: field required"),
        ),
    ]
}

/// Failures before a first token, or before any of a whole answer, that are not told with a status.
#[must_use]
pub fn silences() -> Vec<Fault> {
    const NETWORK: &[&str] = &["network_error"];
    const BROKEN: &[&str] = &["stream_broken", "network_error", "invalid_response"];
    const INVALID: &[&str] = &["invalid_response"];
    const TIMEOUT: &[&str] = &["inference_timeout"];
    let page = format!("<!doctype html><title>{MARK}</title><p>Sign in to continue");
    vec![
        Fault::new("reset before the head", NETWORK, refuse()),
        Fault::new("closed before the head", NETWORK, cut()),
        Fault::new("closed in the head", NETWORK, half_headers().cut()),
        Fault::new("reset in the head", NETWORK, half_headers().reset()),
        Fault::new("silent before the head", TIMEOUT, hang()),
        Fault::new("silent in the head", TIMEOUT, half_headers().hang()),
        Fault::new("silent after the head", TIMEOUT, headers().hang()),
        Fault::new("keep-alives only", TIMEOUT, headers().keep_alives(Duration::from_millis(20))),
        Fault::new("closed after the head", BROKEN, headers().cut()),
        Fault::new("reset after the head", BROKEN, headers().reset()),
        Fault::new("framing broken after the head", BROKEN, headers().garbage()),
        Fault::new("no body", BROKEN, headers().end()),
        Fault::new("an empty answer", INVALID, tokens(0)),
        Fault::new("an empty answer without an end", BROKEN, tokens(0).end()),
        Fault::new("a page with 200", INVALID, document(200, "text/html", page)),
        Fault::new(
            "a document with 200 that is not json",
            INVALID,
            document(200, "application/json", format!("{{\"id\": {MARK}")),
        ),
        Fault::new(
            "a document with 200 that is something else",
            INVALID,
            answer(200, &json!({"status": "ok", "x": MARK})),
        ),
        Fault::new(
            "an error as the first word",
            &["generation_failed", "provider_error", "invalid_response", "model_overloaded"],
            headers().error_event("server_error", &format!("EngineCore encountered an issue. {MARK}")),
        ),
        Fault::new("not http", NETWORK, super::act::wire(format!("SSH-2.0-OpenSSH_9.2 {MARK}\r\n"))),
        Fault::new("malformed at once", BROKEN, headers().malformed()),
        Fault::new(
            "nothing at all for a while, then closed",
            NETWORK,
            nothing().after(Duration::from_millis(20)).cut(),
        ),
    ]
}

/// Failures after `count` tokens of a stream, or within the body of a whole answer.
#[must_use]
pub fn breaks(count: u32) -> Vec<Fault> {
    const BROKEN: &[&str] = &["stream_broken"];
    const OWN_WORDS: &[&str] = &["generation_failed", "stream_broken", "provider_error", "model_overloaded"];
    vec![
        Fault::new("closed", BROKEN, tokens(count).cut()),
        Fault::new("reset", BROKEN, tokens(count).reset()),
        Fault::new("silent", BROKEN, tokens(count).hang()),
        Fault::new("keep-alives only", BROKEN, tokens(count).keep_alives(Duration::from_millis(20))),
        Fault::new("ended without a finish reason", BROKEN, tokens(count).end()),
        Fault::new("done without a finish reason", BROKEN, tokens(count).done_without_finish()),
        Fault::new("framing broken", BROKEN, tokens(count).garbage()),
        Fault::new("malformed", &["stream_broken", "invalid_response"], tokens(count).malformed()),
        Fault::new(
            "an error told",
            OWN_WORDS,
            tokens(count).error_event("overloaded_error", &format!("Overloaded {MARK}")),
        ),
    ]
}

fn openai(message: &str, kind: &str, code: Option<&str>) -> Value {
    json!({"error": {"message": message, "type": kind, "param": null, "code": code}})
}

fn vllm(code: u16, message: &str, kind: &str) -> Value {
    json!({"object": "error", "message": message, "type": kind, "param": null, "code": code})
}
