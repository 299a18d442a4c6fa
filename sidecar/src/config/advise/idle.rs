//! Keys that ask for a fleet where there is none.

use super::{
    super::{Config, Scope},
    Found,
};

pub(super) fn all(config: &Config, advice: &mut Found) {
    if config.fleet.redis.is_some() {
        return;
    }
    for (shared, key) in [(config.cache.shared, "cache.shared"), (config.idempotency.shared, "idempotency.shared")] {
        advice.add_if(shared, key, "is true, and without fleet.redis nothing is shared");
    }
    for (index, provider) in config.providers.iter().enumerate() {
        advice.add_if(
            provider.scope == Scope::Fleet,
            format!("providers[{index}].scope"),
            "is `fleet`, and without fleet.redis nothing is shared",
        );
    }
}
