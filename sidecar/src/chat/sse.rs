//! Server-sent events as they come off a wire, in frames cut anywhere.
//!
//! A [`Reader`] hands on whole events as the bytes that came, so that they can be passed on without a
//! copy; [`Events::iter`] reads what they say. What the data means is left to others, as are `id`
//! and `retry`: nobody reconnects to a language model in mid-answer.

use std::{borrow::Cow, fmt, iter, ops::Range};

use bytes::{Bytes, BytesMut};
use memchr::{memchr, memchr2, memrchr2};
use serde::de::IgnoredAny;

/// Cuts frames into whole events, holding what is unfinished.
#[derive(Debug)]
pub struct Reader {
    held: BytesMut,
    max_event: usize,
    begun: bool,
}

/// An event was longer than the limit. The reader has forgotten it; the stream is of no more use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooLong {
    /// The limit, in bytes.
    pub max_event: usize,
}

impl fmt::Display for TooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an event of the stream is longer than {} bytes", self.max_event)
    }
}

impl std::error::Error for TooLong {}

impl Reader {
    /// A reader at the start of a stream, for events of at most `max_event` bytes.
    #[must_use]
    pub fn new(max_event: usize) -> Self {
        Self { held: BytesMut::new(), max_event, begun: false }
    }

    /// Takes the next frame, and gives the events that are now whole.
    ///
    /// Looks only at the new bytes: the held ones are known to hold no event's end, so tiny frames
    /// cost no more than large ones.
    ///
    /// # Errors
    /// If an event, whole or still unfinished, is longer than the limit.
    pub fn push(&mut self, mut frame: Bytes) -> Result<Events, TooLong> {
        let bytes = if self.held.is_empty() {
            let whole = last_end(&frame, 0);
            self.held.extend_from_slice(&frame[whole..]);
            frame.truncate(whole);
            frame
        } else {
            let seen = self.held.len();
            self.held.extend_from_slice(&frame);
            let whole = last_end(&self.held, seen);
            self.held.split_to(whole).freeze()
        };
        let events = Events { bytes: self.without_mark(bytes) };
        if self.held.len() > self.max_event || events.longest_passes(self.max_event) {
            self.held = BytesMut::new();
            return Err(TooLong { max_event: self.max_event });
        }
        Ok(events)
    }

    /// What the end of the stream leaves. The specification would drop an event that no blank line
    /// ends, but some servers close right after their last line: the event is given, its blank line
    /// added, if its last line was ended or its data is a whole document. A cut one is dropped.
    #[must_use]
    pub fn finish(&mut self) -> Events {
        let mut held = std::mem::take(&mut self.held);
        let line_ended = held.ends_with(b"\n") || held.ends_with(b"\r");
        held.extend_from_slice(if held.ends_with(b"\n") { b"\n" } else { b"\n\n" });
        let events = Events { bytes: self.without_mark(held.freeze()) };
        let whole = events.iter().next().is_some_and(|event| line_ended || is_document(&event.data));
        if whole { events } else { Events::default() }
    }

    /// Leaves out the byte order mark that may begin a stream, and nothing else may bear.
    fn without_mark(&mut self, bytes: Bytes) -> Bytes {
        const MARK: &[u8] = b"\xEF\xBB\xBF";
        let first = !self.begun && !bytes.is_empty();
        self.begun |= first;
        if first && bytes.starts_with(MARK) { bytes.slice(MARK.len()..) } else { bytes }
    }
}

/// Whole events, as they came.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Events {
    bytes: Bytes,
}

impl Events {
    /// The bytes of all of them, comments between them included.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Whether there is not a byte. Bytes without an event, such as a keep-alive comment, may be there.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// What they say, in order.
    pub fn iter(&self) -> impl Iterator<Item = Event<'_>> {
        let mut at = 0;
        iter::from_fn(move || next_event(&self.bytes, &mut at))
    }

    fn longest_passes(&self, max_event: usize) -> bool {
        self.bytes.len() > max_event && self.iter().any(|event| event.span.len() > max_event)
    }
}

/// One event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event<'a> {
    /// `event:`; `None` where it is absent, empty or not UTF-8.
    pub name: Option<&'a str>,
    /// `data:`; several lines are joined by line feeds, and only then copied.
    pub data: Cow<'a, [u8]>,
    /// Where it stands in [`Events::bytes`], from its first line to the end of its blank one.
    pub span: Range<usize>,
}

/// Where the last blank line of `bytes` that ends at or after `from` ends, else 0.
///
/// A carriage return that ends `bytes` ends its line at once; the line feed that may follow it in
/// the next frame then stands alone there, a blank line that says nothing.
fn last_end(bytes: &[u8], from: usize) -> usize {
    let ends_line = |at: usize| matches!(bytes[at], b'\n' | b'\r');
    let mut until = bytes.len();
    while let Some(found) = memrchr2(b'\n', b'\r', &bytes[from..until]) {
        let last = from + found;
        let first = if bytes[last] == b'\n' && last > 0 && bytes[last - 1] == b'\r' { last - 1 } else { last };
        if first == 0 || ends_line(first - 1) {
            return last + 1;
        }
        if first <= from {
            break;
        }
        until = first;
    }
    0
}

/// The first event of `bytes` at or after `at`, which is moved past it.
pub(crate) fn next_event<'a>(bytes: &'a [u8], at: &mut usize) -> Option<Event<'a>> {
    let mut start = *at;
    let mut name = None;
    let mut data: Option<Cow<'a, [u8]>> = None;
    while *at < bytes.len() {
        let line = next_line(bytes, at);
        if line.is_empty() {
            if let Some(data) = data.take() {
                return Some(Event { name, data, span: start..*at });
            }
            (start, name) = (*at, None);
            continue;
        }
        match field(line) {
            (b"data", value) => match &mut data {
                None => data = Some(Cow::Borrowed(value)),
                Some(lines) => {
                    let lines = lines.to_mut();
                    lines.push(b'\n');
                    lines.extend_from_slice(value);
                }
            },
            (b"event", value) => name = std::str::from_utf8(value).ok().filter(|name| !name.is_empty()),
            _ => {}
        }
    }
    None
}

/// The line that begins at `at`, without its end; `at` is moved past that.
fn next_line<'a>(bytes: &'a [u8], at: &mut usize) -> &'a [u8] {
    let rest = &bytes[*at..];
    let length = memchr2(b'\n', b'\r', rest).unwrap_or(rest.len());
    let end = if rest[length..].starts_with(b"\r\n") { 2 } else { 1 };
    *at = bytes.len().min(*at + length + end);
    &rest[..length]
}

/// A line's field and value. A comment's field is empty, and so none that anybody knows.
fn field(line: &[u8]) -> (&[u8], &[u8]) {
    let Some(colon) = memchr(b':', line) else { return (line, b"") };
    let value = &line[colon + 1..];
    (&line[..colon], value.strip_prefix(b" ").unwrap_or(value))
}

/// Whether `data` is one of the documents that model servers send, and not the head of one.
fn is_document(data: &[u8]) -> bool {
    data == b"[DONE]" || serde_json::from_slice::<IgnoredAny>(data).is_ok()
}

#[cfg(test)]
mod tests;
