//! Agent runs whose calls come to several sidecars of a fleet. What is spent here is told to the store by a loop of
//! its own; what others have spent is heard in exchange, and looked for before a call begins where it is not known.
//!
//! **The bound.** A call is let in by what this sidecar has spent and by what others had told no longer ago than
//! [`FRESH`] paces; what begins elsewhere is told within one. So a run may begin as many calls more than it is allowed
//! as it begins at other sidecars within three paces: 0.3 s, a fifth more by chance, and longer in proportion where
//! more than 200 sidecars are there or the store is slow. Of all else it may use as much more as the calls under way
//! everywhere then still use. While the store does not answer, each sidecar knows its own part and what it last heard.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use fusebox_rules::{
    fleet::pace,
    moment::Moment,
    run::{
        Limits, Repeat, Used, Verdict,
        others::{Others, Part},
    },
};
use fusebox_store::{
    redis::LinkState,
    runs::{Look, Tell},
};
use futures_core::future::BoxFuture;
use futures_util::future::join_all;
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};

use super::{
    super::{Fleet, Patience, Runs, jittered},
    kept::{Kept, MAX_RUNS, One, Wish},
};
use crate::{clock, telemetry::RunExchange};

/// Paces after which what was heard of the others is heard anew before a call begins.
const FRESH: u32 = 2;
/// Parts told in one round. More wait for the next.
const A_ROUND: usize = 256;
/// Runs that wait to be told. They are told of once each, so there are no more than runs that are kept; what is beyond
/// (of runs forgotten meanwhile) waits for its next call.
const MOST_UNTOLD: usize = MAX_RUNS;

/// The fleet's runs, as far as they come here.
#[derive(Debug)]
pub struct SharedRuns {
    kept: Kept,
    fleet: Arc<Fleet>,
    untold: Mutex<VecDeque<Arc<str>>>,
    /// Held while a round is told, so that who tells the last one waits for the one before.
    telling: tokio::sync::Mutex<()>,
    /// Rung when there is something to tell.
    news: Notify,
}

/// A part as it is to be told.
struct Telling {
    id: u64,
    part: Part,
    lasts: Duration,
}

/// What should be heard before a call begins.
enum Missing {
    /// Nothing.
    Nothing,
    /// The run is not known here.
    All,
    /// It is, and was not heard of lately.
    Since(Telling),
}

impl SharedRuns {
    /// Runs that are shared through `fleet`.
    #[must_use]
    pub fn new(fleet: Arc<Fleet>) -> Self {
        Self {
            kept: Kept::default(),
            fleet,
            untold: Mutex::default(),
            telling: tokio::sync::Mutex::default(),
            news: Notify::new(),
        }
    }

    /// Tells what has not been told, once: before the process ends.
    pub(in crate::fleet) async fn tell_rest(&self) {
        while self.round().await && !self.untold.lock().is_empty() {}
    }

    fn missing(&self, id: &str, limits: &Limits, now: Moment) -> Missing {
        let fresh = pace::busy(self.fleet.live()) * FRESH;
        let known = self.kept.living(id, limits, now, |one| {
            let stale = now.since(one.exchanged) >= fresh;
            if stale { Missing::Since(Telling::of(one, now)) } else { Missing::Nothing }
        });
        known.unwrap_or(Missing::All)
    }

    async fn begin(&self, wish: &Wish<'_>, patience: &mut Patience) -> Verdict {
        let others = match self.missing(wish.id, wish.limits, clock::now()) {
            Missing::Nothing => None,
            Missing::All => self.look(wish.id, patience).await,
            Missing::Since(telling) => {
                if let Some((_, told)) = patience.ask(&self.fleet, &telling.operation(wish.id)).await {
                    self.heard(wish.id, telling.id, &told.others);
                } else {
                    self.fleet.telemetry.run_exchanged(RunExchange::Unanswered);
                    self.want(wish.id);
                }
                None
            }
        };
        let verdict = self.kept.begin(wish, others.as_ref(), clock::now());
        if matches!(verdict, Verdict::Granted { .. }) {
            self.want(wish.id);
        }
        verdict
    }

