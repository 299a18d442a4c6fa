//! Heartbeats: that this sidecar is there, and how it is; and soon after something else was set, that it holds to it.

use std::{
    collections::VecDeque,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use fusebox_proto::store::Heartbeat;
use fusebox_rules::fleet::pace;
use fusebox_store::presence::{Beat, Leave};

use super::{Fleet, Member, Portrait, jittered, until};
use crate::clock;

/// Heartbeats whose highest count of sidecars counts. A store that has just lost everything knows only those that have
/// come back, and one of them must not take itself for the whole fleet.
const COUNTED: usize = 5;

impl Fleet {
    /// Says that it is there, again and again. Does not end.
    pub(super) async fn beat(self: Arc<Self>, members: Vec<Member>, portrait: Portrait) {
        let mut counts = VecDeque::from([0; COUNTED]);
        loop {
            let every = pace::beats(self.live());
            let settings_version = self.orders.applied();
            let heartbeat = Heartbeat { id: self.id.to_string(), settings_version, ..portrait() };
            // A pause that is a little longer than was said must not look like a missed beat.
            if let Ok((_, beaten)) = self.ask(&Beat { heartbeat: &heartbeat, every: every * 2 }).await {
                counts.pop_front();
                counts.push_back(beaten.live);
                self.live.store(counts.iter().copied().max().unwrap_or_default(), Relaxed);
                // Whoever answers this is there for the breakers too.
                for member in &members {
                    member.gate.with_view(|view| view.heard(self.live(), clock::now()));
                }
                let _ = self.compare_orders(beaten.settings_version).await;
            }
            self.until_next(jittered(every)).await;
        }
    }

    /// Waits for the next heartbeat: for so long, or until there is something to say that somebody waits for.
    async fn until_next(&self, pause: Duration) {
        let next = clock::now() + pause;
        tokio::select! {
            () = until(next) => {}
            () = self.orders.moved() => {
                // All have been told at the same time. The store is to hear them one after the other.
                let spread = pace::say(self.live()).mul_f64(fastrand::f64());
                until(next.min(clock::now() + spread)).await;
            }
        }
    }

    /// Says that it goes.
    pub async fn leave(&self) {
        let _ = self.ask(&Leave { sidecar: &self.id }).await;
    }
}

#[cfg(test)]
mod tests {
    use fusebox_store::presence::Live;
    use tokio::task::JoinSet;

    use super::*;
    use crate::fleet::fixture;

    /// So many sidecars that know of each other, and what keeps them beating.
    async fn beating(count: u32) -> (Vec<Arc<Fleet>>, JoinSet<()>) {
        let all = fixture::sidecars(count as usize);
        let (portrait, mut loops): (Portrait, _) = (Arc::new(Heartbeat::default), JoinSet::new());
        for one in &all {
            loops.spawn(Arc::clone(one).beat(Vec::new(), Arc::clone(&portrait)));
        }
        while all.iter().any(|one| one.live() != count) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        (all, loops)
    }

    /// How many say that they hold to settings of `version`.
    async fn saying(fleet: &Fleet, version: u64) -> usize {
        let live = Live { after: "", most: 500, lately: Duration::ZERO };
        let (_, page) = fleet.ask(&live).await.unwrap();
        page.sidecars.iter().filter(|one| one.heartbeat.settings_version == version).count()
    }

    #[tokio::test(start_paused = true)]
    async fn what_has_come_into_force_is_said_at_once() {
        let (all, _loops) = beating(2).await;
        for version in 1..50 {
            let began = clock::now();
            all.iter().for_each(|one| one.orders().apply(version));
            while saying(&all[0], version).await < 2 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            assert!(clock::now().since(began) <= Duration::from_millis(3), "{version}");
            // What is in force already is not said again.
            all.iter().for_each(|one| one.orders().apply(version));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn many_say_it_one_after_the_other() {
        let (all, _loops) = beating(400).await;
        all.iter().for_each(|one| one.orders().apply(7));
        let half = pace::say(400) / 2;
        tokio::time::sleep(half).await;
        let said = saying(&all[0], 7).await;
        assert!((120..=280).contains(&said), "{said} of 400");
        tokio::time::sleep(half + Duration::from_millis(2)).await;
        assert_eq!(saying(&all[0], 7).await, 400);
    }
}
