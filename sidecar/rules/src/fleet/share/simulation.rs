//! Many sidecars and one bucket, in virtual time: messages take their time and are lost, sidecars die and are replaced,
//! and the bound that is stated above holds in every span of time.

use proptest::prelude::*;

use super::*;

/// How long one step takes; every message takes as many of them, at most.
const STEP_MS: u64 = 50;
const SLOWEST: u64 = 5;

struct Fleet {
    terms: Terms,
    store: Bucket,
    sidecars: Vec<Sidecar>,
    now: u64,
    /// When how much was taken, and the largest call.
    taken: Vec<(u64, u64)>,
    largest: u64,
}

struct Sidecar {
    share: Share,
    /// What is under way to the store, with when it was sent and when it arrives, and whether its answer is lost.
    asked: Option<(Ask, u64, u64, bool)>,
    /// An answer under way, with when it arrives.
    answer: Option<(Ask, Drawn, u64, u64)>,
}

#[derive(Debug, Clone)]
enum Step {
    Call { sidecar: usize, units: u64, used: Option<u64> },
    Exchange { sidecar: usize, slow: u64, is_lost: bool },
    Die { sidecar: usize },
    Pass { steps: u64 },
}

fn at(millis: u64) -> Moment {
    Moment::ZERO + Duration::from_millis(millis)
}

fn new(terms: Terms, live: usize, now: u64) -> Sidecar {
    let mut share = Share::new(terms);
    // Before it has heard of the store it would go on by itself: here it is told first.
    let ask = share.ask(u32::try_from(live).unwrap(), at(now)).unwrap();
    share.hear(&ask, &Drawn::default(), at(now), at(now));
    Sidecar { share, asked: None, answer: None }
}

impl Fleet {
    fn new(per_minute: u64, sidecars: usize) -> Self {
        let terms = Terms::of_limit(per_minute);
        let all = (0..sidecars).map(|_| new(terms, sidecars, 0)).collect();
        Self { terms, store: Bucket::default(), sidecars: all, now: 0, taken: Vec::new(), largest: 0 }
    }

    fn run(&mut self, step: &Step) {
        let (live, now) = (self.sidecars.len(), self.now);
        match step {
            Step::Call { sidecar, units, used } => {
                let share = &mut self.sidecars[sidecar % live].share;
                let units = (*units).min(self.terms.per_minute);
                let used = used.unwrap_or(units);
                self.largest = self.largest.max(units);
                if let Take::Taken(portion) = share.take(units, at(now)) {
                    share.settle(portion, used, at(now));
                    self.taken.push((now, used));
                }
            }
            Step::Exchange { sidecar, slow, is_lost } => {
                let one = &mut self.sidecars[sidecar % live];
                if one.asked.is_none()
                    && one.answer.is_none()
                    && let Some(ask) = one.share.ask(u32::try_from(live).unwrap(), at(now))
                {
                    one.asked = Some((ask, now, now + slow * STEP_MS, *is_lost));
                }
            }
            Step::Die { sidecar } => self.sidecars[sidecar % live] = new(self.terms, live, now),
            Step::Pass { steps } => (0..*steps).for_each(|_| self.pass()),
        }
    }

    fn pass(&mut self) {
        self.now += STEP_MS;
        let now = self.now;
        for one in &mut self.sidecars {
            if let Some((ask, sent, _, is_lost)) = one.asked.take_if(|(_, _, arrives, _)| *arrives <= now) {
                let drawn = self.store.draw(&self.terms, &ask, Stamp::from_millis(now));
                if !is_lost {
                    one.answer = Some((ask, drawn, sent, now + (now - sent)));
                }
            }
            if let Some((ask, drawn, sent, _)) = one.answer.take_if(|(_, _, _, arrives)| *arrives <= now) {
                one.share.hear(&ask, &drawn, at(sent), at(now));
            }
        }
    }

    /// The most that may be taken in a span of time.
    fn most(&self, span: u64) -> u64 {
        let before = u64::try_from(LASTS.as_millis()).unwrap() + SLOWEST * STEP_MS;
        let flows = (span + before) * self.terms.per_minute / 60_000 + 1;
        flows + self.terms.burst.max(self.largest) + self.terms.burst
    }
}

fn any_step(most: u64) -> impl Strategy<Value = Step> {
    let sidecar = 0_usize..16;
    prop_oneof![
        8 => (sidecar.clone(), 1..=most).prop_map(|(sidecar, units)| Step::Call { sidecar, units, used: None }),
        8 => (sidecar.clone(), 0..SLOWEST, prop::bool::weighted(0.1))
            .prop_map(|(sidecar, slow, is_lost)| Step::Exchange { sidecar, slow, is_lost }),
        1 => sidecar.prop_map(|sidecar| Step::Die { sidecar }),
        4 => (1_u64..4).prop_map(|steps| Step::Pass { steps }),
        1 => (20_u64..200).prop_map(|steps| Step::Pass { steps }),
    ]
}

proptest! {
    #[test]
    fn in_no_span_of_time_does_the_fleet_take_more_than_is_stated(
        per_minute in prop_oneof![5_u64..50, 600_u64..6_000, 10_000_u64..1_000_000],
        sidecars in 1_usize..16,
        steps in prop_oneof![
            prop::collection::vec(any_step(3), 1..600),
            prop::collection::vec(any_step(2_000), 1..600),
        ],
    ) {
        let mut fleet = Fleet::new(per_minute, sidecars);
        for step in &steps {
            fleet.run(step);
        }
        for from in 0..fleet.taken.len() {
            let mut sum = 0;
            for to in from..fleet.taken.len() {
                sum += fleet.taken[to].1;
                let most = fleet.most(fleet.taken[to].0 - fleet.taken[from].0);
                prop_assert!(sum <= most, "{sum} of {most} between {:?} and {:?}", fleet.taken[from], fleet.taken[to]);
            }
        }
    }
}

/// Twice as many calls as are allowed; says how much was taken in a minute.
fn under_load(per_minute: u64, sidecars: usize, units: u64, used: Option<u64>) -> u64 {
    let mut fleet = Fleet::new(per_minute, sidecars);
    let calls = per_minute * 2 / 1_200 / sidecars as u64 / units + 1;
    for tick in 0..2_400_u64 {
        for sidecar in 0..sidecars {
            (0..calls).for_each(|_| fleet.run(&Step::Call { sidecar, units, used }));
            if (tick + sidecar as u64).is_multiple_of(2) {
                fleet.run(&Step::Exchange { sidecar, slow: 0, is_lost: false });
            }
        }
        fleet.run(&Step::Pass { steps: 1 });
    }
    fleet.taken.iter().filter(|(when, _)| *when >= 60_000).map(|(_, used)| used).sum()
}

#[test]
fn a_fleet_under_load_uses_what_it_is_allowed() {
    for (per_minute, sidecars) in [(6_000, 1), (6_000, 10), (600, 50), (60, 10)] {
        let taken = under_load(per_minute, sidecars, 1, None);
        assert!(taken <= per_minute + per_minute / 5 + 1, "{taken} of {per_minute} a minute by {sidecars}");
        assert!(taken * 10 >= per_minute * 8, "only {taken} of {per_minute} a minute by {sidecars}");
    }
}

#[test]
fn estimates_that_are_wrong_are_made_good() {
    for used in [50, 800] {
        let taken = under_load(60_000, 8, 200, Some(used));
        assert!(taken <= 60_000 + 60_000 / 4, "{taken} of 60000 where a call of 200 uses {used}");
        assert!(taken * 10 >= 60_000 * 7, "only {taken} of 60000 where a call of 200 uses {used}");
    }
}
