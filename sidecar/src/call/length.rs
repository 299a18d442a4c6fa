//! Whether a call's prompt fits the windows of those who may be asked, told before they are asked.
//!
//! A call that is short for every window, or whose windows are not known, pays a comparison a seat. What is done about
//! one that is too long for all is said in `shorten`.

use std::sync::Arc;

use bytes::Bytes;
use fusebox_rules::tokens::{self, Estimate, Fit, Size};

use super::{
    failures::Failures,
    plan::{Route, Seat},
    way::Way,
};
use crate::{
    chat::{
        answer::Usage,
        length::Lengths,
        request::{Operation, Request},
        vocabulary::Vocabulary,
    },
    config::{ContextOverflow, ProviderKind},
    error::{ErrorKind, Failure},
    provider::anthropic::request::DEFAULT_MAX_TOKENS,
};

/// The detail that names a window's size.
pub(super) const LIMIT: &str = "context_limit_tokens";
/// The detail that names the prompt's tokens, as the provider counted them.
const PROMPT: &str = "prompt_tokens";
/// The detail that names the tokens asked for, by the provider's count.
const ASKED: &str = "context_length_tokens";

/// Bytes of a request that are read on a thread that serves calls; a longer one is read beside them.
const MAX_READ_HERE: usize = 64 << 10;
/// The least that a prompt is longer than was thought, if a provider refuses it and does not say by how much.
const LONGER: f64 = 1.15;

/// What is known of a prompt's length.
#[derive(Debug)]
pub(super) struct Length {
    /// What it is known of.
    route: Arc<Route>,
    body: Bytes,
    sizes: Option<Lengths>,
    counts: [Option<Lengths>; Vocabulary::COUNT],
    /// By seat, what was told of it.
    pub(super) told: Vec<Told>,
    /// The seats that may be asked, in this order; `None`: all, by rank.
    pub(super) only: Option<Vec<usize>>,
}

/// What a provider said, or its window does, of a prompt that is too long.
#[derive(Debug, Clone, Copy)]
pub(super) struct Told {
    pub(super) seat: usize,
    /// Its window.
    limit: Option<u64>,
    /// Times what the prompt was thought to be; `None`: it was not asked.
    factor: Option<f64>,
    /// Whether what was thought had been counted.
    counted: bool,
}

/// A prompt against one window.
#[derive(Debug, Clone, Copy)]
pub(super) struct Weighed {
    pub(super) prompt: Estimate,
    /// Tokens kept free for the answer.
    pub(super) answer: u64,
    pub(super) window: u64,
}

impl Weighed {
    /// The prompt is too long for whoever would have been asked.
    pub(super) fn failure(&self, request: &Request) -> Failure {
        let Self { prompt, answer, window } = *self;
        let tokens = prompt.likely;
        let too_many = tokens.saturating_add(answer).saturating_sub(window).max(1);
        let room = match request.max_tokens {
            Some(asked) => format!(" and the {asked} asked for the answer"),
            None => String::new(),
        };
        let message = format!(
            "the prompt's estimated {tokens} tokens{room} are {too_many} too many for the model's window of {window}"
        );
        let mut failure = Failure::new(ErrorKind::ContextLengthExceeded, message)
            .unasked()
            .detail("estimated_tokens", tokens)
            .detail(LIMIT, window)
            .detail("too_many_tokens", too_many);
        failure.details.extend(request.max_tokens.map(|asked| ("max_tokens", asked.to_string())));
        failure
    }
}

