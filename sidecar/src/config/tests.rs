use std::{
    fs,
    path::{Path, PathBuf},
};

use fusebox_base::testing;
use fusebox_rules::{holdback::Holdback, survive::Continuation};
use proptest::prelude::*;

use super::*;

mod secrets;

/// A folder with a configuration in it.
struct Case {
    folder: tempfile::TempDir,
    sources: Sources,
}

impl Case {
    fn new(name: &str, text: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(name);
        fs::write(&file, text).unwrap();
        Self { folder, sources: Sources { file: Some(file), ..Sources::default() } }
    }

    fn yaml(text: &str) -> Self {
        Self::new("f.yaml", text)
    }

    fn variable(mut self, name: &str, value: &str) -> Self {
        self.sources.variables.insert(name.to_owned(), value.to_owned());
        self
    }

    fn set(mut self, key: &str, value: &str) -> Self {
        self.sources.flags.push(Setting { flag: "--set", key: key.to_owned(), value: value.to_owned() });
        self
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn config(&self) -> Config {
        load(&self.sources).unwrap_or_else(|faults| panic!("{faults}"))
    }

    /// Every fault as it is printed, the folder left out.
    fn faults(&self) -> Vec<String> {
        let faults = load(&self.sources).map_or_else(|faults| faults.to_string(), |config| panic!("{config:?}"));
        let folder = format!("{}/", self.folder.path().display());
        faults.replace(&folder, "").lines().map(str::to_owned).collect()
    }
}

/// One provider that is as it should be, `more` added to it, and `rest` after it.
fn one_provider(more: &str, rest: &str) -> String {
    format!("providers:\n  - name: vllm\n    base_url: http://127.0.0.1:8000/v1\n{more}{rest}")
}

/// The contract's own example.
const CONTRACT: &str = r"
fleet:
  name: default
  redis: null                  # redis://, rediss://, redis+cluster://, redis+sentinel://; null: embedded, this process alone
listen: { grpc: 127.0.0.1:50051, http: 127.0.0.1:8080, admin: 127.0.0.1:9090 }
auth: { tokens_file: null, tls: null }
telemetry: { otlp_endpoint: null, log: info, log_format: text }   # the OTEL_* variables work too
providers:
  - name: vllm
    kind: openai               # openai (vLLM, SGLang, TGI, Ollama, OpenAI, …), anthropic, simulated
    base_url: http://127.0.0.1:8000/v1
    api_key_env: null          # or api_key_file
    scope: pod                 # pod: this breaker is this pod's own. fleet: shared through Redis
    enabled: true
    priority: 0                # lower is tried first
    timeouts: { connect: 1s, first_token: 10s, idle: 10s, total: 30s, stream_total: 120s }
    retry: { max_retries: 3, base_delay: 1s, backoff_factor: 2.0, max_delay: 60s, jitter: true, max_elapsed: 60s }
    breaker: { failure_threshold: 5, failure_rate: 0.5, minimum_calls: 20, window: 60s, slow_first_token: null, min_tokens_per_second: null, open_for: 60s, max_open_for: 10m, half_open_max_calls: 3, success_threshold: 3, ramp: 30s, probe: active }
    rate_limit: { requests_per_minute: null, tokens_per_minute: null }
    max_batch: 2048
models:
  - name: chat                 # what callers name; the first is the default
    providers:                 # absent: every provider, by priority
      - { provider: vllm, model: meta-llama/Llama-3.1-8B-Instruct, context_window: 8192, cost_per_1k_tokens: 0.0 }
retry_budget: { ratio: 0.2, minimum_per_second: 10 }
cache: { mode: fallback, capacity: 64MiB, ttl: 1h, shared: false }
validation: { max_reprompts: 3, max_input_chars: 1000000, max_image_bytes: 10MiB, max_document_bytes: 32MiB, max_output_pixels: 1048576 }
context_overflow: failover     # failover to a larger window, then: error | truncate
content_filter: error          # error | rewrite (with a configured instruction) | failover: a refusal is never routed round unasked
degradation: { reduced_above: 0.7, minimal_above: 0.9, fallback_response: null, fallback_model: null, simplified_prompt: null }
run_budgets: { max_calls: 20, max_tool_calls: 50, max_runtime: 300s, max_tokens: 100000, max_cost: null }
health: { interval: 5s, disk_path: / }
shutdown: { grace: 30s }
";

#[test]
fn the_contracts_example_is_accepted_and_is_the_default() {
    let typed = Case::yaml(CONTRACT).config();
    let bare = Case::yaml(&one_provider("", "")).config();
    let served = Served {
        provider: 0,
        model: Some("meta-llama/Llama-3.1-8B-Instruct".into()),
        context_window: Some(8192),
        cost_per_1k_tokens: 0.0,
    };
    let models = vec![Arc::new(Model { name: "chat".into(), providers: vec![served], smaller: None })];
    assert_eq!(typed, Config { models, ..bare });
}

#[test]
fn who_can_continue_an_answer_follows_from_what_it_speaks() {
    let text = "providers:\n  - {name: a, base_url: 'http://a'}\n  - {name: b, kind: anthropic, base_url: 'http://b'}\n  \
                - {name: c, kind: simulated}\n  - {name: d, base_url: 'http://d', continuation: continue_final_message}\n";
    let config = Case::yaml(text).config();
    let continuations: Vec<_> = config.providers.iter().map(|provider| provider.continuation).collect();
    let [none, prefill, last] = [Continuation::None, Continuation::Prefill, Continuation::ContinueFinalMessage];
    assert_eq!(continuations, [none, prefill, prefill, last]);
}

#[test]
fn what_is_held_back_is_typed_as_a_number_a_time_or_a_word() {
    for (typed, holdback) in [
        ("16", Holdback::Tokens(16)),
        ("250ms", Holdback::Time(Duration::from_millis(250))),
        ("whole", Holdback::Whole),
    ] {
        let config = Case::yaml(&one_provider("", &format!("streams: {{holdback: {typed}}}\n"))).config();
        assert_eq!(config.streams.holdback, holdback, "{typed}");
    }
}

#[test]
fn every_key_of_the_contracts_example_is_listed_with_the_value_it_has_there() {
    let keys = keys();
    let default = |path: &str| keys.iter().find(|key| key.path == path).map(|key| key.default.as_str());
    let samples = ["models[].name", "providers[].name", "providers[].base_url", "models[].providers[].provider"];
    let samples = [&samples[..], &["models[].providers[].model", "models[].providers[].context_window"]].concat();
    let leaves = testing::leaves(CONTRACT);
    assert!(leaves.len() > 60, "{leaves:?}");
    for (path, shown) in leaves {
        let listed = default(&path).unwrap_or_else(|| panic!("{path} is not listed"));
        let same = listed == shown
            || units::duration(listed).is_some_and(|listed| Some(listed) == units::duration(&shown))
            || listed.parse::<f64>().is_ok_and(|listed| Ok(listed) == shown.parse());
        assert!(same || samples.contains(&&*path), "{path}: {listed} is listed, {shown} is in the contract");
    }
}

#[test]
fn each_key_is_listed_once_and_its_default_can_be_typed() {
    let keys = keys();
    for key in &keys {
        assert_eq!(keys.iter().filter(|other| other.path == key.path).count(), 1, "{}", key.path);
        assert!(!key.doc.is_empty() && !key.default.is_empty(), "{key:?}");
    }
    // Everything that has a literal default, typed over the smallest configuration, changes nothing.
    let bare = one_provider("    kind: openai\n", "");
    let plain = Case::yaml(&bare).config();
    for key in keys.iter().filter(|key| !key.path.starts_with("models") && !key.path.contains("].simulated")) {
        let described =
            ["(required)", "one a processor", "one, simulated", "none; prefill for anthropic and simulated"]
                .contains(&key.default.as_str());
        // A map where a word stands, and a key that is read before it.
        if described
            || key.path.ends_with("rewrite")
            || key.path.ends_with("base_url")
            || key.path.contains("auth.tls.")
        {
            continue;
        }
        let case = Case::yaml(&bare).set(&key.path.replace("[]", ".0"), &key.default);
        assert_eq!(case.config(), plain, "{}", key.path);
    }
}

#[test]
fn with_nothing_typed_one_simulated_provider_answers_to_any_name() {
    let config = load(&Sources::default()).unwrap();
    assert_eq!(config, Config::default());
    assert_eq!(config.providers.len(), 1);
    assert_eq!((&*config.providers[0].name, config.providers[0].kind), ("simulated", ProviderKind::Simulated));
    assert!(config.models.is_empty());
    assert_eq!(Case::yaml("").config(), config);
    assert_eq!(Case::yaml("providers:\nmodels:\n").config(), config);
    assert_eq!(Case::new("f.toml", "").config(), config);
}

#[test]
fn toml_and_yaml_that_say_the_same_mean_the_same() {
    let toml = "
[[providers]]
name = 'vllm'
base_url = 'http://127.0.0.1:8000/v1'
timeouts = { total = '20s' }
[[models]]
name = 'chat'
providers = [{ provider = 'vllm' }]
";
    let yaml =
        one_provider("    timeouts: {total: 20s}\n", "models:\n  - {name: chat, providers: [{provider: vllm}]}\n");
    assert_eq!(Case::new("f.toml", toml).config(), Case::yaml(&yaml).config());
    assert_eq!(Case::new("f.json", r#"{"fleet": {"name": "j"}}"#).config().fleet.name, "j");
}

#[test]
fn later_sources_win_and_touch_only_their_key() {
    let text = one_provider("    timeouts: {total: 20s, idle: 5s}\n", "fleet: {name: file}\n");
    let case = Case::yaml(&text)
        .variable("FUSEBOX_FLEET__NAME", "variable")
        .variable("FUSEBOX_PROVIDERS__0__TIMEOUTS__TOTAL", "21s")
        .variable("FUSEBOX_LISTEN__HTTP", "0.0.0.0:1")
        .set("listen.http", "0.0.0.0:2");
    let config = case.config();
    assert_eq!(config.fleet.name, "variable");
    assert_eq!(config.listen.http.to_string(), "0.0.0.0:2");
    let timeouts = &config.providers[0].timeouts;
    assert_eq!((timeouts.total, timeouts.idle), (Duration::from_secs(21), Duration::from_secs(5)));
}

#[test]
fn variables_alone_make_a_whole_configuration() {
    let sources = Sources {
        variables: [
            ("FUSEBOX_PROVIDERS__0__NAME", "a"),
            ("FUSEBOX_PROVIDERS__0__BASE_URL", "http://a:1/v1/"),
            ("FUSEBOX_PROVIDERS__1__NAME", "007"),
            ("FUSEBOX_PROVIDERS__1__BASE_URL", "http://b:1/v1"),
            ("FUSEBOX_MODELS", "[{name: chat, providers: [{provider: a}]}]"),
            ("FUSEBOX_FLEET__REDIS", ""),
            ("FUSEBOX_DEGRADATION__SIMPLIFIED_PROMPT", "{original_prompt}: be brief"),
            ("FUSEBOX_SERVICE_HOST", "10.0.0.1"),
            ("HOME", "/root"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into(),
        ..Sources::default()
    };
    let config = load(&sources).unwrap_or_else(|faults| panic!("{faults}"));
    let names: Vec<_> = config.providers.iter().map(|provider| &*provider.name).collect();
    assert_eq!(names, ["a", "007"]);
    assert_eq!(config.providers[0].base_url, "http://a:1/v1");
    assert_eq!(&*config.models[0].name, "chat");
    assert_eq!(config.fleet.redis, None);
    assert_eq!(config.degradation.simplified_prompt.as_deref(), Some("{original_prompt}: be brief"));
}

#[test]
fn all_faults_are_named_at_once_in_the_order_of_their_places() {
    let text = "\
fleet: {nmae: x}
providers:
  - name: a
    base_url: ftp://a
    timeout: 5s
  - name: a
    base_url: http://127.0.0.1:1/v1
    timeouts:
      total: 5x
      connect: 30
    retry: {jitter: 0.2}
models:
  - name: chat
    providers:
      - provider: b
degradation: {reduced_above: 0.95}
";
    let case = Case::yaml(text).variable("FUSEBOX_LISTEN_GRPC", "1").set("cache.mode", "of").set("nonsense", "1");
    assert_eq!(
        case.faults(),
        [
            "fleet.nmae: unknown key; did you mean `name`? (f.yaml, line 1)",
            "providers[0].base_url: is not an http:// or https:// URL; write one such as http://127.0.0.1:8000/v1 (f.yaml, line 4)",
            "providers[0].timeout: unknown key; did you mean `timeouts`? (f.yaml, line 5)",
            "providers[1].name: a is already the name of providers[0] (f.yaml, line 6)",
            "providers[1].timeouts.total: 5x is not a duration; write a number with a unit, such as 30s or 500ms (f.yaml, line 9)",
            "providers[1].timeouts.connect: 30 has no unit; write a number with a unit, such as 30s or 500ms (f.yaml, line 10)",
            "providers[1].retry.jitter: 0.2 is neither true nor false (f.yaml, line 11)",
            "models[0].providers[0].provider: b is not a name under providers (f.yaml, line 15)",
            "degradation.reduced_above: reduced_above (0.95) must be below minimal_above (0.9): quality is reduced before it is minimal (f.yaml, line 16)",
            "listen_grpc: unknown key; did you mean `FUSEBOX_LISTEN__GRPC`? (FUSEBOX_LISTEN_GRPC)",
            "cache.mode: of is not one of off, fallback, prefer; did you mean `off`? (--set)",
            "nonsense: unknown key; the keys here are fleet, listen, auth, telemetry, providers, models, retry_budget, limits, cache, idempotency, validation, context_overflow, content_filter, degradation, overload, run_budgets, health, streams, hedging, shutdown (--set)",
        ]
    );
}

/// A text, and what its only fault begins with.
#[rustfmt::skip]
const WRONG: &[(&str, &str)] = &[
    ("fleet: 5", "fleet: 5 is not a group of keys; its keys are name, redis, pod, node, zone"),
    ("fleet: {name: [a]}", "fleet.name: a list stands where text is meant"),
    ("fleet: {name: 5}", "fleet.name: 5 stands where text is meant; put it in quotes"),
    ("fleet: {name: a b}", "fleet.name: a b is not a name"),
    ("fleet: {name: ''}", "fleet.name: is empty"),
    ("fleet: {redis: http://r}", "fleet.redis: is not a URL that begins with redis://"),
    ("listen: {grpc: ':50051'}", "listen.grpc: :50051 is not an address; write an IP and a port"),
    ("listen: {http: 127.0.0.1:9090}", "listen.http: 127.0.0.1:9090 is also listen.admin"),
    ("listen: {workers: 0}", "listen.workers: 0 is less than 1, the least allowed"),
    ("auth: {tls: {cert_file: /proc/version}}", "auth.tls.key_file: is missing"),
    ("auth: {tokens_file: /}", "auth.tokens_file: / is not a file"),
    ("auth: {tokens_file: /no/such}", "auth.tokens_file: /no/such cannot be read: "),
    ("telemetry: {log: 'a=b=c=d'}", "telemetry.log: a=b=c=d is not a level or a filter"),
    ("telemetry: {log_format: xml}", "telemetry.log_format: xml is not one of text, json"),
    ("telemetry: {otlp_endpoint: 'http://a:99999'}", "telemetry.otlp_endpoint: has no host or a bad port"),
    ("providers: []", "providers: names nobody"),
    ("providers: {name: a}", "providers: a map is not a list; write each item under a dash"),
    ("providers: [{kind: simulated}]", "providers[0].name: is missing"),
    ("providers: [5]", "providers[0]: 5 is not a group of keys; its keys are name, kind, "),
    ("providers: [{name: a}]", "providers[0].base_url: is missing; write one such as http://127.0.0.1:8000/v1, or a key"),
    ("providers: [{name: a, kind: anthropic}]", "providers[0].base_url: is missing"),
    ("providers: [{name: a, kind: simulated, base_url: 'http://a'}]", "providers[0].base_url: is not for a provider of kind"),
    ("providers: [{name: a, base_url: 'http://a/v1?k=v'}]", "providers[0].base_url: has a query or a fragment"),
    ("providers: [{name: a, base_url: 'http://a/v1#x'}]", "providers[0].base_url: has a query or a fragment"),
    ("providers: [{name: a, base_url: 'http://'}]", "providers[0].base_url: "),
    ("providers: [{name: a, base_url: a/v1}]", "providers[0].base_url: is not a"),
    ("providers: [{name: a, base_url: 'http://a', simulated: {}}]", "providers[0].simulated: is for providers of kind simulated only"),
    ("providers: [{name: a, kind: simulated, priority: -1}]", "providers[0].priority: -1 is less than 0, the least allowed"),
    ("providers: [{name: a, kind: simulated, priority: 1.5}]", "providers[0].priority: 1.5 is not a whole number"),
    ("providers: [{name: a, kind: simulated, enabled: yes}]", "providers[0].enabled: yes is neither true nor false"),
    ("providers: [{name: a, kind: simulated, max_retries: 1}]", "providers[0].max_retries: unknown key; `providers[].retry.max_retries` is one"),
    ("providers: [{name: a, kind: simulated, timeouts: {connect: 40s}}]", "providers[0].timeouts.connect: 40s is longer than total, 30s"),
    ("providers: [{name: a, kind: simulated, timeouts: {total: 0}}]", "providers[0].timeouts.total: 0s is less than 1ms"),
    ("providers: [{name: a, kind: simulated, retry: {base_delay: 2m}}]", "providers[0].retry.base_delay: base_delay (2m) is longer than max_delay (1m)"),
    ("providers: [{name: a, kind: simulated, retry: {max_delay: 1ms}}]", "providers[0].retry.max_delay: base_delay (1s) is longer than max_delay (1ms)"),
    ("providers: [{name: a, kind: simulated, retry: {backoff_factor: 0.5}}]", "providers[0].retry.backoff_factor: 0.5 is less than 1"),
    ("providers: [{name: a, kind: simulated, breaker: {max_open_for: 1s}}]", "providers[0].breaker.max_open_for: open_for (1m) is longer"),
    ("providers: [{name: a, kind: simulated, breaker: {half_open_max_calls: 33}}]", "providers[0].breaker.half_open_max_calls: 33 is more than 32, the most allowed"),
    ("providers: [{name: a, kind: simulated, breaker: {failure_rate: 50%}}]", "providers[0].breaker.failure_rate: 50% is not a number"),
    ("providers: [{name: a, kind: simulated, simulated: {failure: shed}}]", "providers[0].simulated.failure: shed is not one of rate_limited, "),
    ("models: [{name: a}, {name: a}]", "models[1].name: a is already the name of models[0]"),
    ("models: [{name: a, providers: []}]", "models[0].providers: names nobody"),
    ("models: [{name: a, providers: [{provider: simulatde}]}]", "models[0].providers[0].provider: simulatde is not a name under providers; did you mean `simulated`?"),
    ("models: [{name: a, providers: [{provider: simulated}, {provider: simulated}]}]", "models[0].providers: names simulated twice"),
    ("models: [{name: 'a b'}]", "models[0].name: a b is not a model's name"),
    ("retry_budget: {ratio: 1.5}", "retry_budget.ratio: 1.5 is more than 1, the most allowed"),
    ("retry_budget: {ratio: .nan}", ""),
    ("idempotency: {ttl: 0s}", "idempotency.ttl: 0s is less than 1s"),
    ("cache: {capacity: 64 MiBs}", "cache.capacity: 64 MiBs is not a size"),
    ("limits: {max_body: 1}", "limits.max_body: 1 is less than 1KiB, the least allowed"),
    ("content_filter: rewrite", "content_filter: rewrite is not one of error, failover"),
    ("content_filter: {}", "content_filter.rewrite: is missing"),
    ("content_filter: {rewrite: x, retry: 1}", "content_filter.retry: unknown key; `providers[].retry` is one"),
    ("degradation: {minimal_above: 0.7}", "degradation.minimal_above: reduced_above (0.7) must be below"),
    ("degradation: {fallback_model: caht}\nmodels: [{name: chat}]", "degradation.fallback_model: caht is not a name under models; did you mean `chat`?"),
    ("degradation: {simplified_prompt: be brief}", "degradation.simplified_prompt: does not hold {original_prompt}"),
    ("degradation: {gpu: yes}", "degradation.gpu: "),
    ("degradation: {queue_full: 0}", "degradation.queue_full: 0 is less than 1, the least allowed"),
    ("overload: {min_limit: 9, max_limit: 8}", "overload.min_limit: min_limit (9) is more than max_limit (8)"),
    ("models: [{name: chat, smaller: chat}]", "models[0].smaller: chat is this model itself"),
    ("models: [{name: chat, smaller: smal}, {name: small}]", "models[0].smaller: smal is not a name under models; did you mean `small`?"),
    ("providers: [{name: a, base_url: 'http://a', metrics_url: on}]", "providers[0].metrics_url: is not an http"),
    ("- a", ": a list is not a group of keys"),
    ("a: [", "is not valid YAML: "),
    ("fleet: {name: a}\nfleet: {name: b}", "is not valid YAML: "),
];

#[test]
fn only_a_server_beside_the_sidecar_is_asked_for_its_queue_unbidden() {
    for (more, asked) in [
        ("", Some("http://127.0.0.1:8000/metrics")),
        ("    metrics_url: auto\n", Some("http://127.0.0.1:8000/metrics")),
        ("    scope: fleet\n", None),
        ("    metrics_url: off\n", None),
        ("    metrics_url: http://vllm.inference.svc:9000/stats\n", Some("http://vllm.inference.svc:9000/stats")),
    ] {
        let config = Case::yaml(&one_provider(more, "")).config();
        assert_eq!(config.providers[0].metrics_url.as_deref(), asked, "{more}");
    }
    for url in ["https://api.example/v1", "http://10.0.0.7:8000/v1"] {
        let config = Case::yaml(&format!("providers: [{{name: a, base_url: '{url}'}}]")).config();
        assert_eq!(config.providers[0].metrics_url, None, "{url}");
    }
    assert_eq!(Config::default().providers[0].metrics_url, None, "what is built in has no page");
}

#[test]
fn what_is_wrong_is_said_once_with_what_would_be_right() {
    for (text, begins) in WRONG {
        let faults = Case::yaml(text).faults();
        let begins = begins.trim_start_matches(": ");
        assert!(faults.len() == 1 && faults[0].starts_with(begins), "{text}\n{faults:#?}");
        assert!(faults[0].contains("(f.yaml"), "{text}\n{faults:#?}");
    }
}

#[test]
fn odd_files_are_faults_and_not_panics() {
    assert_eq!(Case::new("f.ini", "").faults(), ["is of no known format; name it .yaml, .yml, .json or .toml (f.ini)"]);
    assert_eq!(Case::yaml(&"#".repeat(2_000_000)).faults(), ["is larger than 1MiB (f.yaml)"]);
    assert!(Case::new("f.toml", "a = 1\na = 2").faults()[0].ends_with("(f.toml, line 2)"));
    let folder = Sources { file: Some("/".into()), ..Sources::default() };
    assert_eq!(load(&folder).unwrap_err().to_string(), "is not a file (/)");
    let missing = Sources { file: Some(Path::new("/no/such.yaml").into()), ..Sources::default() };
    assert!(load(&missing).unwrap_err().to_string().starts_with("cannot be read: "));
    let variable = Case::yaml("").variable("FUSEBOX_PROVIDERS__4__NAME", "a");
    assert_eq!(
        variable.faults()[0],
        "providers[4].name: names item 4 of a list of 0; items count from 0, and the next one is 0 (FUSEBOX_PROVIDERS__4__NAME)"
    );
}

#[test]
fn a_model_is_served_by_priority_then_as_typed() {
    let text = "
providers:
  - {name: late, kind: simulated, priority: 9}
  - {name: one, kind: simulated}
  - {name: two, kind: simulated}
models:
  - {name: all}
  - {name: some, providers: [{provider: late}, {provider: two}, {provider: one, model: m}]}
";
    let config = Case::yaml(text).config();
    let order = |model: usize| config.models[model].providers.iter().map(|served| served.provider).collect::<Vec<_>>();
    assert_eq!(order(0), [1, 2, 0]);
    assert_eq!(order(1), [2, 1, 0]);
}

#[test]
fn the_content_filters_instruction_is_read() {
    let filter = |text: &str| Case::yaml(text).config().content_filter;
    assert_eq!(filter("content_filter: {rewrite: be kind}"), ContentFilter::Rewrite("be kind".to_owned()));
    assert_eq!(filter("content_filter: failover"), ContentFilter::Failover);
    let variable = Case::yaml("content_filter: failover").variable("FUSEBOX_CONTENT_FILTER__REWRITE", "be kind");
    assert_eq!(variable.config().content_filter, ContentFilter::Rewrite("be kind".to_owned()));
}

#[test]
fn a_short_total_takes_the_default_of_connect_with_it() {
    let text = one_provider("    timeouts: {total: 500ms}\n", "");
    assert_eq!(Case::yaml(&text).config().providers[0].timeouts.connect, Duration::from_millis(500));
}

type Pairs = Vec<(String, String)>;

fn any_sources() -> impl Strategy<Value = (String, Pairs, Pairs)> {
    let word = prop_oneof![
        Just("providers"),
        Just("models"),
        Just("name"),
        Just("timeouts"),
        Just("total"),
        Just("0"),
        Just("9"),
        Just("listen"),
        Just("grpc"),
        Just("content_filter"),
        Just("rewrite"),
        Just("api_key_env"),
        Just("base_url"),
    ]
    .prop_map(str::to_owned);
    let key =
        proptest::collection::vec(prop_oneof![word.clone(), "\\PC{0,6}"], 0..12).prop_map(|steps| steps.join("."));
    let value =
        prop_oneof!["\\PC{0,20}", "-?[0-9]{1,40}(ms|s|h|MiB)?", Just("[{name: a}]".to_owned()), Just("[".to_owned())];
    let set = proptest::collection::vec((key, value), 0..6);
    let line = (0..4_usize, word, "[:=\\-]? ?", "\\PC{0,10}")
        .prop_map(|(indent, word, sign, rest)| format!("{}{word}{sign}{rest}\n", "  ".repeat(indent)));
    let text = proptest::collection::vec(line, 0..12).prop_map(|lines| lines.concat());
    (prop_oneof![text, "(\\PC|\n){0,60}"], set.clone(), set)
}

proptest! {
    #[test]
    fn no_input_makes_it_panic((text, variables, flags) in any_sources()) {
        for name in ["f.yaml", "f.toml"] {
            let mut case = Case::new(name, &text);
            for (key, value) in &variables {
                let name = format!("FUSEBOX_{}", key.replace('.', "__").to_ascii_uppercase());
                case = case.variable(&name, value);
            }
            for (key, value) in &flags {
                case = case.set(key, value);
            }
            match load(&case.sources) {
                Ok(config) => drop(advise(&config)),
                Err(faults) => prop_assert!(faults.iter().count() > 0 && !faults.to_string().is_empty()),
            }
        }
    }
}
