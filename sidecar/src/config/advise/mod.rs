//! What is unwise in a configuration that is not wrong: each thing with its place and what to do.

mod alone;
mod ladder;
mod models;
mod providers;
mod validation;

use std::{net::IpAddr, sync::Arc, time::Duration};

use fusebox_base::config::{Advice, Found};
use fusebox_rules::holdback::Holdback;

use super::{Config, Model, ModelChecks, ProviderKind, providers::host_of};

/// All that is unwise in `config`. Looks at the rights of the files that it names, and at nothing else outside it.
#[must_use]
pub fn advise(config: &Config) -> Vec<Advice> {
    let mut advice = Found::default();
    doors(config, &mut advice);
    providers::all(config, &mut advice);
    models::all(config, &mut advice);
    validation::all(config, &mut advice);
    ladder::all(config, &mut advice);
    if config.retry_budget.ratio > 0.5 {
        let percent = (config.retry_budget.ratio * 100.0).round();
        advice.add(
            "retry_budget.ratio",
            format!("lets retries add {percent} % to the load of a provider that is already failing; 0.2 is enough"),
        );
    }
    load(config, &mut advice);
    runs(config, &mut advice);
    streams(config, &mut advice);
    alone::all(config, &mut advice);
    advice.0
}

/// What is unwise about load, and what is done about it.
fn load(config: &Config, advice: &mut Found) {
    let (limits, overload) = (&config.limits, &config.overload);
    let most = u32::try_from(limits.max_in_flight).unwrap_or(u32::MAX);
    advice.add_if(
        overload.enabled && overload.limit.min > most,
        "overload.min_limit",
        format!("is above limits.max_in_flight ({most}), so no provider is ever held back; lower it"),
    );
    advice.add_if(
        overload.enabled && overload.max_queue > 0 && overload.max_queue_wait.is_zero(),
        "overload.max_queue_wait",
        "is zero, so nobody waits; give it some time, or say so by max_queue: 0",
    );
    advice.add_if(
        config.degradation.enabled && config.degradation.levels.hold < config.degradation.interval,
        "degradation.hold",
        "is shorter than degradation.interval, so that one low reading ends a level and it may flap; make it several times as long",
    );
    let smaller = config.models.iter().enumerate().filter(|(_, model)| model.smaller.is_some());
    for (index, _) in smaller.filter(|_| !config.degradation.enabled) {
        advice.add(
            format!("models[{index}].smaller"),
            "is taken only at the minimal level, which is never reached; set degradation.enabled to true",
        );
    }
}

/// What is unwise about how streams go on, and about second attempts.
fn streams(config: &Config, advice: &mut Found) {
    let holdback = config.streams.holdback;
    advice.add_if(
        holdback == Holdback::Whole,
        "streams.holdback",
        "makes every streamed call wait for its whole answer; let the callers who want that say so by \
         x-fusebox-holdback",
    );
    advice.add_if(
        holdback.ends_after().is_some_and(|time| time > Duration::from_secs(5)),
        "streams.holdback",
        "makes every streamed call wait that long after its first token; a second mends most breaks that can be",
    );
    if config.hedging.enabled {
        let served = |model: &Arc<Model>| model.providers.len() > 1;
        let alone =
            if config.models.is_empty() { config.providers.len() < 2 } else { !config.models.iter().any(served) };
        advice.add_if(alone, "hedging.enabled", "does nothing: no model has a second provider to ask");
        advice.add_if(
            config.hedging.quantile < 0.9,
            "hedging.quantile",
            "asks twice for more than one call in ten; 0.95 shortens the tail for a twentieth more load",
        );
    }
}

/// What is unwise about who can call, and what they can read.
fn doors(config: &Config, advice: &mut Found) {
    let auth = &config.auth;
    for (key, address) in [("listen.grpc", config.listen.grpc), ("listen.http", config.listen.http)] {
        if address.ip().to_canonical().is_loopback() {
            continue;
        }
        let certified = auth.tls.as_ref().is_some_and(|tls| tls.client_ca_file.is_some());
        if auth.tokens_file.is_none() && !certified {
            let message = format!(
                "anyone who can reach {address} may call; set auth.tokens_file, or auth.tls with a client_ca_file, \
                 or listen on 127.0.0.1"
            );
            advice.add(key, message);
        } else if auth.tls.is_none() {
            advice.add(key, format!("tokens and prompts cross the network to {address} in the clear; set auth.tls"));
        }
    }
    if let Some(file) = &auth.tokens_file {
        advice.rights("auth.tokens_file", file);
    }
    if let Some(file) = &config.fleet.secret_file {
        advice.rights("fleet.secret_file", file);
    }
    if let Some(tls) = &auth.tls {
        advice.rights("auth.tls.key_file", &tls.key_file);
    }
}

/// What is unwise about agent runs and about health.
fn runs(config: &Config, advice: &mut Found) {
    let limits = &config.run_budgets.limits;
    if limits.warn_repeats >= limits.max_repeats {
        let message = format!(
            "a run that repeats itself is stopped at max_repeats ({}) before it is warned; set it lower",
            limits.max_repeats
        );
        advice.add("run_budgets.warn_repeats", message);
    }
    let hosted = |provider: &&Arc<super::Provider>| is_hosted(provider.kind, &provider.base_url);
    if config.health.model == ModelChecks::Always
        && let Some(provider) = config.providers.iter().find(hosted)
    {
        let message = format!(
            "asks {} every {:?}, which somebody pays for; auto asks only what is on this machine",
            provider.name, config.health.model_interval
        );
        advice.add("health.model", message);
    }
}

/// Whether a provider is one that somebody sends bills for, as far as its address tells.
fn is_hosted(kind: ProviderKind, url: &str) -> bool {
    let inside = |host: &str| {
        !host.contains('.')
            || host.ends_with(".local")
            || host.ends_with(".svc")
            || host.ends_with(".internal")
            || host.parse::<IpAddr>().is_ok()
    };
    kind != ProviderKind::Simulated && url.starts_with("https://") && host_of(url).is_some_and(|host| !inside(&host))
}

#[cfg(test)]
mod tests;
