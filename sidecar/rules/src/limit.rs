//! How many calls a provider may have in flight: a limit that follows what the provider can do.
//!
//! Driven by the time to the first token, as that is what waiting in a server's queue adds to, and by the depth of that
//! queue where the server tells it; not by whole answers, whose length is the callers' affair. The form is that of
//! Netflix's Gradient2 limit (limit × tolerance × long-term latency / latency + headroom), but headroom is added only
//! while the limit is made use of, and the long-term latency hardly learns from a time in which calls may be queueing:
//! else a long overload becomes what is normal.

use std::time::Duration;

use crate::moment::Moment;

/// Between which bounds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Never fewer; so few at once are taken never to queue.
    pub min: u32,
    /// Never more, and what a new limit begins with: a healthy provider is not held back until it has proved itself.
    pub max: u32,
}

/// What happened since the last window.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Window {
    /// First tokens that came.
    pub first_tokens: u32,
    /// How long all of them together took.
    pub waited: Duration,
    /// Calls that ended.
    pub ended: u32,
    /// Of them, those that an overloaded provider refused or did not answer in time.
    pub overloads: u32,
    /// The most calls at once.
    pub peak: u32,
    /// What the server says of itself; `None`: it does not.
    pub queue: Option<Queue>,
}

/// An inference server's own account of its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Queue {
    /// Requests being worked on.
    pub running: u32,
    /// Requests that wait.
    pub waiting: u32,
}

/// First tokens that make a mean worth comparing.
const MIN_SAMPLES: u32 = 10;
/// How many times later than usual a first token may come: prompts differ.
const TOLERANCE: f64 = 2.0;
/// The most that one window takes away.
const LEAST_GRADIENT: f64 = 0.5;
/// The least time that a decrease is given to be felt: the next second's window still holds calls from before it.
const LEAST_SETTLING: Duration = Duration::from_millis(1_500);
/// What a window with overloads leaves, and what share of its calls they must be.
const AFTER_OVERLOAD: f64 = 0.8;
const OVERLOADED_SHARE: f64 = 0.05;
/// What a window that made use of the limit adds to it, in square roots of it.
const HEADROOM: f64 = 0.5;

/// What is remembered between windows.
#[derive(Debug, Clone)]
pub struct Limit {
    limit: f64,
    /// The usual time to the first token, in seconds; zero until one is known.
    usual: f64,
    /// First tokens that were too few to compare, and their sum.
    kept: u32,
    kept_waited: Duration,
    /// Until then the last decrease has not been felt.
    settling_until: Moment,
}

impl Limit {
    /// A limit that has seen nothing.
    #[must_use]
    pub fn new(settings: &Settings) -> Self {
        Self {
            limit: f64::from(settings.max),
            usual: 0.0,
            kept: 0,
            kept_waited: Duration::ZERO,
            settling_until: Moment::ZERO,
        }
    }

    /// Calls that may be in flight.
    #[must_use]
    pub fn calls(&self, settings: &Settings) -> u32 {
        #[expect(clippy::cast_sign_loss, reason = "clamped to what is not negative; not a number becomes zero")]
        let calls = self.limit.clamp(0.0, f64::from(u32::MAX)) as u32;
        calls.clamp(settings.min, settings.max.max(settings.min))
    }

    /// Hears of one window that ends at `now`, and says the limit from then on.
    pub fn close(&mut self, settings: &Settings, window: &Window, now: Moment) -> u32 {
        let mean = self.mean(window);
        let (limit, peak) = (f64::from(self.calls(settings)), f64::from(window.peak));
        let target = match (mean, window.queue) {
            // Where the server says that nobody waits, a late first token is a long prompt's.
            (_, Some(queue)) => queue.target(window.peak),
            (Some(mean), None) => self.gradient(mean).map(|gradient| limit.min(peak) * gradient),
            (None, None) => None,
        };
        let overloaded = f64::from(window.overloads) > f64::from(window.ended) * OVERLOADED_SHARE;
        let target =
            if overloaded { Some(target.unwrap_or(f64::MAX).min(limit.min(peak) * AFTER_OVERLOAD)) } else { target };
        if let Some(mean) = mean {
            self.learn(mean, settings, window, limit);
        }
        let known = mean.is_some() || window.queue.is_some() || window.ended > 0;
        match target {
            Some(target) if target < limit && now >= self.settling_until => {
                self.limit = target;
                // What this does shows only once calls that begin after it have their first tokens.
                let felt_after = Duration::try_from_secs_f64(mean.unwrap_or(self.usual)).unwrap_or_default();
                self.settling_until = now + felt_after.max(LEAST_SETTLING);
            }
            None if known && peak * 2.0 >= limit && now >= self.settling_until => {
                self.limit = limit + limit.sqrt() * HEADROOM;
            }
            _ => {}
        }
        self.limit = self.limit.clamp(f64::from(settings.min), f64::from(settings.max.max(settings.min)));
        self.calls(settings)
    }

    /// The mean time to the first token, in seconds, once there are enough to tell.
    fn mean(&mut self, window: &Window) -> Option<f64> {
        self.kept = self.kept.saturating_add(window.first_tokens);
        self.kept_waited = self.kept_waited.saturating_add(window.waited);
        if self.kept < MIN_SAMPLES {
            return None;
        }
        let mean = self.kept_waited.as_secs_f64() / f64::from(self.kept);
        (self.kept, self.kept_waited) = (0, Duration::ZERO);
        Some(mean)
    }

    /// What share of the calls would have had their first tokens in time; `None`: all.
    fn gradient(&self, mean: f64) -> Option<f64> {
        let gradient = TOLERANCE * self.usual / mean;
        (self.usual > 0.0 && gradient < 1.0).then(|| gradient.max(LEAST_GRADIENT))
    }

    /// Takes a mean into what is usual: at once while so few calls are in flight that none can have queued, slowly
    /// while there is room, and hardly while the limit is being pushed against, unless it is better than usual.
    fn learn(&mut self, mean: f64, settings: &Settings, window: &Window, limit: f64) {
        let weight = if self.usual <= 0.0 {
            1.0
        } else if window.peak <= settings.min {
            0.2
        } else if mean < self.usual || f64::from(window.peak) * 2.0 < limit {
            0.05
        } else {
            0.0005
        };
        self.usual += (mean - self.usual) * weight;
    }
}

impl Queue {
    /// How many of `sent` calls there should be so that what waits is a tenth of what runs, and one; `None`: no more
    /// wait than that, or none of ours does.
    fn target(self, sent: u32) -> Option<f64> {
        let (running, waiting) = (f64::from(self.running), f64::from(self.waiting));
        let allowed = running / 10.0 + 1.0;
        (waiting > allowed && sent > 0).then(|| f64::from(sent) * (running + allowed) / (running + waiting))
    }
}

#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;
