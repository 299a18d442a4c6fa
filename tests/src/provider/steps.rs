//! From an act and a request to what happens on the wire, step by step. No I/O here.

use std::time::Duration;

use bytes::Bytes;

use super::{
    act::Act,
    anthropic,
    asked::{Asked, Event, Shape, Telling},
    openai,
    parts::{Answer, Dress, Ending, Reach, Say},
};

/// One thing that happens on the wire.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Step {
    Wait(Duration),
    /// Status and headers. `length`: of the body, where it is announced; else it comes in chunks.
    Head {
        status: u16,
        headers: Vec<(String, String)>,
        length: Option<usize>,
    },
    /// The head's first half.
    HalfHead,
    /// Part of the body, framed by itself and written at once.
    Body(Bytes),
    /// Bytes outside all framing.
    Wire(Bytes),
    /// The body's end.
    End,
    Cut,
    Reset,
    Hang,
    /// This part of the body again and again, so far apart, for ever.
    Forever(Bytes, Duration),
}

/// What `act` does to `asked`.
pub(super) fn plan(act: &Act, asked: &Asked) -> Vec<Step> {
    let begun = asked.begun();
    if let Some(continued) = act.continued.as_ref().filter(|_| begun.is_some() && asked.shape != Shape::Completion) {
        return plan(continued, asked);
    }
    if let (Say::Answer(answer), Some(begun)) = (&act.say, &begun)
        && answer.continues
    {
        let rest = Answer { continues: false, text: unsaid(&answer.text, begun), ..answer.clone() };
        return plan(&Act { say: Say::Answer(rest), ..act.clone() }, asked);
    }
    let mut steps = Vec::new();
    if !act.pace.before_head.is_zero() {
        steps.push(Step::Wait(act.pace.before_head));
    }
    match (&act.say, act.reach) {
        (Say::Wire(bytes), _) => steps.extend([Step::Wire(bytes.clone().into()), Step::Cut]),
        (_, Reach::Nothing) => steps.push(sudden(&act.ending)),
        (_, Reach::HalfHead) => steps.extend([Step::HalfHead, sudden(&act.ending)]),
        (Say::Document { content_type, body }, _) => whole(act, content_type, body, &mut steps),
        (Say::Answer(answer), _) if asked.stream() => stream(act, answer, asked, &mut steps),
        (Say::Answer(answer), _) => {
            let body = whole_answer(act, answer, asked);
            whole(act, "application/json", body.as_bytes(), &mut steps);
        }
    }
    steps
}

/// What of `words` is left to say after `begun`, or after what it ends in; all of them, if it ends in none of them.
fn unsaid(words: &[String], begun: &str) -> Vec<String> {
    let whole = words.concat();
    let said =
        (0..=whole.len()).rev().filter(|at| whole.is_char_boundary(*at)).find(|at| begun.ends_with(&whole[..*at]));
    let mut said = said.unwrap_or(0);
    let mut left = Vec::new();
    for word in words {
        let cut = said.min(word.len());
        said -= cut;
        if cut < word.len() {
            left.push(word[cut..].to_owned());
        }
    }
    left
}

/// An ending where no body has begun.
const fn sudden(ending: &Ending) -> Step {
    match ending {
        Ending::Reset => Step::Reset,
        Ending::Hang | Ending::KeepAlives(_) => Step::Hang,
        _ => Step::Cut,
    }
}

fn head(act: &Act, content_type: &str, length: Option<usize>) -> Step {
    let mut headers = act.headers.clone();
    if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type")) {
        headers.push(("content-type".to_owned(), content_type.to_owned()));
    }
    Step::Head { status: act.status.unwrap_or(200), headers, length }
}

fn whole_answer(act: &Act, answer: &Answer, asked: &Asked) -> String {
    let finish = !matches!(act.ending, Ending::End | Ending::DoneWithoutFinish);
    match (&act.ending, asked.shape) {
        (Ending::Error { kind, message }, Shape::Messages) => anthropic::error(kind, message).data,
        (Ending::Error { kind, message }, _) => openai::error(kind, message).data,
        (Ending::End, _) if act.reach == Reach::Head => String::new(),
        (_, Shape::Messages) => anthropic::whole(answer, asked, finish),
        _ => openai::whole(answer, asked, finish),
    }
}

/// A document with its length announced; an ending in the middle comes after half of it.
fn whole(act: &Act, content_type: &str, body: &[u8], steps: &mut Vec<Step>) {
    let mut body = body.to_vec();
    if act.ending == Ending::Malformed {
        body.truncate(body.len() / 2);
    }
    if act.ending == Ending::Garbage {
        steps.extend([head(act, content_type, None), Step::Body(body.into()), garbage(), Step::Cut]);
        return;
    }
    steps.push(head(act, content_type, Some(body.len())));
    if !act.pace.before_first.is_zero() {
        steps.push(Step::Wait(act.pace.before_first));
    }
    let all = act.reach == Reach::Tokens;
    let last = match &act.ending {
        Ending::Cut => Step::Cut,
        Ending::Reset => Step::Reset,
        Ending::Hang => Step::Hang,
        Ending::KeepAlives(interval) => Step::Forever(Bytes::from_static(b" "), *interval),
        _ => Step::End,
    };
    if last == Step::End {
        push_body(&act.dress, &body, steps);
    } else if all {
        push_body(&act.dress, &body[..body.len() / 2], steps);
    }
    steps.push(last);
}

