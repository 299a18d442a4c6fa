//! The loop that delivers: one replica at a time leads, by a lease; the others show what it does, and are ready to go on.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use fusebox_rules::fleet::Stamp;
use fusebox_store::{
    AlertNews, Store, StoreError,
    lock::{Lock, Unlock},
};
use opentelemetry::KeyValue;
use tokio::{
    sync::Notify,
    task::{Id, JoinSet},
    time::sleep,
};
use tokio_util::sync::CancellationToken;

use super::{
    Deliveries, Settings,
    channel::Sender,
    lead::{Before, Follower, Lead, Leads, Terms, ask, silences},
    policy::{Became, Message, Outcome},
    words::Note,
};
use crate::telemetry::{End, Traces};

/// What whoever delivers holds.
const LOCK: &str = "deliver";
/// How long it is held without a word of its holder: as long may pass until another goes on.
const LEASE: Duration = Duration::from_secs(5);
/// Between two turns in which nothing happens.
const PACE: Duration = Duration::from_secs(1);

/// Delivers a fleet's alerts, in turn with other replicas.
#[derive(Debug)]
pub struct Deliverer {
    store: Arc<Store>,
    fleet: String,
    replica: String,
    ready: ArcSwap<Ready>,
    deliveries: Deliveries,
    leads: AtomicBool,
    woken: Notify,
    closing: CancellationToken,
    traces: Traces,
}

/// Settings, and what was made of them.
#[derive(Debug)]
struct Ready {
    settings: Settings,
    /// By the channel's name; why it cannot be told, where it cannot.
    senders: HashMap<Arc<str>, Result<Arc<Sender>, String>>,
}

/// What the loop has at hand.
#[derive(Debug, Default)]
struct Desk {
    lead: Option<Lead>,
    /// What was known when this replica last led, if nobody has since.
    before: Option<Before>,
    follower: Follower,
    sending: JoinSet<Outcome>,
    /// What is on its way.
    sent: HashMap<Id, Message>,
    /// What was said to it; not taken in yet.
    answered: Vec<(Message, Outcome)>,
    /// Whether the store could not be asked the last time.
    is_lost: bool,
}

impl Deliverer {
    /// One for a fleet. `replica` tells it from all others. Nothing is done until it runs.
    #[must_use]
    pub fn new(store: Arc<Store>, settings: Settings, fleet: &str, replica: &str) -> Self {
        let deliveries = Deliveries::default();
        deliveries.configure(&settings);
        Self {
            store,
            fleet: fleet.to_owned(),
            replica: replica.to_owned(),
            ready: ArcSwap::from_pointee(Ready::new(settings)),
            deliveries,
            leads: AtomicBool::new(false),
            woken: Notify::new(),
            closing: CancellationToken::new(),
            traces: Traces::default(),
        }
    }

    /// The same, with a span for each message that is sent.
    #[must_use]
    pub fn traced(self, traces: Traces) -> Self {
        Self { traces, ..self }
    }

    /// Goes on with other settings. What is on its way is not called back; what a channel that stays has been told, it
    /// is not told again.
    pub fn exchange(&self, settings: Settings) {
        self.deliveries.configure(&settings);
        self.ready.store(Arc::new(Ready::new(settings)));
        self.woken.notify_one();
    }

    /// How deliveries go, in the whole fleet.
    #[must_use]
    pub const fn deliveries(&self) -> &Deliveries {
        &self.deliveries
    }

    /// Whether this replica is the one that delivers, as far as it knows: its lease may end while it cannot ask the store.
    #[must_use]
    pub fn leads(&self) -> bool {
        self.leads.load(Relaxed)
    }

    /// Begin no more deliveries, and let another replica go on: [`Deliverer::run`] ends once what is on its way has
    /// been answered, in 30 seconds at most.
    pub fn close(&self) {
        self.closing.cancel();
    }

    /// Delivers, or shows what another replica does, until it is closed. May be dropped at any time: then what was on
    /// its way is delivered again by whoever goes on, after a few seconds.
    pub async fn run(self: Arc<Self>) {
        let mut desk = Desk::default();
        let mut news = self.store.news_of_alerts().inspect_err(|error| {
            tracing::warn!(%error, "alerts are looked for every second, for nobody can tell of them");
        });
        loop {
            let closing = self.closing.is_cancelled();
            let turned = self.turn(&mut desk).await;
            self.note(&mut desk, turned.as_ref().err());
            self.leads.store(desk.lead.is_some() && !desk.is_lost, Relaxed);
            if closing && desk.sending.is_empty() {
                break;
            }
            tokio::select! {
                () = self.closing.cancelled(), if !closing => {}
                () = sleep(PACE) => {}
                () = self.woken.notified() => {}
                () = hear(news.as_mut().ok()) => {}
                Some(()) = desk.receive() => {}
            }
        }
        self.leads.store(false, Relaxed);
        if desk.lead.is_some() {
            // If that fails, the lease ends by itself.
            let _ = ask(&self.store, &Unlock { name: LOCK, holder: &self.replica }).await;
        }
    }

