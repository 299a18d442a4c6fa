//! The keys of a model: what callers name, and who serves it.

use std::{collections::HashMap, sync::Arc};

use fusebox_base::config::{Section, a_name, clip, did_you_mean, fault_unless};

use super::super::{Model, Provider, Served};

pub(super) fn read(at: &mut Section<'_>, providers: &[Arc<Provider>]) -> Vec<Model> {
    let mut taken: HashMap<Arc<str>, String> = HashMap::new();
    let mut named: Vec<(String, String)> = Vec::new();
    let models = at.list(
        "models",
        "what callers may name, the first being the default",
        "[]: any name, asked of every provider",
        |at| {
            let name: Arc<str> = at.key("name", "what callers name").required(a_model).into();
            if let Some(other) = taken.get(&name).filter(|_| !name.is_empty()) {
                at.fault("name", format!("{} is already the name of {other}", clip(&name)));
            } else {
                taken.insert(name.clone(), at.path().to_owned());
            }
            let providers = serving(at, providers);
            let smaller = at
                .key("smaller", "the model that takes its calls while the level is minimal, by its name under models")
                .optional_text(a_model);
            if smaller.as_deref() == Some(&*name) {
                at.fault("smaller", format!("{} is this model itself", clip(&name)));
            } else if let Some(smaller) = &smaller {
                // Models may name those that come after them, so this is judged at the end.
                named.push((format!("{}.smaller", at.path()), smaller.clone()));
            }
            Model { name, providers, smaller: smaller.map(Into::into) }
        },
    );
    let models = models.unwrap_or_default();
    for (path, smaller) in named.into_iter().filter(|(_, smaller)| !models.iter().any(|model| *model.name == **smaller))
    {
        let near = did_you_mean(&smaller, models.iter().map(|model| &*model.name));
        at.fault_of(path, "models", format!("{} is not a name under models{near}", clip(&smaller)));
    }
    models
}

/// Who serves a model, by priority, those of one priority as typed.
fn serving(at: &mut Section<'_>, providers: &[Arc<Provider>]) -> Vec<Served> {
    let typed = at.list("providers", "who serves it", "null: every provider, by priority", |at| one(at, providers));
    let mut serving = match typed {
        Some(typed) => typed.into_iter().flatten().collect(),
        None => (0..providers.len())
            .map(|provider| Served { provider, model: None, context_window: None, cost_per_1k_tokens: 0.0 })
            .collect::<Vec<_>>(),
    };
    if at.typed_list_is_empty("providers") {
        at.fault("providers", "names nobody; leave it out for every provider".to_owned());
    }
    for (index, served) in serving.iter().enumerate() {
        if serving[..index].iter().any(|other| (other.provider, &other.model) == (served.provider, &served.model)) {
            let name = &providers[served.provider].name;
            at.fault("providers", format!("names {name} twice for the same model"));
        }
    }
    serving.sort_by_key(|served| providers.get(served.provider).map(|provider| provider.priority));
    serving
}

fn one(at: &mut Section<'_>, providers: &[Arc<Provider>]) -> Option<Served> {
    let name = at.key("provider", "a name under providers").required(a_name);
    let provider = providers.iter().position(|provider| *provider.name == *name);
    if provider.is_none() && !name.is_empty() {
        let near = did_you_mean(&name, providers.iter().map(|provider| &*provider.name));
        at.fault("provider", format!("{} is not a name under providers{near}", clip(&name)));
    }
    let served = Served {
        provider: provider.unwrap_or_default(),
        model: at
            .key("model", "what the provider calls it; null: what the caller called it")
            .optional_text(a_model)
            .map(Into::into),
        context_window: at.key("context_window", "its tokens; null: not known").optional_count(1..=1_000_000_000),
        cost_per_1k_tokens: at.key("cost_per_1k_tokens", "in one currency for all").number(0.0, 0.0..=1e9),
    };
    provider.map(|_| served)
}

/// Lets through what a provider or a caller may call a model.
fn a_model(text: &str) -> Result<(), String> {
    let fits = text.len() <= 256 && !text.chars().any(|c| c.is_control() || c.is_whitespace());
    fault_unless(fits, || {
        format!("{} is not a model's name; use up to 256 characters, no spaces among them", clip(text))
    })
}
