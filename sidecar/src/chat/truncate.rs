//! A chat with fewer turns; all else stays as it came. Which turns is decided elsewhere.

use bytes::BytesMut;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{edit::span_in, parse::parse, request::Request};

#[derive(Deserialize)]
struct Turns<'a> {
    #[serde(borrow)]
    messages: &'a RawValue,
}

impl Request {
    /// The same chat with only the messages at the places `kept`, in order; `None` of what is no chat.
    #[must_use]
    pub fn keeping(&self, kept: &[usize]) -> Option<Self> {
        let messages = serde_json::from_slice::<Turns<'_>>(&self.body).ok()?.messages.get();
        let turns: Vec<&RawValue> = serde_json::from_str(messages).ok()?;
        let span = span_in(&self.body, messages);
        let mut body = BytesMut::with_capacity(self.body.len());
        body.extend_from_slice(&self.body[..span.start]);
        for (place, at) in kept.iter().enumerate() {
            body.extend_from_slice(if place == 0 { b"[" } else { b"," });
            body.extend_from_slice(turns.get(*at)?.get().as_bytes());
        }
        body.extend_from_slice(b"]");
        body.extend_from_slice(&self.body[span.end..]);
        parse(self.operation, body.freeze()).ok()
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::chat::request::Operation;

    #[test]
    fn only_the_turns_kept_are_left_and_nothing_else_is_touched() {
        let body = r#"{"x": 1.50, "messages" : [{"role":"system","content":"s"}, {"role":"user","content":"a, \"b\"]"},
            {"role":"user","content":"c","extra":null}], "max_tokens": 40, "model":"m"}"#;
        let request = parse(Operation::Chat, Bytes::from(body)).unwrap();
        let fewer = request.keeping(&[0, 2]).unwrap().with_max_tokens(7).unwrap();
        assert_eq!(
            fewer.body,
            r#"{"x": 1.50, "messages" : [{"role":"system","content":"s"},{"role":"user","content":"c","extra":null}], "max_tokens": 7, "model":"m"}"#
        );
        assert_eq!((fewer.max_tokens, &*fewer.model), (Some(7), "m"));
        assert_eq!(request.keeping(&[0, 3]), None);
        let prompt = parse(Operation::Completion, Bytes::from(r#"{"prompt":"a"}"#)).unwrap();
        assert_eq!(prompt.keeping(&[0]), None);
    }
}
