//! The keys of a provider: where it is, how long it may take, how it is asked again and when it is left alone.

use std::{collections::HashMap, path::PathBuf, sync::Arc, time::Duration};

use fusebox_base::config::{Section, a_name, clip, read_url, units};
use fusebox_rules::{
    breaker::{self, Probe},
    error::ErrorKind,
    fleet::allowance::RateLimits,
    retry,
    survive::Continuation,
};
use http::Uri;

use super::{
    super::{
        Provider, ProviderKind, Scope, Secret, Simulated, Timeouts,
        providers::{host_of, is_loopback},
    },
    DAY, HOUR, MILLISECOND, MINUTE, SECOND,
};

/// Kinds of error that are Fusebox's own, and so none that a provider could fail with.
const OWN: [ErrorKind; 5] = [
    ErrorKind::CircuitOpen,
    ErrorKind::BudgetExceeded,
    ErrorKind::Shed,
    ErrorKind::Cancelled,
    ErrorKind::InternalError,
];

pub(super) fn read(at: &mut Section<'_>) -> Vec<Provider> {
    let mut taken: HashMap<Arc<str>, String> = HashMap::new();
    let providers = at.list("providers", "what answers calls", "one, simulated", |at| {
        let provider = provider(at);
        if let Some(other) = taken.get(&provider.name).filter(|_| !provider.name.is_empty()) {
            at.fault("name", format!("{} is already the name of {other}", clip(&provider.name)));
        } else {
            taken.insert(provider.name.clone(), at.path().to_owned());
        }
        provider
    });
    if at.typed_list_is_empty("providers") {
        at.fault("providers", "names nobody; a sidecar needs at least one".to_owned());
    }
    providers.unwrap_or_default()
}

fn provider(at: &mut Section<'_>) -> Provider {
    let name = at.key("name", "unique; a label of metrics").required(a_name).into();
    let kind = at.key("kind", "what it speaks: openai, anthropic, or simulated, which is built in").word(
        ProviderKind::OpenAi,
        &[
            ("openai", ProviderKind::OpenAi),
            ("anthropic", ProviderKind::Anthropic),
            ("simulated", ProviderKind::Simulated),
        ],
    );
    let url = at.key("base_url", "where it is; required where no key is").shown("the vendor's own").optional_url();
    let (api_key, api_key_file) = api_key(at);
    let base_url = base_url(at, kind, url);
    let scopes = [("pod", Scope::Pod), ("fleet", Scope::Fleet)];
    let scope = at
        .key(
            "scope",
            "whose its breaker, its rate limits and its retry budget are: pod, or fleet, shared through Redis",
        )
        .word(Scope::Pod, &scopes);
    let metrics_url = metrics_url(at, scope, &base_url);
    let provider = Provider {
        name,
        kind,
        base_url,
        api_key,
        api_key_file,
        scope,
        enabled: at.key("enabled", "whether it is asked at all").flag(true),
        priority: at.key("priority", "lower is tried first").count(0, 0..=1_000_000),
        timeouts: at.section("timeouts", timeouts),
        retry: at.section("retry", retry),
        breaker: at.section("breaker", breaker),
        continuation: continuation(at, kind),
        rate_limit: at.section("rate_limit", |at| RateLimits {
            requests_per_minute: at
                .key(
                    "requests_per_minute",
                    "what it allows the fleet, or with scope: pod this sidecar; null: unlimited",
                )
                .optional_count(1..=1_000_000_000),
            tokens_per_minute: at
                .key("tokens_per_minute", "the same of tokens, in and out; null: unlimited")
                .optional_count(1..=1_000_000_000_000),
        }),
        max_batch: at
            .key("max_batch", "inputs of one request for embeddings; more are asked for in several")
            .count(2_048, 1..=1_000_000),
        metrics_url,
        simulated: at.section("simulated", simulated),
    };
    if kind != ProviderKind::Simulated && at.typed("simulated") {
        at.fault("simulated", "is for providers of kind simulated only".to_owned());
    }
    provider
}

