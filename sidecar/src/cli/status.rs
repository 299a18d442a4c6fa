//! `status`: what a running sidecar knows of its providers.

use std::process::ExitCode;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use serde_json::Value;

use super::http::{block_on, send};
use crate::config::{Sources, Status, load};

/// Prints it. Exit status 0 if the sidecar is ready, 1 if it is not or cannot be asked.
#[must_use]
pub fn status(status: &Status, sources: &Sources) -> ExitCode {
    match block_on(ask(status, sources)) {
        Ok(document) => {
            if status.json {
                println!("{document:#}");
            } else {
                println!("{}", table(&document));
            }
            if document["ready"] == true { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            eprintln!("fusebox-sidecar status: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn ask(status: &Status, sources: &Sources) -> Result<Value, String> {
    let address = match status.admin {
        Some(address) => address,
        None => load(sources).map_err(|faults| faults.to_string())?.listen.admin,
    };
    let request = Request::get("/status").body(Full::new(Bytes::new())).map_err(|error| error.to_string())?;
    let body = send(address, request).await?.response.into_body().collect().await.map_err(|error| error.to_string())?;
    serde_json::from_slice(&body.to_bytes())
        .map_err(|error| format!("what answers at {address} is no sidecar: {error}"))
}

fn table(document: &Value) -> String {
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        Value::Null => "-".to_owned(),
        other => other.to_string(),
    };
    let mut lines = vec![
        format!(
            "{}, version {}, up {:.0} s, {} calls in flight",
            text(&document["status"]),
            text(&document["version"]),
            document["uptime_seconds"].as_f64().unwrap_or_default(),
            text(&document["in_flight"]),
        ),
        format!(
            "{:<20} {:<8} {:>8} {:<10} {:>9} {:>10}",
            "provider", "enabled", "priority", "breaker", "in flight", "cool-down"
        ),
    ];
    for provider in document["providers"].as_array().into_iter().flatten() {
        let cool_down = provider["cool_down_seconds"].as_f64().map_or("-".to_owned(), |left| format!("{left:.1} s"));
        lines.push(format!(
            "{:<20} {:<8} {:>8} {:<10} {:>9} {:>10}",
            text(&provider["name"]),
            if provider["enabled"] == true { "yes" } else { "no" },
            text(&provider["priority"]),
            text(&provider["breaker"]),
            text(&provider["in_flight"]),
            cool_down,
        ));
    }
    lines.join("\n")
}
