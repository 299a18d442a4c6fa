//! From what was typed to what was meant: every key with its default, its range and its word of explanation, in the
//! order in which one would write them.

mod alerts;
mod injector;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use fusebox_base::config::{REDIS_SCHEMES, Section, a_name, anything, clip};

use super::{Audit, Auth, Certified, Config, Fleet, Health, Limits, Listen, Shutdown, Telemetry, Tls};
use crate::access::{Role, Tokens};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

/// Rows of `auth.certificates`.
const MAX_CERTIFICATES: usize = 1_000;

/// The whole of it.
pub(super) fn config(at: &mut Section<'_>) -> Config {
    let fleet = at.section("fleet", fleet);
    let listen = at.section("listen", listen);
    let auth = at.section("auth", auth);
    on_loopback_unless_asked(at, &listen, &auth);
    Config {
        telemetry: at.section("telemetry", |at| Telemetry::read(at, "a level, or a filter such as info,fusebox=debug")),
        health: at.section("health", health),
        audit: at.section("audit", |at| Audit {
            keep: at.key("keep", "changes and refusals that are remembered").count(10_000, 100..=1_000_000),
            keep_for: at.key("keep_for", "how long they are").shown("90d").duration(90 * DAY, HOUR..=3_650 * DAY),
        }),
        alerts: at.section("alerts", alerts::read),
        injector: injector::read(at, &listen),
        limits: at.section("limits", |at| Limits {
            max_body: at.key("max_body", "a caller's request").size(MIB, KIB..=64 * MIB),
            max_connections: count(
                at.key(
                    "max_connections",
                    "connections open at once, over both doors; the webhook's may be as many again",
                )
                .count(1_000, 1..=100_000),
            ),
            max_watchers: count(
                at.key("max_watchers", "live views at once, over both doors").count(1_000, 1..=100_000),
            ),
        }),
        shutdown: at.section("shutdown", |at| Shutdown {
            grace: at
                .key("grace", "how long requests in flight may take to finish once told to stop")
                .duration(10 * SECOND, Duration::ZERO..=HOUR),
        }),
        fleet,
        listen,
        auth,
    }
}

fn fleet(at: &mut Section<'_>) -> Fleet {
    Fleet {
        name: at.key("name", "the fleet's, as its sidecars have it").text("default", a_name),
        redis: at
            .key("redis", "where its sidecars share their state; null: a demonstration, this process alone")
            .optional_secret_url(&REDIS_SCHEMES),
    }
}

fn listen(at: &mut Section<'_>) -> Listen {
    let local = |port| SocketAddr::from(([127, 0, 0, 1], port));
    let listen = Listen {
        grpc: at.key("grpc", "ControlService, health and reflection").address(local(50052)),
        http: at.key("http", "the dashboard, REST, livez, readyz and metrics").address(local(8081)),
    };
    if listen.grpc == listen.http && listen.grpc.port() != 0 {
        // The one that was typed is the one to change.
        let (key, other) = if at.typed("http") { ("http", "grpc") } else { ("grpc", "http") };
        at.fault(key, format!("{} is also listen.{other}; each needs a port of its own", listen.grpc));
    }
    listen
}

fn auth(at: &mut Section<'_>) -> Auth {
    let doc = "who may call, one a line: operator NAME TOKEN, or viewer NAME TOKEN; null: nobody is asked for one";
    let file = at.key("tokens_file", doc).optional_file();
    let tokens = file.and_then(|file| match Tokens::read(&file) {
        Ok(tokens) => Some((Arc::new(tokens), file)),
        Err(faults) => {
            faults.into_iter().for_each(|fault| at.fault("tokens_file", fault));
            None
        }
    });
    let tls = at.optional_section("tls", "the certificate to serve with; null: plaintext", Tls::read);
    let certificates = at.list("certificates", "whose client certificates are known", "[]", |at| Certified {
        name: at.key("name", "the common name, or one of the alternative names").required(anything).into(),
        role: at.key("role", "what they may do: viewer, operator").word(Role::Viewer, &Role::WORDS),
    });
    let certificates = certificates.unwrap_or_default();
    let authority = tls.as_ref().and_then(|tls| tls.client_ca_file.as_ref());
    if !certificates.is_empty() && authority.is_none() && !at.typed_in("tls", "client_ca_file") {
        at.fault("certificates", "nobody's certificate is checked; set auth.tls with a client_ca_file".to_owned());
    }
    if authority.is_some() && certificates.is_empty() && tokens.is_none() && !at.typed("tokens_file") {
        let message = "whoever has a certificate has no role; name some under auth.certificates, or set \
                       auth.tokens_file";
        at.fault("tls", message.to_owned());
    }
    if certificates.len() > MAX_CERTIFICATES {
        at.fault("certificates", format!("has {} rows; {MAX_CERTIFICATES} is the most allowed", certificates.len()));
    }
    for (index, one) in certificates.iter().enumerate() {
        if certificates[..index].iter().any(|other| other.name == one.name) && !one.name.is_empty() {
            at.fault("certificates", format!("names {} twice", clip(&one.name)));
        }
    }
    Auth {
        tokens,
        tls,
        certificates,
        session: at.key("session", "how long the dashboard stays signed in").duration(12 * HOUR, MINUTE..=30 * DAY),
    }
}

/// Faults doors that others can reach while nobody is asked who they are: whoever can connect could switch off all there is.
fn on_loopback_unless_asked(at: &Section<'_>, listen: &Listen, auth: &Auth) {
    // Where something of it is wrong, that is said already.
    if auth.asks() || at.typed_in("auth", "tokens_file") || at.typed_in("auth", "certificates") {
        return;
    }
    for (key, address) in [("grpc", listen.grpc), ("http", listen.http)] {
        if !address.ip().to_canonical().is_loopback() {
            let message = format!(
                "whoever can reach {address} could turn off every provider, since nobody is asked who they are; set \
                 auth.tokens_file, or auth.tls with a client_ca_file and auth.certificates, or listen on 127.0.0.1"
            );
            at.fault_in("listen", key, message);
        }
    }
}

fn health(at: &mut Section<'_>) -> Health {
    let health = Health {
        critical_share: at
            .key("critical_share", "the fleet is critical once so large a share of its live sidecars is")
            .number(0.5, 0.001..=1.0),
        degraded_share: at
            .key("degraded_share", "it is degraded once so large a share of them is critical or degraded")
            .number(0.1, 0.001..=1.0),
    };
    if health.degraded_share > health.critical_share {
        let key = if at.typed("degraded_share") { "degraded_share" } else { "critical_share" };
        let Health { critical_share, degraded_share } = health;
        let message = format!(
            "degraded_share ({degraded_share}) is above critical_share ({critical_share}): a fleet is degraded before it is critical"
        );
        at.fault(key, message);
    }
    health
}

/// A count of things in memory.
fn count(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
