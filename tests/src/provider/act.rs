//! One behaviour of the scripted provider, written as it would be spoken: `tokens(3).cut()`.
//!
//! An act says nothing about wire formats: it is told in the vendor's shape that the request asks for.

use std::time::Duration;

use serde_json::Value;

use super::{
    parts::{Answer, Dress, Ending, Pace, Reach, Say},
    script::Script,
};

/// What the provider does with one request.
#[derive(Debug, Clone)]
pub struct Act {
    pub(super) say: Say,
    pub(super) reach: Reach,
    pub(super) ending: Ending,
    pub(super) pace: Pace,
    pub(super) dress: Dress,
    pub(super) status: Option<u16>,
    pub(super) headers: Vec<(String, String)>,
    /// Tokens before the ending; `None`: all.
    pub(super) stops_after: Option<usize>,
    /// Played instead where the request's last word is the assistant's.
    pub(super) continued: Option<Box<Act>>,
}

/// A call of a tool, its arguments in the pieces in which they are streamed.
#[derive(Debug, Clone)]
pub struct Tool {
    /// The tool's name.
    pub name: String,
    /// JSON, when put together.
    pub arguments: Vec<String>,
}

impl Act {
    fn new(say: Say, reach: Reach, ending: Ending) -> Self {
        Self {
            say,
            reach,
            ending,
            pace: Pace::default(),
            dress: Dress::default(),
            status: None,
            headers: Vec::new(),
            stops_after: None,
            continued: None,
        }
    }

    fn answer(mut self, change: impl FnOnce(&mut Answer)) -> Self {
        if let Say::Answer(answer) = &mut self.say {
            change(answer);
        }
        self
    }

    fn ends(mut self, ending: Ending) -> Self {
        self.ending = ending;
        self
    }

    /// This, and `next` for the request after it.
    #[must_use]
    pub fn then(self, next: Act) -> Script {
        Script::from(self).then(next)
    }

    /// This for the first `times` requests, and `next` after them.
    #[must_use]
    pub fn times(self, times: usize, next: Act) -> Script {
        let mut script = Script::from(self.clone());
        for _ in 1..times {
            script = script.then(self.clone());
        }
        script.then(next)
    }

    /// But what the assistant's last message has said of it already is not said again.
    #[must_use]
    pub fn continues(self) -> Self {
        self.answer(|answer| answer.continues = true)
    }

    /// But `act` where the request's last message is the assistant's, to be continued.
    #[must_use]
    pub fn if_continued(mut self, act: Act) -> Self {
        self.continued = Some(Box::new(act));
        self
    }

    /// A bad ending comes after so many tokens of a stream.
    #[must_use]
    pub fn stops_after(mut self, tokens: usize) -> Self {
        self.stops_after = Some(tokens);
        self
    }

    /// Then the connection is closed in the middle of the response.
    #[must_use]
    pub fn cut(self) -> Self {
        self.ends(Ending::Cut)
    }

    /// Then the connection is reset.
    #[must_use]
    pub fn reset(self) -> Self {
        self.ends(Ending::Reset)
    }

    /// Then nothing more comes.
    #[must_use]
    pub fn hang(self) -> Self {
        self.ends(Ending::Hang)
    }

    /// Then the response ends in good order without saying why the model stopped.
    #[must_use]
    pub fn end(self) -> Self {
        self.ends(Ending::End)
    }

    /// The reason for stopping is given, `[DONE]` is not.
    #[must_use]
    pub fn without_done(self) -> Self {
        self.ends(Ending::WithoutDone)
    }

    /// The reason for stopping is given, and then nothing more comes.
    #[must_use]
    pub fn hang_after_finish(self) -> Self {
        self.ends(Ending::HangAfterFinish)
    }

    /// `[DONE]` is sent, the reason for stopping is not.
    #[must_use]
    pub fn done_without_finish(self) -> Self {
        self.ends(Ending::DoneWithoutFinish)
    }

    /// Then an error is told in an event.
    #[must_use]
    pub fn error_event(self, kind: &str, message: &str) -> Self {
        self.ends(Ending::Error { kind: kind.to_owned(), message: message.to_owned() })
    }

    /// Then an event comes that is not JSON, and an end as if all were well.
    #[must_use]
    pub fn malformed(self) -> Self {
        self.ends(Ending::Malformed)
    }

    /// Then the chunked framing breaks.
    #[must_use]
    pub fn garbage(self) -> Self {
        self.ends(Ending::Garbage)
    }

    /// Then only comments come, one every `interval`.
    #[must_use]
    pub fn keep_alives(self, interval: Duration) -> Self {
        self.ends(Ending::KeepAlives(interval))
    }

    /// With this status, whatever is said.
    #[must_use]
    pub fn with_status(mut self, status: u16) -> Self {
        self.status = Some(status);
        self
    }

