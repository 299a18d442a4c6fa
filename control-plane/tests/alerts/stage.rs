//! A store, deliverers on it, and what befalls a fleet's alerts.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use fusebox_control_plane::alerts::{
    Channel, ChannelKind, Deliverer, PagerDuty, Route, Secret, Settings, Slack, Webhook,
};
use fusebox_proto::v1;
use fusebox_rules::{
    fleet::{Alert, Condition, Figures, Stamp},
    moment::Moment,
};
use fusebox_store::{
    Operation, Store,
    alerts::{Acknowledge, Limits, Raise, Raised, Resolve},
    redis::Address,
};
use fusebox_tests::receiver::Told;
use tokio::{
    task::{AbortHandle, JoinSet},
    time::{interval, timeout},
};

/// Longer than anything here takes, however busy the machine is.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// The key under which webhooks are signed here.
pub(crate) const SECRET: &str = "whsec-of-a-test";

/// One replica.
pub(crate) struct Replica {
    pub(crate) deliverer: Arc<Deliverer>,
    pub(crate) store: Arc<Store>,
    task: AbortHandle,
    tasks: JoinSet<()>,
}

impl Replica {
    pub(crate) fn start(name: &str, store: Arc<Store>, settings: Settings) -> Self {
        let deliverer = Arc::new(Deliverer::new(Arc::clone(&store), settings, "eu 1", name));
        let mut tasks = JoinSet::new();
        let task = tasks.spawn(Arc::clone(&deliverer).run());
        Self { deliverer, store, task, tasks }
    }

    /// Alone, with a store of its own.
    pub(crate) fn alone(channels: Vec<Channel>) -> Self {
        Self::start("alone", here(), at_once(channels))
    }

    /// Ends it in the middle of whatever it does.
    pub(crate) async fn kill(&mut self) {
        self.task.abort();
        self.ended().await;
    }

    pub(crate) async fn ended(&mut self) {
        let ended = timeout(PATIENCE, self.tasks.join_next()).await.expect("it ends").expect("it ran");
        assert!(ended.is_ok() || ended.unwrap_err().is_cancelled());
    }

    async fn ask<O: Operation>(&self, operation: &O) -> O::Reply {
        self.store.ask(operation, PATIENCE).await.unwrap().1
    }

    pub(crate) async fn raise(&self, provider: &str) -> Alert {
        let condition = spike(provider);
        match self.ask(&Raise { condition: &condition, at: now(), limits: Limits::default() }).await {
            Raised::New(alert) => alert,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn acknowledge(&self, alert: &Alert) {
        self.ask(&Acknowledge { id: alert.id, by: "ada", at: now() }).await.expect("it is known");
    }

    pub(crate) async fn resolve(&self, alert: &Alert) {
        self.ask(&Resolve { key: &alert.condition.key, at: now() }).await.expect("it fires");
    }

    /// What became of an alert at the only channel, once it is shown so.
    pub(crate) async fn delivery(&self, alert: &Alert, is: impl Fn(&v1::Delivery) -> bool) -> v1::Delivery {
        let mut clock = interval(Duration::from_millis(10));
        let waiting = async {
            loop {
                clock.tick().await;
                let found = self.deliverer.deliveries().of_alert(alert.id);
                if let Some(delivery) = found.into_iter().find(|delivery| is(delivery)) {
                    return delivery;
                }
            }
        };
        let waited = timeout(PATIENCE, waiting).await;
        waited.unwrap_or_else(|_| panic!("still {:?}", self.deliverer.deliveries().of_alert(alert.id)))
    }
}

pub(crate) fn here() -> Arc<Store> {
    Arc::new(Store::here("eu 1", Box::new(now)))
}

pub(crate) async fn redis(url: &str) -> Arc<Store> {
    let nanos = AtomicU64::new(0);
    let clock = Arc::new(move || Moment::from_nanos(nanos.fetch_add(1, Ordering::Relaxed) + 1));
    let store = Store::redis(Address::parse(url).unwrap(), "eu 1", clock).unwrap();
    let mut changes = store.link_changes().unwrap();
    timeout(PATIENCE, changes.wait_for(|state| state.connected)).await.expect("connects").unwrap();
    Arc::new(store)
}

pub(crate) fn now() -> Stamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    Stamp::from_millis(u64::try_from(since.as_millis()).unwrap())
}

pub(crate) fn spike(provider: &str) -> Condition {
    Condition::spike(provider, "timeout", Figures { recent: 120.0, historical: 12.0, multiplier: 10.0 })
}

/// All alerts to all channels, each by itself as soon as it is there.
pub(crate) fn at_once(channels: Vec<Channel>) -> Settings {
    let none = Duration::ZERO;
    let route = Route { group_wait: none, group_interval: none, ..Route::default() };
    Settings { channels, routes: vec![route], dashboard: Some("https://fusebox.example/".into()) }
}

pub(crate) fn webhook(url: &str) -> Channel {
    let kind = Webhook { url: Secret::new(url), secret: Some(Secret::new(SECRET)), ca_file: None };
    Channel { name: "hook".into(), kind: ChannelKind::Webhook(kind) }
}

pub(crate) fn slack(url: &str) -> Channel {
    Channel { name: "chat".into(), kind: ChannelKind::Slack(Slack { url: Secret::new(url) }) }
}

pub(crate) fn pagerduty(url: &str) -> Channel {
    let kind = PagerDuty { routing_key: Secret::new("r0uting"), url: url.to_owned() };
    Channel { name: "oncall".into(), kind: ChannelKind::PagerDuty(kind) }
}

/// The key under which an alert is told.
pub(crate) fn key(alert: &Alert) -> String {
    format!("fusebox/eu%201/{}", alert.id)
}

/// Whether a message to a webhook is about an alert.
pub(crate) fn is_about(told: &Told, alert: &Alert) -> bool {
    told.json()["alerts"].as_array().unwrap().iter().any(|one| one["dedupKey"] == key(alert))
}

/// What a webhook has taken of an alert, in order: the words.
pub(crate) fn words(told: &[Told], alert: &Alert) -> Vec<String> {
    let taken = told.iter().filter(|told| told.taken && is_about(told, alert));
    taken.map(|told| told.json()["event"].as_str().unwrap().to_owned()).collect()
}
