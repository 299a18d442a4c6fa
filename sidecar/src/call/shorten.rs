//! A prompt that is too long for all who could take it, made shorter where the configuration says so.
//!
//! First the answer's share of the window is lessened, which loses nothing of what was said; then the oldest turns of
//! a chat are left out.

use fusebox_rules::{
    tokens,
    truncation::{self, Turn, Verdict},
};

use super::{
    chain::Found,
    length::{Length, Weighed},
    way::Way,
};
use crate::{
    chat::{
        length::{Said, said},
        request::{Operation, Request},
    },
    clock,
    config::ContextOverflow,
    error::{ErrorKind, Failure},
};

/// Times that one call is made shorter: once by what is thought, and once more by what the provider says to that.
const MAX_SHORTENINGS: u32 = 2;
/// The most that is kept free for an answer whose length the caller left open.
const FREE_FOR_ANSWER: u64 = 1024;

/// What was left out in all.
#[derive(Debug, Default)]
struct LeftOut {
    turns: usize,
    of: usize,
    /// What is asked for instead of what the caller asked for.
    answer: Option<(u64, u64)>,
    window: u64,
}

impl Way {
    /// Asks along the chain; if the prompt is too long for it, and the configuration truncates, asks again for less.
    ///
    /// # Errors
    /// As the chain; or what must stay of the prompt is too long.
    pub(super) async fn chain_within_windows(&mut self) -> Result<Found, Failure> {
        let mut found = self.chain().await;
        let mut left_out = LeftOut::default();
        for _ in 0..MAX_SHORTENINGS {
            let Err(failure) = &found else { break };
            if !self.may_be_shortened(failure) {
                break;
            }
            match self.shorten(&mut left_out).await {
                Ok(()) => found = self.chain().await,
                Err(still) if failure.kind == ErrorKind::ContextLengthExceeded => return Err(still),
                Err(_) => break,
            }
        }
        if found.is_ok() {
            self.tell(&left_out);
        }
        found
    }

    /// Whether somebody could take less than this, and there is time to ask.
    fn may_be_shortened(&self, failure: &Failure) -> bool {
        self.plan().config.context_overflow == ContextOverflow::Truncate
            && self.length.as_ref().is_some_and(|length| !length.told.is_empty())
            && (failure.kind == ErrorKind::ContextLengthExceeded || failure.kind.row().retryable)
            && self.attempts_left > 0
            && self.deadline > clock::now()
    }

    /// Exchanges the request for one that fits the largest of the windows that it was too long for.
    async fn shorten(&mut self, left_out: &mut LeftOut) -> Result<(), Failure> {
        let Some(places) = self.length.as_ref().map(|length| length.too_long_for()) else { return Err(unknown()) };
        self.measure(&places).await;
        let Some(length) = &self.length else { return Err(unknown()) };
        let request = &self.call.request;
        let weighed = places.iter().filter_map(|place| Some((*place, length.weigh(*place, request)?)));
        let mut weighed: Vec<(usize, Weighed)> = weighed.collect();
        // It is made to fit the largest window, which is then asked first.
        weighed.sort_by_key(|(_, weighed)| std::cmp::Reverse(weighed.window));
        let places = weighed.iter().map(|(place, _)| *place).collect();
        let Some((place, weighed)) = weighed.into_iter().next() else { return Err(unknown()) };
        let shorter = shorter(length, place, &weighed, request)?;
        left_out.window = weighed.window;
        if let Some((turns, of)) = shorter.turns {
            left_out.turns += turns;
            left_out.of = left_out.of.max(of);
        }
        if let Some(answer) = shorter.request.max_tokens.filter(|answer| *answer < weighed.answer) {
            let asked = left_out.answer.map_or(weighed.answer, |(asked, _)| asked);
            left_out.answer = Some((asked, answer));
        }
        self.length = Some(Box::new(length.of_another(&shorter.request, places)));
        self.call.request = shorter.request;
        Ok(())
    }

