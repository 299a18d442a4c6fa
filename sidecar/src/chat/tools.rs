//! Tool calls: those that a conversation shows, and those that an answer asks for, whole or streamed.
//!
//! Read only for calls that belong to an agent run. Two calls are the same if their tools are and their arguments
//! mean the same JSON, however it is written.

use std::{borrow::Cow, collections::BTreeMap};

use fusebox_rules::run::{MAX_NAME, ToolCall};
use memchr::memmem;
use serde::Deserialize;
use serde_json::Value;

use super::{answer::Chunk, sse::next_event};

/// Tool calls of one conversation or answer that are looked at; of more, the rest are not.
const MAX_CALLS: usize = 1024;
/// Bytes of names and arguments that are kept of a stream; what follows is told apart from nothing.
const MAX_KEPT: usize = 1 << 20;

/// The tool calls in `body`'s conversation since its last user spoke: what the agent has done for the task at hand.
/// What is no conversation shows none.
#[must_use]
pub fn shown(body: &[u8]) -> Vec<ToolCall> {
    let Ok(conversation) = serde_json::from_slice::<Conversation<'_>>(body) else { return Vec::new() };
    let since = conversation.messages.iter().rposition(|message| message.role == "user").map_or(0, |last| last + 1);
    all(conversation.messages.into_iter().skip(since).map(|message| {
        let Message { tool_calls, function_call, .. } = message;
        Calls { tool_calls, function_call }
    }))
}

/// The tool calls that a whole answer asks for, over all its choices.
#[must_use]
pub fn answered(body: &[u8]) -> Vec<ToolCall> {
    let Ok(answer) = serde_json::from_slice::<Answer<'_>>(body) else { return Vec::new() };
    all(answer.choices.into_iter().filter_map(|choice| choice.message))
}

/// Puts together the tool calls that a stream asks for.
#[derive(Debug, Default)]
pub struct Collector {
    /// By choice and by place in it.
    parts: BTreeMap<(u32, u32), Part>,
    kept: usize,
}

#[derive(Debug, Default)]
struct Part {
    name: String,
    arguments: String,
}

impl Collector {
    /// Hears a stream's next events.
    pub fn hear(&mut self, chunk: &Chunk) {
        let calls = |word: &[u8]| memmem::find(&chunk.events, word).is_some();
        if !calls(b"\"tool_calls\"") && !calls(b"\"function_call\"") {
            return;
        }
        let mut at = 0;
        while let Some(event) = next_event(&chunk.events, &mut at) {
            if let Ok(event) = serde_json::from_slice::<Answer<'_>>(&event.data) {
                self.take(&event);
            }
        }
    }

    /// What was asked for.
    #[must_use]
    pub fn calls(&self) -> Vec<ToolCall> {
        self.parts.values().map(|part| tool_call(&part.name, &part.arguments)).collect()
    }

    fn take(&mut self, event: &Answer<'_>) {
        for choice in &event.choices {
            let Some(delta) = &choice.delta else { continue };
            let numbered = delta.tool_calls.iter().flatten().map(|call| (call.index.unwrap_or(0), call.said()));
            let old = delta.function_call.iter().map(|called| (0, (&called.name, &called.arguments)));
            for (index, (name, arguments)) in numbered.chain(old) {
                self.add((choice.index.unwrap_or(0), index), name.as_deref(), arguments.as_deref());
            }
        }
    }

    fn add(&mut self, key: (u32, u32), name: Option<&str>, arguments: Option<&str>) {
        if self.parts.len() >= MAX_CALLS && !self.parts.contains_key(&key) {
            return;
        }
        let part = self.parts.entry(key).or_default();
        for (kept, more) in [(&mut part.name, name), (&mut part.arguments, arguments)] {
            let more = more.unwrap_or_default();
            if self.kept + more.len() <= MAX_KEPT {
                self.kept += more.len();
                kept.push_str(more);
            }
        }
    }
}

#[derive(Deserialize)]
struct Conversation<'a> {
    #[serde(borrow, default)]
    messages: Vec<Message<'a>>,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow, default)]
    role: Cow<'a, str>,
    // Not flattened: that would read all that is said beside them.
    #[serde(borrow)]
    tool_calls: Option<Vec<Call<'a>>>,
    #[serde(borrow)]
    function_call: Option<Called<'a>>,
}

/// An answer, or an event of one.
#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow, default)]
    choices: Vec<Choice<'a>>,
}

#[derive(Deserialize)]
struct Choice<'a> {
    index: Option<u32>,
    #[serde(borrow)]
    message: Option<Calls<'a>>,
    #[serde(borrow)]
    delta: Option<Calls<'a>>,
}

