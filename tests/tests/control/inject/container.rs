//! The injected container, started as a process with what a kubelet would give it: its files, its variables, its
//! arguments. It serves as the pod asked.

use fusebox_tests::{
    provider::{Provider, act::tokens},
    sidecar::{Config, Sidecar},
};

use super::*;
use crate::support::hello;

/// The Secrets and ConfigMaps of the pod's namespace.
type Objects = Value;

/// What a kubelet would do with the pod's sidecar, its files under a folder of the test's own.
async fn started(pod: &Value, objects: &Objects) -> Sidecar {
    let container = &pod["spec"]["initContainers"][0];
    assert_eq!((&container["name"], &container["restartPolicy"]), (&json!("fusebox"), &json!("Always")));
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().to_str().unwrap().to_owned();
    // What is mounted deeper is mounted later.
    let mut mounts: Vec<_> = container["volumeMounts"].as_array().unwrap().iter().collect();
    mounts.sort_by_key(|mount| mount["mountPath"].as_str().unwrap().len());
    let mut places = Vec::new();
    for mount in mounts {
        let path = mount["mountPath"].as_str().unwrap();
        let place = format!("{root}{path}");
        fs::create_dir_all(&place).unwrap();
        for (name, text) in files(pod, mount["name"].as_str().unwrap(), objects) {
            fs::write(PathBuf::from(&place).join(name), text).unwrap();
        }
        places.push(path);
    }
    let moved = |text: &str| match places.iter().find(|place| text.starts_with(**place)) {
        Some(_) => format!("{root}{text}"),
        None => text.to_owned(),
    };
    let arguments: Vec<_> =
        container["args"].as_array().unwrap().iter().map(|one| moved(one.as_str().unwrap())).collect();
    let own = container["env"].as_array().unwrap().iter();
    let own = own.map(|one| (one["name"].as_str().unwrap().to_owned(), moved(one["value"].as_str().unwrap())));
    let sources = container["envFrom"].as_array().into_iter().flatten();
    let of_secrets =
        sources.flat_map(|source| objects[source["secretRef"]["name"].as_str().unwrap()].as_object().unwrap());
    let of_secrets = of_secrets.map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned()));
    let env: Vec<_> = of_secrets.chain(own).collect();
    Sidecar::start_container(folder, &arguments, &env).await
}

/// The files of a volume.
fn files(pod: &Value, volume: &str, objects: &Objects) -> Vec<(String, String)> {
    let volumes = pod["spec"]["volumes"].as_array().unwrap();
    let volume = volumes.iter().find(|one| one["name"] == volume).expect("what is mounted is there");
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    if let Some(items) = volume["downwardAPI"]["items"].as_array() {
        let of_pod = |item: &Value| {
            let field = item["fieldRef"]["fieldPath"].as_str().unwrap();
            let key = field.strip_prefix("metadata.annotations['").and_then(|rest| rest.strip_suffix("']")).unwrap();
            (text(&item["path"]), text(&pod["metadata"]["annotations"][key]))
        };
        return items.iter().map(of_pod).collect();
    }
    let (source, name) = match (&volume["configMap"], &volume["secret"]) {
        (Value::Object(_), _) => (&volume["configMap"], &volume["configMap"]["name"]),
        (_, Value::Object(_)) => (&volume["secret"], &volume["secret"]["secretName"]),
        _ => return Vec::new(),
    };
    let object = &objects[name.as_str().unwrap()];
    let items = source["items"].as_array().unwrap().iter();
    items.map(|item| (text(&item["path"]), text(&object[item["key"].as_str().unwrap()]))).collect()
}

/// A sidecar's configuration whose only provider is nowhere until a pod says where, and needs a key.
fn nowhere() -> Config {
    let key = json!({"api_key_env": "PROVIDER_KEY"});
    Config::new().provider_with("own", "http://127.0.0.1:9/v1", key)
}

fn of_config(config: &Config) -> Value {
    let mut template = template();
    template["config"] = config.text().into();
    template["container"]["volumeMounts"] = json!([
        {"name": "fusebox-config", "mountPath": "/etc/fusebox", "readOnly": true},
        {"name": "fusebox-tmp", "mountPath": "/tmp"},
    ]);
    template["volumes"] = json!([{"name": "fusebox-tmp", "emptyDir": {}}]);
    template
}

#[tokio::test]
async fn an_injected_sidecar_serves_with_the_pods_own_server_keys_and_tokens() {
    let provider = Provider::start(tokens(3)).await;
    let stage = Stage::start(&of_config(&nowhere()), json!({})).await;
    let upstream = provider.base_url();
    let notes = [("upstream", upstream.as_str()), ("secret", "keys"), ("tokens-secret", "callers"), ("log", "debug")];
    let pod = stage.injected(&pod(&notes)).await;
    let objects =
        json!({"keys": {"PROVIDER_KEY": "key-of-the-provider"}, "callers": {"tokens": "a-callers-token-1\n"}});
    let sidecar = started(&pod, &objects).await;
    let unknown = sidecar.http().chat(&hello("chat", false)).send().await;
    assert_eq!(unknown.status, 401, "{}", unknown.text());
    let call = sidecar.http().chat(&hello("chat", false)).header("authorization", "Bearer a-callers-token-1");
    let answer = call.send().await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(provider.seen()[0].header("authorization"), Some("Bearer key-of-the-provider"));
    assert!(sidecar.log().contains("DEBUG"), "the pod asked for more in the log");
    for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
        let path = pod["spec"]["initContainers"][0][probe]["httpGet"]["path"].as_str().unwrap();
        assert_eq!(sidecar.admin().get(path).send().await.status, 200, "{probe}");
    }
}

#[tokio::test]
async fn a_pods_own_configuration_is_the_one_that_is_served_from_its_annotation_or_its_config_map() {
    let provider = Provider::start(tokens(1)).await;
    let stage = Stage::start(&of_config(&nowhere()), json!({})).await;
    let own = Config::new().provider("mine", &provider).text();
    let annotated = stage.injected(&pod(&[("config", &own)])).await;
    let mapped = stage.injected(&pod(&[("config-map", "mine")])).await;
    let objects = json!({"mine": {"config.yaml": own}});
    for (times, pod) in (1..).zip([annotated, mapped]) {
        let sidecar = started(&pod, &objects).await;
        let answer = sidecar.http().chat(&hello("chat", false)).send().await;
        assert_eq!((answer.status.as_u16(), answer.header("x-fusebox-provider")), (200, Some("mine")));
        assert_eq!(provider.calls(), times);
    }
}

#[tokio::test]
async fn an_injected_sidecar_takes_up_a_changed_annotation() {
    let provider = Provider::start(tokens(1)).await;
    let stage = Stage::start(&of_config(&nowhere()), json!({})).await;
    let own = |name: &str| Config::new().provider(name, &provider).text();
    let first = stage.injected(&pod(&[("config", &own("first"))])).await;
    let sidecar = started(&first, &json!({})).await;
    let second = own("second");
    sidecar.replace_mounted("etc/fusebox/config.yaml", &second);
    sidecar.logged("the change", |line| line.contains("loaded anew")).await;
    let answer = sidecar.http().chat(&hello("chat", false)).send().await;
    assert_eq!(answer.header("x-fusebox-provider"), Some("second"));
}
