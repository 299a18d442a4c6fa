//! Embeddings of many inputs: a request for more than a provider takes goes the chain's way in parts, each by itself, so
//! that only a part that failed is asked for again, there or elsewhere.
//!
//! Parts are asked for one after the other: a provider with a limit on its batches is not given several at once.

use std::{collections::VecDeque, ops::Range};

use fusebox_rules::batch::{Facts, MAX_PARTS, Part, Verdict, decide};

use super::{attempt::Answer, chain::Found, way::Way};
use crate::{
    chat::{
        answer::Whole,
        batch::{Batch, together},
        request::Operation,
    },
    clock,
    error::{ErrorKind, Failure, FieldFault},
};

/// Answers of the largest size allowed that all parts together may hold.
const MAX_ANSWERS: usize = 16;

/// Goes the chain's way, in parts where the request is for more embeddings than whoever is asked first takes at once.
///
/// # Errors
/// As the chain's; of a batch, the failure of the part that nobody could answer, which says what inputs it held.
pub(super) async fn chain(way: &mut Way) -> Result<Found, Failure> {
    if way.call.request.operation != Operation::Embed {
        return way.chain_within_windows().await;
    }
    let Some(limit) = way.batch_limit() else { return way.chain_within_windows().await };
    let all = Part::all(count(way.call.request.choices));
    let mut first = Step::Split(count(limit));
    if all.inputs.len() <= count(limit) {
        match way.chain_within_windows().await {
            Ok(found) => return Ok(found),
            Err(failure) => first = after(way, &all, failure)?,
        }
    }
    let Some(batch) = Batch::of(&way.call.request) else { return way.chain_within_windows().await };
    let whole = way.call.request.clone();
    let found = in_parts(way, &batch, first.parts(&all)).await;
    way.call.request = whole;
    found
}

/// What follows for a part that was too much.
enum Step {
    Split(usize),
    Halve(usize),
}

impl Step {
    fn parts(&self, part: &Part) -> Vec<Part> {
        match self {
            Self::Split(limit) => part.split(*limit, false),
            Self::Halve(limit) => part.split(*limit, true),
        }
    }
}

/// What follows for `part`, which nobody could answer.
///
/// # Errors
/// Nothing: it is the batch's failure.
fn after(way: &Way, part: &Part, failure: Failure) -> Result<Step, Failure> {
    let inputs = part.inputs.len();
    let facts = Facts {
        kind: failure.kind,
        inputs,
        halved: part.halved,
        smaller: way.route.batch_limit_below(u32::try_from(inputs).unwrap_or(u32::MAX)).map(count),
        in_time: clock::now() < way.deadline,
    };
    match decide(&facts) {
        Verdict::Split(limit) => Ok(Step::Split(limit)),
        Verdict::Halve(limit) => Ok(Step::Halve(limit)),
        Verdict::GiveUp => Err(failure),
    }
}

async fn in_parts(way: &mut Way, batch: &Batch, parts: Vec<Part>) -> Result<Found, Failure> {
    let most = way.plan().config.limits.max_answer.saturating_mul(MAX_ANSWERS);
    // What one call may have, each part may: without the others it would be one.
    let allowed = way.attempts_left.max(1);
    way.trace.in_parts(parts.len());
    let mut waiting = VecDeque::from(parts);
    let mut answers = Answers::default();
    while let Some(part) = waiting.pop_front() {
        if answers.parts.len() + waiting.len() >= MAX_PARTS {
            return Err(too_much(&format!("holds more inputs than can be asked for in {MAX_PARTS} parts")));
        }
        way.call.request = batch.part(&part.inputs).ok_or_else(no_such_part)?;
        way.attempts_left = allowed;
        way.trace.part(Some(part.inputs.clone()));
        let found = way.chain_within_windows().await;
        way.trace.part(None);
        match found {
            Ok(found) => answers.add(way, part, found)?,
            Err(failure) => {
                let step = after(way, &part, failure).map_err(|failure| of_part(failure, &part.inputs))?;
                let smaller = step.parts(&part);
                way.trace.in_parts(smaller.len());
                for smaller in smaller.into_iter().rev() {
                    waiting.push_front(smaller);
                }
            }
        }
        if answers.bytes > most {
            return Err(too_much("asks for more than one answer can hold; send fewer inputs"));
        }
    }
    answers.together(way)
}

/// The answers to parts, and who gave them.
#[derive(Default)]
struct Answers {
    parts: Vec<(Range<usize>, Whole)>,
    /// Each part's seat, and whether it is the first by rank.
    seats: Vec<(usize, bool)>,
    bytes: usize,
}

impl Answers {
    fn add(&mut self, way: &Way, part: Part, found: Found) -> Result<(), Failure> {
        let Answer::Whole(whole) = found.answer else {
            let message = "the provider streamed what does not come in a stream";
            let name = &way.route.seats[found.seat].upstream.settings.name;
            return Err(Failure::new(ErrorKind::InvalidResponse, message).by(name));
        };
        self.bytes += whole.body.len();
        self.parts.push((part.inputs, whole));
        self.seats.push((found.seat, found.first));
        Ok(())
    }

    /// One answer. Where several providers had a part in it that is told: their vectors may not be comparable.
    fn together(self, way: &mut Way) -> Result<Found, Failure> {
        let whole = together(&self.parts)?;
        let (seat, first) = self.seats.iter().copied().find(|(_, first)| !first).unwrap_or(self.seats[0]);
        let asked_first = self.seats.iter().find(|(_, first)| *first).map_or(seat, |(seat, _)| *seat);
        for ((inputs, _), (seat, _)) in self.parts.iter().zip(&self.seats).filter(|(_, (seat, _))| *seat != asked_first)
        {
            let name = &way.route.seats[*seat].upstream.settings.name;
            let warning = format!("{name} embedded inputs {} to {}", inputs.start, inputs.end - 1);
            way.outcome.warnings.push(warning);
        }
        Ok(Found { answer: Answer::Whole(whole), seat, first })
    }
}

/// The same failure, with the inputs that it is about.
fn of_part(mut failure: Failure, inputs: &Range<usize>) -> Failure {
    let (first, last) = (inputs.start, inputs.end.saturating_sub(1));
    failure.message = format!("inputs {first} to {last} were not embedded: {}", failure.message);
    failure.detail("inputs", format!("{first}-{last}"))
}

fn too_much(message: &str) -> Failure {
    Failure::fields(vec![FieldFault { path: "input".into(), message: message.into() }])
}

fn no_such_part() -> Failure {
    Failure::new(ErrorKind::InternalError, "the batch could not be taken apart")
}

fn count(inputs: u32) -> usize {
    usize::try_from(inputs).unwrap_or(usize::MAX)
}
