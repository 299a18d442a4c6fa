//! What is known of each alert at each channel, and how it follows what the store tells.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use fusebox_rules::fleet::{Alert, AlertKind, Stamp};
use fusebox_store::delivery::Name;

use super::{Heard, Silence, Word, is_over, silenced_by};
use crate::alerts::settings::Settings;

/// Alerts of which nothing is to be told any more that are remembered, to be shown.
const MOST_SETTLED: usize = 1_000;
/// All alerts that are remembered. Of more, the oldest that are over go, told or not.
pub(in crate::alerts) const MOST_CASES: usize = 5_000;
/// How long an alert may be missing among those that fire, although nobody has said that it is over, until it is taken
/// to be: what the store loses is not left open for ever.
const MISSING_FOR: Duration = Duration::from_mins(1);

/// What whoever delivers knows.
#[derive(Debug, Clone, Default, PartialEq)]
pub(in crate::alerts) struct State {
    /// By the alert's id.
    pub(in crate::alerts) cases: BTreeMap<u64, Case>,
    /// By the channel's name.
    pub(in crate::alerts) channels: BTreeMap<Arc<str>, ChannelState>,
    /// What has changed since it was last asked.
    changed: BTreeSet<Name>,
}

/// An alert, and who knows what of it.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::alerts) struct Case {
    /// As it was last told.
    pub(in crate::alerts) alert: Alert,
    /// By the channel's name: those that are to be told of it.
    pub(in crate::alerts) told: BTreeMap<Arc<str>, Told>,
    /// Since when it is not among those that fire, although nobody has said that it is over.
    pub(in crate::alerts) missing: Option<Stamp>,
    /// Whether it was never decided yet who is to be told.
    pub(in crate::alerts) is_new: bool,
}

/// How far the telling of one alert at one channel has got.
#[derive(Debug, Clone, Default, PartialEq)]
pub(in crate::alerts) struct Told {
    /// What the receiver has said yes to.
    pub(in crate::alerts) heard: Heard,
    /// When that, or the last attempt, was.
    pub(in crate::alerts) at: Stamp,
    /// When it was last told that the alert fires.
    pub(in crate::alerts) raised: Option<Stamp>,
    /// The first alert of the message by which it was first told.
    pub(in crate::alerts) thread: Option<u64>,
    /// Attempts at the word that is tried, or was last.
    pub(in crate::alerts) attempts: u32,
    /// What is tried again.
    pub(in crate::alerts) trying: Option<Trying>,
    /// What was given up.
    pub(in crate::alerts) failed: Option<Word>,
    /// Of the last attempt; empty: it went well.
    pub(in crate::alerts) last_error: String,
}

/// What is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::alerts) struct Trying {
    /// What is told.
    pub(in crate::alerts) word: Word,
    /// When it was tried first.
    pub(in crate::alerts) since: Stamp,
    /// When it may be tried next.
    pub(in crate::alerts) next: Stamp,
}

/// How a channel is.
#[derive(Debug, Clone, Default, PartialEq)]
pub(in crate::alerts) struct ChannelState {
    /// When a delivery last went well.
    pub(in crate::alerts) delivered: Option<Stamp>,
    /// Of the last attempt; empty: it went well.
    pub(in crate::alerts) last_error: String,
    /// Since when none has.
    pub(in crate::alerts) failing_since: Option<Stamp>,
    /// When a message of a kind last went out by a route.
    pub(in crate::alerts) groups: BTreeMap<(AlertKind, u32), Stamp>,
    /// Until when it is left alone. Not kept: another replica may try at once.
    pub(in crate::alerts) rests_until: Option<Stamp>,
}

impl Told {
    /// Whether the receiver is not to be told that the alert fires, for it would not listen.
    pub(super) fn gave_up_first(&self) -> bool {
        self.failed.is_some_and(Word::is_first)
    }

    fn is_settled(&self) -> bool {
        self.heard == Heard::Resolved || self.gave_up_first() || self.failed == Some(Word::Resolve)
    }
}

impl Case {
    fn new(alert: Alert) -> Self {
        Self { alert, told: BTreeMap::new(), missing: None, is_new: true }
    }

    /// Whether nothing is to be told of it any more.
    fn is_settled(&self) -> bool {
        is_over(&self.alert) && self.told.values().all(Told::is_settled)
    }
}

impl State {
    /// What was kept, or nothing.
    pub(in crate::alerts) fn new(
        cases: BTreeMap<u64, Case>,
        channels: BTreeMap<Arc<str>, ChannelState>,
    ) -> Self {
        Self { cases, channels, changed: BTreeSet::new() }
    }

    /// What has changed since this was last asked.
    pub(in crate::alerts) fn take_changed(&mut self) -> BTreeSet<Name> {
        std::mem::take(&mut self.changed)
    }

    /// What could not be kept is to be kept again; so is all, if it was lost.
    pub(in crate::alerts) fn keep_again(&mut self, names: impl IntoIterator<Item = Name>) {
        self.changed.extend(names);
    }

