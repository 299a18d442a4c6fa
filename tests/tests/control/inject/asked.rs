//! What pods are given, by what they are annotated with and by which way they came.

use super::*;

#[tokio::test]
async fn a_deployments_pod_is_given_the_sidecar_and_otherwise_left_as_it_was() {
    let stage = Stage::start(&template(), json!({})).await;
    let before = pod(&[]);
    let after = stage.injected(&before).await;
    let spec = &after["spec"];
    assert_eq!(spec["initContainers"], json!([template()["container"]]));
    let field = json!({"apiVersion": "v1", "fieldPath": "metadata.annotations['fusebox.dev/config']"});
    let volume =
        json!({"downwardAPI": {"items": [{"path": "config.yaml", "fieldRef": field}]}, "name": "fusebox-config"});
    assert_eq!(spec["volumes"], json!([before["spec"]["volumes"][0], volume]));
    assert_eq!(spec["terminationGracePeriodSeconds"], 45);
    let env = &spec["containers"][0]["env"];
    assert_eq!(env, &json!([{"name": "LOG", "value": "info"}, template()["app_env"][0]]));
    assert_eq!(after["metadata"]["annotations"]["fusebox.dev/config"], template()["config"]);
    assert_eq!(after["metadata"]["annotations"]["example.dev/by"], "the template");
    let version = after["metadata"]["annotations"]["fusebox.dev/injected"].as_str().unwrap();
    assert_eq!(version.len(), 12, "{version}");
    assert_eq!(after["metadata"]["labels"]["fusebox.dev/sidecar"], "true");
    // What was changed is taken back: the rest is as it was.
    let mut rest = after.clone();
    rest["spec"].as_object_mut().unwrap().remove("initContainers");
    for path in [
        "/spec/volumes",
        "/spec/terminationGracePeriodSeconds",
        "/spec/containers/0/env",
        "/metadata/annotations",
        "/metadata/labels",
    ] {
        *rest.pointer_mut(path).unwrap() = before.pointer(path).unwrap().clone();
    }
    assert_eq!(rest, before);
    stage
        .control
        .logged("the pod", |line| {
            line.contains("the sidecar is injected")
                && line.contains("chat")
                && line.contains("web-5d4f8c7b9d-")
                && line.contains(version)
        })
        .await;
    assert_eq!(stage.counted("injected").await, 1.0);
    let again = stage.asked(LABELLED, &after).await;
    assert!(again.is_plain() && again.warnings().is_empty(), "{again:?}");
    assert_eq!((stage.counted("injected").await, stage.counted("skipped").await), (1.0, 1.0));
}

#[tokio::test]
async fn a_pod_is_meant_by_its_namespace_or_by_its_own_word() {
    let stage = Stage::start(&template(), json!({})).await;
    for (path, inject, meant) in [
        (LABELLED, None, true),
        (LABELLED, Some("false"), false),
        (LABELLED, Some("true"), true),
        (ANNOTATED, None, false),
        (ANNOTATED, Some("false"), false),
        (ANNOTATED, Some("true"), true),
    ] {
        let notes: Vec<_> = inject.iter().map(|value| ("inject", *value)).collect();
        let response = stage.asked(path, &pod(&notes)).await;
        assert_eq!(!response.is_plain(), meant, "{path} {inject:?}: {response:?}");
    }
}

