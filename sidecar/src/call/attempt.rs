//! One attempt: a question to one provider, up to its whole answer or its first token.

use std::{
    future::poll_fn,
    pin::pin,
    sync::{Arc, OnceLock},
    time::Duration,
};

use fusebox_rules::{come_back::left::AllLeft, deadline, holdback::Holdback, moment::Moment};
use tokio::time::timeout;

use super::{
    Call, TraceContext,
    changes::Changes,
    form::{checked, checked_so_far},
    plan::Seat,
    reading::{Heard, Limits, Reading},
    spent::Cost,
};
use crate::{
    chat::{
        answer::{Chunk, Whole},
        request::Request,
    },
    clock, config,
    error::{ErrorKind, Failure},
    gate::Pass,
    provider::{self, Ask, Provider, Reply, stream::Chunks},
    telemetry::{AttemptTrace, CallTrace, Facts},
    validate::Checker,
};

/// Bytes of a stream that are kept: held back at its start, or remembered so that it can be gone on with elsewhere.
pub(super) const MAX_KEPT: usize = 4 << 20;
/// Bytes that a stream may send before its first token.
const MAX_HELD: usize = 1 << 20;

/// What an attempt asks.
struct Question<'a> {
    call: &'a Call,
    model: Option<&'a str>,
    /// The request in other words, where it is asked so.
    again: Option<Request>,
    /// What the answer is held to.
    checker: Option<&'a Checker>,
    max_tokens: Option<u64>,
    /// What the provider's own settings would give it.
    own: Duration,
    /// Until the whole answer, or a stream's first token.
    timeout: Duration,
    /// Until the whole answer, streamed or not: what the provider is told.
    sent_on: Duration,
    /// What of a stream is held back.
    holdback: Holdback,
    /// Whether somebody else could be asked instead.
    others: bool,
    settings: &'a Arc<config::Provider>,
    /// When a stream must be complete, by the provider's limit and by the call's.
    ends: (Moment, Moment),
    /// What was heard before it failed.
    cost: Cost,
    /// What the provider says is left of its rate limits, where that is known of.
    left: Option<OnceLock<AllLeft>>,
}

/// What an attempt needs of its call's way.
pub(super) struct Asker<'a> {
    pub(super) call: &'a Call,
    pub(super) trace: &'a mut CallTrace,
    pub(super) holdback: Holdback,
    /// What its answer is held to.
    pub(super) checker: Option<&'a Checker>,
    pub(super) deadline: Moment,
    pub(super) worker: usize,
    /// Of the next attempt, from 1.
    pub(super) number: u32,
}

/// An attempt under way.
pub(super) struct Asking<'a> {
    question: Question<'a>,
    provider: &'a Provider,
    headers: TraceContext,
    started: Moment,
    pass: Pass,
    trace: AttemptTrace,
}

/// What is left of an attempt once it has been made, or given up.
pub(super) struct Asked {
    pub(super) pass: Pass,
    pub(super) trace: AttemptTrace,
    pub(super) started: Moment,
    /// Whether its provider had so much time that silence says something of it.
    pub(super) fair: bool,
    /// What was heard before it failed.
    pub(super) cost: Cost,
}

impl<'a> Asker<'a> {
    /// The next attempt, at `seat`, while `others` could be asked instead.
    pub(super) fn of(&mut self, seat: &'a Seat, pass: Pass, changes: &Changes, others: u32) -> Asking<'a> {
        let started = clock::now();
        let trace = self.trace.attempt(seat.upstream.index, seat.model.as_deref(), self.number);
        self.number = self.number.saturating_add(1);
        let question = Question::new(self.call, seat, changes, (started, self.deadline), others);
        Asking {
            question: Question {
                holdback: self.holdback,
                checker: self.checker,
                left: pass.is_limited().then(OnceLock::new),
                ..question
            },
            provider: seat.upstream.client(self.worker),
            headers: trace.headers(self.call),
            started,
            pass,
            trace,
        }
    }
}

impl Asking<'_> {
    /// Asks.
    ///
    /// # Errors
    /// Whatever went wrong, classified.
    pub(super) async fn make(&mut self) -> Result<(Got, Vec<String>), Failure> {
        make(&mut self.question, self.provider, &self.headers).await
    }

