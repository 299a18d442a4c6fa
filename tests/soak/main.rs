//! The soak: a real sidecar under a mixed load for as long as is asked, over providers that fail at random in every way.
//!
//! Each answer is judged as it ends, the providers' own records every second, the sidecar's memory every ten; what must
//! always hold is counted in [`judge::Verdict`] and told at the end. Left out: the fleet, and operators' switches.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test's own program"
)]

mod bystander;
mod caller;
mod judge;
mod load;
mod stage;

use std::{
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use fusebox_tests::sidecar::Sidecar;
use tokio::task::JoinSet;

use self::{bystander::Bystander, caller::Caller, judge::Verdict, stage::Stage};

/// Callers at once.
const CALLERS: u64 = 24;
/// Between two readings of the sidecar's memory.
const READING: Duration = Duration::from_secs(10);

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> ExitCode {
    let minutes: f64 = std::env::args().nth(1).map_or(60.0, |text| text.parse().expect("minutes, as a number"));
    let length = Duration::from_secs_f64(minutes * 60.0);
    let stage = Stage::start().await;
    let sidecar = Sidecar::start(stage.config()).await;
    let verdict = Arc::new(Verdict::default());
    let bystander = Bystander::start();
    let over = Arc::new(AtomicBool::new(false));
    let mut callers = JoinSet::new();
    for seed in 0..CALLERS {
        let caller = Caller::new(&sidecar, seed, Arc::clone(&verdict), bystander.clone()).await;
        callers.spawn(caller.call_until(Arc::clone(&over)));
    }
    let began = Instant::now();
    let mut resident = Vec::new();
    let mut clock = tokio::time::interval(Duration::from_secs(1));
    while began.elapsed() < length {
        clock.tick().await;
        stage.inspect(&verdict);
        if resident.len() < usize::try_from(began.elapsed().as_secs() / READING.as_secs()).unwrap() {
            resident.push(sidecar.resident());
            eprintln!(
                "{:5} s  {:7} calls  {:4} MiB",
                began.elapsed().as_secs(),
                verdict.calls(),
                sidecar.resident() >> 20
            );
        }
    }
    over.store(true, Relaxed);
    while let Some(ended) = callers.join_next().await {
        ended.expect("a caller does not die");
    }
    let idle = |metrics: &fusebox_tests::client::Metrics| metrics.sum("fusebox_in_flight", &[]) == 0.0;
    let metrics = sidecar.metrics_until("no call in flight", idle).await;
    stage.inspect(&verdict);
    verdict.judge_the_end(&metrics, stage.asked(), &resident);
    println!("{}", verdict.report(began.elapsed(), &resident));
    ExitCode::from(u8::from(verdict.broken()))
}
