//! Whether a pod is injected, from what it says of itself and from which of the two ways it came.

use serde_json::Value;

use super::{
    PREFIX,
    changes::changes,
    patch::Patch,
    pod::Pod,
    sidecar::Sidecar,
    template::Template,
    wishes::{self, Wishes},
};

/// Which pods are meant where nothing is said on them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// All: their namespace is labelled.
    Labelled,
    /// None: they have to be annotated.
    Annotated,
}

/// What becomes of a pod.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// The sidecar is put into it.
    Inject(Patch),
    /// It stays as it is, for this reason.
    Leave(&'static str),
    /// It should be injected and cannot be, for all of these reasons.
    Unfit(Vec<String>),
}

/// What becomes of a pod, and what its maker should hear.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    /// What becomes of it.
    pub verdict: Verdict,
    /// What its maker should hear.
    pub warnings: Vec<String>,
}

/// What becomes of `pod`, which came by way of `scope`. The same pod and template always make the same of it.
#[must_use]
pub fn decide(pod: &Value, scope: Scope, template: &Template) -> Decision {
    let bare = |verdict| Decision { verdict, warnings: Vec::new() };
    let pod = match Pod::try_new(pod) {
        Ok(pod) => pod,
        Err(fault) => return bare(Verdict::Unfit(vec![fault])),
    };
    if pod.has_fusebox() {
        return bare(Verdict::Leave("it has the sidecar already"));
    }
    let mut warnings = wishes::unknown(pod.notes());
    let wanted = match wishes::wanted(pod.notes()) {
        Ok(wanted) => wanted,
        Err(fault) => return Decision { verdict: Verdict::Unfit(vec![fault]), warnings },
    };
    if !wanted.unwrap_or(scope == Scope::Labelled) {
        return Decision { verdict: Verdict::Leave("it is not asked for"), warnings };
    }
    if pod.on_host && wanted.is_none() {
        warnings.push(format!(
            "fusebox: not injected, since the pod is on its node's network; annotate it with {PREFIX}inject: \"true\" \
             if that is meant"
        ));
        return Decision { verdict: Verdict::Leave("it is on its node's network"), warnings };
    }
    if pod.on_windows && wanted.is_none() {
        return Decision { verdict: Verdict::Leave("it runs on Windows"), warnings };
    }
    Decision { verdict: patched(&pod, template).map_or_else(Verdict::Unfit, Verdict::Inject), warnings }
}

/// What changes in a pod that is meant.
fn patched(pod: &Pod<'_>, template: &Template) -> Result<Patch, Vec<String>> {
    if pod.on_windows {
        return Err(vec!["the pod runs on Windows, and the sidecar does not".to_owned()]);
    }
    let wishes = Wishes::read(pod.notes())?;
    changes(pod, template, &wishes, Sidecar::try_new(template, &wishes)?)
}
