//! The fleet's report in Markdown, and which of its figures are above their limits. It measures nothing.

use std::{fmt::Write as _, time::Duration};

use super::{
    Findings,
    crowd::Crowd,
    median,
    operator::Door,
    other::Other,
    pause::Pause,
    percentile,
    price::{Cost, Price},
    spread::Spreads,
    switch::{Switches, Switching},
    talk::{Talk, Told},
};

/// By how much more Redis may be asked by a sidecar that is called often than by one that is called seldom, as a share.
const MOST_GROWTH: f64 = 0.10;
/// CPU that sharing may add to a call, in microseconds.
const MOST_ADDED: f64 = 5.0;
/// How long after it was switched off 99 % of the sidecars' calls may still reach a provider.
const MOST_LATE: Duration = Duration::from_millis(100);
/// The share of the machine that its host may keep before timings say little.
const NOISY: f64 = 0.05;

/// The share of a crowd's requests that must have come, if what they cost is to be believed.
const ENOUGH: f64 = 0.8;

/// The whole report; `notes` are lines for its head.
pub(super) fn markdown(machine: &str, findings: &Findings, notes: &[String]) -> String {
    let mut text = format!("# What a fleet costs\n\n- Machine: {machine}.\n");
    let noise = if findings.stolen > NOISY { ": too much to trust the timings" } else { "" };
    let (stolen, idle) = (findings.stolen * 100.0, findings.idle * 100.0);
    let _ = writeln!(text, "- While it ran, the host kept {stolen:.1} % of the machine{noise}; {idle:.0} % was idle.");
    for note in notes {
        let _ = writeln!(text, "- {note}");
    }
    let parts = [
        findings.talk.as_ref().map(talk),
        findings.crowd.as_ref().map(crowd),
        findings.spread.as_ref().map(spread),
        findings.switch.as_ref().map(switch),
        findings.price.as_ref().map(price),
        findings.pause.as_ref().map(pause),
        findings.other.as_ref().map(|found| other(found, findings)),
    ];
    text + &parts.into_iter().flatten().collect::<String>()
}

/// What is above its limit, in words.
pub(super) fn failures(findings: &Findings) -> Vec<String> {
    let mut told = findings.faults.clone();
    if let Some(talk) = &findings.talk {
        for (growth, what) in talk.growth().into_iter().zip(["requests", "bytes"]) {
            if growth.is_nan() || growth > MOST_GROWTH {
                told.push(format!("{what} to Redis grow by {:.0} % with calls", growth * 100.0));
            }
        }
    }
    if let Some(price) = &findings.price {
        let added = price.added(|cost| cost.cpu_per_call);
        if added.is_nan() || added > MOST_ADDED {
            told.push(format!("sharing adds {added:.1} µs of CPU to a call, and may add {MOST_ADDED}"));
        }
    }
    if let Some(late) = findings.switch.as_ref().and_then(|found| percentile(&last_calls(&found.switchings), 99))
        && late > MOST_LATE
    {
        let late = millis(Some(late));
        told.push(format!("calls reach a provider {late} after it was switched off, and may for {MOST_LATE:?}"));
    }
    let failed = [
        findings.talk.as_ref().map(|talk| talk.failed),
        findings.price.as_ref().map(|price| price.failed),
        findings.switch.as_ref().map(|found| found.failed),
        findings.pause.as_ref().map(|pause| pause.phases.iter().map(|(_, took)| took.failed).sum()),
    ];
    let failed: u64 = failed.into_iter().flatten().sum();
    if failed > 0 {
        told.push(format!("{failed} calls failed, so the figures do not count"));
    }
    told
}

fn talk(talk: &Talk) -> String {
    let mut text = section("What one sidecar with five shared providers asks of Redis in a second");
    text += "| | calls | requests | commands within | bytes | sidecar's CPU, ms |\n|---|---:|---:|---:|---:|---:|\n";
    for (name, rounds) in [("idle", &talk.idle), ("called seldom", &talk.seldom), ("called often", &talk.often)] {
        let of = |of: fn(&Told) -> f64| median(rounds.iter().map(of));
        let _ = writeln!(
            text,
            "| {name} | {:.0} | {:.1} | {:.0} | {:.0} | {:.0} |",
            of(|told| told.calls_per_second),
            of(|told| told.requests_per_second),
            of(|told| told.commands_per_second),
            of(|told| told.bytes_per_second),
            of(|told| told.cpu_ms),
        );
    }
    let [requests, bytes] = talk.growth().map(|share| share * 100.0);
    let most = MOST_GROWTH * 100.0;
    let _ = writeln!(
        text,
        "\nCalled often against seldom: requests {requests:+.1} %, bytes {bytes:+.1} %; at most {most:+.0} %."
    );
    text
}

