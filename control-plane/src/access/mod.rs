//! Who may: roles, and the ways in which a caller says who it is: a bearer token, a session of the dashboard, or a
//! client certificate. Decides and remembers; it neither listens nor answers.

mod attempts;
mod certificates;
mod keeper;
mod origin;
mod session;
mod tokens;

use std::{fmt, sync::Arc, time::Duration};

pub use self::{
    attempts::Attempts,
    certificates::Certified,
    keeper::{Access, At, Keeper, Shown, SignedIn},
    origin::{Sent, is_loopback},
    session::{cookie_name, sign_out},
    tokens::{Token, Tokens},
};

/// What a caller may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Look.
    Viewer,
    /// Look, and change.
    Operator,
}

/// Who asks for something, as it is written in the audit log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// As the tokens file or the certificates' table calls it.
    pub name: Arc<str>,
    /// What it may do.
    pub role: Role,
    /// By which door it came, and whence: `grpc 10.0.0.7`.
    pub source: String,
}

/// The doors, as the audit log calls them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// gRPC.
    Grpc,
    /// REST, whatever page or program it is.
    Rest,
}

/// Who came in, and how it is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entered {
    /// Who.
    pub name: Arc<str>,
    /// What it may do.
    pub role: Role,
    /// How it is known.
    pub by: By,
}

/// How a caller is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum By {
    /// Nobody is asked: the doors are on loopback.
    Nothing,
    /// A bearer token, which no browser sends by itself.
    Token,
    /// A session's cookie.
    Session {
        /// What each change in this session has to bear, which no other page knows.
        csrf: String,
    },
    /// A client certificate.
    Certificate,
}

/// Why somebody is not let in, or may not do something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    /// It did not say who it is, or its session is over.
    Unknown,
    /// The token, or what stands in `authorization`, is none that is known.
    Wrong,
    /// Too many wrong tokens came of late.
    TooMany {
        /// When to try again; at least a second.
        retry_after: Duration,
    },
    /// Nobody is asked for a token here.
    NoTokens,
    /// The certificate is good, and the configuration gives it no role.
    NoRole {
        /// What it calls itself.
        names: Vec<String>,
    },
    /// A viewer would change something.
    OnlyViewer {
        /// Who.
        name: Arc<str>,
    },
    /// The request may be another page's doing, in the browser of somebody who is signed in.
    Forged {
        /// How that is seen.
        why: &'static str,
    },
}

impl Role {
    /// Both, as they are typed.
    pub const WORDS: [(&'static str, Self); 2] = [("viewer", Self::Viewer), ("operator", Self::Operator)];

    /// As it is typed.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
        }
    }
}

impl Door {
    const fn name(self) -> &'static str {
        match self {
            Self::Grpc => "grpc",
            Self::Rest => "rest",
        }
    }
}

impl By {
    /// As `GET /api/v1/session` calls it.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Nothing => "off",
            Self::Token | Self::Session { .. } => "token",
            Self::Certificate => "certificate",
        }
    }

    /// What the dashboard's changes have to bear; empty where they need nothing.
    #[must_use]
    pub fn csrf(&self) -> &str {
        match self {
            Self::Session { csrf } => csrf,
            Self::Nothing | Self::Token | Self::Certificate => "",
        }
    }
}

impl Entered {
    /// As the audit log has it, having come by `door` from `address`.
    #[must_use]
    pub fn caller(&self, door: Door, address: std::net::IpAddr) -> Caller {
        let door = match &self.by {
            By::Session { .. } => "dashboard",
            By::Nothing | By::Token | By::Certificate => door.name(),
        };
        let source = format!("{door} {}", address.to_canonical());
        Caller { name: Arc::clone(&self.name), role: self.role, source }
    }

    /// Whether it may change something, as far as its role goes.
    ///
    /// # Errors
    /// [`Refused::OnlyViewer`].
    pub fn may_change(&self) -> Result<(), Refused> {
        match self.role {
            Role::Operator => Ok(()),
            Role::Viewer => Err(Refused::OnlyViewer { name: Arc::clone(&self.name) }),
        }
    }

    /// Whether a change is its own, and not another page's in the same browser, as far as `sent` tells.
    ///
    /// # Errors
    /// [`Refused::Forged`].
    pub fn meant(&self, sent: &Sent<'_>) -> Result<(), Refused> {
        if self.by == By::Token {
            return Ok(());
        }
        sent.same_site()?;
        match &self.by {
            By::Session { csrf } => sent.bears(csrf),
            By::Nothing | By::Token | By::Certificate => Ok(()),
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str("say who you are: show a token, by `authorization: Bearer TOKEN`, or sign in"),
            Self::Wrong => f.write_str("the token is not known; it may have been exchanged for another"),
            Self::TooMany { retry_after } => {
                write!(f, "too many wrong tokens came of late; try again in {} s", retry_after.as_secs())
            }
            Self::NoTokens => f.write_str("nobody is asked for a token here"),
            Self::NoRole { names } => {
                write!(f, "the certificate of {} has no role; give it one in auth.certificates", names.join(", "))
            }
            Self::OnlyViewer { name } => write!(f, "{name} is a viewer; this takes an operator"),
            Self::Forged { why } => write!(f, "the request may be another page's doing: {why}"),
        }
    }
}

impl std::error::Error for Refused {}
