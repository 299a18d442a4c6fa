//! What a provider allows is the whole fleet's, and so are the retries that its calls pay for.

use std::time::{Duration, Instant};

use fusebox_proto::v1::GenerateRequest;
use fusebox_tests::{
    client::grpc::ask,
    provider::{Provider, act::tokens},
    redis::Server,
    sidecar::Config,
};
use futures_util::future::join_all;
use serde_json::{Value, json};

use super::{One, broken, fleet};
use crate::support::{Way, hello, ms};

/// How long what is leased may be used.
const LASTS: f64 = 4.0;
/// For what a test waits for.
const PATIENCE: Duration = Duration::from_secs(20);

/// A provider with these limits; calls wait for room.
fn limited(provider: &Provider, limits: &Value) -> Config {
    let waits = json!({"max_retries": 3, "base_delay": "10ms"});
    Config::one(provider).each(&json!({"rate_limit": limits, "retry": waits}))
}

fn shared(url: &str, provider: &Provider, limits: &Value) -> Config {
    limited(provider, limits).each(&json!({"scope": "fleet"})).with(json!({"fleet": {"redis": url}}))
}

/// Calls from many callers for so long; how many were answered, and how long that took in truth.
async fn flood(one: &One, span: Duration) -> (usize, Duration) {
    let began = Instant::now();
    let caller = async || {
        let mut good = 0;
        while began.elapsed() < span {
            let ended = one.doors.call_within(Way::HttpWhole, "chat", Some(ms(400))).await;
            match ended.kind() {
                "ok" => good += 1,
                // It waited for room for as long as its caller did.
                "rate_limited" | "inference_timeout" => {}
                kind => panic!("{kind}: {ended:#?}"),
            }
        }
        good
    };
    let good: Vec<usize> = join_all((0..8).map(|_| caller())).await;
    (good.iter().sum(), began.elapsed())
}

async fn floods(all: &[One], span: Duration) -> (Vec<usize>, f64) {
    let ended = join_all(all.iter().map(|one| flood(one, span))).await;
    let took = ended.iter().map(|(_, took)| *took).max().unwrap();
    (ended.into_iter().map(|(good, _)| good).collect(), took.as_secs_f64())
}

#[tokio::test]
async fn several_sidecars_together_send_no_more_than_the_provider_allows() {
    let (redis, provider) = (Server::start().await, Provider::start(tokens(1)).await);
    let all = fleet(4, |_| shared(&redis.url(), &provider, &json!({"requests_per_minute": 600}))).await;
    let (good, took) = floods(&all, ms(3_000)).await;
    let sum: usize = good.iter().sum();
    let (rate, burst) = (10.0, 60.0);
    // Each by itself would have sent four times as many.
    let most = rate * (took + LASTS) + 2.0 * burst;
    let sent = provider.calls();
    assert!((sent as f64) <= most, "{sent}: more than {most} in {took} s");
    // One that was let through may have come too late for its caller.
    assert!(sum <= sent && sent - sum <= 4, "{sum} of {sent}");
    assert!((sum as f64) >= burst + rate, "{good:?}: what was allowed was not used");
    assert!(good.iter().all(|good| *good > 0), "{good:?}: one has had nothing");
    let metrics = all[0].sidecar.metrics().await;
    let labels = [("provider", "a"), ("limit", "requests")];
    assert!(metrics.sum("fusebox_rate_limit_refusals_total", &labels) > 0.0);
    assert!(metrics.has("fusebox_rate_limit_left", &labels));
    assert!(!metrics.has("fusebox_rate_limit_left", &[("limit", "tokens")]), "they are not limited");
}

/// A call that is thought to use few tokens: all it may have is `tokens`.
async fn asks_for(one: &One, tokens: u64) -> String {
    let mut body = hello("chat", false);
    body["max_tokens"] = tokens.into();
    let request = GenerateRequest { model: "chat".to_owned(), ..ask("hello") };
    one.doors.ask(Way::HttpWhole, &body, &request).await.kind().to_owned()
}

