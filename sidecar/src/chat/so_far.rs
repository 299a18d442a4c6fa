//! What the caller of a stream has been told so far, read out of the very events that were sent.
//!
//! Read only once a stream has broken; until then its events are kept unread.

use fusebox_rules::survive::Told;
use serde_json::Value;

use super::sse;

/// Fields of a delta that hold what a model thinks, as servers name them.
pub(super) const THOUGHTS: [&str; 2] = ["reasoning_content", "reasoning"];
/// Fields of a delta of which no two halves may be joined.
pub(super) const PARTS: [&str; 4] = ["tool_calls", "function_call", "refusal", "audio"];

/// The part of an answer that was sent.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SoFar {
    /// The answer's text.
    pub words: String,
    /// What the model thought before it.
    pub thoughts: String,
    /// `id` of the first chunk.
    pub id: Option<Value>,
    /// `created` of the first chunk.
    pub created: Option<Value>,
    /// Something that is not text, or more choices than one, or the answer's end.
    parts: bool,
}

impl SoFar {
    /// Reads `events`, whole server-sent events of chunks in the order in which they were sent.
    #[must_use]
    pub fn read(events: &[u8]) -> Self {
        let (mut so_far, mut at) = (Self::default(), 0);
        while let Some(event) = sse::next_event(events, &mut at) {
            if let Ok(chunk) = serde_json::from_slice(&event.data) {
                so_far.take(&chunk);
            }
        }
        so_far
    }

    fn take(&mut self, chunk: &Value) {
        for (ours, name) in [(&mut self.id, "id"), (&mut self.created, "created")] {
            if ours.is_none() {
                *ours = chunk.get(name).cloned();
            }
        }
        for choice in chunk["choices"].as_array().into_iter().flatten() {
            let delta = &choice["delta"];
            self.parts |= choice["index"].as_u64().unwrap_or(0) > 0
                || says_something(&choice["logprobs"])
                || says_something(&choice["finish_reason"])
                || PARTS.iter().any(|name| says_something(&delta[*name]));
            for text in [&choice["text"], &delta["content"]] {
                self.parts |= !add(&mut self.words, text);
            }
            // Some servers write the same thought under both names.
            let thought = THOUGHTS.iter().map(|name| &delta[*name]).find(|thought| says_something(thought));
            self.parts |= !add(&mut self.thoughts, thought.unwrap_or(&Value::Null));
        }
    }

    /// What kind of thing was told.
    #[must_use]
    pub const fn told(&self) -> Told {
        if self.parts {
            Told::Parts
        } else if self.words.is_empty() {
            Told::Thoughts
        } else {
            Told::Words
        }
    }

    /// How many characters were told, thoughts included.
    #[must_use]
    pub fn chars(&self) -> usize {
        self.words.chars().count() + self.thoughts.chars().count()
    }
}

/// Adds `piece`, and says whether it was text or nothing.
fn add(text: &mut String, piece: &Value) -> bool {
    match piece {
        Value::String(piece) => text.push_str(piece),
        other => return !says_something(other),
    }
    true
}

/// Whether a value holds anything: not null, and not empty.
pub(super) fn says_something(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(deltas: &[&str]) -> SoFar {
        let event = |delta: &&str| {
            format!(
                "data: {{\"id\":\"x\",\"created\":7,\"choices\":[{{\"index\":0,\"delta\":{delta},\"logprobs\":null,\"finish_reason\":null}}]}}\n\n"
            )
        };
        SoFar::read(deltas.iter().map(event).collect::<String>().as_bytes())
    }

    #[test]
    fn text_is_put_together_over_events_and_frames() {
        let so_far = read(&[r#"{"role":"assistant","content":""}"#, r#"{"content":"gr"}"#, r#"{"content":"ö\"ß"}"#]);
        assert_eq!((so_far.words.as_str(), so_far.told(), so_far.chars()), ("grö\"ß", Told::Words, 5));
        assert_eq!((so_far.id, so_far.created), (Some("x".into()), Some(7.into())));
        let together =
            b": comment\n\ndata: {\"choices\":[{\"text\":\"a\"}]}\n\ndata: {\"choices\":[{\"text\":\"b\"}],\n\
              data: \"x\":1}\n\ndata: {\"choices\":[],\"usage\":{}}\n\n";
        assert_eq!(SoFar::read(together).words, "ab");
    }

    #[test]
    fn what_is_not_text_alone_is_parts() {
        for (deltas, told) in [
            (vec![r#"{"reasoning_content":"hm"}"#], Told::Thoughts),
            (vec![r#"{"reasoning":"hm","content":null}"#, r#"{"content":"a"}"#], Told::Words),
            (vec![r#"{"content":"a"}"#, r#"{"tool_calls":[{"index":0}]}"#], Told::Parts),
            (vec![r#"{"content":"a","tool_calls":[]}"#], Told::Words),
            (vec![r#"{"refusal":"no"}"#], Told::Parts),
            (vec![r#"{"content":[{"type":"text","text":"a"}]}"#], Told::Parts),
        ] {
            assert_eq!(read(&deltas).told(), told, "{deltas:?}");
        }
        for choice in [
            r#"{"index":1,"delta":{"content":"a"}}"#,
            r#"{"index":0,"delta":{"content":"a"},"finish_reason":"stop"}"#,
            r#"{"index":0,"delta":{"content":"a"},"logprobs":{"content":[]}}"#,
        ] {
            let events = format!("data: {{\"choices\":[{choice}]}}\n\n");
            assert_eq!(SoFar::read(events.as_bytes()).told(), Told::Parts, "{choice}");
        }
    }

    #[test]
    fn a_thought_under_two_names_is_one() {
        assert_eq!(read(&[r#"{"reasoning_content":"hm","reasoning":"hm"}"#]).thoughts, "hm");
    }
}
