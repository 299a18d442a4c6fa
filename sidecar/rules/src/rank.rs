//! In which order the providers that could serve a call are asked. Does not ask them, and does not count.

/// A provider as the ranking sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate {
    /// Its place in the configuration, as typed.
    pub index: usize,
    /// Lower is asked first.
    pub priority: u32,
    /// Calls of this sidecar there now.
    pub in_flight: u32,
    /// Whether the configuration and the operators let it be asked at all.
    pub enabled: bool,
    /// Whether it serves the call's model and operation.
    pub serves: bool,
    /// Whether its health checks pass and its key is good.
    pub healthy: bool,
    /// Whether it has asked to be left alone for a while.
    pub cooling: bool,
    /// Whether its breaker might admit a call.
    pub admitted: bool,
}

/// Why a provider is passed over; the first that holds, the most lasting first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PassedOver {
    /// It is switched off.
    Disabled,
    /// It does not serve this model or operation.
    DoesNotServe,
    /// Its checks fail, or its key is bad.
    Unhealthy,
    /// It has asked to be left alone.
    Cooling,
    /// Its breaker lets nothing through.
    BreakerOpen,
}

impl Candidate {
    /// Why it is passed over; `None`: it can take the call.
    #[must_use]
    pub const fn passed_over(&self) -> Option<PassedOver> {
        if !self.enabled {
            Some(PassedOver::Disabled)
        } else if !self.serves {
            Some(PassedOver::DoesNotServe)
        } else if !self.healthy {
            Some(PassedOver::Unhealthy)
        } else if self.cooling {
            Some(PassedOver::Cooling)
        } else if !self.admitted {
            Some(PassedOver::BreakerOpen)
        } else {
            None
        }
    }
}

/// Sorts `candidates` in place and gives those that can take the call: by priority; within one, the one with the
/// fewest calls in flight first; else as typed. Those passed over come after them, as typed.
pub fn order(candidates: &mut [Candidate]) -> &[Candidate] {
    candidates.sort_unstable_by_key(|candidate| match candidate.passed_over() {
        None => (false, candidate.priority, candidate.in_flight, candidate.index),
        Some(_) => (true, 0, 0, candidate.index),
    });
    let usable = candidates.partition_point(|candidate| candidate.passed_over().is_none());
    candidates.split_at(usable).0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(index: usize, priority: u32, in_flight: u32) -> Candidate {
        let (enabled, serves, healthy, cooling, admitted) = (true, true, true, false, true);
        Candidate { index, priority, in_flight, enabled, serves, healthy, cooling, admitted }
    }

    fn ordered(mut candidates: Vec<Candidate>) -> Vec<usize> {
        order(&mut candidates).iter().map(|candidate| candidate.index).collect()
    }

    #[test]
    fn priority_comes_before_load_and_load_before_the_order_typed() {
        let candidates =
            [candidate(0, 1, 0), candidate(1, 0, 9), candidate(2, 0, 3), candidate(3, 0, 3), candidate(4, 2, 0)];
        assert_eq!(ordered(candidates.to_vec()), [2, 3, 1, 0, 4]);
    }

    #[test]
    fn a_provider_that_cannot_take_the_call_is_passed_over_and_the_reason_is_known() {
        let good = candidate(0, 0, 0);
        for (bad, why) in [
            (Candidate { enabled: false, serves: false, ..good }, PassedOver::Disabled),
            (Candidate { serves: false, ..good }, PassedOver::DoesNotServe),
            (Candidate { healthy: false, cooling: true, ..good }, PassedOver::Unhealthy),
            (Candidate { cooling: true, ..good }, PassedOver::Cooling),
            (Candidate { admitted: false, ..good }, PassedOver::BreakerOpen),
        ] {
            assert_eq!(bad.passed_over(), Some(why));
            assert_eq!(ordered(vec![bad, candidate(1, 5, 5)]), [1]);
        }
        assert_eq!(ordered(vec![]), []);
    }
}
