//! What a server is started with, and the file that says so.

use std::{fmt::Write as _, net::SocketAddr, path::Path, sync::Arc};

use crate::tls::{Authority, Identity};

/// Rules of a user who may do everything.
pub const ALL_RIGHTS: &str = "~* &* +@all";
/// The harness's own user, where a server has users.
pub(super) const KEEPER: (&str, &str) = ("keeper", "of-the-keys");

/// How a server is to be. Nothing but memory holds what it is told.
#[derive(Debug, Clone, Default)]
pub struct Options {
    pub(super) tls: Option<Tls>,
    pub(super) users: Vec<User>,
    lines: Vec<(String, String)>,
    pub(super) sentinel: bool,
}

#[derive(Debug, Clone)]
pub(super) struct Tls {
    /// Kept, because its files go with it.
    pub(super) authority: Arc<Authority>,
    pub(super) server: Identity,
    /// Shown by the harness where the server asks for one.
    pub(super) client: Option<Identity>,
}

#[derive(Debug, Clone)]
pub(super) struct User {
    name: String,
    password: String,
    rules: String,
}

impl Options {
    /// No TLS, no users, no bound of memory.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// It speaks TLS alone, with a certificate by `authority`.
    #[must_use]
    pub fn tls(mut self, authority: &Arc<Authority>) -> Self {
        let server = authority.issue(&format!("redis-{}", fastrand::u64(..)));
        self.tls = Some(Tls { authority: Arc::clone(authority), server, client: None });
        self
    }

    /// As [`Self::tls`], and it hears only clients that show a certificate by `authority`.
    #[must_use]
    pub fn mutual_tls(mut self, authority: &Arc<Authority>) -> Self {
        self = self.tls(authority);
        if let Some(tls) = &mut self.tls {
            tls.client = Some(authority.issue(&format!("keeper-{}", fastrand::u64(..))));
        }
        self
    }

    /// It hears only users that it knows, and this is one; `rules` are those of `ACL SETUSER`, such as [`ALL_RIGHTS`].
    #[must_use]
    pub fn user(mut self, name: &str, password: &str, rules: &str) -> Self {
        self.users.push(User { name: name.to_owned(), password: password.to_owned(), rules: rules.to_owned() });
        self
    }

    /// At most so many bytes; what would need more is refused and nothing is thrown away for it.
    #[must_use]
    pub fn maxmemory(self, bytes: u64) -> Self {
        self.set("maxmemory", &bytes.to_string()).set("maxmemory-policy", "noeviction")
    }

    /// Any other line of the file.
    #[must_use]
    pub fn set(mut self, key: &str, value: &str) -> Self {
        self.lines.push((key.to_owned(), value.to_owned()));
        self
    }

    pub(super) fn sentinel(mut self) -> Self {
        self.sentinel = true;
        self
    }

    /// `redis.conf` for a server that listens at `address` and keeps its files in `folder`.
    pub(super) fn text(&self, address: SocketAddr, folder: &Path) -> String {
        let mut text = String::new();
        let mut line = |key: &str, value: &str| writeln!(text, "{key} {value}").unwrap();
        let port = address.port().to_string();
        line("bind", &address.ip().to_string());
        line("dir", folder.to_str().expect("a path of plain text"));
        match &self.tls {
            None => line("port", &port),
            Some(tls) => {
                line("port", "0");
                line("tls-port", &port);
                line("tls-cert-file", &tls.server.cert_file);
                line("tls-key-file", &tls.server.key_file);
                line("tls-ca-cert-file", &tls.authority.file());
                line("tls-auth-clients", if tls.client.is_some() { "yes" } else { "no" });
            }
        }
        if !self.sentinel {
            line("save", "\"\"");
            line("appendonly", "no");
            // A replica is served at once: five seconds is the server's own idea.
            line("repl-diskless-sync-delay", "0");
            line("enable-debug-command", "local");
        }
        if !self.users.is_empty() {
            line("user", "default off");
            let (name, password) = KEEPER;
            line("user", &format!("{name} on >{password} {ALL_RIGHTS}"));
        }
        for User { name, password, rules } in &self.users {
            line("user", &format!("{name} on >{password} {rules}"));
        }
        for (key, value) in &self.lines {
            line(key, value);
        }
        text
    }
}
