//! How long a call may take, and how much of that one attempt may have.

use std::time::Duration;

/// No call takes longer, whatever its caller asks for.
pub const MAX_DEADLINE: Duration = Duration::from_mins(10);

/// How long a call may take from its arrival: what its caller said, else `totals`, the sum of what each provider that
/// could serve it may take; never past [`MAX_DEADLINE`].
#[must_use]
pub fn for_call(caller: Option<Duration>, totals: Duration) -> Duration {
    caller.unwrap_or(totals).min(MAX_DEADLINE)
}

/// How long one attempt may take: its own `limit` within what `remaining` of the call's deadline allows. While
/// `others` can still take the call, at most half of what remains, so that a provider that stays silent always leaves
/// time for the next.
#[must_use]
pub fn allowance(remaining: Duration, limit: Duration, others: u32) -> Duration {
    limit.min(if others == 0 { remaining } else { remaining / 2 })
}

/// The limit of an attempt that follows `timeouts` others that ran into theirs: doubled with each.
#[must_use]
pub fn longer(limit: Duration, timeouts: u32) -> Duration {
    limit.saturating_mul(1_u32.checked_shl(timeouts).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    #[test]
    fn a_callers_word_wins_up_to_the_longest() {
        assert_eq!(for_call(Some(secs(5)), secs(60)), secs(5));
        assert_eq!(for_call(Some(secs(90)), secs(60)), secs(90));
        assert_eq!(for_call(None, secs(60)), secs(60));
        assert_eq!(for_call(Some(Duration::MAX), secs(60)), MAX_DEADLINE);
        assert_eq!(for_call(None, secs(3_600)), MAX_DEADLINE);
    }

    #[test]
    fn alone_an_attempt_may_take_all_that_remains() {
        assert_eq!(allowance(secs(12), secs(30), 0), secs(12));
        assert_eq!(allowance(secs(60), secs(30), 0), secs(30));
        assert_eq!(allowance(secs(12), secs(10), 2), secs(6));
    }

    #[test]
    fn each_timeout_doubles_the_next_limit() {
        assert_eq!([0, 1, 2].map(|timeouts| longer(secs(10), timeouts)), [secs(10), secs(20), secs(40)]);
        assert_eq!(longer(Duration::MAX, 40), Duration::MAX);
    }

    proptest! {
        #[test]
        fn an_attempt_never_outlives_the_call_and_leaves_others_their_half(
            remaining in any::<Duration>(), limit in any::<Duration>(), others in 0_u32..5,
        ) {
            let allowed = allowance(remaining, limit, others);
            prop_assert!(allowed <= remaining && allowed <= limit);
            prop_assert!(others == 0 || remaining - allowed >= remaining / 2);
            prop_assert!(allowed == limit || allowed >= remaining / 2);
        }
    }
}
