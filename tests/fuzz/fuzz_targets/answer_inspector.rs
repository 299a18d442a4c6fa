//! Whatever a provider answers: what is read of it in one pass is what a slow reader finds in the whole document.

#![no_main]

use fusebox_sidecar::chat::inspect::{Facts, inspect};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

/// What a message or a delta may say something in.
const SAID: [&str; 7] =
    ["content", "tool_calls", "reasoning_content", "reasoning", "refusal", "function_call", "audio"];

fuzz_target!(|input: &[u8]| {
    let Ok(facts) = inspect(input) else { return };
    assert_eq!(facts.finished & !facts.choices, 0, "what has finished is there: {facts:?}");
    assert!(facts.finished == 0 || facts.finish.is_some(), "what has finished says why: {facts:?}");
    if let Ok(document) = serde_json::from_slice::<Value>(input) {
        compare(&facts, &document);
    }
});

fn compare(facts: &Facts<'_>, document: &Value) {
    let choices = document["choices"].as_array().map(Vec::as_slice).unwrap_or_default();
    let objects = |value: &Value| value.is_object() || value.is_null();
    let of_objects = |choice: &Value| choice.is_object() && objects(&choice["delta"]) && objects(&choice["message"]);
    // A struct may also be written as a list of its fields; no provider does, and the slow reader does not know it.
    if !document.is_object() || !objects(&document["usage"]) || !choices.iter().all(of_objects) {
        return;
    }
    let says = |said: &Value| SAID.iter().any(|name| holds(&said[*name]));
    let tokens =
        choices.iter().any(|choice| holds(&choice["text"]) || says(&choice["delta"]) || says(&choice["message"]));
    assert_eq!(facts.tokens, tokens, "{document}");
    assert_eq!(facts.error, holds(&document["error"]), "{document}");
    assert_eq!(facts.embeddings, document["data"].as_array().map_or(0, Vec::len), "{document}");
    assert_eq!(facts.model.as_deref(), document["model"].as_str(), "{document}");
    let bit = |choice: &Value| {
        let index = choice["index"].as_u64().unwrap_or(0);
        u32::try_from(index).ok().and_then(|index| 1_u128.checked_shl(index)).unwrap_or(0)
    };
    let finishes = |choice: &&Value| choice["finish_reason"].as_str().is_some_and(|reason| !reason.is_empty());
    assert_eq!(facts.choices, choices.iter().map(bit).fold(0, |all, bit| all | bit), "{document}");
    assert_eq!(facts.finished, choices.iter().filter(finishes).map(bit).fold(0, |all, bit| all | bit), "{document}");
    assert_eq!(facts.finish.is_some(), choices.iter().any(|choice| finishes(&choice)), "{document}");
    let told = |name: &str| document["usage"][name].as_u64().unwrap_or(0);
    let usage = facts.usage.map(|usage| (u64::from(usage.input_tokens), u64::from(usage.output_tokens)));
    let expected = document["usage"].is_object().then(|| (told("prompt_tokens"), told("completion_tokens")));
    assert_eq!(usage, expected, "{document}");
}

/// Whether a value says anything: not null, not `false`, and not empty.
fn holds(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(truth) => *truth,
        Value::Number(_) => true,
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
    }
}
