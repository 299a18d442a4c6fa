use fusebox_base::testing::page::Page;
use fusebox_rules::fleet::bucket::Unit;

use super::*;
use crate::{
    call::outcome::Source,
    chat::answer::Usage,
    config::{ProviderKind, Scope},
    error::ErrorKind,
    telemetry::{BreakerState, Transition, fixture::provider},
};

/// The contract's names.
const CONTRACT: [&str; 17] = [
    "fusebox_calls_total",
    "fusebox_call_duration_seconds",
    "fusebox_first_token_seconds",
    "fusebox_attempts_total",
    "fusebox_attempt_duration_seconds",
    "fusebox_retries_total",
    "fusebox_breaker_state",
    "fusebox_breaker_transitions_total",
    "fusebox_overhead_seconds",
    "fusebox_degradation_level",
    "fusebox_cache_requests_total",
    "fusebox_fleet_sync_seconds",
    "fusebox_fleet_connected",
    "fusebox_in_flight",
    "fusebox_shed_total",
    "fusebox_tokens_total",
    "fusebox_cost_total",
];

#[test]
fn the_page_is_well_formed_and_holds_every_name_of_the_contract_before_the_first_call() {
    let page = Page::read(&Metrics::new(4).render(Format::default(), None, &[]));
    for name in CONTRACT {
        assert!(page.families.contains_key(name), "{name}");
    }
    for name in ["process_start_time_seconds", "fusebox_connections"] {
        assert!(page.families.contains_key(name), "{name}");
    }
    assert_eq!(page.value(&format!("fusebox_build_info{{version=\"{}\"}}", env!("CARGO_PKG_VERSION"))), Some(1.0));
}

#[test]
fn calls_that_a_limit_had_no_room_for_are_counted_by_provider_and_limit() {
    let metrics = Metrics::new(2);
    let cloud = metrics.provider(&"cloud".into());
    (0..3).for_each(|_| cloud.held_back(Unit::Tokens));
    cloud.held_back(Unit::Requests);
    let limit = |provider: &str, limit| ProviderLimit { provider: provider.into(), limit, left: 7 };
    metrics.limits.set(vec![limit("cloud", "tokens"), limit("vllm", "requests")]);
    let page = Page::read(&metrics.render(Format::default(), None, &[]));
    let value = |name: &str, labels| page.value(&format!("fusebox_rate_limit_{name}{{{labels}}}"));
    assert_eq!(value("refusals_total", "provider=\"cloud\",limit=\"tokens\""), Some(3.0));
    assert_eq!(value("refusals_total", "provider=\"vllm\",limit=\"requests\""), Some(0.0));
    assert_eq!(value("refusals_total", "provider=\"cloud\",limit=\"requests\""), None, "it is not limited");
    assert_eq!(value("left", "provider=\"cloud\",limit=\"tokens\""), Some(7.0));
}

#[test]
fn a_name_that_would_break_the_page_is_escaped() {
    let metrics = Metrics::new(1);
    metrics.model(&"a\"b\\c\nd}e".into()).call(Some(Source::Primary), None);
    let page = Page::read(&metrics.render(Format::default(), Some(Spans { ended: 1, ..Spans::default() }), &[]));
    let series = "fusebox_calls_total{model=\"a\\\"b\\\\c\\nd}e\",source=\"primary\",kind=\"ok\"}";
    assert_eq!(page.value(series), Some(1.0));
}

#[test]
fn every_kind_and_source_has_a_series_of_its_own() {
    let metrics = Metrics::new(2);
    let (model, cloud) = (metrics.model(&"chat".into()), metrics.provider(&"cloud".into()));
    for (index, kind) in ErrorKind::ALL.into_iter().enumerate() {
        for _ in 0..=index {
            model.call(Some(Source::Fallback), Some(kind));
            cloud.attempt(Some(kind), Duration::from_millis(1), None);
            cloud.retry(kind);
        }
    }
    let page = Page::read(&metrics.render(Format::default(), None, &[]));
    for (index, kind) in ErrorKind::ALL.into_iter().enumerate() {
        let expected = Some(index as f64 + 1.0);
        for series in [
            format!("fusebox_calls_total{{model=\"chat\",source=\"fallback\",kind=\"{kind}\"}}"),
            format!("fusebox_attempts_total{{provider=\"cloud\",kind=\"{kind}\"}}"),
            format!("fusebox_retries_total{{provider=\"cloud\",reason=\"{kind}\"}}"),
        ] {
            assert_eq!(page.value(&series), expected, "{series}");
        }
    }
}

