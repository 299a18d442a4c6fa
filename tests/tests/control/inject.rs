//! The admission webhook: the real control plane, asked over TLS as Kubernetes' API server asks.

mod asked;
mod changed;
mod container;
mod door;

use std::{fs, path::PathBuf};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use fusebox_tests::{
    client::{Answer, Http},
    control_plane::{self, ControlPlane},
    tls::{Authority, Identity},
};
use serde_json::{Value, json};
use tempfile::TempDir;

/// How an API server asks: with the time that it will wait.
const LABELLED: &str = "/inject?timeout=10s";
const ANNOTATED: &str = "/inject/annotated?timeout=10s";

/// A control plane whose webhook is on, and the files that it watches.
struct Stage {
    authority: Authority,
    files: TempDir,
    control: ControlPlane,
}

impl Stage {
    /// With `template`, and `changes` to the control plane's configuration.
    async fn start(template: &Value, changes: Value) -> Self {
        Self::with(template, changes, &[]).await
    }

    /// The same, with these variables.
    async fn with(template: &Value, changes: Value, env: &[(String, String)]) -> Self {
        let (authority, files) = (Authority::new(), tempfile::tempdir().unwrap());
        fs::write(files.path().join("template.yaml"), template.to_string()).unwrap();
        mount(&files, "v1", &authority.issue("webhook"));
        let mut config = config(&files);
        merge(&mut config, changes);
        let control = ControlPlane::start_in(tempfile::tempdir().unwrap(), &config, env).await;
        Self { authority, files, control }
    }

    /// Who asks, over HTTP/2 as API servers do, on a connection of its own.
    fn server(&self) -> Http {
        Http::tls(self.control.injector_address(), self.authority.client(None), true)
    }

    /// The answer to a review of `pod`, by `path`.
    async fn asked(&self, path: &str, pod: &Value) -> Response {
        Response::of(&self.server().post(path, &review(pod)).send().await)
    }

    /// `pod` as it is in a labelled namespace after that.
    async fn injected(&self, pod: &Value) -> Value {
        self.asked(LABELLED, pod).await.applied(pod)
    }

    fn template(&self) -> PathBuf {
        self.files.path().join("template.yaml")
    }

    /// How many reviews it has counted as `result`.
    async fn counted(&self, result: &str) -> f64 {
        let page = self.control.http().get("/metrics").send().await.text();
        let metrics = fusebox_tests::client::Metrics::parse(&page);
        metrics.sum("fusebox_injections_total", &[("result", result)])
    }
}

/// What a review was answered.
#[derive(Debug, Clone)]
struct Response(Value);

impl Response {
    fn of(answer: &Answer) -> Self {
        assert_eq!(answer.status, 200, "{}", answer.text());
        let review = answer.json();
        assert_eq!(
            (&review["kind"], &review["apiVersion"]),
            (&json!("AdmissionReview"), &json!("admission.k8s.io/v1"))
        );
        assert_eq!(review["response"]["uid"], UID);
        Self(review["response"].clone())
    }

    fn allowed(&self) -> bool {
        self.0["allowed"].as_bool().unwrap()
    }

    fn warnings(&self) -> Vec<&str> {
        self.0["warnings"].as_array().into_iter().flatten().map(|one| one.as_str().unwrap()).collect()
    }

    /// Whether nothing changes.
    fn is_plain(&self) -> bool {
        self.allowed() && self.0.get("patch").is_none() && self.0.get("patchType").is_none()
    }

    /// `pod` with the patch applied, as an API server does it.
    fn applied(&self, pod: &Value) -> Value {
        assert!(self.allowed() && self.0["patchType"] == "JSONPatch", "{self:?}");
        let patch = STANDARD.decode(self.0["patch"].as_str().unwrap()).unwrap();
        let patch: json_patch::Patch = serde_json::from_slice(&patch).unwrap();
        let mut pod = pod.clone();
        json_patch::patch(&mut pod, &patch).unwrap();
        pod
    }
}

const UID: &str = "705ab4f5-6393-11e8-b7cc-42010a800002";

/// A control plane's configuration whose webhook looks for its files in `files`.
fn config(files: &TempDir) -> Value {
    let of = |name: &str| files.path().join(name);
    control_plane::config(json!({"injector": {
        "listen": "127.0.0.1:0",
        "tls": {"cert_file": of("tls.crt"), "key_file": of("tls.key")},
        "template_file": of("template.yaml"),
    }}))
}

/// Puts `identity` where a Secret's volume would have it: behind a link that is turned at once.
fn mount(files: &TempDir, version: &str, identity: &Identity) {
    let of = |name: &str| files.path().join(name);
    fs::create_dir(of(version)).unwrap();
    for (name, from) in [("tls.crt", &identity.cert_file), ("tls.key", &identity.key_file)] {
        fs::copy(from, of(version).join(name)).unwrap();
        if !of(name).exists() {
            let _ = fs::remove_file(of(name));
            std::os::unix::fs::symlink(PathBuf::from("..data").join(name), of(name)).unwrap();
        }
    }
    std::os::unix::fs::symlink(version, of("..new")).unwrap();
    fs::rename(of("..new"), of("..data")).unwrap();
}

