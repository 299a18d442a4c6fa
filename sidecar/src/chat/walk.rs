//! One walk over a request's document: where it stands, what it is held to, and all that it has found.

use std::{
    borrow::Cow,
    cell::{Cell, RefCell},
    collections::HashSet,
    fmt,
};

use serde_json::value::RawValue;

use super::{
    bounds::Bounds,
    clean,
    edit::{Edit, span_in},
    shape::Mark,
};
use crate::error::FieldFault;

/// Faults noted for one request; more than this many help nobody.
const MAX_FAULTS: usize = 64;

/// How deep a value that is passed on unread may nest. Readers of whole documents give up at 128, what it stands in included.
const MAX_DEPTH: usize = 100;

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
            Path::Key(Path::Root, key) => f.write_str(clipped(key)),
            Path::Key(up, key) => write!(f, "{up}.{}", clipped(key)),
            Path::Index(up, index) => write!(f, "{up}[{index}]"),
        }
    }
}

/// What one walk is held to, and what it has found so far.
pub(super) struct Walk<'de> {
    pub(super) bounds: Bounds,
    body: &'de [u8],
    /// Whether texts are written anew, without what is unwanted in them.
    cleans: bool,
    /// Whether there can be more characters than are allowed: there are no more of them than bytes.
    counts: bool,
    faults: RefCell<Vec<FieldFault>>,
    characters: Cell<usize>,
    /// Whether its texts may hold what is unwanted without escapes.
    suspicious: bool,
    unwanted: Cell<bool>,
    edits: RefCell<Vec<Edit>>,
    removed: Cell<u32>,
    names: RefCell<Names<'de>>,
}

/// Names that other parts of the document must agree with.
#[derive(Default)]
struct Names<'de> {
    tools: HashSet<Cow<'de, str>>,
    calls: HashSet<Cow<'de, str>>,
    /// Where a tool is chosen, and which; `None`: any.
    choice: Option<(String, Option<Cow<'de, str>>)>,
}

impl<'de> Walk<'de> {
    /// A walk over `body`, which notes what is wrong with it.
    pub(super) fn new(body: &'de [u8], bounds: Bounds) -> Self {
        Self {
            bounds,
            body,
            cleans: false,
            counts: body.len() > bounds.max_input_chars,
            faults: RefCell::default(),
            characters: Cell::new(0),
            suspicious: clean::is_suspicious(body),
            unwanted: Cell::new(false),
            edits: RefCell::default(),
            removed: Cell::new(0),
            names: RefCell::default(),
        }
    }

    /// A second walk over `body`, which finds where its texts hold what is unwanted.
    pub(super) fn cleaning(body: &'de [u8]) -> Self {
        Self { cleans: true, ..Self::new(body, Bounds::NONE) }
    }

    pub(super) const fn cleans(&self) -> bool {
        self.cleans
    }

    /// Notes that what stands at `path` is wrong.
    pub(super) fn note(&self, path: &Path<'_>, message: impl Into<String>) {
        self.note_at(|| path.to_string(), message);
    }

    /// Whether no more faults are taken.
    pub(super) fn is_full(&self) -> bool {
        self.faults.borrow().len() >= MAX_FAULTS
    }

    fn note_at(&self, path: impl FnOnce() -> String, message: impl Into<String>) {
        let mut faults = self.faults.borrow_mut();
        if faults.len() < MAX_FAULTS {
            faults.push(FieldFault { path: path(), message: message.into() });
        }
    }

    /// Whether a text written without escapes may hold characters that must be taken out.
    pub(super) const fn may_hold_unwanted(&self) -> bool {
        self.suspicious
    }

    /// Notes that a text holds characters that must be taken out.
    pub(super) fn found_unwanted(&self) {
        self.unwanted.set(true);
    }

    /// Whether any text did.
    pub(super) const fn has_unwanted(&self) -> bool {
        self.unwanted.get()
    }

