//! What each choice of an answer says, whole or in pieces, as far as it is checked: its text, and the tools it calls.
//!
//! Read leniently where nothing is lost by it: parts for a text, an object for a call's arguments.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::chat::{answer::Finish, inspect::finish};

/// Calls of one choice that are collected; more are a fault.
const MAX_CALLS: usize = 1024;

/// A `chat.completion` or one of its chunks.
#[derive(Deserialize)]
pub(super) struct Document<'a> {
    #[serde(borrow, default)]
    pub(super) choices: Option<Vec<Choice<'a>>>,
}

#[derive(Deserialize)]
pub(super) struct Choice<'a> {
    #[serde(default)]
    pub(super) index: Option<u32>,
    #[serde(borrow, default)]
    pub(super) message: Option<Message<'a>>,
    #[serde(borrow, default)]
    pub(super) delta: Option<Message<'a>>,
    #[serde(borrow, default)]
    finish_reason: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
pub(super) struct Message<'a> {
    #[serde(borrow, default)]
    pub(super) content: Option<&'a RawValue>,
    #[serde(borrow, default)]
    refusal: Option<&'a RawValue>,
    #[serde(borrow, default)]
    tool_calls: Option<Vec<ToolCall<'a>>>,
    #[serde(borrow, default)]
    function_call: Option<Function<'a>>,
}

#[derive(Deserialize)]
struct ToolCall<'a> {
    #[serde(default)]
    index: Option<u32>,
    #[serde(borrow, default)]
    id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    function: Option<Function<'a>>,
}

#[derive(Deserialize)]
struct Function<'a> {
    #[serde(borrow, default)]
    name: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    arguments: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Part<'a> {
    #[serde(borrow, default)]
    text: Option<Cow<'a, str>>,
}

impl Choice<'_> {
    /// Why it stopped, if it did.
    pub(super) fn finish(&self) -> Option<Finish> {
        self.finish_reason.as_deref().filter(|name| !name.is_empty()).map(finish)
    }
}

/// What one choice has said so far.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Said {
    pub(super) text: String,
    /// Whether the model declined in a field of its own.
    pub(super) refused: bool,
    /// Tools called, by their index.
    pub(super) calls: Vec<Called>,
    /// The call of a function in the old way.
    pub(super) function: Option<Called>,
}

/// A call of a tool.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Called {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) arguments: String,
    /// Whether it is a function's: other kinds of tools take what is no JSON.
    pub(super) is_function: bool,
}

impl Said {
    /// Takes in a message, or a piece of one. Gives the bytes that were added.
    pub(super) fn add(&mut self, message: &Message<'_>) -> usize {
        let before = self.text.len();
        if let Some(content) = message.content {
            self.text.push_str(&text_of(content));
        }
        let mut added = self.text.len() - before;
        self.refused |= message.refusal.is_some_and(|refusal| !matches!(refusal.get(), "null" | "\"\""));
        for (place, piece) in message.tool_calls.iter().flatten().enumerate() {
            let index = piece.index.map_or(place, |index| usize::try_from(index).unwrap_or(usize::MAX));
            if index >= MAX_CALLS {
                continue;
            }
            if self.calls.len() <= index {
                self.calls.resize_with(index + 1, Called::default);
            }
            let call = &mut self.calls[index];
            call.id.push_str(piece.id.as_deref().filter(|_| call.id.is_empty()).unwrap_or_default());
            added += piece.function.as_ref().map_or(0, |function| call.add(function));
        }
        if let Some(function) = &message.function_call {
            added += self.function.get_or_insert_default().add(function);
        }
        added
    }

    /// Whether a tool is called, in either way.
    pub(super) fn calls_tools(&self) -> bool {
        self.function.is_some() || !self.calls.is_empty()
    }
}

impl Called {
    fn add(&mut self, function: &Function<'_>) -> usize {
        self.is_function = true;
        // Some servers repeat the name with every piece.
        if self.name.is_empty() {
            self.name.push_str(function.name.as_deref().unwrap_or_default());
        }
        let arguments = function.arguments.map(arguments_of).unwrap_or_default();
        self.arguments.push_str(&arguments);
        arguments.len()
    }
}

