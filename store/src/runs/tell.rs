//! A sidecar tells its own part of a run.

use std::{collections::BTreeMap, time::Duration};

use fusebox_proto::{keys::Keys, scripts};
use fusebox_rules::{
    fleet::Stamp,
    run::{
        Spent,
        others::{MAX_TOLD, Others, Part},
    },
};

use super::{MOST_RUNS, Run, key, known, read};
use crate::{
    Memory, Operation, StoreError,
    operation::{Place, Reply, SHORTEST, digits, millis},
};

/// Parts of one run. What more sidecars spend on it is not told to others.
pub const MOST_PARTS: u32 = 128;
/// More of anything than a run ever spends; keeps numbers exact in scripts.
const MOST: u64 = 1 << 52;
/// The longest that a run is taken to have run, or is remembered: thirty days.
const LONGEST: Duration = Duration::from_secs(30 * 86_400);

/// Puts a part in the place of what it was, and asks what the others' amount to.
#[derive(Debug, Clone)]
pub struct Tell<'a> {
    /// The run's id.
    pub run: &'a str,
    /// Names the part: drawn at random by the sidecar as it begins to keep the run. One that forgot the run and begins
    /// anew draws another, and what it had spent before is then one of the others'.
    pub id: u64,
    /// What it is now.
    pub part: &'a Part,
    /// How long the run is remembered if nothing more is heard of it.
    pub lasts: Duration,
}

/// What a part is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// Whether it is kept. If not, the run has too many.
    pub kept: bool,
    /// What the others' parts amount to.
    pub others: Others,
}

impl Tell<'_> {
    fn spent(&self) -> Spent {
        let Spent { calls, tool_calls, tokens, cost_nanos } = self.part.spent;
        let [calls, tool_calls, tokens, cost_nanos] = [calls, tool_calls, tokens, cost_nanos].map(|all| all.min(MOST));
        Spent { calls, tool_calls, tokens, cost_nanos }
    }

    fn asked(&self) -> impl Iterator<Item = (u64, u32)> {
        self.part.asked.iter().take(MAX_TOLD).copied()
    }

    fn prints(&self) -> impl Iterator<Item = u64> {
        self.asked().map(|(print, _)| print)
    }

    fn lasts(&self) -> Duration {
        self.lasts.clamp(SHORTEST, LONGEST)
    }

    /// Takes from all what is this part's own.
    fn others(&self, kept: bool, all: Others) -> Told {
        if !kept {
            return Told { kept, others: all };
        }
        let own = self.asked().map(|(_, times)| times);
        let asked = all.asked.into_iter().zip(own).map(|((print, times), own)| (print, times.saturating_sub(own)));
        Told { kept, others: Others { spent: all.spent.without(self.spent()), asked: asked.collect(), ..all } }
    }
}

impl Operation for Tell<'_> {
    type Reply = Told;

    const SCRIPT: &'static str = scripts::TELL;

    fn keys(&self, keys: &Keys) -> Vec<String> {
        vec![key(keys, self.run)]
    }

    fn arguments(&self, _place: &Place<'_>) -> Vec<Vec<u8>> {
        let Spent { calls, tool_calls, tokens, cost_nanos } = self.spent();
        let (times, tool) = self.part.worst.as_ref().map_or((0, ""), |worst| (worst.times, &worst.tool));
        let ran = u64::try_from(self.part.ran.min(LONGEST).as_millis()).unwrap_or(u64::MAX);
        let mut arguments: Vec<_> = [self.id, calls, tool_calls, tokens, cost_nanos, ran].map(digits).into();
        arguments.extend([digits(times), tool.into(), digits(MOST_PARTS), millis(self.lasts())]);
        arguments.extend(self.asked().flat_map(|(print, times)| [digits(print), digits(times)]));
        arguments
    }

    fn read(&self, reply: &mut Reply) -> Result<Told, StoreError> {
        let kept = reply.number::<u8>()? == 1;
        Ok(self.others(kept, read(reply, self.prints())?))
    }

    fn apply(&self, memory: &mut Memory, now: Stamp) -> Told {
        let held = &mut memory.runs;
        let mut run = held.remove(self.run).filter(|run| run.until > now).unwrap_or_default();
        let kept = run.parts.contains_key(&self.id) || run.parts.len() < MOST_PARTS as usize;
        if kept {
            run.take_in(self, now);
        }
        let told = self.others(kept, known(Some(&run), self.prints(), now));
        held.put(self.run, run.until, run);
        held.forget(now, 2);
        held.keep(MOST_RUNS);
        told
    }
}

impl Run {
    fn take_in(&mut self, told: &Tell<'_>, now: Stamp) {
        let ran = u64::try_from(told.part.ran.min(LONGEST).as_millis()).unwrap_or(u64::MAX);
        let began = Stamp::from_millis(now.as_millis().saturating_sub(ran));
        self.began = if self.parts.is_empty() { began } else { self.began.min(began) };
        self.until = now + told.lasts();
        let (old, new) = (self.parts.get(&told.id).copied().unwrap_or_default(), told.spent());
        let new = old.plus(new.without(old));
        self.sum = self.sum.plus(new.without(old));
        self.parts.insert(told.id, new);
        let mut before = self.told.remove(&told.id).unwrap_or_default();
        let mut asked = BTreeMap::new();
        for (print, times) in told.asked() {
            let old = before.remove(&print).unwrap_or(0);
            let times = u64::from(times).max(old);
            *self.asked.entry(print).or_default() += times - old;
            asked.insert(print, times);
        }
        for (print, times) in before {
            *self.asked.entry(print).or_default() -= times;
        }
        self.asked.retain(|_, times| *times > 0);
        self.told.insert(told.id, asked);
        if let Some(worst) = &told.part.worst
            && self.worst.as_ref().is_none_or(|known| worst.times > known.times)
        {
            self.worst = Some(worst.clone());
        }
    }
}