    pub(super) fn asked(self) -> Asked {
        let (fair, cost) = (self.question.was_fair(), self.question.cost);
        if let Some(left) = self.question.left.as_ref().and_then(OnceLock::get) {
            self.pass.heard(left);
        }
        Asked { pass: self.pass, trace: self.trace, started: self.started, fair, cost }
    }
}

/// What an attempt got.
pub(super) enum Got {
    Whole(Whole),
    /// A stream: what has come of it, the first token and what is held back, in order; and what is to come.
    Begun {
        held: Vec<Chunk>,
        rest: Reading,
    },
}

/// An answer together with what must hear of its end.
pub(super) enum Answer {
    Whole(Whole),
    Begun(Box<Begun>),
}

/// A stream from its first token on, and who must hear of its end.
pub(super) struct Begun {
    /// What has come of it, in order.
    pub(super) held: Vec<Chunk>,
    pub(super) rest: Reading,
    pub(super) pass: Pass,
    pub(super) trace: AttemptTrace,
}

impl<'a> Question<'a> {
    /// `from`, `until`: when it is asked, and the call's deadline.
    fn new(call: &'a Call, seat: &'a Seat, changes: &Changes, (from, until): (Moment, Moment), others: u32) -> Self {
        let remaining = until.since(from);
        let timeouts = &seat.upstream.settings.timeouts;
        let (own, first, longest) = match call.request.stream {
            true => {
                let first = call.options.first_token_timeout.unwrap_or(timeouts.first_token);
                (timeouts.first_token, first, timeouts.stream_total)
            }
            false => (timeouts.total, timeouts.total, Duration::MAX),
        };
        let timeout = deadline::allowance(remaining, deadline::longer(first, changes.timeouts).min(longest), others);
        Self {
            call,
            model: seat.model.as_deref(),
            again: changes.again(&call.request),
            checker: None,
            max_tokens: (changes.less && call.request.operation.has_tokens()).then(|| call.request.half_the_tokens()),
            own,
            timeout,
            sent_on: if call.request.stream { remaining.min(longest) } else { timeout },
            holdback: Holdback::NONE,
            others: others > 0,
            settings: &seat.upstream.settings,
            ends: (from + longest, until.max(from)),
            cost: Cost::default(),
            left: None,
        }
    }

    fn request(&self) -> &Request {
        self.again.as_ref().unwrap_or(&self.call.request)
    }

    fn limits(&self) -> Limits {
        let (attempt_ends, deadline) = self.ends;
        Limits { settings: Arc::clone(self.settings), attempt_ends, deadline, first_token: clock::now() }
    }

    /// Whether the provider had so much of its own time that silence says something of it. What a caller in a
    /// hurry cuts off does not.
    fn was_fair(&self) -> bool {
        self.timeout.saturating_mul(2) >= self.own
    }
}

