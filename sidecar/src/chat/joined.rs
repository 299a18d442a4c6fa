//! A second provider's answer as the rest of the first one's: the caller sees one stream.
//!
//! One `id`, one role, one finish, one usage over all attempts, and no word twice. Only events after a break come
//! through here, so that they are taken apart and put together costs no other call anything.

use bytes::{BufMut as _, Bytes, BytesMut};
use fusebox_rules::splice::{Joint, Matching, Verdict};
use serde_json::{Map, Value};

use super::{
    answer::{Chunk, Usage},
    so_far::{PARTS, SoFar, THOUGHTS, says_something},
    sse,
};

/// How a second answer is made the rest of the first.
#[derive(Debug)]
pub struct Joined {
    id: Option<Value>,
    created: Option<Value>,
    words: Cut,
    thoughts: Cut,
    spent: Spent,
}

/// What of a text is new.
#[derive(Debug)]
enum Cut {
    /// All but white space that may be said again.
    Joint(Joint),
    /// What goes past the text that was sent.
    Matching(Matching),
    /// Nothing: the answer is past that.
    Nothing,
}

/// What the attempts that broke have cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Spent {
    /// As far as it is known.
    pub known: Usage,
    /// Attempts whose count of the prompt's tokens is not known; it is taken to be this answer's.
    pub unknown_prompts: u32,
    /// Tokens of this answer's prompt that are of the answer so far.
    pub repeated: u32,
}

impl Spent {
    /// The tokens that the prompt itself has, by the count of an answer.
    #[must_use]
    pub const fn prompt_of(&self, usage: Usage) -> u32 {
        usage.input_tokens.saturating_sub(self.repeated)
    }

    /// `usage` and what was spent before it.
    #[must_use]
    pub const fn and(&self, usage: Usage) -> Usage {
        let prompts = self.prompt_of(usage).saturating_mul(self.unknown_prompts);
        Usage {
            input_tokens: usage.input_tokens.saturating_add(self.known.input_tokens).saturating_add(prompts),
            output_tokens: usage.output_tokens.saturating_add(self.known.output_tokens),
        }
    }
}

/// The new answer says something else than the old one did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Diverged;

impl Joined {
    /// For an answer that continues `so_far`; `trimmed`: it was asked to do so without the white space at its end.
    #[must_use]
    pub fn continuing(so_far: &SoFar, trimmed: bool, spent: Spent) -> Self {
        let joint = Joint::after(if trimmed { &so_far.words } else { "" });
        Self::new(so_far, Cut::Joint(joint), Cut::Nothing, spent)
    }

    /// For an answer to the same question, which must begin as `so_far` does.
    #[must_use]
    pub fn anew(so_far: &SoFar, spent: Spent) -> Self {
        // Thoughts that led to words already said are of no more use; those that were all must be the same.
        let thoughts = match so_far.words.is_empty() {
            true => Cut::Matching(Matching::new(so_far.thoughts.clone())),
            false => Cut::Nothing,
        };
        Self::new(so_far, Cut::Matching(Matching::new(so_far.words.clone())), thoughts, spent)
    }

    fn new(so_far: &SoFar, words: Cut, thoughts: Cut, spent: Spent) -> Self {
        Self { id: so_far.id.clone(), created: so_far.created.clone(), words, thoughts, spent }
    }

    /// What of `chunk` is new to the caller, which may be nothing.
    ///
    /// # Errors
    /// The answer is another one; nothing more of it may be passed on.
    pub fn take(&mut self, chunk: &Chunk) -> Result<Chunk, Diverged> {
        let mut new = Chunk { events: Bytes::new(), tokens: 0, ..chunk.clone() };
        let mut events = BytesMut::new();
        let mut at = 0;
        while let Some(event) = sse::next_event(&chunk.events, &mut at) {
            let Ok(Value::Object(mut document)) = serde_json::from_slice(&event.data) else { continue };
            let Kept { anything, tokens } = self.edit(&mut document)?;
            if anything {
                new.tokens += u32::from(tokens);
                events.put_slice(b"data: ");
                events.put_slice(Value::from(document).to_string().as_bytes());
                events.put_slice(b"\n\n");
            }
        }
        new.usage = chunk.usage.map(|usage| self.spent.and(usage));
        new.events = events.freeze();
        Ok(new)
    }

