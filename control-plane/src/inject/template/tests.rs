use std::fs;

use super::*;

/// A template as a chart writes it.
pub(in crate::inject) const GOOD: &str = r#"
container:
  name: fusebox
  image: registry.example/fusebox-sidecar:0.1.0
  restartPolicy: Always
  args: [run, --config, /etc/fusebox/config.yaml]
  env:
    - { name: OTEL_SERVICE_NAME, value: fusebox }
  ports:
    - { name: grpc, containerPort: 50051 }
    - { name: http, containerPort: 8080 }
    - { name: admin, containerPort: 9090 }
  startupProbe: { httpGet: { path: /livez, port: admin } }
  resources: { requests: { cpu: 100m, memory: 64Mi }, limits: { cpu: 1, memory: 256Mi } }
  volumeMounts:
    - { name: fusebox-config, mountPath: /etc/fusebox, readOnly: true }
    - { name: fusebox-tmp, mountPath: /tmp }
volumes:
  - { name: fusebox-tmp, emptyDir: {} }
config: |
  listen: { admin: 0.0.0.0:9090 }
  providers: [{ name: vllm, base_url: http://127.0.0.1:8000/v1 }]
labels: { fusebox.dev/sidecar: "true" }
annotations: { prometheus.io/scrape: "true" }
app_env:
  - { name: OPENAI_BASE_URL, value: http://127.0.0.1:8080/v1 }
grace: 30s
"#;

pub(in crate::inject) fn template(text: &str) -> Result<Template, Vec<String>> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("template.yaml");
    fs::write(&file, text).unwrap();
    let folder = format!("{}/", folder.path().display());
    Template::read(&file).map_err(|faults| faults.iter().map(|fault| fault.replace(&folder, "")).collect())
}

#[test]
fn a_good_template_is_read_as_it_is_written() {
    let read = template(GOOD).unwrap();
    assert_eq!(read.container["startupProbe"]["httpGet"]["port"], "admin");
    assert_eq!(read.container["resources"]["limits"]["cpu"], 1);
    assert_eq!((read.volumes.len(), read.grace, read.has_provider), (1, Duration::from_secs(30), true));
    assert_eq!(read.labels, [("fusebox.dev/sidecar".to_owned(), "true".to_owned())]);
    assert_eq!(read.app_env[0]["name"], "OPENAI_BASE_URL");
    assert!(read.config.starts_with("listen: ") && !format!("{read:?}").contains("listen"));
}

#[test]
fn its_version_changes_with_what_it_says_and_not_with_how() {
    let version = |text: &str| template(text).unwrap().version().to_owned();
    let first = version(GOOD);
    assert!(first.len() == 12 && first.bytes().all(|letter| letter.is_ascii_hexdigit()), "{first}");
    assert_eq!(version(&format!("# A word.\n{GOOD}")), first);
    assert_ne!(version(&GOOD.replace("127.0.0.1:8000", "127.0.0.1:8001")), first);
    assert_ne!(version(&GOOD.replace("grace: 30s", "grace: 31s")), first);
}

/// What is changed in a good template, into what, and what its only fault begins with.
#[rustfmt::skip]
const WRONG: &[(&str, &str, &str)] = &[
    ("name: fusebox\n", "name: sidecar\n", "container.name: is sidecar; the container is known by its name; write fusebox (template.yaml, line 3)"),
    ("restartPolicy: Always", "restartPolicy: Never", "container.restartPolicy: is Never; only what is restarted always"),
    ("  restartPolicy: Always\n", "", "container.restartPolicy: is missing; only what"),
    ("  restartPolicy: Always\n", "  restartPolicy: Always\n  imagePullPolcy: Never\n", "container.imagePullPolcy: unknown key; did you mean `imagePullPolicy`?"),
    ("  image: registry.example/fusebox-sidecar:0.1.0\n", "", "container.image: is missing"),
    ("registry.example/fusebox-sidecar:0.1.0", "A B", "container.image: \"A B\" is not a reference to an image"),
    ("ports:\n    - { name: grpc, containerPort: 50051 }\n    - { name: http, containerPort: 8080 }\n    - { name: admin, containerPort: 9090 }", "ports: { grpc: 1 }", "container.ports: is not a list of objects"),
    ("resources: { requests: { cpu: 100m, memory: 64Mi }", "resources: { requests: 5", "container.resources: requests: is not a map"),
    ("resources: { requests: { cpu: 100m, memory: 64Mi }", "resources: { requests: { cpu: lots }", "container.resources: requests: cpu: \"lots\" is not an amount"),
    ("resources: { requests: { cpu: 100m, memory: 64Mi }, limits: { cpu: 1, memory: 256Mi } }", "resources: 5", "container.resources: is not what a container asks for"),
    ("limits: { cpu: 1,", "limits: { cpu: 50m,", "container.resources: asks for more cpu than its limit"),
    ("labels: { fusebox.dev/sidecar: \"true\" }", "labels: { a: \"b c\" }", "labels: a: b c is not a label's value"),
    ("value: fusebox }", "value: 5 }", "container.env: OTEL_SERVICE_NAME: 5 is not text; put it in quotes"),
    ("{ name: http, containerPort: 8080 }", "{ name: http, containerPort: \"8080\" }", "container.ports: {\"name\":\"http\",\"containerPort\":\"8080\"} has no containerPort"),
    ("[run, --config,", "[run, 5, --config,", "container.args: is not a list of texts"),
    ("value: http://127.0.0.1:8080/v1 }", "value: 8080 }", "app_env: OPENAI_BASE_URL: 8080 is not text; put it in quotes"),
    ("grace: 30s", "grace: 30", "grace: 30 has no unit"),
    ("grace: 30s", "graec: 30s", "graec: unknown key; did you mean `grace`?"),
    ("labels: { fusebox.dev/sidecar: \"true\" }", "labels: { fusebox.dev/sidecar: true }", "labels: fusebox.dev/sidecar: true is not text; put it in quotes"),
    ("annotations: { prometheus.io/scrape: \"true\" }", "annotations: [a]", "annotations: is not a map"),
    ("{ name: fusebox-tmp, emptyDir: {} }", "{ name: other, emptyDir: {} }", "volumes: has no fusebox-tmp, which the container mounts"),
    ("{ name: fusebox-tmp, emptyDir: {} }", "{ emptyDir: {} }\n  - { name: fusebox-tmp }", "volumes: item 0 of it has no name"),
    ("{ name: fusebox-tmp, emptyDir: {} }", "{ name: fusebox-tmp }\n  - { name: fusebox-tmp }", "volumes: names fusebox-tmp twice"),
    ("{ name: fusebox-tmp, emptyDir: {} }", "{ name: fusebox-tmp }\n  - { name: fusebox-config, configMap: {} }", "volumes: fusebox-config holds the configuration"),
    ("{ name: fusebox-tmp, emptyDir: {} }", "{ name: fusebox-tmp, secret: { defaultMode: 0800 } }", "volumes: defaultMode is not the rights of a file"),
    ("{ name: fusebox-tmp, emptyDir: {} }", "{ name: fusebox-tmp, secret: { defaultMode: 4440 } }", "volumes: defaultMode is not the rights of a file"),
    ("{ name: OPENAI_BASE_URL, value", "{ nmae: OPENAI_BASE_URL, value", "app_env: has an item without a name"),
    ("config: |\n  listen: { admin", "config: |\n  - listen: { admin", "config: is not valid YAML: line "),
    ("config: |\n  listen", "config:\n  listen", "config: is not text; write"),
    ("config: |", "config: |\n  x: [", "config: is not valid YAML: line "),
];

#[test]
fn what_is_wrong_is_said_once_with_its_place_and_what_would_be_right() {
    for (part, instead, begins) in WRONG {
        assert!(GOOD.contains(part), "{part}");
        let faults = template(&GOOD.replacen(part, instead, 1)).unwrap_err();
        assert!(
            faults.len() == 1 && faults[0].starts_with(begins) && faults[0].contains("(template.yaml"),
            "{part}\n{faults:#?}"
        );
    }
    let long = GOOD.replace("config: |\n", &format!("config: |\n  # {}\n", "x".repeat(MAX_CONFIG)));
    assert!(template(&long).unwrap_err()[0].starts_with("config: is longer than 200KiB"));
}

#[test]
fn nothing_is_no_template_and_all_that_is_missing_is_named_at_once() {
    let faults = template("").unwrap_err();
    let begins = [
        "config: is missing",
        "container.image: ",
        "container.name: is missing",
        "container.restartPolicy: is missing",
    ];
    assert_eq!(faults.len(), begins.len(), "{faults:#?}");
    for (fault, begins) in faults.iter().zip(begins) {
        assert!(fault.starts_with(begins), "{fault}");
    }
    assert!(Template::read(Path::new("/no/such.yaml")).unwrap_err()[0].contains("cannot be read"));
}

#[test]
fn the_configurations_volume_may_be_listed_and_is_made_anyway() {
    let listed = GOOD.replace("volumes:\n", "volumes:\n  - { name: fusebox-config, downwardAPI: {} }\n");
    assert_eq!(template(&listed).unwrap().volumes, template(GOOD).unwrap().volumes);
}

#[test]
fn the_template_of_the_documentation_is_good() {
    let page = include_str!("../../../../docs/control-plane.md");
    let block = page.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a template");
    let read = template(block).unwrap();
    assert!(read.has_provider && read.app_env.len() == 1 && read.volumes.is_empty());
}

#[test]
fn rights_of_files_are_octal_where_they_begin_with_a_zero() {
    let with = |text: &str| {
        let volume = format!("{{ name: fusebox-tmp, projected: {{ {text} }} }}");
        template(&GOOD.replace("{ name: fusebox-tmp, emptyDir: {} }", &volume)).unwrap().volumes[0]["projected"].clone()
    };
    assert_eq!(with("defaultMode: 0444"), json!({"defaultMode": 0o444}));
    assert_eq!(with("defaultMode: 0"), json!({"defaultMode": 0}));
    assert_eq!(with("defaultMode: 288"), json!({"defaultMode": 288}));
    let deeper = with("sources: [{ secret: { name: a, items: [{ key: k, path: p, mode: 0400 }] } }]");
    assert_eq!(deeper["sources"][0]["secret"]["items"][0]["mode"], 0o400);
}