#[tokio::test]
async fn tokens_count_as_the_provider_counted_them_and_not_as_they_were_thought_to() {
    // A thousand a second, and six thousand are saved up.
    let limits = json!({"tokens_per_minute": 60_000});
    let (redis, large) = (Server::start().await, Provider::start(tokens(993)).await);
    let once =
        |provider: &Provider| shared(&redis.url(), provider, &limits).each(&json!({"retry": {"max_retries": 0}}));
    let all = fleet(2, |_| once(&large)).await;
    let began = Instant::now();
    let mut good = 0;
    // Thought to be some ten tokens each, they are a thousand.
    for _ in 0..40 {
        for one in &all {
            good += usize::from(asks_for(one, 1).await == "ok");
        }
    }
    let most = 6.0 + (began.elapsed().as_secs_f64() + LASTS) + 6.0 + 2.0;
    assert!(good >= 3 && good as f64 <= most, "{good} calls of a thousand tokens each, and at most {most}");
    drop(all);

    let small = Provider::start(tokens(1)).await;
    redis.flush().await;
    let all = fleet(2, |_| shared(&redis.url(), &small, &limits)).await;
    // Thought to be nearly all that is saved up, they are eight tokens.
    for _ in 0..4 {
        for one in &all {
            assert_eq!(asks_for(one, 2_900).await, "ok");
        }
    }
}

#[tokio::test]
async fn what_the_provider_tells_one_sidecar_of_its_limit_holds_back_another() {
    let spent = tokens(1).header("x-ratelimit-remaining-requests", "0").header("x-ratelimit-reset-requests", "60s");
    let (redis, provider) = (Server::start().await, Provider::start(spent.then(tokens(1))).await);
    let limits = json!({"requests_per_minute": 600});
    let once = || shared(&redis.url(), &provider, &limits).each(&json!({"retry": {"max_retries": 0}}));
    let all = fleet(2, |_| once()).await;
    let bucket = async || {
        let keys: Vec<String> = redis.query(&["KEYS", "*:share:requests"]).await;
        let [key] = keys.as_slice() else { return None };
        Some(redis.query::<f64>(&["HGET", key, "balance"]).await / 60_000.0)
    };
    // Both know the bucket as a full one.
    let began = Instant::now();
    while bucket().await.is_none_or(|units| units < 59.0) {
        assert!(began.elapsed() < PATIENCE, "the bucket was not filled");
    }
    all[0].call().await.good();
    while bucket().await.is_none_or(|units| units > 20.0) {
        assert!(began.elapsed() < PATIENCE, "the others have not been told");
    }
    let mut good = 0;
    while all[1].call().await.kind() == "ok" {
        good += 1;
    }
    assert!(good < 40, "{good} calls, as if the provider had said nothing");
    let ended = all[1].call().await;
    assert!(ended.kind() == "ok" || ended.failed().wait.is_some(), "{ended:#?}");
}

#[tokio::test]
async fn without_redis_each_keeps_to_its_part_of_the_limit() {
    let (mut redis, provider) = (Server::start().await, Provider::start(tokens(1)).await);
    // Ten a second and sixty saved up for each of the two.
    let all = fleet(2, |_| shared(&redis.url(), &provider, &json!({"requests_per_minute": 1_200}))).await;
    redis.kill();
    for one in &all {
        one.status_until("cut off", |status| status["fleet"]["connected"] == false).await;
    }
    let (good, took) = floods(&all, ms(2_000)).await;
    // And one on credit, before it knew.
    let most = 60.0 + 10.0 * took + 2.0;
    for good in good {
        assert!((good as f64) <= most && good > 60, "{good} calls in {took} s, and at most {most}");
    }
}

/// A provider that is asked twice; each call pays for `ratio` of a retry.
fn retried(url: &str, provider: &Provider, ratio: f64) -> Config {
    let retry = json!({"max_retries": 1, "base_delay": "0s"});
    Config::one(provider)
        .each(&json!({"scope": "fleet", "retry": retry}))
        .with(json!({"fleet": {"redis": url}, "retry_budget": {"ratio": ratio, "minimum_per_second": 0.0}}))
}

#[tokio::test]
async fn a_sidecar_whose_calls_all_fail_spends_what_others_paid_in() {
    let (redis, good, bad) = (Server::start().await, Provider::start(tokens(1)).await, Provider::start(broken()).await);
    let all = fleet(2, |number| retried(&redis.url(), if number == 0 { &bad } else { &good }, 0.5)).await;
    for _ in 0..80 {
        all[1].call().await.good();
    }
    let (began, mut calls) = (Instant::now(), 0);
    loop {
        assert_eq!(all[0].call().await.kind(), "provider_error");
        calls += 1;
        let retries = bad.calls() - calls;
        // With what its own calls pay for it could retry one in two.
        if retries >= calls / 2 + 15 {
            break;
        }
        assert!(began.elapsed() < PATIENCE, "{retries} retries of {calls} calls");
    }
}

