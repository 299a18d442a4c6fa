//! The same question for a shorter answer.

use fusebox_rules::image;

use super::{
    parse::parse,
    request::{Operation, Request},
};

impl Request {
    /// The same, asking for `tokens` at most; `None` for what has no such number.
    #[must_use]
    pub fn with_max_tokens(&self, tokens: u64) -> Option<Self> {
        match self.operation {
            Operation::Embed | Operation::Image => None,
            Operation::Chat | Operation::Completion => parse(self.operation, self.body_for(None, Some(tokens))).ok(),
        }
    }

    /// Whether it can be made to ask for less, should memory run out on it.
    #[must_use]
    pub fn may_ask_for_less(&self) -> bool {
        match self.operation {
            Operation::Chat | Operation::Completion => self.max_tokens.is_none_or(|tokens| tokens > 1),
            Operation::Embed => false,
            Operation::Image => image::less(self.measure()).is_some(),
        }
    }

    /// Half the tokens that it asks for, at least 1; of a request that says nothing of them, some. The API's own
    /// default for completions is 16, and for chats none.
    #[must_use]
    pub fn half_the_tokens(&self) -> u64 {
        match (self.max_tokens, self.operation) {
            (Some(tokens), _) => (tokens / 2).max(1),
            (None, Operation::Completion) => 8,
            (None, _) => 512,
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn chat(more: &str) -> Request {
        let body = format!("{{\"messages\": [{{\"role\": \"user\", \"content\": \"x\"}}]{more}, \"top_p\": 0.5}}");
        parse(Operation::Chat, Bytes::from(body)).unwrap()
    }

    #[test]
    fn a_request_for_fewer_tokens_is_otherwise_the_same() {
        for (more, before) in
            [("", None), (", \"max_tokens\": 100", Some(100)), (", \"max_completion_tokens\": 9", Some(9))]
        {
            let request = chat(more);
            assert_eq!(request.max_tokens, before);
            let fewer = request.with_max_tokens(7).unwrap();
            assert_eq!(fewer.max_tokens, Some(7));
            let json = |request: &Request| serde_json::from_slice::<serde_json::Value>(&request.body).unwrap();
            let (mut was, mut is) = (json(&request), json(&fewer));
            for document in [&mut was, &mut is] {
                let document = document.as_object_mut().unwrap();
                document.remove("max_tokens");
                document.remove("max_completion_tokens");
            }
            assert_eq!(was, is);
        }
    }

    #[test]
    fn embeddings_have_no_tokens_to_be_fewer() {
        let request = parse(Operation::Embed, Bytes::from_static(b"{\"input\": \"x\"}")).unwrap();
        assert_eq!(request.with_max_tokens(7), None);
    }

    #[test]
    fn half_is_at_least_one() {
        assert_eq!(chat(", \"max_tokens\": 1").half_the_tokens(), 1);
        assert_eq!(chat(", \"max_tokens\": 9").half_the_tokens(), 4);
        assert_eq!(chat("").half_the_tokens(), 512);
    }
}
