//! The breaker, rule by rule.

use super::*;
use crate::error::{Blame, ErrorKind};

const SECOND: Duration = Duration::from_secs(1);

/// Trips at three in a row, or half of ten; open for ten seconds; two probes out, two to close; a ramp of ten seconds.
fn settings() -> Settings {
    Settings {
        failure_threshold: 3,
        failure_rate: 0.5,
        minimum_calls: 10,
        window: Duration::from_secs(60),
        slow_first_token: Some(Duration::from_secs(2)),
        min_tokens_per_second: Some(5.0),
        open_for: Duration::from_secs(10),
        max_open_for: Duration::from_secs(60),
        half_open_max_calls: 2,
        success_threshold: 2,
        ramp: Duration::from_secs(10),
        probe: Probe::Passive,
    }
}

fn at(secs: u64) -> Moment {
    Moment::ZERO + Duration::from_secs(secs)
}

const fn token() -> News {
    News::FirstToken { took: SECOND }
}

fn permit(breaker: &mut Breaker, now: Moment) -> Permit {
    match breaker.admit(Asker::Caller, 0, now, 0.0) {
        Admission::Granted(permit) => permit,
        Admission::Refused { why, .. } => panic!("refused: {why:?}"),
    }
}

fn refusal(breaker: &mut Breaker, asker: Asker, now: Moment) -> (Refusal, Duration) {
    match breaker.admit(asker, u32::MAX, now, 0.999) {
        Admission::Granted(permit) => panic!("granted: {permit:?}"),
        Admission::Refused { why, retry_after } => (why, retry_after),
    }
}

/// One call from its admission to the last of its news.
fn call(breaker: &mut Breaker, now: Moment, news: &[News]) -> Option<Transition> {
    let mut permit = permit(breaker, now);
    news.iter().fold(None, |moved, news| breaker.record(&mut permit, *news, now).or(moved))
}

fn opened(settings: Settings) -> Breaker {
    let mut breaker = Breaker::new(settings);
    while breaker.state() == State::Closed {
        call(&mut breaker, at(0), &[News::Failed]);
    }
    breaker
}

fn half_open(settings: Settings) -> Breaker {
    let mut breaker = opened(settings);
    breaker.tick(at(10)).expect("its time is up");
    breaker
}

fn ramping(settings: Settings) -> Breaker {
    let mut breaker = half_open(settings);
    while breaker.state() == State::HalfOpen {
        call(&mut breaker, at(10), &[News::Succeeded]);
    }
    breaker
}

#[test]
fn failures_in_a_row_open_it_and_the_move_says_so() {
    let mut breaker = Breaker::new(settings());
    assert_eq!(call(&mut breaker, at(1), &[News::Failed]), None);
    assert_eq!(call(&mut breaker, at(2), &[News::Failed]), None);
    let reason = Reason::ConsecutiveFailures;
    let expected = Transition { from: State::Closed, to: State::Open, reason, generation: 1, at: at(3) };
    assert_eq!(call(&mut breaker, at(3), &[News::Failed]), Some(expected));
    assert_eq!(breaker.opens_until(), Some(at(13)));
    assert_eq!(refusal(&mut breaker, Asker::Caller, at(5)), (Refusal::Open, 8 * SECOND));
}

#[test]
fn an_answer_in_between_starts_the_run_anew() {
    for good in [&[News::Succeeded][..], &[token()][..], &[token(), News::Succeeded][..]] {
        let mut breaker = Breaker::new(Settings { failure_rate: 0.9, ..settings() });
        for _ in 0..4 {
            call(&mut breaker, at(1), &[News::Failed]);
            call(&mut breaker, at(1), &[News::Failed]);
            assert_eq!(call(&mut breaker, at(1), good), None);
            assert_eq!(breaker.failures_in_a_row(), 0);
        }
    }
}

#[test]
fn a_share_of_failures_opens_it_once_the_window_holds_enough_calls() {
    let mut breaker = Breaker::new(settings());
    for pair in 0..4 {
        assert_eq!(call(&mut breaker, at(pair), &[News::Failed]), None);
        assert_eq!(call(&mut breaker, at(pair), &[News::Succeeded]), None);
    }
    assert_eq!(call(&mut breaker, at(4), &[News::Succeeded]), None);
    let moved = call(&mut breaker, at(4), &[News::Failed]).expect("five of ten failed");
    assert_eq!(moved.reason, Reason::FailureRate);
}

#[test]
fn failures_that_have_left_the_window_do_not_count_in_the_share() {
    let mut breaker = Breaker::new(settings());
    for secs in [0, 0, 0, 0, 100] {
        call(&mut breaker, at(secs), &[News::Failed]);
        call(&mut breaker, at(secs), &[News::Succeeded]);
    }
    assert_eq!(breaker.totals(at(100)), Totals { calls: 2, failures: 1 });
    assert_eq!(breaker.state(), State::Closed);
}

