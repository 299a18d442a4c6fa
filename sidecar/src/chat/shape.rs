//! The shapes that the values of OpenAI's requests may have: words for the tables, and what they mean.

/// What a value may be.
#[derive(Debug, Clone, Copy)]
pub(super) enum Shape {
    /// Anything.
    Any,
    /// A string.
    Text,
    /// A string of at least one character.
    Word,
    /// A string of so many to so many characters.
    Line(u16, u16),
    /// One of these strings.
    OneOf(&'static [&'static str]),
    /// A word, of which these mean something here.
    Hint(&'static [&'static str]),
    /// A word that others must agree with.
    Marked(Mark),
    /// Text that is sent to the model: counted, and rid of control characters.
    Prose(Need),
    /// The bytes of an image or a document, or where they are.
    Media(Holder),
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
    /// An object with keys of the caller's own, whose values are these.
    Map(Keys, &'static Shape),
    /// A list of this many to that many of these.
    List(usize, usize, &'static Shape),
    /// The first, or a list of the second.
    TextOr(&'static Shape, &'static Shape),
    /// One of these strings, or an object.
    WordOr(&'static [&'static str], &'static Table),
    /// Prose, a list of it, a list of tokens, or a list of lists of them.
    Prompt(Need),
    /// One of a list's.
    PromptItem(Need),
}

/// What a text must hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    /// It may be empty.
    Nothing,
    /// A character.
    Text,
    /// A character that is no space.
    Words,
}

/// What a word is to the rest of the document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    /// A tool's name, which no other tool has.
    Tool,
    /// The id of a tool's call.
    Call,
    /// Such an id, whose call is answered.
    Answer,
    /// A tool's name, which there must be.
    Choice,
}

/// Where media stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Holder {
    /// In a URL, which must have a scheme.
    Url,
    /// In a file's data, which may be base64 alone.
    File,
}

/// What the keys of a map are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keys {
    /// Any.
    Any,
    /// Tokens by their numbers.
    Tokens,
}

/// An object's fields.
#[derive(Debug)]
pub(super) struct Table {
    /// At most 64, so that those seen fit a mask.
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
    /// Whether it has no part in the answer.
    pub(super) aside: bool,
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
    /// One of the two must be there.
    Either(&'static str, &'static str),
    /// The first field's word says, by its index, which others there must be one of.
    Holds(&'static [&'static [&'static str]]),
    /// An image: one of its sides is of no use without the other.
    Image,
}

/// What a value turned out to be, as far as a rule between fields asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    /// null
    Null,
    /// The string at this index of a `OneOf` or a `Hint`.
    Choice(u8),
    /// A text, or a list of parts, that says nothing.
    Blank,
    /// A text.
    Text,
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
    Other,
}

impl Shape {
    /// Whether a string in its place is sent to the model.
    pub(super) const fn takes_prose(self) -> bool {
        matches!(self, Self::Prose(_) | Self::Prompt(_) | Self::PromptItem(_) | Self::TextOr(Self::Prose(_), _))
    }
}

impl Mark {
    /// Characters. Names are bounded by what a person can have meant; ids are made by programs, some of which hide a
    /// model's thoughts in them.
    pub(super) const fn longest(self) -> u16 {
        match self {
            Self::Tool | Self::Choice => 256,
            Self::Call | Self::Answer => 16_384,
        }
    }
}
