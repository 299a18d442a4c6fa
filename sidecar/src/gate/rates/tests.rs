//! What a gate lets through under a limit, and what it is told of it.

use fusebox_rules::{
    breaker::Asker,
    come_back::left::Left as Said,
    error::ErrorKind,
    fleet::bucket::{Ask, Drawn},
};
use futures_util::FutureExt as _;

use super::*;
use crate::{config::Config, gate::Pass};

fn limits(requests: Option<u64>, tokens: Option<u64>) -> RateLimits {
    RateLimits { requests_per_minute: requests, tokens_per_minute: tokens }
}

fn gate(limits: RateLimits, bells: Option<Bells>) -> Arc<Gate> {
    let config = Config::default();
    let mut provider = (*config.providers[0]).clone();
    provider.rate_limit = limits;
    Arc::new(Gate::new(&provider, &config.retry_budget, Box::new(|_| {}), bells))
}

fn pass(gate: &Arc<Gate>, tokens: u64) -> Pass {
    gate.admit(Asker::Caller, || tokens).unwrap_or_else(|refusal| panic!("{refusal:?}"))
}

fn refused(gate: &Arc<Gate>, tokens: u64) -> (Unit, Duration) {
    let refusal = gate.admit(Asker::Caller, || tokens).expect_err("there is room");
    assert_eq!(refusal.kind, ErrorKind::RateLimited);
    (refusal.limit.unwrap(), refusal.retry_after.unwrap())
}

/// Answers what the gate asks of the store for its requests.
fn answer(gate: &Gate, drawn: Drawn) -> Option<Ask> {
    let now = clock::now();
    let exchange = |leased: &mut dyn Leased| {
        let ask = leased.ask(1, now)?;
        leased.hear(&ask, &drawn, now, now);
        Some(ask)
    };
    gate.with_leased(Unit::Requests, exchange).flatten()
}

#[tokio::test(start_paused = true)]
async fn a_call_that_a_limit_has_no_room_for_takes_nothing_and_says_nothing_of_the_provider() {
    let gate = gate(limits(Some(20), None), None);
    let held = [pass(&gate, 0), pass(&gate, 0)];
    assert_eq!(refused(&gate, 0), (Unit::Requests, Duration::from_secs(3)));
    assert!(gate.would_admit() && !gate.has_room());
    assert_eq!(gate.in_flight(), 2);
    assert_eq!(gate.left(), [Left { unit: Unit::Requests, per_minute: 20, left: 0 }]);
    drop(held);
    assert!(!gate.has_room(), "what was sent was sent");
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(gate.has_room());
    drop(pass(&gate, 0));
}

#[tokio::test(start_paused = true)]
async fn a_call_pays_in_the_end_for_what_it_used_and_for_nothing_if_it_was_never_sent() {
    let gate = gate(limits(None, Some(10_000)), None);
    let mut first = pass(&gate, 1_000);
    assert_eq!(refused(&gate, 100).0, Unit::Tokens);
    first.used(Some(Usage { input_tokens: 60, output_tokens: 40 }));
    let _ = first.succeeded();
    let mut second = pass(&gate, 900);
    second.not_sent();
    drop(second);
    let third = pass(&gate, 900);
    let _ = third.failed(ErrorKind::ProviderError, None);
    assert_eq!(gate.left()[0].left, 0, "a failure of which nobody said what it used");
}

#[tokio::test(start_paused = true)]
async fn what_the_provider_says_is_left_is_all_that_is_left() {
    let gate = gate(limits(Some(600), Some(60_000)), None);
    let first = pass(&gate, 1);
    let said = |units| Some(Said { units, resets_in: Duration::from_secs(60) });
    first.heard(&AllLeft { requests: said(1), tokens: said(50_000) });
    drop(pass(&gate, 1));
    assert_eq!(refused(&gate, 1).0, Unit::Requests);
}

#[tokio::test(start_paused = true)]
async fn who_has_no_limits_asks_for_no_estimate_and_listens_to_no_headers() {
    let gate = gate(RateLimits::default(), None);
    let pass = gate.admit(Asker::Caller, || panic!("nobody counts tokens")).unwrap();
    assert!(!pass.is_limited() && gate.has_room() && gate.left().is_empty());
    let gate = self::gate(limits(Some(20), None), None);
    assert!(gate.admit(Asker::Caller, || panic!("nobody counts tokens")).unwrap().is_limited());
}

#[tokio::test(start_paused = true)]
async fn a_call_that_comes_short_rings_for_a_lease_and_goes_once_it_is_laid_in() {
    let bells = Bells::default();
    let gate = gate(limits(Some(20), None), Some(bells.clone()));
    let rung = || bells.need.notified().now_or_never().is_some();
    answer(&gate, Drawn::default()).expect("the store is asked at first");
    assert_eq!(refused(&gate, 0).1, EXCHANGE);
    assert!(rung());
    let ask = answer(&gate, Drawn { granted: 1, ..Drawn::default() }).unwrap();
    assert_eq!(ask.least, 1, "a call waits for it");
    drop(pass(&gate, 0));
    // Where the store has said that it has nothing for a while, ringing would change nothing.
    answer(&gate, Drawn { ready_in: Duration::from_secs(3), ..Drawn::default() });
    assert_eq!(refused(&gate, 0).1, Duration::from_secs(3));
    assert!(!rung());
}

#[tokio::test(start_paused = true)]
async fn another_limit_holds_at_once_and_what_was_taken_stays_taken() {
    let gate = gate(limits(Some(20), None), None);
    let _held = [pass(&gate, 0), pass(&gate, 0)];
    let adopt = |limits: RateLimits| {
        let config = Config::default();
        let mut provider = (*config.providers[0]).clone();
        provider.rate_limit = limits;
        gate.adopt(&provider, &config.retry_budget);
    };
    adopt(limits(Some(60), None));
    assert_eq!(refused(&gate, 0), (Unit::Requests, Duration::from_secs(1)));
    adopt(RateLimits::default());
    drop(pass(&gate, 0));
    adopt(limits(None, Some(1_000)));
    drop(pass(&gate, 100));
    assert_eq!(refused(&gate, 1).0, Unit::Tokens);
}

#[tokio::test(start_paused = true)]
async fn an_answer_without_a_limit_is_thought_to_be_as_long_as_those_before_it() {
    let gate = gate(limits(None, Some(1_000_000)), None);
    assert_eq!(gate.usual_answer(), UNSEEN_ANSWER);
    for _ in 0..50 {
        pass(&gate, 1).used(Some(Usage { input_tokens: 9, output_tokens: 1_000 }));
    }
    assert!((950..=1_000).contains(&gate.usual_answer()), "{}", gate.usual_answer());
    pass(&gate, 1).used(Some(Usage { input_tokens: 9, output_tokens: 0 }));
    assert!(gate.usual_answer() >= 950, "embeddings say nothing of answers");
}
