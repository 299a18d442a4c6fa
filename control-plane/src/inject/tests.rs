//! Pods through the whole of it: decided on, and the patch applied by somebody else's code.

mod pods;
mod properties;

use serde_json::{Value, json};

use super::{
    decide::{Decision, Scope, Verdict, decide},
    template::{
        Template,
        tests::{GOOD, template},
    },
};

fn good() -> Template {
    template(GOOD).unwrap()
}

/// A pod with these annotations and one container, as an API server completes it.
fn pod(annotations: &[(&str, &str)]) -> Value {
    let annotations: serde_json::Map<_, _> =
        annotations.iter().map(|(name, value)| (format!("fusebox.dev/{name}"), Value::from(*value))).collect();
    json!({
        "metadata": {"generateName": "web-5d4f-", "labels": {"app": "web"}, "annotations": annotations},
        "spec": {
            "containers": [{"name": "web", "image": "web:1", "ports": [{"containerPort": 3000, "protocol": "TCP"}], "env": [{"name": "A", "value": "1"}]}],
            "volumes": [{"name": "kube-api-access", "projected": {}}],
            "terminationGracePeriodSeconds": 30,
        },
    })
}

/// `pod` with the patch of `decision` applied.
fn applied(pod: &Value, decision: &Decision) -> Value {
    let Verdict::Inject(patch) = &decision.verdict else { panic!("{decision:?}") };
    let patch: json_patch::Patch = serde_json::from_value(serde_json::to_value(patch).unwrap()).unwrap();
    let mut pod = pod.clone();
    json_patch::patch(&mut pod, &patch).unwrap();
    pod
}

/// What becomes of `pod` in a labelled namespace.
fn injected(pod: &Value) -> Value {
    applied(pod, &decide(pod, Scope::Labelled, &good()))
}

fn faults(pod: &Value) -> Vec<String> {
    match decide(pod, Scope::Labelled, &good()).verdict {
        Verdict::Unfit(faults) => faults,
        other => panic!("{other:?}"),
    }
}
