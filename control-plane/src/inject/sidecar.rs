//! The sidecar of one pod: the template's container and volumes, with what the pod asks for laid over them.

use serde_json::{Map, Value, json};

use super::{
    CONFIG_VOLUME, PREFIX, pod,
    quantity::Quantity,
    template::Template,
    wishes::{CONFIG, Resource, Source, Wishes},
};

/// Where the sidecar's files are.
const FOLDER: &str = "/etc/fusebox";
/// What its configuration is called there, and in a ConfigMap.
const FILE: &str = "config.yaml";
/// The volume of callers' tokens, and the key of its Secret, which the file is called by.
const TOKENS_VOLUME: &str = "fusebox-tokens";
const TOKENS: &str = "tokens";

/// What is put into a pod.
#[derive(Debug)]
pub(super) struct Sidecar {
    pub(super) container: Map<String, Value>,
    pub(super) volumes: Vec<Value>,
}

impl Sidecar {
    /// As `template` and `wishes` have it.
    ///
    /// # Errors
    /// All that does not go together.
    pub(super) fn try_new(template: &Template, wishes: &Wishes) -> Result<Self, Vec<String>> {
        let mut this = Self { container: template.container.clone(), volumes: template.volumes.clone() };
        let mut faults = Vec::new();
        this.configure(wishes);
        this.secrets(wishes);
        this.resources(wishes, &mut faults);
        if let Some(image) = &wishes.image {
            this.container.insert("image".to_owned(), image.as_str().into());
        }
        if let Some(log) = &wishes.log {
            this.variable("FUSEBOX_TELEMETRY__LOG", log);
        }
        if let Some(url) = &wishes.upstream {
            if has_provider(template, wishes) {
                this.variable("FUSEBOX_PROVIDERS__0__BASE_URL", url);
            } else {
                faults.push(format!(
                    "{PREFIX}upstream: the configuration names no provider whose base_url it could be; add one under \
                     providers"
                ));
            }
        }
        if faults.is_empty() { Ok(this) } else { Err(faults) }
    }

    /// The volume that the configuration comes by, and its mount where the template has none.
    fn configure(&mut self, wishes: &Wishes) {
        let mut volume = match &wishes.config {
            Source::Template | Source::Own { .. } => {
                let path = format!("metadata.annotations['{PREFIX}{CONFIG}']");
                json!({"downwardAPI": {"items": [{"path": FILE, "fieldRef": {"apiVersion": "v1", "fieldPath": path}}]}})
            }
            Source::ConfigMap(name) => json!({"configMap": {"name": name, "items": [{"key": FILE, "path": FILE}]}}),
        };
        volume["name"] = CONFIG_VOLUME.into();
        self.volumes.push(volume);
        let mount = json!({"name": CONFIG_VOLUME, "mountPath": FOLDER, "readOnly": true});
        self.of("volumeMounts", |mounts| {
            if !pod::names(mounts, CONFIG_VOLUME) {
                mounts.push(mount);
            }
        });
    }

    /// Providers' keys as variables, callers' tokens as a file.
    fn secrets(&mut self, wishes: &Wishes) {
        if let Some(name) = &wishes.secret {
            self.of("envFrom", |sources| sources.push(json!({"secretRef": {"name": name}})));
        }
        if let Some(name) = &wishes.tokens_secret {
            let folder = format!("{FOLDER}/{TOKENS}");
            let secret = json!({"secretName": name, "items": [{"key": TOKENS, "path": TOKENS}]});
            put(&mut self.volumes, json!({"name": TOKENS_VOLUME, "secret": secret}));
            let mount = json!({"name": TOKENS_VOLUME, "mountPath": folder, "readOnly": true});
            self.of("volumeMounts", |mounts| put(mounts, mount));
            self.variable("FUSEBOX_AUTH__TOKENS_FILE", &format!("{folder}/{TOKENS}"));
        }
    }

