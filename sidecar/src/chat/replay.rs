//! One answer in the other's form: a whole one from a stream's events, and events from a whole one.
//!
//! For answers that are told again, long after they were made; nothing here is on a first answer's way. Fields that are
//! not known are carried along as far as their form allows: texts and lists are joined, of anything else the last counts.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{answer::Chunk, request::Operation, sse};

/// Items of one list that are gone on with by their index; of more, each is told by itself.
const MAX_INDEXED: usize = 1024;

/// Whether a streamed request asks for the count of tokens at its answer's end.
#[must_use]
pub fn asks_for_usage(body: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Asked {
        stream_options: Option<Options>,
    }
    #[derive(Deserialize)]
    struct Options {
        include_usage: Option<bool>,
    }
    let asked: Option<Asked> = serde_json::from_slice(body).ok();
    asked.and_then(|asked| asked.stream_options?.include_usage).unwrap_or(false)
}

/// The whole document that a stream's `events` come to; `None`: they are none that can be put together.
#[must_use]
pub fn whole(operation: Operation, events: &[u8]) -> Option<Bytes> {
    let (mut at, mut head, mut usage) = (0, None, Value::Null);
    let mut choices: BTreeMap<u64, Map<String, Value>> = BTreeMap::new();
    while let Some(event) = sse::next_event(events, &mut at) {
        let Ok(Value::Object(mut chunk)) = serde_json::from_slice(&event.data) else { continue };
        if let Some(told) = chunk.remove("usage").filter(|told| !told.is_null()) {
            usage = told;
        }
        if let Some(Value::Array(parts)) = chunk.remove("choices") {
            for part in parts {
                let Value::Object(mut part) = part else { return None };
                let index = part.get("index").and_then(Value::as_u64).unwrap_or(0);
                let choice = choices.entry(index).or_default();
                if let Some(delta) = part.remove("delta") {
                    join(choice.entry("message").or_insert_with(|| json!({})), delta);
                }
                for (name, value) in part {
                    match name.as_str() {
                        "index" => drop(choice.insert(name, value)),
                        // Some send an empty string on every chunk but the last.
                        "finish_reason" if value.as_str().is_none_or(str::is_empty) => {}
                        "finish_reason" => drop(choice.insert(name, value)),
                        // Some close a stream with the whole message once more.
                        "message" => {}
                        _ => join(choice.entry(name).or_insert(Value::Null), value),
                    }
                }
            }
        }
        head.get_or_insert(chunk);
    }
    let mut document = head.filter(|_| !choices.is_empty())?;
    if operation == Operation::Chat {
        document.insert("object".into(), "chat.completion".into());
    }
    document.insert("choices".into(), choices.into_values().map(|choice| Value::Object(finished(choice))).collect());
    if !usage.is_null() {
        document.insert("usage".into(), usage);
    }
    Some(Bytes::from(Value::Object(document).to_string()))
}

/// Adds what is new to what was said before.
fn join(said: &mut Value, new: Value) {
    match (said, new) {
        (_, Value::Null) => {}
        (Value::String(said), Value::String(new)) => said.push_str(&new),
        (Value::Object(said), Value::Object(new)) => {
            for (name, value) in new {
                match said.get_mut(&name) {
                    // These are said again rather than gone on with.
                    Some(known) if matches!(name.as_str(), "role" | "id" | "type" | "name") => {
                        if known.as_str().is_none_or(str::is_empty) {
                            *known = value;
                        }
                    }
                    Some(known) => join(known, value),
                    None => drop(said.insert(name, value)),
                }
            }
        }
        (Value::Array(said), Value::Array(new)) => {
            for item in new {
                let index = item.get("index").and_then(Value::as_u64);
                // Long lists are of what has no index, such as tokens' probabilities.
                let known = match index {
                    None => None,
                    Some(_) => {
                        said.iter_mut().take(MAX_INDEXED).find(|one| one.get("index").and_then(Value::as_u64) == index)
                    }
                };
                match known {
                    Some(known) => join(known, item),
                    None => said.push(item),
                }
            }
        }
        (said, new) => *said = new,
    }
}

/// A choice as a whole answer has it.
fn finished(mut choice: Map<String, Value>) -> Map<String, Value> {
    if let Some(Value::Object(message)) = choice.get_mut("message") {
        if let Some(Value::Array(calls)) = message.get_mut("tool_calls") {
            calls.iter_mut().filter_map(Value::as_object_mut).for_each(|call| drop(call.remove("index")));
            if message.get("content").is_none_or(|content| content == "") {
                message.insert("content".into(), Value::Null);
            }
        }
        message.entry("content").or_insert(Value::Null);
    }
    choice.entry("finish_reason").or_insert(Value::Null);
    choice
}

/// The events that tell the whole document `body`, and how many carry tokens; `None`: it is none that can be streamed.
#[must_use]
pub fn events(operation: Operation, body: &[u8], with_usage: bool) -> Option<Chunk> {
    let Ok(Value::Object(mut head)) = serde_json::from_slice(body) else { return None };
    let Some(Value::Array(choices)) = head.remove("choices") else { return None };
    let usage = head.remove("usage").filter(|usage| with_usage && !usage.is_null());
    if operation == Operation::Chat {
        head.insert("object".into(), "chat.completion.chunk".into());
    }
    let mut events = String::with_capacity(body.len() + 512);
    let mut tell = |choices: Value, usage: Option<Value>| {
        let mut chunk = head.clone();
        chunk.insert("choices".into(), choices);
        if let Some(usage) = usage {
            chunk.insert("usage".into(), usage);
        }
        events.push_str("data: ");
        events.push_str(&Value::Object(chunk).to_string());
        events.push_str("\n\n");
    };
    let (mut tokens, mut ends) = (0, Vec::with_capacity(choices.len()));
    for choice in choices {
        let Value::Object(mut choice) = choice else { return None };
        let finish = choice.insert("finish_reason".into(), Value::Null);
        let index = choice.get("index").cloned().unwrap_or(json!(0));
        let empty = if operation == Operation::Chat {
            let mut message = choice.remove("message")?;
            for (position, call) in message["tool_calls"].as_array_mut().into_iter().flatten().enumerate() {
                call["index"] = json!(position);
            }
            if message["tool_calls"].is_null() {
                message.as_object_mut()?.shift_remove("tool_calls");
            }
            choice.insert("delta".into(), message);
            json!({"index": index, "delta": {}, "finish_reason": finish})
        } else {
            json!({"index": index, "text": "", "finish_reason": finish})
        };
        tokens += 1;
        tell(Value::Array(vec![Value::Object(choice)]), None);
        ends.push(empty);
    }
    ends.into_iter().for_each(|end| tell(Value::Array(vec![end]), None));
    if let Some(usage) = usage {
        tell(json!([]), Some(usage));
    }
    Some(Chunk { events: Bytes::from(events), tokens, ..Chunk::default() })
}

/// `events` as a caller gets them that did not ask for the count of tokens: without the event that holds only it.
#[must_use]
pub fn without_usage(events: &Bytes) -> Bytes {
    #[derive(Deserialize)]
    struct Event {
        #[serde(default)]
        choices: Vec<serde::de::IgnoredAny>,
    }
    let mut at = 0;
    let mut kept = Vec::with_capacity(events.len());
    while let Some(event) = sse::next_event(events, &mut at) {
        if serde_json::from_slice::<Event>(&event.data).is_ok_and(|event| !event.choices.is_empty()) {
            kept.extend_from_slice(&events[event.span]);
        }
    }
    Bytes::from(kept)
}

#[cfg(test)]
mod tests;
