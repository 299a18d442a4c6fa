//! What is unwise about a provider: its timeouts, retries, breaker, key and place among the others.

use std::time::Duration;

use fusebox_rules::retry::Policy;

use super::{
    super::{
        Config, Provider, ProviderKind, Scope,
        providers::{host_of, is_loopback},
        units::show_duration,
    },
    Found,
};

pub(super) fn all(config: &Config, advice: &mut Found) {
    for (index, provider) in config.providers.iter().enumerate() {
        let at = format!("providers[{index}]");
        timeouts(&at, provider, advice);
        retries(&at, provider, advice);
        breaker(&at, provider, advice);
        address(&at, provider, advice);
        limits(&at, provider, config.fleet.redis.is_some(), advice);
    }
    together(config, advice);
}

fn limits(at: &str, provider: &Provider, in_fleet: bool, advice: &mut Found) {
    let limits = &provider.rate_limit;
    let limited = limits.requests_per_minute.is_some() || limits.tokens_per_minute.is_some();
    advice.add_if(
        limited && in_fleet && provider.scope == Scope::Pod && !provider.is_local(),
        format!("{at}.rate_limit"),
        "is this sidecar's own where scope is pod, and every other one takes as much; with scope: fleet they share it",
    );
}

fn timeouts(at: &str, provider: &Provider, advice: &mut Found) {
    let timeouts = &provider.timeouts;
    let whole = show_duration(timeouts.stream_total);
    for (key, part) in [("first_token", timeouts.first_token), ("idle", timeouts.idle)] {
        let part_shown = show_duration(part);
        advice.add_if(
            part >= timeouts.stream_total,
            format!("{at}.timeouts.{key}"),
            format!("{part_shown} has no effect, as stream_total ends the stream after {whole}; make it shorter"),
        );
    }
}

fn retries(at: &str, provider: &Provider, advice: &mut Found) {
    let policy = &provider.retry;
    let total = provider.timeouts.total;
    let waits = longest_waits(policy);
    advice.add_if(
        policy.max_retries > 5,
        format!("{at}.retry.max_retries"),
        format!(
            "{} retries multiply the load of a provider in trouble; 2 or 3 and a second provider do more",
            policy.max_retries
        ),
    );
    advice.add_if(
        policy.max_retries > 0 && !policy.jitter,
        format!("{at}.retry.jitter"),
        "without it, callers that failed together come back together; set it to true",
    );
    advice.add_if(
        policy.max_retries > 0 && policy.max_elapsed <= total,
        format!("{at}.retry.max_elapsed"),
        format!(
            "{} is over once one attempt has timed out (timeouts.total, {}), so it is never retried; make \
             it longer than both together",
            show_duration(policy.max_elapsed),
            show_duration(total)
        ),
    );
    if waits > policy.max_elapsed {
        let message = format!(
            "the waits between {} retries add up to {}, and none begins after max_elapsed ({}); allow fewer",
            policy.max_retries,
            show_duration(waits),
            show_duration(policy.max_elapsed)
        );
        advice.add(format!("{at}.retry.max_retries"), message);
    } else if waits > total {
        let message = format!(
            "the waits between {} retries add up to {}, longer than an attempt may take (timeouts.total, \
             {}): most callers will be gone; wait less or fail over",
            policy.max_retries,
            show_duration(waits),
            show_duration(total)
        );
        advice.add(format!("{at}.retry"), message);
    }
}

/// The sum of all backoffs at their longest.
fn longest_waits(policy: &Policy) -> Duration {
    let mut wait = policy.base_delay.min(policy.max_delay);
    let mut sum = Duration::ZERO;
    for _ in 0..policy.max_retries {
        sum = sum.saturating_add(wait);
        wait = Duration::try_from_secs_f64(wait.as_secs_f64() * policy.backoff_factor)
            .map_or(policy.max_delay, |longer| longer.min(policy.max_delay));
    }
    sum
}

