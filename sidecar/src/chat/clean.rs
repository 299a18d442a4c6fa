//! Characters that no prompt means: control characters, and halves of characters that a careless cut left behind.
//!
//! They are taken out of the document as it is written, so that not a byte beside them changes.

use bytes::{BufMut as _, Bytes, BytesMut};

/// Whether `letter` is taken out of prompts: a control character that lays out no text.
pub(super) const fn is_unwanted(letter: char) -> bool {
    // U+0085 is a line's end to some.
    matches!(letter, '\0'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{7f}'..='\u{84}' | '\u{86}'..='\u{9f}')
}

/// Whether a JSON document may hold any of them as they are: those below U+0020 can only be escaped.
pub(super) fn is_suspicious(json: &[u8]) -> bool {
    // The second is the first byte of U+0080 to U+00BF.
    memchr::memchr2(0x7f, 0xc2, json).is_some()
}

/// Whether `text` holds any of them. One pass without a branch for the commonest text, which holds nothing that may be one.
pub(super) fn holds_unwanted(text: &str) -> bool {
    let suspicious = text.bytes().fold(false, |found, byte| {
        found | ((byte < 0x20) & (byte != b'\t') & (byte != b'\n') & (byte != b'\r')) | (byte == 0x7f) | (byte == 0xc2)
    });
    suspicious && text.chars().any(is_unwanted)
}

/// A JSON string as it is written, quotes included, without the unwanted; `None`: it has none. And how many there were.
pub(super) fn cleaned(literal: &str) -> Option<(String, u32)> {
    let mut clean = String::with_capacity(literal.len());
    let mut removed = 0;
    let mut rest = literal;
    while let Some(letter) = rest.chars().next() {
        let taken = match letter {
            '\\' => escape(rest.as_bytes()),
            other => Escape { length: other.len_utf8(), wanted: !is_unwanted(other) },
        };
        let (this, after) = rest.split_at_checked(taken.length).unwrap_or((rest, ""));
        if taken.wanted {
            clean.push_str(this);
        } else {
            removed += 1;
        }
        rest = after;
    }
    (removed > 0).then_some((clean, removed))
}

/// `body` without the lone halves of surrogate pairs that are escaped in its strings, and how many there were;
/// `None`: there are none. Such a document is no JSON to a strict reader, yet languages with UTF-16 strings write it
/// when a text is cut within a character.
pub(super) fn without_lone_surrogates(body: &[u8]) -> Option<(Bytes, u32)> {
    let mut clean = BytesMut::new();
    let (mut removed, mut copied, mut at) = (0, 0, 0);
    // A backslash stands only in strings, so that nothing else of JSON need be known.
    while let Some(next) = body[at..].iter().position(|byte| *byte == b'\\') {
        at += next;
        let rest = &body[at..];
        let half = code(rest).filter(|_| !is_pair(rest)).is_some_and(|code| (0xd800..=0xdfff).contains(&code));
        let length = escape(rest).length;
        if half {
            clean.put_slice(&body[copied..at]);
            copied = at + length;
            removed += 1;
        }
        at = (at + length).min(body.len());
    }
    clean.put_slice(&body[copied..]);
    (removed > 0).then(|| (clean.freeze(), removed))
}

struct Escape {
    /// Bytes.
    length: usize,
    wanted: bool,
}

/// The escape with which `rest` begins.
fn escape(rest: &[u8]) -> Escape {
    match code(rest) {
        Some(_) if is_pair(rest) => Escape { length: 12, wanted: true },
        Some(code) => Escape { length: 6, wanted: !char::from_u32(code.into()).is_none_or(is_unwanted) },
        // \b and \f are control characters too.
        None => Escape { length: 2.min(rest.len()), wanted: !matches!(rest, [_, b'b' | b'f', ..]) },
    }
}

/// The code unit of `\uXXXX`.
fn code(rest: &[u8]) -> Option<u16> {
    let [b'\\', b'u', a, b, c, d, ..] = rest else { return None };
    [a, b, c, d].into_iter().try_fold(0_u16, |code, digit| {
        let digit = char::from(*digit).to_digit(16).and_then(|digit| u16::try_from(digit).ok())?;
        Some(code << 4 | digit)
    })
}

/// Whether `rest` begins with both halves of a pair.
fn is_pair(rest: &[u8]) -> bool {
    let high = code(rest).is_some_and(|code| (0xd800..=0xdbff).contains(&code));
    high && rest.get(6..).and_then(code).is_some_and(|code| (0xdc00..=0xdfff).contains(&code))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    #[test]
    fn only_control_characters_that_lay_out_nothing_are_unwanted() {
        for text in ["", "plain", "tab\tline\nend\r", "é ü ß « » \u{a0}", "\u{85}", "日本語 🤦🏽‍♂️", "\u{feff}"]
        {
            assert!(!holds_unwanted(text), "{text:?}");
        }
        for text in ["\0", "a\u{1b}[31m", "\u{8}", "\u{c}", "\u{7f}", "é\u{80}", "\u{9f}"] {
            assert!(holds_unwanted(text), "{text:?}");
        }
    }

    #[test]
    fn a_literal_loses_the_unwanted_and_nothing_else() {
        for (before, after, count) in [
            (r#""a\u0000b""#, r#""ab""#, 1),
            (r#""\u001B[31m\u00e9\n\\u0000\"""#, r#""[31m\u00e9\n\\u0000\"""#, 1),
            ("\"x\u{7f}\u{80}é\"", "\"xé\"", 2),
            (r#""\b\f\t\/""#, r#""\t\/""#, 2),
            (r#""\ud83d\ude00\u007F""#, r#""\ud83d\ude00""#, 1),
        ] {
            assert_eq!(cleaned(before), Some((after.to_owned(), count)), "{before}");
        }
        for good in [r#""""#, r#""a\tb\u000a\\""#, r#""\ud83d\ude00 é""#] {
            assert_eq!(cleaned(good), None, "{good}");
        }
    }

    #[test]
    fn lone_halves_go_and_pairs_stay() {
        for (before, after, count) in [
            (r#"{"a":"\ud83d"}"#, r#"{"a":""}"#, 1),
            (r#"["\ud83d\ude00\ud83d x","\udE00"]"#, r#"["\ud83d\ude00 x",""]"#, 2),
            (r#""\ud83d\ud83d\ude00""#, r#""\ud83d\ude00""#, 1),
        ] {
            let (clean, removed) = without_lone_surrogates(before.as_bytes()).unwrap();
            assert_eq!((&*clean, removed), (after.as_bytes(), count), "{before}");
        }
        for good in [r#"{"a":"\\ud83d \ud83d\ude00"}"#, "", "\\", r"\u", r"\ud8"] {
            assert_eq!(without_lone_surrogates(good.as_bytes()), None, "{good}");
        }
    }

    proptest! {
        #[test]
        fn what_is_read_back_is_the_text_without_the_unwanted(text in any::<String>(), odd in "[\0-\u{9f}]{0,8}") {
            let text = format!("{text}{odd}");
            let literal = Value::from(text.as_str()).to_string();
            let wanted: String = text.chars().filter(|letter| !is_unwanted(*letter)).collect();
            prop_assert_eq!(holds_unwanted(&text), wanted != text);
            match cleaned(&literal) {
                Some((clean, removed)) => {
                    prop_assert_eq!(serde_json::from_str::<String>(&clean).unwrap(), wanted.as_str());
                    prop_assert_eq!(removed as usize, text.chars().count() - wanted.chars().count());
                }
                None => prop_assert_eq!(wanted, text),
            }
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..60), text in "[\\\\ud8cxf\"0-9]{0,40}") {
            let _ = without_lone_surrogates(&bytes);
            let _ = cleaned(&text);
            if let Some((clean, _)) = without_lone_surrogates(text.as_bytes()) {
                prop_assert!(clean.len() < text.len());
            }
        }
    }
}
