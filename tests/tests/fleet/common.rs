//! What calls share across sidecars: the budgets of agent runs, calls under one key, answers.

use std::{
    io::Write as _,
    time::{Duration, Instant},
};

use fusebox_tests::{
    client::Metrics,
    provider::{
        Provider,
        act::{Act, json as answer, tokens},
    },
    redis::Server,
    sidecar::{Config, Sidecar},
};
use futures_util::future::join_all;
use serde_json::{Value, json};
use tempfile::NamedTempFile;

use super::{One, fleet};
use crate::{
    options::{Ask, Told, ask},
    runs::Agent,
    support::{Way, ms},
};

const SECRET: &str = "a secret of sixteen and more letters";

fn secret() -> NamedTempFile {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(SECRET.replace(' ', "-").as_bytes()).unwrap();
    file
}

fn at(redis: &Server, provider: &Provider, changes: Value) -> Config {
    Config::one(provider).with(json!({"fleet": {"redis": redis.url()}})).with(changes)
}

/// With calls under a key, and answers, shared.
fn sharing(redis: &Server, provider: &Provider, file: &NamedTempFile, mode: &str) -> Config {
    let cache = json!({"mode": mode, "shared": mode != "off"});
    let secret = json!({"secret_file": file.path()});
    at(redis, provider, json!({"fleet": secret, "idempotency": {"shared": true}, "cache": cache}))
}

/// What the store knows of a run, once so many calls and tokens have been told.
async fn until_told(redis: &Server, run: &str, calls: u64, tokens: u64) {
    let key = format!("fb1:{{default/run/{run}}}:parts");
    let began = Instant::now();
    loop {
        let told: Vec<Option<u64>> = redis.query(&["HMGET", &key, "calls", "tokens"]).await;
        if told == [Some(calls), Some(tokens)] {
            return;
        }
        assert!(began.elapsed() < Duration::from_secs(20), "{key}: {told:?}");
        tokio::time::sleep(ms(5)).await;
    }
}

/// Waits until so many keys of this kind are in the store.
async fn until_kept(redis: &Server, kind: &str, count: usize) {
    let began = Instant::now();
    loop {
        let keys: Vec<String> = redis.query(&["KEYS", &format!("*/{kind}/*")]).await;
        if keys.len() == count {
            return;
        }
        assert!(began.elapsed() < Duration::from_secs(20), "{keys:?}");
        tokio::time::sleep(ms(5)).await;
    }
}

async fn sum(one: &One, name: &str, result: &str) -> f64 {
    one.sidecar.metrics().await.sum(name, &[("result", result)])
}

#[tokio::test]
async fn what_a_run_spent_at_one_sidecar_is_refused_at_another() {
    let (redis, provider) = (Server::start().await, Provider::start(tokens(3)).await);
    for (budgets, measure, value) in [
        (json!({"max_calls": 2}), "calls", "2 of 2"),
        // Seven of the prompt and three of the answer.
        (json!({"max_tokens": 15}), "tokens", "20 of 15"),
    ] {
        redis.flush().await;
        let all = fleet(2, |_| at(&redis, &provider, json!({"run_budgets": budgets}))).await;
        let late = async || sum(&all[1], "fusebox_run_exchanges_total", "unanswered").await;
        for way in Way::ALL {
            // A call goes on without an answer that comes late: on a machine that stands still, another run is tried.
            for left in (0..5).rev() {
                let (before, name) = (late().await, format!("{measure}-{left}"));
                let agents = all.iter().map(|one| Agent::new(&one.doors, way, &name)).collect::<Vec<_>>();
                agents[0].turn().await.good(way);
                agents[0].turn().await.good(way);
                until_told(&redis, &agents[0].run, 2, 20).await;
                let asked = provider.calls();
                let turns = [agents[0].turn().await, agents[1].turn().await];
                if left > 0 && late().await > before {
                    continue;
                }
                turns.iter().for_each(|turn| turn.spent(way, measure, value));
                assert_eq!(provider.calls(), asked, "{way:?}");
                break;
            }
            Agent::new(&all[1].doors, way, "other").turn().await.good(way);
        }
        assert!(sum(&all[1], "fusebox_run_exchanges_total", "looked").await >= 4.0);
    }
}