fn breaker(at: &str, provider: &Provider, advice: &mut Found) {
    let (breaker, timeouts) = (&provider.breaker, &provider.timeouts);
    advice.add_if(
        breaker.failure_rate >= 1.0,
        format!("{at}.breaker.failure_rate"),
        "opens only when every call fails, which failure_threshold sees anyway; 0.5 also sees a provider \
         that fails half the time",
    );
    advice.add_if(
        breaker.failure_threshold > 100,
        format!("{at}.breaker.failure_threshold"),
        format!("{} failures in a row hardly ever come; 5 is usual", breaker.failure_threshold),
    );
    if let Some(per_minute) = provider.rate_limit.requests_per_minute {
        let reachable = u128::from(per_minute) * breaker.window.as_millis() / 60_000;
        advice.add_if(
            reachable < u128::from(breaker.minimum_calls),
            format!("{at}.breaker.minimum_calls"),
            format!(
                "{} calls never come in a window of {} at {per_minute} a minute (rate_limit), so failure_rate \
                 never opens it; lower it or look further back",
                breaker.minimum_calls,
                show_duration(breaker.window)
            ),
        );
    }
    advice.add_if(
        breaker.open_for < timeouts.first_token,
        format!("{at}.breaker.open_for"),
        format!(
            "{} is over before a hung call is known to have failed (timeouts.first_token, {}); make it longer",
            show_duration(breaker.open_for),
            show_duration(timeouts.first_token)
        ),
    );
    if let Some(slow) = breaker.slow_first_token {
        advice.add_if(
            slow >= timeouts.first_token,
            format!("{at}.breaker.slow_first_token"),
            format!(
                "{} has no effect, as timeouts.first_token ends the attempt after {}; make it shorter",
                show_duration(slow),
                show_duration(timeouts.first_token)
            ),
        );
    }
}

fn address(at: &str, provider: &Provider, advice: &mut Found) {
    let url = &provider.base_url;
    let host = host_of(url).unwrap_or_default();
    advice.add_if(
        provider.api_key.is_some() && url.starts_with("http://") && !is_loopback(&host),
        format!("{at}.base_url"),
        format!("the key crosses the network to {host} in the clear; use https"),
    );
    let bare = url.split_once("://").is_some_and(|(_, rest)| !rest.contains('/'));
    advice.add_if(
        provider.kind == ProviderKind::OpenAi && bare,
        format!("{at}.base_url"),
        format!("has no path; most servers answer under {url}/v1"),
    );
    if let Some(file) = &provider.api_key_file {
        advice.rights(format!("{at}.api_key_file"), file);
    }
}

/// What is unwise about the providers beside each other.
fn together(config: &Config, advice: &mut Found) {
    let providers = &config.providers;
    let simulated = |provider: &Provider| provider.kind == ProviderKind::Simulated;
    if providers.iter().all(|provider| simulated(provider)) {
        advice.add(
            "providers",
            "no model answers here: every provider is simulated; name a real one before anyone relies on this",
        );
    } else {
        for (index, provider) in providers.iter().enumerate() {
            advice.add_if(
                simulated(provider) && provider.enabled,
                format!("providers[{index}]"),
                "is simulated: what it makes up will be taken for the answers of the real providers beside \
                 it; remove it or set enabled to false",
            );
        }
    }
    let hosts: Vec<_> = providers
        .iter()
        .filter(|provider| provider.enabled)
        .filter_map(|provider| host_of(&provider.base_url))
        .collect();
    if let [first, second, rest @ ..] = hosts.as_slice()
        && std::iter::once(second).chain(rest).all(|host| host == first)
    {
        advice.add("providers", format!("all are at {first}, and fail together when it does; add one elsewhere"));
    }
    if config.models.is_empty() {
        return;
    }
    for (index, provider) in providers.iter().enumerate() {
        let used = config.models.iter().flat_map(|model| &model.providers).any(|served| served.provider == index);
        advice.add_if(
            !used,
            format!("providers[{index}]"),
            format!(
                "{} serves no model, so nothing is ever asked of it; add it under models or remove it",
                provider.name
            ),
        );
    }
}
