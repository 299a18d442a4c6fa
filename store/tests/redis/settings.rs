//! A fleet's settings, in memory and in Redis alike.

use std::time::Duration;

use fusebox_proto::store::AuditEntry;
use fusebox_rules::{
    breaker::Mode,
    degradation::Level,
    fleet::{
        Stamp,
        settings::{Change, Settings, Word},
    },
};
use fusebox_store::{
    News, Store, Told,
    audit::{Append, Entries, Limits},
    breaker::Condition,
    settings::{ChangeSettings, GetSettings, PutSettings},
};
use tokio::time::timeout;

use super::{
    alike::Alike,
    server::{LIMIT, LONG, Server, clock},
};

fn changed(settings: &Settings, change: Change, now: u64) -> Settings {
    let word = Word { by: "ada".into(), reason: "a drill".into(), ..Word::default() };
    settings.changed(change, word, Stamp::from_millis(now)).unwrap()
}

#[tokio::test]
async fn of_two_who_change_the_same_settings_one_wins_and_the_other_is_told() {
    let both = Alike::start().await;
    let nothing = both.ask(&GetSettings).await;
    assert_eq!(nothing, Settings::default());
    let off = changed(&nothing, Change::Enabled("a".into(), Some(false)), 5);
    let open = changed(&nothing, Change::Breaker("a".into(), Some(Mode::ForcedOpen)), 6);
    let condition = Condition::Replaces(0);
    assert!(both.ask(&PutSettings { settings: &off, condition }).await.won);
    let late = both.ask(&PutSettings { settings: &open, condition }).await;
    assert_eq!((late.won, late.settings), (false, off.clone()));
    let next = changed(&off, Change::Level(Some(Level::Minimal)), 7);
    assert!(both.ask(&PutSettings { settings: &next, condition: Condition::Replaces(off.version) }).await.won);
    assert_eq!(both.ask(&GetSettings).await, next);
}

#[tokio::test]
async fn a_change_and_its_entry_in_the_audit_log_are_there_together_or_not_at_all() {
    let both = Alike::start().await;
    let off = changed(&Settings::default(), Change::Enabled("a".into(), Some(false)), 5);
    let entry = AuditEntry { actor: "ada".into(), settings_version: off.version, ..AuditEntry::default() };
    let limits = Limits { keep: 10, keep_for: Duration::from_secs(60) };
    let noted = Append { entry: &entry, limits };
    let change = ChangeSettings { settings: &off, replaces: 0, noted };
    assert!(both.ask(&change).await.won);
    let again = both.ask(&change).await;
    assert_eq!((again.won, again.settings), (false, off));
    let entries = both.ask(&Entries { before: None, most: 9 }).await;
    assert_eq!(entries.into_iter().map(|one| one.entry).collect::<Vec<_>>(), [entry]);
}

#[tokio::test]
async fn whoever_knows_newer_settings_than_the_store_puts_them_back() {
    let both = Alike::start().await;
    let known = changed(&Settings::default(), Change::Priority("a".into(), Some(3)), 99);
    let condition = Condition::IsNewer;
    assert!(both.ask(&PutSettings { settings: &known, condition }).await.won);
    assert!(!both.ask(&PutSettings { settings: &known, condition }).await.won);
    let older = changed(&Settings::default(), Change::Priority("a".into(), Some(4)), 98);
    let kept = both.ask(&PutSettings { settings: &older, condition }).await;
    assert_eq!((kept.won, kept.settings), (false, known));
}

#[tokio::test]
async fn settings_take_the_place_of_older_ones_only() {
    let both = Alike::start().await;
    let known = changed(&Settings::default(), Change::Priority("a".into(), Some(3)), 99);
    assert!(both.ask(&PutSettings { settings: &known, condition: Condition::IsNewer }).await.won);
    // Whoever counts versions by a clock that is behind would give one that is no later.
    for version in [98, 99] {
        let late = Settings { version, ..Settings::default() };
        let put = both.ask(&PutSettings { settings: &late, condition: Condition::Replaces(99) }).await;
        assert_eq!((put.won, &put.settings), (false, &known));
    }
    let next = Settings { version: 100, ..Settings::default() };
    assert!(both.ask(&PutSettings { settings: &next, condition: Condition::Replaces(99) }).await.won);
    assert_eq!(both.ask(&GetSettings).await, next);
}

async fn next(news: &mut News) -> Told {
    timeout(LONG, news.next()).await.expect("something is told")
}

async fn put(store: &Store, change: Change) -> Settings {
    let (now, settings) = store.ask(&GetSettings, LIMIT).await.unwrap();
    let settings = changed(&settings, change, now.as_millis());
    let condition = Condition::Replaces(settings.version - 1);
    let (_, lost) = store.ask(&PutSettings { settings: &settings, condition }, LIMIT).await.unwrap();
    assert!(!lost.won, "the clock has moved on since");
    let (_, placed) =
        store.ask(&PutSettings { settings: &settings, condition: Condition::IsNewer }, LIMIT).await.unwrap();
    assert!(placed.won);
    settings
}

#[tokio::test]
async fn a_change_is_told_to_those_who_listen_here_as_in_redis() {
    let server = Server::start(&[]).await;
    let here = Store::here("fleet", Box::new(|| Stamp::from_millis(1_700_000_000_000)));
    let there = Store::redis(server.address(), "fleet", clock()).unwrap();
    let mut changes = there.link_changes().unwrap();
    timeout(LONG, changes.wait_for(|state| state.connected)).await.expect("a connection").unwrap();
    for store in [here, there] {
        let mut news = store.news(["a"].into_iter()).unwrap();
        if store.link().is_some() {
            assert_eq!(next(&mut news).await, Told::Look, "the subscription itself");
        }
        let set = put(&store, Change::Enabled("a".into(), Some(false))).await;
        assert_eq!(next(&mut news).await, Told::Settings);
        assert_eq!(store.ask(&GetSettings, LIMIT).await.unwrap().1, set);
    }
}
