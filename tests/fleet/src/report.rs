//! The histories beside each other, as a page of Markdown.

use std::fmt::Write as _;

use crate::{figures, scenario::Lived, scenario::Scale, sidecar::Sharing};

/// The head of the page.
#[must_use]
pub fn head(scale: Scale) -> String {
    let Scale { sidecars, calls, seed, .. } = scale;
    format!(
        "# A fleet of {sidecars} sidecars, simulated\n\nVirtual time; {calls} calls a second at each sidecar; breakers as \
         configured by default; seed {seed}.\n"
    )
}

/// What is shared, as a column is headed.
#[must_use]
pub const fn column(sharing: Sharing) -> &'static str {
    match sharing {
        Sharing::Fleet => "shared",
        Sharing::Alone => "each its own",
        Sharing::Nothing => "no breaker, no budget",
    }
}

/// One scenario's section.
#[must_use]
pub fn section(histories: &[Lived<'_>]) -> String {
    let Some(first) = histories.first() else { return String::new() };
    let mut text = format!("\n## {}\n\n", first.scenario.title);
    let columns: Vec<_> = histories.iter().map(|lived| column(lived.sharing)).collect();
    let _ = writeln!(text, "| | {} |\n|---|{}", columns.join(" | "), "---|".repeat(columns.len()));
    let figures: Vec<_> = histories.iter().map(figures::of).collect();
    let mut names: Vec<&str> = Vec::new();
    for (name, _) in figures.iter().flatten() {
        if !names.contains(name) {
            names.push(name);
        }
    }
    for name in names {
        let of = |figures: &Vec<figures::Figure>| {
            figures.iter().find(|(of, _)| of == &name).map_or("", |(_, figure)| figure).to_owned()
        };
        let row: Vec<String> = figures.iter().map(of).collect();
        let _ = writeln!(text, "| {name} | {} |", row.join(" | "));
    }
    for lived in histories {
        for broken in lived.broken() {
            let _ = writeln!(text, "\nBROKEN ({}): not so that {broken}", column(lived.sharing));
        }
    }
    text
}