fn continuation(at: &mut Section<'_>, kind: ProviderKind) -> Continuation {
    let default = match kind {
        ProviderKind::OpenAi => Continuation::None,
        ProviderKind::Anthropic | ProviderKind::Simulated => Continuation::Prefill,
    };
    let doc = "how it goes on with a chat's answer that broke off elsewhere: none, prefill (a last message of the \
               assistant's), or continue_final_message (the same, as vLLM and SGLang want it)";
    let continuation = at.key("continuation", doc).shown("none; prefill for anthropic and simulated").word(
        default,
        &[
            ("none", Continuation::None),
            ("prefill", Continuation::Prefill),
            ("continue_final_message", Continuation::ContinueFinalMessage),
        ],
    );
    if continuation == Continuation::ContinueFinalMessage && kind != ProviderKind::OpenAi {
        at.fault("continuation", "continue_final_message is for providers of kind openai only".to_owned());
    }
    continuation
}

/// The key, and the file that it was read from.
fn api_key(at: &mut Section<'_>) -> (Option<Secret>, Option<PathBuf>) {
    at.refuse(
        "api_key",
        "a key does not belong in a configuration; name its variable by api_key_env or its file by api_key_file",
    );
    let variable = at.key("api_key_env", "the variable that holds its key").optional_secret_variable();
    let file = at.key("api_key_file", "the file that holds its key, instead").optional_secret_file();
    if at.typed("api_key_env") && at.typed("api_key_file") {
        at.fault("api_key_file", "stands beside api_key_env; write one of them".to_owned());
    }
    match file {
        Some((key, file)) => (Some(key), Some(file)),
        None => (variable, None),
    }
}

fn base_url(at: &Section<'_>, kind: ProviderKind, url: Option<String>) -> String {
    let (vendor, example) = match kind {
        ProviderKind::Simulated => {
            for key in ["base_url", "api_key_env", "api_key_file"] {
                if at.typed(key) {
                    at.fault(key, "is not for a provider of kind simulated, which is built in".to_owned());
                }
            }
            return String::new();
        }
        ProviderKind::OpenAi => ("https://api.openai.com/v1", "http://127.0.0.1:8000/v1"),
        ProviderKind::Anthropic => ("https://api.anthropic.com", "https://api.anthropic.com"),
    };
    let has_key = at.typed("api_key_env") || at.typed("api_key_file");
    if url.is_none() && !at.typed("base_url") && !has_key {
        at.fault("base_url", format!("is missing; write one such as {example}, or a key for {vendor}"));
    }
    url.unwrap_or_else(|| vendor.to_owned())
}

/// Where the inference server tells of its queue. Only one beside the sidecar is asked unbidden: elsewhere an address is
/// that of a gateway or of a vendor.
fn metrics_url(at: &mut Section<'_>, scope: Scope, base_url: &str) -> Option<String> {
    let a_url = |text: &str| match text {
        "auto" | "off" => Ok(()),
        url => read_url(url).map(drop).map_err(|fault| format!("{fault}; or write auto or off")),
    };
    let what =
        "the page on which its server tells of its queue: a URL, off, or auto (/metrics of a server on this machine)";
    let typed = at.key("metrics_url", what).text("auto", a_url);
    match typed.as_str() {
        "off" => None,
        "auto" => {
            let beside = scope == Scope::Pod && host_of(base_url).is_some_and(|host| is_loopback(&host));
            let uri: Uri = base_url.parse().ok().filter(|_| beside)?;
            Some(format!("{}://{}/metrics", uri.scheme_str()?, uri.authority()?))
        }
        url => Some(url.to_owned()),
    }
}

fn timeouts(at: &mut Section<'_>) -> Timeouts {
    let range = MILLISECOND..=DAY;
    let mut timeouts = Timeouts {
        connect: at.key("connect", "until the connection stands, TLS included").duration(SECOND, range.clone()),
        first_token: at
            .key("first_token", "from sending a streamed call to its first token")
            .duration(10 * SECOND, range.clone()),
        idle: at.key("idle", "between two tokens of a stream").duration(10 * SECOND, range.clone()),
        total: at.key("total", "a whole attempt that is not streamed").duration(30 * SECOND, range.clone()),
        stream_total: at.key("stream_total", "a whole attempt that is streamed").duration(120 * SECOND, range),
    };
    if !at.typed("connect") {
        // A short total shortens this default with it.
        timeouts.connect = timeouts.connect.min(timeouts.total).min(timeouts.stream_total);
    }
    for (name, whole) in [("total", timeouts.total), ("stream_total", timeouts.stream_total)] {
        if timeouts.connect > whole {
            let (connect, whole) = (units::show_duration(timeouts.connect), units::show_duration(whole));
            at.fault("connect", format!("{connect} is longer than {name}, {whole}, of which it is a part"));
        }
    }
    timeouts
}

