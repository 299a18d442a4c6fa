use http::HeaderValue;
use proptest::prelude::*;
use serde_json::json;

use super::*;

fn words(document: &Value) -> Words {
    Words::of_document(document)
}

/// The code, the type and the message.
fn three(words: &Words) -> (&str, &str, &str) {
    (&words.code, &words.error_type, &words.message)
}

#[test]
fn words_are_found_in_every_shape() {
    let table = [
        (
            "OpenAI",
            json!({ "error": { "message": "Slow", "type": "requests", "code": "rate_limit_exceeded", "param": null } }),
            ("rate_limit_exceeded", "requests", "Slow"),
        ),
        ("OpenAI without a code", json!({ "error": { "message": "m", "type": "t", "code": null } }), ("", "t", "m")),
        (
            "vLLM",
            json!({ "error": { "message": "m", "type": "BadRequestError", "code": 400 } }),
            ("400", "BadRequestError", "m"),
        ),
        (
            "vLLM, older",
            json!({ "object": "error", "message": "m", "type": "NotFoundError", "code": 404 }),
            ("404", "NotFoundError", "m"),
        ),
        ("Ollama", json!({ "error": "model 'x' not found" }), ("", "", "model 'x' not found")),
        (
            "TGI",
            json!({ "error": "Model is overloaded", "error_type": "overloaded" }),
            ("", "overloaded", "Model is overloaded"),
        ),
        ("FastAPI, a text", json!({ "detail": "Not Found" }), ("", "", "Not Found")),
        (
            "FastAPI, a list",
            json!({ "detail": [
                { "loc": ["body", "messages", 0, "role"], "msg": "Field required", "type": "missing" },
                { "loc": ["body", "model"], "msg": "Bad" },
            ] }),
            ("", "", "messages[0].role: Field required; model: Bad"),
        ),
        ("FastAPI, an object", json!({ "detail": { "message": "m", "code": "c" } }), ("c", "", "m")),
        (
            "Anthropic",
            json!({ "type": "error", "error": { "type": "overloaded_error", "message": "Overloaded" }, "request_id": "r" }),
            ("", "overloaded_error", "Overloaded"),
        ),
        (
            "Google",
            json!([{ "error": { "code": 429, "message": "Quota", "status": "RESOURCE_EXHAUSTED" } }]),
            ("429", "RESOURCE_EXHAUSTED", "Quota"),
        ),
        (
            "Google, a bad key",
            json!({ "error": { "code": 400, "message": "m", "status": "INVALID_ARGUMENT", "details": [{ "reason": "API_KEY_INVALID" }] } }),
            ("API_KEY_INVALID", "INVALID_ARGUMENT", "m"),
        ),
        (
            "AWS",
            json!({ "__type": "com.amazon#ThrottlingException", "message": "m" }),
            ("ThrottlingException", "", "m"),
        ),
        ("AWS, capital", json!({ "Message": "m" }), ("", "", "m")),
        (
            "Azure",
            json!({ "error": { "code": "content_filter", "message": "m", "innererror": { "code": "ResponsibleAIPolicyViolation" } } }),
            ("content_filter", "ResponsibleAIPolicyViolation", "m"),
        ),
        (
            "a gateway",
            json!({ "error": { "code": 502, "message": "Provider returned error", "metadata": { "raw": "CUDA out of memory" } } }),
            ("502", "", "Provider returned error: CUDA out of memory"),
        ),
        ("a text", json!("oops"), ("", "", "oops")),
        ("a number", json!(7), ("", "", "7")),
        ("nothing", json!({}), ("", "", "")),
    ];
    for (provider, document, expected) in table {
        assert_eq!(three(&words(&document)), expected, "{provider}");
    }
}

#[test]
fn a_status_told_in_the_document_is_found() {
    assert_eq!(words(&json!({ "error": { "code": 429 } })).status, Some(429));
    assert_eq!(words(&json!({ "error": { "code": "429" } })).status, None);
    assert_eq!(words(&json!({ "error": { "code": 1302 } })).status, None);
}

#[test]
fn waits_told_in_fields_are_found() {
    let table = [
        (json!({ "error": { "details": [{ "@type": "x" }, { "retryDelay": "34.5s" }] } }), Some(34_500)),
        (json!({ "error": "Model x is currently loading", "estimated_time": 20.5 }), Some(20_500)),
        (json!({ "error": { "message": "m", "retry_after": 2 } }), Some(2000)),
        (json!({ "error": { "message": "m", "retry_after": -2 } }), None),
        (json!({ "error": { "message": "m", "retry_after": 1e300 } }), None),
        (json!({ "error": { "details": [{ "retryDelay": "soon" }] } }), None),
    ];
    for (document, millis) in table {
        assert_eq!(words(&document).wait, millis.map(Duration::from_millis), "{document}");
    }
}

