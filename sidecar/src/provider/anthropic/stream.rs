//! From the events of a Messages API stream to chat completion chunks, one event at a time.
//!
//! Text passes through as the JSON that came, neither unescaped nor escaped. Cutting bytes into
//! events, timing them, and deciding what a stream's end means are left to others.

use std::borrow::Cow;

use bytes::{BufMut, BytesMut};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{json, value::RawValue};

use super::wire::{self, Counts};
use crate::{
    chat::{
        answer::{Finish, Usage},
        json,
    },
    error::{ErrorKind, Failure},
    provider::fault,
};

/// More tool calls than this in one answer are taken for a fault.
pub const MAX_TOOL_CALLS: usize = 1024;

/// What has been said so far, as far as the next event needs it.
#[derive(Debug)]
pub struct Translator {
    created: u64,
    include_usage: bool,
    /// A chunk's text up to the value of `delta`; empty until the message has begun.
    head: String,
    /// Bytes of `head` that come before `choices`.
    before_choices: usize,
    counts: Counts,
    calls: Vec<ToolCall>,
    finished: bool,
}

#[derive(Debug)]
struct ToolCall {
    /// The index of its block in the message.
    block: u64,
    /// Whether a part of its arguments has been sent.
    has_arguments: bool,
}

/// What one event meant.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Step {
    /// Chunks written that carry tokens.
    pub tokens: u32,
    /// Why the model stopped, if it said so here.
    pub finish: Option<Finish>,
    /// What it all cost, told beside the finish.
    pub usage: Option<Usage>,
    /// `model` as the provider said it, when the message begins.
    pub model: Option<String>,
    /// Whether the provider said that nothing more will come.
    pub done: bool,
}

#[derive(Deserialize)]
struct Kind<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
}

#[derive(Deserialize)]
struct MessageStart {
    message: Opening,
}

#[derive(Deserialize)]
struct Opening {
    id: String,
    model: String,
    #[serde(default)]
    usage: Counts,
}

#[derive(Deserialize)]
struct BlockStart {
    index: u64,
    content_block: Block,
}

#[derive(Deserialize)]
struct Block {
    #[serde(rename = "type")]
    kind: String,
    id: Option<String>,
    name: Option<String>,
    input: Option<Box<RawValue>>,
    text: Option<Box<RawValue>>,
    thinking: Option<Box<RawValue>>,
}

#[derive(Deserialize)]
struct BlockDelta<'a> {
    index: u64,
    #[serde(borrow)]
    delta: Delta<'a>,
}

/// Any kind of delta: each has one of these, or none that is of use to the caller.
#[derive(Deserialize)]
struct Delta<'a> {
    #[serde(borrow)]
    text: Option<&'a RawValue>,
    #[serde(borrow)]
    thinking: Option<&'a RawValue>,
    #[serde(borrow)]
    partial_json: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct BlockStop {
    index: u64,
}

#[derive(Deserialize)]
struct MessageDelta {
    delta: Stop,
    #[serde(default)]
    usage: Counts,
}

#[derive(Deserialize)]
struct Stop {
    stop_reason: Option<String>,
}

impl Translator {
    /// A translator of one stream. `created`, in seconds of Unix time, is each chunk's; with `include_usage` a last
    /// chunk without choices tells the usage.
    #[must_use]
    pub fn new(created: u64, include_usage: bool) -> Self {
        Self {
            created,
            include_usage,
            head: String::new(),
            before_choices: 0,
            counts: Counts::default(),
            calls: Vec::new(),
            finished: false,
        }
    }

    /// Translates the event called `name` (else by its `type`) that says `data`, writing whole events to `out`.
    /// Events that mean nothing here, `ping` among them, are no progress.
    ///
    /// # Errors
    /// The provider's own error if the event is one, [`ErrorKind::StreamBroken`] if it is not what the API
    /// promises. Nothing more can be made of the stream then.
    pub fn event(&mut self, name: Option<&str>, data: &[u8], out: &mut BytesMut) -> Result<Step, Failure> {
        let found: Kind<'_>;
        let name = match name {
            Some(name) => name,
            None => {
                found = read(data)?;
                &found.kind
            }
        };
        match name {
            "message_start" => self.message_start(parse(data)?, out),
            "content_block_start" => self.block_start(parse(data)?, out),
            "content_block_delta" => self.block_delta(&read(data)?, out),
            "content_block_stop" => self.block_stop(&parse(data)?, out),
            "message_delta" => self.message_delta(parse(data)?, out),
            "message_stop" => Ok(Step { done: true, ..Step::default() }),
            "error" => Err(fault::from_event(data).unwrap_or_else(|| broken("an error without words"))),
            _ => Ok(Step::default()),
        }
    }

