use super::*;

fn failed(kind: ErrorKind, seconds: u64) -> Failed {
    Failed {
        kind,
        critical: None,
        operation: Some(Operation::Chat),
        provider: None,
        correlation_id: "c".into(),
        attempt: None,
        at: at(seconds),
    }
}

fn at(seconds: u64) -> Moment {
    Moment::ZERO + Duration::from_secs(seconds)
}

#[test]
fn the_history_keeps_the_last_thousand() {
    let errors = Errors::new();
    for second in 0..1_500 {
        errors.record(failed(ErrorKind::RateLimited, second));
    }
    let summary = errors.summary(at(1_500), usize::MAX);
    assert_eq!(summary.recent.len(), HISTORY);
    assert_eq!((summary.recent[0].seconds_ago, summary.recent[HISTORY - 1].seconds_ago), (1.0, 1_000.0));
    assert_eq!(errors.summary(at(1_500), 3).recent.len(), 3);
}

#[test]
fn what_is_an_hour_old_is_not_counted() {
    let errors = Errors::new();
    for minute in 0..90 {
        errors.record(failed(ErrorKind::NetworkError, minute * 60));
        errors.record(failed(ErrorKind::NetworkError, minute * 60 + 59));
    }
    let count = |now| errors.summary(at(now), 0).calls.first().map_or(0, |one| one.count);
    assert_eq!(count(89 * 60 + 59), 120);
    assert_eq!(count(90 * 60), 118);
    assert_eq!(count(400 * 60), 0);
}

#[test]
fn rates_are_told_over_a_minute_and_an_hour() {
    let errors = Errors::new();
    let start = 7_200;
    for second in 0..120 {
        errors.record(failed(ErrorKind::NetworkError, start + second));
        errors.record(Failed { attempt: Some(1), ..failed(ErrorKind::NetworkError, start + second) });
        errors.record(Failed { attempt: Some(2), ..failed(ErrorKind::NetworkError, start + second) });
    }
    let summary = errors.summary(at(start + 119), 0);
    let expected = KindRate {
        kind: "network_error",
        calls_last_minute: 60.0,
        calls_last_hour: 2.0,
        attempts_last_minute: 120.0,
        attempts_last_hour: 4.0,
    };
    assert_eq!(summary.rates, [expected]);
    assert_eq!((summary.calls[0].last_minute, summary.calls[0].count), (60, 120));
    let later = errors.summary(at(start + 179), 0);
    assert_eq!((later.calls[0].last_minute, later.rates[0].calls_last_minute), (0, 0.0));
}

#[test]
fn a_young_process_tells_rates_over_its_own_age() {
    let errors = Errors::new();
    errors.record(failed(ErrorKind::Shed, 10));
    assert_eq!(errors.summary(at(30), 0).rates[0].calls_last_hour, 2.0);
}

#[test]
fn calls_and_attempts_are_counted_apart_and_the_commonest_comes_first() {
    let errors = Errors::new();
    errors.record(failed(ErrorKind::Shed, 1));
    errors.record(Failed { attempt: Some(1), operation: None, ..failed(ErrorKind::RateLimited, 1) });
    for _ in 0..2 {
        errors.record(Failed { attempt: Some(2), ..failed(ErrorKind::StreamBroken, 1) });
    }
    let summary = errors.summary(at(2), 10);
    let count = |kind, operation, count| KindCount {
        pattern: format!("{kind}:{operation}"),
        kind,
        operation,
        count,
        last_minute: count,
    };
    assert_eq!(summary.calls, [count("shed", "chat", 1)]);
    assert_eq!(summary.attempts, [count("stream_broken", "chat", 2), count("rate_limited", "unknown", 1)]);
    assert_eq!(summary.rates.iter().map(|rate| rate.kind).collect::<Vec<_>>()[0], "stream_broken");
}

#[test]
fn callers_that_hang_up_push_no_failure_out_of_the_history() {
    let errors = Errors::new();
    errors.record(failed(ErrorKind::ProviderError, 0));
    for _ in 0..2 * HISTORY {
        errors.record(failed(ErrorKind::Cancelled, 1));
    }
    let summary = errors.summary(at(2), 10);
    assert_eq!(summary.recent.len(), 1);
    assert_eq!(summary.calls[0].count, 2_000);
}

#[test]
fn critical_failures_are_counted_for_good_and_told_in_lines_that_do_not_flood() {
    let errors = Errors::new();
    let critical = |reason, seconds| Failed { critical: Some(reason), ..failed(ErrorKind::CircuitOpen, seconds) };
    let due: Vec<_> =
        [1, 2, 3, 11, 12].map(|second| errors.record(critical(Critical::EveryProviderFailed, second))).into();
    assert_eq!(due, [Some(1), None, None, Some(3), None]);
    assert_eq!(errors.record(critical(Critical::Internal, 3)), Some(1), "another reason has lines of its own");
    for second in 13..2_000 {
        errors.record(failed(ErrorKind::RateLimited, second));
    }
    let told = errors.summary(at(2_000), 5).critical;
    assert_eq!((told.total, told.recent.len()), (6, 0), "the history has forgotten them");
    let reasons: Vec<_> = told.reasons.iter().map(|one| (one.reason, one.total, one.seconds_ago)).collect();
    assert_eq!(reasons, [("every_provider_failed", 5, 1_988.0), ("internal_error", 1, 1_997.0)]);
    errors.record(critical(Critical::OutOfMemory, 2_000));
    let told = errors.summary(at(2_000), 5);
    assert_eq!(told.critical.recent, [told.recent[0].clone()]);
    assert_eq!(told.recent[0].critical, Some("out_of_memory"));
    assert_eq!(errors.critical()[1], ("out_of_memory", 1));
}
