use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::{
    breaker::Probe,
    fleet::invariants::{invariant_epochs_grow, invariant_only_an_open_record_waits},
};

const EVERY: Settings = Settings {
    failure_threshold: 5,
    failure_rate: 0.5,
    minimum_calls: 20,
    window: Duration::from_secs(30),
    slow_first_token: None,
    min_tokens_per_second: None,
    open_for: Duration::from_secs(10),
    max_open_for: Duration::from_secs(60),
    half_open_max_calls: 3,
    success_threshold: 2,
    ramp: Duration::from_secs(30),
    probe: Probe::Active,
};

fn at(secs: u64) -> Stamp {
    Stamp::from_millis(1_000_000_000 + secs * 1_000)
}

fn failing(runs: &[u64]) -> Evidence {
    let (sum, most) = (runs.iter().sum(), runs.iter().copied().max().unwrap_or(0));
    Evidence { calls: sum, failures: sum, most_failures: most, run: sum, most_run: most, ..Evidence::default() }
}

fn opened() -> Record {
    judge(&Record::default(), &failing(&[5, 5]), &EVERY, 2, at(0)).unwrap()
}

fn half_open() -> Record {
    judge(&opened(), &Evidence::default(), &EVERY, 2, at(10)).unwrap()
}

fn proved(good: u32, bad: u32) -> Evidence {
    Evidence { probes_good: good, probes_bad: bad, ..Evidence::default() }
}

#[test]
fn a_run_that_two_sidecars_share_opens_and_one_that_only_one_sees_does_not() {
    assert_eq!(judge(&Record::default(), &failing(&[900]), &EVERY, 2, at(0)), None);
    assert_eq!(judge(&Record::default(), &failing(&[900, 2]), &EVERY, 2, at(0)), None);
    let record = judge(&Record::default(), &failing(&[900, 3]), &EVERY, 2, at(0)).unwrap();
    assert_eq!((record.state, record.reason), (State::Open, Reason::ConsecutiveFailures));
    assert_eq!((record.epoch, record.since, record.until), (at(0).as_millis(), at(0), Some(at(10))));
    assert!(judge(&Record::default(), &failing(&[5]), &EVERY, 1, at(0)).is_some());
}

#[test]
fn a_rate_opens_once_there_are_enough_calls_that_count() {
    let seen = |calls, failures, most_failures| Evidence { calls, failures, most_failures, ..Evidence::default() };
    assert_eq!(judge(&Record::default(), &seen(19, 19, 9), &EVERY, 3, at(0)), None);
    assert_eq!(judge(&Record::default(), &seen(40, 19, 9), &EVERY, 3, at(0)), None);
    let record = judge(&Record::default(), &seen(40, 20, 10), &EVERY, 3, at(0)).unwrap();
    assert_eq!(record.reason, Reason::FailureRate);
    assert_eq!(judge(&Record::default(), &seen(40, 40, 40), &EVERY, 3, at(0)), None);
    assert_eq!(judge(&Record::default(), &seen(0, 0, 0), &Settings { minimum_calls: 0, ..EVERY }, 3, at(0)), None);
}

#[test]
fn an_open_record_waits_for_its_end_and_no_longer() {
    let record = opened();
    assert_eq!(judge(&record, &failing(&[9, 9]), &EVERY, 2, Stamp::from_millis(at(10).as_millis() - 1)), None);
    assert_eq!(
        (half_open().state, half_open().reason, half_open().until),
        (State::HalfOpen, Reason::OpenExpired, None)
    );
}

#[test]
fn a_clock_that_was_set_back_does_not_keep_a_record_open_for_longer_than_it_was_meant_to() {
    let hour_before = Stamp::from_millis(at(0).as_millis() - 3_600_000);
    let record = judge(&opened(), &Evidence::default(), &EVERY, 2, hour_before).unwrap();
    assert_eq!((record.state, record.epoch), (State::HalfOpen, opened().epoch + 1));
    // A second's difference is no such thing.
    assert_eq!(judge(&opened(), &Evidence::default(), &EVERY, 2, Stamp::from_millis(at(0).as_millis() - 1_000)), None);
}

#[test]
fn probes_close_it_or_open_it_for_longer_and_one_sick_pod_does_not_decide() {
    assert_eq!(judge(&half_open(), &proved(1, 1), &EVERY, 2, at(11)), None);
    let closed = judge(&half_open(), &proved(2, 1), &EVERY, 2, at(11)).unwrap();
    assert_eq!((closed.state, closed.reason, closed.until), (State::Closed, Reason::Recovered, None));
    assert!(closed.is_ramping(&EVERY, at(40)) && !closed.is_ramping(&EVERY, at(41)));
    let again = judge(&half_open(), &proved(2, 2), &EVERY, 2, at(11)).unwrap();
    assert_eq!((again.state, again.failed_recoveries, again.until), (State::Open, 1, Some(at(31))));
    assert_eq!(judge(&half_open(), &proved(0, 1), &EVERY, 1, at(11)).unwrap().state, State::Open);
}

