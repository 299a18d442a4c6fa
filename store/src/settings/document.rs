//! Settings as bytes. What a newer version has set and this one does not know is as if it were not set.

use fusebox_proto::store::{
    BreakerSetting, EnabledSetting, Level as WireLevel, LevelSetting, PrioritySetting, ProviderSettings,
    Settings as Document, Word as WireWord, breaker_record::Mode as WireMode,
};
use fusebox_rules::{
    breaker::Mode,
    degradation::Level,
    fleet::{
        Stamp,
        settings::{OfProvider, Said, Settings, Word},
    },
};
use prost::Message as _;

use crate::StoreError;

/// The document's bytes, with its version.
#[must_use]
pub fn encode_settings(settings: &Settings) -> Vec<u8> {
    let document = Document {
        version: settings.version,
        providers: settings.providers.iter().map(|(name, set)| (name.clone(), provider_to_wire(set))).collect(),
        level: settings.level.as_ref().map(level_to_wire),
        sidecar_levels: settings.sidecar_levels.iter().map(|(id, said)| (id.clone(), level_to_wire(said))).collect(),
        traceparent: settings.trace.clone().unwrap_or_default(),
    };
    document.encode_to_vec()
}

/// The settings of `version` from their bytes; none at all where nothing was ever set.
///
/// # Errors
/// These are no settings' bytes.
pub fn decode_settings(version: u64, body: &[u8]) -> Result<Settings, StoreError> {
    if version == 0 {
        return Ok(Settings::default());
    }
    let document = Document::decode(body).map_err(|error| StoreError::Protocol(format!("settings: {error}")))?;
    let providers = document.providers.into_iter().map(|(name, set)| (name, provider_from_wire(set)));
    let levels = document.sidecar_levels.into_iter();
    Ok(Settings {
        version,
        providers: providers.filter(|(_, set)| *set != OfProvider::default()).collect(),
        level: document.level.and_then(level_from_wire),
        sidecar_levels: levels.filter_map(|(id, level)| Some((id, level_from_wire(level)?))).collect(),
        trace: Some(document.traceparent).filter(|trace| !trace.is_empty()),
    })
}

fn provider_to_wire(set: &OfProvider) -> ProviderSettings {
    let mode = |mode| match mode {
        Mode::Auto => WireMode::Auto,
        Mode::ForcedOpen => WireMode::ForcedOpen,
        Mode::ForcedClosed => WireMode::ForcedClosed,
    };
    let enabled = |said: &Said<bool>| EnabledSetting { enabled: said.value, word: word_to_wire(&said.word) };
    let priority = |said: &Said<u32>| PrioritySetting { priority: said.value, word: word_to_wire(&said.word) };
    let breaker = |said: &Said<Mode>| BreakerSetting { mode: mode(said.value).into(), word: word_to_wire(&said.word) };
    ProviderSettings {
        enabled: set.enabled.as_ref().map(enabled),
        priority: set.priority.as_ref().map(priority),
        breaker: set.breaker.as_ref().map(breaker),
    }
}

fn provider_from_wire(set: ProviderSettings) -> OfProvider {
    let forced = |set: BreakerSetting| {
        let value = match set.mode() {
            WireMode::Auto => return None,
            WireMode::ForcedOpen => Mode::ForcedOpen,
            WireMode::ForcedClosed => Mode::ForcedClosed,
        };
        Some(Said { value, word: word_from_wire(set.word) })
    };
    OfProvider {
        enabled: set.enabled.map(|set| Said { value: set.enabled, word: word_from_wire(set.word) }),
        priority: set.priority.map(|set| Said { value: set.priority, word: word_from_wire(set.word) }),
        breaker: set.breaker.and_then(forced),
    }
}

fn level_to_wire(said: &Said<Level>) -> LevelSetting {
    let level = match said.value {
        Level::Full => WireLevel::Full,
        Level::Reduced => WireLevel::Reduced,
        Level::Minimal => WireLevel::Minimal,
    };
    LevelSetting { level: level.into(), word: word_to_wire(&said.word) }
}

fn level_from_wire(set: LevelSetting) -> Option<Said<Level>> {
    let value = match set.level() {
        WireLevel::Unspecified => return None,
        WireLevel::Full => Level::Full,
        WireLevel::Reduced => Level::Reduced,
        WireLevel::Minimal => Level::Minimal,
    };
    Some(Said { value, word: word_from_wire(set.word) })
}

fn word_to_wire(word: &Word) -> Option<WireWord> {
    Some(WireWord {
        by: word.by.clone(),
        reason: word.reason.clone(),
        at_ms: word.at.as_millis(),
        expires_ms: word.expires.map_or(0, Stamp::as_millis),
    })
}

fn word_from_wire(word: Option<WireWord>) -> Word {
    let word = word.unwrap_or_default();
    Word {
        by: word.by,
        reason: word.reason,
        at: Stamp::from_millis(word.at_ms),
        expires: (word.expires_ms > 0).then(|| Stamp::from_millis(word.expires_ms)),
    }
}

#[cfg(test)]
mod tests {
    use fusebox_rules::fleet::settings::Change;

    use super::*;

    #[test]
    fn whatever_is_set_comes_back_as_it_was() {
        let word = |expires| Word {
            by: "ada".into(),
            reason: "a drill".into(),
            at: Stamp::from_millis(7),
            expires: Some(expires).filter(|at| *at > 0).map(Stamp::from_millis),
        };
        let mut settings = Settings::default();
        let changes = [
            Change::Enabled("a".into(), Some(false)),
            Change::Priority("a".into(), Some(0)),
            Change::Breaker("b".into(), Some(Mode::ForcedOpen)),
            Change::Breaker("c".into(), Some(Mode::ForcedClosed)),
            Change::Level(Some(Level::Full)),
            Change::SidecarLevel("s1".into(), Some(Level::Reduced)),
            Change::SidecarLevel("s2".into(), Some(Level::Minimal)),
        ];
        for (index, change) in changes.into_iter().enumerate() {
            settings = settings.changed(change, word(1_000 * (index as u64 % 2)), Stamp::from_millis(9)).unwrap();
        }
        settings.trace = Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into());
        assert_eq!(decode_settings(settings.version, &encode_settings(&settings)), Ok(settings));
    }

    #[test]
    fn what_is_not_known_here_is_not_set() {
        let breaker = Some(BreakerSetting { mode: 77, word: None });
        let document = Document {
            providers: [("a".to_owned(), ProviderSettings { breaker, ..ProviderSettings::default() })].into(),
            level: Some(LevelSetting { level: 77, word: None }),
            ..Document::default()
        };
        let read = decode_settings(3, &document.encode_to_vec());
        assert_eq!(read, Ok(Settings { version: 3, ..Settings::default() }));
        assert!(decode_settings(3, &[255]).is_err());
    }
}
