//! The template's container: one of Kubernetes', of which every field is known and some are held to be what makes it a
//! sidecar that is started first and ended last.

use fusebox_base::config::{Section, clip};
use serde_json::{Map, Value};

use super::super::{CONTAINER, values};

/// All that a container may have. A field that Kubernetes does not know it would leave out without a word.
const FIELDS: [&str; 25] = [
    "name",
    "image",
    "imagePullPolicy",
    "command",
    "args",
    "workingDir",
    "ports",
    "env",
    "envFrom",
    "resources",
    "resizePolicy",
    "restartPolicy",
    "restartPolicyRules",
    "volumeMounts",
    "volumeDevices",
    "startupProbe",
    "readinessProbe",
    "livenessProbe",
    "lifecycle",
    "terminationMessagePath",
    "terminationMessagePolicy",
    "securityContext",
    "stdin",
    "stdinOnce",
    "tty",
];
/// Those of them that are lists of objects.
const LISTS: [&str; 4] = ["ports", "env", "envFrom", "volumeMounts"];

/// Reads it.
pub(super) fn read(at: &mut Section<'_>) -> Map<String, Value> {
    let mut container = Map::new();
    for field in FIELDS {
        if let Some(value) = at.key(field, "as Kubernetes has it").json() {
            container.insert(field.to_owned(), value);
        }
    }
    let text = |field: &str| container.get(field).and_then(Value::as_str).unwrap_or_default();
    if text("name") != CONTAINER {
        let message = format!("{} the container is known by its name; write {CONTAINER}", found(text("name")));
        at.fault("name", message);
    }
    if text("restartPolicy") != "Always" {
        let why = "only what is restarted always lives beside a pod's other containers; write Always";
        at.fault("restartPolicy", format!("{} {why}", found(text("restartPolicy"))));
    }
    if let Err(clause) = values::image(text("image")) {
        at.fault("image", format!("\"{}\" {clause}", clip(text("image"))));
    }
    for field in LISTS {
        let is_list = |value: &Value| value.as_array().is_some_and(|items| items.iter().all(Value::is_object));
        if container.get(field).is_some_and(|value| !is_list(value)) {
            at.fault(field, "is not a list of objects; write each under a dash".to_owned());
        }
    }
    if container.get("resources").is_some_and(|value| !is_resources(value)) {
        let right = "write requests and limits, each with cpu and memory";
        at.fault("resources", format!("is not what a container asks for; {right}"));
    }
    container
}

/// What was found where something else has to be.
fn found(text: &str) -> String {
    if text.is_empty() { "is missing;".to_owned() } else { format!("is {};", clip(text)) }
}

/// Whether it is what a container asks for: groups of amounts. Its claims are a list.
fn is_resources(resources: &Value) -> bool {
    let is_group = |(name, value): (&String, &Value)| value.is_object() || (name == "claims" && value.is_array());
    resources.as_object().is_some_and(|groups| groups.iter().all(is_group))
}
