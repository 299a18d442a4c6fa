//! From OpenAI's JSON, as providers answer it, back to the contract's messages.
//!
//! Read leniently where nothing is lost by it, for providers differ: parts for a text, an object for
//! a call's arguments, null for nothing. What the contract has no field for (reasoning, log
//! probabilities, further choices) is left out. Why the answer ended and what it cost come from the
//! facts beside the document, which every provider's reader has already made out.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use fusebox_proto::v1::{self, part::Kind as PartKind};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::said::{Said, text_of};
use crate::{
    chat::answer::{Finish, Usage, Whole},
    error::{ErrorKind, Failure},
};

/// A `chat.completion` or a `chat.completion.chunk`.
#[derive(Deserialize)]
struct Document<'a> {
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    choices: Option<Vec<Choice<'a>>>,
}

#[derive(Deserialize)]
struct Choice<'a> {
    #[serde(default)]
    index: Option<u32>,
    #[serde(borrow, default)]
    message: Option<Said<'a>>,
    // Not the same field under another name: some providers close a stream with the whole message once more.
    #[serde(borrow, default)]
    delta: Option<Said<'a>>,
}

impl<'a> Document<'a> {
    fn read(json: &'a [u8]) -> Result<Self, Failure> {
        serde_json::from_slice(json).map_err(|error| unreadable(&error))
    }

    fn id(&self) -> String {
        self.id.map(text_of).unwrap_or_default()
    }

    fn first_choice(self) -> Option<Choice<'a>> {
        self.choices.into_iter().flatten().find(|choice| choice.index.unwrap_or(0) == 0)
    }
}

/// What one event of a stream adds.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Delta {
    pub(super) id: String,
    pub(super) text: String,
    pub(super) tool_calls: Vec<v1::ToolCallDelta>,
}

/// Reads one event's `chat.completion.chunk`.
pub(super) fn delta(json: &[u8]) -> Result<Delta, Failure> {
    let document = Document::read(json)?;
    let id = document.id();
    let said = document.first_choice().and_then(|choice| choice.delta).unwrap_or_default();
    Ok(shown(id, said))
}

fn shown(id: String, said: Said<'_>) -> Delta {
    let tool_calls = said.tool_calls().map(|(index, id, name, arguments_delta)| v1::ToolCallDelta {
        index,
        id,
        name,
        arguments_delta,
    });
    Delta { id, tool_calls: tool_calls.collect(), text: said.into_text() }
}

/// A whole `chat.completion` as the answer to `Generate`.
pub(super) fn completion(whole: &Whole, outcome: v1::Outcome) -> Result<v1::GenerateResponse, Failure> {
    let (id, said) = message(&whole.body)?;
    let tool_calls = said.tool_calls().map(|(_, id, name, arguments)| v1::ToolCall { id, name, arguments }).collect();
    let text = Some(said.into_text()).filter(|text| !text.is_empty());
    let message = v1::Message {
        role: v1::Role::Assistant.into(),
        content: text.map(|text| v1::Part { kind: Some(PartKind::Text(text)) }).into_iter().collect(),
        tool_calls,
        ..v1::Message::default()
    };
    Ok(v1::GenerateResponse {
        id,
        message: Some(message),
        finish_reason: finish_reason(whole.finish).into(),
        usage: whole.usage.map(usage),
        outcome: Some(outcome),
    })
}

/// A whole `chat.completion` as the first and last message of a stream.
pub(super) fn only_message(whole: &Whole, outcome: v1::Outcome) -> Result<v1::StreamGenerateResponse, Failure> {
    let (id, said) = message(&whole.body)?;
    let Delta { id, text, tool_calls } = shown(id, said);
    Ok(v1::StreamGenerateResponse {
        id,
        text_delta: text,
        tool_call_deltas: tool_calls,
        finish_reason: finish_reason(whole.finish).into(),
        usage: whole.usage.map(usage),
        outcome: Some(outcome),
    })
}

/// A whole answer's id, and what its first choice says.
fn message(json: &[u8]) -> Result<(String, Said<'_>), Failure> {
    let document = Document::read(json)?;
    let id = document.id();
    let said = document.first_choice().and_then(|choice| choice.message);
    Ok((id, said.ok_or_else(|| invalid("the answer holds no message"))?))
}

/// A finish in a provider's own word is a stop: the model did end its answer, and the contract has no nearer word.
pub(super) fn finish_reason(finish: Option<Finish>) -> v1::FinishReason {
    match finish {
        None => v1::FinishReason::Unspecified,
        Some(Finish::Stop | Finish::Other) => v1::FinishReason::Stop,
        Some(Finish::Length) => v1::FinishReason::Length,
        Some(Finish::ToolCalls) => v1::FinishReason::ToolCalls,
        Some(Finish::ContentFilter) => v1::FinishReason::ContentFilter,
    }
}

pub(super) fn usage(usage: Usage) -> v1::Usage {
    v1::Usage { input_tokens: usage.input_tokens, output_tokens: usage.output_tokens }
}

#[derive(Deserialize)]
struct Embeddings<'a> {
    #[serde(borrow)]
    data: Vec<Embedded<'a>>,
}

#[derive(Deserialize)]
struct Embedded<'a> {
    #[serde(default)]
    index: Option<usize>,
    #[serde(borrow)]
    embedding: &'a RawValue,
}

/// A list of embeddings as the answer to `Embed` of `asked` texts, in the order of those texts.
pub(super) fn embeddings(whole: &Whole, asked: usize, outcome: v1::Outcome) -> Result<v1::EmbedResponse, Failure> {
    let list: Embeddings<'_> = serde_json::from_slice(&whole.body).map_err(|error| unreadable(&error))?;
    if list.data.len() != asked {
        return Err(invalid("there are not as many embeddings as texts"));
    }
    let mut placed: Vec<Option<v1::Embedding>> = vec![None; asked];
    for (position, embedded) in list.data.into_iter().enumerate() {
        let values = values(embedded.embedding)?;
        let place = placed.get_mut(embedded.index.unwrap_or(position)).filter(|place| place.is_none());
        *place.ok_or_else(|| invalid("the embeddings are not numbered as the texts are"))? =
            Some(v1::Embedding { values });
    }
    Ok(v1::EmbedResponse {
        embeddings: placed.into_iter().flatten().collect(),
        usage: whole.usage.map(usage),
        outcome: Some(outcome),
    })
}

/// Numbers, or the little-endian bytes of 32-bit floats in base64.
fn values(embedding: &RawValue) -> Result<Vec<f32>, Failure> {
    if embedding.get().starts_with('[') {
        return serde_json::from_str(embedding.get()).map_err(|error| unreadable(&error));
    }
    let text: String = serde_json::from_str(embedding.get()).map_err(|error| unreadable(&error))?;
    let bytes = STANDARD.decode(text).map_err(|error| unreadable(&error))?;
    let (floats, []) = bytes.as_chunks::<4>() else {
        return Err(invalid("an embedding's bytes are not 32-bit floats"));
    };
    Ok(floats.iter().map(|float| f32::from_le_bytes(*float)).collect())
}

fn invalid(message: &str) -> Failure {
    Failure::new(ErrorKind::InvalidResponse, message)
}

fn unreadable(error: &dyn std::error::Error) -> Failure {
    invalid("the provider's answer could not be read").inside(error.to_string())
}

#[cfg(test)]
mod tests;
