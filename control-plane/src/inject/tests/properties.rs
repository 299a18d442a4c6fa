//! What holds of every pod, however it came.

use proptest::prelude::*;
use serde_json::Map;

use super::*;

/// A list that is not there, null, or of up to three of these.
fn maybe(items: impl Strategy<Value = Value>) -> impl Strategy<Value = Option<Value>> {
    prop_oneof![
        Just(None),
        Just(Some(Value::Null)),
        prop::collection::vec(items, 0..3).prop_map(|items| Some(Value::Array(items))),
    ]
}

fn with(mut of: Value, field: &str, value: Option<Value>) -> Value {
    if let Some(value) = value {
        of[field] = value;
    }
    of
}

fn container() -> impl Strategy<Value = Value> {
    let variable = prop::sample::select(vec!["A", "B", "OPENAI_BASE_URL"]);
    let env = maybe(variable.prop_map(|name| json!({"name": name, "value": "its own"})));
    let ports = maybe((3000_u16..3010).prop_map(|port| json!({"containerPort": port})));
    ("[a-e]", env, ports)
        .prop_map(|(name, env, ports)| with(with(json!({"name": name, "image": "i"}), "env", env), "ports", ports))
}

/// Annotations that go together, and others that are none of ours.
fn notes() -> impl Strategy<Value = Option<Value>> {
    let good: Vec<(&str, &str)> = vec![
        ("fusebox.dev/inject", "true"),
        ("fusebox.dev/config", "providers: [{name: a}]"),
        ("fusebox.dev/secret", "keys"),
        ("fusebox.dev/tokens-secret", "tokens"),
        ("fusebox.dev/image", "fusebox:2"),
        ("fusebox.dev/cpu-limit", "4"),
        ("fusebox.dev/memory-request", "128Mi"),
        ("fusebox.dev/log", "debug"),
        ("fusebox.dev/upstream", "8000"),
        ("fusebox.dev/app-env", "false"),
        ("fusebox.dev/injected", "0123"),
        ("fusebox.dev/unknown", "x"),
        ("prometheus.io/scrape", "false"),
        ("a~/b", "x"),
    ];
    let chosen = prop::sample::subsequence(good, 0..6);
    let map = chosen.prop_map(|notes| {
        Some(notes.into_iter().map(|(key, value)| (key.to_owned(), json!(value))).collect::<Map<_, _>>().into())
    });
    prop_oneof![1 => Just(None), 1 => Just(Some(Value::Null)), 4 => map]
}

fn any_pod() -> impl Strategy<Value = Value> {
    let labels =
        prop_oneof![Just(None), Just(Some(json!({}))), Just(Some(json!({"fusebox.dev/sidecar": "x", "app": "y"})))];
    let metadata = (notes(), labels, any::<bool>()).prop_map(|(notes, labels, there)| {
        there.then(|| with(with(json!({"name": "p"}), "annotations", notes), "labels", labels))
    });
    let volume = "[v-z]".prop_map(|name| json!({"name": name, "emptyDir": {}}));
    let grace = prop::option::of((0_i64..100).prop_map(Value::from));
    let containers = prop::collection::vec(container(), 1..4);
    (metadata, containers, maybe(container()), maybe(volume), grace).prop_map(
        |(metadata, containers, init, volumes, grace)| {
            let spec = json!({"containers": containers, "dnsPolicy": "ClusterFirst"});
            let spec = with(with(spec, "initContainers", init), "volumes", volumes);
            let spec = with(spec, "terminationGracePeriodSeconds", grace);
            with(json!({"kind": "Pod", "spec": spec}), "metadata", metadata)
        },
    )
}

/// The items of a list that may not be there.
fn list<'a>(of: &'a Value, field: &str) -> &'a [Value] {
    of[field].as_array().map_or(&[], Vec::as_slice)
}

/// Names of containers, first those that start first.
fn names(pod: &Value) -> Vec<&str> {
    let all = list(&pod["spec"], "initContainers").iter().chain(list(&pod["spec"], "containers"));
    all.map(|one| one["name"].as_str().unwrap()).collect()
}

proptest! {
    #[test]
    fn a_patched_pod_has_one_sidecar_before_all_else(pod in any_pod()) {
        let after = injected(&pod);
        let mut right = vec!["fusebox"];
        right.extend(names(&pod));
        prop_assert_eq!(names(&after), right);
        let volumes: Vec<_> = list(&after["spec"], "volumes").iter().map(|one| &one["name"]).collect();
        prop_assert_eq!(volumes.iter().filter(|name| **name == "fusebox-config").count(), 1);
        for mount in list(&after["spec"]["initContainers"][0], "volumeMounts") {
            prop_assert!(volumes.contains(&&mount["name"]), "{} is mounted and not there", mount["name"]);
        }
        prop_assert!(after["spec"]["terminationGracePeriodSeconds"].as_i64().unwrap() >= 45);
        prop_assert!(after["metadata"]["annotations"]["fusebox.dev/config"].is_string());
    }

    #[test]
    fn injecting_twice_changes_nothing(pod in any_pod()) {
        let again = decide(&injected(&pod), Scope::Labelled, &good());
        prop_assert_eq!(again.verdict, Verdict::Leave("it has the sidecar already"));
    }

    #[test]
    fn what_was_there_stays_as_it_was(pod in any_pod()) {
        let after = injected(&pod);
        let (old, new) = (&pod["spec"], &after["spec"]);
        prop_assert_eq!(&list(new, "initContainers")[1..], list(old, "initContainers"));
        prop_assert_eq!(&list(new, "volumes")[..list(old, "volumes").len()], list(old, "volumes"));
        prop_assert_eq!(&new["dnsPolicy"], &old["dnsPolicy"]);
        let bare = pod["metadata"]["annotations"]["fusebox.dev/app-env"] == "false";
        for (new, old) in list(new, "containers").iter().zip(list(old, "containers")) {
            let (before, now) = (list(old, "env"), list(new, "env"));
            prop_assert_eq!(&now[..before.len()], before);
            let has_one = before.iter().any(|one| one["name"] == "OPENAI_BASE_URL");
            prop_assert_eq!(now.len() - before.len(), usize::from(!bare && !has_one));
            let rest = |container: &Value| { let mut rest = container.clone(); rest.as_object_mut().unwrap().remove("env"); rest };
            prop_assert_eq!(rest(new), rest(old));
        }
        for part in ["annotations", "labels"] {
            for (key, value) in pod["metadata"][part].as_object().into_iter().flatten().filter(|(key, _)| *key != "fusebox.dev/injected") {
                prop_assert_eq!(&after["metadata"][part][key], value, "{}", key);
            }
        }
    }

    #[test]
    fn whatever_comes_is_decided_on(pod in any_pod(), path in prop::sample::select(vec!["/metadata", "/metadata/annotations", "/spec", "/spec/containers", "/spec/containers/0", "/spec/containers/0/env", "/spec/containers/0/ports", "/spec/volumes", "/spec/initContainers"]), strange in prop::sample::select(vec![json!(1), json!("x"), json!([1]), json!({"a": [null]}), Value::Null])) {
        let mut pod = pod;
        if let Some(place) = pod.pointer_mut(path) {
            *place = strange;
        }
        let decision = decide(&pod, Scope::Labelled, &good());
        if matches!(decision.verdict, Verdict::Inject(_)) {
            applied(&pod, &decision);
        }
    }
}