#[test]
fn a_faulty_field_is_named_only_by_a_plain_path() {
    let param = |param: &str| words(&json!({ "error": { "message": "m", "param": param } })).param;
    assert_eq!(param("messages[0].content").as_deref(), Some("messages[0].content"));
    assert_eq!(param("http://10.0.0.1/secret"), None);
    assert_eq!(param(&"a".repeat(65)), None);
    assert_eq!(param(""), None);
}

#[test]
fn only_errors_are_errors() {
    let errors = [
        json!({ "error": "x" }),
        json!({ "error": {} }),
        json!([{ "error": { "code": 500 } }]),
        json!({ "type": "error" }),
        json!({ "object": "error", "message": "x" }),
        json!({ "detail": "x" }),
    ];
    for document in errors {
        assert!(from_event(document.to_string().as_bytes()).is_some(), "{document}");
    }
    let others = [
        json!({ "choices": [] }),
        json!({ "choices": [], "error": null }),
        json!({ "choices": [], "detail": "x" }),
        json!({ "error": false }),
        json!({ "type": "ping" }),
        json!("error"),
        json!([]),
    ];
    for document in others {
        assert_eq!(from_event(document.to_string().as_bytes()), None, "{document}");
    }
    assert_eq!(from_event(b"<html>"), None);
    assert_eq!(from_event(b""), None);
}

fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
    pairs.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
}

#[test]
fn responses_become_the_kind_that_they_are() {
    use ErrorKind as E;
    let body = |document: Value| document.to_string();
    let table = [
        (
            429,
            body(
                json!({ "error": { "message": "Rate limit reached", "type": "requests", "code": "rate_limit_exceeded" } }),
            ),
            E::RateLimited,
        ),
        (
            401,
            body(json!({ "error": { "message": "Incorrect API key provided", "code": "invalid_api_key" } })),
            E::Authentication,
        ),
        (403, body(json!({ "error": { "message": "no", "type": "permission_error" } })), E::PermissionDenied),
        (
            404,
            body(json!({ "error": { "message": "The model `x` does not exist", "code": "model_not_found" } })),
            E::ModelNotFound,
        ),
        (
            400,
            body(json!({ "error": { "message": "m", "code": "context_length_exceeded" } })),
            E::ContextLengthExceeded,
        ),
        (
            400,
            body(
                json!({ "type": "error", "error": { "type": "invalid_request_error", "message": "prompt is too long: 210000 tokens > 200000 maximum" } }),
            ),
            E::ContextLengthExceeded,
        ),
        (400, body(json!({ "error": { "code": "content_filter", "message": "m" } })), E::ContentFiltered),
        (
            529,
            body(json!({ "type": "error", "error": { "type": "overloaded_error", "message": "Overloaded" } })),
            E::ModelOverloaded,
        ),
        (422, body(json!({ "detail": [{ "loc": ["body", "model"], "msg": "Field required" }] })), E::InvalidInput),
        (500, body(json!({ "error": "CUDA out of memory. Tried to allocate 2 GiB" })), E::OutOfMemory),
        (500, "Internal Server Error".into(), E::ProviderError),
        (502, "<html><head><title>502 Bad Gateway</title></head></html>".into(), E::ProviderError),
        (500, String::new(), E::ProviderError),
    ];
    for (status, body, kind) in table {
        let failure = from_response(status, &HeaderMap::new(), body.as_bytes());
        assert_eq!(failure.kind, kind, "{status} {body}");
        if kind != E::InvalidInput {
            assert_eq!(failure.message, sentence(kind), "the caller reads our words");
        }
        assert!(failure.details.contains(&("provider_status", status.to_string())));
    }
}

#[test]
fn an_error_in_a_stream_is_classified_by_its_own_words_or_status() {
    let kind = |document: Value| from_event(document.to_string().as_bytes()).unwrap().kind;
    assert_eq!(
        kind(json!({ "type": "error", "error": { "type": "overloaded_error", "message": "" } })),
        ErrorKind::ModelOverloaded
    );
    assert_eq!(kind(json!({ "error": { "code": 429, "message": "Provider returned error" } })), ErrorKind::RateLimited);
}

