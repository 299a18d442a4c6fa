//! Keys that were set and that this version does not act on yet. A row goes when its feature comes.

use super::{
    super::{Config, Scope},
    Found,
};

const NO_EFFECT: &str = "has no effect in this version";

pub(super) fn all(config: &Config, advice: &mut Found) {
    const ALONE: &str = "is true, and without fleet.redis nothing is shared";
    let alone = config.fleet.redis.is_none();
    advice.add_if(config.cache.shared && alone, "cache.shared", ALONE);
    advice.add_if(config.idempotency.shared && alone, "idempotency.shared", ALONE);
    for (index, provider) in config.providers.iter().enumerate() {
        let limit = &provider.rate_limit;
        let limited = limit.requests_per_minute.is_some() || limit.tokens_per_minute.is_some();
        let alone = provider.scope == Scope::Fleet && config.fleet.redis.is_none();
        advice.add_if(
            alone,
            format!("providers[{index}].scope"),
            "is `fleet`, and without fleet.redis nothing is shared",
        );
        advice.add_if(limited, format!("providers[{index}].rate_limit"), NO_EFFECT);
    }
}
