//! Runs in this process's memory: bounded in number, forgotten once they are over. Who else hears of them is not known
//! here.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    sync::Arc,
    time::Duration,
};

use fusebox_rules::{
    moment::Moment,
    run::{
        Limits, Repeat, Run, Verdict,
        others::{Others, Part},
    },
};
use parking_lot::Mutex;

/// Runs remembered at once. Beyond, those of which nothing was heard for longest are forgotten.
pub(super) const MAX_RUNS: usize = 1 << 16;
/// Runs of different shards do not wait for each other.
pub(super) const SHARDS: usize = 64;
/// Between two looks for runs that are over, while there are new ones.
const SWEEP: Duration = Duration::from_secs(60);

/// All of them.
#[derive(Debug)]
pub(super) struct Kept {
    shards: Box<[Mutex<Shard>]>,
    /// Of each shard.
    max: usize,
    hasher: RandomState,
}

#[derive(Debug, Default)]
struct Shard {
    runs: HashMap<Arc<str>, One>,
    swept: Moment,
}

/// One run.
#[derive(Debug)]
pub(super) struct One {
    pub(super) run: Run,
    /// Names this sidecar's part of it: one that was forgotten and begins anew is another.
    pub(super) part: u64,
    /// How long it may go on.
    max_runtime: Duration,
    /// When its part was last exchanged for the others', or that was last tried.
    pub(super) exchanged: Moment,
    /// Whether it waits to be told.
    pub(super) waits: bool,
}

/// A call that wants to begin.
#[derive(Debug)]
pub(super) struct Wish<'a> {
    /// Its run.
    pub(super) id: &'a Arc<str>,
    pub(super) limits: &'a Limits,
    /// What its conversation repeats.
    pub(super) shown: Option<&'a Repeat>,
}

impl Default for Kept {
    fn default() -> Self {
        Self::holding(MAX_RUNS / SHARDS)
    }
}

impl Kept {
    pub(super) fn holding(max: usize) -> Self {
        let shards = (0..SHARDS).map(|_| Mutex::default()).collect();
        Self { shards, max, hasher: RandomState::new() }
    }

    /// Lets a call into its run, or does not. A run that is not known here begins with what `others` have spent.
    pub(super) fn begin(&self, wish: &Wish<'_>, others: Option<&Others>, now: Moment) -> Verdict {
        let Wish { id, limits, shown } = *wish;
        let mut shard = self.shard(id).lock();
        if let Some(one) = shard.runs.get_mut(id).filter(|one| !one.run.is_over(limits, now)) {
            return one.run.begin(limits, shown, now);
        }
        let mut run = Run::new(now);
        others.inspect(|others| run.hear(others, now));
        let verdict = run.begin(limits, shown, now);
        // A run that is refused at its first word anywhere has spent nothing that would have to be remembered.
        let begun = others.is_some_and(|others| *others != Others::default());
        if begun || matches!(verdict, Verdict::Granted { .. }) {
            shard.make_room(limits, self.max, now);
            let (part, max_runtime) = (fastrand::u64(..), limits.max_runtime);
            shard.runs.insert(Arc::clone(id), One { run, part, max_runtime, exchanged: now, waits: false });
        }
        verdict
    }

    /// Does something with a run, if it is known and not over.
    pub(super) fn living<T>(
        &self,
        id: &str,
        limits: &Limits,
        now: Moment,
        act: impl FnOnce(&mut One) -> T,
    ) -> Option<T> {
        self.shard(id).lock().runs.get_mut(id).filter(|one| !one.run.is_over(limits, now)).map(act)
    }

    /// Does something with a run, if it is known.
    pub(super) fn with<T>(&self, id: &str, act: impl FnOnce(&mut One) -> T) -> Option<T> {
        self.shard(id).lock().runs.get_mut(id).map(act)
    }

    /// Does something with every run.
    pub(super) fn each(&self, mut act: impl FnMut(&Arc<str>, &mut One)) {
        for shard in &self.shards {
            shard.lock().runs.iter_mut().for_each(|(id, one)| act(id, one));
        }
    }

    pub(super) fn count(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().runs.len()).sum()
    }

    fn shard(&self, id: &str) -> &Mutex<Shard> {
        // As many as fit a usize's lowest bits are enough to choose by.
        #[expect(clippy::cast_possible_truncation, reason = "only the lowest bits matter")]
        let place = self.hasher.hash_one(id) as usize % self.shards.len();
        &self.shards[place]
    }
}

impl One {
    /// What others hear of it, and for how long it is to be remembered.
    pub(super) fn told(&self, now: Moment) -> (Part, Duration) {
        let part = self.run.part(now);
        let left = self.max_runtime.saturating_sub(part.ran);
        (part, left + fusebox_rules::run::IDLE)
    }
}

impl Shard {
    /// Forgets what is over; where that is not enough, an eighth of the rest, idle and oldest first.
    fn make_room(&mut self, limits: &Limits, max: usize, now: Moment) {
        let full = self.runs.len() >= max;
        if full || now.since(self.swept) >= SWEEP {
            self.swept = now;
            self.runs.retain(|_, one| !one.run.is_over(limits, now));
        }
        if self.runs.len() < max {
            return;
        }
        let worth = |one: &One| (one.run.under_way() > 0, one.run.touched());
        let mut worths: Vec<_> = self.runs.values().map(worth).collect();
        let last = (max / 8).min(worths.len().saturating_sub(1));
        let (_, limit, _) = worths.select_nth_unstable(last);
        let limit = *limit;
        self.runs.retain(|_, one| worth(one) > limit);
    }
}
