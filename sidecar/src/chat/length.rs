//! How long a request's prompt is: the size of its texts, or their tokens where a vocabulary counts them.

use fusebox_rules::{
    tokens::{Estimate, Ratio, Size},
    truncation::Speaker,
};

use super::{
    prompt::{Passage, Prompt, Turn},
    request::Request,
    vocabulary::Vocabulary,
};

/// A prompt's length, turn by turn.
#[derive(Debug, Clone, PartialEq)]
pub struct Lengths {
    /// Each turn; of what is no chat, each prompt.
    pub turns: Vec<Size>,
    /// What comes with each prompt.
    pub rest: Size,
    /// Whether the turns are one prompt.
    together: bool,
    /// Whether sizes are tokens, all of them fixed.
    counted: bool,
}

/// What truncation asks of a turn beside its length.
#[derive(Debug, Clone, PartialEq)]
pub struct Said {
    /// Who speaks.
    pub speaker: Speaker,
    /// The tool calls that it makes.
    pub calls: Vec<String>,
    /// The tool call that it answers.
    pub answers: Option<String>,
}

impl Lengths {
    /// The size of every text of `request`; `None` if its shape is not known.
    #[must_use]
    pub fn measure(request: &Request) -> Option<Self> {
        Self::of(request, false, |said| {
            let fixed = Size { fixed: said.fixed, ..Size::default() };
            said.texts.iter().fold(fixed, |size, text| size.and(Size::of(text)))
        })
    }

    /// The same in tokens of `vocabulary`. It blocks.
    #[must_use]
    pub fn count(request: &Request, vocabulary: Vocabulary) -> Option<Self> {
        Self::of(request, true, |said| {
            let tokens: u64 = said.texts.iter().map(|text| vocabulary.count(text)).sum();
            Size { fixed: said.fixed + tokens, ..Size::default() }
        })
    }

    fn of(request: &Request, counted: bool, size: impl Fn(&Passage<'_>) -> Size) -> Option<Self> {
        let prompt = Prompt::of(request)?;
        let turns = prompt.turns.iter().map(|turn| size(&turn.said)).collect();
        Some(Self { turns, rest: size(&prompt.rest), together: prompt.together, counted })
    }

    /// Whether it was counted, and not only measured.
    #[must_use]
    pub const fn is_counted(&self) -> bool {
        self.counted
    }

    /// All that is sent, as a provider counts it into the usage.
    #[must_use]
    pub fn sum(&self) -> Size {
        self.turns.iter().copied().fold(self.rest, Size::and)
    }

    /// What has to fit a window: the whole chat, or the longest of several prompts.
    #[must_use]
    pub fn whole(&self, ratio: &Ratio) -> Estimate {
        if self.together {
            return self.estimate(self.sum(), ratio);
        }
        let each = self.turns.iter().map(|turn| self.estimate(turn.and(self.rest), ratio));
        each.max_by_key(|estimate| estimate.likely).unwrap_or_default()
    }

    /// The tokens of one of its sizes.
    #[must_use]
    pub fn estimate(&self, size: Size, ratio: &Ratio) -> Estimate {
        if self.counted { Estimate::counted(size.fixed) } else { ratio.estimate(size) }
    }
}

/// Who says what in a chat, and which calls of tools belong together; `None` if its shape is not known.
#[must_use]
pub fn said(request: &Request) -> Option<Vec<Said>> {
    let owned = |turn: &Turn<'_>| Said {
        speaker: turn.speaker,
        calls: turn.calls.iter().map(ToString::to_string).collect(),
        answers: turn.answers.as_ref().map(ToString::to_string),
    };
    Some(Prompt::of(request)?.turns.iter().map(owned).collect())
}

#[cfg(test)]
#[allow(clippy::needless_pass_by_value, reason = "documents are written where they are used")]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::chat::{parse::parse, request::Operation};

    fn lengths(operation: Operation, body: serde_json::Value) -> Lengths {
        Lengths::measure(&parse(operation, Bytes::from(body.to_string())).unwrap()).unwrap()
    }

    #[test]
    fn a_chat_must_fit_as_a_whole_and_of_several_prompts_the_longest() {
        let ratio = Ratio::default();
        let message = serde_json::json!({"role": "user", "content": "a".repeat(400)});
        let chat = lengths(Operation::Chat, serde_json::json!({"messages": [message, message]}));
        assert_eq!(chat.whole(&ratio).likely, 2 * (100 + 4) + 3);
        let inputs = serde_json::json!({"input": ["a".repeat(400), "a".repeat(4000), "a"]});
        let inputs = lengths(Operation::Embed, inputs);
        assert_eq!(inputs.whole(&ratio).likely, 1003);
        assert_eq!(inputs.sum().ascii, 4401);
    }

    #[test]
    fn a_count_is_nearer_than_an_estimate() {
        let body = serde_json::json!({"messages": [{"role": "user", "content": "one two three ".repeat(200)}]});
        let request = parse(Operation::Chat, Bytes::from(body.to_string())).unwrap();
        let counted = Lengths::count(&request, Vocabulary::O200k).unwrap().whole(&Ratio::default());
        let measured = Lengths::measure(&request).unwrap().whole(&Ratio::default());
        assert!((600..=620).contains(&counted.likely), "{counted:?}");
        assert!(counted.most - counted.least < measured.most - measured.least);
    }
}
