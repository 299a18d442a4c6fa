//! What Kubernetes asks and is answered: an `AdmissionReview` of `admission.k8s.io/v1`, both ways.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use fusebox_base::config::clip;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    decide::{Decision, Verdict},
    values,
};

/// The one version that is spoken.
const VERSION: &str = "admission.k8s.io/v1";
const KIND: &str = "AdmissionReview";

/// What to do with a pod that should be injected and cannot be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnError {
    /// It is let in as it is, with a warning.
    Admit,
    /// It is not let in.
    Deny,
}

impl OnError {
    /// As they are written.
    pub const WORDS: [(&'static str, Self); 2] = [("admit", Self::Admit), ("deny", Self::Deny)];
}

/// What was asked.
#[derive(Debug)]
pub struct Asked {
    uid: String,
    /// The pod's namespace.
    pub namespace: String,
    /// The pod's name, or what its name will begin with.
    pub name: String,
    /// Whether nothing comes of it.
    pub dry_run: bool,
    /// The pod; `None`: it is about something else than a pod that is made.
    pub pod: Option<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Review {
    #[serde(default)]
    api_version: String,
    #[serde(default)]
    kind: String,
    request: Option<Request>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Request {
    #[serde(default)]
    uid: String,
    #[serde(default)]
    resource: Resource,
    #[serde(default)]
    sub_resource: Option<String>,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    namespace: Option<String>,
    #[serde(default)]
    operation: String,
    #[serde(default)]
    object: Value,
    #[serde(default)]
    dry_run: Option<bool>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Resource {
    group: String,
    version: String,
    resource: String,
}

impl Asked {
    /// What `bytes` ask.
    ///
    /// # Errors
    /// Why they are no review.
    pub fn read(bytes: &[u8]) -> Result<Self, String> {
        let review: Review =
            serde_json::from_slice(bytes).map_err(|error| format!("the body is not an {KIND} in JSON: {error}"))?;
        if review.kind != KIND || review.api_version != VERSION {
            return Err(format!(
                "the body is of kind {} and version {}, and only {KIND} of {VERSION} is spoken here; the webhook's \
                 admissionReviewVersions are [v1]",
                named(&review.kind),
                named(&review.api_version)
            ));
        }
        let request = review.request.ok_or_else(|| format!("the {KIND} has no request"))?;
        if request.uid.is_empty() {
            return Err("the request has no uid, and so cannot be answered".to_owned());
        }
        Ok(request.into())
    }
}

impl From<Request> for Asked {
    fn from(request: Request) -> Self {
        let Resource { group, version, resource } = &request.resource;
        let of_pods = (group.as_str(), version.as_str(), resource.as_str()) == ("", "v1", "pods");
        let whole = request.sub_resource.as_deref().unwrap_or_default().is_empty();
        let is_made = of_pods && whole && request.operation == "CREATE";
        let metadata = request.object.get("metadata");
        let of_pod =
            |field: &str| metadata.and_then(|metadata| metadata.get(field)?.as_str()).filter(|text| !text.is_empty());
        // A Deployment's pod is named as it is made: until then it has only the beginning of a name.
        let name = of_pod("name").or_else(|| request.name.as_deref().filter(|name| !name.is_empty()));
        let name = shown(name.or_else(|| of_pod("generateName")).unwrap_or_default());
        let namespace = shown(request.namespace.as_deref().or_else(|| of_pod("namespace")).unwrap_or_default());
        Self {
            namespace,
            name,
            dry_run: request.dry_run.unwrap_or_default(),
            pod: is_made.then_some(request.object),
            uid: request.uid,
        }
    }
}

/// The answer to what was asked: `decision`, or nothing to be done where there is none.
#[must_use]
pub fn answer(asked: &Asked, decision: Option<&Decision>, on_error: OnError) -> Value {
    let mut response = json!({"uid": asked.uid, "allowed": true});
    let mut warnings = decision.map(|decision| decision.warnings.clone()).unwrap_or_default();
    match decision.map(|decision| &decision.verdict) {
        None | Some(Verdict::Leave(_)) => {}
        Some(Verdict::Inject(patch)) => {
            let patch = serde_json::to_vec(patch).unwrap_or_default();
            response["patchType"] = "JSONPatch".into();
            response["patch"] = STANDARD.encode(patch).into();
        }
        Some(Verdict::Unfit(faults)) => match on_error {
            OnError::Admit => warnings.extend(faults.iter().map(|fault| format!("fusebox: not injected: {fault}"))),
            OnError::Deny => {
                let message = format!("fusebox: {}", faults.join("; "));
                response["allowed"] = false.into();
                response["status"] = json!({"status": "Failure", "message": message, "reason": "Invalid", "code": 422});
            }
        },
    }
    if !warnings.is_empty() {
        response["warnings"] = warnings.into();
    }
    json!({"apiVersion": VERSION, "kind": KIND, "response": response})
}

/// A name for people: as it is if it can be one, else shortened and without control characters.
fn shown(name: &str) -> String {
    // What is still to be completed ends in a dash.
    if values::is_name(name.trim_end_matches('-')) { name.to_owned() } else { clip(name) }
}

fn named(text: &str) -> String {
    if text.is_empty() { "nothing".to_owned() } else { clip(text) }
}

#[cfg(test)]
mod tests {
    use super::{super::patch::Patch, *};

    fn review(request: &Value) -> Vec<u8> {
        json!({"apiVersion": VERSION, "kind": KIND, "request": request}).to_string().into_bytes()
    }

    fn request() -> Value {
        json!({
            "uid": "u", "resource": {"group": "", "version": "v1", "resource": "pods"}, "operation": "CREATE",
            "namespace": "chat", "object": {"metadata": {"generateName": "web-5d4f-"}}, "somethingNew": {},
        })
    }

    #[test]
    fn a_pod_that_is_made_is_asked_about_and_nothing_else_is() {
        let asked = Asked::read(&review(&request())).unwrap();
        assert_eq!(
            (&*asked.namespace, &*asked.name, asked.dry_run, asked.pod.is_some()),
            ("chat", "web-5d4f-", false, true)
        );
        for (field, value) in [
            ("operation", json!("UPDATE")),
            ("subResource", json!("ephemeralcontainers")),
            ("resource", json!({"group": "apps", "version": "v1", "resource": "deployments"})),
        ] {
            let mut request = request();
            request[field] = value;
            assert!(Asked::read(&review(&request)).unwrap().pod.is_none(), "{field}");
        }
        let mut named = request();
        named["object"]["metadata"]["name"] = "web-1".into();
        named["dryRun"] = true.into();
        let asked = Asked::read(&review(&named)).unwrap();
        assert_eq!((&*asked.name, asked.dry_run), ("web-1", true));
        named["object"]["metadata"]["name"] = "a\nb".into();
        assert_eq!(Asked::read(&review(&named)).unwrap().name, "a?b", "a log has no lines of a caller's");
    }

    #[test]
    fn what_is_no_review_is_told_why() {
        let of = |value: Value| Asked::read(value.to_string().as_bytes()).unwrap_err();
        assert!(Asked::read(b"{").unwrap_err().starts_with("the body is not an AdmissionReview in JSON: EOF"));
        assert!(of(json!([])).starts_with("the body is not an AdmissionReview in JSON: "));
        let old = of(json!({"apiVersion": "admission.k8s.io/v1beta1", "kind": KIND}));
        assert!(
            old.starts_with("the body is of kind AdmissionReview and version admission.k8s.io/v1beta1, and"),
            "{old}"
        );
        assert!(of(json!({})).starts_with("the body is of kind nothing and version nothing"));
        assert_eq!(of(json!({"apiVersion": VERSION, "kind": KIND})), "the AdmissionReview has no request");
        let mut nameless = request();
        nameless["uid"] = "".into();
        assert!(Asked::read(&review(&nameless)).unwrap_err().starts_with("the request has no uid"));
    }

    #[test]
    fn a_verdict_is_answered_in_kubernetes_words() {
        let asked = Asked::read(&review(&request())).unwrap();
        let told = |verdict, on_error| {
            let decision = Decision { verdict, warnings: vec!["w".to_owned()] };
            answer(&asked, Some(&decision), on_error)["response"].clone()
        };
        let unfit = || Verdict::Unfit(vec!["a".to_owned(), "b".to_owned()]);
        let injected = told(Verdict::Inject(Patch::default()), OnError::Deny);
        assert_eq!(
            injected,
            json!({"uid": "u", "allowed": true, "patchType": "JSONPatch", "patch": "W10=", "warnings": ["w"]})
        );
        assert_eq!(told(Verdict::Leave("x"), OnError::Deny), json!({"uid": "u", "allowed": true, "warnings": ["w"]}));
        let warnings = ["w", "fusebox: not injected: a", "fusebox: not injected: b"];
        assert_eq!(told(unfit(), OnError::Admit), json!({"uid": "u", "allowed": true, "warnings": warnings}));
        let denied = told(unfit(), OnError::Deny);
        assert_eq!((&denied["allowed"], &denied["status"]["code"]), (&json!(false), &json!(422)));
        assert_eq!(denied["status"]["message"], "fusebox: a; b");
        assert_eq!(answer(&asked, None, OnError::Deny)["response"], json!({"uid": "u", "allowed": true}));
    }
}