    fn tell(&mut self, left_out: &LeftOut) {
        let LeftOut { turns, of, answer, window } = *left_out;
        if turns > 0 {
            self.limit(format!("left out the oldest {turns} of {of} turns to fit a window of {window} tokens"));
        }
        if let Some((asked, now)) = answer {
            self.limit(format!("asked for at most {now} instead of {asked} tokens to fit a window of {window} tokens"));
        }
    }
}

/// A shorter request.
struct Shorter {
    request: Request,
    /// Turns left out, and how many there were.
    turns: Option<(usize, usize)>,
}

/// `request` made to fit the window at `place`.
fn shorter(length: &Length, place: usize, weighed: &Weighed, request: &Request) -> Result<Shorter, Failure> {
    let Weighed { prompt, answer, window } = *weighed;
    let fewest = fewest(request, answer, window);
    if prompt.most.saturating_add(fewest) <= window {
        let less = within(request, answer, window - prompt.most).ok_or_else(unknown)?;
        return Ok(Shorter { request: less, turns: None });
    }
    let lengths = length.lengths(place).ok_or_else(unknown)?;
    let said = said(request).filter(|_| request.operation == Operation::Chat);
    let said = said.ok_or_else(|| weighed.failure(request))?;
    let most = |size| length.estimate(place, lengths, size).most;
    let turns: Vec<Turn<'_>> = said.iter().zip(&lengths.turns).map(|(said, size)| turn(said, most(*size))).collect();
    let taken = fewest.saturating_add(most(lengths.rest));
    let kept = match truncation::decide(&turns, window.saturating_sub(taken)) {
        Verdict::Keep(kept) => kept,
        // Turn by turn it may come to a little less than as a whole.
        Verdict::Fits => (0..turns.len()).collect(),
        Verdict::Impossible { needed } => return Err(cannot(weighed, request, needed.saturating_add(taken))),
    };
    let prompt = kept.iter().map(|at| turns[*at].tokens).fold(most(lengths.rest), u64::saturating_add);
    let fewer = request.keeping(&kept).ok_or_else(unknown)?;
    let request = within(&fewer, answer, window.saturating_sub(prompt)).ok_or_else(unknown)?;
    let left_out = turns.len() - kept.len();
    Ok(Shorter { request, turns: (left_out > 0).then_some((left_out, turns.len())) })
}

fn turn(said: &Said, tokens: u64) -> Turn<'_> {
    let calls = said.calls.iter().map(String::as_str).collect();
    Turn { speaker: said.speaker, tokens, calls, answers: said.answers.as_deref() }
}

/// The least to keep free for an answer of which `answer` tokens were asked for.
fn fewest(request: &Request, answer: u64, window: u64) -> u64 {
    match request.max_tokens {
        Some(_) => tokens::fewest_for_answer(answer),
        None if request.operation == Operation::Chat => answer.max((window / 8).min(FREE_FOR_ANSWER)),
        None => answer,
    }
}

/// The same request for an answer of at most `room` tokens, where it asks for more.
fn within(request: &Request, answer: u64, room: u64) -> Option<Request> {
    if answer <= room || request.operation == Operation::Embed {
        return Some(request.clone());
    }
    request.with_max_tokens(room.max(1))
}

/// What must stay is too long: `needed` tokens with the answer's.
fn cannot(weighed: &Weighed, request: &Request, needed: u64) -> Failure {
    let mut failure = weighed.failure(request);
    let over = needed.saturating_sub(weighed.window);
    failure.message = format!(
        "{}; even without its older turns it is {over} tokens too long: the system's messages, the user's last and \
         the last of all must stay",
        failure.message
    );
    failure.detail("least_tokens", needed)
}

/// The prompt is of a shape that cannot be shortened here.
fn unknown() -> Failure {
    Failure::new(ErrorKind::ContextLengthExceeded, "the prompt does not fit the model's window and cannot be shortened")
}
