use std::{collections::BTreeMap, os::unix::fs::PermissionsExt};

use super::{
    super::{Setting, Sources, load},
    *,
};

/// Two providers elsewhere from each other and a model that both serve: nothing to say about it.
const GOOD: &str = "
providers:
  - { name: a, base_url: 'http://127.0.0.1:8000/v1' }
  - { name: b, base_url: 'https://b.example/v1', priority: 1, api_key_env: B_KEY }
models:
  - name: chat
    providers:
      - { provider: a, context_window: 8192 }
      - { provider: b, context_window: 8192, cost_per_1k_tokens: 0.1 }
";

/// The paths of what is unwise in [`GOOD`] with `settings` over it, and all that is said.
fn with(settings: &[(&str, &str)]) -> (Vec<String>, String) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("good.yaml");
    std::fs::write(&file, GOOD).unwrap();
    let flags = settings.iter().map(|(key, value)| Setting {
        flag: "--set",
        key: (*key).to_owned(),
        value: (*value).to_owned(),
    });
    let sources = Sources {
        file: Some(file),
        variables: BTreeMap::from([("B_KEY".to_owned(), "hunter2".to_owned())]),
        flags: flags.collect(),
    };
    let advice = advise(&load(&sources).unwrap_or_else(|faults| panic!("{faults}")));
    let said = advice.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    assert!(!said.contains("hunter2"), "{said}");
    (advice.into_iter().map(|advice| advice.path).collect(), said)
}

#[test]
fn a_good_configuration_needs_no_advice() {
    assert_eq!(with(&[]).0, [""; 0]);
}

#[test]
fn each_unwise_thing_is_said_at_its_place() {
    for (settings, path) in [
        (
            &[("providers.0.retry.max_retries", "9"), ("providers.0.retry.base_delay", "1ms")][..],
            "providers[0].retry.max_retries",
        ),
        (&[("overload.min_limit", "20000"), ("overload.max_limit", "20000")], "overload.min_limit"),
        (&[("overload.max_queue_wait", "0s")], "overload.max_queue_wait"),
        (&[("degradation.hold", "10ms")], "degradation.hold"),
        (&[("providers.0.retry.jitter", "false")], "providers[0].retry.jitter"),
        (&[("providers.0.retry.max_elapsed", "30s")], "providers[0].retry.max_elapsed"),
        (&[("providers.0.retry.base_delay", "25s")], "providers[0].retry.max_retries"),
        (&[("providers.0.retry.base_delay", "8s")], "providers[0].retry"),
        (&[("providers.0.timeouts.idle", "2m")], "providers[0].timeouts.idle"),
        (&[("providers.0.breaker.failure_rate", "1")], "providers[0].breaker.failure_rate"),
        (&[("providers.0.breaker.failure_threshold", "1000")], "providers[0].breaker.failure_threshold"),
        (&[("providers.0.breaker.open_for", "9s")], "providers[0].breaker.open_for"),
        (&[("providers.0.breaker.slow_first_token", "10s")], "providers[0].breaker.slow_first_token"),
        (&[("providers.0.base_url", "http://127.0.0.1:8000")], "providers[0].base_url"),
        (&[("providers.1.base_url", "http://b.example/v1")], "providers[1].base_url"),
        (&[("providers.1.base_url", "http://127.0.0.1:8001/v1")], "providers"),
        (&[("models.0.providers.1.context_window", "4096")], "models[0].providers"),
        (&[("models.0.providers.1.cost_per_1k_tokens", "0")], "models[0].providers"),
        (&[("providers.1.enabled", "false")], "models[0].providers"),
        (&[("retry_budget.ratio", "0.6")], "retry_budget.ratio"),
        (&[("streams.holdback", "whole")], "streams.holdback"),
        (&[("streams.holdback", "6s")], "streams.holdback"),
        (&[("hedging.enabled", "true"), ("providers.1.enabled", "false")], "models[0].providers"),
        (&[("hedging.enabled", "true"), ("hedging.quantile", "0.5")], "hedging.quantile"),
        (&[("listen.grpc", "0.0.0.0:50051")], "listen.grpc"),
        (&[("listen.http", "[::]:8080")], "listen.http"),
        (&[("run_budgets.warn_repeats", "5")], "run_budgets.warn_repeats"),
        (&[("cache.capacity", "63KiB")], "cache.capacity"),
        (&[("idempotency.capacity", "1B")], "idempotency.capacity"),
        (&[("degradation.fallback_model", "chat")], "degradation.fallback_model"),
        (
            &[
                ("context_overflow", "truncate"),
                ("models.0.providers.0.context_window", "null"),
                ("models.0.providers.1.context_window", "null"),
            ],
            "context_overflow",
        ),
        (&[("validation.max_image_bytes", "33MiB")], "validation.max_image_bytes"),
        (&[("validation.max_document_bytes", "1GiB")], "validation.max_document_bytes"),
        (&[("health.model", "always")], "health.model"),
        (&[("providers.0.scope", "fleet")], "providers[0].scope"),
    ] {
        let (paths, said) = with(settings);
        assert_eq!(paths, [path], "{settings:?}: {said}");
    }
}