fn retry(at: &mut Section<'_>) -> retry::Policy {
    let policy = retry::Policy {
        max_retries: at.key("max_retries", "attempts after the first").count(3, 0..=100),
        base_delay: at.key("base_delay", "the first backoff").duration(SECOND, Duration::ZERO..=HOUR),
        backoff_factor: at.key("backoff_factor", "what each further backoff is multiplied by").number(2.0, 1.0..=100.0),
        max_delay: at.key("max_delay", "the longest backoff").duration(MINUTE, Duration::ZERO..=DAY),
        jitter: at.key("jitter", "whether a backoff is drawn from zero to its length").flag(true),
        max_elapsed: at
            .key("max_elapsed", "no retry begins once this long has passed since the first attempt")
            .duration(MINUTE, Duration::ZERO..=DAY),
    };
    no_longer(at, ("base_delay", policy.base_delay), ("max_delay", policy.max_delay));
    policy
}

fn breaker(at: &mut Section<'_>) -> breaker::Settings {
    let probes = [("active", Probe::Active), ("passive", Probe::Passive)];
    let default = breaker::Settings::default();
    let settings = breaker::Settings {
        failure_threshold: at
            .key("failure_threshold", "failures in a row that open it")
            .count(default.failure_threshold, 1..=1_000_000),
        failure_rate: at
            .key("failure_rate", "the share of failed calls that opens it")
            .number(default.failure_rate, 0.001..=1.0),
        minimum_calls: at
            .key("minimum_calls", "calls in the window before the share counts")
            .count(default.minimum_calls, 1..=1_000_000),
        window: at.key("window", "how far back the share looks").duration(default.window, SECOND..=HOUR),
        slow_first_token: at
            .key("slow_first_token", "a first token later than this is a failure")
            .optional_duration(MILLISECOND..=HOUR),
        min_tokens_per_second: at
            .key("min_tokens_per_second", "a stream slower than this, over a window of ten such tokens, breaks off")
            .optional_number(0.001..=1e6),
        open_for: at
            .key("open_for", "how long it is left alone before probes")
            .duration(default.open_for, MILLISECOND..=DAY),
        max_open_for: at
            .key("max_open_for", "the longest, each failed recovery doubling it")
            .duration(default.max_open_for, MILLISECOND..=DAY),
        half_open_max_calls: at
            .key("half_open_max_calls", "probes at once")
            .count(default.half_open_max_calls, 1..=breaker::MAX_PROBES),
        success_threshold: at
            .key("success_threshold", "probes in a row that close it")
            .count(default.success_threshold, 1..=1_000),
        ramp: at
            .key("ramp", "how long the share of calls let through then takes to grow to all")
            .duration(default.ramp, Duration::ZERO..=HOUR),
        probe: at
            .key("probe", "a small call of the sidecar's own, or the next caller's: active, passive")
            .word(default.probe, &probes),
    };
    no_longer(at, ("open_for", settings.open_for), ("max_open_for", settings.max_open_for));
    settings
}

fn simulated(at: &mut Section<'_>) -> Simulated {
    let kinds: Vec<_> =
        ErrorKind::ALL.into_iter().filter(|kind| !OWN.contains(kind)).map(|kind| (kind.name(), kind)).collect();
    Simulated {
        first_token: at
            .key("first_token", "the wait before its first token")
            .duration(50 * MILLISECOND, Duration::ZERO..=HOUR),
        tokens_per_second: at.key("tokens_per_second", "from then on; 0: all at once").number(50.0, 0.0..=1e6),
        failure_rate: at.key("failure_rate", "the share of its calls that fail").ratio(0.0),
        failure: at.key("failure", "the kind of error that they fail with").word(ErrorKind::ProviderError, &kinds),
        answer: at.key("answer", "what it says; null: the last user message again").optional_prompt(),
    }
}

/// Faults a least that is longer than its most, at the one that was typed.
fn no_longer(at: &Section<'_>, least: (&'static str, Duration), most: (&'static str, Duration)) {
    if least.1 > most.1 {
        let key = if at.typed(least.0) { least.0 } else { most.0 };
        let (low, high) = (units::show_duration(least.1), units::show_duration(most.1));
        at.fault(key, format!("{} ({low}) is longer than {} ({high})", least.0, most.0));
    }
}