#[test]
fn failed_recoveries_are_forgotten_once_a_ramp_is_over() {
    let again = judge(&half_open(), &proved(0, 2), &EVERY, 2, at(11)).unwrap();
    let half_open = judge(&again, &Evidence::default(), &EVERY, 2, at(31)).unwrap();
    let closed = judge(&half_open, &proved(2, 0), &EVERY, 2, at(32)).unwrap();
    let in_ramp = judge(&closed, &failing(&[5, 5]), &EVERY, 2, at(61)).unwrap();
    assert_eq!((in_ramp.failed_recoveries, in_ramp.until), (2, Some(at(101))));
    let after = judge(&closed, &failing(&[5, 5]), &EVERY, 2, at(62)).unwrap();
    assert_eq!((after.failed_recoveries, after.until), (0, Some(at(72))));
}

#[test]
fn a_forced_record_stays_as_it_is_until_it_is_let_go() {
    let forced = force(&Record::default(), Mode::ForcedOpen, &EVERY, at(0)).unwrap();
    assert_eq!((forced.state, forced.until, forced.waits(at(0))), (State::Open, None, false));
    assert_eq!(judge(&forced, &proved(9, 0), &EVERY, 2, at(9_000)), None);
    assert_eq!(force(&forced, Mode::ForcedOpen, &EVERY, at(1)), None);
    let let_go = force(&forced, Mode::Auto, &EVERY, at(1)).unwrap();
    assert_eq!((let_go.state, let_go.mode), (State::HalfOpen, Mode::Auto));

    let forced = force(&opened(), Mode::ForcedClosed, &EVERY, at(1)).unwrap();
    assert_eq!(judge(&forced, &failing(&[9, 9]), &EVERY, 2, at(2)), None);
    let let_go = force(&forced, Mode::Auto, &EVERY, at(2)).unwrap();
    assert_eq!((let_go.state, let_go.failed_recoveries, let_go.is_ramping(&EVERY, at(2))), (State::Closed, 0, false));
}

fn any_mode() -> impl Strategy<Value = Mode> {
    prop_oneof![Just(Mode::Auto), Just(Mode::ForcedOpen), Just(Mode::ForcedClosed)]
}

fn any_evidence() -> impl Strategy<Value = Evidence> {
    (prop::collection::vec((0_u64..30, 0_u64..30), 0..5), 0_u32..4, 0_u32..3).prop_map(|(reports, good, bad)| {
        let failures: Vec<_> = reports.iter().map(|(_, bad)| *bad).collect();
        let calls = reports.iter().map(|(good, bad)| good + bad).sum();
        Evidence { calls, probes_good: good, probes_bad: bad, ..failing(&failures) }
    })
}

proptest! {
    #[test]
    fn whatever_is_judged_or_forced_epochs_grow_and_only_open_records_wait(
        counts in (0_u32..8, 0.0_f64..1.0, 0_u32..30, 0_u32..4),
        times in (0_u64..40, 0_u64..90, 0_u64..60),
        steps in prop::collection::vec((any_evidence(), prop::option::weighted(0.2, any_mode()), 0_u32..4, 0_u64..30), 1..60),
        back in prop::option::of(0_usize..60),
    ) {
        let (failure_threshold, failure_rate, minimum_calls, success_threshold) = counts;
        let (open_for, max_open_for, ramp) = (times.0, times.1, times.2);
        let settings = Settings {
            failure_threshold, failure_rate, minimum_calls, success_threshold,
            open_for: Duration::from_secs(open_for),
            max_open_for: Duration::from_secs(max_open_for),
            ramp: Duration::from_secs(ramp),
            ..EVERY
        };
        let (mut record, mut now) = (Record::default(), 5_000);
        for (step, (seen, mode, live, later)) in steps.into_iter().enumerate() {
            now = if back == Some(step) { now - 4_000 } else { now + later };
            let next = match mode {
                Some(mode) => force(&record, mode, &settings, at(now)),
                None => judge(&record, &seen, &settings, live, at(now)),
            };
            let Some(next) = next else { continue };
            prop_assert!(invariant_epochs_grow(&record, &next) && next.epoch > record.epoch);
            prop_assert!(invariant_only_an_open_record_waits(&next), "{next:?}");
            prop_assert!(next.epoch >= at(now).as_millis() && next.since == at(now));
            prop_assert!(next.lasts() <= settings.max_open_for);
            prop_assert_eq!(next.waits(at(now)), next.lasts() > Duration::ZERO);
            record = next;
        }
    }
}

#[test]
fn a_run_counts_only_once_a_good_call_would_have_been_heard_of() {
    let record = Record { since: at(0), ..Record::default() };
    let opens = |good: u64, good_at, millis: u64, live| {
        let seen = Evidence { calls: 10 + good, good_at, ..failing(&[5, 5]) };
        judge(&record, &seen, &EVERY, live, at(0) + Duration::from_millis(millis)).is_some()
    };
    let heard = at(10);
    assert!(!opens(60_000, heard, 10_100, 2), "of 2,000 good calls a second one is heard of all the time");
    assert!(opens(60_000, heard, 10_200, 2));
    assert!(!opens(30, heard, 11_100, 2) && opens(30, heard, 11_200, 2), "of one a second, only when it is told");
    assert!(!opens(30, heard, 15_900, 10_000) && opens(30, heard, 16_000, 10_000), "in a large fleet later still");
    assert!(!opens(0, Stamp::default(), 900, 2), "in a new epoch nothing has been told yet");
    assert!(opens(0, Stamp::default(), 1_200, 2), "there never was one");
}