#[tokio::test]
async fn a_run_outlives_the_sidecar_that_it_began_at_and_a_store_that_lost_it() {
    let (mut redis, provider) = (Server::start().await, Provider::start(tokens(3)).await);
    let config = |redis: &Server| at(redis, &provider, json!({"run_budgets": {"max_calls": 2}}));
    let mut all = fleet(2, |_| config(&redis)).await;
    let way = Way::HttpWhole;
    let run = Agent::new(&all[0].doors, way, "run").run;
    for (one, calls) in all.iter().zip(1..) {
        Agent::new(&one.doors, way, "run").turn().await.good(way);
        until_told(&redis, &run, calls, 10 * calls).await;
    }
    let mut gone = all.remove(0);
    gone.sidecar.signal("TERM").await;
    assert!(gone.sidecar.ended().await.success());
    Agent::new(&all[0].doors, way, "run").turn().await.spent(way, "calls", "2 of 2");
    redis.kill();
    redis.restart().await;
    // What is left tells its own part again.
    until_told(&redis, &run, 1, 10).await;
    Agent::new(&all[0].doors, way, "run").turn().await.spent(way, "calls", "2 of 2");
}

#[tokio::test]
async fn calls_of_a_run_at_two_sidecars_at_once_overrun_it_by_no_more_than_is_said() {
    const MOST: usize = 20;
    // Three paces, a fifth more by chance, and what a busy machine adds.
    const UNHEARD: Duration = Duration::from_millis(360 + 240);
    let (redis, provider) = (Server::start().await, Provider::start(tokens(1)).await);
    let all = fleet(2, |_| at(&redis, &provider, json!({"run_budgets": {"max_calls": MOST}}))).await;
    let began = Instant::now();
    let hammer = async |one: &One| {
        let mut granted = Vec::new();
        while began.elapsed() < Duration::from_secs(4) {
            let (agent, at) = (Agent::new(&one.doors, Way::HttpWhole, "run"), Instant::now());
            if agent.turn().await.kind == "ok" {
                granted.push(at);
            }
            tokio::time::sleep(ms(60)).await;
        }
        granted
    };
    let (one, other) = tokio::join!(hammer(&all[0]), hammer(&all[1]));
    let spent = one.len() + other.len();
    assert_eq!(provider.calls(), spent);
    assert!(spent >= MOST, "{spent}");
    // Whoever granted the last call had not heard of what the other began within that time before it.
    let (late, early) = if one.last() > other.last() { (&one, &other) } else { (&other, &one) };
    let last = *late.last().unwrap();
    let unheard = early.iter().filter(|at| last.saturating_duration_since(**at) <= UNHEARD).count();
    assert!(spent <= MOST + unheard, "{spent} calls, of which {unheard} could not be known");
    for one in &all {
        Agent::new(&one.doors, Way::HttpWhole, "run").turn().await.spent(
            Way::HttpWhole,
            "calls",
            &format!("{spent} of {MOST}"),
        );
    }
}

/// Claims that the store did not answer in time.
async fn late(all: &[One]) -> f64 {
    sum(&all[0], "fusebox_claims_total", "unanswered").await + sum(&all[1], "fusebox_claims_total", "unanswered").await
}

#[tokio::test]
async fn a_call_under_one_key_at_two_sidecars_is_one_call_at_the_provider() {
    // A call goes on without an answer that comes late: on a machine that stands still, all is tried anew.
    'anew: for left in (0..5).rev() {
        let (redis, file) = (Server::start().await, secret());
        let provider = Provider::start(tokens(3).after(ms(300))).await;
        let all = fleet(2, |_| sharing(&redis, &provider, &file, "off")).await;
        for (number, way) in Way::ALL.into_iter().enumerate() {
            let key = ["order-0", "order-1", "order-2", "order-3"][number];
            let how = Ask { key: Some(key), ..Ask::default() };
            let told: Vec<Told> = join_all([0, 1, 0, 1].map(|place| ask(&all[place].doors, way, &how))).await;
            if left > 0 && late(&all).await > 0.0 {
                continue 'anew;
            }
            assert_eq!(provider.calls(), number + 1, "{way:?} {told:#?}");
            let text = format!("{number}:0 {number}:1 {number}:2 ");
            assert!(told.iter().all(|one| (&one.text, &one.id) == (&text, &told[0].id)), "{told:#?}");
            for one in &all {
                let again = ask(&one.doors, way, &how).await;
                let other = ask(&one.doors, way, &Ask { prompt: "something else", ..how.clone() }).await;
                if left > 0 && late(&all).await > 0.0 {
                    continue 'anew;
                }
                assert_eq!(again.how(), (&*text, "cache", "full"), "{way:?}");
                assert_eq!((&again.id, &again.finish, again.output_tokens), (&told[0].id, &told[0].finish, Some(3)));
                assert_eq!(other.kind, "invalid_input", "{way:?}");
            }
            assert_eq!(provider.calls(), number + 1, "{way:?}");
        }
        let mine =
            sum(&all[0], "fusebox_claims_total", "mine").await + sum(&all[1], "fusebox_claims_total", "mine").await;
        assert_eq!(mine, 4.0);
        // A key is its holder's own.
        let how = Ask { key: Some("order-0"), token: Some("another"), ..Ask::default() };
        assert_eq!(ask(&all[1].doors, Way::HttpWhole, &how).await.source, "primary");
        break;
    }
}

