//! What a person must hear of, and what must not be said besides: a cause suppresses its consequences.
//!
//! Whoever looks lists all that holds now; [`settle`] says what follows of it. Leaves out how alerts are kept and
//! delivered.

use std::collections::BTreeSet;

use super::{Figures, Record, Stamp};
use crate::{
    breaker::{Mode, State},
    degradation::Level,
};

/// Of an alert's text, in bytes: what is longer is cut.
const MOST_MESSAGE_BYTES: usize = 1_024;

/// What an alert is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AlertKind {
    /// Errors of one kind from one provider have become many.
    ErrorSpike,
    /// A provider's shared breaker is not closed, or most sidecars' own are not.
    BreakerOpened,
    /// A sidecar is of no use.
    HealthCritical,
    /// A sidecar gives less than callers ask for.
    Degraded,
}

/// What tells one alert from another: while one fires, no other of the same key does.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AlertKey {
    /// What it is about.
    pub kind: AlertKind,
    /// Which provider; empty where it is about none.
    pub provider: String,
    /// Which kind of errors, by its name; empty but for spikes.
    pub error_kind: String,
    /// Which sidecar, by its id; empty where it is about a provider.
    pub sidecar: String,
}

/// Something that holds now, and that a person must hear of unless its cause says enough.
#[derive(Debug, Clone, PartialEq)]
pub struct Condition {
    /// What.
    pub key: AlertKey,
    /// Of a spike, what it looks like; else all zero.
    pub figures: Figures,
    /// The same for people.
    pub message: String,
}

/// A condition that was raised.
#[derive(Debug, Clone, PartialEq)]
pub struct Alert {
    /// Grows from one alert of a fleet to the next.
    pub id: u64,
    /// What held.
    pub condition: Condition,
    /// When it was raised.
    pub raised: Stamp,
    /// When it held no longer; `None`: it is firing.
    pub resolved: Option<Stamp>,
    /// When somebody said that they know, and who.
    pub acknowledged: Option<(Stamp, String)>,
}

/// What is to be done about alerts.
#[derive(Debug, Clone, PartialEq)]
pub enum AlertChange {
    /// This holds, and nobody was told.
    Raise(Condition),
    /// This holds no longer.
    Resolve(AlertKey),
}

impl AlertKey {
    /// Whether `other` holds because this does: then one alert says enough.
    #[must_use]
    pub fn causes(&self, other: &Self) -> bool {
        match (self.kind, other.kind) {
            (AlertKind::BreakerOpened, AlertKind::ErrorSpike) => self.provider == other.provider,
            (AlertKind::HealthCritical, AlertKind::Degraded) => self.sidecar == other.sidecar,
            _ => false,
        }
    }

    fn of_provider(kind: AlertKind, provider: &str, error_kind: &str) -> Self {
        Self { kind, provider: provider.to_owned(), error_kind: error_kind.to_owned(), sidecar: String::new() }
    }

    fn of_sidecar(kind: AlertKind, sidecar: &str) -> Self {
        Self { kind, provider: String::new(), error_kind: String::new(), sidecar: sidecar.to_owned() }
    }
}

impl Condition {
    /// Errors named `error_kind` from `provider` spike.
    #[must_use]
    pub fn spike(provider: &str, error_kind: &str, figures: Figures) -> Self {
        let Figures { recent, historical, multiplier } = figures;
        let message = format!(
            "{provider}: {recent:.0} errors {error_kind} in the last minute, {multiplier:.1} times as many as before \
             ({historical:.1} a minute)"
        );
        Self::new(AlertKey::of_provider(AlertKind::ErrorSpike, provider, error_kind), figures, message)
    }

    /// The shared breaker of `provider` has opened and not closed since; `None`: it has not, or an operator did it.
    #[must_use]
    pub fn breaker(provider: &str, record: &Record) -> Option<Self> {
        if record.state == State::Closed || record.mode != Mode::Auto {
            return None;
        }
        let message = match record.failed_recoveries {
            0 => format!("{provider}: the fleet's breaker has opened"),
            failed => format!("{provider}: the fleet's breaker is open; attempts to recover that failed: {failed}"),
        };
        let key = AlertKey::of_provider(AlertKind::BreakerOpened, provider, "");
        Some(Self::new(key, Figures::default(), message))
    }

