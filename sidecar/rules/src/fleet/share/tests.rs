//! One sidecar's share, and the store's bucket beside it.

use super::*;

fn at(millis: u64) -> Moment {
    Moment::ZERO + Duration::from_millis(millis)
}

fn share(per_minute: u64) -> Share {
    Share::new(Terms::of_limit(per_minute))
}

fn exchange(share: &mut Share, store: &mut Bucket, live: u32, millis: u64) -> Drawn {
    let Some(ask) = share.ask(live, at(millis)) else { return Drawn::default() };
    let drawn = store.draw(share.terms(), &ask, Stamp::from_millis(millis));
    share.hear(&ask, &drawn, at(millis), at(millis));
    drawn
}

fn lease(share: &mut Share, granted: u64, millis: u64) {
    let (ask, drawn) = (Ask { want: granted, ..Ask::default() }, Drawn { granted, ..Drawn::default() });
    share.hear(&ask, &drawn, at(millis), at(millis));
}

fn taken(share: &mut Share, units: u64, millis: u64) -> Portion {
    match share.take(units, at(millis)) {
        Take::Taken(portion) => portion,
        Take::Short { retry_after } => panic!("short for {retry_after:?}"),
    }
}

fn short(share: &mut Share, units: u64, millis: u64) -> u128 {
    match share.take(units, at(millis)) {
        Take::Taken(portion) => panic!("{portion:?}"),
        Take::Short { retry_after } => retry_after.as_millis(),
    }
}

#[test]
fn an_idle_sidecar_leases_nothing_and_its_first_call_goes_on_credit() {
    let (mut share, mut store) = (share(60_000), Bucket::default());
    assert_eq!(exchange(&mut share, &mut store, 10, 0).granted, 0);
    assert_eq!(share.ask(10, at(1_000)), None);
    let _ = taken(&mut share, 500, 1_000);
    let told = share.ask(10, at(1_001)).unwrap();
    assert_eq!((told.charge, told.want), (500, 2_000));
}

#[test]
fn only_what_the_bucket_could_pay_for_all_goes_on_credit_and_only_once_between_two_exchanges() {
    let (mut share, mut store) = (share(60_000), Bucket::default());
    exchange(&mut share, &mut store, 10, 0);
    assert_eq!(short(&mut share, 601, 1), 100);
    let _ = taken(&mut share, 600, 1);
    short(&mut share, 1, 1);
}

#[test]
fn what_is_leased_follows_use_and_is_given_back_when_there_is_none() {
    let (mut share, mut store) = (share(60_000), Bucket::default());
    exchange(&mut share, &mut store, 1, 0);
    for tick in 1..50 {
        let portion = taken(&mut share, 20, tick * 100);
        share.settle(portion, 20, at(tick * 100));
        exchange(&mut share, &mut store, 1, tick * 100);
    }
    let held = share.left(at(4_900));
    assert!((400..=900).contains(&held), "twice 200 a second and a little: {held}");
    for tick in 50..150 {
        exchange(&mut share, &mut store, 1, tick * 100);
    }
    assert_eq!(share.left(at(14_900)), 0);
    assert_eq!(store.draw(share.terms(), &Ask::default(), Stamp::from_millis(15_000)).left, 6_000);
}

#[test]
fn what_was_leased_ends_if_the_store_is_not_heard_of() {
    let (mut share, mut store) = (share(600), Bucket::default());
    exchange(&mut share, &mut store, 1, 0);
    let _ = taken(&mut share, 1, 0);
    exchange(&mut share, &mut store, 1, 100);
    assert!(share.left(at(4_099)) > 0);
    assert_eq!(share.left(at(4_100)), 0);
}

