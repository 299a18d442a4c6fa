//! Runs of agents over several sidecars: in memory and in Redis alike, and within the bound on what they overspend.

use std::{collections::BTreeMap, time::Duration};

use fusebox_rules::{
    fleet::Stamp,
    moment::Moment,
    run::{
        Limits, Repeat, Run, Spent, ToolCall, Used, Verdict,
        others::{Others, Part},
    },
};
use fusebox_store::{
    Memory,
    runs::{Look, MOST_PARTS, Tell, Told},
};
use proptest::prelude::*;

use super::alike::Alike;

const LASTS: Duration = Duration::from_secs(900);

fn part(calls: u64, tokens: u64, asked: &[(u64, u32)]) -> Part {
    let spent = Spent { calls, tool_calls: calls / 2, tokens, cost_nanos: tokens * 1_000 };
    let worst = asked.iter().max_by_key(|(_, times)| *times);
    let worst = worst.map(|(print, times)| Repeat { tool: format!("tool-{print}"), times: *times });
    Part { spent, ran: Duration::from_secs(calls), worst, asked: asked.to_vec() }
}

async fn tell(both: &Alike, run: &str, id: u64, part: &Part) -> Told {
    both.ask(&Tell { run, id, part, lasts: LASTS }).await
}

#[tokio::test]
async fn each_part_is_told_the_sum_of_the_others_and_counts_once() {
    let both = Alike::start().await;
    assert_eq!(tell(&both, "r", 1, &part(3, 100, &[])).await.others.spent, Spent::default());
    let others = tell(&both, "r", 2, &part(2, 50, &[])).await.others;
    assert_eq!((others.spent.calls, others.spent.tokens, others.ran.as_secs()), (3, 100, 3));
    for _ in 0..3 {
        assert_eq!(tell(&both, "r", 2, &part(4, 60, &[])).await.others.spent.calls, 3);
    }
    // What was under way for long comes late.
    tell(&both, "r", 2, &part(2, 50, &[])).await;
    assert_eq!(tell(&both, "r", 1, &part(3, 100, &[])).await.others.spent.tokens, 60);
    let all = both.ask(&Look { run: "r", prints: &[] }).await;
    assert_eq!((all.spent.calls, all.spent.tokens, all.spent.cost_nanos), (7, 160, 160_000));
    assert_eq!(
        both.ask(&Look { run: "other", prints: &[7] }).await,
        Others { asked: vec![(7, 0)], ..Others::default() }
    );
}

#[tokio::test]
async fn repeats_are_added_up_and_the_worst_is_known_to_all() {
    let both = Alike::start().await;
    tell(&both, "r", 1, &part(3, 0, &[(7, 3), (u64::MAX, 1)])).await;
    let told = tell(&both, "r", 2, &part(2, 0, &[(7, 2), (9, 1)])).await;
    assert_eq!(told.others.asked, [(7, 3), (9, 0)]);
    assert_eq!(told.others.worst, Some(Repeat { tool: "tool-7".into(), times: 3 }));
    // What is told of no more is no longer counted.
    tell(&both, "r", 1, &part(4, 0, &[(9, 4)])).await;
    assert_eq!(tell(&both, "r", 2, &part(2, 0, &[(7, 2), (9, 1)])).await.others.asked, [(7, 0), (9, 4)]);
    assert_eq!(both.ask(&Look { run: "r", prints: &[7, 9, u64::MAX] }).await.asked, [(7, 2), (9, 5), (u64::MAX, 0)]);
}

#[tokio::test]
async fn a_run_is_remembered_for_as_long_as_was_said_and_began_with_its_first_call() {
    let both = Alike::start().await;
    tell(&both, "r", 1, &part(3, 0, &[])).await;
    both.later(899_999);
    assert_eq!(both.ask(&Look { run: "r", prints: &[] }).await.ran, Duration::from_millis(902_999));
    tell(&both, "r", 2, &part(1, 0, &[])).await;
    both.later(899_999);
    assert_eq!(both.ask(&Look { run: "r", prints: &[] }).await.spent.calls, 4);
    both.later(1);
    assert_eq!(both.ask(&Look { run: "r", prints: &[] }).await, Others::default());
    assert_eq!(
        tell(&both, "r", 2, &part(1, 0, &[])).await.others,
        Others { ran: Duration::from_secs(1), ..Others::default() }
    );
}

