//! Text for a terminal: spans with a tone, lines of them, their width, their cutting and folding.
//!
//! What comes from elsewhere loses its control characters here, and so cannot move a terminal's cursor.

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// What a span means to its reader; the colour only repeats what words and marks say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Tone {
    #[default]
    Plain,
    Strong,
    Dim,
    Good,
    Warn,
    Bad,
}

/// Text of one tone.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Span {
    text: String,
    tone: Tone,
}

/// One line, without its end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Line {
    spans: Vec<Span>,
}

impl Tone {
    /// The escape sequence that begins it; plain text needs none.
    const fn begin(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Strong => "\x1b[1m",
            Self::Dim => "\x1b[2m",
            Self::Good => "\x1b[32m",
            Self::Warn => "\x1b[33m",
            Self::Bad => "\x1b[31m",
        }
    }
}

impl Line {
    /// An empty line.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// `text` in `tone`.
    pub(crate) fn toned(text: impl AsRef<str>, tone: Tone) -> Self {
        Self::new().and(text, tone)
    }

    /// The line and then `text` in `tone`.
    #[must_use]
    pub(crate) fn and(mut self, text: impl AsRef<str>, tone: Tone) -> Self {
        let text = clean(text.as_ref());
        if !text.is_empty() {
            self.spans.push(Span { text, tone });
        }
        self
    }

    /// The line and then plain `text`.
    #[must_use]
    pub(crate) fn text(self, text: impl AsRef<str>) -> Self {
        self.and(text, Tone::Plain)
    }

    /// Columns of a terminal that it takes.
    pub(crate) fn width(&self) -> usize {
        self.spans.iter().map(|span| span.text.width()).sum()
    }

    /// The line within `width` columns; what is too long ends in `…`.
    #[must_use]
    pub(crate) fn cut(self, width: usize) -> Self {
        if self.width() <= width {
            return self;
        }
        let mut room = width.saturating_sub(1);
        let mut spans = Vec::new();
        for span in self.spans {
            let taken = prefix(&span.text, room);
            let whole = taken.len() == span.text.len();
            room = room.saturating_sub(taken.width());
            let mut text = taken.to_owned();
            if !whole && width > 0 {
                text.push('…');
            }
            spans.push(Span { text, tone: span.tone });
            if !whole {
                break;
            }
        }
        Self { spans }
    }

    /// The line with blanks to make it `width` columns wide, before it if `right`.
    #[must_use]
    pub(crate) fn padded(mut self, width: usize, right: bool) -> Self {
        let blanks = Span { text: " ".repeat(width.saturating_sub(self.width())), tone: Tone::Plain };
        if !blanks.text.is_empty() {
            self.spans.insert(if right { 0 } else { self.spans.len() }, blanks);
        }
        self
    }

    /// The line, and after it `other`.
    #[must_use]
    pub(crate) fn join(mut self, other: Self) -> Self {
        self.spans.extend(other.spans);
        self
    }

    /// The line in lines of `width` columns at most, broken at blanks; all but the first are indented.
    pub(crate) fn folded(self, width: Option<usize>, indent: usize) -> Vec<Self> {
        let Some(width) = width.filter(|width| self.width() > *width) else { return vec![self] };
        if width <= indent * 2 {
            return vec![self.cut(width)];
        }
        let mut lines = Vec::new();
        let mut line = Self::new();
        for span in self.spans {
            for word in span.text.split_inclusive(' ') {
                let fits = line.width() + word.trim_end().width() <= width;
                if !fits && line.width() > indent {
                    lines.push(std::mem::replace(&mut line, Self::toned(" ".repeat(indent), Tone::Plain)));
                }
                match line.spans.last_mut().filter(|last| last.tone == span.tone) {
                    Some(last) => last.text.push_str(word),
                    None => line.spans.push(Span { text: word.to_owned(), tone: span.tone }),
                }
            }
        }
        lines.push(line);
        // A word that is longer than a line is not broken, but cut.
        lines.into_iter().map(|line| line.trimmed().cut(width)).collect()
    }

