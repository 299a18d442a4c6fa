//! What a change would do: from the settings that hold, what was asked for, and the fleet as it was seen, to the settings
//! that follow and what that means, in words. Pure; nothing is changed here.

use fusebox_proto::v1;
use fusebox_rules::{
    breaker::Mode,
    degradation::Level,
    fleet::{
        Stamp,
        settings::{self, Change, Settings, Word},
    },
};

use crate::picture::{ModelsLeft, Seen, models_left};

/// What is to be changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wish {
    /// A provider's switch, rank, or both.
    Provider {
        /// Which.
        name: String,
        /// Whether calls go there; `None`: as it is.
        enabled: Option<bool>,
        /// Its rank; `None`: as it is.
        priority: Option<u32>,
    },
    /// A provider's switch and rank are each configuration's own again.
    Reset {
        /// Whose.
        name: String,
    },
    /// What a provider's breaker is forced to.
    Breaker {
        /// Whose.
        name: String,
        /// To what.
        mode: Mode,
    },
    /// A level.
    Level {
        /// Of one sidecar, or of all.
        sidecar: Option<String>,
        /// Which; `None`: each sidecar's own load decides.
        level: Option<Level>,
    },
}

/// What a change comes to.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// What is to hold.
    pub settings: Settings,
    /// What that means, for people.
    pub effects: Vec<String>,
    /// Models that nobody would be left to serve.
    pub forsaken: Vec<String>,
    /// Live sidecars that it concerns, by their ids.
    pub concerned: Vec<String>,
}

impl Wish {
    /// What it comes to where `held` holds, in the fleet that was `seen`, by the word of somebody at `now`.
    ///
    /// # Errors
    /// There is no room for it, or its name is no name.
    pub fn plan(&self, held: &Settings, seen: &Seen, word: &Word, now: Stamp) -> Result<Plan, settings::Refusal> {
        let mut settings = held.clone();
        for change in self.changes() {
            settings = settings.changed(change, word.clone(), now)?;
        }
        let concerned = self.concerned(seen);
        let left = self.stops().map(|name| models_left(seen, held, now, name)).unwrap_or_default();
        let forsaken = left.iter().filter(|one| one.without > 0).map(|one| one.model.clone()).collect();
        let mut effects = self.effects(held, now, concerned.len());
        effects.extend(left.iter().map(in_words));
        effects
            .extend(word.expires.map(|at| format!("undone by itself after {}", for_people(at.since(now).as_secs()))));
        Ok(Plan { settings, effects, forsaken, concerned })
    }

    /// The name of the provider that it is about.
    #[must_use]
    pub fn provider(&self) -> Option<&str> {
        match self {
            Self::Provider { name, .. } | Self::Reset { name } | Self::Breaker { name, .. } => Some(name),
            Self::Level { .. } => None,
        }
    }

    fn changes(&self) -> Vec<Change> {
        match self.clone() {
            Self::Provider { name, enabled, priority } => {
                let enabled = enabled.map(|enabled| Change::Enabled(name.clone(), Some(enabled)));
                enabled.into_iter().chain(priority.map(|rank| Change::Priority(name, Some(rank)))).collect()
            }
            Self::Reset { name } => vec![Change::Enabled(name.clone(), None), Change::Priority(name, None)],
            Self::Breaker { name, mode } => vec![Change::Breaker(name, Some(mode))],
            Self::Level { sidecar: None, level } => vec![Change::Level(level)],
            Self::Level { sidecar: Some(id), level } => vec![Change::SidecarLevel(id, level)],
        }
    }

    /// The provider to which no call goes any more.
    fn stops(&self) -> Option<&str> {
        match self {
            Self::Provider { name, enabled: Some(false), .. } | Self::Breaker { name, mode: Mode::ForcedOpen } => {
                Some(name)
            }
            _ => None,
        }
    }

    fn concerned(&self, seen: &Seen) -> Vec<String> {
        let concerns = |beat: &fusebox_proto::store::Heartbeat| match self {
            Self::Level { sidecar, .. } => sidecar.as_ref().is_none_or(|id| *id == beat.id),
            _ => beat.providers.iter().any(|one| self.provider() == Some(&one.name)),
        };
        seen.live().map(|alive| &alive.heartbeat).filter(|beat| concerns(beat)).map(|beat| beat.id.clone()).collect()
    }

