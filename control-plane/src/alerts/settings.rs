//! What is meant by the configuration's `alerts`: where alerts are sent, which of them, and at what pace.

use std::{path::PathBuf, sync::Arc, time::Duration};

use fusebox_rules::fleet::{AlertKey, AlertKind};

use super::{Secret, Severity};

/// Channels of a fleet, at most. The configuration refuses more.
pub const MAX_CHANNELS: usize = 32;
/// Routes of a fleet, at most. The configuration refuses more.
pub const MAX_ROUTES: usize = 64;
/// Readers of one channel's mail, at most. The configuration refuses more.
pub const MAX_READERS: usize = 32;
/// Where PagerDuty takes events.
pub const PAGERDUTY: &str = "https://events.pagerduty.com/v2/enqueue";

/// All that is meant. By default nobody is told.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Settings {
    /// Where alerts are sent; each name once, [`MAX_CHANNELS`] at most.
    pub channels: Vec<Channel>,
    /// Which alerts go where, [`MAX_ROUTES`] at most. Each that matches is followed; where several lead to the same
    /// channel, the first sets the pace. None: all alerts go to all channels.
    pub routes: Vec<Route>,
    /// The dashboard's address, for people who read a message.
    pub dashboard: Option<String>,
}

/// A place where alerts are sent.
#[derive(Debug, Clone, PartialEq)]
pub struct Channel {
    /// As routes call it. What is known of its deliveries is kept under it.
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
    /// Its port; [`Encryption::usual_port`] if none is said.
    pub port: u16,
    /// How the connection is protected.
    pub encryption: Encryption,
    /// The authorities that are trusted in the place of the system's: a file in PEM.
    pub ca_file: Option<PathBuf>,
    /// The user and the password, if the relay asks for them. They are never sent without encryption.
    pub credentials: Option<(String, Secret)>,
    /// Who writes, such as `Fusebox <fusebox@example.com>`.
    pub from: String,
    /// Who reads; at least one.
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

impl Default for Route {
    /// All alerts to all channels; those within ten seconds together, the next after a minute, again every four hours.
    fn default() -> Self {
        Self {
            kinds: Vec::new(),
            severities: Vec::new(),
            channels: Vec::new(),
            group_wait: Duration::from_secs(10),
            group_interval: Duration::from_mins(1),
            repeat_every: Duration::from_hours(4),
        }
    }
}

impl Route {
    fn takes(&self, key: &AlertKey) -> bool {
        let severity = Severity::of(key.kind);
        (self.kinds.is_empty() || self.kinds.contains(&key.kind))
            && (self.severities.is_empty() || self.severities.contains(&severity))
    }

    fn leads_to(&self, channel: &str) -> bool {
        self.channels.is_empty() || self.channels.iter().any(|name| **name == *channel)
    }
}

impl Settings {
    /// The channel of this name.
    pub(super) fn channel(&self, name: &str) -> Option<&Channel> {
        self.channels.iter().find(|channel| *channel.name == *name)
    }

    /// The route, by its place, by which alerts of this key come to a channel; `None`: they do not.
    pub(super) fn route(&self, key: &AlertKey, channel: &str) -> Option<u32> {
        if self.routes.is_empty() {
            return Some(0);
        }
        let place = self.routes.iter().position(|route| route.takes(key) && route.leads_to(channel))?;
        u32::try_from(place).ok()
    }

    /// The pace of the route at this place; the usual one if there is none.
    pub(super) fn pace(&self, route: u32) -> Route {
        usize::try_from(route).ok().and_then(|place| self.routes.get(place)).cloned().unwrap_or_default()
    }
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

    /// Whether each alert is told by itself. Who takes them so keeps the state of each, and must hear of it in order.
    pub(super) const fn takes_one_each(&self) -> bool {
        matches!(self, Self::PagerDuty(_))
    }

    /// Whether it is told who has acknowledged an alert.
    pub(super) const fn hears_acknowledgements(&self) -> bool {
        matches!(self, Self::PagerDuty(_) | Self::Webhook(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(kind: AlertKind) -> AlertKey {
        AlertKey { kind, provider: "a".into(), error_kind: String::new(), sidecar: String::new() }
    }

    #[test]
    fn without_routes_every_channel_gets_all_and_with_them_the_first_that_matches_sets_the_pace() {
        let mut settings = Settings::default();
        assert_eq!(settings.route(&key(AlertKind::Degraded), "any"), Some(0));
        let to = |kinds: &[AlertKind], severities: &[Severity], channels: &[&str]| Route {
            kinds: kinds.into(),
            severities: severities.into(),
            channels: channels.iter().map(|name| (*name).into()).collect(),
            ..Route::default()
        };
        settings.routes = vec![
            to(&[AlertKind::ErrorSpike], &[], &["chat"]),
            to(&[], &[Severity::Critical], &["oncall"]),
            to(&[], &[], &["chat"]),
            to(&[AlertKind::Degraded], &[Severity::Critical], &[]),
        ];
        for (kind, channel, route) in [
            (AlertKind::ErrorSpike, "chat", Some(0)),
            (AlertKind::BreakerOpened, "chat", Some(2)),
            (AlertKind::BreakerOpened, "oncall", Some(1)),
            (AlertKind::ErrorSpike, "oncall", None),
            (AlertKind::Degraded, "oncall", None),
            (AlertKind::HealthCritical, "mail", None),
        ] {
            assert_eq!(settings.route(&key(kind), channel), route, "{kind:?} to {channel}");
        }
    }
}
