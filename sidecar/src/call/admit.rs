//! A call's place: among all calls in flight, and among those of the provider that it goes to first.
//!
//! Each provider has a limit of its own, as it is what runs out of room: a model served by two has the room of both,
//! and two models of one server share it. A call goes to the best provider that has room; only if none has, it waits,
//! and for no longer than is of use. A stream keeps its place to its end, as it keeps a place in the server's batch.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use fusebox_rules::{degradation::Level, line::Class};

use super::{
    Priority,
    plan::{Route, Seat},
    way::Way,
};
use crate::{
    chat::request::Operation,
    clock,
    error::{ErrorKind, Failure},
    gate::{
        Gate,
        limiter::{Limiter, Slot},
    },
    provider,
    telemetry::WaitFor,
};

/// The least that a shed call is told to wait. It is told up to twice as long, at random: those that were shed together
/// should not come back together.
const LEAST_WAIT: Duration = Duration::from_secs(1);
/// The most, before that.
const MOST_WAIT: Duration = Duration::from_secs(30);

/// A place among the calls in flight, held until the call's outcome stands.
#[derive(Debug)]
pub(crate) struct Place {
    all: Arc<AtomicUsize>,
    /// The place at a provider, once the call is admitted there.
    at: Option<Slot>,
    /// Whether that provider has it only because a better one has no room.
    spilled: bool,
}

impl Place {
    pub(super) fn take(places: &Arc<AtomicUsize>) -> Self {
        places.fetch_add(1, Relaxed);
        Self { all: Arc::clone(places), at: None, spilled: false }
    }

    /// Takes the place along to another provider, which may have more calls than its limit for it: a call that has
    /// been admitted is not shed in mid-way.
    pub(super) fn move_to(&mut self, gate: &Gate) {
        if self.at.as_ref().is_some_and(|slot| !slot.is_at(gate.limiter())) {
            self.at = Some(gate.limiter().take_anyway());
        }
    }

    /// `order`, but if the call spilled over to a provider, that one first.
    pub(super) fn first<'r>(&self, mut order: Vec<(usize, &'r Seat)>) -> Vec<(usize, &'r Seat)> {
        if self.spilled
            && let Some(slot) = &self.at
            && let Some(found) = order.iter().position(|(_, seat)| slot.is_at(seat.upstream.gate.limiter()))
        {
            order[..=found].rotate_right(1);
        }
        order
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.all.fetch_sub(1, Relaxed);
    }
}

impl From<Priority> for Class {
    fn from(priority: Priority) -> Self {
        match priority {
            Priority::Interactive => Self::Interactive,
            Priority::Batch => Self::Batch,
        }
    }
}

impl Way {
    /// Finds the call a place, or sheds it.
    ///
    /// # Errors
    /// `shed`, with how long to stay away.
    pub(super) async fn admit(&mut self) -> Result<(), Failure> {
        self.has_place()?;
        let priority = self.call.options.priority;
        if self.outcome.level == Level::Minimal && priority == Priority::Batch {
            let hold = self.plan().config.degradation.levels.hold;
            return Err(shed("load is so high that only calls that somebody waits for are taken", Some(hold)));
        }
        if !self.plan().config.overload.enabled {
            return Ok(());
        }
        let operation = self.call.request.operation;
        let class = Class::from(priority);
        // With nobody to ask, the chain has more to say about it.
        let Some((chosen, spilled)) = self.route.choose(operation, class) else { return Ok(()) };
        let slot = match chosen.upstream.gate.limiter().try_take(class) {
            Some(slot) => slot,
            None => {
                let (began, upstream) = (clock::now(), Arc::clone(&chosen.upstream));
                let slot = self.wait_for(upstream.gate.limiter(), class).await;
                self.trace.waited_for(WaitFor::Queue, Some(upstream.index), clock::now().since(began));
                slot?
            }
        };
        self.place.at = Some(slot);
        self.place.spilled = spilled;
        self.detour |= spilled;
        Ok(())
    }

    /// Sheds a call that is one too many, whoever would answer it.
    pub(super) fn has_place(&self) -> Result<(), Failure> {
        if self.shared.calls() > self.plan().config.limits.max_in_flight {
            return Err(shed("this sidecar has as many calls in flight as it may have", None));
        }
        Ok(())
    }

    /// Waits for a place, if there is one soon enough to be of use.
    async fn wait_for(&self, limiter: &Arc<Limiter>, class: Class) -> Result<Slot, Failure> {
        const BUSY: &str = "every provider of this model has as many calls as it can take";
        let overload = &self.plan().config.overload;
        let expected = limiter.expected_wait(class);
        let patience = overload.max_queue_wait.min(self.deadline.since(clock::now()));
        if expected.is_some_and(|expected| expected > patience) {
            return Err(shed(BUSY, expected));
        }
        let waiting = limiter.wait(class, overload.max_queue);
        let Ok(mut waiting) = waiting else { return Err(shed("too many calls wait already", expected)) };
        match tokio::time::timeout(patience, waiting.called()).await {
            Ok(Ok(slot)) => Ok(slot),
            Ok(Err(_)) => Err(shed("a call that somebody waits for took this one's place in the queue", expected)),
            Err(_) => Err(shed(BUSY, expected)),
        }
    }
}

impl Route {
    /// The seat to go to, and whether it is not the best: of those that can take the call now, the first by rank that has
    /// room, or else the first.
    fn choose(&self, operation: Operation, class: Class) -> Option<(&Seat, bool)> {
        let serves = |seat: &&Seat| provider::serves(seat.upstream.settings.kind, operation);
        let rank = |seat: &&Seat| (seat.upstream.settings.priority, seat.upstream.gate.in_flight());
        let has_room = |seat: &&Seat| seat.upstream.gate.limiter().has_room(class);
        let able = || self.seats.iter().filter(serves).filter(|seat| seat.upstream.gate.would_admit());
        let best = able().min_by_key(rank)?;
        if has_room(&best) {
            return Some((best, false));
        }
        Some(able().filter(has_room).min_by_key(rank).map_or((best, false), |other| (other, true)))
    }
}

fn shed(why: &str, expected: Option<Duration>) -> Failure {
    let wait = expected.unwrap_or_default().clamp(LEAST_WAIT, MOST_WAIT);
    Failure::new(ErrorKind::Shed, why).wait(Some(wait.mul_f64(1.0 + fastrand::f64())))
}
