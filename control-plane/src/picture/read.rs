//! Reads the store: all of it at a pace, and at once when something was heard or changed.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use fusebox_base::clock;
use fusebox_rules::{
    fleet::{Stamp, settings::Settings},
    moment::Moment,
};
use fusebox_store::{
    Operation, Store, StoreError,
    alerts::Firing,
    breaker::Look,
    errors::{Counts, History},
    presence::{Alive, Live},
    settings::{Condition, GetSettings, PutSettings},
    silences,
};
use futures_util::future::{join_all, try_join_all};
use tokio::sync::{Mutex, Notify, watch};

use super::{
    Picture,
    paint::{Frame, paint},
    seen::{Seen, Series},
};
use crate::alerts::Silence;
/// How long the store may take to answer.
pub(crate) const LIMIT: Duration = Duration::from_secs(2);
/// Between two looks at a fleet that is not large.
const EVERY: Duration = Duration::from_secs(1);
/// Sidecars of a fleet that is not large. More of them are looked at more seldom.
const MANY: usize = 500;
/// Between two looks, however much is heard.
const LEAST: Duration = Duration::from_millis(100);
/// Between two looks at counts, which move slowly and are long to read.
const COUNTS_EVERY: Duration = Duration::from_secs(2);
/// How long a sidecar that went silent is shown.
pub(crate) const LATELY: Duration = Duration::from_secs(60);
/// Heartbeats that are read at a time.
const PAGE: u32 = 500;

/// What asks the store and paints.
pub struct Reader {
    store: Arc<Store>,
    /// What is not in the store, made anew for each picture.
    frame: Box<dyn Fn(&Seen) -> Frame + Send + Sync>,
    /// One look at a time; whoever waits gets a picture that was begun after they asked.
    known: Mutex<Known>,
    pictures: watch::Sender<Arc<Picture>>,
    /// The newest settings that were ever seen, to be put back where the store has lost them.
    newest: ArcSwap<Settings>,
    bell: Notify,
    well: AtomicBool,
}

#[derive(Default)]
struct Known {
    /// When counts were last read.
    counted: Option<Moment>,
    series: BTreeMap<String, Series>,
}

impl Reader {
    /// What reads `store`. Nothing is seen yet.
    #[must_use]
    pub fn new(store: Arc<Store>, frame: Box<dyn Fn(&Seen) -> Frame + Send + Sync>) -> Self {
        Self {
            store,
            frame,
            known: Mutex::default(),
            pictures: watch::Sender::new(Arc::new(Picture::default())),
            newest: ArcSwap::default(),
            bell: Notify::new(),
            well: AtomicBool::new(true),
        }
    }

    /// The last picture.
    #[must_use]
    pub fn last(&self) -> Arc<Picture> {
        Arc::clone(&self.pictures.borrow())
    }

    /// The last picture, and each that follows. One who looks away sees the newest next.
    #[must_use]
    pub fn follow(&self) -> watch::Receiver<Arc<Picture>> {
        self.pictures.subscribe()
    }

    /// The store that is read.
    #[must_use]
    pub fn store(&self) -> &Arc<Store> {
        &self.store
    }

    /// Whether the store could be read when it was last tried.
    #[must_use]
    pub fn is_well(&self) -> bool {
        self.well.load(Relaxed)
    }

    /// Something has changed: look soon.
    pub fn ring(&self) {
        self.bell.notify_one();
    }

    /// Looks, again and again. Does not end.
    pub async fn run(&self) {
        loop {
            let began = clock::now();
            let picture = self.look().await;
            let sidecars = picture.fleet.sidecars.len();
            let pause = EVERY.mul_f64(share(sidecars.max(MANY), MANY));
            tokio::select! {
                () = tokio::time::sleep_until(clock::at(began + pause)) => {}
                () = self.bell.notified() => tokio::time::sleep_until(clock::at(began + LEAST.mul_f64(share(sidecars.max(MANY), MANY)))).await,
            }
        }
    }

    /// Looks now. Where the store cannot be read, what was seen last comes back as stale.
    pub async fn look(&self) -> Arc<Picture> {
        let mut known = self.known.lock().await;
        let read = self.read(&mut known).await;
        self.tell(read.as_ref().err());
        let seen = read.unwrap_or_else(|_| Seen { stale: true, ..Seen::clone(&self.last().seen) });
        let frame = (self.frame)(&seen);
        let fleet = paint(&seen, &frame);
        let picture = Arc::new(Picture::new(fleet, Arc::new(seen)));
        self.pictures.send_replace(Arc::clone(&picture));
        picture
    }

