//! A request asked again in other words: with a complaint about its last answer, or under another instruction.
//!
//! Rarely needed, so the document is read as a whole and written anew. Whether to ask again is decided elsewhere.

use bytes::Bytes;
use serde_json::{Value, json};

use super::{
    parse::parse,
    request::{Operation, Request},
};

/// What stands for the last user message in an instruction.
pub(super) const ORIGINAL: &str = "{original_prompt}";

impl Request {
    /// The same conversation with a last word on why its previous answer was no good: `complaint`, as messages, or a
    /// general one. `None` for what is no conversation.
    #[must_use]
    pub fn complaining(&self, complaint: Option<&[Value]>) -> Option<Self> {
        const GENERAL: &str = "Your previous answer was empty or malformed. Answer the request above.";
        if self.operation != Operation::Chat {
            return None;
        }
        self.amended(|document| {
            let messages = document.get_mut("messages")?.as_array_mut()?;
            match complaint {
                Some(complaint) => messages.extend_from_slice(complaint),
                None => messages.push(json!({"role": "user", "content": GENERAL})),
            }
            Some(())
        })
    }

    /// The same request under `instruction`: as what the last user message says, where `{original_prompt}` in it stands
    /// for what that said; else as the end of the system's message. `None` for what has no prompt of text.
    #[must_use]
    pub fn under(&self, instruction: &str) -> Option<Self> {
        if self.operation == Operation::Chat {
            return self.amended(|document| {
                let messages = document.get_mut("messages")?.as_array_mut()?;
                if instruction.contains(ORIGINAL) {
                    let last = messages.iter_mut().rev().find(|message| message["role"] == "user")?;
                    reword(last.get_mut("content")?, |original| instruction.replace(ORIGINAL, original))
                } else {
                    instruct(messages, instruction)
                }
            });
        }
        if self.operation == Operation::Completion {
            let framed = |original: &str| match instruction.contains(ORIGINAL) {
                true => instruction.replace(ORIGINAL, original),
                false => format!("{instruction}\n\n{original}"),
            };
            return self.amended(|document| match document.get_mut("prompt")? {
                Value::Array(prompts) => prompts.iter_mut().try_for_each(|prompt| reword(prompt, framed)),
                prompt => reword(prompt, framed),
            });
        }
        None
    }

    /// The same request with its document changed; `None`: `change` could not be made, or made no request of it.
    pub(super) fn amended(&self, change: impl FnOnce(&mut Value) -> Option<()>) -> Option<Self> {
        let mut document: Value = serde_json::from_slice(&self.body).ok()?;
        change(&mut document)?;
        parse(self.operation, Bytes::from(document.to_string())).ok()
    }
}

/// Puts `instruction` behind what the system says. Many models' templates take one system message, and that first.
fn instruct(messages: &mut Vec<Value>, instruction: &str) -> Option<()> {
    match messages.first_mut().filter(|first| first["role"] == "system" || first["role"] == "developer") {
        Some(system) => match system.get_mut("content")? {
            Value::Array(parts) => parts.push(json!({"type": "text", "text": instruction})),
            content => reword(content, |said| format!("{said}\n\n{instruction}"))?,
        },
        None => messages.insert(0, json!({"role": "system", "content": instruction})),
    }
    Some(())
}

/// Says `content`, a text or parts, in other words. Parts that are no text stay, behind the one that is.
fn reword(content: &mut Value, words: impl FnOnce(&str) -> String) -> Option<()> {
    match content {
        Value::String(text) => *text = words(text),
        Value::Array(parts) => {
            let texts: Vec<&str> = parts.iter().filter_map(|part| part["text"].as_str()).collect();
            let text = words(&texts.join("\n"));
            parts.retain(|part| part["type"] != "text");
            parts.insert(0, json!({"type": "text", "text": text}));
        }
        _ => return None,
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(operation: Operation, document: &Value) -> Request {
        parse(operation, Bytes::from(document.to_string())).unwrap()
    }

    fn chat(messages: &Value) -> Request {
        request(Operation::Chat, &json!({"model": "m", "messages": messages, "x": 1.5}))
    }

    fn document(request: &Request) -> Value {
        serde_json::from_slice(&request.body).unwrap()
    }

    #[test]
    fn a_complaint_is_the_conversations_last_word() {
        let asked = chat(&json!([{"role": "user", "content": "hi"}]));
        let general = document(&asked.complaining(None).unwrap());
        assert_eq!(general["messages"].as_array().unwrap().len(), 2);
        assert_eq!((&general["messages"][1]["role"], &general["x"]), (&json!("user"), &json!(1.5)));
        let words = [json!({"role": "assistant", "content": "a"}), json!({"role": "user", "content": "no"})];
        let asked_again = asked.complaining(Some(&words)).unwrap();
        assert_eq!(document(&asked_again)["messages"].as_array().unwrap()[1..], words);
        assert_eq!((&asked_again.model, asked_again.operation), (&asked.model, asked.operation));
        assert_eq!(request(Operation::Embed, &json!({"input": "a"})).complaining(None), None);
    }

    #[test]
    fn an_instruction_stands_where_models_look_for_it() {
        for (messages, instruction, expected) in [
            (
                json!([{"role": "user", "content": "a"}]),
                "be kind",
                json!([{"role": "system", "content": "be kind"}, {"role": "user", "content": "a"}]),
            ),
            (
                json!([{"role": "system", "content": "s"}, {"role": "user", "content": "a"}]),
                "be kind",
                json!([{"role": "system", "content": "s\n\nbe kind"}, {"role": "user", "content": "a"}]),
            ),
            (
                json!([{"role": "developer", "content": [{"type": "text", "text": "s"}]}, {"role": "user", "content": "a"}]),
                "be kind",
                json!([{"role": "developer", "content": [{"type": "text", "text": "s"}, {"type": "text", "text": "be kind"}]},
                       {"role": "user", "content": "a"}]),
            ),
            (
                json!([{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"}]),
                "Safely: {original_prompt}!",
                json!([{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"},
                       {"role": "user", "content": "Safely: c!"}]),
            ),
            (
                json!([{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "u"}}, {"type": "text", "text": "c"}]}]),
                "Safely: {original_prompt}",
                json!([{"role": "user", "content": [{"type": "text", "text": "Safely: c"}, {"type": "image_url", "image_url": {"url": "u"}}]}]),
            ),
        ] {
            let under = chat(&messages).under(instruction).unwrap();
            assert_eq!(document(&under)["messages"], expected, "{messages}");
        }
        assert_eq!(chat(&json!([{"role": "system", "content": "s"}])).under("{original_prompt}"), None);
    }

    #[test]
    fn a_prompt_is_framed() {
        let prompt = |prompt: Value| request(Operation::Completion, &json!({"prompt": prompt}));
        let under = |prompt: &Request, instruction| document(&prompt.under(instruction).unwrap())["prompt"].clone();
        assert_eq!(under(&prompt(json!("a")), "x {original_prompt} y"), "x a y");
        assert_eq!(under(&prompt(json!(["a", "b"])), "x"), json!(["x\n\na", "x\n\nb"]));
        assert_eq!(prompt(json!([1, 2])).under("x"), None);
        assert_eq!(request(Operation::Embed, &json!({"input": "a"})).under("x"), None);
    }
}
