use fusebox_rules::run::{Refusal, Why};

use super::*;
use crate::fleet::fixture;

/// Sidecars that share a store.
fn sidecars(count: usize) -> Vec<Arc<SharedRuns>> {
    fixture::sidecars(count).into_iter().map(|fleet| Arc::new(SharedRuns::new(fleet))).collect()
}

fn limits() -> Limits {
    Limits {
        max_calls: 20,
        max_tool_calls: 50,
        max_runtime: Duration::from_secs(300),
        max_tokens: 1_000,
        max_cost: None,
        warn_repeats: 3,
        max_repeats: 5,
    }
}

async fn begin(runs: &SharedRuns, id: &str) -> Option<Why> {
    let verdict = Runs::begin(runs, &id.into(), limits(), None, &mut Patience::of_a_call()).await;
    match verdict {
        Verdict::Granted { .. } => None,
        Verdict::Refused(Refusal { why, .. }) => Some(why),
    }
}

fn settle(runs: &SharedRuns, id: &str, tokens: u64) {
    runs.settle(&id.into(), Used { tokens, ..Used::default() });
}

fn telling(all: &[Arc<SharedRuns>]) -> tokio::task::JoinSet<()> {
    all.iter().map(|runs| Arc::clone(runs).tell()).collect()
}

/// Longer than what is done at one sidecar takes to be known at the others.
const TOLD: Duration = Duration::from_millis(400);

#[tokio::test(start_paused = true)]
async fn what_was_spent_at_one_sidecar_is_spent_at_all() {
    let all = sidecars(3);
    let _telling = telling(&all);
    assert_eq!(begin(&all[0], "run").await, None);
    settle(&all[0], "run", 1_000);
    tokio::time::sleep(TOLD).await;
    for runs in &all {
        assert_eq!(begin(runs, "run").await, Some(Why::Tokens));
        assert_eq!(begin(runs, "other").await, None);
    }
}

#[tokio::test(start_paused = true)]
async fn calls_that_go_round_are_counted_to_the_last_one() {
    let all = sidecars(4);
    let _telling = telling(&all);
    let mut granted = 0;
    for number in 0..40 {
        let runs = &all[number % all.len()];
        if begin(runs, "run").await.is_none() {
            granted += 1;
            tokio::time::sleep(TOLD).await;
            settle(runs, "run", 1);
        }
        tokio::time::sleep(TOLD).await;
    }
    assert_eq!(granted, 20);
}

#[tokio::test(start_paused = true)]
async fn a_run_begins_no_more_than_it_begins_elsewhere_in_three_paces() {
    let all = sidecars(2);
    let _telling = telling(&all);
    // One call every 40 ms at each of two: within 3 paces, a fifth more by chance, 9 begin at the other.
    let mut granted = [0, 0];
    for _ in 0..60 {
        for (runs, granted) in all.iter().zip(&mut granted) {
            if begin(runs, "run").await.is_none() {
                *granted += 1;
                settle(runs, "run", 1);
            }
        }
        tokio::time::sleep(Duration::from_millis(40)).await;
    }
    let spent: u64 = granted.iter().sum();
    assert!((20..=29).contains(&spent), "{granted:?}");
}

#[tokio::test(start_paused = true)]
async fn a_part_that_was_not_heard_of_is_told_again_and_counts_once() {
    let all = sidecars(2);
    for _ in 0..3 {
        assert_eq!(begin(&all[0], "run").await, None);
        settle(&all[0], "run", 10);
        all[0].want_all();
        assert_eq!(all[0].untold.lock().len(), 1, "one run waits once");
        all[0].tell_rest().await;
        assert_eq!(all[0].untold.lock().len(), 0);
    }
    assert_eq!(begin(&all[1], "run").await, None);
    let spent = all[1].kept.with("run", |one| one.run.spent()).unwrap();
    assert_eq!((spent.calls, spent.tokens), (4, 30));
}

#[tokio::test(start_paused = true)]
async fn two_first_calls_at_once_do_not_hear_of_each_other_as_of_others() {
    let all = sidecars(1);
    let runs = &all[0];
    let id: Arc<str> = "run".into();
    let early = runs.look(&id, &mut Patience::of_a_call()).await;
    assert_eq!(begin(runs, "run").await, None);
    runs.tell_rest().await;
    let late = runs.look(&id, &mut Patience::of_a_call()).await;
    let limits = limits();
    for news in [early, late] {
        let _ = runs.kept.begin(&Wish { id: &id, limits: &limits, shown: None }, news.as_ref(), clock::now());
    }
    assert_eq!(runs.kept.with("run", |one| one.run.spent().calls), Some(3));
}

#[tokio::test(start_paused = true)]
async fn however_many_runs_there_are_no_more_wait_to_be_told_than_may() {
    let all = sidecars(1);
    let runs = &all[0];
    let (limits, now) = (limits(), clock::now());
    for number in 0..MOST_UNTOLD + 1_000 {
        let id: Arc<str> = format!("run-{number}").into();
        let _ = runs.kept.begin(&Wish { id: &id, limits: &limits, shown: None }, None, now);
        runs.want(&id);
    }
    assert_eq!(runs.untold.lock().len(), MOST_UNTOLD);
    assert!(runs.tracked() <= MAX_RUNS);
    runs.tell_rest().await;
    assert_eq!(runs.untold.lock().len(), 0);
}
