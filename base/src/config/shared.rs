//! The groups of keys that both programs have: a certificate to serve with, logs and traces.

use std::path::PathBuf;

use super::{Section, clip, fault_unless};
use crate::log::filter;

/// Ways to reach Redis.
pub const REDIS_SCHEMES: [&str; 6] =
    ["redis", "rediss", "redis+cluster", "rediss+cluster", "redis+sentinel", "rediss+sentinel"];

/// A certificate to serve with.
#[derive(Debug, Clone, PartialEq)]
pub struct Tls {
    /// PEM, the leaf first.
    pub cert_file: PathBuf,
    /// PEM, PKCS#8, PKCS#1 or SEC1.
    pub key_file: PathBuf,
    /// Callers must show a certificate signed by one of these; `None`: they need none.
    pub client_ca_file: Option<PathBuf>,
}

/// Logs and traces.
#[derive(Debug, Clone, PartialEq)]
pub struct Telemetry {
    /// Where spans go by OTLP gRPC; `None`: the standard `OTEL_` variables decide.
    pub otlp_endpoint: Option<String>,
    /// A level or a `tracing` filter (`info,fusebox::call=debug`).
    pub log: String,
    /// How a log line looks.
    pub log_format: LogFormat,
}

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

impl Tls {
    /// Reads the group that `at` is.
    pub fn read(at: &mut Section<'_>) -> Self {
        Self {
            cert_file: at.key("cert_file", "PEM, the leaf first").required_file(),
            key_file: at.key("key_file", "PEM").required_file(),
            client_ca_file: at
                .key("client_ca_file", "callers need a certificate signed by one of these; null: they need none")
                .optional_file(),
        }
    }

    /// Its files.
    pub fn files(&self) -> impl Iterator<Item = PathBuf> {
        [Some(self.cert_file.clone()), Some(self.key_file.clone()), self.client_ca_file.clone()].into_iter().flatten()
    }
}

impl Telemetry {
    /// Reads the group that `at` is; `log` is what its documentation says of the key of that name.
    pub fn read(at: &mut Section<'_>, log: &'static str) -> Self {
        Self {
            otlp_endpoint: at
                .key("otlp_endpoint", "where traces go, by OTLP over gRPC; null: the OTEL_ variables decide")
                .optional_url(),
            log: at.key("log", log).text("info", a_filter),
            log_format: at
                .key("log_format", "for people or for machines: text, json")
                .word(LogFormat::Text, &[("text", LogFormat::Text), ("json", LogFormat::Json)]),
        }
    }
}

/// Lets through a level or a filter of log lines.
///
/// # Errors
/// A clause that says what is right.
pub fn a_filter(text: &str) -> Result<(), String> {
    fault_unless(filter::parse(text).is_ok(), || {
        format!("{} is not a level or a filter; write error, warn, info, debug or trace", clip(text))
    })
}