#[test]
fn each_lease_ends_in_its_own_time_and_those_within_half_a_second_with_the_first() {
    let mut share = share(60_000);
    for (units, millis) in [(10, 0), (20, 499), (40, 500), (80, 999), (160, 3_000)] {
        lease(&mut share, units, millis);
    }
    let left = [3_999, 4_000, 4_499, 4_500, 6_999, 7_000].map(|millis| share.left(at(millis)));
    assert_eq!(left, [310, 280, 280, 160, 160, 0]);
    share.hear(&Ask::default(), &Drawn { granted: 9, ..Drawn::default() }, at(8_000), at(12_000));
    assert_eq!(share.left(at(12_000)), 0, "it came when it had ended");
}

#[test]
fn what_comes_back_fills_no_lease_beyond_what_it_was() {
    let mut share = share(60_000);
    lease(&mut share, 100, 0);
    let first = taken(&mut share, 100, 0);
    lease(&mut share, 50, 3_500);
    let second = taken(&mut share, 20, 3_500);
    share.settle(first, 10, at(5_000));
    assert_eq!(share.left(at(5_000)), 50, "30 and the 20 that were taken of it");
    share.settle(second, 0, at(5_000));
    assert_eq!(share.left(at(5_000)), 50);
    assert_eq!(share.ask(1, at(5_000)).unwrap().put, 90, "70 of the first and 20 of the second");
}

#[test]
fn sidecars_that_know_how_many_they_are_keep_to_the_limit_without_a_store() {
    let mut fleet: Vec<Share> = (0..10).map(|_| share(600)).collect();
    let mut all = 0;
    for tick in 0..1_200 {
        for share in &mut fleet {
            share.ask(10, at(tick * 50));
            all += u64::from(matches!(share.take(1, at(tick * 50)), Take::Taken(_)));
        }
    }
    assert!((600..=660).contains(&all), "{all}");
}

#[test]
fn a_call_is_settled_by_what_it_used() {
    let (mut share, mut store) = (share(60_000), Bucket::default());
    exchange(&mut share, &mut store, 1, 0);
    let _ = taken(&mut share, 100, 0);
    exchange(&mut share, &mut store, 1, 1);
    let held = share.left(at(1));
    let one = taken(&mut share, 100, 1);
    share.settle(one, 30, at(2));
    assert_eq!(share.left(at(2)), held - 30, "what was not used can be used");
    let two = taken(&mut share, held - 30, 2);
    share.settle(two, held, at(3));
    let told = share.ask(1, at(3)).unwrap();
    assert_eq!(told.charge, 30, "what was used beyond all that was leased is owed");
}

#[test]
fn what_comes_back_when_its_lease_has_ended_goes_to_the_store() {
    let (mut share, mut store) = (share(60_000), Bucket::default());
    exchange(&mut share, &mut store, 1, 0);
    let _ = taken(&mut share, 100, 0);
    exchange(&mut share, &mut store, 1, 1);
    let portion = taken(&mut share, 100, 1);
    share.settle(portion, 40, at(30_000));
    assert_eq!(share.left(at(30_000)), 0);
    assert_eq!(share.ask(1, at(30_000)).unwrap().put, 60);
}

#[test]
fn a_call_that_comes_short_is_what_the_store_is_asked_for() {
    let (mut share, mut store) = (share(600), Bucket::default());
    store.draw(share.terms(), &Ask { want: 60, ..Ask::default() }, Stamp::from_millis(0));
    exchange(&mut share, &mut store, 10, 0);
    assert_eq!(short(&mut share, 5, 0), 100, "the store may have some again");
    let drawn = exchange(&mut share, &mut store, 10, 100);
    assert_eq!((drawn.granted, drawn.ready_in.as_millis()), (0, 400));
    assert_eq!(short(&mut share, 5, 100), 400, "it has told when");
    exchange(&mut share, &mut store, 10, 500);
    let _ = taken(&mut share, 5, 500);
}

