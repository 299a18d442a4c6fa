//! What of a document has no part in its answer, and where it stands: by the rest, two questions are told to be equal.
//!
//! The rest counts byte for byte. Documents that say the same in another order, or with other space, are two; who asks
//! the same again mostly writes the same again, and to see more than that would cost each call another reading.

use std::ops::Range;

use super::edit::span_in;

/// The members of one document that do not shape its answer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Aside(Vec<Range<usize>>);

impl Aside {
    /// The rest of `body`, in pieces: what it would be without those members.
    pub fn rest<'a>(&self, body: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
        let starts = std::iter::once(0).chain(self.0.iter().map(|span| span.end));
        let ends = self.0.iter().map(|span| span.start).chain([body.len()]);
        starts.zip(ends).filter_map(|(start, end)| body.get(start..end))
    }
}

/// Notes them as a document's members are met, in order.
pub(super) struct Noting<'de> {
    body: &'de [u8],
    spans: Vec<Range<usize>>,
    /// Where the member begins that is being read, if it is one of them.
    from: Option<usize>,
    /// Whether all keys could be found in the document.
    found: bool,
}

impl<'de> Noting<'de> {
    pub(super) const fn new(body: &'de [u8]) -> Self {
        Self { body, spans: Vec::new(), from: None, found: true }
    }

    /// Meets the next member's key; `None`: one that is written with escapes.
    pub(super) fn meet(&mut self, key: Option<&'de str>, aside: bool) {
        let Some(key) = key else {
            self.found = false;
            return;
        };
        let quote = span_in(self.body, key).start.saturating_sub(1);
        if let Some(from) = self.from.take() {
            self.spans.push(from..quote);
        }
        self.from = aside.then_some(quote);
    }

    /// `None`: a key is written with escapes, so that where it stands is not known.
    pub(super) fn close(mut self) -> Option<Aside> {
        if let Some(mut from) = self.from {
            // With the last member goes the comma before it, and with one before that, the comma before that.
            while let Some(last) = self.spans.pop_if(|last| last.end == from) {
                from = last.start;
            }
            let separates = |byte: &u8| *byte == b',' || byte.is_ascii_whitespace();
            from -= self.body[..from].iter().rev().take_while(|byte| separates(byte)).count();
            let end = self.body.iter().rposition(|byte| *byte == b'}').unwrap_or(self.body.len());
            self.spans.push(from..end.max(from));
        }
        self.found.then_some(Aside(self.spans))
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use crate::chat::{parse::parse, request::Operation};

    fn rest(body: &str) -> Option<String> {
        let request = parse(Operation::Chat, Bytes::from(body.to_owned())).unwrap();
        let rest: Vec<u8> = request.aside?.rest(&request.body).flatten().copied().collect();
        Some(String::from_utf8(rest).unwrap())
    }

    const TURN: &str = r#""messages":[{"role":"user","content":"hi"}]"#;

    #[test]
    fn the_rest_is_the_document_without_what_is_aside() {
        for body in [
            format!("{{{TURN}}}"),
            format!(r#"{{"model":"m",{TURN}}}"#),
            format!(r#"{{{TURN},"stream":true}}"#),
            format!(r#"{{"model":"m",{TURN},"stream":true,"stream_options":{{"include_usage":true}}}}"#),
            format!(r#"{{"user":"u","model":"m",{TURN} , "store":false , "metadata":{{"a":"}}"}} }}"#),
        ] {
            assert_eq!(rest(&body).as_deref(), Some(format!("{{{TURN}}}").as_str()), "{body}");
        }
        let between = |aside: &str| rest(&format!(r#"{{{TURN}, {aside}"n":1}}"#));
        assert_eq!(between(r#""stream":true, "user":"u", "#), between(""));
    }

    #[test]
    fn what_shapes_the_answer_is_in_the_rest() {
        let plain = rest(&format!("{{{TURN}}}"));
        for more in [r#""n":1"#, r#""seed":3"#, r#""their_own":{"user":"u"}"#, r#""tools":[]"#] {
            assert_ne!(rest(&format!("{{{TURN},{more}}}")), plain, "{more}");
        }
    }

    #[test]
    fn a_key_with_escapes_hides_where_it_stands() {
        assert_eq!(rest(&format!(r#"{{"\u0075ser":"u",{TURN}}}"#)), None);
    }
}
