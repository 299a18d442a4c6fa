//! What attempts have cost that came to no answer: streams that broke, and seconds that came too late.
//!
//! Their providers seldom live to say it. Tokens of the answer are counted as they come; those of the prompt are
//! taken to be as many as the provider counted that answered in the end.

use super::way::Way;
use crate::chat::{answer::Usage, joined::Spent};

/// Tokens of one attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Cost {
    /// `None`: the provider did not say.
    pub(super) prompt: Option<u32>,
    pub(super) answer: u32,
}

/// An attempt that cost something and came to nothing.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lost {
    /// The provider's index in the configuration.
    pub(super) provider: usize,
    pub(super) cost: Cost,
    /// Whether telemetry has been told of it, by the provider's own count.
    pub(super) told: bool,
}

impl Way {
    /// What was spent so far on attempts that came to nothing.
    pub(super) fn spent(&self) -> Spent {
        let mut spent = Spent { repeated: self.repeated, ..Spent::default() };
        for Lost { cost, .. } in &self.lost {
            spent.known.input_tokens = spent.known.input_tokens.saturating_add(cost.prompt.unwrap_or(0));
            spent.known.output_tokens = spent.known.output_tokens.saturating_add(cost.answer);
            spent.unknown_prompts += u32::from(cost.prompt.is_none());
        }
        spent
    }

    /// Tells what each of them cost, now that the call has ended and its answer, if there is one, has cost `usage`;
    /// and gives what the call cost in all.
    pub(super) fn settle(&mut self, usage: Option<Usage>) -> Option<Usage> {
        if self.lost.is_empty() {
            return usage;
        }
        let spent = self.spent();
        let prompt = usage.map_or(0, |usage| spent.prompt_of(usage));
        for Lost { provider, cost, .. } in self.lost.iter().filter(|lost| !lost.told) {
            let input_tokens = cost.prompt.unwrap_or(prompt);
            self.trace.spent(*provider, Usage { input_tokens, output_tokens: cost.answer });
            if let Some(run) = &mut self.run {
                run.reported(cost.answer);
            }
        }
        Some(spent.and(usage.unwrap_or_default()))
    }
}
