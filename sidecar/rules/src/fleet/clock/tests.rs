use proptest::prelude::*;

use super::*;

fn micros(micros: u64) -> Moment {
    Moment::from_nanos(micros * 1_000)
}

fn secs(secs: u64) -> Moment {
    micros(secs * 1_000_000)
}

#[test]
fn a_stamp_never_ends_before_its_time_and_never_runs_over() {
    assert_eq!(Stamp::from_millis(5) + Duration::from_micros(1), Stamp::from_millis(6));
    assert_eq!(Stamp::from_millis(5) + Duration::MAX, Stamp::from_millis(u64::MAX));
    assert_eq!(Stamp::from_millis(5).since(Stamp::from_millis(9)), Duration::ZERO);
}

#[test]
fn before_any_time_was_told_there_is_none() {
    let clock = SharedClock::default();
    assert!(!clock.is_set());
    assert_eq!((clock.stamp(secs(9)), clock.moment(Stamp::from_millis(9))), (Stamp::default(), Moment::ZERO));
}

#[test]
fn a_clock_that_was_set_back_is_believed_at_once_however_good_the_old_samples_were() {
    let mut clock = SharedClock::default();
    clock.hear(secs(1), secs(1), Stamp::from_millis(3_600_000));
    let (sent, got) = (secs(2), secs(2) + Duration::from_millis(80));
    clock.hear(sent, got, Stamp::from_millis(1_000));
    assert_eq!(clock.stamp(secs(3) + Duration::from_millis(40)), Stamp::from_millis(2_000));
}

#[test]
fn one_slow_reply_does_not_spoil_what_quick_ones_told() {
    let mut clock = SharedClock::default();
    clock.hear(secs(1), secs(1), Stamp::from_millis(11_000));
    clock.hear(secs(2), secs(6), Stamp::from_millis(12_000));
    assert_eq!(clock.stamp(secs(6)), Stamp::from_millis(16_000));
}

proptest! {
    #[test]
    fn it_is_wrong_by_no_more_than_half_the_shortest_round_trip_of_late_and_the_rounding(
        offset in 1_000_000_u64..2_000_000_000_000,
        replies in prop::collection::vec((0_u64..2_000_000, 0_u64..400_000, 0_u64..400_000), 1..60),
        later in 0_u64..5_000_000,
    ) {
        let true_millis = |at: u64| offset + at / 1_000;
        let (mut clock, mut now, mut trips) = (SharedClock::default(), 0, Vec::new());
        for (gap, there, back) in replies {
            let sent = now + gap;
            now = sent + there + back;
            clock.hear(micros(sent), micros(now), Stamp::from_millis(true_millis(sent + there)));
            trips.push(there + back);
            let best = trips.iter().rev().take(SAMPLES).min().unwrap();
            let (told, is) = (clock.stamp(micros(now + later)).as_millis(), true_millis(now + later));
            // Whole milliseconds are cut off the store's time, off the time since, and here.
            prop_assert!(told.abs_diff(is) <= best.div_ceil(2_000) + 2, "{told} for {is}, best round trip {best} us");
        }
    }

    #[test]
    fn a_moment_and_its_stamp_are_each_others(
        offset in 10_000_000_u64..2_000_000_000_000,
        trip in 0_u64..500_000,
        at in 0_u64..20_000_000,
    ) {
        let mut clock = SharedClock::default();
        clock.hear(micros(1_000_000), micros(1_000_000 + trip), Stamp::from_millis(offset));
        let stamp = clock.stamp(micros(at));
        let back = clock.moment(stamp);
        prop_assert!(back.since(micros(at)) + micros(at).since(back) <= Duration::from_millis(1));
        prop_assert!(clock.stamp(back).as_millis().abs_diff(stamp.as_millis()) <= 1);
    }
}