    /// One round: whose turn it is, what has happened, what is to be said.
    async fn turn(&self, desk: &mut Desk) -> Result<(), StoreError> {
        let lock = Lock { name: LOCK, holder: &self.replica, lasts: LEASE };
        let (now, locked) = ask(&self.store, &lock).await?;
        if !locked.mine {
            return self.follow(desk).await;
        }
        let ready = self.ready.load_full();
        let silences = silences(&self.store).await?;
        let terms = Terms { settings: &ready.settings, silences: &silences, now };
        if desk.lead.is_none() {
            let before = desk.before.clone().or_else(|| desk.follower.before());
            let lead = Lead::take_over(&self.store, before).await?;
            lead.show(&self.deliveries);
            (desk.lead, desk.before, desk.follower) = (Some(lead), None, Follower::default());
        }
        self.take_in(desk, now);
        let Some(lead) = &mut desk.lead else { return Ok(()) };
        let leads = lead.hear(&self.store, &self.deliveries, &terms).await?;
        if leads == Leads::NoMore {
            tracing::info!("this replica delivers alerts no more, until it takes over again");
            desk.before = desk.lead.take().map(Lead::into_before);
            self.woken.notify_one();
            return Ok(());
        }
        if !self.closing.is_cancelled() {
            self.send(desk, &ready, &terms);
        }
        Ok(())
    }

    async fn follow(&self, desk: &mut Desk) -> Result<(), StoreError> {
        // What was on its way is for the one who leads to find out.
        desk.answered.clear();
        desk.before = None;
        if desk.lead.take().is_some() {
            tracing::info!("another replica delivers alerts");
        }
        desk.follower.follow(&self.store, &self.deliveries).await
    }

    /// Takes in what receivers have said.
    fn take_in(&self, desk: &mut Desk, now: Stamp) {
        let Some(lead) = &mut desk.lead else { return };
        for (message, outcome) in desk.answered.drain(..) {
            let became = lead.state.answered(&message, &outcome, now, fastrand::f64());
            self.deliveries.count(&message.channel, became);
            tell(&message, &outcome, became);
        }
    }

    /// Sends to each channel that is not being told anything the first of what it is to be told.
    fn send(&self, desk: &mut Desk, ready: &Ready, terms: &Terms<'_>) {
        let Some(lead) = &desk.lead else { return };
        let mut busy: HashSet<_> = desk.sent.values().map(|message| Arc::clone(&message.channel)).collect();
        for message in lead.state.due(terms.settings, terms.silences, terms.now) {
            let Some(sender) = ready.senders.get(&message.channel) else { continue };
            if !busy.insert(Arc::clone(&message.channel)) {
                continue;
            }
            let (sender, now, dashboard) = (sender.clone(), terms.now, terms.settings.dashboard.clone());
            let note = Note { fleet: self.fleet.clone(), dashboard, message: message.clone() };
            let traces = self.traces.clone();
            let task = desk.sending.spawn(async move {
                let attributes = known(&note);
                let sending = async {
                    match sender {
                        Ok(sender) => sender.send(&note, now).await,
                        Err(why) => Outcome::Later { why, after: None },
                    }
                };
                traces.client("deliver alerts".to_owned(), attributes, sending, end).await
            });
            desk.sent.insert(task.id(), message);
        }
    }

    /// Says once that the store cannot be asked, and once that it can again.
    fn note(&self, desk: &mut Desk, error: Option<&StoreError>) {
        match (error, desk.is_lost) {
            (Some(error), false) => tracing::warn!(%error, "no alerts are delivered while the store cannot be asked"),
            (None, true) => tracing::info!("the store can be asked again for alerts"),
            _ => {}
        }
        desk.is_lost = error.is_some();
    }
}

impl Ready {
    fn new(settings: Settings) -> Self {
        let sender = |channel: &super::Channel| {
            let sender = Sender::try_new(&channel.kind).map(Arc::new);
            if let Err(error) = &sender {
                tracing::warn!(channel = &*channel.name, error, "no alerts can be sent to this channel");
            }
            (Arc::clone(&channel.name), sender)
        };
        Self { senders: settings.channels.iter().map(sender).collect(), settings }
    }
}

impl Desk {
    /// What a receiver said next; `None`: nothing is on its way.
    async fn receive(&mut self) -> Option<()> {
        let (id, outcome) = match self.sending.join_next_with_id().await? {
            Ok(done) => done,
            Err(error) => (error.id(), Outcome::Later { why: "the attempt broke off".to_owned(), after: None }),
        };
        if let Some(message) = self.sent.remove(&id) {
            self.answered.push((message, outcome));
        }
        Some(())
    }
}

/// Ends when something may have become of an alert.
async fn hear(news: Option<&mut AlertNews>) {
    match news {
        Some(news) => news.next().await,
        None => std::future::pending().await,
    }
}

/// What a delivery's span tells of it from the start.
fn known(note: &Note) -> Vec<KeyValue> {
    let Note { fleet, message, .. } = note;
    vec![
        KeyValue::new("fusebox.fleet", fleet.clone()),
        KeyValue::new("fusebox.channel", message.channel.to_string()),
        KeyValue::new("fusebox.alert.word", super::words::name(message.word)),
        KeyValue::new("fusebox.alerts", i64::try_from(message.items.len()).unwrap_or(i64::MAX)),
    ]
}

/// What it tells of its end.
fn end(outcome: &Outcome) -> End {
    let error = match outcome {
        Outcome::Delivered => None,
        Outcome::Later { why, .. } => Some(("delivery_failed", why.clone())),
        Outcome::Refused { why } => Some(("delivery_refused", why.clone())),
    };
    End { error, ..End::default() }
}

fn tell(message: &Message, outcome: &Outcome, became: Became) {
    let (channel, alerts) = (&*message.channel, message.items.len());
    let word = super::words::name(message.word);
    let why = match outcome {
        Outcome::Delivered => "",
        Outcome::Later { why, .. } | Outcome::Refused { why } => why,
    };
    match became {
        Became::Delivered => tracing::debug!(channel, word, alerts, "alerts were delivered"),
        Became::TriedAgain => tracing::info!(channel, word, alerts, why, "alerts could not be delivered yet"),
        Became::Failed => tracing::error!(channel, word, alerts, why, "alerts were not delivered"),
    }
}
