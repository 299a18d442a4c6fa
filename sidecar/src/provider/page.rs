//! A page of text that a server shows beside what it is asked: fetched with neither key nor trace, and bounded.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Uri, header::USER_AGENT};
use http_body_util::{BodyExt as _, Full};
use hyper_util::{
    client::legacy::Client,
    rt::{TokioExecutor, TokioTimer},
};

use super::{
    dial::Dialer,
    http::{Gathered, proxy_for},
};

/// Bytes of a page; what is longer is none.
const MAX_PAGE: usize = 8 << 20;
/// A connection that is not used for this long is closed.
const IDLE: Duration = Duration::from_secs(4);

/// Where a page is, and a connection to it.
#[derive(Debug)]
pub struct Page {
    uri: Uri,
    pool: Client<Dialer, Full<Bytes>>,
}

/// What came of asking for a page.
#[derive(Debug)]
pub enum Read {
    /// Its text.
    Text(Bytes),
    /// The server has no such page, or will not show it.
    Absent,
    /// It could not be had this time.
    Failed,
}

impl Page {
    /// The page at `url`.
    ///
    /// # Errors
    /// What of the URL, the system's roots or the proxy cannot be used.
    pub fn try_new(url: &str, connect: Duration) -> Result<Self, String> {
        let uri: Uri = url.parse().map_err(|error| format!("is not a URL: {error}"))?;
        let proxy = proxy_for(&uri);
        let dialer = Dialer::try_new(connect, uri.scheme_str() == Some("https"), proxy.as_ref())?;
        let pool = Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(1)
            .build(dialer);
        Ok(Self { uri, pool })
    }

    /// Fetches it. Takes as long as it takes: whoever asks sets the limit.
    pub async fn read(&self) -> Read {
        const AGENT: HeaderValue = HeaderValue::from_static(concat!("fusebox/", env!("CARGO_PKG_VERSION")));
        let mut request = Request::new(Full::default());
        *request.method_mut() = Method::GET;
        *request.uri_mut() = self.uri.clone();
        request.headers_mut().insert(USER_AGENT, AGENT);
        let Ok(response) = self.pool.request(request).await else { return Read::Failed };
        let status = response.status();
        if !status.is_success() {
            // A server that is starting or in trouble says 5xx or 429; anything else it would say again.
            let passing = status.is_server_error() || status == http::StatusCode::TOO_MANY_REQUESTS;
            return if passing { Read::Failed } else { Read::Absent };
        }
        let mut body = response.into_body();
        let mut read = Gathered::default();
        while let Some(frame) = body.frame().await {
            let Ok(frame) = frame else { return Read::Failed };
            if let Ok(data) = frame.into_data() {
                read.add(data);
                if read.len() > MAX_PAGE {
                    return Read::Absent;
                }
            }
        }
        Read::Text(read.into_bytes())
    }
}