    /// What it asks for of the node. A request above its limit Kubernetes would refuse, and the pod with it.
    fn resources(&mut self, wishes: &Wishes, faults: &mut Vec<String>) {
        for wish in &wishes.resources {
            let groups = self.container.entry("resources").or_insert_with(|| json!({}));
            groups[wish.group][wish.name] = wish.text.as_str().into();
        }
        for wish in &wishes.resources {
            let of = |group: &str| amount(self.container.get("resources")?.get(group)?.get(wish.name)?);
            let (Some(request), Some(limit)) = (of("requests"), of("limits")) else { continue };
            // Where both are asked for, it is said once.
            let is_said = wish.group == "limits"
                && wishes.resources.iter().any(|one| one.group == "requests" && one.name == wish.name);
            if request.1 > limit.1 && !is_said {
                let (one, other) = if wish.group == "requests" { ("request", "limit") } else { ("limit", "request") };
                let Resource { name, text, .. } = wish;
                faults.push(format!(
                    "{PREFIX}{name}-{one}: \"{text}\" makes the request ({}) larger than the limit ({}); set \
                     {PREFIX}{name}-{other} to go with it",
                    request.0, limit.0
                ));
            }
        }
    }

    /// A variable, in the place of one of the same name.
    fn variable(&mut self, name: &str, value: &str) {
        self.of("env", |variables| put(variables, json!({"name": name, "value": value})));
    }

    /// Changes a list of the container's, which may not be there yet.
    fn of(&mut self, name: &str, change: impl FnOnce(&mut Vec<Value>)) {
        let list = self.container.entry(name).or_insert_with(|| Value::Array(Vec::new()));
        if let Value::Array(items) = list {
            change(items);
        }
    }
}

/// Whether the configuration names a provider, as far as is known here: a ConfigMap is not.
fn has_provider(template: &Template, wishes: &Wishes) -> bool {
    match &wishes.config {
        Source::Template => template.has_provider,
        Source::Own { has_provider } => *has_provider,
        Source::ConfigMap(_) => true,
    }
}

/// An amount as written, and what it comes to.
fn amount(value: &Value) -> Option<(String, Quantity)> {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    Quantity::read(&text).map(|amount| (text, amount))
}

