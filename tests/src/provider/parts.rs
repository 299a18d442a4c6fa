//! What an act is made of, before it takes a vendor's shape.

use std::time::Duration;

use super::act::Tool;

/// What is said.
#[derive(Debug, Clone)]
pub(super) enum Say {
    /// An answer in the vendor's shape.
    Answer(Answer),
    /// A document, whatever was asked.
    Document { content_type: String, body: Vec<u8> },
    /// Bytes on the wire in place of a response.
    Wire(Vec<u8>),
}

/// An answer before it takes a vendor's shape.
#[derive(Debug, Clone, Default)]
pub(super) struct Answer {
    /// Tokens named after the request and their place: `"7:0 "`, `"7:1 "`, …
    pub(super) numbered: u32,
    /// Tokens given word for word, instead.
    pub(super) text: Vec<String>,
    pub(super) reasoning: Vec<String>,
    pub(super) refusal: Option<String>,
    pub(super) tools: Vec<Tool>,
    /// What the assistant's last message has said already is left out.
    pub(super) continues: bool,
    pub(super) finish: Option<String>,
    pub(super) model: Option<String>,
    /// Raw JSON members put into every document: `"x": 1.50`.
    pub(super) extra: Option<String>,
}

/// How far the provider gets before the ending.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    Nothing,
    HalfHead,
    Head,
    Tokens,
}

/// What happens then.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Ending {
    Properly,
    /// The connection is closed (FIN) in the middle of the response.
    Cut,
    /// The connection is reset (RST).
    Reset,
    /// Nothing more comes, and nothing is closed.
    Hang,
    /// The response ends in good order, without a word on why the model stopped.
    End,
    /// A reason for stopping, and then the end without `[DONE]` or `message_stop`.
    WithoutDone,
    /// A reason for stopping, and then nothing more, and nothing is closed.
    HangAfterFinish,
    /// `[DONE]` or `message_stop` without a reason for stopping.
    DoneWithoutFinish,
    /// An error in an event, with `[DONE]` after it where the vendor sends that.
    Error {
        kind: String,
        message: String,
    },
    /// An event that is not JSON; then the answer ends as if all were well.
    Malformed,
    /// Bytes that break HTTP's chunked framing.
    Garbage,
    /// Nothing but comments (or pings), one each interval, for ever.
    KeepAlives(Duration),
}

/// How fast.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Pace {
    pub(super) before_head: Duration,
    pub(super) before_first: Duration,
    pub(super) between: Duration,
}

/// How the bytes look.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Dress {
    pub(super) crlf: bool,
    pub(super) comments: bool,
    pub(super) multi_line: bool,
    pub(super) byte_by_byte: bool,
    pub(super) split_at: Option<usize>,
}
