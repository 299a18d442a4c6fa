//! The retry verdicts, rule by rule, and what holds of all of them.

use proptest::prelude::*;

use super::*;

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

/// Three retries, one second, doubled, at most ten; sixty in all. Without jitter, so that waits can be read.
fn policy() -> Policy {
    Policy {
        max_retries: 3,
        base_delay: secs(1),
        backoff_factor: 2.0,
        max_delay: secs(10),
        jitter: false,
        max_elapsed: secs(60),
    }
}

fn facts(kind: ErrorKind) -> Facts {
    Facts { attempts_left: 10, ..Facts::of(kind, secs(100)) }
}

const fn again(wait: Duration, wait_reason: WaitReason, change: Change) -> Verdict {
    Verdict::RetryHere { wait, wait_reason, change }
}

const AT_ONCE: Verdict = again(Duration::ZERO, WaitReason::None, Change::None);

const fn back_off(wait: u64) -> Verdict {
    again(secs(wait), WaitReason::Backoff, Change::None)
}

/// The verdicts after the first, second, third and fourth failure in a row.
fn four(facts: &Facts) -> [Verdict; 4] {
    [0, 1, 2, 3].map(|retries_here| decide(&policy(), &Facts { retries_here, ..facts.clone() }))
}

#[test]
fn each_kind_is_retried_and_passed_on_as_the_table_says() {
    use ErrorKind as K;
    let (over, up) = (Verdict::FailOver, Verdict::GiveUp);
    let half = again(Duration::ZERO, WaitReason::None, Change::AskForLess);
    let longer = again(Duration::ZERO, WaitReason::None, Change::LongerTimeout);
    let saying = again(Duration::ZERO, WaitReason::None, Change::SayWhatWasWrong);
    for (kind, alone, with_others) in [
        (K::RateLimited, [back_off(1), back_off(2), back_off(4), up], [over, over, over, over]),
        (K::InferenceTimeout, [longer, longer, longer, up], [over, over, over, over]),
        (K::NetworkError, [back_off(1), back_off(2), back_off(4), up], [back_off(1), back_off(2), back_off(4), over]),
        (K::ProviderError, [AT_ONCE, back_off(1), back_off(2), up], [AT_ONCE, back_off(1), back_off(2), over]),
        (
            K::ModelOverloaded,
            [back_off(1), back_off(2), back_off(4), up],
            [back_off(1), back_off(2), back_off(4), over],
        ),
        (K::ModelLoadingFailed, [up; 4], [over; 4]),
        (K::OutOfMemory, [half, half, half, up], [half, half, half, over]),
        (K::GenerationFailed, [AT_ONCE, back_off(1), back_off(2), up], [AT_ONCE, back_off(1), back_off(2), over]),
        (K::StreamBroken, [AT_ONCE, back_off(1), back_off(2), up], [AT_ONCE, back_off(1), back_off(2), over]),
        (K::InvalidResponse, [saying, saying, saying, up], [saying, saying, saying, over]),
        (K::ContentFiltered, [up; 4], [up; 4]),
        (K::ContextLengthExceeded, [up; 4], [up; 4]),
        (K::Authentication, [up; 4], [over; 4]),
        (K::PermissionDenied, [up; 4], [over; 4]),
        (K::ModelNotFound, [up; 4], [over; 4]),
        (K::InvalidInput, [up; 4], [up; 4]),
        (K::CircuitOpen, [up; 4], [over; 4]),
        (K::BudgetExceeded, [up; 4], [up; 4]),
        (K::Shed, [up; 4], [up; 4]),
        (K::Cancelled, [up; 4], [up; 4]),
        (K::InternalError, [up; 4], [up; 4]),
    ] {
        assert_eq!(four(&facts(kind)), alone, "{kind} alone");
        assert_eq!(four(&Facts { others: 2, ..facts(kind) }), with_others, "{kind} with others");
    }
}

