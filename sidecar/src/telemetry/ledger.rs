//! What the attempts of one call have used between them, for whoever settles it.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use fusebox_rules::run;

use crate::chat::answer::Usage;

/// One call's account. Kept only for calls that somebody settles: those of an agent run.
#[derive(Debug, Default)]
pub struct Ledger {
    tokens: AtomicU64,
    cost_nanos: AtomicU64,
}

impl Ledger {
    /// An attempt used so much, at `price` for a thousand tokens.
    pub(super) fn used(&self, usage: Usage, price: f64) {
        self.tokens.fetch_add(usage.total(), Relaxed);
        self.cost_nanos.fetch_add(cost_nanos(usage, price), Relaxed);
    }

    /// Tokens, in and out, of every attempt that reported them.
    #[must_use]
    pub fn tokens(&self) -> u64 {
        self.tokens.load(Relaxed)
    }

    /// What they cost, in billionths of the currency of the configured prices.
    #[must_use]
    pub fn cost_nanos(&self) -> u64 {
        self.cost_nanos.load(Relaxed)
    }
}

/// What `usage` costs at `price` for a thousand tokens, in billionths.
pub(super) fn cost_nanos(usage: Usage, price: f64) -> u64 {
    if price <= 0.0 {
        return 0;
    }
    let thousands = (f64::from(usage.input_tokens) + f64::from(usage.output_tokens)) / 1e3;
    run::nanos(thousands * price)
}
