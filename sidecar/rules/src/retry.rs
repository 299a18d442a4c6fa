//! Whether, where and when a failed attempt is followed by another.
//!
//! It reads the error table's columns; what a kind means is said there and nowhere else. There is no verdict on a
//! stream that has given its first token: [`Facts`] tell of an attempt that gave nothing, and nothing else can be
//! asked about.

#[cfg(test)]
mod tests;

use std::time::Duration;

use crate::error::{ErrorKind, FailOver, RetryHere};

/// How a provider is asked again after a failure.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    /// Attempts after the first, at this provider, in one call.
    pub max_retries: u32,
    /// The backoff before the second retry of a kind that is retried at once, else before the first.
    pub base_delay: Duration,
    /// What each further backoff is multiplied by; at least 1.
    pub backoff_factor: f64,
    /// The longest backoff.
    pub max_delay: Duration,
    /// Whether a backoff is drawn uniformly from zero to its length ("full jitter"), so that callers that failed
    /// together do not come back together.
    pub jitter: bool,
    /// No retry begins once this long has passed since the provider was first asked in this call.
    pub max_elapsed: Duration,
}

/// What is known when an attempt has failed before its first token. Begin with [`Facts::of`].
#[derive(Debug, Clone, PartialEq)]
pub struct Facts {
    /// How it failed.
    pub kind: ErrorKind,
    /// Retries that this provider has had in this call.
    pub retries_here: u32,
    /// Since this provider was first asked in this call.
    pub elapsed_here: Duration,
    /// What the failed attempt took.
    pub took: Duration,
    /// Until the call's deadline.
    pub remaining: Duration,
    /// Attempts that the call may still make anywhere.
    pub attempts_left: u32,
    /// Other providers, not yet tried, that would take the call now.
    pub others: u32,
    /// Whether one of them has a larger window than the one that failed.
    pub larger_window: bool,
    /// Whether the configuration sends refused content on to another provider.
    pub reroute_refusals: bool,
    /// Whether the configuration has an instruction for refused content that has not been tried at this provider.
    pub may_rewrite: bool,
    /// Times that the call's model may still be told what was wrong with its answer.
    pub reprompts_left: u32,
    /// The wait that the provider asked for.
    pub asked_wait: Option<Duration>,
    /// Whether the same provider may be asked again at all: false if it said not to, or the retry budget is spent.
    pub may_retry: bool,
    /// Whether the failed attempt was already asking for less, or cannot.
    pub halved: bool,
    /// Uniform, from 0 to 1.
    pub dice: f64,
}

impl Facts {
    /// A first attempt that failed as `kind` at once, with nobody else to ask and one more attempt allowed.
    #[must_use]
    pub const fn of(kind: ErrorKind, remaining: Duration) -> Self {
        Self {
            kind,
            retries_here: 0,
            elapsed_here: Duration::ZERO,
            took: Duration::ZERO,
            remaining,
            attempts_left: 1,
            others: 0,
            larger_window: false,
            reroute_refusals: false,
            may_rewrite: false,
            reprompts_left: u32::MAX,
            asked_wait: None,
            may_retry: true,
            halved: false,
            dice: 1.0,
        }
    }
}

/// What follows a failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Ask the same provider again.
    RetryHere {
        /// After this long.
        wait: Duration,
        /// What set the wait.
        wait_reason: WaitReason,
        /// What to do differently.
        change: Change,
    },
    /// Ask the next provider, now.
    FailOver,
    /// Tell the caller.
    GiveUp,
}

/// What set the wait before a retry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaitReason {
    /// There is none.
    None,
    /// The provider's policy.
    Backoff,
    /// The provider said when to come back.
    RetryAfter,
}

impl WaitReason {
    /// Its name on every wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Backoff => "backoff",
            Self::RetryAfter => "retry_after",
        }
    }
}

/// What a retry does differently. It stays so for the rest of the call's attempts at this provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Nothing.
    None,
    /// It may take longer: see [`crate::deadline::longer`].
    LongerTimeout,
    /// It asks for less: half the tokens, or smaller images in fewer steps.
    AskForLess,
    /// It tells the model what was wrong with its answer.
    SayWhatWasWrong,
    /// It asks under the instruction that is configured for refused content.
    Rewrite,
}

impl Change {
    /// Its name in traces.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::LongerTimeout => "longer_timeout",
            Self::AskForLess => "ask_for_less",
            Self::SayWhatWasWrong => "reprompt",
            Self::Rewrite => "rewrite",
        }
    }
}

