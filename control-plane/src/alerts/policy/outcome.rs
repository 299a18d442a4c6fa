//! What follows of what a receiver said to a message.

use std::{sync::Arc, time::Duration};

use fusebox_rules::fleet::Stamp;
use fusebox_store::delivery::Name;

use super::{GIVE_UP_AFTER, Message, State, Told, Trying, Word};

/// The wait after a first failure.
const SHORTEST_WAIT: Duration = Duration::from_secs(1);
/// The longest wait, unless the receiver asks for more.
const LONGEST_WAIT: Duration = Duration::from_mins(5);
/// The longest wait that a receiver may ask for.
const LONGEST_ASKED: Duration = Duration::from_hours(1);
/// The longest that a failure keeps other messages from the same channel: it may be one that fails alone.
const LONGEST_REST: Duration = Duration::from_secs(30);
/// Of what a receiver said, in bytes.
const MOST_WORDS: usize = 256;

/// What a receiver said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::alerts) enum Outcome {
    /// Yes.
    Delivered,
    /// Not now, or nothing: it may be asked again.
    Later {
        /// For people.
        why: String,
        /// How long it wants to be left alone.
        after: Option<Duration>,
    },
    /// No: asking again changes nothing.
    Refused {
        /// For people.
        why: String,
    },
}

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::alerts) enum Became {
    /// The receiver knows.
    Delivered,
    /// It is tried again.
    TriedAgain,
    /// It was given up.
    Failed,
}

impl State {
    /// Takes in what the receiver of `message` said. `dice` is uniform, from 0 to 1.
    pub(in crate::alerts) fn answered(
        &mut self,
        message: &Message,
        outcome: &Outcome,
        now: Stamp,
        dice: f64,
    ) -> Became {
        let mut became = if *outcome == Outcome::Delivered { Became::Delivered } else { Became::TriedAgain };
        let thread = message.items.first().map(|item| item.alert.id);
        let mut rest = None;
        for item in &message.items {
            // It may have been forgotten, or its channel may be gone.
            let Some(case) = self.cases.get_mut(&item.alert.id) else { continue };
            let Some(told) = case.told.get_mut(&message.channel) else { continue };
            match outcome {
                Outcome::Delivered => told.said_yes(message.word, item.thread.or(thread), now),
                Outcome::Later { why, after } => match told.said_later(message.word, why, now, wait(*after, dice)) {
                    Some(wait) => rest = rest.max(Some(after.map_or(wait.min(LONGEST_REST), |_| wait))),
                    None => became = Became::Failed,
                },
                Outcome::Refused { why } => {
                    told.gave_up(message.word, why, now);
                    became = Became::Failed;
                }
            }
            self.touch(Name::Alert(item.alert.id));
        }
        self.note(message, outcome, now, rest);
        became
    }

    fn note(&mut self, message: &Message, outcome: &Outcome, now: Stamp, rest: Option<Duration>) {
        let channel = self.channels.entry(Arc::clone(&message.channel)).or_default();
        match outcome {
            Outcome::Delivered => {
                channel.delivered = Some(now);
                channel.last_error.clear();
                (channel.failing_since, channel.rests_until) = (None, None);
                if message.word.is_first() || message.word == Word::Resolve {
                    channel.groups.insert((message.kind, message.route), now);
                }
            }
            Outcome::Later { why, .. } | Outcome::Refused { why } => {
                clip(why).clone_into(&mut channel.last_error);
                channel.failing_since.get_or_insert(now);
                channel.rests_until = rest.map(|rest| now + rest);
            }
        }
        self.touch(Name::Channel(message.channel.to_string()));
    }
}

impl Told {
    fn said_yes(&mut self, word: Word, thread: Option<u64>, now: Stamp) {
        self.attempt(word, now);
        self.heard = self.heard.max(word.heard());
        if matches!(word, Word::Raise | Word::Repeat | Word::Passed) {
            self.raised = Some(now);
        }
        self.thread = self.thread.or(thread);
        (self.trying, self.failed) = (None, None);
        self.last_error.clear();
    }

    /// How long until it is tried again; `None`: it was tried for long enough.
    fn said_later(
        &mut self,
        word: Word,
        why: &str,
        now: Stamp,
        wait: impl Fn(u32) -> Duration,
    ) -> Option<Duration> {
        let since = self.attempt(word, now);
        if now.since(since) >= GIVE_UP_AFTER {
            self.give_up(word, why);
            return None;
        }
        let wait = wait(self.attempts);
        self.trying = Some(Trying { word, since, next: now + wait });
        self.failed = None;
        clip(why).clone_into(&mut self.last_error);
        Some(wait)
    }

    fn gave_up(&mut self, word: Word, why: &str, now: Stamp) {
        self.attempt(word, now);
        self.give_up(word, why);
    }

    fn give_up(&mut self, word: Word, why: &str) {
        (self.trying, self.failed) = (None, Some(word));
        clip(why).clone_into(&mut self.last_error);
    }

    /// Counts an attempt; since when the same is tried.
    fn attempt(&mut self, word: Word, now: Stamp) -> Stamp {
        let since = self.trying.filter(|trying| trying.word == word).map(|trying| trying.since);
        self.attempts = if since.is_some() { self.attempts.saturating_add(1) } else { 1 };
        self.at = now;
        since.unwrap_or(now)
    }
}

/// How long to wait after so many attempts: longer each time, and never twice the same.
fn wait(asked: Option<Duration>, dice: f64) -> impl Fn(u32) -> Duration {
    move |attempts| {
        let whole = SHORTEST_WAIT.saturating_mul(1 << attempts.saturating_sub(1).min(16)).min(LONGEST_WAIT);
        let wait = whole.mul_f64(0.5 + 0.5 * dice.clamp(0.0, 1.0));
        wait.max(asked.unwrap_or_default().min(LONGEST_ASKED))
    }
}

fn clip(why: &str) -> &str {
    &why[..why.floor_char_boundary(MOST_WORDS)]
}