    /// Whether all that was sent before has been said again, so that what comes is new.
    #[must_use]
    pub const fn is_past(&self) -> bool {
        self.words.is_past() && self.thoughts.is_past()
    }

    fn edit(&mut self, document: &mut Map<String, Value>) -> Result<Kept, Diverged> {
        for (ours, name) in [(&self.id, "id"), (&self.created, "created")] {
            if let Some(ours) = ours {
                document.insert(name.to_owned(), ours.clone());
            }
        }
        let mut kept = Kept::default();
        let choices = document.get_mut("choices").and_then(Value::as_array_mut);
        for choice in choices.into_iter().flatten() {
            let here = self.edit_choice(choice)?;
            kept.anything |= here.anything;
            kept.tokens |= here.tokens;
        }
        if let Some(Value::Object(usage)) = document.get_mut("usage") {
            self.sum(usage);
            kept.anything = true;
        }
        Ok(kept)
    }

    fn edit_choice(&mut self, choice: &mut Value) -> Result<Kept, Diverged> {
        let mut tokens = false;
        if let Some(delta) = choice.get_mut("delta").and_then(Value::as_object_mut) {
            delta.shift_remove("role");
            for name in THOUGHTS {
                tokens |= self.thoughts.apply(delta, name)?;
            }
            if delta.get("content").is_some_and(says_something) && !self.thoughts.is_past() {
                return Err(Diverged);
            }
            tokens |= self.words.apply(delta, "content")?;
            tokens |= PARTS.iter().any(|name| delta.get(*name).is_some_and(says_something)) && self.past()?;
        }
        if let Some(choice) = choice.as_object_mut() {
            tokens |= self.words.apply(choice, "text")?;
        }
        let finished = says_something(&choice["finish_reason"]) && self.past()?;
        Ok(Kept { anything: tokens || finished, tokens })
    }

    /// What comes here may only come once all that was sent has been said again.
    const fn past(&self) -> Result<bool, Diverged> {
        if self.is_past() { Ok(true) } else { Err(Diverged) }
    }

    fn sum(&self, usage: &mut Map<String, Value>) {
        let count = |name: &str| usage.get(name).and_then(Value::as_u64).and_then(|count| u32::try_from(count).ok());
        let own = Usage {
            input_tokens: count("prompt_tokens").unwrap_or(0),
            output_tokens: count("completion_tokens").unwrap_or(0),
        };
        let all = self.spent.and(own);
        usage.insert("prompt_tokens".into(), all.input_tokens.into());
        usage.insert("completion_tokens".into(), all.output_tokens.into());
        usage.insert("total_tokens".into(), (u64::from(all.input_tokens) + u64::from(all.output_tokens)).into());
    }
}

/// What is left of an event.
#[derive(Default)]
struct Kept {
    anything: bool,
    tokens: bool,
}

impl Cut {
    const fn is_past(&self) -> bool {
        match self {
            Self::Joint(_) | Self::Nothing => true,
            Self::Matching(matching) => matching.is_past(),
        }
    }

    /// Leaves in `fields` the part of the text under `name` that is new, and says whether there is any.
    fn apply(&mut self, fields: &mut Map<String, Value>, name: &str) -> Result<bool, Diverged> {
        let Some(value) = fields.get_mut(name) else { return Ok(false) };
        if matches!(self, Self::Nothing) {
            fields.shift_remove(name);
            return Ok(false);
        }
        let Value::String(text) = value else {
            // A list of parts, which some write where a text is meant, is not held against one.
            return if says_something(value) && !self.is_past() { Err(Diverged) } else { Ok(says_something(value)) };
        };
        let new = match self {
            Self::Joint(joint) => joint.take(text),
            Self::Matching(matching) => match matching.take(text) {
                Verdict::Same => "",
                Verdict::Rest(rest) => rest,
                Verdict::Diverged { .. } => return Err(Diverged),
            },
            Self::Nothing => "",
        };
        let anything = !new.is_empty();
        *text = new.to_owned();
        Ok(anything)
    }
}

#[cfg(test)]
mod tests;
