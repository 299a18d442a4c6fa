//! What is to be said now: each word at its time, and what may go out together as one message.

use std::{collections::BTreeMap, sync::Arc};

use fusebox_rules::fleet::{Alert, AlertKind, Stamp};

use super::{Case, Heard, MOST_IN_MESSAGE, Silence, State, Told, Word, silenced_by};
use crate::alerts::settings::{ChannelKind, Route, Settings};

/// What one channel is told at once: one word of alerts of one kind.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::alerts) struct Message {
    /// The channel's name.
    pub(in crate::alerts) channel: Arc<str>,
    /// The route's place.
    pub(in crate::alerts) route: u32,
    /// What all its alerts are about.
    pub(in crate::alerts) kind: AlertKind,
    /// What is told of each.
    pub(in crate::alerts) word: Word,
    /// By the alerts' ids; at least one.
    pub(in crate::alerts) items: Vec<Item>,
}

/// One alert of a message.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::alerts) struct Item {
    /// As it is now.
    pub(in crate::alerts) alert: Alert,
    /// The first alert of the message by which the channel was first told of it.
    pub(in crate::alerts) thread: Option<u64>,
    /// When the channel was last told that it fires.
    pub(in crate::alerts) raised: Option<Stamp>,
    /// Attempts that failed.
    attempts: u32,
}

#[cfg(test)]
impl Item {
    pub(in crate::alerts) const fn new(alert: Alert, thread: Option<u64>, raised: Option<Stamp>) -> Self {
        Self { alert, thread, raised, attempts: 0 }
    }
}

/// What goes out together.
type Together<'a> = (&'a Arc<str>, u32, AlertKind);

/// When a word may be said.
enum When {
    /// With the others of its group that were not told yet.
    First,
    /// Not before this, and not too soon after the group's last message.
    AfterLast(Stamp),
    /// At this time, whatever the group does.
    At(Stamp),
}

/// What is to be said of one alert at one channel, silences and time aside.
struct Open<'a> {
    together: Together<'a>,
    case: &'a Case,
    told: &'a Told,
    word: Word,
    when: When,
}

impl State {
    /// Every message that may be sent now, but for channels that rest: for each channel those first that failed least
    /// often, and then the oldest.
    pub(in crate::alerts) fn due(&self, settings: &Settings, silences: &[Silence], now: Stamp) -> Vec<Message> {
        let open: Vec<_> = self.open(settings, silences, now).collect();
        let mut firsts: BTreeMap<Together<'_>, Stamp> = BTreeMap::new();
        // What is tried again, or anew after it was given up, has a time of its own and hurries nobody.
        for one in open.iter().filter(|one| matches!(one.when, When::First) && one.told.trying.is_none()) {
            let raised = one.case.alert.raised;
            firsts.entry(one.together).and_modify(|first| *first = raised.min(*first)).or_insert(raised);
        }
        let mut messages: BTreeMap<(Together<'_>, Word), Vec<Item>> = BTreeMap::new();
        for one in open {
            if self.at(&one, &firsts, &settings.pace(one.together.1)) <= now {
                messages.entry((one.together, one.word)).or_default().push(one.item());
            }
        }
        let mut messages: Vec<_> =
            messages.into_iter().flat_map(|(of, items)| cut(settings, of, &items)).collect();
        messages.sort_by_key(Message::turn);
        messages
    }

    fn open<'a>(
        &'a self,
        settings: &'a Settings,
        silences: &'a [Silence],
        now: Stamp,
    ) -> impl Iterator<Item = Open<'a>> {
        let loud = move |case: &&Case| silenced_by(&case.alert.condition.key, silences, now).is_none();
        self.cases.values().filter(loud).flat_map(move |case| {
            case.told.iter().filter_map(move |(name, told)| {
                let rests = self.channels.get(name).and_then(|channel| channel.rests_until);
                if rests.is_some_and(|until| until > now) {
                    return None;
                }
                let key = &case.alert.condition.key;
                // Who was told of an alert hears the rest of it, even if the routes have changed since.
                let route = settings.route(key, name).or((told.heard > Heard::Nothing).then_some(u32::MAX))?;
                let (word, when) = next(&case.alert, told, &settings.channel(name)?.kind, &settings.pace(route))?;
                Some(Open { together: (name, route, key.kind), case, told, word, when })
            })
        })
    }

    /// When it may be said.
    fn at(&self, one: &Open<'_>, firsts: &BTreeMap<Together<'_>, Stamp>, pace: &Route) -> Stamp {
        let (name, route, kind) = one.together;
        let last = self.channels.get(name).and_then(|channel| channel.groups.get(&(kind, route)).copied());
        let free = last.map_or(Stamp::default(), |last| last + pace.group_interval);
        let again = one.told.trying.map(|trying| trying.next);
        match one.when {
            When::First => again.unwrap_or_else(|| {
                let first = firsts.get(&one.together).copied().unwrap_or(one.case.alert.raised);
                (first + pace.group_wait).max(free)
            }),
            When::AfterLast(at) => again.unwrap_or_else(|| at.max(free)),
            When::At(at) => again.unwrap_or(at),
        }
    }
}

