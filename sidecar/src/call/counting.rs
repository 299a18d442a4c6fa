//! How a provider's model counts tokens: by a vocabulary that is carried here, or by what its answers have taught.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

use fusebox_rules::tokens::{Ratio, Size};

use crate::chat::vocabulary::Vocabulary;

/// Bytes of a request below which its answer teaches nothing: most of its tokens are not its text.
const MIN_TAUGHT: usize = 1024;
/// Bytes above which reading it again would cost more than it teaches.
const MAX_TAUGHT: usize = 1 << 20;
/// Reports that are all learnt from.
const EAGER: u32 = 8;
/// Answers of which one is learnt from after that.
const ONE_IN: u32 = 16;

/// One provider's model, over all calls.
#[derive(Debug, Default)]
pub struct Counting {
    /// `None`: it is learnt.
    pub vocabulary: Option<Vocabulary>,
    /// A [`Ratio`], in bits.
    ratio: AtomicU64,
    answers: AtomicU32,
}

impl Counting {
    /// The counting of the model that its provider calls `name`.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self { vocabulary: Vocabulary::of_model(name), ..Self::default() }
    }

    /// What is known by now.
    #[must_use]
    pub fn ratio(&self) -> Ratio {
        Ratio::from_bits(self.ratio.load(Relaxed))
    }

    /// Whether the answer to a request of `bytes` is worth learning from: all at first, then a few, so that what is
    /// known stays true at little cost.
    #[must_use]
    pub fn wants(&self, bytes: usize) -> bool {
        if self.vocabulary.is_some() || !(MIN_TAUGHT..=MAX_TAUGHT).contains(&bytes) {
            return false;
        }
        let answers = self.answers.fetch_add(1, Relaxed);
        answers < EAGER || answers.is_multiple_of(ONE_IN)
    }

    /// Learns that a prompt of `size` was `tokens`.
    pub fn learn(&self, size: Size, tokens: u64) {
        let learnt = |bits| {
            let mut ratio = Ratio::from_bits(bits);
            ratio.learn(size, tokens);
            Some(ratio.to_bits())
        };
        // Two that learn at once both count, one after the other.
        let _ = self.ratio.fetch_update(Relaxed, Relaxed, learnt);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_is_learnt_from_at_first_and_one_in_sixteen_later() {
        let counting = Counting::new("llama");
        assert_eq!((0..8).filter(|_| counting.wants(4000)).count(), 8);
        assert_eq!((0..160).filter(|_| counting.wants(4000)).count(), 10);
        assert!(!Counting::new("llama").wants(500));
        assert!(!Counting::new("gpt-4o").wants(4000));
    }

    #[test]
    fn what_is_learnt_is_kept() {
        let counting = Counting::new("llama");
        let size = Size { ascii: 3000, ..Size::default() };
        for _ in 0..10 {
            counting.learn(size, 1000);
        }
        assert!(counting.ratio().estimate(size).likely.abs_diff(1000) < 10);
    }
}
