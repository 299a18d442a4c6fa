//! Keys that were set and that this version does not act on yet. A row goes when its feature comes.

use super::{
    super::{Config, Scope},
    Found,
};

const NO_EFFECT: &str = "has no effect in this version";

pub(super) fn all(config: &Config, advice: &mut Found) {
    let default = Config::default();
    for (key, set) in [
        ("fleet.redis", config.fleet.redis != default.fleet.redis),
        ("cache", config.cache != default.cache),
        ("validation.max_reprompts", config.validation.max_reprompts != default.validation.max_reprompts),
        ("context_overflow", config.context_overflow != default.context_overflow),
        ("content_filter", config.content_filter != default.content_filter),
        ("degradation", config.degradation != default.degradation),
        ("run_budgets", config.run_budgets != default.run_budgets),
        ("health", config.health != default.health),
    ] {
        advice.add_if(set, key, NO_EFFECT);
    }
    for (index, provider) in config.providers.iter().enumerate() {
        let limit = &provider.rate_limit;
        let limited = limit.requests_per_minute.is_some() || limit.tokens_per_minute.is_some();
        advice.add_if(provider.scope != Scope::Pod, format!("providers[{index}].scope"), NO_EFFECT);
        advice.add_if(limited, format!("providers[{index}].rate_limit"), NO_EFFECT);
    }
}
