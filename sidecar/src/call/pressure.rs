//! How loaded the pod is, as calls see it: one atomic that says the level.
//!
//! What is read, and when, is not known here; nor what a call does about it.

use std::sync::{
    Arc,
    atomic::{AtomicU8, Ordering::Relaxed},
};

use fusebox_rules::{
    degradation::{Degradation, Level, Load, Settings},
    moment::Moment,
};
use parking_lot::Mutex;

use crate::telemetry::Telemetry;

/// The load, the level that follows from it, and what an operator says instead.
#[derive(Debug)]
pub struct Pressure {
    level: AtomicU8,
    state: Mutex<State>,
    telemetry: Arc<Telemetry>,
}

#[derive(Debug, Default)]
struct State {
    degradation: Degradation,
    load: Load,
    forced: Option<Level>,
}

impl Pressure {
    pub(super) fn new(telemetry: Arc<Telemetry>) -> Self {
        Self { level: AtomicU8::new(Level::Full as u8), state: Mutex::default(), telemetry }
    }

    /// The level now.
    #[must_use]
    pub fn level(&self) -> Level {
        let level = self.level.load(Relaxed);
        Level::ALL.into_iter().find(|one| *one as u8 == level).unwrap_or_default()
    }

    /// The load as last read.
    #[must_use]
    pub fn load(&self) -> Load {
        self.state.lock().load
    }

    /// Hears of a reading: all that is known, and the part of it that counts.
    pub fn read(&self, settings: &Settings, load: Load, counts: Load, now: Moment) {
        let mut state = self.state.lock();
        state.load = load;
        let level = state.degradation.read(settings, counts.worst().map(|(_, load)| load), now);
        let level = state.forced.unwrap_or(level);
        drop(state);
        self.telemetry.set_load(load);
        self.store(level, counts.worst().map_or("unknown", |(part, _)| part));
    }

    /// Nothing is read any more: the level is full, unless an operator says otherwise.
    pub fn unread(&self) {
        let mut state = self.state.lock();
        *state = State { forced: state.forced, ..State::default() };
        let level = state.forced.unwrap_or_default();
        drop(state);
        self.telemetry.set_load(Load::default());
        self.store(level, "none is read");
    }

    /// An operator sets the level, whatever the load; `None`: it follows the load again.
    pub fn force(&self, level: Option<Level>) {
        let mut state = self.state.lock();
        state.forced = level;
        let level = level.unwrap_or(state.degradation.level());
        drop(state);
        self.store(level, "an operator said so");
    }

    fn store(&self, level: Level, why: &'static str) {
        let before = self.level.swap(level as u8, Relaxed);
        if before != level as u8 {
            self.telemetry.set_level(level);
            tracing::warn!(target: "fusebox::load", level = level.name(), worst = why, "the degradation level changed");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn pressure() -> Pressure {
        let config = crate::config::Config::default();
        Pressure::new(Telemetry::try_new(&config.telemetry, 1).unwrap())
    }

    const SETTINGS: Settings = Settings { reduced_above: 0.7, minimal_above: 0.9, hold: Duration::from_secs(10) };

    fn read(pressure: &Pressure, queue: f64, second: u64) -> Level {
        let load = Load { queue: Some(queue), gpu: Some(1.0), ..Load::default() };
        let counts = Load { gpu: None, ..load };
        pressure.read(&SETTINGS, load, counts, Moment::ZERO + Duration::from_secs(second));
        assert_eq!(pressure.load(), load, "all that is known is shown");
        pressure.level()
    }

    #[test]
    fn the_level_follows_the_part_of_the_load_that_counts() {
        let pressure = pressure();
        assert_eq!(
            [read(&pressure, 0.5, 0), read(&pressure, 0.95, 1), read(&pressure, 0.95, 2)],
            [Level::Full, Level::Full, Level::Minimal]
        );
        let page = fusebox_base::testing::page::Page::read(
            &pressure.telemetry.render(fusebox_base::prometheus::Format::default()),
        );
        assert_eq!(page.value("fusebox_degradation_level"), Some(2.0));
        assert_eq!(page.value("fusebox_load{part=\"queue\"}"), Some(0.95));
        assert_eq!(page.value("fusebox_load{part=\"cpu\"}"), None);
        pressure.unread();
        assert_eq!((pressure.level(), pressure.load()), (Level::Full, Load::default()));
    }

    #[test]
    fn an_operators_word_stands_until_it_is_taken_back() {
        let pressure = pressure();
        pressure.force(Some(Level::Minimal));
        assert_eq!([read(&pressure, 0.1, 0), read(&pressure, 0.1, 1)], [Level::Minimal; 2]);
        pressure.unread();
        assert_eq!(pressure.level(), Level::Minimal);
        pressure.force(None);
        assert_eq!(pressure.level(), Level::Full);
    }
}