#[tokio::test]
async fn a_run_has_no_more_parts_than_are_allowed_and_those_beyond_still_hear() {
    let both = Alike::start().await;
    for id in 1..=u64::from(MOST_PARTS) {
        assert!(tell(&both, "r", id, &part(1, 1, &[])).await.kept);
    }
    let told = tell(&both, "r", 1_000, &part(5, 5, &[(1, 1)])).await;
    assert_eq!((told.kept, told.others.spent.calls), (false, u64::from(MOST_PARTS)));
    assert!(tell(&both, "r", 1, &part(2, 1, &[])).await.kept);
}

#[tokio::test]
async fn whatever_is_told_memory_and_redis_say_the_same() {
    let both = Alike::start().await;
    let mut dice = fastrand::Rng::with_seed(4);
    for _ in 0..900 {
        let run = dice.u8(0..3).to_string();
        let mut asked: Vec<(u64, u32)> = (0..dice.u64(0..20)).map(|print| (print * print, dice.u32(1..6))).collect();
        dice.shuffle(&mut asked);
        let size = [5, 1_000, u64::MAX / 1_000][dice.usize(0..3)];
        match dice.u8(0..10) {
            0..6 => drop(tell(&both, &run, dice.u64(0..9), &part(dice.u64(0..40), dice.u64(0..size), &asked)).await),
            6 => drop(both.ask(&Look { run: &run, prints: &[0, 1, 4, 25] }).await),
            7 => both.later(dice.u64(0..1_200_000)),
            _ => both.later(dice.u64(0..2_000)),
        }
    }
}

/// What may happen to a run over some sidecars.
#[derive(Debug, Clone)]
enum Step {
    Begin(usize),
    Settle(usize, u64),
    Exchange(usize),
    /// The sidecar forgets the run, or dies and is replaced.
    Forget(usize),
    /// The store loses everything.
    Flush,
}

struct Sidecar {
    id: u64,
    run: Run,
    spent: Spent,
    heard: Spent,
    under_way: u64,
}

struct Fleet {
    store: Memory,
    sidecars: Vec<Sidecar>,
    /// What the store was told since it lost everything, by part: reckoned apart from it.
    told: BTreeMap<u64, Spent>,
    /// Of sidecars that are no more.
    gone: Spent,
    now: u64,
}

fn limits() -> Limits {
    Limits {
        max_calls: 30,
        max_tool_calls: 1_000,
        max_runtime: Duration::from_secs(3_600),
        max_tokens: 1_000,
        max_cost: None,
        warn_repeats: 100,
        max_repeats: 1_000,
    }
}

impl Fleet {
    fn new(sidecars: usize) -> Self {
        let sidecars = (0..sidecars as u64).map(Sidecar::new).collect();
        Self { store: Memory::default(), sidecars, told: BTreeMap::new(), gone: Spent::default(), now: 0 }
    }

    fn moment(&self) -> Moment {
        Moment::ZERO + Duration::from_millis(self.now)
    }

    fn all(&self) -> Spent {
        self.sidecars.iter().fold(self.gone, |all, one| all.plus(one.spent))
    }

