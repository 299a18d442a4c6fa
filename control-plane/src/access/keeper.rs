//! Both doors' keeper: who comes in, by what they show. What it asks for is exchanged with the configuration.

use std::{sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use fusebox_base::serve::Peer;
use fusebox_rules::moment::Moment;
use parking_lot::Mutex;

use super::{
    Attempts, By, Certified, Entered, Refused, Role, Tokens,
    attempts::Tried,
    certificates,
    session::{self, NONCE},
};

/// What callers are asked for.
#[derive(Debug, Clone, Default)]
pub struct Access {
    /// Whose tokens are known; `None`: nobody is asked for one.
    pub tokens: Option<Arc<Tokens>>,
    /// Whose certificates are known; empty: nobody is asked for one.
    pub certificates: Vec<Certified>,
    /// How long a session lasts.
    pub session: Duration,
    /// Whether the doors speak TLS, without which browsers would not send a cookie that is secure.
    pub secure: bool,
}

/// The keeper.
#[derive(Debug)]
pub struct Keeper {
    access: ArcSwap<Access>,
    attempts: Mutex<Attempts>,
}

/// What a request shows of its caller.
#[derive(Debug, Clone, Copy)]
pub struct Shown<'a> {
    /// `authorization`, as it came.
    pub authorization: Option<&'a str>,
    /// Each `cookie`, as it came.
    pub cookies: &'a [&'a str],
    /// The other end of the connection.
    pub peer: &'a Peer,
}

/// When: both clocks are told, and none is read.
#[derive(Debug, Clone, Copy)]
pub struct At {
    /// For what is forgotten after a time.
    pub now: Moment,
    /// Since the Unix epoch, for what other replicas judge too.
    pub unix: Duration,
}

/// Somebody signed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedIn {
    /// Who; `by` holds what the session's changes have to bear.
    pub entered: Entered,
    /// `set-cookie`.
    pub cookie: String,
}

impl Access {
    /// Whether anybody is asked who they are.
    #[must_use]
    pub const fn asks(&self) -> bool {
        self.tokens.is_some() || !self.certificates.is_empty()
    }
}

impl Keeper {
    /// One that asks as `access` says.
    #[must_use]
    pub fn new(access: Access) -> Self {
        Self { access: ArcSwap::from_pointee(access), attempts: Mutex::default() }
    }

    /// Asks as `access` says from now on. Sessions of tokens that are gone are over.
    pub fn exchange(&self, access: Access) {
        self.access.store(Arc::new(access));
    }

    /// Whether anybody is asked who they are. If not, the doors are on loopback, and each request has to be sent to a
    /// host that [is](super::is_loopback) this machine.
    #[must_use]
    pub fn asks(&self) -> bool {
        self.access.load().asks()
    }

    /// Who comes in. A token that is shown counts before a session, and a session before a certificate; a wrong token
    /// is refused, whatever else is shown.
    ///
    /// # Errors
    /// [`Refused::Unknown`], [`Refused::Wrong`], [`Refused::TooMany`] or [`Refused::NoRole`].
    pub fn enter(&self, shown: &Shown<'_>, at: At) -> Result<Entered, Refused> {
        let access = self.access.load();
        if !access.asks() {
            return Ok(Entered { name: "anyone".into(), role: Role::Operator, by: By::Nothing });
        }
        if let Some(tokens) = &access.tokens {
            if let Some(authorization) = shown.authorization {
                let token = bearer(authorization).ok_or(Refused::Wrong)?;
                return self.look(tokens, token, shown.peer, at, |known| Entered {
                    name: Arc::clone(&known.name),
                    role: known.role,
                    by: By::Token,
                });
            }
            if let Some(session) = session::find(shown.cookies, access.secure, tokens, at.unix) {
                let (name, role) = (Arc::clone(&session.token.name), session.token.role);
                return Ok(Entered { name, role, by: By::Session { csrf: session.csrf } });
            }
        }
        match &shown.peer.certificate {
            Some(certificate) if !access.certificates.is_empty() => {
                let names = certificates::names(certificate);
                let known = certificates::role(&access.certificates, &names).ok_or(Refused::NoRole { names })?;
                Ok(Entered { name: Arc::clone(&known.name), role: known.role, by: By::Certificate })
            }
            _ => Err(Refused::Unknown),
        }
    }

    /// Signs the dashboard in by `token`. The `nonce` is drawn for this session alone.
    ///
    /// # Errors
    /// [`Refused::Wrong`], [`Refused::TooMany`] or [`Refused::NoTokens`].
    pub fn sign_in(&self, token: &str, peer: &Peer, at: At, nonce: [u8; NONCE]) -> Result<SignedIn, Refused> {
        let access = self.access.load();
        let tokens = access.tokens.as_ref().ok_or(Refused::NoTokens)?;
        self.look(tokens, token, peer, at, |known| {
            let (session, csrf) = session::begin(known, at.unix + access.session, nonce);
            let entered = Entered { name: Arc::clone(&known.name), role: known.role, by: By::Session { csrf } };
            SignedIn { entered, cookie: session::set_cookie(&session, access.session, access.secure) }
        })
    }

    /// `set-cookie` that signs the dashboard out.
    #[must_use]
    pub fn sign_out(&self) -> String {
        session::sign_out(self.access.load().secure)
    }

    /// What becomes of a token that is shown, if it may be looked at.
    fn look<T>(
        &self,
        tokens: &Tokens,
        token: &str,
        peer: &Peer,
        at: At,
        known: impl FnOnce(&super::Token) -> T,
    ) -> Result<T, Refused> {
        match self.attempts.lock().attempt(peer.address.ip(), at.now, || tokens.find(token)) {
            Tried::Known(token) => Ok(known(token)),
            Tried::Wrong => Err(Refused::Wrong),
            Tried::Wait(wait) => {
                // Told in whole seconds, and never too early.
                let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
                Err(Refused::TooMany { retry_after: Duration::from_secs(seconds.max(1)) })
            }
        }
    }
}

/// The token of `authorization: Bearer TOKEN`.
fn bearer(authorization: &str) -> Option<&str> {
    let (scheme, token) = authorization.trim().split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim_start())
}

#[cfg(test)]
mod tests;
