//! Who watches: pictures of the fleet as they are painted, and what becomes of alerts, for as long as somebody looks.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

use fusebox_proto::v1;
use fusebox_store::alerts::Events;
use futures_core::Stream;
use futures_util::stream;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{
    control::{Control, Refusal},
    picture::Picture,
};

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

/// When who found no place may come again.
const RETRY_SECONDS: u64 = 10;
/// Events of alerts in one request.
const PAGE: u32 = 100;

impl Drop for Place {
    fn drop(&mut self) {
        self.open.fetch_sub(1, Relaxed);
    }
}

/// The fleet now, then again whenever it was painted anew. Who is slow sees fewer.
pub(super) fn pictures<T: Send>(
    mut pictures: watch::Receiver<Arc<Picture>>,
    place: Place,
    tell: impl Fn(&Picture) -> T + Send,
) -> impl Stream<Item = T> + Send {
    // The last one counts as news.
    pictures.mark_changed();
    stream::unfold((pictures, place, tell), |(mut pictures, place, tell)| async move {
        tokio::select! {
            changed = pictures.changed() => changed.ok()?,
            () = place.draining.cancelled() => return None,
        }
        let told = tell(&pictures.borrow_and_update().clone());
        Some((told, (pictures, place, tell)))
    })
}

/// What becomes of alerts from now on: each time one is raised, acknowledged or resolved.
pub(super) fn alerts<T: Send>(
    control: Arc<Control>,
    place: Place,
    tell: impl Fn(v1::Alert) -> T + Send,
) -> impl Stream<Item = T> + Send {
    let after = control.fleet().seen.at.as_millis();
    let state = (control, place, tell, after, Vec::<v1::Alert>::new());
    stream::unfold(state, |(control, place, tell, mut after, mut told)| async move {
        let mut pictures = control.reader().follow();
        while told.is_empty() {
            match control.reader().ask(&Events { after, most: PAGE }).await {
                Ok((_, events)) if !events.is_empty() => {
                    after = events.last().map_or(after, |event| event.number);
                    let seen = Arc::clone(&control.fleet().seen);
                    // The last is told first: from its end a list gives things away at no cost.
                    told = events.iter().rev().map(|event| control.alert(&event.alert, &seen)).collect();
                }
                // Nothing new, or no store: look again when the fleet was looked at again.
                _ => tokio::select! {
                    changed = pictures.changed() => changed.ok()?,
                    () = place.draining.cancelled() => return None,
                },
            }
        }
        let one = tell(told.pop()?);
        Some((one, (control, place, tell, after, told)))
    })
}
