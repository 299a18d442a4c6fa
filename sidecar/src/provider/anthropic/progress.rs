//! How far a stream of the Messages API has got, and whether its end is one.

use bytes::BytesMut;

use super::stream::{Step, Translator};
use crate::{
    chat::{
        answer::{Chunk, Finish},
        sse::Events,
    },
    error::{ErrorKind, Failure},
    provider::said_nothing,
};

/// One stream, translated as its events come.
#[derive(Debug)]
pub struct Progress {
    translator: Translator,
    finish: Option<Finish>,
    said_anything: bool,
    /// Whether an answer without a word can be a good one.
    may_be_empty: bool,
    done: bool,
}

impl Progress {
    /// A stream that has not begun; the arguments are [`Translator::new`]'s.
    #[must_use]
    pub fn new(created: u64, include_usage: bool) -> Self {
        let translator = Translator::new(created, include_usage);
        Self { translator, finish: None, said_anything: false, may_be_empty: false, done: false }
    }

    /// The same, of an answer that may be empty if it ends of itself.
    #[must_use]
    pub fn or_nothing(self, may_be_empty: bool) -> Self {
        Self { may_be_empty, ..self }
    }

    /// Translates whole events. What follows a fault among them is not read; what came before it is given first.
    pub fn take(&mut self, events: &Events) -> (Chunk, Option<Failure>) {
        let mut chunk = Chunk::default();
        let mut out = BytesMut::new();
        let mut broken = None;
        for event in events.iter() {
            match self.translator.event(event.name, &event.data, &mut out) {
                Ok(step) => self.note(step, &mut chunk),
                Err(failure) => broken = Some(failure),
            }
            if self.done || broken.is_some() {
                break;
            }
        }
        chunk.events = out.freeze();
        (chunk, broken)
    }

    fn note(&mut self, step: Step, chunk: &mut Chunk) {
        self.said_anything |= step.tokens > 0;
        self.finish = self.finish.or(step.finish);
        self.done |= step.done;
        chunk.tokens += step.tokens;
        chunk.finish = chunk.finish.or(step.finish);
        chunk.usage = step.usage.or(chunk.usage);
        chunk.model = step.model.or(chunk.model.take());
    }

    /// Whether the provider said that nothing follows.
    #[must_use]
    pub const fn is_done(&self) -> bool {
        self.done
    }

    /// Whether the model said why it stopped; what it cost is told with that.
    #[must_use]
    pub const fn has_finished(&self) -> bool {
        self.finish.is_some()
    }

    /// What the stream was, now that it has ended.
    ///
    /// # Errors
    /// [`ErrorKind::StreamBroken`] if the model never said why it stopped; [`ErrorKind::InvalidResponse`] or
    /// [`ErrorKind::ContentFiltered`] if the answer is complete and empty.
    pub fn judge(&self) -> Result<(), Failure> {
        match self.finish {
            None => {
                Err(Failure::new(ErrorKind::StreamBroken, "the provider's stream ended without saying why it finished"))
            }
            Some(Finish::Length) => Ok(()),
            Some(Finish::Stop) if self.may_be_empty => Ok(()),
            Some(finish) if !self.said_anything => Err(said_nothing(Some(finish))),
            Some(_) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::chat::sse::Reader;

    const START: &str = "data: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"model\":\"claude\",\"usage\":{\"input_tokens\":3}}}\n\n";
    const WORD: &str =
        "data: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"hi\"}}\n\n";
    const STOP: &str = "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";

    fn finish(reason: &str) -> String {
        format!(
            "data: {{\"type\":\"message_delta\",\"delta\":{{\"stop_reason\":\"{reason}\"}},\"usage\":{{\"output_tokens\":2}}}}\n\n"
        )
    }

    fn take(progress: &mut Progress, text: &str) -> (Chunk, Option<Failure>) {
        let events = Reader::new(1 << 16).push(Bytes::copy_from_slice(text.as_bytes())).unwrap();
        progress.take(&events)
    }

    #[test]
    fn events_that_came_together_are_one_chunk() {
        let mut progress = Progress::new(0, false);
        let (chunk, broken) = take(&mut progress, &[START, WORD, WORD, &finish("end_turn"), STOP].concat());
        assert_eq!((chunk.tokens, chunk.finish, chunk.model.as_deref()), (2, Some(Finish::Stop), Some("claude")));
        assert_eq!(chunk.usage.unwrap().input_tokens, 3);
        assert_eq!(broken, None);
        assert!(progress.is_done() && progress.has_finished() && progress.judge().is_ok());
    }

    #[test]
    fn what_came_before_a_fault_is_kept() {
        let mut progress = Progress::new(0, false);
        let error = "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}\n\n";
        let (chunk, broken) = take(&mut progress, &[START, WORD, error, WORD].concat());
        assert_eq!(chunk.tokens, 1);
        assert_eq!(broken.unwrap().kind, ErrorKind::ModelOverloaded);
    }

    #[test]
    fn what_is_continued_may_have_been_complete() {
        for (reason, good) in [("end_turn", true), ("refusal", false)] {
            let mut progress = Progress::new(0, false).or_nothing(true);
            take(&mut progress, &[START, &finish(reason), STOP].concat());
            assert_eq!(progress.judge().is_ok(), good, "{reason}");
        }
    }

    #[test]
    fn an_end_is_judged_by_what_came_before_it() {
        let table: &[(&[&str], Option<ErrorKind>)] = &[
            (&[], Some(ErrorKind::StreamBroken)),
            (&[START, WORD], Some(ErrorKind::StreamBroken)),
            (&[START, WORD, STOP], Some(ErrorKind::StreamBroken)),
            (&[START, WORD, &finish("end_turn")], None),
            (&[START, WORD, &finish("refusal")], None),
            (&[START, &finish("end_turn"), STOP], Some(ErrorKind::InvalidResponse)),
            (&[START, &finish("refusal"), STOP], Some(ErrorKind::ContentFiltered)),
            (&[START, &finish("max_tokens"), STOP], None),
        ];
        for (events, expected) in table {
            let mut progress = Progress::new(0, false);
            let (_, broken) = take(&mut progress, &events.concat());
            assert_eq!(broken, None);
            assert_eq!(progress.judge().err().map(|failure| failure.kind), *expected, "{events:?}");
        }
    }
}
