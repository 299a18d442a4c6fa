//! The check of an answer that comes in pieces: collected as it passes, judged where each choice says why it stopped.
//!
//! What has been passed on cannot be unsaid, so nothing is taken out of prose here: the text must be the JSON, with at
//! most white space round it.

use super::{
    Checker, Judged, Judging, MAX_SAID, Stands,
    complaint::Complaint,
    not_json,
    said::{Document, Said},
    too_long,
};
use crate::{
    chat::{
        answer::{Chunk, Finish},
        sse::next_event,
    },
    error::Failure,
};

/// Choices that OpenAI's API knows at most.
const MAX_CHOICES: usize = 128;

/// One stream's check, fed with all that is passed on.
#[derive(Debug)]
pub struct StreamCheck {
    checker: Checker,
    /// By index; one that has been judged is no longer kept.
    choices: Vec<Option<Said>>,
    /// Bytes collected.
    size: usize,
}

impl StreamCheck {
    pub(super) const fn new(checker: Checker) -> Self {
        Self { checker, choices: Vec::new(), size: 0 }
    }

    /// Takes in `chunk`. On a fault, what of the chunk comes before the event with the fault's finish is left in it,
    /// and may still be passed on.
    ///
    /// # Errors
    /// What [`Checker::whole`] would say of the choice that has ended here, or that more has come than can be checked.
    pub fn add(&mut self, chunk: &mut Chunk) -> Result<(), Failure> {
        let (mut at, mut before) = (0, 0);
        while let Some(event) = next_event(&chunk.events, &mut at) {
            if let Err(failure) = self.event(&event.data) {
                chunk.events.truncate(before);
                (chunk.finish, chunk.usage) = (None, None);
                return Err(failure);
            }
            before = at;
        }
        Ok(())
    }

    /// Judges what has not said why it stopped, now that the stream has ended.
    ///
    /// # Errors
    /// As [`Self::add`].
    pub fn finish(&mut self) -> Result<(), Failure> {
        (0..self.choices.len()).try_for_each(|index| self.judge(index, None))
    }

    fn event(&mut self, data: &[u8]) -> Result<(), Failure> {
        // An event that cannot be read here has been read, and let pass, by its provider's reader.
        let Ok(document) = serde_json::from_slice::<Document<'_>>(data) else { return Ok(()) };
        for choice in document.choices.iter().flatten() {
            let index = usize::try_from(choice.index.unwrap_or(0)).unwrap_or(usize::MAX);
            if index >= MAX_CHOICES {
                continue;
            }
            if self.choices.len() <= index {
                self.choices.resize_with(index + 1, || Some(Said::default()));
            }
            if let (Some(said), Some(delta)) = (&mut self.choices[index], &choice.delta) {
                self.size += said.add(delta);
            }
            if self.size > MAX_SAID {
                return Err(too_long());
            }
            if let Some(finish) = choice.finish() {
                self.judge(index, Some(finish))?;
            }
        }
        Ok(())
    }

    fn judge(&mut self, place: usize, finish: Option<Finish>) -> Result<(), Failure> {
        let Some(said) = self.choices.get_mut(place).and_then(Option::take) else { return Ok(()) };
        let judged = Judged { place, finish, said: &said };
        // Who is told of a stream's outcome has been told already.
        match self.checker.0.judge(&judged, &mut Judging::default())? {
            Stands::AsItIs => Ok(()),
            Stands::Within(_) => {
                let wrong = serde_json::from_str::<serde::de::IgnoredAny>(&said.text).err();
                let wrong = wrong.map(|error| not_json(&said.text, &error)).into_iter().collect();
                Complaint::new(place, &said).about_text(wrong).into_result(finish)
            }
        }
    }
}
