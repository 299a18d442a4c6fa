//! Agent runs as one process keeps them: bounded in number, forgotten once they are over.

use std::{
    collections::HashMap,
    future::ready,
    hash::{BuildHasher, RandomState},
    sync::Arc,
    time::Duration,
};

use fusebox_rules::{
    moment::Moment,
    run::{Limits, Repeat, Run, Used, Verdict},
};
use futures_core::future::BoxFuture;
use parking_lot::Mutex;

use super::Runs;
use crate::clock;

/// Runs remembered at once. Beyond, those of which nothing was heard for longest are forgotten.
const MAX_RUNS: usize = 1 << 16;
/// Runs of different shards do not wait for each other.
const SHARDS: usize = 64;
/// Between two looks for runs that are over, while there are new ones.
const SWEEP: Duration = Duration::from_secs(60);

/// This process's runs.
#[derive(Debug)]
pub struct Embedded {
    shards: Box<[Mutex<Shard>]>,
    /// Of each shard.
    max: usize,
    hasher: RandomState,
}

#[derive(Debug, Default)]
struct Shard {
    runs: HashMap<Arc<str>, Run>,
    swept: Moment,
}

impl Default for Embedded {
    fn default() -> Self {
        Self::holding(MAX_RUNS / SHARDS)
    }
}

impl Embedded {
    fn holding(max: usize) -> Self {
        let shards = (0..SHARDS).map(|_| Mutex::default()).collect();
        Self { shards, max, hasher: RandomState::new() }
    }

    fn shard(&self, id: &str) -> &Mutex<Shard> {
        // As many as fit a usize's lowest bits are enough to choose by.
        #[expect(clippy::cast_possible_truncation, reason = "only the lowest bits matter")]
        let place = self.hasher.hash_one(id) as usize % self.shards.len();
        &self.shards[place]
    }

    fn begin_at(&self, id: &Arc<str>, limits: &Limits, shown: Option<&Repeat>, now: Moment) -> Verdict {
        let mut shard = self.shard(id).lock();
        if let Some(run) = shard.runs.get_mut(id).filter(|run| !run.is_over(limits, now)) {
            return run.begin(limits, shown, now);
        }
        let mut run = Run::new(now);
        let verdict = run.begin(limits, shown, now);
        // A run that is refused at its first word has spent nothing that would have to be remembered.
        if matches!(verdict, Verdict::Granted { .. }) {
            shard.make_room(limits, self.max, now);
            shard.runs.insert(Arc::clone(id), run);
        }
        verdict
    }
}

impl Runs for Embedded {
    fn begin(&self, id: &Arc<str>, limits: Limits, shown: Option<Repeat>) -> BoxFuture<'_, Verdict> {
        Box::pin(ready(self.begin_at(id, &limits, shown.as_ref(), clock::now())))
    }

    fn settle(&self, id: &Arc<str>, used: Used) {
        if let Some(run) = self.shard(id).lock().runs.get_mut(id) {
            run.settle(&used, clock::now());
        }
    }

    fn tracked(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().runs.len()).sum()
    }
}

impl Shard {
    /// Forgets what is over; where that is not enough, an eighth of the rest, idle and oldest first.
    fn make_room(&mut self, limits: &Limits, max: usize, now: Moment) {
        let full = self.runs.len() >= max;
        if full || now.since(self.swept) >= SWEEP {
            self.swept = now;
            self.runs.retain(|_, run| !run.is_over(limits, now));
        }
        if self.runs.len() < max {
            return;
        }
        let worth = |run: &Run| (run.under_way() > 0, run.touched());
        let mut worths: Vec<_> = self.runs.values().map(worth).collect();
        let last = (max / 8).min(worths.len().saturating_sub(1));
        let (_, limit, _) = worths.select_nth_unstable(last);
        let limit = *limit;
        self.runs.retain(|_, run| worth(run) > limit);
    }
}

#[cfg(test)]
mod tests {
    use fusebox_rules::run::{Refusal, Why};

    use super::*;

    fn limits() -> Limits {
        Limits {
            max_calls: 2,
            max_tool_calls: 50,
            max_runtime: Duration::from_secs(300),
            max_tokens: 100,
            max_cost: None,
            warn_repeats: 3,
            max_repeats: 5,
        }
    }

    fn id(number: usize) -> Arc<str> {
        format!("run-{number}").into()
    }

    async fn begin(runs: &Embedded, id: &Arc<str>) -> Verdict {
        runs.begin(id, limits(), None).await
    }

    #[tokio::test(start_paused = true)]
    async fn each_run_has_a_budget_of_its_own() {
        let runs = Embedded::default();
        for _ in 0..2 {
            assert_eq!(begin(&runs, &id(1)).await, Verdict::Granted { warning: None });
        }
        let verdict = begin(&runs, &id(1)).await;
        assert!(matches!(verdict, Verdict::Refused(Refusal { why: Why::Calls, .. })), "{verdict:?}");
        assert_eq!(begin(&runs, &id(2)).await, Verdict::Granted { warning: None });
        runs.settle(&id(2), Used { tokens: 100, ..Used::default() });
        let verdict = begin(&runs, &id(2)).await;
        assert!(matches!(verdict, Verdict::Refused(Refusal { why: Why::Tokens, .. })), "{verdict:?}");
        assert_eq!(runs.tracked(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn calls_at_once_from_many_threads_are_no_more_than_are_allowed() {
        let runs = Embedded::default();
        let limits = Limits { max_calls: 100, ..limits() };
        let one = || {
            let granted =
                |_: &i32| runs.begin_at(&id(1), &limits, None, clock::now()) == Verdict::Granted { warning: None };
            (0..1_000).filter(granted).count()
        };
        let granted: usize = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(one)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(granted, 100);
    }

    #[tokio::test(start_paused = true)]
    async fn a_run_that_is_over_is_forgotten_and_may_begin_anew() {
        let runs = Embedded::default();
        for _ in 0..2 {
            begin(&runs, &id(1)).await;
            runs.settle(&id(1), Used::default());
        }
        tokio::time::advance(Duration::from_secs(899)).await;
        assert!(matches!(begin(&runs, &id(1)).await, Verdict::Refused(_)));
        tokio::time::advance(Duration::from_secs(1_000)).await;
        assert!(matches!(begin(&runs, &id(1)).await, Verdict::Granted { .. }));
    }

    #[tokio::test(start_paused = true)]
    async fn runs_without_end_take_no_more_room_than_is_allowed_and_the_latest_are_kept() {
        let runs = Embedded::holding(16);
        for number in 0..20_000 {
            tokio::time::advance(Duration::from_millis(1)).await;
            begin(&runs, &id(number)).await;
            runs.settle(&id(number), Used { tokens: 100, ..Used::default() });
            assert!(runs.tracked() <= 16 * SHARDS);
        }
        assert!(matches!(begin(&runs, &id(19_999)).await, Verdict::Refused(_)), "the latest was forgotten");
        assert!(matches!(begin(&runs, &id(0)).await, Verdict::Granted { .. }), "the oldest was kept");
    }

    #[tokio::test(start_paused = true)]
    async fn the_end_of_a_call_whose_run_is_forgotten_changes_nothing() {
        let runs = Embedded::default();
        runs.settle(&id(1), Used { tokens: 100, ..Used::default() });
        assert_eq!(runs.tracked(), 0);
    }
}