    /// The names of all that is known.
    pub(in crate::alerts) fn names(&self) -> Vec<Name> {
        let channels = self.channels.keys().map(|name| Name::Channel(name.to_string()));
        self.cases.keys().copied().map(Name::Alert).chain(channels).collect()
    }

    /// Takes in what was told of an alert: that it was raised, acknowledged or resolved. May be told again.
    pub(in crate::alerts) fn hear(&mut self, alert: &Alert) {
        match self.cases.get_mut(&alert.id) {
            Some(case) => {
                let known = &mut case.alert;
                // What is told again, and late, takes nothing back.
                let acknowledged = alert.acknowledged.clone().or_else(|| known.acknowledged.take());
                let resolved = alert.resolved.or(known.resolved);
                *known = Alert { acknowledged, resolved, ..alert.clone() };
                case.missing = None;
            }
            // It was told long ago, and is forgotten; or it was over before anybody delivered anything.
            None if is_over(alert) => return,
            None => drop(self.cases.insert(alert.id, Case::new(alert.clone()))),
        }
        self.changed.insert(Name::Alert(alert.id));
    }

    /// Holds what is known against all that fires; `cursor` is the event up to which all was heard before that was
    /// asked.
    pub(in crate::alerts) fn compare(&mut self, firing: &[Alert], cursor: u64, now: Stamp) {
        let missed = |alert: &&Alert| alert.id <= cursor;
        for alert in firing.iter().filter(missed) {
            if self.cases.get(&alert.id).is_none_or(|case| case.missing.is_some()) {
                self.hear(alert);
            }
        }
        let ids: BTreeSet<_> = firing.iter().map(|alert| alert.id).collect();
        for (id, case) in &mut self.cases {
            if is_over(&case.alert) || ids.contains(id) {
                continue;
            }
            match case.missing {
                None => case.missing = Some(now),
                Some(since) if now.since(since) >= MISSING_FOR => case.alert.resolved = Some(now),
                Some(_) => continue,
            }
            self.changed.insert(Name::Alert(*id));
        }
    }

    /// Decides who is to be told of what, forgets channels that are gone, and what is too much. How many alerts were
    /// forgotten before all was told.
    pub(in crate::alerts) fn settle(&mut self, settings: &Settings, silences: &[Silence], now: Stamp) -> usize {
        for (id, case) in &mut self.cases {
            if case.address(settings, silences, now) {
                self.changed.insert(Name::Alert(*id));
            }
        }
        let gone: Vec<_> =
            self.channels.keys().filter(|name| settings.channel(name).is_none()).cloned().collect();
        for name in gone {
            self.channels.remove(&name);
            self.changed.insert(Name::Channel(name.to_string()));
        }
        self.forget()
    }

    fn forget(&mut self) -> usize {
        let settled: Vec<_> = self.cases.iter().filter(|(_, case)| case.is_settled()).map(|(id, _)| *id).collect();
        let old = settled.len().saturating_sub(MOST_SETTLED);
        self.drop_cases(&settled[..old]);
        let too_many = self.cases.len().saturating_sub(MOST_CASES);
        if too_many == 0 {
            return 0;
        }
        let mut ids: Vec<_> = self.cases.iter().map(|(id, case)| (!is_over(&case.alert), *id)).collect();
        ids.sort_unstable();
        let ids: Vec<_> = ids.into_iter().take(too_many).map(|(_, id)| id).collect();
        let untold = ids.iter().filter(|id| self.cases.get(id).is_some_and(|case| !case.is_settled())).count();
        self.drop_cases(&ids);
        untold
    }

    fn drop_cases(&mut self, ids: &[u64]) {
        for id in ids {
            self.cases.remove(id);
            self.changed.insert(Name::Alert(*id));
        }
    }

    pub(super) fn touch(&mut self, name: Name) {
        self.changed.insert(name);
    }
}

impl Case {
    /// Writes down which channels are to be told. Whether that has changed.
    fn address(&mut self, settings: &Settings, silences: &[Silence], now: Stamp) -> bool {
        let Self { alert, told, is_new, .. } = self;
        let is_new = std::mem::take(is_new);
        let key = &alert.condition.key;
        let over = is_over(alert);
        // What came and went under a silence is not told when that ends.
        let unheard = over && silenced_by(key, silences, now).is_some();
        let before = told.len();
        told.retain(|name, told| {
            let knows = told.heard > Heard::Nothing;
            settings.channel(name).is_some() && (knows || settings.route(key, name).is_some() && !unheard)
        });
        let mut changed = is_new || told.len() != before;
        // A channel that is added later hears of what fires still.
        if !over || is_new && !unheard {
            for name in settings.channels.iter().map(|channel| &channel.name) {
                if settings.route(key, name).is_some() && !told.contains_key(name) {
                    told.insert(Arc::clone(name), Told { at: now, ..Told::default() });
                    changed = true;
                }
            }
        }
        changed
    }
}