#[test]
fn a_wait_that_the_provider_named_wins_over_backoff_and_its_bound_when_it_is_alone() {
    for kind in [ErrorKind::RateLimited, ErrorKind::ModelOverloaded, ErrorKind::ProviderError] {
        let asked = Facts { asked_wait: Some(secs(40)), ..facts(kind) };
        assert_eq!(decide(&policy(), &asked), again(secs(40), WaitReason::RetryAfter, Change::None), "{kind}");
    }
    let not_retried = Facts { asked_wait: Some(secs(1)), ..facts(ErrorKind::ModelLoadingFailed) };
    assert_eq!(decide(&policy(), &not_retried), Verdict::GiveUp);
}

#[test]
fn a_provider_that_names_a_wait_is_not_waited_for_while_others_can_take_the_call() {
    for kind in [ErrorKind::RateLimited, ErrorKind::ModelOverloaded] {
        let asked = Facts { asked_wait: Some(secs(1)), others: 1, ..facts(kind) };
        assert_eq!(decide(&policy(), &asked), Verdict::FailOver, "{kind}");
    }
}

#[test]
fn a_wait_that_outlives_the_deadline_is_given_up_at_once() {
    let asked = Facts { asked_wait: Some(secs(30)), ..facts(ErrorKind::RateLimited) };
    let with = |remaining| decide(&policy(), &Facts { remaining, ..asked.clone() });
    assert_eq!(with(secs(30)), Verdict::GiveUp);
    assert_eq!(with(secs(31)), again(secs(30), WaitReason::RetryAfter, Change::None));
    let backing_off = Facts { remaining: secs(1), ..facts(ErrorKind::NetworkError) };
    assert_eq!(decide(&policy(), &backing_off), Verdict::GiveUp);
}

#[test]
fn no_retry_begins_once_the_policys_time_is_up() {
    let late = |elapsed_here| decide(&policy(), &Facts { elapsed_here, ..facts(ErrorKind::NetworkError) });
    assert_eq!(late(secs(58)), back_off(1));
    assert_eq!(late(secs(59)), Verdict::GiveUp);
    let asked = Facts { asked_wait: Some(secs(60)), ..facts(ErrorKind::RateLimited) };
    assert_eq!(decide(&policy(), &asked), Verdict::GiveUp);
}

#[test]
fn a_backoff_leaves_each_of_the_others_its_share() {
    let shared = |remaining| Facts { others: 2, retries_here: 2, remaining, ..facts(ErrorKind::NetworkError) };
    assert_eq!(decide(&policy(), &shared(secs(12))), back_off(4));
    assert_eq!(decide(&policy(), &shared(secs(11))), Verdict::FailOver);
}

#[test]
fn a_timeout_is_tried_again_only_if_the_next_one_can_be_longer() {
    let timed_out = Facts { took: secs(10), elapsed_here: secs(10), ..facts(ErrorKind::InferenceTimeout) };
    let with = |remaining| decide(&policy(), &Facts { remaining, ..timed_out.clone() });
    assert_eq!(with(secs(10)), Verdict::GiveUp);
    assert_eq!(with(secs(11)), again(Duration::ZERO, WaitReason::None, Change::LongerTimeout));
}

#[test]
fn tokens_are_halved_once() {
    let halved = Facts { halved: true, retries_here: 1, ..facts(ErrorKind::OutOfMemory) };
    assert_eq!(decide(&policy(), &halved), Verdict::GiveUp);
    assert_eq!(decide(&policy(), &Facts { others: 1, ..halved }), Verdict::FailOver);
}

