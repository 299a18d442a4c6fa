//! What each path does: find out who asks, read what is asked, pass it on, tell what came of it.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{Path, Query, State},
    http::{Extensions, HeaderMap, Method, StatusCode, Uri},
    response::Response,
};
use fusebox_proto::v1;
use prost::{Message, Name};
use serde::Deserialize;

use super::{
    Rest,
    answer::{document as sent, done, fault, refused},
    body, openapi,
};
use crate::{
    access::{Caller, Door},
    control::{Fault, Refusal},
    doors::guard::Need,
};

/// A page that is asked for in the address.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Pages {
    include_resolved: bool,
    page_size: u32,
    page_token: String,
}

impl Rest {
    /// Who asks, if they may.
    pub(super) async fn caller(
        &self,
        headers: &HeaderMap,
        extensions: &Extensions,
        need: Need,
    ) -> Result<Caller, Refusal> {
        self.guard.admit(Door::Rest, headers, extensions, need).await
    }

    /// Who asks, and for what.
    async fn change<M: Message + Name + Default>(
        &self,
        headers: &HeaderMap,
        extensions: &Extensions,
        given: Body,
        action: &'static str,
    ) -> Result<(Caller, M), Refusal> {
        let caller = self.caller(headers, extensions, Need::to_change(action)).await?;
        let request = body::read(headers, given, self.max_body).await?;
        Ok((caller, request))
    }
}

/// Reads who may look, or answers why they may not.
macro_rules! viewer {
    ($rest:ident, $headers:ident, $extensions:ident, $action:literal) => {
        if let Err(refusal) = $rest.caller(&$headers, &$extensions, Need::to_look($action)).await {
            return refused(&refusal);
        }
    };
}

pub(super) async fn fleet(State(rest): State<Arc<Rest>>, headers: HeaderMap, extensions: Extensions) -> Response {
    viewer!(rest, headers, extensions, "GetFleet");
    sent(rest.control.fleet().json())
}

pub(super) async fn sidecar(
    State(rest): State<Arc<Rest>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    extensions: Extensions,
) -> Response {
    viewer!(rest, headers, extensions, "GetSidecar");
    done(rest.control.sidecar(&id))
}

pub(super) async fn set_provider(
    State(rest): State<Arc<Rest>>,
    Path(name): Path<String>,
    headers: HeaderMap,
    extensions: Extensions,
    given: Body,
) -> Response {
    let asked = async {
        let (caller, request) =
            rest.change::<v1::SetProviderRequest>(&headers, &extensions, given, "SetProvider").await?;
        let request = v1::SetProviderRequest { name: one("name", name, &request.name)?, ..request };
        rest.control.set_provider(&caller, request).await
    };
    done(asked.await)
}

pub(super) async fn set_breaker(
    State(rest): State<Arc<Rest>>,
    Path(name): Path<String>,
    headers: HeaderMap,
    extensions: Extensions,
    given: Body,
) -> Response {
    let asked = async {
        let (caller, request) =
            rest.change::<v1::SetBreakerRequest>(&headers, &extensions, given, "SetBreaker").await?;
        let request = v1::SetBreakerRequest { provider: one("provider", name, &request.provider)?, ..request };
        rest.control.set_breaker(&caller, request).await
    };
    done(asked.await)
}

pub(super) async fn set_degradation(
    State(rest): State<Arc<Rest>>,
    headers: HeaderMap,
    extensions: Extensions,
    given: Body,
) -> Response {
    let asked = async {
        let (caller, request) = rest.change(&headers, &extensions, given, "SetDegradation").await?;
        rest.control.set_degradation(&caller, request).await
    };
    done(asked.await)
}

pub(super) async fn alerts(
    State(rest): State<Arc<Rest>>,
    pages: Result<Query<Pages>, axum::extract::rejection::QueryRejection>,
    headers: HeaderMap,
    extensions: Extensions,
) -> Response {
    viewer!(rest, headers, extensions, "ListAlerts");
    let asked = async {
        let Pages { include_resolved, page_size, page_token } = asked_for(pages)?;
        rest.control.alerts(&v1::ListAlertsRequest { include_resolved, page_size, page_token }).await
    };
    done(asked.await)
}

pub(super) async fn acknowledge(
    State(rest): State<Arc<Rest>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    extensions: Extensions,
) -> Response {
    let asked = async {
        let caller = rest.caller(&headers, &extensions, Need::to_change("AcknowledgeAlert")).await?;
        rest.control.acknowledge(&caller, v1::AcknowledgeAlertRequest { id }).await
    };
    done(asked.await)
}

pub(super) async fn silences(State(rest): State<Arc<Rest>>, headers: HeaderMap, extensions: Extensions) -> Response {
    viewer!(rest, headers, extensions, "ListSilences");
    done(rest.control.silences().await)
}

pub(super) async fn set_silence(
    State(rest): State<Arc<Rest>>,
    headers: HeaderMap,
    extensions: Extensions,
    given: Body,
) -> Response {
    let asked = async {
        let (caller, request) = rest.change(&headers, &extensions, given, "SetSilence").await?;
        rest.control.set_silence(&caller, request).await
    };
    done(asked.await)
}

pub(super) async fn end_silence(
    State(rest): State<Arc<Rest>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    extensions: Extensions,
) -> Response {
    let asked = async {
        let caller = rest.caller(&headers, &extensions, Need::to_change("EndSilence")).await?;
        rest.control.end_silence(&caller, v1::EndSilenceRequest { id }).await
    };
    done(asked.await)
}

pub(super) async fn audit(
    State(rest): State<Arc<Rest>>,
    pages: Result<Query<Pages>, axum::extract::rejection::QueryRejection>,
    headers: HeaderMap,
    extensions: Extensions,
) -> Response {
    viewer!(rest, headers, extensions, "ListAuditEvents");
    let asked = async {
        let Pages { page_size, page_token, .. } = asked_for(pages)?;
        rest.control.audit(&v1::ListAuditEventsRequest { page_size, page_token }).await
    };
    done(asked.await)
}

pub(super) async fn document() -> Response {
    match openapi::document() {
        Ok(bytes) => sent(bytes),
        Err(why) => refused(&Refusal::Internal(why)),
    }
}

pub(super) async fn nothing_here(uri: Uri) -> Response {
    let message = format!("there is nothing at {}: see {}/openapi.json", uri.path(), super::ROOT);
    fault(StatusCode::NOT_FOUND, "NOT_FOUND", &message, serde_json::json!({}))
}

pub(super) async fn not_so(method: Method, uri: Uri) -> Response {
    let message = format!("{} does not take {method}: see {}/openapi.json", uri.path(), super::ROOT);
    fault(StatusCode::METHOD_NOT_ALLOWED, "UNIMPLEMENTED", &message, serde_json::json!({}))
}

/// What the path names; the body may repeat it.
fn one(field: &str, path: String, body: &str) -> Result<String, Refusal> {
    if body.is_empty() || body == path {
        return Ok(path);
    }
    Err(Refusal::Invalid(vec![Fault::new(
        field,
        format!("is {body} in the body and {path} in the path: leave it out of the body"),
    )]))
}

fn asked_for(pages: Result<Query<Pages>, axum::extract::rejection::QueryRejection>) -> Result<Pages, Refusal> {
    let Query(pages) = pages.map_err(|rejection| Refusal::Invalid(vec![Fault::new("query", rejection.body_text())]))?;
    Ok(pages)
}
