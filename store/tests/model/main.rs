//! The shared breaker's protocol, every interleaving of it up to a depth: sidecars that judge by the fleet's rules and
//! hold to records by their views, and a store that does each operation as it does in memory (which is held to Redis by
//! a test of its own). Messages are lost, sidecars crash, clocks are off, the store loses all or its last write.
//!
//! What one step is, stands in `world`; what is held of every state, in `checks`. Left out: the local breakers' own
//! judgement, which has a model of its own, and how many sidecars are live, which here all know.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests may")]

mod checks;
mod world;

use stateright::{Checker, HasDiscoveries, Model, Path, Property};

use self::world::{Action, Begin, Flaw, Fleet, World};

impl Model for Fleet {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        vec![self.begin()]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        self.possible(world, actions);
    }

    fn next_state(&self, world: &World, action: Action) -> Option<World> {
        let mut next = world.clone();
        self.take(&mut next, action);
        (next != *world).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        checks::properties()
    }
}

/// Goes through every state within `depth` steps of the beginning, of which there must be at least `states`.
fn hold(fleet: Fleet, depth: usize, states: usize) {
    let name = format!("{:?} with {} sidecars", fleet.begin, fleet.sidecars);
    let checker = fleet.checker().target_max_depth(depth).spawn_bfs().join();
    let seen = checker.unique_state_count();
    println!("{name}: {seen} states, {} in all, to depth {}", checker.state_count(), checker.max_depth());
    for property in checks::properties() {
        let found = checker.discovery(property.name).map(Path::into_actions);
        assert!(found.is_none(), "{name}: not always {:?}: {found:?}", property.name);
    }
    assert!(seen >= states, "{name}: only {seen} states");
}

/// A flaw that is put in on purpose must be found by `property`.
fn finds(fleet: Fleet, depth: usize, property: &'static str) {
    let checker = fleet.checker().target_max_depth(depth).finish_when(HasDiscoveries::AnyOf([property].into()));
    let checker = checker.spawn_bfs().join();
    let found = checker.discovery(property).expect("the flaw is found");
    println!("{property}: broken by {:?}", found.into_actions());
}

#[test]
fn two_sidecars_from_a_closed_breaker() {
    hold(Fleet { faults: 1, ..Fleet::new(2, Begin::Closed) }, 8, 100_000);
}

#[test]
fn two_sidecars_from_an_open_breaker() {
    hold(Fleet::new(2, Begin::Open), 10, 50_000);
}

#[test]
fn two_sidecars_from_a_half_open_breaker() {
    hold(Fleet::new(2, Begin::HalfOpen), 8, 50_000);
}

#[test]
fn two_sidecars_and_an_operator() {
    hold(Fleet { operator: true, ..Fleet::new(2, Begin::Open) }, 7, 10_000);
}

#[test]
fn two_sidecars_and_an_operator_while_it_is_half_open() {
    hold(Fleet { operator: true, ..Fleet::new(2, Begin::HalfOpen) }, 6, 10_000);
}

#[test]
fn three_sidecars_from_a_half_open_breaker() {
    hold(Fleet::new(3, Begin::HalfOpen), 7, 10_000);
}

#[test]
fn three_sidecars_from_a_closed_breaker() {
    hold(Fleet { faults: 1, ..Fleet::new(3, Begin::Closed) }, 6, 10_000);
}

#[test]
fn epochs_that_are_only_counted_up_are_found_to_come_twice_after_a_lost_write() {
    finds(Fleet { flaw: Flaw::EpochsCountUp, ..Fleet::new(2, Begin::Open) }, 12, checks::ONE_STATE);
}

#[test]
fn without_the_balance_one_sick_sidecar_is_found_to_open_all_breakers() {
    finds(Fleet { flaw: Flaw::NoBalance, faults: 0, ..Fleet::new(2, Begin::Closed) }, 9, checks::ONE_SICK);
}

#[test]
fn commits_without_a_condition_are_found_to_undo_others() {
    finds(Fleet { flaw: Flaw::NoCondition, faults: 0, ..Fleet::new(2, Begin::HalfOpen) }, 12, checks::FROM_ITS_OWN);
}

#[test]
fn leases_that_outlast_the_stores_are_found_to_let_out_too_many_probes() {
    finds(Fleet { flaw: Flaw::LongTickets, faults: 0, ..Fleet::new(2, Begin::HalfOpen) }, 10, checks::FEW_PROBES);
}

#[test]
fn leases_that_never_end_are_found_to_keep_a_breaker_half_open() {
    for property in [checks::ONE_LEASE, checks::HEALS, checks::DELAYS] {
        finds(Fleet { flaw: Flaw::EndlessLeases, faults: 0, ..Fleet::new(2, Begin::HalfOpen) }, 8, property);
    }
}

#[test]
fn the_model_opens_half_opens_and_recovers() {
    for (begin, depth, property) in checks::REACHED {
        let fleet = Fleet { reach: Some(property), faults: 0, ..Fleet::new(2, begin) };
        finds(fleet, depth, checks::UNREACHED);
    }
}
