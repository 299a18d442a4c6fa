//! What is unwise about answers that are remembered, and about those that stand in for a better one.

use super::{
    super::{CacheMode, Config},
    Found,
};

/// Below this, next to no answer fits an eighth of it, which is what one may take.
const LITTLE: usize = 64 << 10;

pub(super) fn all(config: &Config, advice: &mut Found) {
    let (cache, remembered) = (&config.cache, &config.idempotency);
    advice.add_if(
        cache.mode != CacheMode::Off && cache.capacity < LITTLE,
        "cache.capacity",
        "is too little for answers: one may take an eighth of it; give it a few MiB, or set cache.mode to off",
    );
    advice.add_if(
        (1..LITTLE).contains(&remembered.capacity),
        "idempotency.capacity",
        "is too little for answers: one may take an eighth of it; give it a few MiB, or none",
    );
    let Some(smaller) = &config.degradation.fallback_model else { return };
    let alone = config.models.len() == 1 && config.models.iter().any(|model| *model.name == **smaller);
    advice.add_if(
        alone,
        "degradation.fallback_model",
        format!("{smaller} is the only model, so no call can fall back on it; add the model that it is smaller than"),
    );
}
