//! One attempt: a question to one provider, up to its whole answer or its first token.

use std::{future::poll_fn, pin::pin, time::Duration};

use fusebox_rules::{deadline, moment::Moment, retry::Change};
use tokio::time::timeout;

use super::{Call, TraceContext, plan::Seat};
use crate::{
    chat::{
        answer::{Chunk, Whole},
        request::Request,
    },
    error::{ErrorKind, Failure},
    gate::Pass,
    provider::{self, Ask, Provider, Reply, stream::Chunks},
    telemetry::{AttemptTrace, Facts},
};

/// Bytes that a stream may send before its first token.
const MAX_HELD: usize = 1 << 20;

/// What an attempt asks.
pub(super) struct Question<'a> {
    call: &'a Call,
    model: Option<&'a str>,
    /// The request with a complaint about its last answer, where there is one.
    again: Option<Request>,
    max_tokens: Option<u64>,
    /// What the provider's own settings would give it.
    own: Duration,
    /// Until the whole answer, or a stream's first token.
    timeout: Duration,
    /// Until the whole answer, streamed or not: what the provider is told.
    sent_on: Duration,
}

/// What an attempt got.
pub(super) enum Got {
    Whole(Whole),
    /// A stream: what came up to and with the first token, in order, and what is to come.
    Begun {
        held: Vec<Chunk>,
        rest: Chunks,
    },
}

/// An answer together with what must hear of its end.
pub(super) enum Answer {
    Whole(Whole),
    Begun(Box<Begun>),
}

/// A stream from its first token on, and who must hear of its end.
pub(super) struct Begun {
    /// What came up to and with the first token, in order.
    pub(super) held: Vec<Chunk>,
    pub(super) rest: Chunks,
    /// When the attempt began.
    pub(super) started: Moment,
    pub(super) pass: Pass,
    pub(super) trace: AttemptTrace,
}

/// What has come to be different from the first question to this provider.
#[derive(Debug, Default)]
pub(super) struct Changes {
    /// Timeouts so far; each makes the next one longer.
    timeouts: u32,
    pub(super) halved: bool,
    complain: bool,
}

impl Changes {
    pub(super) fn add(&mut self, change: Change) {
        match change {
            Change::None => {}
            Change::LongerTimeout => self.timeouts += 1,
            Change::HalfTheTokens => self.halved = true,
            Change::SayWhatWasWrong => self.complain = true,
        }
    }
}

impl<'a> Question<'a> {
    pub(super) fn new(call: &'a Call, seat: &'a Seat, changes: &Changes, remaining: Duration, others: u32) -> Self {
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
            again: changes.complain.then(|| call.request.complaining()).flatten(),
            max_tokens: changes.halved.then(|| call.request.half_the_tokens()),
            own,
            timeout,
            sent_on: if call.request.stream { remaining.min(longest) } else { timeout },
        }
    }

    /// Whether the provider had so much of its own time that silence says something of it. What a caller in a
    /// hurry cuts off does not.
    pub(super) fn was_fair(&self) -> bool {
        self.timeout.saturating_mul(2) >= self.own
    }
}

/// Asks once, within the question's time. Beside the answer it gives what was left out of the question, for people.
///
/// # Errors
/// Whatever went wrong, classified.
pub(super) async fn make(
    question: &Question<'_>,
    provider: &Provider,
    trace: &TraceContext,
) -> Result<(Got, Vec<String>), Failure> {
    let ask = Ask {
        request: question.again.as_ref().unwrap_or(&question.call.request),
        model: question.model,
        max_tokens: question.max_tokens,
        correlation_id: &question.call.correlation_id,
        trace,
        timeout: question.sent_on.max(Duration::from_millis(1)),
    };
    let answer = pin!(async {
        let Reply { answer, warnings } = provider.ask(ask).await?;
        let got = match answer {
            provider::Answer::Whole(whole) => Got::Whole(whole),
            provider::Answer::Stream(chunks) => first_token(chunks).await?,
        };
        Ok((got, warnings))
    });
    match timeout(question.timeout, answer).await {
        Ok(result) => result,
        Err(_) => {
            let what = if question.call.request.stream { "first token" } else { "answer" };
            let message = format!("the provider gave no {what} within {:?}", rounded(question.timeout));
            Err(Failure::new(ErrorKind::InferenceTimeout, message).detail("timeout_ms", question.timeout.as_millis()))
        }
    }
}

/// Waits for the first token. Up to it a stream can still be asked for elsewhere, so nothing of it is passed on.
async fn first_token(mut rest: Chunks) -> Result<Got, Failure> {
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
                    return Ok(Got::Begun { held, rest });
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
            None => return Ok(Got::Begun { held, rest }),
        }
    }
}

/// What telemetry wants to know of a whole answer.
pub(super) fn facts(whole: &Whole) -> Facts<'_> {
    Facts { model: whole.model.as_deref(), finish: whole.finish, usage: whole.usage }
}

fn rounded(duration: Duration) -> Duration {
    Duration::from_millis(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}