/// Asks once, within the question's time. Beside the answer it gives what was left out of the question, for people.
///
/// # Errors
/// Whatever went wrong, classified.
async fn make(
    question: &mut Question<'_>,
    provider: &Provider,
    trace: &TraceContext,
) -> Result<(Got, Vec<String>), Failure> {
    let ask = Ask {
        request: question.request(),
        model: question.model,
        max_tokens: question.max_tokens,
        correlation_id: &question.call.correlation_id,
        trace,
        timeout: question.sent_on.max(Duration::from_millis(1)),
        left: question.left.as_ref(),
    };
    let made = {
        let answer = pin!(async {
            let Reply { answer, mut warnings } = provider.ask(ask).await?;
            let got = match answer {
                provider::Answer::Whole(whole) => Got::Whole(checked(whole, question.checker, &mut warnings)?),
                provider::Answer::Stream(chunks) => {
                    let (held, chunks) = first_token(chunks).await?;
                    Got::Begun { rest: Reading::new(chunks, &held, question.limits()), held }
                }
            };
            Ok((got, warnings))
        });
        timeout(question.timeout, answer).await
    };
    match made {
        Ok(Ok((Got::Begun { mut held, mut rest }, warnings))) => {
            let result = hold_back(&mut held, &mut rest, question).await;
            let result = result.and_then(|complete| checked_so_far(&held, complete, question.checker));
            if let Err(failure) = result {
                question.cost = rest.cost();
                return Err(failure.used(rest.facts().usage));
            }
            Ok((Got::Begun { held, rest }, warnings))
        }
        Ok(result) => result,
        Err(_) => {
            let what = if question.call.request.stream { "first token" } else { "answer" };
            let message = format!("the provider gave no {what} within {:?}", rounded(question.timeout));
            Err(Failure::new(ErrorKind::InferenceTimeout, message).detail("timeout_ms", question.timeout.as_millis()))
        }
    }
}

/// Waits for the first token. Up to it a stream can still be asked for elsewhere, so nothing of it is passed on.
async fn first_token(mut rest: Chunks) -> Result<(Vec<Chunk>, Chunks), Failure> {
    let mut held = Vec::with_capacity(1);
    let (mut size, mut usage) = (0, None);
    loop {
        match poll_fn(|cx| rest.poll_next(cx)).await {
            Some(Ok(chunk)) => {
                size += chunk.events.len();
                usage = chunk.usage.or(usage);
                let begun = chunk.tokens > 0;
                held.push(chunk);
                if begun {
                    return Ok((held, rest));
                }
                if size > MAX_HELD {
                    return Err(Failure::new(
                        ErrorKind::StreamBroken,
                        "the provider's stream held much and said nothing",
                    ));
                }
            }
            Some(Err(failure)) => return Err(failure.used(usage)),
            // Complete without a token: the limit on tokens was met before one.
            None => return Ok((held, rest)),
        }
    }
}

/// Reads on while what comes is to be held back, and says whether that was all. A break within it is one before the first
/// token to the caller.
async fn hold_back(held: &mut Vec<Chunk>, rest: &mut Reading, question: &Question<'_>) -> Result<bool, Failure> {
    let holdback = question.holdback;
    let first_token = rest.first_token();
    let ends = holdback.ends_after().map(|after| clock::at(first_token + after));
    let mut size: usize = held.iter().map(|chunk| chunk.events.len()).sum();
    while holdback.holds(rest.tokens(), clock::now().since(first_token)) && size <= MAX_KEPT {
        let next = poll_fn(|cx| rest.poll_next(cx));
        let next = match ends {
            None => next.await,
            Some(ends) => match tokio::time::timeout_at(ends, next).await {
                Ok(next) => next,
                Err(_) => return Ok(false),
            },
        };
        match next {
            Heard::Chunk(chunk) => {
                size += chunk.events.len();
                held.push(chunk);
            }
            Heard::Complete => return Ok(true),
            Heard::TooSlow if question.others => return Err(too_slow()),
            // Nobody can do better.
            Heard::TooSlow => {}
            Heard::Broke(failure) => return Err(failure),
        }
    }
    Ok(false)
}

pub(super) fn too_slow() -> Failure {
    Failure::new(ErrorKind::StreamBroken, "the provider's stream became slower than it may be")
}

/// What telemetry wants to know of a whole answer.
pub(super) fn facts(whole: &Whole) -> Facts<'_> {
    Facts { model: whole.model.as_deref(), finish: whole.finish, usage: whole.usage }
}

fn rounded(duration: Duration) -> Duration {
    Duration::from_millis(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}