#[test]
fn a_long_prompt_goes_only_to_a_larger_window_and_refused_content_only_if_configured() {
    let long = Facts { others: 3, larger_window: true, ..facts(ErrorKind::ContextLengthExceeded) };
    assert_eq!(decide(&policy(), &long), Verdict::FailOver);
    assert_eq!(decide(&policy(), &Facts { reroute_refusals: true, larger_window: false, ..long }), Verdict::GiveUp);
    let refused = Facts { others: 3, reroute_refusals: true, ..facts(ErrorKind::ContentFiltered) };
    assert_eq!(decide(&policy(), &refused), Verdict::FailOver);
    assert_eq!(decide(&policy(), &Facts { others: 0, ..refused }), Verdict::GiveUp);
}

#[test]
fn refused_content_is_asked_for_again_only_under_an_instruction_that_is_new() {
    let refused = Facts { others: 3, may_rewrite: true, ..facts(ErrorKind::ContentFiltered) };
    assert_eq!(decide(&policy(), &refused), again(Duration::ZERO, WaitReason::None, Change::Rewrite));
    assert_eq!(unpaid(&refused), Verdict::GiveUp, "no budget sends a refusal elsewhere");
    assert_eq!(decide(&policy(), &Facts { may_rewrite: false, ..refused.clone() }), Verdict::GiveUp);
    assert_eq!(decide(&policy(), &Facts { may_retry: false, ..refused }), Verdict::GiveUp);
}

#[test]
fn a_model_is_told_what_was_wrong_only_so_often() {
    let wrong = Facts { reprompts_left: 1, ..facts(ErrorKind::InvalidResponse) };
    assert_eq!(decide(&policy(), &wrong), again(Duration::ZERO, WaitReason::None, Change::SayWhatWasWrong));
    let told = Facts { reprompts_left: 0, ..wrong };
    assert_eq!(decide(&policy(), &told), Verdict::GiveUp);
    assert_eq!(decide(&policy(), &Facts { others: 1, ..told }), Verdict::FailOver);
    let broken = Facts { reprompts_left: 0, ..facts(ErrorKind::ProviderError) };
    assert_eq!(decide(&policy(), &broken), AT_ONCE, "the limit is on complaints, not on other retries");
}

#[test]
fn a_provider_that_may_not_be_asked_again_is_passed_over() {
    let forbidden = Facts { may_retry: false, others: 1, ..facts(ErrorKind::ProviderError) };
    assert_eq!(decide(&policy(), &forbidden), Verdict::FailOver);
    assert_eq!(decide(&policy(), &Facts { others: 0, ..forbidden }), Verdict::GiveUp);
}

#[test]
fn nothing_follows_the_last_attempt_or_the_deadline() {
    for kind in ErrorKind::ALL {
        let last = Facts { attempts_left: 0, others: 3, ..facts(kind) };
        assert_eq!(decide(&policy(), &last), Verdict::GiveUp, "{kind}");
        let late = Facts { remaining: Duration::ZERO, others: 3, ..facts(kind) };
        assert_eq!(decide(&policy(), &late), Verdict::GiveUp, "{kind}");
    }
}

#[test]
fn a_backoff_grows_by_its_factor_up_to_its_bound() {
    let waits = [0, 1, 2, 3, 4, 50, u32::MAX].map(|before| backoff(&policy(), before, 0.5).as_secs());
    assert_eq!(waits, [1, 2, 4, 8, 10, 10, 10]);
    let jittered = Policy { jitter: true, ..policy() };
    assert_eq!([0.0, 0.5, 1.0].map(|dice| backoff(&jittered, 1, dice)), [secs(0), secs(1), secs(2)]);
    assert_eq!(backoff(&Policy { base_delay: Duration::ZERO, ..policy() }, u32::MAX, 1.0), Duration::ZERO);
}

fn duration() -> impl Strategy<Value = Duration> {
    prop_oneof![4 => (0_u64..200_000).prop_map(Duration::from_millis), 1 => any::<Duration>()]
}

