//! The window and the prompt's length, found in the wording of a refusal.

/// What a refusal says in numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Facts {
    /// Tokens that the model's window holds.
    pub(super) limit: Option<u64>,
    /// Tokens that were asked for.
    pub(super) length: Option<u64>,
}

/// What comes before the window's size, the surest first.
const BEFORE_LIMIT: [&str; 15] = [
    "maximum context length is",
    "maximum context length of",
    "context length is only",
    "maximum model length of",
    "maximum number of tokens allowed",
    "maximum sequence length",
    "available context size",
    "context window of",
    "context size of",
    "context length of",
    "context limit of",
    "must be <=",
    "maximum of",
    "limit of",
    ">",
];

/// What comes before the prompt's length, the surest first.
const BEFORE_LENGTH: [&str; 11] = [
    "you requested",
    "resulted in",
    "your request has",
    "your prompt contains at least",
    "prompt is too long:",
    "token count",
    "input is too long:",
    "given:",
    "the request has",
    "prompt contains",
    "has a length of",
];

impl Facts {
    /// Finds what `message` says.
    pub(super) fn find(message: &str) -> Self {
        let message = message.to_ascii_lowercase();
        let find = |phrases: &[&str]| phrases.iter().find_map(|phrase| number_after(&message, phrase));
        let (limit, length) = (find(&BEFORE_LIMIT), find(&BEFORE_LENGTH));
        // What is asked for is beyond the limit, or the two numbers are not what they seem.
        Self { limit, length: length.filter(|length| limit.is_none_or(|limit| *length > limit)) }
    }
}

/// The number that stands right behind `phrase`, brackets and quotes aside.
fn number_after(message: &str, phrase: &str) -> Option<u64> {
    let behind = &message[message.find(phrase)? + phrase.len()..];
    let number = behind.trim_start_matches([' ', '(', '`', '\'', '"', ':', '=']);
    let end = number.find(|letter: char| !letter.is_ascii_digit() && letter != ',').unwrap_or(number.len());
    let digits: String = number[..end].chars().filter(char::is_ascii_digit).collect();
    // `128k` is a model's name or a rounded figure.
    let goes_on = number[end..].starts_with(|letter: char| letter.is_ascii_alphabetic());
    if goes_on { None } else { digits.parse().ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_known_wordings_give_their_numbers() {
        let table: &[(&str, Option<u64>, Option<u64>)] = &[
            (
                "This model's maximum context length is 8192 tokens. However, you requested 9000 tokens (8000 in the messages, 1000 in the completion).",
                Some(8192),
                Some(9000),
            ),
            (
                "This model's maximum context length is 8192 tokens. However, your messages resulted in 10005 tokens.",
                Some(8192),
                Some(10005),
            ),
            (
                "This model's maximum context length is 4096 tokens. However, your request has 5000 input tokens.",
                Some(4096),
                Some(5000),
            ),
            ("prompt is too long: 210000 tokens > 200000 maximum", Some(200_000), Some(210_000)),
            (
                "input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000, decrease input length",
                Some(200_000),
                None,
            ),
            (
                "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
                Some(1_048_576),
                Some(1_200_000),
            ),
            (
                "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096. Given: 5000 `inputs` tokens and 100 `max_new_tokens`",
                Some(4096),
                Some(5000),
            ),
            ("the request exceeds the available context size (4096 tokens), try increasing it", Some(4096), None),
            ("maximum context length is 131,072 tokens", Some(131_072), None),
            ("the model gpt-4-32k has a context window of 32k", None, None),
            ("too long", None, None),
            ("maximum context length is 99999999999999999999999999", None, None),
            ("", None, None),
        ];
        for (message, limit, length) in table {
            assert_eq!(Facts::find(message), Facts { limit: *limit, length: *length }, "{message}");
        }
    }
}
