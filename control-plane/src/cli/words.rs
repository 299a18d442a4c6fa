//! Words and marks for states: each is told by both, and by its colour on top.

use fusebox_proto::v1::{
    AlertKind, Breaker, BreakerMode, BreakerState, DegradationLevel, HealthStatus, Severity, Word,
};

use super::{
    page::{Line, Tone},
    time::{self, Now},
};

/// A mark, a word and the tone of both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct State {
    mark: &'static str,
    pub(crate) word: &'static str,
    tone: Tone,
}

impl State {
    const fn new(mark: &'static str, word: &'static str, tone: Tone) -> Self {
        Self { mark, word, tone }
    }

    pub(crate) fn line(self) -> Line {
        Line::toned(format!("{} {}", self.mark, self.word), self.tone)
    }
}

pub(crate) fn health(status: HealthStatus) -> State {
    match status {
        HealthStatus::Healthy => State::new("✓", "healthy", Tone::Good),
        HealthStatus::Degraded => State::new("!", "degraded", Tone::Warn),
        HealthStatus::Critical => State::new("✗", "critical", Tone::Bad),
        HealthStatus::Unspecified => State::new("?", "unknown", Tone::Warn),
    }
}

pub(crate) fn switch(enabled: bool) -> State {
    if enabled { State::new("✓", "on", Tone::Good) } else { State::new("-", "off", Tone::Warn) }
}

pub(crate) fn breaker_state(state: BreakerState) -> State {
    match state {
        BreakerState::Closed => State::new("✓", "closed", Tone::Good),
        BreakerState::HalfOpen => State::new("!", "half open", Tone::Warn),
        BreakerState::Open => State::new("✗", "open", Tone::Bad),
        BreakerState::Unspecified => State::new("?", "unknown", Tone::Dim),
    }
}

/// A provider's shared breaker: its state, whether by force, and when it is tried again.
pub(crate) fn breaker(breaker: Option<&Breaker>, now: Now) -> Line {
    let Some(breaker) = breaker else { return breaker_state(BreakerState::Unspecified).line() };
    match breaker.mode() {
        BreakerMode::ForcedOpen => return State::new("✗", "forced open", Tone::Bad).line(),
        BreakerMode::ForcedClosed => return State::new("!", "forced closed", Tone::Warn).line(),
        BreakerMode::Auto | BreakerMode::Unspecified => {}
    }
    let line = breaker_state(breaker.state()).line();
    match &breaker.half_open_at {
        Some(at) if breaker.state() == BreakerState::Open && !now.until(at).is_zero() => {
            line.text(format!(", {} more", time::short(now.until(at))))
        }
        _ => line,
    }
}

pub(crate) fn level(level: DegradationLevel) -> State {
    match level {
        DegradationLevel::Full => State::new("✓", "full", Tone::Good),
        DegradationLevel::Reduced => State::new("!", "reduced", Tone::Warn),
        DegradationLevel::Minimal => State::new("✗", "minimal", Tone::Bad),
        DegradationLevel::Unspecified => State::new("?", "unknown", Tone::Dim),
    }
}

pub(crate) fn severity(severity: Severity) -> State {
    match severity {
        Severity::Critical => State::new("✗", "critical", Tone::Bad),
        Severity::Warning => State::new("!", "warning", Tone::Warn),
        Severity::Unspecified => State::new("?", "unknown", Tone::Dim),
    }
}

pub(crate) fn alert_kind(kind: AlertKind) -> &'static str {
    match kind {
        AlertKind::ErrorSpike => "error-spike",
        AlertKind::BreakerOpened => "breaker-opened",
        AlertKind::HealthCritical => "health-critical",
        AlertKind::Degraded => "degraded",
        AlertKind::Unspecified => "any",
    }
}

