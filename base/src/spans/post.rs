//! The client of OTLP over HTTP. Its connections live on the exporter's own runtime; the thread that exports waits for
//! each answer there.

use std::{fmt, sync::Arc, time::Duration};

use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use tokio::runtime::Handle;

use super::target::{Own, Target, TraceError, read};

/// Bytes of an answer that are read; it says little.
const MAX_ANSWER: usize = 1 << 20;
/// How long an exchange may take where no variable says so, as the standard has it.
const PATIENCE: Duration = Duration::from_secs(10);

/// Posts spans.
pub(super) struct Poster {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    runtime: Handle,
    patience: Duration,
}

impl Poster {
    /// One for `target`, whose connections live on `runtime`.
    ///
    /// # Errors
    /// A certificate cannot be read or used.
    pub(super) fn try_new(target: &Target, runtime: Handle) -> Result<Self, TraceError> {
        let mut tcp = HttpConnector::new();
        tcp.set_nodelay(true);
        tcp.enforce_http(false);
        let tls = HttpsConnectorBuilder::new().with_tls_config(tls(target)?).https_or_http().enable_all_versions();
        let mut client = Client::builder(TokioExecutor::new());
        client.timer(TokioTimer::new()).pool_timer(TokioTimer::new()).pool_max_idle_per_host(1);
        let millis = |name: &str| std::env::var(name).ok()?.parse().ok().map(Duration::from_millis);
        let patience = millis("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT").or_else(|| millis("OTEL_EXPORTER_OTLP_TIMEOUT"));
        Ok(Self { client: client.build(tls.wrap_connector(tcp)), runtime, patience: patience.unwrap_or(PATIENCE) })
    }
}

#[async_trait::async_trait]
impl HttpClient for Poster {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (client, patience) = (self.client.clone(), self.patience);
        let asking = async move {
            let answer = client.request(request.map(Full::new)).await?;
            let (head, body) = answer.into_parts();
            let body = Limited::new(body, MAX_ANSWER).collect().await?.to_bytes();
            Ok(Response::from_parts(head, body))
        };
        // A timer can only be made on the runtime that is to ring it.
        self.runtime.spawn(async move { tokio::time::timeout(patience, asking).await }).await??
    }
}

impl fmt::Debug for Poster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Poster")
    }
}

fn tls(target: &Target) -> Result<ClientConfig, TraceError> {
    let mut roots = RootCertStore::empty();
    if let Some(path) = &target.trust.ca {
        let fault = |why: String| TraceError::Certificate { what: "CERTIFICATE", path: path.clone(), why };
        for certificate in CertificateDer::pem_slice_iter(&read("CERTIFICATE", path)?) {
            let certificate = certificate.map_err(|error| fault(error.to_string()))?;
            roots.add(certificate).map_err(|error| fault(error.to_string()))?;
        }
    } else if target.endpoint.starts_with("https:") {
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    }
    let client = |error: &dyn fmt::Display| TraceError::Client(error.to_string());
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| client(&error))?
        .with_root_certificates(roots);
    let Some(Own { certificate, key }) = target.trust.identity()? else { return Ok(builder.with_no_client_auth()) };
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&certificate).collect();
    let key = PrivateKeyDer::from_pem_slice(&key).map_err(|error| client(&error))?;
    builder.with_client_auth_cert(chain.map_err(|error| client(&error))?, key).map_err(|error| client(&error))
}