/// A string's text; parts' texts, joined; of anything else nothing.
pub(super) fn text_of(value: &RawValue) -> Cow<'_, str> {
    let json = value.get();
    match json.as_bytes().first() {
        Some(b'"') => string(json),
        Some(b'[') => {
            let parts: Vec<Part<'_>> = serde_json::from_str(json).unwrap_or_default();
            Cow::Owned(parts.into_iter().filter_map(|part| part.text).collect())
        }
        _ => Cow::Borrowed(""),
    }
}

/// A string's text; some servers write the arguments as the object that they are.
fn arguments_of(value: &RawValue) -> Cow<'_, str> {
    match value.get() {
        "null" => Cow::Borrowed(""),
        json if json.starts_with('"') => string(json),
        json => Cow::Borrowed(json),
    }
}

fn string(json: &str) -> Cow<'_, str> {
    // `Cow<str>` by itself is always owned; a borrowed string is tried first.
    match serde_json::from_str::<&str>(json) {
        Ok(plain) => Cow::Borrowed(plain),
        Err(_) => Cow::Owned(serde_json::from_str(json).unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(pieces: &[&str]) -> Said {
        let mut said = Said::default();
        let mut added = 0;
        for piece in pieces {
            let document: Document<'_> = serde_json::from_str(piece).unwrap();
            for choice in document.choices.unwrap() {
                added += said.add(&choice.message.or(choice.delta).unwrap());
            }
        }
        let calls: usize = said.calls.iter().chain(&said.function).map(|call| call.arguments.len()).sum();
        assert_eq!(added, said.text.len() + calls);
        said
    }

    #[test]
    fn pieces_make_the_same_whole() {
        let whole = said(&[r#"{"choices":[{"message":{"content":"a\"b","tool_calls":[
            {"id":"1","type":"function","function":{"name":"f","arguments":"{\"x\":1}"}},
            {"id":"2","type":"function","function":{"name":"g","arguments":{"y":2}}}]}}]}"#]);
        let pieces = said(&[
            r#"{"choices":[{"delta":{"role":"assistant","content":""}}]}"#,
            r#"{"choices":[{"delta":{"content":"a\""}}]}"#,
            r#"{"choices":[{"delta":{"content":"b"}}]}"#,
            r#"{"choices":[{"delta":{"tool_calls":[{"index":0,"id":"1","function":{"name":"f","arguments":""}}]}}]}"#,
            r#"{"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\"x\""}}]}}]}"#,
            r#"{"choices":[{"delta":{"tool_calls":[{"index":0,"id":"1","function":{"name":"f","arguments":":1}"}}]}}]}"#,
            r#"{"choices":[{"delta":{"tool_calls":[{"index":1,"id":"2","function":{"name":"g","arguments":"{\"y\":2}"}}]}}]}"#,
        ]);
        assert_eq!(whole, pieces);
        assert_eq!((whole.text.as_str(), whole.calls.len(), whole.refused), ("a\"b", 2, false));
    }

    #[test]
    fn other_ways_of_saying_it_are_understood() {
        let parts = said(&[
            r#"{"choices":[{"message":{"content":[{"type":"text","text":"a"},{"type":"text","text":"b"}],"refusal":null}}]}"#,
        ]);
        assert_eq!(parts.text, "ab");
        let declined = said(&[r#"{"choices":[{"message":{"content":null,"refusal":"no"}}]}"#]);
        assert!(declined.refused && declined.text.is_empty());
        let old =
            said(&[r#"{"choices":[{"message":{"content":null,"function_call":{"name":"f","arguments":"{}"}}}]}"#]);
        assert!(old.calls_tools() && old.function.unwrap().name == "f");
        let custom = said(&[
            r#"{"choices":[{"message":{"tool_calls":[{"id":"1","type":"custom","custom":{"name":"c","input":"x"}}]}}]}"#,
        ]);
        assert!(!custom.calls[0].is_function);
    }

    #[test]
    fn an_index_out_of_all_bounds_takes_no_memory() {
        let far = said(&[r#"{"choices":[{"delta":{"tool_calls":[{"index":4000000000,"id":"1"}]}}]}"#]);
        assert!(far.calls.is_empty());
    }
}
