//! What is sent bit by bit: the fleet and alerts as server-sent events, the audit log as lines.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    body::Body,
    extract::State,
    http::{Extensions, HeaderMap, HeaderValue, header},
    response::Response,
};
use bytes::Bytes;
use fusebox_base::clock;
use fusebox_proto::v1;
use futures_core::Stream;
use futures_util::{StreamExt as _, stream};
use tokio::time::interval_at;

use super::{Rest, answer::refused};
use crate::{
    control::Refusal,
    doors::{guard::Need, watch},
    json,
    picture::Picture,
};

/// Between two signs of life, where nothing else is sent.
const ALIVE: Duration = Duration::from_secs(15);
/// What is sent then; those who read events pass over it.
const SIGN: Bytes = Bytes::from_static(b": keep-alive\n\n");
/// What a watcher is told first: to come back after a second if it is cut off.
const HELLO: Bytes = Bytes::from_static(b"retry: 1000\n\n");
/// Audit events in one request to the store.
const PAGE: u32 = 500;

pub(super) async fn fleet(State(rest): State<Arc<Rest>>, headers: HeaderMap, extensions: Extensions) -> Response {
    if let Err(refusal) = rest.caller(&headers, &extensions, Need::to_look("WatchFleet")).await {
        return refused(&refusal);
    }
    match rest.control.watchers().place() {
        Err(refusal) => refused(&refusal),
        Ok(place) => events(watch::pictures(rest.control.reader().follow(), place, Picture::event)),
    }
}

pub(super) async fn alerts(State(rest): State<Arc<Rest>>, headers: HeaderMap, extensions: Extensions) -> Response {
    if let Err(refusal) = rest.caller(&headers, &extensions, Need::to_look("WatchAlerts")).await {
        return refused(&refusal);
    }
    match rest.control.watchers().place() {
        Err(refusal) => refused(&refusal),
        Ok(place) => events(watch::alerts(Arc::clone(&rest.control), place, |alert| {
            let json = json::to_bytes(&alert).unwrap_or_default();
            Bytes::from([b"event: alert\ndata: ", json.as_slice(), b"\n\n"].concat())
        })),
    }
}

/// All of the audit log, a page after the other as they are asked for.
pub(super) async fn export(State(rest): State<Arc<Rest>>, headers: HeaderMap, extensions: Extensions) -> Response {
    if let Err(refusal) = rest.caller(&headers, &extensions, Need::to_look("ListAuditEvents")).await {
        return refused(&refusal);
    }
    let first = page(&rest, String::new()).await;
    let first = match first {
        Ok(first) => first,
        Err(refusal) => return refused(&refusal),
    };
    let pages = stream::unfold(Some((rest, first)), |state| async {
        let (rest, (lines, next)) = state?;
        if next.is_empty() {
            return Some((Ok(lines), None));
        }
        match page(&rest, next).await {
            Ok(following) => Some((Ok(lines), Some((rest, following)))),
            // Cut off in the middle, so that nobody takes a part for the whole.
            Err(refusal) => Some((Err(refusal), None)),
        }
    });
    let mut response = Response::new(Body::from_stream(pages));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"));
    headers
        .insert(header::CONTENT_DISPOSITION, HeaderValue::from_static("attachment; filename=\"fusebox-audit.ndjson\""));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

async fn page(rest: &Rest, page_token: String) -> Result<(Bytes, String), Refusal> {
    let told = rest.control.audit(&v1::ListAuditEventsRequest { page_size: PAGE, page_token }).await?;
    let mut lines = Vec::new();
    for event in &told.events {
        lines.extend(json::to_bytes(event).map_err(|fault| Refusal::Internal(fault.to_string()))?);
        lines.push(b'\n');
    }
    Ok((lines.into(), told.next_page_token))
}

/// `told` as they come, and a sign of life while none does.
fn events(told: impl Stream<Item = Bytes> + Send + 'static) -> Response {
    let alive = interval_at(clock::at(clock::now() + ALIVE), ALIVE);
    let signs = stream::unfold(alive, |mut alive| async move {
        alive.tick().await;
        Some((Some(SIGN), alive))
    });
    // The end of what is told is the end of all.
    let told = told.map(Some).chain(stream::once(async { None }));
    let both = stream::select(Box::pin(told), Box::pin(signs)).take_while(|told| std::future::ready(told.is_some()));
    let all = stream::once(async { HELLO }).chain(both.filter_map(std::future::ready));
    let mut response = Response::new(Body::from_stream(all.map(Ok::<_, Infallible>)));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // A proxy in between must not wait for more.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}
