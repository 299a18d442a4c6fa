//! A shorter question in place of the caller's: its last user message under a prompt that somebody set.

use serde_json::{Value, json};

use super::{
    amend::ORIGINAL,
    parse::parse,
    request::{Operation, Request},
};

impl Request {
    /// The same request with `prompt` as its only turn, in which [`ORIGINAL`] stands for the caller's last one. What the
    /// application says as system or developer stays: it may forbid something. `None`: there is no such turn of text.
    #[must_use]
    pub fn simplified(&self, prompt: &str) -> Option<Self> {
        self.amended(|document| {
            match self.operation {
                Operation::Chat => {
                    let turns = document.get_mut("messages")?.as_array_mut()?;
                    let last = turns.iter().rfind(|turn| turn["role"] == "user")?;
                    let last = text_of(&last["content"])?;
                    turns.retain(|turn| turn["role"] == "system" || turn["role"] == "developer");
                    turns.push(json!({"role": "user", "content": prompt.replace(ORIGINAL, &last)}));
                }
                Operation::Completion => {
                    let last = document.get("prompt")?.as_str()?.to_owned();
                    document["prompt"] = prompt.replace(ORIGINAL, &last).into();
                }
                _ => return None,
            }
            Some(())
        })
    }

    /// The same request of another model.
    #[must_use]
    pub fn of_model(&self, model: &str) -> Option<Self> {
        parse(self.operation, self.body_for(Some(model), None)).ok()
    }
}

/// A turn's text, that of its parts together; `None`: there is none.
fn text_of(content: &Value) -> Option<String> {
    let text = match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts.iter().filter_map(|part| part["text"].as_str()).collect::<Vec<_>>().join("\n"),
        _ => return None,
    };
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn simplified(operation: Operation, body: &Value, prompt: &str) -> Option<Value> {
        let request = parse(operation, Bytes::from(body.to_string())).unwrap();
        Some(serde_json::from_slice(&request.simplified(prompt)?.body).unwrap())
    }

    #[test]
    fn the_last_user_message_is_what_is_left_of_a_conversation() {
        let turn = |role: &str, content: Value| json!({"role": role, "content": content});
        let body = json!({"model": "m", "temperature": 0.5, "messages": [
            turn("system", json!("be kind")), turn("user", json!("first")), turn("assistant", json!("well")),
            turn("user", json!([{"type": "text", "text": "say {original_prompt}"}])), turn("assistant", json!("hm")),
        ]});
        let shorter = simplified(Operation::Chat, &body, "Briefly: {original_prompt}!").unwrap();
        assert_eq!(
            shorter,
            json!({"model": "m", "temperature": 0.5, "messages": [
                turn("system", json!("be kind")), turn("user", json!("Briefly: say {original_prompt}!"))]})
        );
    }

    #[test]
    fn a_completions_prompt_is_shortened_too() {
        let body = json!({"prompt": "once", "max_tokens": 3});
        let shorter = simplified(Operation::Completion, &body, "In a word: {original_prompt}").unwrap();
        assert_eq!(shorter, json!({"prompt": "In a word: once", "max_tokens": 3}));
        assert_eq!(simplified(Operation::Completion, &json!({"prompt": ["a", "b"]}), "x"), None);
    }

    #[test]
    fn what_has_no_text_is_not_shortened() {
        let image = json!([{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}]);
        let body = json!({"messages": [{"role": "user", "content": image}]});
        assert_eq!(simplified(Operation::Chat, &body, "x {original_prompt}"), None);
        assert_eq!(simplified(Operation::Chat, &json!({"messages": [{"role": "system", "content": "s"}]}), "x"), None);
        assert_eq!(simplified(Operation::Embed, &json!({"input": "a"}), "x"), None);
    }

    #[test]
    fn another_model_can_be_asked_the_same() {
        let body = Bytes::from_static(br#"{"model":"large","messages":[{"role":"user","content":"hi"}]}"#);
        let request = parse(Operation::Chat, body).unwrap().of_model("small").unwrap();
        assert_eq!(request.model, "small");
        assert!(request.body.ends_with(br#""messages":[{"role":"user","content":"hi"}]}"#));
    }
}
