//! Reads of an answer only what decisions need: whether it says anything, why it stopped, what it cost.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor},
};

use super::{
    answer::{Finish, Usage},
    json,
};

/// What one chunk of a stream, or one whole answer, says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Facts<'a> {
    /// Whether any choice carries tokens: text, reasoning, a refusal, a tool's call.
    pub tokens: bool,
    /// Which of the first 128 choices are present, by index.
    pub choices: u128,
    /// Which of them say why they stopped.
    pub finished: u128,
    /// Why the first that says so stopped.
    pub finish: Option<Finish>,
    /// The provider's own count.
    pub usage: Option<Usage>,
    /// The model's name as the provider says it.
    pub model: Option<Cow<'a, str>>,
    /// Whether there is an `error` in place of an answer.
    pub error: bool,
    /// How many things `data` holds: embeddings or images.
    pub items: usize,
    /// How many of them hold an image, or say where it is.
    pub images: usize,
}

/// Reads the facts of a `chat.completion`, `text_completion`, either's chunk, a list of embeddings,
/// or images.
///
/// # Errors
/// What is wrong with `json` as JSON of that kind.
pub fn inspect(json: &[u8]) -> Result<Facts<'_>, serde_json::Error> {
    let document: Document<'_> = json::read(json)?;
    let choices = document.choices.unwrap_or_default();
    let data = document.data.unwrap_or_default();
    Ok(Facts {
        tokens: choices.tokens,
        choices: choices.present,
        finished: choices.finished,
        finish: choices.finish,
        usage: document.usage.map(|usage| Usage {
            input_tokens: usage.prompt_tokens.or(usage.input_tokens).unwrap_or(0),
            output_tokens: usage.completion_tokens.or(usage.output_tokens).unwrap_or(0),
        }),
        model: document.model.map(|Borrowed(model)| model),
        error: document.error.is_some_and(|Presence(there)| there),
        items: data.items,
        images: data.images,
    })
}

/// A finish reason from its name on the wire.
#[must_use]
pub fn finish(name: &str) -> Finish {
    match name {
        "stop" => Finish::Stop,
        "length" => Finish::Length,
        "tool_calls" | "function_call" => Finish::ToolCalls,
        "content_filter" => Finish::ContentFilter,
        _ => Finish::Other,
    }
}

#[derive(Deserialize)]
struct Document<'a> {
    choices: Option<Choices>,
    usage: Option<UsageDocument>,
    #[serde(borrow)]
    model: Option<Borrowed<'a>>,
    error: Option<Presence>,
    data: Option<Data>,
}

#[derive(Deserialize)]
struct UsageDocument {
    prompt_tokens: Option<u32>,
    completion_tokens: Option<u32>,
    // As images are counted.
    input_tokens: Option<u32>,
    output_tokens: Option<u32>,
}

/// A string that is borrowed where it holds no escapes.
#[derive(Deserialize)]
struct Borrowed<'a>(#[serde(borrow)] Cow<'a, str>);

#[derive(Deserialize)]
struct Choice<'a> {
    index: Option<u32>,
    #[serde(borrow)]
    finish_reason: Option<Borrowed<'a>>,
    delta: Option<Said>,
    message: Option<Said>,
    text: Option<Presence>,
}

/// The fields of a message or a delta that hold what a model said.
#[derive(Deserialize)]
struct Said {
    content: Option<Presence>,
    tool_calls: Option<Presence>,
    reasoning_content: Option<Presence>,
    reasoning: Option<Presence>,
    refusal: Option<Presence>,
    function_call: Option<Presence>,
    audio: Option<Presence>,
}

impl Said {
    fn anything(&self) -> bool {
        let all = [&self.content, &self.tool_calls, &self.reasoning_content, &self.reasoning, &self.refusal];
        all.into_iter().chain([&self.function_call, &self.audio]).flatten().any(|Presence(there)| *there)
    }
}

/// All choices, folded into one.
#[derive(Default)]
struct Choices {
    present: u128,
    finished: u128,
    finish: Option<Finish>,
    tokens: bool,
}

impl Choices {
    fn add(&mut self, choice: &Choice<'_>) {
        let bit = 1u128.checked_shl(choice.index.unwrap_or(0)).unwrap_or(0);
        self.present |= bit;
        self.tokens |= choice.text.as_ref().is_some_and(|Presence(there)| *there)
            || choice.delta.as_ref().is_some_and(Said::anything)
            || choice.message.as_ref().is_some_and(Said::anything);
        // Some servers send an empty string on every chunk but the last.
        if let Some(Borrowed(name)) = choice.finish_reason.as_ref().filter(|Borrowed(name)| !name.is_empty()) {
            self.finished |= bit;
            self.finish.get_or_insert_with(|| finish(name));
        }
    }
}