    /// The line as it is written, with colours or without.
    pub(crate) fn show(&self, colour: bool) -> String {
        let mut shown = String::new();
        for span in &self.spans {
            if colour && span.tone != Tone::Plain {
                shown.push_str(span.tone.begin());
                shown.push_str(&span.text);
                shown.push_str("\x1b[0m");
            } else {
                shown.push_str(&span.text);
            }
        }
        shown
    }

    /// The line without blanks at its end.
    #[must_use]
    pub(crate) fn trimmed(mut self) -> Self {
        while let Some(last) = self.spans.last_mut() {
            last.text.truncate(last.text.trim_end().len());
            if !last.text.is_empty() {
                break;
            }
            self.spans.pop();
        }
        self
    }
}

impl<T: AsRef<str>> From<T> for Line {
    fn from(text: T) -> Self {
        Self::toned(text, Tone::Plain)
    }
}

/// As much of the beginning of `text` as takes `room` columns.
fn prefix(text: &str, room: usize) -> &str {
    let mut taken = 0;
    for (at, letter) in text.char_indices() {
        taken += letter.width().unwrap_or(0);
        if taken > room {
            return &text[..at];
        }
    }
    text
}

/// `text` with nothing in it that a terminal would obey.
fn clean(text: &str) -> String {
    let shown = |letter: char| match letter {
        '\n' | '\r' | '\t' | '\u{2028}' | '\u{2029}' => ' ',
        // Marks of direction could show a name as another.
        '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => '\u{fffd}',
        letter if letter.is_control() => '\u{fffd}',
        letter => letter,
    };
    text.chars().map(shown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wide_letters_take_two_columns_and_are_not_cut_in_half() {
        let line = || Line::from("模型 ok");
        assert_eq!(line().width(), 7);
        for (width, right) in
            [(7, "模型 ok"), (6, "模型 …"), (5, "模型…"), (4, "模…"), (3, "模…"), (2, "…"), (1, "…"), (0, "")]
        {
            let cut = line().cut(width);
            assert_eq!(cut.show(false), right, "{width}");
            assert!(cut.width() <= width, "{width}");
        }
    }

    #[test]
    fn a_cut_keeps_the_tones_of_what_is_left() {
        let line = Line::toned("down", Tone::Bad).text(" since noon");
        assert_eq!(line.clone().cut(8).show(true), "\x1b[31mdown\x1b[0m si…");
        assert_eq!(line.clone().cut(4).show(true), "\x1b[31mdow…\x1b[0m");
        assert_eq!(line.show(false), "down since noon");
    }

    #[test]
    fn a_line_that_ends_where_a_span_ends_is_still_marked_as_cut() {
        let line = Line::from("abc").and("def", Tone::Good);
        assert_eq!(line.cut(4).show(false), "abc…");
    }

    #[test]
    fn nothing_that_comes_from_elsewhere_moves_the_cursor() {
        let line = Line::from("a\x1b[2Jb\nc\u{9b}d\u{202e}e\u{7}");
        assert_eq!(line.show(true), "a\u{fffd}[2Jb c\u{fffd}d\u{fffd}e\u{fffd}");
    }

    #[test]
    fn a_long_line_is_folded_at_its_blanks() {
        let shown = |width| {
            let line = Line::toned("why: ", Tone::Strong).text("one two three four");
            line.folded(width, 2).iter().map(|line| line.show(false)).collect::<Vec<_>>()
        };
        assert_eq!(shown(None), ["why: one two three four"]);
        assert_eq!(shown(Some(23)), ["why: one two three four"]);
        assert_eq!(shown(Some(14)), ["why: one two", "  three four"]);
        let folded = Line::toned("one two three", Tone::Bad).folded(Some(8), 0);
        assert_eq!(folded[0].show(true), "\x1b[31mone two\x1b[0m", "words of one tone are written as one");
        assert_eq!(shown(Some(6)), ["why:", "  one", "  two", "  thr…", "  four"]);
    }
}
