//! The door of the admission webhook: reviews of pods by `POST`, and whether it is alive. Kubernetes' API server decides
//! by the path which pods are meant.

use std::{sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use axum::{
    Json, Router,
    body::Body,
    extract::{Request, State},
    http::{StatusCode, Uri},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use bytes::Bytes;
use fusebox_base::{clock, config::units};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use opentelemetry::KeyValue;
use tokio::sync::Semaphore;

use crate::{
    config::Injector,
    inject::{Asked, Counts, Decision, OnError, Outcome, Scope, Template, Verdict, answer, decide},
    telemetry::note,
};

/// Reviews of all pods, as of a labelled namespace.
pub const ALL: &str = "/inject";
/// Reviews of which only annotated pods are meant.
pub const ANNOTATED: &str = "/inject/annotated";

/// Bytes of a review. An API server takes requests of 3 MiB, and a review holds one and little else.
const MAX_REVIEW: usize = 4 << 20;
/// Reviews that are read at once; the others wait.
const PLACES: usize = 64;
/// How long a review may take to come, place and all: as long as an API server waits if nothing else is said to it.
const PATIENCE: Duration = Duration::from_secs(10);

/// What stands behind the door.
#[derive(Debug)]
pub struct Admission {
    rules: ArcSwap<Rules>,
    counts: Arc<Counts>,
    places: Semaphore,
}

/// What may change while it is open.
#[derive(Debug)]
struct Rules {
    template: Arc<Template>,
    on_error: OnError,
}

/// A review that cannot be answered as one.
enum Unread {
    TooLong,
    Late,
    Broken,
    Malformed(String),
}

impl Admission {
    /// With the rules of `injector`.
    #[must_use]
    pub fn new(injector: &Injector) -> Self {
        let rules = ArcSwap::from_pointee(injector.into());
        Self { rules, counts: Arc::default(), places: Semaphore::new(PLACES) }
    }

    /// Goes by the rules of `injector` from now on.
    pub fn exchange(&self, injector: &Injector) {
        let before = self.rules.swap(Arc::new(injector.into()));
        let (old, new) = (before.template.version(), injector.template.version());
        if old != new {
            tracing::info!(template = new, before = old, "pods are injected by another template from now on");
        }
    }

    /// What it has counted.
    #[must_use]
    pub fn counts(&self) -> &Arc<Counts> {
        &self.counts
    }

    async fn review(&self, scope: Scope, body: Body) -> Response {
        let began = clock::now();
        let read = tokio::time::timeout(PATIENCE, self.read(body)).await.unwrap_or(Err(Unread::Late));
        let (outcome, response) = match read {
            Ok(asked) => self.answered(&asked, scope),
            Err(unread) => (unread.outcome(), unread.into_response()),
        };
        self.counts.record(outcome, clock::now().since(began));
        response
    }

    /// A whole review, once there is a place for it.
    async fn read(&self, body: Body) -> Result<Asked, Unread> {
        let _place = self.places.acquire().await.map_err(|_| Unread::Late)?;
        let bytes = Limited::new(body, MAX_REVIEW).collect().await;
        let bytes: Bytes =
            bytes
                .map_err(|error| {
                    if error.downcast_ref::<LengthLimitError>().is_some() { Unread::TooLong } else { Unread::Broken }
                })?
                .to_bytes();
        Asked::read(&bytes).map_err(Unread::Malformed)
    }

    fn answered(&self, asked: &Asked, scope: Scope) -> (Outcome, Response) {
        let rules = self.rules.load();
        let decision = asked.pod.as_ref().map(|pod| decide(pod, scope, &rules.template));
        let outcome = decision.as_ref().map_or(Outcome::Skipped, |decision| Outcome::of(decision, rules.on_error));
        if let Some(decision) = &decision {
            told(asked, decision, outcome, &rules.template);
        }
        note(KeyValue::new("k8s.namespace.name", asked.namespace.clone()));
        note(KeyValue::new("k8s.pod.name", asked.name.clone()));
        note(KeyValue::new("fusebox.injection.result", outcome.name()));
        (outcome, Json(answer(asked, decision.as_ref(), rules.on_error)).into_response())
    }
}

/// Says in the log what became of a pod.
fn told(asked: &Asked, decision: &Decision, outcome: Outcome, template: &Template) {
    let Asked { namespace, name: pod, dry_run, .. } = asked;
    match &decision.verdict {
        Verdict::Inject(_) => {
            tracing::info!(%namespace, %pod, dry_run, template = template.version(), "the sidecar is injected");
        }
        Verdict::Leave(why) => tracing::debug!(%namespace, %pod, why, "a pod is left as it is"),
        Verdict::Unfit(faults) => {
            let (fault, result) = (faults.join("; "), outcome.name());
            tracing::warn!(%namespace, %pod, dry_run, result, fault, "a pod cannot be injected");
        }
    }
}

impl From<&Injector> for Rules {
    fn from(injector: &Injector) -> Self {
        Self { template: Arc::clone(&injector.template), on_error: injector.on_error }
    }
}

impl Unread {
    const fn outcome(&self) -> Outcome {
        match self {
            Self::Late => Outcome::TimedOut,
            Self::TooLong | Self::Broken | Self::Malformed(_) => Outcome::Malformed,
        }
    }
}

impl IntoResponse for Unread {
    fn into_response(self) -> Response {
        let (status, why) = match self {
            Self::TooLong => {
                let most = units::show_size(MAX_REVIEW as u64);
                (StatusCode::PAYLOAD_TOO_LARGE, format!("the review is larger than {most}"))
            }
            Self::Late => {
                (StatusCode::SERVICE_UNAVAILABLE, format!("the review did not come whole within {PATIENCE:?}"))
            }
            Self::Broken => (StatusCode::BAD_REQUEST, "the body ended too early".to_owned()),
            Self::Malformed(why) => (StatusCode::BAD_REQUEST, why),
        };
        tracing::warn!(status = status.as_u16(), why, "what came to the webhook cannot be answered as a review");
        (status, format!("{why}\n")).into_response()
    }
}

/// All paths.
pub fn router(admission: &Arc<Admission>) -> Router {
    let of = |scope| {
        post(async move |State(admission): State<Arc<Admission>>, request: Request| {
            admission.review(scope, request.into_body()).await
        })
    };
    let routes = Router::new().route(ALL, of(Scope::Labelled)).route(ANNOTATED, of(Scope::Annotated));
    let routes = routes.route("/livez", get(async || "alive\n"));
    routes.fallback(nothing_here).method_not_allowed_fallback(not_so).with_state(Arc::clone(admission))
}

async fn nothing_here(uri: Uri) -> Response {
    let path = fusebox_base::config::clip(uri.path());
    (StatusCode::NOT_FOUND, format!("there is no {path} here; reviews go to {ALL} or {ANNOTATED}\n")).into_response()
}

async fn not_so() -> Response {
    (StatusCode::METHOD_NOT_ALLOWED, "reviews come by POST\n").into_response()
}