    /// Most of the sidecars that use `provider` leave it alone by breakers of their own, which open for runs of failures
    /// that the fleet's, which goes by shares, may not mind: `open` of `all`. To begin, it takes more than half of them,
    /// and two; once it `fires`, it goes on until a quarter is left, since such breakers open and close by turns.
    #[must_use]
    pub fn own_breakers(provider: &str, open: usize, all: usize, fires: bool) -> Option<Self> {
        let holds = if fires { open * 4 > all } else { open * 2 > all && open >= 2 };
        let message = format!("{provider}: {open} of {all} sidecars leave it alone, each by a breaker of its own");
        let key = AlertKey::of_provider(AlertKind::BreakerOpened, provider, "");
        holds.then(|| Self::new(key, Figures::default(), message))
    }

    /// The health of `sidecar` is critical; `why` names its failed checks.
    #[must_use]
    pub fn critical(sidecar: &str, why: &str) -> Self {
        let key = AlertKey::of_sidecar(AlertKind::HealthCritical, sidecar);
        Self::new(key, Figures::default(), format!("{sidecar}: health is critical: {why}"))
    }

    /// `sidecar` works at `level`; `None`: at the full one.
    #[must_use]
    pub fn degraded(sidecar: &str, level: Level) -> Option<Self> {
        let key = AlertKey::of_sidecar(AlertKind::Degraded, sidecar);
        let message = format!("{sidecar}: works at the level {}", level.name());
        (level != Level::Full).then(|| Self::new(key, Figures::default(), message))
    }

    fn new(key: AlertKey, figures: Figures, mut message: String) -> Self {
        message.truncate(message.floor_char_boundary(MOST_MESSAGE_BYTES));
        Self { key, figures, message }
    }
}

/// What follows, given all that holds now and all that fires. What a cause suppresses is not raised, but stays if it
/// fires already; once the cause is gone it is raised if it still holds.
#[must_use]
pub fn settle(holds: &[Condition], firing: &[AlertKey]) -> Vec<AlertChange> {
    let held: BTreeSet<_> = holds.iter().map(|condition| &condition.key).collect();
    let mut known: BTreeSet<_> = firing.iter().collect();
    let over = known.difference(&held).map(|key| AlertChange::Resolve((*key).clone()));
    let mut changes: Vec<_> = over.collect();
    let causes: Vec<_> = held.iter().filter(|key| key.kind.is_cause()).collect();
    for condition in holds {
        let suppressed = || causes.iter().any(|cause| cause.causes(&condition.key));
        if !known.contains(&condition.key) && !suppressed() {
            known.insert(&condition.key);
            changes.push(AlertChange::Raise(condition.clone()));
        }
    }
    changes
}

