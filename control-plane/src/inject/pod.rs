//! A pod as it came: the parts that an injection looks at, each of the shape that Kubernetes gives it.

use serde_json::{Map, Value};

use super::CONTAINER;

/// The parts of a pod.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pod<'a> {
    /// Whether there is a `metadata` at all.
    pub(super) has_metadata: bool,
    pub(super) annotations: Option<&'a Map<String, Value>>,
    pub(super) labels: Option<&'a Map<String, Value>>,
    /// The first containers to start, in their order.
    pub(super) init: Option<&'a [Value]>,
    /// The ordinary ones.
    pub(super) containers: &'a [Value],
    pub(super) volumes: Option<&'a [Value]>,
    /// How long it may take to end, in seconds.
    pub(super) grace: Option<i64>,
    /// Whether it is on its node's network.
    pub(super) on_host: bool,
    /// Whether it says that it runs on Windows.
    pub(super) on_windows: bool,
}

impl<'a> Pod<'a> {
    /// The parts of `pod`.
    ///
    /// # Errors
    /// What in it is of another shape than Kubernetes gives it.
    pub(super) fn try_new(pod: &'a Value) -> Result<Self, String> {
        let pod = pod.as_object().ok_or("the pod is not an object")?;
        let metadata = map(pod, "metadata", "metadata")?;
        let spec = map(pod, "spec", "spec")?.ok_or("spec is missing")?;
        let of_metadata = |name, path| metadata.map_or(Ok(None), |metadata| map(metadata, name, path));
        let this = Self {
            has_metadata: metadata.is_some(),
            annotations: of_metadata("annotations", "metadata.annotations")?,
            labels: of_metadata("labels", "metadata.labels")?,
            init: list(spec, "initContainers")?,
            containers: list(spec, "containers")?.unwrap_or_default(),
            volumes: list(spec, "volumes")?,
            grace: spec.get("terminationGracePeriodSeconds").and_then(Value::as_i64),
            on_host: spec.get("hostNetwork").and_then(Value::as_bool).unwrap_or_default(),
            on_windows: spec.get("os").and_then(|os| os.get("name")?.as_str()) == Some("windows"),
        };
        let mut variables = this.containers.iter().filter_map(|one| one.get("env"));
        if variables.any(|env| !env.is_array() && !env.is_null()) {
            return Err("the env of a container is not a list".to_owned());
        }
        Ok(this)
    }

    /// The annotations that are text, as all are.
    pub(super) fn notes(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        self.annotations.into_iter().flatten().filter_map(|(key, value)| Some((key.as_str(), value.as_str()?)))
    }

    /// All containers with their names.
    pub(super) fn all(&self) -> impl Iterator<Item = (&'a str, &'a Value)> + use<'a> {
        let all = self.init.unwrap_or_default().iter().chain(self.containers);
        all.map(|one| (one.get("name").and_then(Value::as_str).unwrap_or_default(), one))
    }

    /// Whether Fusebox is in it.
    pub(super) fn has_fusebox(&self) -> bool {
        self.all().any(|(name, _)| name == CONTAINER)
    }
}

/// The object `name` of `of`; null is as good as nothing.
fn map<'a>(of: &'a Map<String, Value>, name: &str, path: &str) -> Result<Option<&'a Map<String, Value>>, String> {
    match of.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(map)) => Ok(Some(map)),
        Some(_) => Err(format!("{path} is not an object")),
    }
}

/// The list of objects `name` of a pod's spec.
fn list<'a>(spec: &'a Map<String, Value>, name: &str) -> Result<Option<&'a [Value]>, String> {
    match spec.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Array(list)) if list.iter().all(Value::is_object) => Ok(Some(list)),
        Some(_) => Err(format!("spec.{name} is not a list of objects")),
    }
}

/// The TCP ports that a container says it listens on, with their names.
pub(super) fn ports(container: &Value) -> impl Iterator<Item = (u64, &str)> {
    let ports = container.get("ports").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let tcp = |port: &&Value| matches!(port.get("protocol").and_then(Value::as_str), None | Some("TCP"));
    ports.iter().filter(tcp).filter_map(|port| {
        Some((port.get("containerPort")?.as_u64()?, port.get("name").and_then(Value::as_str).unwrap_or_default()))
    })
}

/// Whether one of `items` has this name.
pub(super) fn names(items: &[Value], name: &str) -> bool {
    items.iter().any(|item| item.get("name").and_then(Value::as_str) == Some(name))
}

/// The items of a list that may not be there.
pub(super) fn items<'a>(of: &'a Value, name: &str) -> &'a [Value] {
    of.get(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_null_is_not_there_and_what_is_of_another_shape_is_named() {
        let bare =
            json!({"metadata": null, "spec": {"initContainers": null, "containers": [{"name": "a", "env": null}]}});
        let pod = Pod::try_new(&bare).unwrap();
        assert!(!pod.has_metadata && pod.init.is_none() && pod.volumes.is_none() && pod.annotations.is_none());
        for (wrong, fault) in [
            (json!([]), "the pod is not an object"),
            (json!({}), "spec is missing"),
            (json!({"spec": []}), "spec is not an object"),
            (json!({"spec": {"containers": {}}}), "spec.containers is not a list of objects"),
            (json!({"spec": {"volumes": ["a"]}}), "spec.volumes is not a list of objects"),
            (json!({"spec": {}, "metadata": {"labels": 1}}), "metadata.labels is not an object"),
            (json!({"spec": {"containers": [{"env": {}}]}}), "the env of a container is not a list"),
        ] {
            assert_eq!(Pod::try_new(&wrong).unwrap_err(), fault);
        }
    }

    #[test]
    fn ports_of_other_protocols_are_other_ports() {
        let ports_of = json!({"ports": [{"containerPort": 1}, {"containerPort": 2, "protocol": "UDP"}, {"name": "h", "containerPort": 3, "protocol": "TCP"}, {"name": "x"}]});
        assert_eq!(ports(&ports_of).collect::<Vec<_>>(), [(1, ""), (3, "h")]);
        assert_eq!(ports(&json!({})).count(), 0);
    }
}
