//! Every scenario with a hundred sidecars, and two seeds: what must hold of any fleet.

use fusebox_fleet_sim::{
    report,
    scenario::{ALL, Scale, Scenario},
    sidecar::Sharing,
};

const SCALE: Scale = Scale { sidecars: 100, calls: 2.0, seed: 1 };

fn live(scenario: &Scenario, scale: Scale) {
    for sharing in scenario.alternatives() {
        let lived = scenario.live(scale, sharing);
        let broken = lived.broken();
        assert!(broken.is_empty(), "{}, {}, {scale:?}: not so that {broken:?}", scenario.name, report::column(sharing));
        assert!(lived.world.events > 5_000, "{}: nothing happened", scenario.name);
    }
}

#[test]
fn what_must_hold_holds() {
    for (scenario, seed) in ALL.iter().flat_map(|scenario| [(scenario, 1), (scenario, 2)]) {
        live(scenario, Scale { seed, ..SCALE });
    }
}

#[test]
fn a_fleet_of_three_lives_through_everything_as_well() {
    // A third of them sick is no sick pod; and of six failures in ten each own breaker may know before the fleet's
    // does.
    for scenario in ALL.iter().filter(|scenario| !["sick-pod", "most-fail"].contains(&scenario.name)) {
        live(scenario, Scale { sidecars: 3, calls: 10.0, ..SCALE });
    }
}

#[test]
fn the_same_seed_gives_the_same_history_and_another_one_another() {
    let events = |seed| {
        let lived = ALL[0].live(Scale { sidecars: 20, seed, ..SCALE }, Sharing::Fleet);
        (lived.world.events, report::section(&[lived]))
    };
    assert_eq!(events(1), events(1));
    assert_ne!(events(1), events(2));
}