/// Who set something, until when, and why: `ana for 5m more: incident 12`; empty for nobody.
pub(crate) fn word(word: Option<&Word>, now: Now) -> String {
    let Some(word) = word else { return String::new() };
    let until = match &word.expires_at {
        Some(at) => format!(" for {} more", time::short(now.until(at))),
        None => String::new(),
    };
    let reason = if word.reason.is_empty() { String::new() } else { format!(": {}", word.reason) };
    format!("{}{until}{reason}", if word.by.is_empty() { "somebody" } else { &word.by })
}

/// A count in four figures at most: `950`, `1.2k`, `34M`.
pub(crate) fn count(number: u64) -> String {
    const UNITS: [(&str, u64); 4] = [("T", 1_000_000_000_000), ("G", 1_000_000_000), ("M", 1_000_000), ("k", 1_000)];
    let Some((unit, scale)) = UNITS.iter().find(|(_, scale)| number >= *scale) else { return number.to_string() };
    let tenths = number / (scale / 10);
    if tenths < 100 && !tenths.is_multiple_of(10) {
        format!("{}.{}{unit}", tenths / 10, tenths % 10)
    } else {
        format!("{}{unit}", tenths / 10)
    }
}

/// A rate: `0`, `0.3`, `12.5`, `1203`.
pub(crate) fn rate(rate: f64) -> String {
    if rate == 0.0 {
        "0".to_owned()
    } else if rate.abs() < 100.0 {
        format!("{rate:.1}")
    } else {
        format!("{rate:.0}")
    }
}

/// A share of a whole: `12%`, `0.4%`, `-` of nothing.
pub(crate) fn share(part: f64, whole: f64) -> String {
    if whole <= 0.0 {
        return "-".to_owned();
    }
    let percent = part / whole * 100.0;
    if percent > 0.0 && percent < 9.95 { format!("{percent:.1}%") } else { format!("{percent:.0}%") }
}

/// `1 sidecar`, `2 sidecars`.
pub(crate) fn number(count: usize, of: &str) -> String {
    format!("{count} {of}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use prost_types::Timestamp;

    use super::*;

    const NOW: Now = Now(Duration::from_secs(1_000));

    #[test]
    fn numbers_are_short() {
        for (number, right) in
            [(0, "0"), (999, "999"), (1_000, "1k"), (1_250, "1.2k"), (34_567_890, "34M"), (u64::MAX, "18446744T")]
        {
            assert_eq!(count(number), right);
        }
        for (number, right) in [(0.0, "0"), (0.04, "0.0"), (12.34, "12.3"), (1203.4, "1203")] {
            assert_eq!(rate(number), right);
        }
        for (part, whole, right) in [(1.0, 0.0, "-"), (0.0, 5.0, "0%"), (1.0, 200.0, "0.5%"), (1.0, 2.0, "50%")] {
            assert_eq!(share(part, whole), right);
        }
    }

    #[test]
    fn a_breaker_says_whether_it_is_forced_and_when_it_is_tried_again() {
        let open = Breaker {
            state: BreakerState::Open.into(),
            half_open_at: Some(Timestamp { seconds: 1_012, nanos: 0 }),
            ..Breaker::default()
        };
        assert_eq!(breaker(Some(&open), NOW).show(false), "✗ open, 12s more");
        let forced = Breaker { mode: BreakerMode::ForcedOpen.into(), ..open };
        assert_eq!(breaker(Some(&forced), NOW).show(false), "✗ forced open");
        assert_eq!(breaker(None, NOW).show(false), "? unknown");
    }

    #[test]
    fn a_word_says_who_until_when_and_why() {
        let mut said = Word { by: "ana".into(), reason: "incident 12".into(), ..Word::default() };
        assert_eq!(word(Some(&said), NOW), "ana: incident 12");
        said.expires_at = Some(Timestamp { seconds: 1_600, nanos: 0 });
        assert_eq!(word(Some(&said), NOW), "ana for 10m more: incident 12");
        assert_eq!(word(None, NOW), "");
    }
}
