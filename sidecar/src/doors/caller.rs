//! What callers say of themselves in the same words through either door.

/// Longer idempotency keys and run ids are refused: they are kept.
const MAX_KEY: usize = 256;

/// The detail of an error that holds the provider's raw words, where callers may read them.
pub(super) const RAW_WORDS: &str = "provider_words";

/// What `www-authenticate` says to a caller without leave.
pub(super) const CHALLENGE: &str = "Bearer";

/// What an idempotency key or a run id must be.
pub(super) const KEY: &str = "1 to 256 visible ASCII characters";

/// What may be held back of a stream.
pub(super) const HOLDBACK: &str = "a number of tokens, a duration such as 250ms, or whole";

/// `sent` if it can be an idempotency key or a run id: it stands in headers and log lines.
pub(super) fn key(sent: &[u8]) -> Option<&str> {
    let fits = (1..=MAX_KEY).contains(&sent.len()) && sent.iter().all(u8::is_ascii_graphic);
    if fits { std::str::from_utf8(sent).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_short_and_visible() {
        let (longest, longer) = ("x".repeat(256), "x".repeat(257));
        for (sent, fits) in [
            ("k", true),
            ("order/42#retry", true),
            (longest.as_str(), true),
            ("", false),
            ("two words", false),
            ("größe", false),
            (longer.as_str(), false),
        ] {
            assert_eq!(key(sent.as_bytes()).is_some(), fits, "{sent:?}");
        }
    }
}