    /// With this header; a `content-type` takes the place of the usual one.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The head comes this much later.
    #[must_use]
    pub fn after(mut self, wait: Duration) -> Self {
        self.pace.before_head = wait;
        self
    }

    /// The first token comes this long after the head.
    #[must_use]
    pub fn first_token_after(mut self, wait: Duration) -> Self {
        self.pace.before_first = wait;
        self
    }

    /// Tokens are this far apart.
    #[must_use]
    pub fn every(mut self, wait: Duration) -> Self {
        self.pace.between = wait;
        self
    }

    /// Lines end in CRLF.
    #[must_use]
    pub fn crlf(mut self) -> Self {
        self.dress.crlf = true;
        self
    }

    /// A comment stands before each event.
    #[must_use]
    pub fn comments(mut self) -> Self {
        self.dress.comments = true;
        self
    }

    /// An event's data is spread over several `data:` lines.
    #[must_use]
    pub fn multi_line(mut self) -> Self {
        self.dress.multi_line = true;
        self
    }

    /// Each byte of the body is written, and framed, by itself.
    #[must_use]
    pub fn byte_by_byte(mut self) -> Self {
        self.dress.byte_by_byte = true;
        self
    }

    /// The body is written in two pieces, the second beginning at byte `at`.
    #[must_use]
    pub fn split_at(mut self, at: usize) -> Self {
        self.dress.split_at = Some(at);
        self
    }

    /// Why the model stopped, in OpenAI's words.
    #[must_use]
    pub fn finish(self, reason: &str) -> Self {
        self.answer(|answer| answer.finish = Some(reason.to_owned()))
    }

    /// What the model thinks aloud before it answers.
    #[must_use]
    pub fn reasoning(self, words: &[&str]) -> Self {
        self.answer(|answer| answer.reasoning = words.iter().map(ToString::to_string).collect())
    }

    /// The model declines, in these words.
    #[must_use]
    pub fn refusal(self, words: &str) -> Self {
        self.answer(|answer| answer.refusal = Some(words.to_owned()))
    }

    /// The model calls a tool, its arguments streamed in these pieces.
    #[must_use]
    pub fn tool(self, name: &str, arguments: &[&str]) -> Self {
        let tool = Tool { name: name.to_owned(), arguments: arguments.iter().map(ToString::to_string).collect() };
        self.answer(|answer| answer.tools.push(tool))
    }

    /// The answer names this model instead of the one asked for.
    #[must_use]
    pub fn model(self, name: &str) -> Self {
        self.answer(|answer| answer.model = Some(name.to_owned()))
    }

    /// Raw JSON members put into every document and event.
    #[must_use]
    pub fn extra(self, members: &str) -> Self {
        self.answer(|answer| answer.extra = Some(members.to_owned()))
    }
}

/// A good answer of `count` tokens, each of which names its request and its place.
#[must_use]
pub fn tokens(count: u32) -> Act {
    let answer = Answer { numbered: count, ..Answer::default() };
    Act::new(Say::Answer(answer), Reach::Tokens, Ending::Properly)
}

/// A good answer in these words, one token each.
#[must_use]
pub fn text(words: &[&str]) -> Act {
    let answer = Answer { text: words.iter().map(ToString::to_string).collect(), ..Answer::default() };
    Act::new(Say::Answer(answer), Reach::Tokens, Ending::Properly)
}

/// A status line and headers, and no token.
#[must_use]
pub fn headers() -> Act {
    Act { reach: Reach::Head, ..tokens(3) }
}

/// Part of the headers.
#[must_use]
pub fn half_headers() -> Act {
    Act { reach: Reach::HalfHead, ..tokens(3) }
}

/// Not a byte.
#[must_use]
pub fn nothing() -> Act {
    Act { reach: Reach::Nothing, ..tokens(3) }
}

/// The request is read, and its connection reset.
#[must_use]
pub fn refuse() -> Act {
    nothing().reset()
}

/// The request is read, and nothing comes back.
#[must_use]
pub fn hang() -> Act {
    nothing().hang()
}

/// The request is read, and its connection closed.
#[must_use]
pub fn cut() -> Act {
    nothing().cut()
}

/// A document of any kind.
#[must_use]
pub fn document(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Act {
    let say = Say::Document { content_type: content_type.to_owned(), body: body.into() };
    Act::new(say, Reach::Tokens, Ending::Properly).with_status(status)
}

/// A JSON document.
#[must_use]
pub fn json(status: u16, body: &Value) -> Act {
    document(status, "application/json", body.to_string())
}

/// These bytes, and then the end of the connection.
#[must_use]
pub fn wire(bytes: impl Into<Vec<u8>>) -> Act {
    Act::new(Say::Wire(bytes.into()), Reach::Tokens, Ending::Cut)
}
