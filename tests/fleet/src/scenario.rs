//! What is done to a fleet, and what must come of it.

use std::time::Duration;

use fusebox_rules::breaker::{Settings, State};

use crate::{
    figures::back_to_normal,
    provider::Health,
    sidecar::Sharing,
    world::{Plan, Step, World},
};

/// Seconds from the beginning.
pub type Second = u64;

/// A history to be lived, by a fleet that shares and by one that does not.
#[derive(Debug, Clone, Copy)]
pub struct Scenario {
    /// Names its files, and it on the command line.
    pub name: &'static str,
    /// What happens.
    pub title: &'static str,
    /// When the trouble begins.
    pub trouble: Second,
    /// When its cause is gone; that of one which stays, at the end.
    pub over: Second,
    /// How long it is.
    pub lasts: Second,
    /// What else is compared: the fleet without any breaker.
    pub without: bool,
    steps: fn(f64) -> Vec<(Second, Step)>,
    expects: fn(&Lived<'_>) -> Vec<Expected>,
    loses_first_opening: bool,
}

/// A history that was lived.
#[derive(Debug)]
pub struct Lived<'a> {
    /// Of which scenario.
    pub scenario: &'a Scenario,
    /// What was shared.
    pub sharing: Sharing,
    /// Calls a second over the whole fleet, when all is well.
    pub demand: f64,
    /// How it ended.
    pub world: World,
}

