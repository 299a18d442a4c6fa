//! Batches: a request with more inputs than a provider takes is asked in parts, and a part that is still too much in
//! smaller ones.
//!
//! How an input looks and who is asked is not known here.

use std::ops::Range;

use crate::error::{ErrorKind, FailOver};

/// Parts of one batch. A caller with more to ask for sends several.
pub const MAX_PARTS: usize = 1_024;

/// Some of a batch's inputs, asked for together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Which of them, from 0.
    pub inputs: Range<usize>,
    /// Whether it is half of a part on which memory ran out.
    pub halved: bool,
}

impl Part {
    /// A whole batch.
    #[must_use]
    pub const fn all(inputs: usize) -> Self {
        Self { inputs: 0..inputs, halved: false }
    }

    /// The parts of at most `limit` inputs, at least 1, that this one consists of, in order.
    #[must_use]
    pub fn split(&self, limit: usize, halved: bool) -> Vec<Self> {
        let (limit, end) = (limit.max(1), self.inputs.end);
        let halved = self.halved || halved;
        let starts = self.inputs.clone().step_by(limit);
        starts.map(|start| Self { inputs: start..end.min(start.saturating_add(limit)), halved }).collect()
    }
}

/// What is known when nobody could answer a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    /// How the last one failed.
    pub kind: ErrorKind,
    /// Inputs in the part.
    pub inputs: usize,
    /// Whether it is half of a part on which memory ran out.
    pub halved: bool,
    /// What the provider takes that takes most of those that do not take so many inputs; `None`: there is none.
    pub smaller: Option<usize>,
    /// Whether the call's deadline has not passed.
    pub in_time: bool,
}

/// What follows for the part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is asked for in parts of at most so many inputs, which providers take that did not take it.
    Split(usize),
    /// It is asked for in two halves, once: memory ran out on the whole.
    Halve(usize),
    /// The batch fails as the part did.
    GiveUp,
}

/// What follows for a part that nobody could answer.
#[must_use]
pub fn decide(facts: &Facts) -> Verdict {
    if !facts.in_time || facts.inputs < 2 {
        return Verdict::GiveUp;
    }
    let moves_on = matches!(facts.kind.row().fail_over, FailOver::Yes | FailOver::First);
    match facts.smaller {
        Some(limit) if moves_on => Verdict::Split(limit),
        _ if facts.kind == ErrorKind::OutOfMemory && !facts.halved => Verdict::Halve(facts.inputs.div_ceil(2)),
        _ => Verdict::GiveUp,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FACTS: Facts =
        Facts { kind: ErrorKind::ProviderError, inputs: 8, halved: false, smaller: None, in_time: true };

    #[test]
    fn a_part_that_nobody_could_answer_is_made_smaller_where_that_may_help() {
        use ErrorKind::{InvalidInput, OutOfMemory, ProviderError};
        for (facts, expected) in [
            (FACTS, Verdict::GiveUp),
            (Facts { smaller: Some(4), ..FACTS }, Verdict::Split(4)),
            (Facts { smaller: Some(4), kind: InvalidInput, ..FACTS }, Verdict::GiveUp),
            (Facts { smaller: Some(4), in_time: false, ..FACTS }, Verdict::GiveUp),
            (Facts { kind: OutOfMemory, inputs: 9, ..FACTS }, Verdict::Halve(5)),
            (Facts { kind: OutOfMemory, halved: true, ..FACTS }, Verdict::GiveUp),
            (Facts { kind: OutOfMemory, inputs: 1, ..FACTS }, Verdict::GiveUp),
            (Facts { kind: OutOfMemory, smaller: Some(2), ..FACTS }, Verdict::Split(2)),
            (Facts { kind: ProviderError, inputs: 1, smaller: Some(1), ..FACTS }, Verdict::GiveUp),
        ] {
            assert_eq!(decide(&facts), expected, "{facts:?}");
        }
    }

    proptest! {
        #[test]
        fn parts_are_the_whole_in_order_and_none_is_too_large(start in 0_usize..50, length in 0_usize..50, limit in 0_usize..60) {
            let whole = Part { inputs: start..start + length, halved: false };
            let parts = whole.split(limit, false);
            let inputs: Vec<usize> = parts.iter().flat_map(|part| part.inputs.clone()).collect();
            prop_assert_eq!(inputs, whole.inputs.collect::<Vec<_>>());
            prop_assert!(parts.iter().all(|part| (1..=limit.max(1)).contains(&part.inputs.len())));
        }
    }
}
