//! Which failures a person must hear of at once: those that no retry mends, and those that leave callers without an answer.
//!
//! Who is told, and how often, is not decided here.

use crate::error::{Blame, ErrorKind, FailOver};

/// Why a failure is critical.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Critical {
    /// A provider refused its key: nobody but an operator can give it another.
    KeyRefused,
    /// A provider ran out of memory.
    OutOfMemory,
    /// Nobody who was configured could answer a call.
    EveryProviderFailed,
    /// Fusebox made a mistake.
    Internal,
    /// A check fails without which the sidecar is no use.
    Unhealthy,
}

impl Critical {
    /// Every reason, in the order of their numbers.
    pub const ALL: [Self; 5] =
        [Self::KeyRefused, Self::OutOfMemory, Self::EveryProviderFailed, Self::Internal, Self::Unhealthy];

    /// Its name in metrics, logs and the status.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::KeyRefused => "key_refused",
            Self::OutOfMemory => "out_of_memory",
            Self::EveryProviderFailed => "every_provider_failed",
            Self::Internal => "internal_error",
            Self::Unhealthy => "unhealthy",
        }
    }

    /// Of an attempt that failed with `kind`.
    #[must_use]
    pub fn of_attempt(kind: ErrorKind) -> Option<Self> {
        match kind {
            ErrorKind::Authentication => Some(Self::KeyRefused),
            ErrorKind::OutOfMemory => Some(Self::OutOfMemory),
            _ => None,
        }
    }

    /// Of a call that failed with `kind` after attempts that failed with those of `tried`. `begun`: part of an answer had
    /// been sent, so that somebody could answer.
    #[must_use]
    pub fn of_call(kind: ErrorKind, begun: bool, mut tried: impl Iterator<Item = ErrorKind>) -> Option<Self> {
        if kind == ErrorKind::InternalError {
            return Some(Self::Internal);
        }
        if begun || !matches!(kind.row().fail_over, FailOver::Yes | FailOver::First) {
            return None;
        }
        // A caller in a hurry makes timeouts of its own. Where providers hang, their breakers open, and that tells it.
        let failing = |tried: ErrorKind| tried != ErrorKind::InferenceTimeout && tried.row().blame != Blame::None;
        (kind == ErrorKind::CircuitOpen || tried.any(failing)).then_some(Self::EveryProviderFailed)
    }

    /// Of a call that a door refused with `kind`, asking nobody.
    #[must_use]
    pub fn of_refusal(kind: ErrorKind) -> Option<Self> {
        (kind == ErrorKind::InternalError).then_some(Self::Internal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_is_listed_in_its_place_under_a_name_of_its_own() {
        for (index, reason) in Critical::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, index);
            assert_eq!(Critical::ALL.iter().filter(|other| other.name() == reason.name()).count(), 1);
        }
    }

    #[test]
    fn only_what_an_operator_must_mend_is_critical_in_an_attempt() {
        for kind in ErrorKind::ALL {
            let expected = match kind {
                ErrorKind::Authentication => Some(Critical::KeyRefused),
                ErrorKind::OutOfMemory => Some(Critical::OutOfMemory),
                _ => None,
            };
            assert_eq!(Critical::of_attempt(kind), expected, "{kind}");
        }
    }

    #[test]
    fn a_call_is_critical_if_every_provider_is_to_blame_for_it() {
        use ErrorKind as E;
        let all = Some(Critical::EveryProviderFailed);
        let table: [(E, bool, &[E], Option<Critical>); 12] = [
            (E::ProviderError, false, &[E::ProviderError], all),
            (E::InvalidResponse, false, &[E::ProviderError, E::InvalidResponse], all),
            (E::CircuitOpen, false, &[], all),
            (E::RateLimited, false, &[E::RateLimited], all),
            (E::Authentication, false, &[E::Authentication], all),
            (E::StreamBroken, true, &[E::StreamBroken], None),
            (E::InferenceTimeout, false, &[E::InferenceTimeout], None),
            (E::InferenceTimeout, false, &[E::NetworkError, E::InferenceTimeout], all),
            (E::ModelNotFound, false, &[], None),
            (E::InvalidInput, false, &[E::InvalidInput], None),
            (E::Shed, false, &[], None),
            (E::InternalError, true, &[], Some(Critical::Internal)),
        ];
        for (kind, begun, tried, expected) in table {
            assert_eq!(Critical::of_call(kind, begun, tried.iter().copied()), expected, "{kind} after {tried:?}");
        }
    }

    #[test]
    fn what_a_door_refuses_is_the_callers_affair_unless_the_door_is_wrong() {
        for kind in ErrorKind::ALL {
            let internal = kind == ErrorKind::InternalError;
            assert_eq!(Critical::of_refusal(kind), internal.then_some(Critical::Internal), "{kind}");
        }
    }
}
