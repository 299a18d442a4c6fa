//! What operators have set for the fleet: fetched when its version moves, put back where the store has lost it.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use fusebox_rules::{
    breaker::Mode,
    fleet::{Stamp, settings::Settings},
};
use fusebox_store::{
    StoreError,
    settings::{Condition, GetSettings, PutSettings},
};
use tokio::sync::{Notify, watch};

use super::Fleet;

/// The newest settings that this sidecar has heard of, and which of them it holds to.
#[derive(Debug, Default)]
pub struct Orders {
    newest: watch::Sender<Arc<Settings>>,
    applied: AtomicU64,
    /// Rung as others come into force.
    moved: Notify,
}

impl Orders {
    /// The newest, and every change of it from now on.
    #[must_use]
    pub fn follow(&self) -> watch::Receiver<Arc<Settings>> {
        self.newest.subscribe()
    }

    /// The newest.
    #[must_use]
    pub fn newest(&self) -> Arc<Settings> {
        Arc::clone(&self.newest.borrow())
    }

    /// Those of `version` are in force here from now on.
    pub fn apply(&self, version: u64) {
        if self.applied.swap(version, Relaxed) != version {
            self.moved.notify_one();
        }
    }

    /// Waits until others have come into force since this was last asked.
    pub(super) async fn moved(&self) {
        self.moved.notified().await;
    }

    /// The version that is in force here.
    #[must_use]
    pub fn applied(&self) -> u64 {
        self.applied.load(Relaxed)
    }

    /// What a provider's breaker is forced to.
    pub(super) fn mode(&self, provider: &str, now: Stamp) -> Mode {
        self.newest.borrow().provider(provider, now).breaker.map_or(Mode::Auto, |said| said.value)
    }

    /// Holds to `settings` if they are newer.
    fn hear(&self, settings: Settings) {
        self.newest.send_if_modified(|newest| {
            let newer = settings.version > newest.version;
            if newer {
                *newest = Arc::new(settings);
            }
            newer
        });
    }
}

impl Fleet {
    /// The store has settings of `version`: fetches what is newer than what is known here, and puts back what is older.
    pub(super) async fn compare_orders(&self, version: u64) -> Result<(), StoreError> {
        let newest = self.orders.newest();
        if version < newest.version {
            let put = PutSettings { settings: &newest, condition: Condition::IsNewer };
            let (_, placed) = self.ask(&put).await?;
            self.orders.hear(placed.settings);
        } else if version > newest.version {
            self.fetch_orders().await?;
        }
        Ok(())
    }

    /// Holds to what the store has, if it is newer.
    pub(super) async fn fetch_orders(&self) -> Result<(), StoreError> {
        let (_, settings) = self.ask(&GetSettings).await?;
        self.orders.hear(settings);
        Ok(())
    }
}
