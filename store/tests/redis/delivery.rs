//! How deliveries go, in memory and in Redis alike.

use fusebox_store::delivery::{Deliveries, Name, PutDeliveries, Record, TakeOver};

use super::alike::Alike;

fn record(name: Name, body: &str) -> Record {
    Record { name, body: body.into() }
}

async fn put(both: &Alike, fence: u64, records: &[Record]) -> bool {
    both.ask(&PutDeliveries { fence, cursor: None, records, forgotten: &[] }).await
}

async fn all(both: &Alike) -> Vec<Record> {
    let changed = both.ask(&Deliveries { after: 0, most: 500 }).await;
    assert_eq!(changed.kept, changed.changes.len() as u64);
    changed.changes.into_iter().filter_map(|change| change.record).collect()
}

#[tokio::test]
async fn only_who_took_over_last_puts_anything_and_the_next_goes_on_from_there() {
    let both = Alike::start().await;
    let (one, two) = (record(Name::Alert(1), "one"), record(Name::Channel("a:b".into()), "two"));
    assert!(!put(&both, 0, std::slice::from_ref(&one)).await, "nobody has taken over");
    let first = both.ask(&TakeOver).await;
    assert_eq!((first.fence, first.cursor), (both.now().as_millis(), None));
    let records = [one.clone(), two.clone()];
    assert!(both.ask(&PutDeliveries { fence: first.fence, cursor: Some(7), records: &records, forgotten: &[] }).await);
    let second = both.ask(&TakeOver).await;
    assert!(second.fence > first.fence, "in the same millisecond");
    assert_eq!(second.cursor, Some(7));

    let late = PutDeliveries { fence: first.fence, cursor: Some(9), records: &[], forgotten: &[Name::Alert(1)] };
    assert!(!both.ask(&late).await);
    assert_eq!(all(&both).await, [one, two.clone()]);
    assert!(put(&both, second.fence, &[record(Name::Alert(1), "again")]).await);
    assert_eq!(all(&both).await, [two, record(Name::Alert(1), "again")]);
    assert_eq!(both.ask(&TakeOver).await.cursor, Some(7), "the late one moved nothing");
}

#[tokio::test]
async fn who_follows_reads_what_changed_and_notices_what_was_forgotten() {
    let both = Alike::start().await;
    let fence = both.ask(&TakeOver).await.fence;
    let records: Vec<_> = (1..=5).map(|id| record(Name::Alert(id), "body")).collect();
    assert!(put(&both, fence, &records).await);
    let page = both.ask(&Deliveries { after: 0, most: 3 }).await;
    assert_eq!((page.kept, page.changes.len()), (5, 3));
    let rest = both.ask(&Deliveries { after: page.changes[2].number, most: 3 }).await;
    assert_eq!(rest.changes.iter().filter_map(|change| change.record.clone()).collect::<Vec<_>>(), records[3..]);
    let last = rest.changes[1].number;
    assert_eq!(both.ask(&Deliveries { after: last, most: 3 }).await.changes, []);

    let forgotten = [Name::Alert(2), Name::Alert(77)];
    let records = [record(Name::Alert(1), "changed")];
    assert!(both.ask(&PutDeliveries { fence, cursor: None, records: &records, forgotten: &forgotten }).await);
    let changed = both.ask(&Deliveries { after: last, most: 3 }).await;
    assert_eq!(changed.kept, 4);
    assert_eq!(changed.changes.iter().filter_map(|change| change.record.clone()).collect::<Vec<_>>(), records);
}

#[tokio::test]
async fn of_too_many_those_go_that_were_not_changed_for_the_longest() {
    let both = Alike::start().await;
    let fence = both.ask(&TakeOver).await.fence;
    for part in 0..10 {
        let records: Vec<_> = (0..1_000).map(|id| record(Name::Alert(part * 1_000 + id), "")).collect();
        assert!(put(&both, fence, &records).await);
    }
    assert!(put(&both, fence, &[record(Name::Alert(0), "again"), record(Name::Alert(10_000), "new")]).await);
    let page = both.ask(&Deliveries { after: 0, most: 1 }).await;
    assert_eq!(page.kept, 10_000);
    assert_eq!(page.changes[0].record, Some(record(Name::Alert(2), "")));
}

#[tokio::test]
async fn whatever_is_put_memory_and_redis_say_the_same() {
    let both = Alike::start().await;
    let mut dice = fastrand::Rng::with_seed(7);
    let (mut fences, mut after) = (vec![0], 0);
    for _ in 0..500 {
        let name = |dice: &mut fastrand::Rng| match dice.u8(0..12) {
            name @ 0..9 => Name::Alert(name.into()),
            name => Name::Channel(format!("c{name} : é")),
        };
        match dice.u8(0..8) {
            0 => fences.push(both.ask(&TakeOver).await.fence),
            1..5 => {
                let mut records: Vec<_> =
                    (0..dice.u8(0..5)).map(|part| record(name(&mut dice), &part.to_string())).collect();
                records.sort_by(|one, other| one.name.cmp(&other.name));
                records.dedup_by(|one, other| one.name == other.name);
                let forgotten: Vec<_> = (0..dice.u8(0..3)).map(|_| name(&mut dice)).collect();
                // Now and then one that comes late.
                let fence = fences[fences.len().saturating_sub(dice.usize(1..4).max(2) - 1)];
                let cursor = dice.bool().then(|| dice.u64(1..99));
                both.ask(&PutDeliveries { fence, cursor, records: &records, forgotten: &forgotten }).await;
            }
            5 | 6 => {
                let page = both.ask(&Deliveries { after, most: dice.u32(0..6) }).await;
                after = page.changes.last().filter(|_| dice.bool()).map_or(0, |change| change.number);
            }
            _ => both.later(dice.u64(0..3)),
        }
    }
}
