//! What one configuration's indices stand for in metrics and traces: looked up once, when it is taken.

use std::sync::Arc;

use opentelemetry::KeyValue;

use super::{
    Telemetry,
    metrics::{ModelSeries, ProviderSeries},
    names,
};
use crate::config::{Model, Provider};

/// A configuration's models and providers as telemetry knows them. One for each worker thread spares
/// the workers a reference count that all of them would write to.
#[derive(Debug)]
pub struct Labels {
    pub(super) telemetry: Arc<Telemetry>,
    /// By the configuration's indices.
    models: Vec<ModelLabels>,
    /// Sorted by name.
    by_name: Vec<(Arc<str>, usize)>,
    other_model: ModelLabels,
    /// By the configuration's indices.
    providers: Vec<ProviderLabels>,
    other_provider: ProviderLabels,
}

/// One model.
#[derive(Debug)]
pub(super) struct ModelLabels {
    pub(super) series: Arc<ModelSeries>,
    /// For a thousand tokens, by provider; empty: free.
    prices: Vec<f64>,
}

/// One provider.
#[derive(Debug)]
pub(super) struct ProviderLabels {
    pub(super) series: Arc<ProviderSeries>,
    /// Whose wire format it speaks.
    pub(super) system: &'static str,
    /// Its host and port, without credentials or path.
    pub(super) address: Option<(Arc<str>, u16)>,
}

impl Labels {
    /// The labels of a configuration. Its providers are those with a breaker from now on.
    pub(super) fn new(telemetry: &Arc<Telemetry>, providers: &[Arc<Provider>], models: &[Arc<Model>]) -> Self {
        let metrics = &telemetry.metrics;
        metrics.set_live(providers);
        let mut by_name: Vec<(Arc<str>, usize)> =
            models.iter().enumerate().map(|(index, model)| (Arc::clone(&model.name), index)).collect();
        by_name.sort_unstable();
        let models = models
            .iter()
            .map(|model| ModelLabels { series: metrics.model(&model.name), prices: prices(model, providers.len()) });
        let providers = providers.iter().map(|provider| ProviderLabels {
            series: metrics.provider(&provider.name),
            system: names::system(provider.kind),
            address: address(provider),
        });
        Self {
            telemetry: Arc::clone(telemetry),
            models: models.collect(),
            by_name,
            other_model: ModelLabels { series: metrics.other_model(), prices: Vec::new() },
            providers: providers.collect(),
            other_provider: ProviderLabels { series: metrics.other_provider(), system: super::OTHER, address: None },
        }
    }

    /// The index of the model that callers name so; the first where they name none; `None`: no such model.
    pub(super) fn model_index(&self, name: &str) -> Option<usize> {
        if name.is_empty() {
            return (!self.models.is_empty()).then_some(0);
        }
        let place = self.by_name.binary_search_by(|(known, _)| (**known).cmp(name)).ok()?;
        Some(self.by_name[place].1)
    }

    /// A model by index; `None`: any that is not configured.
    pub(super) fn model(&self, index: Option<usize>) -> &ModelLabels {
        index.and_then(|index| self.models.get(index)).unwrap_or(&self.other_model)
    }

    /// A provider by index.
    pub(super) fn provider(&self, index: usize) -> &ProviderLabels {
        self.providers.get(index).unwrap_or(&self.other_provider)
    }
}

impl ProviderLabels {
    /// Where it is, for a span of a question to it.
    pub(super) fn address_attributes(&self) -> impl Iterator<Item = KeyValue> {
        let address = self.address.as_ref().map(|(host, port)| {
            [
                KeyValue::new(names::SERVER_ADDRESS, host.to_string()),
                KeyValue::new(names::SERVER_PORT, i64::from(*port)),
            ]
        });
        address.into_iter().flatten()
    }
}

impl ModelLabels {
    /// What a thousand tokens cost at a provider.
    pub(super) fn price(&self, provider: usize) -> f64 {
        self.prices.get(provider).copied().unwrap_or(0.0)
    }
}

fn prices(model: &Model, providers: usize) -> Vec<f64> {
    let mut prices = vec![0.0; providers];
    for served in &model.providers {
        if let Some(price) = prices.get_mut(served.provider) {
            *price = served.cost_per_1k_tokens;
        }
    }
    prices
}

fn address(provider: &Provider) -> Option<(Arc<str>, u16)> {
    let uri: http::Uri = provider.base_url.parse().ok()?;
    let default = if uri.scheme() == Some(&http::uri::Scheme::HTTPS) { 443 } else { 80 };
    Some((uri.host()?.into(), uri.port_u16().unwrap_or(default)))
}
