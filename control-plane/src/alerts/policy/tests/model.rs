//! A fleet in which everything happens: alerts come, are acknowledged and go, silences are set, receivers fail, replicas
//! follow one another, days pass. Whatever the order, what a receiver has said yes to keeps the promises.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use fusebox_rules::fleet::{Alert, Stamp};
use proptest::{prelude::*, test_runner::TestCaseError};

use super::{Fleet, breaker, ids, later, pagerduty, slack};
use crate::alerts::{
    kept::{decode_case, decode_channel, encode_case, encode_channel},
    policy::{Case, ChannelState, Heard, Message, Outcome, State, Word, silenced_by},
    settings::Route,
};

const REPEAT: Duration = Duration::from_mins(10);

#[derive(Debug, Clone)]
enum Step {
    Raise(u8),
    Acknowledge(u8),
    Resolve(u8),
    Silence {
        provider: u8,
        seconds: u64,
    },
    Pass(u64),
    /// Another replica goes on with what was kept.
    Follow,
}

/// How receivers answer, one after the other.
#[derive(Debug, Clone, Copy)]
enum Answer {
    Yes,
    Later,
    Busy,
    No,
}

fn any_step() -> impl Strategy<Value = Step> {
    let provider = || 0_u8..4;
    prop_oneof![
        4 => provider().prop_map(Step::Raise),
        1 => provider().prop_map(Step::Acknowledge),
        3 => provider().prop_map(Step::Resolve),
        1 => (provider(), 1_u64..900).prop_map(|(provider, seconds)| Step::Silence { provider, seconds }),
        6 => prop_oneof![Just(1_u64), Just(4), Just(11), Just(61), Just(599), Just(4_000)].prop_map(Step::Pass),
        1 => Just(Step::Follow),
    ]
}

fn any_answer() -> impl Strategy<Value = Answer> {
    prop_oneof![6 => Just(Answer::Yes), 2 => Just(Answer::Later), 1 => Just(Answer::Busy), 1 => Just(Answer::No)]
}

/// What one receiver has said yes to, of one alert.
#[derive(Debug, Default)]
struct Log {
    words: Vec<(Word, Stamp)>,
    refused: bool,
}

struct World {
    fleet: Fleet,
    last: u64,
    /// By the provider's number: what fires.
    firing: BTreeMap<u8, Alert>,
    /// Alerts that were over under a silence.
    hushed: Vec<u64>,
    all: BTreeMap<u64, Alert>,
    logs: BTreeMap<(String, u64), Log>,
}

impl World {
    fn new() -> Self {
        let mut fleet = Fleet::new(vec![slack("chat"), pagerduty("oncall")]);
        fleet.settings.routes = vec![Route { repeat_every: REPEAT, ..Route::default() }];
        let (firing, hushed) = (BTreeMap::new(), Vec::new());
        Self { fleet, last: 0, firing, hushed, all: BTreeMap::new(), logs: BTreeMap::new() }
    }

    fn take(&mut self, step: &Step) {
        let now = self.fleet.now;
        match step {
            Step::Raise(provider) if !self.firing.contains_key(provider) => {
                self.last += 1;
                self.tell(*provider, breaker(self.last, &provider.to_string(), now));
            }
            Step::Acknowledge(provider) => {
                if let Some(alert) = self.firing.get(provider).cloned() {
                    self.tell(*provider, Alert { acknowledged: Some((now, "ada".into())), ..alert });
                }
            }
            Step::Resolve(provider) => {
                if let Some(alert) = self.firing.get(provider).cloned() {
                    if silenced_by(&alert.condition.key, &self.fleet.silences, now).is_some() {
                        self.hushed.push(alert.id);
                    }
                    self.tell(*provider, Alert { resolved: Some(now), ..alert });
                    self.firing.remove(provider);
                }
            }
            Step::Silence { provider, seconds } => {
                self.fleet.silence(&provider.to_string(), *seconds);
                // What was over, and not told yet, is not told any more.
                let key = breaker(0, &provider.to_string(), now).condition.key;
                let over = self.all.values().filter(|alert| alert.resolved.is_some() && alert.condition.key == key);
                self.hushed.extend(over.map(|alert| alert.id));
            }
            Step::Pass(seconds) => self.fleet.pass(*seconds),
            Step::Follow => self.fleet.state = kept(&self.fleet.state),
            Step::Raise(_) => {}
        }
    }

    fn tell(&mut self, provider: u8, alert: Alert) {
        self.fleet.hear(&alert);
        self.all.insert(alert.id, alert.clone());
        self.firing.insert(provider, alert);
    }

