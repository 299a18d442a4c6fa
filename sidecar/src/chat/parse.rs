//! From a caller's bytes to a [`Request`] of good shape, or every fault that it has.

use std::fmt;

use bytes::Bytes;
use serde::de::{DeserializeSeed, Deserializer as _, MapAccess, Visitor};
use serde_json::{de::Read, value::RawValue};

use super::{
    aside::{Aside, Noting},
    bounds::Bounds,
    check::Check,
    clean,
    edit::{edited, span_in},
    fields::{Fields, Key, KeyIn},
    request::{Formats, Operation, Request},
    shape::{Seen, Table},
    tables,
    walk::{Path, Walk},
};
use crate::error::{ErrorKind, Failure};

/// Reads `body` as a request for `operation` that has been held to its bounds before.
///
/// # Errors
/// As [`admit`].
pub fn parse(operation: Operation, body: Bytes) -> Result<Request, Failure> {
    admit(operation, body, Bounds::NONE)
}

/// Reads `body`, as it came from a caller, as a request for `operation`. Control characters, and halves of characters,
/// are taken out of its texts; else its body is the caller's to the byte.
///
/// # Errors
/// `invalid_input`: the body is not one JSON object, or some fields are wrong; then each is named.
pub fn admit(operation: Operation, body: Bytes, bounds: Bounds) -> Result<Request, Failure> {
    let table = match operation {
        Operation::Chat => &tables::CHAT,
        Operation::Completion => &tables::COMPLETION,
        Operation::Embed => &tables::EMBEDDING,
        Operation::Image => &tables::IMAGE,
    };
    let (body, halves, read) = match walked(table, &body, bounds) {
        Err(Refused::NotJson(failure)) => match clean::without_lone_surrogates(&body) {
            Some((whole, halves)) => {
                // Where that was not all, what is told is where the document as it came breaks.
                let read = walked(table, &whole, bounds).map_err(|refused| refused.or_not_json(failure))?;
                (whole, halves, read)
            }
            None => return Err(failure),
        },
        Err(Refused::Fields(failure)) => return Err(failure),
        Ok(read) => (body, 0, read),
    };
    if !read.unwanted {
        return Ok(Request { operation, body, removed: halves, ..read.request });
    }
    let (body, removed) = cleaned(table, &body)?;
    let read = walked(table, &body, bounds).map_err(Refused::into_failure)?;
    Ok(Request { operation, body, removed: removed.saturating_add(halves), ..read.request })
}

/// A walk that found no fault.
struct Sound {
    request: Request,
    /// Whether there are characters to be taken out of its texts.
    unwanted: bool,
}

/// A walk that found faults, or could not be gone to its end.
enum Refused {
    NotJson(Failure),
    Fields(Failure),
}

impl Refused {
    fn into_failure(self) -> Failure {
        match self {
            Self::NotJson(failure) | Self::Fields(failure) => failure,
        }
    }

    fn or_not_json(self, not_json: Failure) -> Failure {
        match self {
            Self::NotJson(_) => not_json,
            Self::Fields(failure) => failure,
        }
    }
}

fn walked(table: &'static Table, body: &Bytes, bounds: Bounds) -> Result<Sound, Refused> {
    let walk = Walk::new(body, bounds);
    let found = found(table, body, &walk).map_err(Refused::NotJson)?;
    walk.close(table.fields.iter().find(|field| field.required).map_or("", |field| field.name));
    found.close(&walk);
    let (unwanted, request) = (walk.has_unwanted(), found.located(body));
    let faults = walk.into_faults();
    if faults.is_empty() { Ok(Sound { request, unwanted }) } else { Err(Refused::Fields(Failure::fields(faults))) }
}

/// `body` without the control characters in its texts, and how many there were.
fn cleaned(table: &'static Table, body: &Bytes) -> Result<(Bytes, u32), Failure> {
    let walk = Walk::cleaning(body);
    found(table, body, &walk)?;
    let (edits, removed) = walk.into_edits();
    Ok((edited(body, &edits), removed))
}

fn found<'de>(table: &'static Table, body: &'de [u8], walk: &Walk<'de>) -> Result<Found<'de>, Failure> {
    let top = Top { table, walk, aside: Noting::new(body), found: Found::default() };
    // As in `json::read`.
    match std::str::from_utf8(body) {
        Ok(text) => top.walk_over(serde_json::Deserializer::from_str(text)),
        Err(_) => top.walk_over(serde_json::Deserializer::from_slice(body)),
    }
    .map_err(|error| not_json(&error))
}

fn not_json(error: &serde_json::Error) -> Failure {
    let message = if error.is_data() {
        "the body must be a JSON object".to_owned()
    } else {
        format!("the body is not JSON: {error}")
    };
    Failure::new(ErrorKind::InvalidInput, message)
}

/// What the walk keeps of a request: raw values, whose place in the body can be told.
#[derive(Default)]
struct Found<'de> {
    model: Option<&'de RawValue>,
    max_tokens: Option<&'de RawValue>,
    stream: bool,
    choices: Option<u32>,
    /// Prompts of a completion, or inputs of embeddings.
    prompts: Option<u32>,
    stops: bool,
    response_format: Option<&'de RawValue>,
    tools: Option<&'de RawValue>,
    functions: Option<&'de RawValue>,
    stream_options: bool,
    logprobs: bool,
    top_logprobs: bool,
    best_of: Option<u32>,
    aside: Option<Aside>,
}

