//! Degradation by load: which of three levels a sidecar works at, and how much less is asked for at each.
//!
//! What is read, and what is done about a level, is not decided here.

use std::time::Duration;

use crate::moment::Moment;

/// How much of what callers ask for is asked of providers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[repr(u8)]
pub enum Level {
    /// All of it.
    #[default]
    Full = 0,
    /// Seven tenths.
    Reduced = 1,
    /// Four tenths, and nothing for those whom nobody waits for.
    Minimal = 2,
}

impl Level {
    /// All, from the best.
    pub const ALL: [Self; 3] = [Self::Full, Self::Reduced, Self::Minimal];

    /// Its name in headers and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Reduced => "reduced",
            Self::Minimal => "minimal",
        }
    }

    /// What tokens and steps of inference are multiplied by.
    #[must_use]
    pub const fn quality(self) -> f64 {
        match self {
            Self::Full => 1.0,
            Self::Reduced => 0.7,
            Self::Minimal => 0.4,
        }
    }

    /// What the size of a batch is divided by.
    #[must_use]
    pub const fn speed(self) -> f64 {
        match self {
            Self::Full => 1.0,
            Self::Reduced => 1.5,
            Self::Minimal => 3.0,
        }
    }

    /// `count` tokens or steps at this level's quality, rounded down; at least 1.
    #[must_use]
    pub const fn fewer(self, count: u64) -> u64 {
        // In tenths: 0.7 has no exact binary fraction, and 90 tokens must become 63.
        let tenths = match self {
            Self::Full => return count,
            Self::Reduced => 7,
            Self::Minimal => 4,
        };
        let kept = count / 10 * tenths + count % 10 * tenths / 10;
        if kept == 0 { 1 } else { kept }
    }

    /// A batch of `size` at this level's speed, rounded down; at least 1.
    #[must_use]
    pub const fn batch(self, size: usize) -> usize {
        let smaller = match self {
            Self::Full => return size,
            Self::Reduced => size / 3 * 2 + size % 3 * 2 / 3,
            Self::Minimal => size / 3,
        };
        if smaller == 0 { 1 } else { smaller }
    }

    const fn below(self) -> Self {
        match self {
            Self::Full | Self::Reduced => Self::Full,
            Self::Minimal => Self::Reduced,
        }
    }
}

/// How busy everything is, each from 0 to 1; `None`: not there, not known, or no longer.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Load {
    /// Processors that the container may use.
    pub cpu: Option<f64>,
    /// Memory that it may use.
    pub memory: Option<f64>,
    /// The busiest GPU.
    pub gpu: Option<f64>,
    /// The fullest GPU's memory.
    pub gpu_memory: Option<f64>,
    /// Requests that wait in an inference server, against what counts as full.
    pub queue: Option<f64>,
    /// The fullest inference server's key-value cache.
    pub kv_cache: Option<f64>,
}

impl Load {
    /// Each part under its name in metrics and in the status.
    #[must_use]
    pub const fn parts(&self) -> [(&'static str, Option<f64>); 6] {
        [
            ("cpu", self.cpu),
            ("memory", self.memory),
            ("gpu", self.gpu),
            ("gpu_memory", self.gpu_memory),
            ("queue", self.queue),
            ("kv_cache", self.kv_cache),
        ]
    }

    /// The highest of what is known, and its name.
    #[must_use]
    pub fn worst(&self) -> Option<(&'static str, f64)> {
        let known = self.parts().into_iter().filter_map(|(name, part)| Some((name, part?)));
        known.filter(|(_, part)| part.is_finite()).max_by(|a, b| a.1.total_cmp(&b.1))
    }
}

/// Something that was read, and when.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reading<T> {
    /// What was read.
    pub value: T,
    /// When.
    pub at: Moment,
}

impl<T: Copy> Reading<T> {
    /// What was read, unless that was longer than `good_for` ago.
    #[must_use]
    pub fn fresh(&self, now: Moment, good_for: Duration) -> Option<T> {
        (now.since(self.at) <= good_for).then_some(self.value)
    }
}

/// When the level changes.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Load above which quality is reduced.
    pub reduced_above: f64,
    /// Load above which it is minimal.
    pub minimal_above: f64,
    /// How long the load must have been low before the next better level.
    pub hold: Duration,
}

/// Readings in a row above a threshold before the level follows: one alone may be a hiccup.
const READINGS_TO_RISE: u32 = 2;
/// How far below its threshold the load must be for a level to be left, so that one on the edge does not flap.
const MARGIN: f64 = 0.1;

impl Settings {
    const fn threshold(&self, level: Level) -> f64 {
        match level {
            Level::Full => 0.0,
            Level::Reduced => self.reduced_above,
            Level::Minimal => self.minimal_above,
        }
    }

    /// The load at or below which `level` may be left. A threshold lower than the margin would else be one that nothing
    /// ever falls below.
    #[must_use]
    pub fn left_at(&self, level: Level) -> f64 {
        let threshold = self.threshold(level);
        (threshold - MARGIN).max(threshold / 2.0)
    }
}

/// What is remembered between readings.
#[derive(Debug, Clone, Default)]
pub struct Degradation {
    level: Level,
    /// Readings in a row above the threshold of each level, by its number.
    above: [u32; Level::ALL.len()],
    /// Since when the load has been low enough for a better level.
    low_since: Option<Moment>,
}

impl Degradation {
    /// The level since the last reading.
    #[must_use]
    pub const fn level(&self) -> Level {
        self.level
    }

    /// Hears of one reading, `None` where nothing is known, and says the level from then on. It worsens after two high
    /// readings in a row, by as much as both call for; it improves one level at a time, each after the load was low for
    /// the whole of `hold`. What is not known counts as low: nobody is given less for a reading that is missing.
    pub fn read(&mut self, settings: &Settings, load: Option<f64>, now: Moment) -> Level {
        let load = load.filter(|load| load.is_finite()).unwrap_or(0.0);
        for level in [Level::Reduced, Level::Minimal] {
            let above = &mut self.above[level as usize];
            *above = if load > settings.threshold(level) { above.saturating_add(1) } else { 0 };
            if *above >= READINGS_TO_RISE && level > self.level {
                self.level = level;
                self.low_since = None;
            }
        }
        if self.level == Level::Full || load > settings.left_at(self.level) {
            self.low_since = None;
        } else if now.since(*self.low_since.get_or_insert(now)) >= settings.hold {
            self.level = self.level.below();
            self.low_since = (load <= settings.left_at(self.level)).then_some(now);
        }
        self.level
    }
}

#[cfg(test)]
mod tests;
