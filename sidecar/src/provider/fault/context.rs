//! The window and the prompt's length, found in the wording of a refusal.

/// What a refusal says in numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Facts {
    /// Tokens that the model's window holds.
    pub(super) limit: Option<u64>,
    /// Tokens that were asked for.
    pub(super) length: Option<u64>,
    /// Tokens of the prompt alone.
    pub(super) prompt: Option<u64>,
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

/// What comes before the length of the prompt alone.
const BEFORE_PROMPT: [&str; 9] = [
    "resulted in",
    "your request has",
    "your prompt contains at least",
    "prompt is too long:",
    "input is too long:",
    "token count",
    "prompt contains",
    "context limit:",
    "given:",
];

/// What comes behind it.
const BEHIND_PROMPT: [&str; 4] = ["in the messages", "in your prompt", "in the input", "input tokens"];

/// What comes behind the part of what was asked for that is the answer.
const BEHIND_ANSWER: [&str; 3] = ["in the completion", "for the completion", "in the output"];

impl Facts {
    /// Finds what `message` says.
    pub(super) fn find(message: &str) -> Self {
        let message = message.to_ascii_lowercase();
        let find = |phrases: &[&str]| phrases.iter().find_map(|phrase| number_after(&message, phrase));
        let (limit, length) = (find(&BEFORE_LIMIT), find(&BEFORE_LENGTH));
        // What is asked for is beyond the limit, or the two numbers are not what they seem.
        let length = length.filter(|length| limit.is_none_or(|limit| *length > limit));
        let behind = |phrases: &[&str]| phrases.iter().find_map(|phrase| number_before(&message, phrase));
        let without_answer = || length?.checked_sub(behind(&BEHIND_ANSWER)?);
        let prompt = without_answer().or_else(|| find(&BEFORE_PROMPT)).or_else(|| behind(&BEHIND_PROMPT));
        Self { limit, length, prompt: prompt.filter(|tokens| *tokens > 0) }
    }
}

/// The number that stands right before `phrase`.
fn number_before(message: &str, phrase: &str) -> Option<u64> {
    message.match_indices(phrase).find_map(|(at, _)| {
        let before = message[..at].trim_end_matches([' ', '`', '\'', '"']);
        let number = before.trim_end_matches(|letter: char| letter.is_ascii_digit() || letter == ',').len();
        let digits: String = before[number..].chars().filter(char::is_ascii_digit).collect();
        digits.parse().ok()
    })
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
        type Row = (&'static str, Option<u64>, Option<u64>, Option<u64>);
        let table: &[Row] = &[
            (
                "This model's maximum context length is 8192 tokens. However, you requested 9000 tokens (8000 in the messages, 1000 in the completion).",
                Some(8192),
                Some(9000),
                Some(8000),
            ),
            (
                "This model's maximum context length is 4097 tokens, however you requested 5000 tokens (4500 in your prompt; 500 for the completion).",
                Some(4097),
                Some(5000),
                Some(4500),
            ),
            (
                "This model's maximum context length is 8192 tokens. However, your messages resulted in 10005 tokens.",
                Some(8192),
                Some(10005),
                Some(10005),
            ),
            (
                "This model's maximum context length is 4096 tokens. However, your request has 5000 input tokens.",
                Some(4096),
                Some(5000),
                Some(5000),
            ),
            (
                "'max_tokens' is too large: 5000. This model's maximum context length is 4096 tokens and your request has 20 input tokens (5000 > 4096 - 20).",
                Some(4096),
                None,
                Some(20),
            ),
            ("prompt is too long: 210000 tokens > 200000 maximum", Some(200_000), Some(210_000), Some(210_000)),
            (
                "input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000, decrease input length",
                Some(200_000),
                None,
                Some(190_000),
            ),
            (
                "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
                Some(1_048_576),
                Some(1_200_000),
                Some(1_200_000),
            ),
            (
                "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096. Given: 5000 `inputs` tokens and 100 `max_new_tokens`",
                Some(4096),
                Some(5000),
                Some(5000),
            ),
            ("the request exceeds the available context size (4096 tokens), try increasing it", Some(4096), None, None),
            ("maximum context length is 131,072 tokens", Some(131_072), None, None),
            ("the model gpt-4-32k has a context window of 32k", None, None, None),
            ("too long", None, None, None),
            ("\u{65e5}in the messages", None, None, None),
            ("maximum context length is 99999999999999999999999999", None, None, None),
            ("", None, None, None),
        ];
        for (message, limit, length, prompt) in table {
            let facts = Facts { limit: *limit, length: *length, prompt: *prompt };
            assert_eq!(Facts::find(message), facts, "{message}");
        }
    }
}
