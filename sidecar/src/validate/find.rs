//! Finds the JSON in a text that was to be JSON and holds more than that: a code fence round it, prose before or after.
//!
//! Pure, and linear but for a bounded number of false starts. Nothing is mended: JSON that is cut short or malformed is
//! not found, nor is a part of it taken for the whole.

use serde::de::IgnoredAny;

/// Brackets in prose that are tried before the search is given up.
const MAX_STARTS: usize = 32;

/// The first JSON document within `text`: in a code fence, else the first object or list in prose.
#[must_use]
pub(super) fn within(text: &str) -> Option<&str> {
    fenced(text).or_else(|| in_prose(text))
}

/// The content of the first code fence that holds one JSON document and nothing else.
fn fenced(text: &str) -> Option<&str> {
    const FENCE: &str = "```";
    let mut rest = text;
    for _ in 0..MAX_STARTS {
        let inside = &rest[rest.find(FENCE)? + FENCE.len()..];
        // What follows the fence on its line is the name of a language, unless the JSON itself begins there.
        let content = inside.trim_start_matches(|letter: char| letter.is_ascii_alphanumeric());
        if let Start::Whole(length) = start(content) {
            let json = content[..length].trim();
            let after = content[length..].trim_start();
            if after.is_empty() || after.starts_with(FENCE) {
                return Some(json);
            }
        }
        rest = inside;
    }
    None
}

/// The first object or list that is JSON. What is balanced and is not JSON is passed over as a whole; JSON that the
/// text's end cuts short ends the search, since whatever is inside it is only a part of what was meant.
fn in_prose(text: &str) -> Option<&str> {
    let mut from = 0;
    for _ in 0..MAX_STARTS {
        let at = from + text[from..].find(['{', '['])?;
        let here = &text[at..];
        from = match start(here) {
            Start::Whole(length) => return Some(&here[..length]),
            Start::CutShort => return None,
            Start::NotJson => at + balanced(here).unwrap_or(1),
        };
    }
    None
}

/// What a text begins with.
enum Start {
    /// A JSON document, which ends after so many bytes.
    Whole(usize),
    /// A JSON document that the text's end cuts short.
    CutShort,
    /// Something else.
    NotJson,
}

fn start(text: &str) -> Start {
    let mut documents = serde_json::Deserializer::from_str(text).into_iter::<IgnoredAny>();
    match documents.next() {
        Some(Ok(_)) => Start::Whole(documents.byte_offset()),
        Some(Err(error)) if error.is_eof() => Start::CutShort,
        Some(Err(_)) | None => Start::NotJson,
    }
}

/// Where the bracket that `text` begins with is closed: the length up to there. Strings and their escapes are respected.
fn balanced(text: &str) -> Option<usize> {
    let (mut depth, mut quoted, mut escaped) = (0_usize, false, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'{' | b'[' if !quoted => depth += 1,
            b'}' | b']' if !quoted => {
                depth -= 1;
                if depth == 0 {
                    return Some(at + 1);
                }
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn json_is_found_in_fences_and_in_prose() {
        for (text, found) in [
            ("```json\n{\"a\": 1}\n```", Some("{\"a\": 1}")),
            ("Here you are:\n```\n[1, 2]\n```\nAnything else?", Some("[1, 2]")),
            ("```JSON5 {\"a\":1}```", Some("{\"a\":1}")),
            ("```json\n\"`` ``` in a string\"\n```", Some("\"`` ``` in a string\"")),
            ("```python\nprint({1})\n```\n```json\n{}\n```", Some("{}")),
            ("```json\n{\"a\": 1}", Some("{\"a\": 1}")),
            ("Sure! {\"a\": \"} \\\" {\"} is it.", Some("{\"a\": \"} \\\" {\"}")),
            ("a {set} of [words], then {\"a\":[1]}", Some("{\"a\":[1]}")),
            ("it's [1: {\"a\": 1}", Some("{\"a\": 1}")),
            ("Sure: 42", None),
            ("no JSON", None),
            ("", None),
        ] {
            assert_eq!(within(text), found, "{text}");
        }
    }

    #[test]
    fn a_part_of_what_was_meant_is_not_taken_for_the_whole() {
        for text in [
            "{\"a\": {\"b\": 1}, \"c",
            "Sure: {\"a\": [1, 2], \"b\": [3",
            "{\"a\": {\"b\": 1}, c: 2}",
            "```json\n{\"a\": [1], \"b\"",
            "[{\"a\": 1}, {\"b\": 2},]",
        ] {
            assert_eq!(within(text), None, "{text}");
        }
    }

    #[test]
    fn the_search_in_a_text_of_brackets_is_short() {
        assert_eq!(within(&"[x".repeat(100_000)), None);
        assert_eq!(within(&"```".repeat(100_000)), None);
        assert_eq!(within(&"{\"".repeat(100_000)), None);
    }

    fn document() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            ".{0,12}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::vec((".{0,6}", inner), 0..5)
                    .prop_map(|members| members.into_iter().collect::<serde_json::Map<_, _>>().into()),
            ]
        })
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in any::<String>(), brackets in "[\\[\\]{}\"\\\\`a,: ]{0,40}") {
            let _ = within(&text);
            if let Some(found) = within(&brackets) {
                prop_assert!(serde_json::from_str::<Value>(found).is_ok());
            }
        }

        #[test]
        fn an_object_or_a_list_is_found_in_any_prose(before in "[^\\[{`]{0,30}", json in document(), after in any::<String>()) {
            let json = if json.is_object() || json.is_array() { json } else { json!([json]) };
            let written = serde_json::to_string_pretty(&json).unwrap();
            prop_assume!(!written.contains("```"));
            let text = format!("{before}{written}{}", after.replace('`', ""));
            prop_assert_eq!(within(&text), Some(written.as_str()));
        }

        #[test]
        fn any_json_is_found_in_a_fence(before in "[^`]{0,30}", json in document(), after in "[^`]{0,30}") {
            let written = json.to_string();
            let text = format!("{before}```json\n{written}\n```{after}");
            prop_assert_eq!(within(&text), Some(written.as_str()));
        }
    }
}
