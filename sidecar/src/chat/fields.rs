//! The fields of one object as the walk meets them, and what holds between them.

use std::{borrow::Cow, fmt};

use serde::de::{DeserializeSeed, Deserializer, Visitor};

use super::{
    shape::{Rule, Seen, Shape, Table},
    tables,
    walk::{Path, Walk},
};

/// Finds a key in a table.
pub(super) struct KeyIn(pub(super) &'static Table);

/// A key of an object.
pub(super) struct Key<'de> {
    /// Which of the table's fields it names; `None`: none of them.
    pub(super) index: Option<usize>,
    /// Borrowed from the document where it is written there without escapes.
    pub(super) name: Cow<'de, str>,
}

impl<'de> Key<'de> {
    /// Its name where it stands in the document; `None`: it is written there with escapes.
    pub(super) const fn bare(&self) -> Option<&'de str> {
        match self.name {
            Cow::Borrowed(name) => Some(name),
            Cow::Owned(_) => None,
        }
    }
}

impl<'de> DeserializeSeed<'de> for KeyIn {
    type Value = Key<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Key<'de>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl KeyIn {
    fn find<'de>(&self, name: Cow<'de, str>) -> Key<'de> {
        Key { index: self.0.fields.iter().position(|field| field.name == name), name }
    }
}

impl<'de> Visitor<'de> for KeyIn {
    type Value = Key<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_borrowed_str<E>(self, key: &'de str) -> Result<Key<'de>, E> {
        Ok(self.find(Cow::Borrowed(key)))
    }

    fn visit_str<E>(self, key: &str) -> Result<Key<'de>, E> {
        Ok(self.find(Cow::Owned(key.to_owned())))
    }
}

/// Which fields of one object have been seen.
pub(super) struct Fields {
    table: &'static Table,
    seen: u64,
    null: u64,
    blank: u64,
    first: Option<u8>,
}

impl Fields {
    pub(super) const fn new(table: &'static Table) -> Self {
        Self { table, seen: 0, null: 0, blank: 0, first: None }
    }

    /// Notes the field at `index`, and that a key given twice is a fault: readers differ on which one counts.
    pub(super) fn saw(&mut self, index: usize, seen: Seen, path: &Path<'_>, walk: &Walk<'_>) {
        let bit = 1 << index;
        if self.seen & bit != 0 {
            walk.note(path, "is given twice");
        }
        self.seen |= bit;
        match seen {
            Seen::Null => self.null |= bit,
            Seen::Blank => self.blank |= bit,
            Seen::Choice(choice) if index == 0 => self.first = Some(choice),
            _ => {}
        }
    }

    /// Notes what is missing once the object has ended, and says what it is to what it stands in.
    pub(super) fn close(&self, path: &Path<'_>, walk: &Walk<'_>) -> Seen {
        for (index, field) in self.table.fields.iter().enumerate() {
            if field.required && self.seen & (1 << index) == 0 {
                walk.note(&Path::Key(path, field.name), "is required");
            }
        }
        match self.table.rule {
            Rule::None => {}
            Rule::Message => self.close_message(path, walk),
            Rule::Part => return self.close_part(path, walk),
            Rule::Image => self.close_image(path, walk),
            Rule::Either(one, other) => self.close_either(one, other, path, walk),
            Rule::Holds(types) => {
                if let Some(fields) = self.first.and_then(|kind| types.get(usize::from(kind))) {
                    self.close_holder(fields, path, walk);
                }
            }
        }
        Seen::Other
    }

    /// The bit of the field `name`; zero where the table has none.
    fn bit(&self, name: &str) -> u64 {
        self.table.fields.iter().position(|field| field.name == name).map_or(0, |index| 1 << index)
    }

    fn has(&self, name: &str) -> bool {
        self.seen & !self.null & self.bit(name) != 0
    }

    /// By its role, a message says something, calls tools, or answers a tool's call.
    fn close_message(&self, path: &Path<'_>, walk: &Walk<'_>) {
        let Some(role) = self.first.and_then(|index| tables::ROLES.get(usize::from(index))) else { return };
        let calls = || self.has("tool_calls") || self.has("function_call") || self.has("refusal") || self.has("audio");
        let silent = || *role == "assistant" && calls();
        if !self.has("content") && !silent() {
            let message = match *role {
                "assistant" => "is required where there are no tool_calls",
                _ => "is required",
            };
            walk.note(&Path::Key(path, "content"), message);
        }
        // Only from a person is nothing a mistake: tools answer with nothing, and prompts are put together from parts.
        if *role == "user" && self.blank & self.bit("content") != 0 {
            walk.note(&Path::Key(path, "content"), "must not be empty or blank");
        }
        if *role == "tool" && !self.has("tool_call_id") {
            walk.note(&Path::Key(path, "tool_call_id"), "is required of a tool's message");
        }
    }

    fn close_part(&self, path: &Path<'_>, walk: &Walk<'_>) -> Seen {
        let Some(kind) = self.first.and_then(|index| tables::PARTS.get(usize::from(index))) else { return Seen::Other };
        if !self.has(kind) {
            walk.note(&Path::Key(path, kind), format!("is required of a part of type \"{kind}\""));
        }
        if *kind == "text" && self.blank & self.bit("text") != 0 { Seen::Blank } else { Seen::Other }
    }

    fn close_image(&self, path: &Path<'_>, walk: &Walk<'_>) {
        for (given, missing) in [("width", "height"), ("height", "width")] {
            if self.has(given) && !self.has(missing) {
                walk.note(&Path::Key(path, missing), format!("is required where {given} is given"));
            }
        }
    }

    fn close_either(&self, one: &str, other: &str, path: &Path<'_>, walk: &Walk<'_>) {
        if !self.has(one) && !self.has(other) {
            walk.note(&Path::Key(path, one), format!("is required where there is no {other}"));
        }
    }

    /// Of an object of a type that must hold one of `fields`.
    fn close_holder(&self, fields: &[&str], path: &Path<'_>, walk: &Walk<'_>) {
        if let Some(first) = fields.first().filter(|_| !fields.iter().any(|field| self.has(field))) {
            let kind = match (&self.table.fields[0].shape, self.first) {
                (Shape::Hint(kinds), Some(kind)) => kinds.get(usize::from(kind)).copied().unwrap_or_default(),
                _ => "",
            };
            walk.note(
                &Path::Key(path, first),
                format!("is required where {} is \"{kind}\"", self.table.fields[0].name),
            );
        }
    }
}
