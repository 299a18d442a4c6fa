//! How many calls one provider has in flight from here, and who waits for a place.
//!
//! While nobody waits, taking a place and giving it back cost two atomic operations each and no lock; the lock is held
//! to join the line, to leave it and to call the next. How many places there are is decided once a window, on a timer,
//! from what was counted meanwhile. Until it is told between which bounds, there is no limit.

use std::{
    mem,
    sync::{
        Arc,
        atomic::{
            AtomicU32, AtomicU64, AtomicUsize,
            Ordering::{Relaxed, SeqCst},
        },
    },
    time::Duration,
};

use fusebox_rules::{
    error::ErrorKind,
    limit::{Limit, Queue, Settings, Window},
    line::{Class, Joined, Line, Ticket, expected_wait},
    moment::Moment,
};
use parking_lot::Mutex;
use tokio::sync::oneshot;

/// One provider's places. Survives a reload of the configuration, as its gate does.
#[derive(Debug)]
pub struct Limiter {
    taken: AtomicU32,
    limit: AtomicU32,
    waiting: AtomicUsize,
    line: Mutex<Line<oneshot::Sender<Slot>>>,
    counted: Counted,
    /// Places that fall free in a second, in thousandths.
    freed_per_1000s: AtomicU64,
    decided: Mutex<Decided>,
}

/// What was counted since the last window.
#[derive(Debug, Default)]
struct Counted {
    peak: AtomicU32,
    first_tokens: AtomicU32,
    waited_micros: AtomicU64,
    ended: AtomicU32,
    overloads: AtomicU32,
}

#[derive(Debug, Default)]
struct Decided {
    rule: Option<(Settings, Limit)>,
    window_began: Moment,
}

/// What a limiter shows of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Places {
    /// Calls that may be in flight; `None`: any number.
    pub limit: Option<u32>,
    /// Calls in flight.
    pub taken: u32,
    /// Calls that wait for a place.
    pub waiting: usize,
}

/// A place, until it is dropped.
#[derive(Debug)]
pub struct Slot(Option<Arc<Limiter>>);

/// Somebody in the line. Dropped, it waits no longer.
#[derive(Debug)]
pub struct Waiting {
    limiter: Arc<Limiter>,
    class: Class,
    ticket: Ticket,
    called: oneshot::Receiver<Slot>,
}

/// There is no room in the line, or no longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoRoom;

impl Default for Limiter {
    fn default() -> Self {
        Self {
            taken: AtomicU32::new(0),
            limit: AtomicU32::new(u32::MAX),
            waiting: AtomicUsize::new(0),
            line: Mutex::default(),
            counted: Counted::default(),
            freed_per_1000s: AtomicU64::new(0),
            decided: Mutex::default(),
        }
    }
}

impl Limiter {
    /// A place, if there is one for `class` and nobody waits.
    #[must_use]
    pub fn try_take(self: &Arc<Self>, class: Class) -> Option<Slot> {
        let free = self.waiting.load(SeqCst) == 0 && self.take(class.share(self.limit.load(Relaxed)));
        free.then(|| Slot(Some(Arc::clone(self))))
    }

    /// A place whether there is one or not, for a call that has been admitted elsewhere.
    #[must_use]
    pub fn take_anyway(self: &Arc<Self>) -> Slot {
        self.take(u32::MAX);
        Slot(Some(Arc::clone(self)))
    }

    /// Whether a call of `class` would get a place at once; asking takes nothing.
    #[must_use]
    pub fn has_room(&self, class: Class) -> bool {
        self.waiting.load(Relaxed) == 0 && self.taken.load(Relaxed) < class.share(self.limit.load(Relaxed))
    }

    /// A place in the line, in which at most `most` may wait.
    ///
    /// # Errors
    /// So many do.
    pub fn wait(self: &Arc<Self>, class: Class, most: usize) -> Result<Waiting, NoRoom> {
        let (call, called) = oneshot::channel();
        let mut line = self.line.lock();
        let ticket = match line.join(most, class, call) {
            Joined::Waiting(ticket) => {
                self.waiting.fetch_add(1, SeqCst);
                ticket
            }
            // Whoever was displaced hears of it as its caller is dropped.
            Joined::InPlaceOf(ticket, _displaced) => ticket,
            Joined::Full(_) => return Err(NoRoom),
        };
        // A place may have fallen free before anyone could see that somebody waits.
        self.call_next(&mut line);
        Ok(Waiting { limiter: Arc::clone(self), class, ticket, called })
    }

    /// How long a call of `class` that came now would wait; `None`: nobody knows.
    #[must_use]
    pub fn expected_wait(&self, class: Class) -> Option<Duration> {
        let per_second = self.freed_per_1000s.load(Relaxed) as f64 / 1_000.0;
        expected_wait(self.line.lock().ahead_of(class), per_second)
    }

    /// A first token came, so long after it was asked for.
    pub fn first_token(&self, took: Duration) {
        self.counted.first_tokens.fetch_add(1, Relaxed);
        self.counted.waited_micros.fetch_add(u64::try_from(took.as_micros()).unwrap_or(u64::MAX), Relaxed);
    }

