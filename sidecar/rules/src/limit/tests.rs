//! The limit, window by window.

use proptest::prelude::*;

use super::*;

const SETTINGS: Settings = Settings { min: 8, max: 256 };

/// A second in which `peak` calls were in flight at once and first tokens came after `millis`.
fn window(peak: u32, millis: u64) -> Window {
    let waited = Duration::from_millis(millis) * 20;
    Window { first_tokens: 20, waited, ended: 20, peak, ..Window::default() }
}

fn at(seconds: u64) -> Moment {
    Moment::ZERO + Duration::from_secs(seconds)
}

#[test]
fn a_new_limit_holds_nobody_back() {
    let mut limit = Limit::new(&SETTINGS);
    assert_eq!(limit.calls(&SETTINGS), 256);
    for second in 0..100 {
        assert_eq!(limit.close(&SETTINGS, &window(100, 200), at(second)), 256);
    }
}

#[test]
fn late_first_tokens_lower_it_from_what_was_in_flight_and_not_from_what_might_have_been() {
    let mut limit = Limit::new(&SETTINGS);
    limit.close(&SETTINGS, &window(40, 200), at(0));
    assert_eq!(limit.close(&SETTINGS, &window(80, 390), at(1)), 256, "twice the usual is within reason");
    assert_eq!(limit.close(&SETTINGS, &window(80, 600), at(2)), 55);
    assert_eq!(limit.close(&SETTINGS, &window(80, 6000), at(3)), 55, "that one has not been felt yet");
    assert_eq!(limit.close(&SETTINGS, &window(60, 60_000), at(4)), 27, "never by more than half");
}

#[test]
fn it_grows_only_while_it_is_made_use_of_and_something_is_known() {
    let mut limit = Limit { limit: 64.0, ..Limit::new(&SETTINGS) };
    assert_eq!(limit.close(&SETTINGS, &window(31, 200), at(0)), 64);
    assert_eq!(limit.close(&SETTINGS, &window(32, 200), at(1)), 68);
    assert_eq!(
        limit.close(&SETTINGS, &Window { peak: 64, ..Window::default() }, at(2)),
        68,
        "nothing came of them yet"
    );
}

#[test]
fn a_few_first_tokens_are_kept_until_there_are_enough_to_compare() {
    let mut limit = Limit::new(&SETTINGS);
    limit.close(&SETTINGS, &window(40, 100), at(0));
    let few = Window { first_tokens: 4, waited: Duration::from_secs(40), peak: 40, ..Window::default() };
    assert_eq!(limit.close(&SETTINGS, &few, at(1)), 256);
    assert_eq!(limit.close(&SETTINGS, &few, at(2)), 256);
    assert_eq!(limit.close(&SETTINGS, &few, at(3)), 20);
}

#[test]
fn a_server_that_says_how_many_wait_is_believed_over_the_time_to_the_first_token() {
    let mut limit = Limit::new(&SETTINGS);
    limit.close(&SETTINGS, &window(40, 100), at(0));
    let saying = |running, waiting| Window { queue: Some(Queue { running, waiting }), ..window(100, 900) };
    assert_eq!(limit.close(&SETTINGS, &saying(100, 0), at(1)), 256, "nobody waits: those are long prompts");
    assert_eq!(limit.close(&SETTINGS, &saying(30, 70), at(5)), 34);
    // The queue drains slowly; that is no reason to go lower still.
    let draining = Window { queue: Some(Queue { running: 30, waiting: 50 }), ..window(80, 900) };
    assert_eq!(limit.close(&SETTINGS, &draining, at(9)), 34);
}

#[test]
fn a_queue_of_others_calls_takes_nothing_from_who_sent_none() {
    let mut limit = Limit::new(&SETTINGS);
    let others = Window { queue: Some(Queue { running: 30, waiting: 70 }), ..Window::default() };
    assert_eq!(limit.close(&SETTINGS, &others, at(0)), 256);
}

#[test]
fn refusals_for_overload_lower_it_where_nothing_else_tells() {
    let mut limit = Limit::new(&SETTINGS);
    let refused = |overloads| Window { ended: 100, overloads, peak: 100, ..Window::default() };
    assert_eq!(limit.close(&SETTINGS, &refused(5), at(0)), 256, "a few may be chance");
    assert_eq!(limit.close(&SETTINGS, &refused(6), at(1)), 80);
}

#[test]
fn longer_prompts_become_usual_once_few_enough_calls_are_in_flight() {
    let mut limit = Limit::new(&SETTINGS);
    limit.close(&SETTINGS, &window(30, 100), at(0));
    // From now on every prompt takes five times as long, however few there are.
    let calls = |limit: u32| limit.min(30);
    let mut lowest = u32::MAX;
    let mut now = limit.calls(&SETTINGS);
    for second in 1..120 {
        now = limit.close(&SETTINGS, &window(calls(now), 500), at(second));
        lowest = lowest.min(now);
    }
    assert_eq!(lowest, 8, "it went down to its least, where nothing queues");
    assert!(now >= 30, "and has learnt from there: {now}");
}

proptest! {
    #[test]
    fn it_stays_within_its_bounds_whatever_happens(
        windows in prop::collection::vec(
            (0..50_u32, 0..u64::MAX / 2, 0..100_u32, 0..100_u32, any::<u32>(), any::<Option<(u32, u32)>>(), 0..5_000_u64),
            1..200,
        ),
        (min, max) in (1..100_u32, 1..2_000_u32),
    ) {
        let settings = Settings { min, max };
        let mut limit = Limit::new(&settings);
        let mut now = Moment::ZERO;
        for (first_tokens, waited, ended, overloads, peak, queue, millis) in windows {
            now = now + Duration::from_millis(millis);
            let queue = queue.map(|(running, waiting)| Queue { running, waiting });
            let waited = Duration::from_nanos(waited);
            let window = Window { first_tokens, waited, ended, overloads, peak, queue };
            let before = limit.calls(&settings);
            let after = limit.close(&settings, &window, now);
            prop_assert!((min..=max.max(min)).contains(&after), "{after} is not within {settings:?}");
            prop_assert!(after <= before + before / 2 + 2, "from {before} to {after} at once");
        }
    }
}