    fn step(&mut self, step: &Step) -> Result<(), TestCaseError> {
        self.now += 1;
        let (now, many) = (self.moment(), self.sidecars.len());
        match step {
            Step::Begin(which) => return self.begin(which % many),
            Step::Settle(which, tokens) => {
                let one = &mut self.sidecars[which % many];
                if one.under_way > 0 {
                    one.under_way -= 1;
                    let tool_calls = vec![ToolCall { name: "t".into(), print: *tokens }];
                    one.run.settle(&Used { tokens: *tokens, cost_nanos: 0, tool_calls }, now);
                    one.spent = one.spent.plus(Spent { tokens: *tokens, tool_calls: 1, ..Spent::default() });
                }
            }
            Step::Exchange(which) => self.exchange(which % many),
            Step::Forget(which) => {
                let id = 1_000 + self.now;
                let one = std::mem::replace(&mut self.sidecars[which % many], Sidecar::new(id));
                self.gone = self.gone.plus(one.spent);
            }
            Step::Flush => {
                self.store = Memory::default();
                self.told.clear();
            }
        }
        Ok(())
    }

    fn begin(&mut self, which: usize) -> Result<(), TestCaseError> {
        let (now, all) = (self.moment(), self.all());
        let one = &mut self.sidecars[which];
        let unheard = all.without(one.spent).without(one.heard);
        let known = one.spent.plus(one.heard);
        let is_spent = known.calls >= 30 || known.tokens >= 1_000;
        if let Verdict::Refused(refusal) = one.run.begin(&limits(), None, now) {
            prop_assert!(is_spent, "refused although only {known:?} is known");
            prop_assert_eq!(refusal.spent, known);
            return Ok(());
        }
        prop_assert!(!is_spent, "granted although {known:?} is known");
        one.spent.calls += 1;
        one.under_way += 1;
        let all = self.all();
        prop_assert!(all.calls <= 30 + unheard.calls, "{all:?} with {unheard:?} not heard of");
        prop_assert!(all.tokens < 1_000 + unheard.tokens, "{all:?} with {unheard:?} not heard of");
        Ok(())
    }

    fn exchange(&mut self, which: usize) {
        let now = self.moment();
        let one = &mut self.sidecars[which];
        let part = one.run.part(now);
        assert_eq!(part.spent, one.spent);
        let tell = Tell { run: "r", id: one.id, part: &part, lasts: LASTS };
        let told = self.store.run(&tell, Stamp::from_millis(self.now));
        one.run.hear(&told.others, now);
        self.told.insert(one.id, one.spent);
        let others = self.told.iter().filter(|(id, _)| **id != one.id);
        // What the store has forgotten is remembered by those who had heard of it.
        one.heard = one.heard.at_least(others.fold(Spent::default(), |all, (_, spent)| all.plus(*spent)));
    }
}

impl Sidecar {
    fn new(id: u64) -> Self {
        let run = Run::new(Moment::ZERO);
        Self { id, run, spent: Spent::default(), heard: Spent::default(), under_way: 0 }
    }
}

fn any_step() -> impl Strategy<Value = Step> {
    let which = 0_usize..6;
    prop_oneof![
        6 => which.clone().prop_map(Step::Begin),
        6 => (which.clone(), 0_u64..90).prop_map(|(which, tokens)| Step::Settle(which, tokens)),
        4 => which.clone().prop_map(Step::Exchange),
        1 => prop_oneof![3 => which.prop_map(Step::Forget), 1 => Just(Step::Flush)],
    ]
}

proptest! {
    #[test]
    fn a_run_overspends_by_no_more_than_was_not_heard_of_and_in_the_end_all_know_the_same(
        sidecars in 1_usize..6,
        steps in prop::collection::vec(any_step(), 1..250),
    ) {
        let mut fleet = Fleet::new(sidecars);
        for step in &steps {
            fleet.step(step)?;
        }
        for which in (0..sidecars).chain(0..sidecars) {
            fleet.step(&Step::Exchange(which))?;
        }
        let known = fleet.told.values().fold(Spent::default(), |all, spent| all.plus(*spent));
        let flushed = steps.iter().any(|step| matches!(step, Step::Flush));
        for one in &fleet.sidecars {
            prop_assert_eq!(one.run.spent().at_least(known), one.run.spent());
            prop_assert!(flushed || one.run.spent() == known, "{:?} of {known:?}", one.run.spent());
        }
    }
}