/// Something that must be so, and whether it is.
pub type Expected = (bool, &'static str);

/// How large a fleet.
#[derive(Debug, Clone, Copy)]
pub struct Scale {
    /// Sidecars.
    pub sidecars: usize,
    /// Calls a second at each.
    pub calls: f64,
    /// Of chance.
    pub seed: u64,
}

/// Most probes out at once over a fleet that shares, by the default settings.
const PROBES: u32 = 3;

/// All of them.
pub const ALL: [Scenario; 10] = [
    Scenario {
        name: "death",
        title: "The provider dies at once and stays dead for ten minutes",
        trouble: 10,
        over: 610,
        lasts: 610,
        without: false,
        steps: |_| vec![(10, Step::Provider(Health::Dead)), (10, Step::NoteShut)],
        expects: |lived| {
            let known = lived.world.sides.iter().all(|side| side.shut_at.is_some());
            vec![
                (known, "every sidecar knows"),
                (lived.shares_or(lived.world.watch.most_probes_out <= PROBES), "probes are within the fleet's limit"),
            ]
        },
        loses_first_opening: false,
    },
    Scenario {
        name: "recovery",
        title: "It comes back after 40 s with a twentieth of what it needs, which grows to 1.3 times that in 90 s",
        trouble: 10,
        over: 50,
        lasts: 400,
        without: false,
        steps: |demand| {
            let growing = Health::Limited { from: demand * 0.05, to: demand * 1.3, within: Duration::from_secs(90) };
            let (dies, comes) = (Step::Provider(Health::Dead), Step::Provider(growing));
            vec![(10, dies), (10, Step::NoteShut), (50, comes), (50, Step::NoteLet)]
        },
        expects: |lived| vec![(lived.is_back_within(300), "all is as before within 300 s")],
        loses_first_opening: false,
    },
    Scenario {
        name: "sick-pod",
        title: "One pod's own calls fail; from 60 s on, three pods' do",
        trouble: 10,
        over: 120,
        lasts: 120,
        without: false,
        steps: |_| vec![(10, Step::Sicken(0)), (60, Step::Sicken(1)), (60, Step::Sicken(2))],
        expects: |lived| {
            let others = lived.world.sides.iter().skip(3);
            let well = others.clone().all(|side| side.gate.judges.local.generation() == 0);
            let own = lived.world.sides.first().is_some_and(|side| side.gate.judges.local.state() != State::Closed);
            vec![(well, "nobody else's breaker opens"), (own, "its own does")]
        },
        loses_first_opening: false,
    },
    Scenario {
        name: "a-tenth-fails",
        title: "A tenth of all calls fails",
        trouble: 10,
        over: 120,
        lasts: 120,
        without: false,
        steps: |_| vec![(10, Step::Provider(Health::Failing(0.1)))],
        expects: |lived| vec![(lived.shares_or(lived.world.openings() == 0), "the fleet's breaker stays closed")],
        loses_first_opening: false,
    },
    Scenario {
        name: "a-hundredth-fails",
        title: "One call in a hundred fails",
        trouble: 10,
        over: 120,
        lasts: 120,
        without: false,
        steps: |_| vec![(10, Step::Provider(Health::Failing(0.01)))],
        expects: |lived| vec![(lived.shares_or(lived.world.openings() == 0), "the fleet's breaker stays closed")],
        loses_first_opening: false,
    },
    Scenario {
        name: "most-fail",
        title: "Six in ten calls fail",
        trouble: 10,
        over: 240,
        lasts: 240,
        without: false,
        steps: |_| vec![(10, Step::Provider(Health::Failing(0.6))), (10, Step::NoteShut)],
        expects: |lived| {
            let opens = lived.world.openings() > 0;
            let few = lived.world.watch.most_leased_out <= PROBES;
            vec![(lived.shares_or(opens), "the fleet's breaker opens"), (few, "probes are within the fleet's limit")]
        },
        loses_first_opening: false,
    },
    Scenario {
        name: "retries",
        title: "A minute's total outage, and who tries again",
        trouble: 10,
        over: 70,
        lasts: 250,
        without: true,
        steps: |_| {
            let (dies, comes) = (Step::Provider(Health::Dead), Step::Provider(Health::Well));
            vec![(10, dies), (10, Step::NoteShut), (70, comes), (70, Step::NoteLet)]
        },
        expects: |lived| {
            let back = lived.is_back_within(180);
            let watch = &lived.world.watch;
            let few = lived.sharing == Sharing::Nothing || watch.on_the_dead < watch.calls_on_the_dead;
            vec![(back, "all is as before within 180 s"), (few, "fewer attempts than calls reach the dead provider")]
        },
        loses_first_opening: false,
    },
    Scenario {
        name: "burst",
        title: "Three times the load for 30 s, on a provider that has room for 1.3 times",
        trouble: 30,
        over: 60,
        lasts: 360,
        without: true,
        steps: |demand| {
            let limited = Health::Limited { from: demand * 1.3, to: demand * 1.3, within: Duration::ZERO };
            vec![(0, Step::Provider(limited)), (30, Step::Load(3.0)), (60, Step::Load(1.0))]
        },
        expects: |lived| {
            let back = lived.sharing == Sharing::Nothing || lived.is_back_within(240);
            vec![(back, "all is as before within 240 s")]
        },
        loses_first_opening: false,
    },
    Scenario {
        name: "store-gone",
        title: "Two minutes' outage, in the middle of which the store is gone for 60 s",
        trouble: 10,
        over: 130,
        lasts: 450,
        without: false,
        steps: |_| {
            let (dies, comes) = (Step::Provider(Health::Dead), Step::Provider(Health::Well));
            let store = [(40, Step::StoreGoes), (100, Step::StoreComes)];
            [vec![(10, dies), (10, Step::NoteShut), (130, comes), (130, Step::NoteLet)], store.to_vec()].concat()
        },
        expects: |lived| vec![(lived.is_back_within(300), "all is as before within 300 s")],
        loses_first_opening: false,
    },
    Scenario {
        name: "failover",
        title: "50 s' outage; the store fails over as it has told of the first opening, and loses it",
        trouble: 10,
        over: 60,
        lasts: 250,
        without: false,
        steps: |_| {
            let (dies, comes) = (Step::Provider(Health::Dead), Step::Provider(Health::Well));
            vec![(10, dies), (10, Step::NoteShut), (60, comes), (60, Step::NoteLet)]
        },
        expects: |lived| {
            let first = lived.world.redis.records().find(|record| record.state == State::Open);
            let last = lived.world.redis.record();
            let kept = first.is_some_and(|first| first.epoch < last.epoch);
            vec![
                (lived.is_back_within(180), "all is as before within 180 s"),
                (lived.shares_or(kept), "the lost record is put back, and followed"),
                (lived.shares_or(lived.world.watch.most_probes_out <= PROBES), "probes are within the fleet's limit"),
            ]
        },
        loses_first_opening: true,
    },
];

impl Scenario {
    /// Whose histories are compared.
    #[must_use]
    pub fn alternatives(&self) -> Vec<Sharing> {
        let without = self.without.then_some(Sharing::Nothing);
        [Sharing::Fleet, Sharing::Alone].into_iter().chain(without).collect()
    }

    /// Lives it.
    #[must_use]
    pub fn live(&self, scale: Scale, sharing: Sharing) -> Lived<'_> {
        #[expect(clippy::cast_precision_loss, reason = "fleets are far below 2^52")]
        let demand = scale.sidecars as f64 * scale.calls;
        let steps = (self.steps)(demand).into_iter().map(|(second, step)| (Duration::from_secs(second), step));
        let mut world = World::new(Plan {
            sidecars: scale.sidecars,
            calls: scale.calls,
            sharing,
            settings: Settings::default(),
            lasts: Duration::from_secs(self.lasts),
            steps: steps.collect(),
            loses_first_opening: self.loses_first_opening && sharing == Sharing::Fleet,
            seed: scale.seed,
        });
        world.run();
        Lived { scenario: self, sharing, demand, world }
    }
}

impl Lived<'_> {
    /// What must be so and is not.
    #[must_use]
    pub fn broken(&self) -> Vec<&'static str> {
        let expected = (self.scenario.expects)(self).into_iter();
        let mut broken: Vec<_> = expected.filter(|(holds, _)| !holds).map(|(_, what)| what).collect();
        broken.extend(&self.world.watch.broken);
        broken.sort_unstable();
        broken.dedup();
        broken
    }

    /// Whether it is so, if breakers are shared; otherwise nothing is asked for.
    fn shares_or(&self, holds: bool) -> bool {
        holds || self.sharing != Sharing::Fleet
    }

    fn is_back_within(&self, most: u64) -> bool {
        back_to_normal(self).is_some_and(|after| after <= most)
    }
}