impl AlertKind {
    const fn is_cause(self) -> bool {
        matches!(self, Self::BreakerOpened | Self::HealthCritical)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::fleet::Reason;

    fn spike(provider: &str) -> Condition {
        Condition::spike(provider, "provider_error", Figures { recent: 120.0, historical: 12.0, multiplier: 10.0 })
    }

    fn open() -> Record {
        Record { state: State::Open, reason: Reason::FailureRate, ..Record::default() }
    }

    fn apply(firing: &mut Vec<AlertKey>, changes: Vec<AlertChange>) {
        for change in changes {
            match change {
                AlertChange::Raise(condition) => firing.push(condition.key),
                AlertChange::Resolve(key) => firing.retain(|other| *other != key),
            }
        }
    }

    #[test]
    fn an_open_breaker_says_enough_about_its_providers_spikes_and_nothing_about_anothers() {
        let breaker = Condition::breaker("a", &open()).unwrap();
        let changes = settle(&[spike("a"), spike("b"), breaker.clone()], &[]);
        assert_eq!(changes, [AlertChange::Raise(spike("b")), AlertChange::Raise(breaker)]);
    }

    #[test]
    fn what_was_suppressed_is_raised_once_its_cause_is_gone_if_it_still_holds() {
        let breaker = Condition::breaker("a", &open()).unwrap();
        let mut firing = vec![breaker.key.clone()];
        assert_eq!(settle(&[breaker.clone(), spike("a")], &firing), []);
        let changes = settle(&[spike("a")], &firing);
        assert_eq!(changes, [AlertChange::Resolve(breaker.key), AlertChange::Raise(spike("a"))]);
        apply(&mut firing, changes);
        assert_eq!(firing, [spike("a").key]);
    }

    #[test]
    fn what_fires_when_its_cause_appears_goes_on_until_it_ends() {
        let breaker = Condition::breaker("a", &open()).unwrap();
        let firing = [spike("a").key];
        assert_eq!(settle(&[spike("a"), breaker.clone()], &firing), [AlertChange::Raise(breaker.clone())]);
        let changes = settle(std::slice::from_ref(&breaker), &firing);
        assert_eq!(changes, [AlertChange::Resolve(spike("a").key), AlertChange::Raise(breaker)]);
    }

    #[test]
    fn critical_health_says_enough_about_that_sidecars_level() {
        let critical = Condition::critical("s1", "no provider answers");
        let degraded = |id| Condition::degraded(id, Level::Minimal).unwrap();
        let changes = settle(&[degraded("s1"), degraded("s2"), critical.clone()], &[]);
        assert_eq!(changes, [AlertChange::Raise(degraded("s2")), AlertChange::Raise(critical)]);
    }

    #[test]
    fn what_an_operator_does_and_what_is_well_raises_no_alert() {
        assert_eq!(Condition::breaker("a", &Record { mode: Mode::ForcedOpen, ..open() }), None);
        assert_eq!(Condition::breaker("a", &Record::default()), None);
        assert_eq!(Condition::degraded("s1", Level::Full), None);
        assert!(Condition::breaker("a", &Record { state: State::HalfOpen, ..open() }).is_some());
    }

    #[test]
    fn own_breakers_are_told_of_from_more_than_half_to_a_quarter() {
        let holds = |open, all, fires| Condition::own_breakers("a", open, all, fires).is_some();
        assert!(holds(2, 2, false) && holds(3, 5, false) && holds(501, 1_000, false));
        assert!(!holds(1, 1, false) && !holds(2, 4, false) && !holds(500, 1_000, false) && !holds(0, 0, false));
        assert!(holds(1, 1, true) && holds(2, 5, true) && holds(251, 1_000, true));
        assert!(!holds(1, 4, true) && !holds(250, 1_000, true) && !holds(0, 0, true));
    }

    #[test]
    fn a_message_says_what_was_seen_and_is_never_endless() {
        let message = "a: 120 errors provider_error in the last minute, 10.0 times as many as before (12.0 a minute)";
        assert_eq!(spike("a").message, message);
        assert_eq!(Condition::critical("s1", &"x".repeat(5_000)).message.len(), MOST_MESSAGE_BYTES);
    }

    fn any_condition() -> impl Strategy<Value = Condition> {
        let name = || prop_oneof![Just("x"), Just("y")];
        prop_oneof![
            name().prop_map(spike),
            name().prop_map(|name| Condition::breaker(name, &open()).unwrap()),
            name().prop_map(|name| Condition::critical(name, "why")),
            name().prop_map(|name| Condition::degraded(name, Level::Reduced).unwrap()),
        ]
    }

    proptest! {
        #[test]
        fn after_what_follows_is_done_nothing_follows_and_what_fires_is_what_holds_less_what_is_suppressed(
            rounds in prop::collection::vec(prop::collection::vec(any_condition(), 0..6), 1..12),
        ) {
            let mut firing: Vec<AlertKey> = Vec::new();
            for holds in rounds {
                let before = firing.clone();
                apply(&mut firing, settle(&holds, &before));
                prop_assert_eq!(settle(&holds, &firing), Vec::new());
                let distinct: BTreeSet<_> = firing.iter().collect();
                prop_assert_eq!(distinct.len(), firing.len(), "one alert of a key at a time");
                for key in &firing {
                    prop_assert!(holds.iter().any(|condition| condition.key == *key), "{:?} is over", key);
                }
                for condition in &holds {
                    let suppressed = holds.iter().any(|cause| cause.key.causes(&condition.key));
                    let fires = firing.contains(&condition.key);
                    prop_assert_eq!(fires, !suppressed || before.contains(&condition.key));
                }
            }
        }
    }
}