/// An annotation, and what of the pod is then what: a pointer, and its value.
#[rustfmt::skip]
fn effects() -> Vec<(&'static str, &'static str, String, Value)> {
    let of = |path: &str| format!("/spec/initContainers/0{path}");
    let secret = json!({"secretName": "callers", "items": [{"key": "tokens", "path": "tokens"}]});
    let map = json!({"name": "mine", "items": [{"key": "config.yaml", "path": "config.yaml"}]});
    vec![
        ("image", "registry.example/other:2", of("/image"), json!("registry.example/other:2")),
        ("cpu-request", "250m", of("/resources/requests/cpu"), json!("250m")),
        ("cpu-limit", "2", of("/resources/limits/cpu"), json!("2")),
        ("memory-request", "128Mi", of("/resources/requests/memory"), json!("128Mi")),
        ("memory-limit", "1Gi", of("/resources/limits/memory"), json!("1Gi")),
        ("log", "info,fusebox=debug", of("/env/1"), json!({"name": "FUSEBOX_TELEMETRY__LOG", "value": "info,fusebox=debug"})),
        ("upstream", "8001", of("/env/1"), json!({"name": "FUSEBOX_PROVIDERS__0__BASE_URL", "value": "http://127.0.0.1:8001/v1"})),
        ("upstream", "https://vllm.chat.svc/v1/", of("/env/1/value"), json!("https://vllm.chat.svc/v1")),
        ("secret", "keys", of("/envFrom"), json!([{"secretRef": {"name": "keys"}}])),
        ("tokens-secret", "callers", "/spec/volumes/2".to_owned(), json!({"name": "fusebox-tokens", "secret": secret})),
        ("tokens-secret", "callers", of("/env/1"), json!({"name": "FUSEBOX_AUTH__TOKENS_FILE", "value": "/etc/fusebox/tokens/tokens"})),
        ("tokens-secret", "callers", of("/volumeMounts/1"), json!({"name": "fusebox-tokens", "mountPath": "/etc/fusebox/tokens", "readOnly": true})),
        ("config", "models: []", "/metadata/annotations/fusebox.dev~1config".to_owned(), json!("models: []")),
        ("config-map", "mine", "/spec/volumes/1/configMap".to_owned(), map),
        ("config-map", "mine", "/metadata/annotations/fusebox.dev~1config".to_owned(), Value::Null),
        ("app-env", "false", "/spec/containers/0/env".to_owned(), json!([{"name": "LOG", "value": "info"}])),
    ]
}

#[tokio::test]
async fn each_annotation_changes_what_it_says() {
    let stage = Stage::start(&template(), json!({})).await;
    for (name, value, path, right) in effects() {
        let before = pod(&[(name, value)]);
        let response = stage.asked(LABELLED, &before).await;
        assert!(response.warnings().is_empty(), "{response:?}");
        let after = response.applied(&before);
        let found = after.pointer(&path).cloned().unwrap_or_default();
        assert_eq!(found, right, "{name}: {value} at {path}");
    }
}

/// An annotation that is wrong, and what is said of it.
#[rustfmt::skip]
const WRONG: &[(&str, &str, &str)] = &[
    ("inject", "yes", "fusebox.dev/inject: \"yes\" is neither true nor false; write \"true\" or \"false\""),
    ("image", "a b", "fusebox.dev/image: \"a b\" is not a reference to an image"),
    ("cpu-request", "two", "fusebox.dev/cpu-request: \"two\" is not an amount of processor; write one from 1m on, such as 500m or 2"),
    ("cpu-request", "4", "fusebox.dev/cpu-request: \"4\" makes the request (4) larger than the limit (1); set fusebox.dev/cpu-limit to go with it"),
    ("cpu-limit", "0", "fusebox.dev/cpu-limit: \"0\" is not an amount of processor"),
    ("memory-request", "400m", "fusebox.dev/memory-request: \"400m\" is not an amount of memory; write one from 1Mi on, such as 256Mi or 1Gi"),
    ("memory-limit", "1GB", "fusebox.dev/memory-limit: \"1GB\" is not an amount of memory"),
    ("log", "fusebox=loud", "fusebox.dev/log: \"fusebox=loud\" is not a level or a filter"),
    ("upstream", "vllm", "fusebox.dev/upstream: \"vllm\" is neither a port nor a base URL"),
    ("secret", "My_Keys", "fusebox.dev/secret: \"My_Keys\" is not the name of an object"),
    ("tokens-secret", "", "fusebox.dev/tokens-secret: \"\" is not the name of an object"),
    ("config-map", "a/b", "fusebox.dev/config-map: \"a/b\" is not the name of an object"),
    ("config", "a: [", "fusebox.dev/config is not valid YAML: line "),
    ("config", "- a", "fusebox.dev/config is not a configuration; write a map of keys"),
    ("app-env", "no", "fusebox.dev/app-env: \"no\" is neither true nor false"),
];