    /// Heartbeats as they are now; late ones are among them.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn everybody(&self) -> Result<Vec<Alive>, StoreError> {
        let (mut all, mut after) = (Vec::new(), Some(String::new()));
        while let Some(from) = after {
            let (_, page) = self.ask(&Live { after: &from, most: PAGE, lately: LATELY }).await?;
            all.extend(page.sidecars);
            after = page.next;
        }
        Ok(all)
    }

    /// The settings as they are now. What the store has lost is put back first.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn settings(&self) -> Result<(Stamp, Arc<Settings>), StoreError> {
        let (now, held) = self.ask(&GetSettings).await?;
        let newest = self.newest.load_full();
        if held.version >= newest.version {
            return Ok((now, self.remember(held)));
        }
        let put = PutSettings { settings: &newest, condition: Condition::IsNewer };
        let (now, placed) = self.ask(&put).await?;
        tracing::warn!(version = newest.version, "the store had lost what was set; it was put back");
        Ok((now, self.remember(placed.settings)))
    }

    /// Keeps `settings`, to be put back where the store loses them; the newest that are known.
    pub fn remember(&self, settings: Settings) -> Arc<Settings> {
        let settings = Arc::new(settings);
        self.newest.rcu(|newest| {
            let newer = if settings.version > newest.version { &settings } else { newest };
            Arc::clone(newer)
        });
        self.newest.load_full()
    }

    /// Asks the store.
    ///
    /// # Errors
    /// It cannot be reached, refuses, or is not understood.
    pub async fn ask<O: Operation>(&self, operation: &O) -> Result<(Stamp, O::Reply), StoreError> {
        self.store.ask(operation, LIMIT).await
    }

    async fn read(&self, known: &mut Known) -> Result<Seen, StoreError> {
        let (at, settings) = self.settings().await?;
        let sidecars = self.everybody().await?;
        let (_, firing) = self.ask(&Firing).await?;
        let (_, silences) = self.ask(&silences::List).await?;
        let silences = silences.iter().filter_map(Silence::of).collect();
        let mut seen = Seen { at, stale: false, sidecars, settings, firing, silences, ..Seen::default() };
        let names: Vec<String> = seen.providers().into_iter().map(str::to_owned).collect();
        // They share one connection, so that all of them are one round trip.
        let looks = names.iter().map(|provider| async move { self.ask(&Look { provider }).await });
        let looked = try_join_all(looks).await?;
        seen.breakers = names.iter().cloned().zip(looked.into_iter().map(|(_, looked)| looked.record)).collect();
        self.count(known, &names).await;
        seen.series.clone_from(&known.series);
        Ok(seen)
    }

    /// Reads calls and errors, if it is time to. What cannot be read stays as it was.
    async fn count(&self, known: &mut Known, names: &[String]) {
        let now = clock::now();
        if known.counted.is_some_and(|counted| now < counted + COUNTS_EVERY) {
            return;
        }
        known.counted = Some(now);
        let counted = join_all(names.iter().map(|provider| async move {
            let (_, tally) = self.ask(&Counts { provider }).await.ok()?;
            let (_, minutes) = self.ask(&History { provider }).await.ok()?;
            Some((provider.clone(), Series { tally, minutes }))
        }));
        for (provider, series) in counted.await.into_iter().flatten() {
            known.series.insert(provider, series);
        }
        known.series.retain(|provider, _| names.contains(provider));
    }

    /// Says once that the store cannot be read, and once that it can again.
    fn tell(&self, error: Option<&StoreError>) {
        let was_well = self.well.swap(error.is_none(), Relaxed);
        match error {
            Some(error) if was_well => tracing::warn!(%error, "the store cannot be read; what is shown is stale"),
            None if !was_well => tracing::info!("the store can be read again"),
            _ => {}
        }
    }
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").field("store", &self.store).field("well", &self.well).finish_non_exhaustive()
    }
}

#[expect(clippy::cast_precision_loss, reason = "far fewer sidecars than a double holds exactly")]
fn share(some: usize, of: usize) -> f64 {
    some as f64 / of as f64
}