    fn message_start(&mut self, start: MessageStart, out: &mut BytesMut) -> Result<Step, Failure> {
        if !self.head.is_empty() {
            return Err(broken("a second message_start"));
        }
        let Opening { id, model, usage } = start.message;
        let beginning = json!({
            "id": id, "object": "chat.completion.chunk", "created": self.created, "model": model,
        })
        .to_string();
        self.head = format!("data: {}", beginning.trim_end_matches('}'));
        self.before_choices = self.head.len();
        self.head.push_str(r#","choices":[{"index":0,"delta":"#);
        self.counts = usage;
        self.chunk(out, &[r#"{"role":"assistant","content":""}"#]);
        Ok(Step { model: Some(model), ..Step::default() })
    }

    fn block_start(&mut self, start: BlockStart, out: &mut BytesMut) -> Result<Step, Failure> {
        self.begun()?;
        let BlockStart { index, content_block: block } = start;
        match block.kind.as_str() {
            "text" => return self.text("content", block.text.as_deref(), out),
            "thinking" => return self.text("reasoning_content", block.thinking.as_deref(), out),
            "tool_use" => {}
            _ => return Ok(Step::default()),
        }
        if self.calls.len() == MAX_TOOL_CALLS {
            return Err(broken("too many tool calls"));
        }
        let call = json!({ "index": self.calls.len(), "id": block.id, "type": "function",
            "function": { "name": block.name, "arguments": "" } });
        self.chunk(out, &[r#"{"tool_calls":["#, &call.to_string(), "]}"]);
        self.calls.push(ToolCall { block: index, has_arguments: false });
        // Most servers send the arguments in deltas and an empty object here; some send all of them here.
        if let Some(input) = block.input.filter(|input| !matches!(input.get(), "{}" | "null")) {
            self.arguments(self.calls.len() - 1, &serde_json::Value::from(input.get()).to_string(), out);
        }
        Ok(Step { tokens: 1, ..Step::default() })
    }

    fn block_delta(&mut self, event: &BlockDelta<'_>, out: &mut BytesMut) -> Result<Step, Failure> {
        self.begun()?;
        let Delta { text, thinking, partial_json } = event.delta;
        if text.is_some() {
            return self.text("content", text, out);
        }
        if thinking.is_some() {
            return self.text("reasoning_content", thinking, out);
        }
        let (Some(json), Some(call)) = (partial_json, self.call(event.index)) else {
            return Ok(Step::default());
        };
        match string(json)? {
            r#""""# => Ok(Step::default()),
            part => {
                self.arguments(call, part, out);
                Ok(Step { tokens: 1, ..Step::default() })
            }
        }
    }

    fn block_stop(&mut self, event: &BlockStop, out: &mut BytesMut) -> Result<Step, Failure> {
        self.begun()?;
        // A call without arguments comes without deltas, but callers parse what they are given.
        if let Some(call) = self.call(event.index).filter(|call| !self.calls[*call].has_arguments) {
            self.arguments(call, r#""{}""#, out);
        }
        Ok(Step::default())
    }

    fn message_delta(&mut self, event: MessageDelta, out: &mut BytesMut) -> Result<Step, Failure> {
        self.begun()?;
        self.counts.update(event.usage);
        let Some(stop_reason) = event.delta.stop_reason.filter(|_| !self.finished) else {
            return Ok(Step::default());
        };
        self.finished = true;
        let (finish, word) = wire::finish(&stop_reason);
        out.reserve(2 * self.head.len() + 256);
        out.put_slice(self.head.as_bytes());
        let usage = self.no_usage();
        out.put_slice(format!("{{}},\"logprobs\":null,\"finish_reason\":\"{word}\"}}]{usage}}}\n\n").as_bytes());
        if self.include_usage {
            let head = &self.head[..self.before_choices];
            let usage = self.counts.document();
            out.put_slice(format!("{head},\"choices\":[],\"usage\":{usage}}}\n\n").as_bytes());
        }
        Ok(Step { finish: Some(finish), usage: Some(self.counts.usage()), ..Step::default() })
    }

    /// Some more text, given as JSON, for the field `name`.
    fn text(&self, name: &str, text: Option<&RawValue>, out: &mut BytesMut) -> Result<Step, Failure> {
        let Some(text) = text else { return Ok(Step::default()) };
        match string(text)? {
            r#""""# => Ok(Step::default()),
            text => {
                self.chunk(out, &["{\"", name, "\":", text, "}"]);
                Ok(Step { tokens: 1, ..Step::default() })
            }
        }
    }

    /// A part of the arguments of a call, as a JSON string.
    fn arguments(&mut self, call: usize, part: &str, out: &mut BytesMut) {
        self.calls[call].has_arguments = true;
        let number = call.to_string();
        self.chunk(out, &[r#"{"tool_calls":[{"index":"#, &number, r#","function":{"arguments":"#, part, "}}]}"]);
    }

    /// Writes a chunk whose `delta` is `parts` joined.
    fn chunk(&self, out: &mut BytesMut, parts: &[&str]) {
        let tail = [r#","logprobs":null,"finish_reason":null}]"#, self.no_usage(), "}\n\n"];
        let parts = || [self.head.as_str()].into_iter().chain(parts.iter().copied()).chain(tail);
        out.reserve(parts().map(str::len).sum());
        parts().for_each(|part| out.put_slice(part.as_bytes()));
    }

    /// As OpenAI does, every chunk but the last names the usage that the last will tell.
    fn no_usage(&self) -> &'static str {
        if self.include_usage { r#","usage":null"# } else { "" }
    }

    /// The call whose arguments the block `index` holds. The newest is the likeliest.
    fn call(&self, index: u64) -> Option<usize> {
        self.calls.iter().rposition(|call| call.block == index)
    }

    fn begun(&self) -> Result<(), Failure> {
        if self.head.is_empty() { Err(broken("no message_start came first")) } else { Ok(()) }
    }
}

/// The JSON of a string.
fn string(json: &RawValue) -> Result<&str, Failure> {
    let text = json.get();
    if text.starts_with('"') { Ok(text) } else { Err(broken("text that is not a string")) }
}

fn parse<T: DeserializeOwned>(data: &[u8]) -> Result<T, Failure> {
    read(data)
}

fn read<'a, T: Deserialize<'a>>(data: &'a [u8]) -> Result<T, Failure> {
    json::read(data).map_err(|error| broken(&error.to_string()))
}

fn broken(why: &str) -> Failure {
    Failure::new(ErrorKind::StreamBroken, "the provider's stream does not follow its API").inside(why)
}

#[cfg(test)]
mod tests;
