//! What operators have set for a fleet: one document, changed as a whole, and what of it is in force at a time.
//!
//! Leaves out who may change it, and how it travels.

use std::collections::BTreeMap;

use super::Stamp;
use crate::{breaker::Mode, degradation::Level};

/// Providers, and sidecars, of which something may be set at a time.
const MOST_NAMES: usize = 1_024;
/// Of a name, in bytes.
const MOST_NAME_BYTES: usize = 256;
/// Of a reason, or of who gave it, in bytes: what is longer is cut.
const MOST_WORD_BYTES: usize = 1_024;

/// All that is set. Every change gives a later version; two documents of one version are the same.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Settings {
    /// 0: nothing was ever set. Each is later than the last, and no earlier than the shared time in milliseconds: so a
    /// change that a store lost as it failed over is never followed by another of the same number.
    pub version: u64,
    /// By the provider's name.
    pub providers: BTreeMap<String, OfProvider>,
    /// For every sidecar.
    pub level: Option<Said<Level>>,
    /// By the sidecar's id; before the fleet's.
    pub sidecar_levels: BTreeMap<String, Said<Level>>,
    /// Where the request that made this version is told of, in the words of W3C's `traceparent`; `None`: nobody traced it.
    pub trace: Option<String>,
}

/// What is set of one provider.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OfProvider {
    /// Whether calls go there.
    pub enabled: Option<Said<bool>>,
    /// Its rank: the lower is asked first.
    pub priority: Option<Said<u32>>,
    /// What its breaker is forced to; never [`Mode::Auto`], which is not to force it.
    pub breaker: Option<Said<Mode>>,
}

/// A value, and whose word it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said<T> {
    /// What was set.
    pub value: T,
    /// By whom.
    pub word: Word,
}

/// Who said so, when, why, and until when it holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Word {
    /// Who.
    pub by: String,
    /// Why.
    pub reason: String,
    /// When.
    pub at: Stamp,
    /// When it ends by itself; `None`: it does not.
    pub expires: Option<Stamp>,
}

/// What is in force for one provider; what is `None` is as each sidecar's configuration says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct InForce<'a> {
    /// Whether calls go there.
    pub enabled: Option<&'a Said<bool>>,
    /// Its rank: the lower is asked first.
    pub priority: Option<&'a Said<u32>>,
    /// What its breaker is forced to.
    pub breaker: Option<&'a Said<Mode>>,
}

/// One thing to be set, or with `None` to be unset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Whether calls go to a provider.
    Enabled(String, Option<bool>),
    /// A provider's rank.
    Priority(String, Option<u32>),
    /// What a provider's breaker is forced to; [`Mode::Auto`] unsets it.
    Breaker(String, Option<Mode>),
    /// The level of every sidecar.
    Level(Option<Level>),
    /// The level of the sidecar with this id.
    SidecarLevel(String, Option<Level>),
}

/// Why a change is not made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// As much is set as a document holds: something must be unset first.
    Full,
    /// The name is empty, or longer than any provider's or sidecar's.
    BadName,
}

impl Settings {
    /// What is in force for `provider` at `now`.
    #[must_use]
    pub fn provider(&self, provider: &str, now: Stamp) -> InForce<'_> {
        let Some(set) = self.providers.get(provider) else { return InForce::default() };
        InForce {
            enabled: in_force(set.enabled.as_ref(), now),
            priority: in_force(set.priority.as_ref(), now),
            breaker: in_force(set.breaker.as_ref(), now),
        }
    }

    /// The level at which `sidecar` must work at `now`; `None`: its own load decides.
    #[must_use]
    pub fn level(&self, sidecar: &str, now: Stamp) -> Option<&Said<Level>> {
        in_force(self.sidecar_levels.get(sidecar), now).or_else(|| in_force(self.level.as_ref(), now))
    }

    /// When something that is in force at `now` next ends by itself, and what is in force must be looked up again.
    #[must_use]
    pub fn next_expiry(&self, now: Stamp) -> Option<Stamp> {
        let of_providers = self.providers.values().flat_map(OfProvider::expiries);
        let of_levels = self.level.iter().chain(self.sidecar_levels.values()).map(|said| said.word.expires);
        of_providers.chain(of_levels).flatten().filter(|at| *at > now).min()
    }

    /// The document that follows when `word` makes `change` at `now`. What had expired is left out of it.
    ///
    /// # Errors
    /// There is no room for it, or its name is no name.
    pub fn changed(&self, change: Change, mut word: Word, now: Stamp) -> Result<Self, Refusal> {
        cut(&mut word.by);
        cut(&mut word.reason);
        let mut next = self.clone();
        next.drop_expired(now);
        match change {
            Change::Enabled(name, value) => next.of_provider(name)?.enabled = said(value, word),
            Change::Priority(name, value) => next.of_provider(name)?.priority = said(value, word),
            Change::Breaker(name, value) => {
                next.of_provider(name)?.breaker = said(value.filter(|mode| *mode != Mode::Auto), word);
            }
            Change::Level(value) => next.level = said(value, word),
            Change::SidecarLevel(id, None) => drop(next.sidecar_levels.remove(&id)),
            Change::SidecarLevel(id, Some(value)) => {
                has_room(&next.sidecar_levels, &id)?;
                next.sidecar_levels.insert(id, Said { value, word });
            }
        }
        next.providers.retain(|_, set| *set != OfProvider::default());
        next.trace = None;
        next.version = self.version.saturating_add(1).max(now.as_millis());
        Ok(next)
    }

    fn of_provider(&mut self, name: String) -> Result<&mut OfProvider, Refusal> {
        has_room(&self.providers, &name)?;
        Ok(self.providers.entry(name).or_default())
    }

    fn drop_expired(&mut self, now: Stamp) {
        for set in self.providers.values_mut() {
            set.enabled.take_if(|said| !said.word.holds(now));
            set.priority.take_if(|said| !said.word.holds(now));
            set.breaker.take_if(|said| !said.word.holds(now));
        }
        self.providers.retain(|_, set| *set != OfProvider::default());
        self.level.take_if(|said| !said.word.holds(now));
        self.sidecar_levels.retain(|_, said| said.word.holds(now));
    }
}

