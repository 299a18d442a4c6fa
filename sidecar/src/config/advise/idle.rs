//! Keys that were set and that this version does not act on yet. A row goes when its feature comes.

use super::{
    super::{Config, Scope},
    Found,
};

const NO_EFFECT: &str = "has no effect in this version";

pub(super) fn all(config: &Config, advice: &mut Found) {
    let default = Config::default();
    advice.add_if(config.cache.shared != default.cache.shared, "cache.shared", NO_EFFECT);
    for (index, provider) in config.providers.iter().enumerate() {
        let alone = provider.scope == Scope::Fleet && config.fleet.redis.is_none();
        advice.add_if(
            alone,
            format!("providers[{index}].scope"),
            "is `fleet`, and without fleet.redis nothing is shared",
        );
    }
}
