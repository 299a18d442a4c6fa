//! What a message, or a piece of one, says in OpenAI's JSON, in all the ways in which providers write it.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{SeqAccess, Visitor},
};
use serde_json::value::RawValue;

/// A `message` or a `delta`.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Said<'a> {
    #[serde(borrow, default)]
    content: Text<'a>,
    #[serde(borrow, default)]
    refusal: Text<'a>,
    #[serde(borrow, default)]
    tool_calls: Option<Vec<Called<'a>>>,
}

#[derive(Debug, Deserialize)]
struct Called<'a> {
    #[serde(default)]
    index: Option<u32>,
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    function: Option<Function<'a>>,
}

#[derive(Debug, Deserialize)]
struct Function<'a> {
    #[serde(borrow, default)]
    name: Text<'a>,
    #[serde(borrow, default)]
    arguments: Option<&'a RawValue>,
}

impl Said<'_> {
    /// The text. A refusal stands for it where there is none: the contract has no field of its own for one, and
    /// an empty answer would hide it.
    pub(super) fn into_text(self) -> String {
        let text = if self.content.0.is_empty() { self.refusal } else { self.content };
        text.0.into_owned()
    }

    /// Index, id, name and arguments of each tool call, or of what is new of it.
    pub(super) fn tool_calls(&self) -> impl Iterator<Item = (u32, String, String, String)> + '_ {
        (0..).zip(self.tool_calls.iter().flatten()).map(|(position, call)| {
            let function = call.function.as_ref();
            (
                call.index.unwrap_or(position),
                call.id.map(text_of).unwrap_or_default(),
                function.map(|function| function.name.0.to_string()).unwrap_or_default(),
                function.and_then(|function| function.arguments).map(text_of).unwrap_or_default(),
            )
        })
    }
}

/// A string's text; of anything else, its JSON: some write a call's arguments as an object, or an id as a number.
pub(super) fn text_of(value: &RawValue) -> String {
    serde_json::from_str(value.get()).unwrap_or_else(|_| value.get().to_owned())
}

/// A text: a string, the texts of a list of parts, or null for none.
#[derive(Debug, Default)]
struct Text<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextVisitor)
    }
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Text<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text, a list of parts, or null")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Text<'de>, E> {
        Ok(Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Text<'de>, E> {
        Ok(Text(Cow::Owned(text.to_owned())))
    }

    fn visit_string<E>(self, text: String) -> Result<Text<'de>, E> {
        Ok(Text(Cow::Owned(text)))
    }

    fn visit_unit<E>(self) -> Result<Text<'de>, E> {
        Ok(Text::default())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<Text<'de>, A::Error> {
        #[derive(Deserialize)]
        struct Part {
            #[serde(default)]
            text: Option<String>,
        }
        let mut text = String::new();
        while let Some(part) = parts.next_element::<Part>()? {
            text.push_str(part.text.as_deref().unwrap_or_default());
        }
        Ok(Text(Cow::Owned(text)))
    }
}
