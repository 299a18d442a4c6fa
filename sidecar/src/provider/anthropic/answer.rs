//! From a whole Messages API answer to a chat completion.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};

use super::wire::{self, Counts};
use crate::{
    chat::{
        answer::{Finish, Whole},
        json,
    },
    error::{ErrorKind, Failure},
    provider::{fault, said_nothing},
};

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow)]
    model: Cow<'a, str>,
    #[serde(borrow)]
    content: Vec<Block<'a>>,
    #[serde(borrow)]
    stop_reason: Option<Cow<'a, str>>,
    usage: Option<Counts>,
}

/// Any kind of block: those that are not text, thinking or tool use are of no use to the caller.
#[derive(Deserialize)]
struct Block<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    text: Option<Cow<'a, str>>,
    #[serde(borrow)]
    thinking: Option<Cow<'a, str>>,
    #[serde(borrow)]
    id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    name: Option<Cow<'a, str>>,
    #[serde(borrow)]
    input: Option<&'a RawValue>,
}

/// Translates `body`, a message that came with a status of success. `created` is in seconds of Unix time.
///
/// # Errors
/// The provider's own error if `body` is one; [`ErrorKind::InvalidResponse`] if it is no message, or one that is
/// empty or does not say why it stopped; [`ErrorKind::ContentFiltered`] if it is a refusal, or ended by one.
pub fn translate(body: &[u8], created: u64) -> Result<Whole, Failure> {
    let message: Message<'_> = match json::read(body) {
        Ok(message) => message,
        Err(error) => return Err(fault::from_event(body).unwrap_or_else(|| invalid(&error.to_string()))),
    };
    let Some(stop_reason) = &message.stop_reason else {
        return Err(invalid("stop_reason is missing"));
    };
    let (finish, word) = wire::finish(stop_reason);
    let said = said(&message.content);
    if finish == Finish::ContentFilter || (finish != Finish::Length && said.is_empty()) {
        return Err(said_nothing(Some(finish)).used(message.usage.map(|counts| counts.usage())));
    }
    let counts = message.usage;
    let mut document = json!({
        "id": message.id,
        "object": "chat.completion",
        "created": created,
        "model": message.model,
        "choices": [{
            "index": 0,
            "message": said.message(),
            "logprobs": null,
            "finish_reason": word,
        }],
    });
    if let Some(counts) = counts {
        document["usage"] = counts.document();
    }
    Ok(Whole {
        body: document.to_string().into(),
        finish: Some(finish),
        usage: counts.map(|counts| counts.usage()),
        model: Some(message.model.into_owned()),
    })
}

/// What the blocks come to.
struct Said {
    text: String,
    thoughts: String,
    calls: Vec<Value>,
}

fn said(blocks: &[Block<'_>]) -> Said {
    let mut said = Said { text: String::new(), thoughts: String::new(), calls: Vec::new() };
    for block in blocks {
        match &*block.kind {
            "text" => said.text.push_str(block.text.as_deref().unwrap_or_default()),
            "thinking" => said.thoughts.push_str(block.thinking.as_deref().unwrap_or_default()),
            "tool_use" => said.calls.push(json!({
                "id": block.id,
                "type": "function",
                "function": { "name": block.name, "arguments": block.input.map_or("{}", RawValue::get) },
            })),
            _ => {}
        }
    }
    said
}

impl Said {
    fn is_empty(&self) -> bool {
        self.text.is_empty() && self.thoughts.is_empty() && self.calls.is_empty()
    }

    fn message(self) -> Value {
        let content = if self.text.is_empty() && !self.calls.is_empty() { Value::Null } else { self.text.into() };
        let mut message = json!({ "role": "assistant", "content": content, "refusal": null });
        if !self.thoughts.is_empty() {
            message["reasoning_content"] = self.thoughts.into();
        }
        if !self.calls.is_empty() {
            message["tool_calls"] = self.calls.into();
        }
        message
    }
}

fn invalid(why: &str) -> Failure {
    Failure::new(ErrorKind::InvalidResponse, "the provider's answer is not a message of its API").inside(why)
}

#[cfg(test)]
mod tests;
