//! Who is there, in memory and in Redis alike.

use std::time::Duration;

use fusebox_proto::store::Heartbeat;
use fusebox_rules::fleet::settings::Settings;
use fusebox_store::{
    breaker::Condition,
    presence::{Beat, LATELY, Leave, Live},
    settings::PutSettings,
};

use super::alike::Alike;

const EVERY: Duration = Duration::from_secs(1);

async fn beat(both: &Alike, id: &str, version: &str) -> (u32, u64) {
    let heartbeat = Heartbeat { id: id.into(), version: version.into(), in_flight: 7, ..Heartbeat::default() };
    let beaten = both.ask(&Beat { heartbeat: &heartbeat, every: EVERY }).await;
    (beaten.live, beaten.settings_version)
}

async fn page(both: &Alike, after: &str, most: u32) -> (Vec<(String, u64)>, Option<String>) {
    let page = both.ask(&Live { after, most, lately: Duration::ZERO }).await;
    assert!(page.sidecars.iter().all(|alive| alive.live));
    let alive = page.sidecars.into_iter();
    (alive.map(|alive| (alive.heartbeat.id, both.now().since(alive.seen).as_millis() as u64)).collect(), page.next)
}

#[tokio::test]
async fn a_sidecar_is_there_until_three_of_its_heartbeats_are_missed_or_it_leaves() {
    let both = Alike::start().await;
    assert_eq!(beat(&both, "a", "1").await, (1, 0));
    both.later(1_000);
    assert_eq!(beat(&both, "b", "1").await, (2, 0));
    both.later(1_999);
    assert_eq!(page(&both, "", 9).await, (vec![("a".into(), 2_999), ("b".into(), 1_999)], None));
    both.later(1);
    assert_eq!(page(&both, "", 9).await, (vec![("b".into(), 2_000)], None));
    assert_eq!(beat(&both, "a", "2").await, (2, 0));
    assert_eq!(both.ask(&Live { after: "", most: 1, lately: Duration::ZERO }).await.sidecars[0].heartbeat.version, "2");
    assert_eq!(both.ask(&Leave { sidecar: "a" }).await, 1);
    assert_eq!(both.ask(&Leave { sidecar: "a" }).await, 1);
    both.later(1_000);
    assert_eq!(both.ask(&Leave { sidecar: "nobody" }).await, 0);
}

#[tokio::test]
async fn a_heartbeat_is_told_the_settings_version() {
    let both = Alike::start().await;
    let settings = Settings { version: 1_234_567_890_123, ..Settings::default() };
    both.ask(&PutSettings { settings: &settings, condition: Condition::IsNewer }).await;
    assert_eq!(beat(&both, "a", "1").await, (1, 1_234_567_890_123));
}

#[tokio::test]
async fn pages_show_everyone_who_stays_once() {
    let both = Alike::start().await;
    for id in ["c", "a", "e", "b", "d"] {
        beat(&both, id, "1").await;
    }
    let ids = |page: Vec<(String, u64)>| page.into_iter().map(|(id, _)| id).collect::<String>();
    let (first, next) = page(&both, "", 2).await;
    assert_eq!((ids(first), next.as_deref()), ("ab".into(), Some("b")));
    both.ask(&Leave { sidecar: "b" }).await;
    beat(&both, "c", "1").await;
    let (second, next) = page(&both, "b", 2).await;
    assert_eq!((ids(second), next.as_deref()), ("cd".into(), Some("d")));
    let (third, next) = page(&both, "d", 2).await;
    assert_eq!((ids(third), next), ("e".into(), None));
}

/// Those that are there, or were of late, and whether they are.
async fn lately(both: &Alike, lately: Duration) -> Vec<(String, bool)> {
    let page = both.ask(&Live { after: "", most: 500, lately }).await;
    page.sidecars.into_iter().map(|alive| (alive.heartbeat.id, alive.live)).collect()
}

#[tokio::test]
async fn one_that_missed_its_heartbeats_is_shown_for_a_minute_and_counts_no_more() {
    let both = Alike::start().await;
    beat(&both, "gone", "1").await;
    beat(&both, "leaves", "1").await;
    both.ask(&Leave { sidecar: "leaves" }).await;
    both.later(2_999);
    assert_eq!(lately(&both, LATELY).await, [("gone".into(), true)]);
    both.later(1);
    assert_eq!(beat(&both, "there", "1").await, (1, 0));
    let shown = [("gone".to_owned(), false), ("there".to_owned(), true)];
    assert_eq!(lately(&both, Duration::from_millis(1)).await, shown);
    assert_eq!(lately(&both, Duration::ZERO).await, shown[1..]);
    both.later(59_999);
    beat(&both, "there", "1").await;
    assert_eq!(lately(&both, LATELY).await, shown);
    assert_eq!(lately(&both, Duration::from_millis(59_999)).await, shown[1..]);
    both.later(1);
    assert_eq!(lately(&both, Duration::MAX).await, shown[1..], "no longer than it is remembered");
    // It comes back, and is there as any other.
    assert_eq!(beat(&both, "gone", "2").await, (2, 0));
    assert_eq!(lately(&both, LATELY).await, [("gone".into(), true), ("there".into(), true)]);
}

#[tokio::test]
async fn whatever_is_done_memory_and_redis_say_the_same() {
    let both = Alike::start().await;
    let mut dice = fastrand::Rng::with_seed(1);
    for _ in 0..600 {
        let id = dice.u8(0..40).to_string();
        match dice.u8(0..10) {
            0..5 => drop(beat(&both, &id, "1").await),
            5 => drop(both.ask(&Leave { sidecar: &id }).await),
            6 => drop(lately(&both, Duration::from_millis(dice.u64(0..70_000))).await),
            7 => drop(page(&both, if dice.bool() { &id } else { "" }, dice.u32(0..7)).await),
            8 => both.later(dice.u64(0..700)),
            // Now and then long enough that some are forgotten.
            _ => both.later(dice.u64(0..9) / 8 * 40_000),
        }
    }
    // So many are gone at once that one heartbeat does not sweep them all.
    for id in 0..50 {
        beat(&both, &id.to_string(), "1").await;
    }
    both.later(3_000);
    assert_eq!(beat(&both, "last", "1").await, (1, 0));
    assert_eq!(page(&both, "", 500).await.0.len(), 1);
    assert!(lately(&both, LATELY).await.len() > 50);
    both.later(60_000);
    for round in 0..5 {
        assert_eq!(beat(&both, "last", "1").await, (1, 0), "{round}");
        assert_eq!(lately(&both, LATELY).await.len(), 1, "{round}");
    }
}
