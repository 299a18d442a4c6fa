//! Counts of calls and errors, in memory and in Redis alike.

use fusebox_rules::fleet::Stamp;
use fusebox_store::errors::{Count, Counts, Failures, History, Tally};

use super::alike::Alike;

const PROVIDER: &str = "a";
const MINUTE: u64 = 60_000;

fn failures(kind: &'static str, count: u32) -> Failures<'static> {
    Failures { kind, operation: "chat", count }
}

/// Told just after it was put together.
async fn count(both: &Alike, sidecar: &str, failures: &[Failures<'_>]) -> bool {
    count_of(both, sidecar, both.now(), failures).await
}

async fn count_of(both: &Alike, sidecar: &str, at: Stamp, failures: &[Failures<'_>]) -> bool {
    both.ask(&Count { provider: PROVIDER, sidecar, at, calls: 100, failures }).await
}

async fn tally(both: &Alike) -> Tally {
    both.ask(&Counts { provider: PROVIDER }).await
}

fn errors(tally: &Tally, kind: &str) -> (u64, u64) {
    let of = |errors: &std::collections::BTreeMap<String, u64>| errors.get(kind).copied().unwrap_or(0);
    (of(&tally.minute.errors), of(&tally.hour.errors))
}

#[tokio::test]
async fn what_sidecars_count_is_added_up_once_each() {
    let both = Alike::start().await;
    let embeddings = Failures { operation: "embed", ..failures("timeout", 1) };
    let earlier = Stamp::from_millis(both.now().as_millis() - 1);
    assert!(count(&both, "s1", &[failures("timeout", 2), embeddings]).await);
    assert!(!count(&both, "s1", &[failures("timeout", 2)]).await, "told again");
    assert!(!count_of(&both, "s1", earlier, &[failures("timeout", 2)]).await, "told late");
    assert!(count_of(&both, "s2", earlier, &[failures("timeout", 2), failures("network", 9)]).await);
    let seen = tally(&both).await;
    assert_eq!((errors(&seen, "timeout"), errors(&seen, "network")), ((5, 5), (9, 9)));
    assert_eq!((seen.minute.calls, seen.hour.calls, seen.hour.failed()), (200, 200, 14));
    let patterns = [("network:chat", 9), ("timeout:chat", 4), ("timeout:embed", 1)];
    assert_eq!(seen.patterns, patterns.map(|(name, many)| (name.to_owned(), many)));
    assert_eq!(both.ask(&Counts { provider: "b" }).await.hour.calls, 0);
}

#[tokio::test]
async fn a_minute_and_an_hour_pass() {
    let both = Alike::start().await;
    let began = both.now();
    count(&both, "s1", &[failures("timeout", 3)]).await;
    both.later(59_000);
    assert_eq!(errors(&tally(&both).await, "timeout"), (3, 3));
    both.later(1_000);
    let seen = tally(&both).await;
    assert_eq!((errors(&seen, "timeout"), seen.minute.calls, seen.hour.calls), ((0, 3), 0, 100));
    assert_eq!((seen.since, seen.reach(both.now()).as_secs()), (began, 60));
    // Calls without errors go on.
    for _ in 0..62 {
        both.later(MINUTE);
        count(&both, "s1", &[]).await;
    }
    let seen = tally(&both).await;
    assert_eq!((errors(&seen, "timeout"), seen.hour.calls), ((0, 0), 6_100));
    let reach = seen.reach(both.now()).as_secs();
    assert!((3_600..3_660).contains(&reach), "{reach}");
}

#[tokio::test]
async fn the_last_hour_is_told_minute_by_minute() {
    let both = Alike::start().await;
    let told = async || both.ask(&History { provider: PROVIDER }).await;
    let began = both.now().as_millis() / MINUTE * MINUTE;
    assert!(told().await.iter().all(|minute| minute.total.calls == 0), "nothing was counted");
    count(&both, "s1", &[failures("timeout", 3), failures("network", 1)]).await;
    both.later(2 * MINUTE);
    count(&both, "s1", &[]).await;
    count(&both, "s2", &[failures("timeout", 2)]).await;
    let hour = told().await;
    let at: Vec<u64> = hour.iter().map(|minute| minute.at.as_millis()).collect();
    assert_eq!(at, (0..60).map(|minute| began + 2 * MINUTE - (59 - minute) * MINUTE).collect::<Vec<_>>());
    let counted = |at: usize| {
        let errors: Vec<_> = hour[at].total.errors.iter().map(|(kind, many)| (kind.as_str(), *many)).collect();
        (hour[at].total.calls, errors)
    };
    assert_eq!(counted(57), (100, vec![("network", 1), ("timeout", 3)]));
    assert_eq!((counted(58), counted(59)), ((0, vec![]), (200, vec![("timeout", 2)])));
    both.later(57 * MINUTE);
    assert_eq!(told().await[0].total.failed(), 4);
    both.later(MINUTE);
    let hour = told().await;
    assert_eq!(hour.iter().map(|minute| minute.total.calls).sum::<u64>(), 200, "an hour ago is over");
    assert!(both.ask(&History { provider: "b" }).await.iter().all(|minute| minute.total.calls == 0));
}

#[tokio::test]
async fn after_more_than_an_hour_of_silence_history_begins_anew() {
    let both = Alike::start().await;
    count(&both, "s1", &[failures("timeout", 3)]).await;
    both.later(62 * MINUTE);
    assert_eq!((tally(&both).await.since, tally(&both).await.hour.calls), (both.now(), 0));
    count(&both, "s1", &[failures("timeout", 3)]).await;
    assert_eq!((tally(&both).await.since, tally(&both).await.hour.calls), (both.now(), 100));
}

#[tokio::test]
async fn names_beyond_the_limit_are_counted_together() {
    let both = Alike::start().await;
    let names: Vec<String> = (0..40).map(|index| format!("kind-{index}")).collect();
    let many: Vec<_> = names.iter().map(|kind| Failures { kind, operation: "chat", count: 1 }).collect();
    count(&both, "s1", &many).await;
    let seen = tally(&both).await;
    assert_eq!((seen.hour.errors.len(), errors(&seen, "other"), seen.hour.failed()), (33, (8, 8), 40));
    assert_eq!(seen.patterns.len(), 20);
}

#[tokio::test]
async fn what_is_told_too_late_is_not_counted_whether_it_was_before_or_not() {
    let both = Alike::start().await;
    let began = both.now();
    assert!(count_of(&both, "s1", began, &[]).await);
    both.later(599_999);
    assert!(!count_of(&both, "s1", began, &[]).await);
    assert!(count_of(&both, "s2", began, &[]).await);
    // Here what is remembered of both is swept.
    both.later(1_000);
    assert!(count_of(&both, "s3", both.now(), &[]).await);
    for sidecar in ["s1", "s2", "s4"] {
        assert!(!count_of(&both, sidecar, began, &[]).await);
        assert!(count(&both, sidecar, &[]).await);
    }
}

#[tokio::test]
async fn whatever_is_counted_memory_and_redis_say_the_same() {
    let both = Alike::start().await;
    let mut dice = fastrand::Rng::with_seed(2);
    for _ in 0..600 {
        let sidecar = dice.u8(0..30).to_string();
        let all = [failures("timeout", dice.u32(0..4)), failures("network", 1), failures("12", 1)];
        match dice.u8(0..10) {
            0..6 => {
                let at = Stamp::from_millis(both.now().as_millis() - dice.u64(0..9) * dice.u64(0..80_000));
                count_of(&both, &sidecar, at, &all[..dice.usize(0..4)]).await;
            }
            6 => {
                let tally = tally(&both).await;
                let hour = both.ask(&History { provider: PROVIDER }).await;
                // The tally's hour is of a minute more.
                assert!(hour.iter().map(|minute| minute.total.calls).sum::<u64>() <= tally.hour.calls);
            }
            7 => both.later(dice.u64(0..400_000)),
            _ => both.later(dice.u64(0..5_000)),
        }
    }
    tally(&both).await;
}