#[test]
fn a_provider_that_gives_a_first_token_and_then_always_breaks_trips() {
    let mut breaker = Breaker::new(settings());
    assert_eq!(call(&mut breaker, at(1), &[token(), News::Failed]), None);
    assert_eq!(call(&mut breaker, at(2), &[token(), News::Failed]), None);
    let moved = call(&mut breaker, at(3), &[token(), News::Failed]).expect("three in a row");
    assert_eq!(moved.reason, Reason::ConsecutiveFailures);
}

#[test]
fn streams_that_all_break_after_a_while_trip_it_though_others_have_just_begun() {
    // One stream a second, each breaking after fifty: at any moment most calls of the window look well.
    let mut breaker = Breaker::new(Settings { failure_rate: 0.9, ..settings() });
    let mut streams = Vec::new();
    let moved = (0..60).find_map(|secs| {
        let mut begun = permit(&mut breaker, at(secs));
        assert_eq!(breaker.record(&mut begun, token(), at(secs)), None);
        streams.push(begun);
        let old = streams.iter_mut().find(|stream| stream.began == at(secs.saturating_sub(50)) && secs >= 50)?;
        breaker.record(old, News::Failed, at(secs))
    });
    assert_eq!(moved.map(|moved| (moved.reason, moved.at)), Some((Reason::ConsecutiveFailures, at(52))));
}

#[test]
fn a_provider_that_fails_now_before_and_now_after_its_first_token_trips() {
    let mut breaker = Breaker::new(settings());
    call(&mut breaker, at(1), &[News::Failed]);
    call(&mut breaker, at(1), &[token(), News::Failed]);
    call(&mut breaker, at(1), &[News::Failed]);
    assert!(call(&mut breaker, at(1), &[token(), News::Failed]).is_none(), "the first token cleared the early run");
    assert!(call(&mut breaker, at(1), &[News::Failed]).is_some());
}

#[test]
fn an_old_stream_that_ends_well_does_not_hide_that_no_new_one_starts() {
    let mut breaker = Breaker::new(settings());
    let mut old = permit(&mut breaker, at(0));
    breaker.record(&mut old, token(), at(1));
    call(&mut breaker, at(2), &[News::Failed]);
    call(&mut breaker, at(2), &[News::Failed]);
    breaker.record(&mut old, News::Succeeded, at(3));
    assert!(call(&mut breaker, at(4), &[News::Failed]).is_some());
}

#[test]
fn a_broken_stream_counts_once_in_the_window_and_as_a_failure() {
    let mut breaker = Breaker::new(settings());
    call(&mut breaker, at(1), &[token(), token(), News::Failed, News::Failed, News::Succeeded]);
    assert_eq!(breaker.totals(at(1)), Totals { calls: 1, failures: 1 });
    assert_eq!(breaker.failures_in_a_row(), 1);
}

#[test]
fn a_late_first_token_and_a_slow_stream_are_failures_whatever_follows() {
    let late = News::FirstToken { took: 3 * SECOND };
    for slow in [&[late, News::Succeeded][..], &[late, News::Failed][..], &[token(), News::Slow][..], &[News::Slow][..]]
    {
        let mut breaker = Breaker::new(settings());
        call(&mut breaker, at(1), slow);
        assert_eq!((breaker.totals(at(1)), breaker.failures_in_a_row()), (Totals { calls: 1, failures: 1 }, 1));
        call(&mut breaker, at(1), slow);
        assert!(call(&mut breaker, at(1), slow).is_some());
    }
    assert!(settings().is_slow(9, 2 * SECOND));
    assert!(!settings().is_slow(10, 2 * SECOND));
    assert!(!Settings { min_tokens_per_second: None, ..settings() }.is_slow(0, SECOND));
}

#[test]
fn only_a_kind_that_blames_the_provider_is_news_of_a_failure() {
    for kind in ErrorKind::ALL {
        let expected = if kind.row().blame == Blame::Breaker { News::Failed } else { News::Unused };
        assert_eq!(News::of(kind), expected, "{kind}");
    }
    assert_eq!(News::of(ErrorKind::RateLimited), News::Unused);
    assert_eq!(News::of(ErrorKind::ProviderError), News::Failed);
}

#[test]
fn unused_judges_nothing_and_a_first_token_before_it_stands() {
    let mut breaker = Breaker::new(settings());
    call(&mut breaker, at(1), &[News::Unused, News::Failed]);
    assert_eq!(breaker.totals(at(1)), Totals::default());
    call(&mut breaker, at(1), &[token(), News::Unused]);
    assert_eq!(breaker.totals(at(1)), Totals { calls: 1, failures: 0 });
}

