//! The template's container: one of Kubernetes', of which every field is known and some are held to be what makes it a
//! sidecar that is started first and ended last.

use fusebox_base::config::{Section, clip};
use serde_json::{Map, Value};

use super::super::{CONTAINER, quantity::Quantity, values};

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
    match text("image") {
        "" => at.fault("image", "is missing; write where the sidecar's image is".to_owned()),
        image => {
            if let Err(clause) = values::image(image) {
                at.fault("image", format!("\"{}\" {clause}", clip(image)));
            }
        }
    }
    for (field, value) in &container {
        let (Some(name), Some(fault)) = (FIELDS.iter().find(|name| *name == field), strange(field, value)) else {
            continue;
        };
        at.fault(name, fault);
    }
    container
}

/// What was found where something else has to be.
fn found(text: &str) -> String {
    if text.is_empty() { "is missing;".to_owned() } else { format!("is {};", clip(text)) }
}

/// What is wrong with a field's shape. Kubernetes would not understand the pod, and so refuse it.
fn strange(field: &str, value: &Value) -> Option<String> {
    match field {
        "command" | "args" => {
            let are_texts = value.as_array().is_some_and(|items| items.iter().all(Value::is_string));
            (!are_texts).then(|| "is not a list of texts; put each in quotes".to_owned())
        }
        "ports" | "env" | "envFrom" | "volumeMounts" => match value.as_array() {
            Some(items) if items.iter().all(Value::is_object) => {
                items.iter().find_map(|item| strange_item(field, item))
            }
            _ => Some("is not a list of objects; write each under a dash".to_owned()),
        },
        "resources" => strange_resources(value),
        _ => None,
    }
}

fn strange_item(field: &str, item: &Value) -> Option<String> {
    match field {
        "env" => strange_variable(item),
        "ports" => {
            let port = item.get("containerPort").and_then(Value::as_u64);
            let fits = port.is_some_and(|port| (1..=u64::from(u16::MAX)).contains(&port));
            (!fits).then(|| format!("{item} has no containerPort from 1 to 65535"))
        }
        _ => None,
    }
}

/// What is wrong with a variable of a container.
pub(super) fn strange_variable(item: &Value) -> Option<String> {
    let Some(name) = item.get("name").and_then(Value::as_str).filter(|name| !name.is_empty()) else {
        return Some("has an item without a name".to_owned());
    };
    let value = item.get("value").filter(|value| !value.is_string())?;
    Some(format!("{}: {value} is not text; put it in quotes", clip(name)))
}

/// What is wrong with what it asks for: groups of amounts. Its claims are a list.
fn strange_resources(resources: &Value) -> Option<String> {
    let Some(groups) = resources.as_object() else {
        return Some(
            "is not what a container asks for; write requests and limits, each with cpu and memory".to_owned(),
        );
    };
    for (group, amounts) in groups.iter().filter(|(group, _)| *group != "claims") {
        let Some(amounts) = amounts.as_object() else {
            return Some(format!("{}: is not a map; write cpu and memory in it", clip(group)));
        };
        let strange = amounts.iter().find(|(_, amount)| quantity(amount).is_none());
        if let Some((name, amount)) = strange {
            let [group, name] = [clip(group), clip(name)];
            return Some(format!("{group}: {name}: {amount} is not an amount; write one such as 500m or 256Mi"));
        }
    }
    let of = |group: &str, name: &str| groups.get(group)?.get(name).and_then(quantity);
    let mut names = groups.get("requests").and_then(Value::as_object).into_iter().flatten().map(|(name, _)| name);
    let above = |name: &&String| of("requests", name).zip(of("limits", name)).is_some_and(|(asked, most)| asked > most);
    names.find(above).map(|name| format!("asks for more {} than its limit", clip(name)))
}

fn quantity(amount: &Value) -> Option<Quantity> {
    Quantity::read(&amount.as_str().map_or_else(|| amount.to_string(), str::to_owned))
}