#[tokio::test]
async fn a_key_in_use_elsewhere_for_another_question_is_refused_while_that_is_under_way() {
    let (redis, file) = (Server::start().await, secret());
    let provider = Provider::start(tokens(1).after(ms(800))).await;
    let all = fleet(2, |_| sharing(&redis, &provider, &file, "off")).await;
    let how = Ask { key: Some("order"), ..Ask::default() };
    let other = Ask { prompt: "something else", ..how.clone() };
    let second = async {
        provider.saw(1).await;
        ask(&all[1].doors, Way::HttpWhole, &other).await
    };
    let (first, second) = tokio::join!(ask(&all[0].doors, Way::HttpWhole, &how), second);
    assert_eq!((&*first.kind, &*second.kind, provider.calls()), ("ok", "invalid_input", 1));
}

#[tokio::test]
async fn a_call_that_failed_or_whose_caller_left_is_made_anew_elsewhere() {
    let (redis, file) = (Server::start().await, secret());
    let slow = || tokens(1).after(Duration::from_secs(4));
    let script = answer(500, &json!({})).then(tokens(1)).then(slow()).then(tokens(1));
    let provider = Provider::start(script).await;
    let all = fleet(2, |_| sharing(&redis, &provider, &file, "off")).await;
    let how = Ask { key: Some("order-1"), ..Ask::default() };
    assert_eq!(ask(&all[0].doors, Way::HttpWhole, &how).await.kind, "provider_error");
    until_kept(&redis, "claim", 0).await;
    assert_eq!(ask(&all[1].doors, Way::HttpWhole, &how).await.how().1, "primary");
    let how = Ask { key: Some("order-2"), ..Ask::default() };
    let mut left = Box::pin(ask(&all[0].doors, Way::HttpWhole, &how));
    tokio::select! { biased; _ = &mut left => panic!("answered too soon"), _ = provider.saw(3) => {} }
    drop(left);
    let began = Instant::now();
    assert_eq!(ask(&all[1].doors, Way::HttpWhole, &how).await.kind, "ok");
    assert!(began.elapsed() < Duration::from_secs(4), "it waited for a call that nobody makes");
    assert_eq!(provider.calls(), 4);
}

#[tokio::test]
async fn an_answer_made_at_one_sidecar_is_recalled_at_another_for_the_same_holder_only() {
    let (redis, file) = (Server::start().await, secret());
    for (number, way) in Way::ALL.into_iter().enumerate() {
        redis.flush().await;
        let provider = Provider::start(tokens(3)).await;
        let all = fleet(2, |_| sharing(&redis, &provider, &file, "prefer")).await;
        let how = |token| Ask { token: Some(token), ..Ask::default() };
        let made = ask(&all[0].doors, way, &how("a")).await;
        assert_eq!(made.how().1, "primary");
        until_kept(&redis, "cache", 1).await;
        let told = ask(&all[1].doors, way, &how("a")).await;
        assert_eq!(told.how(), (&*made.text, "cache", "cached"), "{number} {way:?}");
        assert_eq!((&told.id, &told.finish, &told.provider), (&made.id, &made.finish, &made.provider));
        assert_eq!(told.age.is_some(), matches!(way, Way::HttpWhole | Way::HttpStream), "{told:?}");
        assert_eq!(ask(&all[1].doors, way, &how("b")).await.how().1, "primary", "{way:?}");
        assert_eq!(provider.calls(), 2, "{way:?}");
        // By now it is remembered here.
        ask(&all[1].doors, way, &how("a")).await.how();
        assert_eq!(sum(&all[1], "fusebox_cache_requests_total", "fleet_hit").await, 1.0);
        assert_eq!(sum(&all[1], "fusebox_cache_requests_total", "fleet_miss").await, 1.0);
        assert_eq!(sum(&all[0], "fusebox_cache_requests_total", "fleet_stored").await, 1.0);
        let shares = &all[1].sidecar.admin().get("/status").send().await.json()["fleet"]["shares"];
        assert_eq!([&shares["cache"]["fleet_hit"], &shares["cache"]["fleet_miss"]], [1, 1]);
        assert_eq!([&shares["claims"]["mine"], &shares["runs"]["looked"], &shares["waiting"]], [0, 0, 0]);
    }
}

