//! From what was typed to what was meant: every key with its default, its range and its word of explanation, in the
//! order in which one would write them.

mod features;
mod models;
mod providers;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use fusebox_base::config::{REDIS_SCHEMES, Section, a_name};
use fusebox_rules::budget;

use super::{Auth, Config, Fleet, Limits, Listen, Shutdown, Telemetry, Tls};

const MILLISECOND: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// Characters of a secret that is worth the name.
const LEAST_SECRET: usize = 16;

/// The whole of it.
pub(super) fn config(at: &mut Section<'_>) -> Config {
    let mut has_secret = false;
    let fleet = at.section("fleet", |at| {
        has_secret = at.typed("secret_file");
        fleet(at)
    });
    let listen = at.section("listen", listen);
    let auth = at.section("auth", auth);
    let telemetry =
        at.section("telemetry", |at| Telemetry::read(at, "a level, or a filter such as info,fusebox::call=debug"));
    let providers: Vec<_> = providers::read(at).into_iter().map(Arc::new).collect();
    let models: Vec<_> = models::read(at, &providers).into_iter().map(Arc::new).collect();
    Config {
        retry_budget: at.section("retry_budget", retry_budget),
        limits: at.section("limits", limits),
        cache: at.section("cache", |at| features::cache(at, has_secret)),
        idempotency: at.section("idempotency", |at| features::idempotency(at, has_secret)),
        validation: at.section("validation", features::validation),
        context_overflow: features::context_overflow(at),
        content_filter: features::content_filter(at),
        degradation: at.section("degradation", |at| features::degradation(at, &models)),
        overload: at.section("overload", features::overload),
        run_budgets: at.section("run_budgets", features::run_budgets),
        health: at.section("health", features::health),
        streams: at.section("streams", features::streams),
        hedging: at.section("hedging", features::hedging),
        shutdown: at.section("shutdown", |at| Shutdown {
            grace: at
                .key("grace", "how long calls in flight may take to finish once told to stop")
                .duration(30 * SECOND, Duration::ZERO..=HOUR),
        }),
        fleet,
        listen,
        auth,
        telemetry,
        providers,
        models,
    }
}

fn fleet(at: &mut Section<'_>) -> Fleet {
    let mut read = Fleet {
        name: at.key("name", "sidecars of one name share their state").text("default", a_name),
        redis: at.key("redis", "where they share it; null: this process alone").optional_secret_url(&REDIS_SCHEMES),
        pod: at.key("pod", "the pod that it is part of; null: the host's name").optional_text(a_name),
        node: at.key("node", "the node that it runs on").optional_text(a_name),
        zone: at.key("zone", "the zone of that node").optional_text(a_name),
        secret: None,
        secret_file: None,
    };
    let doc = "a file with a secret of the fleet's own, under which questions and keys stand in Redis; null: none do";
    (read.secret, read.secret_file) = at.key("secret_file", doc).optional_secret_file().unzip();
    if read.secret.as_ref().is_some_and(|secret| secret.reveal().len() < LEAST_SECRET) {
        at.fault("secret_file", format!("holds fewer than {LEAST_SECRET} characters, which could be tried out"));
    }
    read
}

fn listen(at: &mut Section<'_>) -> Listen {
    let local = |port| SocketAddr::from(([127, 0, 0, 1], port));
    let processors = std::thread::available_parallelism().map_or(1, |count| u32::try_from(count.get()).unwrap_or(1));
    let listen = Listen {
        grpc: at.key("grpc", "InferenceService, health and reflection").address(local(50051)),
        http: at.key("http", "the OpenAI surface").address(local(8080)),
        admin: at.key("admin", "livez, readyz, health, status and metrics").address(local(9090)),
        workers: count(
            at.key("workers", "threads that serve calls")
                .shown("one a processor")
                .count(processors.min(1024), 1..=1024),
        ),
    };
    for (key, address, other, taken) in [
        ("http", listen.http, "grpc", listen.grpc),
        ("admin", listen.admin, "grpc", listen.grpc),
        ("admin", listen.admin, "http", listen.http),
    ] {
        if address == taken && address.port() != 0 {
            // The one that was typed is the one to change.
            let (key, other) = if at.typed(key) { (key, other) } else { (other, key) };
            at.fault(key, format!("{address} is also listen.{other}; each needs a port of its own"));
        }
    }
    listen
}

fn auth(at: &mut Section<'_>) -> Auth {
    Auth {
        tokens_file: at
            .key("tokens_file", "bearer tokens that callers may show, one a line; null: anyone who can connect")
            .optional_file(),
        tls: at.optional_section("tls", "the certificate to serve with; null: plaintext", Tls::read),
    }
}

fn retry_budget(at: &mut Section<'_>) -> budget::Settings {
    budget::Settings {
        ratio: at.key("ratio", "retries that each call pays for").ratio(0.2),
        minimum_per_second: at
            .key("minimum_per_second", "retries a second that are free; with scope: fleet, to all sidecars together")
            .number(10.0, 0.0..=1e6),
    }
}

fn limits(at: &mut Section<'_>) -> Limits {
    Limits {
        max_body: at.key("max_body", "a caller's request").size(32 * MIB, KIB..=GIB),
        max_answer: at.key("max_answer", "a provider's answer, or one event of a stream").size(64 * MIB, KIB..=GIB),
        max_headers: at.key("max_headers", "a request's headers").size(64 * KIB, 8 * KIB..=MIB),
        header_timeout: at
            .key("header_timeout", "how long a caller may take to send its headers")
            .duration(10 * SECOND, 100 * MILLISECOND..=10 * MINUTE),
        max_connections: count(
            at.key("max_connections", "connections open at once, over both doors").count(10_000, 1..=1_000_000),
        ),
        max_streams: at.key("max_streams", "streams at once on one HTTP/2 connection").count(1_000, 1..=1_000_000),
        max_in_flight: count(
            at.key("max_in_flight", "calls in flight at once; one more is shed").count(10_000, 1..=1_000_000),
        ),
    }
}

/// A count of things in memory.
fn count(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
