//! What changes in a pod: the sidecar before all that starts, its volumes, the application's variables, and what is
//! noted on the pod. Nothing else; and nothing that Kubernetes would refuse, since it would refuse the pod with it.

use fusebox_base::config::clip;
use serde_json::{Map, Value};

use super::{
    PREFIX,
    patch::Patch,
    pod::{self, Pod},
    sidecar::Sidecar,
    template::Template,
    wishes::{CONFIG, INJECTED, Source, Wishes},
};

/// How much longer than its sidecar's pause and grace a pod has to end, in seconds: the sidecar ends last.
const LONGER: u64 = 15;
/// Bytes of all annotations of an object, their keys with them, that Kubernetes takes.
const MAX_ANNOTATIONS: usize = 256 << 10;

/// The changes that put `sidecar` into `pod`.
///
/// # Errors
/// All that keeps it from being put there.
pub(super) fn changes(
    pod: &Pod<'_>,
    template: &Template,
    wishes: &Wishes,
    sidecar: Sidecar,
) -> Result<Patch, Vec<String>> {
    let annotations = annotations(pod, template, wishes);
    let faults: Vec<_> = clashes(pod, &sidecar).into_iter().chain(too_long(pod, &annotations)).collect();
    if !faults.is_empty() {
        return Err(faults);
    }
    let mut patch = Patch::default();
    if !pod.has_metadata {
        patch.add(&["metadata"], Value::Object(Map::new()));
    }
    patch.set(&["metadata", "annotations"], pod.annotations.is_some(), annotations);
    let labels = absent(&template.labels, pod.labels);
    patch.set(&["metadata", "labels"], pod.labels.is_some(), labels);
    patch.append(&["spec", "volumes"], pod.volumes.is_some(), sidecar.volumes);
    let container = Value::Object(sidecar.container);
    let pause = container.pointer("/lifecycle/preStop/sleep/seconds").and_then(Value::as_u64).unwrap_or_default();
    // What starts first ends last, and what starts may call it.
    match pod.init {
        Some(_) => patch.add(&["spec", "initContainers", "0"], container),
        None => patch.add(&["spec", "initContainers"], Value::Array(vec![container])),
    }
    if !wishes.bare_app {
        variables(&mut patch, pod, template);
    }
    let least = template.grace.as_secs().saturating_add(pause).saturating_add(LONGER);
    let least = i64::try_from(least).unwrap_or(i64::MAX);
    if pod.grace.is_none_or(|grace| grace < least) {
        patch.add(&["spec", "terminationGracePeriodSeconds"], least.into());
    }
    Ok(patch)
}

/// The annotations that are new, or new in what they say.
fn annotations(pod: &Pod<'_>, template: &Template, wishes: &Wishes) -> Vec<(String, Value)> {
    let mut new = absent(&template.annotations, pod.annotations);
    if wishes.config == Source::Template {
        new.push((format!("{PREFIX}{CONFIG}"), template.config.as_str().into()));
    }
    new.push((format!("{PREFIX}{INJECTED}"), template.version().into()));
    new
}

/// Those of `entries` whose key is not there.
fn absent(entries: &[(String, String)], there: Option<&Map<String, Value>>) -> Vec<(String, Value)> {
    let is_absent = |key: &str| !there.is_some_and(|there| there.contains_key(key));
    let absent = entries.iter().filter(|(key, _)| is_absent(key));
    absent.map(|(key, value)| (key.clone(), value.as_str().into())).collect()
}

/// The application's variables, for each ordinary container that has none of the name.
fn variables(patch: &mut Patch, pod: &Pod<'_>, template: &Template) {
    for (index, container) in pod.containers.iter().enumerate() {
        let there = pod::items(container, "env");
        let named = |one: &&Value| one.get("name").and_then(Value::as_str).is_some_and(|name| !pod::names(there, name));
        let new = template.app_env.iter().filter(named).cloned().collect();
        let is_there = container.get("env").is_some_and(Value::is_array);
        patch.append(&["spec", "containers", &index.to_string(), "env"], is_there, new);
    }
}

/// What of the sidecar is in the pod already under the same name or port.
fn clashes(pod: &Pod<'_>, sidecar: &Sidecar) -> Vec<String> {
    let mut faults = Vec::new();
    for name in sidecar.volumes.iter().filter_map(|volume| volume.get("name")?.as_str()) {
        if pod::names(pod.volumes.unwrap_or_default(), name) {
            faults.push(format!("the pod has a volume {name}, which is the sidecar's; give it another name"));
        }
    }
    let container = Value::Object(sidecar.container.clone());
    for (port, door) in pod::ports(&container) {
        for (name, other) in pod.all() {
            if pod::ports(other).any(|(other, _)| other == port) {
                faults.push(format!(
                    "container {} listens on port {port}, and so does the sidecar ({door}); have one of them \
                     listen elsewhere",
                    clip(name)
                ));
            }
        }
    }
    faults
}

/// Whether the pod would have more annotations than Kubernetes takes.
fn too_long(pod: &Pod<'_>, new: &[(String, Value)]) -> Option<String> {
    let bytes = |key: &str, value: &Value| key.len() + value.as_str().map_or(0, str::len);
    let is_kept = |key: &str| !new.iter().any(|(other, _)| other == key);
    let kept =
        pod.annotations.into_iter().flatten().filter(|(key, _)| is_kept(key)).map(|(key, value)| bytes(key, value));
    let all = kept.chain(new.iter().map(|(key, value)| bytes(key, value))).sum::<usize>();
    (all > MAX_ANNOTATIONS).then(|| {
        format!(
            "with the sidecar's configuration the pod's annotations come to {all} bytes, and {MAX_ANNOTATIONS} is the \
             most allowed; name a ConfigMap by {PREFIX}config-map instead"
        )
    })
}
