use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::{fleet::Stamp, window::BUCKETS};

const WINDOW: Duration = Duration::from_secs(10);

fn at(millis: u64) -> Moment {
    Moment::ZERO + Duration::from_millis(millis)
}

/// Its stamps are the moments' milliseconds, and ten seconds.
fn clock() -> SharedClock {
    let mut clock = SharedClock::default();
    clock.hear(Moment::ZERO, Moment::ZERO, Stamp::from_millis(10_000));
    clock
}

fn heard(news: &[(u64, Meaning)]) -> Report {
    let mut tracker = Tracker::new(1, WINDOW);
    let mut last = 0;
    for (now, meaning) in news {
        tracker.judge(1, at(*now), *meaning, at(*now));
        last = *now;
    }
    tracker.report(&clock(), at(last))
}

#[test]
fn calls_of_another_epoch_are_not_heard() {
    let mut tracker = Tracker::new(7, WINDOW);
    assert!(!tracker.judge(6, at(0), Meaning::NotStarted, at(1)));
    assert!(!tracker.judge(8, at(0), Meaning::NotStarted, at(1)));
    assert_eq!(tracker.report(&clock(), at(1)), Report { epoch: 7, ..Report::default() });
    assert!(tracker.judge(7, at(0), Meaning::NotStarted, at(1)));
}

#[test]
fn a_run_began_with_its_first_failure_and_ends_with_an_answer() {
    let run = heard(&[(1, Meaning::NotStarted), (2, Meaning::NotStarted)]);
    assert_eq!((run.run, run.run_began), (2, Some(Stamp::from_millis(10_001))));
    let over = heard(&[(1, Meaning::NotStarted), (2, Meaning::Answered)]);
    assert_eq!((over.run, over.run_began, over.good_at), (0, None, Some(Stamp::from_millis(10_002))));
}

#[test]
fn a_provider_whose_answers_all_start_and_all_break_is_not_called_good_for_starting() {
    use Meaning::{Broke, Started};
    let report = heard(&[(1, Started), (2, Broke), (3, Started), (4, Broke), (5, Started), (6, Broke)]);
    assert_eq!((report.calls, report.failures, report.run), (3, 3, 3));
    assert_eq!(
        (report.run_began, report.good_at),
        (Some(Stamp::from_millis(10_002)), Some(Stamp::from_millis(10_001)))
    );
}

#[test]
fn a_run_that_began_before_anothers_good_call_starts_over_and_is_not_mute_for_ever() {
    let mut tracker = Tracker::new(1, WINDOW);
    tracker.judge(1, at(1), Meaning::NotStarted, at(1));
    tracker.hear_of_good(at(0));
    assert_eq!(tracker.report(&clock(), at(1)).run, 1);
    tracker.hear_of_good(at(2));
    assert_eq!(tracker.report(&clock(), at(2)).run, 0);
    tracker.judge(1, at(3), Meaning::NotStarted, at(3));
    tracker.hear_of_good(at(2));
    let report = tracker.report(&clock(), at(3));
    assert_eq!((report.run, report.run_began), (1, Some(Stamp::from_millis(10_003))));
}

/// What a tracker is held to: everything that it was ever told.
#[derive(Default)]
struct Told(Vec<(u64, u64, Meaning)>);

impl Told {
    fn report(&self, now: u64) -> Report {
        let width = u64::try_from(WINDOW.as_millis()).unwrap() / BUCKETS as u64;
        let seen = |began: u64, by: u64| began / width + BUCKETS as u64 > by / width;
        let (mut calls, mut failures) = (0_i64, 0_i64);
        let (mut unstarted, mut unfinished, mut report) = (0, 0, Report { epoch: 1, ..Report::default() });
        for (began, heard, meaning) in &self.0 {
            let (judged, bad) = match meaning {
                Meaning::Started | Meaning::Answered => (1, 0),
                Meaning::NotStarted => (1, 1),
                Meaning::Broke => (0, 1),
                Meaning::Nothing | Meaning::Finished => (0, 0),
            };
            if seen(*began, *heard) && seen(*began, now) {
                (calls, failures) = (calls + judged, failures + bad);
            }
            match meaning {
                Meaning::Started => unstarted = 0,
                Meaning::Answered => (unstarted, unfinished) = (0, 0),
                Meaning::Finished => unfinished = 0,
                Meaning::NotStarted => unstarted += 1,
                Meaning::Broke => unfinished += 1,
                Meaning::Nothing => {}
            }
            let stamp = Stamp::from_millis(10_000 + heard);
            report.run = unstarted + unfinished;
            if matches!(meaning, Meaning::Started | Meaning::Answered) && unfinished == 0 {
                report.good_at = Some(stamp);
            }
            let bad = matches!(meaning, Meaning::NotStarted | Meaning::Broke);
            report.run_began = if report.run == 0 { None } else { report.run_began.or(bad.then_some(stamp)) };
        }
        (report.calls, report.failures) = (u32::try_from(calls).unwrap(), u32::try_from(failures).unwrap());
        report
    }
}

proptest! {
    #[test]
    fn it_reports_what_a_list_that_forgets_nothing_holds(
        calls in prop::collection::vec((0_u64..1_500, 0_u64..9_000, 0_u8..5), 0..120),
    ) {
        let (mut tracker, mut told, mut now) = (Tracker::new(1, WINDOW), Told::default(), 0);
        for (step, lasted, kind) in calls {
            now += step;
            let began = now.saturating_sub(lasted);
            let news: &[Meaning] = match kind {
                0 => &[Meaning::Answered],
                1 => &[Meaning::NotStarted],
                2 => &[Meaning::Started, Meaning::Finished],
                3 => &[Meaning::Started, Meaning::Broke],
                _ => &[Meaning::Nothing],
            };
            for meaning in news {
                let bad = tracker.judge(1, at(began), *meaning, at(now));
                prop_assert_eq!(bad, matches!(meaning, Meaning::NotStarted | Meaning::Broke));
                told.0.push((began, now, *meaning));
                prop_assert_eq!(tracker.report(&clock(), at(now)), told.report(now));
            }
        }
    }
}
