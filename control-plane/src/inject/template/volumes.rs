//! The template's volumes: each with a name of its own, and all that the container mounts among them.

use fusebox_base::config::{Section, clip};
use serde_json::{Map, Value};

use super::{super::CONFIG_VOLUME, objects, pod};

/// Fields that hold the rights of files, which people write as octal numbers.
const RIGHTS: [&str; 2] = ["defaultMode", "mode"];
/// The most that rights can be.
const ALL_RIGHTS: u64 = 0o777;

/// Reads them; that of the configuration may be listed, and is made anyway.
pub(super) fn read(at: &mut Section<'_>, container: &Map<String, Value>) -> Vec<Value> {
    let mut volumes = objects(at, "volumes", "the volumes that it mounts");
    for volume in &mut volumes {
        if let Err(fault) = rights(volume) {
            at.fault("volumes", fault);
        }
    }
    check(at, &volumes, container);
    volumes
}

/// Reads rights as Kubernetes reads YAML, in which what begins with a zero is octal. Later versions of YAML take it for a
/// number with a fraction, which Kubernetes would not understand.
fn rights(value: &mut Value) -> Result<(), String> {
    match value {
        Value::Array(items) => items.iter_mut().try_for_each(rights),
        Value::Object(fields) => fields.iter_mut().try_for_each(|(name, value)| {
            if !RIGHTS.contains(&name.as_str()) {
                return rights(value);
            }
            let octal = value.as_f64().filter(|_| value.is_f64()).map(|digits| digits.to_string());
            let read = octal.map_or_else(|| value.as_u64(), |digits| u64::from_str_radix(&digits, 8).ok());
            let read = read.filter(|rights| *rights <= ALL_RIGHTS);
            *value = read.ok_or_else(|| format!("{name} is not the rights of a file; write such as 0440"))?.into();
            Ok(())
        }),
        _ => Ok(()),
    }
}

/// Faults volumes without a name, those of one name, and mounts of what is not there.
fn check(at: &Section<'_>, volumes: &[Value], container: &Map<String, Value>) {
    let fault = |message: String| at.fault("volumes", message);
    for (index, volume) in volumes.iter().enumerate() {
        match volume.get("name").and_then(Value::as_str) {
            None => fault(format!("item {index} of it has no name")),
            Some(name) if pod::names(&volumes[..index], name) => fault(format!("names {} twice", clip(name))),
            Some(CONFIG_VOLUME) if volume.get("downwardAPI").is_none() => fault(format!(
                "{CONFIG_VOLUME} holds the configuration, which comes from an annotation of the pod; leave it out"
            )),
            Some(_) => {}
        }
    }
    for mount in container.get("volumeMounts").and_then(Value::as_array).into_iter().flatten() {
        if let Some(name) = mount.get("name").and_then(Value::as_str)
            && name != CONFIG_VOLUME
            && !pod::names(volumes, name)
        {
            fault(format!("has no {}, which the container mounts", clip(name)));
        }
    }
}
