//! Where spans go, by our own setting and by the standard variables: the address, the protocol, and whom to trust there.
//!
//! Headers, timeout and compression are read by OpenTelemetry's own library from the variables.

use std::{fs, path::PathBuf};

use opentelemetry_otlp::tonic_types::transport::{Certificate, ClientTlsConfig, Identity};

/// Where OTLP over HTTP takes spans, below an address that names no path of its own.
const TRACES: &str = "v1/traces";

/// Spans cannot be exported as configured.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// A certificate or its key cannot be read or used.
    #[error("OTEL_EXPORTER_OTLP_{what}: {path}: {why}")]
    Certificate {
        /// Which variable named it, without the beginning that all share.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// One of a client's certificate and its key is not named.
    #[error(
        "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE and OTEL_EXPORTER_OTLP_CLIENT_KEY belong together: set both, or neither"
    )]
    HalfAnIdentity,
    /// It is not spoken here.
    #[error("OTEL_EXPORTER_OTLP_PROTOCOL: \"{0}\" is not spoken here; use grpc or http/protobuf")]
    Protocol(String),
    /// The client for OTLP over HTTP cannot be made.
    #[error("telemetry.otlp_endpoint or an OTEL_EXPORTER_OTLP_ variable: {0}")]
    Client(String),
    /// The endpoint, a header or another setting is wrong.
    #[error("telemetry.otlp_endpoint or an OTEL_EXPORTER_OTLP_ variable: {0}")]
    Exporter(#[from] opentelemetry_otlp::ExporterBuildError),
    /// The exporter's thread cannot be started.
    #[error("the exporter of spans cannot be started: {0}")]
    Thread(#[from] std::io::Error),
}

/// What is spoken there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Protocol {
    Grpc,
    Http,
    /// Something that is not spoken here.
    Other(String),
}

/// Where spans go.
#[derive(Debug, PartialEq, Eq)]
pub struct Target {
    pub(super) endpoint: String,
    pub(super) protocol: Protocol,
    pub(super) trust: Trust,
}

/// Whom to trust there, and what to show of oneself.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Trust {
    /// Whose certificates are trusted; `None`: the system's roots.
    pub(super) ca: Option<PathBuf>,
    /// Our own certificate, and its key.
    pub(super) certificate: Option<PathBuf>,
    pub(super) key: Option<PathBuf>,
}

/// What is shown of oneself, in PEM.
pub(super) struct Own {
    pub(super) certificate: Vec<u8>,
    pub(super) key: Vec<u8>,
}

impl Target {
    /// Where spans go by `configured` and this process's variables; `None`: nowhere.
    #[must_use]
    pub fn from_environment(configured: Option<&str>) -> Option<Self> {
        Self::resolve(configured, |name| std::env::var(name).ok())
    }

    /// Where spans go by `configured` and the variables that `env` reads; `None`: nowhere.
    pub(super) fn resolve(configured: Option<&str>, env: impl Fn(&str) -> Option<String>) -> Option<Self> {
        let set = |name: &str| env(name).filter(|value| !value.is_empty());
        let is = |name: &str, value: &str| set(name).is_some_and(|found| found.eq_ignore_ascii_case(value));
        if is("OTEL_SDK_DISABLED", "true") || is("OTEL_TRACES_EXPORTER", "none") {
            return None;
        }
        let own = |what: &str| set(&format!("OTEL_EXPORTER_OTLP_TRACES_{what}"));
        let either = |what: &str| own(what).or_else(|| set(&format!("OTEL_EXPORTER_OTLP_{what}")));
        let protocol = match either("PROTOCOL").as_deref() {
            None | Some("grpc") => Protocol::Grpc,
            Some("http/protobuf") => Protocol::Http,
            Some(other) => Protocol::Other(other.to_owned()),
        };
        // Our own setting is as plain as a host and a port; a collector is a neighbour.
        let configured = configured.filter(|endpoint| !endpoint.is_empty());
        let insecure = configured.is_some() || either("INSECURE").is_some_and(|it| it.eq_ignore_ascii_case("true"));
        let endpoint = match (configured, own("ENDPOINT"), set("OTEL_EXPORTER_OTLP_ENDPOINT")) {
            // What names a path means it.
            (Some(ours), ..) => below(with_scheme(ours, insecure), &protocol, has_path),
            (None, Some(signal), _) => with_scheme(&signal, insecure),
            (None, None, Some(general)) => below(with_scheme(&general, insecure), &protocol, |_| false),
            (None, None, None) => return None,
        };
        let file = |what: &str| either(what).map(PathBuf::from);
        let trust = Trust { ca: file("CERTIFICATE"), certificate: file("CLIENT_CERTIFICATE"), key: file("CLIENT_KEY") };
        Some(Self { endpoint, protocol, trust })
    }

    /// TLS as gRPC's transport takes it; `None`: the address asks for none.
    ///
    /// # Errors
    /// A file cannot be read, or one of two that belong together is missing.
    pub(super) fn tls(&self) -> Result<Option<ClientTlsConfig>, TraceError> {
        if !self.endpoint.starts_with("https:") {
            return Ok(None);
        }
        let tls = match &self.trust.ca {
            None => ClientTlsConfig::new().with_native_roots(),
            Some(path) => ClientTlsConfig::new().ca_certificate(Certificate::from_pem(read("CERTIFICATE", path)?)),
        };
        Ok(Some(match self.trust.identity()? {
            None => tls,
            Some(Own { certificate, key }) => tls.identity(Identity::from_pem(certificate, key)),
        }))
    }
}

impl Trust {
    /// Our own certificate and its key; `None`: we show none.
    ///
    /// # Errors
    /// A file cannot be read, or one of the two is missing.
    pub(super) fn identity(&self) -> Result<Option<Own>, TraceError> {
        match (&self.certificate, &self.key) {
            (None, None) => Ok(None),
            (Some(certificate), Some(key)) => {
                let certificate = read("CLIENT_CERTIFICATE", certificate)?;
                Ok(Some(Own { certificate, key: read("CLIENT_KEY", key)? }))
            }
            _ => Err(TraceError::HalfAnIdentity),
        }
    }
}

pub(super) fn read(what: &'static str, path: &PathBuf) -> Result<Vec<u8>, TraceError> {
    let fault = |error: std::io::Error| TraceError::Certificate { what, path: path.clone(), why: error.to_string() };
    fs::read(path).map_err(fault)
}

fn with_scheme(endpoint: &str, insecure: bool) -> String {
    match (endpoint.contains("://"), insecure) {
        (true, _) => endpoint.to_owned(),
        (false, true) => format!("http://{endpoint}"),
        (false, false) => format!("https://{endpoint}"),
    }
}

/// `endpoint`, or over HTTP the place below it where spans are taken, unless it names that itself.
fn below(endpoint: String, protocol: &Protocol, named: impl Fn(&str) -> bool) -> String {
    if *protocol != Protocol::Http || named(&endpoint) {
        return endpoint;
    }
    format!("{}/{TRACES}", endpoint.trim_end_matches('/'))
}

fn has_path(endpoint: &str) -> bool {
    let after = endpoint.split_once("://").map_or(endpoint, |(_, rest)| rest);
    after.trim_end_matches('/').contains('/')
}
