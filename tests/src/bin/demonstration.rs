//! A fleet on one machine to look at: a Redis, a control plane, five sidecars, two providers that misbehave and one that
//! does not, and callers. Ends with Ctrl-C, and leaves nothing behind.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "built on the tests' own code, where a panic ends it with a word of why"
)]

use std::{net::SocketAddr, sync::Arc, time::Duration};

use fusebox_tests::{
    client::Http,
    control_plane::{self, ControlPlane},
    redis::Server,
    sidecar::{Config, Sidecar},
};
use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::task::JoinSet;

const SIDECARS: usize = 5;
/// Callers of each sidecar.
const CALLERS: usize = 3;
/// Between two calls of one caller, about.
const PAUSE: Duration = Duration::from_millis(300);
/// Where the control plane listens, as everything that talks to it expects, unless others are given: gRPC, then HTTP.
const GRPC: &str = "127.0.0.1:50052";
const HTTP: &str = "127.0.0.1:8081";

#[tokio::main]
async fn main() {
    let mut given = std::env::args().skip(1);
    let grpc = given.next().unwrap_or_else(|| GRPC.to_owned());
    let http = given.next().unwrap_or_else(|| HTTP.to_owned());
    let redis = Server::start().await;
    let traces = traces();
    let start = |number| Sidecar::start(traced(sidecar(&redis.url(), number), &traces, number));
    let sidecars = join_all((0..SIDECARS).map(start)).await;
    let fleet = json!({"redis": redis.url(), "name": "demo"});
    let config = control_plane::config(json!({"fleet": fleet, "listen": {"grpc": grpc, "http": http}}));
    let control = ControlPlane::start_in(tempfile::tempdir().unwrap(), &config, &traces).await;
    control.until("all sidecars", |fleet| !fleet.stale && fleet.sidecars.len() == SIDECARS).await;

    println!("The dashboard is at http://{}/", control.http().address());
    println!("In another terminal: target/debug/fusebox --address {} status", control.grpc_address());
    println!("Metrics of the sidecars:");
    for sidecar in &sidecars {
        println!("  http://{}/metrics", sidecar.admin().address());
    }
    match traces.iter().find(|(name, _)| name.ends_with("_ENDPOINT")) {
        Some((_, endpoint)) => println!("Traces go to {endpoint}"),
        None => println!("Traces go nowhere; set OTEL_EXPORTER_OTLP_ENDPOINT to see them"),
    }
    println!("Ctrl-C ends all of it.");
    let mut callers = JoinSet::new();
    for sidecar in &sidecars {
        for caller in 0..CALLERS {
            callers.spawn(call(sidecar.http().address(), caller));
        }
    }
    tokio::signal::ctrl_c().await.expect("Ctrl-C is heard");
    callers.shutdown().await;
    drop((control, sidecars, redis));
}

/// The standard variables of OpenTelemetry, as this was started with them.
fn traces() -> Vec<(String, String)> {
    std::env::vars().filter(|(name, _)| name.starts_with("OTEL_")).collect()
}

/// `config` with these variables, and a name by which the sidecars can be told apart in traces.
fn traced(config: Config, variables: &[(String, String)], number: usize) -> Config {
    const RESOURCE: &str = "OTEL_RESOURCE_ATTRIBUTES";
    let instance = format!("service.instance.id=sidecar-{number}");
    let given = variables.iter().find(|(name, _)| name == RESOURCE);
    let resource = given.map_or_else(|| instance.clone(), |(_, given)| format!("{given},{instance}"));
    let others = variables.iter().filter(|(name, _)| name != RESOURCE);
    let config = others.fold(config, |config, (name, value)| config.env(name, value));
    config.env(RESOURCE, &resource)
}

/// A sidecar with three simulated providers: one that often fails, one that is slow and often too busy, one that is well.
fn sidecar(redis: &str, number: usize) -> Config {
    let provider = |name: &str, priority: u32, simulated: Value| {
        json!({
            "name": name, "kind": "simulated", "scope": "fleet", "priority": priority, "simulated": simulated,
            "breaker": {"open_for": "20s", "ramp": "10s"},
        })
    };
    let quick = |failure_rate: f64, failure: &str| json!({"first_token": "30ms", "tokens_per_second": 400.0, "failure_rate": failure_rate, "failure": failure});
    let slow = json!({
        "first_token": "400ms", "tokens_per_second": 60.0, "failure_rate": 0.15, "failure": "model_overloaded",
    });
    let served =
        |names: &[&str]| names.iter().map(|name| json!({"provider": name, "model": "demo"})).collect::<Vec<_>>();
    Config::new().with(json!({
        "fleet": {"redis": redis, "name": "demo", "pod": format!("llm-{number}"), "node": format!("gpu-{}", number % 2)},
        "providers": [
            provider("vllm", 0, quick(0.4, "provider_error")),
            provider("hosted", 1, slow),
            provider("spare", 2, quick(0.0, "provider_error")),
        ],
        "models": [
            {"name": "chat", "providers": served(&["vllm", "hosted", "spare"])},
            {"name": "code", "providers": served(&["vllm", "spare"])},
        ],
        // The machine has other things to do: its load is no part of the play.
        "degradation": {"enabled": false},
    }))
}

/// Calls again and again, whatever comes of it.
async fn call(sidecar: SocketAddr, caller: usize) {
    let http = Arc::new(Http::new(sidecar));
    let mut dice = fastrand::Rng::new();
    let model = if caller == 0 { "code" } else { "chat" };
    loop {
        let question = format!("What is {} times {}?", dice.u32(2..100), dice.u32(2..100));
        let asked = json!({"model": model, "stream": dice.bool(), "messages": [{"role": "user", "content": question}]});
        if let Ok(answer) = http.chat(&asked).try_open().await {
            drop(answer.whole().await);
        }
        tokio::time::sleep(PAUSE.mul_f64(0.5 + dice.f64())).await;
    }
}