#[tokio::test]
async fn an_answer_made_at_one_sidecar_stands_in_at_another_whose_providers_have_failed() {
    let down: Act = answer(500, &json!({"error": {"message": "down"}}));
    let (redis, file) = (Server::start().await, secret());
    let provider = Provider::start(tokens(3).times(1, down)).await;
    let all = fleet(2, |_| sharing(&redis, &provider, &file, "fallback")).await;
    let made = ask(&all[0].doors, Way::HttpWhole, &Ask::default()).await;
    until_kept(&redis, "cache", 1).await;
    let told = ask(&all[1].doors, Way::HttpWhole, &Ask::default()).await;
    assert_eq!(told.how(), (&*made.text, "cache", "cached"));
    // Another configuration means another model by the name, and another secret another fleet.
    let served = json!([{"provider": "a", "model": "another"}]);
    let other =
        sharing(&redis, &provider, &file, "fallback").with(json!({"models": [{"name": "chat", "providers": served}]}));
    let other = One::start(other).await;
    other.status_until("connected", |status| status["fleet"]["connected"] == true).await;
    assert_eq!(ask(&other.doors, Way::HttpWhole, &Ask::default()).await.kind, "provider_error");
    let stranger = NamedTempFile::new().unwrap();
    stranger.as_file().write_all(b"some-other-secret-of-theirs").unwrap();
    let stranger = One::start(sharing(&redis, &provider, &stranger, "fallback")).await;
    stranger.status_until("connected", |status| status["fleet"]["connected"] == true).await;
    assert_eq!(ask(&stranger.doors, Way::HttpWhole, &Ask::default()).await.kind, "provider_error");
}

#[tokio::test]
async fn nothing_in_the_store_tells_a_question_a_key_or_a_token() {
    let (redis, provider, file) = (Server::start().await, Provider::start(tokens(1)).await, secret());
    let one = One::start(sharing(&redis, &provider, &file, "prefer")).await;
    one.status_until("connected", |status| status["fleet"]["connected"] == true).await;
    let how = Ask { key: Some("order-77"), token: Some("letmein"), prompt: "where is the treasure", ..Ask::default() };
    ask(&one.doors, Way::HttpWhole, &how).await.how();
    until_kept(&redis, "claim", 1).await;
    until_kept(&redis, "cache", 1).await;
    let keys: Vec<String> = redis.query(&["KEYS", "*"]).await;
    let mut all = keys.join("\n");
    for key in &keys {
        let dumped: Vec<u8> = redis.query(&["DUMP", key]).await;
        all.push_str(&String::from_utf8_lossy(&dumped));
    }
    for word in ["treasure", "order-77", "letmein", "secret-of"] {
        assert!(!all.contains(word), "{word}");
    }
}

#[tokio::test]
async fn with_redis_frozen_every_call_is_answered_and_waits_no_longer_than_is_said() {
    let (redis, file) = (Server::start().await, secret());
    let provider = Provider::start(tokens(1)).await;
    let one = fleet(1, |_| sharing(&redis, &provider, &file, "prefer")).await.remove(0);
    let took = async |number: usize, kind: &str| {
        // All that asks the store at once: a run that is not known, a key, and a question.
        let body = json!({"model": "chat", "messages": [{"role": "user", "content": format!("{kind} {number}")}]});
        let began = Instant::now();
        let request = one.sidecar.http().chat(&body).header("idempotency-key", &format!("{kind}-{number}"));
        let answer = request.header("x-fusebox-run-id", &format!("{kind}-{number}")).send().await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        began.elapsed()
    };
    let mut before = Vec::new();
    for number in 0..15 {
        before.push(took(number, "before").await);
    }
    redis.pause().await;
    let mut frozen = Vec::new();
    for number in 0..15 {
        frozen.push(took(number, "frozen").await);
    }
    redis.resume().await;
    before.sort_unstable();
    frozen.sort_unstable();
    // Whatever a busy machine does to one of them, it does not to half of them.
    assert!(frozen[7] <= before[7] + ms(50 + 40), "{before:?} {frozen:?}");
    assert!(frozen[14] < ms(1_000), "{frozen:?}");
    assert_eq!(provider.calls(), 30);
    let unanswered = |metrics: &Metrics| {
        metrics.sum("fusebox_claims_total", &[("result", "unanswered")]) > 0.0
            && metrics.sum("fusebox_run_exchanges_total", &[("result", "unanswered")]) > 0.0
    };
    one.sidecar.metrics_until("what went unanswered is counted", unanswered).await;
}

#[tokio::test]
async fn sharing_without_a_secret_is_refused_at_the_start() {
    let (redis, provider) = (Server::start().await, Provider::start(tokens(1)).await);
    let config = at(&redis, &provider, json!({"cache": {"shared": true}, "idempotency": {"shared": true}}));
    let output = Sidecar::run(&["check"], &config).await;
    let told = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(2), "{told}");
    for key in ["cache.shared", "idempotency.shared"] {
        assert!(told.contains(key) && told.contains("fleet.secret_file"), "{told}");
    }
}
