//! What the breaker's decisions cost: nanoseconds an operation and, with valgrind, instructions, which no noise moves.

use std::{
    hint::black_box,
    io,
    process::{Command, Stdio},
    time::Duration,
};

use fusebox_rules::{
    breaker::{Admission, Asker, Breaker, News, Settings},
    moment::Moment,
};

use crate::clock;

/// How often each operation is timed; the fastest counts, as noise only ever adds.
const REPEATS: u32 = 9;
/// Operations in one timing.
const TIMED: u64 = 1_000_000;
/// Operations by which two counted runs differ, so that what start and end cost falls out.
const COUNTED: u64 = 100_000;
/// The time between two operations, in the breaker's eyes, in nanoseconds.
const STEP_NANOS: u64 = 10_000;

/// An operation: its name, which the command line takes too, and a loop over so many of it.
struct Case {
    name: &'static str,
    work: fn(u64),
}

const CASES: [Case; 4] = [
    Case { name: "admit", work: admit },
    Case { name: "admit, succeed", work: admit_and_succeed },
    Case { name: "admit, first token, succeed", work: admit_and_stream },
    Case { name: "refuse while open", work: refuse },
];

/// A Markdown table of what each operation costs.
pub(crate) fn table(instructions: bool) -> io::Result<String> {
    let mut text = String::from("\n## The breaker's decisions\n\n| | ns | instructions |\n|---|---:|---:|\n");
    for case in &CASES {
        let counted = if instructions { count(case.name)?.to_string() } else { "–".to_owned() };
        text += &format!("| {} | {:.1} | {counted} |\n", case.name, nanos(case));
    }
    Ok(text)
}

/// Does so many of the operation called `name` and nothing else: what valgrind watches.
pub(crate) fn only(name: &str, operations: u64) -> io::Result<()> {
    let case = CASES.iter().find(|case| case.name == name);
    let case = case.ok_or_else(|| io::Error::other(format!("no operation is called `{name}`")))?;
    (case.work)(operations);
    Ok(())
}

fn nanos(case: &Case) -> f64 {
    let timing = |_| {
        let begin = clock::now();
        (case.work)(TIMED);
        clock::now().duration_since(begin)
    };
    (0..REPEATS).map(timing).min().unwrap_or(Duration::MAX).as_secs_f64() * 1e9 / TIMED as f64
}

fn count(name: &str) -> io::Result<u64> {
    let (few, many) = (collected(name, COUNTED)?, collected(name, 2 * COUNTED)?);
    Ok(many.saturating_sub(few) / COUNTED)
}

fn collected(name: &str, operations: u64) -> io::Result<u64> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(std::env::current_exe()?)
        .args(["rules", "--only", name, "--operations", &operations.to_string()])
        .stdin(Stdio::null())
        .output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    instructions(&said).ok_or_else(|| io::Error::other(format!("valgrind gave no count: {said}")))
}

/// The count in callgrind's closing line, `==PID== Collected : COUNT`.
fn instructions(said: &str) -> Option<u64> {
    said.lines().find_map(|line| line.split_once("Collected : ")).and_then(|(_, count)| count.trim().parse().ok())
}

fn admit(operations: u64) {
    let mut breaker = Breaker::new(Settings::default());
    for now in moments(operations) {
        black_box(black_box(&mut breaker).admit(Asker::Caller, 1, now, 0.5));
    }
}

fn admit_and_succeed(operations: u64) {
    hear(operations, |_| [News::Succeeded]);
}

fn admit_and_stream(operations: u64) {
    hear(operations, |took| [News::FirstToken { took }, News::Succeeded]);
}

fn hear<const N: usize>(operations: u64, news: fn(Duration) -> [News; N]) {
    let mut breaker = Breaker::new(Settings::default());
    for now in moments(operations) {
        if let Admission::Granted(mut permit) = black_box(&mut breaker).admit(Asker::Caller, 1, now, 0.5) {
            for news in news(Duration::from_nanos(STEP_NANOS)) {
                black_box(breaker.record(&mut permit, news, now));
            }
        }
    }
}

fn refuse(operations: u64) {
    let mut breaker = Breaker::new(Settings { failure_threshold: 1, ..Settings::default() });
    if let Admission::Granted(mut permit) = breaker.admit(Asker::Caller, 0, Moment::ZERO, 0.5) {
        breaker.record(&mut permit, News::Failed, Moment::ZERO);
    }
    for now in moments(operations) {
        black_box(black_box(&mut breaker).admit(Asker::Caller, 1, now, 0.5));
    }
}

fn moments(operations: u64) -> impl Iterator<Item = Moment> {
    (0..operations).map(|i| Moment::from_nanos(i * STEP_NANOS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_is_read_from_valgrinds_closing_lines() {
        assert_eq!(instructions("==1== Events    : Ir\n==1== Collected : 123456\n==1==\n"), Some(123_456));
        assert_eq!(instructions("valgrind: cannot run"), None);
    }

    #[test]
    fn every_operation_runs_by_its_name_and_no_other_does() {
        for case in &CASES {
            only(case.name, 100).unwrap();
        }
        assert!(only("guess", 1).is_err());
    }
}
