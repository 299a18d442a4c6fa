//! The template: what is injected, read strictly from a file that whoever deploys the control plane writes.

mod container;
mod volumes;

use std::{fmt, path::Path, time::Duration};

use fusebox_base::config::{self as base, Document, Section, Sources, clip, units};
use ring::digest::{SHA256, digest};
use serde_json::{Map, Value, json};

use super::{CONFIG_VOLUME, pod, values};

/// Bytes of a sidecar's configuration: it travels as an annotation, of which a pod may hold 256 KiB in all.
const MAX_CONFIG: usize = 200 << 10;
/// The shortest and longest time for a sidecar to end its calls.
const GRACE: std::ops::RangeInclusive<Duration> = Duration::ZERO..=Duration::from_hours(24);
/// Bytes of its hash that tell one template from another.
const VERSION_BYTES: usize = 6;

/// What is injected.
#[derive(Clone, PartialEq)]
pub struct Template {
    /// The sidecar's container.
    pub(super) container: Map<String, Value>,
    /// The volumes that it mounts, but for that of its configuration.
    pub(super) volumes: Vec<Value>,
    /// The sidecar's configuration, in YAML.
    pub(super) config: String,
    /// Whether that names a provider.
    pub(super) has_provider: bool,
    /// For a pod that has none of the name.
    pub(super) labels: Vec<(String, String)>,
    /// For a pod that has none of the name.
    pub(super) annotations: Vec<(String, String)>,
    /// For each ordinary container that has no variable of the name.
    pub(super) app_env: Vec<Value>,
    /// How long the sidecar may take to end.
    pub(super) grace: Duration,
    /// A short hash of all of that.
    version: String,
}

/// Nothing of what it holds: a configuration may have a password in it.
impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Template").field("version", &self.version).finish_non_exhaustive()
    }
}

impl Template {
    /// What the file at `path` holds.
    ///
    /// # Errors
    /// Everything that is wrong with it, each with its place.
    pub fn read(path: &Path) -> Result<Self, Vec<String>> {
        let sources = Sources { file: Some(path.to_owned()), ..Sources::default() };
        base::load(&sources).map_err(|faults| faults.iter().map(ToString::to_string).collect())
    }

    /// A short hash by which one template is told from another.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }
}

impl Document for Template {
    const EXAMPLE: &'static str = "grace=30s";

    fn read(at: &mut Section<'_>) -> Self {
        let container = at.section("container", container::read);
        let volumes = volumes::read(at, &container);
        let config = config(at);
        let has_provider =
            values::config(&config).is_ok_and(|map| !pod::items(&Value::Object(map), "providers").is_empty());
        let mut template = Self {
            container,
            volumes: volumes.into_iter().filter(|volume| volume["name"] != CONFIG_VOLUME).collect(),
            config,
            has_provider,
            labels: labels(at),
            annotations: texts(at, "annotations", "for a pod that has none of the name"),
            app_env: variables(at, "app_env", "variables for each ordinary container that has none of the name"),
            grace: at.key("grace", "how long the sidecar may take to end").duration(Duration::from_secs(30), GRACE),
            version: String::new(),
        };
        template.version = template.hash();
        template
    }

    fn files(&self) -> Vec<std::path::PathBuf> {
        Vec::new()
    }
}

impl Template {
    fn hash(&self) -> String {
        let Self { container, volumes, config, has_provider: _, labels, annotations, app_env, grace, version: _ } =
            self;
        let all = json!([container, volumes, config, labels, annotations, app_env, units::show_duration(*grace)]);
        let hash = digest(&SHA256, all.to_string().as_bytes());
        hash.as_ref().iter().take(VERSION_BYTES).map(|byte| format!("{byte:02x}")).collect()
    }
}

/// The sidecar's configuration. What its keys are is the sidecar's business, which checks them as it starts.
fn config(at: &mut Section<'_>) -> String {
    let typed = at.key("config", "the sidecar's configuration, in YAML").json();
    let fault = |message: &str| at.fault("config", message.to_owned());
    let text = match typed {
        None => {
            fault("is missing; write the sidecar's configuration as a block of text: `config: |`");
            return String::new();
        }
        Some(Value::String(text)) => text,
        Some(_) => {
            fault("is not text; write the sidecar's configuration as a block of it: `config: |`");
            return String::new();
        }
    };
    if let Err(clause) = values::config(&text) {
        fault(&clause);
    }
    if text.len() > MAX_CONFIG {
        fault(&format!("is longer than {}, and travels as an annotation", units::show_size(MAX_CONFIG as u64)));
    }
    text
}

/// A list of objects; what is none is a fault.
fn objects(at: &mut Section<'_>, name: &'static str, doc: &'static str) -> Vec<Value> {
    match at.key(name, doc).json() {
        None => Vec::new(),
        Some(Value::Array(items)) if items.iter().all(Value::is_object) => items,
        Some(_) => {
            at.fault(name, "is not a list of objects; write each under a dash".to_owned());
            Vec::new()
        }
    }
}

/// Variables, each with a name of its own.
fn variables(at: &mut Section<'_>, name: &'static str, doc: &'static str) -> Vec<Value> {
    let items = objects(at, name, doc);
    for (index, item) in items.iter().enumerate() {
        if let Some(fault) = container::strange_variable(item) {
            at.fault(name, fault);
        } else if let Some(one) = item["name"].as_str().filter(|one| pod::names(&items[..index], one)) {
            at.fault(name, format!("names {} twice", clip(one)));
        }
    }
    items
}

/// A pod's labels. One that Kubernetes does not take it would refuse with the pod.
fn labels(at: &mut Section<'_>) -> Vec<(String, String)> {
    let labels = texts(at, "labels", "for a pod that has none of the name");
    for (key, value) in labels.iter().filter(|(_, value)| !values::is_label(value)) {
        let right = "write up to 63 letters, digits, `-`, `_` and `.`, a letter or a digit at both ends";
        at.fault("labels", format!("{}: {} is not a label's value; {right}", clip(key), clip(value)));
    }
    labels
}

/// A map of texts; what is none is a fault.
fn texts(at: &mut Section<'_>, name: &'static str, doc: &'static str) -> Vec<(String, String)> {
    let map = match at.key(name, doc).json() {
        None => return Vec::new(),
        Some(Value::Object(map)) => map,
        Some(_) => {
            at.fault(name, "is not a map; write NAME: \"VALUE\" in each line".to_owned());
            return Vec::new();
        }
    };
    let mut texts = Vec::new();
    for (key, value) in map {
        match value {
            Value::String(text) => texts.push((key, text)),
            other => at.fault(name, format!("{}: {other} is not text; put it in quotes", clip(&key))),
        }
    }
    texts
}

#[cfg(test)]
pub(super) mod tests;