fn crowd(crowd: &Crowd) -> String {
    let mut text =
        section(&format!("Redis under {} simulated sidecars of {} providers", crowd.sidecars, crowd.providers));
    text += "| | Redis' CPU, % of a core | µs a request | requests a second | would be | KiB a second | p50 | p99 | failed |\n";
    text += "|---|---:|---:|---:|---:|---:|---:|---:|---:|\n";
    for phase in &crowd.phases {
        let _ = writeln!(
            text,
            "| {} | {:.0} | {:.0} | {:.0} | {:.0} | {:.0} | {} | {} | {} |",
            phase.name,
            phase.redis_cpu * 100.0,
            phase.redis_cpu * 1e6 / phase.requests_per_second,
            phase.requests_per_second,
            phase.would_be,
            phase.bytes_per_second / 1024.0,
            millis(phase.p50),
            millis(phase.p99),
            phase.failed
        );
    }
    if crowd.phases.iter().any(|phase| phase.requests_per_second < ENOUGH * phase.would_be) {
        text += "\nThis machine was too slow to be so many sidecars: of Redis only the time for a request holds.\n";
    }
    let at = |percent| millis(percentile(&crowd.heard, percent));
    let (p50, p99, last) = (at(50), at(99), at(100));
    let _ = writeln!(text, "\nAn opening was heard within {p50} by half of them, {p99} by 99 %, {last} by all.");
    if crowd.deaf > 0 {
        let _ = writeln!(text, "Not counting {} times that one did not hear of it in ten seconds.", crowd.deaf);
    }
    text
}

fn spread(found: &Spreads) -> String {
    let mib = found.resident_kib as f64 / 1024.0;
    let mut text = section(&format!("An opening, known by {} sidecars ({mib:.0} MiB each)", found.processes));
    let mut each: Vec<Duration> = found.openings.iter().flat_map(|one| one.after_first.iter().copied()).collect();
    let mut last: Vec<Duration> = found.openings.iter().filter_map(|one| one.after_first.last().copied()).collect();
    let mut failure: Vec<Duration> = found.openings.iter().map(|one| one.after_failure).collect();
    let _ = writeln!(text, "| of {} openings | p50 | p99 | longest |\n|---|---:|---:|---:|", found.openings.len());
    for (name, times) in [
        ("one sidecar has opened it, to each other's knowing", &mut each),
        ("to the last one's knowing", &mut last),
        ("the last call has failed, to the last one's knowing", &mut failure),
    ] {
        times.sort_unstable();
        let at = |percent| millis(percentile(times, percent));
        let _ = writeln!(text, "| {name} | {} | {} | {} |", at(50), at(99), at(100));
    }
    text
}

fn switch(found: &Switches) -> String {
    let Switches { processes, switchings, .. } = found;
    let mut text = section(&format!("A provider switched off while {processes} sidecars are called"));
    let mut each_last: Vec<Duration> =
        switchings.iter().filter_map(|one| one.last_calls.iter().max().copied()).collect();
    let mut acknowledged: Vec<Duration> = switchings.iter().map(|one| one.acknowledged).collect();
    let _ = writeln!(text, "| of {} times | p50 | p99 | longest |\n|---|---:|---:|---:|", switchings.len());
    each_last.sort_unstable();
    acknowledged.sort_unstable();
    let mut row = |name: &str, times: &[Duration]| {
        let at = |percent| millis(percentile(times, percent));
        let _ = writeln!(text, "| {name} | {} | {} | {} |", at(50), at(99), at(100));
    };
    row("to each sidecar's last call that reached it", &last_calls(switchings));
    for door in Door::ALL {
        let by: Vec<_> = switchings.iter().filter(|one| one.door == door).cloned().collect();
        row(&format!("the same, asked for by {}", door.name()), &last_calls(&by));
    }
    row("to the last call of all", &each_last);
    row("to the answer that all have done it", &acknowledged);
    text
}

/// When the last call of each sidecar arrived, each time, shortest first.
fn last_calls(switchings: &[Switching]) -> Vec<Duration> {
    let mut calls: Vec<Duration> = switchings.iter().flat_map(|one| one.last_calls.iter().copied()).collect();
    calls.sort_unstable();
    calls
}

fn price(price: &Price) -> String {
    type Figure = fn(&Cost) -> f64;
    let mut text = section(&format!("What sharing adds to a call ({} rounds, in turn)", price.rounds.len()));
    text += "| | shared | alone | added | ratio |\n|---|---:|---:|---:|---:|\n";
    let rows: [(&str, Figure); 4] = [
        ("CPU a call, µs", |cost| cost.cpu_per_call),
        ("calls a second", |cost| cost.calls_per_second),
        ("p50, µs", |cost| cost.p50),
        ("p99, µs", |cost| cost.p99),
    ];
    for (name, of) in rows {
        let shared = median(price.rounds.iter().map(|round| of(&round.shared)));
        let alone = median(price.rounds.iter().map(|round| of(&round.alone)));
        let (added, ratio) = (price.added(of), price.ratio(of));
        let _ = writeln!(text, "| {name} | {shared:.1} | {alone:.1} | {added:+.1} | {ratio:.3} |");
    }
    let differences = price.rounds.iter().map(|round| round.shared.cpu_per_call - round.alone.cpu_per_call);
    let (low, high) = differences.fold((f64::MAX, f64::MIN), |(low, high), one| (low.min(one), high.max(one)));
    let _ = writeln!(
        text,
        "\nCPU added in a round: {low:+.1} to {high:+.1} µs; in the middle it may be {MOST_ADDED:+.0} at most."
    );
    text
}