#[test]
fn late_news_changes_nothing() {
    let mut breaker = Breaker::new(settings());
    let mut late: Vec<Permit> = (0..4).map(|_| permit(&mut breaker, at(0))).collect();
    late.push(Permit::free(breaker.generation(), at(0)));
    for _ in 0..3 {
        call(&mut breaker, at(1), &[News::Failed]);
    }
    breaker.record(&mut late[0], News::Failed, at(2));
    assert_eq!(breaker.opens_until(), Some(at(11)));
    breaker.tick(at(11));
    assert_eq!(breaker.record(&mut late[1], News::Failed, at(11)), None, "must not re-open it");
    for permit in &mut late[2..] {
        assert_eq!(breaker.record(permit, News::Succeeded, at(11)), None, "must not close it");
    }
    assert_eq!(breaker.state(), State::HalfOpen);
}

#[test]
fn it_becomes_half_open_when_its_time_is_up_and_not_before() {
    let mut breaker = opened(settings());
    assert_eq!(breaker.tick(at(9)), None);
    assert_eq!(refusal(&mut breaker, Asker::Caller, at(12)), (Refusal::Open, Duration::ZERO));
    assert_eq!(
        breaker.tick(at(12)).map(|moved| (moved.to, moved.reason)),
        Some((State::HalfOpen, Reason::OpenExpired))
    );
    assert_eq!(breaker.tick(at(13)), None);
}

#[test]
fn no_more_probes_are_out_than_allowed_and_one_given_back_frees_its_place() {
    let mut breaker = half_open(settings());
    let mut first = permit(&mut breaker, at(10));
    let _second = permit(&mut breaker, at(10));
    assert!(first.is_probe());
    assert_eq!(refusal(&mut breaker, Asker::Caller, at(10)), (Refusal::ProbesOut, ASK_AGAIN));
    assert_eq!(breaker.record(&mut first, News::Unused, at(10)), None);
    permit(&mut breaker, at(10));
    refusal(&mut breaker, Asker::Caller, at(10));
}

#[test]
fn a_lost_probe_gives_up_its_place_after_its_lease_and_is_heard_no_more() {
    let mut breaker = half_open(settings()).with_probe_lease(5 * SECOND);
    let mut lost = permit(&mut breaker, at(10));
    let mut kept = permit(&mut breaker, at(11));
    refusal(&mut breaker, Asker::Caller, at(14));
    permit(&mut breaker, at(15));
    assert_eq!(breaker.record(&mut lost, News::Failed, at(15)), None);
    assert_eq!(breaker.state(), State::HalfOpen);
    assert!(breaker.record(&mut kept, News::Failed, at(15)).is_some());
}

#[test]
fn enough_probes_that_succeed_close_it_and_one_that_fails_opens_it() {
    let mut breaker = half_open(settings());
    assert_eq!(call(&mut breaker, at(10), &[News::Succeeded]), None);
    let moved = call(&mut breaker, at(11), &[token()]).expect("two succeeded");
    assert_eq!((moved.to, moved.reason), (State::Closed, Reason::Recovered));

    let mut breaker = half_open(settings());
    assert_eq!(call(&mut breaker, at(10), &[News::Succeeded]), None);
    let moved = call(&mut breaker, at(11), &[News::Failed]).expect("one failed");
    assert_eq!((moved.to, moved.reason), (State::Open, Reason::ProbeFailed));
}

#[test]
fn a_probe_that_breaks_after_its_first_token_opens_it() {
    let mut breaker = half_open(settings());
    let moved = call(&mut breaker, at(10), &[token(), News::Failed]).expect("it broke");
    assert_eq!(moved.reason, Reason::ProbeFailed);
}

#[test]
fn a_stream_that_probes_counts_once_and_keeps_its_place_to_its_end() {
    let mut breaker = half_open(Settings { half_open_max_calls: 1, ..settings() });
    let mut stream = permit(&mut breaker, at(10));
    breaker.record(&mut stream, token(), at(11));
    refusal(&mut breaker, Asker::Caller, at(12));
    assert_eq!(breaker.record(&mut stream, News::Succeeded, at(12)), None);
    assert!(call(&mut breaker, at(12), &[News::Succeeded]).is_some());
}

#[test]
fn only_the_prober_is_admitted_while_half_open_where_probing_is_active() {
    let mut breaker = half_open(Settings { probe: Probe::Active, half_open_max_calls: 1, ..settings() });
    assert_eq!(refusal(&mut breaker, Asker::Caller, at(10)).0, Refusal::ProbesOut);
    assert!(breaker.wants_probe(at(10)));
    assert!(matches!(breaker.admit(Asker::Prober, 0, at(10), 0.0), Admission::Granted(_)));
    assert!(!breaker.wants_probe(at(10)));
    assert!(breaker.wants_probe(at(10) + PROBE_LEASE));
    assert!(!half_open(settings()).wants_probe(at(10)));
}

