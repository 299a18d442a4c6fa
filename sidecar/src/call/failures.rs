//! What several providers' failures come to for the one who called.

use crate::{
    call::plan::Seat,
    chat::request::Operation,
    error::{ErrorKind, Failure},
};

/// Every failure of one call, one a provider, in the order met.
#[derive(Default)]
pub(super) struct Failures<'a> {
    met: Vec<(&'a Seat, Failure)>,
}

impl<'a> Failures<'a> {
    pub(super) fn add(&mut self, seat: &'a Seat, failure: Failure) {
        self.met.push((seat, failure));
    }

    /// Whether what has been met says that `seat` would fail too: a prompt too long for as large a window.
    pub(super) fn rules_out(&self, seat: &Seat) -> bool {
        self.met
            .iter()
            .any(|(other, failure)| failure.kind == ErrorKind::ContextLengthExceeded && !seat.may_hold_more_than(other))
    }

    /// The one failure that the caller hears: the last whose call may be sent again, else the last; of these, of those
    /// who were asked before those who were passed over. It names each provider and what became of it.
    pub(super) fn into_one(self, operation: Operation) -> Failure {
        let tried: Vec<String> = self
            .met
            .iter()
            .map(|(seat, failure)| format!("{}: {}", seat.upstream.settings.name, failure.kind))
            .collect();
        let soonest = self.met.iter().filter_map(|(_, failure)| failure.wait).min();
        let weight = |failure: &Failure| (failure.kind.row().retryable, !failure.unasked);
        let Some((_, mut failure)) = self.met.into_iter().max_by_key(|(_, failure)| weight(failure)) else {
            let message = format!("no enabled provider of this model serves {}", operation.path());
            return Failure::new(ErrorKind::ModelNotFound, message);
        };
        // Whoever is ready first decides when it is worth coming back.
        if failure.kind.row().retryable && failure.wait.is_some() {
            failure.wait = soonest;
        }
        if tried.len() > 1 {
            failure.message = format!("no provider could answer: {}", failure.message);
        }
        failure.detail("providers", tried.join(", "))
    }
}
