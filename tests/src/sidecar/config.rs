//! A sidecar's configuration, with the delays of a test: milliseconds where production has seconds.

use serde_json::{Value, json};

use crate::provider::Provider;

/// A configuration being put together. It is written out as JSON, which is YAML as well.
#[derive(Debug, Clone)]
pub struct Config {
    value: Value,
    pub(super) env: Vec<(String, String)>,
}

impl Config {
    /// Free ports, one worker, a log for people, no cache; no provider yet, and one model, `chat`, that all of them serve.
    #[must_use]
    pub fn new() -> Self {
        let listen = json!({"grpc": "127.0.0.1:0", "http": "127.0.0.1:0", "admin": "127.0.0.1:0", "workers": 1});
        let value = json!({
            "listen": listen,
            "telemetry": {"log": "info"},
            "providers": [],
            "models": [{"name": "chat", "providers": []}],
            "retry_budget": {"ratio": 1.0, "minimum_per_second": 10000},
            // The load of the machine that tests run on is no matter of theirs, nor is its disk.
            "degradation": {"enabled": false},
            "health": {"interval": "1h", "model": "off", "min_disk_free": 0.0},
            // Tests ask the same again and again, and mean to be answered, or failed, each time.
            "cache": {"mode": "off"},
            "shutdown": {"grace": "5s"},
        });
        Self { value, env: Vec::new() }
    }

    /// One provider, `a`, never tried twice.
    #[must_use]
    pub fn one(provider: &Provider) -> Self {
        Self::new().provider("a", provider)
    }

    /// And a provider of OpenAI's kind, never tried twice and with no breaker to speak of. It serves `chat` as
    /// `served-NAME`.
    #[must_use]
    pub fn provider(self, name: &str, provider: &Provider) -> Self {
        self.provider_with(name, &provider.base_url(), json!({}))
    }

    /// And a provider that serves `chat` as `served-NAME`, with `changes` laid over the usual.
    #[must_use]
    pub fn provider_with(mut self, name: &str, base_url: &str, changes: Value) -> Self {
        let served = json!({"provider": name, "model": format!("served-{name}")});
        self.value["models"][0]["providers"].as_array_mut().unwrap().push(served);
        self.apart(name, base_url, changes)
    }

    /// And a provider that serves no model yet, with `changes` laid over the usual.
    #[must_use]
    pub fn apart(mut self, name: &str, base_url: &str, changes: Value) -> Self {
        let providers = self.value["providers"].as_array_mut().unwrap();
        let mut provider = json!({
            "name": name, "kind": "openai", "base_url": base_url, "priority": providers.len(), "metrics_url": "off",
            "timeouts": {"connect": "100ms", "first_token": "5s", "idle": "5s", "total": "5s", "stream_total": "20s"},
            "retry": {"max_retries": 0, "base_delay": "10ms", "backoff_factor": 2.0, "max_delay": "100ms",
                      "jitter": false, "max_elapsed": "60s"},
            "breaker": {"failure_threshold": 100_000, "failure_rate": 1.0, "minimum_calls": 100_000},
        });
        lay_over(&mut provider, changes);
        providers.push(provider);
        self
    }

    /// And a model that `providers` serve under its own name.
    #[must_use]
    pub fn model(mut self, name: &str, providers: &[&str]) -> Self {
        let served: Vec<Value> = providers.iter().map(|provider| json!({"provider": provider})).collect();
        self.value["models"].as_array_mut().unwrap().push(json!({"name": name, "providers": served}));
        self
    }

    /// And `other`'s providers and models.
    #[must_use]
    pub fn and(mut self, mut other: Self) -> Self {
        for list in ["providers", "models"] {
            let more = std::mem::take(other.value[list].as_array_mut().unwrap());
            let served = more.into_iter().filter(|item| item["providers"] != json!([]));
            self.value[list].as_array_mut().unwrap().extend(served);
        }
        self
    }

    /// With `changes` laid over every provider so far.
    #[must_use]
    pub fn each(mut self, changes: &Value) -> Self {
        for provider in self.value["providers"].as_array_mut().unwrap() {
            lay_over(provider, changes.clone());
        }
        self
    }

    /// With `changes` laid over the whole.
    #[must_use]
    pub fn with(mut self, changes: Value) -> Self {
        lay_over(&mut self.value, changes);
        self
    }

    /// With this variable in the sidecar's environment.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// As a file holds it. A model that nobody serves is left out.
    #[must_use]
    pub fn text(&self) -> String {
        let mut value = self.value.clone();
        if let Some(models) = value["models"].as_array_mut() {
            models.retain(|model| model["providers"] != json!([]));
        }
        serde_json::to_string_pretty(&value).unwrap()
    }
}

impl Default for Config {
    fn default() -> Self {
        Self::new()
    }
}

/// Objects are merged, member by member; anything else takes the place of what was there.
pub(crate) fn lay_over(under: &mut Value, over: Value) {
    match (under, over) {
        (Value::Object(under), Value::Object(over)) => {
            for (name, value) in over {
                lay_over(under.entry(name).or_insert(Value::Null), value);
            }
        }
        (under, over) => *under = over,
    }
}
