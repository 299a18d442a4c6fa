//! What every trouble with Redis is held to: callers that go on calling through it, and what must be so while it lasts
//! and after it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use fusebox_tests::{
    provider::{Provider, act::tokens},
    sidecar::Config,
};
use futures_util::future::join_all;
use serde_json::json;
use tokio::{sync::watch, task::JoinSet};

use super::{One, broken, fleet, shared};
use crate::support::{Way, ms};

/// Providers of every sidecar that only fail, for as many times that something is to be shared.
pub(super) const FAILING: [&str; 4] = ["b1", "b2", "b3", "b4"];
/// Lines that one sidecar may write about one trouble, however long it lasts: its connection, its ear and the sidecar
/// itself each say that it began and that it is over; and two of them once more where it seems over and is not.
const LINES: usize = 10;
/// Between two calls of one caller.
const PACE: Duration = Duration::from_millis(5);
/// Half of the calls are faster. A tenth of how long the store is waited for, off the calls' way.
const MEDIAN: Duration = Duration::from_millis(50);
/// No call takes longer; a machine that stands still for a second holds up what runs on it.
const SLOWEST: Duration = Duration::from_secs(3);
/// Calls of each caller that make a trial.
const ENOUGH: usize = 50;

/// One provider that serves `chat` well, and those that only fail.
pub(super) struct Providers {
    pub(super) good: Provider,
    failing: Provider,
}

impl Providers {
    pub(super) async fn start() -> Self {
        Self { good: Provider::start(tokens(1)).await, failing: Provider::start(broken()).await }
    }

    /// A sidecar of the fleet at `url`, with `good` as provider `a`, and each of [`FAILING`] under a model of its name.
    pub(super) fn config(&self, url: &str) -> Config {
        let with =
            |config: Config, name: &&str| config.apart(name, &self.failing.base_url(), json!({})).model(name, &[*name]);
        let config = FAILING.iter().fold(Config::one(&self.good), with);
        // Longer than any trouble of these tests.
        config
            .each(&shared(&json!({"open_for": "600s", "max_open_for": "600s"})))
            .with(json!({"fleet": {"redis": url}}))
    }

    /// `count` sidecars at `url` that know of each other.
    pub(super) async fn fleet(&self, count: usize, url: &str) -> Vec<One> {
        fleet(count, |_| self.config(url)).await
    }
}

/// Two sidecars see `provider` fail, neither often enough for itself alone; then all know.
pub(super) async fn share(all: &[One], provider: &str) {
    for one in [&all[0], &all[1], &all[0], &all[1]] {
        assert_eq!(one.doors.call(Way::HttpWhole, provider).await.kind(), "provider_error", "{provider}");
    }
    join_all(all.iter().map(|one| knows(one, provider))).await;
}

/// Waits until `one` holds `provider`'s breaker for open; it has called it too seldom to have opened its own.
pub(super) async fn knows(one: &One, provider: &str) {
    let place = 1 + FAILING.iter().position(|name| *name == provider).expect("it is one that fails");
    one.status_until(&format!("keeping away from {provider}"), |status| {
        assert_eq!(status["providers"][place]["name"], provider);
        status["providers"][place]["breaker"] == "open"
    })
    .await;
    assert_eq!(one.doors.call(Way::HttpWhole, provider).await.kind(), "circuit_open", "{provider}");
}

pub(super) async fn until_connected(all: &[One], connected: bool) {
    for one in all {
        one.status_until("as connected as it should be", |status| {
            assert_eq!(status["ready"], true, "{status:#}");
            status["fleet"]["connected"] == connected
        })
        .await;
        let gauge = one.sidecar.metrics_until("the gauge to follow", |metrics| {
            metrics.sum("fusebox_fleet_connected", &[]) == if connected { 1.0 } else { 0.0 }
        });
        gauge.await;
    }
}

/// What `one` has told people of its fleet and of the store: lines of warning or worse.
pub(super) fn warnings(one: &One) -> Vec<String> {
    let log = one.sidecar.log();
    let told = log.lines().filter(|line| line.contains(" WARN ") || line.contains("ERROR "));
    told.filter(|line| line.contains("fusebox::fleet") || line.contains("fusebox_store")).map(str::to_owned).collect()
}

