//! The form that an answer owes: decided before anyone is asked, and what is asked anew where a provider refused.

use std::sync::Arc;

use super::{changes::Changes, way::Way};
use crate::{
    chat::{
        answer::{Chunk, Whole},
        request::Request,
    },
    config::ContentFilter,
    error::{ErrorKind, Failure},
    validate::{Checked, Checker, Schemas},
};

impl Way {
    /// Finds what the answer is to be held to.
    ///
    /// # Errors
    /// The caller's own schema cannot be held to: no provider is asked.
    pub(super) fn hold_to_form(&mut self, schemas: &Arc<Schemas>) -> Result<(), Failure> {
        if self.plan().config.validation.check_output {
            self.checker = Checker::for_request(&self.call.request, schemas)?;
        }
        Ok(())
    }

    /// The request under the instruction that is configured for refused content, unless it has been asked so.
    pub(super) fn rewritten(&self, kind: ErrorKind, changes: &Changes) -> Option<Request> {
        match &self.plan().config.content_filter {
            ContentFilter::Rewrite(instruction)
                if kind == ErrorKind::ContentFiltered && changes.rewritten.is_none() =>
            {
                self.call.request.under(instruction)
            }
            _ => None,
        }
    }
}

/// The answer, if it is what was asked for.
pub(super) fn checked(whole: Whole, checker: Option<&Checker>, warnings: &mut Vec<String>) -> Result<Whole, Failure> {
    let Some(checker) = checker else { return Ok(whole) };
    let usage = whole.usage;
    let Checked { whole, warnings: more } = checker.whole(whole).map_err(|failure| failure.used(usage))?;
    warnings.extend(more);
    Ok(whole)
}

/// Holds what has come of a stream, and is still held back, to what was asked for; `complete`: that is all of it.
pub(super) fn checked_so_far(held: &[Chunk], complete: bool, checker: Option<&Checker>) -> Result<(), Failure> {
    let Some(checker) = checker else { return Ok(()) };
    let mut check = checker.stream();
    for chunk in held {
        check.add(&mut chunk.clone())?;
    }
    if complete { check.finish() } else { Ok(()) }
}