impl Found<'_> {
    /// Notes what holds between the document's own fields, and is held to by every provider.
    fn close(&self, walk: &Walk<'_>) {
        let note = |name, message| walk.note(&Path::Key(&Path::Root, name), message);
        if self.stream_options && !self.stream {
            note("stream_options", "may stand only where stream is true");
        }
        if self.top_logprobs && !self.logprobs {
            note("top_logprobs", "may stand only where logprobs is true");
        }
        if self.best_of.is_some_and(|best_of| best_of < self.choices.unwrap_or(1)) {
            note("best_of", "must not be less than n");
        }
    }

    fn located(self, body: &Bytes) -> Request {
        let model = self.model.map(RawValue::get).filter(|text| *text != "null");
        let max_tokens = self.max_tokens.map(RawValue::get);
        let there = |value: Option<&RawValue>| {
            value.map(RawValue::get).filter(|text| *text != "null").map(|text| span_in(body, text))
        };
        Request {
            operation: Operation::Chat,
            body: Bytes::new(),
            model: model.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default(),
            model_span: self.model.map(|value| span_in(body, value.get())),
            stream: self.stream,
            choices: self.choices.unwrap_or(1).saturating_mul(self.prompts.unwrap_or(1)),
            may_be_empty: self.stops || self.prompts.is_some(),
            max_tokens: max_tokens.and_then(|text| text.parse().ok()),
            max_tokens_span: max_tokens.map(|text| span_in(body, text)),
            formats: Formats {
                response_format: there(self.response_format),
                tools: there(self.tools),
                functions: there(self.functions),
            },
            removed: 0,
            aside: self.aside,
        }
    }
}

/// How many prompts or inputs there are: a list of texts or of lists of tokens holds several, a text or a list of tokens
/// is one.
fn prompts_in(seen: Seen) -> u32 {
    match seen {
        Seen::List { length, numbers: false } => u32::try_from(length).unwrap_or(u32::MAX).max(1),
        _ => 1,
    }
}

/// The walk's outermost step, which also keeps what it needs.
struct Top<'a, 'de> {
    table: &'static Table,
    walk: &'a Walk<'de>,
    aside: Noting<'de>,
    found: Found<'de>,
}

impl<'de> Top<'_, 'de> {
    fn walk_over<R: Read<'de>>(self, mut json: serde_json::Deserializer<R>) -> serde_json::Result<Found<'de>> {
        let found = json.deserialize_map(self)?;
        json.end()?;
        Ok(found)
    }
}

impl<'de> Visitor<'de> for Top<'_, 'de> {
    type Value = Found<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<Found<'de>, A::Error> {
        let mut fields = Fields::new(self.table);
        while let Some(key) = map.next_key_seed(KeyIn(self.table))? {
            let Key { index: Some(index), .. } = key else {
                self.aside.meet(key.bare(), false);
                self.walk.unread(&Path::Key(&Path::Root, &key.name), map.next_value()?);
                continue;
            };
            let field = &self.table.fields[index];
            self.aside.meet(key.bare(), field.aside);
            let path = Path::Key(&Path::Root, field.name);
            let check = Check { shape: field.shape, path: &path, walk: self.walk, nullable: !field.required };
            let seen = match field.name {
                "prompt" | "input" => {
                    let seen = map.next_value_seed(check)?;
                    self.found.prompts = Some(prompts_in(seen));
                    seen
                }
                "model"
                | "max_tokens"
                | "max_completion_tokens"
                | "stream"
                | "n"
                | "stop"
                | "response_format"
                | "tools"
                | "functions"
                | "stream_options"
                | "logprobs"
                | "top_logprobs"
                | "best_of" => {
                    let value: &'de RawValue = map.next_value()?;
                    self.keep(field.name, value);
                    // The value has been read once already, so it is JSON; only its shape can be wrong.
                    check
                        .deserialize(&mut serde_json::Deserializer::from_str(value.get()))
                        .map_err(serde::de::Error::custom)?
                }
                _ => map.next_value_seed(check)?,
            };
            fields.saw(index, seen, &path, self.walk);
        }
        fields.close(&Path::Root, self.walk);
        self.found.aside = self.aside.close();
        Ok(self.found)
    }
}

impl<'de> Top<'_, 'de> {
    fn keep(&mut self, name: &str, value: &'de RawValue) {
        match name {
            "model" => self.found.model = Some(value),
            "stream" => self.found.stream = value.get() == "true",
            "n" => self.found.choices = value.get().parse().ok(),
            "stop" => self.found.stops = value.get() != "null",
            "response_format" => self.found.response_format = Some(value),
            "tools" => self.found.tools = Some(value),
            "functions" => self.found.functions = Some(value),
            "stream_options" => self.found.stream_options = value.get() != "null",
            "logprobs" => self.found.logprobs = value.get() == "true",
            "top_logprobs" => self.found.top_logprobs = !matches!(value.get(), "null" | "0"),
            "best_of" => self.found.best_of = value.get().parse().ok(),
            // `max_completion_tokens` took the older name's place, so it counts where both are given.
            "max_completion_tokens" if value.get() != "null" => self.found.max_tokens = Some(value),
            // A null is kept for its place, in which a number can be put.
            _ if self.found.max_tokens.is_none_or(|kept| kept.get() == "null") => self.found.max_tokens = Some(value),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests;
