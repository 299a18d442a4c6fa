//! The table of paths.

use std::sync::Arc;

use axum::routing::{MethodRouter, delete, get, patch, post, put};

use super::{Rest, events, handlers, session};
use crate::access::Role;

/// One method of one path.
pub(super) struct Route {
    pub(super) method: &'static str,
    /// Below the root; `{name}` stands for one part.
    pub(super) path: &'static str,
    /// What it does, in a line.
    pub(super) summary: &'static str,
    /// Who may; `None`: anyone.
    pub(super) role: Option<Role>,
    /// What may be asked in the address.
    pub(super) query: &'static [Parameter],
    pub(super) takes: Body,
    pub(super) gives: Body,
    pub(super) handle: fn() -> MethodRouter<Arc<Rest>>,
}

/// Something that may stand in the address.
pub(super) struct Parameter {
    pub(super) name: &'static str,
    pub(super) kind: &'static str,
    pub(super) summary: &'static str,
}

/// What is sent.
pub(super) enum Body {
    Nothing,
    /// A message of `fusebox.v1`, but for what stands in the path.
    Message(&'static str, &'static [&'static str]),
    /// Messages as server-sent events of this name.
    Events(&'static str, &'static str),
    /// Messages, one a line.
    Lines(&'static str),
    /// An object with these texts.
    Texts(&'static [&'static str]),
    /// This document.
    Document,
}

const INCLUDE_RESOLVED: Parameter =
    Parameter { name: "includeResolved", kind: "boolean", summary: "Those that are over, too." };
const PAGE_SIZE: Parameter =
    Parameter { name: "pageSize", kind: "integer", summary: "How many at most; from 1 to 500, usually 100." };
const PAGE_TOKEN: Parameter =
    Parameter { name: "pageToken", kind: "string", summary: "The nextPageToken of the page before." };

/// All of them.
pub(super) const ROUTES: &[Route] = &[
    Route {
        method: "get",
        path: "/fleet",
        summary: "The fleet as it was seen last, a second ago at most.",
        role: Some(Role::Viewer),
        query: &[],
        takes: Body::Nothing,
        gives: Body::Message("Fleet", &[]),
        handle: || get(handlers::fleet),
    },
    Route {
        method: "get",
        path: "/fleet/events",
        summary: "The fleet now, then again whenever it changes; of sidecars without checks, providers, load and totals.",
        role: Some(Role::Viewer),
        query: &[],
        takes: Body::Nothing,
        gives: Body::Events("fleet", "Fleet"),
        handle: || get(events::fleet),
    },
    Route {
        method: "get",
        path: "/sidecars/{id}",
        summary: "One sidecar in full.",
        role: Some(Role::Viewer),
        query: &[],
        takes: Body::Nothing,
        gives: Body::Message("Sidecar", &[]),
        handle: || get(handlers::sidecar),
    },
    Route {
        method: "patch",
        path: "/providers/{name}",
        summary: "Switches a provider on or off, or ranks it, for every sidecar at once.",
        role: Some(Role::Operator),
        query: &[],
        takes: Body::Message("SetProviderRequest", &["name"]),
        gives: Body::Message("SetProviderResponse", &[]),
        handle: || patch(handlers::set_provider),
    },
    Route {
        method: "put",
        path: "/providers/{name}/breaker",
        summary: "Forces a provider's breaker, or hands it back to itself.",
        role: Some(Role::Operator),
        query: &[],
        takes: Body::Message("SetBreakerRequest", &["provider"]),
        gives: Body::Message("SetBreakerResponse", &[]),
        handle: || put(handlers::set_breaker),
    },
    Route {
        method: "put",
        path: "/degradation",
        summary: "Sets the degradation level of the fleet or of one sidecar, or hands it back to each one's load.",
        role: Some(Role::Operator),
        query: &[],
        takes: Body::Message("SetDegradationRequest", &[]),
        gives: Body::Message("SetDegradationResponse", &[]),
        handle: || put(handlers::set_degradation),
    },
    Route {
        method: "get",
        path: "/alerts",
        summary: "Alerts, from the newest.",
        role: Some(Role::Viewer),
        query: &[INCLUDE_RESOLVED, PAGE_SIZE, PAGE_TOKEN],
        takes: Body::Nothing,
        gives: Body::Message("ListAlertsResponse", &[]),
        handle: || get(handlers::alerts),
    },
    Route {
        method: "get",
        path: "/alerts/events",
        summary: "Each time that an alert is raised, acknowledged or resolved from now on.",
        role: Some(Role::Viewer),
        query: &[],
        takes: Body::Nothing,
        gives: Body::Events("alert", "Alert"),
        handle: || get(events::alerts),
    },
    Route {
        method: "post",
        path: "/alerts/{id}/acknowledge",
        summary: "Says that somebody knows of an alert.",
        role: Some(Role::Operator),
        query: &[],
        takes: Body::Nothing,
        gives: Body::Message("Alert", &[]),
        handle: || post(handlers::acknowledge),
    },
    Route {
        method: "get",
        path: "/silences",
        summary: "What is not delivered.",
        role: Some(Role::Viewer),
        query: &[],
        takes: Body::Nothing,
        gives: Body::Message("ListSilencesResponse", &[]),
        handle: || get(handlers::silences),
    },
    Route {
        method: "post",
        path: "/silences",
        summary: "Keeps alerts that match from being delivered for some time.",
        role: Some(Role::Operator),
        query: &[],
        takes: Body::Message("SetSilenceRequest", &[]),
        gives: Body::Message("Silence", &[]),
        handle: || post(handlers::set_silence),
    },
    Route {
        method: "delete",
        path: "/silences/{id}",
        summary: "Ends a silence before its time.",
        role: Some(Role::Operator),
        query: &[],
        takes: Body::Nothing,
        gives: Body::Message("Silence", &[]),
        handle: || delete(handlers::end_silence),
    },
    Route {
        method: "get",
        path: "/audit",
        summary: "Who changed what, and who was refused, from the newest.",
        role: Some(Role::Viewer),
        query: &[PAGE_SIZE, PAGE_TOKEN],
        takes: Body::Nothing,
        gives: Body::Message("ListAuditEventsResponse", &[]),
        handle: || get(handlers::audit),
    },
    Route {
        method: "get",
        path: "/audit/export",
        summary: "All of the audit log that is kept, from the newest.",
        role: Some(Role::Viewer),
        query: &[],
        takes: Body::Nothing,
        gives: Body::Lines("AuditEvent"),
        handle: || get(events::export),
    },
    Route {
        method: "get",
        path: "/session",
        summary: "Who the caller is.",
        role: Some(Role::Viewer),
        query: &[],
        takes: Body::Nothing,
        gives: Body::Texts(&["name", "role", "csrf", "auth"]),
        handle: || get(session::who),
    },
    Route {
        method: "post",
        path: "/session",
        summary: "Signs a browser in: a token for a cookie.",
        role: None,
        query: &[],
        takes: Body::Texts(&["token"]),
        gives: Body::Texts(&["name", "role", "csrf", "auth"]),
        handle: || post(session::sign_in),
    },
    Route {
        method: "delete",
        path: "/session",
        summary: "Signs a browser out.",
        role: None,
        query: &[],
        takes: Body::Nothing,
        gives: Body::Nothing,
        handle: || delete(session::sign_out),
    },
    Route {
        method: "get",
        path: "/openapi.json",
        summary: "This document.",
        role: None,
        query: &[],
        takes: Body::Nothing,
        gives: Body::Document,
        handle: || get(handlers::document),
    },
];