/// What is to be said next of an alert, and when; `None`: nothing.
fn next(alert: &Alert, told: &Told, kind: &ChannelKind, pace: &Route) -> Option<(Word, When)> {
    let acknowledged = alert.acknowledged.as_ref().map(|(at, _)| *at);
    let repeat = |since: Stamp| (!pace.repeat_every.is_zero()).then(|| When::At(since + pace.repeat_every));
    match (told.heard, alert.resolved) {
        (Heard::Resolved, _) => None,
        (Heard::Nothing, Some(_)) if told.gave_up_first() => None,
        // Who keeps the state of each would pass over the end of what it has never heard of.
        (Heard::Nothing, Some(_)) => Some((if kind.takes_one_each() { Word::Raise } else { Word::Passed }, When::First)),
        (Heard::Nothing, None) if told.gave_up_first() && acknowledged.is_some() => None,
        (Heard::Nothing, None) if told.gave_up_first() => Some((Word::Raise, repeat(told.at)?)),
        (Heard::Nothing, None) => Some((Word::Raise, When::First)),
        (_, Some(_)) if told.failed == Some(Word::Resolve) => None,
        (_, Some(at)) if kind.takes_one_each() => Some((Word::Resolve, When::At(at))),
        (_, Some(at)) => Some((Word::Resolve, When::AfterLast(at))),
        (Heard::Acknowledged, None) => None,
        (Heard::Raised, None) => match acknowledged {
            Some(_) if !kind.hears_acknowledgements() || told.failed == Some(Word::Acknowledge) => None,
            Some(at) => Some((Word::Acknowledge, When::At(at))),
            None if told.failed == Some(Word::Repeat) => Some((Word::Repeat, repeat(told.at)?)),
            None => Some((Word::Repeat, repeat(told.raised.unwrap_or(told.at))?)),
        },
    }
}

impl Open<'_> {
    fn item(&self) -> Item {
        let Told { thread, raised, attempts, trying, .. } = *self.told;
        Item { alert: self.case.alert.clone(), thread, raised, attempts: trying.map_or(0, |_| attempts) }
    }
}

impl Message {
    /// Earlier ones are sent first.
    fn turn(&self) -> (u32, u64) {
        let attempts = self.items.iter().map(|item| item.attempts).min();
        (attempts.unwrap_or(0), self.items.first().map_or(0, |item| item.alert.id))
    }
}

/// As many messages as their channel takes them in.
fn cut(settings: &Settings, (together, word): (Together<'_>, Word), items: &[Item]) -> Vec<Message> {
    let (channel, route, kind) = together;
    let one_each = settings.channel(channel).is_some_and(|channel| channel.kind.takes_one_each());
    let most = if one_each { 1 } else { MOST_IN_MESSAGE };
    let message = |items: &[Item]| Message { channel: Arc::clone(channel), route, kind, word, items: items.to_vec() };
    items.chunks(most).map(message).collect()
}
