//! A conversation with one more thing said in it.

use serde_json::json;

use super::request::{Operation, Request};

impl Request {
    /// The same conversation, and `remark` as its user's last word; `None` for what is no conversation. The user says
    /// it because not every server takes a system's message at the end.
    #[must_use]
    pub fn remarking(&self, remark: &str) -> Option<Self> {
        if self.operation != Operation::Chat {
            return None;
        }
        self.amended(|document| {
            document.get_mut("messages")?.as_array_mut()?.push(json!({"role": "user", "content": remark}));
            Some(())
        })
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::chat::parse::parse;

    #[test]
    fn a_remark_is_the_conversations_last_word_and_changes_nothing_else() {
        let body = r#"{"model":"m","messages":[{"role":"user","content":"hi"}],"x":{"b":1,"a":2},"stream":true}"#;
        let request = parse(Operation::Chat, Bytes::from(body)).unwrap();
        let remarked = request.remarking("\"listen\"").unwrap();
        let added = r#"{"role":"user","content":"hi"},{"role":"user","content":"\"listen\""}"#;
        assert_eq!(remarked.body, body.replace(r#"{"role":"user","content":"hi"}"#, added));
        assert!(remarked.stream && remarked.model == "m");
        let other = parse(Operation::Embed, Bytes::from(r#"{"input":"x"}"#)).unwrap();
        assert_eq!(other.remarking("listen"), None);
    }
}
