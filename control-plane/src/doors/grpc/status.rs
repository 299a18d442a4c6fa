//! Refusals as gRPC tells them: a code, words, and details that programs can read.

use std::{collections::HashMap, time::Duration};

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use crate::control::Refusal;

/// Whose errors these are, in `google.rpc.ErrorInfo`.
const DOMAIN: &str = "fusebox";

/// How gRPC tells of `refusal`.
pub(super) fn status(refusal: &Refusal) -> Status {
    let (code, reason) = match refusal {
        Refusal::Invalid(_) => (Code::InvalidArgument, "INVALID"),
        Refusal::TooLarge { .. } => (Code::ResourceExhausted, "TOO_LARGE"),
        Refusal::NotFound(_) => (Code::NotFound, "NOT_FOUND"),
        Refusal::Moved { .. } => (Code::Aborted, "SETTINGS_MOVED"),
        Refusal::LastProvider { .. } => (Code::FailedPrecondition, "LAST_PROVIDER"),
        Refusal::Full(_) => (Code::ResourceExhausted, "FULL"),
        Refusal::Unavailable { .. } => (Code::Unavailable, "STORE_UNAVAILABLE"),
        Refusal::Unauthenticated(_) => (Code::Unauthenticated, "UNAUTHENTICATED"),
        Refusal::Forbidden(_) => (Code::PermissionDenied, "FORBIDDEN"),
        Refusal::TooMany { .. } => (Code::ResourceExhausted, "TOO_MANY"),
        Refusal::Internal(_) => (Code::Internal, "INTERNAL"),
    };
    let mut details = ErrorDetails::new();
    details.set_error_info(reason, DOMAIN, facts(refusal));
    match refusal {
        Refusal::Invalid(faults) => {
            for fault in faults {
                details.add_bad_request_violation(&fault.field, &fault.message);
            }
        }
        Refusal::TooMany { wait, .. } => drop(details.set_retry_info(Some(Duration::from_secs(*wait)))),
        _ => {}
    }
    Status::with_error_details(code, refusal.to_string(), details)
}

fn facts(refusal: &Refusal) -> HashMap<String, String> {
    let fact = |name: &str, value: String| HashMap::from([(name.to_owned(), value)]);
    match refusal {
        Refusal::Moved { now, .. } => fact("settingsVersion", now.to_string()),
        Refusal::LastProvider { models } => fact("models", models.join(",")),
        Refusal::Unavailable { may_have_run, .. } => fact("mayHaveRun", may_have_run.to_string()),
        _ => HashMap::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::Fault;

    #[test]
    fn what_programs_need_is_in_the_details() {
        let told = status(&Refusal::Moved { expected: 3, now: 9 });
        assert_eq!(told.code(), Code::Aborted);
        let info = told.get_error_details().error_info().cloned().unwrap();
        assert_eq!((&*info.reason, &*info.metadata["settingsVersion"]), ("SETTINGS_MOVED", "9"));
        let told = status(&Refusal::Invalid(vec![Fault::new("change.wait", "is negative")]));
        let details = told.get_error_details();
        let violations = &details.bad_request().unwrap().field_violations;
        assert_eq!((&*violations[0].field, &*violations[0].description), ("change.wait", "is negative"));
    }
}
