//! What is told of alerts, to whom, and when: pure, with the instant passed in.
//!
//! [`State`] remembers, for each alert and each channel that is to be told of it, what the receiver has said yes to.
//! What is to be said next follows of that, of the settings and of the silences; nothing is queued. Leaves out the
//! telling, and how the state is kept.

mod due;
mod outcome;
mod state;
#[cfg(test)]
mod tests;

use std::time::Duration;

use fusebox_rules::fleet::{Alert, AlertKey, AlertKind, Stamp};

#[cfg(test)]
pub(super) use self::due::Item;
pub(super) use self::{
    due::Message,
    outcome::{Became, Outcome},
    state::{Case, ChannelState, State, Told, Trying},
};

/// Alerts in one message. More go out in the next.
pub(super) const MOST_IN_MESSAGE: usize = 200;
/// How long the same is tried.
pub(super) const GIVE_UP_AFTER: Duration = Duration::from_hours(24);

/// How bad an alert is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Somebody should look.
    Warning,
    /// Somebody must look now.
    Critical,
}

impl Severity {
    /// Both, as they are typed.
    pub const WORDS: [(&'static str, Self); 2] = [("warning", Self::Warning), ("critical", Self::Critical)];

    /// The one table of how bad each kind is. An open breaker and a sidecar of no use take something away from all
    /// callers, or from all of one pod; a spike may pass, and a degraded sidecar still answers.
    #[must_use]
    pub const fn of(kind: AlertKind) -> Self {
        match kind {
            AlertKind::BreakerOpened | AlertKind::HealthCritical => Self::Critical,
            AlertKind::ErrorSpike | AlertKind::Degraded => Self::Warning,
        }
    }

    /// As receivers call it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// Alerts that match are not delivered until it ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Silence {
    /// Which.
    pub id: u64,
    /// Alerts of this kind; `None`: of all.
    pub kind: Option<AlertKind>,
    /// Alerts about this provider; empty: about all, or none.
    pub provider: String,
    /// Alerts about this sidecar; empty: about all, or none.
    pub sidecar: String,
    /// When it ends; `None`: when somebody ends it.
    pub until: Option<Stamp>,
}

impl Silence {
    fn matches(&self, key: &AlertKey, now: Stamp) -> bool {
        let any_or = |wanted: &str, is: &str| wanted.is_empty() || wanted == is;
        self.until.is_none_or(|until| until > now)
            && self.kind.is_none_or(|kind| kind == key.kind)
            && any_or(&self.provider, &key.provider)
            && any_or(&self.sidecar, &key.sidecar)
    }
}

/// The silence that keeps alerts of this key from being delivered now.
#[must_use]
pub fn silenced_by<'a>(key: &AlertKey, silences: &'a [Silence], now: Stamp) -> Option<&'a Silence> {
    silences.iter().find(|silence| silence.matches(key, now))
}

/// What a receiver is told of an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Word {
    /// It fires.
    Raise,
    /// It still does.
    Repeat,
    /// Somebody knows of it.
    Acknowledge,
    /// It is over.
    Resolve,
    /// It fired, and was over before that could be told.
    Passed,
}

impl Word {
    /// Whether it tells for the first time that the alert fires, or fired.
    pub(super) const fn is_first(self) -> bool {
        matches!(self, Self::Raise | Self::Passed)
    }

    /// What a receiver knows that has said yes to it.
    const fn heard(self) -> Heard {
        match self {
            Self::Raise | Self::Repeat => Heard::Raised,
            Self::Acknowledge => Heard::Acknowledged,
            Self::Resolve | Self::Passed => Heard::Resolved,
        }
    }
}

/// What a receiver knows of an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) enum Heard {
    /// Nothing that it has said yes to.
    #[default]
    Nothing,
    /// That it fires.
    Raised,
    /// That somebody knows of it.
    Acknowledged,
    /// That it is over.
    Resolved,
}

/// Whether nothing more becomes of an alert.
const fn is_over(alert: &Alert) -> bool {
    alert.resolved.is_some()
}
