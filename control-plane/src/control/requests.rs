//! Requests for a change, checked: every fault of one at once, and what is meant by what is right.

use std::time::Duration;

use fusebox_proto::v1;

use super::{
    Fault, Refusal,
    plan::{self, Wish},
};

/// The longest that a change may be said to hold.
const LONGEST: Duration = Duration::from_secs(366 * 86_400);
/// The longest that an answer may wait for sidecars.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// Of a reason, in characters.
const MOST_REASON: usize = 500;
/// The last rank.
const LAST_RANK: u32 = 1_000_000;

/// A change as it is to be made.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Asked {
    pub(super) wish: Wish,
    pub(super) reason: String,
    pub(super) expires_after: Option<Duration>,
    pub(super) how: How,
}

/// In which way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct How {
    pub(super) dry_run: bool,
    /// `None`: whatever the version is.
    pub(super) expected: Option<u64>,
    pub(super) wait: Duration,
    pub(super) force: bool,
}

/// What is wrong with a request, as it is found.
#[derive(Debug, Default)]
pub(super) struct Faults(Vec<Fault>);

impl Faults {
    pub(super) fn add(&mut self, field: &str, message: impl Into<String>) {
        self.0.push(Fault::new(field, message));
    }

    pub(super) fn settle<T>(self, value: T) -> Result<T, Refusal> {
        if self.0.is_empty() { Ok(value) } else { Err(Refusal::Invalid(self.0)) }
    }

    pub(super) fn reason(&mut self, reason: &str) -> String {
        let reason = reason.trim();
        if reason.chars().nth(MOST_REASON).is_some() {
            self.add("reason", format!("is longer than {MOST_REASON} characters"));
        }
        if reason.is_empty() {
            self.add("reason", "is missing: say why, for whoever reads the audit log");
        }
        reason.to_owned()
    }

    /// A duration from nothing to `most`; nothing where none was given.
    pub(super) fn duration(&mut self, field: &str, given: Option<prost_types::Duration>, most: Duration) -> Duration {
        match given.map_or(Ok(Duration::ZERO), Duration::try_from) {
            Ok(duration) if duration <= most => duration,
            Ok(_) => {
                self.add(field, format!("is longer than {} s, the most allowed", most.as_secs()));
                Duration::ZERO
            }
            Err(_) => {
                self.add(field, "is negative or not a duration");
                Duration::ZERO
            }
        }
    }

    fn how(&mut self, given: Option<v1::ChangeOptions>) -> How {
        let v1::ChangeOptions { dry_run, expected_version, wait, force } = given.unwrap_or_default();
        let wait = self.duration("change.wait", wait, LONGEST_WAIT);
        How { dry_run, expected: (expected_version > 0).then_some(expected_version), wait, force }
    }

    fn asked(
        mut self,
        wish: Option<Wish>,
        reason: &str,
        expires_after: Option<prost_types::Duration>,
        change: Option<v1::ChangeOptions>,
    ) -> Result<Asked, Refusal> {
        let expires_after = self.duration("expires_after", expires_after, LONGEST);
        let (how, said) = (self.how(change), reason.trim().is_empty());
        // Nobody reads why something was not done.
        let reason = if how.dry_run && said { String::new() } else { self.reason(reason) };
        let expires_after = Some(expires_after).filter(|after| !after.is_zero());
        match wish {
            Some(wish) => self.settle(Asked { wish, reason, expires_after, how }),
            None => Err(Refusal::Invalid(self.0)),
        }
    }
}

impl TryFrom<v1::SetProviderRequest> for Asked {
    type Error = Refusal;

    fn try_from(request: v1::SetProviderRequest) -> Result<Self, Refusal> {
        let v1::SetProviderRequest { name, enabled, priority, reason, expires_after, change, reset } = request;
        let mut faults = Faults::default();
        if name.is_empty() {
            faults.add("name", "is missing: name the provider");
        }
        match (reset, enabled.is_some() || priority.is_some() || expires_after.is_some()) {
            (false, _) if enabled.is_none() && priority.is_none() => {
                faults.add("enabled", "neither this nor priority nor reset is given: say what to change");
            }
            (true, true) => {
                faults.add("reset", "is given beside enabled, priority or expires_after: it undoes them, and for good");
            }
            _ => {}
        }
        if priority.is_some_and(|rank| rank > LAST_RANK) {
            faults.add("priority", format!("is more than {LAST_RANK}, the most allowed"));
        }
        let wish = if reset { Wish::Reset { name } } else { Wish::Provider { name, enabled, priority } };
        faults.asked(Some(wish), &reason, expires_after, change)
    }
}

