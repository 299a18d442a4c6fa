//! Server-sent events, as far as a test needs to take them apart.

use std::time::Instant;

use serde_json::Value;

/// One event.
#[derive(Debug, Clone)]
pub struct SseEvent {
    /// When its last byte was read.
    pub at: Instant,
    /// Its name; `None`: it bears none.
    pub name: Option<String>,
    /// Its data, several lines joined.
    pub data: String,
}

impl SseEvent {
    /// Its data as JSON; `null` where it is not.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.data).unwrap_or(Value::Null)
    }

    /// Whether it is the end's mark.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.data == "[DONE]"
    }

    /// The text that it adds to the first choice.
    #[must_use]
    pub fn text(&self) -> String {
        let json = self.json();
        let choice = &json["choices"][0];
        choice["delta"]["content"].as_str().or_else(|| choice["text"].as_str()).unwrap_or_default().to_owned()
    }
}

/// Puts events together from bytes.
#[derive(Debug, Default)]
pub(super) struct Reader {
    unread: Vec<u8>,
    name: Option<String>,
    data: Vec<String>,
}

impl Reader {
    pub(super) fn read(&mut self, bytes: &[u8], at: Instant) -> Vec<SseEvent> {
        self.unread.extend_from_slice(bytes);
        let mut events = Vec::new();
        while let Some(end) = self.unread.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.unread.drain(..=end).collect();
            let line = String::from_utf8(line).expect("a stream of events is utf-8");
            let line = line.trim_end_matches(['\r', '\n']);
            if let Some(data) = line.strip_prefix("data:") {
                self.data.push(data.strip_prefix(' ').unwrap_or(data).to_owned());
            } else if let Some(name) = line.strip_prefix("event:") {
                self.name = Some(name.trim_start().to_owned());
            } else if line.is_empty() && !self.data.is_empty() {
                let name = self.name.take();
                events.push(SseEvent { at, name, data: std::mem::take(&mut self.data).join("\n") });
            }
        }
        events
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_put_together_from_any_pieces() {
        let mut reader = Reader::default();
        let mut events = Vec::new();
        for byte in b": hello\r\n\r\ndata: a\r\ndata:b\r\n\r\nevent: x\ndata: [DONE]\n\n" {
            events.extend(reader.read(&[*byte], Instant::now()));
        }
        let data: Vec<&str> = events.iter().map(|event| event.data.as_str()).collect();
        assert_eq!(data, ["a\nb", "[DONE]"]);
    }
}