    /// Counts a text that is sent to the model.
    pub(super) fn count(&self, text: &str) {
        if self.counts {
            self.characters.set(self.characters.get() + text.chars().count());
        }
    }

    /// Writes the string `raw`, which stands in the body, anew if it holds what is unwanted.
    pub(super) fn clean(&self, raw: &'de RawValue) {
        if let Some((clean, removed)) = clean::cleaned(raw.get()) {
            self.edits.borrow_mut().push((span_in(self.body, raw.get()), clean));
            self.removed.set(self.removed.get().saturating_add(removed));
        }
    }

    /// Holds a value that is passed on unread to what its readers can bear.
    pub(super) fn unread(&self, path: &Path<'_>, raw: &RawValue) {
        if is_deeper(raw.get(), MAX_DEPTH) {
            self.note(path, format!("is nested more than {MAX_DEPTH} levels deep"));
        }
    }

    /// Remembers `name`, or holds it against what has been remembered.
    pub(super) fn mark(&self, mark: Mark, name: Cow<'de, str>, path: &Path<'_>) {
        let names = &mut *self.names.borrow_mut();
        match mark {
            Mark::Tool => {
                if !names.tools.insert(name) {
                    self.note(path, "is the name of another tool, too");
                }
            }
            Mark::Call => {
                names.calls.insert(name);
            }
            Mark::Answer => {
                if !names.calls.contains(&name) {
                    self.note(path, "must be the id of one of the tool_calls of an earlier message");
                }
            }
            Mark::Choice => names.choice = Some((path.to_string(), Some(name))),
        }
    }

    /// Remembers that some tool must be called.
    pub(super) fn requires_tool(&self, path: &Path<'_>) {
        self.names.borrow_mut().choice = Some((path.to_string(), None));
    }

    /// Notes what can be told only at the end. The texts that are counted stand in the field `texts`.
    pub(super) fn close(&self, texts: &str) {
        let most = self.bounds.max_input_chars;
        if self.characters.get() > most {
            let held = self.characters.get();
            self.note_at(
                || texts.to_owned(),
                format!("holds {held} characters; {most} are allowed (validation.max_input_chars)"),
            );
        }
        let names = self.names.borrow();
        let Some((path, chosen)) = &names.choice else { return };
        let message = match chosen {
            _ if names.tools.is_empty() => "requires a tool, but there are none",
            Some(name) if !names.tools.contains(name) => "must be the name of one of the tools",
            _ => return,
        };
        self.note_at(|| path.clone(), message);
    }

    /// All faults, in the order met.
    pub(super) fn into_faults(self) -> Vec<FieldFault> {
        self.faults.into_inner()
    }

    /// What is to be written anew, in the body's order, and how many characters go.
    pub(super) fn into_edits(self) -> (Vec<Edit>, u32) {
        let mut edits = self.edits.into_inner();
        edits.sort_by_key(|(span, _)| span.start);
        (edits, self.removed.get())
    }
}

/// Whether `json` has lists and objects more than `most` deep in each other.
fn is_deeper(json: &str, most: usize) -> bool {
    let (mut depth, mut in_text, mut escaped) = (0_usize, false, false);
    for byte in json.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => in_text = !in_text,
            b'[' | b'{' if !in_text => {
                depth += 1;
                if depth > most {
                    return true;
                }
            }
            b']' | b'}' if !in_text => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}

/// A caller's own key, no longer than a person reads.
fn clipped(key: &str) -> &str {
    &key[..key.floor_char_boundary(80)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_is_counted_outside_of_texts_only() {
        for (json, deep) in
            [("[[]]", 2), (r#"{"a":[{"b":"]]]["}]}"#, 3), (r#"["\"[[[[", "\\", []]"#, 2), ("[[],[],[]]", 2), ("3", 0)]
        {
            assert!(!is_deeper(json, deep), "{json}");
            assert!(deep == 0 || is_deeper(json, deep - 1), "{json}");
        }
    }
}
