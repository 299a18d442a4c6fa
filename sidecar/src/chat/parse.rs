//! From a caller's bytes to a [`Request`] of good shape, or every fault that it has.

use std::{fmt, ops::Range};

use bytes::Bytes;
use serde::de::{DeserializeSeed, Deserializer as _, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::{
    request::{Formats, Operation, Request},
    shape::{Check, Faults, Fields, KeyIn, Path, Seen, Table},
    tables,
};
use crate::error::{ErrorKind, Failure};

/// Reads `body` as a request for `operation`.
///
/// # Errors
/// `invalid_input`: the body is not one JSON object, or some fields are wrong; then each is named.
pub fn parse(operation: Operation, body: Bytes) -> Result<Request, Failure> {
    let table = match operation {
        Operation::Chat => &tables::CHAT,
        Operation::Completion => &tables::COMPLETION,
        Operation::Embed => &tables::EMBEDDING,
        Operation::Image => &tables::IMAGE,
    };
    let faults = Faults::default();
    let found = {
        let mut json = serde_json::Deserializer::from_slice(&body);
        let top = Top { table, faults: &faults, found: Found::default() };
        let found = json.deserialize_map(top).map_err(|error| not_json(&error))?;
        json.end().map_err(|error| not_json(&error))?;
        found.located(&body)
    };
    let faults = faults.into_inner();
    if !faults.is_empty() {
        return Err(Failure::fields(faults));
    }
    Ok(Request { operation, body, ..found })
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
}

impl Found<'_> {
    fn located(&self, body: &Bytes) -> Request {
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
        }
    }
}

/// Where `part`, which was borrowed from `whole`, stands in it.
pub(super) fn span_in(whole: &[u8], part: &str) -> Range<usize> {
    let start = (part.as_ptr() as usize).saturating_sub(whole.as_ptr() as usize);
    start..start + part.len()
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
    faults: &'a Faults,
    found: Found<'de>,
}

impl<'de> Visitor<'de> for Top<'_, 'de> {
    type Value = Found<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<Found<'de>, A::Error> {
        let mut fields = Fields::new(self.table);
        while let Some(key) = map.next_key_seed(KeyIn(self.table))? {
            let Some(index) = key else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            let field = &self.table.fields[index];
            let path = Path::Key(&Path::Root, field.name);
            let check = Check { shape: field.shape, path: &path, faults: self.faults, nullable: !field.required };
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
                | "functions" => {
                    let value: &'de RawValue = map.next_value()?;
                    self.keep(field.name, value);
                    // The value has been read once already, so it is JSON; only its shape can be wrong.
                    check
                        .deserialize(&mut serde_json::Deserializer::from_str(value.get()))
                        .map_err(serde::de::Error::custom)?
                }
                _ => map.next_value_seed(check)?,
            };
            fields.saw(index, seen, &path, self.faults);
        }
        fields.close(&Path::Root, self.faults);
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
