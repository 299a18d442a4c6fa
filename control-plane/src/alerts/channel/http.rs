//! The HTTP client of the channels that need one: TLS by the system's roots or a file's, through a proxy if the
//! environment names one for TLS; redirects are not followed, and no more of an answer is read than can matter.

use std::{path::Path, sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use fusebox_rules::{come_back, fleet::Stamp};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::{
        legacy::{
            Client as Pooled,
            connect::{HttpConnector, proxy::Tunnel},
        },
        proxy::matcher::{Intercept, Matcher},
    },
    rt::{TokioExecutor, TokioTimer},
};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject as _},
};

use super::{chain, said};
use crate::alerts::{Secret, policy::Outcome};

/// For a message, from the first byte of the connection to the last of the answer.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How long a connection is kept for the next message.
const IDLE: Duration = Duration::from_secs(30);
/// Of an answer, in bytes.
const MOST_ANSWER: usize = 64 * 1_024;

/// Sends to one address.
#[derive(Debug)]
pub(super) struct Poster {
    uri: Uri,
    pool: Pool,
    /// What is never told to anybody but the receiver.
    secrets: Vec<Secret>,
}

#[derive(Debug)]
enum Pool {
    Direct(Pooled<HttpsConnector<HttpConnector>, Full<Bytes>>),
    ByProxy(Pooled<HttpsConnector<Tunnel<HttpConnector>>, Full<Bytes>>),
}

/// What a receiver answered.
#[derive(Debug)]
pub(super) struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Poster {
    /// For the address `url`, which may be a secret itself. `ca_file` takes the place of the system's roots.
    ///
    /// # Errors
    /// The address, the file or the proxy cannot be used.
    pub(super) fn try_new(url: &Secret, ca_file: Option<&Path>, secrets: Vec<Secret>) -> Result<Self, String> {
        let uri: Uri = url.reveal().parse().map_err(|error| format!("its url is no URL: {error}"))?;
        let secure = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err("its url must begin with https:// or http://".to_owned()),
        };
        let proxy = Matcher::from_env().intercept(&uri).filter(|_| secure);
        let pool = Pool::try_new(tls(secure, ca_file)?, proxy.as_ref())?;
        Ok(Self { uri, pool, secrets })
    }

    /// Sends `body` as JSON; what the receiver says of it.
    pub(super) async fn post(&self, body: Bytes, headers: HeaderMap, now: Stamp) -> Outcome {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = headers;
        request.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let agent = HeaderValue::from_static(concat!("fusebox/", env!("CARGO_PKG_VERSION")));
        request.headers_mut().insert(header::USER_AGENT, agent);
        match tokio::time::timeout(TIMEOUT, self.pool.ask(request)).await {
            Ok(Ok(answer)) => self.judge(&answer, now),
            Ok(Err(error)) => Outcome::Later { why: chain(&error, &self.secrets()), after: None },
            Err(_) => Outcome::Later { why: format!("no answer within {TIMEOUT:?}"), after: None },
        }
    }

    fn judge(&self, answer: &Answer, now: Stamp) -> Outcome {
        let Answer { status, headers, body } = answer;
        if status.is_success() {
            return Outcome::Delivered;
        }
        let words = said(&String::from_utf8_lossy(body), &self.secrets());
        let why = if words.is_empty() { status.to_string() } else { format!("{status}: {words}") };
        if status.is_redirection() {
            return Outcome::Refused { why: format!("{why} (redirects are not followed)") };
        }
        let may_pass = [StatusCode::TOO_MANY_REQUESTS, StatusCode::REQUEST_TIMEOUT].contains(status);
        if !status.is_server_error() && !may_pass {
            return Outcome::Refused { why };
        }
        let texts = headers.iter().filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
        let after = come_back::wait(texts, Duration::from_millis(now.as_millis()));
        Outcome::Later { why, after }
    }

    fn secrets(&self) -> Vec<&Secret> {
        self.secrets.iter().collect()
    }
}

impl Pool {
    fn try_new(tls: ClientConfig, proxy: Option<&Intercept>) -> Result<Self, String> {
        let mut tcp = HttpConnector::new();
        tcp.set_nodelay(true);
        tcp.enforce_http(false);
        let tls = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_all_versions();
        let mut pooled = Pooled::builder(TokioExecutor::new());
        pooled.timer(TokioTimer::new()).pool_timer(TokioTimer::new()).pool_idle_timeout(IDLE).pool_max_idle_per_host(1);
        let Some(proxy) = proxy else { return Ok(Self::Direct(pooled.build(tls.wrap_connector(tcp)))) };
        if proxy.uri().scheme_str() != Some("http") {
            return Err("only http:// proxies can be used; see HTTPS_PROXY and ALL_PROXY".to_owned());
        }
        let mut tunnel = Tunnel::new(proxy.uri().clone(), tcp);
        if let Some(auth) = proxy.basic_auth() {
            tunnel = tunnel.with_auth(auth.clone());
        }
        Ok(Self::ByProxy(pooled.build(tls.wrap_connector(tunnel))))
    }

    async fn ask(&self, request: Request<Full<Bytes>>) -> Result<Answer, hyper_util::client::legacy::Error> {
        let answer = match self {
            Self::Direct(pool) => pool.request(request).await?,
            Self::ByProxy(pool) => pool.request(request).await?,
        };
        let (head, body) = answer.into_parts();
        Ok(Answer { status: head.status, headers: head.headers, body: read(body).await })
    }
}

/// The beginning of an answer. One that breaks off after its head has said what matters.
async fn read(mut body: Incoming) -> Bytes {
    let mut read = BytesMut::new();
    while let Some(Ok(frame)) = body.frame().await {
        let Ok(data) = frame.into_data() else { continue };
        read.extend_from_slice(&data[..data.len().min(MOST_ANSWER - read.len())]);
        if read.len() == MOST_ANSWER {
            break;
        }
    }
    read.freeze()
}

fn tls(secure: bool, ca_file: Option<&Path>) -> Result<ClientConfig, String> {
    let mut roots = RootCertStore::empty();
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    if let Some(file) = ca_file {
        let shown = file.display();
        for certificate in CertificateDer::pem_file_iter(file).map_err(|error| format!("ca_file {shown}: {error}"))? {
            let certificate = certificate.map_err(|error| format!("ca_file {shown}: {error}"))?;
            roots.add(certificate).map_err(|error| format!("ca_file {shown}: {error}"))?;
        }
    } else if secure {
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    }
    if secure && roots.is_empty() {
        return Err("no certificate authorities found; install ca-certificates, or set SSL_CERT_FILE".to_owned());
    }
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}
