//! The report: one table of medians, one of ratios, one of how far the rounds lay apart. It measures nothing.

use std::fmt::Write;

use crate::{
    compare::{CALLS_PER_SECOND, CONNECTIONS, Contender, Findings, Plan, Sample},
    payload::REQUEST_BYTES,
    process,
};

/// One column: its title, its value in a round (given the direct call's sample of that round), and its digits.
struct Column {
    title: &'static str,
    of: fn(&Sample, &Sample) -> Option<f64>,
    digits: usize,
}

const COLUMNS: [Column; 7] = [
    Column { title: "CPU µs a call", of: |own, _| own.cpu_per_call, digits: 1 },
    Column { title: "calls a second", of: |own, _| Some(own.calls_per_second), digits: 0 },
    Column { title: "p50 added, µs", of: |own, direct| added(own, own.paced.p50, direct.paced.p50), digits: 0 },
    Column { title: "p99 added, µs", of: |own, direct| added(own, own.paced.p99, direct.paced.p99), digits: 0 },
    Column {
        title: "first token added p50, µs",
        of: |own, direct| added(own, own.first_token.p50, direct.first_token.p50),
        digits: 0,
    },
    Column {
        title: "first token added p99, µs",
        of: |own, direct| added(own, own.first_token.p99, direct.first_token.p99),
        digits: 0,
    },
    Column { title: "CPU µs a chunk", of: |own, _| own.cpu_per_chunk, digits: 1 },
];

/// The share of the machine that others may use before our figures say little: CPU a call rises with the noise too.
const NOISY: f64 = 0.05;

/// The names of those that everyone is compared with.
const YARDSTICKS: [&str; 2] = ["Envoy", "haproxy"];

/// The whole report in Markdown. `notes` are lines for its head: versions, and who was absent.
pub(crate) fn markdown(plan: &Plan, findings: &Findings, notes: &[String]) -> String {
    let mut text = head(plan, findings, notes);
    text += &table("Medians", &["MiB", "failed"], plan, |i, column| {
        column.map_or_else(
            || vec![memory(findings.resident_kib[i]), failed(findings, i).to_string()],
            |column| vec![number(median(values(findings, i, column)), column.digits)],
        )
    });
    for yardstick in YARDSTICKS {
        let Some(other) = plan.contenders.iter().position(|contender| contender.name == yardstick) else { continue };
        let title = format!("Ratios to {yardstick} (median of each round's own ratio)");
        text += &table(&title, &["MiB"], plan, |i, column| {
            column.map_or_else(
                || vec![ratio(divide(kib(findings, i), kib(findings, other)))],
                |column| vec![ratio(median(ratios(findings, i, other, column)))],
            )
        });
    }
    text += &table("Lowest and highest round", &[], plan, |i, column| {
        column.map_or_else(Vec::new, |column| vec![range(&values(findings, i, column), column.digits)])
    });
    text
}

/// All calls and streams of all contenders that failed.
pub(crate) fn all_failed(findings: &Findings) -> u64 {
    findings.rounds.iter().flatten().map(|sample| sample.failed).sum()
}

fn head(plan: &Plan, findings: &Findings, notes: &[String]) -> String {
    let mut text = String::from("# Fusebox beside others\n\n");
    let direct: Vec<_> = findings.rounds.iter().filter_map(|round| round.first()).collect();
    let base = |of: fn(&Sample) -> f64| number(median(direct.iter().map(|sample| of(sample)).collect()), 0);
    let lines = [
        format!("Machine: {}.", process::machine()),
        format!(
            "While it ran, processes outside the benchmark used {:.0} % of the machine, and its host kept {:.1} %{}.",
            findings.others * 100.0,
            findings.stolen * 100.0,
            if findings.others + findings.stolen > NOISY { ": too much to trust these figures" } else { "" }
        ),
        format!(
            "{} rounds, interleaved, of {} s a measurement. Calls: {REQUEST_BYTES} bytes up, about as many down, \
             {CONNECTIONS} connections; added latency: one connection, {CALLS_PER_SECOND} calls a second; \
             streams: {CONNECTIONS} at once, {} tokens each, {} ms apart.",
            plan.rounds,
            plan.seconds,
            plan.pace.tokens,
            plan.pace.gap.as_millis()
        ),
        format!(
            "Added is what is above the direct call of the same round: p50 {} µs, p99 {} µs; first token {} µs, {} µs.",
            base(|sample| sample.paced.p50),
            base(|sample| sample.paced.p99),
            base(|sample| sample.first_token.p50),
            base(|sample| sample.first_token.p99)
        ),
    ];
    for line in lines.iter().chain(notes) {
        let _ = writeln!(text, "- {line}");
    }
    text
}

