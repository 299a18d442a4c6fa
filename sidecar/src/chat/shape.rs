//! The shapes of OpenAI's requests, as a table, and the walk that holds a document against it.
//!
//! One pass over the bytes, nothing built: a fault is noted with its path and the walk goes on, so
//! that a caller learns every fault at once. What the table does not name passes through unseen.

use std::{cell::RefCell, fmt};

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::image::{AUTO, MAX_SIDE};
use crate::error::FieldFault;

/// Faults noted for one request; more than this many help nobody.
const MAX_FAULTS: usize = 64;

/// What a value may be.
#[derive(Debug, Clone, Copy)]
pub(super) enum Shape {
    /// Anything.
    Any,
    /// A string.
    Text,
    /// A string of at least one character.
    Word,
    /// One of these strings.
    OneOf(&'static [&'static str]),
    /// `true` or `false`.
    Flag,
    /// `false`.
    Off,
    /// An image's size, or `auto`.
    Size,
    /// A number in this range.
    Number(f64, f64),
    /// A whole number in this range.
    Whole(i64, i64),
    /// An object with these fields, among others.
    Object(&'static Table),
    /// A list of this many to that many of these.
    List(usize, usize, &'static Shape),
    /// A string, or a list of these.
    TextOr(&'static Shape),
}

/// An object's fields.
#[derive(Debug)]
pub(super) struct Table {
    /// At most 32, so that those seen fit a mask.
    pub(super) fields: &'static [Field],
    /// What holds between its fields.
    pub(super) rule: Rule,
}

/// One field of an object.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) shape: Shape,
    pub(super) required: bool,
}

/// What holds between an object's fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rule {
    /// Nothing more.
    None,
    /// A message: its role says which of its fields it must have.
    Message,
    /// A part of a message: its type says which field holds it.
    Part,
    /// An image: one of its sides is of no use without the other.
    Image,
}

/// Where the walk stands, as a chain of stack frames; written out only for a fault.
#[derive(Clone, Copy)]
pub(super) enum Path<'a> {
    Root,
    Key(&'a Path<'a>, &'a str),
    Index(&'a Path<'a>, usize),
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Path::Root => Ok(()),
            Path::Key(Path::Root, key) => f.write_str(key),
            Path::Key(up, key) => write!(f, "{up}.{key}"),
            Path::Index(up, index) => write!(f, "{up}[{index}]"),
        }
    }
}

/// The faults found so far.
#[derive(Default)]
pub(super) struct Faults(RefCell<Vec<FieldFault>>);

impl Faults {
    /// Notes that what stands at `path` is wrong.
    pub(super) fn note(&self, path: &Path<'_>, message: impl Into<String>) {
        let mut faults = self.0.borrow_mut();
        if faults.len() < MAX_FAULTS {
            faults.push(FieldFault { path: path.to_string(), message: message.into() });
        }
    }

    /// All of them, in the order met.
    pub(super) fn into_inner(self) -> Vec<FieldFault> {
        self.0.into_inner()
    }
}

/// Holds one value against a shape.
pub(super) struct Check<'a> {
    pub(super) shape: Shape,
    pub(super) path: &'a Path<'a>,
    pub(super) faults: &'a Faults,
    /// An optional field may be null.
    pub(super) nullable: bool,
}

/// What a value turned out to be, as far as a rule between fields asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    /// null
    Null,
    /// The string at this index of a `OneOf`.
    Choice(u8),
    /// A number.
    Number,
    /// A list of this many items.
    List {
        /// How many there are.
        length: usize,
        /// Whether any of them is a number.
        numbers: bool,
    },
    /// Anything else.
    Value,
}

