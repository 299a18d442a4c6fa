//! Holds one value against one shape.
//!
//! One pass over the bytes, nothing built: a fault is noted with its path and the walk goes on, so
//! that a caller learns every fault at once. What no table names passes through unread.

use std::{borrow::Cow, fmt, mem::discriminant};

use serde::{
    Deserialize as _,
    de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::value::RawValue;

use super::{
    clean,
    fields::{Fields, Key, KeyIn},
    image::{self, AUTO, MAX_SIDE},
    media,
    shape::{Holder, Keys, Need, Rule, Seen, Shape, Table},
    walk::{Path, Walk},
};

/// Holds one value against a shape.
#[derive(Clone, Copy)]
pub(super) struct Check<'a, 'de> {
    pub(super) shape: Shape,
    pub(super) path: &'a Path<'a>,
    pub(super) walk: &'a Walk<'de>,
    /// An optional field may be null.
    pub(super) nullable: bool,
}

impl<'de> DeserializeSeed<'de> for Check<'_, 'de> {
    type Value = Seen;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Seen, D::Error> {
        let unread = matches!(self.shape, Shape::Any);
        if !(unread || (self.walk.cleans() && self.shape.takes_prose())) {
            return deserializer.deserialize_any(self);
        }
        let raw = <&'de RawValue>::deserialize(deserializer)?;
        if unread {
            self.walk.unread(self.path, raw);
            return Ok(if raw.get() == "null" { Seen::Null } else { Seen::Other });
        }
        if raw.get().starts_with('"') {
            self.walk.clean(raw);
            return Ok(Seen::Text);
        }
        serde_json::Deserializer::from_str(raw.get()).deserialize_any(self).map_err(D::Error::custom)
    }
}

impl<'de> Check<'_, 'de> {
    fn expected(&self) -> String {
        match self.shape {
            Shape::Any => "anything".into(),
            Shape::Text | Shape::Word | Shape::Line(..) | Shape::Hint(_) => "a string".into(),
            Shape::Marked(_) | Shape::Prose(_) | Shape::Media(_) => "a string".into(),
            Shape::OneOf(words) => format!("one of \"{}\"", words.join("\", \"")),
            Shape::WordOr(words, _) => format!("one of \"{}\", or an object", words.join("\", \"")),
            Shape::Flag => "true or false".into(),
            Shape::Off => "false, for this is not streamed".into(),
            Shape::Size => format!("{AUTO} or WIDTHxHEIGHT, each from 1 to {MAX_SIDE}"),
            Shape::Number(low, high) => format!("a number from {low} to {high}"),
            Shape::Whole(low, i64::MAX) => format!("a whole number, {low} or more"),
            Shape::Whole(low, high) => format!("a whole number from {low} to {high}"),
            Shape::Object(_) | Shape::Map(..) => "an object".into(),
            Shape::List(..) => "a list".into(),
            Shape::TextOr(..) => "a string or a list".into(),
            Shape::Prompt(_) => "a string, a list of strings, or tokens".into(),
            Shape::PromptItem(_) => "a string, a token, or a list of tokens".into(),
        }
    }

    fn wrong(&self, found: impl fmt::Display) {
        // A document of nothing but faults would have each of them worded, to be forgotten.
        if self.walk.is_full() {
            return;
        }
        self.walk.note(self.path, format!("must be {}, not {found}", self.expected()));
    }

    fn number(&self, value: f64, whole: Option<i64>) -> Seen {
        match self.shape {
            Shape::Number(low, high) if (low..=high).contains(&value) => {}
            Shape::Whole(low, high) if whole.is_some_and(|whole| (low..=high).contains(&whole)) => {}
            Shape::PromptItem(_) if whole.is_some_and(|whole| whole >= 0) => {}
            Shape::Number(..) | Shape::Whole(..) | Shape::PromptItem(_) => self.wrong(value),
            _ => self.wrong("a number"),
        }
        Seen::Number
    }

    fn item<'a>(&'a self, shape: Shape, path: &'a Path<'a>) -> Check<'a, 'de> {
        Check { shape, path, walk: self.walk, nullable: false }
    }

    /// A string, which lasts as long as the document if it is written there without escapes.
    fn string(&self, text: &str, lasting: Option<&'de str>) -> Seen {
        let known = |words: &[&str]| words.iter().position(|word| *word == text);
        match self.shape {
            Shape::Any | Shape::Text => {}
            Shape::Word if !text.is_empty() => {}
            Shape::Word => self.walk.note(self.path, "must not be empty"),
            Shape::Line(least, most) => self.line(text, least, most),
            Shape::Size if text == AUTO || image::size(text).is_some() => {}
            Shape::Size => self.wrong(quoted(text)),
            Shape::OneOf(words) => match known(words) {
                Some(index) => return Seen::Choice(u8::try_from(index).unwrap_or(u8::MAX)),
                None => self.wrong(quoted(text)),
            },
            Shape::Hint(_) if text.is_empty() => self.walk.note(self.path, "must not be empty"),
            Shape::Hint(words) => {
                let choice = known(words).map(|index| Seen::Choice(u8::try_from(index).unwrap_or(u8::MAX)));
                return choice.unwrap_or(Seen::Other);
            }
            Shape::WordOr(words, _) => match known(words) {
                // The tools may come later in the document.
                Some(_) if text == "required" || text == "any" => self.walk.requires_tool(self.path),
                Some(_) => {}
                None => self.wrong(quoted(text)),
            },
            Shape::Marked(_) if text.is_empty() => self.walk.note(self.path, "must not be empty"),
            Shape::Marked(mark) => {
                self.line(text, 1, mark.longest());
                let name = lasting.map_or_else(|| Cow::Owned(text.to_owned()), Cow::Borrowed);
                self.walk.mark(mark, name, self.path);
            }
            Shape::Prose(need) | Shape::Prompt(need) | Shape::PromptItem(need) => {
                return self.prose(text, need, lasting.is_some());
            }
            Shape::TextOr(shape, _) => return Check { shape: *shape, ..*self }.string(text, lasting),
            Shape::Media(holder) => self.media(holder, text),
            _ => self.wrong("a string"),
        }
        Seen::Text
    }

    fn line(&self, text: &str, least: u16, most: u16) {
        let characters = text.chars().count();
        if characters < usize::from(least) {
            self.walk.note(self.path, "must not be empty");
        } else if characters > usize::from(most) {
            self.walk.note(self.path, format!("must have at most {most} characters, not {characters}"));
        }
    }

    /// `bare`: it is written without escapes.
    fn prose(&self, text: &str, need: Need, bare: bool) -> Seen {
        self.walk.count(text);
        let unwanted = (!bare || self.walk.may_hold_unwanted()) && clean::holds_unwanted(text);
        if unwanted {
            self.walk.found_unwanted();
        }
        let empty = text.is_empty() || (unwanted && text.chars().all(clean::is_unwanted));
        let blank = text.chars().all(|letter| letter.is_whitespace() || clean::is_unwanted(letter));
        match need {
            Need::Text if empty => self.walk.note(self.path, "must not be empty"),
            Need::Words if blank => self.walk.note(self.path, "must not be empty or blank"),
            _ => {}
        }
        if blank { Seen::Blank } else { Seen::Text }
    }

    fn media(&self, holder: Holder, text: &str) {
        let Some(bounds) = self.walk.bounds.media else { return };
        let judged = if media::is_data_url(text) {
            media::of_data_url("", text, bounds).map(drop)
        } else if media::has_scheme(text) {
            Ok(())
        } else if holder == Holder::File {
            media::of_base64("", text, bounds).map(drop)
        } else {
            Err(media::Wrong::Bytes("must be an https or http address, or read data:TYPE;base64,BYTES".to_owned()))
        };
        if let Err(wrong) = judged {
            self.walk.note(self.path, wrong.into_message());
        }
    }
}

