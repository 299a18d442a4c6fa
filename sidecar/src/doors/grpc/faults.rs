//! The faults of one request, under the paths of the caller's own fields, all at once.

use std::fmt;

use super::paths;
use crate::{
    chat::request::Operation,
    error::{Failure, FieldFault},
};

/// More than this many help nobody.
const MAX_FAULTS: usize = 64;

/// The faults found so far.
#[derive(Debug, Clone, Default)]
pub(super) struct Faults(Vec<FieldFault>);

impl Faults {
    /// Notes that what stands at `path` is wrong.
    pub(super) fn note(&mut self, path: impl fmt::Display, message: impl Into<String>) {
        if self.0.len() < MAX_FAULTS {
            self.0.push(FieldFault { path: path.to_string(), message: message.into() });
        }
    }

    /// What was read of the document that the request became, if neither it nor the request has a fault; else the
    /// faults of both. Of one place, what was found in the request itself is told.
    pub(super) fn settle<T>(mut self, operation: Operation, read: Result<T, Failure>) -> Result<T, Failure> {
        match read {
            Ok(read) if self.0.is_empty() => return Ok(read),
            Err(failure) if self.0.is_empty() && failure.fields.is_empty() => return Err(failure),
            Ok(_) => {}
            Err(failure) => {
                let noted = self.0.len();
                for fault in failure.fields {
                    let path = paths::sent(operation, &fault.path);
                    if !self.0[..noted].iter().any(|one| is_within(&one.path, &path) || is_within(&path, &one.path)) {
                        self.note(path, fault.message);
                    }
                }
            }
        }
        Err(Failure::fields(self.0))
    }
}

/// Whether `inner` is `outer` or a place in it.
fn is_within(inner: &str, outer: &str) -> bool {
    inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

#[cfg(test)]
impl Faults {
    pub(super) fn paths(&self) -> Vec<&str> {
        self.0.iter().map(|fault| fault.path.as_str()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thousand_faults_are_told_as_sixty_four() {
        let mut faults = Faults::default();
        for index in 0..1000 {
            faults.note(format_args!("inputs[{index}]"), "empty");
        }
        assert_eq!(faults.settle(Operation::Chat, Ok(())).unwrap_err().fields.len(), MAX_FAULTS);
    }

    #[test]
    fn what_the_document_shows_is_told_beside_what_the_request_does() {
        let fault = |path: &str| FieldFault { path: path.to_owned(), message: "wrong".to_owned() };
        let read = || {
            let paths =
                ["messages[1].content", "messages[1]", "messages[10].content", "stop[0]", "tools[0].function.name"];
            Err::<(), _>(Failure::fields(paths.map(fault).into()))
        };
        let mut faults = Faults::default();
        faults.note("messages[1].content", "mine");
        faults.note("tools[0]", "mine");
        let told = faults.settle(Operation::Chat, read()).unwrap_err().fields;
        let told: Vec<_> = told.iter().map(|fault| fault.path.as_str()).collect();
        assert_eq!(told, ["messages[1].content", "tools[0]", "messages[10].content", "sampling.stop[0]"]);
        assert_eq!(Faults::default().settle(Operation::Chat, read()).unwrap_err().fields.len(), 5);
        assert!(Faults::default().settle(Operation::Chat, Ok(())).is_ok());
        let other = Failure::new(crate::error::ErrorKind::InternalError, "why");
        assert_eq!(Faults::default().settle(Operation::Chat, Err::<(), _>(other.clone())), Err(other));
    }
}
