//! The form that an answer owes: decided before anyone is asked, and what is asked anew where a provider refused.

use std::sync::Arc;

use super::{attempt::Changes, plan::Seat, way::Way};
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

    /// Notes that what was answered is not quite what was asked.
    pub(super) fn note_rewritten(&mut self, seat: &Seat, changes: &Changes) {
        if changes.rewritten.is_some() {
            let name = &seat.upstream.settings.name;
            self.limit(format!("{name} refused the content and was asked once more under the configured instruction"));
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

/// Checks a stream that is complete and of which nothing has been passed on.
///
/// # Errors
/// It is not what was asked for, and can still be asked for again.
pub(super) fn checked_unsent(held: &[Chunk], checker: Option<&Checker>) -> Result<(), Failure> {
    let Some(checker) = checker else { return Ok(()) };
    let mut check = checker.stream();
    held.iter().try_for_each(|chunk| check.add(&mut chunk.clone()))?;
    check.finish()
}
