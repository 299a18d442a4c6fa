//! Agent runs as one process keeps them that has nobody to share them with.

mod kept;
mod shared;

use std::sync::Arc;

use fusebox_rules::run::{Limits, Repeat, Used, Verdict};
use futures_core::future::BoxFuture;

use self::kept::{Kept, Wish};
pub use self::shared::SharedRuns;
use super::{Patience, Runs};
use crate::clock;

/// This process's runs.
#[derive(Debug, Default)]
pub struct Embedded(Kept);

impl Runs for Embedded {
    fn begin<'a>(
        &'a self,
        id: &'a Arc<str>,
        limits: Limits,
        shown: Option<Repeat>,
        _patience: &'a mut Patience,
    ) -> BoxFuture<'a, Verdict> {
        let wish = Wish { id, limits: &limits, shown: shown.as_ref() };
        Box::pin(std::future::ready(self.0.begin(&wish, None, clock::now())))
    }

    fn settle(&self, id: &Arc<str>, used: Used) {
        self.0.with(id, |one| one.run.settle(&used, clock::now()));
    }

    fn tracked(&self) -> usize {
        self.0.count()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use fusebox_rules::run::{Refusal, Why};

    use super::{kept::SHARDS, *};

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
        runs.begin(id, limits(), None, &mut Patience::of_a_call()).await
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
            let (id, limits) = (&id(1), &limits);
            let begin = || runs.0.begin(&Wish { id, limits, shown: None }, None, clock::now());
            let granted = |_: &i32| begin() == Verdict::Granted { warning: None };
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
        let runs = Embedded(Kept::holding(16));
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
