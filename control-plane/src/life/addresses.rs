//! Where the control plane can be found, once every port is known.

use std::{fs, io, net::SocketAddr, path::Path};

use crate::config::READY_FILE;

/// Its doors.
#[derive(Debug, Clone, Copy)]
pub(super) struct Addresses {
    pub(super) grpc: SocketAddr,
    pub(super) http: SocketAddr,
    /// The admission webhook, where it is on.
    pub(super) injector: Option<SocketAddr>,
}

/// Says where, in the log and, if one is named, in a file.
pub(super) fn announce(Addresses { grpc, http, injector }: Addresses) -> io::Result<()> {
    tracing::info!(%grpc, %http, injector = injector.map(tracing::field::display), "ready");
    let Some(file) = std::env::var_os(READY_FILE).filter(|file| !file.is_empty()) else { return Ok(()) };
    let file = Path::new(&file);
    let text = serde_json::json!({"grpc": grpc, "http": http, "injector": injector}).to_string();
    // Whoever waits for the file finds all of it or none.
    let unfinished = file.with_extension("unfinished");
    fs::write(&unfinished, text)?;
    fs::rename(unfinished, file)
}
