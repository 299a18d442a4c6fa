//! What was meant: the control plane's configuration after it has been read, checked and completed.
//!
//! No field is an `Option` that stands for a default. How what was typed is read is in `read`, what is unwise in `advise`.

pub mod advise;
pub mod alerts;
pub mod args;
mod check;
pub mod injector;
mod read;
mod restart;

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

pub use fusebox_base::config::{
    Advice, Cause, Fault, Faults, KeyDoc, LogFormat, READY_FILE, Secret, Setting, Sources, Telemetry, Tls,
};
use fusebox_base::{
    config::{self as base, Document, Section},
    serve::{Bounds, tls::ClientCertificates},
};

pub use self::{
    advise::advise,
    alerts::Alerts,
    args::{Args, Check, Command},
    check::check,
    injector::Injector,
    restart::needs_restart,
};
use crate::access::{Access, Certified, Tokens};

/// Watches what the configuration was read from, its tokens among them.
pub type Watch = base::Watch<Config>;

/// Bytes of a request's headers, how long they may take, and streams at once on one HTTP/2 connection: nobody has a
/// reason to set them.
const MAX_HEADERS: usize = 64 * 1024;
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
const MAX_STREAMS: u32 = 100;

/// The whole configuration of one replica.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// Which fleet it is for.
    pub fleet: Fleet,
    /// Where it listens.
    pub listen: Listen,
    /// Who may call it.
    pub auth: Auth,
    /// Logs and traces.
    pub telemetry: Telemetry,
    /// When the fleet counts as ill.
    pub health: Health,
    /// How long changes are remembered.
    pub audit: Audit,
    /// Whom alerts are sent to.
    pub alerts: Alerts,
    /// The admission webhook; `None`: nobody is injected.
    pub injector: Option<Injector>,
    /// Bounds on what a caller may send and hold.
    pub limits: Limits,
    /// Graceful drain.
    pub shutdown: Shutdown,
}

/// Which fleet it is for.
#[derive(Debug, Clone, PartialEq)]
pub struct Fleet {
    /// The fleet's name, as its sidecars have it.
    pub name: String,
    /// The shared store's URL; `None`: a demonstration, this process alone.
    pub redis: Option<Secret>,
}

/// Where it listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listen {
    /// `ControlService`, health and reflection.
    pub grpc: SocketAddr,
    /// The dashboard, REST, livez, readyz and metrics.
    pub http: SocketAddr,
}

/// Who may call.
#[derive(Debug, Clone, PartialEq)]
pub struct Auth {
    /// The tokens that are known, and the file that lists them.
    pub tokens: Option<(Arc<Tokens>, PathBuf)>,
    /// The certificate to serve with; `None`: plaintext.
    pub tls: Option<Tls>,
    /// Whose certificates are known. Where there are any, `tls` has a `client_ca_file`.
    pub certificates: Vec<Certified>,
    /// How long a session of the dashboard lasts.
    pub session: Duration,
}

/// When the fleet counts as ill.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Health {
    /// Critical: so large a share of live sidecars is critical; above 0, 1 at most.
    pub critical_share: f64,
    /// Degraded: so large a share of them is critical or degraded; above 0, `critical_share` at most.
    pub degraded_share: f64,
}

/// How long changes are remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Audit {
    /// So many at most, the newest.
    pub keep: u32,
    /// So long at most.
    pub keep_for: Duration,
}

/// Bounds on what a caller may send and hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a request's body or message.
    pub max_body: usize,
    /// Connections open at once, over both doors; the webhook's may be as many again.
    pub max_connections: usize,
    /// Live views at once, over both doors.
    pub max_watchers: usize,
}

/// Graceful drain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shutdown {
    /// How long requests in flight may take to finish.
    pub grace: Duration,
}

impl Default for Config {
    /// What nothing typed means: a demonstration on loopback.
    fn default() -> Self {
        base::default()
    }
}

impl Document for Config {
    const EXAMPLE: &'static str = "listen.http=127.0.0.1:8081";

    fn read(at: &mut Section<'_>) -> Self {
        read::config(at)
    }

    fn files(&self) -> Vec<PathBuf> {
        let tokens = self.auth.tokens.iter().map(|(_, file)| file.clone());
        let tls = self.auth.tls.iter().flat_map(Tls::files);
        let injected = self.injector.iter().flat_map(Injector::files);
        tokens.chain(tls).chain(self.alerts.files.iter().cloned()).chain(injected).collect()
    }
}

impl Auth {
    /// Whether anybody is asked who they are.
    #[must_use]
    pub const fn asks(&self) -> bool {
        self.tokens.is_some() || !self.certificates.is_empty()
    }

    /// What callers are asked for.
    #[must_use]
    pub fn access(&self) -> Access {
        Access {
            tokens: self.tokens.as_ref().map(|(tokens, _)| Arc::clone(tokens)),
            certificates: self.certificates.clone(),
            session: self.session,
            secure: self.tls.is_some(),
        }
    }

    /// Whether a caller has to show a certificate where `tls` has an authority for them: not if a token will do as well.
    #[must_use]
    pub const fn asked(&self) -> ClientCertificates {
        if self.tokens.is_some() && !self.certificates.is_empty() {
            ClientCertificates::Welcome
        } else {
            ClientCertificates::Required
        }
    }
}

impl Limits {
    /// What connections are held to.
    #[must_use]
    pub const fn bounds(&self) -> Bounds {
        Bounds {
            max_connections: self.max_connections,
            max_headers: MAX_HEADERS,
            header_timeout: HEADER_TIMEOUT,
            max_streams: MAX_STREAMS,
        }
    }
}

/// Every key that a file, a variable or `--set` may hold, with its default.
#[must_use]
pub fn keys() -> Vec<KeyDoc> {
    base::keys::<Config>()
}

/// The configuration that `sources` make.
///
/// # Errors
///
/// Everything that is wrong with it, at once.
pub fn load(sources: &Sources) -> Result<Config, Faults> {
    base::load(sources)
}

#[cfg(test)]
mod tests;