/// `changes` laid over `under`, key by key.
fn merge(under: &mut Value, changes: Value) {
    match (under, changes) {
        (Value::Object(under), Value::Object(changes)) => {
            changes.into_iter().for_each(|(key, value)| merge(under.entry(key).or_insert(Value::Null), value));
        }
        (under, changes) => *under = changes,
    }
}

/// A template as the chart writes it.
fn template() -> Value {
    let probe = json!({"httpGet": {"path": "/livez", "port": "admin"}});
    json!({
        "container": {
            "name": "fusebox", "image": "registry.example/fusebox-sidecar:0.1.0", "restartPolicy": "Always",
            "args": ["run", "--config", "/etc/fusebox/config.yaml"],
            "env": [{"name": "OTEL_SERVICE_NAME", "value": "fusebox"}],
            "ports": [
                {"name": "grpc", "containerPort": 50051, "protocol": "TCP"},
                {"name": "http", "containerPort": 8080, "protocol": "TCP"},
                {"name": "admin", "containerPort": 9090, "protocol": "TCP"},
            ],
            "startupProbe": probe, "livenessProbe": probe, "readinessProbe": {"httpGet": {"path": "/readyz", "port": "admin"}},
            "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}, "limits": {"cpu": "1", "memory": "256Mi"}},
            "securityContext": {"allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "runAsNonRoot": true},
            "volumeMounts": [{"name": "fusebox-config", "mountPath": "/etc/fusebox", "readOnly": true}],
        },
        "config": "providers: [{ name: vllm, base_url: http://127.0.0.1:8000/v1 }]\n",
        "labels": {"fusebox.dev/sidecar": "true"},
        "annotations": {"example.dev/by": "the template"},
        "app_env": [{"name": "OPENAI_BASE_URL", "value": "http://127.0.0.1:8080/v1"}],
        "grace": "30s",
    })
}

/// A pod of a Deployment as it is when a webhook sees it: without a name, its defaults set, a token mounted.
fn pod(annotations: &[(&str, &str)]) -> Value {
    let annotations: serde_json::Map<_, _> =
        annotations.iter().map(|(name, value)| (format!("fusebox.dev/{name}"), Value::from(*value))).collect();
    let owner = json!({
        "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-5d4f8c7b9d", "controller": true,
        "uid": "0c9b7d3e-8a43-4c3e-9d0c-6d3f1f1c2b11", "blockOwnerDeletion": true,
    });
    let access =
        json!({"defaultMode": 420, "sources": [{"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}}]});
    json!({
        "kind": "Pod", "apiVersion": "v1",
        "metadata": {
            "generateName": "web-5d4f8c7b9d-", "creationTimestamp": null, "annotations": annotations,
            "labels": {"app": "web", "pod-template-hash": "5d4f8c7b9d"}, "ownerReferences": [owner],
        },
        "spec": {
            "volumes": [{"name": "kube-api-access-4x7zq", "projected": access}],
            "containers": [{
                "name": "web", "image": "registry.example/web:1", "imagePullPolicy": "IfNotPresent", "resources": {},
                "ports": [{"name": "http", "containerPort": 3000, "protocol": "TCP"}],
                "env": [{"name": "LOG", "value": "info"}],
                "volumeMounts": [{"name": "kube-api-access-4x7zq", "readOnly": true, "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"}],
                "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File",
            }],
            "restartPolicy": "Always", "terminationGracePeriodSeconds": 30, "dnsPolicy": "ClusterFirst",
            "serviceAccountName": "default", "serviceAccount": "default", "securityContext": {},
            "schedulerName": "default-scheduler", "enableServiceLinks": true, "preemptionPolicy": "PreemptLowerPriority",
            "tolerations": [{"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}],
            "priority": 0,
        },
        "status": {},
    })
}

/// The review of `pod` that an API server sends.
fn review(pod: &Value) -> Value {
    let kind = json!({"group": "", "version": "v1", "kind": "Pod"});
    let resource = json!({"group": "", "version": "v1", "resource": "pods"});
    json!({
        "kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1",
        "request": {
            "uid": UID, "kind": kind, "resource": resource, "requestKind": kind, "requestResource": resource,
            "namespace": "chat", "operation": "CREATE",
            "userInfo": {
                "username": "system:serviceaccount:kube-system:replicaset-controller",
                "uid": "d1f6a2f0-2f2b-4b43-9b43-0d2f3a9b8c7d",
                "groups": ["system:serviceaccounts", "system:serviceaccounts:kube-system", "system:authenticated"],
                "extra": {"authentication.kubernetes.io/credential-id": ["JTI=5f2c"]},
            },
            "object": pod, "oldObject": null, "dryRun": false,
            "options": {"kind": "CreateOptions", "apiVersion": "meta.k8s.io/v1"},
        },
    })
}
