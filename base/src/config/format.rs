//! Text to tree: YAML (and JSON with it) and TOML, each value with its line. No message quotes the text, which may
//! hold secrets.

use std::{fmt, sync::Arc};

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};
use serde_saphyr::{MessageFormatter, Spanned, UserMessageFormatter};
use toml::de::{DeTable, DeValue};

use super::{
    fault::{Fault, Place},
    value::{Node, Value},
};

/// How a file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// YAML 1.2, of which JSON is a part.
    Yaml,
    /// TOML 1.1.
    Toml,
}

impl Format {
    /// The format that a file's extension names; without one, YAML.
    pub(crate) fn of(extension: Option<&str>) -> Option<Self> {
        match extension {
            None | Some("yaml" | "yml" | "json") => Some(Self::Yaml),
            Some("toml") => Some(Self::Toml),
            Some(_) => None,
        }
    }

    /// The tree that `text` holds, its places in the file called `name`.
    ///
    /// # Errors
    ///
    /// The first fault of its syntax.
    pub(crate) fn parse(self, text: &str, name: &Arc<str>) -> Result<Value, Fault> {
        match self {
            Self::Yaml => {
                let read: Spanned<Raw> = serde_saphyr::from_str_with_options(text, options()).map_err(|error| {
                    let line = error.location().map_or(0, |location| line(location.line()));
                    let message = UserMessageFormatter.format_message(error.without_snippet()).into_owned();
                    syntax("YAML", &message, Place::File { name: name.clone(), line })
                })?;
                Ok(placed(read.value, line(read.referenced.line()), name))
            }
            Self::Toml => {
                let lines = Lines::new(text);
                let read = DeTable::parse(text).map_err(|error| {
                    let line = error.span().map_or(0, |span| lines.at(span.start));
                    syntax("TOML", error.message(), Place::File { name: name.clone(), line })
                })?;
                Ok(from_table(read.get_ref(), Place::File { name: name.clone(), line: 1 }, &lines))
            }
        }
    }
}

/// What the words of a variable or a flag are: text, or what YAML makes of them.
pub(super) fn loose(text: &str, place: &Place) -> Value {
    let read = serde_saphyr::from_str_with_options::<Raw>(text, options());
    let meant = read.map_or_else(|_| Node::Text(text.to_owned()), |raw| everywhere(raw, place).node);
    Value { node: Node::Loose { text: text.to_owned(), meant: Box::new(meant) }, place: place.clone() }
}

fn syntax(format: &str, message: &str, place: Place) -> Fault {
    let message = message.lines().next().unwrap_or_default();
    Fault { path: String::new(), message: format!("is not valid {format}: {message}"), place }
}

fn options() -> serde_saphyr::Options {
    serde_saphyr::options! {
        strict_booleans: true,
        with_snippet: false,
        budget: serde_saphyr::budget! { max_depth: 32, max_nodes: 100_000 },
    }
}

/// What a YAML document holds.
enum Raw {
    Leaf(Node),
    List(Vec<Spanned<Raw>>),
    Map(Vec<(Spanned<String>, Raw)>),
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(AsItComes)
    }
}

struct AsItComes;

impl<'de> Visitor<'de> for AsItComes {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Leaf(Node::Null))
    }

    fn visit_none<E>(self) -> Result<Raw, E> {
        Ok(Raw::Leaf(Node::Null))
    }

    fn visit_some<D: Deserializer<'de>>(self, from: D) -> Result<Raw, D::Error> {
        from.deserialize_any(self)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Raw, E> {
        Ok(Raw::Leaf(Node::Flag(flag)))
    }

    fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<Raw, E> {
        self.visit_i128(number.into())
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Raw, E> {
        self.visit_i128(number.into())
    }

    fn visit_i128<E>(self, number: i128) -> Result<Raw, E> {
        Ok(Raw::Leaf(Node::Whole(number)))
    }

    fn visit_u128<E: serde::de::Error>(self, number: u128) -> Result<Raw, E> {
        self.visit_i128(i128::try_from(number).unwrap_or(i128::MAX))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Raw, E> {
        Ok(Raw::Leaf(Node::Real(number)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Raw, E> {
        Ok(Raw::Leaf(Node::Text(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<Raw, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = from.next_element()? {
            items.push(item);
        }
        Ok(Raw::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Raw, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = from.next_entry()? {
            entries.push(entry);
        }
        Ok(Raw::Map(entries))
    }
}

/// `raw` with its lines. An entry of a map is where its key is.
fn placed(raw: Raw, at: u32, name: &Arc<str>) -> Value {
    let node = match raw {
        Raw::Leaf(node) => node,
        Raw::List(items) => {
            Node::List(items.into_iter().map(|item| placed(item.value, line(item.referenced.line()), name)).collect())
        }
        Raw::Map(entries) => Node::Map(
            entries
                .into_iter()
                .map(|(key, value)| {
                    let at = line(key.referenced.line());
                    (key.value, placed(value, at, name))
                })
                .collect(),
        ),
    };
    Value { node, place: Place::File { name: name.clone(), line: at } }
}

/// `raw`, all of it at `place`.
fn everywhere(raw: Raw, place: &Place) -> Value {
    let node = match raw {
        Raw::Leaf(node) => node,
        Raw::List(items) => Node::List(items.into_iter().map(|item| everywhere(item.value, place)).collect()),
        Raw::Map(entries) => {
            Node::Map(entries.into_iter().map(|(key, value)| (key.value, everywhere(value, place))).collect())
        }
    };
    Value { node, place: place.clone() }
}

fn from_table(table: &DeTable<'_>, place: Place, lines: &Lines) -> Value {
    let entries = table.iter().map(|(key, value)| {
        let place = lines.place(&place, key.span().start);
        (key.get_ref().to_string(), from_toml(value.get_ref(), place, lines))
    });
    Value { node: Node::Map(entries.collect()), place }
}

fn from_toml(value: &DeValue<'_>, place: Place, lines: &Lines) -> Value {
    let node = match value {
        DeValue::Table(table) => return from_table(table, place, lines),
        DeValue::Array(items) => {
            let items =
                items.iter().map(|item| from_toml(item.get_ref(), lines.place(&place, item.span().start), lines));
            Node::List(items.collect())
        }
        DeValue::String(text) => Node::Text(text.to_string()),
        DeValue::Boolean(flag) => Node::Flag(*flag),
        DeValue::Integer(number) => i128::from_str_radix(number.as_str(), number.radix())
            .map_or_else(|_| Node::Text(number.as_str().to_owned()), Node::Whole),
        DeValue::Float(number) => {
            number.as_str().parse().map_or_else(|_| Node::Text(number.as_str().to_owned()), Node::Real)
        }
        DeValue::Datetime(moment) => Node::Text(moment.to_string()),
    };
    Value { node, place }
}

/// Where each line of a text begins.
struct Lines(Vec<usize>);

impl Lines {
    fn new(text: &str) -> Self {
        Self(text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at).collect())
    }

    /// The line, from 1, that byte `offset` is on.
    fn at(&self, offset: usize) -> u32 {
        line(self.0.partition_point(|end| *end < offset).saturating_add(1))
    }

    fn place(&self, file: &Place, offset: usize) -> Place {
        match file {
            Place::File { name, .. } => Place::File { name: name.clone(), line: self.at(offset) },
            other => other.clone(),
        }
    }
}

fn line(number: impl TryInto<u32>) -> u32 {
    number.try_into().unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