fn any_policy() -> impl Strategy<Value = Policy> {
    let factor = prop_oneof![9 => 1.0..10.0, 1 => any::<f64>()];
    (0_u32..6, duration(), factor, duration(), any::<bool>(), duration()).prop_map(
        |(max_retries, base_delay, backoff_factor, max_delay, jitter, max_elapsed)| Policy {
            max_retries,
            base_delay,
            backoff_factor,
            max_delay,
            jitter,
            max_elapsed,
        },
    )
}

fn any_facts() -> impl Strategy<Value = Facts> {
    let so_far = (0..ErrorKind::ALL.len(), 0_u32..6, duration(), duration(), duration());
    let ahead = (0_u32..4, 0_u32..4, prop::option::of(duration()), 0.0..=1.0);
    let flags = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>());
    let answers = (any::<bool>(), 0_u32..3);
    (so_far, ahead, flags, answers).prop_map(
        |(
            (kind, retries_here, elapsed_here, took, remaining),
            (attempts_left, others, asked_wait, dice),
            (larger_window, reroute_refusals, may_retry, halved),
            (may_rewrite, reprompts_left),
        )| Facts {
            kind: ErrorKind::ALL[kind],
            retries_here,
            elapsed_here,
            took,
            remaining,
            attempts_left,
            others,
            larger_window,
            reroute_refusals,
            may_rewrite,
            reprompts_left,
            asked_wait,
            may_retry,
            halved,
            dice,
        },
    )
}

proptest! {
    #[test]
    fn a_backoff_never_passes_its_bound(policy in any_policy(), before in any::<u32>(), dice in any::<f64>()) {
        prop_assert!(backoff(&policy, before, dice) <= policy.max_delay);
    }

    #[test]
    fn a_jittered_backoff_is_within_the_plain_one(policy in any_policy(), before in 0_u32..80, dice in 0.0..=1.0) {
        let plain = backoff(&Policy { jitter: false, ..policy.clone() }, before, 0.0);
        let jittered = backoff(&Policy { jitter: true, ..policy }, before, dice);
        prop_assert!(jittered <= plain);
    }

    #[test]
    fn backoffs_never_shrink(policy in any_policy(), before in 0_u32..80) {
        let policy = Policy { jitter: false, ..policy };
        prop_assert!(backoff(&policy, before, 1.0) <= backoff(&policy, before + 1, 1.0));
    }

    #[test]
    fn no_verdict_breaks_a_limit(policy in any_policy(), facts in any_facts()) {
        let row = facts.kind.row();
        match decide(&policy, &facts) {
            Verdict::RetryHere { wait, wait_reason, change } => {
                prop_assert!(row.retry != RetryHere::No && facts.may_retry);
                prop_assert!(facts.attempts_left > 0 && facts.retries_here < policy.max_retries);
                prop_assert!(wait < facts.remaining);
                prop_assert!(facts.elapsed_here + wait < policy.max_elapsed);
                prop_assert_eq!(wait_reason == WaitReason::RetryAfter, facts.asked_wait.is_some());
                prop_assert!(wait_reason == WaitReason::RetryAfter || wait <= policy.max_delay);
                prop_assert!(wait_reason != WaitReason::None || wait.is_zero());
                prop_assert!(!(change == Change::AskForLess && facts.halved));
                prop_assert!(change != Change::Rewrite || facts.may_rewrite);
                prop_assert!(change != Change::SayWhatWasWrong || facts.reprompts_left > 0);
                if row.fail_over == FailOver::Yes && facts.others > 0 {
                    prop_assert!(wait <= facts.remaining / (facts.others + 1));
                }
            }
            Verdict::FailOver => {
                prop_assert!(row.fail_over != FailOver::No);
                prop_assert!(facts.others > 0 && facts.attempts_left > 0 && !facts.remaining.is_zero());
            }
            Verdict::GiveUp => {
                let always = row.fail_over == FailOver::Yes || row.fail_over == FailOver::First;
                let able = facts.attempts_left > 0 && !facts.remaining.is_zero();
                prop_assert!(!(always && able && facts.others > 0), "another could have taken it");
            }
        }
    }
}
