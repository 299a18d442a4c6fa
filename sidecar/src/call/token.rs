//! Who calls, as far as that can be told: the holder of a bearer token.

use std::fmt;

use http::{HeaderMap, HeaderValue, header::AUTHORIZATION};

use crate::digest::Sink;

/// A bearer token, as its caller showed it: what one holder was answered is no other's to read.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    /// The header's whole value, which costs nothing to keep.
    header: HeaderValue,
    /// Where in it the token begins.
    start: usize,
}

impl Token {
    /// The token of `authorization: Bearer TOKEN`.
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        let header = headers.get(AUTHORIZATION)?;
        let (scheme, token) = header.to_str().ok()?.split_once(' ')?;
        let start = scheme.len() + 1 + (token.len() - token.trim_start().len());
        scheme.eq_ignore_ascii_case("bearer").then(|| Self { header: header.clone(), start })
    }

    /// The token itself.
    #[must_use]
    pub fn as_str(&self) -> &str {
        let token = self.header.as_bytes().get(self.start..).unwrap_or_default();
        std::str::from_utf8(token).unwrap_or_default().trim_end()
    }

    /// Adds to what is to be told apart who `holder` is.
    pub fn write(holder: Option<&Self>, digester: &mut impl Sink) {
        digester.mark(u8::from(holder.is_some()));
        digester.bytes(holder.map_or("", Self::as_str).as_bytes());
    }
}

impl fmt::Debug for Token {
    /// Without its value: logs are outside.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Digester;

    #[test]
    fn only_a_bearers_token_is_a_token() {
        let table = [
            (Some("Bearer abc"), Some("abc")),
            (Some("bearer  abc "), Some("abc")),
            (Some("Basic abc"), None),
            (Some("Bearer"), None),
            (None, None),
        ];
        for (sent, expected) in table {
            let headers = sent.map(|value| (AUTHORIZATION, value.parse().unwrap())).into_iter().collect();
            let token = Token::of(&headers);
            assert_eq!(token.as_ref().map(Token::as_str), expected, "{sent:?}");
            assert!(!format!("{token:?}").contains("abc"));
        }
    }

    #[test]
    fn holders_are_told_apart_and_from_those_who_hold_none() {
        let digest = |value: Option<&'static str>| {
            let headers = value.map(|value| (AUTHORIZATION, HeaderValue::from_static(value))).into_iter().collect();
            let mut digester = Digester::new();
            Token::write(Token::of(&headers).as_ref(), &mut digester);
            digester.finish()
        };
        assert_eq!(digest(Some("Bearer a")), digest(Some("bearer  a ")));
        assert_ne!(digest(Some("Bearer a")), digest(Some("Bearer b")));
        assert_ne!(digest(Some("Bearer a")), digest(None));
    }
}
