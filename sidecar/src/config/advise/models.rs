//! What is unwise about who serves a model.

use std::collections::BTreeSet;

use super::{
    super::{Config, ContextOverflow, Model, Served},
    Found, is_hosted,
};

pub(super) fn all(config: &Config, advice: &mut Found) {
    unknown(config, advice);
    if config.models.is_empty() {
        let enabled = config.providers.iter().filter(|provider| provider.enabled).count();
        fallback("providers", "any model", enabled, advice);
    }
    for (index, model) in config.models.iter().enumerate() {
        let at = format!("models[{index}].providers");
        // Another model of the same provider falls with it.
        let serving: BTreeSet<_> = model.providers.iter().map(|served| served.provider).collect();
        let enabled = |index: &&usize| config.providers.get(**index).is_some_and(|provider| provider.enabled);
        fallback(&at, &model.name, serving.iter().filter(enabled).count(), advice);
        windows(&at, model, config, advice);
        costs(&at, model, config, advice);
    }
}

fn fallback(at: &str, model: &str, enabled: usize, advice: &mut Found) {
    match enabled {
        0 => advice.add(at, format!("no provider of {model} is enabled, so every call fails; enable one")),
        1 => advice
            .add(at, format!("{model} has one provider and no fallback, so it fails when that fails; add a second")),
        _ => {}
    }
}

fn windows(at: &str, model: &Model, config: &Config, advice: &mut Found) {
    let Some((first, rest)) = model.providers.split_first() else { return };
    let Some(window) = first.context_window else { return };
    for served in rest {
        if let Some(smaller) = served.context_window.filter(|smaller| *smaller < window) {
            let message = format!(
                "{} falls back on {}, whose window is smaller ({smaller} tokens against {window}): the longest \
                 prompts have no fallback; add one with a window as large",
                model.name,
                name_of(config, served)
            );
            advice.add(at, message);
        }
    }
}

/// Without a window to hold them against, prompts are too long only once a provider has said so.
fn unknown(config: &Config, advice: &mut Found) {
    let mut served = config.models.iter().flat_map(|model| &model.providers);
    let unknown =
        config.context_overflow == ContextOverflow::Truncate && served.all(|one| one.context_window.is_none());
    let message = "turns are left out only after a provider has refused a prompt, as no window is known; set \
                   context_window where models name their providers";
    advice.add_if(unknown, "context_overflow", message);
}

fn costs(at: &str, model: &Model, config: &Config, advice: &mut Found) {
    for served in &model.providers {
        let hosted = config
            .providers
            .get(served.provider)
            .is_some_and(|provider| provider.api_key.is_some() && is_hosted(provider.kind, &provider.base_url));
        let message = format!(
            "{} is hosted and costs nothing by this file, so what {} spends is not counted; set cost_per_1k_tokens",
            name_of(config, served),
            model.name
        );
        advice.add_if(hosted && served.cost_per_1k_tokens == 0.0, at, message);
    }
}

fn name_of<'c>(config: &'c Config, served: &Served) -> &'c str {
    config.providers.get(served.provider).map_or("", |provider| &provider.name)
}
