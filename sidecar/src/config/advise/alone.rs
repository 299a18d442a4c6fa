//! What is said to be shared where there is nobody to share it with.

use super::{
    super::{Config, Scope},
    Found,
};

pub(super) fn all(config: &Config, advice: &mut Found) {
    if config.fleet.redis.is_some() {
        return;
    }
    const ALONE: &str = "and without fleet.redis nothing is shared";
    advice.add_if(config.cache.shared, "cache.shared", format!("is true, {ALONE}"));
    advice.add_if(config.idempotency.shared, "idempotency.shared", format!("is true, {ALONE}"));
    for (index, provider) in config.providers.iter().enumerate() {
        let path = format!("providers[{index}].scope");
        advice.add_if(provider.scope == Scope::Fleet, path, format!("is `fleet`, {ALONE}"));
    }
}