fn quoted(text: &str) -> String {
    format!("{:?}", text.chars().take(40).collect::<String>())
}

impl<'de> Visitor<'de> for Check<'_, 'de> {
    type Value = Seen;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Seen, E> {
        if !self.nullable {
            self.wrong("null");
        }
        Ok(Seen::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Seen, E> {
        match self.shape {
            Shape::Flag => {}
            Shape::Off if !value => {}
            Shape::Off => self.walk.note(self.path, "must be false: this is not streamed"),
            _ => self.wrong("a truth value"),
        }
        Ok(Seen::Other)
    }

    fn visit_i64<E>(self, value: i64) -> Result<Seen, E> {
        #[allow(clippy::cast_precision_loss, reason = "compared with small bounds only")]
        Ok(self.number(value as f64, Some(value)))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Seen, E> {
        #[allow(clippy::cast_precision_loss, reason = "compared with small bounds only")]
        Ok(self.number(value as f64, Some(i64::try_from(value).unwrap_or(i64::MAX))))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Seen, E> {
        Ok(self.number(value, None))
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Seen, E> {
        Ok(self.string(text, Some(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Seen, E> {
        Ok(self.string(text, None))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Seen, A::Error> {
        let (low, high, shape) = match self.shape {
            Shape::List(low, high, shape) => (low, high, *shape),
            Shape::TextOr(_, shape) => (0, usize::MAX, *shape),
            Shape::Prompt(need) => (1, usize::MAX, Shape::PromptItem(need)),
            Shape::PromptItem(_) => (1, usize::MAX, Shape::Whole(0, i64::MAX)),
            _ => {
                self.wrong("a list");
                while list.next_element::<IgnoredAny>()?.is_some() {}
                return Ok(Seen::Other);
            }
        };
        let (mut length, mut blank, mut numbers, mut first, mut mixed) = (0, true, false, None, false);
        loop {
            let path = Path::Index(self.path, length);
            let Some(seen) = list.next_element_seed(self.item(shape, &path))? else { break };
            blank &= seen == Seen::Blank;
            numbers |= seen == Seen::Number;
            let kind = discriminant(if seen == Seen::Blank { &Seen::Text } else { &seen });
            mixed |= *first.get_or_insert(kind) != kind;
            length += 1;
        }
        if length < low {
            self.walk.note(self.path, format!("must hold at least {low}, not {length}"));
        } else if length > high {
            self.walk.note(self.path, format!("must hold at most {high}, not {length}"));
        }
        if mixed && matches!(self.shape, Shape::Prompt(_)) {
            self.walk.note(self.path, "must hold strings only, tokens only, or lists of tokens only");
        }
        let says_nothing = blank && matches!(self.shape, Shape::TextOr(..));
        Ok(if says_nothing { Seen::Blank } else { Seen::List { length, numbers } })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Seen, A::Error> {
        let table = match self.shape {
            Shape::Object(table) | Shape::WordOr(_, table) => table,
            Shape::Map(keys, shape) => return self.map(keys, *shape, map),
            _ => {
                self.wrong("an object");
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                return Ok(Seen::Other);
            }
        };
        let mut fields = Fields::new(table);
        while let Some(key) = map.next_key_seed(KeyIn(table))? {
            let Key { index: Some(index), .. } = key else {
                self.walk.unread(&Path::Key(self.path, &key.name), map.next_value()?);
                continue;
            };
            let field = &table.fields[index];
            let path = Path::Key(self.path, field.name);
            let seen = map.next_value_seed(Check { nullable: !field.required, ..self.item(field.shape, &path) })?;
            fields.saw(index, seen, &path, self.walk);
        }
        Ok(fields.close(self.path, self.walk))
    }
}

impl<'de> Check<'_, 'de> {
    fn map<A: MapAccess<'de>>(&self, keys: Keys, shape: Shape, mut map: A) -> Result<Seen, A::Error> {
        static NOTHING: Table = Table { fields: &[], rule: Rule::None };
        while let Some(Key { name, .. }) = map.next_key_seed(KeyIn(&NOTHING))? {
            let path = Path::Key(self.path, &name);
            if keys == Keys::Tokens
                && !(1..=10).contains(&name.len()) | !name.bytes().all(|digit| digit.is_ascii_digit())
            {
                self.walk.note(&path, "must be named after a token's number");
            }
            map.next_value_seed(self.item(shape, &path))?;
        }
        Ok(Seen::Other)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::chat::bounds::Bounds;

    #[test]
    fn a_fault_that_is_not_told_is_not_worded() {
        struct Found<'a>(&'a Cell<usize>);
        impl fmt::Display for Found<'_> {
            fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.set(self.0.get() + 1);
                Ok(())
            }
        }
        let (walk, worded) = (Walk::new(b"", Bounds::NONE), Cell::new(0));
        let check = Check { shape: Shape::Flag, path: &Path::Root, walk: &walk, nullable: false };
        (0..1000).for_each(|_| check.wrong(Found(&worded)));
        assert_eq!(walk.into_faults().len(), worded.get());
    }
}
