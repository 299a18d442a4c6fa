//! What was changed and by whom, in memory and in Redis alike.

use std::time::Duration;

use fusebox_proto::store::AuditEntry;
use fusebox_store::audit::{Append, Entries, Entry, Limits};

use super::alike::Alike;

const LIMITS: Limits = Limits { keep: 10_000, keep_for: Duration::from_secs(90 * 86_400) };

async fn append(both: &Alike, actor: &str, limits: Limits) -> u64 {
    let entry =
        AuditEntry { actor: actor.into(), action: "SetProvider".into(), settings_version: 7, ..AuditEntry::default() };
    both.ask(&Append { entry: &entry, limits }).await
}

async fn page(both: &Alike, before: Option<u64>, most: u32) -> Vec<Entry> {
    both.ask(&Entries { before, most }).await
}

fn actors(entries: &[Entry]) -> String {
    entries.iter().map(|entry| entry.entry.actor.as_str()).collect()
}

#[tokio::test]
async fn entries_are_read_from_the_newest_page_by_page() {
    let both = Alike::start().await;
    assert_eq!(page(&both, None, 9).await, []);
    let mut numbers = Vec::new();
    for actor in ["a", "b", "c", "d", "e"] {
        numbers.push(append(&both, actor, LIMITS).await);
        // Two are of one millisecond.
        both.later(u64::from(actor != "b"));
    }
    assert!(numbers.is_sorted_by(|one, next| one < next), "{numbers:?}");
    let first = page(&both, None, 2).await;
    assert_eq!((actors(&first), first[0].number, first[0].at().as_millis()), ("ed".into(), numbers[4], numbers[4]));
    assert_eq!((&*first[0].entry.action, first[0].entry.settings_version), ("SetProvider", 7));
    assert_eq!(actors(&page(&both, Some(first[1].number), 9).await), "cba");
    assert_eq!(page(&both, Some(numbers[0]), 9).await, []);
    assert_eq!(page(&both, Some(0), 9).await, []);
    assert_eq!(actors(&page(&both, None, 0).await), "e", "one at least");
}

#[tokio::test]
async fn those_that_are_too_many_or_too_old_are_forgotten() {
    let both = Alike::start().await;
    for number in 0..9 {
        append(&both, &number.to_string(), Limits { keep: 4, ..LIMITS }).await;
        both.later(1_000);
    }
    assert_eq!(actors(&page(&both, None, 9).await), "8765");
    let short = Limits { keep_for: Duration::from_millis(2_000), ..LIMITS };
    append(&both, "9", short).await;
    assert_eq!(actors(&page(&both, None, 9).await), "987", "seven is two seconds old, and no older");
    both.later(60_000);
    append(&both, "x", short).await;
    assert_eq!(actors(&page(&both, None, 9).await), "x");
    append(&both, "y", Limits { keep: 0, keep_for: Duration::ZERO }).await;
    assert_eq!(actors(&page(&both, None, 9).await), "y", "what was written last is kept");
    append(&both, "z", Limits { keep: u32::MAX, keep_for: Duration::MAX }).await;
    assert_eq!(actors(&page(&both, None, 9).await), "zy");
}

#[tokio::test]
async fn texts_that_are_too_long_are_cut_between_two_letters() {
    let both = Alike::start().await;
    let long = "ä".repeat(9_000);
    let entry = AuditEntry { detail: format!("x{long}"), reason: long.clone(), ..AuditEntry::default() };
    both.ask(&Append { entry: &entry, limits: LIMITS }).await;
    let kept = page(&both, None, 1).await.remove(0).entry;
    assert_eq!((kept.detail.len(), kept.reason.len()), (8_191, 1_024));
}

#[tokio::test]
async fn whatever_is_written_memory_and_redis_say_the_same() {
    let both = Alike::start().await;
    let mut dice = fastrand::Rng::with_seed(4);
    let mut last = None;
    for step in 0..600 {
        let limits = Limits { keep: dice.u32(5..9), keep_for: Duration::from_millis(dice.u64(20..90)) };
        match dice.u8(0..6) {
            0..3 => last = Some(append(&both, &step.to_string(), limits).await),
            3 => drop(page(&both, last.filter(|_| dice.bool()), dice.u32(0..9)).await),
            _ => both.later(dice.u64(0..9) * dice.u64(0..3)),
        }
    }
    assert!(!page(&both, None, 500).await.is_empty());
}