impl<'de> DeserializeSeed<'de> for Check<'_> {
    type Value = Seen;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Seen, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Check<'_> {
    fn expected(&self) -> String {
        match self.shape {
            Shape::Any => "anything".into(),
            Shape::Text | Shape::Word => "a string".into(),
            Shape::OneOf(words) => format!("one of \"{}\"", words.join("\", \"")),
            Shape::Flag => "true or false".into(),
            Shape::Off => "false, for this is not streamed".into(),
            Shape::Size => format!("{AUTO} or WIDTHxHEIGHT, each from 1 to {MAX_SIDE}"),
            Shape::Number(low, high) => format!("a number from {low} to {high}"),
            Shape::Whole(low, i64::MAX) => format!("a whole number, {low} or more"),
            Shape::Whole(low, high) => format!("a whole number from {low} to {high}"),
            Shape::Object(_) => "an object".into(),
            Shape::List(..) => "a list".into(),
            Shape::TextOr(_) => "a string or a list".into(),
        }
    }

    fn wrong(&self, found: impl fmt::Display) {
        self.faults.note(self.path, format!("must be {}, not {found}", self.expected()));
    }

    fn number(&self, value: f64, whole: Option<i64>) -> Seen {
        match self.shape {
            Shape::Any => {}
            Shape::Number(low, high) if (low..=high).contains(&value) => {}
            Shape::Whole(low, high) if whole.is_some_and(|whole| (low..=high).contains(&whole)) => {}
            Shape::Number(..) | Shape::Whole(..) => self.wrong(value),
            _ => self.wrong("a number"),
        }
        Seen::Number
    }

    fn item<'a>(&'a self, shape: Shape, path: &'a Path<'a>) -> Check<'a> {
        Check { shape, path, faults: self.faults, nullable: false }
    }
}