/// What follows an attempt that failed before its first token.
///
/// - A provider that names a wait is not waited for while others can take the call. Alone, the wait that it named wins
///   over backoff and is not bounded by `max_delay`.
/// - While others can take the call, a backoff is at most an equal share of what remains.
/// - No wait outlives the call's deadline or the policy's `max_elapsed`.
#[must_use]
pub fn decide(policy: &Policy, facts: &Facts) -> Verdict {
    if facts.attempts_left == 0 || facts.remaining.is_zero() {
        return Verdict::GiveUp;
    }
    let others = others(facts);
    match retry(policy, facts, others) {
        Some(again) => Verdict::RetryHere { wait: again.wait, wait_reason: again.reason, change: again.change },
        None if others > 0 => Verdict::FailOver,
        None => Verdict::GiveUp,
    }
}

/// What follows where the retry that [`decide`] allowed cannot be paid for.
#[must_use]
pub fn unpaid(facts: &Facts) -> Verdict {
    if others(facts) > 0 { Verdict::FailOver } else { Verdict::GiveUp }
}

/// The backoff after `backoffs_before` others: the base, multiplied by the factor for each of them, at most
/// `max_delay`; with jitter, that times `dice`, from 0 to 1.
#[must_use]
pub fn backoff(policy: &Policy, backoffs_before: u32, dice: f64) -> Duration {
    let power = policy.backoff_factor.max(1.0).powi(i32::try_from(backoffs_before).unwrap_or(i32::MAX));
    let full = if policy.base_delay.is_zero() { 0.0 } else { policy.base_delay.as_secs_f64() * power };
    let full = full.min(policy.max_delay.as_secs_f64());
    let drawn = if policy.jitter { full * dice.clamp(0.0, 1.0) } else { full };
    Duration::try_from_secs_f64(drawn).unwrap_or(policy.max_delay).min(policy.max_delay)
}

/// A retry at the same provider.
struct Again {
    wait: Duration,
    reason: WaitReason,
    change: Change,
}

impl Again {
    const fn at_once(change: Change) -> Self {
        Self { wait: Duration::ZERO, reason: WaitReason::None, change }
    }

    fn after(policy: &Policy, backoffs_before: u32, dice: f64) -> Self {
        Self { wait: backoff(policy, backoffs_before, dice), reason: WaitReason::Backoff, change: Change::None }
    }
}

/// How many other providers may be asked after a failure of this kind.
fn others(facts: &Facts) -> u32 {
    match facts.kind.row().fail_over {
        FailOver::No => 0,
        FailOver::Yes | FailOver::First => facts.others,
        FailOver::ToLargerWindow => u32::from(facts.larger_window).min(facts.others),
        FailOver::IfConfigured => u32::from(facts.reroute_refusals) * facts.others,
    }
}

/// The retry here, if there is to be one.
fn retry(policy: &Policy, facts: &Facts, others: u32) -> Option<Again> {
    if !facts.may_retry || facts.retries_here >= policy.max_retries {
        return None;
    }
    let again = match facts.asked_wait {
        None => wanted(policy, facts, others)?,
        Some(_) if others > 0 => return None,
        Some(wait) => Again { wait, reason: WaitReason::RetryAfter, ..wanted(policy, facts, others)? },
    };
    let in_time = again.wait < facts.remaining && facts.elapsed_here.saturating_add(again.wait) < policy.max_elapsed;
    // Each of the others, and this one, gets an equal share of what remains.
    let fair = others == 0 || again.wait <= facts.remaining / others.saturating_add(1);
    (in_time && fair).then_some(again)
}

/// The retry that the table wants, were there no limits and no wait that the provider named.
fn wanted(policy: &Policy, facts: &Facts, others: u32) -> Option<Again> {
    let retries = facts.retries_here;
    let alone = others == 0;
    match facts.kind.row().retry {
        RetryHere::No => None,
        // It asked for fewer calls and is cooling down.
        RetryHere::AfterWait => alone.then(|| Again::after(policy, retries, facts.dice)),
        RetryHere::AfterBackoff => Some(Again::after(policy, retries, facts.dice)),
        RetryHere::AtOnceThenBackoff => Some(match retries.checked_sub(1) {
            None => Again::at_once(Change::None),
            Some(backoffs_before) => Again::after(policy, backoffs_before, facts.dice),
        }),
        // It has been waited for already, and in vain: only a longer wait than that can help.
        RetryHere::IfAlone => (alone && facts.took < facts.remaining).then(|| Again::at_once(Change::LongerTimeout)),
        RetryHere::OnceWithHalf => (!facts.halved).then(|| Again::at_once(Change::AskForLess)),
        RetryHere::SayingWhatWasWrong => (facts.reprompts_left > 0).then(|| Again::at_once(Change::SayWhatWasWrong)),
        RetryHere::OnceRewritten => facts.may_rewrite.then(|| Again::at_once(Change::Rewrite)),
    }
}
