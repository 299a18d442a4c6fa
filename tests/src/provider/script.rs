//! Which act answers which request.

use super::act::{Act, tokens};

/// Acts, each for one request.
#[derive(Debug, Clone)]
pub struct Script {
    acts: Vec<Act>,
    order: Order,
}

#[derive(Debug, Clone)]
enum Order {
    /// One after the other; the last one again and again.
    InTurn { next: usize },
    /// Any of them, any time.
    AtRandom(fastrand::Rng),
}

impl Script {
    /// Each request gets one of `acts`, drawn with dice that fall the same for the same `seed`.
    #[must_use]
    pub fn at_random(seed: u64, acts: Vec<Act>) -> Self {
        Self { acts, order: Order::AtRandom(fastrand::Rng::with_seed(seed)) }
    }

    /// The same, and then `act`.
    #[must_use]
    pub fn then(mut self, act: Act) -> Self {
        self.acts.push(act);
        self
    }

    pub(super) fn next(&mut self) -> Act {
        let index = match &mut self.order {
            Order::InTurn { next } => {
                let now = *next;
                *next = (now + 1).min(self.acts.len().saturating_sub(1));
                now
            }
            Order::AtRandom(dice) => dice.usize(..self.acts.len().max(1)),
        };
        self.acts.get(index).cloned().unwrap_or_else(|| tokens(3))
    }
}

impl From<Act> for Script {
    fn from(act: Act) -> Self {
        Self { acts: vec![act], order: Order::InTurn { next: 0 } }
    }
}

impl From<Vec<Act>> for Script {
    fn from(acts: Vec<Act>) -> Self {
        Self { acts, order: Order::InTurn { next: 0 } }
    }
}
