//! An answer that no model made: a text that somebody set, in the form of an answer.

use bytes::Bytes;
use serde_json::json;

use super::{
    answer::{Finish, Usage, Whole},
    request::Operation,
};

/// What an answer of a set text says beside it.
#[derive(Debug, Clone, Copy)]
pub struct Dress<'a> {
    /// Its id, without what OpenAI puts before one.
    pub id: &'a str,
    /// The model's name, as the caller named it.
    pub model: &'a str,
    /// Seconds since the Unix epoch.
    pub created: u64,
    /// How many choices were asked for.
    pub choices: u32,
}

/// Choices beyond these are not written out.
const MAX_CHOICES: u32 = 128;

/// `text` as a whole answer; `None`: `operation` answers with no text.
#[must_use]
pub fn whole(operation: Operation, text: &str, dress: Dress<'_>) -> Option<Whole> {
    let Dress { id, model, created, choices } = dress;
    let choice = |index: u32| match operation {
        Operation::Chat => {
            let message = json!({"role": "assistant", "content": text, "refusal": null});
            json!({"index": index, "message": message, "logprobs": null, "finish_reason": "stop"})
        }
        _ => json!({"index": index, "text": text, "logprobs": null, "finish_reason": "stop"}),
    };
    let (prefix, object) = match operation {
        Operation::Chat => ("chatcmpl", "chat.completion"),
        Operation::Completion => ("cmpl", "text_completion"),
        _ => return None,
    };
    let choices: Vec<_> = (0..choices.clamp(1, MAX_CHOICES)).map(choice).collect();
    let body = json!({
        "id": format!("{prefix}-{id}"), "object": object, "created": created, "model": model, "choices": choices,
        "usage": {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0},
    });
    Some(Whole {
        body: Bytes::from(body.to_string()),
        finish: Some(Finish::Stop),
        usage: Some(Usage::default()),
        model: Some(model.to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::inspect::inspect;

    #[test]
    fn a_set_text_reads_as_an_answer() {
        let dress = Dress { id: "7", model: "m", created: 1, choices: 2 };
        for operation in [Operation::Chat, Operation::Completion] {
            let whole = whole(operation, "we are \"sorry\"", dress).unwrap();
            let facts = inspect(&whole.body).unwrap();
            assert!(facts.tokens);
            assert_eq!((facts.choices, facts.finished, facts.finish), (0b11, 0b11, Some(Finish::Stop)));
            assert_eq!(facts.model.as_deref(), Some("m"));
        }
        assert_eq!(whole(Operation::Embed, "x", dress), None);
    }
}