impl TryFrom<v1::SetBreakerRequest> for Asked {
    type Error = Refusal;

    fn try_from(request: v1::SetBreakerRequest) -> Result<Self, Refusal> {
        let mode = plan::mode(request.mode());
        let mut faults = Faults::default();
        if request.provider.is_empty() {
            faults.add("provider", "is missing: name the provider");
        }
        if mode.is_none() {
            faults.add("mode", "is missing or unknown: auto, forced open or forced closed");
        }
        let wish = mode.map(|mode| Wish::Breaker { name: request.provider, mode });
        faults.asked(wish, &request.reason, request.expires_after, request.change)
    }
}

impl TryFrom<v1::SetDegradationRequest> for Asked {
    type Error = Refusal;

    fn try_from(request: v1::SetDegradationRequest) -> Result<Self, Refusal> {
        let mut faults = Faults::default();
        let known = v1::DegradationLevel::try_from(request.level).is_ok();
        if !known {
            faults.add("level", "is unknown: full, reduced, minimal, or unspecified to let each load decide");
        }
        let level = plan::level(request.level());
        let sidecar = Some(request.sidecar).filter(|id| !id.is_empty());
        let wish = Wish::Level { sidecar, level };
        faults.asked(Some(wish), &request.reason, request.expires_after, request.change)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults<R: TryInto<Asked, Error = Refusal>>(request: R) -> Vec<String> {
        match request.try_into() {
            Err(Refusal::Invalid(faults)) => faults.into_iter().map(|fault| fault.field).collect(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_fault_of_a_request_is_told_at_once() {
        let change = v1::ChangeOptions {
            wait: Some(prost_types::Duration { seconds: 61, nanos: 0 }),
            ..v1::ChangeOptions::default()
        };
        let request = v1::SetProviderRequest {
            expires_after: Some(prost_types::Duration { seconds: -1, nanos: 0 }),
            priority: Some(u32::MAX),
            change: Some(change),
            ..v1::SetProviderRequest::default()
        };
        assert_eq!(faults(request), ["name", "priority", "expires_after", "change.wait", "reason"]);
        assert_eq!(faults(v1::SetBreakerRequest::default()), ["provider", "mode", "reason"]);
        let request = v1::SetDegradationRequest { level: 9, ..v1::SetDegradationRequest::default() };
        assert_eq!(faults(request), ["level", "reason"]);
    }

    #[test]
    fn a_reset_is_asked_for_alone() {
        let request = v1::SetProviderRequest {
            name: "a".into(),
            reason: "over".into(),
            reset: true,
            ..v1::SetProviderRequest::default()
        };
        let asked = Asked::try_from(request.clone()).unwrap();
        assert_eq!(asked.wish, Wish::Reset { name: "a".into() });
        assert_eq!(faults(v1::SetProviderRequest { enabled: Some(true), ..request.clone() }), ["reset"]);
        let for_an_hour = Some(prost_types::Duration { seconds: 3_600, nanos: 0 });
        assert_eq!(faults(v1::SetProviderRequest { expires_after: for_an_hour, ..request }), ["reset"]);
    }

    #[test]
    fn a_dry_run_needs_no_reason_and_no_expiry_means_for_good() {
        let request = v1::SetProviderRequest {
            name: "a".into(),
            enabled: Some(false),
            change: Some(v1::ChangeOptions { dry_run: true, expected_version: 7, ..v1::ChangeOptions::default() }),
            ..v1::SetProviderRequest::default()
        };
        let asked = Asked::try_from(request).unwrap();
        assert_eq!((asked.expires_after, asked.how.expected, asked.how.dry_run), (None, Some(7), true));
    }
}
