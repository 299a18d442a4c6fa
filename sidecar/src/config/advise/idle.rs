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
        ("cache.shared", config.cache.shared != default.cache.shared),
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