#[test]
fn totals_are_sums_over_all_models_and_providers() {
    let metrics = Metrics::new(2);
    assert_eq!(metrics.totals(), Totals::default());
    let (chat, other) = (metrics.model(&"chat".into()), metrics.other_model());
    let calls = [
        (Some(Source::Primary), None),
        (Some(Source::Primary), None),
        (Some(Source::Cache), None),
        (Some(Source::Primary), Some(ErrorKind::StreamBroken)),
        (None, Some(ErrorKind::Cancelled)),
    ];
    for (source, kind) in calls {
        chat.call(source, kind);
        std::thread::scope(|scope| drop(scope.spawn(|| other.call(source, kind))));
    }
    for provider in [metrics.provider(&"cloud".into()), metrics.other_provider()] {
        provider.used(Usage { input_tokens: 7, output_tokens: 3 }, 0.5);
    }
    let totals = metrics.totals();
    assert_eq!((totals.calls, totals.errors, totals.input_tokens, totals.output_tokens), (10, 4, 14, 6));
    assert_eq!(totals.answers, [("primary", 4), ("cache", 2)].into());
    assert!((totals.cost - 0.01).abs() < 1e-9, "{totals:?}");
}

#[test]
fn names_that_come_and_go_are_counted_by_name_up_to_a_bound() {
    let metrics = Metrics::new(1);
    for index in 0..5_000 {
        metrics.model(&format!("model-{index}").into()).call(None, Some(ErrorKind::ModelNotFound));
        metrics.provider(&format!("provider-{index}").into()).attempt(None, Duration::ZERO, None);
    }
    let page = Page::read(&metrics.render(Format::default(), None, &[]));
    let failed = page.series("fusebox_calls_total").into_iter().filter(|series| series.contains("model_not_found"));
    assert_eq!(failed.count(), MAX_MODELS + 1);
    assert_eq!(page.series("fusebox_attempts_total").len(), MAX_PROVIDERS + 1);
    assert_eq!(page.value("fusebox_attempts_total{provider=\"other\",kind=\"ok\"}"), Some(5_000.0 - 256.0));
}

#[test]
fn a_reload_keeps_counts_and_takes_the_breakers_of_those_who_left() {
    let metrics = Metrics::new(1);
    let [a, b] = ["a", "b"].map(|name| provider(name, ProviderKind::OpenAi, "", Scope::Pod));
    metrics.set_live(&[Arc::clone(&a), Arc::clone(&b)]);
    metrics.provider(&a.name).attempt(None, Duration::ZERO, None);
    let open = Transition { from: BreakerState::Closed, to: BreakerState::Open, reason: "failures in a row" };
    metrics.provider(&a.name).transition(open);
    metrics.provider(&b.name).transition(open);
    metrics.set_live(&[Arc::clone(&b)]);

    let page = Page::read(&metrics.render(Format::default(), None, &[]));
    assert_eq!(page.value("fusebox_attempts_total{provider=\"a\",kind=\"ok\"}"), Some(1.0));
    assert_eq!(page.series("fusebox_breaker_state"), ["fusebox_breaker_state{provider=\"b\",scope=\"pod\"}"]);
    assert_eq!(page.value("fusebox_breaker_state{provider=\"b\",scope=\"pod\"}"), Some(2.0));
    let moved = "fusebox_breaker_transitions_total{provider=\"b\",from=\"closed\",to=\"open\"}";
    assert_eq!(page.value(moved), Some(1.0));
}

#[test]
fn levels_that_rise_on_one_thread_and_fall_on_another_come_back_to_nothing() {
    let metrics = Metrics::new(8);
    for _ in 0..100 {
        metrics.call_began();
        metrics.connections(Door::Grpc, 1);
    }
    assert_eq!(metrics.in_flight(), 100);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..25 {
                    metrics.call_left();
                    metrics.connections(Door::Grpc, -1);
                }
            });
        }
    });
    let page = Page::read(&metrics.render(Format::default(), None, &[]));
    assert_eq!(page.value("fusebox_in_flight"), Some(0.0));
    assert_eq!(page.value("fusebox_connections{door=\"grpc\"}"), Some(0.0));
}
