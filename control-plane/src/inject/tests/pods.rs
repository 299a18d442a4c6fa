//! Single pods, each for one rule.

use super::*;

#[test]
fn a_pod_is_given_the_sidecar_first_and_what_belongs_to_it() {
    let mut before = pod(&[]);
    before["spec"]["initContainers"] = json!([{"name": "migrate", "image": "migrate:1"}]);
    let after = injected(&before);
    let spec = &after["spec"];
    let mut right = Value::Object(good().container);
    assert_eq!(spec["initContainers"], json!([right.take(), {"name": "migrate", "image": "migrate:1"}]));
    let volumes: Vec<_> = spec["volumes"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(volumes, ["kube-api-access", "fusebox-tmp", "fusebox-config"]);
    assert_eq!(after["metadata"]["annotations"]["fusebox.dev/config"], good().config);
    assert_eq!(after["metadata"]["annotations"]["fusebox.dev/injected"], good().version());
    assert_eq!(after["metadata"]["annotations"]["prometheus.io/scrape"], "true");
    assert_eq!(after["metadata"]["labels"], json!({"app": "web", "fusebox.dev/sidecar": "true"}));
    assert_eq!(spec["terminationGracePeriodSeconds"], 45);
    let env = json!([{"name": "A", "value": "1"}, {"name": "OPENAI_BASE_URL", "value": "http://127.0.0.1:8080/v1"}]);
    assert_eq!(spec["containers"][0]["env"], env);
}

#[test]
fn a_sidecar_that_pauses_before_it_ends_is_given_time_for_that_too() {
    let mut template = good();
    template.container.insert("lifecycle".to_owned(), json!({"preStop": {"sleep": {"seconds": 5}}}));
    let after = applied(&pod(&[]), &decide(&pod(&[]), Scope::Labelled, &template));
    assert_eq!(after["spec"]["terminationGracePeriodSeconds"], 50);
}

#[test]
fn what_the_pod_says_itself_is_kept() {
    let mut before = pod(&[("config", "providers: []")]);
    before["metadata"]["labels"]["fusebox.dev/sidecar"] = "mine".into();
    before["metadata"]["annotations"]["prometheus.io/scrape"] = "false".into();
    before["spec"]["terminationGracePeriodSeconds"] = 600.into();
    before["spec"]["containers"][0]["env"] = json!([{"name": "OPENAI_BASE_URL", "value": "http://mine"}]);
    let after = injected(&before);
    for path in [
        "/metadata/labels",
        "/metadata/annotations/prometheus.io~1scrape",
        "/metadata/annotations/fusebox.dev~1config",
        "/spec/containers",
        "/spec/terminationGracePeriodSeconds",
    ] {
        assert_eq!(after.pointer(path), before.pointer(path), "{path}");
    }
    let bare = pod(&[("app-env", "false")]);
    assert_eq!(injected(&bare)["spec"]["containers"], bare["spec"]["containers"]);
}

/// What a pod says, which way it came, and whether it is injected.
#[rustfmt::skip]
const ASKED: &[(Option<&str>, Scope, bool)] = &[
    (None, Scope::Labelled, true),
    (Some("true"), Scope::Labelled, true),
    (Some("false"), Scope::Labelled, false),
    (None, Scope::Annotated, false),
    (Some("true"), Scope::Annotated, true),
    (Some("false"), Scope::Annotated, false),
];

#[test]
fn a_pod_is_injected_where_its_annotation_or_else_its_namespace_says_so() {
    for (inject, scope, right) in ASKED {
        let notes: Vec<_> = inject.iter().map(|value| ("inject", *value)).collect();
        let decision = decide(&pod(&notes), *scope, &good());
        assert_eq!(matches!(decision.verdict, Verdict::Inject(_)), *right, "{inject:?} {scope:?}");
        assert!(decision.warnings.is_empty() && !matches!(decision.verdict, Verdict::Unfit(_)));
    }
    for scope in [Scope::Labelled, Scope::Annotated] {
        let strange = decide(&pod(&[("inject", "yes")]), scope, &good());
        assert!(
            matches!(&strange.verdict, Verdict::Unfit(faults) if faults[0].starts_with("fusebox.dev/inject: \"yes\""))
        );
    }
}

#[test]
fn a_pod_that_has_the_sidecar_is_left_alone_whatever_it_says() {
    for place in ["containers", "initContainers"] {
        let mut there = pod(&[("inject", "true"), ("cpu-limit", "nonsense"), ("unknown", "")]);
        there["spec"][place] = json!([{"name": "fusebox"}]);
        let decision = decide(&there, Scope::Labelled, &good());
        assert_eq!(decision, Decision { verdict: Verdict::Leave("it has the sidecar already"), warnings: Vec::new() });
    }
}

#[test]
fn a_pod_on_its_nodes_network_has_to_ask_for_itself() {
    let mut on_host = pod(&[]);
    on_host["spec"]["hostNetwork"] = true.into();
    let decision = decide(&on_host, Scope::Labelled, &good());
    assert_eq!(decision.verdict, Verdict::Leave("it is on its node's network"));
    assert!(decision.warnings[0].contains("fusebox.dev/inject: \"true\""), "{:?}", decision.warnings);
    on_host["metadata"]["annotations"]["fusebox.dev/inject"] = "true".into();
    assert_eq!(injected(&on_host)["spec"]["initContainers"][0]["name"], "fusebox");
}

#[test]
fn a_pod_of_windows_is_left_alone_and_told_so_if_it_asks() {
    let mut windows = pod(&[]);
    windows["spec"]["os"] = json!({"name": "windows"});
    assert_eq!(decide(&windows, Scope::Labelled, &good()).verdict, Verdict::Leave("it runs on Windows"));
    windows["metadata"]["annotations"]["fusebox.dev/inject"] = "true".into();
    assert!(faults(&windows)[0].contains("Windows"));
}

#[test]
fn a_pod_that_kubernetes_would_refuse_with_the_sidecar_in_it_is_not_changed() {
    let mut port = pod(&[]);
    port["spec"]["containers"][0]["ports"] = json!([{"containerPort": 8080}]);
    assert_eq!(
        faults(&port),
        ["container web listens on port 8080, and so does the sidecar (http); have one of them listen elsewhere"]
    );
    port["spec"]["containers"][0]["ports"] = json!([{"containerPort": 8080, "protocol": "UDP"}]);
    injected(&port);
    let mut volume = pod(&[]);
    volume["spec"]["volumes"] = json!([{"name": "fusebox-config", "emptyDir": {}}]);
    assert_eq!(faults(&volume), ["the pod has a volume fusebox-config, which is the sidecar's; give it another name"]);
    let mut long = pod(&[]);
    let room = (256 << 10) - good().config.len() - 200;
    long["metadata"]["annotations"]["other"] = "x".repeat(room).into();
    injected(&long);
    long["metadata"]["annotations"]["other"] = "x".repeat(room + 200).into();
    assert!(
        faults(&long)[0].starts_with("with the sidecar's configuration the pod's annotations come to 262"),
        "{:?}",
        faults(&long)
    );
    long["metadata"]["annotations"]["fusebox.dev/config-map"] = "mine".into();
    injected(&long);
}

#[test]
fn an_unknown_annotation_is_warned_of_whether_the_pod_is_injected_or_not() {
    for scope in [Scope::Labelled, Scope::Annotated] {
        let decision = decide(&pod(&[("injct", "true")]), scope, &good());
        assert_eq!(decision.warnings, ["fusebox: there is no annotation fusebox.dev/injct; did you mean `inject`?"]);
    }
}