impl Way {
    /// The seats of `order` that may be asked, once the prompt has been measured as far as that needs to be known.
    pub(super) async fn weighed<'r>(&mut self, mut order: Vec<(usize, &'r Seat)>) -> Vec<(usize, &'r Seat)> {
        if self.length.as_ref().is_some_and(|length| !length.is_of(self)) {
            self.length = None;
        }
        if let Some(only) = self.length.as_ref().and_then(|length| length.only.as_ref()) {
            order.retain(|(place, _)| only.contains(place));
            order.sort_by_key(|(place, _)| only.iter().position(|first| first == place));
        }
        let request = &self.call.request;
        let doubtful = |(_, seat): &&(usize, &Seat)| !plainly_fits(request, seat);
        let doubtful: Vec<usize> = order.iter().filter(doubtful).map(|(place, _)| *place).collect();
        if !doubtful.is_empty() {
            self.measure(&doubtful).await;
        }
        order
    }

    /// Measures the prompt for the seats `places`, and counts it where a vocabulary can and it is not short.
    pub(super) async fn measure(&mut self, places: &[usize]) {
        let mut length = match self.length.take() {
            Some(length) => length,
            None => Box::new(Length::new(self)),
        };
        if length.sizes.is_none() {
            length.sizes = beside(&self.call.request, Lengths::measure).await;
        }
        for place in places {
            let Some(vocabulary) = length.route.seats[*place].counting.vocabulary else { continue };
            if length.counts[vocabulary as usize].is_some() || length.is_short(*place, &self.call.request) {
                continue;
            }
            length.counts[vocabulary as usize] = counted(&self.call.request, vocabulary).await;
        }
        self.length = Some(length);
    }

    /// Whether the seat at `place` would be asked for more than its window holds.
    pub(super) fn is_too_long(&self, place: usize) -> bool {
        self.length.as_ref().is_some_and(|length| length.fit(place, &self.call.request) == Fit::No)
    }

    /// The failure that this is.
    pub(super) fn too_long(&self, place: usize) -> Option<Failure> {
        let length = self.length.as_ref().filter(|_| self.is_too_long(place))?;
        let request = &self.call.request;
        let name = &self.route.seats[place].upstream.settings.name;
        Some(length.weigh(place, request)?.failure(request).by(name))
    }

    /// Whether a prompt that is too long for one is not to be taken to another.
    pub(super) fn stays_too_long(&self) -> bool {
        self.plan().config.context_overflow == ContextOverflow::Error
    }

    /// Notes for whom the prompt was too long, and what they said of it.
    pub(super) fn note_too_long(&mut self, failures: &Failures<'_>) {
        for (seat, failure) in failures.too_long() {
            let Some(place) = self.route.seats.iter().position(|other| std::ptr::eq(other, seat)) else { continue };
            let mut length = self.length.take().unwrap_or_else(|| Box::new(Length::new(self)));
            length.note(place, failure, &self.call.request);
            self.length = Some(length);
        }
    }

    /// Learns from what an answer cost how its provider counts, unless more than one attempt may be in that number.
    pub(super) fn learn(&self, usage: Option<Usage>) {
        let (Some(usage), [attempt]) = (usage, self.outcome.attempts.as_slice()) else { return };
        let named =
            |seat: &&Seat| seat.upstream.settings.name == attempt.provider && seat.model == self.outcome.provider_model;
        let matters = |seat: &&Seat| seat.context_window.is_some() || seat.upstream.gate.counts_tokens();
        let Some(seat) = self.route.seats.iter().find(named).filter(matters) else {
            return;
        };
        if usage.input_tokens > 0
            && seat.counting.wants(self.call.request.body.len())
            && let Some(lengths) = Lengths::measure(&self.call.request)
        {
            seat.counting.learn(lengths.sum(), u64::from(usage.input_tokens));
        }
    }
}

impl Length {
    fn new(way: &Way) -> Self {
        let (route, body) = (Arc::clone(&way.route), way.call.request.body.clone());
        Self { route, body, sizes: None, counts: Default::default(), told: Vec::new(), only: None }
    }

    /// The same for another request, of which nothing has been measured.
    pub(super) fn of_another(&self, request: &Request, only: Vec<usize>) -> Self {
        let (route, body) = (Arc::clone(&self.route), request.body.clone());
        Self { route, body, sizes: None, counts: Default::default(), told: self.told.clone(), only: Some(only) }
    }

    /// Whether it is known of what `way` asks now, and of whom.
    fn is_of(&self, way: &Way) -> bool {
        let body = &way.call.request.body;
        Arc::ptr_eq(&self.route, &way.route) && (self.body.as_ptr(), self.body.len()) == (body.as_ptr(), body.len())
    }

    /// The lengths that are nearest to how the seat at `place` counts.
    pub(super) fn lengths(&self, place: usize) -> Option<&Lengths> {
        let vocabulary = self.route.seats[place].counting.vocabulary;
        let measured = self.told(place).is_some_and(|told| told.factor.is_some() && !told.counted);
        let counted = vocabulary.filter(|_| !measured).and_then(|known| self.counts[known as usize].as_ref());
        counted.or(self.sizes.as_ref())
    }

    /// Tokens that the seat at `place` makes of `size`, one of its lengths.
    pub(super) fn estimate(&self, place: usize, lengths: &Lengths, size: Size) -> Estimate {
        self.corrected(place, lengths.estimate(size, &self.route.seats[place].counting.ratio()))
    }

    fn corrected(&self, place: usize, thought: Estimate) -> Estimate {
        match self.told(place).and_then(|told| told.factor) {
            Some(factor) => Estimate::counted(thought.times(factor).likely),
            None => thought,
        }
    }

    /// The prompt against the window of the seat at `place`, both as far as they are known.
    pub(super) fn weigh(&self, place: usize, request: &Request) -> Option<Weighed> {
        let seat = &self.route.seats[place];
        let thought = self.lengths(place)?.whole(&seat.counting.ratio());
        let prompt = self.corrected(place, thought);
        let answer = answer(request, seat);
        Some(Weighed { prompt, answer, window: self.window(place)? })
    }