/// A table with a row for each contender. `cells` gives those of a column, or, for `None`, the further ones.
fn table(title: &str, further: &[&str], plan: &Plan, cells: impl Fn(usize, Option<&Column>) -> Vec<String>) -> String {
    let titles: Vec<&str> = COLUMNS.iter().map(|column| column.title).chain(further.iter().copied()).collect();
    let mut text = format!("\n## {title}\n\n| | {} |\n|---|{}\n", titles.join(" | "), "---:|".repeat(titles.len()));
    for (i, Contender { name, .. }) in plan.contenders.iter().enumerate() {
        let row: Vec<String> = COLUMNS.iter().map(Some).chain([None]).flat_map(|column| cells(i, column)).collect();
        let _ = writeln!(text, "| {name} | {} |", row.join(" | "));
    }
    text
}

/// What a proxy adds to the direct call; none for the direct call itself, which is known by having no CPU of its own.
fn added(own: &Sample, time: f64, direct: f64) -> Option<f64> {
    own.cpu_per_call.map(|_| time - direct)
}

fn values(findings: &Findings, contender: usize, column: &Column) -> Vec<f64> {
    findings.rounds.iter().filter_map(|round| (column.of)(&round[contender], &round[0])).collect()
}

fn ratios(findings: &Findings, contender: usize, other: usize, column: &Column) -> Vec<f64> {
    let of = |round: &[Sample], i: usize| (column.of)(&round[i], &round[0]);
    findings.rounds.iter().filter_map(|round| divide(of(round, contender), of(round, other))).collect()
}

/// A ratio, where both are known and the yardstick rises above the noise.
fn divide(own: Option<f64>, other: Option<f64>) -> Option<f64> {
    own.zip(other).filter(|(_, other)| *other > 0.0).map(|(own, other)| own / other)
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.retain(|value| value.is_finite());
    values.sort_unstable_by(f64::total_cmp);
    let middle = values.len() / 2;
    let upper = *values.get(middle)?;
    Some(if values.len() % 2 == 1 { upper } else { (values[middle - 1] + upper) / 2.0 })
}

fn range(values: &[f64], digits: usize) -> String {
    let finite = || values.iter().copied().filter(|value| value.is_finite());
    let (low, high) = (finite().reduce(f64::min), finite().reduce(f64::max));
    if low.is_none() { "–".to_owned() } else { format!("{} to {}", number(low, digits), number(high, digits)) }
}

fn failed(findings: &Findings, contender: usize) -> u64 {
    findings.rounds.iter().map(|round| round[contender].failed).sum()
}

fn kib(findings: &Findings, contender: usize) -> Option<f64> {
    findings.resident_kib[contender].map(|kib| kib as f64)
}

fn memory(kib: Option<u64>) -> String {
    number(kib.map(|kib| kib as f64 / 1024.0), 0)
}

fn number(value: Option<f64>, digits: usize) -> String {
    value.map_or_else(|| "–".to_owned(), |value| format!("{value:.digits$}"))
}

fn ratio(value: Option<f64>) -> String {
    number(value, 2)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{compare::Spread, mock::Pace};

    fn sample(cpu: Option<f64>, p50: f64) -> Sample {
        Sample { cpu_per_call: cpu, paced: Spread { p50, p99: p50 }, calls_per_second: 100.0, ..Sample::default() }
    }

    fn plan(names: &[&str]) -> Plan {
        let contender = |name: &&str| format!("{name}=127.0.0.1:1").parse().unwrap();
        Plan {
            contenders: names.iter().map(contender).collect(),
            mock: 1,
            rounds: 2,
            seconds: 1,
            pace: Pace { tokens: 2, gap: Duration::from_millis(1) },
            directory: "unused".into(),
        }
    }

    #[test]
    fn a_ratio_is_taken_within_a_round_and_then_in_the_middle() {
        let findings = Findings {
            rounds: vec![
                vec![sample(None, 10.0), sample(Some(20.0), 30.0), sample(Some(40.0), 50.0)],
                vec![sample(None, 20.0), sample(Some(60.0), 30.0), sample(Some(80.0), 60.0)],
            ],
            resident_kib: vec![None, Some(10 * 1024), Some(40 * 1024)],
            others: 0.0,
            stolen: 0.0,
        };
        let text = markdown(&plan(&["direct", "Fusebox", "Envoy"]), &findings, &["absent: haproxy".to_owned()]);
        let rows: Vec<&str> = text.lines().filter(|line| line.starts_with("| Fusebox")).collect();
        assert_eq!(rows[0], "| Fusebox | 40.0 | 100 | 15 | 15 | 0 | 0 | – | 10 | 0 |");
        assert_eq!(rows[1], "| Fusebox | 0.62 | 1.00 | 0.38 | 0.38 | – | – | – | 0.25 |");
        assert_eq!(rows[2], "| Fusebox | 20.0 to 60.0 | 100 to 100 | 10 to 20 | 10 to 20 | 0 to 0 | 0 to 0 | – |");
        assert!(text.contains("- absent: haproxy") && !text.contains("Ratios to haproxy"));
    }

    #[test]
    fn a_median_passes_over_what_is_no_number() {
        assert_eq!(median(vec![3.0, f64::NAN, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(vec![1.0, 2.0]), Some(1.5));
        assert_eq!(median(Vec::new()), None);
    }
}