fn stream(act: &Act, answer: &Answer, asked: &Asked, steps: &mut Vec<Step>) {
    let anthropic = asked.shape == Shape::Messages;
    let telling = if anthropic { anthropic::telling(answer, asked) } else { openai::telling(answer, asked) };
    steps.push(head(act, "text/event-stream", None));
    if act.reach == Reach::Tokens {
        push_events(act, &telling.opening, steps);
        if !act.pace.before_first.is_zero() {
            steps.push(Step::Wait(act.pace.before_first));
        }
        let stops_after = act.stops_after.unwrap_or(usize::MAX);
        for (place, token) in telling.tokens.iter().enumerate().take(stops_after) {
            if place > 0 && !act.pace.between.is_zero() {
                steps.push(Step::Wait(act.pace.between));
            }
            push_events(act, token, steps);
        }
    }
    ending(act, &telling, anthropic, steps);
    if let Some(at) = act.dress.split_at {
        split(steps, at);
    }
}

fn ending(act: &Act, telling: &Telling, anthropic: bool, steps: &mut Vec<Step>) {
    match &act.ending {
        Ending::Properly => {
            push_events(act, &telling.finish, steps);
            push_events(act, &telling.done, steps);
        }
        Ending::Cut => return steps.push(Step::Cut),
        Ending::Reset => return steps.push(Step::Reset),
        Ending::Hang => return steps.push(Step::Hang),
        Ending::Garbage => return steps.extend([garbage(), Step::Cut]),
        Ending::KeepAlives(interval) => {
            let comment = if anthropic { "event: ping\ndata: {\"type\": \"ping\"}\n\n" } else { ": keep-alive\n\n" };
            return steps.push(Step::Forever(Bytes::from_static(comment.as_bytes()), *interval));
        }
        Ending::End => {}
        Ending::WithoutDone => push_events(act, &telling.finish, steps),
        Ending::HangAfterFinish => {
            push_events(act, &telling.finish, steps);
            return steps.push(Step::Hang);
        }
        Ending::DoneWithoutFinish => push_events(act, &telling.done, steps),
        Ending::Error { kind, message } if anthropic => {
            push_events(act, &[anthropic::error(kind, message)], steps);
        }
        Ending::Error { kind, message } => {
            push_events(act, &[openai::error(kind, message)], steps);
            push_events(act, &telling.done, steps);
        }
        Ending::Malformed => {
            push_events(act, &[Event::data("{\"id\":\"chatcmpl-1\",\"choices\":[{\"ind")], steps);
            push_events(act, &telling.finish, steps);
            push_events(act, &telling.done, steps);
        }
    }
    steps.push(Step::End);
}

fn garbage() -> Step {
    Step::Wire(Bytes::from_static(b"not-a-length\r\nwhat is this?\r\n"))
}

fn push_events(act: &Act, events: &[Event], steps: &mut Vec<Step>) {
    for event in events {
        push_body(&act.dress, written(event, &act.dress).as_bytes(), steps);
    }
}

fn push_body(dress: &Dress, bytes: &[u8], steps: &mut Vec<Step>) {
    if dress.byte_by_byte {
        steps.extend(bytes.iter().map(|byte| Step::Body(Bytes::copy_from_slice(&[*byte]))));
    } else if !bytes.is_empty() {
        steps.push(Step::Body(Bytes::copy_from_slice(bytes)));
    }
}

fn written(event: &Event, dress: &Dress) -> String {
    let mut lines = String::new();
    if dress.comments {
        lines.push_str(": a comment, {\"which\": \"is no data\"}\n\n");
    }
    if let Some(name) = event.name {
        lines.push_str(&format!("event: {name}\n"));
    }
    if dress.multi_line {
        // A comma outside strings is a place where JSON may hold a line break.
        for line in event.data.replace(",\"", ",\n\"").lines() {
            lines.push_str(&format!("data: {line}\n"));
        }
    } else {
        lines.push_str(&format!("data: {}\n", event.data));
    }
    lines.push('\n');
    if dress.crlf { lines.replace('\n', "\r\n") } else { lines }
}

/// Joins all parts of the body and divides them anew at byte `at`.
fn split(steps: &mut Vec<Step>, at: usize) {
    let mut body = Vec::new();
    steps.retain(|step| match step {
        Step::Body(bytes) => {
            body.extend_from_slice(bytes);
            false
        }
        _ => true,
    });
    let at = at.min(body.len());
    let place = 1 + steps.iter().position(|step| matches!(step, Step::Head { .. })).unwrap_or(0);
    let parts = [&body[..at], &body[at..]];
    let parts = parts.into_iter().filter(|part| !part.is_empty()).map(|part| Step::Body(Bytes::copy_from_slice(part)));
    steps.splice(place..place, parts);
}
