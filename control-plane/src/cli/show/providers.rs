//! Providers in a table.

use fusebox_proto::v1::{BreakerMode, Provider};

use super::View;
use crate::cli::{
    page::{Line, Tone},
    table::{Column, Table},
    time::Now,
    words,
};

/// All of them.
pub(crate) fn providers(providers: &[Provider], view: View) -> Vec<Line> {
    if providers.is_empty() {
        return vec!["no sidecar has told of a provider yet".into()];
    }
    view.table(&provider_table(providers, view.now))
}

pub(super) fn provider_table(providers: &[Provider], now: Now) -> Table {
    let mut table = Table::new([
        Column::new("PROVIDER").shrinks_to(8),
        Column::new("SWITCH"),
        Column::new("RANK").right().gives_way(2),
        Column::new("BREAKER").shrinks_to(8),
        Column::new("OPEN AT").right().gives_way(4),
        Column::new("CALLS/S").right().gives_way(3),
        Column::new("ERRORS/S").right().gives_way(1),
        Column::new("APPLIED").gives_way(5),
        Column::new("MODELS").shrinks_to(10).gives_way(7),
        Column::new("SET BY").shrinks_to(16).gives_way(6),
    ]);
    for provider in providers {
        table.row([
            provider.name.as_str().into(),
            words::switch(provider.enabled).line(),
            provider.priority.to_string().into(),
            breaker(provider, now),
            open_at(provider.sidecars_open),
            words::rate(provider.calls_per_second).into(),
            errors(provider.errors_per_second),
            applied(provider.sidecars_applied, provider.sidecars_total),
            provider.models.join(", ").into(),
            said(provider, now).into(),
        ]);
    }
    table
}

/// The shared breaker. A provider that shares none has as many as there are sidecars, which another column counts.
fn breaker(provider: &Provider, now: Now) -> Line {
    let forced = provider
        .breaker
        .as_ref()
        .is_some_and(|breaker| matches!(breaker.mode(), BreakerMode::ForcedOpen | BreakerMode::ForcedClosed));
    if provider.shared || forced {
        words::breaker(provider.breaker.as_ref(), now)
    } else {
        Line::toned("each its own", Tone::Dim)
    }
}

fn open_at(sidecars: u32) -> Line {
    Line::toned(sidecars.to_string(), if sidecars > 0 { Tone::Warn } else { Tone::Plain })
}

fn errors(rate: f64) -> Line {
    Line::toned(words::rate(rate), if rate > 0.0 { Tone::Warn } else { Tone::Plain })
}

fn applied(some: u32, all: u32) -> Line {
    Line::toned(format!("{some}/{all}"), if some < all { Tone::Warn } else { Tone::Plain })
}

fn said(provider: &Provider, now: Now) -> String {
    let words =
        [("switch", &provider.enabled_word), ("rank", &provider.priority_word), ("breaker", &provider.breaker_word)];
    let words = words.map(|(what, word)| (what, words::word(word.as_ref(), now)));
    let mut said: Vec<_> =
        words.iter().filter(|(_, word)| !word.is_empty()).map(|(what, word)| format!("{what}: {word}")).collect();
    if provider.mixed {
        said.push("sidecars' configurations disagree".to_owned());
    }
    said.join("; ")
}

#[cfg(test)]
mod tests {
    use super::{super::fixture, *};

    fn shown(width: impl Into<Option<usize>>) -> String {
        fixture::text(&providers(&fixture::fleet().providers, fixture::view(width)))
    }

    #[test]
    fn columns_give_way_as_the_terminal_narrows() {
        for (width, right) in [
            (
                120,
                "\
PROVIDER  SWITCH  RANK  BREAKER           OPEN AT  CALLS/S  ERRORS/S  APPLIED  MODELS  SET BY
vllm      ✓ on       0  ✓ closed                1      118       0.6  3/3      chat
azure     - off     10  ✗ open, 42s more        0        0         0  2/3              switch: ana for 2h more: inciden…",
            ),
            (
                80,
                "\
PROVIDER  SWITCH  RANK  BREAKER           OPEN AT  CALLS/S  ERRORS/S  APPLIED
vllm      ✓ on       0  ✓ closed                1      118       0.6  3/3
azure     - off     10  ✗ open, 42s more        0        0         0  2/3",
            ),
            (
                40,
                "\
PROVIDER  SWITCH  BREAKER       ERRORS/S
vllm      ✓ on    ✓ closed           0.6
azure     - off   ✗ open, 42s…         0",
            ),
            (
                24,
                "\
PROVIDER  SWITCH  BREAK…
vllm      ✓ on    ✓ clo…
azure     - off   ✗ ope…",
            ),
        ] {
            assert_eq!(shown(width), right, "{width}");
        }
    }

    #[test]
    fn a_provider_whose_breakers_are_each_sidecars_own_says_so() {
        let mut all = fixture::fleet().providers;
        all[0].shared = false;
        let text = fixture::text(&providers(&all, fixture::view(None)));
        assert!(text.lines().nth(1).unwrap().contains("each its own"), "{text}");
        assert_eq!(fixture::text(&providers(&[], fixture::view(80))), "no sidecar has told of a provider yet");
    }
}
