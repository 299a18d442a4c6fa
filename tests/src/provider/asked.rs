//! A request as the scripted provider reads it.

use serde_json::Value;

/// Whose wire format a request is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    Chat,
    Completion,
    Embeddings,
    Images,
    Models,
    Messages,
}

/// A request, as far as an answer depends on it.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) seq: usize,
    pub(super) shape: Shape,
    pub(super) body: Value,
}

impl Asked {
    pub(super) fn new(seq: usize, path: &str, body: Value) -> Self {
        let path = path.split('?').next().unwrap_or_default();
        let shape = if path.ends_with("/messages") {
            Shape::Messages
        } else if path.ends_with("/chat/completions") {
            Shape::Chat
        } else if path.ends_with("/completions") {
            Shape::Completion
        } else if path.ends_with("/embeddings") {
            Shape::Embeddings
        } else if path.ends_with("/images/generations") {
            Shape::Images
        } else {
            Shape::Models
        };
        Self { seq, shape, body }
    }

    pub(super) fn stream(&self) -> bool {
        self.body["stream"].as_bool().unwrap_or(false) && !matches!(self.shape, Shape::Embeddings | Shape::Images)
    }

    pub(super) fn model(&self) -> &str {
        self.body["model"].as_str().unwrap_or("unnamed")
    }

    /// What the assistant's last message, which is to be continued, has said; for a text completion, its prompt.
    pub(super) fn begun(&self) -> Option<String> {
        if self.shape == Shape::Completion {
            return self.body["prompt"].as_str().map(str::to_owned);
        }
        let last = self.body["messages"].as_array()?.last().filter(|last| last["role"] == "assistant")?;
        let blocks = |blocks: &Vec<Value>| blocks.iter().filter_map(|block| block["text"].as_str()).collect();
        last["content"].as_str().map(str::to_owned).or_else(|| last["content"].as_array().map(blocks))
    }

    pub(super) fn choices(&self) -> u64 {
        self.body["n"].as_u64().unwrap_or(1)
    }
}

/// One server-sent event.
#[derive(Debug, Clone)]
pub(super) struct Event {
    pub(super) name: Option<&'static str>,
    pub(super) data: String,
}

impl Event {
    pub(super) fn data(data: impl Into<String>) -> Self {
        Self { name: None, data: data.into() }
    }
}

/// A streamed answer in a vendor's shape, in the parts at which it can break.
#[derive(Debug, Default)]
pub(super) struct Telling {
    pub(super) opening: Vec<Event>,
    /// One entry a token: the events that carry it.
    pub(super) tokens: Vec<Vec<Event>>,
    pub(super) finish: Vec<Event>,
    pub(super) done: Vec<Event>,
}

/// `text` as a JSON string.
pub(super) fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}
