//! Whether the machine stood still: a thread that does nothing but sleep a little, and sees when it slept for longer.
//! What happened then is the machine's lateness and not the sidecar's.

use std::{
    collections::VecDeque,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use parking_lot::Mutex;

/// Between two looks at the clock.
const NAP: Duration = Duration::from_millis(5);
/// What a nap may be longer than that on a machine that is merely busy.
const BUSY: Duration = Duration::from_millis(20);
/// Spans remembered: those of the last calls matter.
const MOST: usize = 4_096;

/// The spans in which it stood still.
#[derive(Debug, Clone, Default)]
pub(crate) struct Bystander(Arc<Mutex<VecDeque<(Instant, Instant)>>>);

impl Bystander {
    /// Begins to look.
    pub(crate) fn start() -> Self {
        let bystander = Self::default();
        let spans = Arc::downgrade(&bystander.0);
        thread::spawn(move || {
            while let Some(spans) = spans.upgrade() {
                let due = Instant::now() + NAP;
                thread::sleep(NAP);
                let now = Instant::now();
                if now > due + BUSY {
                    let mut spans = spans.lock();
                    if spans.len() == MOST {
                        spans.pop_front();
                    }
                    spans.push_back((due, now));
                }
            }
        });
        bystander
    }

    /// For how long it stood still between the two.
    pub(crate) fn stood_still(&self, from: Instant, to: Instant) -> Duration {
        let within =
            |(began, ended): &(Instant, Instant)| (*ended).min(to).saturating_duration_since((*began).max(from));
        self.0.lock().iter().rev().take_while(|(_, ended)| *ended > from).map(within).sum()
    }
}
