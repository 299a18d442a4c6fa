//! Tells `grpc.health.v1` of each model whether anybody can take a call of it now, as that changes.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tokio::{sync::Notify, time::sleep};

use crate::{call::Shared, call::plan::Plan, doors::grpc::Health};

/// A breaker's move is told at once; what only time ends, such as a cool-down, at the next look.
const LOOK: Duration = Duration::from_secs(1);

/// What has been told.
pub(super) struct Models {
    health: Health,
    told: BTreeMap<Arc<str>, bool>,
}

impl Models {
    pub(super) const fn new(health: Health) -> Self {
        Self { health, told: BTreeMap::new() }
    }

    /// Tells of every change from now on; `moved` is notified as a breaker moves. Does not end.
    pub(super) async fn follow(&mut self, shared: &Shared, moved: &Notify) {
        loop {
            let current = shared.current.load_full();
            self.tell(&current.plan).await;
            tokio::select! {
                () = moved.notified() => {}
                () = sleep(LOOK) => {}
            }
        }
    }

    /// The names that have been told of.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.told.keys().map(|name| &**name)
    }

    async fn tell(&mut self, plan: &Plan) {
        let now: BTreeMap<Arc<str>, bool> =
            plan.config.models.iter().map(|model| (Arc::clone(&model.name), serves(plan, &model.name))).collect();
        for (name, serving) in &now {
            if self.told.get(name) != Some(serving) {
                self.health.model(name, *serving).await;
            }
        }
        for gone in self.told.keys().filter(|name| !now.contains_key(*name)) {
            self.health.forget(gone).await;
        }
        self.told = now;
    }
}

/// Whether any provider of `model` would take a call now.
fn serves(plan: &Plan, model: &str) -> bool {
    plan.route(model).is_some_and(|route| route.seats.iter().any(|seat| seat.upstream.gate.would_admit()))
}