    /// Whether the prompt would fit the window of the seat at `place` even if it were twice what it is likely to be.
    fn is_short(&self, place: usize, request: &Request) -> bool {
        let twice = |weighed: &Weighed| weighed.prompt.times(2.0).likely.saturating_add(weighed.answer);
        self.weigh(place, request).is_none_or(|weighed| twice(&weighed) <= weighed.window)
    }

    fn fit(&self, place: usize, request: &Request) -> Fit {
        self.weigh(place, request).map_or(Fit::Surely, |weighed| weighed.prompt.fits(weighed.answer, weighed.window))
    }

    /// Tokens that the seat at `place` can take; of one that refused and named no limit, fewer than it was asked for.
    fn window(&self, place: usize) -> Option<u64> {
        let configured = self.route.seats[place].context_window.map(u64::from);
        let told = self.told(place).and_then(|told| told.limit);
        configured.into_iter().chain(told).min()
    }

    /// The seats that it was too long for.
    pub(super) fn too_long_for(&self) -> Vec<usize> {
        let mut places: Vec<usize> = self.told.iter().map(|told| told.seat).collect();
        places.sort_unstable();
        places.dedup();
        places
    }

    fn told(&self, place: usize) -> Option<&Told> {
        self.told.iter().rev().find(|told| told.seat == place)
    }

    /// Notes `failure`, by which the prompt is too long for the seat at `place`.
    fn note(&mut self, place: usize, failure: &Failure, request: &Request) {
        if failure.unasked {
            if self.told(place).is_none() {
                self.told.push(Told { seat: place, limit: None, factor: None, counted: false });
            }
            return;
        }
        if self.sizes.is_none() {
            self.sizes = Lengths::measure(request);
        }
        let seat = &self.route.seats[place];
        let limit = failure.number(LIMIT);
        let told = match self.lengths(place) {
            None => Told { seat: place, limit, factor: None, counted: false },
            Some(lengths) => {
                // First, so that what is thought from here on is what the factor is of.
                if let Some(tokens) = failure.number(PROMPT) {
                    seat.counting.learn(lengths.sum(), tokens);
                }
                let thought = lengths.whole(&seat.counting.ratio()).likely.max(1);
                let answer = answer(request, seat);
                let known = limit.or(seat.context_window.map(u64::from));
                // Without a window to hold it against, three quarters of what was refused may do.
                let limit = known.unwrap_or_else(|| thought.saturating_add(answer) / 4 * 3);
                let factor = self.factor(place, failure, thought, known.map(|limit| limit.saturating_sub(answer)));
                Told { seat: place, limit: Some(limit), factor: Some(factor), counted: lengths.is_counted() }
            }
        };
        self.told.push(told);
    }

    /// How much longer a prompt is than the tokens `thought`, by the refusal `failure`; `room` is what it had.
    fn factor(&self, place: usize, failure: &Failure, thought: u64, room: Option<u64>) -> f64 {
        #[allow(clippy::cast_precision_loss, reason = "tokens are far fewer than 2^52")]
        let share = |tokens: u64| tokens as f64 / thought as f64;
        let before = self.told(place).and_then(|told| told.factor).unwrap_or(1.0);
        match (failure.number(PROMPT).or_else(|| failure.number(ASKED)), room) {
            (Some(tokens), _) => share(tokens),
            (None, Some(room)) => (share(room) * LONGER).max(before * LONGER),
            (None, None) => before,
        }
    }
}

/// Whether `request` is short for the seat's window whatever it says, or the window is not known.
fn plainly_fits(request: &Request, seat: &Seat) -> bool {
    let length = request.body.len() as u64;
    seat.context_window.is_none_or(|window| tokens::fits_by_length(length, answer(request, seat), u64::from(window)))
}

/// Tokens to be kept free for the answer.
fn answer(request: &Request, seat: &Seat) -> u64 {
    match (request.operation, request.max_tokens) {
        (Operation::Embed | Operation::Image, _) => 0,
        (_, Some(asked)) => asked,
        // What is asked for in place of a number that the caller did not name.
        (Operation::Chat, None) if seat.upstream.settings.kind == ProviderKind::Anthropic => DEFAULT_MAX_TOKENS,
        (Operation::Completion, None) => 16,
        (Operation::Chat, None) => 1,
    }
}

async fn counted(request: &Request, vocabulary: Vocabulary) -> Option<Lengths> {
    let request = request.clone();
    tokio::task::spawn_blocking(move || Lengths::count(&request, vocabulary)).await.ok().flatten()
}

/// What `read` makes of `request`, without stopping other calls for a long one.
pub(super) async fn beside(request: &Request, read: fn(&Request) -> Option<Lengths>) -> Option<Lengths> {
    if request.body.len() <= MAX_READ_HERE {
        return read(request);
    }
    let request = request.clone();
    tokio::task::spawn_blocking(move || read(&request)).await.ok().flatten()
}
