//! What a change did, or would do.

use fusebox_proto::v1::ChangeResult;

use super::View;
use crate::cli::page::{Line, Tone};

/// What it would do: `what` is a clause, such as `vllm would be off`.
pub(crate) fn dry_run(what: &str, result: &ChangeResult, view: View) -> Vec<Line> {
    let mut lines = view.folded(Line::toned("dry run", Tone::Strong).text(format!(", nothing was changed. {what}:")));
    lines.extend(effects(result, view));
    if result.effects.is_empty() {
        lines.push("  - nothing would change".into());
    }
    let live = format!("{} live sidecars, settings version {}", result.sidecars_total, result.settings_version);
    let hint = match result.settings_version {
        // Version 0, nothing ever set, cannot be expected.
        0 => String::new(),
        version => format!(": with `--expect {version}` it is refused if they move on"),
    };
    lines.extend(view.folded(Line::toned(format!("  ({live}{hint})"), Tone::Dim)));
    lines
}

/// What it did; `what` is a clause, such as `vllm is off`. `waited` for sidecars to apply it.
pub(crate) fn done(what: &str, result: &ChangeResult, waited: bool, view: View) -> Vec<Line> {
    let (some, all) = (result.sidecars_applied, result.sidecars_total);
    let applied = format!("; applied by {some} of {all} live sidecars (settings version {})", result.settings_version);
    let head = match (some >= all, waited) {
        (true, _) => Line::toned(format!("✓ {what}"), Tone::Good),
        (false, true) => Line::toned(format!("! {what}, but not everywhere yet"), Tone::Warn),
        (false, false) => Line::toned(format!("✓ {what}, on its way"), Tone::Good),
    };
    let mut lines = view.folded(head.text(applied));
    lines.extend(effects(result, view));
    if waited && !result.waiting_for.is_empty() {
        let rest = usize::try_from(all.saturating_sub(some)).unwrap_or(usize::MAX);
        let more = rest.saturating_sub(result.waiting_for.len());
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let text = format!("  still waiting for {}{more}", result.waiting_for.join(", "));
        lines.extend(view.folded(Line::toned(text, Tone::Warn)));
    }
    lines
}

fn effects(result: &ChangeResult, view: View) -> Vec<Line> {
    result.effects.iter().flat_map(|effect| view.folded(Line::from(format!("  - {effect}")))).collect()
}

#[cfg(test)]
mod tests {
    use super::{super::fixture, *};

    fn result(applied: u32) -> ChangeResult {
        ChangeResult {
            settings_version: 13,
            sidecars_applied: applied,
            sidecars_total: 30,
            effects: vec!["chat is left with azure".into()],
            waiting_for: if applied < 30 { vec!["pod-4".into(), "pod-5".into()] } else { Vec::new() },
        }
    }

    #[test]
    fn what_is_done_is_told_with_who_has_applied_it() {
        let shown =
            |applied, waited| fixture::text(&done("vllm is off", &result(applied), waited, fixture::view(None)));
        assert_eq!(
            shown(30, true),
            "✓ vllm is off; applied by 30 of 30 live sidecars (settings version 13)\n  - chat is left with azure"
        );
        assert_eq!(
            shown(27, true),
            "! vllm is off, but not everywhere yet; applied by 27 of 30 live sidecars (settings version 13)\n  \
             - chat is left with azure\n  still waiting for pod-4, pod-5 and 1 more"
        );
        assert_eq!(
            shown(0, false),
            "✓ vllm is off, on its way; applied by 0 of 30 live sidecars (settings version 13)\n  - chat is left with azure"
        );
    }

    #[test]
    fn a_dry_run_says_that_it_was_one() {
        assert_eq!(
            fixture::text(&dry_run("vllm would be off", &result(0), fixture::view(None))),
            "dry run, nothing was changed. vllm would be off:\n  - chat is left with azure\n  (30 live sidecars, \
             settings version 13: with `--expect 13` it is refused if they move on)"
        );
    }
}
