//! Who is let in by either door: what a request shows, put before the keeper; and who is refused or signs in, written
//! down.

use std::{fmt, net::IpAddr, sync::Arc};

use axum::http::{Extensions, HeaderMap, header};
use fusebox_base::{clock, serve::Peer};
use fusebox_rules::moment::Moment;
use parking_lot::Mutex;

use crate::{
    access::{At, By, Caller, Door, Entered, Keeper, Refused, Role, Sent, Shown, is_loopback},
    control::{Control, Refusal},
};

/// Refusals and sign-ins that are written down in a minute, at most: nobody shall push changes out of the log by knocking.
const MOST_A_MINUTE: u32 = 60;

/// Lets callers in.
pub struct Guard {
    keeper: Arc<Keeper>,
    control: Arc<Control>,
    written: Mutex<Minute>,
}

/// What a request needs.
#[derive(Debug, Clone, Copy)]
pub struct Need {
    /// At least this role.
    pub role: Role,
    /// The method, as the audit log calls it.
    pub action: &'static str,
}

/// What has been written down of late.
#[derive(Debug, Default)]
struct Minute {
    /// Which it is, and how many were in it.
    minute: u64,
    many: u32,
}

impl Need {
    /// Looks, by the method `action`.
    #[must_use]
    pub const fn to_look(action: &'static str) -> Self {
        Self { role: Role::Viewer, action }
    }

    /// Changes something, by the method `action`.
    #[must_use]
    pub const fn to_change(action: &'static str) -> Self {
        Self { role: Role::Operator, action }
    }
}

impl Guard {
    /// One that asks `keeper`, and writes down by `control`.
    #[must_use]
    pub fn new(keeper: Arc<Keeper>, control: Arc<Control>) -> Self {
        Self { keeper, control, written: Mutex::default() }
    }

    /// Who keeps the doors.
    #[must_use]
    pub const fn keeper(&self) -> &Arc<Keeper> {
        &self.keeper
    }

    /// Who asks by `door`, if they may have what they `need`.
    ///
    /// # Errors
    /// They may not; that is written down.
    pub async fn admit(
        &self,
        door: Door,
        headers: &HeaderMap,
        extensions: &Extensions,
        need: Need,
    ) -> Result<Caller, Refusal> {
        let (entered, refused) = match self.entered(headers, extensions) {
            Ok(entered) => {
                let may = may(&entered, &sent(headers, extensions), need.role);
                (Some(entered), may.err())
            }
            Err(refused) => (None, Some(refused)),
        };
        let address = address(extensions);
        match (entered, refused) {
            (Some(entered), None) => Ok(entered.caller(door, address)),
            (entered, Some(refused)) => Err(self.refused(caller(entered, door, address), &refused, need.action).await),
            (None, None) => Err(Refusal::Internal("nobody came in, and nobody was refused".to_owned())),
        }
    }

    /// Who asks, whatever they may do.
    ///
    /// # Errors
    /// Why they are not let in.
    pub fn entered(&self, headers: &HeaderMap, extensions: &Extensions) -> Result<Entered, Refused> {
        let sent = sent(headers, extensions);
        if !self.keeper.asks() && !sent.host.is_none_or(is_loopback) {
            return Err(Refused::Forged {
                why: "nobody is asked who they are here, and it was sent to another host than this machine",
            });
        }
        let peer = peer(extensions);
        let cookies: Vec<&str> = headers.get_all(header::COOKIE).iter().filter_map(|one| one.to_str().ok()).collect();
        let shown =
            Shown { authorization: text(headers, header::AUTHORIZATION.as_str()), cookies: &cookies, peer: &peer };
        self.keeper.enter(&shown, at())
    }

    /// Writes a refusal down; what is told of it.
    pub async fn refused(&self, caller: Caller, refused: &Refused, action: &str) -> Refusal {
        let refusal = refusal(refused);
        if self.written.lock().one_more(clock::now()) {
            self.control.note_refused(&caller, action, &refusal).await;
        }
        refusal
    }

    /// Writes down that somebody has signed in.
    pub async fn signed_in(&self, caller: Caller) {
        if self.written.lock().one_more(clock::now()) {
            self.control.note_done(&caller, "SignIn").await;
        }
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard").finish_non_exhaustive()
    }
}

impl Minute {
    /// Whether one more may be written down.
    fn one_more(&mut self, now: Moment) -> bool {
        let minute = now.as_nanos() / 60_000_000_000;
        if minute != self.minute {
            *self = Self { minute, many: 0 };
        }
        self.many = self.many.saturating_add(1);
        self.many <= MOST_A_MINUTE
    }
}

/// Now, by both clocks.
pub(super) fn at() -> At {
    At { now: clock::now(), unix: clock::unix_now() }
}

/// The other end of the connection that a request came by.
pub(super) fn peer(extensions: &Extensions) -> Arc<Peer> {
    let nowhere = || Arc::new(Peer { address: ([0, 0, 0, 0], 0).into(), certificate: None });
    extensions.get::<Arc<Peer>>().cloned().unwrap_or_else(nowhere)
}

/// What a request says of whence it came.
pub(super) fn sent<'a>(headers: &'a HeaderMap, extensions: &'a Extensions) -> Sent<'a> {
    let authority = extensions.get::<Authority>().map(|Authority(authority)| authority.as_str());
    Sent {
        host: authority.or_else(|| text(headers, header::HOST.as_str())),
        origin: text(headers, header::ORIGIN.as_str()),
        fetch_site: text(headers, "sec-fetch-site"),
        csrf: text(headers, "x-fusebox-csrf"),
    }
}

/// The host that a request of HTTP/2 was sent to, which is no header there.
#[derive(Debug, Clone)]
pub struct Authority(pub String);

/// Whoever was not let in goes by no name.
pub(super) fn caller(entered: Option<Entered>, door: Door, address: IpAddr) -> Caller {
    let nobody = Entered { name: "".into(), role: Role::Viewer, by: By::Token };
    entered.unwrap_or(nobody).caller(door, address)
}

/// Whence a request came.
pub(super) fn address(extensions: &Extensions) -> IpAddr {
    peer(extensions).address.ip()
}

fn may(entered: &Entered, sent: &Sent<'_>, role: Role) -> Result<(), Refused> {
    if role == Role::Operator {
        entered.may_change()?;
        entered.meant(sent)?;
    }
    Ok(())
}

pub(super) fn refusal(refused: &Refused) -> Refusal {
    let why = refused.to_string();
    match refused {
        Refused::Unknown | Refused::Wrong => Refusal::Unauthenticated(why),
        Refused::TooMany { retry_after } => Refusal::TooMany { why, wait: retry_after.as_secs().max(1) },
        Refused::NoTokens | Refused::NoRole { .. } | Refused::OnlyViewer { .. } | Refused::Forged { .. } => {
            Refusal::Forbidden(why)
        }
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn whoever_knocks_without_end_does_not_fill_the_log() {
        let mut minute = Minute::default();
        let at = |seconds| Moment::ZERO + Duration::from_secs(seconds);
        assert_eq!((0..1_000).filter(|_| minute.one_more(at(1))).count(), 60);
        assert!(!minute.one_more(at(59)) && minute.one_more(at(60)));
    }
}
