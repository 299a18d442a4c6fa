//! How many watch at once, and that all watching ends as the process drains.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

use tokio_util::sync::CancellationToken;

use super::Refusal;

/// When who found no place may come again.
const RETRY_SECONDS: u64 = 10;

/// Bounds how many watch at once, and ends all watching as the process drains.
#[derive(Debug, Clone)]
pub struct Watchers {
    open: Arc<AtomicUsize>,
    most: usize,
    draining: CancellationToken,
}

/// A watcher's place; dropped, it is another's.
#[derive(Debug)]
pub struct Place {
    open: Arc<AtomicUsize>,
    draining: CancellationToken,
}

impl Watchers {
    /// `most` at once, until `draining`.
    #[must_use]
    pub fn new(most: usize, draining: CancellationToken) -> Self {
        Self { open: Arc::default(), most, draining }
    }

    /// How many watch.
    #[must_use]
    pub fn open(&self) -> usize {
        self.open.load(Relaxed)
    }

    /// One more.
    ///
    /// # Errors
    /// As many watch as may.
    pub fn place(&self) -> Result<Place, Refusal> {
        let place = Place { open: Arc::clone(&self.open), draining: self.draining.clone() };
        if self.open.fetch_add(1, Relaxed) < self.most {
            return Ok(place);
        }
        let why = format!(
            "{} watch, as many as may (limits.max_watchers): ask for the fleet now and then instead",
            self.most
        );
        Err(Refusal::TooMany { why, wait: RETRY_SECONDS })
    }
}

impl Place {
    /// Once there is no more watching.
    pub async fn ended(&self) {
        self.draining.cancelled().await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.open.fetch_sub(1, Relaxed);
    }
}
