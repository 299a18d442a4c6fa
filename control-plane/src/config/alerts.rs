//! What is meant by the configuration's `alerts`: where alerts are sent, which of them, and at what pace.

use std::{path::PathBuf, sync::Arc, time::Duration};

use fusebox_rules::fleet::AlertKind;

use super::Secret;

/// Channels of a fleet, at most.
pub const MAX_CHANNELS: usize = 32;
/// Routes of a fleet, at most.
pub const MAX_ROUTES: usize = 64;
/// Readers of one channel's mail, at most.
pub const MAX_READERS: usize = 32;
/// Where PagerDuty takes events.
pub const PAGERDUTY: &str = "https://events.pagerduty.com/v2/enqueue";

/// All that is meant. By default nobody is told.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Alerts {
    /// Where alerts are sent; each name once, [`MAX_CHANNELS`] at most.
    pub channels: Vec<Channel>,
    /// Which alerts go where, [`MAX_ROUTES`] at most. None: all alerts go to all channels.
    pub routes: Vec<Route>,
    /// The dashboard's address, for people who read a message.
    pub dashboard: Option<String>,
    /// The files that its secrets were read from.
    pub files: Vec<PathBuf>,
}

/// A place where alerts are sent.
#[derive(Debug, Clone, PartialEq)]
pub struct Channel {
    /// As routes call it.
    pub name: Arc<str>,
    /// What it is.
    pub kind: ChannelKind,
}

/// What a channel is.
#[derive(Debug, Clone, PartialEq)]
pub enum ChannelKind {
    /// A Slack workspace's channel, by an incoming webhook.
    Slack(Slack),
    /// A PagerDuty service, by the Events API v2.
    PagerDuty(PagerDuty),
    /// Mailboxes, by SMTP.
    Email(Email),
    /// Whoever takes a signed POST.
    Webhook(Webhook),
}

/// A Slack incoming webhook.
#[derive(Debug, Clone, PartialEq)]
pub struct Slack {
    /// Its address, which is all that one needs to write there.
    pub url: Secret,
}

/// A PagerDuty integration.
#[derive(Debug, Clone, PartialEq)]
pub struct PagerDuty {
    /// The integration's key.
    pub routing_key: Secret,
    /// Where events are sent; by default [`PAGERDUTY`].
    pub url: String,
}

/// Mail.
#[derive(Debug, Clone, PartialEq)]
pub struct Email {
    /// The relay's name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the connection is protected.
    pub encryption: Encryption,
    /// The authorities that are trusted in the place of the system's: a file in PEM.
    pub ca_file: Option<PathBuf>,
    /// The user and the password, if the relay asks for them. Never without encryption.
    pub credentials: Option<(String, Secret)>,
    /// Who writes, such as `Fusebox <fusebox@example.com>`.
    pub from: String,
    /// Who reads; at least one, [`MAX_READERS`] at most.
    pub to: Vec<String>,
}

/// How a connection to a mail relay is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encryption {
    /// By TLS that begins after a word in plain (STARTTLS); without it nothing is sent.
    StartTls,
    /// By TLS from the first byte.
    Tls,
    /// Not at all: for a relay on the same machine.
    None,
}

/// A webhook.
#[derive(Debug, Clone, PartialEq)]
pub struct Webhook {
    /// Where messages are sent, `http` or `https`.
    pub url: Secret,
    /// Signs them; `None`: they are not signed.
    pub secret: Option<Secret>,
    /// The authorities that are trusted in the place of the system's: a file in PEM.
    pub ca_file: Option<PathBuf>,
}

/// Which alerts go where, and at what pace.
#[derive(Debug, Clone, PartialEq)]
pub struct Route {
    /// Alerts of these kinds; none: of all.
    pub kinds: Vec<AlertKind>,
    /// Alerts of these severities; none: of all.
    pub severities: Vec<Severity>,
    /// The names of channels; none: all.
    pub channels: Vec<Arc<str>>,
    /// How long an alert waits for others of its kind, so that all go out as one message.
    pub group_wait: Duration,
    /// The least time between two such messages of one kind.
    pub group_interval: Duration,
    /// How long after an alert was told it is told again while it fires and nobody has acknowledged it; zero: never.
    pub repeat_every: Duration,
}

/// How bad an alert is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Somebody should look.
    Warning,
    /// Somebody must look now.
    Critical,
}

impl Encryption {
    /// The port that is usual for it.
    #[must_use]
    pub const fn usual_port(self) -> u16 {
        match self {
            Self::StartTls => 587,
            Self::Tls => 465,
            Self::None => 25,
        }
    }
}

impl ChannelKind {
    /// As it is typed, and as people call it.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Slack(_) => "slack",
            Self::PagerDuty(_) => "pagerduty",
            Self::Email(_) => "email",
            Self::Webhook(_) => "webhook",
        }
    }
}

impl Severity {
    /// Both, as they are typed.
    pub const WORDS: [(&'static str, Self); 2] = [("warning", Self::Warning), ("critical", Self::Critical)];
}