/// What a message, or a part of one, says of tools.
#[derive(Deserialize)]
struct Calls<'a> {
    #[serde(borrow)]
    tool_calls: Option<Vec<Call<'a>>>,
    #[serde(borrow)]
    function_call: Option<Called<'a>>,
}

#[derive(Deserialize)]
struct Call<'a> {
    index: Option<u32>,
    #[serde(borrow)]
    function: Option<Called<'a>>,
    #[serde(borrow)]
    custom: Option<Custom<'a>>,
}

#[derive(Deserialize)]
struct Called<'a> {
    #[serde(borrow)]
    name: Option<Cow<'a, str>>,
    #[serde(borrow)]
    arguments: Option<Cow<'a, str>>,
}

/// A tool whose input is free text.
#[derive(Deserialize)]
struct Custom<'a> {
    #[serde(borrow)]
    name: Option<Cow<'a, str>>,
    #[serde(borrow)]
    input: Option<Cow<'a, str>>,
}

type Said<'c, 'a> = (&'c Option<Cow<'a, str>>, &'c Option<Cow<'a, str>>);

impl<'a> Call<'a> {
    /// The tool's name, and what it is to be called with.
    fn said(&self) -> Said<'_, 'a> {
        match (&self.function, &self.custom) {
            (Some(called), _) => (&called.name, &called.arguments),
            (None, Some(custom)) => (&custom.name, &custom.input),
            (None, None) => (&None, &None),
        }
    }
}

fn all<'a>(messages: impl Iterator<Item = Calls<'a>>) -> Vec<ToolCall> {
    let mut found = Vec::new();
    for calls in messages {
        let old = calls.function_call.iter().map(|called| (&called.name, &called.arguments));
        for (name, arguments) in calls.tool_calls.iter().flatten().map(Call::said).chain(old) {
            if found.len() == MAX_CALLS {
                return found;
            }
            found.push(tool_call(name.as_deref().unwrap_or_default(), arguments.as_deref().unwrap_or_default()));
        }
    }
    found
}

fn tool_call(name: &str, arguments: &str) -> ToolCall {
    let mut print = Print::new();
    print.add(name.as_bytes());
    print.add(&[0xFF]);
    match serde_json::from_str::<Value>(arguments) {
        Ok(value) => print.value(&value),
        Err(_) => print.add(arguments.trim().as_bytes()),
    }
    ToolCall { name: name[..name.floor_char_boundary(MAX_NAME)].to_owned(), print: print.0 }
}

/// FNV-1a over 64 bits: the same in every process, which the standard library's hashers do not promise. A caller that
/// makes two calls collide hurts its own run only.
struct Print(u64);

impl Print {
    const fn new() -> Self {
        Self(0xCBF2_9CE4_8422_2325)
    }

    fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01B3);
        }
    }

    /// What `value` means: without regard to white space, to escapes, and to the order of keys.
    fn value(&mut self, value: &Value) {
        match value {
            Value::Null => self.add(b"n"),
            Value::Bool(flag) => self.add(if *flag { b"t" } else { b"f" }),
            Value::Number(number) => {
                self.add(b"#");
                self.add(number.to_string().as_bytes());
            }
            Value::String(text) => self.text(text),
            Value::Array(items) => {
                self.add(b"[");
                items.iter().for_each(|item| self.value(item));
                self.add(b"]");
            }
            Value::Object(fields) => {
                let mut fields: Vec<_> = fields.iter().collect();
                fields.sort_unstable_by_key(|(name, _)| name.as_str());
                self.add(b"{");
                for (name, value) in fields {
                    self.text(name);
                    self.value(value);
                }
                self.add(b"}");
            }
        }
    }

    /// No byte of UTF-8 is 0xFF, so a text ends where it does.
    fn text(&mut self, text: &str) {
        self.add(b"\"");
        self.add(text.as_bytes());
        self.add(&[0xFF]);
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn chunk(events: impl Into<Bytes>) -> Chunk {
        Chunk { events: events.into(), ..Chunk::default() }
    }

    fn print_of(name: &str, arguments: &str) -> u64 {
        tool_call(name, arguments).print
    }

    #[test]
    fn two_calls_are_the_same_if_they_mean_the_same() {
        let same = [
            (r#"{"a":1,"b":[true,null]}"#, "{ \"b\" : [true, null],\n \"a\" : 1 }"),
            (r#"{"a":"é"}"#, r#"{"a":"\u00e9"}"#),
            ("", "  "),
            ("{not json", " {not json "),
        ];
        for (one, other) in same {
            assert_eq!(print_of("t", one), print_of("t", other), "{one} {other}");
        }
        let different = [
            ("t", r#"{"a":1}"#, "t", r#"{"a":"1"}"#),
            ("t", r#"{"a":1}"#, "u", r#"{"a":1}"#),
            ("t", "[1,[2]]", "t", "[[1],2]"),
            ("t", r#"["a","b"]"#, "t", r#"["ab"]"#),
            ("t", r#"{"a":null}"#, "t", "{}"),
            ("t{", "", "t", "{"),
        ];
        for (name, one, other_name, other) in different {
            assert_ne!(print_of(name, one), print_of(other_name, other), "{one} {other}");
        }
    }

    #[test]
    fn a_print_is_the_same_in_every_process() {
        assert_eq!(print_of("search", r#"{"q":"x"}"#), 0xED6B_7B24_4541_D4A5);
    }

    #[test]
    fn a_conversation_shows_what_was_called_since_its_user_spoke() {
        let call = |name: &str| json!({"id": "1", "type": "function", "function": {"name": name, "arguments": "{}"}});
        let body = json!({"messages": [
            {"role": "user", "content": [{"type": "text", "text": "hello"}]},
            {"role": "assistant", "content": null, "tool_calls": [call("old")]},
            {"role": "user", "content": "again"},
            {"role": "assistant", "tool_calls": [call("a"), call("b")]},
            {"role": "tool", "tool_call_id": "1", "content": "x"},
            {"role": "assistant", "function_call": {"name": "c", "arguments": "{}"}},
            {"role": "assistant", "tool_calls": [{"id": "2", "type": "custom", "custom": {"name": "d", "input": "i"}}]},
            {"role": "assistant", "tool_calls": null, "content": "x"},
        ]});
        let names: Vec<_> = shown(body.to_string().as_bytes()).into_iter().map(|call| call.name).collect();
        assert_eq!(names, ["a", "b", "c", "d"]);
        for other in [&b"{}"[..], b"[]", b"{\"messages\": 1}", b"{\"input\": \"x\"}", b"\xFF"] {
            assert_eq!(shown(other), []);
        }
    }

    #[test]
    fn a_stream_asks_for_what_the_whole_answer_would() {
        let whole = json!({"choices": [
            {"index": 0, "message": {"tool_calls": [
                {"id": "1", "type": "function", "function": {"name": "a", "arguments": "{\"x\": 1}"}},
                {"id": "2", "type": "function", "function": {"name": "b", "arguments": "{}"}}]}},
            {"index": 1, "message": {"content": "no"}},
        ]});
        let delta = |index: u32, name: Option<&str>, arguments: &str| {
            let call = json!({"index": index, "function": {"name": name, "arguments": arguments}});
            format!("data: {}\n\n", json!({"choices": [{"index": 0, "delta": {"tool_calls": [call]}}]}))
        };
        let mut collector = Collector::default();
        collector.hear(&chunk(delta(0, Some("a"), "") + &delta(0, None, "{\"x\"")));
        collector.hear(&chunk("data: {\"choices\":[{\"index\":1,\"delta\":{\"content\":\"no\"}}]}\n\n"));
        collector.hear(&chunk(delta(1, Some("b"), "{}") + &delta(0, None, ":1}")));
        collector.hear(&chunk("data: \"tool_calls\"\n\n"));
        assert_eq!(collector.calls(), answered(whole.to_string().as_bytes()));
        assert_eq!(collector.calls().len(), 2);
    }

    #[test]
    fn a_stream_without_end_is_kept_within_bounds() {
        let mut collector = Collector::default();
        let long = "x".repeat(100_000);
        for index in 0..2_000 {
            let call = json!({"index": index, "function": {"name": "t", "arguments": long}});
            let event = json!({"choices": [{"delta": {"tool_calls": [call]}}]});
            collector.hear(&chunk(format!("data: {event}\n\n")));
        }
        assert!(collector.kept <= MAX_KEPT && collector.parts.len() == MAX_CALLS);
        assert_eq!(collector.calls().len(), MAX_CALLS);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_harm(bytes in prop::collection::vec(any::<u8>(), 0..200), text in ".{0,60}") {
            let _ = (shown(&bytes), answered(&bytes), tool_call(&text, &text));
            let mut collector = Collector::default();
            collector.hear(&chunk(bytes));
            collector.hear(&chunk(format!("data: {{\"choices\":[{{\"delta\":{{\"tool_calls\":{text}}}}}]}}\n\n")));
        }
    }
}
