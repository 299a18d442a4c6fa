//! What several providers' failures come to for the one who called.

use super::length::LIMIT;
use crate::{
    call::plan::{Route, Seat},
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
        self.too_long().any(|(other, failure)| {
            let told = failure.number(LIMIT).filter(|_| other.context_window.is_none());
            let as_small = |told| seat.context_window.is_some_and(|window| u64::from(window) <= told);
            !seat.may_hold_more_than(other) || told.is_some_and(as_small)
        })
    }

    /// Those for whom the prompt was too long, by their own word or by its length.
    pub(super) fn too_long(&self) -> impl Iterator<Item = (&'a Seat, &Failure)> {
        let too_long = |(_, failure): &&(&Seat, Failure)| failure.kind == ErrorKind::ContextLengthExceeded;
        self.met.iter().filter(too_long).map(|(seat, failure)| (*seat, failure))
    }

    /// The one failure that the caller hears where `route` has nobody else to ask: the last whose call may be sent again, else the last; of these, of those
    /// who were asked before those who were passed over, and of a prompt that is too long for all the largest window's.
    /// It names each provider and what became of it.
    pub(super) fn into_one(self, route: &Route, operation: Operation) -> Failure {
        let tried: Vec<String> = self
            .met
            .iter()
            .map(|(seat, failure)| format!("{}: {}", seat.upstream.settings.name, failure.kind))
            .collect();
        let soonest = self.met.iter().filter_map(|(_, failure)| failure.wait).min();
        let window = |failure: &Failure| failure.number(LIMIT);
        let weight = |failure: &Failure| (failure.kind.row().retryable, !failure.unasked, window(failure));
        let Some((_, mut failure)) = self.met.into_iter().max_by_key(|(_, failure)| weight(failure)) else {
            return nobody(route, operation);
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

/// There was nobody to ask. Switches are turned on again, so that a call may then come back; what nobody does nobody
/// will do the next time.
fn nobody(route: &Route, operation: Operation) -> Failure {
    if route.seats.is_empty() {
        return Failure::new(ErrorKind::CircuitOpen, "every provider of this model is switched off").unasked();
    }
    let message = format!("no enabled provider of this model serves {}", operation.path());
    Failure::new(ErrorKind::ModelNotFound, message)
}