#[test]
fn what_has_an_effect_is_not_said_to_have_none() {
    for setting in [
        ("context_overflow", "error"),
        ("fleet.redis", "redis://:hunter2@r"),
        ("content_filter", "failover"),
        ("validation.max_input_chars", "1"),
        ("validation.max_image_bytes", "1KiB"),
        ("validation.max_document_bytes", "1KiB"),
        ("cache.mode", "off"),
        ("providers.0.rate_limit.tokens_per_minute", "100000"),
        ("cache.ttl", "5m"),
        ("idempotency.capacity", "0B"),
        ("degradation.fallback_response", "sorry"),
    ] {
        assert_eq!(with(&[setting]).0, [""; 0], "{setting:?}");
    }
}

#[test]
fn tokens_over_a_network_without_tls_are_pointed_out() {
    let (paths, said) = with(&[("listen.grpc", "0.0.0.0:1"), ("auth.tokens_file", "/proc/version")]);
    assert_eq!(paths, ["listen.grpc", "auth.tokens_file"], "{said}");
    assert!(said.contains("in the clear; set auth.tls"), "{said}");
}

#[test]
fn a_model_whose_providers_are_all_off_is_told_apart_from_one_without_fallback() {
    let (_, said) = with(&[("providers.0.enabled", "false"), ("providers.1.enabled", "false")]);
    assert!(said.contains("no provider of chat is enabled"), "{said}");
}

#[test]
fn a_first_token_that_outlasts_the_stream_also_outlasts_an_open_breaker() {
    let (paths, said) = with(&[("providers.0.timeouts.first_token", "2m")]);
    assert_eq!(paths, ["providers[0].timeouts.first_token", "providers[0].breaker.open_for"], "{said}");
}

#[test]
fn a_share_that_a_rate_limit_keeps_out_of_reach_is_pointed_out() {
    let (paths, said) = with(&[("providers.0.rate_limit.requests_per_minute", "10")]);
    assert_eq!(paths, ["providers[0].breaker.minimum_calls"], "{said}");
}

#[test]
fn a_limit_that_each_sidecar_of_a_fleet_takes_for_itself_is_pointed_out() {
    let limit = ("providers.1.rate_limit.tokens_per_minute", "100000");
    let redis = ("fleet.redis", "redis://r");
    let local = ("providers.1.base_url", "http://127.0.0.1:9/v1");
    let shared = ("providers.1.scope", "fleet");
    assert_eq!(with(&[limit, redis]).0, ["providers[1].rate_limit"]);
    for settings in [&[limit][..], &[limit, redis, local], &[limit, redis, shared]] {
        let (paths, said) = with(settings);
        assert!(!paths.iter().any(|path| path == "providers[1].rate_limit"), "{settings:?}: {said}");
    }
}

#[test]
fn a_simulated_provider_beside_real_ones_and_one_in_no_model_are_pointed_out() {
    let third = [("providers.2.name", "c"), ("providers.2.kind", "simulated")];
    let (paths, said) = with(&third);
    assert_eq!(paths, ["providers[2]", "providers[2]"]);
    assert!(said.contains("is simulated") && said.contains("c serves no model"), "{said}");
}

#[test]
fn the_default_says_that_no_model_answers() {
    let said: Vec<_> = advise(&Config::default()).iter().map(ToString::to_string).collect();
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(said[0].starts_with("providers: no model answers here"), "{said:?}");
    assert!(said[1].contains("no fallback"), "{said:?}");
}

#[test]
fn a_key_file_that_everyone_can_read_is_pointed_out() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key");
    std::fs::write(&file, "hunter2").unwrap();
    for (mode, advised) in [(0o600, false), (0o640, false), (0o644, true)] {
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
        let name = file.to_str().unwrap();
        let (paths, said) = with(&[("providers.0.api_key_file", name)]);
        assert_eq!(paths.contains(&"providers[0].api_key_file".to_owned()), advised, "{mode:o}: {said}");
    }
}

#[test]
fn what_is_shared_with_nobody_is_pointed_out() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    std::fs::write(&file, "sixteen-characters-or-more").unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    let all = [
        ("fleet.secret_file", file.to_str().unwrap()),
        ("cache.shared", "true"),
        ("idempotency.shared", "true"),
        ("fleet.redis", "redis://127.0.0.1:6379"),
    ];
    let (paths, said) = with(&all[..3]);
    for path in ["fleet.secret_file", "cache.shared", "idempotency.shared"] {
        assert!(paths.contains(&path.to_owned()), "{path}: {said}");
    }
    let (paths, said) = with(&all);
    assert_eq!(paths, ["fleet.secret_file"], "{said}");
}

#[test]
fn a_host_inside_is_not_billed_and_a_vendors_is() {
    for (url, hosted) in [
        ("https://api.openai.com/v1", true),
        ("http://api.openai.com/v1", false),
        ("https://vllm.models.svc/v1", false),
        ("https://10.0.0.1/v1", false),
        ("https://[::1]:8000", false),
        ("https://gpu/v1", false),
    ] {
        assert_eq!(is_hosted(ProviderKind::OpenAi, url), hosted, "{url}");
    }
}