    async fn look(&self, id: &str, patience: &mut Patience) -> Option<Others> {
        let known = patience.ask(&self.fleet, &Look { run: id, prints: &[] }).await.map(|(_, others)| others);
        let came = if known.is_some() { RunExchange::Looked } else { RunExchange::Unanswered };
        self.fleet.telemetry.run_exchanged(came);
        known
    }

    fn heard(&self, id: &str, part: u64, others: &Others) {
        self.fleet.telemetry.run_exchanged(RunExchange::Told);
        let now = clock::now();
        self.kept.with(id, |one| {
            if one.part == part {
                one.run.hear(others, now);
            }
        });
    }

    /// Has a run told soon.
    fn want(&self, id: &Arc<str>) {
        self.kept.with(id, |one| self.wait(id, one));
        self.news.notify_one();
    }

    /// Has all runs told: the store may have forgotten them.
    fn want_all(&self) {
        self.kept.each(|id, one| self.wait(id, one));
    }

    fn wait(&self, id: &Arc<str>, one: &mut One) {
        if one.waits {
            return;
        }
        let mut untold = self.untold.lock();
        one.waits = untold.len() < MOST_UNTOLD;
        if one.waits {
            untold.push_back(Arc::clone(id));
        }
    }

    /// Tells what waits, again and again. Does not end.
    pub(in crate::fleet) async fn tell(self: Arc<Self>) {
        let mut link = self.fleet.store.link_changes();
        let mut known = 0;
        let mut pause = Duration::ZERO;
        loop {
            tokio::select! {
                () = self.news.notified() => {}
                () = moved(link.as_mut()) => {}
            }
            let now = self.fleet.store.link().map_or(0, |link| if link.connected { link.generation } else { known });
            if std::mem::replace(&mut known, now) != now {
                self.want_all();
            }
            tokio::time::sleep(jittered(pause.max(pace::busy(self.fleet.live())))).await;
            let told = self.round().await;
            pause = if told { Duration::ZERO } else { pace::IDLE };
            if !self.untold.lock().is_empty() {
                self.news.notify_one();
            }
        }
    }

    /// Tells some of what waits; whether all of that came through.
    async fn round(&self) -> bool {
        let _alone = self.telling.lock().await;
        let ids: Vec<_> = {
            let mut untold = self.untold.lock();
            let count = untold.len().min(A_ROUND);
            untold.drain(..count).collect()
        };
        let told = join_all(ids.iter().map(|id| self.tell_one(id))).await;
        told.into_iter().all(|told| told)
    }

    /// Whether it need not be told again.
    async fn tell_one(&self, id: &Arc<str>) -> bool {
        let now = clock::now();
        let telling = self.kept.with(id, |one| {
            one.waits = false;
            Telling::of(one, now)
        });
        // What is forgotten has nothing to tell.
        let Some(telling) = telling else { return true };
        match self.fleet.ask(&telling.operation(id)).await {
            Ok((_, told)) => {
                self.heard(id, telling.id, &told.others);
                true
            }
            Err(_) => {
                self.fleet.telemetry.run_exchanged(RunExchange::Unanswered);
                self.want(id);
                false
            }
        }
    }
}

/// Waits for the next change of the connection.
async fn moved(link: Option<&mut watch::Receiver<LinkState>>) {
    if let Some(link) = link
        && link.changed().await.is_ok()
    {
        return;
    }
    std::future::pending::<()>().await;
}

impl Telling {
    fn of(one: &mut One, now: Moment) -> Self {
        one.exchanged = now;
        let (part, lasts) = one.told(now);
        Self { id: one.part, part, lasts }
    }

    fn operation<'a>(&'a self, run: &'a str) -> Tell<'a> {
        Tell { run, id: self.id, part: &self.part, lasts: self.lasts }
    }
}

impl Runs for SharedRuns {
    fn begin<'a>(
        &'a self,
        id: &'a Arc<str>,
        limits: Limits,
        shown: Option<Repeat>,
        patience: &'a mut Patience,
    ) -> BoxFuture<'a, Verdict> {
        Box::pin(async move { self.begin(&Wish { id, limits: &limits, shown: shown.as_ref() }, patience).await })
    }

    fn settle(&self, id: &Arc<str>, used: Used) {
        self.kept.with(id, |one| one.run.settle(&used, clock::now()));
        self.want(id);
    }

    fn tracked(&self) -> usize {
        self.kept.count()
    }
}

#[cfg(test)]
mod tests;