/// All that `one` has said of the store, whether it is there or not.
pub(super) fn said_of_the_store(one: &One) -> Vec<String> {
    let about = ["the fleet's store", "to redis"];
    let log = one.sidecar.log();
    log.lines().filter(|line| about.iter().any(|what| line.contains(what))).map(str::to_owned).collect()
}

/// A trouble of the store from its beginning to its end. At least two sidecars.
pub(super) struct Trial<'a> {
    all: &'a [One],
    said: Vec<usize>,
    traffic: Traffic,
}

impl<'a> Trial<'a> {
    /// All is well, and callers call.
    pub(super) async fn begin(all: &'a [One]) -> Self {
        let said = all.iter().map(|one| said_of_the_store(one).len()).collect();
        let traffic = Traffic::begin(all);
        traffic.enough().await;
        Self { all, said, traffic }
    }

    /// The trouble has begun: it is noticed, everybody stays ready, and calls go on.
    pub(super) async fn lasts(&self) {
        until_connected(self.all, false).await;
        self.traffic.enough().await;
    }

    /// It is over: the fleet is one again, to which the opening of `failing` is the proof. Nobody waited, and little
    /// was said.
    pub(super) async fn ends(self, failing: &str) {
        until_connected(self.all, true).await;
        self.traffic.enough().await;
        self.traffic.end().await;
        share(self.all, failing).await;
        for (one, before) in self.all.iter().zip(self.said) {
            let said = said_of_the_store(one);
            assert!(said.len() - before <= LINES, "{said:#?}");
        }
    }
}

/// Callers of every sidecar, each call of which must be good, and soon. Each sidecar must be ready all the time.
pub(super) struct Traffic {
    callers: JoinSet<Vec<Duration>>,
    calls: Vec<Arc<AtomicUsize>>,
    over: watch::Sender<bool>,
}

impl Traffic {
    pub(super) fn begin(all: &[One]) -> Self {
        let over = watch::Sender::new(false);
        let (mut callers, mut calls) = (JoinSet::new(), Vec::new());
        for one in all {
            let (doors, admin, over) = (one.doors.clone(), one.sidecar.admin().clone(), over.subscribe());
            let count = Arc::new(AtomicUsize::new(0));
            calls.push(Arc::clone(&count));
            callers.spawn(async move {
                let mut took = Vec::new();
                let mut pace = tokio::time::interval(PACE);
                while !*over.borrow() {
                    pace.tick().await;
                    let called = Instant::now();
                    doors.call(Way::HttpWhole, "chat").await.good();
                    took.push(called.elapsed());
                    if count.fetch_add(1, Relaxed).is_multiple_of(10) {
                        let ready = admin.get("/readyz").send().await;
                        assert!(ready.status.is_success(), "{}", ready.everything());
                    }
                }
                took
            });
        }
        Self { callers, calls, over }
    }

    /// Waits until every caller has called so often again that it would have been noticed if calls had suffered.
    pub(super) async fn enough(&self) {
        let counts = || self.calls.iter().map(|calls| calls.load(Relaxed));
        let wanted: Vec<usize> = counts().map(|calls| calls + ENOUGH).collect();
        let began = Instant::now();
        while counts().zip(&wanted).any(|(calls, wanted)| calls < *wanted) {
            assert!(began.elapsed() < Duration::from_secs(30), "the callers stand still, or one of them has failed");
            tokio::time::sleep(ms(5)).await;
        }
    }

    /// Ends the callers. None has failed, none waited for the store.
    pub(super) async fn end(mut self) {
        self.over.send_replace(true);
        while let Some(ended) = self.callers.join_next().await {
            let mut took = ended.unwrap();
            took.sort_unstable();
            let (median, slowest) = (took[took.len() / 2], took[took.len() - 1]);
            assert!(median < MEDIAN && slowest < SLOWEST, "{median:?} in the middle, {slowest:?} at most");
        }
    }
}