#[tokio::test]
async fn a_wrong_annotation_lets_the_pod_in_as_it_is_with_a_warning_or_keeps_it_out_as_configured() {
    let admits = Stage::start(&template(), json!({})).await;
    let denies = Stage::start(&template(), json!({"injector": {"on_error": "deny"}})).await;
    for (name, value, said) in WRONG {
        let wrong = pod(&[(name, value)]);
        let let_in = admits.asked(LABELLED, &wrong).await;
        let [warning] = &let_in.warnings()[..] else { panic!("{let_in:?}") };
        assert!(let_in.is_plain() && warning.starts_with(&format!("fusebox: not injected: {said}")), "{warning}");
        let kept_out = denies.asked(LABELLED, &wrong).await;
        assert!(!kept_out.allowed() && kept_out.0.get("patch").is_none(), "{kept_out:?}");
        let status = &kept_out.0["status"];
        let message = status["message"].as_str().unwrap();
        assert!(message.starts_with(&format!("fusebox: {said}")), "{message}");
        assert_eq!((&status["code"], &status["reason"]), (&json!(422), &json!("Invalid")));
    }
    let wrong = f64::from(u32::try_from(WRONG.len()).unwrap());
    assert_eq!((admits.counted("failed").await, denies.counted("denied").await), (wrong, wrong));
    let of_pod = |line: &str| line.contains("a pod cannot be injected") && line.contains("web-5d4f8c7b9d-");
    admits
        .control
        .logged("the fault", |line| of_pod(line) && line.contains("My_Keys") && line.contains("failed"))
        .await;
    denies
        .control
        .logged("the fault", |line| of_pod(line) && line.contains("My_Keys") && line.contains("denied"))
        .await;
}

#[tokio::test]
async fn all_that_is_wrong_with_a_pod_is_said_at_once_and_an_unknown_annotation_is_warned_of() {
    let stage = Stage::start(&template(), json!({})).await;
    let wrong = stage.asked(LABELLED, &pod(&[("log", "loud=1=2"), ("image", ""), ("cpu-limits", "1")])).await;
    let warnings = wrong.warnings();
    assert_eq!(warnings.len(), 3, "{warnings:?}");
    assert_eq!(warnings[0], "fusebox: there is no annotation fusebox.dev/cpu-limits; did you mean `cpu-limit`?");
    let unknown = pod(&[("cpu-limits", "1")]);
    let response = stage.asked(LABELLED, &unknown).await;
    assert_eq!(response.warnings().len(), 1);
    assert_eq!(
        response.applied(&unknown)["spec"]["initContainers"][0]["resources"],
        template()["container"]["resources"]
    );
}

#[tokio::test]
async fn what_is_no_pod_that_is_made_passes_unchanged() {
    let stage = Stage::start(&template(), json!({"injector": {"on_error": "deny"}})).await;
    for (field, value) in [
        ("operation", json!("UPDATE")),
        ("subResource", json!("ephemeralcontainers")),
        ("subResource", json!("eviction")),
        ("resource", json!({"group": "apps", "version": "v1", "resource": "deployments"})),
        ("object", Value::Null),
    ] {
        let mut review = review(&pod(&[]));
        review["request"][field] = value.clone();
        if field == "object" {
            review["request"]["operation"] = "DELETE".into();
        }
        let answer = stage.server().post(LABELLED, &review).send().await;
        assert!(Response::of(&answer).is_plain(), "{field}: {value}");
    }
    let mut dry = review(&pod(&[]));
    dry["request"]["dryRun"] = true.into();
    let answer = Response::of(&stage.server().post(LABELLED, &dry).send().await);
    assert!(!answer.is_plain(), "a dry run shows what would become of it");
    stage
        .control
        .logged("the dry run", |line| line.contains("the sidecar is injected") && line.contains("dry_run=true"))
        .await;
}

#[tokio::test]
async fn each_review_is_a_span_that_says_which_pod_and_what_became_of_it() {
    use fusebox_tests::collector::{Collector, find, hex};
    let collector = Collector::start().await;
    let soon = [("OTEL_BSP_SCHEDULE_DELAY".to_owned(), "20".to_owned())];
    let stage = Stage::with(&template(), json!({"telemetry": {"otlp_endpoint": collector.endpoint()}}), &soon).await;
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    stage.server().post(LABELLED, &review(&pod(&[]))).header("traceparent", parent).send().await;
    let spans = collector.until("the span", |spans| spans.iter().any(|span| span.name == "POST /inject")).await;
    let span = spans.iter().find(|span| span.name == "POST /inject").unwrap();
    assert_eq!(hex(&span.trace_id), "0af7651916cd43dd8448eb211c80319c");
    for (key, value) in
        [("k8s.namespace.name", "chat"), ("k8s.pod.name", "web-5d4f8c7b9d-"), ("fusebox.injection.result", "injected")]
    {
        assert_eq!(find(&span.attributes, key).as_deref(), Some(value), "{key}");
    }
}
