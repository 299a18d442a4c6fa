//! Looking for words in what providers say, whatever the case of their letters, without copying.

/// Bytes of a message that are looked at: the words that matter come early, and what follows is often the prompt.
const LOOKED_AT: usize = 4_096;

/// The part of `message` that is looked at, as bytes.
pub(crate) fn beginning(message: &str) -> &[u8] {
    let bytes = message.as_bytes();
    bytes.get(..LOOKED_AT).unwrap_or(bytes)
}

/// Where `words` first begins in `text`, letters of either case being the same.
pub(crate) fn find(text: &[u8], words: &str) -> Option<usize> {
    text.windows(words.len().max(1)).position(|part| part.eq_ignore_ascii_case(words.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_in_either_case_and_only_where_they_are() {
        assert_eq!(find(b"The Engine is OVERLOADED", "overloaded"), Some(14));
        assert_eq!(find(b"over", "overloaded"), None);
        assert_eq!(find(b"over", ""), None);
    }

    #[test]
    fn only_the_beginning_of_a_long_message_is_looked_at() {
        let long = format!("{}overloaded", "é".repeat(LOOKED_AT));
        assert_eq!(find(beginning(&long), "overloaded"), None);
        assert_eq!(find(beginning("overloaded"), "overloaded"), Some(0));
    }
}