impl<'de> Visitor<'de> for Check<'_> {
    type Value = Seen;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Seen, E> {
        if !self.nullable && !matches!(self.shape, Shape::Any) {
            self.wrong("null");
        }
        Ok(Seen::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Seen, E> {
        match self.shape {
            Shape::Any | Shape::Flag => {}
            Shape::Off if !value => {}
            Shape::Off => self.faults.note(self.path, "must be false: this is not streamed"),
            _ => self.wrong("a truth value"),
        }
        Ok(Seen::Value)
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

    fn visit_str<E>(self, text: &str) -> Result<Seen, E> {
        match self.shape {
            Shape::Any | Shape::Text | Shape::TextOr(_) => {}
            Shape::Word if !text.is_empty() => {}
            Shape::Word => self.faults.note(self.path, "must not be empty"),
            Shape::Size if text == AUTO || super::image::size(text).is_some() => {}
            Shape::Size => self.wrong(format_args!("{:?}", text.chars().take(40).collect::<String>())),
            Shape::OneOf(words) => match words.iter().position(|word| *word == text) {
                Some(index) => return Ok(Seen::Choice(u8::try_from(index).unwrap_or(u8::MAX))),
                None => self.wrong(format_args!("{:?}", text.chars().take(40).collect::<String>())),
            },
            _ => self.wrong("a string"),
        }
        Ok(Seen::Value)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Seen, A::Error> {
        let (low, high, shape) = match self.shape {
            Shape::List(low, high, shape) => (low, high, *shape),
            Shape::TextOr(shape) => (0, usize::MAX, *shape),
            other => {
                if !matches!(other, Shape::Any) {
                    self.wrong("a list");
                }
                (0, usize::MAX, Shape::Any)
            }
        };
        let (mut length, mut numbers) = (0, false);
        loop {
            let path = Path::Index(self.path, length);
            let Some(seen) = list.next_element_seed(self.item(shape, &path))? else { break };
            numbers |= seen == Seen::Number;
            length += 1;
        }
        if length < low {
            self.faults.note(self.path, format!("must hold at least {low}, not {length}"));
        } else if length > high {
            self.faults.note(self.path, format!("must hold at most {high}, not {length}"));
        }
        Ok(Seen::List { length, numbers })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Seen, A::Error> {
        let table = match self.shape {
            Shape::Object(table) => table,
            // A list's item that may also be a string takes an object's place in the next shape down.
            other => {
                if !matches!(other, Shape::Any) {
                    self.wrong("an object");
                }
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                return Ok(Seen::Value);
            }
        };
        let mut fields = Fields::new(table);
        while let Some(key) = map.next_key_seed(KeyIn(table))? {
            let Some(index) = key else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            let field = &table.fields[index];
            let path = Path::Key(self.path, field.name);
            let seen = map.next_value_seed(Check { nullable: !field.required, ..self.item(field.shape, &path) })?;
            fields.saw(index, seen, &path, self.faults);
        }
        fields.close(self.path, self.faults);
        Ok(Seen::Value)
    }
}

/// Finds a key in a table without keeping it.
pub(super) struct KeyIn(pub(super) &'static Table);

impl<'de> DeserializeSeed<'de> for KeyIn {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for KeyIn {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
        Ok(self.0.fields.iter().position(|field| field.name == key))
    }
}

/// Which fields of one object have been seen.
pub(super) struct Fields {
    table: &'static Table,
    seen: u32,
    null: u32,
    first: Option<u8>,
}

impl Fields {
    pub(super) const fn new(table: &'static Table) -> Self {
        Self { table, seen: 0, null: 0, first: None }
    }

    /// Notes the field at `index`, and that a key given twice is a fault: readers differ on which one counts.
    pub(super) fn saw(&mut self, index: usize, seen: Seen, path: &Path<'_>, faults: &Faults) {
        let bit = 1 << index;
        if self.seen & bit != 0 {
            faults.note(path, "is given twice");
        }
        self.seen |= bit;
        match seen {
            Seen::Null => self.null |= bit,
            Seen::Choice(choice) if index == 0 => self.first = Some(choice),
            _ => {}
        }
    }

    /// Notes what is missing once the object has ended.
    pub(super) fn close(&self, path: &Path<'_>, faults: &Faults) {
        for (index, field) in self.table.fields.iter().enumerate() {
            if field.required && self.seen & (1 << index) == 0 {
                faults.note(&Path::Key(path, field.name), "is required");
            }
        }
        match self.table.rule {
            Rule::None => {}
            Rule::Message => self.close_message(path, faults),
            Rule::Part => self.close_part(path, faults),
            Rule::Image => self.close_image(path, faults),
        }
    }

    fn has(&self, name: &str) -> bool {
        let at = self.table.fields.iter().position(|field| field.name == name);
        at.is_some_and(|index| self.seen & !self.null & (1 << index) != 0)
    }

    /// By its role, a message says something, calls tools, or answers a tool's call.
    fn close_message(&self, path: &Path<'_>, faults: &Faults) {
        let Some(role) = self.first.and_then(|index| super::tables::ROLES.get(usize::from(index))) else { return };
        let calls = self.has("tool_calls") || self.has("function_call") || self.has("refusal") || self.has("audio");
        let silent = *role == "assistant" && calls;
        if !self.has("content") && !silent {
            let message = match *role {
                "assistant" => "is required where there are no tool_calls",
                _ => "is required",
            };
            faults.note(&Path::Key(path, "content"), message);
        }
        if *role == "tool" && !self.has("tool_call_id") {
            faults.note(&Path::Key(path, "tool_call_id"), "is required of a tool's message");
        }
    }

    fn close_image(&self, path: &Path<'_>, faults: &Faults) {
        for (given, missing) in [("width", "height"), ("height", "width")] {
            if self.has(given) && !self.has(missing) {
                faults.note(&Path::Key(path, missing), format!("is required where {given} is given"));
            }
        }
    }

    fn close_part(&self, path: &Path<'_>, faults: &Faults) {
        let Some(kind) = self.first.and_then(|index| super::tables::PARTS.get(usize::from(index))) else { return };
        if !self.has(kind) {
            faults.note(&Path::Key(path, kind), format!("is required of a part of type \"{kind}\""));
        }
    }
}