/// `item` among `items`, in the place of the one of its name.
fn put(items: &mut Vec<Value>, item: Value) {
    match items.iter_mut().find(|other| other["name"] == item["name"]) {
        Some(other) => *other = item,
        None => items.push(item),
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::template::tests::{GOOD, template},
        *,
    };

    fn sidecar(notes: &[(&str, &str)]) -> Result<Sidecar, Vec<String>> {
        let notes: Vec<_> = notes.iter().map(|(name, value)| (format!("{PREFIX}{name}"), *value)).collect();
        let wishes = Wishes::read(notes.iter().map(|(name, value)| (name.as_str(), *value))).unwrap();
        Sidecar::try_new(&template(GOOD).unwrap(), &wishes)
    }

    fn variable(sidecar: &Sidecar, name: &str) -> Option<String> {
        let variables = sidecar.container["env"].as_array().unwrap();
        let found = variables.iter().find(|one| one["name"] == name)?;
        found["value"].as_str().map(str::to_owned)
    }

    #[test]
    fn without_wishes_it_is_the_templates_and_its_configuration_comes_from_the_pods_annotation() {
        let sidecar = sidecar(&[]).unwrap();
        assert_eq!(sidecar.container, template(GOOD).unwrap().container);
        let path = "metadata.annotations['fusebox.dev/config']";
        let item = json!({"path": "config.yaml", "fieldRef": {"apiVersion": "v1", "fieldPath": path}});
        let right = json!({"downwardAPI": {"items": [item]}, "name": "fusebox-config"});
        assert_eq!(sidecar.volumes, [json!({"name": "fusebox-tmp", "emptyDir": {}}), right]);
    }

    #[test]
    fn each_wish_is_laid_over_the_template() {
        let all = [
            ("config-map", "mine"),
            ("secret", "keys"),
            ("tokens-secret", "callers"),
            ("image", "fusebox:2"),
            ("cpu-request", "2"),
            ("cpu-limit", "3"),
            ("memory-limit", "1Gi"),
            ("log", "debug"),
            ("upstream", "8001"),
        ];
        let sidecar = sidecar(&all).unwrap();
        let container = &sidecar.container;
        assert_eq!(container["image"], "fusebox:2");
        let resources = json!({"requests": {"cpu": "2", "memory": "64Mi"}, "limits": {"cpu": "3", "memory": "1Gi"}});
        assert_eq!(container["resources"], resources);
        assert_eq!(container["envFrom"], json!([{"secretRef": {"name": "keys"}}]));
        assert_eq!(variable(&sidecar, "FUSEBOX_TELEMETRY__LOG").as_deref(), Some("debug"));
        assert_eq!(variable(&sidecar, "FUSEBOX_PROVIDERS__0__BASE_URL").as_deref(), Some("http://127.0.0.1:8001/v1"));
        assert_eq!(variable(&sidecar, "FUSEBOX_AUTH__TOKENS_FILE").as_deref(), Some("/etc/fusebox/tokens/tokens"));
        assert_eq!(variable(&sidecar, "OTEL_SERVICE_NAME").as_deref(), Some("fusebox"), "the template's own stays");
        let names =
            |list: &[Value]| list.iter().map(|one| one["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
        assert_eq!(names(&sidecar.volumes), ["fusebox-tmp", "fusebox-config", "fusebox-tokens"]);
        assert_eq!(
            names(container["volumeMounts"].as_array().unwrap()),
            ["fusebox-config", "fusebox-tmp", "fusebox-tokens"]
        );
        let map = json!({"name": "mine", "items": [{"key": "config.yaml", "path": "config.yaml"}]});
        assert_eq!(sidecar.volumes[1]["configMap"], map);
    }

    #[test]
    fn a_template_without_a_mount_or_resources_is_given_them() {
        let mut template = template(GOOD).unwrap();
        for field in ["volumeMounts", "resources", "env"] {
            template.container.remove(field);
        }
        let wishes = Wishes::read([("fusebox.dev/cpu-limit", "1"), ("fusebox.dev/log", "warn")].into_iter()).unwrap();
        let sidecar = Sidecar::try_new(&template, &wishes).unwrap();
        let mount = json!([{"name": "fusebox-config", "mountPath": "/etc/fusebox", "readOnly": true}]);
        assert_eq!(sidecar.container["volumeMounts"], mount);
        assert_eq!(sidecar.container["resources"], json!({"limits": {"cpu": "1"}}));
        assert_eq!(variable(&sidecar, "FUSEBOX_TELEMETRY__LOG").as_deref(), Some("warn"));
    }

    #[test]
    fn what_does_not_go_together_is_named() {
        let fault = |notes: &[(&str, &str)]| sidecar(notes).unwrap_err().join("; and ");
        assert_eq!(
            fault(&[("cpu-request", "2")]),
            "fusebox.dev/cpu-request: \"2\" makes the request (2) larger than the limit (1); set fusebox.dev/cpu-limit to go with it"
        );
        assert_eq!(
            fault(&[("memory-limit", "32Mi")]),
            "fusebox.dev/memory-limit: \"32Mi\" makes the request (64Mi) larger than the limit (32Mi); set fusebox.dev/memory-request to go with it"
        );
        assert_eq!(sidecar(&[("cpu-limit", "1"), ("cpu-request", "2")]).unwrap_err().len(), 1);
        assert!(
            fault(&[("config", "{}"), ("upstream", "8000")])
                .starts_with("fusebox.dev/upstream: the configuration names no provider")
        );
        assert!(sidecar(&[("config", "providers: [{name: a}]"), ("upstream", "8000")]).is_ok());
    }
}