#[test]
fn each_failed_recovery_doubles_the_time_it_stays_open_up_to_the_longest() {
    let mut breaker = opened(settings());
    let mut waits = Vec::new();
    for _ in 0..5 {
        let until = breaker.opens_until().expect("open");
        breaker.tick(until);
        let moved = call(&mut breaker, until, &[News::Failed]).expect("the probe failed");
        waits.push(breaker.opens_until().expect("open").since(moved.at).as_secs());
    }
    assert_eq!(waits, [20, 40, 60, 60, 60]);
}

#[test]
fn a_trip_within_the_ramp_is_a_failed_recovery_and_one_after_it_is_not() {
    for (tripped_at, expected) in [(19, 20), (20, 10)] {
        let mut breaker = ramping(settings());
        while breaker.state() == State::Closed {
            call(&mut breaker, at(tripped_at), &[News::Failed]);
        }
        assert_eq!(breaker.opens_until().map(|until| until.since(at(tripped_at)).as_secs()), Some(expected));
    }
}

#[test]
fn the_share_let_through_grows_from_a_tenth_to_all() {
    let admitted = |secs, dice| {
        let mut breaker = ramping(settings());
        matches!(breaker.admit(Asker::Caller, 2, at(secs), dice), Admission::Granted(_))
    };
    for (secs, share) in [(10, 0.1), (15, 0.55), (19, 0.91)] {
        assert!(admitted(secs, share - 0.001), "{secs}");
        assert!(!admitted(secs, share + 0.001), "{secs}");
    }
    assert!(admitted(20, 0.999));
}

#[test]
fn a_quiet_sidecar_is_never_refused_by_the_ramp() {
    let mut breaker = ramping(settings());
    assert!(matches!(breaker.admit(Asker::Caller, 1, at(10), 0.999), Admission::Granted(_)));
    assert_eq!(refusal(&mut breaker, Asker::Caller, at(10)), (Refusal::Ramping, ASK_AGAIN));
}

#[test]
fn calls_go_freely_only_while_it_is_closed_and_past_its_ramp() {
    assert!(Breaker::new(settings()).admits_freely());
    assert!(!opened(settings()).admits_freely());
    assert!(!half_open(settings()).admits_freely());
    let mut breaker = ramping(settings());
    assert!(!breaker.admits_freely());
    assert_eq!(breaker.tick(at(20)), None);
    assert!(breaker.admits_freely());
    assert!(ramping(Settings { ramp: Duration::ZERO, ..settings() }).admits_freely());
}

#[test]
fn an_operator_opens_it_until_someone_says_otherwise_and_then_it_proves_itself() {
    let mut breaker = Breaker::new(settings());
    let moved = breaker.force(Mode::ForcedOpen, at(1)).expect("it was closed");
    assert_eq!((moved.to, moved.reason), (State::Open, Reason::Forced));
    assert_eq!(breaker.tick(at(1_000)), None);
    assert_eq!(refusal(&mut breaker, Asker::Prober, at(1_000)).0, Refusal::ForcedOpen);
    assert_eq!(breaker.force(Mode::Auto, at(1_000)).map(|moved| moved.to), Some(State::HalfOpen));
}

#[test]
fn an_operator_closes_it_whatever_fails_and_once_let_go_it_opens_if_it_should() {
    let mut breaker = opened(settings());
    assert_eq!(breaker.force(Mode::ForcedClosed, at(1)).map(|moved| moved.to), Some(State::Closed));
    for _ in 0..20 {
        assert_eq!(call(&mut breaker, at(2), &[News::Failed]), None);
    }
    let moved = breaker.force(Mode::Auto, at(3)).expect("twenty in a row");
    assert_eq!((moved.to, moved.reason), (State::Open, Reason::ConsecutiveFailures));

    let mut healthy = Breaker::new(Settings { failure_rate: 0.0, minimum_calls: 0, ..settings() });
    healthy.force(Mode::ForcedClosed, at(1));
    call(&mut healthy, at(1), &[News::Succeeded]);
    assert_eq!(healthy.force(Mode::Auto, at(2)), None);
}

#[test]
fn settings_of_zero_wedge_nothing() {
    let mut breaker = Breaker::new(Settings {
        failure_threshold: 0,
        half_open_max_calls: 0,
        success_threshold: 0,
        open_for: Duration::ZERO,
        max_open_for: Duration::ZERO,
        window: Duration::ZERO,
        ramp: Duration::ZERO,
        ..settings()
    });
    assert!(call(&mut breaker, at(1), &[News::Failed]).is_some());
    assert!(breaker.tick(at(1)).is_some());
    assert!(call(&mut breaker, at(1), &[News::Succeeded]).is_some());
    assert!(breaker.admits_freely());
}