    /// An attempt failed.
    pub fn failed(&self, kind: ErrorKind) {
        if matches!(kind, ErrorKind::ModelOverloaded | ErrorKind::InferenceTimeout) {
            self.counted.overloads.fetch_add(1, Relaxed);
        }
    }

    /// From now on the limit is between these bounds; `None`: there is none.
    pub fn set(self: &Arc<Self>, settings: Option<&Settings>) {
        let mut decided = self.decided.lock();
        decided.rule = settings.map(|settings| match decided.rule.take() {
            Some((_, limit)) => (settings.clone(), limit),
            None => (settings.clone(), Limit::new(settings)),
        });
        let calls = decided.rule.as_ref().map_or(u32::MAX, |(settings, limit)| limit.calls(settings));
        drop(decided);
        self.open(calls);
    }

    /// Ends a window at `now`, in which the server said this of its queue, and follows what it says.
    pub fn close_window(self: &Arc<Self>, queue: Option<Queue>, now: Moment) {
        let counted = &self.counted;
        let taken = self.taken.load(Relaxed);
        let window = Window {
            first_tokens: counted.first_tokens.swap(0, Relaxed),
            waited: Duration::from_micros(counted.waited_micros.swap(0, Relaxed)),
            ended: counted.ended.swap(0, Relaxed),
            overloads: counted.overloads.swap(0, Relaxed),
            peak: counted.peak.swap(taken, Relaxed).max(taken),
            queue,
        };
        let mut decided = self.decided.lock();
        let lasted = now.since(mem::replace(&mut decided.window_began, now)).as_secs_f64();
        self.note_rate(&window, lasted);
        let Some((settings, limit)) = &mut decided.rule else { return };
        let calls = limit.close(settings, &window, now);
        drop(decided);
        self.open(calls);
    }

    /// What there is to show.
    #[must_use]
    pub fn places(&self) -> Places {
        let limit = self.limit.load(Relaxed);
        Places {
            limit: (limit != u32::MAX).then_some(limit),
            taken: self.taken.load(Relaxed),
            waiting: self.waiting.load(Relaxed),
        }
    }

    fn take(&self, most: u32) -> bool {
        let taken = self.taken.fetch_update(SeqCst, Relaxed, |taken| (taken < most).then(|| taken.saturating_add(1)));
        if let Ok(before) = taken
            && before >= self.counted.peak.load(Relaxed)
        {
            self.counted.peak.fetch_max(before + 1, Relaxed);
        }
        taken.is_ok()
    }

    fn give_back(self: &Arc<Self>) {
        self.counted.ended.fetch_add(1, Relaxed);
        self.taken.fetch_sub(1, SeqCst);
        if self.waiting.load(SeqCst) > 0 {
            self.call_next(&mut self.line.lock());
        }
    }

    fn open(self: &Arc<Self>, calls: u32) {
        self.limit.store(calls, SeqCst);
        if self.waiting.load(SeqCst) > 0 {
            self.call_next(&mut self.line.lock());
        }
    }

    /// Gives the places there are to those who wait.
    fn call_next(self: &Arc<Self>, line: &mut Line<oneshot::Sender<Slot>>) {
        while let Some(call) = line.next(self.taken.load(SeqCst), self.limit.load(SeqCst)) {
            self.waiting.fetch_sub(1, SeqCst);
            if let Err(mut refused) = call.send(self.take_anyway()) {
                // Whoever it was has just gone. Dropping the place here would take the line's lock again.
                refused.0 = None;
                self.taken.fetch_sub(1, SeqCst);
            }
        }
    }

    /// How fast places fall free. A window with little to do says nothing of that.
    fn note_rate(&self, window: &Window, seconds: f64) {
        let before = self.freed_per_1000s.load(Relaxed) as f64 / 1_000.0;
        let rate = match f64::from(window.ended) / seconds.max(0.001) {
            _ if window.peak < self.limit.load(Relaxed) / 2 => 0.0,
            rate if before == 0.0 => rate,
            rate => before + (rate - before) * 0.3,
        };
        #[expect(clippy::cast_sign_loss, reason = "a rate is not negative")]
        self.freed_per_1000s.store((rate * 1_000.0) as u64, Relaxed);
    }
}

impl Slot {
    /// Whether it is a place at `limiter`.
    #[must_use]
    pub fn is_at(&self, limiter: &Arc<Limiter>) -> bool {
        self.0.as_ref().is_some_and(|own| Arc::ptr_eq(own, limiter))
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if let Some(limiter) = &self.0 {
            limiter.give_back();
        }
    }
}

impl Waiting {
    /// Waits to be called.
    ///
    /// # Errors
    /// Somebody who goes first took the place in the line.
    pub async fn called(&mut self) -> Result<Slot, NoRoom> {
        (&mut self.called).await.map_err(|_| NoRoom)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if self.limiter.line.lock().leave(self.class, self.ticket).is_some() {
            self.limiter.waiting.fetch_sub(1, SeqCst);
        }
    }
}

#[cfg(test)]
mod tests;