fn pause(pause: &Pause) -> String {
    let mut text = section(&format!("Calls while Redis stands still for {} s", pause.lasted.as_secs()));
    text += "| | calls | p50 | p99 | longest | failed |\n|---|---:|---:|---:|---:|---:|\n";
    for (name, took) in &pause.phases {
        let [p50, p99, longest] = [took.p50, took.p99, took.longest].map(|time| millis(Some(time)));
        let _ = writeln!(text, "| {name} | {} | {p50} | {p99} | {longest} | {} |", took.calls, took.failed);
    }
    let ratio = pause.phases[1].1.p99.div_duration_f64(pause.phases[0].1.p99);
    let _ = writeln!(text, "\np99 paused to before: {ratio:.2}.");
    text
}

fn other(other: &Other, findings: &Findings) -> String {
    let mut text = section("Beside a breaker that asks Redis on a call's way");
    text += "| | commands to Redis a call | p50 added, µs | p99 added, µs |\n|---|---:|---:|---:|\n";
    let Other { version, commands_per_call, p50, p99 } = other;
    let _ = writeln!(text, "| pybreaker {version} | {commands_per_call:.1} | {p50:.0} | {p99:.0} |");
    if let (Some(price), Some(talk)) = (&findings.price, &findings.talk) {
        let calls = median(talk.often.iter().map(|told| told.calls_per_second));
        let requests = median(talk.often.iter().map(|told| told.requests_per_second)) / calls;
        let (p50, p99) = (price.added(|cost| cost.p50), price.added(|cost| cost.p99));
        let _ = writeln!(text, "| Fusebox, at {calls:.0} calls a second | {requests:.4} | {p50:.0} | {p99:.0} |");
    }
    text
}

fn section(title: &str) -> String {
    format!("\n## {title}\n\n")
}

fn millis(time: Option<Duration>) -> String {
    time.map_or_else(|| "–".to_owned(), |time| format!("{:.2} ms", time.as_secs_f64() * 1e3))
}

#[cfg(test)]
mod tests {
    use super::{super::price::Round, *};

    fn told(requests: f64) -> Told {
        Told {
            calls_per_second: 1.0,
            requests_per_second: requests,
            commands_per_second: 1.0,
            bytes_per_second: 1.0,
            cpu_ms: 1.0,
        }
    }

    fn found(often: f64, cpu: f64) -> Findings {
        let cost = |cpu_per_call| Cost { cpu_per_call, calls_per_second: 1.0, p50: 1.0, p99: 1.0 };
        Findings {
            talk: Some(Talk { seldom: vec![told(10.0)], often: vec![told(often)], ..Talk::default() }),
            price: Some(Price { rounds: vec![Round { shared: cost(cpu), alone: cost(100.0) }], failed: 0 }),
            ..Findings::default()
        }
    }

    #[test]
    fn only_what_is_above_its_limit_fails() {
        assert_eq!(failures(&found(10.9, 104.9)), [""; 0]);
        let both = failures(&found(11.1, 105.1));
        assert!(both.len() == 2 && both[0].contains("grow by 11 %") && both[1].contains("5.1 µs"), "{both:?}");
        assert_eq!(failures(&found(f64::NAN, 100.0)).len(), 1, "what could not be measured is not within limits");
    }

    #[test]
    fn calls_that_arrive_too_late_fail_and_one_in_a_hundred_may() {
        let switched = |late: &[u64]| {
            let mut last_calls = vec![Duration::from_millis(7); 100];
            last_calls.extend(late.iter().copied().map(Duration::from_millis));
            let switchings = vec![Switching { door: Door::Rest, last_calls, acknowledged: Duration::from_millis(30) }];
            Findings { switch: Some(Switches { processes: 100, switchings, failed: 0 }), ..Findings::default() }
        };
        assert_eq!(failures(&switched(&[500])), [""; 0]);
        let told = failures(&switched(&[101, 101, 101]));
        assert!(told.len() == 1 && told[0].contains("101.00 ms"), "{told:?}");
        let text = markdown("m", &switched(&[500]), &[]);
        assert!(text.contains("| to the last call of all | 500.00 ms | 500.00 ms | 500.00 ms |"), "{text}");
    }

    #[test]
    fn parts_that_were_not_measured_are_not_told_of() {
        let text = markdown("m", &found(10.0, 101.0), &["a note".to_owned()]);
        assert!(
            text.contains("- a note") && text.contains("| CPU a call, µs | 101.0 | 100.0 | +1.0 | 1.010 |"),
            "{text}"
        );
        assert!(!text.contains("pybreaker") && !text.contains("simulated"));
    }
}
