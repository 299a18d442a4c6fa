//! The request that has an answer continued from the text so far.

use bytes::Bytes;
use fusebox_rules::survive::Continuation;
use serde_json::{Map, Value, json};

use super::{
    parse::parse,
    request::{Operation, Request},
};

/// Ways to hold a model to a grammar. It would begin anew in the middle of the answer.
const GRAMMARS: [&str; 6] =
    ["guided_json", "guided_regex", "guided_choice", "guided_grammar", "structured_outputs", "grammar"];

/// What was sent of an answer that is to be continued.
#[derive(Debug, Clone, Copy)]
pub struct Begun<'a> {
    /// Its text.
    pub words: &'a str,
    /// Its tokens, as far as they could be counted.
    pub tokens: u32,
}

impl Request {
    /// The same request with the answer so far at its end, to be continued in this way, and with as many tokens less
    /// as have been sent; `None`: it cannot be. Text completions are continued by their prompt, however.
    #[must_use]
    pub fn continued(&self, begun: Begun<'_>, how: Continuation) -> Option<Self> {
        let mut document: Map<String, Value> = serde_json::from_slice(&self.body).ok()?;
        match self.operation {
            Operation::Chat => continue_chat(&mut document, begun.words, how)?,
            Operation::Completion => continue_prompt(&mut document, begun.words)?,
            _ => return None,
        }
        for name in ["max_tokens", "max_completion_tokens"] {
            if let Some(most) = document.get_mut(name)
                && let Some(tokens) = most.as_u64()
            {
                *most = tokens.saturating_sub(u64::from(begun.tokens)).max(1).into();
            }
        }
        if let Some(least) = document.get_mut("min_tokens")
            && let Some(tokens) = least.as_u64()
        {
            *least = tokens.saturating_sub(u64::from(begun.tokens)).into();
        }
        let body = Bytes::from(Value::from(document).to_string());
        // The answer may have broken off just where it was complete.
        Some(Self { may_be_empty: true, ..parse(self.operation, body).ok()? })
    }
}

fn continue_chat(document: &mut Map<String, Value>, words: &str, how: Continuation) -> Option<()> {
    let free = |format: &Value| format.is_null() || format["type"] == "text";
    let is_set = |name: &&str| document.get(*name).is_some_and(|value| !value.is_null());
    let held_to_a_grammar = GRAMMARS.iter().any(is_set) || !document.get("response_format").is_none_or(free);
    if held_to_a_grammar || is_set(&"thinking") || how == Continuation::None {
        return None;
    }
    let messages = document.get_mut("messages")?.as_array_mut()?;
    match messages.last_mut().filter(|last| last["role"] == "assistant" && last["tool_calls"].is_null()) {
        // It was begun by the caller already.
        Some(last) => {
            let begun = last["content"].as_str()?;
            last["content"] = format!("{begun}{words}").into();
        }
        None => messages.push(json!({"role": "assistant", "content": words})),
    }
    if how == Continuation::ContinueFinalMessage {
        document.insert("continue_final_message".into(), true.into());
        document.insert("add_generation_prompt".into(), false.into());
    }
    Some(())
}

fn continue_prompt(document: &mut Map<String, Value>, words: &str) -> Option<()> {
    let is_set = |name: &str| document.get(name).is_some_and(|value| !value.is_null() && value != false);
    // The prompt would be answered a second time, or the answer stand in the wrong place.
    if is_set("echo") || is_set("suffix") || GRAMMARS.iter().any(|name| is_set(name)) {
        return None;
    }
    let prompt = match document.get_mut("prompt")? {
        Value::Array(prompts) if prompts.len() == 1 => &mut prompts[0],
        one => one,
    };
    *prompt = format!("{}{words}", prompt.as_str()?).into();
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEGUN: Begun<'_> = Begun { words: "Once ", tokens: 3 };

    fn chat(body: &Value) -> Request {
        parse(Operation::Chat, body.to_string().into()).unwrap()
    }

    fn continued(request: &Request, how: Continuation) -> Option<Value> {
        let continued = request.continued(BEGUN, how)?;
        assert!(continued.may_be_empty && continued.stream == request.stream);
        Some(serde_json::from_slice(&continued.body).unwrap())
    }

    #[test]
    fn the_answer_so_far_is_the_assistants_last_word() {
        let ask = json!({"role": "user", "content": "tell"});
        let request = chat(&json!({"messages": [ask], "stream": true, "max_tokens": 10, "temperature": 0}));
        let document = continued(&request, Continuation::Prefill).unwrap();
        assert_eq!(document["messages"], json!([ask, {"role": "assistant", "content": "Once "}]));
        assert_eq!((&document["max_tokens"], &document["temperature"]), (&json!(7), &json!(0)));
        assert_eq!(document.get("continue_final_message"), None);
        let document = continued(&request, Continuation::ContinueFinalMessage).unwrap();
        assert_eq!(document["continue_final_message"], true);
        assert_eq!(document["add_generation_prompt"], false);
        assert_eq!(continued(&request, Continuation::None), None);
    }

    #[test]
    fn what_the_caller_began_is_gone_on_with() {
        let request = chat(&json!({"messages": [{"role": "assistant", "content": "Well: "}], "max_tokens": 2}));
        let document = continued(&request, Continuation::Prefill).unwrap();
        assert_eq!(document["messages"], json!([{"role": "assistant", "content": "Well: Once "}]));
        assert_eq!(document["max_tokens"], 1);
    }

    #[test]
    fn what_holds_the_model_to_a_form_is_not_continued() {
        for field in [
            json!({"response_format": {"type": "json_object"}}),
            json!({"guided_json": {}}),
            json!({"thinking": {"type": "enabled", "budget_tokens": 1024}}),
        ] {
            let mut body = json!({"messages": [{"role": "user", "content": "tell"}]});
            body.as_object_mut().unwrap().extend(field.as_object().unwrap().clone());
            assert_eq!(continued(&chat(&body), Continuation::Prefill), None, "{field}");
        }
        let free = json!({"messages": [{"role": "user", "content": "tell"}], "response_format": {"type": "text"}});
        assert!(continued(&chat(&free), Continuation::Prefill).is_some());
    }

    #[test]
    fn a_completion_goes_on_from_its_prompt() {
        for (body, prompt) in [
            (json!({"prompt": "It was. "}), Some(json!("It was. Once "))),
            (json!({"prompt": ["It was. "]}), Some(json!(["It was. Once "]))),
            (json!({"prompt": [1, 2]}), None),
            (json!({"prompt": "a", "echo": true}), None),
            (json!({"prompt": "a", "suffix": "b"}), None),
        ] {
            let request = parse(Operation::Completion, body.to_string().into()).unwrap();
            let found = continued(&request, Continuation::None).map(|document| document["prompt"].clone());
            assert_eq!(found, prompt, "{body}");
        }
    }
}