    /// All that is due is sent, each channel's first message first, until nothing is.
    fn send(&mut self, answers: &mut impl Iterator<Item = Answer>) -> Result<(), TestCaseError> {
        for _ in 0..1_000 {
            let Some(message) = self.fleet.due().into_iter().next() else { return Ok(()) };
            let answer = answers.next().unwrap_or(Answer::Yes);
            self.check(&message)?;
            for id in ids(&message) {
                let log = self.logs.entry((message.channel.to_string(), id)).or_default();
                match answer {
                    Answer::Yes => log.words.push((message.word, self.fleet.now)),
                    Answer::No => log.refused = true,
                    Answer::Later | Answer::Busy => {}
                }
            }
            let outcome = match answer {
                Answer::Yes => Outcome::Delivered,
                Answer::Later => later("503"),
                Answer::Busy => Outcome::Later { why: "429".into(), after: Some(Duration::from_secs(90)) },
                Answer::No => Outcome::Refused { why: "400".into() },
            };
            self.fleet.state.answered(&message, &outcome, self.fleet.now, 0.3);
        }
        Err(TestCaseError::fail("there is no end of what is due"))
    }

    /// What may be said at all.
    fn check(&self, message: &Message) -> Result<(), TestCaseError> {
        for item in &message.items {
            let alert = &self.all[&item.alert.id];
            prop_assert_eq!(&item.alert, alert);
            prop_assert!(silenced_by(&alert.condition.key, &self.fleet.silences, self.fleet.now).is_none());
            let log = self.logs.get(&(message.channel.to_string(), alert.id));
            let words = log.map(|log| &*log.words).unwrap_or_default();
            let heard = |word| words.iter().any(|(heard, _)| *heard == word);
            prop_assert!(!heard(Word::Resolve) && !heard(Word::Passed), "{message:?} after the end");
            match message.word {
                Word::Raise => prop_assert!(!heard(Word::Raise)),
                Word::Repeat => {
                    let last = words.iter().rfind(|(word, _)| *word != Word::Acknowledge);
                    let (_, last) = last.expect("it was told before");
                    prop_assert!(self.fleet.now.since(*last) >= REPEAT, "{message:?} too soon");
                    prop_assert!(alert.acknowledged.is_none() && alert.resolved.is_none());
                }
                Word::Acknowledge => prop_assert!(heard(Word::Raise) && alert.acknowledged.is_some()),
                Word::Resolve => prop_assert!(heard(Word::Raise) && alert.resolved.is_some()),
                Word::Passed => prop_assert!(!heard(Word::Raise) && alert.resolved.is_some()),
            }
        }
        Ok(())
    }

    /// All silences end and all receivers say yes: then each knows what it was promised.
    fn end(&mut self) -> Result<(), TestCaseError> {
        for _ in 0..8 {
            self.fleet.pass(1_000);
            self.send(&mut std::iter::empty())?;
        }
        for (id, alert) in &self.all {
            for channel in ["chat", "oncall"] {
                let log = self.logs.get(&(channel.to_owned(), *id));
                let words = log.map(|log| &*log.words).unwrap_or_default();
                let refused = log.is_some_and(|log| log.refused);
                let told = words.iter().any(|(word, _)| word.is_first());
                let fires = alert.resolved.is_none();
                let owed = !refused && !self.hushed.contains(id) || fires && alert.acknowledged.is_none();
                prop_assert!(told || !owed, "{channel} never heard of {alert:?}: {words:?}");
                let over = words.iter().any(|(word, _)| word.heard() == Heard::Resolved);
                prop_assert!(!told || fires || over || refused, "{channel} never heard the end of {alert:?}");
                prop_assert!(over <= !fires);
            }
        }
        Ok(())
    }
}

fn kept(state: &State) -> State {
    let case = |(id, case): (&u64, &Case)| Some((*id, decode_case(*id, &encode_case(case)).ok()??));
    let channel = |(name, channel): (&Arc<str>, &ChannelState)| {
        Some((name.clone(), decode_channel(&encode_channel(channel)).ok()?))
    };
    State::new(state.cases.iter().filter_map(case).collect(), state.channels.iter().filter_map(channel).collect())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_each_receiver_hears_what_it_was_promised_and_nothing_else(
        steps in prop::collection::vec(any_step(), 1..80),
        answers in prop::collection::vec(any_answer(), 0..80),
    ) {
        let mut world = World::new();
        let mut answers = answers.into_iter();
        for step in &steps {
            world.take(step);
            world.send(&mut answers)?;
        }
        world.end()?;
    }
}
