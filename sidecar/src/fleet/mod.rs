//! What sidecars share, behind small traits; here each is served by one process for itself.

mod runs;

use std::{fmt::Debug, sync::Arc};

use fusebox_rules::run::{Limits, Repeat, Used, Verdict};
use futures_core::future::BoxFuture;

pub use runs::Embedded;

/// What agent runs have spent. Deciding is the rules'; keeping, and for whom, is this trait's.
pub trait Runs: Debug + Send + Sync {
    /// A call of run `id` wants to begin; `shown` is what its conversation repeats. What is granted must be settled.
    fn begin(&self, id: &Arc<str>, limits: Limits, shown: Option<Repeat>) -> BoxFuture<'_, Verdict>;

    /// A call that was granted has ended. Waits for nothing: it is also told of as a call is dropped.
    fn settle(&self, id: &Arc<str>, used: Used);

    /// Runs that are remembered.
    fn tracked(&self) -> usize;
}