#[test]
fn the_wait_comes_from_the_headers_then_the_body_then_the_words() {
    let body =
        json!({ "error": { "message": "Please try again in 3s.", "details": [{ "retryDelay": "2s" }] } }).to_string();
    let wait = |status, pairs: &[(&'static str, &'static str)], body: &str| {
        from_response(status, &headers(pairs), body.as_bytes()).wait
    };
    assert_eq!(wait(429, &[("retry-after", "1")], &body), Some(Duration::from_secs(1)));
    assert_eq!(wait(429, &[], &body), Some(Duration::from_secs(2)));
    let words = json!({ "error": { "message": "Rate limit reached. Please try again in 3s." } }).to_string();
    assert_eq!(wait(429, &[], &words), Some(Duration::from_secs(3)));
    assert_eq!(wait(401, &[("retry-after", "1")], &body), None, "no wait makes a key good");
    assert_eq!(wait(503, &[("retry-after", "4")], ""), Some(Duration::from_secs(4)));
    assert_eq!(wait(500, &[("x-ratelimit-reset-requests", "5s")], ""), None, "that limit was not the fault");
}

#[test]
fn the_caller_gets_facts_and_the_log_gets_words() {
    let body = json!({ "error": {
        "message": "This model's maximum context length is 8192 tokens. However, you requested 9000 tokens. See http://10.1.2.3/",
        "code": "context_length_exceeded",
    } });
    let failure = from_response(400, &HeaderMap::new(), body.to_string().as_bytes());
    assert!(failure.details.contains(&("context_limit_tokens", "8192".into())));
    assert!(failure.details.contains(&("context_length_tokens", "9000".into())));
    let told = format!("{} {:?}", failure.message, failure.details);
    assert!(!told.contains("10.1.2.3") && failure.inside.unwrap().contains("10.1.2.3"));

    let of_llama_cpp = json!({ "error": { "code": 400, "message": "the request exceeds the available context size",
        "type": "exceed_context_size_error", "n_prompt_tokens": 900, "n_ctx": 512 } });
    let failure = from_response(400, &HeaderMap::new(), of_llama_cpp.to_string().as_bytes());
    assert!(failure.details.contains(&("context_limit_tokens", "512".into())), "{failure:?}");

    let failure =
        from_response(400, &HeaderMap::new(), br#"{"error":{"message":"Bad role <b>","param":"messages[0].role"}}"#);
    assert_eq!(failure.message, "the provider found a fault in `messages[0].role`");
}

#[test]
fn keys_are_not_kept() {
    let body = br#"{"error":{"message":"Incorrect API key provided: sk-proj-abc*****xyz. Also Bearer hf_abcdefgh1234!","code":"invalid_api_key"}}"#;
    let inside = from_response(401, &HeaderMap::new(), body).inside.unwrap();
    assert!(inside.contains("provided: [key]") && inside.contains("Bearer [key]!"), "{inside}");
    assert!(!inside.contains("abc"), "{inside}");
}

#[test]
fn what_is_huge_or_not_text_is_cut_and_kept() {
    let failure = from_response(500, &HeaderMap::new(), &b"\xff\xfeok ".repeat(100_000));
    let inside = failure.inside.unwrap();
    assert!(inside.len() <= MAX_INSIDE && inside.contains("ok"));
    let cut_json = format!("{{\"error\":{{\"message\":\"{}", "é".repeat(50_000));
    assert!(from_response(500, &HeaderMap::new(), cut_json.as_bytes()).inside.unwrap().len() <= MAX_INSIDE);
    assert_eq!(without_keys("sk-12345678"), "[key]");
    assert_eq!(without_keys("task-12345678 risk"), "task-12345678 risk");
}

proptest! {
    #[test]
    fn no_body_panics(status in 100u16..1000, body in prop::collection::vec(any::<u8>(), 0..300)) {
        let failure = from_response(status, &HeaderMap::new(), &body);
        prop_assert!(!failure.message.is_empty());
        let _ = from_event(&body);
    }

    #[test]
    fn no_document_panics(text in "[\\[{]{0,3}\"(error|detail|message|code)\":[\\[{\"]{0,2}(7|null|\"a\")?[\\]}\"]{0,5}") {
        let _ = from_event(text.as_bytes());
        let _ = from_response(400, &HeaderMap::new(), text.as_bytes());
    }
}

#[test]
fn a_provider_that_says_not_to_ask_again_is_heard() {
    for (name, value, said) in [
        ("x-should-retry", "false", true),
        ("x-should-retry", "true", false),
        ("grpc-retry-pushback-ms", "-1", true),
        ("grpc-retry-pushback-ms", "100", false),
        ("retry-after", "1", false),
    ] {
        let headers = HeaderMap::from_iter([(HeaderName::from_static(name), HeaderValue::from_static(value))]);
        for status in [429, 503] {
            assert_eq!(from_response(status, &headers, b"{}").final_here, said, "{name}: {value}");
        }
    }
}
