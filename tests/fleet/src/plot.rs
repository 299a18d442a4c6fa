//! A picture of a scenario, as SVG: what each fleet did, second by second. Shows in light and in dark.

use std::fmt::Write as _;

use crate::{report::column, scenario::Lived, sidecar::Sharing};

const WIDTH: f64 = 860.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 850.0;
const PANEL: f64 = 120.0;
const GAP: f64 = 46.0;
const TOP: f64 = 74.0;
/// More points than this say no more at this width.
const POINTS: usize = 190;

/// Seconds between two that are named.
const TICKS: [u64; 5] = [10, 20, 30, 60, 100];

/// One panel: what it shows of each history.
type Panel<'a> = (&'a str, Vec<(Sharing, Vec<u64>)>);

/// The picture.
#[must_use]
pub fn picture(histories: &[Lived<'_>]) -> String {
    let Some(first) = histories.first() else { return String::new() };
    let scenario = first.scenario;
    let of =
        |series: fn(&Lived<'_>) -> Vec<u64>| histories.iter().map(|lived| (lived.sharing, series(lived))).collect();
    let mut panels: Vec<Panel<'_>> = vec![
        ("attempts a second at the provider", of(|lived| lived.world.watch.attempts.by_second().to_vec())),
        ("calls answered a second", of(|lived| lived.world.watch.answered.by_second().to_vec())),
        ("sidecars that shut the provider out", of(|lived| lived.world.watch.shut.clone())),
    ];
    let store = vec![(Sharing::Fleet, first.world.redis.rate.by_second().to_vec())];
    panels.push(("requests a second to the store", store));
    #[expect(clippy::cast_precision_loss, reason = "a handful")]
    let height = TOP + panels.len() as f64 * (PANEL + GAP);
    let mut text = opening(scenario.title, height);
    legend(&mut text, histories);
    #[expect(clippy::cast_precision_loss, reason = "minutes")]
    let (lasts, trouble, over) = (scenario.lasts as f64, scenario.trouble as f64, scenario.over as f64);
    let x = |second: f64| LEFT + (RIGHT - LEFT) * second / lasts;
    for (number, panel) in panels.iter().enumerate() {
        #[expect(clippy::cast_precision_loss, reason = "a handful")]
        let top = TOP + number as f64 * (PANEL + GAP);
        let (from, to) = (x(trouble), x(over));
        let _ = writeln!(
            text,
            "<rect class=\"t\" x=\"{from:.0}\" y=\"{top}\" width=\"{:.0}\" height=\"{PANEL}\"/>",
            to - from
        );
        draw(&mut text, panel, top, scenario.lasts);
    }
    text.push_str("</svg>\n");
    text
}

fn opening(title: &str, height: f64) -> String {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" font-family=\"system-ui, sans-serif\" \
         font-size=\"12\" role=\"img\" aria-label=\"{title}\">\n<style>\n\
         .g {{ fill: #fff; }} text {{ fill: #1f2328; }} .s {{ fill: #57606a; }} .h {{ font-size: 15px; }}\n\
         .a {{ stroke: #8c959f; fill: none; }} .t {{ fill: #cf222e; opacity: .09; }}\n\
         .l {{ fill: none; stroke-width: 1.6; stroke-linejoin: round; }}\n\
         .fleet {{ stroke: #0969da; }} .alone {{ stroke: #bc4c00; stroke-dasharray: 5 3; }} \
         .nothing {{ stroke: #6e7781; stroke-dasharray: 2 2; }}\n\
         @media (prefers-color-scheme: dark) {{ .g {{ fill: #0d1117; }} text {{ fill: #e6edf3; }} .s {{ fill: #8b949e; }} \
         .a {{ stroke: #6e7681; }} .t {{ fill: #f85149; opacity: .16; }} .fleet {{ stroke: #58a6ff; }} \
         .alone {{ stroke: #f0883e; }} .nothing {{ stroke: #8b949e; }} }}\n</style>\n\
         <rect class=\"g\" width=\"{WIDTH}\" height=\"{height}\"/>\n<text class=\"h\" x=\"{LEFT}\" y=\"22\">{title}</text>\n"
    )
}

fn legend(text: &mut String, histories: &[Lived<'_>]) {
    let mut left = LEFT;
    for lived in histories {
        let (class, name) = (class(lived.sharing), column(lived.sharing));
        let (to, label) = (left + 26.0, left + 32.0);
        let _ = writeln!(
            text,
            "<path class=\"l {class}\" d=\"M{left} 40H{to}\"/><text x=\"{label}\" y=\"44\">{name}</text>"
        );
        left += 140.0;
    }
    let label = left + 24.0;
    let _ = writeln!(
        text,
        "<rect class=\"t\" x=\"{left}\" y=\"33\" width=\"18\" height=\"14\"/><text x=\"{label}\" y=\"44\">the trouble's cause</text>"
    );
}

fn draw(text: &mut String, (title, lines): &Panel<'_>, top: f64, lasts: u64) {
    let bottom = top + PANEL;
    let highest = lines.iter().flat_map(|(_, series)| series).copied().max().unwrap_or(0).max(1);
    let _ = writeln!(
        text,
        "<path class=\"a\" d=\"M{LEFT} {top}V{bottom}H{RIGHT}\"/><text x=\"{LEFT}\" y=\"{:.0}\">{title}</text>\
         <text class=\"s\" x=\"{:.0}\" y=\"{:.0}\" text-anchor=\"end\">{highest}</text>\
         <text class=\"s\" x=\"{:.0}\" y=\"{bottom}\" text-anchor=\"end\">0</text>",
        top - 6.0,
        LEFT - 6.0,
        top + 10.0,
        LEFT - 6.0
    );
    let tick = TICKS.into_iter().find(|tick| lasts / tick < 8).unwrap_or(lasts.max(1));
    for second in (0..=lasts / tick).map(|number| number * tick) {
        let _ = writeln!(
            text,
            "<text class=\"s\" x=\"{:.0}\" y=\"{:.0}\" text-anchor=\"middle\">{second} s</text>",
            LEFT + (RIGHT - LEFT) * share(second, lasts),
            bottom + 15.0
        );
    }
    for (sharing, series) in lines {
        let _ =
            writeln!(text, "<path class=\"l {}\" d=\"{}\"/>", class(*sharing), path(series, lasts, highest, bottom));
    }
}

/// A line through the highest of each part of `series`, so that no burst is lost.
fn path(series: &[u64], lasts: u64, highest: u64, bottom: f64) -> String {
    let mut whole = series.to_vec();
    whole.resize(usize::try_from(lasts).unwrap_or_default(), 0);
    let step = whole.len().div_ceil(POINTS).max(1);
    let mut path = String::new();
    let points = whole.chunks(step).enumerate().map(|(number, chunk)| {
        let second = (number * step) as u64;
        (second, chunk.iter().copied().max().unwrap_or(0))
    });
    for (second, value) in points {
        let x = LEFT + (RIGHT - LEFT) * (share(second, lasts) + share(1, lasts * 2));
        let y = bottom - PANEL * share(value, highest);
        let _ = write!(path, "{}{x:.0} {y:.1}", if path.is_empty() { 'M' } else { 'L' });
    }
    path
}

const fn class(sharing: Sharing) -> &'static str {
    match sharing {
        Sharing::Fleet => "fleet",
        Sharing::Alone => "alone",
        Sharing::Nothing => "nothing",
    }
}

#[expect(clippy::cast_precision_loss, reason = "seconds and counts of a second")]
fn share(part: u64, whole: u64) -> f64 {
    part as f64 / whole.max(1) as f64
}
