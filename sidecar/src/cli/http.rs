//! One request to a running sidecar.

use std::{io, net::SocketAddr};

use bytes::Bytes;
use http::{Request, Response, header::HOST};
use http_body_util::Full;
use hyper::{body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, task::JoinSet};

/// A response, and the connection that it comes over.
pub(super) struct Answer {
    pub(super) response: Response<Incoming>,
    _connection: JoinSet<()>,
}

/// Sends `request` to the sidecar at `address`.
///
/// # Errors
/// Nobody listens there, or what listens does not speak HTTP.
pub(super) async fn send(address: SocketAddr, mut request: Request<Full<Bytes>>) -> Result<Answer, String> {
    let failed = |error: &dyn std::fmt::Display| format!("no sidecar answers at {address}: {error}");
    let stream = TcpStream::connect(address).await.map_err(|error: io::Error| failed(&error))?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|error| failed(&error))?;
    let mut driver = JoinSet::new();
    driver.spawn(async {
        // What breaks it is told to whoever reads the response.
        let _ = connection.await;
    });
    if let Ok(host) = address.to_string().parse() {
        request.headers_mut().insert(HOST, host);
    }
    let response = sender.send_request(request).await.map_err(|error| failed(&error))?;
    Ok(Answer { response, _connection: driver })
}

/// Runs one command's work.
pub(super) fn block_on<T>(work: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| error.to_string())?.block_on(work)
}
