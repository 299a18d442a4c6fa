//! What is held of every state that the fleet comes to, by the rules' own invariants where there is one.

use fusebox_rules::{
    breaker::State,
    fleet::{
        PROBE_REST, Reason, Ruling,
        invariants::{invariant_no_call_under_an_open_record, invariant_one_state_per_epoch, invariant_probes_are_few},
    },
};
use stateright::Property;

use super::world::{Begin, Flaw, Fleet, LEASE, SETTINGS, Side, World, moment, stamp};

pub(crate) const ONE_STATE: &str = "a breaker has one state per epoch, over the whole history";
pub(crate) const EPOCHS_GROW: &str = "epochs grow, in the store and at each sidecar";
pub(crate) const FROM_ITS_OWN: &str = "a judgement replaces only the record that was judged";
pub(crate) const NO_CALL: &str = "no call passes at a sidecar that holds to an open record";
pub(crate) const DECIDES: &str = "a view says truly whether it or the local breaker decides";
pub(crate) const FEW_PROBES: &str = "no more probes are leased at a time than the settings allow";
pub(crate) const ONE_LEASE: &str = "a lost probe keeps its place for one lease at most";
pub(crate) const ONE_SICK: &str = "one sick sidecar opens nobody's breaker";
pub(crate) const HEALS: &str = "once nothing goes wrong any more, all hold to one closed breaker again";
pub(crate) const DELAYS: &str = "lost probes delay recovery by one lease at most";
pub(crate) const SICK_PROBER: &str =
    "one sick sidecar's probes do not open everybody's breaker again while it should rest";
/// Of a state that some history is to come to.
pub(crate) const UNREACHED: &str = "what is to be reached is not";

/// Whether a history has come to something.
pub(crate) type Reached = fn(&World) -> bool;

/// What the model must be able to come to, from where and in how many steps: or its checks hold of nothing.
pub(crate) const REACHED: [(Begin, usize, Reached); 4] = [
    (Begin::Closed, 9, |world| world.record().state == State::Open),
    (Begin::Open, 7, |world| world.sides.iter().all(|side| side.view.record().state == State::HalfOpen)),
    (Begin::HalfOpen, 9, |world| world.sides.iter().all(|side| side.view.record().reason == Reason::Recovered)),
    (Begin::HalfOpen, 13, |world| world.record().reason == Reason::ProbeFailed),
];

/// Seconds in which all is well again: the longest that it stays open, a lease, the rest after a failed probe, and one
/// each for a clock that is off and for the way through half-open.
const ALL_WELL: u64 = SETTINGS.max_open_for.as_secs() + LEASE + PROBE_REST.as_secs() + 2;

pub(crate) fn properties() -> Vec<Property<Fleet>> {
    vec![
        Property::always(ONE_STATE, |_, world: &World| {
            let one = |at: usize| {
                world.history[..at].iter().all(|old| invariant_one_state_per_epoch(old, &world.history[at]))
            };
            (0..world.history.len()).all(one)
        }),
        Property::always(EPOCHS_GROW, |_, world: &World| world.broken != Some(EPOCHS_GROW)),
        Property::always(FROM_ITS_OWN, |_, world: &World| world.broken != Some(FROM_ITS_OWN)),
        Property::always(NO_CALL, |_, world: &World| no_call(world)),
        Property::always(DECIDES, |_, world: &World| {
            let now = moment(world.now);
            let local = |side: &Side| matches!(side.view.clone().rule(true, now), Ruling::Local);
            world.sides.iter().all(|side| side.view.decides(now) != local(side))
        }),
        Property::always(FEW_PROBES, |_, world: &World| few_probes(world)),
        Property::always(ONE_LEASE, |fleet: &Fleet, world: &World| one_lease(fleet, world)),
        Property::always(ONE_SICK, |_, world: &World| {
            let opened = |reason| matches!(reason, Reason::ConsecutiveFailures | Reason::FailureRate);
            world.failed.count_ones() > 1 || !world.history.iter().any(|record| opened(record.reason))
        }),
        Property::always(SICK_PROBER, |_, world: &World| {
            let (failed, first) = world.probes_failed;
            let rested = |since| first != u64::MAX && since >= stamp(first) + PROBE_REST;
            let again = |reason| reason == Reason::ProbeFailed;
            failed.count_ones() > 1 || world.history.iter().all(|record| !again(record.reason) || rested(record.since))
        }),
        Property::always(HEALS, |fleet, world| {
            !asks_of_healing(fleet) || fleet.heals_within(world, ALL_WELL).is_some()
        }),
        Property::always(DELAYS, |fleet, world| !asks_of_healing(fleet) || delays(fleet, world)),
        Property::always(UNREACHED, |fleet: &Fleet, world: &World| fleet.reach.is_none_or(|reached| !reached(world))),
    ]
}

/// What takes long to answer, and tells nothing where something else is to be found.
fn asks_of_healing(fleet: &Fleet) -> bool {
    matches!(fleet.flaw, Flaw::None | Flaw::EndlessLeases) && fleet.reach.is_none()
}

/// By the store's time; a sidecar whose clock is off by a second may be wrong by as much, and no more.
fn no_call(world: &World) -> bool {
    world.sides.iter().all(|side| {
        let now = stamp(world.now + u64::from(side.skew != 0));
        [true, false].into_iter().all(|may_probe| {
            let ruling = side.view.clone().rule(may_probe, moment(world.now));
            invariant_no_call_under_an_open_record(side.view.record(), &ruling, now)
        })
    })
}

/// Counts the tickets that lie at sidecars and the probes that are out within their lease. Where the store has lost its
/// leases it knows nothing of those that were out, and leases as many again: so often, and for one lease at most.
fn few_probes(world: &World) -> bool {
    let now = moment(world.now);
    let held = world.sides.iter().map(|side| {
        let out = side.probe.as_ref().is_some_and(|ticket| now < ticket.expires);
        u32::from(side.view.has_ticket(now)) + u32::from(out)
    });
    invariant_probes_are_few(held.sum(), SETTINGS.half_open_max_calls * (1 + world.losses))
}

/// A lease later there is a place again, whatever became of those that were out.
fn one_lease(fleet: &Fleet, world: &World) -> bool {
    let record = world.record();
    let lease = fleet.lease(record.epoch, u64::MAX);
    record.state != State::HalfOpen || world.store.clone().run(&lease, stamp(world.now + LEASE)).granted
}

fn delays(fleet: &Fleet, world: &World) -> bool {
    let Some(secs) = fleet.heals_within(world, ALL_WELL) else { return false };
    let undelayed = fleet.heals_within(&fleet.without_leases(world), ALL_WELL);
    undelayed.is_some_and(|undelayed| secs <= undelayed + LEASE)
}