impl OfProvider {
    fn expiries(&self) -> [Option<Stamp>; 3] {
        let of = |word: Option<&Word>| word.and_then(|word| word.expires);
        [
            of(self.enabled.as_ref().map(|said| &said.word)),
            of(self.priority.as_ref().map(|said| &said.word)),
            of(self.breaker.as_ref().map(|said| &said.word)),
        ]
    }
}

impl Word {
    /// Whether it still holds at `now`.
    #[must_use]
    pub fn holds(&self, now: Stamp) -> bool {
        self.expires.is_none_or(|expires| now < expires)
    }
}

fn in_force<T>(said: Option<&Said<T>>, now: Stamp) -> Option<&Said<T>> {
    said.filter(|said| said.word.holds(now))
}

fn said<T>(value: Option<T>, word: Word) -> Option<Said<T>> {
    value.map(|value| Said { value, word })
}

fn has_room<T>(names: &BTreeMap<String, T>, name: &str) -> Result<(), Refusal> {
    if name.is_empty() || name.len() > MOST_NAME_BYTES {
        return Err(Refusal::BadName);
    }
    if names.len() >= MOST_NAMES && !names.contains_key(name) { Err(Refusal::Full) } else { Ok(()) }
}

fn cut(text: &mut String) {
    text.truncate(text.floor_char_boundary(MOST_WORD_BYTES));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(millis: u64) -> Stamp {
        Stamp::from_millis(millis)
    }

    fn word(expires: Option<u64>) -> Word {
        Word { by: "ada".into(), reason: "a drill".into(), at: at(1), expires: expires.map(at) }
    }

    #[test]
    fn what_is_set_is_in_force_until_it_expires_with_the_word_of_whoever_set_it() {
        let set =
            Settings::default().changed(Change::Enabled("a".into(), Some(false)), word(Some(50)), at(10)).unwrap();
        let set = set.changed(Change::Priority("a".into(), Some(7)), word(None), at(10)).unwrap();
        assert_eq!(set.provider("a", at(49)).enabled, Some(&Said { value: false, word: word(Some(50)) }));
        assert_eq!(set.provider("a", at(50)).enabled, None);
        assert_eq!(set.provider("a", at(50)).priority.map(|said| said.value), Some(7));
        assert_eq!(set.provider("b", at(10)), InForce::default());
        assert_eq!((set.next_expiry(at(49)), set.next_expiry(at(50))), (Some(at(50)), None));
    }

    #[test]
    fn a_sidecars_own_level_goes_before_the_fleets_and_when_it_expires_the_fleets_holds() {
        let set = Settings::default().changed(Change::Level(Some(Level::Reduced)), word(None), at(10)).unwrap();
        let own = Change::SidecarLevel("s1".into(), Some(Level::Full));
        let set = set.changed(own, word(Some(30)), at(10)).unwrap();
        let level = |sidecar, now| set.level(sidecar, at(now)).map(|said| said.value);
        assert_eq!((level("s1", 29), level("s1", 30)), (Some(Level::Full), Some(Level::Reduced)));
        assert_eq!(level("s2", 10), Some(Level::Reduced));
        let unset = set.changed(Change::Level(None), word(None), at(31)).unwrap();
        assert_eq!((unset.level("s2", at(31)), unset.sidecar_levels.len()), (None, 0));
    }

    #[test]
    fn a_breaker_handed_back_is_not_forced_and_leaves_no_trace() {
        let name = || "a".to_owned();
        let forced = Change::Breaker(name(), Some(Mode::ForcedOpen));
        let set = Settings::default().changed(forced, word(None), at(1)).unwrap();
        assert_eq!(set.provider("a", at(2)).breaker.map(|said| said.value), Some(Mode::ForcedOpen));
        for mode in [None, Some(Mode::Auto)] {
            let back = set.changed(Change::Breaker(name(), mode), word(None), at(2)).unwrap();
            assert!(back.providers.is_empty() && back.version == 2);
        }
    }

    #[test]
    fn a_document_holds_no_more_names_than_it_may_and_no_endless_words() {
        let mut set = Settings::default();
        for index in 0..MOST_NAMES {
            set.sidecar_levels.insert(index.to_string(), Said { value: Level::Full, word: word(None) });
        }
        let change = |id: &str| Change::SidecarLevel(id.into(), Some(Level::Minimal));
        assert_eq!(set.changed(change("new"), word(None), at(1)), Err(Refusal::Full));
        assert_eq!(set.changed(change(""), word(None), at(1)), Err(Refusal::BadName));
        assert_eq!(set.changed(Change::Enabled("x".repeat(257), None), word(None), at(1)), Err(Refusal::BadName));
        let long = Word { reason: "é".repeat(1_000), ..word(None) };
        let known = set.changed(change("7"), long, at(1)).unwrap();
        assert_eq!(known.sidecar_levels["7"].word.reason, "é".repeat(512));
    }

    fn any_change() -> impl Strategy<Value = Change> {
        let name = || (0..3_u8).prop_map(|number| number.to_string());
        let mode = prop_oneof![Just(Mode::Auto), Just(Mode::ForcedOpen), Just(Mode::ForcedClosed)];
        let level = || prop::option::of((0..3_usize).prop_map(|at| Level::ALL[at]));
        prop_oneof![
            (name(), prop::option::of(any::<bool>())).prop_map(|(name, value)| Change::Enabled(name, value)),
            (name(), prop::option::of(0..9_u32)).prop_map(|(name, value)| Change::Priority(name, value)),
            (name(), prop::option::of(mode)).prop_map(|(name, value)| Change::Breaker(name, value)),
            level().prop_map(Change::Level),
            (name(), level()).prop_map(|(name, value)| Change::SidecarLevel(name, value)),
        ]
    }

    proptest! {
        #[test]
        fn versions_only_grow_and_nothing_changes_of_itself_before_the_next_expiry(
            steps in prop::collection::vec((any_change(), prop::option::of(1..100_u64), 0..20_u64), 1..40),
        ) {
            let (mut set, mut now) = (Settings::default(), 0);
            for (change, lasts, later) in steps {
                now += later;
                let next = set.changed(change, word(lasts.map(|lasts| now + lasts)), at(now)).unwrap();
                prop_assert!(next.version > set.version && next.version >= now);
                set = next;
                let all = |now| {
                    let names = ["0", "1", "2"];
                    (names.map(|name| set.provider(name, at(now))), names.map(|name| set.level(name, at(now))))
                };
                match set.next_expiry(at(now)) {
                    Some(expiry) => prop_assert_eq!(all(now), all(expiry.as_millis() - 1)),
                    None => prop_assert_eq!(all(now), all(u64::MAX)),
                }
            }
        }

        #[test]
        fn a_change_touches_nothing_else(
            before in prop::collection::vec(any_change(), 0..10), change in any_change(),
        ) {
            let set = before.into_iter().fold(Settings::default(), |set, change| {
                set.changed(change, word(None), at(1)).unwrap()
            });
            let mut next = set.changed(change.clone(), word(None), at(2)).unwrap();
            // Put back what it touched, and all is as it was.
            match &change {
                Change::Enabled(name, _) | Change::Priority(name, _) | Change::Breaker(name, _) => {
                    let before = set.providers.get(name).cloned().unwrap_or_default();
                    let after = next.providers.remove(name).unwrap_or_default();
                    prop_assert!(matches!(change, Change::Enabled(..)) || after.enabled == before.enabled);
                    prop_assert!(matches!(change, Change::Priority(..)) || after.priority == before.priority);
                    prop_assert!(matches!(change, Change::Breaker(..)) || after.breaker == before.breaker);
                    if before != OfProvider::default() {
                        next.providers.insert(name.clone(), before);
                    }
                }
                Change::Level(_) => next.level = set.level.clone(),
                Change::SidecarLevel(id, _) => {
                    next.sidecar_levels.remove(id);
                    next.sidecar_levels.extend(set.sidecar_levels.get(id).map(|said| (id.clone(), said.clone())));
                }
            }
            next.version = set.version;
            prop_assert_eq!(next, set);
        }
    }
}