    fn effects(&self, held: &Settings, now: Stamp, sidecars: usize) -> Vec<String> {
        let at = format!("at {sidecars} {}", if sidecars == 1 { "sidecar" } else { "sidecars" });
        let was =
            |was: Option<String>| was.map_or("was as each configuration says".to_owned(), |was| format!("was {was}"));
        match self {
            Self::Provider { name, enabled, priority } => {
                let set = held.provider(name, now);
                let switch = enabled.map(|on| {
                    let before = was(set.enabled.map(|said| on_off(said.value).to_owned()));
                    format!("provider {name}: switched {} {at} ({before})", on_off(on))
                });
                let rank = priority.map(|rank| {
                    format!(
                        "provider {name}: rank {rank} {at} ({})",
                        was(set.priority.map(|said| said.value.to_string()))
                    )
                });
                switch.into_iter().chain(rank).collect()
            }
            Self::Reset { name } => {
                let set = held.provider(name, now);
                let switch = set.enabled.map(|said| format!("the switch was {}", on_off(said.value)));
                let rank = set.priority.map(|said| format!("the rank was {}", said.value));
                let before: Vec<_> = switch.into_iter().chain(rank).collect();
                let before = if before.is_empty() { "as it is now".to_owned() } else { before.join(", ") };
                vec![format!("provider {name}: switch and rank as each configuration says {at} ({before})")]
            }
            Self::Breaker { name, mode } => {
                let before = held.provider(name, now).breaker.map_or("was not forced", |said| forced(said.value));
                vec![format!("breaker of {name}: {} {at} ({before})", to_be(*mode))]
            }
            Self::Level { sidecar, level } => {
                let whose = sidecar.as_ref().map_or("the fleet".to_owned(), |id| format!("sidecar {id}"));
                let level = level.map_or("each load decides", Level::name);
                vec![format!("level of {whose}: {level} {at}")]
            }
        }
    }
}

/// The rules' mode for the wire's; `None`: none was given.
#[must_use]
pub const fn mode(mode: v1::BreakerMode) -> Option<Mode> {
    match mode {
        v1::BreakerMode::Unspecified => None,
        v1::BreakerMode::Auto => Some(Mode::Auto),
        v1::BreakerMode::ForcedOpen => Some(Mode::ForcedOpen),
        v1::BreakerMode::ForcedClosed => Some(Mode::ForcedClosed),
    }
}

/// The rules' level for the wire's; `None`: each sidecar's own load decides.
#[must_use]
pub const fn level(level: v1::DegradationLevel) -> Option<Level> {
    match level {
        v1::DegradationLevel::Unspecified => None,
        v1::DegradationLevel::Full => Some(Level::Full),
        v1::DegradationLevel::Reduced => Some(Level::Reduced),
        v1::DegradationLevel::Minimal => Some(Level::Minimal),
    }
}

fn in_words(left: &ModelsLeft) -> String {
    let ModelsLeft { model, left, without, sidecars } = left;
    let model = if model == "*" { "any model" } else { model };
    if *without > 0 {
        format!("{model}: nobody is left to serve it at {without} of {sidecars} sidecars")
    } else {
        format!("{model}: left to serve it: {}", left.join(", "))
    }
}

const fn on_off(on: bool) -> &'static str {
    if on { "on" } else { "off" }
}

const fn forced(mode: Mode) -> &'static str {
    match mode {
        Mode::Auto => "was not forced",
        Mode::ForcedOpen => "was forced open",
        Mode::ForcedClosed => "was forced closed",
    }
}

const fn to_be(mode: Mode) -> &'static str {
    match mode {
        Mode::Auto => "handed back to itself",
        Mode::ForcedOpen => "forced open: no call goes there",
        Mode::ForcedClosed => "forced closed: calls go there whatever they meet",
    }
}

fn for_people(seconds: u64) -> String {
    let parts = [(seconds / 86_400, "d"), (seconds / 3_600 % 24, "h"), (seconds / 60 % 60, "min"), (seconds % 60, "s")];
    let said: Vec<_> =
        parts.iter().filter(|(many, _)| *many > 0).map(|(many, unit)| format!("{many} {unit}")).collect();
    if said.is_empty() { "less than a second".to_owned() } else { said.join(" ") }
}

#[cfg(test)]
mod tests;