impl<'de> Deserialize<'de> for Choices {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fold;
        impl<'de> Visitor<'de> for Fold {
            type Value = Choices;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of choices")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Choices, A::Error> {
                let mut all = Choices::default();
                while let Some(choice) = list.next_element::<Choice<'de>>()? {
                    all.add(&choice);
                }
                Ok(all)
            }
        }
        deserializer.deserialize_seq(Fold)
    }
}

/// A list of embeddings or images, folded into one.
#[derive(Default)]
struct Data {
    items: usize,
    images: usize,
}

/// An image, as bytes or as a place. An embedding's field is none of these, and so is passed over.
#[derive(Deserialize)]
struct Item {
    b64_json: Option<Presence>,
    url: Option<Presence>,
}

impl<'de> Deserialize<'de> for Data {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fold;
        impl<'de> Visitor<'de> for Fold {
            type Value = Data;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Data, A::Error> {
                let mut all = Data::default();
                while let Some(item) = list.next_element::<Item>()? {
                    let image = [item.b64_json, item.url].into_iter().flatten().any(|Presence(there)| there);
                    all.images += usize::from(image);
                    all.items += 1;
                }
                Ok(all)
            }
        }
        deserializer.deserialize_seq(Fold)
    }
}

/// Whether a value holds anything: not null, and not empty.
struct Presence(bool);

impl<'de> Deserialize<'de> for Presence {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Holds)
    }
}

struct Holds;

impl<'de> Visitor<'de> for Holds {
    type Value = Presence;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_unit<E>(self) -> Result<Presence, E> {
        Ok(Presence(false))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Presence, E> {
        Ok(Presence(value))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Presence, E> {
        Ok(Presence(true))
    }

    fn visit_u64<E>(self, _: u64) -> Result<Presence, E> {
        Ok(Presence(true))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Presence, E> {
        Ok(Presence(true))
    }

    fn visit_str<E>(self, text: &str) -> Result<Presence, E> {
        Ok(Presence(!text.is_empty()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Presence, A::Error> {
        let mut any = false;
        while list.next_element::<IgnoredAny>()?.is_some() {
            any = true;
        }
        Ok(Presence(any))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Presence, A::Error> {
        let mut any = false;
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {
            any = true;
        }
        Ok(Presence(any))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_chunk_carries_tokens_only_if_it_says_something() {
        for (delta, says) in [
            (r#"{"role":"assistant","content":""}"#, false),
            (r#"{"content":null}"#, false),
            ("{}", false),
            (r#"{"tool_calls":[]}"#, false),
            (r#"{"content":" "}"#, true),
            (r#"{"content":"","reasoning_content":"hm"}"#, true),
            (r#"{"reasoning":"hm"}"#, true),
            (r#"{"refusal":"no"}"#, true),
            (r#"{"tool_calls":[{"index":0}]}"#, true),
        ] {
            let chunk = format!(r#"{{"choices":[{{"index":0,"delta":{delta},"finish_reason":null}}]}}"#);
            let facts = inspect(chunk.as_bytes()).unwrap();
            assert_eq!((facts.tokens, facts.finish, facts.choices), (says, None, 1), "{delta}");
        }
    }

    #[test]
    fn each_choice_finishes_for_itself() {
        let facts = inspect(br#"{"choices":[{"index":0,"text":"","finish_reason":""},{"index":2,"delta":{},"finish_reason":"length"}],"usage":null,"model":"m\u0041"}"#).unwrap();
        assert_eq!((facts.choices, facts.finished, facts.finish), (0b101, 0b100, Some(Finish::Length)));
        assert_eq!(facts.model.as_deref(), Some("mA"));
    }

    #[test]
    fn a_whole_answer_says_what_it_cost() {
        let facts = inspect(br#"{"choices":[{"index":0,"message":{"content":"hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":4,"total_tokens":7,"x":{}},"other":[1]}"#).unwrap();
        assert_eq!(facts.usage, Some(Usage { input_tokens: 3, output_tokens: 4 }));
        assert_eq!((facts.tokens, facts.finish), (true, Some(Finish::Stop)));
        assert_eq!(inspect(br#"{"data":[{"embedding":[1]},{}],"usage":{"prompt_tokens":3}}"#).unwrap().items, 2);
    }

    #[test]
    fn an_image_is_bytes_or_a_place() {
        let facts = inspect(br#"{"created":1,"data":[{"b64_json":"iVBORw0=","url":null},{"url":"https://x/y.png"},{"b64_json":""},{}],"usage":{"input_tokens":3,"output_tokens":4}}"#).unwrap();
        assert_eq!((facts.items, facts.images), (4, 2));
        assert_eq!(facts.usage, Some(Usage { input_tokens: 3, output_tokens: 4 }));
    }

    #[test]
    fn an_error_in_place_of_an_answer_is_seen() {
        assert!(inspect(br#"{"error":{"message":"x"}}"#).unwrap().error);
        assert!(inspect(br#"{"error":"x"}"#).unwrap().error);
        assert!(!inspect(br#"{"error":null,"choices":[]}"#).unwrap().error);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = inspect(&bytes);
        }
    }
}
