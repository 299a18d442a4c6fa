//! Answers in the shape of Anthropic's Messages API, with its named events.

use serde_json::{Value, json};

use super::{
    asked::{Asked, Event, Telling},
    parts::Answer,
};

const INPUT_TOKENS: usize = 7;

/// The document of an answer that is not streamed.
pub(super) fn whole(answer: &Answer, asked: &Asked, finish: bool) -> String {
    let mut content = Vec::new();
    if !answer.reasoning.is_empty() {
        content.push(json!({"type": "thinking", "thinking": answer.reasoning.concat(), "signature": "c2ln"}));
    }
    let words = answer.spoken(asked.seq).concat();
    if !words.is_empty() {
        content.push(json!({"type": "text", "text": words}));
    }
    for (index, tool) in answer.tools.iter().enumerate() {
        let input: Value = serde_json::from_str(&tool.arguments.concat()).unwrap_or(Value::Null);
        content.push(json!({"type": "tool_use", "id": tool_id(asked.seq, index), "name": tool.name, "input": input}));
    }
    let stop = if finish { Value::from(stop_reason(answer)) } else { Value::Null };
    let mut message = head(answer, asked, &json!(content), answer.tokens(asked.seq));
    message["stop_reason"] = stop;
    message.to_string()
}

fn head(answer: &Answer, asked: &Asked, content: &Value, output_tokens: usize) -> Value {
    json!({
        "id": format!("msg_{}", asked.seq), "type": "message", "role": "assistant",
        "model": answer.model.as_deref().unwrap_or(asked.model()), "content": content,
        "stop_reason": null, "stop_sequence": null,
        "usage": {"input_tokens": INPUT_TOKENS, "output_tokens": output_tokens},
    })
}

/// The events of a streamed answer.
pub(super) fn telling(answer: &Answer, asked: &Asked) -> Telling {
    let mut telling = Telling::default();
    let start = json!({"type": "message_start", "message": head(answer, asked, &json!([]), 1)});
    telling.opening.push(named("message_start", &start));
    let mut block = 0;
    if !answer.reasoning.is_empty() {
        let opening = json!({"type": "thinking", "thinking": "", "signature": ""});
        let mut deltas: Vec<Value> =
            answer.reasoning.iter().map(|piece| json!({"type": "thinking_delta", "thinking": piece})).collect();
        deltas.push(json!({"type": "signature_delta", "signature": "c2ln"}));
        block_of(&mut telling, &mut block, &opening, &deltas);
    }
    let words = answer.spoken(asked.seq);
    if !words.is_empty() {
        let deltas: Vec<Value> = words.iter().map(|word| json!({"type": "text_delta", "text": word})).collect();
        block_of(&mut telling, &mut block, &json!({"type": "text", "text": ""}), &deltas);
    }
    for (index, tool) in answer.tools.iter().enumerate() {
        let opening = json!({"type": "tool_use", "id": tool_id(asked.seq, index), "name": tool.name, "input": {}});
        let deltas: Vec<Value> =
            tool.arguments.iter().map(|piece| json!({"type": "input_json_delta", "partial_json": piece})).collect();
        block_of(&mut telling, &mut block, &opening, &deltas);
    }
    let tokens = answer.tokens(asked.seq);
    let delta = json!({"type": "message_delta", "delta": {"stop_reason": stop_reason(answer), "stop_sequence": null},
                       "usage": {"output_tokens": tokens}});
    telling.finish.push(named("message_delta", &delta));
    telling.done.push(named("message_stop", &json!({"type": "message_stop"})));
    telling
}

/// One content block: its start comes with its first delta, its stop with its last.
fn block_of(telling: &mut Telling, index: &mut usize, opening: &Value, deltas: &[Value]) {
    let start = json!({"type": "content_block_start", "index": index, "content_block": opening});
    let mut start = vec![named("content_block_start", &start)];
    if *index == 0 {
        start.push(named("ping", &json!({"type": "ping"})));
    }
    for delta in deltas {
        let mut events = std::mem::take(&mut start);
        events.push(named(
            "content_block_delta",
            &json!({"type": "content_block_delta", "index": index, "delta": delta}),
        ));
        telling.tokens.push(events);
    }
    let stop = named("content_block_stop", &json!({"type": "content_block_stop", "index": index}));
    if let Some(last) = telling.tokens.last_mut() {
        last.push(stop);
    }
    *index += 1;
}

fn stop_reason(answer: &Answer) -> &str {
    if answer.refusal.is_some() {
        return "refusal";
    }
    match answer.finish_reason() {
        "length" => "max_tokens",
        "tool_calls" => "tool_use",
        "content_filter" => "refusal",
        _ => "end_turn",
    }
}

fn tool_id(seq: usize, index: usize) -> String {
    format!("toolu_{seq}_{index}")
}

fn named(name: &'static str, data: &Value) -> Event {
    Event { name: Some(name), data: data.to_string() }
}

/// An error told in a stream that has begun.
pub(super) fn error(kind: &str, message: &str) -> Event {
    named("error", &json!({"type": "error", "error": {"type": kind, "message": message}}))
}

impl Answer {
    /// Its text, or the words in which it declines.
    fn spoken(&self, seq: usize) -> Vec<String> {
        self.refusal.as_ref().map_or_else(|| self.words(seq), |refusal| vec![refusal.clone()])
    }
}
