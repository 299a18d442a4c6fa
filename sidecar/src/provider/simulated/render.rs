//! A simulated answer in OpenAI's JSON, whole or in events.

use bytes::{BufMut as _, BytesMut};
use serde_json::{Value, json};

use super::script::{Answer, Script};
use crate::chat::{
    answer::{Chunk, Finish, Whole},
    request::Operation,
};

/// The whole document.
pub(super) fn whole(script: &Script) -> Whole {
    let mut document = head(script, "");
    document["choices"] = choices(script).map(|(index, answer)| choice(script, index, answer)).collect();
    document["usage"] = usage(script);
    Whole {
        body: document.to_string().into(),
        finish: script.answers.first().map(|answer| answer.finish),
        usage: Some(script.usage()),
        model: Some(script.model.clone()),
    }
}

fn choice(script: &Script, index: usize, answer: &Answer) -> Value {
    let finish = word(answer.finish);
    if script.operation == Operation::Completion {
        return json!({ "index": index, "text": answer.text(), "logprobs": null, "finish_reason": finish });
    }
    let message = match &answer.tool {
        None => json!({ "role": "assistant", "content": answer.text(), "refusal": null }),
        Some(name) => json!({
            "role": "assistant",
            "content": null,
            "refusal": null,
            "tool_calls": [{
                "id": call_id(script, index),
                "type": "function",
                "function": { "name": name, "arguments": answer.text() },
            }],
        }),
    };
    json!({ "index": index, "message": message, "logprobs": null, "finish_reason": finish })
}

/// What comes before the first token, of every choice.
pub(super) fn opening(script: &Script, events: &mut BytesMut) {
    if script.operation == Operation::Completion {
        return;
    }
    for (index, answer) in choices(script) {
        let mut delta = json!({ "role": "assistant", "content": "" });
        if let Some(name) = &answer.tool {
            delta["content"] = Value::Null;
            delta["tool_calls"] = json!([{
                "index": 0,
                "id": call_id(script, index),
                "type": "function",
                "function": { "name": name, "arguments": "" },
            }]);
        }
        event(script, &json!([{ "index": index, "delta": delta, "logprobs": null, "finish_reason": null }]), events);
    }
}

/// One step: a token of every choice that has one left, or the finish of all. What it is goes into `chunk`.
pub(super) fn step(script: &Script, step: usize, events: &mut BytesMut, chunk: &mut Chunk) {
    if step == script.steps() {
        return finish(script, events, chunk);
    }
    for (index, answer) in choices(script) {
        let Some(token) = answer.token(step) else { continue };
        let mut choice = match (script.operation, &answer.tool) {
            (Operation::Completion, _) => json!({ "index": index, "text": token }),
            (_, None) => json!({ "index": index, "delta": { "content": token } }),
            (_, Some(_)) => {
                let part = json!([{ "index": 0, "function": { "arguments": token } }]);
                json!({ "index": index, "delta": { "tool_calls": part } })
            }
        };
        (choice["logprobs"], choice["finish_reason"]) = (Value::Null, Value::Null);
        event(script, &json!([choice]), events);
        chunk.tokens += 1;
    }
}

fn finish(script: &Script, events: &mut BytesMut, chunk: &mut Chunk) {
    for (index, answer) in choices(script) {
        let mut choice = match script.operation {
            Operation::Completion => json!({ "index": index, "text": "" }),
            _ => json!({ "index": index, "delta": {} }),
        };
        (choice["logprobs"], choice["finish_reason"]) = (Value::Null, word(answer.finish).into());
        event(script, &json!([choice]), events);
    }
    if script.include_usage {
        let mut document = head(script, ".chunk");
        (document["choices"], document["usage"]) = (json!([]), usage(script));
        put(&document, events);
    }
    chunk.finish = script.answers.first().map(|answer| answer.finish);
    chunk.usage = Some(script.usage());
}

fn event(script: &Script, choices: &Value, events: &mut BytesMut) {
    let mut document = head(script, ".chunk");
    document["choices"] = choices.clone();
    if script.include_usage {
        document["usage"] = Value::Null;
    }
    put(&document, events);
}

fn put(document: &Value, events: &mut BytesMut) {
    events.put_slice(b"data: ");
    events.put_slice(document.to_string().as_bytes());
    events.put_slice(b"\n\n");
}

fn head(script: &Script, part: &str) -> Value {
    let object = match script.operation {
        Operation::Completion => "text_completion".to_owned(),
        _ => format!("chat.completion{part}"),
    };
    json!({ "id": script.id, "object": object, "created": script.created, "model": script.model })
}

fn usage(script: &Script) -> Value {
    let usage = script.usage();
    json!({
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": u64::from(usage.input_tokens) + u64::from(usage.output_tokens),
    })
}

/// Every choice, by its index: those of one prompt stand together.
fn choices(script: &Script) -> impl Iterator<Item = (usize, &Answer)> {
    script.answers.iter().flat_map(|answer| std::iter::repeat_n(answer, script.choices)).enumerate()
}

fn call_id(script: &Script, index: usize) -> String {
    let unique = script.id.rsplit('-').next().unwrap_or_default();
    format!("call_{unique}_{index}")
}

fn word(finish: Finish) -> &'static str {
    match finish {
        Finish::Length => "length",
        Finish::ToolCalls => "tool_calls",
        Finish::ContentFilter => "content_filter",
        Finish::Stop | Finish::Other => "stop",
    }
}
