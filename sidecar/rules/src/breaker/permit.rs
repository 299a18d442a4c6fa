//! Who asks a breaker and what it answers: a call's leave to go to a provider, and what was heard of the call so far.

use std::time::Duration;

use crate::{
    error::{Blame, ErrorKind},
    moment::Moment,
};

/// Who asks to be admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asker {
    /// A caller's call.
    Caller,
    /// The sidecar's own small call. Under [`super::Probe::Active`] nobody else is admitted while half-open.
    Prober,
}

/// May this call go to the provider?
#[derive(Debug)]
pub enum Admission {
    /// It may, and must tell its news under this permit.
    Granted(Permit),
    /// It may not.
    Refused {
        /// Why not.
        why: Refusal,
        /// When asking again is first worth it.
        retry_after: Duration,
    },
}

/// Why a call was not admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// The breaker is open.
    Open,
    /// It is half-open, and every probe is out, or only the prober may ask.
    ProbesOut,
    /// It has just closed, and this call is not in the share that it lets through yet.
    Ramping,
    /// An operator has opened it.
    ForcedOpen,
}

/// A call's leave to go to a provider. Whoever holds it tells the breaker all news of the call under it, the last
/// being [`News::Succeeded`], [`News::Failed`], [`News::Slow`] or [`News::Unused`]; wrap it so that dropping it tells
/// the last of these. There is no second one for the same call, so it is neither `Copy` nor `Clone`.
#[derive(Debug, PartialEq, Eq)]
pub struct Permit {
    /// The breaker's generation when it was granted.
    pub generation: u64,
    /// When the call began.
    pub began: Moment,
    lease: Option<u64>,
    heard: Heard,
}

/// What a call's holder tells the breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum News {
    /// A stream's first token came. More news follows.
    FirstToken {
        /// How long it took since the call began.
        took: Duration,
    },
    /// The answer is complete.
    Succeeded,
    /// The call failed in a way that the provider is to blame for.
    Failed,
    /// The answer came too slowly: see [`super::Settings::is_slow`].
    Slow,
    /// Nothing can be said: cancelled, or failed in a way that the provider is not to blame for.
    Unused,
}

impl News {
    /// The last news of a call that failed as `kind`.
    #[must_use]
    pub const fn of(kind: ErrorKind) -> Self {
        match kind.row().blame {
            Blame::Breaker => Self::Failed,
            Blame::None | Blame::CoolDown | Blame::Key => Self::Unused,
        }
    }
}

/// What news means, given what was heard before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// Nothing new.
    Nothing,
    /// Its first token came in time: the call is good, for now.
    Started,
    /// It was answered, whole, without a word of its first token: the call is good.
    Answered,
    /// A call that was good for now stays good.
    Finished,
    /// Its first token came late or not at all: the call is bad.
    NotStarted,
    /// A call that was good for now is bad after all.
    Broke,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Heard {
    Nothing,
    TimelyToken,
    LateToken,
    Last,
}

impl Permit {
    /// A permit that nobody asked for, made while [`super::Breaker::admits_freely`] held in this `generation`. If the
    /// breaker has moved meanwhile, its news changes nothing.
    #[must_use]
    pub const fn free(generation: u64, began: Moment) -> Self {
        Self { generation, began, lease: None, heard: Heard::Nothing }
    }

    pub(super) const fn probe(generation: u64, began: Moment, lease: u64) -> Self {
        Self { generation, began, lease: Some(lease), heard: Heard::Nothing }
    }

    /// Whether the call is a probe of a half-open breaker.
    #[must_use]
    pub const fn is_probe(&self) -> bool {
        self.lease.is_some()
    }

    /// Whether the last news has been told; what is told after it changes nothing.
    #[must_use]
    pub const fn is_over(&self) -> bool {
        matches!(self.heard, Heard::Last)
    }

    pub(super) const fn lease(&self) -> Option<u64> {
        self.lease
    }

    /// Takes in `news`, a first token being late after `slow`.
    pub(super) fn hear(&mut self, news: News, slow: Option<Duration>) -> Meaning {
        let (heard, meaning) = match (self.heard, news) {
            (Heard::Last, _) => (Heard::Last, Meaning::Nothing),
            (Heard::Nothing, News::FirstToken { took }) if slow.is_some_and(|slow| took > slow) => {
                (Heard::LateToken, Meaning::NotStarted)
            }
            (Heard::Nothing, News::FirstToken { .. }) => (Heard::TimelyToken, Meaning::Started),
            (heard, News::FirstToken { .. }) => (heard, Meaning::Nothing),
            (Heard::Nothing, News::Succeeded) => (Heard::Last, Meaning::Answered),
            (Heard::TimelyToken, News::Succeeded) => (Heard::Last, Meaning::Finished),
            (Heard::Nothing, News::Failed | News::Slow) => (Heard::Last, Meaning::NotStarted),
            (Heard::TimelyToken, News::Failed | News::Slow) => (Heard::Last, Meaning::Broke),
            // It was judged bad when its first token came late.
            (Heard::LateToken, News::Succeeded | News::Failed | News::Slow) => (Heard::Last, Meaning::Nothing),
            (_, News::Unused) => (Heard::Last, Meaning::Nothing),
        };
        self.heard = heard;
        meaning
    }
}