#[tokio::test]
async fn a_fleet_whose_calls_all_fail_retries_no_more_than_they_pay_for() {
    let (redis, provider) = (Server::start().await, Provider::start(broken()).await);
    let all = fleet(3, |_| retried(&redis.url(), &provider, 0.2)).await;
    for _ in 0..50 {
        let ended = join_all(all.iter().map(One::call)).await;
        assert!(ended.iter().all(|ended| ended.kind() == "provider_error"), "{ended:#?}");
    }
    let (calls, retries) = (150, provider.calls() - 150);
    // Each may have one on credit.
    assert!(retries <= calls / 5 + 3, "{retries} retries of {calls} calls");
    assert!(retries >= calls / 10, "{retries} retries of {calls} calls: what was paid for was refused");
}

#[tokio::test]
async fn one_sidecar_alone_keeps_to_the_limit_through_both_doors() {
    let provider = Provider::start(tokens(1)).await;
    // One in one and a half seconds, and four are saved up.
    let config = limited(&provider, &json!({"requests_per_minute": 40})).each(&json!({"retry": {"max_retries": 0}}));
    let one = One::start(config).await;
    let began = Instant::now();
    let mut refused = 0;
    for _ in 0..4 {
        for way in Way::ALL {
            let ended = one.doors.call(way, "chat").await;
            if ended.kind() == "ok" {
                continue;
            }
            let problem = ended.failed();
            assert_eq!(problem.kind, "rate_limited", "{way:?}");
            assert_eq!(problem.http.unwrap_or(429), 429, "{way:?}");
            assert!(problem.retryable && problem.message.contains("requests a minute"), "{problem:?}");
            assert!(problem.wait.is_some_and(|wait| wait <= ms(1_600)), "{problem:?}");
            assert_eq!(ended.attempts, 0, "{way:?}: nobody was asked");
            refused += 1;
        }
    }
    let most = 4.0 + began.elapsed().as_secs_f64() / 1.5;
    assert!(provider.calls() >= 4 && provider.calls() as f64 <= most, "{} calls, and at most {most}", provider.calls());
    assert_eq!(refused + provider.calls(), 16);
    let metrics = one.sidecar.metrics().await;
    assert_eq!(metrics.sum("fusebox_rate_limit_refusals_total", &[("provider", "a")]), refused as f64);
    let status = one.sidecar.admin().get("/status").send().await.json();
    let limit = &status["providers"][0]["rate_limits"][0];
    assert_eq!((&limit["limit"], &limit["per_minute"]), (&json!("requests"), &json!(40)), "{status:#}");
    assert_eq!(status["providers"][0]["breaker"], "closed");
}

#[tokio::test]
async fn a_call_that_the_limit_has_no_room_for_goes_to_another_provider_or_waits() {
    let (limited_one, other) = (Provider::start(tokens(1)).await, Provider::start(tokens(1)).await);
    let limits = json!({"rate_limit": {"requests_per_minute": 10}});
    let config = Config::new().provider_with("limited", &limited_one.base_url(), limits).provider("other", &other);
    let one = One::start(config).await;
    assert_eq!(one.call().await.provider, "limited");
    for way in Way::ALL {
        let ended = one.doors.call(way, "chat").await;
        ended.good();
        assert_eq!((&*ended.provider, &*ended.source), ("other", "fallback"), "{way:?}");
    }
    assert_eq!((limited_one.calls(), other.calls()), (1, 4));

    let alone = Provider::start(tokens(1)).await;
    // One in a fifth of a second, and thirty are saved up.
    let one = One::start(limited(&alone, &json!({"requests_per_minute": 300}))).await;
    let ended = join_all((0..34).map(|_| one.call())).await;
    for ended in &ended {
        ended.good();
    }
    let longest = ended.iter().map(|ended| ended.took).max().unwrap();
    assert!(longest >= ms(500), "the last four had to wait, and none took more than {longest:?}");
}

#[tokio::test]
async fn what_the_provider_says_is_left_holds_for_one_alone_too() {
    let spent = tokens(1).header("anthropic-ratelimit-requests-remaining", "0");
    let provider = Provider::start(spent.header("anthropic-ratelimit-requests-reset", "30s")).await;
    let config = limited(&provider, &json!({"requests_per_minute": 40})).each(&json!({"retry": {"max_retries": 0}}));
    let one = One::start(config).await;
    let began = Instant::now();
    one.call().await.good();
    let ended = one.call().await;
    // Three more were saved up.
    assert!(ended.kind() == "rate_limited" || began.elapsed() > ms(1_400), "{ended:#?}");
}