#[test]
fn where_there_is_little_each_leases_no_more_than_its_part() {
    let (mut share, mut store) = (share(6_000), Bucket::default());
    store.draw(share.terms(), &Ask { want: 590, ..Ask::default() }, Stamp::from_millis(0));
    exchange(&mut share, &mut store, 40, 0);
    for _ in 0..500 {
        if let Take::Taken(portion) = share.take(1, at(1)) {
            share.settle(portion, 1, at(1));
        }
    }
    exchange(&mut share, &mut store, 40, 1);
    assert_eq!(share.left(at(1)), 10, "all that there was");
    let _ = taken(&mut share, 10, 1);
    exchange(&mut share, &mut store, 40, 1_001);
    assert_eq!(share.left(at(1_001)), 10, "4 s at 100 a second, by 40, although there were 100");
}

#[test]
fn what_the_provider_says_is_left_is_told_once_if_it_is_news_and_holds() {
    let (mut share, mut store) = (share(600), Bucket::default());
    exchange(&mut share, &mut store, 1, 0);
    share.correct(500, Duration::from_secs(6), at(1));
    share.correct(5, Duration::ZERO, at(1));
    assert_eq!(share.ask(1, at(2)), None);
    share.correct(9, Duration::from_secs(6), at(2));
    share.correct(20, Duration::from_secs(6), at(2));
    assert_eq!(share.ask(1, at(3)).unwrap().remaining, Some(9));
    assert_eq!(share.ask(1, at(3)), None);
    share.correct(3, Duration::from_secs(6), at(4));
    assert_eq!(share.ask(1, at(6_004)), None, "the provider has started afresh");
}

#[test]
fn without_a_store_it_uses_what_is_leased_and_then_its_part_of_the_limit() {
    let (mut share, mut store) = (share(600), Bucket::default());
    exchange(&mut share, &mut store, 10, 0);
    share.lost();
    for _ in 0..6 {
        let _ = taken(&mut share, 1, 1);
    }
    assert_eq!(short(&mut share, 1, 1), 1_000, "a call a second is a tenth of ten");
    let taken = (0..600).filter(|tick| matches!(share.take(1, at(1 + tick * 100)), Take::Taken(_))).count();
    assert_eq!(taken, 59);
    let ask = share.ask(10, at(60_001)).expect("the store is asked on and on");
    assert_eq!((ask.put, ask.charge), (0, 0), "what was used alone is not the store's");
}

#[test]
fn what_is_at_hand_is_known_without_taking_it() {
    let (mut share, mut store) = (share(600), Bucket::default());
    assert_eq!(share.at_hand(at(0)), 60);
    let _ = taken(&mut share, 60, 0);
    assert_eq!((share.at_hand(at(50)), share.at_hand(at(500))), (0, 5));
    let drawn = exchange(&mut share, &mut store, 2, 500);
    let held = share.left(at(500));
    assert_eq!((held, share.at_hand(at(500))), (drawn.granted, drawn.granted.max(drawn.left / 2)));
    let _ = taken(&mut share, held, 500);
    assert_eq!(share.at_hand(at(500)), drawn.left / 2, "one call may go on credit");
    let _ = taken(&mut share, 1, 500);
    assert_eq!(share.at_hand(at(500)), 0);
}

#[test]
fn one_large_call_alone_waits_for_as_long_as_its_units_take_to_flow_in() {
    let mut share = share(600);
    share.ask(100, at(0));
    let _ = taken(&mut share, 6, 0);
    assert_eq!(short(&mut share, 1, 0), 60_000, "600 a minute by 100 is 6 a minute");
}

#[test]
fn what_the_store_did_not_see_is_told_again() {
    let (mut share, mut store) = (share(60_000), Bucket::default());
    exchange(&mut share, &mut store, 1, 0);
    let portion = taken(&mut share, 100, 0);
    share.settle(portion, 300, at(1));
    let ask = share.ask(1, at(1)).unwrap();
    share.lost();
    share.untold(&ask);
    assert_eq!(share.ask(1, at(2)).unwrap().charge, 300);
}
